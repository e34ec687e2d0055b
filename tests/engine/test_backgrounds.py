"""`remove-background` keeps what a network sees in front; the network here is a convolution that sees what is red."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toybench import Bench, developed, picture

from dgen.engine.protocol import EngineError

MEAN, SPREAD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def make_network(path: Path, answers: str) -> None:
    """A network of 32x32 pixels that gives logits, or their sigmoid, or two maps."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(3).normal(size=(1, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["given", "weights"], ["logits"], pads=[1, 1, 1, 1])]
    if answers == "sigmoid":
        nodes.append(helper.make_node("Sigmoid", ["logits"], ["sigmoid"]))
    if answers == "two":
        nodes.append(helper.make_node("Concat", ["logits", "logits"], ["two"], axis=1))
    shape = [1, 2 if answers == "two" else 1, 32, 32]
    graph = helper.make_graph(
        nodes, "front", [helper.make_tensor_value_info("given", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info(answers, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(weights, "weights")],
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("networks")
    make_network(folder / "birefnet" / "onnx" / "model.onnx", "logits")
    make_network(folder / "u2net.onnx", "sigmoid")
    make_network(folder / "two.onnx", "two")
    return folder


def plainly(kind: str, mean: np.ndarray = MEAN, spread: np.ndarray = SPREAD) -> np.ndarray:
    """The same with PyTorch: how much of each pixel is in front."""
    import torch
    from torch.nn.functional import conv2d

    weights = np.random.default_rng(3).normal(size=(1, 3, 3, 3)).astype(np.float32)
    small = np.asarray(image().resize((32, 32), Image.Resampling.BILINEAR)) / 255
    given = torch.tensor(((small - mean) / spread).transpose(2, 0, 1)[None], dtype=torch.float32)
    found = torch.sigmoid(conv2d(given, torch.tensor(weights), padding=1))[0, 0].numpy()
    found = (found - found.min()) / np.ptp(found) if kind == "sigmoid" else found
    return np.asarray(Image.fromarray(found).resize(image().size, Image.Resampling.BILINEAR))


def image() -> Image.Image:
    return picture().resize((60, 44))


@pytest.mark.parametrize(("kind", "place"), [("logits", "birefnet"), ("sigmoid", "u2net.onnx")])
def test_what_is_in_front_stays(shared_bench: Bench, networks: Path, kind: str, place: str) -> None:
    front = plainly(kind)
    assert np.ptp(front) > 0.5
    words = f"remove-background;model={networks / place}"
    mask = developed(shared_bench, f"{words};mask=true", image())[..., 0]
    assert np.abs(mask - 255 * front).max() <= 0.51
    assert (
        np.abs(developed(shared_bench, f"{words};mask=true;outpaint=true", image())[..., 0] + front * 255 - 255).max()
        < 1
    )
    made = developed(shared_bench, f"{words};background=#2040ff", image())
    wanted = np.asarray(image()) * front[..., None] + np.array([0x20, 0x40, 0xFF]) * (1 - front[..., None])
    assert np.abs(made - wanted).max() <= 1.5
    hard = developed(shared_bench, f"{words};mask=true;threshold=60", image())[..., 0]
    assert ((hard > 0) == (front >= 0.6)).mean() > 0.999


def test_another_network_wants_other_colours(shared_bench: Bench, networks: Path) -> None:
    words = f"remove-background;model={networks / 'u2net.onnx'};mask=true;mean=0.5;spread=1,1,1"
    front = plainly("sigmoid", np.full(3, 0.5), np.ones(3))
    assert np.abs(developed(shared_bench, words, image())[..., 0] - 255 * front).max() <= 0.51


def test_what_is_no_such_network_is_told(shared_bench: Bench, networks: Path) -> None:
    with pytest.raises(EngineError, match=r"`two.onnx` answers \(1, 2, 32, 32\), which is no single map"):
        developed(shared_bench, f"remove-background;model={networks / 'two.onnx'}", image())
    with pytest.raises(EngineError, match="has no folder `onnx`"):
        developed(shared_bench, f"remove-background;model={networks}", image())
    (networks / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="is no network that finds backgrounds that can be loaded"):
        developed(shared_bench, f"remove-background;model={networks / 'bad.onnx'}", image())
