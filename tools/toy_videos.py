"""Makes toy models of the families that make videos: real classes with few, random weights, as folders."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from toy_families import WIDTH, t5_encoder, t5_tokenizer
from toy_models import clip_settings, make_sd, make_sdxl, make_tokenizer, seeded

SIDE_PX, FRAMES = 16, 5


def _umt5() -> Any:
    from transformers import UMT5Config, UMT5EncoderModel

    return UMT5EncoderModel(
        UMT5Config(vocab_size=100, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0)
    )


def clip_vision(projecting: bool = False, side: int = 32) -> dict[str, Any]:
    """Make a CLIP image encoder, and what prepares pictures for it."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=side,
        patch_size=side // 2, projection_dim=WIDTH,
    )  # fmt: skip
    sizes = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    cls = CLIPVisionModelWithProjection if projecting else CLIPVisionModel
    return {"encoder": cls(config), "processor": CLIPImageProcessor(**sizes)}


def wan_parts(channels: int = 16, **more: Any) -> dict[str, Any]:
    """Make the parts of a Wan model; `more` is for its transformer."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel

    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    transformer = WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, in_channels=channels, out_channels=16, text_dim=WIDTH,
        freq_dim=32, ffn_dim=32, num_layers=2, cross_attn_norm=True, rope_max_seq_len=32, **more,
    )  # fmt: skip
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    return {
        "vae": vae, "transformer": transformer, "text_encoder": _umt5(), "tokenizer": t5_tokenizer(),
        "scheduler": scheduler,
    }  # fmt: skip


def make_wan(folder: Path) -> Path:
    """Make a Wan 2.1 model that makes videos from text."""
    from diffusers import WanPipeline

    seeded(51)
    WanPipeline(**wan_parts()).save_pretrained(folder)
    return folder


def make_wan_image(folder: Path) -> Path:
    """Make a Wan 2.1 model that makes videos from pictures, which it sees through CLIP as well."""
    from diffusers import WanImageToVideoPipeline

    seeded(52)
    eye = clip_vision()
    parts = wan_parts(channels=36, image_dim=WIDTH, added_kv_proj_dim=24)
    WanImageToVideoPipeline(**parts, image_encoder=eye["encoder"], image_processor=eye["processor"]).save_pretrained(
        folder
    )
    return folder


def make_wan_ends(folder: Path) -> Path:
    """Make a Wan 2.2 model that starts from pictures: one transformer for the noise, another one for the rest."""
    from diffusers import WanImageToVideoPipeline

    seeded(55)
    parts = wan_parts(channels=36)
    second = wan_parts(channels=36)["transformer"]
    WanImageToVideoPipeline(**parts, transformer_2=second, boundary_ratio=0.9).save_pretrained(folder)
    return folder


def make_wan_vace(folder: Path) -> Path:
    """Make a Wan VACE model."""
    from diffusers import WanVACEPipeline, WanVACETransformer3DModel

    seeded(60)
    transformer = WanVACETransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, text_dim=WIDTH, freq_dim=32, ffn_dim=32, num_layers=2,
        cross_attn_norm=True, rope_max_seq_len=32, vace_layers=[0],
    )  # fmt: skip
    WanVACEPipeline(**wan_parts() | {"transformer": transformer}).save_pretrained(folder)
    return folder


def make_ltx(folder: Path, is_later: bool = False) -> Path:
    """Make an LTX model of 32 pixels and 8 frames a latent cell; later ones can be told parts of the video."""
    from diffusers import (
        AutoencoderKLLTXVideo,
        FlowMatchEulerDiscreteScheduler,
        LTXConditionPipeline,
        LTXPipeline,
        LTXVideoTransformer3DModel,
    )

    seeded(53)
    transformer = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
        num_layers=1, caption_channels=WIDTH,
    )  # fmt: skip
    vae = AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1), patch_size=4,
        spatio_temporal_scaling=(True, True, True, False), decoder_spatio_temporal_scaling=(True, True, True, False),
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=not is_later, base_shift=0.95, max_shift=2.05)
    (LTXConditionPipeline if is_later else LTXPipeline)(
        transformer=transformer, vae=vae, scheduler=scheduler, text_encoder=t5_encoder(), tokenizer=t5_tokenizer()
    ).save_pretrained(folder)
    return folder


def make_cogvideox(folder: Path, sees_image: bool = False) -> Path:
    """Make a CogVideoX model; one that starts from pictures sees them beside its latents."""
    import diffusers

    seeded(54)
    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=32 if sees_image else 16, out_channels=16,
        time_embed_dim=4, text_embed_dim=WIDTH, num_layers=1, sample_width=2, sample_height=2, sample_frames=9,
        patch_size=2, temporal_compression_ratio=4, max_text_seq_length=226,
        use_rotary_positional_embeddings=sees_image, use_learned_positional_embeddings=sees_image,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8), latent_channels=16, layers_per_block=1, norm_num_groups=2,
        temporal_compression_ratio=4, sample_height=SIDE_PX, sample_width=SIDE_PX,
    )  # fmt: skip
    pipeline = diffusers.CogVideoXImageToVideoPipeline if sees_image else diffusers.CogVideoXPipeline
    pipeline(
        transformer=transformer, vae=vae, scheduler=diffusers.CogVideoXDDIMScheduler(), text_encoder=t5_encoder(),
        tokenizer=t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_svd(folder: Path) -> Path:
    """Make a Stable Video Diffusion model."""
    import diffusers

    seeded(56)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=8, cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), num_attention_heads=(2, 2),
        projection_class_embeddings_input_dim=48, addition_time_embed_dim=16, num_frames=4,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2, sample_size=32
    )
    eye = clip_vision(projecting=True, side=224)
    scheduler = diffusers.EulerDiscreteScheduler(
        prediction_type="v_prediction", use_karras_sigmas=True, timestep_type="continuous", sigma_min=0.002,
        sigma_max=700.0, timestep_spacing="leading", steps_offset=1,
    )  # fmt: skip
    diffusers.StableVideoDiffusionPipeline(
        unet=unet, vae=vae, scheduler=scheduler, image_encoder=eye["encoder"], feature_extractor=eye["processor"]
    ).save_pretrained(folder)
    return folder


def word_tokenizer(text: str) -> Any:
    """Make a tokenizer that knows the words and signs of a text, and the words of the prompts of tests."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    apart = pre_tokenizers.Whitespace()
    known = [piece for piece, _ in apart.pre_tokenize_str(text)]
    words = ["<pad>", "<unk>", *dict.fromkeys((*known, *["a", "red", "circle", "blurry"]))]
    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = apart
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>")


