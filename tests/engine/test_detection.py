"""`yolo`, `yolo-sam` and `openpose` show what plain calls of transformers find, on toys of the real classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from test_objects import make_rt_detr
from test_segmentation import make_sam
from toybench import Bench, developed, picture

from dgen.engine.protocol import EngineError
from dgen.processors import PROCESSORS

SIZE = (96, 64)


def make_maskformer(folder: Path) -> None:
    from transformers import (
        DetrConfig,
        MaskFormerConfig,
        MaskFormerForInstanceSegmentation,
        MaskFormerImageProcessorPil,
        SwinConfig,
    )

    backbone = SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1], window_size=2,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    decoder = DetrConfig(
        d_model=32, decoder_layers=1, encoder_layers=1, decoder_ffn_dim=16, encoder_ffn_dim=16, num_queries=5,
        decoder_attention_heads=2, encoder_attention_heads=2,
    )  # fmt: skip
    config = MaskFormerConfig(
        backbone_config=backbone, decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32,
        id2label={0: "star", 1: "circle"}, init_std=0.4, init_xavier_std=3.0,
    )  # fmt: skip
    MaskFormerForInstanceSegmentation(config).save_pretrained(folder)
    MaskFormerImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)


def make_pose(folder: Path, points: int, experts: int = 1) -> None:
    from transformers import VitPoseConfig, VitPoseForPoseEstimation, VitPoseImageProcessorPil

    backbone = {
        "model_type": "vitpose_backbone", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": [64, 48], "patch_size": [16, 16], "mlp_ratio": 2, "num_experts": experts, "part_features": 4,
        "out_features": ["stage1"],
    }  # fmt: skip
    config = VitPoseConfig(backbone_config=backbone, num_labels=points, initializer_range=0.6)
    VitPoseForPoseEstimation(config).save_pretrained(folder)
    VitPoseImageProcessorPil(size={"height": 64, "width": 48}).save_pretrained(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import json

    import torch

    folder = tmp_path_factory.mktemp("finders")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        make_rt_detr(folder / "rt-detr")
        make_pose(folder / "body", 17)
        make_pose(folder / "whole", 133, experts=2)
        torch.manual_seed(1)
        make_maskformer(folder / "maskformer")
        torch.manual_seed(6)
        make_sam(folder / "sam")
    config = folder / "rt-detr" / "config.json"
    told = json.loads(config.read_text())
    told["id2label"]["1"] = "person"
    config.write_text(json.dumps(told))
    return folder


def image() -> Image.Image:
    made = np.array(picture().resize(SIZE))
    cv2.rectangle(made, (20, 12), (60, 50), (240, 60, 20), -1)
    return Image.fromarray(made)


def plainly(folder: Path, confidence: float) -> list[dict[str, Any]]:
    """What a plain call finds, the surest first: score, label and box."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    model, own = AutoModelForObjectDetection.from_pretrained(folder), AutoImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        seen = model(**own(images=image(), return_tensors="pt"))
    (found,) = own.post_process_object_detection(seen, threshold=confidence, target_sizes=[SIZE[::-1]])
    each = zip(found["scores"].tolist(), found["labels"].tolist(), found["boxes"].numpy(), strict=True)
    return [
        {"score": s, "label": model.config.id2label[n], "box": box} for s, n, box in sorted(each, key=lambda e: -e[0])
    ]


def white(boxes: list[np.ndarray], more: int = 0) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], bool)
    for left, top, right, bottom in boxes:
        rows = slice(max(0, int(np.floor(top)) - more), max(0, int(np.ceil(bottom)) + more))
        mask[rows, max(0, int(np.floor(left)) - more) : max(0, int(np.ceil(right)) + more)] = True
    return mask


def test_masks_are_the_boxes_of_a_plain_call(shared_bench: Bench, models: Path) -> None:
    found = plainly(models / "rt-detr", 0.2)
    assert len(found) > 2
    words = f"yolo;model={models / 'rt-detr'};masks=true"
    made = developed(shared_bench, f"{words};confidence=0.2;index-filter=0,2", image())[..., 0] > 0
    assert (made == white([found[0]["box"], found[2]["box"]])).all()
    label = found[1]["label"]
    padded = f"{words};confidence=0.2;class-filter={label};detector-padding=-3;outpaint=true"
    some = [each["box"] for each in found if each["label"] == label]
    assert 0 < len(some) < len(found)
    assert ((developed(shared_bench, padded, image())[..., 0] == 0) == white(some, -3)).all()


