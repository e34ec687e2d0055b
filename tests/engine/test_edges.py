"""Edge processors compute what their networks do: written again here as modules whose tensors have the published names.

The toys are the published networks with few channels; their weights are files as their authors publish them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import nn
from torch.nn import functional as F
from toybench import Bench, developed, picture

from dgen.engine.protocol import EngineError

SHAPE = (44, 60)


class HedBlock(nn.Module):
    def __init__(self, given: int, made: int, layers: int) -> None:
        super().__init__()
        widths = [given] + [made] * layers
        self.convs = nn.Sequential(*[nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)])
        self.projection = nn.Conv2d(made, 1, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for each in self.convs:
            x = F.relu(each(x))
        return x, self.projection(x)


class Hed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.Parameter(torch.randn(1, 3, 1, 1) + 120)
        self.block1, self.block2, self.block3 = HedBlock(3, 4, 2), HedBlock(4, 6, 2), HedBlock(6, 8, 3)
        self.block4, self.block5 = HedBlock(8, 8, 3), HedBlock(8, 8, 3)

    def forward(self, x: torch.Tensor) -> np.ndarray:
        x, sides = x - self.norm, []
        for block in (self.block1, self.block2, self.block3, self.block4, self.block5):
            x = F.max_pool2d(x, 2, 2) if sides else x
            x, side = block(x)
            sides.append(cv2.resize(side[0, 0].numpy(), SHAPE[::-1], interpolation=cv2.INTER_LINEAR))
        return 1 / (1 + np.exp(-np.mean(sides, axis=0)))


class Difference(nn.Module):
    """The operators of section 3 of arXiv 2108.07009, pixel pair by pixel pair."""

    RING = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))  # clockwise
    RAYS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))

    def __init__(self, given: int, made: int, groups: int, kind: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(made, given // groups, 3, 3) * 0.4)
        self.groups, self.kind = groups, kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "cv":
            return F.conv2d(x, self.weight, padding=1, groups=self.groups)
        wide, (height, width) = F.pad(x, (2, 2, 2, 2)), x.shape[2:]

        def at(down: int, across: int) -> torch.Tensor:
            return wide[:, :, 2 + down : 2 + down + height, 2 + across : 2 + across + width]

        total = 0
        for row in range(3):
            for column in range(3):
                pixel = self._pair(at, row, column)
                total = total + F.conv2d(
                    pixel, self.weight[:, :, row : row + 1, column : column + 1], groups=self.groups
                )
        return total

    def _pair(self, at: Callable[[int, int], torch.Tensor], row: int, column: int) -> torch.Tensor:
        here = at(row - 1, column - 1)
        if self.kind == "cd":
            return here - at(0, 0)
        if self.kind == "ad":
            if (row, column) == (1, 1):
                return torch.zeros_like(here)
            after = self.RING[(self.RING.index((row, column)) + 1) % 8]
            return here - at(after[0] - 1, after[1] - 1)
        if (row, column) == (0, 0):  # the published weights leave the first of nine out, not the middle
            return torch.zeros_like(here)
        down, across = self.RAYS[3 * row + column - 1]
        return at(2 * down, 2 * across) - at(down, across)


class PidiBlock(nn.Module):
    def __init__(self, kind: str, given: int, made: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        if stride > 1:
            self.shortcut = nn.Conv2d(given, made, 1)
        self.conv1 = Difference(given, given, given, kind)
        self.conv2 = nn.Conv2d(given, made, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(x, 2, 2) if self.stride > 1 else x
        y = self.conv2(F.relu(self.conv1(x)))
        return y + (self.shortcut(x) if self.stride > 1 else x)


class Cdcm(nn.Module):
    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, made, 1)
        for number, far in enumerate((5, 7, 9, 11), 1):
            setattr(self, f"conv2_{number}", nn.Conv2d(made, made, 3, padding=far, dilation=far, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv1(F.relu(x))
        return self.conv2_1(x) + self.conv2_2(x) + self.conv2_3(x) + self.conv2_4(x)


class Csam(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(width, 4, 1), nn.Conv2d(4, 1, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.conv2(self.conv1(F.relu(x))))


class Reduce(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, 1, 1)


class Pidi(nn.Module):
    def __init__(self, width: int = 4, dil: int = 6) -> None:
        super().__init__()
        kinds = ["cd", "ad", "rd", "cv"] * 4
        self.init_block = Difference(3, width, 1, kinds[0])
        widths = [width, 2 * width, 4 * width, 4 * width]
        given, number = width, 1
        self.stages: list[list[str]] = []
        for stage, made in enumerate(widths, 1):
            names = [f"block{stage}_{b}" for b in range(1, 4 if stage == 1 else 5)]
            for name in names:
                is_first = stage > 1 and name == names[0]
                setattr(self, name, PidiBlock(kinds[number], given, made, 2 if is_first else 1))
                given, number = made, number + 1
            self.stages.append(names)
        self.dilations = nn.ModuleList([Cdcm(w, dil) for w in widths])
        self.attentions = nn.ModuleList([Csam(dil) for _ in widths])
        self.conv_reduces = nn.ModuleList([Reduce(dil) for _ in widths])
        self.classifier = nn.Conv2d(4, 1, 1)

    def forward(self, x: torch.Tensor) -> np.ndarray:
        size, sides = x.shape[2:], []
        x = self.init_block(x)
        for index, names in enumerate(self.stages):
            for name in names:
                x = getattr(self, name)(x)
            side = self.conv_reduces[index].conv(self.attentions[index](self.dilations[index](x)))
            sides.append(F.interpolate(side, size, mode="bilinear", align_corners=False))
        return torch.sigmoid(self.classifier(torch.cat(sides, 1)))[0, 0].numpy()


class Smish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.tanh(torch.log1p(torch.sigmoid(x)))


class Pair(nn.Module):
    def __init__(self, given: int, made: int, stride: int = 1, last: bool = True) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(given, made, 3, stride, 1), nn.Conv2d(made, made, 3, 1, 1)
        self.last = last

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv2(Smish()(self.conv1(x)))
        return Smish()(x) if self.last else x


class Single(nn.Module):
    def __init__(self, given: int, made: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, made, 1, stride)


class Dense(nn.Module):
    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.denselayer1 = nn.Module()
        self.denselayer1.conv1 = nn.Conv2d(given, made, 3, padding=2)
        self.denselayer1.conv2 = nn.Conv2d(made, made, 3)


class Up(nn.Module):
    def __init__(self, given: int, times: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(times):
            made = 1 if index == times - 1 else 5
            kernel, padding = 2**times, (0, 0, 1)[times]
            layers += [nn.Conv2d(given, made, 1), Smish(), nn.ConvTranspose2d(made, made, kernel, 2, padding)]
            given = made
        self.features = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.features(x)


class Fusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.DWconv1 = nn.Conv2d(3, 24, 3, padding=1, groups=3)
        self.DWconv2 = nn.Conv2d(24, 24, 3, padding=1, groups=24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.DWconv1(Smish()(x))
        return Smish()((self.DWconv2(Smish()(one)) + one).sum(1, keepdim=True))


class Teed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block_1, self.block_2 = Pair(3, 4, 2), Pair(4, 6, last=False)
        self.dblock_3, self.side_1, self.pre_dense_3 = Dense(6, 8), Single(4, 6, 2), Single(6, 8, 1)
        self.up_block_1, self.up_block_2, self.up_block_3 = Up(4, 1), Up(6, 1), Up(8, 2)
        self.block_cat = Fusion()

    def forward(self, x: torch.Tensor) -> np.ndarray:
        high, wide = SHAPE
        x = F.pad(x, (0, -wide % 8, 0, -high % 8), mode="replicate")
        one = self.block_1(x)
        two = self.block_2(one)
        small = F.max_pool2d(two, 3, 2, 1)
        layer = self.dblock_3.denselayer1
        dense = layer.conv2(Smish()(layer.conv1(Smish()(small + self.side_1.conv(one)))))
        three = 0.5 * (dense + self.pre_dense_3.conv(small))
        sides = [self.up_block_1(one), self.up_block_2(two), self.up_block_3(three)]
        sides.append(self.block_cat(torch.cat(sides, 1)))
        return 1 / (1 + np.exp(-np.mean([s[0, 0].numpy() for s in sides], axis=0)))[:high, :wide]


def louder(network: nn.Module, factor: float) -> nn.Module:
    """Let a toy's answers differ more from pixel to pixel."""
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            tensor.mul_(factor if name.endswith("weight") else 0)
    return network


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Folders of weights, one of PiDiNet from several devices, and the modules that made them."""
    folder = tmp_path_factory.mktemp("networks")
    with torch.random.fork_rng():
        torch.manual_seed(2)
        made: dict[str, Any] = {"hed": Hed(), "pidi": louder(Pidi(), 2.2), "teed": louder(Teed(), 1.6)}
    torch.save(made["hed"].state_dict(), folder / "ControlNetHED.pth")
    held = {"module." + name: tensor for name, tensor in made["pidi"].state_dict().items()}
    torch.save({"epoch": 19, "state_dict": held}, folder / "table5_pidinet.pth")
    for name in ("7_model.pth", "MTEED.pth"):
        torch.save(made["teed"].state_dict(), folder / name)
    return folder, made


def image() -> Image.Image:
    """A picture with edges: of a disc and of a slope."""
    pixels = np.array(picture().resize(SHAPE[::-1]))
    cv2.circle(pixels, (30, 20), 14, (250, 200, 90), -1)
    return Image.fromarray(pixels)


def given() -> torch.Tensor:
    return torch.tensor(np.asarray(image()), dtype=torch.float32).permute(2, 0, 1)[None]


def edges_of(networks: tuple[Path, dict[str, Any]], name: str) -> np.ndarray:
    with torch.inference_mode():
        return networks[1][name](given() if name != "pidi" else given().flip(1) / 255)


def same(made: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether a picture is what edges from 0 to 1 draw, but for how a pixel in a thousand is rounded."""
    apart = np.abs(made[..., 0].astype(int) - np.floor(np.clip(wanted * 255, 0, 255)))
    return bool((apart <= 1).all() if len(np.unique(wanted)) > 4 else (apart == 0).mean() > 0.999)


