"""`noise` and `scale`: change latents."""

from typing import Any

from dgen.plugins import Flag, Integer, Noise, Real, Refining, latents_processor, opt, options, record


@record
@options("noise")
class AddNoise(Refining):
    """Arguments of `noise`."""

    timestep: int = opt(100, value=Integer(0, 999), help="How much: the timestep at which a picture has that noise.")
    seed: int | None = opt(None, value=Integer(0), help="Where it is drawn; the seed of the job by default.")


@latents_processor("noise", AddNoise)
def noise(said: Any, latents: Any, bench: Noise) -> Any:
    """Add the noise that the scheduler of the job has at a timestep."""
    return bench.noised(latents, said.timestep, said.seed)


@record
@options("scale")
class Scale(Refining):
    """Arguments of `scale`."""

    factor: float = opt(1.0, value=Real(), help="What they are multiplied by.")
    clamp_min: float | None = opt(None, value=Real(), help="The smallest value that is left afterwards.")
    clamp_max: float | None = opt(None, value=Real(), help="The largest value that is left afterwards.")
    normalize: bool = opt(
        False, value=Flag(), help="Before all that, give each picture the mean 0 and the standard deviation 1."
    )


@latents_processor("scale", Scale)
def scale(said: Any, latents: Any, bench: Noise) -> Any:
    """Multiply the values, and bring them into bounds."""
    if said.normalize:
        spread = latents.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
        latents = (latents - latents.mean(dim=(1, 2, 3), keepdim=True)) / spread
    latents = latents * said.factor
    if said.clamp_min is None and said.clamp_max is None:
        return latents
    return latents.clamp(min=said.clamp_min, max=said.clamp_max)
