"""Makes toy text encoders and tokenizers of the kinds that today's image models read prompts with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toy_models import bytes_as_text

WIDTH = 16
"""The width of every text that these encoders read, unless another one is said."""

_ROLES = (
    "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip
_CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.content is string %}{{ m.content }}"
    "{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def qwen_tokenizer() -> Any:
    """Make a Qwen tokenizer that knows single bytes and the marks of a talk."""
    from transformers import Qwen2Tokenizer

    vocab = {token: number for number, token in enumerate(bytes_as_text())}
    return Qwen2Tokenizer(vocab=vocab, merges=[], extra_special_tokens=list(_ROLES), chat_template=_CHAT)


def _sizes(width: int, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": len(qwen_tokenizer()), "hidden_size": width, "intermediate_size": 2 * width,
        "num_hidden_layers": layers, "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8,
        "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None,
    }  # fmt: skip


def qwen3(layers: int = 2, *, speaks: bool = False) -> Any:
    """Make a Qwen 3 language model; one that `speaks` has a head for the next token."""
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

    return (Qwen3ForCausalLM if speaks else Qwen3Model)(Qwen3Config(**_sizes(WIDTH, layers)))


def qwen_vl(width: int = WIDTH) -> Any:
    """Make a Qwen 2.5 model that reads pictures and text."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokens = {name: qwen_tokenizer().convert_tokens_to_ids(f"<|{name}|>") for name in ("image_pad", "video_pad")}
    marks = {n: qwen_tokenizer().convert_tokens_to_ids(f"<|vision_{n}|>") for n in ("start", "end")}
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"}
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": width,
        "fullatt_block_indexes": [0],
    }  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config=_sizes(width, 2) | {"rope_scaling": rope, "num_attention_heads": width // 8},
            vision_config=vision, image_token_id=tokens["image_pad"], video_token_id=tokens["video_pad"],
            vision_start_token_id=marks["start"], vision_end_token_id=marks["end"], bos_token_id=None,
            eos_token_id=None, pad_token_id=0,
        )
    )  # fmt: skip


def qwen3_vl(layers: int = 2, width: int = WIDTH, *, speaks: bool = True) -> Any:
    """Make a Qwen 3 model that reads pictures and text; one that `speaks` has a head for the next token."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLModel

    number = qwen_tokenizer().convert_tokens_to_ids
    rope = {"mrope_section": [2, 1, 1], "mrope_interleaved": True, "rope_type": "default", "rope_theta": 10000.0}
    vision = {
        "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": width,
        "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
    }  # fmt: skip
    return (Qwen3VLForConditionalGeneration if speaks else Qwen3VLModel)(
        Qwen3VLConfig(
            text_config=_sizes(width, layers) | {"rope_parameters": rope}, vision_config=vision,
            image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
            vision_start_token_id=number("<|vision_start|>"), vision_end_token_id=number("<|vision_end|>"),
        )
    )  # fmt: skip


def qwen_vl_texts(width: int = WIDTH) -> Any:
    """Make the part of a Qwen 2.5 model that reads text, for models that see pictures otherwise."""
    from transformers import Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"}
    return Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**_sizes(width, 3) | {"rope_scaling": rope}))


_MARKS = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>")


def gemma_tokenizer() -> Any:
    """Make a Gemma tokenizer that knows single characters and bytes."""
    from transformers import GemmaTokenizer

    pieces = [*_MARKS, *(f"<0x{n:02X}>" for n in range(256)), "▁", *map(chr, range(33, 127))]
    return GemmaTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[])


def gemma(width: int = WIDTH) -> Any:
    """Make a Gemma 2 language model."""
    from transformers import Gemma2Config, Gemma2Model

    sizes = _sizes(width, 2) | {"vocab_size": len(gemma_tokenizer())}
    return Gemma2Model(Gemma2Config(**sizes | {"eos_token_id": 1, "bos_token_id": 2}))


def gemma_reader(width: int = WIDTH) -> Any:
    """Make a Gemma 3 model, which reads pictures and text."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    sizes = _sizes(width, 2) | {"vocab_size": len(gemma_tokenizer()), "eos_token_id": 1, "bos_token_id": 2}
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    return Gemma3ForConditionalGeneration(Gemma3Config(text_config=sizes, vision_config=vision, mm_tokens_per_image=4))


def plain_tokenizer() -> Any:
    """Make the tokenizer of a file `tokenizer.json` alone, such as those of GLM and of Llama; texts have a start."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    made, start = qwen_tokenizer(), _ROLES[0]
    words = made._tokenizer
    words.post_processor = TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, made.convert_tokens_to_ids(start))]
    )
    end = made.eos_token
    return PreTrainedTokenizerFast(tokenizer_object=words, pad_token=end, eos_token=end, model_max_length=128)


def glm(width: int = WIDTH) -> Any:
    """Make a GLM language model."""
    from transformers import GlmConfig, GlmModel

    return GlmModel(GlmConfig(**_sizes(width, 2) | {"partial_rotary_factor": 0.5}))


def llama(width: int = WIDTH) -> Any:
    """Make a Llama language model."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**_sizes(width, 2)))


def bert(width: int = WIDTH) -> Any:
    """Make a BERT text encoder."""
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(
            vocab_size=len(bert_tokenizer()), hidden_size=width, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=32,
        )
    )  # fmt: skip


def bert_tokenizer() -> Any:
    """Make a BERT tokenizer that knows single characters."""
    from transformers import BertTokenizer

    letters = [chr(c) for c in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters)]
    return BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})


def save_qwen_reader(folder: Path, patch: int = 14) -> None:
    """Write the processor of a Qwen model as its folder holds it: the tokenizer, and what makes pictures small."""
    from transformers import Qwen2VLImageProcessorPil

    qwen_tokenizer().save_pretrained(folder)
    sides = {"min_pixels": (2 * patch) ** 2, "max_pixels": (4 * patch) ** 2}
    Qwen2VLImageProcessorPil(patch_size=patch, **sides).save_pretrained(folder)


def mistral(layers: int, *, speaks: bool = True) -> Any:
    """Make a Mistral 3 model, which reads pictures and text; one that `speaks` has a head for the next token."""
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration, Mistral3Model

    sizes = _sizes(WIDTH, layers) | {"model_type": "mistral"}
    vision = {
        "model_type": "pixtral", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "image_size": 28, "patch_size": 14, "head_dim": 8,
    }  # fmt: skip
    mark = qwen_tokenizer().convert_tokens_to_ids("<|image_pad|>")
    return (Mistral3ForConditionalGeneration if speaks else Mistral3Model)(
        Mistral3Config(text_config=sizes, vision_config=vision, image_token_index=mark, image_token_id=mark)
    )
