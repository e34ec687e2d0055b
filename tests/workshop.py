"""Furnishes a folder with what golden scripts name: toy models, pictures, damaged and dangerous files."""

from __future__ import annotations

import json
import pickle
import shutil
import struct
import warnings
import zlib
from pathlib import Path

from PIL import Image, ImageDraw


class Payload:
    """What a hostile pickle would run; tests prove that it never does."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("the pickle ran",)


def furnish(folder: Path) -> None:
    """Make every file that tests name."""
    import toy_models

    toy_models.make_sd(folder / "toy")
    toy_models.make_sdxl(folder / "toy-xl")
    toy_models.make_refiner(folder / "toy-refiner")
    toy_models.make_single_file(folder / "toy-refiner", folder / "toy-refiner.safetensors")
    toy_models.make_vae(folder / "other-vae")
    _pictures(folder)
    _animations(folder)
    toy_models.make_gguf(folder / "toy", folder / "unet.gguf")
    (folder / "cut.gguf").write_bytes((folder / "unet.gguf").read_bytes()[:5000])
    _adapters(folder)
    _bad_models(folder)
    _models_of_blocks(folder)
    _inpainting_model(folder)
    _transformers(folder)


def _models_of_blocks(folder: Path) -> None:
    """Models with the index of a modular pipeline: what can be told of them before anything is loaded."""
    own = {"auto_map": {"ModularPipelineBlocks": "block.Own"}}
    elsewhere = {"pretrained_model_name_or_path": "someone/else"}
    here = {"pretrained_model_name_or_path": None, "subfolder": "vae"}
    vae = ["diffusers", "AutoencoderKL"]
    echo = {
        "text_encoder": ["transformers", "Gemma3ForConditionalGeneration"], "tokenizer": [None, None],
        "connectors": ["ltx2", "LTX2TextConnectors"], "vae": ["diffusers", "AutoencoderKLLTX2Video"],
        "audio_vae": ["diffusers", "AutoencoderKLLTX2Audio"], "vocoder": ["ltx2", "LTX2Vocoder"],
        "transformer": ["diffusers", "LTX2VideoTransformer3DModel"],
    }  # fmt: skip
    placed = {kind: [*named, elsewhere | {"subfolder": kind}] for kind, named in echo.items()}
    indices = {
        "blocks-of-code": {"_class_name": "ZImageModularPipeline", **own},
        "blocks-unknown": {"_class_name": "MiniMaxMusic3ModularPipeline"},
        "blocks-nameless": {},
        "blocks-without-a-part": {"_class_name": "ZImageModularPipeline", "vae": [*vae, here]},
        "blocks-elsewhere": {"_class_name": "EchoModularPipeline", **placed},
        "blocks-configured": {"_class_name": "ZImageModularPipeline"},
        "wan-animate": {"_class_name": "WanAnimate2ModularPipeline"},
        "echo": {"_class_name": "EchoModularPipeline"},
        "minimax": {"_class_name": "MiniMaxH3ModularPipeline"},
    }
    for name, index in indices.items():
        (folder / name).mkdir()
        (folder / name / "modular_model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "blocks-configured" / "modular_config.json").write_text(json.dumps(own), encoding="utf-8")
    (folder / "blocks-damaged").mkdir()
    (folder / "blocks-damaged" / "modular_model_index.json").write_text('{"_class_name": "ZImage', encoding="utf-8")


def _inpainting_model(folder: Path) -> None:
    """An inpainting model as its index tells it; its weights are never asked for."""
    shutil.copytree(folder / "toy", folder / "toy-inpaint")
    config = folder / "toy-inpaint" / "unet" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"in_channels": 4', '"in_channels": 9'))


def _transformers(folder: Path) -> None:
    """Models that have a transformer in the place of a UNet, and ControlNets for one."""
    import toy_families
    import toy_models

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        toy_families.make_sd3(folder / "toy-sd3")
        toy_families.make_flux(folder / "toy-flux")
        toy_families.make_sd3_net(folder / "sd3-edges")
        toy_models.make_gguf(folder / "toy-flux", folder / "flux.gguf", "transformer")
        toy_families.make_flux_net(folder / "flux-edges", folder / "toy-flux")
        toy_families.make_flux_ip_adapter(folder / "ip" / "flux-ip.safetensors")
        toy_families.make_flux_net(folder / "flux-union", folder / "toy-flux", modes=7)


def _pictures(folder: Path) -> None:
    picture = Image.new("RGB", (96, 64), "navy")
    ImageDraw.Draw(picture).ellipse((20, 10, 60, 50), fill="orange")
    picture.save(folder / "seed.png")
    mask = Image.new("L", (96, 64), 0)
    ImageDraw.Draw(mask).rectangle((48, 0, 96, 64), fill=255)
    mask.save(folder / "mask.png")
    Image.new("L", (64, 96), 255).save(folder / "tall-mask.png")
    Image.new("L", (96, 64), 0).save(folder / "black.png")
    (folder / "text.png").write_text("this is text, whatever it is called\n", encoding="utf-8")
    (folder / "cut.png").write_bytes((folder / "seed.png").read_bytes()[:90])


def _adapters(folder: Path) -> None:
    import toy_adapters

    toy, xl = folder / "toy", folder / "toy-xl"
    toy_adapters.make_diffusers_lora(folder / "lora", toy)
    toy_adapters.make_kohya_lora(folder / "lora.safetensors", toy)
    toy_adapters.make_kohya_lora(folder / "xl-lora.safetensors", xl)
    toy_adapters.make_word(folder / "narrow-word", "<narrow>", 16)
    toy_adapters.make_word(folder / "word", "<badge>")
    toy_adapters.make_sdxl_word(folder / "xl-word.safetensors")
    toy_adapters.make_controlnet(folder / "edges", toy)
    toy_adapters.make_controlnet(folder / "depths", toy)
    toy_adapters.make_controlnet(folder / "xl-edges", xl)
    toy_adapters.make_controlnet(folder / "xl-union", xl, union=True)
    toy_adapters.make_t2i_adapter(folder / "t2i", "full_adapter")
    toy_adapters.make_t2i_adapter(folder / "xl-t2i", "full_adapter_xl")
    (folder / "ip").mkdir()
    toy_adapters.make_ip_adapter(folder / "ip" / "ip.safetensors", toy)
    toy_adapters.make_ip_adapter(folder / "ip" / "xl-ip.safetensors", xl)
    toy_adapters.make_image_encoder(folder / "ip" / "image_encoder")
    toy_adapters.make_ip_adapter(folder / "lonely-ip.safetensors", toy)
    (folder / "two-loras").mkdir()
    for name in ("first.safetensors", "second.safetensors"):
        shutil.copy(folder / "lora.safetensors", folder / "two-loras" / name)
    _wider(folder / "lora.safetensors", folder / "wide-lora.safetensors")
    (folder / "hostile-lora.pt").write_bytes(pickle.dumps({"lora_unet": Payload()}))


def _wider(lora: Path, target: Path) -> None:
    """Copy a LoRA as if it had been made for layers of twice the width."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(lora)
    save_file({n: torch.cat([t, t], dim=1) if n.endswith("down.weight") else t for n, t in tensors.items()}, target)


