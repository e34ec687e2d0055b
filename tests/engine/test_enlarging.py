"""`upscaler` and `inpaint` make what spandrel and transformers make in plain calls, whole and in tiles, on toys.

Spandrel imports torchvision for two of its forty architectures, and torchvision has no build for every torch. Where it
is missing, these tests put a module with the three names that spandrel imports of it onto the path, for the import
alone; no architecture that is tested here calls them.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toybench import Bench, developed, mask, picture

from dgen.engine.protocol import EngineError

NAMES = "class InterpolationMode:\n    NEAREST = 'nearest'\n\n\ndef rotate(*args):\n    raise RuntimeError\n\n\n"


@pytest.fixture(scope="module")
def spandrel(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if importlib.util.find_spec("torchvision") is not None:
        import spandrel

        return spandrel
    folder = tmp_path_factory.mktemp("path")
    place = folder / "torchvision" / "transforms"
    place.mkdir(parents=True)
    for path in (place.parent / "__init__.py", place / "__init__.py"):
        path.touch()
    (place / "functional.py").write_text(NAMES + "def normalize(*args):\n    raise RuntimeError\n")
    sys.path.insert(0, str(folder))
    try:
        import spandrel
    finally:
        sys.path.remove(str(folder))
        for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    return spandrel


@pytest.fixture(scope="module")
def models(spandrel: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ESRGAN in the file formats of its kind, a SwinIR, which looks at windows, and a Swin2SR of transformers."""
    import torch
    from safetensors.torch import save_file
    from spandrel.architectures.ESRGAN import ESRGAN
    from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

    folder = tmp_path_factory.mktemp("networks")
    with torch.random.fork_rng():
        torch.manual_seed(4)
        network = ESRGAN(num_filters=8, num_blocks=1, scale=2)
        config = Swin2SRConfig(
            embed_dim=12, depths=[2], num_heads=[2], window_size=4, image_size=16, upscale=2, initializer_range=0.2,
            upsampler="pixelshuffledirect",
        )  # fmt: skip
        small = Swin2SRForImageSuperResolution(config)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(1.6)
    held = network.state_dict()
    save_file(held, folder / "2x.safetensors")
    torch.save({"params_ema": held}, folder / "2x.pth")
    small.save_pretrained(folder / "swin2sr")
    save_file({"conv.weight": torch.zeros(1)}, folder / "other.safetensors")
    return folder


def given(image: Image.Image) -> Any:
    import torch

    return torch.tensor(np.asarray(image), dtype=torch.float32).permute(2, 0, 1)[None] / 255


def pixels(made: Any) -> np.ndarray:
    return made[0].float().clamp(0, 1).permute(1, 2, 0).numpy() * 255


def plainly(spandrel: Any, model: Path, image: Image.Image, dtype: str = "float32") -> np.ndarray:
    import torch

    network = spandrel.ModelLoader().load_from_file(model).eval().to(dtype=getattr(torch, dtype))
    with torch.inference_mode():
        return pixels(network(given(image).to(getattr(torch, dtype))))


@pytest.mark.parametrize("name", ["2x.safetensors", "2x.pth"])
def test_a_network_enlarges_as_in_a_plain_call(shared_bench: Bench, spandrel: Any, models: Path, name: str) -> None:
    image = picture().resize((50, 37))
    wanted = plainly(spandrel, models / name, image)
    assert np.ptp(wanted) > 50
    made = developed(shared_bench, f"upscaler;model={models / name}", image)
    assert made.shape == (74, 100, 3)
    assert np.abs(made - wanted).max() <= 0.51
    half = developed(shared_bench, f"upscaler;model={models / name};dtype=bfloat16", image)
    assert np.abs(half - plainly(spandrel, models / name, image, "bfloat16")).max() <= 0.51


def test_tiles_make_the_same_as_the_whole(shared_bench: Bench, spandrel: Any, models: Path) -> None:
    """The network sees 20 pixels far, so that the quarter of the overlap that is farther from an edge is right."""
    image = picture().resize((260, 40))
    wanted = plainly(spandrel, models / "2x.safetensors", image)
    words = f"upscaler;model={models / '2x.safetensors'};overlap=80"
    assert np.abs(developed(shared_bench, f"{words};tile=160", image) - wanted).max() <= 0.51
    cut = developed(shared_bench, f"upscaler;model={models / '2x.safetensors'};overlap=0;tile=160", image)
    apart = np.abs(cut - wanted).max(axis=(0, 2))
    assert apart.max() > 1  # at the seams
    assert apart[: 2 * 70].max() <= 0.51
    assert np.abs(developed(shared_bench, f"{words};tile=auto", image) - wanted).max() <= 0.51


def test_tiles_come_when_memory_runs_out_alone(spandrel: Any) -> None:
    import torch

    from dgen.processors import PROCESSORS

    tried = PROCESSORS.rows()["upscaler"].call.__globals__["_tried"]
    seen: list[int] = []

    def enlarge(pixels: torch.Tensor) -> torch.Tensor:
        seen.append(pixels.shape[3])
        if pixels.shape[3] > 100:
            raise torch.OutOfMemoryError("too large")
        return pixels.repeat_interleave(2, 2).repeat_interleave(2, 3)

    given = torch.rand(1, 3, 8, 300)
    made = tried(enlarge, given, (0, 200, 100), 20)
    assert torch.allclose(made, given.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-6)
    assert seen == [300, 200, 100, 100, 100, 100]


