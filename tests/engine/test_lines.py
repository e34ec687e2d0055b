"""Line processors compute what their networks do: written again here as modules whose tensors have the published names.

The toys are the published networks with few channels; their weights are files as their authors publish them.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional as F
from toybench import Bench, developed, picture

SHAPE = (44, 60)


def image() -> Image.Image:
    made = picture().resize(SHAPE[::-1])
    ImageDraw.Draw(made).line((5, 40, 55, 8), fill="white", width=4)
    return made


def given(picture: Image.Image) -> torch.Tensor:
    return torch.tensor(np.asarray(picture), dtype=torch.float32).permute(2, 0, 1)[None]


# ---- informative drawings -------------------------------------------------------------------------------------------


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv_block(x)


class Drawing(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.model0 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU())
        downs, ups = [], []
        for given, made in ((width, 2 * width), (2 * width, 4 * width)):
            downs += [nn.Conv2d(given, made, 3, 2, 1), nn.InstanceNorm2d(made), nn.ReLU()]
            up = nn.ConvTranspose2d(made, given, 3, 2, 1, output_padding=1)
            ups = [up, nn.InstanceNorm2d(given), nn.ReLU(), *ups]
        self.model1, self.model3 = nn.Sequential(*downs), nn.Sequential(*ups)
        self.model2 = nn.Sequential(*[Residual(4 * width) for _ in range(3)])
        self.model4 = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(width, 1, 7), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model4(self.model3(self.model2(self.model1(self.model0(x)))))


@pytest.mark.parametrize(("course", "file"), [("false", "sk_model.pth"), ("true", "sk_model2.pth")])
def test_lineart_draws_what_the_generator_draws(shared_bench: Bench, tmp_path: Path, course: str, file: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(len(course))
        fine, coarse = Drawing(), Drawing()
    torch.save(fine.state_dict(), tmp_path / "sk_model.pth")
    torch.save(coarse.state_dict(), tmp_path / "sk_model2.pth")
    odd = image().resize((59, 42))
    wide = np.pad(np.asarray(odd), ((0, 2), (0, 1), (0, 0)), mode="edge")  # sides divide by 4
    with torch.inference_mode():
        drawn = (coarse if course == "true" else fine)(given(Image.fromarray(wide)) / 255)[0, 0, :42, :59].numpy()
    assert np.ptp(drawn) > 0.3
    made = developed(shared_bench, f"lineart;model={tmp_path};course={course}", odd)[..., 0]
    assert np.abs(made - (255 - np.floor(drawn * 255))).max() <= 1
    assert Path(tmp_path / file).exists()


# ---- line art of anime ----------------------------------------------------------------------------------------------


class Level(nn.Module):
    def __init__(self, outer: int, inner: int, below: Level | None = None, outermost: bool = False) -> None:
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(3 if outermost else outer, inner, 4, 2, 1)
        made = 1 if outermost else outer
        up = nn.ConvTranspose2d(inner * 2 if below is not None else inner, made, 4, 2, 1)
        if outermost:
            layers = [down, below, nn.ReLU(), up, nn.Tanh()]
        elif below is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, nn.InstanceNorm2d(outer)]
        else:
            layers = [nn.LeakyReLU(0.2), down, nn.InstanceNorm2d(inner), below, nn.ReLU(), up, nn.InstanceNorm2d(outer)]
        self.model = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class Anime(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        level = None
        for outer, inner in reversed(list(pairwise((4, 6, 8, 8, 8)))):
            level = Level(outer, inner, level)
        self.model = Level(1, 4, level, outermost=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


def test_lineart_of_anime_is_what_the_u_net_draws(shared_bench: Bench, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = Anime()
    torch.save({"module." + n: t for n, t in network.state_dict().items()}, tmp_path / "netG.pth")
    large = image().resize((64, 64), Image.Resampling.BICUBIC)  # five levels halve it
    with torch.inference_mode():
        drawn = network(given(large) / 127.5 - 1)[0, 0].numpy() * 127.5 + 127.5
    whole = np.asarray(Image.fromarray(drawn).resize(SHAPE[::-1], Image.Resampling.BICUBIC))
    assert np.ptp(whole) > 60
    made = developed(shared_bench, f"lineart-anime;model={tmp_path}", image())[..., 0]
    assert np.abs(made - (255 - np.floor(whole.clip(0, 255)))).max() <= 1


# ---- M-LSD ----------------------------------------------------------------------------------------------------------


class Relu6(nn.Sequential):
    def __init__(self, given: int, made: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> None:
        self.stride = stride
        padding = 0 if stride == 2 else (kernel - 1) // 2
        super().__init__(
            nn.Conv2d(given, made, kernel, stride, padding, groups=groups, bias=False), nn.BatchNorm2d(made), nn.ReLU6()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x)


class Inverted(nn.Module):
    def __init__(self, given: int, made: int, stride: int, factor: int) -> None:
        super().__init__()
        hidden = given * factor
        layers: list[nn.Module] = [Relu6(given, hidden, 1)] if factor > 1 else []
        layers += [
            Relu6(hidden, hidden, 3, stride, hidden),
            nn.Conv2d(hidden, made, 1, bias=False),
            nn.BatchNorm2d(made),
        ]
        self.conv, self.adds = nn.Sequential(*layers), stride == 1 and given == made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


def normal(given: int, made: int, kernel: int = 3, far: int = 1) -> nn.Sequential:
    padding = far * (kernel - 1) // 2
    return nn.Sequential(nn.Conv2d(given, made, kernel, padding=padding, dilation=far), nn.BatchNorm2d(made), nn.ReLU())


class Mlsd(nn.Module):
    """The large model of the paper, of 2, 3, 4, 6 and 8 channels where it has 16, 24, 32, 64 and 96."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [Relu6(4, 4, stride=2)]
        given = 4
        for factor, made, count, stride in ((1, 2, 1, 1), (6, 3, 2, 2), (6, 4, 3, 2), (6, 6, 4, 2), (6, 8, 3, 1)):
            for index in range(count):
                layers.append(Inverted(given, made, stride if index == 0 else 1, factor))
                given = made
        self.backbone = nn.Module()
        self.backbone.features = nn.Sequential(*layers)
        for number, (fine, coarse) in zip((15, 17, 19, 21), ((6, 8), (4, 6), (3, 6), (2, 6)), strict=True):
            joined, refined = nn.Module(), nn.Module()
            joined.conv1, joined.conv2 = normal(coarse, 6, 1), normal(fine, 6, 1)
            refined.conv1, refined.conv2 = normal(12, 12), normal(12, 6)
            setattr(self, f"block{number}", joined)
            setattr(self, f"block{number + 1}", refined)
        self.block23 = nn.Module()
        self.block23.conv1, self.block23.conv2 = normal(6, 6, far=5), normal(6, 6)
        self.block23.conv3 = nn.Conv2d(6, 16, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for index, layer in enumerate(self.backbone.features):
            x = layer(x)
            kept += [x] if index in (1, 3, 6, 10, 13) else []
        x = kept.pop()
        for number in (15, 17, 19, 21):
            joined, refined = getattr(self, f"block{number}"), getattr(self, f"block{number + 1}")
            below = joined.conv1(x)
            if number > 15:
                below = F.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=True)
            x = torch.cat((joined.conv2(kept.pop()), below), 1)
            x = refined.conv2(refined.conv1(x) + x)
        return self.block23.conv3(self.block23.conv2(self.block23.conv1(x)))[:, 7:]


