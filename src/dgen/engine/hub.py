"""Turns a model source into a folder or file of this machine, fetching what is not there yet."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dgen.builtin import PREFIX, builtin_models, builtin_named
from dgen.diagnostic import did_you_mean
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source
from dgen.engine.weights import choose
from dgen.families.indices import INDICES
from dgen.families.inspection import GGUF_SUFFIX, PICKLE_SUFFIXES, SAFETENSORS_SUFFIXES
from dgen.fetch import Order, fetch, is_passing
from dgen.schema import BadValue
from dgen.values.scalars import HUB_NAMES, is_local, is_url

_SLUG = re.compile(r"[\w.-]+/[\w.-]+")
_BLOB = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<repo>[\w.-]+/[\w.-]+)/(?:blob|resolve)/(?P<revision>[^/?#]+)"
    r"/(?P<file>[^?#]+)"
)
_CHECKPOINTS = (*SAFETENSORS_SUFFIXES, *PICKLE_SUFFIXES, GGUF_SUFFIX)
_CHECKPOINT_LIMIT = 200 * 2**30
_TEXTS = ("*.json", "*.txt", "*.model")
"""The small files of a repository: configurations and tokenizers."""


@dataclass(slots=True)
class Hub:
    """Finds models; remembers where they are, so that a repository is asked about once in a session."""

    announce: Callable[[str], None] = lambda what: None
    is_offline: bool = False  # whatever the sources say
    _places: dict[tuple[Any, ...], Path] = field(default_factory=dict[tuple[Any, ...], Path])

    def index(self, source: Source) -> Path:
        """Return the folder of a model with at least its configuration files, or its checkpoint file.

        Raises:
            EngineError: `missing-file`, `bad-model`, `bad-file`, `offline`, `hub-refused`.
        """
        local = here(source)
        if local is not None:
            return local
        place = self._places.get((source,))
        if place is None:
            place = self._fetch_index(replace(source, offline=True) if self.is_offline else source)
            self._places[(source,)] = place
        return place

    def folders(self, source: Source, names: Iterable[str]) -> Path:
        """Return the folder of a model with the weights of some of its folders; "" is the model's own.

        Raises:
            EngineError: as `index`.
        """
        place = self.index(source)
        if here(source) is not None or place.is_file():
            return place
        for name in names:
            if (source, name) not in self._places:
                self._fetch_weights(source, place, name)
                self._places[(source, name)] = place
        return place

    def file(self, source: Source, choose: Callable[[Iterable[str]], str], beside: str = "") -> Path:
        """Return one file of a source: itself, or the one that is chosen among the names of its folder.

        A small file of the name `beside` comes with it when there is one.

        Raises:
            EngineError: as `index`, and what `choose` raises.
        """
        local = here(source)
        if local is None and (is_url(source.model) or not _SLUG.fullmatch(source.model)):
            local = self.index(source)
        if local is not None:
            return local if local.is_file() else local / choose(p.name for p in local.iterdir() if p.is_file())
        if (source, beside) not in self._places:
            self._places[source, beside] = self._fetch_file(source, choose, beside)
        return self._places[source, beside]

    def _fetch_file(self, source: Source, choose: Callable[[Iterable[str]], str], beside: str) -> Path:
        source = replace(source, offline=True) if self.is_offline else source
        listed = None if source.offline else self._listing(source)
        prefix = _prefix(source)
        if listed is None:
            folder = Path(self._snapshot(source, [], is_here=True)) / prefix
            return folder / choose(p.name for p in folder.glob("*") if p.is_file())
        name = choose(n for f in listed if f.startswith(prefix) and "/" not in (n := f[len(prefix) :]))
        self.announce(source.shown)
        return Path(self._snapshot(source, [prefix + name, prefix + beside])) / prefix / name

    def _fetch_index(self, source: Source) -> Path:
        blob = _BLOB.fullmatch(source.model.partition("?")[0])
        if blob is not None:
            return self._fetch_blob(source, blob)
        if is_url(source.model):
            return self._fetch_url(source)
        if not _SLUG.fullmatch(source.model):
            raise _missing(source)
        prefix = _prefix(source)
        return _inside(Path(self._snapshot(source, [prefix + t for t in _TEXTS])), source)

    def _snapshot(self, source: Source, patterns: list[str], *, is_here: bool = False) -> str:
        from huggingface_hub import snapshot_download

        with _refusals(source):
            return snapshot_download(
                source.model, revision=source.revision, token=source.token, allow_patterns=patterns,
                local_files_only=is_here or source.offline, tqdm_class=_silent_bar(),
            )  # fmt: skip

    def _fetch_weights(self, source: Source, place: Path, name: str) -> None:
        listed = None if source.offline else self._listing(source)
        if listed is None:
            return
        prefix = _prefix(source) + (f"{name}/" if name not in ("", ".") else "")
        names = [f.removeprefix(prefix) for f in listed if f.startswith(prefix) and "/" not in f[len(prefix) :]]
        chosen, _ = choose(names, source.variant)
        wanted = [n for n in chosen if not (place / name / n).exists()]
        if wanted:
            self.announce(f"{source.shown} ({name})" if name else source.shown)
            self._snapshot(source, [prefix + n for n in wanted])

    def _listing(self, source: Source) -> list[str] | None:
        """List the files of a repository; None when the hub is out of reach."""
        from huggingface_hub import HfApi

        with _refusals(source):
            try:
                told = HfApi(token=source.token).model_info(source.model, revision=source.revision)
            except _unreachable():
                return None
        return [s.rfilename for s in told.siblings or ()]

    def _fetch_blob(self, source: Source, blob: re.Match[str]) -> Path:
        from huggingface_hub import hf_hub_download

        self.announce(source.shown)
        with _refusals(source):
            return Path(
                hf_hub_download(
                    blob["repo"], blob["file"], revision=blob["revision"], token=source.token,
                    local_files_only=source.offline, tqdm_class=_silent_bar(),
                )
            )  # fmt: skip

    def _fetch_url(self, source: Source) -> Path:
        _check_address(source)
        order = Order(
            url=source.model, folder="models", limit_bytes=_CHECKPOINT_LIMIT, offline=source.offline,
            types=("application/octet-stream", "binary/", "application/zip", "application/x-"),
        )  # fmt: skip
        try:
            return _fetched(order) or _named_by_content(fetch(order, self.announce))
        except BadValue as error:
            raise EngineError(error.code, error.message, source.option, error.help) from None


def here(source: Source) -> Path | None:
    """Return the folder or file of a source that is on this machine by its nature; None for the hub and URLs.

    Raises:
        EngineError: `missing-file`, `bad-model`.
    """
    name = source.model
    if name.startswith(PREFIX):
        return _inside(_builtin(name, source), source)
    if is_url(name):
        return None
    path = Path(os.path.expanduser(name))
    if os.path.exists(path):  # which is not upset by a name that is too long
        return _inside(path, source) if path.is_dir() else path
    if is_local(name):
        raise EngineError("missing-file", f"there is no file or folder `{name}`", source.option)
    return None


def cached(source: Source) -> Path | None:
    """Return the index or checkpoint of a source that was fetched before; None when there is none.

    Raises:
        EngineError: `missing-file`, `bad-model`.
    """
    blob = _BLOB.fullmatch(source.model.partition("?")[0])
    if blob is None and is_url(source.model):
        _check_address(source)
        return _fetched(Order(url=source.model, folder="models"))
    if blob is None and not _SLUG.fullmatch(source.model):
        raise _missing(source)
    from huggingface_hub.constants import HF_HUB_CACHE  # light; the rest of the package is not

    repository, revision = (blob["repo"], blob["revision"]) if blob else (source.model, source.revision)
    if not Path(HF_HUB_CACHE, "models--" + repository.replace("/", "--")).is_dir():
        return None
    from huggingface_hub import try_to_load_from_cache

    files = (blob["file"],) if blob else (_prefix(source) + name for name in INDICES)
    found = (try_to_load_from_cache(repository, file, revision=revision) for file in files)
    return next((Path(file) for file in found if isinstance(file, str)), None)


def _fetched(order: Order) -> Path | None:
    """Return the file of an address that was fetched before, by its own name or by the one that its content gave it."""
    names = [order.target.name + suffix for suffix in ("", SAFETENSORS_SUFFIXES[0], PICKLE_SUFFIXES[0])]
    return next((p for name in names if (p := order.target.with_name(name)).exists()), None)


def _named_by_content(path: Path) -> Path:
    """Give a checkpoint of which the address has no suffix the one that its first bytes tell."""
    if path.suffix:
        return path
    with path.open("rb") as file:
        size, brace = int.from_bytes(file.read(8), "little"), file.read(1)
    is_safe = brace == b"{" and size < path.stat().st_size
    return path.rename(path.with_name(path.name + (SAFETENSORS_SUFFIXES if is_safe else PICKLE_SUFFIXES)[0]))


def _check_address(source: Source) -> None:
    """Refuse an address of something else; one without a suffix, as download services have, may be a checkpoint."""
    path = urlsplit(source.model).path
    is_named = path.lower().endswith(_CHECKPOINTS)
    if not is_named and ("." in path.rpartition("/")[2] or not path.strip("/")):
        raise EngineError(
            "bad-model", f"`{source.shown}` is no address of a checkpoint file", source.option,
            help="its path ends in " + ", ".join(f"`{s}`" for s in _CHECKPOINTS),
        )  # fmt: skip


def _missing(source: Source) -> EngineError:
    return EngineError(
        "missing-file", f"there is no file or folder `{source.model}`", source.option,
        help=HUB_NAMES,
    )  # fmt: skip


def _builtin(name: str, source: Source) -> Path:
    found = builtin_named(name)
    if found is None:
        present = [b.source for b in builtin_models()]
        raise EngineError(
            "bad-model", f"dgen brings no model named `{name.removeprefix(PREFIX)}`", source.option,
            help=did_you_mean(name, present, "it brings " + ", ".join(f"`{n}`" for n in present)),
        )  # fmt: skip
    return found.folder


def _inside(folder: Path, source: Source) -> Path:
    if not source.subfolder:
        return folder
    inner = folder / source.subfolder
    if not inner.is_dir() or not inner.resolve().is_relative_to(folder.resolve()):
        raise EngineError(
            "bad-model", f"`{source.shown}` has no folder `{source.subfolder}`",
            source.option if source.option != "model" else "subfolder",
        )  # fmt: skip
    return inner


def _prefix(source: Source) -> str:
    return f"{source.subfolder.strip('/')}/" if source.subfolder else ""


def _silent_bar() -> Any:
    from tqdm import tqdm

    class Silent(tqdm):  # type: ignore[type-arg]
        """A progress bar that draws nothing."""

        def __init__(self, *args: Any, **named: Any) -> None:
            named.pop("name", None)
            super().__init__(*args, **{**named, "disable": True})

    return Silent


@contextmanager
def _refusals(source: Source) -> Generator[None]:
    """Turn the hub's exceptions into errors; no token and no query reaches a message."""
    from huggingface_hub import errors

    name, option = source.shown, source.option
    try:
        yield
    except errors.GatedRepoError:
        raise EngineError(
            "hub-refused", f"`{name}` is gated: its owner grants access to each user", option,
            help="ask for access on the hub and give a token with `--auth-token`",
        ) from None  # fmt: skip
    except errors.RevisionNotFoundError:
        raise EngineError(
            "hub-refused", f"`{name}` has no revision `{source.revision}`",
            "revision" if option == "model" else option,
        ) from None  # fmt: skip
    except errors.RepositoryNotFoundError:
        raise EngineError(
            "hub-refused", f"the hub has no repository `{name}` that you can see, and there is no such folder here",
            option, help="a private one needs a token: `--auth-token`",
        ) from None  # fmt: skip
    except errors.LocalEntryNotFoundError as error:
        cause = error.__cause__
        raise (_refused(source, cause) if _status(cause) is not None else _offline(source)) from None
    except errors.EntryNotFoundError:
        raise EngineError("hub-refused", f"the hub has no file `{name}`", option) from None
    except errors.HFValidationError:
        raise EngineError("missing-file", f"there is no file or folder `{name}`", option) from None
    except errors.HfHubHTTPError as error:
        raise _refused(source, error) from None
    except _unreachable() as error:
        raise _offline(source, type(error).__name__) from None


