"""The cost of switching mode, scheduler, LoRA, ControlNet and prompt, against the same by hand with diffusers.

Both sides run in this process on one toy model that is loaded, take turns, and save their pictures. A switch is timed
as the job after a plain one. Last comes a script of twelve steps from nothing loaded: plain, LoRAs, ControlNets, a T2I
adapter, an IP-adapter, PAG, FreeU, another scheduler, and plain again. Medians, as ratios of dgen to diffusers.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")
ROUNDS = int(os.environ.get("ROUNDS", "9"))
SCRIPT_ROUNDS = int(os.environ.get("SCRIPT_ROUNDS", "5"))
STEPS = 8
TOOLS = Path(__file__).resolve().parent.parent / "tools"

WORDS = {
    "plain": "",
    "prompt": "--prompts 'a blue star; blurry'",
    "scheduler": "--scheduler EulerDiscreteScheduler",
    "mode": "--image-seeds seed.png",
    "LoRA 0.5": "--loras lora;scale=0.5",
    "LoRA": "--loras lora",
    "two LoRAs": "--loras lora lora-2",
    "ControlNet": "--control-nets net --image-seeds seed.png",
    "img2img + ControlNet": "--control-nets net --image-seeds 'seed.png;control=seed.png'",
    "T2I": "--t2i-adapters t2i --image-seeds seed.png",
    "IP-adapter": "--ip-adapters 'ip;weight-name=ip.safetensors' --image-seeds 'adapter: seed.png'",
    "PAG": "--pag",
    "FreeU": "--freeu-params 0.9,0.2,1.2,1.4",
}
"""What dgen is told in each step."""

SWITCHES = ("prompt", "scheduler", "mode", "LoRA 0.5", "ControlNet", "IP-adapter", "PAG")
SCRIPT = (
    "plain", "LoRA 0.5", "LoRA", "two LoRAs", "ControlNet", "img2img + ControlNet", "T2I", "IP-adapter", "PAG", "FreeU",
    "scheduler", "plain",
)  # fmt: skip


class Dgen:
    """A session."""

    def __init__(self) -> None:
        from dgen.engine.render import LocalEngine
        from dgen.session import Session

        self.session = Session(LocalEngine())

    def step(self, name: str) -> None:
        """Run a statement."""
        from dgen.diagnostic import Source

        said = WORDS[name]
        prompt = "" if "--prompts" in said else "--prompts 'a red circle; blurry'"
        base = f"toy {prompt} --seeds 1 --inference-steps {STEPS} --output-path dgen --output-overwrite"
        self.session.run(Source("benchmark", f"{base} {said}\n"))

    def close(self) -> None:
        """Let everything go."""
        self.session.close()


class Hand:
    """What one would write with diffusers: a pipeline, and parts that are loaded once."""

    def __init__(self) -> None:
        import diffusers

        self.d = diffusers
        self.pipe = diffusers.StableDiffusionPipeline.from_pretrained("toy", safety_checker=None)
        self.own = self.pipe.scheduler
        self.loaded: dict[str, Any] = {}
        Path("hand").mkdir(exist_ok=True)

    def _part(self, cls: str, folder: str) -> Any:
        if folder not in self.loaded:
            self.loaded[folder] = getattr(self.d, cls).from_pretrained(folder)
        return self.loaded[folder]

    def _variant(self, cls: str, **parts: Any) -> Any:
        own = {k: v for k, v in self.pipe.components.items() if k != "image_encoder"}
        return getattr(self.d, cls)(**own, requires_safety_checker=False, **parts)

    def _draw(self, pipe: Any, prompt: str = "a red circle", **more: Any) -> None:
        import torch

        pipe.set_progress_bar_config(disable=True)
        with torch.inference_mode():
            made = pipe(
                prompt=prompt, negative_prompt="blurry", num_inference_steps=STEPS, guidance_scale=5.0,
                generator=torch.Generator().manual_seed(1), **more,
            )  # fmt: skip
        made.images[0].save("hand/picture.png")

    def step(self, name: str) -> None:
        """Do what dgen is told in a step."""
        from PIL import Image

        self.seed = Image.open("seed.png").convert("RGB")
        STEPS_BY_HAND[name](self)

    def _lora(self, *scales: float) -> None:
        names = [f"lora{n}" for n in range(len(scales))]
        for name, folder in zip(names, ("lora", "lora-2"), strict=False):
            self.pipe.load_lora_weights(folder, adapter_name=name)
        self.pipe.set_adapters(names, list(scales))
        self._draw(self.pipe)
        self.pipe.unload_lora_weights()

    def _other_scheduler(self) -> None:
        self.pipe.scheduler = self.d.EulerDiscreteScheduler.from_config(self.own.config)
        self._draw(self.pipe)
        self.pipe.scheduler = self.own

    def _ip_adapter(self) -> None:
        self.pipe.load_ip_adapter(
            "ip", subfolder="", weight_name="ip.safetensors", image_encoder_folder="image_encoder"
        )
        self._draw(self.pipe, ip_adapter_image=self.seed)
        self.pipe.unload_ip_adapter()

    def _freeu(self) -> None:
        self.pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.2, b2=1.4)
        self._draw(self.pipe)
        self.pipe.disable_freeu()

    def _controlnet(self, mode: str = "", **more: Any) -> None:
        net = self._part("ControlNetModel", "net")
        self._draw(self._variant(f"StableDiffusionControlNet{mode}Pipeline", controlnet=net), image=self.seed, **more)

    def _t2i(self) -> None:
        adapter = self._part("T2IAdapter", "t2i")
        self._draw(self._variant("StableDiffusionAdapterPipeline", adapter=adapter), image=self.seed)

    def close(self) -> None:
        """Let everything go."""
        self.loaded.clear()


STEPS_BY_HAND: dict[str, Callable[[Hand], None]] = {
    "plain": lambda hand: hand._draw(hand.pipe),
    "prompt": lambda hand: hand._draw(hand.pipe, prompt="a blue star"),
    "scheduler": Hand._other_scheduler,
    "mode": lambda hand: hand._draw(hand._variant("StableDiffusionImg2ImgPipeline"), image=hand.seed, strength=0.8),
    "LoRA 0.5": lambda hand: hand._lora(0.5),
    "LoRA": lambda hand: hand._lora(1.0),
    "two LoRAs": lambda hand: hand._lora(1.0, 1.0),
    "ControlNet": lambda hand: hand._controlnet(),
    "img2img + ControlNet": lambda hand: hand._controlnet("Img2Img", control_image=hand.seed, strength=0.8),
    "T2I": Hand._t2i,
    "IP-adapter": Hand._ip_adapter,
    "PAG": lambda hand: hand._draw(
        hand._variant("StableDiffusionPAGPipeline", pag_applied_layers="mid"), pag_scale=3.0
    ),
    "FreeU": Hand._freeu,
}


def furnish() -> None:
    """Make the model, what attaches to it, and the picture."""
    sys.path.insert(0, str(TOOLS))
    import toy_adapters
    import toy_models
    from PIL import Image

    toy = toy_models.make_sd(Path("toy"))
    toy_adapters.make_diffusers_lora(Path("lora"), toy)
    toy_adapters.make_diffusers_lora(Path("lora-2"), toy, seed=21)
    toy_adapters.make_controlnet(Path("net"), toy)
    toy_adapters.make_t2i_adapter(Path("t2i"), "full_adapter")
    Path("ip").mkdir()
    toy_adapters.make_ip_adapter(Path("ip/ip.safetensors"), toy)
    toy_adapters.make_image_encoder(Path("ip/image_encoder"))
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save("seed.png")


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """Return the seconds of the clock, and of the processor, which other work on the machine disturbs less."""
    gc.collect()
    start = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def script(side: type[Dgen] | type[Hand]) -> None:
    made = side()
    for name in SCRIPT:
        made.step(name)
    made.close()


Times = list[tuple[float, float]]


def measured() -> dict[str, tuple[Times, Times]]:
    """The seconds of each side, by what was switched to."""
    found: dict[str, tuple[Times, Times]] = {
        n: ([], []) for n in (*SWITCHES, *(["twelve steps"] if SCRIPT_ROUNDS else []))
    }
    sides = (Dgen(), Hand())
    for turn in range(ROUNDS + 1):
        for name in SWITCHES:
            for side, held in zip(sides, found[name], strict=True):
                side.step("plain")
                took = seconds(lambda side=side, name=name: side.step(name))
                held.extend([took] if turn else [])
    for side in sides:
        side.close()
    for turn in range(SCRIPT_ROUNDS + 1 if SCRIPT_ROUNDS else 0):
        for cls, held in zip((Dgen, Hand), found["twelve steps"], strict=True):
            took = seconds(lambda cls=cls: script(cls))
            held.extend([took] if turn else [])
    return found


def main() -> None:
    import torch

    from dgen.engine.libraries import silence

    torch.set_num_threads(1)
    silence()
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        furnish()
        found = measured()
        os.chdir(before)
    for name, sides in found.items():
        own, other = ([statistics.median(column) for column in zip(*side, strict=True)] for side in sides)
        clock, processor = (a / b for a, b in zip(own, other, strict=True))
        print(
            f"{name:14} dgen {own[0]:6.3f} s   by hand {other[0]:6.3f} s   {clock:5.2f}x, processor {processor:5.2f}x"
        )


if __name__ == "__main__":
    main()
