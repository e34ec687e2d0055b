"""Transformers in the names that their authors gave them draw what the folders draw that they came from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published_further import CHROMA, FLUX, HUNYUAN_VIDEO
from published_names import FIXED, FURTHER, published_tensors, remade, write_published
from published_tables import Published
from toybench import INPUTS, SEEDS, Bench

from dgen.options.submodels import TransformerUri
from dgen.values.scalars import Size

SMALL, FILM = {"output_size": Size(64, 64)}, {"output_size": Size(32, 32), "num_frames": 5}
SAID: Mapping[str, dict[str, Any]] = {
    "ltx2": {**SMALL, "num_frames": 9}, "skyreels-v2": FILM, "hunyuan-video": FILM,
    "mochi": {**FILM, "num_frames": 7, "num_inference_steps": 2}, "echo": {**SMALL, "num_frames": 9},
}  # fmt: skip
READ_ALONE = ("wan-animate-2",)
"""A toy that makes videos of videos; that its file is read is shown below."""


def toy_of(name: str, *places: Path) -> Path:
    return next(place / name for place in places if (place / name).is_dir())


@pytest.mark.parametrize("name", [name for name in (*FURTHER, *FIXED) if name not in READ_ALONE])
def test_published_file_draws_what_its_folder_draws(
    every_toy: Path, more_toys: Path, shared_bench: Bench, tmp_path: Path, name: str
) -> None:
    folder = toy_of(name, every_toy, more_toys)
    how, changes = FIXED.get(name) or (FURTHER[name], {})
    folder = remade(folder, tmp_path / "toy", changes) if changes else folder
    file = write_published(folder, how, tmp_path / "model.safetensors", is_prefixed=True)
    mode = "img2img" if name == "chronoedit" else "txt2img"

    def render(**more: Any) -> np.ndarray:
        said = {"num_inference_steps": 1, "image_seed": SEEDS[mode], **SAID.get(name, SMALL)}
        made = shared_bench.engine.render(
            shared_bench.job(folder, **said, **more), INPUTS[mode], lambda step, steps: None
        )
        return np.stack([np.asarray(image, int) for image in made.images or made.films[0]])

    plain = render()
    assert np.ptp(plain) > 0
    drawn = render(transformer=TransformerUri(model=str(file)))
    assert np.abs(drawn - plain).max() <= 1  # of 255: the weights lie elsewhere in memory, and sums may round


@pytest.mark.parametrize("name", READ_ALONE)
def test_published_file_is_read_as_the_transformer_that_it_came_from(
    more_toys: Path, tmp_path: Path, name: str
) -> None:
    import diffusers
    import torch

    from dgen.engine.denoiser_files import load
    from dgen.engine.sources import Part, Source

    cls, folder = diffusers.WanAnimate2Transformer3DModel, more_toys / name
    file = write_published(folder, FURTHER[name], tmp_path / "model.safetensors", is_prefixed=True)
    part = Part(kind="transformer", key=(), source=Source(model=str(file)), dtype="float32")
    read = load(part, cls, file, {"config": str(folder), "subfolder": "transformer"}, {}).state_dict()
    wanted = cls.from_pretrained(folder / "transformer").state_dict()
    assert set(read) == set(wanted)
    assert all(torch.equal(read[key], value) for key, value in wanted.items())


WIDE: tuple[tuple[str, Published], ...] = (
    ("FluxTransformer2DModel", FLUX), ("ChromaTransformer2DModel", CHROMA),
    ("HunyuanVideoTransformer3DModel", HUNYUAN_VIDEO),
)  # fmt: skip
"""Classes that diffusers converts in the width of the published models alone."""


@pytest.mark.parametrize(("cls", "how"), WIDE)
def test_tensors_of_wide_models_come_back_as_they_were(cls: str, how: Published) -> None:
    """All numbers of a row are the same one, so that half a billion of them need no memory."""
    import diffusers
    import torch
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    more = {"guidance_embeds": True} if cls == "FluxTransformer2DModel" else {}
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of diffusers, about itself
        model = getattr(diffusers, cls)(num_layers=1, num_single_layers=1, **more)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    rows = {n: (torch.arange(shape[0]) * 7 + k).to(torch.uint8) for k, (n, shape) in enumerate(shapes.items())}
    held = {n: rows[n].reshape(-1, *[1] * (len(s) - 1)).expand(s).numpy() for n, s in shapes.items()}
    published = {name: torch.from_numpy(values) for name, values in published_tensors(held, how).items()}
    read = SINGLE_FILE_LOADABLE_CLASSES[cls]["checkpoint_mapping_fn"](checkpoint=published)
    assert {name: tuple(tensor.shape) for name, tensor in read.items()} == shapes
    assert all((read[name].numpy() == held[name]).all() for name in shapes)
