"""The completion scripts work in the shells they are for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest

from dgen.cli.main import main
from dgen.complete.shells import SHELLS
from dgen.help import all_rows
from dgen.options.commands import COMMANDS

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
LOAD = {
    "bash": "bind 'set show-all-if-ambiguous on' 'set enable-bracketed-paste off'; . ./script",
    "zsh": "autoload -Uz compinit && compinit -u -D; . ./script",
    "fish": "source ./script",
}
needs = {name: pytest.mark.skipif(not shutil.which(name), reason=f"there is no {name} here") for name in SHELLS}
every_shell = pytest.mark.parametrize("shell", [pytest.param(n, marks=needs[n] if n != "bash" else ()) for n in SHELLS])


class Typing:
    """A shell in a terminal, with its completion script loaded."""

    def __init__(self, shell: str, folder: Path) -> None:
        (folder / "script").write_text(SHELLS[shell](), encoding="utf-8")
        environment = {**os.environ, "TERM": "xterm", "PS1": "$ ", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        argv = START[shell]
        self._screen = pyte.Screen(160, 60)
        self._stream = pyte.ByteStream(self._screen)
        self._child = pexpect.spawn(argv[0], argv[1:], cwd=str(folder), env=environment, dimensions=(60, 160))
        self.type(f"{LOAD[shell]}; echo rea''dy\r", until="ready")

    def type(self, keys: str, until: str) -> str:
        """Type keys, and read until a text is on the screen; return the screen."""
        self._child.send(keys)
        for _ in range(1200):
            if any(until in line for line in self._screen.display):
                break
            try:
                self._stream.feed(self._child.read_nonblocking(65536, timeout=0.1))
            except pexpect.TIMEOUT:
                continue
        else:
            pytest.fail(f"`{until}` never came:\n{self.screen}")
        return self.screen

    @property
    def screen(self) -> str:
        """What the terminal shows."""
        return "\n".join(line.rstrip() for line in self._screen.display).strip()

    def close(self) -> None:
        """End the shell."""
        self._child.close(force=True)


@pytest.fixture
def typing(shell: str, tmp_path: Path) -> Iterator[Typing]:
    (tmp_path / "story.dgen").touch()
    (tmp_path / "folder").mkdir()
    found = Typing(shell, tmp_path)
    yield found
    found.close()


@every_shell
def test_tab_completes_an_option_that_is_the_only_one(typing: Typing) -> None:
    typing.type("dgen toy --guidance-r\t", until="dgen toy --guidance-rescales")


@every_shell
def test_tab_lists_options_with_their_help(typing: Typing, shell: str) -> None:
    screen = typing.type("dgen toy --image-seed\t\t", until="--image-seed-strengths")
    if shell != "bash":
        assert "How much of the image is repainted" in screen


@every_shell
def test_tab_offers_the_values_of_a_choice(typing: Typing) -> None:
    screen = typing.type("dgen toy --seeds 1 2 --dtype \t\t", until="bfloat16")
    assert "float16" in screen
    assert "story.dgen" not in screen


@every_shell
def test_tab_completes_a_second_value_of_a_swept_option(typing: Typing) -> None:
    typing.type("dgen toy --scheduler DDIMScheduler EulerAnc\t", until="DDIMScheduler EulerAncestralDiscreteScheduler")


@every_shell
def test_tab_offers_commands_and_models_first(typing: Typing) -> None:
    typing.type("dgen doct\t", until="dgen doctor")
    typing.type("\x15dgen builtin:sh\t", until="dgen builtin:shapes")


@every_shell
def test_tab_offers_the_options_of_a_command_alone(typing: Typing) -> None:
    typing.type("dgen check --str\t", until="dgen check --strict")
    typing.type("\x15dgenerate completion z\t", until="dgenerate completion zsh")


@every_shell
def test_tab_offers_files_and_folders(typing: Typing) -> None:
    typing.type("dgen check sto\t", until="dgen check story.dgen")
    typing.type("\x15dgen toy --output-path fol\t", until="dgen toy --output-path folder/")


@pytest.mark.parametrize("shell", list(SHELLS))
def test_script_knows_every_row(shell: str) -> None:
    script = SHELLS[shell]()
    for row in [*all_rows().values(), *(r for c in COMMANDS.values() for r in c.rows.values())]:
        assert all(spelling in script for spelling in row.spellings), row.name
    assert all(name in script for name in COMMANDS)


@every_shell
def test_script_is_one_the_shell_can_read(shell: str, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(SHELLS[shell](), encoding="utf-8")
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True, capture_output=True)


def test_command_prints_the_script_without_importing_a_model_library() -> None:
    program = (
        "import sys; from dgen.cli.main import main; main(['completion', 'bash']);"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout == SHELLS["bash"]()


def test_shell_is_named_and_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 2
    assert "shells are `bash`, `zsh`, `fish`" in capsys.readouterr().err
    assert main(["completion", "fihs"]) == 2
    assert "did you mean `fish`?" in capsys.readouterr().err
