"""The twelve-step script of a golden file on the real engine: it loads what its trace says, and nothing twice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from dgen.diagnostic import Source
from dgen.engine.render import LocalEngine
from dgen.events import ComponentLoaded, ComponentReused, Event, FileRead, FileSaved, JobRendered
from dgen.session import Session

GOLDEN = Path(__file__).parent.parent / "golden" / "lang" / "nothing-reloads.dgen"


@pytest.fixture
def events(at_work: Path) -> list[Event]:
    """What happened while the script ran, whose pictures lie in `output`."""
    told: list[Event] = []
    session = Session(LocalEngine(told.append), told.append)
    try:
        session.run(Source(GOLDEN.name, GOLDEN.read_text(encoding="utf-8")))
        loads, hits = session.engine.store.loads, session.engine.store.hits
    finally:
        session.close()
    assert loads == sum(isinstance(e, ComponentLoaded) for e in told)
    assert hits == sum(isinstance(e, ComponentReused) for e in told)
    return told


def steps_told(events: list[Event]) -> list[list[str]]:
    """What each job loaded and found."""
    jobs: list[list[str]] = [[]]
    for event in events:
        if isinstance(event, ComponentLoaded | ComponentReused):
            word = "load" if isinstance(event, ComponentLoaded) else "hit"
            jobs[-1].append(f"{word} {event.kind} {Path(event.source).name} float32")
        elif isinstance(event, JobRendered):
            jobs.append([])
    return [sorted(job) for job in jobs if job]


def steps_traced() -> list[list[str]]:
    """What the trace says that each job loads and finds."""
    jobs: list[list[str]] = [[]]
    for line in GOLDEN.with_suffix(".out").read_text(encoding="utf-8").splitlines():
        if line.startswith("job "):
            jobs.append([])
        else:
            jobs[-1].append(line)
    return [sorted(job) for job in jobs if job]


def test_script_loads_what_its_trace_says_and_reads_no_file_twice(events: list[Event]) -> None:
    assert steps_told(events) == steps_traced()
    read = Counter(e.path for e in events if isinstance(e, FileRead))
    assert set(read.values()) == {1}
    base = sorted(Path(path).parent.name for path in read if Path(path).parts[-3:-2] == ("toy",))
    assert base == ["text_encoder", "unet", "vae"]
    pictures = [Image.open(e.path).tobytes() for e in events if isinstance(e, FileSaved)]
    assert len(pictures) == len(steps_traced())
    assert pictures[0] == pictures[-1]
    assert len(set(pictures)) == len(pictures) - 1
