"""Makes toy models of today's image families: real classes with few, random weights, as a user's folder would be."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from toy_families import t5_encoder, t5_tokenizer
from toy_models import clip_settings, make_auraflow, make_tokenizer, seeded, toy_unet, toy_vae
from toy_texts import (
    WIDTH,
    bert,
    bert_tokenizer,
    gemma,
    gemma_tokenizer,
    glm,
    llama,
    mistral,
    plain_tokenizer,
    qwen3,
    qwen_tokenizer,
    qwen_vl,
    save_qwen_reader,
)
from transformers import CLIPTextModel, CLIPTextModelWithProjection


def _flow(**more: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **more})


def _vae(channels: int = 4, widths: tuple[int, ...] = (8, 8), **more: Any) -> Any:
    return toy_vae(widths, latent_channels=channels, use_quant_conv=False, use_post_quant_conv=False, **more)


def qwen_parts(halvings: int = 3, width: int = 8, colours: int = 3, **more: Any) -> dict[str, Any]:
    """Make the parts of a Qwen-Image model whose VAE halves pictures so often and sees so many colours."""
    from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel

    seeded(51)
    cells = 4 if colours == 3 else 8  # channels: pictures of as many are taken for latents
    transformer = QwenImageTransformer2DModel(
        patch_size=2, in_channels=4 * cells, out_channels=cells, num_layers=2, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=WIDTH, axes_dims_rope=(4, 6, 6), **more,
    )  # fmt: skip
    vae = AutoencoderKLQwenImage(
        base_dim=width, z_dim=cells, dim_mult=[1] * (halvings + 1), num_res_blocks=int(halvings < 4),
        temperal_downsample=[False] + [True] * (halvings - 1),
        latents_mean=[0.0] * cells, latents_std=[1.0] * cells, input_channels=colours,
    )  # fmt: skip
    return {
        "scheduler": _flow(use_dynamic_shifting=True), "vae": vae, "text_encoder": qwen_vl(),
        "tokenizer": qwen_tokenizer(), "transformer": transformer,
    }  # fmt: skip


def make_qwen_image(folder: Path) -> Path:
    """Make a Qwen-Image model of eight pixels a cell."""
    from diffusers import QwenImagePipeline

    QwenImagePipeline(**qwen_parts()).save_pretrained(folder)
    return folder


def make_qwen_editor(folder: Path, pipeline: str, **more: Any) -> Path:
    """Make a model that edits with Qwen-Image: it reads the picture along with the prompt, and enlarges it greatly."""
    from diffusers import QwenImagePipeline

    QwenImagePipeline(**qwen_parts(4, 2, **more)).save_pretrained(folder)
    save_qwen_reader(folder / "processor")
    return amended(folder, _class_name=pipeline, processor=["transformers", "Qwen2VLProcessor"])


def make_qwen_layered(folder: Path) -> Path:
    """Make a model that takes pictures apart with Qwen-Image, and sees and makes transparency."""
    more = {"use_additional_t_cond": True, "use_layer3d_rope": True}
    return make_qwen_editor(folder, "QwenImageLayeredPipeline", colours=4, **more)


def amended(folder: Path, **entries: Any) -> Path:
    """Write into the index of a model what cannot be made, and so not saved, without torchvision."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    (folder / "model_index.json").write_text(json.dumps({**index, **entries}), encoding="utf-8")
    return folder


def make_z_image(folder: Path, shift: float = 6.0) -> Path:
    """Make a Z-Image model; with a shift of 3 a turbo."""
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    seeded(52)
    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=WIDTH,
        axes_dims=[8, 4, 4], axes_lens=[256, 32, 32],
    )  # fmt: skip
    ZImagePipeline(
        scheduler=_flow(shift=shift),
        vae=_vae(16, shift_factor=0.1),
        text_encoder=qwen3(),
        tokenizer=qwen_tokenizer(),
        transformer=transformer,
    ).save_pretrained(folder)
    return folder


def flux2_parts(*, is_told: bool) -> dict[str, Any]:
    """Make the parts of a FLUX.2 model but what reads prompts; one that `is_told` knows the guidance."""
    import diffusers

    seeded(53)
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=3 * WIDTH, timestep_guidance_channels=32, axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=is_told,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(8, 8), latent_channels=4, norm_num_groups=4, layers_per_block=1, sample_size=64,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    return {"scheduler": _flow(use_dynamic_shifting=True), "vae": vae, "transformer": transformer}


