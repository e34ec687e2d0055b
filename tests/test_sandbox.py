"""`--sandbox` lets a script make pictures in its output folder, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from dgen.cli.main import main

FAST = "--prompts x --seeds 1 --inference-steps 1"


def run(script: str, *flags: str) -> int:
    Path("story.dgen").write_text(script, encoding="utf-8")
    return main(["--sandbox", "story.dgen", "--quiet", *flags])


def test_pictures_are_made_in_the_output_folder(at_work: Path) -> None:
    assert run(f"toy {FAST}\n") == 0
    assert len(list((at_work / "output").glob("[!.]*"))) == 1


def test_the_command_line_names_the_folder(at_work: Path) -> None:
    assert run(f"toy {FAST}\n", "--output-path", "elsewhere") == 0
    assert len(list((at_work / "elsewhere").glob("[!.]*"))) == 1


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (f"toy {FAST} --output-path elsewhere", "write `elsewhere`"),
        (f"toy {FAST} --output-path output/../elsewhere", "outside its output folder"),
        ("\\exec python3 --version", "run programs"),
        ("\\import math", "import Python modules"),
        ("\\import_plugins .", "load plugins"),
        ("\\download x http://127.0.0.1:9/a.png", "use the network"),
        ("\\print {{ download('http://127.0.0.1:9/a.png') }}", "use the network"),
        ("\\setp x download('http://127.0.0.1:9/a.png')", "use the network"),
        ("\\print $HOME", "see the environment"),
        ("\\print {{ env.HOME }}", "see the environment"),
        ("\\setp x env['HOME']", "see the environment"),
        ("\\print {{ path.expanduser('~') }}", "see the environment"),
        ("\\ls ~", "see the environment"),
        ("\\env", "see or change the environment"),
        ("\\unset_env HF_TOKEN", "see or change the environment"),
        ("\\mkdir elsewhere", "write `elsewhere`"),
        ("\\include part.dgen as p", "write `elsewhere`"),
        ("{% if true %}\n\\mkdir elsewhere\n{% endif %}", "write `elsewhere`"),
    ],
)
def test_anything_else_is_refused(at_work: Path, capfd: pytest.CaptureFixture[str], script: str, what: str) -> None:
    (at_work / "part.dgen").write_text("\\mkdir elsewhere\n", encoding="utf-8")
    assert run(f"{script}\n") == 2
    errors = capfd.readouterr().err
    assert errors.startswith("error[sandboxed]: a sandboxed script may not ")
    assert what in errors
    assert not (at_work / "elsewhere").exists()


@pytest.mark.parametrize(
    ("allow", "script"),
    [
        (["exec"], "\\exec python3 --version"),
        (["plugins"], "\\import math"),
        (["env"], "\\print $HOME {{ env.HOME }}"),
        (["net,exec", "plugins"], "\\import math"),
        (["write=elsewhere"], "\\mkdir elsewhere/deep -p"),
        (["write=elsewhere"], f"toy {FAST} --output-path elsewhere"),
    ],
)
def test_doors_open_one_by_one(at_work: Path, allow: list[str], script: str) -> None:
    assert run(f"{script}\n") == 2
    assert run(f"{script}\n", "--allow", *allow) == 0


@pytest.mark.parametrize(
    ("script", "door"),
    [
        ("\\exec python3 --version", "exec"),
        ("\\import math", "plugins"),
        ("\\print $HOME", "env"),
        ("\\mkdir elsewhere", "write=FOLDER"),
        ("\\download x http://127.0.0.1:9/a.png", "net"),
        (f"toy {FAST} --image-seeds http://127.0.0.1:9/a.png --image-seed-strengths 1", "net"),
        (f"nobody/nothing {FAST}", "net"),
    ],
)
def test_refusal_names_the_door_that_it_takes(
    at_work: Path, capfd: pytest.CaptureFixture[str], script: str, door: str
) -> None:
    others = ",".join({"net", "exec", "plugins", "env"} - {door})
    assert run(f"{script}\n", "--allow", others) == 2
    assert f"  = help: `--allow {door}` allows it, if you trust what it comes from\n" in capfd.readouterr().err


def test_door_that_is_none_is_told(at_work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(f"toy {FAST}\n", "--allow", "nett") == 2
    assert "nothing to allow is called `nett`" in capfd.readouterr().err


def test_a_model_is_not_fetched(at_work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert run(f"nobody/nothing {FAST}\n") == 2


def test_an_address_is_not_fetched(at_work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(f"toy {FAST} --image-seeds http://127.0.0.1:9/a.png --image-seed-strengths 1\n") == 2
    assert "error[offline]" in capfd.readouterr().err
