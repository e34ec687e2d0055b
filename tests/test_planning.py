"""`dgen plan` and the limits of a run: what is planned is what a run then makes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dgen
from dgen.cli.main import main
from dgen.values.amounts import shown_bytes

STORY = """\
\\exec python3 -c "open('never.txt', 'w')"
toy --prompts a b --seeds 1 2 --inference-steps 2 --output-configs -o out
toy --prompts c --seeds 1 --image-seeds {{ quote(last_images[0]) }} --inference-steps 4 --batch-size 4
--batch-grid-size 2x2 -o out
"""


def test_plan_says_what_a_run_would_make_and_imports_no_model_library(at_work: Path) -> None:
    (at_work / "s.dgen").write_text(STORY, encoding="utf-8")
    program = (
        "import sys; from dgen.cli.main import main; code = main(['plan', 's.dgen', '--json']);"
        "assert not {'torch', 'diffusers', 'transformers', 'numpy'} & set(sys.modules); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    first, second = told["invocations"]
    assert (first["where"], first["pictures"], len(first["jobs"])) == ("s.dgen:2:1", 4, 4)
    assert first["jobs"][0]["configs"] == ["out/s_1_g_5-0_i_2_step_1.dgen"]
    assert (second["jobs"][0]["size"], second["jobs"][0]["mode"]) == ([128, 128], "img2img")
    assert [line.split()[-1] for line in told["passed_over"]] == ["\\exec"]
    assert (told["totals"]["pictures"], told["totals"]["steps"]) == (5, 4 * 2 + 3)
    assert not (at_work / "out").exists()
    assert not (at_work / "never.txt").exists()


def test_plan_as_text_lists_every_file(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "toy", "--prompts", "a", "--seeds", "1", "2", "--inference-steps", "3", "-o", "out"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("toy: 2 pictures, txt2img 64x64")
    assert lines[1:3] == ["  out/s_1_g_5-0_i_3_step_1.png", "  out/s_2_g_5-0_i_3_step_2.png"]
    assert lines[-1].startswith(
        "total: 2 jobs, 2 pictures, 6 steps, time unknown: no run of `sd` was timed here, up to 24.0 KiB on the disk "
    )


@pytest.mark.parametrize("command", [[], ["plan"]], ids=["run", "plan"])
def test_limit_refuses_before_anything_starts(
    at_work: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    argv = [*command, "toy", "--prompts", "a", "--seeds", "1", "2", "3", "--inference-steps", "1"]
    assert main([*argv, "--max-images", "2", "--max-gb", "0.00001"]) == 2
    assert capsys.readouterr().err == (
        "error[over-limit]: this makes 3 pictures, and `--max-images` allows 2\n"
        "  = help: nothing was started; `dgen plan` lists what it makes\n\n"
        "error[over-limit]: this makes up to 0.000 GB of pictures, and `--max-gb` allows 0.000\n"
        "  = help: nothing was started; `dgen plan` lists what it makes\n"
    )
    assert not (at_work / "output").exists()


def test_run_within_its_limits_runs(at_work: Path) -> None:
    argv = ["toy", "--prompts", "a", "--seeds", "1", "--inference-steps", "1", "--max-images", "1", "--max-gb", "1"]
    assert main([*argv, "--quiet"]) == 0
    assert len(list((at_work / "output").glob("*.png"))) == 1


def test_plan_tells_the_time_that_earlier_runs_took(at_work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["toy", "--prompts", "a", "--seeds", "1", "2", "--inference-steps", "3"]
    assert main([*argv, "--max-minutes", "60"]) == 2
    assert capsys.readouterr().err == (
        "error[over-limit]: nobody knows how long this takes, so `--max-minutes` cannot allow it\n"
        "  = help: nothing was started; a run of a `sd` model on this machine leaves its time\n"
    )
    assert main(["plan", *argv]) == 0
    assert ", time unknown: no run of `sd` was timed here, " in capsys.readouterr().out
    assert main([*argv, "--quiet"]) == 0
    paces = at_work / ".cache" / "calibration" / "paces.json"
    (pace,) = json.loads(paces.read_text())
    assert (pace["family"], pace["device"], pace["pixels"]) == ("sd", "cpu", 64 * 64)
    paces.write_text(json.dumps([pace | {"step_s": 60.0, "rest_s": 15.0}]))
    assert main(["plan", *argv]) == 0
    assert "6 steps, about 6 min 30 s, up to" in capsys.readouterr().out
    assert main([*argv, "--output-size", "128x64", "--max-minutes", "12.9"]) == 2
    assert "takes about 13.0 minutes, and `--max-minutes` allows 12.9" in capsys.readouterr().err
    paces.write_text('[{"family": "sd", "pixels": 0}]')
    assert main(["plan", *argv]) == 0
    assert "time unknown" in capsys.readouterr().out


def test_plan_goes_on_after_a_failed_statement_as_the_run_does(
    at_work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (at_work / "s.dgen").write_text("toy --sedes 1\n\ntoy --prompts a --seeds 1 --inference-steps 1\n")
    assert main(["plan", "s.dgen", "--keep-going"]) == 2
    out, err = capsys.readouterr()
    assert "total: 1 job, 1 picture, 1 step" in out
    assert "did you mean `--seeds`?" in err


def test_sizes_of_parts_are_those_of_the_loaded_parts(at_work: Path) -> None:
    script = (
        "toy --prompts a --seeds 1 --inference-steps 1 --loras lora.safetensors --textual-inversions word\n\n"
        "toy-xl --prompts a --seeds 1 --inference-steps 1 --dtype bfloat16 --vae AutoencoderKL;model=other-vae\n\n"
        "toy --prompts a --seeds 1 --inference-steps 2 --image-seeds seed.png --control-nets edges\n"
    )
    plan = dgen.plan(script)
    with dgen.Session() as session:
        session.run(script)
        held = {(h.kind, Path(h.source).name, h.dtype): h.bytes for h in session._engine.holdings()}
    modules = {"unet", "vae", "text_encoder", "text_encoder_2", "controlnet"}
    planned = {(p.kind, p.source, p.dtype): p.bytes for p in plan.parts if p.kind in modules}
    measured = {key: count for key, count in held.items() if key[0] in modules}
    assert planned == pytest.approx(measured, abs=1024)  # text encoders number their places, in no file
    assert len(planned) == 8
    assert all(p.bytes for p in plan.parts if p.kind in {"lora", "textual_inversion"})


@pytest.mark.parametrize(
    ("words", "offload", "reason"),
    [
        ("", "none", "the job runs on the CPU"),
        ("--device cuda", "none", "if ALL are free on cuda; with PART its parts come one at a time"),
        ("--device cuda --device-memory 1GiB", "none", "its ALL fit into the 1.0 GiB of `--device-memory`"),
        ("--device cuda --device-memory 3500KiB", "model", "; its largest part of PART does"),
        ("--device cuda --device-memory 3000KiB", "group", "its largest part of PART does not fit into the 2.9 MiB"),
        ("--device cuda --offload sequential", "sequential", "`--offload` says so"),
        ("--device cuda --model-cpu-offload", "model", "`--model-cpu-offload` says so"),
    ],
)
def test_plan_says_what_memory_a_job_takes_and_why_weights_are_offloaded(
    at_work: Path, words: str, offload: str, reason: str
) -> None:
    plan = dgen.plan(f"toy --prompts a b --seeds 1 --inference-steps 1 --dtype float32 {words}\n")
    (demand,) = plan.demands
    sizes = [part.bytes or 0 for part in plan.parts]
    assert (demand.bytes, demand.largest_bytes, demand.offload) == (sum(sizes), max(sizes), offload)
    assert reason.replace("ALL", shown_bytes(sum(sizes))).replace("PART", shown_bytes(max(sizes))) in (demand.reason)


def test_model_of_another_machine_has_no_size(at_work: Path) -> None:
    plan = dgen.plan("org/unseen-model --prompts a --seeds 1")
    assert {p.bytes for p in plan.parts} == {None}
    assert plan.weights_bytes == 0


def test_plan_tells_what_the_cache_of_the_hub_knows_of_a_download(
    at_work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = at_work / "hub" / "models--org--big"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("0" * 40)
    index = place / "snapshots" / ("0" * 40)
    shutil.copytree("toy", index, ignore=shutil.ignore_patterns("*.safetensors"))
    size = json.dumps({"metadata": {"total_size": 3 * 2**30}, "weight_map": {}})
    (index / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(size)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(at_work / "hub"))
    assert main(["plan", "org/big", "--prompts", "a", "--seeds", "1"]) == 0
    out = capsys.readouterr().out
    assert "  unet of org/big (float32): to download, 3.0 GiB\n" in out
    assert "  vae of org/big (float32): not on this machine\n" in out
    assert out.endswith(" of unknown size, 3.0 GiB to download\n")


# ---- the property ----------------------------------------------------------------------------------------------


@st.composite
def statements(draw: st.DrawFn) -> str:
    """An invocation, with fixed seeds, that is quickly rendered."""
    words = ["toy", "--prompts", *draw(st.lists(st.sampled_from(["a", "'b c'"]), min_size=1, max_size=2))]
    words += ["--seeds", *map(str, draw(st.lists(st.integers(0, 2), min_size=1, max_size=2)))]
    words += ["--inference-steps", "2", "--output-size", "16x16"]
    words += ["-o", draw(st.sampled_from(["out", "out/deep", "other"]))]
    if draw(st.booleans()):
        words += ["--image-seeds", draw(st.sampled_from(["seed.png", "{{ quote(last_images[-1:] or 'seed.png') }}"]))]
    if draw(st.booleans()):
        words += ["--batch-size", "2", *draw(st.sampled_from([[], ["--batch-grid-size", "2x1"]]))]
    for rare in (["--output-configs"], ["--output-overwrite"], ["--image-format", "jpg"], ["--output-prefix", "p"]):
        words += rare if draw(st.integers(0, 3)) == 0 else []
    return " ".join(words)


@st.composite
def scripts(draw: st.DrawFn) -> str:
    """A few statements, some in a loop or behind a question."""
    lines: list[str] = []
    for statement in draw(st.lists(statements(), min_size=1, max_size=3)):
        frame = draw(st.sampled_from(["{}", "{{% for n in range(2) %}}\n{}\n{{% endfor %}}",
                                      "{{% if last_images | length > 1 %}}\n{}\n{{% endif %}}"]))  # fmt: skip
        lines.append(frame.format(statement))
    return "\n\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def runner() -> dgen.Session:
    """A session whose models stay loaded."""
    return dgen.Session()


@given(script=scripts())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plan_names_exactly_the_files_that_the_run_writes(
    at_work: Path, tmp_path_factory: pytest.TempPathFactory, runner: dgen.Session, script: str
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for entry in at_work.iterdir():
        (folder / entry.name).symlink_to(entry)
    given_files = set(os.listdir(folder))
    os.chdir(folder)
    _forget_last_images(runner)
    plan = dgen.plan(script)
    assert set(os.listdir(folder)) == given_files
    runner.run(script)
    written = {p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".dgen-")}
    made = {p for p in written if p.relative_to(folder).parts[0] not in given_files}
    assert {path.absolute() for job in plan.jobs for path in (*job.files, *job.configs)} == made


def _forget_last_images(session: dgen.Session) -> None:
    session._inner.provide(last_images=[], last_animations=[])
