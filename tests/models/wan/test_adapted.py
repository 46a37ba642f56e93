"""Models that diffusers' own pipelines run, at small size with random weights, from a folder to a clip."""

import inspect
import json
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

from models.registry import MODELS, create_pipeline, register, unavailable, weights_digest
from models.types import GenerationRequest, RequestError
from models.wan.adapted import partition
from models.wan.adapted_kinds import KINDS
from tests.helpers.wan_data import write_small_world
from workbench.clips.generation import GenerationService

SIZES = {"num_attention_heads": 2, "attention_head_dim": 12, "ffn_dim": 32, "num_layers": 2, "text_dim": 32}
REQUEST = GenerationRequest("a cat on a boat", 2, frames=7, seed=1, size=(64, 64))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    world = tmp_path_factory.mktemp("world")
    write_small_world(world)
    torch.manual_seed(0)
    config = {"vocab_size": 40, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4}
    return {
        "tokenizer": AutoTokenizer.from_pretrained(world / "google" / "umt5-xxl"),
        "text_encoder": UMT5EncoderModel(UMT5Config(**config, feed_forward_proj="gated-gelu")).eval(),
        "vae": diffusers.AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
    }


@pytest.fixture(params=["AnyFlowFARPipeline", "SkyReelsV2DiffusionForcingPipeline"])
def folder(request, parts, tmp_path, monkeypatch):
    """A whole pipeline as its authors publish it."""
    monkeypatch.setattr("models.registry.MODELS", dict(MODELS))
    torch.manual_seed(0)
    if request.param.startswith("AnyFlow"):
        network = diffusers.AnyFlowFARTransformer3DModel(**SIZES, freq_dim=16, chunk_partition=(1, 2))
        scheduler = diffusers.FlowMapEulerDiscreteScheduler()
    else:
        network = diffusers.SkyReelsV2Transformer3DModel(**SIZES, freq_dim=16, inject_sample_info=False)
        scheduler = diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=8.0
        )
    pipeline = getattr(diffusers, request.param)(**parts, transformer=network, scheduler=scheduler)
    pipeline.save_pretrained(tmp_path / "published")
    return tmp_path / "published"


def test_a_published_folder_makes_a_clip_and_makes_it_again(folder, tmp_path):
    spec = register(f"path:{folder}")
    assert (spec.name, unavailable(spec), spec.pipeline) == ("path:published", None, spec.pipeline)
    assert len(weights_digest(spec)) == 64 and len(spec.source.files) == 3
    service = GenerationService(tmp_path / "data")
    made = [service.generate(spec.name, replace(REQUEST, seed=seed)) for seed in (1, 1, 2)]
    first, again, other = (clip.result.frames for clip in made)
    assert first.shape == (7, 64, 64, 3) and first.std() > 0
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    manifest = json.loads(made[0].manifest_path.read_text())
    assert (manifest["model"], manifest["family"], manifest["fps"]) == ("path:published", "wan", spec.fps)
    assert len(manifest["sigmas"][0]) == 2 and manifest["forwards"] >= 2


def test_what_is_not_whole_is_told(folder):
    spec = register(f"path:{folder}")
    (folder / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(RequestError, match=f"is no whole {spec.pipeline}"):
        create_pipeline(spec.name)


@pytest.mark.parametrize("name", KINDS)
def test_every_argument_is_one_that_the_pipeline_takes(name):
    taken = inspect.signature(getattr(diffusers, name).__call__).parameters
    given = ("prompt", "height", "width", "num_frames", "num_inference_steps", "guidance_scale", "generator")
    assert set(taken) >= {*given, "output_type", "max_sequence_length", *KINDS[name].options}
    assert (taken["height"].default, taken["width"].default) == KINDS[name].size


def test_chunks_of_another_length():
    usual = (1, 3, 3, 3, 3, 3, 3, 2)
    assert partition(21, usual) == list(usual)
    assert partition(1, usual) == [1] and partition(6, usual) == [1, 3, 2]
    assert partition(25, usual) == [1, 3, 3, 3, 3, 3, 3, 3, 3]