def make_hunyuan_video(folder: Path) -> Path:
    """Make a HunyuanVideo model, whose Llama reads the prompt within a talk."""
    import diffusers
    from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video import DEFAULT_PROMPT_TEMPLATE
    from transformers import CLIPTextModel, LlamaConfig, LlamaModel

    seeded(57)
    tokenizer = word_tokenizer(DEFAULT_PROMPT_TEMPLATE["template"])
    llama = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, max_position_embeddings=512,
    )  # fmt: skip
    transformer = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=1, text_embed_dim=16, pooled_projection_dim=WIDTH,
        rope_axes_dim=(2, 4, 4),
    )  # fmt: skip
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4
    )
    diffusers.HunyuanVideoPipeline(
        transformer=transformer, vae=vae, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder=LlamaModel(llama), tokenizer=tokenizer, text_encoder_2=CLIPTextModel(clip_settings(WIDTH)),
        tokenizer_2=make_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _reader_of_talks(text: str) -> Any:
    """Make a tokenizer of pieces of words, which knows those of a text, its marks, and where it begins."""
    import re

    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = r"<[^>]*>|\n\n|\w{1,4}|[^\w\s]"
    known = re.findall(pieces, f"{text} a red circle blurry")
    words = ["<pad>", "<unk>", "<s>", *dict.fromkeys(known)]
    numbers = {word: n for n, word in enumerate(words)}
    made = Tokenizer(models.WordLevel(numbers, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(pieces), "removed", invert=True)
    made.post_processor = processors.TemplateProcessing("<s> $A", None, [("<s>", numbers["<s>"])])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", bos_token="<s>")


def _llava(words: int, image_token: int) -> Any:
    """Make a Llava that sees 24 by 24 patches, as many as the template of HunyuanVideo has room for."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=48, patch_size=2,
        projection_dim=16,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=words, hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
        num_key_value_heads=2, pad_token_id=0, max_position_embeddings=1024,
    )  # fmt: skip
    return LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=image_token, pad_token_id=0)
    )


def make_hunyuan_video_i2v(folder: Path, kind: str = "token_replace") -> Path:
    """Make a HunyuanVideo model that starts from a picture, which it is shown in the first cells or beside them."""
    import diffusers
    from diffusers.pipelines.hunyuan_video.pipeline_hunyuan_video_image2video import DEFAULT_PROMPT_TEMPLATE
    from transformers import CLIPImageProcessor, CLIPTextModel

    seeded(59)
    tokenizer = _reader_of_talks(DEFAULT_PROMPT_TEMPLATE["template"])
    transformer = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4 if kind == "token_replace" else 9, out_channels=4, num_attention_heads=2, attention_head_dim=10,
        num_layers=1, num_single_layers=1, num_refiner_layers=1, patch_size=1, text_embed_dim=16,
        pooled_projection_dim=WIDTH, rope_axes_dim=(2, 4, 4), image_condition_type=kind, guidance_embeds=False,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4
    )
    sizes = {"size": {"shortest_edge": 48}, "crop_size": {"height": 48, "width": 48}}
    diffusers.HunyuanVideoImageToVideoPipeline(
        transformer=transformer, vae=vae, scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder=_llava(len(tokenizer), tokenizer.convert_tokens_to_ids("<image>")), tokenizer=tokenizer,
        text_encoder_2=CLIPTextModel(clip_settings(WIDTH)), tokenizer_2=make_tokenizer(),
        image_processor=CLIPImageProcessor(**sizes),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_mochi(folder: Path) -> Path:
    """Make a Mochi model."""
    import diffusers

    seeded(58)
    transformer = diffusers.MochiTransformer3DModel(
        num_attention_heads=2, attention_head_dim=8, num_layers=2, pooled_projection_dim=16, text_embed_dim=WIDTH,
        time_embed_dim=4,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLMochi(
        encoder_block_out_channels=(32,) * 4, decoder_block_out_channels=(32,) * 4,
        layers_per_block=(1, 1, 1, 1, 1),
    )  # fmt: skip
    diffusers.MochiPipeline(
        transformer=transformer, vae=vae, text_encoder=t5_encoder(), tokenizer=t5_tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_allegro(folder: Path) -> Path:
    """Make an Allegro model of 128x128 pixels: the tiles of its VAE overlap by 120."""
    import diffusers

    seeded(61)
    transformer = diffusers.AllegroTransformer3DModel(
        num_attention_heads=2, attention_head_dim=12, num_layers=1, cross_attention_dim=24, sample_width=16,
        sample_height=16, sample_frames=6, caption_channels=WIDTH,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLAllegro(
        block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=2, sample_size=128
    )
    diffusers.AllegroPipeline(
        transformer=transformer, vae=vae, text_encoder=t5_encoder(), tokenizer=t5_tokenizer(),
        scheduler=diffusers.DDIMScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_motion_adapter(folder: Path) -> Path:
    """Make a motion adapter for the toy Stable Diffusion and SDXL models, with some effect."""
    from diffusers import MotionAdapter

    seeded(59)
    adapter = MotionAdapter(
        block_out_channels=(32, 64), motion_layers_per_block=1, motion_norm_num_groups=8, motion_num_attention_heads=2,
        use_motion_mid_block=False, motion_max_seq_length=16,
    )  # fmt: skip
    for name, values in adapter.named_parameters():
        if "proj_out" in name:
            values.data.normal_(std=0.3)
    adapter.save_pretrained(folder)
    return folder


def make_animatediff(folder: Path) -> Path:
    """Make an AnimateDiff model as diffusers saves it: its UNet has the layers for motion."""
    import diffusers

    make_sd(folder.parent / "sd")
    adapter = diffusers.MotionAdapter.from_pretrained(make_motion_adapter(folder.parent / "motion"))
    diffusers.AnimateDiffPipeline.from_pretrained(folder.parent / "sd", motion_adapter=adapter).save_pretrained(folder)
    return folder


def make_motion_parts(folder: Path) -> Path:
    """Make what AnimateDiff is put together from: an SDXL model, and a ControlNet for the toy SD model."""
    from toy_adapters import make_controlnet

    make_controlnet(folder / "edges", folder.parent / "sd")
    return make_sdxl(folder / "sdxl")


VIDEO_TOYS: dict[str, Callable[[Path], Path]] = {
    "wan": make_wan,
    "wan-image": make_wan_image,
    "wan-ends": make_wan_ends,
    "wan-vace": make_wan_vace,
    "ltx": make_ltx,
    "ltx-later": partial(make_ltx, is_later=True),
    "svd": make_svd,
    "hunyuan-video": make_hunyuan_video,
    "hunyuan-video-i2v": make_hunyuan_video_i2v,
    "hunyuan-video-beside": partial(make_hunyuan_video_i2v, kind="latent_concat"),
    "mochi": make_mochi,
    "allegro": make_allegro,
    "animatediff": make_animatediff,
    "parts": make_motion_parts,
    "cogvideox": make_cogvideox,
    "cogvideox-image": partial(make_cogvideox, sees_image=True),
}
