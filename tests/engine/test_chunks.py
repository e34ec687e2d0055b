"""What leaves a VAE part by part, while it decodes, is what it decodes as a whole."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("patch", [None, 2])
@pytest.mark.parametrize("is_sliced", [False, True])
def test_frames_leave_the_vae_while_it_decodes(patch: int | None, is_sliced: bool) -> None:
    import torch
    from diffusers import AutoencoderKLWan

    from dgen.engine.chunks import taken_from
    from dgen.engine.frames import films_of

    torch.manual_seed(0)
    settings = {} if patch is None else {"patch_size": patch, "in_channels": 12, "out_channels": 12}
    vae = AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        **settings,
    ).eval()  # fmt: skip
    vae.use_slicing = is_sliced
    latents = torch.randn(2, 16, 3, 2, 2)
    with torch.inference_mode():
        whole = (vae.decode(latents).sample.permute(0, 2, 1, 3, 4) * 0.5 + 0.5).clamp(0, 1)
        with taken_from(vae) as films:
            left = vae.decode(latents).sample
        assert torch.equal(vae.decode(latents).sample, vae.decode(latents, return_dict=False)[0])
    pixel = patch or 1
    assert left.shape == (2, 3, 9, pixel, pixel)
    assert [[i.tobytes() for i in film] for film in films] == [[i.tobytes() for i in film] for film in films_of(whole)]
    assert vae.decode(latents).sample.shape[-1] > pixel


def taken(vae: Any, decode: Any) -> tuple[list[Any], list[Any], Any]:
    """The frames that a VAE decodes as a whole, those that are taken out of it, and what is left in their place."""
    import torch

    from dgen.engine.chunks import taken_from
    from dgen.engine.frames import films_of

    with torch.inference_mode():
        whole = films_of((decode().float() * 0.5 + 0.5).clamp(0, 1))
        with taken_from(vae) as films:
            left = decode()
        assert torch.equal(decode(), decode())
    return [[*film] for film in whole], [[*film] for film in films], left


def furthest(one: list[Any], other: list[Any]) -> int:
    """How far the values of the frames of two videos are apart at most, of 255."""
    import numpy as np

    pairs = zip(one, other, strict=True)
    return max(int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()) for a, b in pairs)


@pytest.mark.parametrize("cells", [3, 4, 5, 9, 10])
@pytest.mark.parametrize("is_sliced", [False, True])
def test_parts_that_overlap_are_blended_as_the_vae_does(cells: int, is_sliced: bool) -> None:
    import torch
    from diffusers import AutoencoderKLHunyuanVideo

    torch.manual_seed(0)
    vae = AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4
    ).eval()
    vae.use_slicing = is_sliced
    latents = torch.randn(2, 4, cells, 2, 2)
    whole, films, left = taken(vae, lambda: vae.decode(latents).sample.permute(0, 2, 1, 3, 4))
    assert [len(film) for film in films] == [cells * 4 - 3] * 2 == [left.shape[1]] * 2
    assert [[i.tobytes() for i in film] for film in films] == [[i.tobytes() for i in film] for film in whole]
    assert left.shape[-2:] == (1, 1)


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_mochi_remembers_what_its_frames_need(cells: int) -> None:
    import torch
    from diffusers import AutoencoderKLMochi

    torch.manual_seed(0)
    vae = AutoencoderKLMochi(
        encoder_block_out_channels=(32,) * 4, decoder_block_out_channels=(32,) * 4, layers_per_block=(1, 1, 1, 1, 1)
    ).eval()
    latents = torch.randn(1, 12, cells, 2, 2)
    whole, films, left = taken(vae, lambda: vae.decode(latents).sample.permute(0, 2, 1, 3, 4))
    assert len(films[0]) == cells * 6 - 5 == left.shape[1]
    assert furthest(films[0], whole[0]) <= 1  # sums of another order round otherwise
    assert not vae.use_framewise_decoding


@pytest.mark.parametrize("is_sliced", [False, True])
def test_pictures_of_a_video_leave_the_vae_as_they_are_decoded(is_sliced: bool) -> None:
    import torch
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    vae = AutoencoderKL(block_out_channels=(32,), norm_num_groups=8).eval()
    vae.use_slicing = is_sliced
    latents = torch.randn(5, 4, 8, 8)
    whole, films, left = taken(vae, lambda: torch.cat([vae.decode(part).sample for part in latents.split(2)])[None])
    assert [i.tobytes() for i in films[0]] == [i.tobytes() for i in whole[0]]
    assert left.shape == (1, 5, 3, 1, 1)


def test_frames_of_stable_video_diffusion_leave_its_vae_in_the_parts_that_are_asked_for() -> None:
    import torch
    from diffusers import AutoencoderKLTemporalDecoder

    torch.manual_seed(0)
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2, sample_size=32
    ).eval()
    latents = torch.randn(4, 4, 8, 8)
    for size in (4, 2):
        whole, films, _ = taken(
            vae,
            lambda size=size: torch.cat([vae.decode(p, num_frames=size).sample for p in latents.split(size)])[None],
        )
        assert [i.tobytes() for i in films[0]] == [i.tobytes() for i in whole[0]]


@pytest.mark.parametrize(("cells", "videos"), [(1, 1), (4, 1), (6, 1), (9, 1), (5, 2)])
def test_hunyuan_15_remembers_what_its_frames_need(cells: int, videos: int) -> None:
    import torch
    from diffusers import AutoencoderKLHunyuanVideo15

    torch.manual_seed(0)
    vae = AutoencoderKLHunyuanVideo15(latent_channels=4, block_out_channels=(8,) * 5, layers_per_block=1).eval()
    vae.use_slicing = videos > 1  # diffusers 0.42 decodes no two at once
    latents = torch.randn(videos, 4, cells, 1, 2)
    whole, films, left = taken(vae, lambda: vae.decode(latents).sample.permute(0, 2, 1, 3, 4))
    assert [len(film) for film in films] == [cells * 4 - 3] * videos == [left.shape[1]] * videos
    assert max(furthest(*pair) for pair in zip(films, whole, strict=True)) <= 1  # sums of another order round otherwise
    assert len({film[-1].tobytes() for film in films}) == videos
    assert left.shape[-2:] == (1, 1)


def ltx_vae(kind: str) -> Any:
    """A VAE of LTX-Video or LTX-2 of 32 pixels and eight frames a cell."""
    import diffusers
    import torch
    import toy_films

    torch.manual_seed(0)
    if kind == "AutoencoderKLLTX2Video":
        return toy_films._ltx2_vae().eval()
    return diffusers.AutoencoderKLLTXVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1), patch_size=4,
        spatio_temporal_scaling=(True, True, True, False), decoder_spatio_temporal_scaling=(True, True, True, False),
    ).eval()  # fmt: skip


WIDE = {"tile_sample_min_height": 96, "tile_sample_stride_height": 64}
LONG = {"tile_sample_min_num_frames": 80, "tile_sample_stride_num_frames": 56}


@pytest.mark.parametrize("kind", ["AutoencoderKLLTXVideo", "AutoencoderKLLTX2Video"])
@pytest.mark.parametrize(("cells", "side"), [(2, 2), (10, 2), (11, 2), (18, 2), (12, 4)])
def test_ltx_decodes_in_parts_with_tiles_alone(kind: str, cells: int, side: int) -> None:
    import torch

    vae = ltx_vae(kind)
    latents = torch.randn(1, 4, cells, side, 2)
    _, films, _ = taken(vae, lambda: vae.decode(latents).sample.permute(0, 2, 1, 3, 4))
    assert films == []
    vae.enable_tiling(**WIDE, **LONG)
    vae.use_framewise_decoding = True
    with torch.inference_mode():
        library = vae.decode(latents).sample.permute(0, 2, 1, 3, 4)
    vae.use_framewise_decoding, vae.tile_sample_min_num_frames, vae.tile_sample_stride_num_frames = False, 16, 8
    _, films, left = taken(vae, lambda: vae.decode(latents).sample.permute(0, 2, 1, 3, 4))
    assert [i.tobytes() for i in films[0]] == [i.tobytes() for i in shown(library)[0]]
    assert len(films[0]) == cells * 8 - 7 == left.shape[1]
    settings = (vae.use_framewise_decoding, vae.tile_sample_min_num_frames, vae.tile_sample_stride_num_frames)
    assert settings == (False, 16, 8)


def shown(frames: Any) -> Any:
    from dgen.engine.frames import films_of

    return films_of((frames.float() * 0.5 + 0.5).clamp(0, 1))


@pytest.mark.parametrize("cells", [4, 10])
def test_hunyuan_decodes_in_parts_with_tiles_too(cells: int) -> None:
    import torch
    from diffusers import AutoencoderKLHunyuanVideo

    torch.manual_seed(0)
    vae = AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4
    ).eval()
    vae.enable_tiling(tile_sample_min_height=32, tile_sample_stride_height=24)
    latents = torch.randn(1, 4, cells, 6, 2)
    whole, films, left = taken(vae, lambda: vae.decode(latents).sample.permute(0, 2, 1, 3, 4))
    assert [i.tobytes() for i in films[0]] == [i.tobytes() for i in whole[0]]
    assert left.shape[-2:] == (1, 1)


@pytest.mark.parametrize("cells", [6, 10, 14])
def test_tiles_of_allegro_are_laid_together_as_they_are_decoded(cells: int) -> None:
    import torch
    from diffusers import AutoencoderKLAllegro

    torch.manual_seed(0)
    vae = AutoencoderKLAllegro(
        block_out_channels=(4, 4, 4, 4), layers_per_block=1, norm_num_groups=2, sample_size=64
    ).eval()
    vae.kernel, vae.stride = (24, 64, 64), (16, 32, 32)
    vae.use_tiling = True
    latents = torch.randn(1, 4, cells, 12, 8)
    whole, films, left = taken(vae, lambda: vae.decode(latents).sample)
    assert len(films[0]) == cells * 4 == left.shape[1]
    assert furthest(films[0], whole[0]) <= 1  # weights are multiplied in another order
    assert left.shape[-2:] == (1, 1)
