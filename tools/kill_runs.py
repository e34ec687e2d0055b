"""Kills runs at random moments, resumes them, and compares what is there with what an undisturbed run makes.

`python tools/kill_runs.py --kills 200` prints what it counted, and fails when anything was lost or differs. Each run
is a process of its own, killed by SIGKILL; it is forked from one that has loaded a toy model already. With
`--at-events` runs are killed at each call to the system that Python audits, one after the other.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a fork has none of the threads that torch counts on

import toy_models

from dgen.diagnostic import Source
from dgen.engine.render import LocalEngine
from dgen.media.ledger import LEDGER, PART_PREFIX, read_ledger
from dgen.media.resume import Resumption
from dgen.session import Session

SCRIPT = """\
toy --prompts a b --seeds 1 2 --inference-steps 1 --output-configs -o {folder}

toy --prompts a --seeds 1 2 --inference-steps 1 --batch-size 2 -o {folder}

{{% for image in last_images[:2] %}}
toy --prompts c --seeds 1 --inference-steps 2 --image-seeds {{{{ quote(image) }}}} --image-format jpg -o {folder}
{{% endfor %}}
"""
"""Configs, batches, pictures that start from earlier ones, and two jobs that want the same name."""


@dataclass(slots=True)
class Count:
    """What was seen. All but the first three have to be 0, and `wrong` names the files that made them more."""

    killed: int = 0  # runs that were still going
    resumed_after_kill: int = 0  # of these, runs that were resuming themselves
    kept: int = 0  # pictures that survived, of all kills together
    partial: int = 0  # files under a final name that are not what the undisturbed run has
    made_again: int = 0  # files that were entered as whole, and rendered again nevertheless
    unequal: int = 0  # folders that differ in the end
    left_over: int = 0  # unfinished files in the end
    wrong: list[str] = field(default_factory=list[str])

    def add(self, name: str, files: Iterable[str], most: int | None = None) -> None:
        """Count files that are wrong in a way; together as `most` at the most."""
        found = sorted(files)
        self.wrong += [f"{name}: {file}" for file in found]
        setattr(self, name, getattr(self, name) + min(len(found), most or len(found)))


def kill_at(moment: int) -> None:
    """Let this process kill itself at its `moment`th event of the system, counted from 0."""
    left = itertools.count(moment, -1)

    def count(event: str, arguments: object) -> None:
        if event.startswith(("os.", "open", "tempfile.", "fcntl.")) and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def run(engine: LocalEngine, folder: str, moment: int | None = None) -> int:
    """Start a run in a process of its own, which resumes what is in a folder; return its id."""
    child = os.fork()
    if child:
        return child
    if moment is not None:
        kill_at(moment)
    session = Session(engine)
    session.paging.resumption = Resumption()
    session.run(Source("script", SCRIPT.format(folder=folder)))
    session.close()
    os._exit(0)


def end(child: int, after_s: float | None) -> bool:
    """Wait for a process, or kill it after some time; say whether it was killed."""
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        sys.exit("a run failed")
    return os.WIFSIGNALED(status)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the finished files of a folder, without the ledger."""
    if not folder.is_dir():
        return {}
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(PART_PREFIX)}


def entered(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what tells whether a file was written again, for all that are entered as whole."""
    names = [n for e in read_ledger(folder) if e.is_complete for n in e.files]
    facts = {n: (folder / n).stat() for n in names if (folder / n).exists()}
    return {n: (s.st_ino, s.st_mtime_ns) for n, s in facts.items()}


def disturb(engine: LocalEngine, whole: tuple[dict[str, bytes], float], folder: Path, count: Count) -> None:
    """Kill a run in a folder once or twice, and let it end; count what is wrong."""
    expected, took_s = whole
    for attempt in range(random.choice((1, 1, 2))):
        if end(run(engine, str(folder)), random.uniform(0, took_s)):
            count.killed += 1
            count.resumed_after_kill += attempt
        note_partial(expected, folder, count)
    let_end(engine, expected, folder, count)


def disturb_everywhere(engine: LocalEngine, expected: dict[str, bytes], folder: Path, count: Count) -> None:
    """Kill a run at each of its events in turn, and let it end; count what is wrong."""
    moment = 0
    while end(run(engine, str(folder), moment), None):
        count.killed += 1
        note_partial(expected, folder, count)
        let_end(engine, expected, folder, count)
        shutil.rmtree(folder)
        moment += 1


def note_partial(expected: dict[str, bytes], folder: Path, count: Count) -> None:
    """Count what a killed run left under final names and is not whole."""
    count.add("partial", (name for name, data in contents(folder).items() if expected.get(name) != data))


def let_end(engine: LocalEngine, expected: dict[str, bytes], folder: Path, count: Count) -> None:
    """Let a run go on in a folder undisturbed; count what is wrong then."""
    before = entered(folder)
    count.kept += len(before)
    end(run(engine, str(folder)), None)
    after = entered(folder)
    count.add("made_again", (name for name, facts in before.items() if after.get(name) != facts))
    found = contents(folder)
    count.add("unequal", (name for name in expected | found if expected.get(name) != found.get(name)), most=1)
    count.add("left_over", (p.name for p in folder.iterdir() if p.name.startswith(PART_PREFIX) and p.name != LEDGER))


def main() -> int:
    """Kill as many runs as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-events", action="store_true")
    said = parser.parse_args()
    random.seed(said.seed)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as room:
        os.chdir(room)
        toy_models.make_sd(Path("toy"))
        engine, count = LocalEngine(), Count()
        session = Session(engine)
        session.run(Source("script", SCRIPT.format(folder="warm")))
        session.close()
        started = time.monotonic()
        end(run(engine, "whole"), None)
        whole = contents(Path("whole")), time.monotonic() - started
        if said.at_events:
            disturb_everywhere(engine, whole[0], Path("killed"), count)
        while not said.at_events and count.killed < said.kills:
            disturb(engine, whole, Path("killed"), count)
            shutil.rmtree("killed")
    print(json.dumps(asdict(count) | {"files": len(whole[0])}))
    return int(bool(count.wrong))


if __name__ == "__main__":
    sys.exit(main())
