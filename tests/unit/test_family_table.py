"""The table of model types × modes × add-ons of old holds: what is marked plans, all else is refused with who can."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from dgen.check.follow import check_source
from dgen.diagnostic import Diagnostic, Source
from dgen.families.rows import FAMILIES
from dgen.plan.abilities import add_ons
from dgen.planning import plan_script

HEAD = (
    "Model type | txt2img | img2img | inpaint | LoRA | TI | ControlNet | PAG | T2I | IP-A | sd-embed | compel "
    "| llm4gen | ADetailer | FreeU | HiDiff | DeepCache | RAS | TeaCache | SADA"
)
TABLE = """
| sd (1.x, 2.x) | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | – | – | Y |
| pix2pix | – | Y | W | Y | Y | – | – | – | Y | Y | Y | Y | – | – | – | Y | – | – | – |
| sdxl | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | Y | – | Y | Y | Y | Y | – | – | Y |
| kolors | Y | Y | Y | Y | – | Y | Y | – | Y | – | – | – | Y | Y | Y | Y | – | – | Y |
| if (stage 1) | Y | Y | Y | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – |
| ifs (stage 2) | – | Y | Y | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – |
| ifs-img2img | – | Y | Y | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – |
| sdxl-pix2pix | – | Y | W | Y | Y | – | – | – | – | Y | Y | – | – | – | – | Y | – | – | – |
| upscaler-x2 | – | Y | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – | – |
| upscaler-x4 | – | Y | – | – | Y | – | – | – | – | Y | Y | Y | – | – | – | Y | – | – | – |
| s-cascade | Y | Y | – | – | – | – | – | – | – | Y | Y | – | – | – | – | – | – | – | – |
| sd3 / 3.5 | Y | Y | Y | Y | – | Y | Y | – | – | Y | – | – | Y | – | – | – | Y | – | – |
| sd3-pix2pix (UltraEdit) | – | Y | Y | Y | – | – | – | – | – | Y | – | – | – | – | – | – | Y | – | – |
| flux | Y | Y | Y | Y | Y | Y | – | – | Y | Y | – | – | Y | – | – | – | – | Y | Y |
| flux-fill | – | – | Y | Y | Y | – | – | – | – | Y | – | – | – | – | – | – | – | Y | Y |
| flux-kontext | – | Y | Y | Y | Y | – | – | – | Y | Y | – | – | – | – | – | – | – | Y | Y |
""".strip()
"""A copy of the table; W is what the old program called work in progress."""

MODES = ("txt2img", "img2img", "inpaint")
WORDS = {
    "LoRA": "--loras nobody/lora", "TI": "--textual-inversions nobody/word", "ControlNet": "--control-nets nobody/net",
    "PAG": "--pag", "T2I": "--t2i-adapters nobody/t2i", "IP-A": "--ip-adapters nobody/ip --image-encoder nobody/eyes",
    "sd-embed": "--prompt-weighter sd-embed", "compel": "--prompt-weighter compel",
    "llm4gen": "--prompt-weighter llm4gen", "ADetailer": "--adetailer-detectors color;color=red",
    "FreeU": "--freeu-params 1,1,1,1", "HiDiff": "--hi-diffusion", "DeepCache": "--deep-cache", "RAS": "--ras",
    "TeaCache": "--tea-cache", "SADA": "--sada",
}  # fmt: skip
IN_MODES = {
    ("sd", "T2I"): ("txt2img",),
    ("sdxl", "T2I"): ("txt2img",),
    ("kolors", "PAG"): ("txt2img",),
    ("sd3", "PAG"): ("txt2img", "img2img"),
    ("sd3", "ControlNet"): ("txt2img", "inpaint"),
}
"""The modes of an add-on where those are not all of the family's: the notes below the table."""

