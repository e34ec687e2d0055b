"""Weights that were set by hand for networks of image processors: what they draw is what their sums say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

SLOPES = (((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)), ((-1, -2, -1), (0, 0, 0), (1, 2, 1)))
"""Sobel's operator, across and down."""


def _slopes() -> Any:
    """Return a kernel (4, 3, 3, 3) that gives how much lighter it gets to the right, down, left and up."""
    import torch

    both = torch.tensor(SLOPES, dtype=torch.float32) / 24
    return torch.cat((both, -both))[:, None].repeat(1, 3, 1, 1)


def _same(channels: int) -> Any:
    """Return a kernel (channels, channels, 3, 3) that leaves everything as it is."""
    import torch

    kernel = torch.zeros(channels, channels, 3, 3)
    kernel[range(channels), range(channels), 1, 1] = 1
    return kernel


def make_hed(folder: Path) -> None:
    """Make a HED network whose finest stage sees slopes, and whose others see nothing."""
    import torch

    held = {"norm": torch.zeros(1, 3, 1, 1)}
    for stage, layers in enumerate((2, 2, 3, 3, 3), 1):
        for layer in range(layers):
            is_first = stage == 1 and layer == 0
            held[f"block{stage}.convs.{layer}.weight"] = _slopes() if is_first else _same(4)
            held[f"block{stage}.convs.{layer}.bias"] = torch.zeros(4)
        held[f"block{stage}.projection.weight"] = torch.full((1, 4, 1, 1), 0.9 if stage == 1 else 0)
        held[f"block{stage}.projection.bias"] = torch.tensor([-20.0 if stage == 1 else 0])
    torch.save(held, folder / "ControlNetHED.pth")


def make_pidi(folder: Path) -> None:
    """Make a PiDiNet whose first layer sees slopes, which all others leave as they are."""
    import torch

    held: dict[str, Any] = {"init_block.weight": _slopes()}
    for stage in range(1, 5):
        for block in range(1, 4 if stage == 1 else 5):
            name = f"block{stage}_{block}"
            held[f"{name}.conv1.weight"], held[f"{name}.conv2.weight"] = (
                torch.zeros(4, 1, 3, 3),
                torch.zeros(4, 4, 1, 1),
            )
            if stage > 1 and block == 1:
                held[f"{name}.shortcut.weight"], held[f"{name}.shortcut.bias"] = torch.zeros(4, 4, 1, 1), torch.zeros(4)
        name = str(stage - 1)
        held[f"dilations.{name}.conv1.weight"] = _same(4)[..., 1:2, 1:2]
        for number in range(1, 5):
            held[f"dilations.{name}.conv2_{number}.weight"] = _same(4) if number == 1 else torch.zeros(4, 4, 3, 3)
        held[f"attentions.{name}.conv1.weight"] = torch.zeros(4, 4, 1, 1)
        held[f"attentions.{name}.conv2.weight"] = torch.zeros(1, 4, 3, 3)
        held[f"conv_reduces.{name}.conv.weight"] = torch.full((1, 4, 1, 1), 120.0 if stage == 1 else 0)
    held["classifier.weight"], held["classifier.bias"] = torch.ones(1, 4, 1, 1), torch.tensor([-4.0])
    torch.save(
        {"state_dict": {f"module.{name}": tensor for name, tensor in held.items()}}, folder / "table5_pidinet.pth"
    )


def make_front(folder: Path) -> None:
    """Make a network for which red is in front, and blue and green are behind."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.array([9, -5, -4], np.float32).reshape(1, 3, 1, 1)
    given = helper.make_tensor_value_info("given", TensorProto.FLOAT, [1, 3, 96, 128])
    made = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, 96, 128])
    tensors = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.float32([-5]), "bias")]
    node = helper.make_node("Conv", ["given", "weights", "bias"], ["logits"])
    graph = helper.make_graph([node], "front", [given], [made], tensors)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "front.onnx"
    )


BY_HAND: dict[str, tuple[Callable[[Path], None], str]] = {
    "hed": (make_hed, "."),
    "pidi": (make_pidi, "."),
    "remove-background": (make_front, "front.onnx"),
}
"""What makes the weights for a processor's picture, and where it then finds them."""