def lines_in(seen: np.ndarray, score: float, distance: float) -> set[tuple[float, ...]]:
    """The lines of a map (9, h, w), found pixel by pixel."""
    sure = 1 / (1 + np.exp(-seen[0]))
    wide = np.pad(sure, 2, constant_values=-np.inf)
    peaks = []
    for y, x in np.ndindex(*sure.shape):
        if sure[y, x] == wide[y : y + 5, x : x + 5].max():
            peaks.append((sure[y, x], y, x))
    found = set()
    for value, y, x in sorted(peaks, reverse=True)[:200]:
        start, end = seen[1:3, y, x], seen[3:5, y, x]
        if value > score and np.hypot(*(start - end)) > distance:
            found.add(tuple(np.round([x + start[0], y + start[1], x + end[0], y + end[1]], 2)))
    return found


@pytest.fixture(scope="module")
def mlsd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("mlsd")
    with torch.random.fork_rng():
        torch.manual_seed(9)
        network = Mlsd()
        network.train()(torch.rand(1, 4, 96, 96) * 2 - 1)  # so that normalizations have something to say
    with torch.no_grad():
        network.block23.conv3.weight[8:12] *= 12
        network.block23.conv3.weight[7] *= 4
    torch.save(network.eval().state_dict(), folder / "mlsd_large_512_fp32.pth")
    return folder, network


def test_straight_lines_are_those_that_the_network_sees(shared_bench: Bench, mlsd: tuple[Path, Any]) -> None:
    from dgen.processors import PROCESSORS

    names = PROCESSORS.rows()["mlsd"].call.__globals__
    small = image().resize((512, 512), Image.Resampling.BOX)
    whole = torch.cat((given(small), torch.ones(1, 1, 512, 512)), 1) / 127.5 - 1
    with torch.inference_mode():
        seen = mlsd[1](whole)
        assert torch.allclose(seen, names["straight"](whole, mlsd[1].state_dict()), atol=1e-4, rtol=1e-4)
    distance = float(np.median(np.hypot(*(seen[0, 1:3] - seen[0, 3:5]).numpy())))
    score = float(torch.sigmoid(seen[0, 0]).quantile(0.9))
    wanted = lines_in(seen[0].numpy(), score, distance)
    found = {tuple(np.round(line, 2)) for line in names["segments"](seen[0], score, distance)}
    assert 3 < len(wanted) < 200
    assert len(wanted ^ found) <= 0.05 * len(wanted)  # the last of the 200 may be another of the same score
    made = developed(
        shared_bench, f"mlsd;model={mlsd[0]};threshold-score={score};threshold-distance={distance}", image()
    )
    drawn = Image.new("L", SHAPE[::-1])
    for x, y, end_x, end_y in names["segments"](seen[0], score, distance):
        at = np.array([x, y, end_x, end_y]) * 2 / 512 * [SHAPE[1], SHAPE[0], SHAPE[1], SHAPE[0]]
        ImageDraw.Draw(drawn).line([float(n) for n in at], fill=255)
    assert ((made[..., 0] > 0) == (np.asarray(drawn) > 0)).mean() > 0.99
    assert 0 < np.asarray(drawn).mean() < 255
