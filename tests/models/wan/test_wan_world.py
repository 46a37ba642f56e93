"""Wan models from file to clip at small size, through the command line; rows, prompts and their cache, memory."""

import json
import platform
import shutil
import sys
from dataclasses import replace
from subprocess import check_output

import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import UMT5EncoderModel

from models.networks.transformer import CausalVideoTransformer
from models.registry import create_pipeline, get_spec, list_models, register, unavailable, weights_digest
from models.sampling.rollout import ClipNoise, rollout
from models.sampling.schedulers import StepPlan
from models.types import GenerationRequest, RequestError
from models.wan.create import text_encoder
from models.wan.files import read_network
from models.wan.load import keep_layers_in_half, shape_of
from models.wan.memory import GB, choose_mode, make_plan, modes, parts
from models.wan.places import file_digest, find
from models.wan.rows import UMT5, VAE
from models.wan.shapes import SHAPE_14B, Shape
from models.wan.text import clean
from tests.helpers.peak_tensors import peak_gigabytes
from tests.helpers.wan_data import write_small_world
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.requests.catalogue import model_rows

pytestmark = pytest.mark.usefixtures("own_places")
RELEASED = [spec for spec in list_models() if spec.checkpoint]
SMALL = ["--size", "64x64", "--frames", "9"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The network's file of a small world."""
    return write_small_world(tmp_path_factory.mktemp("world"))


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


def test_a_video_is_encoded_as_it_is_asked_for(world):
    """Runs of a streamed video are slices of the whole, and a clip starts from them."""
    spec = register(f"path:{world}")
    pipeline = create_pipeline(spec.name)
    video = np.random.default_rng(0).integers(0, 255, (25, 64, 80, 3), np.uint8)
    whole = pipeline.codec.encode(video)
    for lengths in ((3, 3, 1), (1, 3, 3), (1, 1, 1, 4)):
        runs, start, parts = pipeline.codec.encode_runs(video), 0, []
        for length in lengths:
            parts.append(runs(start, length))
            start += length
        assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="latent frame 7 is next, and 0 was asked for"):
        runs(0, 1)
    still = pipeline.codec.encode_runs(video[:5])(0, 3)
    assert_close(still, pipeline.codec.encode(np.concatenate([video[:5], *[video[4:5]] * 4])), atol=1e-5, rtol=0)
    request = GenerationRequest("a cat", 1, frames=25, size=(64, 80), video=video, video_fps=16.0, strength=0.0)
    (clip,) = [pipeline(request).frames]
    back = pipeline.codec.decode(whole)
    assert np.abs(clip.astype(int) - back[:25]).max() <= 1


def test_released_lists_of_the_first_chunk_need_no_flag(world):
    spec = register(f"path:{world}@causal-forcing-1-wan-1.3b")
    pipeline, asked = create_pipeline(spec.name), GenerationRequest("a cat", 1, frames=9, size=(64, 64))
    lists = [[round(1000 * sigma, 2) for sigma in sigmas] for sigmas in pipeline.plan(asked).sigmas]
    assert lists == [[1000, 937.5, 833.33, 625], [1000], [1000]]
    assert any("the first chunk takes 4 steps, as path:" in text for text in pipeline.check(asked))
    assert [len(s) for s in pipeline.plan(replace(asked, ffe=True, first_steps=2)).sigmas] == [2, 1, 1]
    assert [len(s) for s in pipeline.plan(replace(asked, step_plan=(1,))).sigmas] == [1, 1, 1]


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
def test_rows_of_released_models(spec, monkeypatch):
    monkeypatch.setattr("workbench.requests.catalogue.gpu_gigabytes", lambda: 0.0)
    row = next(row for row in model_rows() if row["name"] == spec.name)
    large = spec.checkpoint.shape == SHAPE_14B
    assert row["download_gb"] > (40 if large else 14) and 5 < row["gpu_gb"] < (40 if large else 13)
    assert row["license"] and not row["available"]
    assert row["state"] == (
        f"needs {row['download_gb']:.1f} GB to download (`models --download {spec.name}`) and "
        f"{row['gpu_gb']:.1f} GB of GPU memory, of which this machine has none"
    )
    levels = spec.levels(spec.default_steps)
    begins = {"rcm": 80 / 81, "streamdiffusion": 0.7}.get(spec.name.partition("-")[0], 1)
    assert levels[0] == pytest.approx(begins, abs=1e-6) and list(levels) == sorted(levels, reverse=True)
    assert ("i2v" in spec.tasks) == (spec.first_chunk == 1 and "t2v" in spec.tasks)
    assert spec.checkpoint.shape.parameters in (1_418_996_800, 14_288_491_584)


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
    torch.testing.assert_close(made[:1].float(), padded.float(), atol=0.02, rtol=0.01)
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
    assert mode.gigabytes <= 0.9 * card and (mode.encoder == "resident") == (card >= 48)
    assert (mode.window, mode.offload) == {8: (6, True), 12: (9, False)}.get(card, (None, False))
    assert choose_mode(offered, 2) is None