def _bad_models(folder: Path) -> None:
    (folder / "no-model").mkdir()
    (folder / "no-model" / "notes.txt").write_text("nothing here\n", encoding="utf-8")
    (folder / "cosmos").mkdir()
    cosmos = '{"_class_name": "Cosmos2TextToImagePipeline", "vae": ["diffusers", "AutoencoderKLWan"]}'
    (folder / "cosmos" / "model_index.json").write_text(cosmos, encoding="utf-8")
    shutil.copytree(folder / "toy", folder / "no-unet", ignore=shutil.ignore_patterns("unet"))
    shutil.copytree(folder / "toy", folder / "no-weights", ignore=shutil.ignore_patterns("diffusion_*"))
    weights = Path("unet") / "diffusion_pytorch_model.safetensors"
    for name in ("cut-weights", "corrupt-weights", "pickle-weights"):
        shutil.copytree(folder / "toy", folder / name)
    cut = folder / "cut-weights" / weights
    cut.write_bytes(cut.read_bytes()[:-1000])
    (folder / "corrupt-weights" / weights).write_bytes(b"\x10\0\0\0\0\0\0\0not a header.....")
    (folder / "pickle-weights" / weights).unlink()
    hostile = folder / "pickle-weights" / "unet" / "diffusion_pytorch_model.bin"
    hostile.write_bytes(pickle.dumps({"weight": Payload()}))
    (folder / "hostile.ckpt").write_bytes(pickle.dumps({"state_dict": Payload()}))


def _animations(folder: Path) -> None:
    """Files that move, and some that only seem to."""
    frames = [Image.new("RGB", (96, 64), (40 * k, 80, 200 - 40 * k)) for k in range(5)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
    (folder / "text.mp4").write_text("this is text, whatever it is called\n", encoding="utf-8")
    (folder / "empty.gif").write_bytes(b"GIF89a\x60\0\x40\0\0\0\0;")
    (folder / "nothing.png").write_bytes(_png_of(0, 0))
    (folder / "bomb.png").write_bytes(_png_of(200_000, 200_000))
    (folder / "codec.avi").write_bytes(_avi_of_no_codec(folder))


def _png_of(width: int, height: int) -> bytes:
    """A PNG that says it is of a size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _avi_of_no_codec(folder: Path) -> bytes:
    """A video whose codec nobody knows."""
    from dgen.media import ffmpeg

    words = ("-f", "lavfi", "-i", "color=size=96x64:duration=0.2", "-c:v", "mjpeg", "-y", str(folder / "codec.avi"))
    ffmpeg.run(words)
    return (folder / "codec.avi").read_bytes().replace(b"MJPG", b"WHAT")


def figure(name: str) -> int:
    """What docs/replay.md says that the tests counted."""
    page = Path(__file__).resolve().parent.parent / "docs" / "replay.md"
    rows = (line.split("|") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|"))
    return next(int(cells[2]) for cells in rows if cells[1].strip() == name)