MORE = {
    ("pix2pix", "FreeU"),
    *(
        (family, "ADetailer")
        for family in ("pix2pix", "sdxl-pix2pix", "sd3-pix2pix", "flux-fill", "flux-kontext", "if")
    ),
}
"""What works though the table does not mark it."""

UNKNOWN = {"llm4gen": "unknown-plugin", "SADA": "unknown-option"}
"""The columns of what dgen does not have, and how that is told."""


def rows() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each family, and the marks of its columns."""
    columns = [name.strip() for name in HEAD.split("|")][1:]
    for line in TABLE.splitlines():
        name, *marks = (cell.strip() for cell in line.strip("|").split("|"))
        yield name.split()[0], dict(zip(columns, marks, strict=True))


ROWS = dict(rows())


def modes_of(family: str) -> list[str]:
    return [mode for mode in MODES if ROWS[family][mode] in "YW"]


def marked(family: str, column: str) -> tuple[str, ...]:
    """The modes in which a cell of the table is to work."""
    if column in MODES:
        return (column,) if ROWS[family][column] in "YW" else ()
    works = ROWS[family][column] in "YW" or (family, column) in MORE
    return IN_MODES.get((family, column), tuple(modes_of(family))) if works else ()


def seed(family: str, mode: str, column: str) -> str:
    """What a run of a mode starts from beside an add-on."""
    image = {"txt2img": "", "img2img": "big.png", "inpaint": "big.png;mask=mask.png"}[mode]
    if image and (family == "ifs-img2img" or (family == "ifs" and mode == "inpaint")):
        image += ";floyd=a.png"
    if column in ("ControlNet", "T2I"):
        image = f"{image};control=a.png" if image else "a.png"
    if column == "IP-A":
        image = f"{image};adapter=a.png" if image else "adapter: a.png"
    image = "big.png" if column == "ADetailer" else image
    return f"--image-seeds '{image}'" if image else ""


def statement(family: str, mode: str, words: str = "", column: str = "") -> str:
    quoted = " ".join(f"'{word}'" if ";" in word else word for word in words.split())
    return f"nobody/{family} --model-type {family} --prompts x {seed(family, mode, column)} {quoted}"


def mistakes(statements: Iterable[str]) -> list[list[Diagnostic]]:
    """What is wrong with each of some statements, on the engine that loads nothing."""
    text = "\n".join(statements) + "\n"
    found: dict[int, list[Diagnostic]] = defaultdict(list)
    for each in check_source(Source("s.dgen", text)):
        if each.severity == "error":
            assert each.span is not None
            found[text.count("\n", 0, each.span.start)].append(each)
    return [found[number] for number in range(text.count("\n"))]


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "mask.png"):
        Image.new("L", (64, 64), 255).save(name)
    Image.new("RGB", (128, 128)).save("big.png")


@pytest.mark.parametrize("family", ROWS)
def test_cells_of_a_family_work_in_their_modes_and_all_others_are_refused(family: str) -> None:
    cells = [(column, mode) for column in MODES for mode in (column,)]
    cells += [(column, mode) for column in WORDS for mode in modes_of(family)]
    found = mistakes(statement(family, mode, WORDS.get(column, ""), column) for column, mode in cells)
    for (column, mode), wrong in zip(cells, found, strict=True):
        where = (family, column, mode, wrong)
        if column in UNKNOWN:
            assert UNKNOWN[column] in [each.code for each in wrong], where
        elif mode in marked(family, column):
            assert wrong == [], where
        else:
            assert {each.code for each in wrong} & {"unsupported-option", "unsupported-mode"}, where
            assert any(names_others(str(each.help), family, mode) for each in wrong), where


def names_others(help: str, family: str, mode: str) -> bool:
    """Whether a help names families that can, and this one only where that can in another mode."""
    listed = help.rpartition("these can: ")[2].rpartition("these families can: ")[2].rpartition("have it: ")[2]
    able = [each.split(" (")[0] for each in listed.replace(" and others", "").split(", ") if each[0].isalpha()]
    own = next((part for part in listed.split("), ") if part.startswith(f"{family} (")), "")
    return bool(set(able) & FAMILIES.keys()) and mode not in own


@pytest.mark.parametrize("family", ROWS)
def test_every_cell_of_a_family_plans(family: str) -> None:
    cells = [(column, mode) for column in (*MODES, *WORDS) for mode in marked(family, column) if column not in UNKNOWN]
    text = "".join(statement(family, mode, WORDS.get(column, ""), column) + "\n" for column, mode in cells)
    jobs = [planned.job for planned in plan_script(Source("s.dgen", text)).jobs]
    assert [job.family for job in jobs] == [family] * len(cells)
    painted = [mode if column != "ADetailer" else job.mode for (column, mode), job in zip(cells, jobs, strict=True)]
    assert [job.mode for job in jobs] == painted


COLUMNS = {
    "LoRA": "LoRA", "TI": "textual inversion", "ControlNet": "ControlNet", "PAG": "PAG", "T2I": "T2I adapter",
    "IP-A": "IP-adapter", "sd-embed": "weighted prompts", "compel": "compel", "ADetailer": "ADetailer",
    "FreeU": "FreeU", "HiDiff": "HiDiffusion", "DeepCache": "DeepCache", "RAS": "RAS", "TeaCache": "TeaCache",
}  # fmt: skip
"""The columns of the table as `dgen families` calls them."""


@pytest.mark.parametrize("family", ROWS)
def test_families_are_listed_with_every_column_of_the_table(family: str) -> None:
    listed = add_ons(FAMILIES[family])
    assert {column: tuple(listed.get(name, ())) for column, name in COLUMNS.items()} == {
        column: marked(family, column) for column in COLUMNS
    }


TOGETHER = [
    ("sd", "PAG", "ControlNet", ("txt2img", "inpaint")),
    ("sdxl", "PAG", "ControlNet", ("txt2img", "img2img")),
    ("sd3", "PAG", "ControlNet", ()),
    ("kolors", "PAG", "ControlNet", ()),
    ("sd", "PAG", "T2I", ()),
    ("sdxl", "PAG", "T2I", ()),
    ("sd", "HiDiff", "T2I", ()),
]
"""Two add-ons, and the modes in which a family has both: the holes that the notes below the table name."""


def test_add_ons_that_do_not_go_together_are_refused() -> None:
    cells = [(row, mode) for row in TOGETHER for mode in modes_of(row[0])]
    found = mistakes(statement(f, mode, f"{WORDS[one]} {WORDS[two]}", two) for (f, one, two, _), mode in cells)
    for ((*names, modes), mode), wrong in zip(cells, found, strict=True):
        codes = {each.code for each in wrong}
        refused = codes & {"unsupported-option", "contradictory-options"}
        assert (codes == set()) if mode in modes else refused, (*names, mode, wrong)


RULES = [
    ("pix2pix", "img2img", "--image-seed-strengths 0.5", "unsupported-option"),
    ("pix2pix", "inpaint", "--image-seed-strengths 0.5", "unsupported-option"),
    ("sdxl-pix2pix", "img2img", "--image-seed-strengths 0.5", "unsupported-option"),
    ("sd3-pix2pix", "img2img", "--image-seed-strengths 0.5", "unsupported-option"),
    ("upscaler-x2", "img2img", "--image-seed-strengths 0.5", "unsupported-option"),
    ("upscaler-x4", "img2img", "--image-seed-strengths 0.5", "unsupported-option"),
    ("s-cascade", "img2img", "--image-seed-strengths 0.5", "unsupported-option"),
    ("flux-kontext", "img2img", "--image-seed-strengths 0.5", "unsupported-option"),
    ("sd", "txt2img", "--image-seed-strengths 0.5", "missing-option"),
    ("sd", "txt2img", "--seeds-to-images", "missing-option"),
    ("sd", "txt2img", "--control-nets nobody/net", "missing-option"),
    ("sd", "txt2img", "--t2i-adapters nobody/t2i", "missing-option"),
    ("sd", "txt2img", "--ip-adapters nobody/ip", "missing-option"),
    ("sd", "img2img", "--inpaint-crop", "missing-option"),
    ("sd", "img2img", "--upscaler-noise-levels 10", "unsupported-option"),
    ("upscaler-x4", "img2img", "--upscaler-noise-levels 10", ""),
    ("ifs", "img2img", "--upscaler-noise-levels 10", ""),
    ("ifs-img2img", "img2img", "--upscaler-noise-levels 10", ""),
    ("sd", "img2img", "--image-guidance-scales 2", "unsupported-option"),
    ("flux-kontext", "img2img", "--image-guidance-scales 2", "unsupported-option"),
    ("pix2pix", "inpaint", "--image-guidance-scales 2", ""),
    ("sdxl-pix2pix", "inpaint", "--image-guidance-scales 2", ""),
    ("sd3-pix2pix", "inpaint", "--image-guidance-scales 2", ""),
    ("kolors", "inpaint", "--clip-skips 1", "unsupported-option"),
    ("kolors", "inpaint", "--second-prompts y", "unsupported-option"),
    ("flux", "txt2img", "--clip-skips 1", "unsupported-option"),
    ("sd3", "txt2img", "--clip-skips 1", ""),
    ("sd", "txt2img", "--max-sequence-length 9", "unsupported-option"),
    ("sd", "txt2img", "--output-size 100", "bad-value"),
    ("sd3", "txt2img", "--output-size 72", "bad-value"),
    ("s-cascade", "txt2img", "--output-size 192", "bad-value"),
    ("sd3", "txt2img", "--unet nobody/unet", "unsupported-option"),
    ("flux", "txt2img", "--unet nobody/unet", "unsupported-option"),
    ("sd", "inpaint", "--adetailer-detectors color;color=red", "contradictory-options"),
    ("sd", "img2img", "--adetailer-mask-blurs 3", "missing-option"),
    ("sd", "img2img", "--adetailer-detectors color;color=red --image-format pt", "contradictory-options"),
    ("sd", "inpaint", "--inpaint-crop --no-aspect", "contradictory-options"),
    ("sd", "inpaint", "--inpaint-crop --image-format pt", "contradictory-options"),
    ("sd", "inpaint", "--inpaint-crop --inpaint-crop-masked --inpaint-crop-feathers 3", "contradictory-options"),
    ("sd3", "txt2img", "--ras-index-fusion --offload sequential", "contradictory-options"),
    ("sdxl", "txt2img", "--second-model-inference-steps 3", "missing-option"),
    ("sd", "txt2img", "--sdxl-refiner nobody/refiner", "unsupported-option"),
    ("sd", "txt2img", "--quantizer-map unet", "missing-option"),
    ("sd", "txt2img", "--image-format pt --batch-size 2 --batch-grid-size 2x1", "contradictory-options"),
    ("sd", "txt2img", "--latents-post-processors noise", "missing-option"),
    ("if", "txt2img", "--image-format pt", "unsupported-option"),
    ("sd", "img2img", "--seed-image-processors mirror + mirror", "processor-chains"),
    ("sd", "img2img", "--control-nets nobody/a nobody/b", "control-images"),
    ("sd", "txt2img", "--seeds 1 --gen-seeds 2", "contradictory-options"),
]
"""The rules beside the table: a mode of a family, words, and what is wrong with them."""


def test_rules_beside_the_table_are_kept() -> None:
    found = mistakes(statement(family, mode, words) for family, mode, words, _ in RULES)
    for rule, wrong in zip(RULES, found, strict=True):
        assert [each.code for each in wrong] == [code for code in (rule[-1],) if code], (rule, wrong)
