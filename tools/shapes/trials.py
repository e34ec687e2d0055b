"""The measurements: one function per feature of the model, each returning plain numbers."""

from __future__ import annotations

import random
import time
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
)
from PIL import Image

from .adapters import WORD
from .drawings import Drawing, new_figure, render
from .edges import edges
from .judge import Seen, border, foreground, overlap, see
from .marks import mark, shares, style_of
from .painter import load, load_wide_unet, paint, quiet
from .questions import Question, other_colour, questions
from .words import BACKGROUND_COLOURS, FORMS, PICTURE_PX

Numbers = dict[str, object]
SCHEDULERS = (
    "DDIMScheduler", "DDPMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler",
    "DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "HeunDiscreteScheduler",
    "PNDMScheduler", "DEISMultistepScheduler", "KDPM2DiscreteScheduler",
)  # fmt: skip


def save_sheet(pictures: list[Image.Image], path: Path, columns: int = 12) -> None:
    """Write the pictures as one sheet, to be looked at."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (columns * (width + 4), -(-len(pictures) // columns) * (height + 4)), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % columns * (width + 4), i // columns * (height + 4)))
    sheet.save(path)


def pixels(picture: Image.Image) -> np.ndarray:
    """Return (h, w, 3) float32 in [0, 255]."""
    return np.asarray(picture.convert("RGB")).astype(np.float32)


def mean_difference(a: Image.Image, b: Image.Image) -> float:
    """Return the mean absolute difference, of 255."""
    return float(np.abs(pixels(a) - pixels(b)).mean())


def figure_mask_of(picture: Image.Image) -> np.ndarray:
    """Return where the picture is not background: (h, w) bool."""
    found = pixels(picture)
    return foreground(found, np.median(border(found), axis=0))


def try_captions(pipeline: StableDiffusionPipeline, sheets: Path, **options: object) -> Numbers:
    """Paint every question and mark it."""
    asked = questions()
    pictures = paint(pipeline, [q.caption for q in asked], [q.seed for q in asked], **options)
    save_sheet(pictures, sheets / "captions.png", columns=18)
    return shares([(q, mark(q, p)) for q, p in zip(asked, pictures, strict=True)])


def right_shares(asked: list[Question], pictures: list[Image.Image]) -> dict[str, float]:
    """Return the share right per mark, over all groups of one kind."""
    group = shares([(q, mark(q, p)) for q, p in zip(asked, pictures, strict=True)])[asked[0].group]
    return {name: round(cell["right"], 4) for name, cell in group.items()}


def some_full(step: int) -> list[Question]:
    """Return every `step`-th of the full questions."""
    return [q for q in questions() if q.group == "full"][::step]


def try_guidance(pipeline: StableDiffusionPipeline) -> Numbers:
    """Mark pictures at several guidance scales."""
    asked = some_full(5)
    texts, seeds = [q.caption for q in asked], [q.seed for q in asked]
    return {
        str(scale): right_shares(asked, paint(pipeline, texts, seeds, guidance_scale=scale))
        for scale in (1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0)
    }


def try_schedulers(pipeline: StableDiffusionPipeline) -> Numbers:
    """Mark pictures with the usual schedulers, 20 steps each."""
    asked, kept = some_full(9), pipeline.scheduler
    texts, seeds = [q.caption for q in asked], [q.seed for q in asked]
    found: Numbers = {}
    for name in SCHEDULERS:
        pipeline.scheduler = getattr(diffusers, name).from_config(kept.config)
        found[name] = right_shares(asked, paint(pipeline, texts, seeds))
    pipeline.register_modules(scheduler=kept)
    for steps in (5, 10, 15, 30):
        found[f"shipped, {steps} steps"] = right_shares(asked, paint(pipeline, texts, seeds, num_inference_steps=steps))
    return found


def try_negative(pipeline: StableDiffusionPipeline) -> Numbers:
    """Measure sharpness with "blurry" asked for, left out and forbidden; and a forbidden colour."""
    texts = [q.caption for q in some_full(9)]
    seeds = list(range(len(texts)))
    blurry = [f"{text}, blurry" for text in texts]
    calls = {
        "plain": paint(pipeline, texts, seeds),
        "blurry asked for": paint(pipeline, blurry, seeds),
        "blurry asked for and forbidden": paint(pipeline, blurry, seeds, negative_prompt=["blurry"] * len(texts)),
        "blurry forbidden": paint(pipeline, texts, seeds, negative_prompt=["blurry"] * len(texts)),
    }
    found: Numbers = {
        f"sharpness, {name}": float(np.mean([see(p).sharpness for p in pictures])) for name, pictures in calls.items()
    }
    found["captions still right, blurry forbidden"] = right_shares(some_full(9), calls["blurry forbidden"])["all"]
    stars = ["a star on a white background"] * 24
    for name, words in (("free", [""] * 24), ("red forbidden", ["red"] * 24), ("blue forbidden", ["blue"] * 24)):
        seen = [see(p) for p in paint(pipeline, stars, list(range(24)), negative_prompt=words)]
        colours = [s.pieces[0].colour for s in seen if s.pieces]
        found[f"red or blue stars, {name}"] = {c: colours.count(c) / 24 for c in ("red", "blue")}
    return found


def try_img2img(pipeline: StableDiffusionPipeline) -> Numbers:
    """Repaint drawings at rising strength: distance from the start, and share of new colours."""
    rng = random.Random(1)
    figures = [new_figure(rng, "white", style="plain", size="large") for _ in range(24)]
    starts = [render(Drawing(background="white", figures=(figure,))) for figure in figures]
    wanted = [other_colour(rng, "white", f.colour) for f in figures]
    texts = [f"a large {c} {f.form} on a white background" for c, f in zip(wanted, figures, strict=True)]
    repaint = quiet(StableDiffusionImg2ImgPipeline(**pipeline.components, requires_safety_checker=False))
    found: Numbers = {}
    for strength in (0.1, 0.3, 0.5, 0.7, 0.9):
        made = paint(repaint, texts, list(range(24)), image=starts, strength=strength)
        apart = [mean_difference(a, b) for a, b in zip(made, starts, strict=True)]
        same = [overlap(figure_mask_of(a), figure_mask_of(b)) for a, b in zip(made, starts, strict=True)]
        right = [bool(s.pieces) and s.pieces[0].colour == c for s, c in zip(map(see, made), wanted, strict=True)]
        found[str(strength)] = {
            "mean difference of 255": float(np.mean(apart)),
            "figure IoU with the start": float(np.mean(same)),
            "new colour": float(np.mean(right)),
        }
    return found


def vae_round_trip(pipeline: StableDiffusionPipeline, pictures: list[Image.Image]) -> list[Image.Image]:
    """Return the pictures as the autoencoder gives them back."""
    with torch.no_grad():
        batch = pipeline.image_processor.preprocess(pictures)
        made = pipeline.vae.decode(pipeline.vae.encode(batch).latent_dist.mode()).sample
    return pipeline.image_processor.postprocess(made, output_type="pil")


def try_autoencoder(pipeline: StableDiffusionPipeline) -> Numbers:
    """Measure the autoencoder on unseen drawings."""
    from .dataset import drawings

    pictures = [render(d) for d in drawings(96, 909)]
    made = vae_round_trip(pipeline, pictures)
    off = np.stack([np.abs(pixels(a) - pixels(b)) for a, b in zip(pictures, made, strict=True)])
    return {
        "mean absolute error of 255": float(off.mean()),
        "share of pixels off by more than 32": float((off.max(axis=-1) > 32).mean()),
        "PSNR, dB": float(10 * np.log10(255**2 / np.square(off).mean())),
    }


def try_inpaint(pipeline: StableDiffusionPipeline, models: Path, sheets: Path) -> Numbers:
    """Replace the left one of two figures: is the new one right, is the rest as it was?"""
    rng = random.Random(2)
    unet = load_wide_unet(models, "inpaint")
    parts = {**pipeline.components, "unet": unet}
    inpaint = quiet(StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False))
    starts, texts, wanted = [], [], []
    for i in range(48):
        ground = BACKGROUND_COLOURS[i % 8]
        pair = [
            new_figure(rng, ground, style="plain", size="medium", row="middle", column=c) for c in ("left", "right")
        ]
        starts.append(render(Drawing(background=ground, figures=tuple(pair))))
        wanted.append((rng.choice(FORMS), other_colour(rng, ground, pair[0].colour)))
        texts.append(f"a {wanted[-1][1]} {wanted[-1][0]} on the left on a {ground} background")
    hole = np.zeros((PICTURE_PX, PICTURE_PX), np.uint8)
    hole[10:54, 1:32] = 255
    made = paint(inpaint, texts, list(range(48)), image=starts, mask_image=[Image.fromarray(hole)] * 48, strength=1.0)
    save_sheet([p for pair in zip(starts, made, strict=True) for p in pair], sheets / "inpaint.png")
    kept = np.ones_like(hole, bool)
    kept[6:58, :36] = False
    back = vae_round_trip(pipeline, starts)
    first = [min(see(p).pieces, key=lambda piece: piece.x, default=None) for p in made]
    return {
        "new colour": float(
            np.mean([f is not None and f.colour == c for f, (_, c) in zip(first, wanted, strict=True)])
        ),
        "new form": float(np.mean([f is not None and f.form == n for f, (n, _) in zip(first, wanted, strict=True)])),
        "unmasked mean error of 255": unmasked_error(made, starts, kept),
        "the autoencoder's own error there": unmasked_error(back, starts, kept),
    }


def unmasked_error(made: list[Image.Image], starts: list[Image.Image], kept: np.ndarray) -> float:
    """Return the mean absolute difference where `kept` is true."""
    return float(np.mean([np.abs(pixels(a) - pixels(b))[kept].mean() for a, b in zip(made, starts, strict=True)]))


def try_loras(models: Path, sheets: Path) -> Numbers:
    """Draw plain captions at LoRA scales 0 to 1: the effect, and whether colour and form stay right."""
    asked = [q for q in questions() if q.group == "full" and q.figures[0].form != "ring" and q.background != "black"]
    asked = [q for q in asked if q.figures[0].colour != "black"][::8]
    texts, seeds = [q.caption for q in asked], [q.seed for q in asked]
    found: Numbers = {}
    for name, effect in (("outline", is_outlined), ("night", is_at_night)):
        pipeline = load(models)
        pipeline.load_lora_weights(models / f"shapes-lora-{name}", weight_name="pytorch_lora_weights.safetensors")
        rows, shown = {}, []
        for scale in (0.0, 0.5, 1.0):
            made = paint(pipeline, texts, seeds, cross_attention_kwargs={"scale": scale})
            right = right_shares(asked, made)
            rows[str(scale)] = {
                "painted share": float(np.mean([s.pieces[0].painted for s in map(see, made) if s.pieces])),
                f"{name} seen": sum(effect(see(p)) for p in made) / len(made),
                "colour": right["colour"],
                "form": right["form"],
            }
            shown += made[:12]
        save_sheet(shown, sheets / f"lora-{name}.png")
        found[name] = rows
    return found


def is_outlined(seen: Seen) -> bool:
    """Whether the largest figure is an outline."""
    return bool(seen.pieces) and style_of(seen.pieces[0]) == "outlined"


def is_at_night(seen: Seen) -> bool:
    """Whether the background is black."""
    return seen.background == "black"


def try_controlnet(pipeline: StableDiffusionPipeline, models: Path, sheets: Path) -> Numbers:
    """Follow the edges of drawings whose form and place the caption does not tell."""
    rng = random.Random(3)
    net = ControlNetModel.from_pretrained(models / "shapes-controlnet-edges", torch_dtype=torch.float32)
    guided = quiet(
        StableDiffusionControlNetPipeline(**pipeline.components, controlnet=net, requires_safety_checker=False)
    )
    starts, texts, colours = [], [], []
    for i in range(48):
        ground = BACKGROUND_COLOURS[i % 8]
        starts.append(render(Drawing(background=ground, figures=(new_figure(rng, ground, style="plain"),))))
        colours.append(other_colour(rng, "white"))
        texts.append(f"a {colours[-1]} shape on a white background")
    lines = [edges(p) for p in starts]
    made = paint(guided, texts, list(range(48)), image=lines)
    save_sheet([p for row in zip(lines, made, strict=True) for p in row], sheets / "controlnet.png")
    follow = [overlap(figure_mask_of(a), figure_mask_of(b)) for a, b in zip(made, starts, strict=True)]
    right = [bool(s.pieces) and s.pieces[0].colour == c for s, c in zip(map(see, made), colours, strict=True)]
    return {
        "mean IoU": float(np.mean(follow)),
        "share with IoU of 0.8 or more": float(np.mean(np.array(follow) >= 0.8)),
        "colour": float(np.mean(right)),
    }


def try_learned_word(models: Path, sheets: Path) -> Numbers:
    """Draw the learned word: a large purple heart in the centre on yellow."""
    pipeline = load(models)
    pipeline.load_textual_inversion(models / "shapes-textual-inversion", weight_name="learned_embeds.safetensors")
    made = paint(pipeline, [WORD] * 24, list(range(24)))
    save_sheet(made, sheets / "word.png")
    seen = [see(p) for p in made]
    first = [s.pieces[0] for s in seen if s.pieces]
    return {
        "form": sum(p.form == "heart" for p in first) / 24,
        "colour": sum(p.colour == "purple" for p in first) / 24,
        "background": sum(s.background == "yellow" for s in seen) / 24,
        "large and centred": sum((p.size, p.column, p.row) == ("large", "middle", "middle") for p in first) / 24,
    }


def try_pix2pix(pipeline: StableDiffusionPipeline, models: Path, sheets: Path) -> Numbers:
    """Tell it to change the colour of one figure."""
    rng = random.Random(4)
    parts = {**pipeline.components, "unet": load_wide_unet(models, "pix2pix")}
    parts.pop("image_encoder", None)
    edit = quiet(StableDiffusionInstructPix2PixPipeline(**parts, requires_safety_checker=False))
    starts, texts, colours, grounds = [], [], [], []
    for i in range(96):
        ground = BACKGROUND_COLOURS[i % 8]
        figure = new_figure(rng, ground, style="plain")
        starts.append(render(Drawing(background=ground, figures=(figure,))))
        colours.append(other_colour(rng, ground, figure.colour))
        texts.append(("make it {}", f"make the {figure.form} {{}}")[i // 8 % 2].format(colours[-1]))
        grounds.append(ground)
    made = paint(edit, texts, list(range(96)), image=starts, image_guidance_scale=1.5)
    save_sheet([p for row in zip(starts, made, strict=True) for p in row], sheets / "pix2pix.png")
    seen = [see(p) for p in made]
    follow = [overlap(figure_mask_of(a), figure_mask_of(b)) for a, b in zip(made, starts, strict=True)]
    right = [bool(s.pieces) and s.pieces[0].colour == c for s, c in zip(seen, colours, strict=True)]
    return {
        "colour as told": float(np.mean(right)),
        "background kept": float(np.mean([s.background == g for s, g in zip(seen, grounds, strict=True)])),
        "figure IoU with the start": float(np.mean(follow)),
    }


def try_speed(models: Path) -> Numbers:
    """Time loading, and one picture of 20 steps, on this machine."""
    started = time.monotonic()
    pipeline = load(models)
    loaded = time.monotonic()
    paint(pipeline, ["a red circle"], [0])
    warm = time.monotonic()
    for seed in range(5):
        paint(pipeline, ["a large blue star"], [seed])
    return {
        "load, s": loaded - started,
        "first picture, s": warm - loaded,
        "picture of 20 steps, s": (time.monotonic() - warm) / 5,
        "threads": torch.get_num_threads(),
    }
