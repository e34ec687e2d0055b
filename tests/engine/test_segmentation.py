"""`sam` and `u-sam` see what Segment Anything sees in a plain call of transformers, on toys of the real classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from toybench import Bench, developed, picture

from dgen.engine.protocol import EngineError
from dgen.schema import BadValue


def make_sam(folder: Path) -> None:
    from transformers import SamConfig, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "mlp_dim": 32, "output_channels": 16,
            "image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [0], "num_pos_feats": 8,
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
        initializer_range=0.5,
    )  # fmt: skip
    save(SamModel(config), folder)


def make_sam2(folder: Path) -> None:
    from transformers import Sam2Config, Sam2Model

    backbone = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [64, 64], "num_attention_heads": 1,
        "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64], "global_attention_blocks": [3],
        "num_attention_heads_per_stage": [1, 2, 4, 8], "window_size_per_stage": [4, 4, 4, 4],
        "window_positional_embedding_background_size": [2, 2],
    }  # fmt: skip
    config = Sam2Config(
        vision_config={
            "backbone_config": backbone, "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 16,
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        },
        prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
        initializer_range=0.5,
    )  # fmt: skip
    save(Sam2Model(config), folder)


def save(model: Any, folder: Path) -> None:
    """Save a toy that is confident in some of its masks, whose borders lie in the middle of its logits."""
    import torch

    with torch.no_grad():
        model.mask_decoder.iou_prediction_head.proj_out.bias.fill_(0.8)
        model.mask_decoder.iou_prediction_head.proj_out.weight.mul_(0.2)
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    folder = tmp_path_factory.mktemp("segmenters")
    with torch.random.fork_rng():
        torch.manual_seed(6)  # toys whose masks differ in how sure, how stable and how alike they are
        make_sam(folder / "sam")
        torch.manual_seed(7)
        make_sam2(folder / "sam2")
    return folder


SHAPE = (40, 56)


def image() -> Image.Image:
    return picture().resize(SHAPE[::-1])


def plainly(folder: Path, **asked: Any) -> tuple[np.ndarray, np.ndarray]:
    """Masks as logits (things, 3, h, w), and scores (things, 3), of plain calls; points are (things, points, 3)."""
    import torch
    from transformers import Sam2Model, SamImageProcessorPil, SamModel, SamProcessor

    points, boxes = asked.get("points"), asked.get("boxes")
    if folder.name == "sam":
        side = {"longest_edge": 64}
        own = SamProcessor(SamImageProcessorPil(size=side, pad_size={"height": 64, "width": 64}))
        given = own(
            image(), return_tensors="pt",
            input_points=[[[p[:2] for p in thing] for thing in points]] if points else None,
            input_labels=[[[p[2] for p in thing] for thing in points]] if points else None,
            input_boxes=[[[float(n) for n in box] for box in boxes]] if boxes else None,
        )  # fmt: skip
        sizes, small = given.pop("original_sizes"), given.pop("reshaped_input_sizes")
        with torch.inference_mode():
            seen = SamModel.from_pretrained(folder)(**given)
        (masks,) = own.image_processor.post_process_masks(seen.pred_masks, sizes, small, binarize=False)
        return masks.numpy(), seen.iou_scores[0].numpy()
    pixels = np.asarray(image().resize((64, 64), Image.Resampling.BILINEAR)) / 255
    pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    factors = np.array([64 / SHAPE[1], 64 / SHAPE[0]])
    given = {"pixel_values": torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32)}
    if points:
        asked_for = np.array(points, dtype=np.float64)
        given["input_points"] = torch.tensor(asked_for[None, ..., :2] * factors, dtype=torch.float32)
        given["input_labels"] = torch.tensor(asked_for[None, ..., 2], dtype=torch.int32)
    if boxes:
        given["input_boxes"] = torch.tensor(np.array([boxes]) * [*factors, *factors], dtype=torch.float32)
    with torch.inference_mode():
        seen = Sam2Model.from_pretrained(folder)(**given)
    masks = torch.nn.functional.interpolate(seen.pred_masks[0], SHAPE, mode="bilinear", align_corners=False)
    return masks.numpy(), seen.iou_scores[0].numpy()


def best(masks: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The mask of each thing that has the best score."""
    return masks[range(len(masks)), scores.argmax(axis=1)] > 0


@pytest.mark.parametrize("kind", ["sam", "sam2"])
def test_points_and_boxes_find_what_a_plain_call_finds(shared_bench: Bench, models: Path, kind: str) -> None:
    words = f"u-sam;asset={models / kind};masks=true"
    made = developed(shared_bench, f"{words};points=10,12 30,20,1 50,35,0", image())
    wanted = best(*plainly(models / kind, points=[[(10, 12, 1), (50, 35, 0)], [(30, 20, 1), (50, 35, 0)]]))
    assert 0 < wanted.any(axis=0).mean() < 1
    assert ((made[..., 0] > 0) == wanted.any(axis=0)).all()
    made = developed(shared_bench, f"{words};boxes=8x6x30x28;outpaint=true", image())
    assert ((made[..., 0] == 0) == best(*plainly(models / kind, boxes=[(8, 6, 30, 28)]))[0]).all()


