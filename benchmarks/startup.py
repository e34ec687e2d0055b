"""How long `dgen --version` and `--help` take, as a ratio to a bare `python -c pass`, interleaved, medians."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 25
SCRIPT = str(Path(sys.executable).parent / "dgen")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "dgen --version": [SCRIPT, "--version"],
    "dgen --help": [SCRIPT, "--help"],
    "dgen --help --guidance-scales": [SCRIPT, "--help", "--guidance-scales"],
    "python -m dgen --help": [sys.executable, "-m", "dgen", "--help"],
}


def seconds(argv: list[str]) -> float:
    """Run a command once; return its wall time."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, argv in COMMANDS.items():
            taken[name].append(seconds(argv))
    base = statistics.median(taken["python -c pass"])
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:32} {median * 1000:7.1f} ms   {median / base:5.2f}x")


if __name__ == "__main__":
    main()
