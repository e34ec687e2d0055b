"""Depth processors see what transformers itself sees, on toy models of the real classes, which are loaded once."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from toybench import Bench, picture

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


def plainly(folder: Path, image: Image.Image) -> np.ndarray:
    """What a plain call of transformers gives: nearness from 0 to 1."""
    from transformers import pipeline

    if folder.name == "zoe":
        return zoe_plainly(folder, image)
    seen = pipeline("depth-estimation", model=str(folder), device="cpu")(image)["predicted_depth"].numpy()
    near = -seen if folder.name == "metric" else seen
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
    made = bench.engine.see_depth(image, str(seers / kind), "cpu", offline=True)
    assert (made.shape, made.dtype) == ((48, 80), np.float32)
    assert (made.min(), made.max()) == (0, 1)
    assert np.abs(made - plainly(seers / kind, image)).max() < 1e-4
    assert (bench.engine.see_depth(image, str(seers / kind), None, offline=True) == made).all()
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["sight_processor", "sight_model"]


@pytest.mark.parametrize(("model", "code"), [("sd", "bad-model"), ("gpt2", "bad-model"), ("no/hub", "offline")])
def test_what_is_no_depth_model_is_told(bench: Bench, toys: Path, model: str, code: str) -> None:
    place = str(toys / model) if "/" not in model else model
    with pytest.raises(EngineError) as caught:
        bench.engine.see_depth(picture(), place, None, offline=True)
    assert caught.value.code == code


def test_processors_draw_the_nearest_white(
    seers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    image = picture()
    image.save("a.png")
    for name in ("depth", "midas", "zoe"):
        words = f"{name};model={seers / 'dpt'};device=cpu"
        assert main(["image-process", "a.png", "-p", words, "-o", f"{name}.png", "--offline-mode"]) == 0
        made = np.asarray(Image.open(f"{name}.png"))
        assert np.abs(made[..., 0] - plainly(seers / "dpt", image) * 255).max() <= 0.51
    capsys.readouterr()
    assert main(["image-process", "a.png", "-p", "mirror", "depth;device=cuda:99", "--offline-mode"]) == 2
    told = capsys.readouterr().err
    assert "error[bad-device]: `depth`: this machine has no device `cuda:99`" in told
    assert "1:37" in told
