"""Text encoders are read from files: alone, and out of checkpoints with several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from toybench import Bench, pixels

from dgen.engine.protocol import EngineError
from dgen.options.submodels import TextEncoderUri
from dgen.values.scalars import Size

CASES = (
    ("sd", "text_encoder", "CLIPTextModel", "clip-l"),
    ("sdxl", "text_encoder", "CLIPTextModel", "clip-l"),
    ("sdxl", "text_encoder_2", "CLIPTextModelWithProjection", "clip-g"),
    ("sd3", "text_encoder", "CLIPTextModelWithProjection", "clip-l"),
    ("sd3", "text_encoder_2", "CLIPTextModelWithProjection", "clip-g"),
    ("sd3", "text_encoder_3", "T5EncoderModel", "t5-xxl"),
    ("flux", "text_encoder_2", "T5EncoderModel", "t5-xxl"),
)
BEFORE = {"clip-l": "text_encoders.clip_l.", "clip-g": "text_encoders.clip_g.", "t5-xxl": "text_encoders.t5xxl."}
SIZE = {"output_size": Size(64, 64)}


def folder_of(toys: Path, flow_toys: Path, toy: str) -> Path:
    return (flow_toys if toy in ("sd3", "flux") else toys) / toy


def tensors_of(folder: Path, kind: str, factor: float = 1.0) -> dict[str, Any]:
    """The tensors of a text encoder as files have them: those of CLIP all begin with `text_model`."""
    from safetensors.torch import load_file

    found = load_file(folder / kind / "model.safetensors")
    flat = "embeddings.token_embedding.weight" in found
    return {f"text_model.{name}" if flat else name: tensor * factor for name, tensor in found.items()}


def encoders(kind: str, uri: TextEncoderUri) -> tuple[TextEncoderUri | str, ...]:
    return (*["+"] * (int(kind[-1]) - 1 if kind[-1].isdigit() else 0), uri)


@pytest.mark.parametrize(("toy", "kind", "cls", "mode"), CASES)
def test_file_with_one_or_with_several_gives_what_the_folder_gives(
    shared_bench: Bench, toys: Path, flow_toys: Path, tmp_path: Path, toy: str, kind: str, cls: str, mode: str
) -> None:
    from safetensors.torch import save_file

    folder = folder_of(toys, flow_toys, toy)
    plain = pixels(shared_bench.render(folder, **SIZE))
    alone = tensors_of(folder, kind)
    save_file(alone, tmp_path / "alone.safetensors")
    save_file(tensors_of(folder, kind, 0.5), tmp_path / "other.safetensors")
    several = {f"{BEFORE[mode]}transformer.{name}": tensor for name, tensor in alone.items()}
    several |= {f"{before}transformer.x": alone[next(iter(alone))].clone() for before in BEFORE.values()}
    save_file(several, tmp_path / "several.safetensors")

    def draw(name: str, **said: Any) -> list[bytes]:
        uri = TextEncoderUri(class_name=cls, model=str(tmp_path / name), **said)
        return pixels(shared_bench.render(folder, text_encoders=encoders(kind, uri), **SIZE))

    assert draw("alone.safetensors") == plain
    assert draw("other.safetensors") != plain
    assert draw("several.safetensors", mode=mode) == draw("several.safetensors") == plain
    assert pixels(shared_bench.render(folder, **SIZE)) == plain


def test_encoder_comes_out_of_a_whole_checkpoint_and_out_of_a_pickle(
    shared_bench: Bench, toys: Path, tmp_path: Path
) -> None:
    import torch

    plain = pixels(shared_bench.render(toys / "sd"))
    torch.save(tensors_of(toys / "sd", "text_encoder"), tmp_path / "encoder.pt")
    for file in (toys / "sd.safetensors", toys / "sd.ckpt", tmp_path / "encoder.pt"):
        uri = TextEncoderUri(class_name="CLIPTextModel", model=str(file))
        assert pixels(shared_bench.render(toys / "sd", text_encoders=(uri,))) == plain


def test_clip_without_a_projection_passes_its_numbers_on(shared_bench: Bench, flow_toys: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    folder = flow_toys / "sd3"
    tensors = {f"text_encoders.clip_l.transformer.{n}": t for n, t in tensors_of(folder, "text_encoder").items()}
    name = "text_encoders.clip_l.transformer.text_projection.weight"
    draws: list[list[bytes]] = []
    for number, more in enumerate(({}, {name: torch.eye(*tensors.pop(name).shape)})):
        save_file(tensors | more, tmp_path / f"{number}.safetensors")
        uri = TextEncoderUri(class_name="CLIPTextModelWithProjection", model=str(tmp_path / f"{number}.safetensors"))
        draws.append(pixels(shared_bench.render(folder, text_encoders=(uri,), **SIZE)))
    assert draws[0] == draws[1]


def test_file_without_what_is_looked_for_is_refused(shared_bench: Bench, toys: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors_of(toys / "sdxl", "text_encoder_2"), tmp_path / "g.safetensors")
    uri = TextEncoderUri(class_name="CLIPTextModel", model=str(tmp_path / "g.safetensors"), mode="clip-l")
    with pytest.raises(EngineError) as caught:
        shared_bench.job(toys / "sdxl", text_encoders=(uri,))
    assert (caught.value.code, caught.value.message) == (
        "bad-weights", "`g.safetensors` holds no `clip-l` CLIPTextModel like the text_encoder of the model",
    )  # fmt: skip
    save_file(tensors_of(toys / "sd", "text_encoder"), tmp_path / "whole.safetensors")
    tensors = tensors_of(toys / "sd", "text_encoder")
    del tensors["text_model.final_layer_norm.weight"]
    save_file(tensors, tmp_path / "less.safetensors")
    uri = TextEncoderUri(class_name="CLIPTextModel", model=str(tmp_path / "less.safetensors"))
    with pytest.raises(EngineError, match="lacks 1 tensors of CLIPTextModel"):
        shared_bench.render(toys / "sd", text_encoders=(uri,))
