"""Models come from folders, files, the hub, addresses and the package; refusals say what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hubserver import COMMIT, Hub, serving

from dgen.engine.hub import here
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source

ASK = """
import json, sys
from dgen.engine.adapters.files import adapter_file
from dgen.engine.hub import Hub
from dgen.engine.protocol import EngineError
from dgen.engine.sources import Source
said = []
hub = Hub(said.append)
for asked in json.loads(sys.argv[1]):
    folders = asked.pop("folders")
    try:
        if asked.get("option") == "loras":
            print(json.dumps(["found", str(adapter_file(hub, Source(**asked))), said]))
        else:
            print(json.dumps(["found", str(hub.folders(Source(**asked), folders)), said]))
    except EngineError as error:
        print(json.dumps([error.code, error.option, error.message, error.help]))
assert not {"torch", "diffusers", "transformers", "numpy"} & set(sys.modules)
"""

Ask = Callable[..., list[list[Any]]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    for name in ("toy/unet/config.json", "toy/unet/diffusion_pytorch_model.safetensors", "toy/vae/config.json",
                 "toy/unet/diffusion_pytorch_model.bin", "toy/unet/diffusion_pytorch_model.fp16.safetensors",
                 "toy/vae/diffusion_pytorch_model.bin", "toy/tokenizer/vocab.json", "toy/tokenizer/merges.txt",
                 "toy/model_index.json", "toy/README.md", "toy/toy.safetensors", "deep/xl/model_index.json",
                 "deep/xl/unet/diffusion_pytorch_model.safetensors", "deep/other/unet/config.json",
                 "loras/README.md", "loras/one.safetensors", "loras/two.safetensors", "loras/big/pytorch_model.bin",
                 "loras/sub/pytorch_lora_weights.safetensors", "loras/sub/adapter_config.json"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps({"name": name}), encoding="utf-8")
    with serving(root) as server:
        yield server


def asking(hub: Hub, place: Path) -> Ask:
    """Ask for sources in a process of its own; the address of the hub is that of the test hub."""
    hub.asked.clear()

    def run(*asked: dict[str, Any], endpoint: str | None = None) -> list[list[Any]]:
        own = {"HF_ENDPOINT": endpoint or hub.address, "HF_HOME": str(place), "DGEN_CACHE": str(place / "dgen"),
               "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", ASK, json.dumps([{"folders": [], **a} for a in asked])],
            env={**os.environ, **own}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "hf_secret" not in done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.fixture
def ask(hub: Hub, tmp_path: Path) -> Ask:
    """Ask with a cache that is empty at first."""
    return asking(hub, tmp_path)


def test_only_what_is_needed_is_fetched_and_only_once(ask: Ask, hub: Hub) -> None:
    toy = {"model": "org/toy", "token": "hf_secret"}
    ((word, place, said),) = ask({**toy, "folders": ["unet", "vae"]})
    assert (word, Path(place).name, said) == ("found", COMMIT, ["org/toy (unet)", "org/toy (vae)"])
    assert hub.downloaded == [
        "model_index.json", "tokenizer/merges.txt", "tokenizer/vocab.json", "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.bin",
    ]  # fmt: skip
    hub.asked.clear()
    ((word, again, said),) = ask({**toy, "folders": ["unet"], "revision": "main"})
    assert (word, again, said, hub.downloaded) == ("found", place, [], [])
    hub.asked.clear()
    ((word, again, said),) = ask({**toy, "folders": ["unet"], "offline": True})
    assert (word, again, said, hub.asked) == ("found", place, [], [])


def test_cached_model_is_found_when_the_hub_is_out_of_reach(ask: Ask) -> None:
    ((_, place, _),) = ask({"model": "org/toy", "folders": ["unet"]})
    ((word, again, _),) = ask({"model": "org/toy", "folders": ["unet"]}, endpoint="http://127.0.0.1:9")
    assert (word, again) == ("found", place)


def test_variant_and_subfolder_decide_what_is_fetched(ask: Ask, hub: Hub) -> None:
    found = ask(
        {"model": "org/toy", "variant": "fp16", "folders": ["unet"]},
        {"model": "org/deep", "subfolder": "xl", "folders": ["unet"]},
    )
    assert [f[0] for f in found] == ["found", "found"]
    assert found[1][1].endswith(f"{COMMIT}/xl")
    assert [n for n in hub.downloaded if "safetensors" in n] == [
        "unet/diffusion_pytorch_model.fp16.safetensors", "xl/unet/diffusion_pytorch_model.safetensors",
    ]  # fmt: skip
    assert "other/unet/config.json" not in hub.downloaded


def test_file_of_an_adapter_comes_alone(ask: Ask, hub: Hub) -> None:
    lora = {"model": "org/loras", "option": "loras"}
    found = ask(
        {**lora, "subfolder": "sub"}, {**lora, "file": "two.safetensors"}, lora, {**lora, "file": "tow.safetensors"}
    )
    assert [f[0] for f in found] == ["found", "found", "bad-model", "bad-model"]
    assert found[0][1].endswith(f"{COMMIT}/sub/pytorch_lora_weights.safetensors")
    assert [f[3] for f in found[2:]] == [
        "choose one with `weight-name=…`: `one.safetensors`, `two.safetensors`", "did you mean `two.safetensors`?",
    ]  # fmt: skip
    assert hub.downloaded == ["sub/adapter_config.json", "sub/pytorch_lora_weights.safetensors", "two.safetensors"]
    hub.asked.clear()
    ((word, again, _),) = ask({**lora, "subfolder": "sub", "offline": True})
    assert (word, again, hub.asked) == ("found", found[0][1], [])


def test_blob_link_is_one_file_of_the_hub(ask: Ask, hub: Hub) -> None:
    ((word, place, _),) = ask({"model": "https://huggingface.co/org/toy/blob/main/toy.safetensors?download=true"})
    assert (word, Path(place).name, hub.downloaded) == ("found", "toy.safetensors", ["toy.safetensors"])


def test_address_of_a_checkpoint_is_fetched_once(ask: Ask, hub: Hub) -> None:
    address = f"{hub.address}/org/toy/resolve/main/toy.safetensors?token=hf_secret"
    first, second = ask({"model": address}, {"model": address, "offline": True})
    assert first[0] == "bad-file"  # the server calls it JSON
    assert second[0] == "offline"


REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"model": "org/none"}, "hub-refused", "model", "no repository `org/none`"),
    ({"model": "org/private", "token": "hf_secret"}, "hub-refused", "model", "no repository `org/private`"),
    ({"model": "org/gated", "token": "hf_secret"}, "hub-refused", "model", "`org/gated` is gated"),
    ({"model": "org/broken"}, "hub-refused", "model", "with status 400"),
    ({"model": "org/toy", "revision": "v9"}, "hub-refused", "revision", "no revision `v9`"),
    ({"model": "org/toy", "subfolder": "no"}, "bad-model", "subfolder", "has no folder `no`"),
    ({"model": "org/toy", "subfolder": "../.."}, "bad-model", "subfolder", "has no folder"),
    ({"model": "org/toy", "offline": True}, "offline", "model", "`--offline-mode` forbids"),
    ({"model": "https://huggingface.co/org/toy/blob/main/no.ckpt"}, "hub-refused", "model", "no file"),
    ({"model": "horse"}, "missing-file", "model", "no file or folder `horse`"),
    ({"model": "http://127.0.0.1:9/a.html"}, "bad-model", "model", "no address of a checkpoint"),
    ({"model": "http://127.0.0.1:9/a.ckpt?token=hf_secret"}, "offline", "model", "`http://127.0.0.1:9/a.ckpt`"),
]


@pytest.fixture(scope="module")
def refusals(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> list[list[Any]]:
    """The answers to every source of `REFUSED`, asked in one process."""
    return asking(hub, tmp_path_factory.mktemp("refused"))(*(asked for asked, *_ in REFUSED))


@pytest.mark.parametrize("number", range(len(REFUSED)), ids=[c[0]["model"] + " " + c[1] for c in REFUSED])
def test_refusal_says_what_is_wrong(refusals: list[list[Any]], number: int) -> None:
    _, code, option, words = REFUSED[number]
    got, field, message, _ = refusals[number]
    assert (got, field) == (code, option)
    assert words in message


def test_unreachable_hub_without_a_cache_is_offline(ask: Ask) -> None:
    ((code, _, message, _),) = ask({"model": "org/toy"}, endpoint="http://127.0.0.1:9")
    assert code == "offline"
    assert "out of reach" in message


def test_local_sources_need_no_hub(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    assert here(Source(model=str(tmp_path))) == tmp_path
    assert here(Source(model=str(tmp_path), subfolder="inner")) == tmp_path / "inner"
    assert here(Source(model="org/toy")) is None
    for source, code in ((Source(model="./none"), "missing-file"), (Source(model="builtin:none"), "bad-model"),
                         (Source(model=str(tmp_path), subfolder="../.."), "bad-model")):  # fmt: skip
        with pytest.raises(EngineError) as caught:
            here(source)
        assert caught.value.code == code


def test_token_is_in_no_print_of_a_source() -> None:
    assert "hf_secret" not in repr(Source(model="a/b", token="hf_secret"))
