"""Depth processors see what transformers itself sees, on toy models of the real classes, which are loaded once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from toybench import Bench, developed, picture

from dgen.cli.main import main
from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded

KINDS = ("depth-anything", "metric", "dpt", "zoe")


def make_depth_anything(folder: Path, kind: str) -> None:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config, DPTImageProcessorPil

    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=28, patch_size=14,
        out_features=["stage1", "stage2"], reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=16, reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8], fusion_hidden_size=8, head_in_index=-1, head_hidden_size=8,
        depth_estimation_type=kind, max_depth=1,
    )  # fmt: skip
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    size = {"height": 56, "width": 56}
    DPTImageProcessorPil(size=size, keep_aspect_ratio=True, ensure_multiple_of=14).save_pretrained(folder)


def make_dpt(folder: Path) -> None:
    from transformers import DPTConfig, DPTForDepthEstimation, DPTImageProcessorPil

    config = DPTConfig(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8,
        backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
    )  # fmt: skip
    DPTForDepthEstimation(config).save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(folder)


def make_zoe(folder: Path) -> None:
    from transformers import BeitConfig, ZoeDepthConfig, ZoeDepthForDepthEstimation, ZoeDepthImageProcessorPil

    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = BeitConfig(
        image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=16,
        out_features=stages, reshape_hidden_states=False, use_relative_position_bias=True, initializer_range=0.5,
    )  # fmt: skip
    config = ZoeDepthConfig(
        backbone_config=backbone, backbone_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8,
        bottleneck_features=8, num_relative_features=8, bin_embedding_dim=8, num_attractors=[4, 2, 2, 1],
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0, "name": "nyu"}],
        initializer_range=0.5,  # with the usual one, a toy sees the same everywhere
    )  # fmt: skip
    ZoeDepthForDepthEstimation(config).save_pretrained(folder)
    ZoeDepthImageProcessorPil(size={"height": 32, "width": 32}, ensure_multiple_of=8).save_pretrained(folder)


@pytest.fixture(scope="module")
def seers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    folder = tmp_path_factory.mktemp("seers")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        make_depth_anything(folder / "depth-anything", "relative")
        make_depth_anything(folder / "metric", "metric")
        make_dpt(folder / "dpt")
        make_zoe(folder / "zoe")
    return folder


def plain_nearness(folder: Path, image: Image.Image) -> np.ndarray:
    """What a plain call of transformers gives: nearness in the model's own unit."""
    from transformers import pipeline

    seen = pipeline("depth-estimation", model=str(folder), device="cpu")(image)["predicted_depth"].numpy()
    return -seen if folder.name == "metric" else seen


def plainly(folder: Path, image: Image.Image) -> np.ndarray:
    """The same from 0 to 1."""
    if folder.name == "zoe":
        return zoe_plainly(folder, image)
    near = plain_nearness(folder, image)
    return (near - near.min()) / (near.max() - near.min())


def zoe_plainly(folder: Path, image: Image.Image) -> np.ndarray:
    """The same of a ZoeDepth: its margin is taken away by OpenCV, as transformers would with torchvision."""
    import torch
    from transformers import ZoeDepthForDepthEstimation, ZoeDepthImageProcessorPil

    given = ZoeDepthImageProcessorPil.from_pretrained(folder)(images=image, return_tensors="pt")
    with torch.inference_mode():
        seen = ZoeDepthForDepthEstimation.from_pretrained(folder)(**given).predicted_depth[0].numpy()
    across, down = (int(np.sqrt(side / 2) * 3) for side in image.size)
    whole = cv2.resize(seen, (image.width + 2 * across, image.height + 2 * down), interpolation=cv2.INTER_CUBIC)
    near = -whole[down:-down, across:-across]
    return (near - near.min()) / (near.max() - near.min())


@pytest.mark.parametrize("kind", KINDS)
def test_depth_is_what_a_plain_call_sees(bench: Bench, seers: Path, kind: str) -> None:
    image = picture().resize((80, 48))
    made = developed(bench, f"depth;model={seers / kind};device=cpu", image)
    assert (made.min(), made.max()) == (0, 255)
    assert np.abs(made[..., 0] - plainly(seers / kind, image) * 255).max() <= 0.51
    assert (developed(bench, f"depth;model={seers / kind}", image) == made).all()
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["sight_model", "sight_processor"]


