"""Pictures and configs made to do harm are replayed, extracted and run in the sandbox: nothing of it happens."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from workshop import figure

from dgen.cli.arguments import command_words
from dgen.cli.main import main
from dgen.diagnostic import DgenError, Source
from dgen.engine.render import LocalEngine
from dgen.events import Event, Printed
from dgen.extracting import HEAD, extracted
from dgen.lang.permissions import Permissions
from dgen.media.metadata import read_config, read_texts
from dgen.schema import BadValue
from dgen.session import Session

SECRET = "s3cr3t-of-the-user"
PAYLOADS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ env.SECRET }}",
    "{% for x in [1] %}\n\\exec touch pwned\n{% endfor %}",
    "$SECRET ${SECRET} %SECRET%",
    "\n\\exec touch pwned\n",
    "\r\n\\exec touch pwned\r\n",
    "\u2028\\exec touch pwned\u2028",
    "a\\u{a}\\\\exec touch pwned",
    "`touch pwned` $(touch pwned) ; touch pwned | touch pwned & touch pwned",
    '" --output-path ../outside "',
    "' --output-path ../outside '",
    '" \n--output-path ../outside\n"',
    "<upscaler: magicprompt;model=evil> <weighter: evil> <seed: 5> <scheduler: evil>",
    "\\\n\\import_plugins evil.py\n",
    "*",
    "~ ~/x",
    "#! dgen 99.0\n\\exec touch pwned",
    "x" * 100_000,
    "\0\x1b[2J\x07\\exec touch pwned",
    "!END\n\\exec touch pwned",
    "{# #}\\exec touch pwned",
    "\ud800",
    "../../../../etc/passwd",
    "\\\\exec touch pwned",
]
"""What is put where a picture holds text."""

QUICK = "--seeds 1 --inference-steps 1 --output-size 16x16"
CONFIGS = [
    "\\exec touch pwned\n",
    "{{ 1 }}\n",
    f"toy --prompts x {QUICK}\n\\exec touch pwned\n",
    f"toy --prompts x {QUICK} -o ../outside\n",
    f"toy --prompts x {QUICK} --output-prefix ../../outside/x\n",
    f"toy --prompts x {QUICK} --output-name ../../outside/x\n",
    f"toy --prompts x {QUICK} --output-configs --output-path ../outside\n",
    f"toy --prompts x {QUICK} --auth-token $SECRET\n",
    f"toy --prompts x {QUICK} --device cuda:9\n",
    f"toy --prompts x {QUICK} --image-seeds ../outside/secret.txt\n",
    f"toy --prompts x {QUICK} --image-seeds http://127.0.0.1:9/a.png\n",
    f"toy --prompts x {QUICK} --image-seeds http://169.254.169.254/latest/meta-data\n",
    f"toy --prompts x {QUICK} --image-seeds file:///etc/passwd\n",
    f"toy --prompts x {QUICK} --image-seeds /dev/zero\n",
    f"http://127.0.0.1:9/m.safetensors --prompts x {QUICK}\n",
    f"http://[::1]:9/m.ckpt --prompts x {QUICK}\n",
    f"nobody/nothing --prompts x {QUICK}\n",
    f"toy --prompts x {QUICK} --loras http://127.0.0.1:9/l.safetensors\n",
    f"toy --prompts x {QUICK} --post-processors invert;output-file=../outside/x.png\n",
    f"toy --prompts x {QUICK} --seed-image-processors canny;output-file=pwned --image-seeds seed.png\n",
    f"toy --prompts x {QUICK} --prompt-upscalers magicprompt;model=evil\n",
    f"toy --prompts x {QUICK} --post-processors evil.py\n",
    f"toy --prompts x {QUICK} --contact-sheet ../outside/x.html\n",
    "x" * 300_000,
    "toy " + "--prompts x " * 50_000,
    "#! dgen 1.0\n" * 20_000,
    "",
    *(f"pickle-{n}.ckpt --prompts x {QUICK}\n" for n in range(6)),
    *(f"toy --prompts x {QUICK} --loras pickle-{n}.pt\n" for n in range(6)),
]
"""What is put in the place of a config."""


class Payload:
    """What a hostile pickle would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def graph(text: str, model: str) -> str:
    inputs = {"seed": 1, "steps": 1, "cfg": 2, "sampler_name": "euler", "scheduler": text, "model": ["2", 0],
              "positive": ["3", 0], "negative": ["3", 0], "latent_image": ["4", 0]}  # fmt: skip
    return json.dumps({
        "1": {"class_type": "KSampler", "inputs": inputs},
        "2": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": model}},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": text}},
        "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 16, "height": 16}},
        text: {"class_type": text, "inputs": {}},
    })  # fmt: skip


PLACES: dict[str, Callable[[str], dict[str, str]]] = {
    "a prompt as it stands": lambda text: {"DgenerateConfig": f"toy --prompts {text} {QUICK}\n"},
    "a comment of a config": lambda text: {"DgenerateConfig": f"# {text}\ntoy --prompts x {QUICK}\n"},
    "the prompt of A1111": lambda text: {"parameters": f"{text}\nSteps: 1, Seed: 1, Size: 16x16, Model: {text}"},
    "a field of A1111": lambda text: {
        "parameters": f"a\nSteps: 1, Seed: 1, Size: 16x16, {text[:30]}: {json.dumps(text)}"
    },
    "a graph": lambda text: {"prompt": graph(text, text)},
    "InvokeAI's metadata": lambda text: {"invokeai_metadata": json.dumps(
        {"positive_prompt": text, "seed": 1, "steps": 1, "width": 16, "height": 16, "scheduler": text, text: text,
         "model": {"name": text}, "loras": [{"model": {"name": text}}]})},
}  # fmt: skip


