"""What a picture carries makes it again, whatever it was made with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workshop import figure

from dgen.cli.arguments import command_words
from dgen.engine.render import LocalEngine
from dgen.session import Session
from dgen.verifying import VerifyingSession

SOMETIMES = {
    "--scheduler": ["DDIM", "Euler a", "DPM++ 2M;use-karras-sigmas=true", "UniPC", "LCM"],
    "--guidance-scales": ["0", "1", "3.25"],
    "--clip-skips": ["1"],
    "--loras": ["builtin:shapes-lora-night;scale=0.7"],
    "--textual-inversions": ["builtin:shapes-textual-inversion"],
    "--image-seeds": ["seed.png", "seed.png;mask.png", "seed.png;96x64;aspect=false"],
    "--image-seed-strengths": ["0.5", "1"],
    "--seed-image-processors": ["mirror", "canny"],
    "--post-processors": ["invert", "resize;size=40x24"],
    "--batch-size": ["2"],
    "--image-format": ["jpg", "webp"],
    "--vae-tiling": [""],
    "--freeu-params": ["1.1,1.2,0.9,0.2"],
    "--output-auto1111-metadata": [""],
}
NEEDS = {"--image-seed-strengths": "--image-seeds", "--seed-image-processors": "--image-seeds"}


@st.composite
def invocations(draw: st.DrawFn) -> list[str]:
    """The words of an invocation of the built-in model with some options."""
    prompt = draw(st.sampled_from(["a red circle", "it's {{ 50% }} $HOME; ünï 🙂", "x -y ; a \\; b", ""]))
    words = ["builtin:shapes", "--prompts", prompt, "--seeds", str(draw(st.integers(0, 2**32)))]
    for flag in draw(st.sets(st.sampled_from(sorted(SOMETIMES)), max_size=4)):
        for each in sorted({NEEDS.get(flag, flag), flag} - set(words)):
            words += [word for word in (each, draw(st.sampled_from(SOMETIMES[each]))) if word]
    return [*words, "--inference-steps", "2", "--output-size", "32x32", "-o", "made"]


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    """An engine whose models stay loaded."""
    return LocalEngine()


@given(argv=invocations())
@settings(
    max_examples=figure("random jobs replayed"),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_random_job_is_replayed_to_the_same_bytes(
    at_work: Path, tmp_path_factory: pytest.TempPathFactory, engine: LocalEngine, argv: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("job")
    for name in ("seed.png", "mask.png"):
        (folder / name).write_bytes((at_work / name).read_bytes())
    os.chdir(folder)
    maker, verifier = Session(engine), VerifyingSession(engine)
    words = command_words(argv)
    maker.invoke(words, words[0].span.to(words[-1].span))
    made = [p for p in (folder / "made").iterdir() if not p.name.startswith(".")]
    assert made
    different = sum(not verifier.verify(path).same_bytes for path in made)
    assert different == figure("bytes that differ after a replay")
    maker.close()
    verifier.close()