def make_flux2(folder: Path, reader: str = "PixtralProcessor") -> Path:
    """Make a FLUX.2 dev model, whose prompts a Mistral model of 31 layers reads."""
    from diffusers import Flux2Pipeline

    parts = flux2_parts(is_told=True)
    Flux2Pipeline(**parts, text_encoder=mistral(31), tokenizer=qwen_tokenizer()).save_pretrained(folder)
    return amended(folder, tokenizer=["transformers", reader])


def make_flux2_klein(folder: Path, is_distilled: bool = False) -> Path:
    """Make a FLUX.2 klein model; one that `is_distilled` is not guided."""
    from diffusers import Flux2KleinPipeline

    Flux2KleinPipeline(
        **flux2_parts(is_told=False), text_encoder=qwen3(28, speaks=True), tokenizer=qwen_tokenizer(),
        is_distilled=is_distilled,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_chroma(folder: Path) -> Path:
    """Make a Chroma model."""
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    seeded(54)
    transformer = ChromaTransformer2DModel(
        in_channels=16, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, axes_dims_rope=(4, 4, 8), approximator_num_channels=8,
        approximator_hidden_dim=32, approximator_layers=1,
    )  # fmt: skip
    ChromaPipeline(
        scheduler=_flow(), vae=_vae(shift_factor=0.06, scaling_factor=1.5), text_encoder=t5_encoder(),
        tokenizer=t5_tokenizer(), transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def toy_dc() -> Any:
    """Make a deep-compression autoencoder of 32 pixels a cell."""
    from diffusers import AutoencoderDC

    widths, blocks = (4,) * 6, ("ResBlock",) * 6
    return AutoencoderDC(
        latent_channels=4, attention_head_dim=2, encoder_block_types=blocks, decoder_block_types=blocks,
        encoder_block_out_channels=widths, decoder_block_out_channels=widths, encoder_layers_per_block=(1,) * 6,
        decoder_layers_per_block=(1,) * 6, encoder_qkv_multiscales=((),) * 6, decoder_qkv_multiscales=((),) * 6,
        downsample_block_type="conv", upsample_block_type="interpolate", scaling_factor=0.4,
    )  # fmt: skip


def _sana_parts(scheduler: Any, cells: int, **more: Any) -> dict[str, Any]:
    from diffusers import SanaTransformer2DModel

    seeded(55)
    transformer = SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=2, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=WIDTH,
        sample_size=cells, patch_size=1, **more,
    )  # fmt: skip
    return {
        "tokenizer": gemma_tokenizer(), "text_encoder": gemma(), "vae": toy_dc(), "transformer": transformer,
        "scheduler": scheduler,
    }  # fmt: skip


def make_sana(folder: Path) -> Path:
    """Make a Sana model of 32 pixels a cell."""
    from diffusers import DPMSolverMultistepScheduler, SanaPipeline

    scheduler = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    SanaPipeline(**_sana_parts(scheduler, 16)).save_pretrained(folder)
    return folder


def make_sana_sprint(folder: Path) -> Path:
    """Make a Sana Sprint model of 32 pixels a cell."""
    from diffusers import SanaSprintPipeline, SCMScheduler

    parts = _sana_parts(SCMScheduler(), 32, guidance_embeds=True, qk_norm="rms_norm_across_heads")
    SanaSprintPipeline(**parts).save_pretrained(folder)
    return folder


def make_pixart_sigma(folder: Path, pipeline: str = "PixArtSigmaPipeline") -> Path:
    """Make a PixArt model of 256x256 pixels, eight a cell."""
    import diffusers

    seeded(56)
    transformer = diffusers.PixArtTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, num_layers=1, cross_attention_dim=16, caption_channels=32,
        sample_size=32, use_additional_conditions=False,
    )  # fmt: skip
    getattr(diffusers, pipeline)(
        tokenizer=t5_tokenizer(), text_encoder=t5_encoder(), vae=toy_vae((8, 8, 8, 8)), transformer=transformer,
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_lumina2(folder: Path) -> Path:
    """Make a Lumina Image 2 model."""
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel

    seeded(57)
    transformer = Lumina2Transformer2DModel(
        sample_size=8, in_channels=4, hidden_size=24, num_layers=1, num_refiner_layers=1, num_attention_heads=3,
        num_kv_heads=1, multiple_of=2, scaling_factor=1.0, axes_dim_rope=(4, 2, 2), axes_lens=(300, 64, 64),
        cap_feat_dim=WIDTH,
    )  # fmt: skip
    Lumina2Pipeline(
        transformer=transformer, scheduler=_flow(), vae=_vae(widths=(8, 8, 8, 8), shift_factor=0.1),
        text_encoder=gemma(), tokenizer=gemma_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_cogview4(folder: Path) -> Path:
    """Make a CogView 4 model of eight pixels a cell."""
    from diffusers import CogView4Pipeline, CogView4Transformer2DModel

    seeded(58)
    transformer = CogView4Transformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=2,
        text_embed_dim=WIDTH, time_embed_dim=8, condition_dim=4, sample_size=8, rope_axes_dim=(16, 16),
    )  # fmt: skip
    CogView4Pipeline(
        tokenizer=plain_tokenizer(), text_encoder=glm(), vae=_vae(widths=(8,) * 4, scaling_factor=1.0),
        transformer=transformer, scheduler=_flow(use_dynamic_shifting=True, base_shift=0.25, max_shift=0.75),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_hidream(folder: Path) -> Path:
    """Make a HiDream model of eight pixels a cell; its pictures are of 1024x1024 pixels or as many."""
    from diffusers import HiDreamImagePipeline, HiDreamImageTransformer2DModel

    seeded(59)
    transformer = HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=2, caption_channels=[32, WIDTH], text_emb_dim=2 * WIDTH, axes_dims_rope=(4, 2, 2),
        llama_layers=[0, 1], force_inference_output=True,
    )  # fmt: skip
    vae = _vae(widths=(2,) * 4, shift_factor=0.1, mid_block_add_attention=False, norm_num_groups=2)
    clips = [CLIPTextModelWithProjection(clip_settings(WIDTH, max_position_embeddings=128)) for _ in range(2)]
    HiDreamImagePipeline(
        scheduler=_flow(), vae=vae, text_encoder=clips[0],
        tokenizer=make_tokenizer(), text_encoder_2=clips[1], tokenizer_2=make_tokenizer(),
        text_encoder_3=t5_encoder(), tokenizer_3=t5_tokenizer(), text_encoder_4=llama(),
        tokenizer_4=plain_tokenizer(), transformer=transformer,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_hunyuan_image(folder: Path, is_distilled: bool = False) -> Path:
    """Make a HunyuanImage model of 32 pixels a cell; one that `is_distilled` is told how much guidance is wanted."""
    import diffusers
    from diffusers.guiders import AdaptiveProjectedMixGuidance
    from transformers import ByT5Tokenizer, T5Config, T5EncoderModel

    seeded(60)
    transformer = diffusers.HunyuanImageTransformer2DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=8, num_layers=1, num_single_layers=1,
        num_refiner_layers=1, patch_size=(1, 1), guidance_embeds=is_distilled, text_embed_dim=WIDTH,
        text_embed_2_dim=WIDTH, rope_axes_dim=(4, 4),
    )  # fmt: skip
    vae = diffusers.AutoencoderKLHunyuanImage(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=(32,) * 6, layers_per_block=1,
        spatial_compression_ratio=32, sample_size=128, scaling_factor=0.476,
    )  # fmt: skip
    letters = T5EncoderModel(T5Config(vocab_size=384, d_model=WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2))
    diffusers.HunyuanImagePipeline(
        scheduler=_flow(), vae=vae, text_encoder=qwen_vl(), tokenizer=qwen_tokenizer(), text_encoder_2=letters,
        tokenizer_2=ByT5Tokenizer(), transformer=transformer,
        guider=None if is_distilled else AdaptiveProjectedMixGuidance(guidance_scale=3.5),
        ocr_guider=None if is_distilled else AdaptiveProjectedMixGuidance(guidance_scale=2.5),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_latent_consistency(folder: Path) -> Path:
    """Make a latent consistency model: its UNet is told how much guidance is wanted."""
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler

    seeded(61)
    LatentConsistencyModelPipeline(
        vae=toy_vae(), text_encoder=CLIPTextModel(clip_settings(32)), tokenizer=make_tokenizer(),
        unet=toy_unet(time_cond_proj_dim=8), scheduler=LCMScheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_bria(folder: Path) -> Path:
    """Make a Bria 3 model."""
    from diffusers import BriaPipeline, BriaTransformer2DModel

    seeded(62)
    transformer = BriaTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=32, axes_dims_rope=[0, 4, 4],
    )  # fmt: skip
    BriaPipeline(
        transformer=transformer, scheduler=_flow(), vae=_vae(shift_factor=0.0, scaling_factor=0.13),
        text_encoder=t5_encoder(), tokenizer=t5_tokenizer(),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_kandinsky3(folder: Path) -> Path:
    """Make a Kandinsky 3 model."""
    from diffusers import DDPMScheduler, Kandinsky3Pipeline, Kandinsky3UNet

    seeded(63)
    unet = Kandinsky3UNet(
        in_channels=4, time_embedding_dim=4, groups=2, attention_head_dim=4, layers_per_block=3,
        block_out_channels=(32, 64), cross_attention_dim=4, encoder_hid_dim=32,
    )  # fmt: skip
    Kandinsky3Pipeline(
        tokenizer=t5_tokenizer(), text_encoder=t5_encoder(), unet=unet, movq=make_movq(),
        scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2", variance_type="fixed_small", clip_sample=False),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def _prior_parts(seed: int = 75) -> dict[str, Any]:
    from diffusers import PriorTransformer, UnCLIPScheduler
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    seeded(seed)
    prior = PriorTransformer(
        num_attention_heads=2, attention_head_dim=8, num_layers=1, embedding_dim=WIDTH, num_embeddings=77,
    )  # fmt: skip
    stir(prior)
    vision = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=32, projection_dim=WIDTH, num_hidden_layers=1, num_attention_heads=2,
        image_size=32, patch_size=16,
    )  # fmt: skip
    sizes = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    return {
        "prior": prior,
        "image_encoder": CLIPVisionModelWithProjection(vision),
        "text_encoder": CLIPTextModelWithProjection(clip_settings(WIDTH)),
        "tokenizer": make_tokenizer(),
        "scheduler": UnCLIPScheduler(variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0),
        "image_processor": CLIPImageProcessor(**sizes),
    }


def make_kandinsky22_prior(folder: Path, seed: int = 75) -> Path:
    """Make a prior of Kandinsky 2.2."""
    from diffusers import KandinskyV22PriorPipeline

    KandinskyV22PriorPipeline(**_prior_parts(seed)).save_pretrained(folder)
    return folder


def make_kandinsky22(folder: Path, pipeline: str = "KandinskyV22CombinedPipeline", channels: int = 4) -> Path:
    """Make a Kandinsky 2.2 model, with its prior where the pipeline has one; to inpaint, a UNet has nine channels."""
    import diffusers

    prior = {f"prior_{kind}": part for kind, part in _prior_parts().items()} if "Combined" in pipeline else {}
    seeded(63)
    unet = diffusers.UNet2DConditionModel(
        in_channels=channels, out_channels=8, addition_embed_type="image", sample_size=8, layers_per_block=1,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"), block_out_channels=(32, 64),
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), cross_attention_dim=WIDTH,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn", encoder_hid_dim=WIDTH, encoder_hid_dim_type="image_proj",
        attention_head_dim=4, resnet_time_scale_shift="scale_shift",
    )  # fmt: skip
    getattr(diffusers, pipeline)(
        unet=unet, movq=make_movq(), **prior,
        scheduler=diffusers.DDPMScheduler(variance_type="learned_range", clip_sample=False),
    ).save_pretrained(folder)  # fmt: skip
    return folder


def make_movq() -> Any:
    """Make the VQ decoder of Kandinsky models, of eight pixels a cell."""
    from diffusers import VQModel

    return VQModel(
        block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, latent_channels=4,
        up_block_types=("UpDecoderBlock2D",) * 4, num_vq_embeddings=12, vq_embed_dim=4, norm_type="spatial",
        norm_num_groups=8,
    )  # fmt: skip


def make_hunyuan_dit(folder: Path) -> Path:
    """Make a HunyuanDiT model of eight pixels a cell."""
    from diffusers import DDPMScheduler, HunyuanDiT2DModel, HunyuanDiTPipeline

    seeded(64)
    transformer = HunyuanDiT2DModel(
        sample_size=8, num_layers=4, patch_size=2, attention_head_dim=8, num_attention_heads=3, in_channels=4,
        cross_attention_dim=WIDTH, cross_attention_dim_t5=32, pooled_projection_dim=8, hidden_size=24,
        activation_fn="gelu-approximate",
    )  # fmt: skip
    HunyuanDiTPipeline(
        vae=toy_vae((8,) * 4), text_encoder=bert(), tokenizer=bert_tokenizer(), text_encoder_2=t5_encoder(),
        tokenizer_2=t5_tokenizer(), transformer=transformer, scheduler=DDPMScheduler(), safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def stir(network: Any) -> None:
    """Fill the layers that a fresh network has of zeros, and by which it ignores what it is given."""
    for values in network.parameters():
        if not values.any():
            values.data.normal_(std=0.3)


def _save_net(net: Any, folder: Path) -> Path:
    """Give a ControlNet effect, for fresh ones end in layers of zeros, and save it."""
    stir(net)
    net.save_pretrained(folder)
    return folder


def make_qwen_image_net(folder: Path, sees_mask: bool = False) -> Path:
    """Make a ControlNet for the toy Qwen-Image; one for inpainting sees the mask as well."""
    from diffusers import QwenImageControlNetModel

    seeded(71)
    net = QwenImageControlNetModel(
        patch_size=2, in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, axes_dims_rope=(4, 6, 6), extra_condition_channels=4 * sees_mask,
    )  # fmt: skip
    return _save_net(net, folder)


def make_z_image_net(folder: Path) -> Path:
    """Make a ControlNet for the toy Z-Image, which also fits inpainting."""
    from diffusers import ZImageControlNetModel

    seeded(72)
    net = ZImageControlNetModel(
        control_layers_places=[0], control_refiner_layers_places=[0], control_in_dim=33, dim=32, n_refiner_layers=1,
        n_heads=2, n_kv_heads=2, add_control_noise_refiner="control_noise_refiner",
    )  # fmt: skip
    return _save_net(net, folder)


def make_sana_net(folder: Path) -> Path:
    """Make a ControlNet for the toy Sana."""
    from diffusers import SanaControlNetModel

    seeded(73)
    net = SanaControlNetModel(
        in_channels=4, out_channels=4, num_layers=2, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=WIDTH,
        sample_size=16, patch_size=1,
    )  # fmt: skip
    return _save_net(net, folder)


def make_hunyuan_dit_net(folder: Path) -> Path:
    """Make a ControlNet for the toy HunyuanDiT."""
    from diffusers import HunyuanDiT2DControlNetModel

    seeded(74)
    net = HunyuanDiT2DControlNetModel(
        sample_size=8, transformer_num_layers=4, patch_size=2, attention_head_dim=8, num_attention_heads=3,
        in_channels=4, cross_attention_dim=WIDTH, cross_attention_dim_t5=32, pooled_projection_dim=8, hidden_size=24,
        activation_fn="gelu-approximate",
    )  # fmt: skip
    return _save_net(net, folder)


TODAY: dict[str, Callable[[Path], Path]] = {
    "qwen-image": make_qwen_image,
    "qwen-image-edit": partial(make_qwen_editor, pipeline="QwenImageEditPipeline"),
    "qwen-image-edit-plus": partial(make_qwen_editor, pipeline="QwenImageEditPlusPipeline"),
    "qwen-image-layered": make_qwen_layered,
    "z-image": make_z_image,
    "flux2": make_flux2,
    "flux2@plain": partial(make_flux2, reader="Qwen2Tokenizer"),
    "flux2-klein": make_flux2_klein,
    "chroma": make_chroma,
    "sana": make_sana,
    "sana-sprint": make_sana_sprint,
    "pixart-sigma": make_pixart_sigma,
    "pixart-alpha": partial(make_pixart_sigma, pipeline="PixArtAlphaPipeline"),
    "lumina2": make_lumina2,
    "cogview4": make_cogview4,
    "hidream": make_hidream,
    "hunyuan-image": make_hunyuan_image,
    "hunyuan-image@distilled": partial(make_hunyuan_image, is_distilled=True),
    "latent-consistency": make_latent_consistency,
    "bria": make_bria,
    "kandinsky22": make_kandinsky22,
    "kandinsky22@alone": partial(make_kandinsky22, pipeline="KandinskyV22Pipeline"),
    "kandinsky22-prior": make_kandinsky22_prior,
    "kandinsky22-prior@other": partial(make_kandinsky22_prior, seed=76),
    "kandinsky22@inpainting": partial(make_kandinsky22, pipeline="KandinskyV22InpaintCombinedPipeline", channels=9),
    "kandinsky3": make_kandinsky3,
    "hunyuan-dit": make_hunyuan_dit,
    "auraflow": make_auraflow,
}
"""How to make each; after an `@` stands what is special about a model of its family."""

NETS: dict[str, Callable[[Path], Path]] = {
    "qwen-image-net": make_qwen_image_net,
    "qwen-image-inpaint-net": partial(make_qwen_image_net, sees_mask=True),
    "z-image-net": make_z_image_net,
    "sana-net": make_sana_net,
    "hunyuan-dit-net": make_hunyuan_dit_net,
}
"""How to make the ControlNets for some of them."""
