"""The command that proves pictures: `dgen verify`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from dgen.cli.arguments import CommandLine, command_words, read_command_line, script_paths
from dgen.cli.commands import LIMITS, front_of, refuse, settle
from dgen.cli.fronts import Front
from dgen.cli.interrupts import Interrupts
from dgen.diagnostic import Exit, Word, fail
from dgen.engine.render import LocalEngine
from dgen.events import Event, Warned, serial
from dgen.schema import BadValue
from dgen.verifying import Verdict, VerifyingSession

_MEANINGLESS = ("frozen", "resume", "incremental", *LIMITS, "keep_going", "save_failed")


def run(argv: Sequence[str]) -> int:
    """Run `dgen verify`; return its exit code: 0 when all pictures come out with the same pixels.

    Raises:
        DgenError: the command line is wrong, or a picture cannot be made again.
    """
    line = read_command_line(argv)
    refuse(line, *_MEANINGLESS)
    if not line.positional or line.files or line.assignments:
        raise fail("bad-arguments", "`verify` takes pictures, at least 1, and options for all of them", line.span)
    pictures = list(script_paths(line.positional))
    with front_of(line) as front:
        interrupts = Interrupts(serial(lambda event: _listen(front, event)), front.show)
        session = VerifyingSession(LocalEngine(interrupts.listen), interrupts.listen)
        try:
            with interrupts.heeded(session):
                verdicts = [_verified(session, line, Path(path), word) for path, word in pictures]
        finally:
            session.close()
    return Exit.OK if all(v.same_pixels for v in verdicts) else Exit.JOB_FAILED


def _listen(front: Front, event: Event) -> None:
    """Show nothing of the runs themselves but warnings."""
    if isinstance(event, Warned):
        front.listen(event)


def _verified(session: VerifyingSession, line: CommandLine, path: Path, word: Word) -> Verdict:
    settle(session, line)
    session.inject((*session.injected, *command_words(["--output-path", str(path.parent)])))
    try:
        verdict = session.verify(path)
    except BadValue as error:
        raise fail(error.code, error.message, word.span, error.help) from None
    print(json.dumps(as_object(verdict)) if "json" in line.asked else as_line(verdict), flush=True)
    return verdict


def as_object(verdict: Verdict) -> dict[str, object]:
    """Return a verdict as JSON has it; `psnr_db` is null where the pixels are the same."""
    psnr = None if verdict.same_pixels else round(verdict.psnr_db, 2)
    return {
        "path": verdict.path, "same_bytes": verdict.same_bytes, "same_pixels": verdict.same_pixels, "psnr_db": psnr,
        "ssim": round(verdict.ssim, 5), "reasons": list(verdict.reasons),
    }  # fmt: skip


def as_line(verdict: Verdict) -> str:
    """Return a verdict as a line."""
    if verdict.same_bytes:
        return f"{verdict.path}: the same bytes"
    told = (
        "the same pixels" if verdict.same_pixels else f"differs, PSNR {verdict.psnr_db:.1f} dB, SSIM {verdict.ssim:.4f}"
    )
    return f"{verdict.path}: {'; '.join((told, *verdict.reasons))}"
