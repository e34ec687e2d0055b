"""Directives that drop cached components, and the one that lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dgen.diagnostic import Span, Word
from dgen.lang.directives import directive

if TYPE_CHECKING:
    from dgen.lang.evaluate import Interpreter

# Directive, its aliases, the kind of component.
_KINDS = (
    ("clear_model_cache", (), "model", "every component"),
    ("clear_pipeline_cache", (), "pipeline", "pipelines"),
    ("clear_unet_cache", (), "unet", "UNets"),
    ("clear_transformer_cache", (), "transformer", "transformers"),
    ("clear_vae_cache", (), "vae", "VAEs"),
    ("clear_text_encoder_cache", (), "text_encoder", "text encoders"),
    ("clear_image_encoder_cache", (), "image_encoder", "image encoders"),
    ("clear_controlnet_cache", ("clear_control_net_cache",), "controlnet", "ControlNets"),
    ("clear_adapter_cache", (), "adapter", "adapters"),
)


def _declare(name: str, aliases: tuple[str, ...], kind: str, what: str) -> None:
    @directive(name, help=f"Drop {what} from the cache.", aliases=aliases, examples=((f"\\{name}", ""),))
    def clear(run: Interpreter, span: Span) -> None:
        run.host.clear_cache(kind, ())


for _row in _KINDS:
    _declare(*_row)


@directive(
    "clear_object_cache",
    takes="components",
    examples=(("\\clear_object_cache", ""),),
)
def clear_object_cache(run: Interpreter, span: Span, *names: Word) -> None:
    """Drop the caches of the given names, or all of them."""
    run.host.clear_cache("object", names)


@directive(
    "clear_device_cache",
    examples=(("\\clear_device_cache cpu", ""),),
)
def clear_device_cache(run: Interpreter, span: Span, device: Word, *devices: Word) -> None:
    """Drop what is cached on the given devices."""
    run.host.clear_cache("device", (device, *devices))


@directive(
    "cache",
    shows=True,
    aliases=("list_object_caches",),
)
def cache(run: Interpreter, span: Span, *names: Word) -> None:
    """Show what is loaded, where, how big it is and how often it was used."""
    run.host.write(run.host.help("cache", names, run.scope).rstrip("\n") + "\n")
