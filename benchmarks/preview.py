"""What `--preview` costs: jobs with and without one, interleaved, on one loaded model; and its first fit."""

from __future__ import annotations

import statistics
import sys

import dgen

ROUNDS, STEPS = 9, 20
MODEL = sys.argv[1] if len(sys.argv) > 1 else "builtin:shapes"


def seconds(session: dgen.Session, every: int | None) -> float:
    """Render one job; return how long its pictures took."""
    invocation = dgen.Invocation(MODEL, prompts="a red circle", seeds=1, inference_steps=STEPS, preview=every)
    run = session.start(invocation, output_path="output/benchmark", output_overwrite=True)
    (rendered,) = [event for event in run if isinstance(event, dgen.events.JobRendered)]
    return rendered.seconds


def main() -> None:
    with dgen.Session() as session:
        seconds(session, None)
        warm = seconds(session, None)
        print(f"the fit of the colours, once a VAE: {seconds(session, 5) - warm:+.3f} s")
        measured: dict[int | None, list[float]] = {None: [], 5: [], 1: []}
        for _ in range(ROUNDS):
            for every, kept in measured.items():
                kept.append(seconds(session, every))
    plain = statistics.median(measured[None])
    for every, kept in measured.items():
        name = f"--preview {every}" if every else "no preview"
        print(f"{name:12} {statistics.median(kept):7.3f} s {statistics.median(kept) / plain:5.2f}x   ({STEPS} steps)")


if __name__ == "__main__":
    main()
