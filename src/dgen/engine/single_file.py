"""Takes a checkpoint file apart with the loader of diffusers, so that its parts can be shared one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dgen.engine.libraries import class_named, quiet, silence, torch_dtype
from dgen.engine.loading import Loader, bad_weights
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Part, Source, config_source
from dgen.families.indices import read_index
from dgen.families.inspection import inspect_file
from dgen.families.rows import Family
from dgen.plan.resolve import Job, family_of


@dataclass(slots=True)
class SingleFile:
    """A checkpoint file that is read at most once for one job, when the first part of it is missing."""

    loader: Loader
    job: Job
    path: Path
    held: Callable[[str], Any]  # gives the parts that need not be loaded; None for the others
    _made: dict[str, Any] = field(default_factory=dict[str, Any])

    def part(self, part: Part) -> Any:
        """Give a part of the checkpoint, loading every part that is missing.

        Raises:
            EngineError: `bad-weights`, `unsafe-weights`, `bad-model`, `offline`, `hub-refused`.
        """
        if not self._made:
            self._made = self._load(part)
        if part.kind not in self._made:
            raise EngineError("bad-model", f"`{self.path.name}` has no `{part.kind}`")
        return self._made[part.kind]

    def _load(self, part: Part) -> dict[str, Any]:
        silence()
        self.loader.read([self.path], part.source.option)
        described = self._description(part)
        cls = class_named("diffusers", _pipeline_of(Path(described["config"]), family_of(self.job)))
        present = {k: v for k in cls._get_signature_keys(cls)[0] if (v := self.held(k)) is not None}
        try:
            with quiet():
                made = cls.from_single_file(
                    str(self.path), torch_dtype=torch_dtype(self.job.request.dtype), local_files_only=True,
                    safety_checker=None, **present, **described,
                )  # fmt: skip
        except Exception as error:
            raise bad_weights(_whole(part), [self.path], error) from error
        return {k: v for k, v in made.components.items() if v is not None and k not in present}

    def _description(self, part: Part) -> dict[str, Any]:
        """Return the keywords that say how the model is built: configurations that lie on this machine."""
        request = self.job.request
        found: dict[str, Any] = {"config": str(self._configuration(part))}
        if request.original_config is not None:
            found["original_config"] = request.original_config
        return found

    def _configuration(self, part: Part) -> Path:
        said = config_source(self.job.request)
        if said is not None:
            return self.loader.hub.index(said)
        try:
            own = inspect_file(self.path, family_of(self.job), self.job.request.model).config
            return self.loader.hub.index(_beside(part, own) if own else _inferred(self.path, part))
        except EngineError as error:
            raise EngineError(
                error.code, f"the configuration of `{self.path.name}`: {error.message}",
                help="name a folder with its configuration: `--model-config FOLDER`",
            ) from error  # fmt: skip


def _pipeline_of(folder: Path, family: Family) -> str:
    """Return the pipeline that a configuration names: a refiner has another one than its family."""
    found = read_index(folder)
    named = None if found is None else found.entries.get("_class_name")
    return named if named in family.classes else family.pipeline


def _inferred(path: Path, part: Part) -> Source:
    """Return the repository with the configuration that fits a checkpoint, as diffusers tells it from its tensors."""
    from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint

    with quiet():
        repository = fetch_diffusers_config(load_single_file_checkpoint(str(path)))["pretrained_model_name_or_path"]
    return _beside(part, repository)


def _beside(part: Part, repository: str) -> Source:
    return Source(model=repository, option="model", token=part.source.token, offline=part.source.offline)


def _whole(part: Part) -> Part:
    return Part(kind="", key=(), source=part.source, dtype=part.dtype)