def test_white_areas_of_a_mask_are_boxes(shared_bench: Bench, models: Path, tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[6:28, 8:30] = 255
    mask[7, 9:28] = 0  # a hole makes no second area
    mask[30:38, 40:50] = 255
    Image.fromarray(mask).save(tmp_path / "boxes.png")
    words = f"u-sam;asset={models / 'sam'};masks=true;boxes-mask={tmp_path / 'boxes.png'}"
    made = developed(shared_bench, words, image())[..., 0] > 0
    wanted = best(*plainly(models / "sam", boxes=[(8, 6, 30, 28), (40, 30, 50, 38)])).any(axis=0)
    assert (made == wanted).all()
    turned = developed(shared_bench, f"{words};boxes-mask-processors=invert", image())[..., 0] > 0
    assert (turned == best(*plainly(models / "sam", boxes=[(0, 0, 56, 40), (9, 7, 28, 8)])).any(axis=0)).all()


def test_what_is_found_is_tinted_and_outlined(shared_bench: Bench, models: Path) -> None:
    words = f"u-sam;asset={models / 'sam'};points=10,12;line-color=red;line-width=1;font-size=8"
    made = developed(shared_bench, words, image()).astype(int)
    (found,) = best(*plainly(models / "sam", points=[[(10, 12, 1)]]))
    before = np.asarray(image()).astype(int)
    assert (made == before)[~found].mean() > 0.97  # the number's rim may reach beyond
    inside = np.pad(found, 1, mode="edge")
    core = np.logical_and.reduce([inside[1 + d : 41 + d, 1 + a : 57 + a] for d in (-1, 0, 1) for a in (-1, 0, 1)])
    tinted = np.abs(made - (before * 0.6 + np.array([255, 0, 0]) * 0.4)).max(axis=2) <= 2
    assert tinted[core].mean() > 0.5
    assert (made[found & ~core] == [255, 0, 0]).all(axis=1).mean() > 0.5


@pytest.mark.parametrize(("kind", "least"), [("sam", (0.3, 0.2, 0.96)), ("sam2", (0.5, 0.3, 0.97))])
def test_everything_is_what_a_grid_of_points_finds(
    shared_bench: Bench, models: Path, kind: str, least: tuple[float, float, float]
) -> None:
    """Kept are sure and stable masks, and of those in the same box the surest: checked one by one."""
    sure, firm, most = least
    words = f"sam;model={models / kind};points-per-side=3;confidence={sure};stability={firm};overlap={most}"
    made = developed(shared_bench, words, image())
    places = [[((across + 0.5) / 3 * 56, (down + 0.5) / 3 * 40, 1)] for down in range(3) for across in range(3)]
    masks, scores = plainly(models / kind, points=places)
    masks, scores = masks.reshape(-1, *SHAPE), scores.ravel()
    kept: list[np.ndarray] = []
    for index in np.argsort(-scores, kind="stable"):
        stable = (masks[index] > 1).sum() > firm * (masks[index] > -1).sum()
        mask = masks[index] > 0
        if scores[index] > sure and stable and mask.any() and all(shared(mask, other) <= most for other in kept):
            kept.append(mask)
    assert 1 < len(kept) < len(scores)
    assert ((made.max(axis=2) > 0) == np.any(kept, axis=0)).all()
    smallest = min(kept, key=lambda mask: mask.sum())
    assert len(np.unique(made[smallest], axis=0)) == 1  # nothing is painted over it


def shared(one: np.ndarray, other: np.ndarray) -> float:
    """How much of the boxes of two masks they share: torchvision's `box_iou`, written out."""
    boxes = [(np.argwhere(m).min(axis=0), np.argwhere(m).max(axis=0)) for m in (one, other)]
    sides = np.minimum(boxes[0][1], boxes[1][1]) - np.maximum(boxes[0][0], boxes[1][0])
    both = np.prod(np.maximum(sides, 0))
    return float(both / (sum(np.prod(high - low) for low, high in boxes) - both))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("u-sam;asset=HERE", "nothing says what to find"),
        ("u-sam;asset=HERE;points=60,2", "`60,2` is not inside the picture of 56x40"),
        ("u-sam;asset=HERE;boxes=9,9,8,10", "`9,9,8,10` is not inside"),
        ("sam;model=TOYS/sd", "is no Segment Anything model"),
    ],
)
def test_what_cannot_be_asked_is_told(shared_bench: Bench, models: Path, toys: Path, words: str, told: str) -> None:
    with pytest.raises(EngineError, match=told):
        developed(shared_bench, words.replace("HERE", str(models / "sam")).replace("TOYS", str(toys)), image())


@pytest.mark.parametrize(
    ("asset", "found"),
    [("sam_b", "facebook/sam-vit-base"), ("sam2.1_t.pt", "facebook/sam2.1-hiera-tiny"), ("a/b", "a/b")],
)
def test_usual_names_stand_for_repositories(asset: str, found: str) -> None:
    from dgen.processors import PROCESSORS

    assert PROCESSORS.read(f"u-sam;asset={asset};points=1,2").said.asset == found
    with pytest.raises(BadValue, match="transformers has no `mobile_sam"):
        PROCESSORS.read("u-sam;asset=mobile_sam.pt")
