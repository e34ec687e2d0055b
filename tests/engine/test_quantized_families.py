"""Every family can be quantized: its denoiser and its text encoders are loaded in few bits, and it draws with them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from toybench import INPUTS, Bench

from dgen.engine.protocol import Inputs
from dgen.engine.sources import parts_of
from dgen.families.rows import FAMILIES
from dgen.options.memory import QUANTIZABLE
from dgen.options.quantizers import QuantizerText, QuantoUri
from dgen.values.scalars import Size

WORDS = ("bnb", "bnb;bits=4", "sdnq;type=uint8", "torchao", "quanto")
DRAWN = (
    "auraflow", "chroma", "cogview4", "flux", "flux-kontext", "flux2", "hunyuan-dit", "hunyuan-image",
    "kandinsky3", "kandinsky5", "kolors", "latent-consistency", "lumina2", "pixart-sigma", "prx", "qwen-image", "sana",
    "sd3", "z-image", "cogvideox", "ltx", "mochi", "wan",
)  # fmt: skip
"""Families with denoisers or text encoders of a kind of their own."""

FRAMES = {"cogvideox": 8, "ltx": 9, "mochi": 7, "wan": 5}


@pytest.mark.parametrize("word", WORDS)
def test_every_familys_parts_take_a_quantizer(shared_bench: Bench, every_toy: Path, word: str) -> None:
    from toybench import Pictures

    from dgen.options.request import Request
    from dgen.plan.resolve import resolve

    quantizer, seen = QuantizerText().parse(word), 0
    for toy in sorted(every_toy.iterdir()):
        if toy.name not in FAMILIES or next(iter(FAMILIES[toy.name].pipelines)) not in ("txt2img", "txt2vid"):
            continue
        request = Request(model=str(toy), quantizer=quantizer, seed=1)
        job = resolve(request, shared_bench.engine.inspect(request), "cpu", Pictures())
        parts = {p.kind: p for p in parts_of(job, shared_bench.engine.models.layout(request))}
        able = [part for kind, part in parts.items() if kind in QUANTIZABLE]
        assert able, toy.name
        assert all(part.quantizer == quantizer for part in able), toy.name
        assert all(part.quantizer is None for kind, part in parts.items() if kind not in QUANTIZABLE), toy.name
        seen += 1
    assert seen > 35


@pytest.mark.parametrize("name", DRAWN)
def test_family_draws_with_quantized_parts(shared_bench: Bench, every_toy: Path, name: str) -> None:
    if find_spec("optimum") is None:
        pytest.skip("optimum is not installed")
    is_edit = "txt2img" not in FAMILIES[name].pipelines and name not in FRAMES
    said: dict[str, Any] = {} if is_edit else {"output_size": Size(64, 64)}
    if name in FRAMES:
        said = {"output_size": Size(32, 32), "num_frames": FRAMES[name]}

    def draw(**more: Any) -> list[bytes]:
        mode = "img2img" if is_edit else "txt2img"
        job = shared_bench.job(every_toy / name, mode, num_inference_steps=2, **said, **more)
        made = shared_bench.engine.render(job, INPUTS[mode] if is_edit else Inputs(), lambda step, steps: None)
        return [image.tobytes() for image in (made.images or made.films[0])]

    plain = draw()
    assert draw(quantizer=QuantoUri(name="quanto")) != plain
    assert draw() == plain
