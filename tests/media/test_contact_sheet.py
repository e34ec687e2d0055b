"""Contact sheets: the picture, and the page as a real browser shows it."""

from __future__ import annotations

import html
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dgen.cli.main import main
from dgen.contact import Axis, Cell, drawn

SWEEP = ["--prompts", "a dot", 'a </script> "line"', "--seeds", "1", "2", "10", "--inference-steps", "1"]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def run(*words: str) -> int:
    return main(["toy", *SWEEP, "-o", "out", "--quiet", *words])


def page(path: Path) -> dict[str, object]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', path.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])


def test_page_names_the_swept_options_and_every_picture_with_its_command(at_work: Path) -> None:
    assert run("--contact-sheet", "out/sheet.html") == 0
    sheet = page(Path("out/sheet.html"))
    assert sheet["axes"] == [
        {"name": "--prompts", "values": ["a dot", 'a </script> "line"']},
        {"name": "--seeds", "values": ["1", "2", "10"]},
    ]
    assert sheet["done"] is True
    cells = sheet["cells"]
    assert [c["file"] for c in cells] == [p.name for p in sorted(Path("out").glob("*.png"), key=_step)]
    assert all(c["thumb"].startswith("data:image/jpeg;base64,") for c in cells)
    command = cells[4]["command"]
    assert "--seeds 2" in command
    assert "https:" not in Path("out/sheet.html").read_text(encoding="utf-8")


