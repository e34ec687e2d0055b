"""Shows a picture while it is made: reads colours off the latents with a matrix, without the VAE."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from dgen.engine.adapters.layers import standing_in
from dgen.engine.components import Component, Key
from dgen.engine.pipelines import keeping_precision
from dgen.engine.protocol import OnStep, Preview

if TYPE_CHECKING:
    from PIL.Image import Image

_PICTURES, _BLOCKS, _SIDE_PX = 8, 4, 64
_MOST_KEPT = 16


@dataclass(frozen=True, slots=True)
class Colours:
    """A linear map from latents to colours, fitted to a VAE."""

    matrix: Any  # (channels + 1, 3) float32: the last row is the colour of latents that are all 0

    def picture(self, latents: Any) -> Image:
        """Draw the first of a batch of latents, a pixel a cell.

        `latents`: (n, channels, h, w), as the denoiser has them.
        """
        from PIL import Image

        first = latents[0].float()
        matrix = self.matrix.to(first.device)
        rgb = (first.permute(1, 2, 0) @ matrix[:-1] + matrix[-1]).clamp(-1, 1)
        return Image.fromarray(((rgb + 1) * 127.5).round().byte().cpu().numpy(), "RGB")


def fit(vae: Any) -> Colours | None:
    """Fit colours to latents by least squares; None for a VAE whose latents are no pictures.

    A few pictures of random blocks are encoded and decoded; the colour of a cell is the mean of the pixels it
    becomes. The scaling is that of the pipelines: Rombach et al. 2022, appendix G.
    """
    import torch

    if not hasattr(vae, "encode") or not hasattr(vae.config, "latent_channels"):
        return None
    drawn = torch.Generator("cpu").manual_seed(0)
    blocks = torch.rand(_PICTURES, 3, _BLOCKS, _BLOCKS, generator=drawn) * 2 - 1
    pictures = torch.nn.functional.interpolate(blocks, size=(_SIDE_PX, _SIDE_PX), mode="nearest")
    with torch.inference_mode(), keeping_precision(vae):
        if getattr(vae.config, "force_upcast", False) and vae.dtype == torch.float16:
            vae.to(torch.float32)
        encoded = vae.encode(pictures.to(vae.device, vae.dtype))
        cells = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
        shown = torch.nn.functional.adaptive_avg_pool2d(vae.decode(cells).sample.float(), cells.shape[-2:])
        latents = _scaled(vae, cells).float()
    return Colours(_least_squares(latents.cpu(), shown.cpu()))


def _scaled(vae: Any, cells: Any) -> Any:
    """Bring what a VAE encoded to the scale on which the denoiser works."""
    import torch

    config = vae.config
    mean, deviation = (getattr(config, name, None) for name in ("latents_mean", "latents_std"))
    if mean is not None and deviation is not None:
        shape = (1, -1, 1, 1)
        shift, divisor = (torch.tensor(v).view(shape).to(cells) for v in (mean, deviation))
        return (cells - shift) * config.scaling_factor / divisor
    return (cells - (getattr(config, "shift_factor", None) or 0)) * config.scaling_factor


def _least_squares(latents: Any, shown: Any) -> Any:
    import torch

    known = latents.permute(0, 2, 3, 1).flatten(0, 2)
    known = torch.cat([known, torch.ones(len(known), 1)], dim=1)
    return torch.linalg.lstsq(known, shown.permute(0, 2, 3, 1).flatten(0, 2), driver="gelsd").solution


@dataclass(slots=True)
class Previews:
    """The colours of each VAE, fitted when they are first wanted."""

    _fitted: dict[Key, Colours | None] = field(default_factory=dict[Key, "Colours | None"])

    def colours(self, vae: Component | None) -> Colours | None:
        """Return the colours of a VAE; None when it has none."""
        if vae is None:
            return None
        if vae.key not in self._fitted:
            while len(self._fitted) >= _MOST_KEPT:
                del self._fitted[next(iter(self._fitted))]
            self._fitted[vae.key] = _quietly(lambda: fit(vae.value))
        return self._fitted[vae.key]


class Watched:
    """What a scheduler did last."""

    def __init__(self, scheduler: Any) -> None:
        """Start before the first step."""
        self._scheduler = scheduler
        self._last: tuple[tuple[Any, Any, Any], Any] | None = None

    @contextmanager
    def steps(self) -> Generator[None]:
        """Look at each step of the scheduler inside the block; it is left as it was."""

        def watched(original: Callable[..., Any]) -> Callable[..., Any]:
            def step(model_output: Any, timestep: Any, sample: Any, *rest: Any, **named: Any) -> Any:
                answer = original(model_output, timestep, sample, *rest, **named)
                self._last = (model_output, timestep, sample), answer
                return answer

            return step

        try:
            with standing_in(self._scheduler, "step", watched):
                yield
        finally:
            self._last = None

    def latents(self) -> Any:
        """Return what the latents of the last step seem to become; None when they are no picture."""
        if self._last is None or self._last[0][2].ndim != 4:
            return None
        return _finished(self._scheduler, *self._last)


@dataclass(frozen=True, slots=True)
class Showing:
    """Shows pictures of the steps of one call."""

    watched: Watched
    colours: Colours
    preview: Preview

    def after(self, on_step: OnStep) -> OnStep:
        """Return what tells `on_step` a step and shows a picture when it is due; the last step needs none."""

        def told(step: int, of: int) -> None:
            on_step(step, of)
            picture = _quietly(self._picture) if step % self.preview.every == 0 and step < of else None
            if picture is not None:
                self.preview.show(step, picture)

        return told

    def _picture(self) -> Image | None:
        latents = self.watched.latents()
        return self.colours.picture(latents) if latents is not None else None


T = TypeVar("T")


def _quietly(make: Callable[[], T]) -> T | None:
    """Return what is made, or None when that fails: no preview is worth a job."""
    try:
        return make()
    except Exception:
        return None


def _finished(scheduler: Any, given: tuple[Any, Any, Any], answer: Any) -> Any:
    """Return the latents as they would be without noise: x0 of Song et al. 2021 (DDIM), equation 12.

    Most schedulers tell it; for others it follows from the noise level. What tells neither shows its noise.
    """
    model_output, timestep, sample = given
    given_back: Any = answer if isinstance(answer, tuple) else (answer.prev_sample,)
    if len(given_back) > 1 and getattr(given_back[1], "shape", None) == sample.shape:
        return given_back[1]
    config, levels = scheduler.config, getattr(scheduler, "alphas_cumprod", None)
    if levels is not None and float(scheduler.init_noise_sigma) == 1:
        level = levels[int(timestep)].to(sample.device, sample.dtype)
        signal, noise = level**0.5, (1 - level) ** 0.5
        kind = getattr(config, "prediction_type", "epsilon")
        if kind == "v_prediction":
            return signal * sample - noise * model_output
        return model_output if kind == "sample" else (sample - noise * model_output) / signal
    if "Flow" in type(scheduler).__name__:
        return sample - float(timestep) / config.num_train_timesteps * model_output
    return given_back[0]
