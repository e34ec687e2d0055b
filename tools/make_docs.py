"""Writes the reference pages of docs/ from the rows; with `--check` only says whether they are current."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from toy_annotators import BY_HAND

from dgen.diagnostic import CODES
from dgen.families.rows import FAMILIES
from dgen.families.samplers import SAMPLERS, SPACINGS
from dgen.help import all_rows, short_page, topics
from dgen.lang.directives import directives
from dgen.lang.functions import functions
from dgen.options.commands import COMMANDS
from dgen.plan.abilities import in_words
from dgen.processors import PROCESSORS, Detection, Processing
from dgen.schema import Option, rows_of
from dgen.values.uri import Uri, uris_in

ROOT = Path(__file__).resolve().parent.parent
GENERATED = "<!-- Written by tools/make_docs.py; edit the rows instead. -->\n\n"


def option_page() -> str:
    """Return the page that lists every option by topic."""
    parts = ["# Options\n\n" + GENERATED + "Several values of an option marked *swept* multiply.\n"]
    for topic, rows in topics(all_rows()).items():
        parts.append(f"\n## {topic.capitalize()}\n\n| Option | Value | | Meaning |\n|---|---|---|---|\n")
        parts += [_option_line(row) for row in rows]
        parts += [_argument_table(row, *pair) for row in rows for pair in uris_in(row.value).items()]
    return "".join(parts)


def _argument_table(row: Option, concept: str, uri: Uri) -> str:
    """Return the table of what can stand after a `;` in a URI."""
    lines = [f"\n`{row.flag} {concept};NAME=VALUE;…`\n\n| Argument | Value | Default | Meaning |\n|---|---|---|---|\n"]
    for name, argument in uri.rows().items():
        if not argument.positional and argument.value is not None:
            given = argument.default not in (None, ...)
            default = f"`{argument.value.format(argument.default)}`" if given else ""
            lines.append(f"| `{name}` | `{argument.value.metavar}` | {default} | {argument.help} |\n")
    return "".join(lines)


def _option_line(row: Option) -> str:
    place = row.value.metavar if row.value is not None else ""
    flags = ", ".join(f"`{s}`" for s in (row.flag, row.short, *row.aliases) if s) or f"`{place}`"
    value = f"`{row.value.metavar}`" if row.value is not None and not row.positional else ""
    kind = "swept" if row.sweep is not None else ("list" if row.many else "")
    default = row.implied if row.implied is not None else row.default
    said = ""
    if row.value is not None and default not in (None, False, "", (), ...) and (words := " ".join(row.words(default))):
        said = f" Default: `{words}`."
    return f"| {flags} | {value} | {kind} | {row.help}{said} |\n".replace("[;", "\\[;")


def command_page() -> str:
    """Return the page that lists the commands and their own options."""
    parts = ["# Commands\n\n" + GENERATED + "`dgen --sub-command NAME …` is another way to write `dgen NAME …`.\n"]
    for command in COMMANDS.values():
        parts.append(f"\n## {command.name}\n\n`{command.usage}`\n\n{command.help[0].upper()}{command.help[1:]}.\n")
        if command.is_directive:
            parts.append(f"In scripts: `\\{command.directive}`, with the same arguments.\n")
        if command.rows:
            parts.append("\n| Option | Value | | Meaning |\n|---|---|---|---|\n")
            parts += [_option_line(row) for row in command.rows.values()]
    return "".join(parts)


def error_page() -> str:
    """Return the page that explains every diagnostic code, with a real example where a golden file has one."""
    parts = ["# Errors\n\n" + GENERATED + "Exit codes: 0 ok, 1 a job failed, 2 bad script or usage, 130 interrupted.\n"]
    examples = _examples()
    for code, meaning in sorted(CODES.items()):
        parts.append(f"\n## {code}\n\n{meaning}\n")
        if code in examples:
            parts.append(f"\n```\n{examples[code]}\n```\n")
    return "".join(parts)


def _examples() -> dict[str, str]:
    """Map codes to the first golden rendering that starts with them."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "tests" / "golden" / "errors").glob("*.err")):
        text = path.read_text(encoding="utf-8").strip()
        found.setdefault(_code_of(text), text)
    for path in sorted((ROOT / "tests" / "golden" / "commands").glob("*.txt")):
        for block in re.split(r"^\$ .*\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if block.startswith("error["):
                found.setdefault(_code_of(block), re.split(r"^(?:\[\d+\]$|error\[)", block, flags=re.M)[0].strip())
    return found


def _code_of(rendering: str) -> str:
    return rendering.partition("[")[2].partition("]")[0]


def directive_page() -> str:
    """Return the page that describes every directive, in the order of their names."""
    rows = sorted({row.name: row for row in directives().values()}.values(), key=lambda row: row.name)
    parts = ["# Directives\n\n" + GENERATED + "`…` stands for any number of words, `[…]` for what may be left out.\n"]
    for row in rows:
        parts.append(f"\n## \\\\{row.name}\n\n`{row.usage}`\n\n{row.help}\n")
        parts += [f"Also `\\{alias}`.\n" for alias in row.aliases]
        parts += [_example(script, output) for script, output in row.examples]
    return "".join(parts)


def _example(script: str, output: str) -> str:
    shown = f"```text\n{output.rstrip(chr(10))}\n```\n" if output else ""
    return f"\n```dgen\n{script}\n```\n{shown}"


def function_page() -> str:
    """Return the page that describes every template function, in the order of their names."""
    rows = sorted(functions().values(), key=lambda row: (row.is_builtin, row.name))
    head = "Each is a filter too: `{{ last(xs) }}` is `{{ xs | last }}`.\n"
    parts = [f"# Functions\n\n{GENERATED}{head}\n| Function | Meaning | Example |\n|---|---|---|\n"]
    for row in rows:
        shown = "; ".join(f"`{template}` gives `{result}`" for template, result in row.examples)
        parts.append(f"| `{row.usage}` | {row.help} | {shown} |\n")
    return "".join(parts)


def example_page() -> str:
    """Return the page that shows every example with its pictures."""
    parts = ["# Examples\n\n" + GENERATED.replace("rows", "scripts in examples/")]
    parts.append("All run with the built-in model, without a download: `dgen examples/NAME.dgen`.\n")
    for path in sorted((ROOT / "examples").glob("*.dgen")):
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        title = path.stem.replace("-", " ").capitalize()
        parts.append(f"\n## {title}\n\n![What {path.name} makes](pictures/{path.stem}.png)\n")
        parts.append("\n```\n" + "\n".join(lines) + "\n```\n")
    return "".join(parts)


def processor_page() -> str:
    """Return the page that lists the image processors and their arguments."""
    parts = ["# Image processors\n\n" + GENERATED]
    parts.append("Written `NAME;argument=value;…`. [plugins.md](plugins.md) says how to write one.\n")
    parts.append("The examples start from this picture:\n\n![photo.png](pictures/processors/photo.png)\n")
    parts += ["\n## All of them\n\n", *_argument_rows(rows_of(Processing).values())]
    parts += ["\n## Those that look for something\n\n", *_argument_rows(_own(Detection, Processing))]
    for name, row in sorted(PROCESSORS.rows().items()):
        parts.append(f"\n## {name}\n\n{row.help}\n")
        base = Detection if issubclass(row.options, Detection) else Processing
        if own := list(_own(row.options, base)):
            parts += ["\n", *_argument_rows(own)]
        if base is Detection:
            parts.append("\nIt looks for something.\n")
        if row.example:
            by_hand = ", here with weights that were set by hand" if row.has_model else ""
            shown = f"\n![What {name} makes{by_hand}](pictures/processors/{name}.png)\n"
            picture = shown + (f"\nWhat it makes{by_hand}.\n" if by_hand else "")
            picture = "" if row.has_model and name not in BY_HAND else picture
            before = (
                "MODEL --prompts TEXT --post-processors" if row.repaints else "\\image_process photo.png --processors"
            )
            parts.append(f'\n```\n{before} "{row.example}"\n```\n{picture}')
    return "".join(parts)


_TOLD = """\
The family of a model is found by looking into it, and `dgen model MODEL` says what decided. `--model-type` always wins.

- A folder is told by the pipeline that its index names, or where that cannot be, by the channels of its denoiser.
- A checkpoint file is told by the names and shapes of its tensors.
- Families with the same tensors, such as FLUX.1 and FLUX.1 Kontext, are told apart by the index of `--model-config`,
  by the file's metadata (`modelspec.architecture`, `modelspec.title`), and at last by words in the file's name, as in
  `flux1-kontext-dev.safetensors`. A name never says what tensors contradict.
- A distilled model is told by its settings or tensors, and where those say nothing, by its name; it takes the steps and
  the guidance of its card.

"""


def family_page() -> str:
    """Return the page that lists the model families, their modes and what can be attached to their models."""
    parts = ["# Model families\n\n" + GENERATED + _TOLD]
    parts.append("| Family | Models | Modes | What can be attached |\n|---|---|---|---|\n")
    for family in FAMILIES.values():
        label = family.label[0].upper() + family.label[1:]
        parts.append(f"| `{family.name}` | {label} | {', '.join(family.pipelines)} | {in_words(family)} |\n")
    parts.append("\nModes in brackets are those in which it can, where it is not all of them.\n")
    return "".join(parts)


def _own(cls: type, base: type) -> Iterator[Option]:
    return (row for name, row in rows_of(cls).items() if name not in rows_of(base))


def _argument_rows(rows: Iterable[Option]) -> Iterator[str]:
    yield "| Argument | Value | Default | Meaning |\n|---|---|---|---|\n"
    for row in rows:
        if not row.positional and row.value is not None:
            given = row.default not in (None, ..., ())
            default = f"`{row.value.format(row.default)}`" if given else "must be given" if row.default is ... else ""
            yield f"| `{row.name.replace('_', '-')}` | `{row.value.metavar}` | {default} | {row.help} |\n"


def scheduler_page() -> str:
    """Return the page about schedulers: how they are named, and what other programs call them."""
    parts = [f"# Schedulers\n\n{GENERATED}{_SCHEDULERS}\n| Name | Scheduler | Arguments |\n|---|---|---|\n"]
    for name, (scheduler, arguments) in SAMPLERS.items():
        parts.append(f"| `{name}` | `{scheduler}` | {_said(arguments)} |\n")
    parts.append("\nAfter a name may stand how the steps are spaced, as in `DPM++ 2M Karras`:\n\n")
    parts.append("| Spacing | Arguments |\n|---|---|\n")
    parts += [f"| `{name}` | {_said(arguments)} |\n" for name, arguments in SPACINGS.items()]
    return "".join(parts)


def _said(arguments: Mapping[str, object]) -> str:
    return " ".join(f"`{name.replace('_', '-')}={str(value).lower()}`" for name, value in arguments.items())


_SCHEDULERS = """`--scheduler NAME;argument=value` chooses the sampler. A name is a class of diffusers, which may
lack `Scheduler` or be shortened as long as it means one; or what AUTOMATIC1111's web UI calls it,
below. Arguments are those of the class, `-` for `_`, lists with commas; `--scheduler help` lists
the classes that a model can use, `helpargs` their arguments. What is not said comes from the
model's own scheduler, or with `clone-config=false` from the class. Several schedulers are swept.

`--sigmas` gives the noise levels: falling numbers with or without the 0 at the end
(`14.6,3.8,0.9`), an expression over the scheduler's own (`"expr: sigmas * 0.95"`, `"expr:
np.linspace(sigmas[0], 0.03, 12)"`), or `AYS`, the levels of "Align Your Steps" (Sabour et al.
2024), bent to `--inference-steps` where that is not 10. `--timesteps` gives the timesteps, falling
whole numbers or `AYS`. A list says how many steps are taken. What a scheduler cannot take is told
before anything is loaded, with those that can.
"""


PAGES = {
    "docs/families.md": family_page, "docs/schedulers.md": scheduler_page, "docs/processors.md": processor_page,
    "docs/examples.md": example_page, "docs/options.md": option_page, "docs/commands.md": command_page,
    "docs/errors.md": error_page, "docs/directives.md": directive_page, "docs/functions.md": function_page,
    "src/dgen/help.txt": short_page,
}  # fmt: skip


def main(argv: list[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    stale = 0
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if "--check" not in argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{name} is not current: run `make docs`", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
