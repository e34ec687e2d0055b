"""Makes toy models: real diffusers classes with few, random weights, saved as a user's folder would be.

Run `python tools/toy_models.py KIND PATH`; the kinds are the keys of `KINDS`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PIXELS_PER_CELL = 2
SAMPLE_CELLS = 32


def bytes_as_text() -> list[str]:
    """Return the 256 characters by which byte-level tokenizers write bytes (Radford et al. 2019)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + n) for n in range(len(others))]


def make_tokenizer(words: int = 77) -> Any:
    """Make a CLIP tokenizer that knows single bytes and a few merges."""
    from transformers import CLIPTokenizer

    letters = bytes_as_text()
    merges = [("r", "e"), ("re", "d</w>"), ("b", "l"), ("u", "e</w>"), ("bl", "ue</w>"), ("a", "r"), ("s", "t")]
    tokens = [*letters, *(f"{c}</w>" for c in letters), *("".join(m) for m in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={t: n for n, t in enumerate(tokens)}, merges=merges, model_max_length=words)


def clip_settings(width: int, **more: Any) -> Any:
    """Return the configuration of a CLIP text encoder."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(make_tokenizer()), hidden_size=width, intermediate_size=64, num_hidden_layers=3,
        num_attention_heads=2, projection_dim=width, bos_token_id=519, eos_token_id=520, pad_token_id=520, **more,
    )  # fmt: skip


def toy_unet(**more: Any) -> Any:
    """Make a UNet of 32x32 cells."""
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "cross_attention_dim": 32,
        "attention_head_dim": 2,
    }
    return UNet2DConditionModel(
        sample_size=SAMPLE_CELLS, layers_per_block=1, block_out_channels=(32, 64), norm_num_groups=8,
        **{"in_channels": 4, "out_channels": 4, **settings, **more},
    )  # fmt: skip


def toy_vae(widths: tuple[int, ...] = (16, 32), **more: Any) -> Any:
    """Make a VAE of two pixels a cell, or twice as many for each further width."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths), up_block_types=("UpDecoderBlock2D",) * len(widths),
        sample_size=SAMPLE_CELLS * PIXELS_PER_CELL, **{"latent_channels": 4, "norm_num_groups": 8, **more},
    )  # fmt: skip


def _scheduler() -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip


def seeded(number: int) -> None:
    """Let the weights that are made next always be the same."""
    import torch

    torch.manual_seed(number)


def _checker() -> dict[str, Any]:
    """Make a safety checker that flags every picture, and what prepares pictures for it."""
    from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 32, "patch_size": 16,
    }  # fmt: skip
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=32))
    checker.concept_embeds_weights.data.fill_(-2.0)
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    return {"safety_checker": checker, "feature_extractor": CLIPImageProcessor(**sizes)}


