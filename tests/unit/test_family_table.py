"""What a family cannot have attached is told with the families that can: the table of the model types of old."""

from __future__ import annotations

import pytest

from dgen.diagnostic import Source, Word
from dgen.engine.prompts import check_weighter
from dgen.engine.protocol import EngineError
from dgen.families.inspection import ModelFacts
from dgen.families.rows import FAMILIES
from dgen.options.request import ROWS, Request
from dgen.plan.abilities import modes_with
from dgen.plan.bind import bind, request_table
from dgen.plan.resolve import check_support
from dgen.values.scalars import Size
from dgen.values.uri import NamedUri

ADD_ONS = {
    "loras": "--loras x", "textual_inversions": "--textual-inversions x", "control_nets": "--control-nets x",
    "pag": "--pag", "t2i_adapters": "--t2i-adapters x", "ip_adapters": "--ip-adapters x",
    "freeu": "--freeu-params 1,1,1,1", "hi_diffusion": "--hi-diffusion", "deep_cache": "--deep-cache",
    "tea_cache": "--tea-cache", "sada": "--sada",
}  # fmt: skip
TABLE = {
    #               LoRA TI CN PAG T2I IP  FreeU HiD DC TeaCache SADA
    "sd":           "Y   Y  Y  Y   Y   Y   Y     Y   Y  -       Y",
    "pix2pix":      "Y   Y  -  -   -   Y   *     -   Y  -       -",
    "sdxl":         "Y   Y  Y  Y   Y   Y   Y     Y   Y  -       Y",
    "sdxl-pix2pix": "Y   Y  -  -   -   -   -     -   Y  -       -",
    "kolors":       "Y   -  Y  Y   -   Y   Y     Y   Y  -       Y",
    "if":           "-   -  -  -   -   -   -     -   -  -       -",
    "ifs":          "-   -  -  -   -   -   -     -   -  -       -",
    "ifs-img2img":  "-   -  -  -   -   -   -     -   -  -       -",
    "upscaler-x2":  "-   -  -  -   -   -   -     -   -  -       -",
    "upscaler-x4":  "-   Y  -  -   -   -   -     -   Y  -       -",
    "s-cascade":    "-   -  -  -   -   -   -     -   -  -       -",
    "sd3":          "Y   -  Y  Y   -   *   -     -   -  -       -",
    "flux":         "Y   Y  Y  -   -   *   -     -   -  Y       Y",
    "flux-fill":    "Y   Y  -  -   -   -   -     -   -  Y       Y",
    "flux-kontext": "Y   Y  -  -   -   *   -     -   -  Y       Y",
}  # fmt: skip
"""Y: it can; -: it cannot; *: it differs from what it once was, see docs/families.md."""

CELLS = [
    (family, option, mark)
    for family, marks in TABLE.items()
    for option, mark in zip(ADD_ONS, marks.split(), strict=True)
    if mark != "*"
]


def told(family: str, words: str) -> list[tuple[str, str | None]]:
    """What is wrong with options beside a model of a family, for an image seed where it needs one."""
    row = FAMILIES[family]
    adapter = ";adapter=x.png" if "--ip-adapters" in words else ""
    seeds = {"txt2img": "a.png", "img2img": f"a.png{adapter}", "inpaint": f"a.png;m.png{adapter}"}
    needed = "txt2img" not in row.pipelines or any(ROWS[n].requires for n, said in ADD_ONS.items() if said == words)
    text = f"m {words}" + (f" --image-seeds {seeds[next(iter(row.pipelines))]}" if needed else "")
    source, found, start = Source("test", text), list[Word](), 0
    for word in text.split():
        start = text.index(word, start)
        found.append(Word(word, source.span(start, start + len(word))))
        start += len(word)
    facts = ModelFacts(family=row, pipeline=row.pipeline, default_size=Size(64, 64))
    every = check_support(bind(found, request_table(), source.span(0, len(text))), facts)
    return [(d.code, d.help) for d in every if d.code == "unsupported-option"]


@pytest.mark.parametrize(("family", "option", "mark"), CELLS, ids=lambda value: value)
def test_family_has_an_add_on_or_says_who_has_it(family: str, option: str, mark: str) -> None:
    if mark == "Y":
        assert modes_with(FAMILIES[family], ROWS[option])
        return
    (code, help), *_ = told(family, ADD_ONS[option])
    assert code == "unsupported-option"
    assert help is not None
    assert help.startswith("these can: ")
    assert family not in help.removeprefix("these can: ").split(" (")[0].split(", ")


@pytest.mark.parametrize("family", ["kolors", "if", "ifs", "upscaler-x2"])
def test_prompts_that_cannot_be_weighed_are_told(family: str) -> None:
    with pytest.raises(EngineError) as caught:
        check_weighter(Request(model="m", prompt_weighter=NamedUri("compel")), FAMILIES[family])
    assert caught.value.code == "unsupported-option"
    assert str(caught.value.help).startswith("these families can: ")