def test_the_result_may_have_another_scale(shared_bench: Bench, spandrel: Any, models: Path) -> None:
    image = picture().resize((50, 37))
    made = developed(shared_bench, f"upscaler;model={models / '2x.pth'};scale=1.5", image)
    whole = Image.fromarray(np.rint(plainly(spandrel, models / "2x.pth", image)).astype(np.uint8))
    assert np.abs(made - np.asarray(whole.resize((75, 56), Image.Resampling.LANCZOS)).astype(int)).max() <= 2


def test_transformers_enlarges_without_spandrel(shared_bench: Bench, models: Path) -> None:
    import torch
    from transformers import Swin2SRForImageSuperResolution

    image = picture().resize((24, 16))
    network = Swin2SRForImageSuperResolution.from_pretrained(models / "swin2sr").eval()
    with torch.inference_mode():
        wanted = pixels(network(pixel_values=given(image)).reconstruction)
    made = developed(shared_bench, f"upscaler;model={models / 'swin2sr'}", image)
    assert np.ptp(wanted) > 20
    assert np.abs(made - wanted).max() <= 0.51


def test_a_mask_is_completed_as_in_a_plain_call(
    shared_bench: Bench, spandrel: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LaMa is one size only; here its generator has fewer channels and blocks by default, and all else as it is."""
    import torch
    from spandrel.architectures.LaMa import LaMa
    from spandrel.architectures.LaMa.__arch import LaMa as module

    generator = module.FFCResNetGenerator.__init__
    monkeypatch.setattr(generator, "__defaults__", (4, 3, 2, *generator.__defaults__[3:]))
    with torch.random.fork_rng():
        torch.manual_seed(8)
        torch.save(LaMa(in_nc=4, out_nc=3).state_dict(), tmp_path / "lama.pth")
    image = picture()
    image.save(tmp_path / "photo.png")
    mask().save(tmp_path / "mask.png")
    hole = torch.tensor(np.asarray(mask()) > 127, dtype=torch.float32)[None, None]
    network = spandrel.ModelLoader().load_from_file(tmp_path / "lama.pth").eval()
    with torch.inference_mode():
        wanted = pixels(network(given(image), hole))
    words = f"inpaint;model={tmp_path / 'lama.pth'}"
    made = developed(shared_bench, f"{words};mask={tmp_path / 'mask.png'}", image)
    assert np.abs(made - wanted).max() <= 0.51
    assert (made[:, :32] == np.asarray(image)[:, :32]).all()
    assert (made[:, 32:] != np.asarray(image)[:, 32:]).any()
    turned = developed(shared_bench, f"{words};image={tmp_path / 'photo.png'}", mask().convert("RGB"))
    assert (turned == made).all()
    with pytest.raises(EngineError, match="a LaMa completes pictures"):
        developed(shared_bench, f"upscaler;model={tmp_path / 'lama.pth'}", image)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("upscaler;model=HERE/other.safetensors", "is no network that can be loaded"),
        ("upscaler;model=HERE/none.pth", "there is no file or folder"),
        ("inpaint;model=HERE/2x.pth;image=HERE/x.png;mask=HERE/x.png", "give either `mask` or `image`"),
        ("upscaler;model=HERE", "is no upscaling model: its `config.json` names no class"),
    ],
)
def test_what_is_no_network_is_told(shared_bench: Bench, spandrel: Any, models: Path, words: str, told: str) -> None:
    with pytest.raises(EngineError, match=told):
        developed(shared_bench, words.replace("HERE", str(models)))


@pytest.mark.parametrize("missing", ["spandrel", "torchvision"])
def test_what_is_missing_is_named_before_anything_is_loaded(
    shared_bench: Bench, spandrel: Any, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """An entry of None in `sys.modules` is how Python says that a module is not there."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "spandrel"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(EngineError, match=f"needs the package `{missing}`") as caught:
        developed(shared_bench, "upscaler;model=none.pth")
    assert caught.value.code == "missing-package"
    assert 'pip install "dgen-lang[processors]"' in str(caught.value.help)
    assert [n for n in sys.modules if n.startswith("torchvision.")] == []


# ---- faces ----------------------------------------------------------------------------------------------------------


def test_a_face_is_restored_where_it_is(shared_bench: Bench, spandrel: Any, models: Path, tmp_path: Path) -> None:
    """What is not near a face stays; in the middle of a face the network's picture takes its place."""
    import torch
    from test_objects import make_rt_detr
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    with torch.random.fork_rng():
        torch.manual_seed(5)
        make_rt_detr(tmp_path / "finder")
    image = picture().resize((96, 80))
    own = AutoImageProcessor.from_pretrained(tmp_path / "finder")
    finder = AutoModelForObjectDetection.from_pretrained(tmp_path / "finder")
    with torch.inference_mode():
        seen = finder(**own(images=image, return_tensors="pt"))
    (found,) = own.post_process_object_detection(seen, threshold=0.0, target_sizes=[(80, 96)])
    best = int(found["scores"].argmax())
    score = float(found["scores"].sort(descending=True).values[:2].mean())
    left, top, right, bottom = found["boxes"][best].tolist()
    half, x, y = max(right - left, bottom - top) / 2, (left + right) / 2, (top + bottom) / 2
    box = (max(0, round(x - half)), max(0, round(y - half)), min(96, round(x + half)), min(80, round(y + half)))
    part = image.crop(box)
    small = part.resize((32, 32), Image.Resampling.LANCZOS)
    made = Image.fromarray(np.rint(plainly(spandrel, models / "2x.safetensors", small)).astype(np.uint8))
    made = np.asarray(made.resize(part.size, Image.Resampling.LANCZOS)).astype(int)
    words = (
        f"face-restore;model={models / '2x.safetensors'};detector={tmp_path / 'finder'};size=32;margin=0;"
        f"confidence={score}"
    )
    result = developed(shared_bench, words, image).astype(int)
    inner = np.s_[made.shape[0] // 4 : -(made.shape[0] // 4), made.shape[1] // 4 : -(made.shape[1] // 4)]
    assert np.abs(result[box[1] : box[3], box[0] : box[2]][inner] - made[inner]).max() <= 1
    outside = np.ones((80, 96), bool)
    outside[box[1] : box[3], box[0] : box[2]] = False
    assert (result[outside] == np.asarray(image)[outside]).all()


def test_without_a_detector_the_picture_is_a_face(shared_bench: Bench, spandrel: Any, models: Path) -> None:
    image = picture()
    small = image.resize((32, 32), Image.Resampling.LANCZOS)
    made = np.rint(plainly(spandrel, models / "2x.safetensors", small))
    words = f"face-restore;model={models / '2x.safetensors'};size=32"
    assert np.abs(developed(shared_bench, words, image) - made).max() <= 1
    half = developed(shared_bench, f"{words};strength=0.5", image)
    assert np.abs(half - (made + np.asarray(image)) / 2).max() <= 1.5


# ---- ncnn -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ncnn_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A convolution and a pixel shuffle as ncnn writes them, and the same in PyTorch."""
    import struct

    import torch

    folder, chance = tmp_path_factory.mktemp("ncnn"), np.random.default_rng(0)
    weight = (chance.normal(size=(12, 3, 3, 3)) * 0.2).astype(np.float32)
    bias = chance.normal(size=12, loc=0.3, scale=0.1).astype(np.float32)
    layers = (
        "Input data 0 1 data",
        f"Convolution conv 1 1 data middle 0=12 1=3 4=1 5=1 6={weight.size}",
        "PixelShuffle shuffle 1 1 middle output 0=2",
    )
    (folder / "2x.param").write_text("7767517\n3 3\n" + "\n".join(layers) + "\n")
    (folder / "2x.bin").write_bytes(struct.pack("<I", 0) + weight.tobytes() + bias.tobytes())
    (folder / "short.bin").write_bytes(struct.pack("<I", 0) + b"abc")

    def run(pixels: Any) -> Any:
        seen = torch.nn.functional.conv2d(pixels, torch.tensor(weight), torch.tensor(bias), padding=1)
        return torch.nn.functional.pixel_shuffle(seen, 2)

    return folder, run


def test_ncnn_enlarges_as_pytorch_does(shared_bench: Bench, ncnn_files: tuple[Path, Any]) -> None:
    folder, run = ncnn_files
    image = picture().resize((50, 37))
    wanted = pixels(run(given(image)))
    assert np.ptp(wanted) > 100
    words = f"upscaler-ncnn;model={folder / '2x.bin'};param={folder / '2x.param'}"
    assert np.abs(developed(shared_bench, f"{words};threads=1", image) - wanted).max() <= 2  # ncnn computes in halves
    tiles = developed(shared_bench, f"{words};tile=20;overlap=8;winograd=false;sgemm=false;blocktime=0", image)
    assert np.abs(tiles - wanted).max() <= 2
    assert developed(shared_bench, f"{words};tile=auto;scale=1.5", image).shape == (56, 75, 3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("model=HERE/2x.bin;param=HERE/2x.bin", "does not say how a network of ncnn is built"),
        ("model=HERE/short.bin;param=HERE/2x.param", "`short.bin` does not fit `2x.param`"),
        ("model=HERE/2x.bin;param=HERE/2x.param;use-gpu=true;gpu-index=64", "this machine has no GPU 64 for Vulkan"),
        ("model=HERE/none.bin;param=HERE/2x.param", "there is no file or folder"),
    ],
)
def test_what_is_no_network_of_ncnn_is_told(
    shared_bench: Bench, ncnn_files: tuple[Path, Any], words: str, told: str
) -> None:
    with pytest.raises(EngineError, match=told):
        developed(shared_bench, "upscaler-ncnn;" + words.replace("HERE", str(ncnn_files[0])))