@pytest.mark.parametrize(
    ("device", "dtype", "chunk", "count", "window", "half"),
    [
        ("cpu", torch.bfloat16, 3, 3, None, False),
        ("cpu", torch.float32, 3, 3, None, False),
        ("cpu", torch.bfloat16, 1, 9, None, False),
        ("cpu", torch.bfloat16, 3, 4, 6, False),
        ("cpu", torch.float32, 3, 1, None, True),
        ("meta", torch.bfloat16, 3, 2, None, False),
        ("meta", torch.float32, 3, 1, None, True),
    ],
)
def test_the_planners_word_is_within_a_tenth_of_the_peak(device, dtype, chunk, count, window, half):
    """Counted tensor by tensor as a rollout makes them; on the meta device at the width and frame size of 1.3B."""
    full = device == "meta"
    shape = Shape(layers=2) if full else Shape(width=256, layers=3, ffn=512, text_width=64, head_dim=64, freq_dim=64)
    names = {"num_layers": shape.layers, "ffn_dim": shape.ffn, "text_dim": shape.text_width}
    with torch.device(device):
        network = CausalVideoTransformer(
            num_attention_heads=shape.width // shape.head_dim,
            attention_head_dim=shape.head_dim,
            freq_dim=shape.freq_dim,
            **names,
        )
        text = torch.zeros(1, 512, shape.text_width, dtype=dtype)
    network = network.to(dtype).eval()
    if half:
        keep_layers_in_half(network)
    network.requires_grad_(False)
    height, width = (480, 832) if full else (128, 128)
    frames = min(window or chunk * count, chunk * count)

    def run():
        limits = {"window": window} if window else {}
        cache = network.new_cache(height // 8, width // 8, frames=chunk * count, **limits)
        plan = StepPlan.uniform((chunk,) * count, 1)
        frame = (1, 16, height // 8, width // 8)
        with torch.no_grad():
            for _ in rollout(network, plan, text, cache, lambda *at: torch.zeros(at[2], device=device), frame):
                pass

    each = dtype.itemsize
    told = parts(shape, (height, width), frames, chunk, bytes_each=each, layer_bytes=2 if half else None).denoising
    assert told == pytest.approx(peak_gigabytes(run, network), rel=0.1)


def test_this_process_takes_what_is_planned():
    """Two layers of the 1.3B network: what the C library holds beyond the tensors is in the figure too."""
    asked = ("--layers", "2", "--size", "256x256", "--json")
    found = json.loads(check_output([sys.executable, "-m", "workbench", "lab", "full-size", *asked], text=True))
    assert found["planned_gb"] == pytest.approx(found["measured_gb"], rel=0.1)
    assert found["planned_gb"] == pytest.approx(sum(found["planned_parts_gb"].values()), abs=0.003)
    assert found["finite"] and found["layers_in"] == "bfloat16"


HELD = """
import torch
from models.wan.memory import give_back_when_freed
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
if {told}:
    give_back_when_freed()
torch.ones(1)
before = resident()
torch.ones(7 * 2**20)  # freeing a block makes glibc put later ones of its size into the heap
kept = []
for _ in range(10):
    passing = [torch.ones(7 * 2**20) for _ in range(5)]
    kept.append(torch.ones(2**18))
    del passing
print(resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such heap")
def test_freed_tensors_leave_the_process():
    usual, told = (
        float(check_output([sys.executable, "-c", HELD.format(told=told)], text=True)) for told in (False, True)
    )
    assert told < 20 < 100 < usual  # 10 MB are kept


def test_the_plan_is_told_before_a_model_is_loaded_and_holds(tmp_path, monkeypatch):
    file = write_small_world(tmp_path, num_attention_heads=4, ffn_dim=1024, num_layers=3)
    spec = register(f"path:{file}")
    told, request = [], GenerationRequest("a cat", steps=1, frames=33, size=(96, 96))
    pipeline = create_pipeline(spec.name, say=told.append)
    assert told[0].startswith("path:self_forcing_dmd.pt at 832 x 480 takes") and "keys and values of 21" in told[0]
    assert "of main memory are free, so it runs with all of it in float32" in told[1]
    pipeline.text_encoder.embed(["a cat"])
    peak = peak_gigabytes(lambda: list(pipeline.stream(request)), pipeline.transformer, pipeline.codec.autoencoder)
    network = read_network(file)
    base = pipeline.codec.autoencoder.config.base_dim
    plan = make_plan(spec, shape_of(network), "cpu", 8.0, size=(96, 96), latents=9, base=base)
    assert plan.parts.peak == pytest.approx(peak, rel=0.1)
    monkeypatch.setattr("models.wan.create.main_memory", lambda: 0.2)
    with pytest.raises(RequestError, match=r"needs .* GB of free main memory at 832 x 480 and 0.2 GB are; free some"):
        create_pipeline(spec.name)
    assert len(create_pipeline(spec.name, asked=replace(request, frames=1, size=(64, 64)))(request).frames) == 33


def test_the_encoders_file_is_found_where_it_is_put(world, monkeypatch):
    assert find(UMT5) is None and find(UMT5, world.parent) == world.parent / UMT5.path


def test_out_of_memory_is_explained_and_the_next_request_works(tmp_path, tiny):
    def full(*_):
        torch.empty(2**50)  # refused by the allocator itself

    service = GenerationService(tmp_path, pipelines={"tiny-random": tiny})
    request = GenerationRequest("a red circle moving right on a black background", steps=1, frames=5)
    hook = tiny.transformer.register_forward_pre_hook(full)
    with pytest.raises(RequestError, match="5 frames of this size do not fit the memory of cpu"):
        service.generate("tiny-random", request)
    hook.remove()
    assert len(service.generate("tiny-random", request).result.frames) == 5


@pytest.mark.parametrize("spec", RELEASED, ids=lambda spec: spec.name)
def test_a_small_network_of_every_row_makes_a_clip(spec, world):
    """By the row's own lists, window and chunks; from a video where it starts from nothing else."""
    pipeline = create_pipeline(register(f"path:{world}@{spec.name}").name)
    video = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), np.uint8) if "t2v" not in spec.tasks else None
    steps = min(spec.steps)
    request = GenerationRequest("a cat", steps, frames=9, size=(64, 64), video=video, video_fps=16.0)
    frames = pipeline(request).frames
    assert frames.shape == (9, 64, 64, 3) and frames.std() > 0


def test_rcm_makes_its_whole_clip_at_once_from_scaled_noise(world):
    """As its own loop: the first state is the noise times the first level, then each x0 is noised anew."""
    pipeline = create_pipeline(register(f"path:{world}@rcm-wan-1.3b").name)
    request = GenerationRequest("a cat", 2, frames=77, size=(64, 64), seed=5)
    (chunk,) = list(pipeline.latents(request))
    levels, noise = (80 / 81, 0.933781), ClipNoise.of_seed(5)
    x0, text = 0, pipeline.text_encoder.embed(["a cat"]).float()
    for step, level in enumerate(levels):
        state = (1 - level) * x0 + level * noise(0, step, (1, 20, 16, 8, 8))
        with torch.no_grad():
            x0 = state - level * pipeline.transformer(state, torch.tensor([1000 * level]), text)
    assert_close(chunk.latents, x0, atol=1e-4, rtol=0)
    with pytest.raises(RequestError, match="frames is 81; it must be from 1 to 77"):
        pipeline.check(replace(request, frames=81))
