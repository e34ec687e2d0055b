"""Says how the authors of transformers call their tensors: the inverse of the converters of diffusers, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """How names of diffusers become those that were published; every replacement is made, in its order."""

    names: Mapping[str, str] = field(default_factory=dict)  # patterns -> replacements
    joined: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Published ends of names -> the ends, after the first replacements, of the tensors that are one there."""

    swapped: tuple[str, ...] = ()  # patterns of names whose tensors hold scale and shift the other way round
    flattened: str = ""  # a pattern of names whose tensors are rows of numbers there
    before: str = ""  # what stands before each name
    added: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # tensors that nothing reads -> their shapes


QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
WAN = Published(
    {
        r"^condition_embedder\.time_embedder\.linear_1": "time_embedding.0",
        r"^condition_embedder\.time_embedder\.linear_2": "time_embedding.2",
        r"^condition_embedder\.text_embedder\.linear_1": "text_embedding.0",
        r"^condition_embedder\.text_embedder\.linear_2": "text_embedding.2",
        r"^condition_embedder\.time_proj": "time_projection.1",
        r"^condition_embedder\.image_embedder\.norm1": "img_emb.proj.0",
        r"^condition_embedder\.image_embedder\.ff\.net\.0\.proj": "img_emb.proj.1",
        r"^condition_embedder\.image_embedder\.ff\.net\.2": "img_emb.proj.3",
        r"^condition_embedder\.image_embedder\.norm2": "img_emb.proj.4",
        r"attn2": "cross_attn", r"attn1": "self_attn", r"\.to_out\.0\.": ".o.",
        r"\.add_k_proj\.": ".k_img.", r"\.add_v_proj\.": ".v_img.", r"\.norm_added_k\.": ".norm_k_img.",
        r"\.to_([qkv])\.": r".\1.", r"^scale_shift_table": "head.modulation", r"^proj_out\.": "head.head.",
        r"scale_shift_table": "modulation", r"ffn\.net\.0\.proj": "ffn.0", r"ffn\.net\.2": "ffn.2",
        r"norm2": "norm_", r"norm3": "norm2", r"norm_\.": "norm3.",
        r"^(vace_blocks.*)proj_in": r"\1before_proj", r"^(vace_blocks.*)proj_out": r"\1after_proj",
    }
)  # fmt: skip
LTX = Published({"^proj_in": "patchify_proj", "^time_embed": "adaln_single", "norm_q": "q_norm", "norm_k": "k_norm"})
SD3 = Published(
    {
        r"^pos_embed\.pos_embed": "pos_embed", r"^pos_embed\.proj": "x_embedder.proj",
        r"^time_text_embed\.timestep_embedder\.linear_1": "t_embedder.mlp.0",
        r"^time_text_embed\.timestep_embedder\.linear_2": "t_embedder.mlp.2",
        r"^time_text_embed\.text_embedder\.linear_1": "y_embedder.mlp.0",
        r"^time_text_embed\.text_embedder\.linear_2": "y_embedder.mlp.2",
        r"^norm_out\.linear": "final_layer.adaLN_modulation.1", r"^proj_out": "final_layer.linear",
        r"^transformer_blocks\.(\d+)\.norm1_context\.linear": r"joint_blocks.\1.context_block.adaLN_modulation.1",
        r"^transformer_blocks\.(\d+)\.norm1\.linear": r"joint_blocks.\1.x_block.adaLN_modulation.1",
        r"^transformer_blocks\.(\d+)\.ff_context\.net\.0\.proj": r"joint_blocks.\1.context_block.mlp.fc1",
        r"^transformer_blocks\.(\d+)\.ff_context\.net\.2": r"joint_blocks.\1.context_block.mlp.fc2",
        r"^transformer_blocks\.(\d+)\.ff\.net\.0\.proj": r"joint_blocks.\1.x_block.mlp.fc1",
        r"^transformer_blocks\.(\d+)\.ff\.net\.2": r"joint_blocks.\1.x_block.mlp.fc2",
        r"^transformer_blocks\.(\d+)\.attn\.to_out\.0": r"joint_blocks.\1.x_block.attn.proj",
        r"^transformer_blocks\.(\d+)\.attn\.to_add_out": r"joint_blocks.\1.context_block.attn.proj",
        r"^transformer_blocks\.(\d+)\.attn\.add_([qkv])_proj": r"joint_blocks.\1.context_block.attn.to_\2",
        r"^transformer_blocks\.(\d+)\.attn\.to_([qkv])": r"joint_blocks.\1.x_block.attn.to_\2",
    },
    {"attn.qkv": QKV},
    swapped=(r"^norm_out\.", r"^transformer_blocks\.1\.norm1_context\."),  # of the last one of two blocks
)  # fmt: skip
SANA = Published(
    {
        r"^patch_embed\.proj": "x_embedder.proj", r"^time_embed\.emb\.timestep_embedder\.linear_1": "t_embedder.mlp.0",
        r"^time_embed\.emb\.timestep_embedder\.linear_2": "t_embedder.mlp.2", r"^time_embed\.linear": "t_block.1",
        r"^caption_projection\.linear_1": "y_embedder.y_proj.fc1",
        r"^caption_projection\.linear_2": "y_embedder.y_proj.fc2", r"^caption_norm": "attention_y_norm",
        r"^proj_out": "final_layer.linear", r"^scale_shift_table": "final_layer.scale_shift_table",
        r"^transformer_blocks": "blocks", r"\.attn1\.to_out\.0": ".attn.proj", r"\.attn1\.": ".attn.",
        r"\.attn2\.to_out\.0": ".cross_attn.proj", r"\.attn2\.to_q": ".cross_attn.q_linear",
        r"\.attn2\.": ".cross_attn.", r"\.ff\.conv_inverted": ".mlp.inverted_conv.conv",
        r"\.ff\.conv_depth": ".mlp.depth_conv.conv", r"\.ff\.conv_point": ".mlp.point_conv.conv",
    },
    {".attn.qkv": tuple(f".{each}" for each in QKV), "cross_attn.kv_linear": ("cross_attn.to_k", "cross_attn.to_v")},
    added={"pos_embed": (1,), "y_embedder.y_embedding": (1,)},
)  # fmt: skip
AURAFLOW = Published(
    {
        r"^time_step_proj\.linear_1": "t_embedder.mlp.0", r"^time_step_proj\.linear_2": "t_embedder.mlp.2",
        r"^context_embedder": "cond_seq_linear", r"^proj_out": "final_linear", r"^norm_out\.linear": "modF.1",
        r"^pos_embed\.pos_embed": "positional_encoding", r"^pos_embed\.proj": "init_x_linear",
        r"^joint_transformer_blocks": "double_layers", r"^(double.*)\.ff_context\.": r"\1.mlpC.",
        r"^(double.*)\.ff\.": r"\1.mlpX.", r"^(double.*)\.norm1_context\.linear": r"\1.modC.1",
        r"^(double.*)\.norm1\.linear": r"\1.modX.1", r"^(double.*)\.to_add_out": r"\1.w1o",
        r"^(double.*)\.to_out\.0": r"\1.w2o", r"^(double.*)\.add_([qkv])_proj": r"\1.w1\2",
        r"^(double.*)\.to_([qkv])": r"\1.w2\2", r"^single_transformer_blocks": "single_layers",
        r"^(single.*)\.ff\.": r"\1.mlp.", r"^(single.*)\.norm1\.linear": r"\1.modCX.1",
        r"^(single.*)\.to_out\.0": r"\1.w1o", r"^(single.*)\.to_([qkv])": r"\1.w1\2",
        r"linear_1": "c_fc1", r"linear_2": "c_fc2", r"out_projection": "c_proj",
    },
    swapped=(r"^norm_out\.",),
)  # fmt: skip
Z_IMAGE = Published(
    {
        r"^all_final_layer\.2-1\.": "final_layer.", r"^all_x_embedder\.2-1\.": "x_embedder.",
        r"\.attention\.to_out\.0\.": ".attention.out.", r"\.attention\.norm_([qk])": r".attention.\1_norm",
    },
    {"attention.qkv": ("attention.to_q", "attention.to_k", "attention.to_v")},
)  # fmt: skip
