"""Toy models on disk, engines, and the plain call of diffusers that they are held against."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from toybench import Bench, Runs


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Let torch use one thread: toy tensors are too small for more, and other work shares the cores."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every toy model: sd, sdxl, auraflow, vae, sd and sdxl as checkpoint files, and what attaches."""
    import toy_adapters
    import toy_models

    folder = tmp_path_factory.mktemp("toys")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for kind, make in toy_models.KINDS.items():
            make(folder / kind)
        for name in ("sd.safetensors", "sd.ckpt", "sdxl.safetensors", "refiner.safetensors"):
            toy_models.make_single_file(folder / name.partition(".")[0], folder / name)
        toy_adapters.make_all(folder)
    return folder


@pytest.fixture
def bench() -> Bench:
    """A fresh engine."""
    return Bench()


@pytest.fixture(scope="module")
def shared_bench() -> Bench:
    """An engine that the tests of a module share, where what is loaded does not matter."""
    return Bench()


@pytest.fixture(scope="module")
def shared_runs() -> Iterator[Runs]:
    """A session that the tests of a module share."""
    runs = Runs()
    yield runs
    runs.session.close()


@pytest.fixture(scope="session")
def plainly(toys: Path) -> Iterator[Callable[..., list[bytes]]]:
    """Call diffusers as its documentation says: the pixels of each picture."""
    loaded: dict[tuple[str, str], Any] = {}

    def call(pipeline: str, model: str, seeds: list[int], **named: Any) -> list[bytes]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import diffusers
            import torch

            if (pipeline, model) not in loaded:
                cls = getattr(diffusers, pipeline)
                options = {"safety_checker": None} if model == "sd" else {}
                loaded[pipeline, model] = cls.from_pretrained(toys / model, **options)
            pipe = loaded[pipeline, model]
            own = pipe.scheduler
            if "scheduler" in named:
                name, arguments = named.pop("scheduler")
                pipe.scheduler = getattr(diffusers, name).from_config(own.config, **arguments)
            pipe.set_progress_bar_config(disable=True)
            generators = [torch.Generator("cpu").manual_seed(s) for s in seeds]
            made = pipe(generator=generators[0] if len(seeds) == 1 else generators, **named)
            pipe.scheduler = own
        return [i.convert("RGB").tobytes() for i in made.images]

    yield call
    loaded.clear()


@pytest.fixture(scope="session")
def flow_toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toy models of SD3 and FLUX.1, and what attaches to them."""
    from flowbench import make_all

    folder = tmp_path_factory.mktemp("flow")
    make_all(folder)
    return folder


def _makers() -> dict[str, Any]:
    """What makes a toy of a family, by the name of the family."""
    import toy_blocks
    import toy_families
    import toy_guided
    import toy_looks
    import toy_models
    import toy_today
    import toy_videos

    return _tables(toy_models, toy_families, toy_guided, toy_today, toy_looks, toy_blocks, toy_videos)


def _tables(*modules: Any) -> dict[str, Any]:
    """Join the tables of what makes toys in modules."""
    found: dict[str, Any] = {}
    for module in modules:
        for value in vars(module).values():
            found |= value if isinstance(value, dict) and all(map(callable, value.values())) else {}
    return found


@pytest.fixture(scope="session")
def toy_named(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the toy of a name that a table has, once."""
    import toy_families
    import toy_films
    import toy_further
    import toy_makers
    import toy_models
    import toy_today

    folder = tmp_path_factory.mktemp("named")
    every = _makers() | _tables(toy_further, toy_makers, toy_films, toy_today)

    def made(name: str) -> Path:
        if not (folder / name).exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                every[name](folder / name)
        return folder / name

    every |= {"sd3-pix2pix@32": toy_families.make_sd3_pix2pix, "sd@8": partial(toy_models.make_sd, in_channels=8)}
    return made


@pytest.fixture(scope="session")
def more_toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with toys of the families that `every_toy` has none of."""
    import toy_film_blocks
    import toy_films
    import toy_further
    import toy_makers

    made = tmp_path_factory.mktemp("more")
    every = {**toy_further.FURTHER, **toy_makers.MAKERS, **toy_films.FILM_TOYS, **toy_film_blocks.FILM_BLOCKS}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, make in every.items():
            make(made / name)
    return made


@pytest.fixture(scope="session")
def every_toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a toy of every family that has one."""
    from published_names import PUBLISHED

    from dgen.families.rows import FAMILIES

    made = tmp_path_factory.mktemp("denoisers")
    every = _makers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in {*FAMILIES, *PUBLISHED} & set(every):
            every[name](made / name)
    return made
