"""LoRAs act as diffusers alone makes them act, and leave no trace."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toybench import INPUTS, Bench, pixels

from dgen.engine.adapters.lycoris import changes
from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded, FileRead
from dgen.options.attachments import LoraUri, TextualInversionUri
from dgen.values.blocks import BlocksText, factor_at
from dgen.values.prompt import Prompt
from dgen.values.uri import Uri

PIPELINES = {"sd": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}
CALL = {
    "prompt": "a red circle", "negative_prompt": "blurry", "num_inference_steps": 2, "guidance_scale": 5.0,
    "height": 64, "width": 64,
}  # fmt: skip


def alone(toys: Path, model: str, prepare: Callable[[Any], None]) -> list[bytes]:
    """Call diffusers as its documentation says, after `prepare` was called with the pipeline."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import diffusers
        import torch

        options = {"safety_checker": None} if model == "sd" else {}
        pipe = getattr(diffusers, PIPELINES[model]).from_pretrained(toys / model, **options)
        pipe.set_progress_bar_config(disable=True)
        prepare(pipe)
        made = pipe(generator=torch.Generator("cpu").manual_seed(7), **CALL)
    return [i.convert("RGB").tobytes() for i in made.images]


def lora(path: Path, scale: float = 1.0) -> LoraUri:
    return LoraUri(model=str(path), scale=scale)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@pytest.mark.parametrize("ending", ["-lora", "-lora.safetensors"])
def test_lora_acts_as_in_diffusers_and_leaves_no_trace(
    shared_bench: Bench, toys: Path, model: str, ending: str
) -> None:
    file = toys / f"{model}{ending}"

    def load(pipe: Any) -> None:
        pipe.load_lora_weights(str(file), adapter_name="one")
        pipe.set_adapters(["one"], [0.7])

    plain = pixels(shared_bench.render(toys / model))
    made = pixels(shared_bench.render(toys / model, loras=(lora(file, 0.7),)))
    assert made == alone(toys, model, load)
    assert made != plain
    assert pixels(shared_bench.render(toys / model)) == plain


def test_lora_in_a_pickle_of_tensors_is_read(shared_bench: Bench, toys: Path) -> None:
    files = (toys / "sd-lora.pt", toys / "sd-lora.safetensors")
    one, other = (pixels(shared_bench.render(toys / "sd", loras=(lora(f),))) for f in files)
    assert one == other


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_lora_that_peft_saved_acts_as_in_peft(shared_bench: Bench, toys: Path, model: str) -> None:
    folder = toys / f"{model}-peft-lora"

    def load(pipe: Any) -> None:
        from peft import PeftModel

        pipe.unet = PeftModel.from_pretrained(pipe.unet, folder).get_base_model()

    assert pixels(shared_bench.render(toys / model, loras=(lora(folder),))) == alone(toys, model, load)


def test_several_loras_act_together_each_with_its_scale(shared_bench: Bench, toys: Path) -> None:
    files = (toys / "sd-lora", toys / "sd-unet-lora")

    def load(pipe: Any) -> None:
        for name, file in zip("ab", files, strict=True):
            pipe.load_lora_weights(str(file), adapter_name=name)
        pipe.set_adapters(["a", "b"], [0.25, -0.5])

    loras = (lora(files[0], 0.5), lora(files[1], -1.0))
    made = pixels(shared_bench.render(toys / "sd", loras=loras, lora_fuse_scale=0.5))
    assert made == alone(toys, "sd", load)
    assert pixels(shared_bench.render(toys / "sd", loras=loras)) != made


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_blocks_of_a_lora_have_scales_of_their_own(shared_bench: Bench, toys: Path, model: str) -> None:
    uri = Uri(LoraUri).parse(f"{toys / model}-lora;scale=0.8;blocks=down:0.5,mid:0,up:0.25,text-encoder:2")
    weights = {"down": 0.4, "mid": 0.0, "up": 0.2}

    def load(pipe: Any) -> None:
        pipe.load_lora_weights(str(toys / f"{model}-lora"), adapter_name="one")
        pipe.set_adapters(["one"], [{"unet": weights, "text_encoder": 1.6, "text_encoder_2": 0.8}])

    plain = pixels(shared_bench.render(toys / model, loras=(lora(toys / f"{model}-lora", 0.8),)))
    made = pixels(shared_bench.render(toys / model, loras=(uri,)))
    assert made == alone(toys, model, load)
    assert made != plain
    assert pixels(shared_bench.render(toys / model, loras=(lora(toys / f"{model}-lora", 0.8),))) == plain


