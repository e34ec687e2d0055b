"""The arrows of the design hold: which part of dgen may import which."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "src" / "dgen"
HEAVY = {"torch", "diffusers", "transformers", "accelerate", "safetensors", "peft"}

BASE = {"diagnostic", "schema", "resources", "values", "__init__"}
FLOW = BASE | {"options", "families", "plan", "lang", "engine", "media", "events"}
"""What sees a statement on its whole way."""

MAY_IMPORT: dict[str, set[str]] = {
    "__init__": {"api", "diagnostic", "events"},
    "diagnostic": set(),
    "resources": set(),
    "builtin": set(),
    "schema": {"diagnostic"},
    "values": {"diagnostic", "resources", "schema"},
    "registry": BASE,
    "processors": BASE | {"registry"},
    "detectors": BASE | {"processors", "registry"},
    "networks": BASE,
    "options": BASE | {"detectors", "processors"},
    "families": BASE | {"cache", "registry"},
    "plan": BASE | {"families", "options"},
    "cache": set(),
    "addresses": BASE,
    "fetch": BASE | {"addresses", "cache"},
    "lang": BASE | {"cache", "detectors", "options", "processors", "registry", "upscalers", "refiners", "weighters"},
    "events": BASE,
    "engine": BASE
    | {"builtin", "events", "families", "fetch", "options", "plan", "processors", "registry", "upscalers"}
    | {"refiners", "weighters"},
    "media": BASE | {"fetch", "options", "plan"},
    "help": BASE | {"options"},
    "config": BASE | {"engine", "lang", "options", "plan", "processors"},
    "upscalers": BASE | {"registry"},
    "refiners": BASE | {"registry"},
    "weighters": BASE | {"registry"},
    "retouching": BASE | {"engine", "media", "options", "plan"},
    "repainting": BASE | {"detectors", "processors"},
    "misprocessing": BASE | {"families", "media", "options", "plan", "processors"},
    "developer": BASE | {"engine", "media", "misprocessing", "plan", "processors"},
    "darkroom": BASE
    | {"developer", "engine", "families", "media", "misprocessing", "options", "plan", "processors", "retouching"},
    "upscaling": BASE | {"engine", "options", "plan", "preflight", "registry", "upscalers"},
    "detailing": BASE
    | {"detectors", "engine", "families", "media", "options", "plan", "processors", "registry", "retouching"},
    "plugins": BASE
    | {"detectors", "families", "lang", "networks", "options", "processors", "repainting", "upscalers", "refiners"}
    | {"weighters"},
    "preflight": BASE
    | {
        "detailing",
        "detectors",
        "engine",
        "families",
        "help",
        "media",
        "misprocessing",
        "options",
        "plan",
        "processors",
        "registry",
    }
    | {"refiners", "retouching", "weighters"},
    "commands": FLOW
    | {"config", "darkroom", "fetch", "misprocessing", "preflight", "processors", "upscalers", "upscaling"},
    "telling": BASE | {"engine", "events", "options", "plan"},
    "paging": BASE | {"config", "engine", "events", "media", "plan"},
    "patience": BASE | {"engine"},
    "calibration": BASE | {"cache", "events", "media", "plan"},
    "contact": BASE | {"config", "media", "options", "plan"},
    "filming": BASE | {"events", "media", "options", "paging", "plan"},
    "footage": BASE | {"engine", "events", "media", "options", "paging", "plan"},
    "studio": FLOW
    | {
        "config",
        "contact",
        "darkroom",
        "detailing",
        "filming",
        "footage",
        "paging",
        "patience",
        "preflight",
        "telling",
    },
    "session": FLOW
    | {
        "addresses",
        "commands",
        "misprocessing",
        "fetch",
        "filming",
        "help",
        "inertness",
        "preflight",
        "studio",
        "upscaling",
    },
    "terminal": BASE | {"media"},
    "repl": BASE
    | {"cli", "complete", "engine", "events"}
    | {"lang", "options", "plan", "session", "studio", "terminal"},
    "complete": BASE
    | {"builtin", "detectors", "engine", "families", "help", "lang"}
    | {"options", "plan", "processors", "registry", "upscalers", "refiners", "weighters"},
    "doctor": BASE | {"cache", "engine", "media"},
    "inertness": BASE | {"misprocessing", "lang", "options", "plan"},
    "foreign": BASE | {"families", "options"},
    "extracting": BASE | {"config", "foreign", "inertness", "media", "options", "plan", "preflight"},
    "demand": BASE | {"options"},
    "likeness": BASE,
    "verifying": BASE | {"footage", "likeness", "media", "session"},
    "locking": BASE | {"config", "engine", "media", "plan", "planning"},
    "explaining": BASE | {"media", "plan", "planning"},
    "forecast": BASE | {"demand", "engine", "footage", "media", "plan"},
    "planning": FLOW | {"calibration", "check", "darkroom", "demand", "filming", "footage", "forecast", "session"},
    "api": FLOW | {"cache", "check", "detailing", "forecast", "planning", "preflight", "session", "studio"},
    "check": FLOW | {"commands", "misprocessing", "preflight", "upscaling"},
    "cli": BASE
    | {"builtin", "calibration", "check", "complete", "doctor", "engine", "events", "explaining", "families"}
    | {
        "extracting",
        "forecast",
        "help",
        "lang",
        "locking",
        "media",
        "options",
        "plan",
        "planning",
        "registry",
        "session",
        "terminal",
        "verifying",
    },
    "__main__": {"cli"},
}
STDLIB_ONLY = {"diagnostic", "schema", "resources", "options", "values"}
MODULES = sorted(p for p in ROOT.rglob("*.py") if "models" not in p.relative_to(ROOT).parts)


def part_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file, as a dotted name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.update(f"{node.module}.{a.name}" for a in node.names)
    return found


def parts_imported(path: Path) -> set[str]:
    dotted = (m.split(".") for m in imported(path) if m.startswith("dgen."))
    known = {p.stem if p.is_file() else p.name for p in ROOT.iterdir()}
    return {d[1] if d[1] in known else "__init__" for d in dotted}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_module_imports_only_what_its_layer_may(path: Path) -> None:
    part = part_of(path)
    assert parts_imported(path) - {part} <= MAY_IMPORT[part]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_engine_imports_torch(path: Path) -> None:
    heavy = {m.split(".")[0] for m in imported(path)} & HEAVY
    assert not heavy or part_of(path) == "engine"


@pytest.mark.parametrize("path", [m for m in MODULES if part_of(m) in STDLIB_ONLY], ids=lambda p: p.name)
def test_schema_side_needs_the_standard_library_alone(path: Path) -> None:
    import sys

    outside = {m.split(".")[0] for m in imported(path)} - set(sys.stdlib_module_names) - {"dgen"}
    assert outside <= {"lark"}


def test_first_party_plugins_use_the_public_api_alone() -> None:
    for path in (ROOT.parent.parent / "plugins").rglob("*.py"):
        assert {m for m in imported(path) if m.startswith("dgen.") and not m.startswith("dgen.plugins.")} == set()
