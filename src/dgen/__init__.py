"""dgen: a small language for making images with diffusion models, and the engine that runs it."""

__version__ = "0.1.0"