@pytest.mark.parametrize("name", ["hed", "pidi", "teed"])
def test_edges_are_what_the_network_sees(shared_bench: Bench, networks: tuple[Path, dict[str, Any]], name: str) -> None:
    wanted = edges_of(networks, name)
    assert np.ptp(wanted) > 0.2
    words = f"{name};model={networks[0]}"
    assert same(developed(shared_bench, f"{words};safe=false", image()), wanted)
    steps = (wanted * 3).astype(int) / 2
    assert same(developed(shared_bench, f"{words};safe=true", image()), steps)


def test_the_filter_of_pidi_leaves_black_and_white(shared_bench: Bench, networks: tuple[Path, dict[str, Any]]) -> None:
    made = developed(shared_bench, f"pidi;model={networks[0] / 'table5_pidinet.pth'};apply-filter=true", image())
    wanted = edges_of(networks, "pidi") > 0.5
    assert 0 < wanted.mean() < 1
    assert ((made[..., 0] == 255) == wanted).mean() > 0.999


def test_a_scribble_is_the_ridges_of_blurred_edges_as_opencv_finds_them() -> None:
    from dgen.processors import PROCESSORS

    scribbled = PROCESSORS.rows()["hed"].call.__globals__["scribbled"]
    edges = np.zeros((48, 64))
    cv2.line(edges, (8, 8), (50, 40), 1.0, 7)
    cv2.circle(edges, (44, 14), 8, 1.0, 5)
    edges = cv2.GaussianBlur(edges, (0, 0), 1)
    soft = cv2.GaussianBlur(np.floor(edges * 255), (25, 25), 3.0, borderType=cv2.BORDER_REFLECT)
    ridge = np.zeros(soft.shape)
    for kernel in (np.eye(3), np.eye(3)[::-1], np.eye(3)[[1, 1, 1]], np.eye(3)[[1, 1, 1]].T):
        ridge[cv2.dilate(soft, kernel.astype(np.uint8)) == soft] = 1
    thin = np.where((ridge > 0) & (soft > 127), 255.0, 0.0)
    wanted = cv2.GaussianBlur(thin, (25, 25), 3.0, borderType=cv2.BORDER_REFLECT) > 4
    assert 0 < wanted.mean() < 1
    assert ((scribbled(edges) > 0) == wanted).mean() > 0.998


