"""Text encoders are read from files: alone, and out of checkpoints with several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import ImageChops
from toybench import Bench, pixels

from dgen.engine.protocol import EngineError
from dgen.engine.sources import Part, Source
from dgen.engine.text_files import load
from dgen.events import ComponentLoaded
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


OPEN = (
    ("sd", "text_encoder", "CLIPTextModel", "clip-h", "cond_stage_model.model."),
    ("sdxl", "text_encoder_2", "CLIPTextModelWithProjection", "clip-g", "conditioner.embedders.1.model."),
    ("refiner", "text_encoder_2", "CLIPTextModelWithProjection", "clip-g", "conditioner.embedders.0.model."),
    ("sd3", "text_encoder_2", "CLIPTextModelWithProjection", None, ""),
)


@pytest.mark.parametrize(("toy", "kind", "cls", "mode", "before"), OPEN)
def test_encoder_in_the_names_of_openclip_is_the_one_that_it_came_from(
    toys: Path, flow_toys: Path, tmp_path: Path, toy: str, kind: str, cls: str, mode: str | None, before: str
) -> None:
    import torch
    import transformers
    from original_layout import open_clip
    from safetensors.torch import save_file

    folder = folder_of(toys, flow_toys, toy) / kind
    wanted = getattr(transformers, cls).from_pretrained(folder)
    held = {f"{before}{name}": tensor for name, tensor in open_clip(tensors_of(folder.parent, kind)).items()}
    first = f"{before}transformer.resblocks."
    held |= {f"{first}9.{n.removeprefix(f'{first}0.')}": t for n, t in held.items() if n.startswith(f"{first}0.")}
    file = tmp_path / "whole.safetensors"
    save_file({key: tensor.contiguous().clone() for key, tensor in held.items()}, file)
    source = Source(model=str(file), option="text_encoders")
    part = Part(kind=kind, key=(), source=source, dtype="float32", class_name=cls, mode=mode)
    found = load(part, getattr(transformers, cls), file, folder, {})
    read = found.state_dict()
    assert set(read) == set(wanted.state_dict())
    assert all(torch.equal(read[name], tensor) for name, tensor in wanted.state_dict().items())


def test_second_encoder_of_sdxl_comes_out_of_a_checkpoint_of_it(shared_bench: Bench, toys: Path) -> None:
    plain = shared_bench.render(toys / "sdxl").images[0]
    uri = TextEncoderUri(class_name="CLIPTextModelWithProjection", model=str(toys / "sdxl.safetensors"), mode="clip-g")
    made = shared_bench.render(toys / "sdxl", text_encoders=("+", uri)).images[0]
    apart = ImageChops.difference(made, plain).getextrema()
    assert max(high for _, high in apart) <= 1  # of 255: the weights lie elsewhere in memory, and sums may round
    assert [e.kind for e in shared_bench.of(ComponentLoaded)].count("text_encoder_2") >= 2


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
