"""Wan models from file to clip at small size, through the command line; rows, prompts and their cache, memory."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import UMT5EncoderModel

from models.registry import MODELS, create_pipeline, get_spec, list_models, register, unavailable, weights_digest
from models.types import GenerationRequest, RequestError
from models.wan.create import text_encoder
from models.wan.memory import GB, Shape, choose_mode, modes, parts
from models.wan.places import file_digest, find
from models.wan.rows import UMT5, VAE
from models.wan.text import clean
from tests.wan_data import write_small_world
from workbench.__main__ import main
from workbench.catalogue import model_rows
from workbench.clips.generation import GenerationService

RELEASED = [spec for spec in list_models() if spec.checkpoint]
SMALL = ["--size", "64x64", "--frames", "9"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The network's file of a small world."""
    return write_small_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    """A cache of its own, no hub, and a table of models that is put back."""
    for name in ("WORKBENCH_CACHE", "HF_HUB_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("WORKBENCH_WEIGHTS", raising=False)
    kept = dict(MODELS)
    yield
    MODELS.clear()
    MODELS.update(kept)


def generate(model, out, *flags):
    return main(["generate", "--model", model, "--prompt", "a cat on a boat", *SMALL, *flags, "--out", str(out)])


def test_a_file_of_ones_own_makes_a_clip_and_makes_it_again(world, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert generate(f"path:{world}", "a.mp4", "--steps", "2") == 0
    made = json.loads((tmp_path / "a.json").read_text())
    assert (made["model"], made["family"]) == ("path:self_forcing_dmd.pt", "wan")
    assert (made["width"], made["height"], made["frames"], made["fps"]) == (64, 64, 9, 16)
    assert made["sigmas"] == [[1.0, pytest.approx(5 / 6)]] and made["weights_digest"] == file_digest(world)
    again = ["generate", "--from", "a.json", "--model", f"path:{world}", "--out", "b.mp4"]
    assert main(again) == 0
    assert json.loads((tmp_path / "b.json").read_text())["frames_digest"] == made["frames_digest"]


def test_a_released_model_runs_once_its_files_are_there(world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reason = unavailable(get_spec("self-forcing-wan-1.3b"))
    assert reason.startswith("it needs 17.6 GB to download")
    assert generate("self-forcing-wan-1.3b", "a.mp4") == 2
    assert "HF_HUB_OFFLINE is set and 6 files are missing" in capsys.readouterr().err
    shutil.copytree(world.parent, tmp_path / "weights")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (tmp_path / "weights" / "google" / "umt5-xxl" / name).touch()
    monkeypatch.setenv("WORKBENCH_WEIGHTS", str(tmp_path / "weights"))
    assert unavailable(get_spec("self-forcing-wan-1.3b")) is None
    spec = get_spec("self-forcing-wan-1.3b")
    assert find(VAE) == tmp_path / "weights" / "Wan2.1_VAE.pth" and weights_digest(spec)


def test_all_tasks_of_a_frame_by_frame_model(world):
    spec = register(f"path:{world}@causal-forcing-2-wan-1.3b")
    pipeline = create_pipeline(spec.name)
    picture = np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8)
    request = GenerationRequest("a cat", steps=1, ffe=True, frames=9, size=(64, 80))
    for given in (None, picture):
        chunks = list(pipeline.stream(replace(request, image=given)))
        assert [len(chunk.frames) for chunk in chunks] == [1, 4, 4] and chunks[0].frames.shape[1:] == (64, 80, 3)
        assert [len(chunk.sigmas) for chunk in chunks] == ([4, 1, 1] if given is None else [0, 4, 1])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("path:nothing.pt", "is not there"),
        ("path:{world}@shapes-asd", "name a Wan model after @"),
        ("path:{world}#generator", "no entry 'generator'; it holds generator_ema"),
    ],
)
def test_sources_that_cannot_be_read_are_refused(name, words, world, tmp_path, capsys):
    assert generate(name.format(world=world), tmp_path / "a.mp4") == 2
    assert words in capsys.readouterr().err


def test_pages_open_no_path(world):
    with pytest.raises(RequestError, match="is not open here"):
        get_spec(f"path:{world}")


def test_sizes_are_checked():
    spec = get_spec("self-forcing-wan-1.3b")
    assert spec.check_size((480, 832)) is spec.check_size((832, 480)) is spec.check_size((64, 64)) is None
    assert "at most 399,360 pixels" in spec.check_size((720, 1280)) and spec.check_size((100, 100))
    assert get_spec("shapes-asd").check_size((128, 128)) == "size is 128x128; shapes-asd makes 64x64 only"


@pytest.mark.parametrize("spec", RELEASED, ids=lambda spec: spec.name)
def test_rows_of_released_models(spec):
    row = next(row for row in model_rows() if row["name"] == spec.name)
    assert row["download_gb"] > 17 and 5 < row["gpu_gb"] < 12 and row["license"] and not row["available"]
    levels = spec.levels(spec.default_steps)
    assert levels[0] == 1 and list(levels) == sorted(levels, reverse=True)
    assert ("i2v" in spec.tasks) == (spec.causal and spec.first_chunk == 1)


