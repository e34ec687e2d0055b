"""Nothing is lost: the ledger of an output folder, and runs that go on where others were stopped."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import dgen
from dgen.cli.main import main
from dgen.likeness import ssim
from dgen.media.ledger import LEDGER, Entry, Ledger, read_ledger, sweep
from dgen.media.resume import Resumption, Wanted
from dgen.media.write import Page, WriterPool

ARGV = ["toy", "--prompts", "a", "--seeds", "1", "2", "3", "--inference-steps", "1", "-o", "out"]


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.name != LEDGER}


def events(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main([*ARGV, *argv, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# ---- through the command ---------------------------------------------------------------------------------------


def test_resumed_run_makes_what_is_missing_or_damaged_and_says_so(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ARGV, "--output-configs", "--quiet"]) == 0
    whole = contents(at_work / "out")
    first, second = (at_work / "out" / f"s_{n}_g_5-0_i_1_step_{n}.png" for n in (1, 2))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    (at_work / "out" / ".dgen-x.part").write_bytes(b"cut sho")
    told = events(capsys, "--output-configs", "--resume")
    lost = [(e["why"], Path(str(e["path"])).name) for e in told if e["event"] == "FileLost"]
    assert lost == [("missing", first.name), ("damaged", second.name)]
    assert [e["number"] for e in told if e["event"] == "JobKept"] == [3]
    assert [e["kept"] for e in told if e["event"] == "StatementFinished"] == [1]
    assert contents(at_work / "out") == whole


def test_resumed_run_with_nothing_left_to_do_loads_no_model(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ARGV, "--quiet"]) == 0
    told = events(capsys, "--resume")
    assert {e["event"] for e in told} == {"StatementStarted", "JobKept", "StatementFinished"}


def test_changed_job_input_or_model_is_rendered(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = at_work / "own.png"
    picture.write_bytes((at_work / "seed.png").read_bytes())
    started = ["--image-seeds", "own.png", "--image-seed-strengths", "1"]
    events(capsys, *started)
    assert sum(e["event"] == "JobKept" for e in events(capsys, *started, "--resume")) == 3
    assert not any(e["event"] == "JobKept" for e in events(capsys, *started, "--guidance-scales", "2", "--resume"))
    Image.new("RGB", (96, 64), "red").save(picture)
    assert not any(e["event"] == "JobKept" for e in events(capsys, *started, "--resume"))


def test_resumed_batch_writes_only_the_pictures_that_are_missing(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = ["--batch-size", "2", "--output-configs"]
    events(capsys, *batch)
    whole, pictures = contents(at_work / "out"), sorted((at_work / "out").glob("*.png"))
    pictures[1].unlink()
    before = {p: p.stat() for p in pictures if p.exists()}
    told = events(capsys, *batch, "--resume")
    assert [Path(str(e["path"])).name for e in told if e["event"] == "FileSaved" and e["kind"] == "image"] == [
        pictures[1].name
    ]
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in before} == {
        p: (s.st_ino, s.st_mtime_ns) for p, s in before.items()
    }
    assert [(e["files"], e["kept"]) for e in told if e["event"] == "StatementFinished"] == [(6, 2)]
    assert contents(at_work / "out") == whole


def test_edited_script_renders_only_the_jobs_that_changed(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = "toy --prompts {} --seeds {} --inference-steps 1 --output-configs -o out\n"
    (at_work / "s.dgen").write_text(script.format("a b", "1 2"))
    assert main(["s.dgen", "--quiet"]) == 0
    before = contents(at_work / "out")
    (at_work / "s.dgen").write_text(script.format("z a", "3 2 1"))
    assert main(["s.dgen", "--incremental", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [e["number"] for e in told if e["event"] == "JobKept"] == [5, 6]  # a with 2 and 1, the other way round
    after = contents(at_work / "out")
    assert len(after) == len(before) + 2 * 4
    assert before.items() <= after.items()
    capsys.readouterr()
    assert main(["plan", "s.dgen", "--incremental"]) == 0
    out = capsys.readouterr().out
    assert out.count("(kept)") == 2 * 6
    assert "total: 0 jobs, 0 pictures (6 more pictures kept), 0 steps, about 0.0 s" in out


def test_why_tells_what_changed_since_the_nearest_picture(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = at_work / "own.png"
    picture.write_bytes((at_work / "seed.png").read_bytes())
    script = "toy --prompts a {} --seeds 1 --inference-steps 2 --image-seeds own.png --guidance-scales {} -o out\n"
    (at_work / "s.dgen").write_text(script.format("", 2))
    assert main(["why", "s.dgen"]) == 1
    name = "s_1_st_0-8_g_{}-0_i_2_step_{}.png"
    assert capsys.readouterr().out == f"out/{name.format(2, 1)}: nothing was made here yet\n"
    assert main(["s.dgen", "--quiet"]) == 0
    assert main(["why", "s.dgen"]) == 0
    assert capsys.readouterr().out == f"out/{name.format(2, 1)}: kept\n"
    (at_work / "s.dgen").write_text(script.format("'b; c'", "2 3"))
    assert main(["why", "s.dgen", "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["reasons"] for each in told] == [
        [],
        ["`--guidance-scales` was 2.0, is 3.0"],
        ['`--prompts` was a, is "b; c"'],
        ['`--prompts` was a, is "b; c"', "`--guidance-scales` was 2.0, is 3.0"],
    ]
    assert [each["nearest"] for each in told] == [None] + [str(at_work / "out" / name.format(2, 1))] * 3
    Image.new("RGB", (96, 64), "red").save(picture)
    made = f"out/{name.format(2, 1)}"
    assert main(["why", made]) == 1
    beside = f"rendered; beside {name.format(2, 1)},\n  the content of `own.png` is another one\n"
    assert capsys.readouterr().out == f"out/{name.format(2, 1)[:-4]}_duplicate_1.png: {beside}"
    (at_work / made).write_bytes(b"")
    picture.write_bytes((at_work / "seed.png").read_bytes())
    (at_work / "s.dgen").write_text(script.format("", 2))
    assert main(["why", "s.dgen"]) == 1
    assert capsys.readouterr().out == f"{made}: it is damaged\n"


def test_plan_of_a_resumed_run_says_what_is_left_and_changes_nothing(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chained = "toy --prompts a --seeds 1 --inference-steps 2 -o out --image-seeds {{ quote(made[%d]) }}"
    lines = [" ".join(ARGV), "\\setp made last_images", chained % 0, chained % 1]
    (at_work / "s.dgen").write_text("\n\n".join(lines))
    assert main(["s.dgen", "--quiet"]) == 0
    first, second = (at_work / "out" / f"s_{n}_g_5-0_i_1_step_{n}.png" for n in (1, 2))
    second.unlink()
    (at_work / "out" / ".dgen-x.part").touch()
    before = sorted((at_work / "out").iterdir())
    assert main(["plan", "s.dgen", "--resume", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    kept = [[job["kept"] for job in each["jobs"]] for each in told["invocations"]]
    assert kept == [[True, False, True], [True], [False]]
    assert told["lost"] == {str(second.relative_to(at_work)): "missing"}
    assert first.exists()
    assert sorted((at_work / "out").iterdir()) == before


def test_picture_of_another_job_is_never_replaced(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events(capsys, "--output-prefix", "p")
    for path in (at_work / "out").glob("*.png"):
        path.unlink()
    other = [a if a != "a" else "b" for a in ARGV]
    assert main([*other, "--output-prefix", "p", "--quiet"]) == 0
    before = contents(at_work / "out")
    events(capsys, "--output-prefix", "p", "--resume")
    after = contents(at_work / "out")
    assert len(after) == 6
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("flag", ["--max-minutes", "--max-images", "--max-gb"])
def test_option_that_would_do_nothing_is_refused(at_work: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    (at_work / "s.dgen").write_text("toy --prompts a\n")
    assert main(["repl", "s.dgen", flag, "1"]) == 2
    assert f"`repl` takes no `{flag}`" in capsys.readouterr().err


def test_killed_runs_lose_nothing_and_resume_to_the_same_bytes(tmp_path: Path) -> None:
    tool = Path(__file__).parent.parent / "tools" / "kill_runs.py"
    done = subprocess.run([sys.executable, str(tool), "--kills", "5"], capture_output=True, text=True, check=False)
    count = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert count["killed"] >= 5


def test_one_failure_ends_nothing_and_what_failed_is_a_script(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = (
        "toy --prompts a --seeds 1 2 --inference-steps 60 1 --scheduler LCM\n\n"  # LCM takes 50 steps at most
        "toy --prompts 'b c' --sedes 1\n\ntoy --prompts d --seeds 1 --inference-steps 1\n"
    )
    (at_work / "s.dgen").write_text(story, encoding="utf-8")
    assert main(["s.dgen", "--keep-going", "--save-failed", "again.dgen", "-o", "out"]) == 1
    err = capsys.readouterr().err
    assert err.count("error[render-failed]") == 2
    assert "3 failures; `dgen run again.dgen --resume` makes what is missing\n" in err
    assert len(contents(at_work / "out")) == 3
    written = (at_work / "again.dgen").read_text(encoding="utf-8").split("\n\n")[1:]
    assert written == [
        "toy\n--prompts a\n--seeds 1 2\n--inference-steps 60 1\n--scheduler LCM\n-o out",
        'toy\n--prompts "b c"\n--sedes 1\n-o out\n',
    ]
    mended = "\n\n".join(written).replace("60 1", "50 1").replace("--sedes", "--seeds")
    (at_work / "again.dgen").write_text(mended.replace('"b c"', '"b c" --inference-steps 1'))
    assert main(["run", "again.dgen", "--resume", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [e["number"] for e in told if e["event"] == "JobKept"] == [2, 4]
    assert len(contents(at_work / "out")) == 6


def test_failures_are_saved_only_where_a_run_goes_on(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["toy", "--prompts", "a", "--save-failed", "again.dgen"]) == 2
    assert "`--save-failed` needs `--keep-going`" in capsys.readouterr().err


# ---- the publishing step, killed everywhere --------------------------------------------------------------------


def page(folder: Path, number: int, resumption: Resumption | None = None) -> Page:
    """A picture of a job, named as the ledger knows it."""
    wanted = Wanted(job=f"job {number}", index=1, stem=f"p_{number % 2}", has_config=True)
    find = resumption.find(folder, wanted) if resumption is not None else None
    if find is not None and resumption is not None:
        resumption.take(find)
    return Page(
        image=Image.new("RGB", (8, 8), (number, 0, 0)), folder=folder, stem=wanted.stem, ending="png",
        config=lambda: f"config {number}\n", writes_config=True, job=lambda: wanted.job,
        name=find.stem if find is not None else None,
        is_unfinished=find is not None and not find.entry.is_complete,
    )  # fmt: skip


def write_all(folder: Path, resumption: Resumption | None = None) -> None:
    pool = WriterPool(lambda number, files: None, workers=1)
    for number in range(4):
        pool.submit(number, page(folder, number, resumption))
        pool.finish()
    pool.close()


def killed_at(folder: Path, moment: int) -> bool:
    """Write pages in a process that kills itself at its `moment`th event of the system; say whether it did."""
    child = os.fork()
    if child == 0:
        left = [moment]

        def count(event: str, arguments: object) -> None:
            if event.startswith(("os.", "open", "tempfile.", "fcntl.")):
                left[0] -= 1
                if left[0] == -1:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        write_all(folder)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_kill_at_every_step_of_publishing_leaves_nothing_partial_and_is_resumed(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    write_all(whole)
    expected = contents(whole)
    assert len(expected) == 8
    moment = 0
    while True:
        folder = tmp_path / f"killed-{moment}"
        folder.mkdir()
        was_killed = killed_at(folder, moment)
        finished = {n: b for n, b in contents(folder).items() if not n.endswith(".part")}
        assert finished.items() <= expected.items()
        write_all(folder, Resumption())
        assert contents(folder) == expected, f"killed at event {moment}"
        if not was_killed:
            break
        moment += 1
    assert moment >= 40


# ---- the ledger ------------------------------------------------------------------------------------------------


def entry(number: int, digest: str | None = "00") -> Entry:
    return Entry(job=f"job {number}", index=1, files={f"{number}.png": digest})


def test_line_that_was_cut_short_spoils_no_other(tmp_path: Path) -> None:
    for number in (1, 2):
        ledger = Ledger(tmp_path)
        ledger.add(entry(number))
        ledger.close()
        with (tmp_path / LEDGER).open("ab") as file:
            file.write(b'\n{"job": "job 9", "index": 1, "files": {"9.pn')
    assert read_ledger(tmp_path) == [entry(1), entry(2)]


@pytest.mark.parametrize(
    "line",
    ["[]", "null", '{"job": 1, "index": 1, "files": {"a": null}}', '{"job": "j", "index": 1, "files": {"../a": null}}',
     '{"job": "j", "index": 1, "files": {}}', '{"job": "j", "index": 1, "files": ["a"]}', "\xff"],
)  # fmt: skip
def test_strange_line_is_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / LEDGER).write_bytes(line.encode("latin-1"))
    assert read_ledger(tmp_path) == []


def add_many(folder: Path, first: int) -> None:
    ledger = Ledger(folder)
    for number in range(first, first + 200):
        ledger.add(entry(number))
    ledger.close()


def write_many(folder: Path, color: int) -> None:
    pool = WriterPool(lambda number, files: None)
    for number in range(50):
        pool.submit(number, Page(image=Image.new("RGB", (8, 8), (color, number, 0)), folder=folder, stem="same",
                                 ending="png", job=lambda: f"job {color}"))  # fmt: skip
    pool.finish()
    pool.close()


@pytest.mark.parametrize("work", [add_many, write_many])
def test_two_processes_write_into_one_folder(tmp_path: Path, work: object) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=work, args=(tmp_path, number)) for number in (0, 200)]  # type: ignore[arg-type]
    for process in both:
        process.start()
    for process in both:
        process.join()
    found = read_ledger(tmp_path)
    complete = {next(iter(e.files)) for e in found if e.is_complete}
    if work is add_many:
        assert len(complete) == 400
    else:
        pictures = contents(tmp_path)
        assert len(set(pictures.values())) == 100
        assert complete == set(pictures)


def test_unfinished_files_of_a_run_that_goes_on_are_left_alone(tmp_path: Path) -> None:
    part = tmp_path / ".dgen-x.part"
    part.touch()
    ledger = Ledger(tmp_path)
    sweep(tmp_path)
    assert part.exists()
    ledger.close()
    sweep(tmp_path)
    assert not part.exists()


def test_unfinished_file_of_a_run_killed_before_its_first_entry_is_removed(tmp_path: Path) -> None:
    part = tmp_path / ".dgen-x.part"
    part.touch()
    sweep(tmp_path)
    assert not part.exists()


# ---- verify ----------------------------------------------------------------------------------------------------


def test_verify_compares_what_is_made_again(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--prompts", "a", "--seeds", "1", "--inference-steps", "2", "--image-seeds", "seed.png", "-o", "out"]
    assert main(["toy", *argv, "--batch-size", "2", "--quiet"]) == 0
    first, second = sorted((at_work / "out").glob("*.png"))
    before = contents(at_work / "out")
    capsys.readouterr()
    assert main(["verify", str(first), str(second)]) == 0
    assert capsys.readouterr().out == f"{first}: the same bytes\n{second}: the same bytes\n"
    with Image.open(first) as image:
        config = image.info["DgenerateConfig"]
        chunks = PngInfo()
        chunks.add_text("DgenerateConfig", config.replace("sha256 ", "sha256 0", 1).replace("#! dgen ", "#! dgen 0"))
        image.save(first, pnginfo=chunks, compress_level=1)
        image.putpixel((0, 0), tuple(255 - c for c in image.getpixel((0, 0))))
        image.save(second, pnginfo=chunks)
    assert main(["verify", str(first), str(second), "--json"]) == 1
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(t["same_bytes"], t["same_pixels"]) for t in told] == [(False, True), (False, False)]
    assert told[0]["reasons"] == [f"it was made by dgen 0{dgen.__version__}", "`toy` is another one"]
    assert 10 < told[1]["psnr_db"] < 90
    assert 0.9 < told[1]["ssim"] <= 1
    ledger = at_work / "out" / LEDGER
    then = re.sub(r'"torch": "[^"]*"', '"torch": "1.0"', ledger.read_text())
    ledger.write_text(then.replace('"cpu"', '"cuda"').replace('"native"', '"flash"'))
    assert main(["verify", str(second)]) == 1
    said = capsys.readouterr().out
    assert f"; `torch` was 1.0, is {metadata.version('torch')}; `attention` was flash, is native; " in said
    assert "; it was made on `cuda`, now on `cpu`\n" in said
    assert sorted(contents(at_work / "out")) == sorted(before)


def test_structural_similarity_is_that_of_the_formula() -> None:
    numpy = pytest.importorskip("numpy")
    x, y = numpy.random.default_rng(0).integers(0, 256, (2, 11, 11))
    place = numpy.arange(11) - 5.0
    weights = numpy.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
    both = (weights * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    wanted = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    one, other = (Image.fromarray(v.astype("uint8")).convert("RGB") for v in (x, y))
    assert ssim(one, other) == pytest.approx(wanted, rel=1e-9)
    assert ssim(one, one) == pytest.approx(1)
    assert ssim(one, one.resize((5, 5))) == 0


def test_what_carries_no_config_cannot_be_verified(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "seed.png"]) == 2
    assert capsys.readouterr().err.startswith("error[not-replayable]: `seed.png` carries no config\n --> command line")
    assert main(["verify", "seed.png", "--resume"]) == 2
    assert "`verify` takes no `--resume`" in capsys.readouterr().err