def _unreachable() -> tuple[type[Exception], ...]:
    """Return the exceptions that mean that no answer came; which library speaks HTTP depends on the hub's release."""
    from huggingface_hub.errors import HfHubHTTPError

    http = import_module(HfHubHTTPError.__mro__[1].__module__.partition(".")[0])
    return (http.TransportError, ConnectionError, TimeoutError)


def _refused(source: Source, error: BaseException | None) -> EngineError:
    status = _status(error)
    if status is not None and is_passing(status):
        return EngineError("offline", f"the hub answered `{source.shown}` with status {status}", source.option)
    return EngineError("hub-refused", f"the hub refused `{source.shown}` with status {status}", source.option)


def _status(error: BaseException | None) -> int | None:
    """Return the status of the hub's answer; None when it gave none."""
    return getattr(getattr(error, "response", None), "status_code", None)


def _offline(source: Source, reason: str | None = None) -> EngineError:
    if source.offline:
        return EngineError(
            "offline", f"`{source.shown}` is not on this machine, and `--offline-mode` forbids the network",
            source.option, help="run once without `--offline-mode` to fetch it",
        )  # fmt: skip
    because = f" ({reason})" if reason else ""
    return EngineError("offline", f"`{source.shown}` is not on this machine, and the hub is out of reach{because}",
                       source.option)  # fmt: skip