def test_lists_that_reach_the_networks():
    """The lists of the references' configurations."""
    lists = {name: [1000 * s for s in get_spec(f"{name}-wan-1.3b").levels(n)] for name, n in (
        ("self-forcing", 4), ("causvid", 3), ("causvid-warp", 4), ("causal-forcing-2", 2), ("causal-forcing-1", 4)
    )}  # fmt: skip
    assert lists["self-forcing"] == lists["causal-forcing-1"] == pytest.approx([1000, 937.5, 833.333, 625], abs=1e-3)
    assert lists["causvid"] == [1000, 757, 522] and lists["causal-forcing-2"] == pytest.approx(
        [1000, 833.333], abs=1e-3
    )
    assert lists["causvid-warp"] == pytest.approx([1000, 960, 888.889, 727.273], abs=1e-3)
    longlive = get_spec("longlive-wan-1.3b")
    assert (longlive.window, longlive.sink, longlive.window_always, longlive.sink_follows) == (12, 3, True, False)


def test_prompts_are_cleaned_as_wans_code_does():
    assert clean("  a &amp;amp; b\n\tc â€œdâ€\x9d ") == 'a & b c "d"'


def test_embeddings_are_made_once_and_then_need_no_encoder(world, tmp_path):
    encoder = text_encoder(world.parent)
    loads = []
    load = encoder.load
    encoder.load = lambda: loads.append(1) or load()
    made = encoder.embed(["a cat", "", "a  cat "])
    assert len(loads) == 1 and made.shape == (3, 512, 32) and made.dtype == torch.bfloat16
    assert torch.equal(made[0], made[2]) and not made[0, 8:].any() and made[0, :7].any()
    tokenizer, model = load()
    batch = tokenizer(["a cat"], padding="max_length", max_length=512, return_tensors="pt")
    assert isinstance(model, UMT5EncoderModel)
    with torch.no_grad():
        padded = model(batch.input_ids, batch.attention_mask).last_hidden_state * batch.attention_mask[..., None]
    torch.testing.assert_close(made[:1].float(), padded, atol=0.02, rtol=0.01)
    without = text_encoder(tmp_path)
    assert torch.equal(without.embed(["a cat"]), made[:1])
    with pytest.raises(RequestError, match="not in the cache and the text encoder"):
        without.embed(["a dog"])


def test_embed_prompts_fills_the_cache(world, tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("a cat\n\na dog\na cat\n")
    command = ["embed-prompts", str(tmp_path / "prompts.txt"), "--weights", str(world.parent)]
    assert main(command) == 0 and "2 of 3 prompts are new" in capsys.readouterr().out
    assert main(command) == 0 and "0 of 3 prompts are new" in capsys.readouterr().out
    assert text_encoder(tmp_path).embed(["a dog"]).any()


def test_long_prompts_are_cut_with_a_notice(world):
    encoder = text_encoder(world.parent)
    long = "many words " * 60
    assert encoder.embed([long]).shape == (1, 512, 32)
    assert encoder.notices(long) == ["the prompt has 661 tokens and the model reads the first 512"]
    assert encoder.notices("a cat") == []


def test_memory_is_counted_from_shapes():
    assert Shape().parameters == 1_418_996_800 and Shape(5120, 40, 13824).parameters == 14_288_491_584
    found = parts(Shape(), (480, 832), 21, 3)
    assert found.network == pytest.approx(2.84, abs=0.01) and found.keys_values == pytest.approx(6.04, abs=0.01)
    assert parts(Shape(5120, 40, 13824), (480, 832), 1, 1).keys_values == pytest.approx(1.278, abs=0.001)
    from models.networks.transformer import CausalVideoTransformer  # noqa: PLC0415

    with torch.device("meta"):
        network = CausalVideoTransformer(num_layers=2)
    cache = network.new_cache(60, 104, frames=6)
    cache.begin(0, torch.empty(1, 4680, 1536, dtype=torch.bfloat16, device="meta"), 12)
    assert cache.bytes() / GB == pytest.approx(parts(Shape(layers=2), (480, 832), 6, 3).keys_values)


@pytest.mark.parametrize("card", [8, 12, 16, 24, 48, 80])
def test_every_card_has_a_mode(card):
    offered = modes(Shape(), (480, 832), 21, 3)
    assert [mode.gigabytes for mode in offered] == sorted((mode.gigabytes for mode in offered), reverse=True)
    mode = choose_mode(offered, card)
    assert mode.gigabytes <= 0.9 * card and mode.resident == (card >= 48)
    assert choose_mode(offered, 2) is None


def test_the_encoders_file_is_found_where_it_is_put(world, monkeypatch):
    assert find(UMT5) is None and find(UMT5, world.parent) == world.parent / UMT5.path


def test_out_of_memory_is_explained_and_the_next_request_works(tmp_path, tiny):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    service = GenerationService(tmp_path, pipelines={"tiny-random": tiny})
    request = GenerationRequest("a red circle moving right on a black background", steps=1, frames=5)
    hook = tiny.transformer.register_forward_pre_hook(full)
    with pytest.raises(RequestError, match="5 frames of this size do not fit the memory of cpu"):
        service.generate("tiny-random", request)
    hook.remove()
    assert len(service.generate("tiny-random", request).result.frames) == 5
