"""What the language asks of the session that runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dgen.diagnostic import DgenError, Diagnostic, Span, Word
from dgen.lang.scope import Scope


class Host(Protocol):
    """The session, as the language sees it."""

    def invoke(self, words: tuple[Word, ...], span: Span) -> None:
        """Run one invocation."""
        ...

    def changed(self, words: tuple[Word, ...], changes: tuple[Word, ...]) -> tuple[Word, ...]:
        """Return the words of an invocation with options replaced, and with another model when one is named."""
        ...

    def show(self, paths: tuple[str, ...]) -> None:
        """Show pictures to the user.

        Raises:
            BadValue: one of them cannot be read.
        """
        ...

    def grid(self, paths: tuple[str, ...], target: Path) -> str:
        """Write pictures as one into a file; return its path, which is another when the file is there already.

        Raises:
            BadValue: one of them cannot be read, or the file cannot be written.
        """
        ...

    def write(self, text: str) -> None:
        """Write a text that holds its own newline to the user."""
        ...

    def warn(self, diagnostic: Diagnostic) -> None:
        """Show a warning."""
        ...

    def report(self, error: DgenError) -> None:
        """Show the error of a statement after which the script goes on."""
        ...

    def help(self, topic: str, names: tuple[Word, ...], scope: Scope) -> str:
        """Return the help of what is not the language's own: `options`, `cache`, `image-processors` …

        Raises:
            DgenError: `unknown-topic`, `unknown-option`: a name that the topic does not have.
        """
        ...

    def clear_cache(self, kind: str, names: tuple[Word, ...]) -> None:
        """Drop cached components.

        Kinds: model, pipeline, unet, transformer, vae, text_encoder, image_encoder, controlnet, adapter, object
        and device; `object` and `device` may be narrowed by names.
        """
        ...

    def save_modules(self, names: tuple[Word, ...]) -> object:
        """Return the named modules of the last pipeline, kept from eviction."""
        ...

    def use_modules(self, saved: object, span: Span) -> None:
        """Use saved modules in the next invocation."""
        ...

    def clear_modules(self, saved: object) -> None:
        """Let saved modules go."""
        ...

    def device_fact(self, name: str, *args: object) -> object:
        """Answer `have_cuda`, `have_xpu`, `have_mps`, `default_device` or `total_memory` (device, unit)."""
        ...

    def command(self, name: str, words: tuple[Word, ...], span: Span) -> None:
        """Run a command of the program that is a directive too.

        Raises:
            DgenError: whatever is wrong with its words, or what goes wrong.
        """
        ...

    def model_types(self) -> tuple[str, ...]:
        """Return the names of the model families."""
        ...

    def download(self, url: str, path: str | None, *, overwrite: bool, text: bool) -> str:
        """Fetch a URL into the cache, or to a path, and return where it lies."""
        ...
