"""Says how the authors of further transformers call their tensors, as `published_tables` does."""

from __future__ import annotations

from published_tables import Published

_IMAGE_QKV, _TEXT_QKV = ("img_attn.to_q", "img_attn.to_k", "img_attn.to_v"), ("txt_attn.q", "txt_attn.k", "txt_attn.v")
_EMBEDDERS = {
    r"^time_text_embed\.timestep_embedder\.linear_1": "time_in.in_layer",
    r"^time_text_embed\.timestep_embedder\.linear_2": "time_in.out_layer",
    r"^time_text_embed\.text_embedder\.linear_1": "vector_in.in_layer",
    r"^time_text_embed\.text_embedder\.linear_2": "vector_in.out_layer",
    r"^time_text_embed\.guidance_embedder\.linear_1": "guidance_in.in_layer",
    r"^time_text_embed\.guidance_embedder\.linear_2": "guidance_in.out_layer",
}  # fmt: skip
_ENDS = {
    r"^x_embedder": "img_in", r"^context_embedder": "txt_in", r"^norm_out\.linear": "final_layer.adaLN_modulation.1",
    r"^proj_out": "final_layer.linear",
}  # fmt: skip
_DOUBLE = {
    r"^(transformer_blocks\.\d+)\.attn\.norm_added_q\.weight": r"\1.txt_attn.norm.query_norm.scale",
    r"^(transformer_blocks\.\d+)\.attn\.norm_added_k\.weight": r"\1.txt_attn.norm.key_norm.scale",
    r"^(transformer_blocks\.\d+)\.attn\.norm_q\.weight": r"\1.img_attn.norm.query_norm.scale",
    r"^(transformer_blocks\.\d+)\.attn\.norm_k\.weight": r"\1.img_attn.norm.key_norm.scale",
    r"^(transformer_blocks\.\d+)\.attn\.to_out\.0": r"\1.img_attn.proj",
    r"^(transformer_blocks\.\d+)\.attn\.to_add_out": r"\1.txt_attn.proj",
    r"^(transformer_blocks\.\d+)\.attn\.add_([qkv])_proj": r"\1.txt_attn.\2",
    r"^(transformer_blocks\.\d+)\.attn\.to_([qkv])": r"\1.img_attn.to_\2",
}  # fmt: skip
_MLPS = {
    r"^(transformer_blocks\.\d+)\.ff\.net\.(0\.proj|2)": r"\1.img_mlp.\2",
    r"^(transformer_blocks\.\d+)\.ff_context\.net\.(0\.proj|2)": r"\1.txt_mlp.\2", r"mlp\.0\.proj": "mlp.0",
}  # fmt: skip
_SINGLE = {
    r"^(single_transformer_blocks\.\d+)\.attn\.norm_q\.weight": r"\1.norm.query_norm.scale",
    r"^(single_transformer_blocks\.\d+)\.attn\.norm_k\.weight": r"\1.norm.key_norm.scale",
    r"^(single_transformer_blocks\.\d+)\.proj_out": r"\1.linear2",
    r"^single_transformer_blocks": "single_blocks", r"^transformer_blocks": "double_blocks",
}  # fmt: skip
_FUSED = {
    "img_attn.qkv": _IMAGE_QKV, "txt_attn.qkv": _TEXT_QKV,
    ".linear1": (".attn.to_q", ".attn.to_k", ".attn.to_v", ".proj_mlp"),
}  # fmt: skip
FLUX = Published(
    {
        **_EMBEDDERS, **_ENDS, r"\.norm1\.linear": ".img_mod.lin", r"\.norm1_context\.linear": ".txt_mod.lin",
        r"\.norm\.linear": ".modulation.lin", **_DOUBLE, **_MLPS, **_SINGLE,
    },
    _FUSED, swapped=(r"^norm_out\.",),
)  # fmt: skip
CHROMA = Published(
    {
        **_ENDS, r"^(distilled_.*layers.*)linear_1": r"\1in_layer", r"^(distilled_.*layers.*)linear_2": r"\1out_layer",
        r"^(distilled_.*norms\.\d+)\.weight": r"\1.scale", **_DOUBLE, **_MLPS, **_SINGLE,
    },
    _FUSED,
)  # fmt: skip
FLUX2 = Published(
    {
        r"^time_guidance_embed": "time_text_embed", **_EMBEDDERS, **_ENDS, r"(modulation\w*)\.linear": r"\1.lin",
        r"\.ff\.linear_in": ".img_mlp.0", r"\.ff\.linear_out": ".img_mlp.2",
        r"\.ff_context\.linear_in": ".txt_mlp.0", r"\.ff_context\.linear_out": ".txt_mlp.2",
        r"\.attn\.to_qkv_mlp_proj": ".linear1", r"^(single_transformer_blocks.*)\.attn\.to_out": r"\1.linear2",
        **_DOUBLE, **_SINGLE,
    },
    _FUSED, swapped=(r"^norm_out\.",),
)  # fmt: skip
FLUX3 = Published(
    {
        r"^x_embedders": "emb_in", r"^context_embedder": "txt_in", r"^mode_blocks": "content_mode_blocks",
        r"^single_transformer_blocks": "single_blocks", r"^timestep_embedder\.linear_1": "time_in.in_layer",
        r"^timestep_embedder\.linear_2": "time_in.out_layer",
        r"^target_timestep_embedder\.linear_1": "ref_time_in.in_layer",
        r"^target_timestep_embedder\.linear_2": "ref_time_in.out_layer", r"^proj_out": "final_layer.image.linear",
        r"^norm_out\.linear": "final_layer.image.adaLN_modulation.1", r"(modulations.*)\.linear\.": r"\1.lin.",
        r"\.attn\.to_out\.0": ".attn_out", r"\.attn\.to_([qkv])\.": r".\1_proj.",
        r"\.attn\.norm_q\.weight": ".norm.query_norm.scale", r"\.attn\.norm_k\.weight": ".norm.key_norm.scale",
        r"\.ff\.linear_in": ".mlp_in", r"\.ff\.linear_out": ".mlp_out",
    },
    swapped=(r"^norm_out\.",),
)  # fmt: skip
LTX2 = Published(
    {
        r"^proj_in": "patchify_proj", r"^audio_proj_in": "audio_patchify_proj", r"^time_embed\.": "adaln_single.",
        r"^audio_time_embed\.": "audio_adaln_single.", r"norm_q": "q_norm", r"norm_k": "k_norm",
        r"^av_cross_attn_(video|audio)_scale_shift": r"av_ca_\1_scale_shift_adaln_single",
        r"^av_cross_attn_video_a2v_gate": "av_ca_a2v_gate_adaln_single",
        r"^av_cross_attn_audio_v2a_gate": "av_ca_v2a_gate_adaln_single",
        r"(video|audio)_a2v_cross_attn_scale_shift_table": r"scale_shift_table_a2v_ca_\1",
    }
)  # fmt: skip
KREA2 = Published(
    {
        r"^img_in": "first", r"^time_embed\.linear_1": "tmlp.0", r"^time_embed\.linear_2": "tmlp.2",
        r"^time_mod_proj": "tproj.1", r"^txt_in\.norm\.weight": "txtmlp.0.scale", r"^txt_in\.linear_1": "txtmlp.1",
        r"^txt_in\.linear_2": "txtmlp.3", r"^text_fusion": "txtfusion", r"^transformer_blocks": "blocks",
        r"^final_layer\.norm\.weight": "last.norm.scale", r"^final_layer\.scale_shift_table": "last.modulation.lin",
        r"^final_layer\.linear": "last.linear", r"\.attn\.to_([qkv])\.": r".attn.w\1.",
        r"\.attn\.to_out\.0\.": ".attn.wo.", r"\.attn\.to_gate\.": ".attn.gate.",
        r"\.attn\.norm_([qk])\.weight": r".attn.qknorm.\1norm.scale", r"\.ff\.": ".mlp.",
        r"\.norm1\.weight": ".prenorm.scale", r"\.norm2\.weight": ".postnorm.scale",
        r"\.scale_shift_table": ".mod.lin",
    },
    flattened=r"^transformer_blocks\..*\.scale_shift_table",
)  # fmt: skip
COSMOS = Published(
    {
        r"^time_embed\.t_embedder": "t_embedder.1", r"^time_embed\.norm": "t_embedding_norm",
        r"^transformer_blocks": "blocks", r"norm1\.linear_": "adaln_modulation_self_attn.",
        r"norm2\.linear_": "adaln_modulation_cross_attn.", r"norm3\.linear_": "adaln_modulation_mlp.",
        r"attn1": "self_attn", r"attn2": "cross_attn", r"\.to_([qkv])\.": r".\1_proj.",
        r"\.to_out\.0\.": ".output_proj.", r"\.norm_([qk])\.": r".\1_norm.", r"ff\.net\.0\.proj": "mlp.layer1",
        r"ff\.net\.2": "mlp.layer2", r"^patch_embed\.proj": "x_embedder.proj.1",
        r"^norm_out\.linear_": "final_layer.adaln_modulation.", r"^proj_out": "final_layer.linear",
    },
    before="net.",
)  # fmt: skip
MOCHI = Published(
    {
        r"^patch_embed\.proj": "x_embedder.proj", r"^time_embed\.timestep_embedder\.linear_1": "t_embedder.mlp.0",
        r"^time_embed\.timestep_embedder\.linear_2": "t_embedder.mlp.2", r"^time_embed\.pooler": "t5_y_embedder",
        r"^time_embed\.caption_proj": "t5_yproj", r"^transformer_blocks": "blocks", r"\.norm1\.linear": ".mod_x",
        r"\.norm1_context\.linear(_1)?": ".mod_y", r"\.attn1\.norm_added_([qk])": r".attn.\1_norm_y",
        r"\.attn1\.norm_([qk])": r".attn.\1_norm_x", r"\.attn1\.to_out\.0": ".attn.proj_x",
        r"\.attn1\.to_add_out": ".attn.proj_y", r"\.attn1\.add_([qkv])_proj": r".attn.added_\1",
        r"\.attn1\.": ".attn.", r"\.ff\.net\.0\.proj": ".mlp_x.w1", r"\.ff\.net\.2": ".mlp_x.w2",
        r"\.ff_context\.net\.0\.proj": ".mlp_y.w1", r"\.ff_context\.net\.2": ".mlp_y.w2",
        r"^norm_out\.linear": "final_layer.mod", r"^proj_out": "final_layer.linear",
    },
    {
        "attn.qkv_x": ("attn.to_q", "attn.to_k", "attn.to_v"),
        "attn.qkv_y": ("attn.added_q", "attn.added_k", "attn.added_v"),
    },
    swapped=(r"^norm_out\.", r"\.ff\.net\.0\.", r"\.ff_context\.net\.0\."),
)  # fmt: skip
LUMINA2 = Published(
    {
        r"^norm_out\.linear_1": "final_layer.adaLN_modulation.1", r"^norm_out\.linear_2": "final_layer.linear",
        r"^time_caption_embed\.caption_embedder": "cap_embedder",
        r"^time_caption_embed\.timestep_embedder\.linear_1": "t_embedder.mlp.0",
        r"^time_caption_embed\.timestep_embedder\.linear_2": "t_embedder.mlp.2", r"\.attn\.": ".attention.",
        r"\.to_out\.0\.": ".out.", r"\.norm_([qk])\.": r".\1_norm.", r"feed_forward\.linear_": "feed_forward.w",
        r"\.norm1\.linear": ".adaLN_modulation.1", r"\.norm1\.norm": ".attention_norm1",
        r"\.norm([12])\.weight": r".attention_norm\1.weight",
    },
    {"attention.qkv": ("attention.to_q", "attention.to_k", "attention.to_v")}, added={"norm_final.weight": (1,)},
)  # fmt: skip
HUNYUAN_VIDEO = Published(
    {
        r"^context_embedder\.time_text_embed\.timestep_embedder\.linear_1": "txt_in.t_embedder.mlp.0",
        r"^context_embedder\.time_text_embed\.timestep_embedder\.linear_2": "txt_in.t_embedder.mlp.2",
        r"^context_embedder\.time_text_embed\.text_embedder": "txt_in.c_embedder",
        r"^context_embedder\.token_refiner\.refiner_blocks": "txt_in.individual_token_refiner.blocks",
        r"^context_embedder\.proj_in": "txt_in.input_embedder", r"^(txt_in.*)norm_out\.linear": r"\1adaLN_modulation.1",
        r"^(txt_in.*)attn\.to_out\.0": r"\1self_attn_proj", r"^(txt_in.*)attn\.to_([qkv])": r"\1self_\2",
        r"^(txt_in.*)ff\.net\.0\.proj": r"\1mlp.fc1", r"^(txt_in.*)ff\.net\.2": r"\1mlp.fc2",
        r"^time_text_embed\.timestep_embedder\.linear_1": "time_in.mlp.0",
        r"^time_text_embed\.timestep_embedder\.linear_2": "time_in.mlp.2",
        r"^time_text_embed\.guidance_embedder\.linear_1": "guidance_in.mlp.0",
        r"^time_text_embed\.guidance_embedder\.linear_2": "guidance_in.mlp.2", r"^x_embedder": "img_in",
        r"^time_text_embed\.text_embedder\.linear_1": "vector_in.in_layer",
        r"^time_text_embed\.text_embedder\.linear_2": "vector_in.out_layer",
        r"^norm_out\.linear": "final_layer.adaLN_modulation.1", r"^proj_out": "final_layer.linear",
        r"^(single.*)attn\.norm_([qk])": r"\1\2_norm", r"^(single.*)norm\.linear": r"\1modulation.linear",
        r"^(single.*)proj_out": r"\1linear2", r"^single_transformer_blocks": "single_blocks",
        r"^(transformer_blocks.*)attn\.norm_added_([qk])": r"\1txt_attn_\2_norm",
        r"^(transformer_blocks.*)attn\.norm_([qk])": r"\1img_attn_\2_norm",
        r"^(transformer_blocks.*)attn\.to_out\.0": r"\1img_attn_proj",
        r"^(transformer_blocks.*)attn\.to_add_out": r"\1txt_attn_proj",
        r"^(transformer_blocks.*)attn\.add_([qkv])_proj": r"\1text_\2",
        r"^(transformer_blocks.*)attn\.to_([qkv])": r"\1image_\2",
        r"^(transformer_blocks.*)norm1\.linear": r"\1img_mod.linear",
        r"^(transformer_blocks.*)norm1_context\.linear": r"\1txt_mod.linear",
        r"^(transformer_blocks.*)ff\.net\.0\.proj": r"\1img_mlp.fc1",
        r"^(transformer_blocks.*)ff\.net\.2": r"\1img_mlp.fc2",
        r"^(transformer_blocks.*)ff_context\.net\.0\.proj": r"\1txt_mlp.fc1",
        r"^(transformer_blocks.*)ff_context\.net\.2": r"\1txt_mlp.fc2", r"^transformer_blocks": "double_blocks",
    },
    {
        "self_attn_qkv": ("self_q", "self_k", "self_v"), "img_attn_qkv": ("image_q", "image_k", "image_v"),
        "txt_attn_qkv": ("text_q", "text_k", "text_v"),
        ".linear1": (".attn.to_q", ".attn.to_k", ".attn.to_v", ".proj_mlp"),
    },
    swapped=(r"^norm_out\.",),
)  # fmt: skip
QWEN_IMAGE_21 = Published(joined={".img_mlp.gate_up": (".img_mlp.gate_layer", ".img_mlp.proj")})
WAN_ANIMATE_2 = Published(
    {
        r"^blocks\.(\d+)\.": r"blocks.\1.block.", r"_attn\.to_([qkv])\.": r"_attn.\1.",
        r"_attn\.to_out\.0\.": "_attn.o.",
        r"_attn\.add_([kv])_proj\.": r"_attn.\1_img.", r"_attn\.norm_added_k\.": "_attn.norm_k_img.",
    }
)  # fmt: skip
