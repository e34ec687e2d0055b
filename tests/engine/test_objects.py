"""Detectors that look through models find what plain calls of their libraries find, on toys of the real classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toybench import Bench, picture

from dgen.cli.main import main
from dgen.detailing import Detailing
from dgen.detectors import DETECTORS, Found
from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded

NAMES = {0: "star", 1: "circle", 2: "square"}


def make_yolos(folder: Path) -> None:
    from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessorPil

    config = YolosConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=[64, 64],
        patch_size=16, num_detection_tokens=8, use_mid_position_embeddings=False, id2label=NAMES, initializer_range=1.0,
    )  # fmt: skip
    YolosForObjectDetection(config).save_pretrained(folder)
    YolosImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)


def make_rt_detr(folder: Path) -> None:
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrImageProcessorPil, RTDetrResNetConfig

    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 8, 8], encoder_layers=1,
        encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16, num_queries=10, decoder_in_channels=[16, 16, 16],
        decoder_ffn_dim=16, decoder_layers=2, decoder_attention_heads=2, num_denoising=0, id2label=NAMES,
        initializer_range=1.0,
    )  # fmt: skip
    RTDetrForObjectDetection(config).save_pretrained(folder)
    RTDetrImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)


def make_yolo(folder: Path) -> None:
    """A network that answers as a YOLO v8 does: in each of 8x8 cells how red it is, and a box around the cell."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    middles = np.stack([*np.meshgrid(np.arange(8) * 8 + 4, np.arange(8) * 8 + 4)]).reshape(2, 64)
    boxes = np.concatenate([middles, np.full((2, 64), 10)])[None].astype(np.float32)
    mixing = np.zeros((2, 3, 8, 8), np.float32)
    mixing[1] = np.array([1, -1, -1])[:, None, None] / 64
    constants = {"mixing": mixing, "boxes": boxes, "flat": np.array([1, 2, 64], np.int64)}
    nodes = [
        helper.make_node("Conv", ["images", "mixing"], ["cells"], strides=[8, 8]),
        helper.make_node("Reshape", ["cells", "flat"], ["sure"]),
        helper.make_node("Concat", ["boxes", "sure"], ["output0"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "yolo", [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 64])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"names": "{0: 'nothing', 1: 'red'}"})
    onnx.save(model, folder / "yolo.onnx")


@pytest.fixture(scope="module")
def lookers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    folder = tmp_path_factory.mktemp("lookers")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        make_yolos(folder / "yolos")
        make_rt_detr(folder / "rt-detr")
    make_yolo(folder)
    (folder / "face.onnx").write_bytes(b"whatever a file may be")
    return folder


@pytest.mark.parametrize("kind", ["yolos", "rt-detr"])
def test_objects_are_those_of_a_plain_call(bench: Bench, lookers: Path, kind: str) -> None:
    from transformers import pipeline

    image = picture().resize((80, 48))
    text = f"{lookers / kind};confidence=0.2;device=cpu"
    found = look(bench, text, image)
    plain = pipeline("object-detection", model=str(lookers / kind), device="cpu")(image, threshold=0.2)
    assert len(found) == len(plain) > 2
    for one, other in zip(sorted(found, key=lambda f: -f.score), plain, strict=True):
        assert (one.label, one.score) == (other["label"], pytest.approx(other["score"], abs=1e-5))
        assert NAMES[one.number] == one.label
        assert [int(side) for side in one.box] == list(other["box"].values())  # the pipeline rounds down
    assert look(bench, text, image) == found
    assert [e.kind for e in bench.of(ComponentLoaded)] == ["sight_model", "sight_processor"]


def look(bench: Bench, text: str, image: Image.Image) -> list[Found]:
    chosen = DETECTORS.read(text)
    return list(Detailing(bench.engine, lambda: True, lambda told: None).found(chosen, 0, image))


def test_yolo_of_an_onnx_file_tells_boxes_in_pixels_of_the_picture(bench: Bench, lookers: Path) -> None:
    image = Image.new("RGB", (256, 128), "black")
    image.paste((255, 0, 0), (32, 64, 64, 96))  # the cell of the second column and the third row, as it is seen
    for text in (f"{lookers / 'yolo.onnx'}", f"{lookers};weight-name=yolo.onnx"):
        (found,) = look(bench, text, image)
        assert (found.label, found.number) == ("red", 1)
        assert found.score == pytest.approx(1, abs=0.05)
        assert found.box == pytest.approx((28, 60, 68, 100))


def test_of_boxes_that_overlap_the_surest_stays(bench: Bench, lookers: Path) -> None:
    image = Image.new("RGB", (64, 64), "black")
    image.paste((255, 0, 0), (8, 8, 16, 16))
    image.paste((200, 0, 0), (16, 8, 24, 16))  # its box shares 20 of 180 pixels with the other
    assert [f.score for f in look(bench, f"{lookers / 'yolo.onnx'}", image)] == pytest.approx([1, 200 / 255], abs=0.01)
    (alone,) = look(bench, f"{lookers / 'yolo.onnx'};overlap=0.1", image)
    assert alone.score == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("text", [".;weight-name=no.onnx", "no.onnx", "face.onnx"])
def test_file_that_is_no_yolo_is_told(bench: Bench, lookers: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.chdir(lookers)
    with pytest.raises(EngineError) as caught:
        look(bench, text, picture())
    assert caught.value.code == ("missing-file" if text == "no.onnx" else "bad-model")


def test_what_is_no_detection_model_is_told_at_its_word(
    lookers: Path, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    picture().save("a.png")
    words = ["--prompts", "x", "--inference-steps", "2", "--image-seeds", "a.png", "--quiet"]
    assert main(["builtin:shapes", *words, "-ad", str(toys / "gpt2")]) == 2
    assert "error[bad-model]" in (told := capsys.readouterr().err)
    assert "is no detection model but a `GPT2LMHeadModel`" in told
    detectors = [f"{lookers / 'yolos'};confidence=0", f"{lookers / 'yolo.onnx'}"]
    masks = ["-adf", "star", "-adi", "0", "-adm"]
    assert main(["builtin:shapes", *words, "-ad", *detectors, *masks]) == 2
    assert "draws no masks" in capsys.readouterr().err
    assert main(["builtin:shapes", *words, "-ad", *detectors, *masks[:-1], "-o", "out"]) == 0
    (path,) = Path("out").glob("*.png")
    assert path.read_bytes() != Path("a.png").read_bytes()
