"""An animation that stops half-way goes on where it stopped, also where no pictures of its frames are written."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from forks import Forks
from PIL import Image

from dgen.cli.main import main
from dgen.diagnostic import Source
from dgen.engine.render import LocalEngine
from dgen.events import Event, JobKept, JobRendered, JobStarted, Warned
from dgen.media.ledger import LEDGER
from dgen.media.spool import Spool, frames_kept
from dgen.planning import planned
from dgen.session import Session

FILM = 'toy --prompts x --inference-steps 1 --image-seed-strengths 1 --image-seeds "moving.gif;32x32"'


def contents(folder: str) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(Path(folder).iterdir()) if p.name != LEDGER}


LARGER = FILM.replace("32x32", "96x64")


class Run:
    """Runs a statement, and stops it before a job when one is named; counts what was rendered and what was kept."""

    def __init__(self, said: str, stop_at: int = 0, *, resume: bool = False, film: str = FILM) -> None:
        self.rendered = self.kept = 0
        self.warnings: list[str] = []
        self.stop_at = stop_at
        session = Session(LocalEngine(self.listen), self.listen)
        if resume:
            session.resume()
        seeds = "" if "--seeds" in said else "--seeds 1"
        try:
            session.run(Source("test", f"{film} {seeds} {said}\n"))
        except KeyboardInterrupt:
            assert stop_at
        finally:
            session.close()

    def listen(self, event: Event) -> None:
        match event:
            case JobStarted() if event.number == self.stop_at:
                raise KeyboardInterrupt
            case JobRendered():
                self.rendered += 1
            case JobKept():
                self.kept += 1
            case Warned():
                self.warnings.append(f"{event.diagnostic.code}: {event.diagnostic.message}")
            case _:
                pass


@pytest.mark.parametrize(
    "said", ["--no-frames", "--no-frames --batch-size 2", "--image-format jpg", "--image-format webp --seeds 1 2"]
)
def test_animation_goes_on_from_the_frames_that_were_made(at_work: Path, said: str) -> None:
    whole = Run(f"{said} -o whole")
    frames = whole.rendered
    assert frames in (5, 10)
    stopped = Run(f"{said} -o out", stop_at=5)
    assert stopped.rendered == 4
    kept = 2 if "--seeds" in said else 4  # two combinations take turns
    assert stopped.warnings[0].endswith(f"is not complete, and {kept} frames are kept")
    seeds = "" if "--seeds" in said else "--seeds 1"
    script = Source("test", f"{FILM} {seeds} {said} -o out\n")

    def plan_again(session: Session) -> None:
        session.resume()
        session.run(script)

    plan = planned(plan_again)
    assert len(plan.to_make) == frames - 4
    again = Run(f"{said} -o out", resume=True)
    assert (again.rendered, again.kept) == (frames - 4, 4)
    assert contents("out") == contents("whole")
    assert sorted(f.name for f in planned(plan_again).files) == sorted(contents("whole"))
    done = Run(f"{said} -o out", resume=True)
    assert (done.rendered, done.kept) == (0, frames)
    assert contents("out") == contents("whole")


def test_run_that_does_not_resume_begins_anew(at_work: Path) -> None:
    Run("--no-frames -o out", stop_at=4)
    assert [p.suffix for p in Path("out").iterdir() if p.name != LEDGER] == [".frames"]
    again = Run("--no-frames -o out")
    assert again.kept == 0
    assert [p.suffix for p in Path("out").iterdir() if p.name != LEDGER] == [".mp4"]


def test_full_disk_keeps_the_frames_that_were_made(at_work: Path, forks: Forks) -> None:
    small = at_work / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    said = ["--no-frames", "--animation-format", "apng", "--seeds", "1"]
    words = [word.strip('"') for word in LARGER.split()]
    try:
        whole = Run(f"{' '.join(said)} -o whole", film=LARGER).rendered
        done = forks.run(*words, *said, "-o", "small", "--quiet")
        (spool,) = small.glob("*.frames")
        kept = frames_kept(spool)
        subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)
        again = Run(f"{' '.join(said)} -o small", resume=True, film=LARGER)
        made = contents("small")
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
    assert done.returncode == 1
    assert "error[disk-full]: the disk of `small` is full" in done.stderr
    assert f"and {kept} frames are kept" in done.stderr
    assert 1 < kept < whole
    assert (again.rendered, again.kept) == (whole - kept, kept)
    assert made == contents("whole")


def picture(number: int) -> Image.Image:
    rng = np.random.default_rng(number)
    return Image.fromarray(rng.integers(0, 256, (9, 13, 3), dtype=np.uint8))


def test_frames_come_back_as_they_were_and_a_torn_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.frames"
    spool = Spool(path, resumes=False)
    for number in range(3):
        spool.add(picture(number))
    spool.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert frames_kept(path) == 2
    again = Spool(path, resumes=True)
    assert len(again) == 2
    again.add(picture(2))
    assert [again.frame(n).tobytes() for n in range(3)] == [picture(n).tobytes() for n in range(3)]
    other = Spool(path, resumes=True)  # another process has it
    assert (other.is_shared, len(other)) == (True, 0)
    other.add(picture(9))
    other.close()
    again.close()
    assert path.read_bytes() == whole
    flipped = bytearray(whole)
    flipped[40] ^= 1
    path.write_bytes(bytes(flipped))
    assert frames_kept(path) == 0
    Spool(path, resumes=True).close()
    assert not path.exists()


def test_plan_lists_the_animations_that_are_there(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.dgen").write_text(f"{FILM} --seeds 1 --no-frames -o out\n")
    assert main(["s.dgen", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["plan", "s.dgen", "--resume", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (film,) = Path("out").glob("*.mp4")
    assert film.name in json.dumps(told)
    assert main(["plan", "s.dgen", "--resume"]) == 0
    assert film.name in capsys.readouterr().out
