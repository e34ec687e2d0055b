"""How long `dgen check` takes for scripts of 1,000 lines, as a user waits for it, beside a bare `python -c pass`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 7
SCRIPT = str(Path(sys.executable).parent / "dgen")
PLAIN = """\
some/model --prompts "a red circle number {n}; blurry"
--seeds 1 2 3
--inference-steps 20 30
--guidance-scales 5 7.5

"""
TEMPLATED = """\
\\set prompt_{n} a {{{{ colour }}}} circle number {n}
some/model --model-type sdxl --prompts "{{{{ prompt_{n} }}}}; blurry"
--seeds {{{{ seeds }}}}
--inference-steps 20 30

"""
HEAD = "\\set colour red\n\\setp seeds 7\n\\print {{ colour }} {{ seeds }}\n"


def seconds(argv: list[str]) -> float:
    """Run a command once; return its wall time."""
    start = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        commands = {"python -c pass": [sys.executable, "-c", "pass"]}
        for name, statement in (("plain", PLAIN), ("templated", TEMPLATED)):
            path = Path(folder) / f"{name}.dgen"
            path.write_text(HEAD + "".join(statement.format(n=n) for n in range(199)), encoding="utf-8")
            commands[f"check, {name}"] = [SCRIPT, "check", str(path)]
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, argv in commands.items():
                taken[name].append(seconds(argv))
    for name, times in taken.items():
        print(f"{name:16} {statistics.median(times):6.3f} s, best {min(times):6.3f} s   (goal for 1,000 lines: 0.5 s)")


if __name__ == "__main__":
    main()