def test_boxes_are_drawn_around_what_is_found(shared_bench: Bench, models: Path) -> None:
    (first, *_), before = plainly(models / "rt-detr", 0.2), np.asarray(image()).astype(int)
    words = f"yolo;model={models / 'rt-detr'};confidence=0.2;index-filter=0;line-color=#00ff00;line-width=2;font-size=8"
    made = developed(shared_bench, words, image()).astype(int)
    outline = white([first["box"]]) & ~white([first["box"]], -2)
    assert (made[outline] == [0, 255, 0]).all(axis=1).mean() > 0.8
    assert (made == before).all(axis=2)[~white([first["box"]], 1)].mean() > 0.9  # its name may reach beyond


def test_a_model_that_segments_gives_its_own_masks(shared_bench: Bench, models: Path) -> None:
    import torch
    from transformers import AutoImageProcessor, MaskFormerForInstanceSegmentation

    folder = models / "maskformer"
    own = AutoImageProcessor.from_pretrained(folder)
    with torch.inference_mode():
        seen = MaskFormerForInstanceSegmentation.from_pretrained(folder)(**own(images=image(), return_tensors="pt"))
    (found,) = own.post_process_instance_segmentation(
        seen, threshold=0.1, target_sizes=[SIZE[::-1]], return_binary_maps=True
    )
    wanted = (found["segmentation"] > 0.5).any(dim=0).numpy()
    assert 0 < wanted.mean() < 1
    words = f"yolo;model={folder};confidence=0.1;masks=true"
    assert ((developed(shared_bench, f"{words};model-masks=true", image())[..., 0] > 0) == wanted).all()
    boxes = [np.array([*np.argwhere(m > 0.5).min(0)[::-1], *(np.argwhere(m > 0.5).max(0)[::-1] + 1)])
             for m in found["segmentation"].numpy()]  # fmt: skip
    assert ((developed(shared_bench, words, image())[..., 0] > 0) == white(boxes)).all()


def test_sam_cuts_out_what_a_detector_finds(shared_bench: Bench, models: Path) -> None:
    found = plainly(models / "rt-detr", 0.2)[:2]
    boxes = [np.clip(each["box"], 0, [*SIZE, *SIZE]) for each in found]
    words = f"yolo-sam;yolo-model={models / 'rt-detr'};sam-asset={models / 'sam'};confidence=0.2;index-filter=0,1"
    made = developed(shared_bench, f"{words};masks=true", image())[..., 0] > 0
    names = PROCESSORS.rows()["u-sam"].call.__globals__
    with shared_bench.engine.look(names["_lens"](str(models / "sam")), None, offline=True, stays=True) as seer:
        wanted = names["View"](seer, image()).asked(boxes=np.array(boxes))[0] > 0  # which a test of its own compares
    assert 0 < wanted.any(axis=0).mean() < 1
    assert (made == wanted.any(axis=0)).mean() > 0.999
    none = developed(shared_bench, f"{words};class-filter=nobody;masks=true;outpaint=true", image())
    assert (none == 255).all()


# ---- people ---------------------------------------------------------------------------------------------------------


def poses(folder: Path, boxes: list[np.ndarray], experts: int) -> list[np.ndarray]:
    import torch
    from transformers import VitPoseForPoseEstimation, VitPoseImageProcessorPil

    own, model = VitPoseImageProcessorPil.from_pretrained(folder), VitPoseForPoseEstimation.from_pretrained(folder)
    asked = [[np.array([b[0], b[1], b[2] - b[0], b[3] - b[1]]) for b in boxes]]
    given = own(image(), boxes=asked, return_tensors="pt")
    more = {"dataset_index": torch.tensor([experts - 1] * len(boxes))} if experts > 1 else {}
    with torch.inference_mode():
        seen = model(**given, **more)
    return [np.c_[f["keypoints"], f["scores"]] for f in own.post_process_pose_estimation(seen, boxes=asked)[0]]


@pytest.mark.parametrize(("kind", "experts"), [("body", 1), ("whole", 2)])
def test_joints_are_where_a_plain_call_sees_them(shared_bench: Bench, models: Path, kind: str, experts: int) -> None:
    people = [each["box"] for each in plainly(models / "rt-detr", 0.2) if each["label"] == "person"]
    assert people
    wanted = poses(models / kind, people, experts)
    names = PROCESSORS.rows()["openpose"].call.__globals__
    from dgen.processors import Lens

    lens = Lens(noun="pose model", model=str(models / kind), classes=("VitPoseForPoseEstimation",))
    from dgen.detectors import Found

    found = [Found(tuple(map(float, box)), 1.0, "person") for box in people]
    with shared_bench.engine.look(lens, None, offline=True, stays=True) as seer:
        made = list(names["_poses"](seer, image(), found))
    assert np.abs(np.array(made) - np.array(wanted)).max() < 1e-3
    sure = float(np.median(np.array(wanted)[:, :17, 2]))
    words = f"openpose;model={models / kind};detector={models / 'rt-detr'}"
    drawn = developed(shared_bench, f"{words};confidence={min(0.2, max(0.01, sure))}", image())
    assert drawn.any()
    assert not developed(shared_bench, f"{words};confidence=1", image()).any()  # nobody is there


