"""Plugins that are packages: the one of the documentation as a wheel of its own, and one that fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two packages: the tutorial's, built and installed as it says, and one that fails to load."""
    source, site = tmp_path_factory.mktemp("vignette"), tmp_path_factory.mktemp("site")
    blocks = dict(BLOCK.findall((ROOT / "docs" / "plugin-package.md").read_text(encoding="utf-8")))
    (source / "pyproject.toml").write_text(blocks["toml"])
    (source / "dgen_vignette.py").write_text(blocks["py"])
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    assert wheel.name in blocks["console"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (site / "dgen_broken.py").write_text(
        "from dgen.plugins import Processing, image_processor\n\n\n"
        '@image_processor("half-done", Processing)\ndef half_done(said, image, bench):\n    """Do nothing."""\n'
        "    return image\n\n\nraise SystemExit(3)\n"
    )
    folder = site / "dgen_broken-2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: dgen-broken\nVersion: 2.0\n")
    (folder / "entry_points.txt").write_text("[dgen.plugins]\nbroken = dgen_broken\n")
    return site


def dgen(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-m", "dgen", *words], capture_output=True, text=True, env=environment, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_an_installed_plugin_is_used_and_one_that_fails_is_named_by_file_and_line(site: Path, at_work: Path) -> None:
    done = dgen(site, "image-process", "seed.png", "-p", "vignette;strength=1", "-o", "dark.png")
    assert done.returncode == 0, done.stderr
    pixels, dark = (np.asarray(Image.open(name).convert("RGB")) for name in ("seed.png", "dark.png"))
    assert (dark[0, 0] == 0).all()
    middle = (pixels.shape[0] // 2, pixels.shape[1] // 2)
    assert np.abs(dark[middle].astype(int) - pixels[middle]).max() <= 1
    assert "warning[bad-plugin]: the plugin `broken` of the package `dgen-broken` cannot be loaded: SystemExit: 3" in (
        done.stderr
    )
    assert " --> dgen_broken.py:10:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_scripts_and_the_list_of_plugins_find_it_and_a_sandbox_does_not(site: Path, at_work: Path) -> None:
    script = Path("s.dgen")
    script.write_text("\\image_process seed.png -p vignette -o output/dark.png\n")
    listed = dgen(site, "plugins", "--json")
    (own,) = [each for each in json.loads(listed.stdout) if each["name"] in ("vignette", "half-done")]
    assert (own["kind"], own["file"]) == ("image processor", "dgen_vignette.py")
    assert dgen(site, "check", "s.dgen").returncode == 0
    assert dgen(site, "s.dgen", "--quiet").returncode == 0
    assert Path("output/dark.png").exists()
    refused = dgen(site, "s.dgen", "--sandbox")
    assert refused.returncode == 2
    assert "no image processor named `vignette`" in refused.stderr


OWN = '''
from dgen.plugins import Processing, image_processor

@image_processor("twice-as-dark", Processing)
def dim(said, image, bench):
    """Make it dark."""
    return image.point(lambda v: v // 2)
'''


def test_plugins_that_the_command_line_names_are_there_from_the_first_statement(site: Path, at_work: Path) -> None:
    Path("own.py").write_text(OWN)
    Path("s.dgen").write_text(
        "\\image_process seed.png -p twice-as-dark -o x.png\n\\print {{ injected_plugin_modules }}\n"
    )
    assert dgen(site, "check", "s.dgen", "--plugin-modules", "own.py").returncode == 0
    done = dgen(site, "s.dgen", "--plugin-modules", "own.py")
    assert (done.returncode, done.stdout) == (0, "['own.py']\n"), done.stderr
    assert (np.asarray(Image.open("x.png")) == np.asarray(Image.open("seed.png").convert("RGB")) // 2).all()
    assert dgen(site, "image-process", "x.png", "-p", "twice-as-dark", "--plugin-modules", "own.py").returncode == 0
    assert Path("x_processed.png").exists()
    missing = dgen(site, "s.dgen", "--plugin-modules", "none.py")
    assert missing.returncode == 2
    assert "`none.py` is no plugin file and no folder of them" in missing.stderr
    assert dgen(site, "s.dgen", "--plugin-modules", "own.py", "--sandbox").returncode == 2