def test_narrowest_block_counts() -> None:
    told = BlocksText().parse("up:0.5,up.1:2,up.1.0:3,text-encoder:4")
    layers = ("up_blocks.0.resnets.0", "up_blocks.1.resnets.0", "up_blocks.1.attentions.0.proj_in", "mid_block.x")
    assert [factor_at(told, "unet", layer) for layer in layers] == [0.5, 2, 3, 1]
    assert [factor_at(told, part, "layers.0") for part in ("text_encoder", "text_encoder_2")] == [4, 1]


def test_block_that_the_model_has_not_is_named_with_its_place(bench: Bench, toys: Path) -> None:
    uri = Uri(LoraUri).parse(f"{toys / 'sd-lora'};blocks=up.7:0.5")
    with pytest.raises(EngineError, match=r"has no block `up\.7`") as caught:
        bench.job(toys / "sd", loras=(lora(toys / "sd-lora"), uri))
    assert (caught.value.code, caught.value.option, caught.value.index) == ("bad-uri", "loras", 1)
    assert bench.events == []


@pytest.mark.parametrize("kind", ["loha", "lokr"])
def test_lycoris_acts_as_in_peft_and_leaves_no_trace(bench: Bench, toys: Path, kind: str) -> None:
    """The file is brought to peft's own layers by hand, and those are merged into the weights."""
    import peft
    import torch
    from safetensors.torch import load_file

    held = load_file(toys / f"sd-{kind}.safetensors")
    starts = {"unet": "lora_unet_", "text_encoder": "lora_te_text_model_"}

    def load(pipe: Any) -> None:
        for part, start in starts.items():
            module = getattr(pipe, part)
            names = {start + n.removeprefix("text_model.").replace(".", "_"): n for n, _ in module.named_modules()}
            own = {k.partition(".")[0]: names[k.partition(".")[0]] for k in held if k.startswith(start)}
            config: Any = getattr(peft, {"loha": "LoHaConfig", "lokr": "LoKrConfig"}[kind])(
                r=2, alpha=4, target_modules=list(own.values()), **({"decompose_factor": 4} if kind == "lokr" else {})
            )
            peft.inject_adapter_in_model(config, module, "one")
            for key, path in own.items():
                layer = module.get_submodule(path)
                for name in [n for n in held if n.startswith(f"{key}.") and not n.endswith("alpha")]:
                    factor = name.rpartition(".")[2]
                    getattr(layer, factor)["one"] = torch.nn.Parameter(held[name])
                layer.scaling["one"] = 4 / 2 * 0.5
                layer.merge()

    plain = pixels(bench.render(toys / "sd"))
    both = (lora(toys / f"sd-{kind}.safetensors", 0.5), lora(toys / "sd-lora", 0.5))
    made = pixels(bench.render(toys / "sd", loras=both[:1]))
    assert made == alone(toys, "sd", load)
    assert made != plain
    mixed = pixels(bench.render(toys / "sd", loras=both))
    assert mixed not in (made, pixels(bench.render(toys / "sd", loras=both[1:])))
    assert pixels(bench.render(toys / "sd", loras=both[::-1])) == mixed
    assert pixels(bench.render(toys / "sd")) == plain
    with pytest.raises(EngineError, match=r"is \[64, 80\], and its change \[64, 32\]") as caught:
        bench.job(toys / "sdxl", loras=(lora(toys / "sdxl-lora"), both[0]))
    assert caught.value.index == 1


