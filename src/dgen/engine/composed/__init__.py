"""Pipelines that diffusers does not have, composed of parts of those that it has; each is known by its class's name."""
