"""A video through img2img of a toy model, by dgen and by a loop that is written by hand: frames a second, and memory.

Each side runs in a process of its own, in turns; the loading of the model is not counted. `--frames` sets the length.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

SIDE = 64
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))


def resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def pace(times: list[float], memory: list[int], busy: list[float]) -> dict[str, float]:
    """Frames a second after the first tenth, milliseconds of work a frame, and how much memory grew from then on."""
    start = len(times) // 10
    work = 1000 * (busy[-1] - busy[start]) / (len(busy) - 1 - start)
    grown = memory[-1] / memory[start] - 1
    return {
        "fps": (len(times) - 1 - start) / (times[-1] - times[start]),
        "grown": grown,
        "mib": memory[-1] / 2**20,
        "work": work,
    }


def by_dgen(model: str, video: str, folder: str) -> dict[str, float]:
    from dgen.api import Invocation, Session
    from dgen.events import FrameDone

    times: list[float] = []
    memory: list[int] = []
    busy: list[float] = []

    def listen(event: Any) -> None:
        if isinstance(event, FrameDone):
            times.append(time.perf_counter())
            memory.append(resident_bytes())
            busy.append(time.process_time())

    with Session(listener=listen, output_path=folder) as session:
        session.run(
            Invocation(
                model, prompts="x", seeds=1, inference_steps=1, image_seeds=video, image_seed_strengths=1,
                no_frames=True,
            )
        )  # fmt: skip
    return pace(times, memory, busy)


def by_hand(model: str, video: str, folder: str) -> dict[str, float]:
    warnings.simplefilter("ignore")
    import imageio_ffmpeg
    import numpy as np
    import torch
    from diffusers import StableDiffusionImg2ImgPipeline
    from PIL import Image

    pipe = StableDiffusionImg2ImgPipeline.from_pretrained(model, safety_checker=None)
    pipe.set_progress_bar_config(disable=True)
    reader = imageio_ffmpeg.read_frames(video)
    facts = next(reader)
    writer = imageio_ffmpeg.write_frames(f"{folder}/hand.mp4", facts["size"], fps=facts["fps"])
    writer.send(None)
    times: list[float] = []
    memory: list[int] = []
    busy: list[float] = []
    for frame in reader:
        image = Image.frombytes("RGB", facts["size"], frame)
        named = {"strength": 1.0, "num_inference_steps": 1, "guidance_scale": 5.0}
        made = pipe("x", image=image, generator=torch.Generator("cpu").manual_seed(1), **named).images[0]
        writer.send(np.asarray(made).tobytes())
        times.append(time.perf_counter())
        memory.append(resident_bytes())
        busy.append(time.process_time())
    writer.close()
    return pace(times, memory, busy)


SIDES = {"dgen": by_dgen, "hand": by_hand}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        print(json.dumps(SIDES[asked.side[0]](*asked.side[1:])))
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as room:
        words = prepare(Path(room), asked.frames)
        for _ in range(asked.rounds):
            for name in SIDES:
                command = [sys.executable, __file__, "--side", name, *words]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    for name, runs in found.items():
        told = {key: round(median(run[key] for run in runs), 3) for key in runs[0]}
        work, memory = f"{told['work']} ms of work each", f"{told['mib']} MiB, grown by {told['grown']:.1%}"
        print(f"{name}: {told['fps']} frames a second, {work}, {memory}")
    pairs = list(zip(found["dgen"], found["hand"], strict=True))
    speed, work = (median(a[key] / b[key] for a, b in pairs) for key in ("fps", "work"))
    print(f"dgen / hand: {speed:.2f} of the speed, {work:.2f} of the work")


def prepare(folder: Path, frames: int) -> list[str]:
    import imageio_ffmpeg
    import toy_models

    toy_models.make_sd(folder / "toy")
    video = folder / "source.mp4"
    shape = ("-f", "lavfi", "-i", f"testsrc=size={SIDE}x{SIDE}:rate=25")
    words = (*shape, "-frames:v", str(frames), "-pix_fmt", "yuv420p", str(video))
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *words], check=True)
    return [str(folder / "toy"), str(video), str(folder)]


if __name__ == "__main__":
    main()