def test_a_model_of_bodies_alone_has_no_hands(shared_bench: Bench, models: Path) -> None:
    words = f"openpose;model={models / 'body'};detector={models / 'rt-detr'};confidence=0.2;include-hand=true"
    with pytest.raises(EngineError, match=r"`x\.pt` could run code when it is opened"):
        developed(shared_bench, "yolo;model=x.pt", image())
    with pytest.raises(EngineError, match="sees 17 points, and no hands and faces") as caught:
        developed(shared_bench, words, image())
    assert "133 points" in str(caught.value.help)


def standing(points: int = 133) -> np.ndarray:
    """A person with arms stretched out, of 256x256 pixels, who is seen surely; the left foot is not."""
    pose = np.ones((points, 3))
    pose[:17, :2] = [
        (128, 40), (134, 34), (122, 34), (140, 38), (116, 38), (158, 70), (98, 70), (190, 72), (66, 72), (220, 70),
        (36, 70), (146, 140), (110, 140), (148, 190), (108, 190), (150, 236), (106, 236),
    ]  # fmt: skip
    pose[15, 2] = 0.1
    if points == 133:
        pose[17:23, :2] = 5
        pose[23:91, :2] = np.stack((np.linspace(112, 144, 68), np.full(68, 58.0)), axis=1)
        for start, x in ((91, 226), (112, 4)):
            pose[start : start + 21, :2] = [(x + 5 * (joint % 5), 80 + 4 * joint) for joint in range(21)]
    return pose


def drawn_person(**said: bool) -> np.ndarray:
    from PIL import ImageDraw

    row = PROCESSORS.rows()["openpose"]
    made = Image.new("RGB", (256, 256))
    named = row.options(name="openpose", confidence=0.3, **said)
    row.call.__globals__["draw_person"](ImageDraw.Draw(made), standing(), named)
    return np.asarray(made).astype(int)


def test_a_body_is_drawn_as_openpose_draws_it() -> None:
    """Joints have the eighteen hues of OpenPose, limbs the same at three fifths; a limb without an end is left out."""
    made = drawn_person()
    wheel = [(255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0)]
    body = standing()
    neck = (body[5, :2] + body[6, :2]) / 2
    for point, colour in ((body[0, :2], wheel[0]), (neck, wheel[1]), (body[6, :2], wheel[2]), (body[10, :2], wheel[4])):
        x, y = point.astype(int)
        assert np.abs(made[y, x] - colour).max() <= 1
    between = ((body[8, :2] + body[10, :2]) / 2).astype(int)  # the right forearm is the fourth limb
    assert np.abs(made[between[1], between[0]] - np.array([153, 153, 0])).max() <= 1
    shin = ((body[13, :2] + body[15, :2]) / 2).astype(int)
    assert not made[shin[1], shin[0]].any()
    assert not made[58, 112:116].any()  # no face
    ellipse = np.zeros((256, 256), np.uint8)
    centre, half = (neck + body[5, :2]) / 2, np.hypot(*(neck - body[5, :2])) / 2
    angle = np.degrees(np.arctan2(*(body[5, :2] - neck)[::-1]))
    cv2.ellipse(ellipse, (tuple(map(float, centre)), (2 * half, 8.0), angle), 255, -1)
    shoulder = np.abs(made - [153, 51, 0]).max(axis=2) <= 1  # the second limb; its ends lie under the joints
    assert (ellipse[shoulder] > 0).mean() > 0.85


def test_hands_and_faces_are_drawn_when_they_are_asked_for() -> None:
    made = drawn_person(include_body=False, include_hand=True, include_face=True)
    body = standing()
    for point in body[23:91]:
        assert (made[int(point[1]), int(point[0])] == 255).all()
    for point in body[91:133]:
        assert tuple(made[int(point[1]), int(point[0])]) == (0, 0, 255)
    assert not made[60:75, 60:110].any()  # no arms
    assert not drawn_person(include_body=False).any()
