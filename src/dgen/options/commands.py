"""The commands of the program, as rows: what `dgen NAME` runs and what its own options are."""

from __future__ import annotations

from dgen.options.subcommands import (
    Auto1111Options,
    CivitaiOptions,
    ConversionOptions,
    ModelPageOptions,
    ProcessOptions,
    UpscaleOptions,
)
from dgen.schema import Kind, Option, opt, options, rows_of
from dgen.values.scalars import Choice, FilePath, Text


@options("check")
class CheckOptions:
    """Options of `dgen check`."""

    json: bool = opt(False, flag="--json", excludes=("sarif",), help="Print what is found as a list of JSON objects.")
    sarif: bool = opt(False, flag="--sarif", help="Print what is found as SARIF 2.1.0, as code scanners read it.")
    strict: bool = opt(False, flag="--strict", help="Let warnings count as errors.")
    fix: bool = opt(False, flag="--fix", help="Write new names for old spellings, which changes no meaning.")
    set: tuple[str, ...] = opt(
        (), flag="--set", many=True, value=Text(metavar="NAME=TEXT"), help="Set variables before each script."
    )
    setp: tuple[str, ...] = opt(
        (), flag="--setp", many=True, value=Text(metavar="NAME=EXPRESSION"),
        help="Set variables to the value of an expression before each script.",
    )  # fmt: skip
    plugin_modules: tuple[str, ...] = opt(
        (), flag="--plugin-modules", many=True, value=FilePath("FILE"),
        help="Load plugin files, or folders of them, before the first script.",
    )  # fmt: skip


@options("extract")
class ExtractOptions:
    """Options of `dgen extract`."""

    output_path: str | None = opt(
        None, flag="--output", short="-o", value=FilePath("FILE"), help="Write a file instead of standard output."
    )
    model: str | None = opt(
        None, flag="--model", value=Text(metavar="MODEL"),
        help="The model to write, whatever the picture names: other programs tell the name of its file at most.",
    )  # fmt: skip


@options("fmt")
class LayoutOptions:
    """Options of `dgen fmt`."""

    check: bool = opt(False, flag="--check", help="Change nothing; list the files that would change and exit with 1.")


@options("models")
class ModelsOptions:
    """Options of `dgen models`."""

    json: bool = opt(False, flag="--json", help="Print the list as JSON objects.")


@options("families")
class FamiliesOptions:
    """Options of `dgen families`."""

    families: tuple[str, ...] = opt(
        (), positional=True, many=True, value=Text(metavar="FAMILY"), help="Families to tell all about, not just list."
    )
    json: bool = opt(False, flag="--json", help="Print the list as JSON objects.")


@options("plugins")
class PluginsOptions:
    """Options of `dgen plugins`."""

    files: tuple[str, ...] = opt(
        (), positional=True, many=True, value=FilePath("FILE"), help="Plugin files, or folders of them, to load too."
    )
    json: bool = opt(False, flag="--json", help="Print the list as JSON objects.")


@options("doctor")
class DoctorOptions:
    """Options of `dgen doctor`."""

    json: bool = opt(False, flag="--json", help="Print what is found as a list of JSON objects.")


@options("completion")
class CompletionOptions:
    """Options of `dgen completion`."""

    shell: str | None = opt(
        None, positional=True, value=Choice(("bash", "zsh", "fish"), metavar="SHELL"),
        help="The shell to write the script for.",
    )  # fmt: skip


class Command(Kind):  # for the making alone: a dataclass would cost every start half a millisecond
    """A command; `entry` is the function that gets the whole command line, and `options` declares its own rows.

    One that is a directive too is the function `run` of its module in `dgen.commands`.
    """

    name: str
    arguments: str
    help: str
    entry: str
    options: type | None = None

    @property
    def is_directive(self) -> bool:
        """Whether scripts have it too."""
        return self.entry == _BOTH

    @property
    def directive(self) -> str:
        """Its name as a directive."""
        return self.name.replace("-", "_")

    @property
    def rows(self) -> dict[str, Option]:
        """The options of the command itself; none of its own: those of an invocation."""
        return rows_of(self.options) if self.options is not None else {}

    @property
    def usage(self) -> str:
        """The command as a user writes it."""
        return f"dgen {self.name} {self.arguments}".rstrip()


_RUN = "dgen.cli.commands:run"
_BOTH = "dgen.cli.alone:run"

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("run", "SCRIPT... [OPTIONS]", "run files of any name as scripts", _RUN),
        Command("plan", "SCRIPT... [OPTIONS]", "say what a run would make: pictures, files, models, sizes; --json too",
                "dgen.cli.planning:run"),
        Command("replay", "FILE... [OPTIONS]", "make a picture again from the picture, or from its .dgen", _RUN),
        Command("extract", "PICTURE... [OPTIONS]",
                "write the script that a picture carries; of AUTOMATIC1111, ComfyUI and InvokeAI too",
                "dgen.cli.extract:run", ExtractOptions),
        Command("verify", "PICTURE... [OPTIONS]", "make pictures again in memory, and compare",
                "dgen.cli.verify:run"),
        Command("lock", "SCRIPT [OPTIONS]", "write down the models and inputs of a script, for `--frozen`",
                "dgen.cli.lock:run"),
        Command("why", "SCRIPT|PICTURE... [OPTIONS]", "say why `--incremental` would render pictures: what has changed",
                "dgen.cli.why:run"),
        Command("repl", "[SCRIPT...] [OPTIONS]", "start a session: type statements one by one, models stay loaded",
                "dgen.repl.main:run"),
        Command("check", "SCRIPT...", "find the mistakes of scripts without running them", "dgen.cli.tools:check",
                CheckOptions),
        Command("fmt", "SCRIPT...", "lay scripts out in one way, never changing what they do", "dgen.cli.tools:fmt",
                LayoutOptions),
        Command("models", "", "list the models that come with dgen", "dgen.cli.models:run", ModelsOptions),
        Command("families", "[FAMILY...]",
                "list the model families with their modes and what can be attached; tell all about those named",
                "dgen.cli.families:run", FamiliesOptions),
        Command("plugins", "[FILE...]", "list the plugins that come with dgen, or those of plugin files",
                "dgen.cli.plugins:run", PluginsOptions),
        Command("doctor", "", "say what is installed, what this machine has, and what is missing",
                "dgen.cli.doctor:run", DoctorOptions),
        Command("completion", "SHELL", "write a script that completes command lines, for bash, zsh or fish",
                "dgen.cli.completion:run", CompletionOptions),
        Command("model", "MODEL [OPTIONS]", "say what a model consists of and what it accepts; nothing is loaded",
                _BOTH, ModelPageOptions),
        Command("to-diffusers", "MODEL -o FOLDER [OPTIONS]", "write a model as a folder in diffusers layout", _BOTH,
                ConversionOptions),
        Command("image-process", "IMAGE... --processors NAME...", "change pictures with image processors", _BOTH,
                ProcessOptions),
        Command("prompt-upscale", "--prompts PROMPT... --upscalers NAME...", "rewrite prompts, or make several of one",
                _BOTH, UpscaleOptions),
        Command("civitai-links", "URL [--token TOKEN]", "list what a CivitAI model page offers, as links to use", _BOTH,
                CivitaiOptions),
        Command("auto1111-metadata", "IMAGE [OPTIONS]",
                "write the `parameters` text that other programs read into a picture of dgen", _BOTH, Auto1111Options),
    )
}  # fmt: skip
