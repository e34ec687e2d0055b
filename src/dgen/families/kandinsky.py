"""Rows of the Kandinsky models of pictures."""

from __future__ import annotations

from dgen.families.family import IMG2IMG, SIGNED, TXT2IMG, Family

KANDINSKY3 = Family(
    name="kandinsky3",
    label="Kandinsky 3",
    package="kandinsky3",
    pipelines={TXT2IMG: "Kandinsky3Pipeline", IMG2IMG: "Kandinsky3Img2ImgPipeline"},
    multiple_of=64,
    default_size=1024,
    as_signed=SIGNED,
    lacks=("loras", "lora_fuse_scale"),  # its UNet takes none
)

ROWS = (KANDINSKY3,)