def test_anyline_lays_dark_lines_over_edges(shared_bench: Bench, networks: tuple[Path, dict[str, Any]]) -> None:
    made = developed(shared_bench, f"anyline;model={networks[0] / 'MTEED.pth'};smallest=12", image())
    edges = (edges_of(networks, "teed") * 3).astype(int).clip(0, 2) / 2
    words = "lineart-standard;gaussian-sigma=2;intensity-threshold=2"
    lines = developed(shared_bench, words, image())[..., 0] / 255
    labels, count = ndimage.label(lines > 0)
    large = [n for n in range(1, count + 1) if (labels == n).sum() >= 12]
    assert 0 < len(large) < count
    lines = np.where(np.isin(labels, large), lines, 0)
    assert same(made, np.where(lines > 0, 1 - (1 - edges) * (1 - lines), edges))


def test_weights_of_something_else_are_told(
    shared_bench: Bench, networks: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, _ = networks
    with pytest.raises(EngineError, match=r"`ControlNetHED.pth` is no PiDiNet: it has no tensor `init_block.weight`"):
        developed(shared_bench, f"pidi;model={folder / 'ControlNetHED.pth'}", image())
    for name in ("a.pth", "b.pth"):
        torch.save({"x": torch.zeros(1)}, tmp_path / name)
    with pytest.raises(EngineError, match=r"has no file `ControlNetHED.pth`, where a HED network is") as caught:
        developed(shared_bench, f"hed;model={tmp_path}", image())
    assert caught.value.code == "bad-model"
    assert "`a.pth`, `b.pth`" in str(caught.value.help)
