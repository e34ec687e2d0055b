"""What the pictures show."""

from __future__ import annotations

from dgen.options.refiner import SECOND_MODELS
from dgen.schema import Stage, Sweep, opt, options
from dgen.values.prompt import Prompt, PromptText
from dgen.values.scalars import Integer
from dgen.values.uri import NamedUri, OpenUri


@options("prompts")
class PromptOptions:
    """What the pictures show."""

    prompt: Prompt = opt(
        Prompt(), flag="--prompts", short="-p", stage=Stage.CALL, sweep=Sweep.PROMPT, value=PromptText(),
        keyword="prompt", help="What to draw, and after a `;` what not to draw.",
    )  # fmt: skip
    prompt_2: Prompt | None = opt(
        None, flag="--second-prompts", aliases=("--sdxl-second-prompts",), stage=Stage.CALL,
        sweep=Sweep.FURTHER_PROMPT, value=PromptText(), keyword="prompt_2",
        help="The prompt for the second text encoder; by default the same.",
    )  # fmt: skip
    prompt_3: Prompt | None = opt(
        None, flag="--third-prompts", stage=Stage.CALL, sweep=Sweep.FURTHER_PROMPT, value=PromptText(),
        keyword="prompt_3", help="The prompt for the third text encoder; by default the same.",
    )  # fmt: skip
    prompt_weighter: NamedUri | None = opt(
        None, flag="--prompt-weighter", short="-pw", stage=Stage.CALL, value=OpenUri(), capability="weighing",
        help="Read prompts of any length in which words weigh more or less, as in `(a red (star:1.3)) [circle]`; "
        "`--prompt-weighter-help` lists weighters.",
    )  # fmt: skip
    second_prompt_weighter: NamedUri | None = opt(
        None, flag="--second-model-prompt-weighter", short="-pw2", stage=Stage.CALL, value=OpenUri(),
        requires=SECOND_MODELS,
        help="The same for what the refiner, or the decoder of Stable Cascade, is told; for the model's own prompt by "
        "default the model's weighter.",
    )  # fmt: skip
    prompt_upscaler: tuple[NamedUri, ...] = opt(
        (), flag="--prompt-upscalers", short="-pu", aliases=("--prompt-upscaler",), many=True, value=OpenUri(),
        requires=("prompt",),
        help="Rewrite the prompts before the run, or make several of each; `--prompt-upscaler-help` lists upscalers.",
    )  # fmt: skip
    prompt_2_upscaler: tuple[NamedUri, ...] = opt(
        (), flag="--second-prompt-upscalers", aliases=("--second-prompt-upscaler",), many=True, value=OpenUri(),
        requires=("prompt_2",), help="The same for the second prompts.",
    )  # fmt: skip
    prompt_3_upscaler: tuple[NamedUri, ...] = opt(
        (), flag="--third-prompt-upscalers", aliases=("--third-prompt-upscaler",), many=True, value=OpenUri(),
        requires=("prompt_3",), help="The same for the third prompts.",
    )  # fmt: skip
    second_prompt_upscaler: tuple[NamedUri, ...] = opt(
        (), flag="--second-model-prompt-upscalers", short="-pu2", aliases=("--second-model-prompt-upscaler",),
        many=True, value=OpenUri(), requires=("second_prompt",), help="The same for the prompts of the refiner.",
    )  # fmt: skip
    second_prompt_2_upscaler: tuple[NamedUri, ...] = opt(
        (), flag="--second-model-second-prompt-upscalers", aliases=("--second-model-second-prompt-upscaler",),
        many=True, value=OpenUri(), requires=("second_prompt_2",),
        help="The same for the second prompts of the refiner.",
    )  # fmt: skip
    max_sequence_length: int | None = opt(
        None, flag="--max-sequence-length", stage=Stage.CALL, value=Integer(1, 512), keyword="max_sequence_length",
        help="How many tokens a T5 text encoder reads.",
    )  # fmt: skip
