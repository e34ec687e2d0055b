"""dgen as a Python program uses it: real renders of toy models and of the built-in model."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

import dgen
from dgen.events import Event, FileSaved, JobRendered, StepDone

FAST = {"inference_steps": 2, "output_path": "out"}


def bytes_of(pictures: dgen.Pictures) -> list[bytes]:
    return [p.image.tobytes() for p in pictures]


def test_import_loads_nothing_heavy() -> None:
    program = "import sys, dgen; dgen.events; dir(dgen); print('|'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"torch", "numpy", "PIL", "lark", "jinja2", "rich", "diffusers", "transformers", "platformdirs"}
    assert not heavy & {m.split(".")[0] for m in done.stdout.strip().split("|")}


@pytest.mark.parametrize("call", ["dgen.check('toy --seeds x')", "dgen.plan('toy --prompts x --seeds 1 2')"])
@pytest.mark.parametrize("before", ["import dgen", "import dgen, dgen.check.follow, dgen.plan.bind", "import dgen.api"])
def test_check_and_plan_are_functions_whatever_was_imported_and_need_no_torch(
    at_work: Path, before: str, call: str
) -> None:
    program = f"import sys\n{before}\nassert {call}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_public_name_is_there() -> None:
    assert all(getattr(dgen, name) is not None for name in dgen.__all__)
    with pytest.raises(AttributeError, match="sesion"):
        dgen.sesion  # type: ignore[attr-defined]  # noqa: B018


def test_picture_comes_with_its_job_and_its_file(at_work: Path) -> None:
    with dgen.Session(**FAST) as session:
        made = session.invoke("toy", prompts=["a circle; x", "a star"], seeds=[1, 2], batch_size=2)
    assert len(made) == 8
    assert [(p.job.request.prompt.positive, p.job.request.seed) for p in made[::2]] == [
        ("a circle", 1), ("a circle", 2), ("a star", 1), ("a star", 2),
    ]  # fmt: skip
    for picture in made:
        assert picture.path is not None
        with Image.open(picture.path) as written:
            assert written.tobytes() == picture.image.tobytes()


def test_grid_is_the_picture_that_is_written(at_work: Path) -> None:
    with dgen.Session(**FAST) as session:
        (sheet,) = session.invoke("toy", prompts="x", seeds=1, batch_size=4, batch_grid_size="2x2")
    assert sheet.image.size == (128, 128)


def test_script_text_file_and_variables(at_work: Path) -> None:
    (at_work / "s.dgen").write_text("\\set n {{ n + 1 }}\n\\print n is {{ n }}\n", encoding="utf-8")
    heard: list[Event] = []
    with dgen.Session(listener=heard.append) as session:
        session.set("n", 1)
        session.run(Path("s.dgen"))
        session.run("\\print again {{ n }}")
        assert session.variables["n"] == "2"
        assert len(session.run("\\exit 3")) == 0
    assert [e.text for e in heard if isinstance(e, dgen.events.Printed)] == ["n is 2\n", "again 2\n"]


def test_values_are_taken_as_they_are(at_work: Path) -> None:
    said = ["--not a flag", "$HOME {{ x }} *", "it's", 'say "x"', "", "-1"]
    with dgen.Session(**FAST) as session:
        made = session.invoke("toy", prompts=said, seeds=1)
    assert [p.job.request.prompt.positive for p in made] == said


def test_options_have_their_names_of_diffusers_too(at_work: Path) -> None:
    job = dgen.plan(dgen.Invocation("toy", prompt="x", num_inference_steps=3, seed=4, output_size=(64, 64))).jobs[0].job
    assert (job.request.num_inference_steps, job.request.seed, job.size) == (3, 4, (64, 64))


def test_events_come_as_they_happen_and_the_end_raises_what_went_wrong(at_work: Path) -> None:
    with dgen.Session(**FAST) as session:
        run = session.start("toy --prompts x --seeds 1\ntoy --sedes 1\n")
        heard: list[Event] = []
        with pytest.raises(dgen.DgenError, match="did you mean `--seeds`"):
            heard.extend(run)
        assert len(run.pictures) == 1
        kinds = [type(e) for e in heard or _events(session)]
        assert kinds.index(StepDone) < kinds.index(JobRendered) < kinds.index(FileSaved)


def _events(session: dgen.Session) -> list[Event]:
    return list(session.start("toy --prompts x --seeds 1"))


def test_failure_that_nobody_waited_for_is_raised_at_the_close(at_work: Path) -> None:
    session = dgen.Session()
    session.start("toy --sedes 1")
    with pytest.raises(dgen.DgenError):
        session.close()


def test_run_is_cancelled_from_another_thread_and_the_session_goes_on(at_work: Path) -> None:
    with dgen.Session(**FAST) as session:
        run = session.start(dgen.Invocation("toy", prompts="x", seeds=range(1000)))
        with pytest.raises(RuntimeError, match="is running"):
            session.start("toy")
        first = threading.Event()

        def stop() -> None:
            first.wait()
            session.cancel()

        other = threading.Thread(target=stop)
        other.start()
        for event in run:
            if isinstance(event, JobRendered):
                first.set()
        other.join()
        assert run.was_cancelled
        assert 0 < len(run.wait()) < 1000
        run.cancel()
        assert len(session.invoke("toy", prompts="x", seeds=1)) == 1


def test_run_is_cancelled_while_the_model_is_loaded(at_work: Path) -> None:
    with dgen.Session(**FAST) as session:
        run = session.start(dgen.Invocation("toy", prompts="x", seeds=1))
        run.cancel()
        assert len(run.wait()) == 0
        assert run.was_cancelled


def test_two_sessions_at_once_make_what_each_makes_alone(at_work: Path) -> None:
    jobs = [
        dgen.Invocation("toy", prompts="a circle", seeds=[1, 2, 3], scheduler="EulerAncestralDiscreteScheduler"),
        dgen.Invocation("toy-xl", prompts="a star", seeds=[4, 5, 6], scheduler="DDPMScheduler"),
    ]
    alone: list[list[bytes]] = []
    for job in jobs:
        with dgen.Session(**FAST) as session:
            alone.append(bytes_of(session.run(job)))
    with (
        dgen.Session(inference_steps=2, output_path="a") as one,
        dgen.Session(inference_steps=2, output_path="b") as two,
    ):
        one.set("x", 1)
        runs = [one.start(jobs[0]), two.start(jobs[1])]
        assert [bytes_of(r.wait()) for r in runs] == alone
        assert "x" not in two.variables
        assert [p.path.parent.name for r in runs for p in r.pictures if p.path] == ["a"] * 3 + ["b"] * 3


def test_pictures_of_pillow_are_started_from_and_can_be_replayed(at_work: Path) -> None:
    picture = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    mask = Image.new("L", (64, 64), 255)
    with dgen.Session(**FAST) as session:
        (one,) = session.invoke("toy", prompts="x", seeds=1, image_seeds=picture)
        (two,) = session.invoke("toy", prompts="x", seeds=1, image_seeds=dgen.image_seed(picture, mask))
        assert (one.job.mode, two.job.mode) == ("img2img", "inpaint")
        again = session.invoke("toy", prompts="x", seeds=1, image_seeds=one.job.request.image_seed)
    assert again[0].image.tobytes() == one.image.tobytes()


def test_sandboxed_session_runs_no_program(at_work: Path) -> None:
    with dgen.Session(sandbox=True) as session, pytest.raises(dgen.DgenError, match="sandboxed"):
        session.run("\\exec true")


def test_notebook_shows_pictures(at_work: Path) -> None:
    with dgen.Session(**FAST) as session:
        made = session.invoke("toy", prompts="a <b> circle", seeds=[1, 2])
    with Image.open(io.BytesIO(made[0]._repr_png_())) as shown:
        assert shown.convert("RGB").tobytes() == made[0].image.tobytes()
    page = made._repr_html_()
    assert page.count("<img ") == 2
    assert "a &lt;b&gt; circle, seed 2" in page


# ---- the engine alone ------------------------------------------------------------------------------------------


def test_engine_renders_what_a_session_renders_and_writes_nothing(at_work: Path) -> None:
    before = set(at_work.iterdir())
    engine, steps = dgen.Engine(), list[tuple[int, int]]()
    (job,) = engine.jobs("toy", prompts="x", seeds=1, inference_steps=2, image_seeds="seed.png;mask.png")
    (drawn,) = engine.render(job, lambda step, of: steps.append((step, of)))
    assert drawn.path is None
    assert steps == [(1, 1)]
    assert set(at_work.iterdir()) == before
    with dgen.Session(**FAST) as session:
        (made,) = session.invoke("toy", prompts="x", seeds=1, image_seeds="seed.png;mask.png")
    assert made.image.tobytes() == drawn.image.tobytes()
    assert {h.kind for h in engine.holdings} >= {"unet", "vae"}
    assert engine.clear() > 0
    assert engine.holdings == ()


def test_engine_tells_every_mistake_with_its_place(at_work: Path) -> None:
    with pytest.raises(dgen.DgenError) as caught:
        dgen.Engine().jobs("toy", prompts="x", scheduler="Eulr", image_seeds="none.png", vae_tilng=True)
    assert [d.code for d in caught.value.diagnostics] == ["unknown-option"]
    with pytest.raises(dgen.DgenError) as caught:
        dgen.Engine().draw("toy", prompts="x", scheduler="Eulr", image_seeds="none.png")
    assert {d.code for d in caught.value.diagnostics} == {"unknown-scheduler", "missing-file"}


# ---- plans -----------------------------------------------------------------------------------------------------

STORY = """
\\cd .
\\mkdir never
\\exec python3 -c "open('never.txt', 'w')"
toy --prompts "a" "b" --seeds 1 2 --inference-steps 2 --batch-size 2 -o out
{% for image in last_images[:1] %}
toy --prompts c --seeds 1 --image-seeds {{ quote(image) }} --inference-steps 4 -o out
toy --prompts c --seeds 1 --image-seeds {{ quote(image) }} --inference-steps 4 -o out
{% endfor %}
"""


def test_plan_names_the_files_that_a_run_makes(at_work: Path) -> None:
    plan = dgen.plan(STORY)
    assert not (at_work / "out").exists()
    assert not (at_work / "never").exists()
    assert [line.split()[-1] for line in plan.passed_over] == ["\\mkdir", "\\exec"]
    assert (len(plan.jobs), len(plan.files), plan.models) == (6, 10, [str(at_work / "toy")])
    assert sum(line.startswith("unet") for line in plan.loads) == 1
    with dgen.Session() as session:
        made = session.run(STORY)
    assert made.paths == plan.files
    assert [p.job for p in made[::2][:4]] == [j.job for j in plan.jobs[:4]]


def test_plan_counts_what_is_on_the_disk(at_work: Path) -> None:
    script = "toy --prompts x --seeds 1 --inference-steps 2 -o out"
    first = dgen.plan(script).files
    (at_work / "out").mkdir()
    first[0].touch()
    assert dgen.plan(script).files[0].name == f"{first[0].stem}_duplicate_1.png"
    twice = dgen.plan(f"{script}\n{script}", output_overwrite=True).files
    assert twice == [first[0], first[0]]


def test_plan_raises_mistakes(at_work: Path) -> None:
    with pytest.raises(dgen.DgenError, match="missing-file"):
        dgen.plan("toy --image-seeds none.png")