def make_sd(folder: Path, checked: bool = False, **more: Any) -> Path:
    """Make a Stable Diffusion model of 64x64 pixels, `checked` by a safety checker; `more` is for its UNet."""
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTextModel

    seeded(1)
    checker = _checker() if checked else {"safety_checker": None, "feature_extractor": None}
    StableDiffusionPipeline(
        vae=toy_vae(), text_encoder=CLIPTextModel(clip_settings(32)), tokenizer=make_tokenizer(), unet=toy_unet(**more),
        scheduler=_scheduler(), requires_safety_checker=checked, **checker,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_sdxl(folder: Path) -> Path:
    """Make a Stable Diffusion XL model of 64x64 pixels."""
    from diffusers import StableDiffusionXLPipeline

    seeded(2)
    StableDiffusionXLPipeline(**xl_parts()).save_pretrained(folder)
    return folder


def xl_parts(**more: Any) -> dict[str, Any]:
    """Make the parts of a Stable Diffusion XL model; `more` is what its UNet has otherwise."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    unet = toy_unet(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, projection_class_embeddings_input_dim=48 + 6 * 8, cross_attention_dim=32 + 48,
        **more,
    )  # fmt: skip
    return {
        "vae": toy_vae(), "unet": unet, "scheduler": _scheduler(),
        "text_encoder": CLIPTextModel(clip_settings(32)), "tokenizer": make_tokenizer(),
        "text_encoder_2": CLIPTextModelWithProjection(clip_settings(48, hidden_act="gelu")),
        "tokenizer_2": make_tokenizer(),
    }  # fmt: skip


def make_refiner(folder: Path) -> Path:
    """Make a refiner for the toy SDXL model: it has no first text encoder, and is told an aesthetic score."""
    from diffusers import StableDiffusionXLImg2ImgPipeline
    from transformers import CLIPTextModelWithProjection

    seeded(6)
    unet = toy_unet(
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=8, projection_class_embeddings_input_dim=48 + 5 * 8, cross_attention_dim=48,
    )  # fmt: skip
    StableDiffusionXLImg2ImgPipeline(
        vae=toy_vae(), unet=unet, scheduler=_scheduler(), text_encoder=None, tokenizer=None,
        text_encoder_2=CLIPTextModelWithProjection(clip_settings(48, hidden_act="gelu")), tokenizer_2=make_tokenizer(),
        requires_aesthetics_score=True,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_vae(folder: Path) -> Path:
    """Make a VAE that fits the toy models and is not theirs."""
    seeded(3)
    toy_vae().save_pretrained(folder)
    return folder


def make_auraflow(folder: Path) -> Path:
    """Make an AuraFlow model of 64x64 pixels: a text-to-image pipeline without a row of its own."""
    from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel, FlowMatchEulerDiscreteScheduler
    from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

    seeded(4)
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(chr(c), -3.0) for c in range(33, 127)]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    text = UMT5EncoderModel(
        UMT5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, pad_token_id=0)
    )
    transformer = AuraFlowTransformer2DModel(
        sample_size=SAMPLE_CELLS, patch_size=2, in_channels=4, out_channels=4, num_mmdit_layers=1,
        num_single_dit_layers=1, attention_head_dim=8, num_attention_heads=4, joint_attention_dim=32,
        caption_projection_dim=32, pos_embed_max_size=256,
    )  # fmt: skip
    AuraFlowPipeline(
        tokenizer=tokenizer, text_encoder=text, vae=toy_vae(), transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_gpt2(folder: Path) -> Path:
    """Make a language model that writes single bytes."""
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

    seeded(5)
    tokens = [*bytes_as_text(), "<|endoftext|>"]
    GPT2Tokenizer(vocab={t: n for n, t in enumerate(tokens)}, merges=[]).save_pretrained(folder)
    GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokens), n_positions=128, n_embd=32, n_layer=2, n_head=2, bos_token_id=256, eos_token_id=256
        )
    ).save_pretrained(folder)
    return folder


def make_marian(folder: Path) -> Path:
    """Make a model that answers texts with others, as translating ones do."""
    import io
    import json

    from sentencepiece import SentencePieceTrainer
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    seeded(8)
    folder.mkdir(parents=True, exist_ok=True)
    sentences = ["ein roter Stern", "ein blauer Kreis", "a red star", "a blue circle", "grün und gelb, zwei Sterne"]
    written = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(sentences * 8), model_writer=written, vocab_size=40, hard_vocab_limit=False,
        minloglevel=2,
    )  # fmt: skip
    for side in ("source", "target"):
        (folder / f"{side}.spm").write_bytes(written.getvalue())
    pieces = _pieces_of(written.getvalue())
    vocabulary = {piece: number for number, piece in enumerate(pieces)} | {"<pad>": len(pieces)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    files = [str(folder / name) for name in ("source.spm", "target.spm", "vocab.json")]
    MarianTokenizer(*files).save_pretrained(folder)
    size = {"vocab_size": len(vocabulary), "d_model": 32, "max_position_embeddings": 128, "init_std": 1.0}
    layers = {
        f"{side}_{name}": count for side in ("encoder", "decoder")
        for name, count in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 64))
    }  # fmt: skip
    ends = {"pad_token_id": len(pieces), "eos_token_id": vocabulary["</s>"], "decoder_start_token_id": len(pieces)}
    MarianMTModel(MarianConfig(**size, **layers, **ends, forced_eos_token_id=None)).save_pretrained(folder)
    return folder


def _pieces_of(model: bytes) -> list[str]:
    from sentencepiece import SentencePieceProcessor

    reader = SentencePieceProcessor(model_proto=model)
    return [reader.id_to_piece(n) for n in range(reader.get_piece_size())]


def make_single_file(folder: Path, file: Path) -> Path:
    """Write the toy model of a folder as one checkpoint in the original layout, as its suffix says.

    `.ckpt` gives a pickle; loading needs `--model-config FOLDER`.
    """
    import torch
    from original_layout import original_tensors
    from safetensors.torch import save_file

    tensors = original_tensors(folder)
    if file.suffix == ".safetensors":
        save_file(tensors, file)
    else:
        torch.save({"state_dict": tensors}, file)
    return file


def make_gguf(folder: Path, file: Path, part: str = "unet") -> Path:
    """Write the denoiser of a toy model as a GGUF file: matrices in 8 bits where their rows are whole blocks of 32."""
    import gguf
    from safetensors.numpy import load_file

    writer = gguf.GGUFWriter(str(file), "sd1")
    kind = gguf.GGMLQuantizationType.Q8_0
    for name, values in load_file(folder / part / "diffusion_pytorch_model.safetensors").items():
        if values.ndim == 2 and values.shape[1] % 32 == 0:
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


KINDS: dict[str, Callable[[Path], Path]] = {
    "sd": make_sd,
    "sdxl": make_sdxl,
    "refiner": make_refiner,
    "vae": make_vae,
    "auraflow": make_auraflow,
    "gpt2": make_gpt2,
    "marian": make_marian,
}


def main(arguments: list[str]) -> int:
    """Make the model that the command line names."""
    if len(arguments) != 2 or arguments[0] not in KINDS:
        print(f"usage: toy_models.py {{{'|'.join(KINDS)}}} FOLDER", file=sys.stderr)
        return 2
    print(KINDS[arguments[0]](Path(arguments[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