def test_names_of_original_sdxl_checkpoints_are_read() -> None:
    names = ("lora_unet_input_blocks_4_0_in_layers_2.hada_w1_a", "lora_unet_output_blocks_5_1_proj_in.lokr_w1")
    found = list(changes(dict.fromkeys(names, 0), SimpleNamespace(layers_per_block=2)))
    assert [(c.part, c.layer) for c in found] == [
        ("unet", "down_blocks_1_resnets_0_conv1"), ("unet", "up_blocks_1_attentions_2_proj_in")
    ]  # fmt: skip


def test_lora_without_strength_changes_nothing(shared_bench: Bench, toys: Path) -> None:
    plain = pixels(shared_bench.render(toys / "sd"))
    assert pixels(shared_bench.render(toys / "sd", loras=(lora(toys / "sd-lora", 0.0),))) == plain


def test_nothing_is_read_twice(bench: Bench, toys: Path) -> None:
    one, two = lora(toys / "sd-lora", 0.5), lora(toys / "sd-lora.safetensors")
    bench.render(toys / "sd")
    bench.events.clear()
    for loras in ((one,), (lora(toys / "sd-lora"),), (one, two), (), (two, one)):
        bench.render(toys / "sd", loras=loras)
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["lora", "lora"]
    assert len(bench.of(FileRead)) == 2
    assert bench.engine.clear("adapter") == 2


def test_layers_of_a_lora_are_made_once_for_all_seeds_and_scales(bench: Bench, toys: Path) -> None:
    bench.render(toys / "sd")
    unet, encoder = (next(c.value for c in bench.engine.store if c.kind == k) for k in ("unet", "text_encoder"))
    seen: list[list[Any]] = []

    def look(step: int, steps: int) -> None:
        layers = (unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.to_q, encoder.encoder.layers[0])
        seen.append([*layers[:1], layers[1].self_attn.q_proj])

    words = (TextualInversionUri(model=str(toys / "word")),)
    own = (lora(toys / "sd-lora", 0.5), lora(toys / "sd-unet-lora"))
    jobs: list[dict[str, Any]] = [
        {"loras": own}, {"loras": own, "seed": 8}, {"loras": (lora(toys / "sd-lora"), own[1])}, {},
        {"loras": own, "textual_inversions": words, "prompt": Prompt("a <badge>")}, {"loras": own[:1]}, {"loras": own},
    ]  # fmt: skip
    made = [bench.engine.render(bench.job(toys / "sd", **j), INPUTS["txt2img"], look) for j in jobs]
    assert [pixels(m) for m in made] == [pixels(Bench().render(toys / "sd", **j)) for j in jobs]
    first = [layers for index, layers in enumerate(seen) if index % 2 == 0]
    assert all(a is b for number in (1, 2, 4) for a, b in zip(first[0], first[number], strict=True))
    assert not any(type(layer).__module__.startswith("peft") for layer in first[3])
    assert first[5][0] is not first[0][0]
    bench.engine.clear("adapter")
    assert not any(name.startswith("_dgen") for module in (unet, encoder) for name in vars(module))


def test_prompt_is_encoded_anew_only_when_the_lora_changes_the_text_encoder(bench: Bench, toys: Path) -> None:
    bench.render(toys / "sd")
    misses = bench.engine.memo.misses
    for scale in (0.5, 1.0):
        bench.render(toys / "sd", loras=(lora(toys / "sd-unet-lora", scale),))
    assert bench.engine.memo.misses == misses
    for _ in range(2):
        bench.render(toys / "sd", loras=(lora(toys / "sd-lora"),))
    assert bench.engine.memo.misses == misses + 2  # prompt and negative prompt