@pytest.mark.parametrize(
    ("model", "code"), [("sd", "bad-model"), ("gpt2", "bad-model"), ("no/hub", "offline"), ("none", "missing-file")]
)
def test_what_is_no_depth_model_is_told(bench: Bench, toys: Path, model: str, code: str) -> None:
    place = str(toys / model) if "/" not in model else model
    with pytest.raises(EngineError) as caught:
        developed(bench, ("mirror", f"depth;model={place}"))
    assert (caught.value.code, caught.value.option, caught.value.index) == (code, "processors", 1)
    assert caught.value.message.startswith("`depth`: ")


def test_midas_draws_where_surfaces_face_as_opencv_sees_the_slope(bench: Bench, seers: Path) -> None:
    image = picture()
    made = developed(bench, f"midas;model={seers / 'dpt'};normals=true;alpha=0.5;background-threshold=0.3", image)
    near = plain_nearness(seers / "dpt", image)
    flat = (near - near.min()) / (near.max() - near.min()) < 0.3
    slopes = [np.where(flat, 0, cv2.Sobel(near, cv2.CV_64F, *way, ksize=3)) for way in ((1, 0), (0, 1))]
    facing = np.dstack([*slopes, np.full(near.shape, 0.5)])
    facing /= np.linalg.norm(facing, axis=2, keepdims=True)
    assert flat.any()
    assert np.abs(made - (facing * 127.5 + 127.5)).max() <= 1.01


def test_zoe_is_corrected_and_leres_cut_at_both_ends(bench: Bench, seers: Path) -> None:
    near = plainly(seers / "dpt", picture())
    made = developed(bench, f"zoe;model={seers / 'dpt'};gamma-corrected=true")[..., 0]
    assert np.abs(made - near**2.2 * 255).max() <= 0.51
    made = developed(bench, f"leres;model={seers / 'dpt'};threshold-near=30;threshold-far=20")[..., 0]
    middle = (near > 0.21) & (near < 0.69)
    assert np.abs(made - near * 255)[middle].max() <= 0.51
    assert (made[near > 0.71] == 255).all()
    assert (made[near < 0.19] == 0).all()


def test_boost_sees_finer_than_one_look(bench: Bench, seers: Path) -> None:
    """Quarters are brought to the whole by scale and shift, as NumPy's least squares has them, and fade into it."""
    image, words = picture(), f"leres;model={seers / 'dpt'}"
    once, boosted = (developed(bench, f"{words};boost={said}", image)[..., 0] for said in ("false", "true"))
    assert (once != boosted).any()
    whole = plain_nearness(seers / "dpt", image)
    corner = image.crop((0, 0, 40, 40))
    part = plain_nearness(seers / "dpt", corner)
    columns = np.stack((part.ravel(), np.ones(part.size)), axis=1)
    slope, shift = np.linalg.lstsq(columns, whole[:40, :40].ravel(), rcond=None)[0]
    fitted = slope * part + shift if slope > 0 else whole[:40, :40]
    lone, made = np.s_[:20, :20], boosted.astype(np.float64)  # which no other quarter sees
    span = np.polyfit(fitted[lone].ravel(), made[lone].ravel(), 1)  # the whole is stretched over [0, 255] afterwards
    assert span[0] > 0
    assert np.abs(np.polyval(span, fitted[lone]) - made[lone]).max() < 0.6


def test_processors_draw_the_nearest_white(
    seers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    image = picture()
    image.save("a.png")
    names = ("depth", "midas", "zoe", "leres")
    words = [f"{name};model={seers / 'dpt'};device=cpu;model-offload=true;output-file={name}.png" for name in names]
    for word in words:
        assert main(["image-process", "a.png", "-p", word, "-o", "made.png", "-ox", "--offline-mode"]) == 0
    for name in names:
        made = np.asarray(Image.open(f"{name}.png"))
        assert np.abs(made[..., 0] - plainly(seers / "dpt", image) * 255).max() <= 0.51
    capsys.readouterr()
    assert main(["image-process", "a.png", "-p", "mirror", "depth;device=cuda:99", "--offline-mode"]) == 2
    told = capsys.readouterr().err
    assert "error[bad-device]: `depth`: this machine has no device `cuda:99`" in told
    assert "1:37" in told
