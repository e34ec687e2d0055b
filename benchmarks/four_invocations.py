"""A script of four invocations against the same work written by hand with diffusers, interleaved, medians.

Each side runs in processes of its own on one toy model, four seeds an invocation: plain, another scheduler, an image
to start from, inpainting. Wall time and peak memory are given as ratios of dgen to the hand-written program.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = int(os.environ.get("ROUNDS", "7"))
STEPS = 10
ROOT = Path(__file__).resolve().parent.parent

SCRIPT = f"""
toy --prompts "a red circle; blurry" --seeds 1 2 3 4 --inference-steps {STEPS} -o dgen/plain
toy --prompts "a red circle; blurry" --seeds 1 2 3 4 --inference-steps {STEPS} -o dgen/euler \\
    --scheduler EulerDiscreteScheduler
toy --prompts "a red circle; blurry" --seeds 1 2 3 4 --inference-steps {STEPS} -o dgen/img2img --image-seeds seed.png
toy --prompts "a red circle; blurry" --seeds 1 2 3 4 --inference-steps {STEPS} -o dgen/inpaint \\
    --image-seeds "seed.png;mask.png"
"""

BY_HAND = f"""
import os
import torch
from PIL import Image
from diffusers import (
    EulerDiscreteScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline, StableDiffusionPipeline,
)
said = dict(prompt="a red circle", negative_prompt="blurry", num_inference_steps={STEPS}, guidance_scale=5.0)
seed, mask = Image.open("seed.png").convert("RGB"), Image.open("mask.png").convert("L")
pipe = StableDiffusionPipeline.from_pretrained("toy", safety_checker=None)
own = pipe.scheduler
def draw(pipe, folder, **more):
    os.makedirs(folder, exist_ok=True)
    pipe.set_progress_bar_config(disable=True)
    for number in (1, 2, 3, 4):
        image = pipe(**said, **more, generator=torch.Generator().manual_seed(number)).images[0]
        image.save(f"{{folder}}/{{number}}.png")
draw(pipe, "hand/plain")
pipe.scheduler = EulerDiscreteScheduler.from_config(own.config)
draw(pipe, "hand/euler")
pipe.scheduler = own
draw(StableDiffusionImg2ImgPipeline(**pipe.components), "hand/img2img", image=seed, strength=0.8)
draw(StableDiffusionInpaintPipeline(**pipe.components), "hand/inpaint", image=seed, mask_image=mask, strength=0.8,
     height=64, width=64)
"""

SIDES = {"by hand": ["hand.py"], "dgen": ["-m", "dgen", "four.dgen", "--offline-mode", "--output-overwrite"]}


def furnish(folder: Path) -> None:
    """Make the model, the pictures and both programs."""
    from PIL import Image

    subprocess.run(
        [sys.executable, str(ROOT / "tools" / "toy_models.py"), "sd", str(folder / "toy")], check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(folder / "seed.png")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (32, 0, 64, 64))
    mask.save(folder / "mask.png")
    (folder / "four.dgen").write_text(SCRIPT, encoding="utf-8")
    (folder / "hand.py").write_text(BY_HAND, encoding="utf-8")


def run(argv: list[str], folder: Path) -> tuple[float, float]:
    """Run Python once; return wall time in seconds and peak memory in MiB."""
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *argv], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said = child.stderr.read() if child.stderr else ""
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{argv} failed:\n{said}")
    return time.perf_counter() - start, used.ru_maxrss / 1024


def differing(folder: Path) -> int:
    """Count the pictures of the two sides that are not the same."""
    from PIL import Image

    found = 0
    for kind in ("plain", "euler", "img2img", "inpaint"):
        ours = sorted((folder / "dgen" / kind).glob("*.png"))
        theirs = sorted((folder / "hand" / kind).glob("*.png"))
        if len(ours) != 4 or len(theirs) != 4:
            raise SystemExit(f"expected 4 pictures of {kind}, found {len(ours)} and {len(theirs)}")
        found += sum(Image.open(a).tobytes() != Image.open(b).tobytes() for a, b in zip(ours, theirs, strict=True))
    return found


def main() -> None:
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        furnish(folder)
        for _ in range(ROUNDS + 1):
            for name, argv in SIDES.items():
                measured[name].append(run(argv, folder))
        print(f"{differing(folder)} of 16 pictures differ")
    medians = {n: [statistics.median(v) for v in zip(*m[1:], strict=True)] for n, m in measured.items()}
    wall, memory = medians["by hand"]
    for name, (seconds, mib) in medians.items():
        print(f"{name:8} {seconds:7.2f} s {seconds / wall:5.2f}x   {mib:7.1f} MiB {mib / memory:5.2f}x")


if __name__ == "__main__":
    main()