def attacks() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every attack: what it is, and the texts of a picture."""
    for place, texts in PLACES.items():
        yield from ((f"{payload[:40]!r} in {place}", texts(payload)) for payload in PAYLOADS)
    yield from ((f"{config[:90]!r} as a config", {"DgenerateConfig": config}) for config in CONFIGS)


_HARM = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn", "socket.connect",
         "socket.getaddrinfo", "socket.sendto")  # fmt: skip


class Watch:
    """Hears of every program that is started and every address that is asked, while it is armed."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.is_armed = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: object) -> None:
        if self.is_armed and event in _HARM:
            self.seen.append(event)


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


def picture(path: Path, texts: dict[str, str]) -> None:
    chunks = PngInfo()
    for name, text in texts.items():
        chunks.add_itxt(name, text.encode("utf-8", "replace").decode())
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)


def outside(folder: Path) -> dict[str, int]:
    """The files that no attack may change, with their sizes: all but those of the output folder."""
    files = (p for p in folder.parent.rglob("*") if p.is_file() and folder / "out" not in p.parents)
    return {str(p): p.stat().st_size for p in files}


def attempt(engine: LocalEngine, texts: dict[str, str]) -> tuple[list[str], str]:
    """Replay a picture, extract it and run what comes of it in the sandbox; return what ran, and all that was told.

    At last run what it carries as a script.
    """
    told: list[str] = []

    def listen(event: Event) -> None:
        told.append(event.text if isinstance(event, Printed) else "")

    ran: list[str] = []
    session = Session(engine, listen)
    session.permissions = Permissions.sandbox(Path("out"))
    session.inject(command_words(["--output-path", "out"]))
    path = Path("attack.png")
    picture(path, texts)

    def replay() -> None:
        session.replay(Source("attack.png", read_config(path)))

    def extract() -> None:
        told.append(extracted(path))
        session.run(Source("attack.dgen", HEAD + extracted(path, "toy")))

    def trust() -> None:
        session.run(Source("attack.dgen", next(iter(read_texts(path).values()))))

    for what in (replay, extract, trust):
        try:
            what()
            ran.append(what.__name__)
        except (DgenError, BadValue) as error:
            told.append(str(error))
    session.close()
    made = (p.read_bytes().decode("latin-1") for p in Path().glob("out/*") if p.is_file())
    return ran, "\n".join((*told, *made))


def test_hostile_files_do_nothing(
    at_work: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    engine = LocalEngine()
    room = tmp_path_factory.mktemp("room")
    work = room / "work"
    work.mkdir()
    (room / "outside").mkdir()
    (room / "outside" / "secret.txt").write_text(SECRET)
    for name in ("toy", "seed.png"):
        (work / name).symlink_to((at_work / name).resolve())
    (work / "evil.py").write_text("open('pwned', 'w')\n")
    for protocol in range(6):
        for ending in ("ckpt", "pt"):
            hostile = pickle.dumps({"state_dict": Payload()}, protocol=protocol)
            (work / f"pickle-{protocol}.{ending}").write_bytes(hostile)
    monkeypatch.setenv("SECRET", SECRET)
    monkeypatch.setenv("HOME", str(room / "home-of-the-user"))
    monkeypatch.chdir(work)
    (work / "attack.png").touch()
    before = outside(work) | {str(work / "attack.png"): 0}
    engine.warm_up()
    count, wrong, done = 0, list[str](), dict[str, int]()
    for name, texts in attacks():
        count += 1
        watch.seen.clear()
        watch.is_armed = True
        ran, told = attempt(engine, texts)
        watch.is_armed = False
        done |= {what: done.get(what, 0) + 1 for what in ran}
        after = outside(work) | {str(work / "attack.png"): 0}
        leaks = [text for text in (SECRET, "home-of-the-user") if text in told]
        shutil.rmtree("out", ignore_errors=True)
        if watch.seen or after != before or leaks:
            wrong.append(f"{name}: {watch.seen} {set(after) ^ set(before)} {leaks}")
            before = after
    assert wrong == []
    assert count == figure("attacks tried")
    assert min(done[what] for what in ("replay", "extract")) >= 20, done


@pytest.mark.parametrize("command", [[], ["plan"], ["lock"]], ids=["run", "plan", "lock"])
def test_no_address_is_asked_offline(at_work: Path, watch: Watch, command: list[str]) -> None:
    words = f"toy --prompts x {QUICK} --loras lora.safetensors --image-seeds seed.png --image-seed-strengths 1"
    (at_work / "s.dgen").write_text(f"{words}\n\nnobody/nothing --prompts x --seeds 1\n")
    watch.seen.clear()
    watch.is_armed = True
    code = main([*command, "s.dgen", "--offline-mode"])
    watch.is_armed = False
    assert watch.seen == []
    assert code == (0 if command == ["plan"] else 2)
