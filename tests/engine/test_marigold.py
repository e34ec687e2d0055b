"""`marigold` and `normal-bae` draw what Marigold's own pipelines see, on toys of their real classes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from toybench import Bench, developed, picture

from dgen.engine.protocol import EngineError
from dgen.events import ComponentLoaded


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import toy_models
    from diffusers import DDIMScheduler, MarigoldDepthPipeline, MarigoldNormalsPipeline
    from transformers import CLIPTextModel

    folder = tmp_path_factory.mktemp("marigolds")
    for kind, cls in (("depth", MarigoldDepthPipeline), ("normals", MarigoldNormalsPipeline)):
        toy_models.seeded(11)
        cls(
            unet=toy_models.toy_unet(in_channels=8), vae=toy_models.toy_vae(),
            scheduler=DDIMScheduler(prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False),
            text_encoder=CLIPTextModel(toy_models.clip_settings(32)), tokenizer=toy_models.make_tokenizer(),
            prediction_type=kind, default_denoising_steps=1, default_processing_resolution=48,
        ).save_pretrained(folder / kind)  # fmt: skip
    return folder


def plainly(folder: Path, seed: int = 0, **said: int) -> np.ndarray:
    """What a plain call of diffusers sees."""
    import torch
    from diffusers import DiffusionPipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = DiffusionPipeline.from_pretrained(folder)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline(picture(), generator=torch.Generator().manual_seed(seed), **said).prediction[0]


def test_depth_is_what_the_pipeline_sees(bench: Bench, models: Path) -> None:
    words = f"marigold;model={models / 'depth'}"
    assert np.abs(developed(bench, words)[..., 0] - 255 * (1 - plainly(models / "depth")[..., 0])).max() <= 0.51
    made = developed(bench, f"{words};seed=3;inference-steps=2;processing-resolution=32;ensemble-size=3")
    wanted = plainly(models / "depth", 3, num_inference_steps=2, processing_resolution=32, ensemble_size=3)
    assert np.abs(made[..., 0] - 255 * (1 - wanted[..., 0])).max() <= 1.01
    assert [(e.kind, e.bytes > 0) for e in bench.of(ComponentLoaded)] == [("sight_model", True)]


@pytest.mark.parametrize("name", ["marigold;mode=normals", "normal-bae"])
def test_normals_are_what_the_pipeline_sees(shared_bench: Bench, models: Path, name: str) -> None:
    made = developed(shared_bench, f"{name};model={models / 'normals'}")
    assert np.abs(made - 127.5 * (plainly(models / "normals") + 1)).max() <= 0.51


def test_a_model_for_something_else_is_told(shared_bench: Bench, models: Path, toys: Path) -> None:
    for place, found in ((models / "depth", "MarigoldDepthPipeline"), (toys / "sd", "StableDiffusionPipeline")):
        with pytest.raises(EngineError, match=f"is no Marigold model for normals but a `{found}`"):
            developed(shared_bench, f"normal-bae;model={place}")