def test_job_that_fails_half_way_leaves_no_trace(bench: Bench, toys: Path) -> None:
    said: dict[str, Any] = {
        "loras": (lora(toys / "sd-lora"),), "textual_inversions": (TextualInversionUri(model=str(toys / "word")),),
        "prompt": Prompt("a <badge>"),
    }  # fmt: skip
    plain = pixels(bench.render(toys / "sd"))
    parts = {c.kind: c.value for c in bench.engine.store}
    before = {k: {n: id(m) for n, m in parts[k].named_modules()} for k in ("unet", "text_encoder")}
    words = len(parts["tokenizer"])

    def stop(step: int, steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.engine.render(bench.job(toys / "sd", **said), INPUTS["txt2img"], stop)
    with pytest.raises(EngineError):  # the second one does not fit, when the first one is in already
        bench.render(toys / "sd", loras=(lora(toys / "sd-lora"), lora(toys / "sdxl-lora")))
    assert pixels(bench.render(toys / "sd")) == plain
    assert {k: {n: id(m) for n, m in parts[k].named_modules()} for k in before} == before
    assert len(parts["tokenizer"]) == words
    assert not any(hasattr(parts[k], "peft_config") for k in before)


def test_lora_of_another_model_is_named_with_its_place(bench: Bench, toys: Path) -> None:
    with pytest.raises(EngineError) as caught:
        bench.render(toys / "sd", loras=(lora(toys / "sd-lora"), lora(toys / "sdxl-lora.safetensors")))
    error = caught.value
    assert (error.code, error.option, error.index) == ("bad-weights", "loras", 1)


def test_pipeline_of_another_family_takes_loras_with_its_own_loader(
    shared_bench: Bench, toys: Path, tmp_path: Path, plainly: Callable[..., list[bytes]]
) -> None:
    import torch
    from diffusers import AuraFlowTransformer2DModel
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    generator = torch.Generator().manual_seed(5)
    model = AuraFlowTransformer2DModel.from_pretrained(toys / "auraflow" / "transformer")
    for name, layer in model.named_modules():
        if name.endswith("to_q"):
            tensors[f"transformer.{name}.lora_A.weight"] = torch.randn((2, layer.in_features), generator=generator)
            tensors[f"transformer.{name}.lora_B.weight"] = torch.randn((layer.out_features, 2), generator=generator)
    save_file(tensors, tmp_path / "lora.safetensors")
    plain = plainly("AuraFlowPipeline", "auraflow", [7], **CALL)
    made = pixels(
        shared_bench.render(toys / "auraflow", guidance_scale=5.0, loras=(lora(tmp_path / "lora.safetensors"),))
    )
    assert made != plain
    assert pixels(shared_bench.render(toys / "auraflow", guidance_scale=5.0)) == plain


def test_lora_works_beside_a_checkpoint_file_and_in_half_precision(bench: Bench, toys: Path) -> None:
    one = (lora(toys / "sd-lora"),)
    file = {"model_config": str(toys / "sd")}
    assert pixels(bench.render(toys / "sd.safetensors", loras=one, **file)) == pixels(
        bench.render(toys / "sd", loras=one)
    )
    plain = pixels(bench.render(toys / "sd", dtype="bfloat16"))
    assert pixels(bench.render(toys / "sd", dtype="bfloat16", loras=one)) != plain
    assert pixels(bench.render(toys / "sd", dtype="bfloat16")) == plain


def test_files_of_a_lora_are_named_in_configs(bench: Bench, toys: Path, tmp_path: Path) -> None:
    own = Path(shutil.copy(toys / "sd-lora.safetensors", tmp_path / "mine.safetensors"))
    request = bench.job(toys / "sd", loras=(lora(own),)).request
    assert [(m.name, m.files) for m in bench.engine.model_files(request)][1:] == [("mine.safetensors", (own,))]
