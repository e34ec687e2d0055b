"""What concerns the program rather than an invocation."""

from __future__ import annotations

from dgen.schema import opt, options
from dgen.values.doors import DoorsText
from dgen.values.scalars import FilePath, Integer, Real, Text


@options("program")
class CommandOptions:
    """Options of the `dgen` command itself."""

    help: tuple[str, ...] | None = opt(
        None, flag="--help", short="-h", many=True, optional_value=True, value=Text(metavar="TOPIC"),
        help="Show help, on a topic or an option when one is named.",
    )  # fmt: skip
    version: bool = opt(False, flag="--version", help="Show the version.")
    file: tuple[str, ...] = opt(
        (), flag="--file", many=True, value=FilePath("SCRIPT"), excludes=("no_stdin",),
        help="Run scripts one after another in one session.",
    )  # fmt: skip
    set: tuple[str, ...] = opt(
        (), flag="--set", many=True, value=Text(metavar="NAME=TEXT"),
        help="Set variables before the first script.",
    )  # fmt: skip
    setp: tuple[str, ...] = opt(
        (), flag="--setp", many=True, value=Text(metavar="NAME=EXPRESSION"),
        help="Set variables to the value of an expression before the first script.",
    )  # fmt: skip
    shell: bool = opt(
        False, flag="--shell",
        help="Start a session, as `dgen repl` does; away from a terminal it reads statements from standard input.",
    )  # fmt: skip
    no_stdin: bool = opt(False, flag="--no-stdin", help="Never read a script from standard input.")
    keep_going: bool = opt(
        False, flag="--keep-going", help="Go on after a statement or a job failed; the exit code is 1 then."
    )
    save_failed: str | None = opt(
        None, flag="--save-failed", value=FilePath("SCRIPT"),
        help="With `--keep-going`, write the invocations that failed as a script; `--resume` with it makes the rest.",
    )  # fmt: skip
    retries: int | None = opt(
        None, flag="--retries", value=Integer(0, 100),
        help="When the network is out of reach or a server is overloaded, wait and try again, N times, before a job "
        "fails; the first pause is 2 seconds, each is twice the one before.",
    )  # fmt: skip
    resume: bool = opt(
        False, flag="--resume",
        help="Go on where an earlier run stopped: what its ledger has, and is whole, is kept; the rest is made.",
    )  # fmt: skip
    frozen: bool = opt(
        False, flag="--frozen",
        help="Refuse, before anything starts, when a model, an input or a version is not as `dgen lock` found it.",
    )  # fmt: skip
    incremental: bool = opt(
        False, flag="--incremental",
        help="Render only the jobs that changed since earlier runs into the same folder, whatever order they stood in "
        "and whatever name their pictures have; the rest is kept.",
    )  # fmt: skip
    max_images: int | None = opt(
        None, flag="--max-images", value=Integer(0),
        help="Refuse, before anything starts, to make more than N pictures.",
    )  # fmt: skip
    max_gb: float | None = opt(
        None, flag="--max-gb", value=Real(0),
        help="Refuse, before anything starts, to make pictures that can take more than X GB on the disk.",
    )  # fmt: skip
    max_minutes: float | None = opt(
        None, flag="--max-minutes", value=Real(0),
        help="Refuse, before anything starts, what takes longer than X minutes, as earlier runs on this machine tell.",
    )  # fmt: skip
    plugin_modules: tuple[str, ...] = opt(
        (), flag="--plugin-modules", many=True, value=FilePath("FILE"),
        help="Load plugin files, or folders of them, before the first script.",
    )  # fmt: skip
    sandbox: bool = opt(
        False, flag="--sandbox",
        help="Run no programs, no Python and no network, read no environment variables, and write nowhere but in the "
        "output folder.",
    )  # fmt: skip
    allow: tuple[tuple[str, ...], ...] = opt(
        (), flag="--allow", many=True, value=DoorsText(),
        help="Run in the sandbox, with doors open: the public network, programs, plugins, the variables of the "
        "environment, or another folder to write in. For a replay, which is always in the sandbox, too.",
    )  # fmt: skip
    sub_command: str | None = opt(
        None, flag="--sub-command", value=Text(metavar="NAME"),
        help="Run a command, as `dgen NAME` does; it stands first, and everything after it goes to the command.",
    )  # fmt: skip
    sub_command_help: tuple[str, ...] | None = opt(
        None, flag="--sub-command-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the commands; it stands first.",
    )  # fmt: skip
    quiet: bool = opt(False, flag="--quiet", help="Show nothing but errors.")
    json: bool = opt(False, flag="--json", help="Print what happens as JSON, one event a line.")
    directives_help: tuple[str, ...] | None = opt(
        None, flag="--directives-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the directives of the language.",
    )  # fmt: skip
    functions_help: tuple[str, ...] | None = opt(
        None, flag="--functions-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the functions of templates.",
    )  # fmt: skip
    image_processor_help: tuple[str, ...] | None = opt(
        None, flag="--image-processor-help", aliases=("--image-preprocessor-help",), many=True, optional_value=True,
        value=Text(metavar="NAME"), help="Describe the image processors, with their arguments when they are named.",
    )  # fmt: skip
    prompt_weighter_help: tuple[str, ...] | None = opt(
        None, flag="--prompt-weighter-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the prompt weighters, with their arguments when they are named.",
    )  # fmt: skip
    latents_processor_help: tuple[str, ...] | None = opt(
        None, flag="--latents-processor-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the latents processors, with their arguments when they are named.",
    )  # fmt: skip
    detector_help: tuple[str, ...] | None = opt(
        None, flag="--detector-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the detectors, with their arguments when they are named.",
    )  # fmt: skip
    prompt_upscaler_help: tuple[str, ...] | None = opt(
        None, flag="--prompt-upscaler-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the prompt upscalers, with their arguments when they are named.",
    )  # fmt: skip
    quantizer_help: tuple[str, ...] | None = opt(
        None, flag="--quantizer-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the quantizers, with their arguments when they are named.",
    )  # fmt: skip
    templates_help: tuple[str, ...] | None = opt(
        None, flag="--templates-help", many=True, optional_value=True, value=Text(metavar="NAME"),
        help="Describe the variables of templates.",
    )  # fmt: skip
