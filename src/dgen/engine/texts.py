"""Lets language models of transformers continue texts, or answer them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from dgen.engine.components import Need, Store
from dgen.engine.devices import kind_of
from dgen.engine.failures import first_line, is_short_of_memory
from dgen.engine.footprint import footprint
from dgen.engine.libraries import quiet
from dgen.engine.loading import Loader
from dgen.engine.protocol import EngineError
from dgen.engine.quantizers import check_usable
from dgen.engine.sources import Part, Source
from dgen.upscalers import TextOrder

_TOKENIZER, _MODEL = "text_tokenizer", "text_model"


def continue_texts(order: TextOrder, store: Store, loader: Loader, where: tuple[str, bool]) -> tuple[str, ...]:
    """Return each text of an order with what its model wrote after it; `where` is the device, and whether offline.

    Raises:
        EngineError: `bad-model`, `bad-weights`, `offline`, `hub-refused`, `out-of-memory`, `render-failed`.
    """
    device, offline = where
    source = Source(model=order.model, offline=offline)
    if order.quantizer is not None:
        check_usable(order.quantizer, order.model, lambda: kind_of(device), "model")
    with ExitStack() as stack, quiet():
        needs = _needs(order, source, loader)
        tokenizer, model = store.gather(stack, needs)
        store.bring(model, device)
        try:
            write = _answered if order.answers else _continued
            return write(order, tokenizer.value, model.value, device)
        except EngineError:
            raise
        except Exception as error:
            if is_short_of_memory(error):
                message = f"memory ran out while `{source.shown}` wrote {len(order.texts)} texts"
                raise EngineError("out-of-memory", message, help="try a smaller `max-batch`") from error
            raise EngineError("render-failed", f"`{source.shown}` cannot write: {first_line(error)}") from error


def _needs(order: TextOrder, source: Source, loader: Loader) -> tuple[Need, Need]:
    folder = loader.hub.folders(source, [""])
    class_name = named_class(folder, source, "language model")
    key = (source, order.dtype, order.quantizer)
    parts = (
        Part(kind=_TOKENIZER, key=(_TOKENIZER, source), source=source, dtype=order.dtype,
             library="transformers", class_name="AutoTokenizer"),
        Part(kind=_MODEL, key=(_MODEL, *key), source=source, dtype=order.dtype, library="transformers",
             class_name=class_name, quantizer=order.quantizer),
    )  # fmt: skip
    sizes = (0, footprint(loader.hub, parts[1]).bytes or 0)
    first, second = (
        Need(key=p.key, kind=p.kind, source=source.shown, load=partial(loader.load_from, p, folder), bytes=size)
        for p, size in zip(parts, sizes, strict=True)
    )
    return first, second


def named_class(folder: Path, source: Source, what: str) -> str:
    """Return the class that a model's configuration names; `what` it should be.

    Raises:
        EngineError: `bad-model`.
    """
    try:
        named: Any = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures")
    except (OSError, ValueError):
        named = None
    if not isinstance(named, list) or not named:
        raise EngineError("bad-model", f"`{source.shown}` is no {what}: its `config.json` names no class")
    return str(named[0])


def _answered(order: TextOrder, tokenizer: Any, model: Any, device: str) -> tuple[str, ...]:
    import torch

    if not getattr(model.config, "is_encoder_decoder", False):
        raise EngineError("bad-model", f"`{order.model}` continues texts and answers none, as a translating model does")
    given = tokenizer(list(order.texts), return_tensors="pt", padding=True, truncation=True).to(device)
    with torch.inference_mode():
        made = model.generate(
            input_ids=given["input_ids"], attention_mask=given["attention_mask"], do_sample=False,
            max_new_tokens=max(order.max_length, 2 * given["input_ids"].shape[1]),
        )  # fmt: skip
    return tuple(tokenizer.batch_decode(made, skip_special_tokens=True))


def _continued(order: TextOrder, tokenizer: Any, model: Any, device: str) -> tuple[str, ...]:
    import torch

    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    is_chat = bool(order.system)
    texts = [_as_chat(order, tokenizer, text) for text in order.texts] if is_chat else list(order.texts)
    given = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=not is_chat).to(device)
    start = given["input_ids"].shape[1]
    length = start + order.max_length if is_chat else max(order.max_length, start + 1)
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(order.seed)
        made = model.generate(
            input_ids=given["input_ids"], attention_mask=given["attention_mask"], do_sample=True,
            max_length=length, temperature=order.temperature, top_k=order.top_k, top_p=order.top_p,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
    written = tokenizer.batch_decode(made[:, start:], skip_special_tokens=True)
    return tuple(more if is_chat else text + more for text, more in zip(order.texts, written, strict=True))


def _as_chat(order: TextOrder, tokenizer: Any, text: str) -> str:
    """Return a text as a model reads it that chats, after what it is told first."""
    if tokenizer.chat_template is None:
        raise EngineError("bad-model", f"`{order.model}` is no model that chats, and takes no `system` text")
    said = [{"role": "system", "content": order.system}, {"role": "user", "content": text}]
    return tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