def _step(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def test_command_of_a_cell_makes_its_picture_again(at_work: Path) -> None:
    assert run("--contact-sheet", "out/sheet.html") == 0
    cell = page(Path("out/sheet.html"))["cells"][4]
    assert main([*shlex.split(cell["command"])[1:], "-o", "again", "--quiet"]) == 0
    (path,) = Path("again").glob("*.png")
    assert path.read_bytes() == (Path("out") / cell["file"]).read_bytes()


def test_sheet_of_a_resumed_run_has_what_was_there_before(at_work: Path) -> None:
    assert run() == 0
    next(Path("out").glob("*.png")).unlink()
    assert run("--resume", "--contact-sheet", "sheet.html") == 0
    assert len(page(Path("sheet.html"))["cells"]) == 6
    assert page(Path("sheet.html"))["cells"][0]["file"].startswith("out/")


def test_frames_and_pictures_of_a_batch_are_axes(at_work: Path) -> None:
    words = ["--image-seeds", "moving.gif;32x32;frame-end=1", "--image-seed-strengths", "1", "--seeds", "1"]
    words = [*words, "--prompts", "x", "--inference-steps", "1", "-bs", "2", "-af", "frames", "-o", "out", "--quiet"]
    assert main(["toy", *words, "--contact-sheet", "out/sheet.html"]) == 0
    sheet = page(Path("out/sheet.html"))
    assert [a["name"] for a in sheet["axes"]] == ["frame", "picture"]
    assert len(sheet["cells"]) == 4


def test_picture_has_a_column_for_each_value_of_the_last_axis(at_work: Path) -> None:
    assert run("--contact-sheet", "sheet.png") == 0
    with Image.open("sheet.png") as image:
        one = drawn([], [Cell((1, 1), Path("a"), b"", (), "", False)])
        assert image.width - one.width > 2 * 160
        assert image.height > 2 * 64 > one.height


def test_axes_of_a_picture_are_written() -> None:
    axes = [Axis("--prompts", ("a", "b")), Axis("--seeds", ("1",))]
    cells = [Cell((n, 1), Path("a"), b"", (value, "1"), "", False) for n, value in enumerate("ab")]
    image = drawn(axes, cells).convert("L")
    assert image.crop((0, 40, 200, 80)).getextrema()[0] < 50
    assert image.crop((208, 0, 400, 24)).getextrema()[0] < 50


CLICKS = """
const told = {};
const count = () => document.querySelectorAll("figure").length;
const heads = () => [...document.querySelectorAll("thead th")].map((each) => each.textContent);
const set = (id, value, kind) => { byId(id).value = value; byId(id).dispatchEvent(new Event(kind)); };
told.all = count(); told.heads = heads();
byId("swap").click(); told.swapped = heads(); byId("swap").click();
set("order", "down", "change"); told.falling = heads(); set("order", "given", "change");
set("filter", "DOT", "input"); told.filtered = count(); set("filter", "", "input");
set("only-1", "2", "change"); told.only = count(); set("only-1", "all", "change");
document.querySelectorAll("figure img")[0].click(); document.querySelectorAll("figure img")[1].click();
told.compared = [...document.querySelectorAll("#compare.open > div p")].map((each) => each.textContent);
told.command = document.querySelector("#compare .copy").dataset.command;
document.querySelector("#compare > button").click(); told.closed = document.querySelectorAll("#compare.open").length;
const area = document.createElement("pre"); area.id = "told"; area.textContent = JSON.stringify(told);
document.body.append(area);
"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_page_filters_sorts_swaps_and_compares_in_a_browser(at_work: Path) -> None:
    assert run("--contact-sheet", "out/sheet.html") == 0
    text = Path("out/sheet.html").read_text(encoding="utf-8")
    clicked = Path("out/clicked.html")
    clicked.write_text(text.replace("</body>", f"<script>{CLICKS}</script></body>"), encoding="utf-8")
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={at_work}/b"]
    done = subprocess.run(
        [str(BROWSER), *words, "--dump-dom", clicked.resolve().as_uri()], capture_output=True, text=True, check=True
    )
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-2000:]
    told = json.loads(html.unescape(found[1]))
    assert told["all"] == 6
    assert told["heads"] == ["", "--seeds 1", "--seeds 2", "--seeds 10"]
    assert told["swapped"] == ["", "--prompts a dot", '--prompts a </script> "line"']
    assert told["falling"] == ["", "--seeds 10", "--seeds 2", "--seeds 1"]
    assert (told["filtered"], told["only"]) == (3, 2)
    assert told["compared"] == ["--prompts a dot, --seeds 1", "--prompts a dot, --seeds 2"]
    assert told["command"].startswith("dgen ")
    assert "--seeds 1 " in told["command"]
    assert told["closed"] == 0


class Chromium:
    """A browser without a window, told what to do through a pipe, as the DevTools protocol has it."""

    def __init__(self, profile: Path) -> None:
        (theirs, self._to), (self._from, mine) = os.pipe(), os.pipe()
        words = [
            str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip

        def place() -> None:  # the protocol's own file numbers; what dup2 makes is inherited
            there, back = os.dup(theirs), os.dup(mine)
            os.dup2(there, 3)
            os.dup2(back, 4)

        self.process = subprocess.Popen(
            words, preexec_fn=place, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(theirs)
        os.close(mine)
        self._told, self._number = b"", 0

    def ask(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        """Send a command and return its answer."""
        self._number += 1
        said = {"id": self._number, "method": method, "params": parameters}
        os.write(self._to, json.dumps(said | ({"sessionId": session} if session else {})).encode() + b"\0")
        told = self.wait_for(lambda told: told.get("id") == self._number)
        assert "error" not in told, told
        return told["result"]

    def wait_for(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the next message of a kind."""
        while True:
            while b"\0" not in self._told:
                self._told += os.read(self._from, 65536)
            line, _, self._told = self._told.partition(b"\0")
            if is_it(told := json.loads(line)):
                return told

    def close(self) -> None:
        os.close(self._to)
        self.process.kill()
        self.process.wait()
        os.close(self._from)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


WAITING = """(async () => {
  while (!document.querySelector(".copy")) await new Promise((done) => setTimeout(done, 20));
  const box = document.querySelector(".copy").getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()"""
COPIED = """(async () => {
  const button = document.querySelector(".copy");
  while (button.textContent !== "copied") await new Promise((done) => setTimeout(done, 20));
  return [button.dataset.command, await navigator.clipboard.readText()];
})()"""


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_click_copies_the_command_of_a_picture(at_work: Path) -> None:
    assert run("--contact-sheet", "out/sheet.html") == 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory="out"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{server.server_port}"
    browser = Chromium(at_work / "b")
    try:
        browser.ask("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        target = browser.ask("Target.createTarget", url="about:blank")["targetId"]
        page = browser.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        browser.ask("Page.enable", page)
        browser.ask("Page.navigate", page, url=f"{place}/sheet.html")
        browser.wait_for(lambda told: told.get("method") == "Page.loadEventFired")

        def evaluated(text: str) -> Any:
            asked = {"expression": text, "awaitPromise": True, "returnByValue": True}
            return browser.ask("Runtime.evaluate", page, **asked)["result"]["value"]

        x, y = evaluated(WAITING)
        for kind in ("mousePressed", "mouseReleased"):
            browser.ask("Input.dispatchMouseEvent", page, type=kind, x=x, y=y, button="left", clickCount=1)
        command, copied = evaluated(COPIED)
    finally:
        browser.close()
        server.shutdown()
        server.server_close()
    assert copied == command
    assert "--seeds" in copied
