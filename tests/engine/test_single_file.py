"""Checkpoint files give what their folders give, and share their parts."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image, ImageChops
from toybench import Bench, pixels

from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded, FileRead
from dgen.options.submodels import VaeUri
from dgen.values.scalars import Size


class Site(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("file", "folder"), [("sd.safetensors", "sd"), ("sd.ckpt", "sd"), ("sdxl.safetensors", "sdxl")]
)
def test_picture_of_a_checkpoint_is_that_of_its_folder(shared_bench: Bench, toys: Path, file: str, folder: str) -> None:
    said = {"model_config": str(toys / folder), "model_type": folder if file.endswith("ckpt") else None}
    for mode in ("txt2img", "img2img"):
        one = shared_bench.render(toys / file, mode, **said)
        other = shared_bench.render(toys / folder, mode)
        assert furthest(one.images[0], other.images[0]) <= 1  # the weights lie elsewhere in memory: sums may round


def furthest(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of two pictures, of 255."""
    return max(high for _, high in ImageChops.difference(one, other).getextrema())


def test_only_the_missing_part_of_a_checkpoint_is_loaded_again(bench: Bench, toys: Path) -> None:
    config = str(toys / "sd")
    first = pixels(bench.render(toys / "sd.safetensors", model_config=config))
    bench.engine.clear("vae")
    bench.events.clear()
    assert pixels(bench.render(toys / "sd.safetensors", "txt2img", model_config=config)) == first
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["vae"]
    assert len(bench.of(FileRead)) == 1


def test_size_and_schedulers_come_from_the_configuration(bench: Bench, toys: Path) -> None:
    job = bench.job(toys / "sd.safetensors", model_config=str(toys / "sd"))
    assert (job.family, job.size) == ("sd", Size(64, 64))
    assert bench.engine.schedulers(job.request)[0] == "DDIMScheduler"


def test_family_of_a_pickle_must_be_said(bench: Bench, toys: Path) -> None:
    with pytest.raises(EngineError, match="cannot be told"):
        bench.job(toys / "sd.ckpt", model_config=str(toys / "sd"))


def test_vae_in_the_original_layout_takes_the_configuration_of_the_model(
    bench: Bench, toys: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(toys / "sd.safetensors")
    prefix = "first_stage_model."
    file = tmp_path / "vae.safetensors"
    save_file({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}, file)
    uri = VaeUri(class_name="AutoencoderKL", model=str(file))
    assert furthest(bench.render(toys / "sd", vae=uri).images[0], bench.render(toys / "sd").images[0]) <= 1


def test_vae_of_another_model_folder(bench: Bench, toys: Path) -> None:
    whole = bench.render(toys / "sd", vae=VaeUri(class_name="AutoencoderKL", model=str(toys / "sdxl")))
    inner = bench.render(toys / "sd", vae=VaeUri(class_name="AutoencoderKL", model=str(toys / "sdxl"), subfolder="vae"))
    assert pixels(whole) == pixels(inner) != pixels(bench.render(toys / "sd"))


def test_checkpoint_without_a_configuration_needs_the_hub(bench: Bench, toys: Path) -> None:
    with pytest.raises(EngineError) as caught:
        bench.render(toys / "sd.safetensors", offline_mode=True)
    assert (caught.value.code, caught.value.help) == (
        "offline", "name a folder with its configuration: `--model-config FOLDER`",
    )  # fmt: skip


def test_configuration_of_a_turbo_file_is_that_of_turbo(bench: Bench, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "sd_xl_turbo_1.0_fp16.safetensors").symlink_to(toys / "sdxl.safetensors")
    with pytest.raises(EngineError) as caught:
        bench.render(tmp_path / "sd_xl_turbo_1.0_fp16.safetensors", offline_mode=True)
    assert caught.value.code == "offline"
    assert "`stabilityai/sdxl-turbo` is not on this machine" in caught.value.message


def test_checkpoint_of_an_address_without_a_suffix_is_told_by_its_content(
    bench: Bench, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGEN_CACHE", str(tmp_path / "cache"))
    site = tmp_path / "site"
    site.mkdir()
    for number, name in (("7", "sd.safetensors"), ("8", "sd.ckpt")):
        (site / number).write_bytes((toys / name).read_bytes())
    handler = partial(Site, directory=site)
    said = {"model_config": str(toys / "sd"), "model_type": "sd"}
    pictures: list[list[bytes]] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        addresses = [f"http://127.0.0.1:{server.server_port}/{n}?type=Model&format=SafeTensor" for n in ("7", "8")]
        pictures += [pixels(bench.render(address, **said)) for address in addresses]
        server.shutdown()
    assert sorted(p.suffix for p in (tmp_path / "cache" / "models").iterdir()) == [".ckpt", ".safetensors"]
    pictures += [pixels(Bench().render(address, offline_mode=True, **said)) for address in addresses]
    assert len({tuple(p) for p in pictures}) == 1


def test_checkpoint_of_another_shape_is_refused(bench: Bench, toys: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(toys / "sd.safetensors")
    name = "model.diffusion_model.input_blocks.0.0.weight"
    tensors[name] = tensors[name][:, :3].contiguous()
    save_file(tensors, tmp_path / "odd.safetensors")
    with pytest.raises(EngineError) as caught:
        bench.render(tmp_path / "odd.safetensors", model_config=str(toys / "sd"))
    assert caught.value.code == "bad-weights"
    assert "[32, 4, 3, 3]" in caught.value.message
    assert "[32, 3, 3, 3]" in caught.value.message
