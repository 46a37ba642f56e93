"""Beside the code of Self Forcing, Causal Forcing, LongLive and CausVid, where $WAN_REFERENCES names checkouts."""

import inspect
import json
import os
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from models.networks.transformer import CausalVideoTransformer
from models.registry import get_spec
from models.sampling.rollout import rollout
from models.sampling.schedulers import StepPlan
from models.wan.files import to_network
from models.wan.lora import merge_lora
from workbench.__main__ import main
from workbench.commands.lab.timing import wan_references
from workbench.commands.lab.timing.wan_references import SMALL, causvid_pipeline, make_pipeline, make_wrapper

FOLDER = Path(os.environ.get("WAN_REFERENCES", ""))
CHANNELS = wan_references.CHANNELS[SMALL["dim"]]
pytestmark = pytest.mark.skipif("WAN_REFERENCES" not in os.environ, reason="WAN_REFERENCES names no checkouts")
HEIGHT, WIDTH = 6, 10
TOKENS = HEIGHT // 2 * (WIDTH // 2)


@pytest.fixture(scope="module", params=["sf", "cf", "longlive-v1"])
def code(request):
    pytest.importorskip("einops")
    if not (FOLDER / request.param).is_dir():
        pytest.skip(f"there is no checkout {request.param}")
    return wan_references.reference(FOLDER, request.param)


@pytest.fixture(autouse=True)
def no_gradient():
    with torch.no_grad():
        yield


def ours(state):
    """This repository's network with the weights of the reference's."""
    network = CausalVideoTransformer(
        num_attention_heads=SMALL["num_heads"],
        attention_head_dim=SMALL["dim"] // SMALL["num_heads"],
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        text_dim=SMALL["text_dim"],
        freq_dim=SMALL["freq_dim"],
        ffn_dim=SMALL["ffn_dim"],
        num_layers=SMALL["num_layers"],
    )
    network.load_state_dict(to_network(state).state)
    return network.eval()


def drawn(frames):
    torch.manual_seed(1)
    return torch.randn(1, frames, CHANNELS, HEIGHT, WIDTH), torch.randn(1, SMALL["text_len"], SMALL["text_dim"])


def test_bidirectional(code):
    wrapper = make_wrapper(code, causal=False)
    latents, text = drawn(5)
    wrapper.seq_len = 5 * TOKENS
    theirs, _ = wrapper(latents, {"prompt_embeds": text}, torch.full((1, 5), 700.0))
    assert theirs.std() > 0.05
    assert_close(ours(wrapper.model.state_dict())(latents, torch.tensor([700.0]), text), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk", [1, 3])
def test_masked(code, chunk):
    if code.name == "longlive-v1":
        pytest.skip("its wrapper gives its own masked path an argument which that does not take")
    wrapper = make_wrapper(code, causal=True)
    wrapper.model.num_frame_per_block = chunk
    latents, text = drawn(9)
    times = torch.tensor([[900.0, 500.0, 100.0]]).repeat_interleave(3, 1)
    wrapper.seq_len = 9 * TOKENS
    theirs, _ = wrapper(latents, {"prompt_embeds": text}, times)
    found = ours(wrapper.model.state_dict())(latents, times, text, chunks=(chunk,) * (9 // chunk))
    assert_close(found, theirs, atol=1e-5, rtol=0)


FFE = {"denoising_step_list": [1000], "denoising_step_list_first_chunk": [1000, 750, 500, 250]}
RUNS = {
    "chunks of three": ((3, 3, 3), {}, {}, [4, 4, 4]),
    "frame by frame": ((1,) * 5, {}, {"num_frame_per_block": 1}, [4] * 5),
    "two steps": ((3, 3), {}, {"denoising_step_list": [1000, 500]}, [2, 2]),
    "window with a sink": ((3,) * 5, {"window": 9, "sink": 3}, {}, [4] * 5),
    "image first": ((1,) * 4, {}, {"num_frame_per_block": 1}, [0, 4, 4, 4]),
    "list of the first chunk": ((1,) * 4, {}, {"num_frame_per_block": 1} | FFE, [4, 1, 1, 1]),
}


@pytest.mark.parametrize("name", RUNS)
def test_rollouts_from_the_same_noise(code, name):
    chunks, limits, args, steps = RUNS[name]
    if "denoising_step_list_first_chunk" in args and "first_chunk" not in inspect.getsource(code.pipeline):
        pytest.skip("this code has no list for the first chunk")
    options = {"local_attn_size": limits["window"], "sink_size": limits["sink"]} if limits else {}
    wrapper = make_wrapper(code, causal=True, **options)
    given = 1 if steps[0] == 0 else 0
    noise, text = drawn(sum(chunks))
    image = noise[:, :1] * 0.5 if given else None
    if given and "initial_latent" not in inspect.signature(code.pipeline.CausalInferencePipeline.inference).parameters:
        pytest.skip("this code starts from no image")
    sampler = make_pipeline(code, wrapper, text, TOKENS, limits.get("window", sum(chunks)), **args)
    torch.manual_seed(2)
    start = {"initial_latent": image} if given else {}
    _, theirs = sampler.inference(noise[:, given:], [""], return_latents=True, **start)
    starts = [sum(chunks[:index]) for index in range(len(chunks))]

    def draw(chunk, step, shape):
        return torch.randn(shape) if step else noise[:, starts[chunk] : starts[chunk] + shape[1]]

    plan = StepPlan.by_hand(chunks, steps[given:], given=given)
    for frames in (None, sum(chunks)):  # the functional cache, and buffers
        network = ours(wrapper.model.state_dict())
        cache = network.new_cache(HEIGHT, WIDTH, frames=frames, **limits)
        torch.manual_seed(2)
        parts = rollout(network, plan, text, cache, draw, (1, CHANNELS, HEIGHT, WIDTH), given=image)
        assert_close(torch.cat([part.latents for part in parts], 1), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("listed", "warped"), [((1000, 757, 522, 0), False), ((1000, 750, 500, 250, 0), True)], ids=["explicit", "warped"]
)
def test_causvids_rollouts(listed, warped):
    pytest.importorskip("einops")
    if not (FOLDER / "causvid").is_dir():
        pytest.skip("there is no checkout causvid")
    code = wan_references.reference(FOLDER, "causvid")
    wrapper = make_wrapper(code, causal=True, shift=8.0)
    noise, text = drawn(9)
    args = {"denoising_step_list": listed, "warp_denoising_step": warped}
    torch.manual_seed(2)
    _, theirs = causvid_pipeline(code, wrapper, text, TOKENS, 9, **args).inference(noise, [""], return_latents=True)
    spec = get_spec("causvid-warp-wan-1.3b" if warped else "causvid-wan-1.3b")
    plan = StepPlan.uniform((3, 3, 3), len(listed) - 1, spec.levels)

    def draw(chunk, step, shape):
        return torch.randn(shape) if step else noise[:, 3 * chunk : 3 * chunk + 3]

    network = ours(wrapper.model.state_dict())
    torch.manual_seed(2)
    size = (1, CHANNELS, HEIGHT, WIDTH)
    parts = rollout(network, plan, text, network.new_cache(HEIGHT, WIDTH), draw, size, sigma_at=spec.sigma_at)
    assert_close(torch.cat([part.latents for part in parts], 1), theirs, atol=1e-4, rtol=0)


def test_a_merged_lora(code):
    """LongLive's layout: branches beside the reference's linear layers, merged into the weights here."""
    wrapper = make_wrapper(code, causal=False)
    base, lora = wrapper.model.state_dict(), {}
    layers = {n: m for n, m in wrapper.model.named_modules() if n.startswith("blocks") and hasattr(m, "in_features")}
    for name, layer in layers.items():
        down, up = torch.randn(4, layer.in_features) * 0.1, torch.randn(layer.out_features, 4) * 0.1
        lora[f"base_model.model.{name}.lora_A.weight"], lora[f"base_model.model.{name}.lora_B.weight"] = down, up
        layer.register_forward_hook(lambda _, x, out, down=down, up=up: out + x[0] @ down.T @ up.T)
    latents, text = drawn(2)
    wrapper.seq_len = 2 * TOKENS
    theirs, _ = wrapper(latents, {"prompt_embeds": text}, torch.full((1, 2), 400.0))
    merged = ours(merge_lora(base, lora))(latents, torch.tensor([400.0]), text)
    assert_close(merged, theirs, atol=1e-4, rtol=0)
    assert (ours(base)(latents, torch.tensor([400.0]), text) - theirs).abs().max() > 1e-2


def test_both_codes_make_the_same_latents_when_they_are_timed(capsys):
    pytest.importorskip("einops")
    if not (FOLDER / "sf").is_dir():
        pytest.skip("there is no checkout sf")
    small = ["--network", "small", "--size", "128x96", "--chunks", "2", "--steps", "4", "1", "--repeats", "1"]
    assert main(["bench-reference", "--references", str(FOLDER), *small, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["code"], row["steps"]) for row in rows] == [
        (code, steps) for steps in (4, 1) for code in ("Self Forcing", "workbench")
    ]
    assert all(row["difference"] < 1e-4 and row["first_chunk_seconds"] > 0 for row in rows)
    assert all(row["frames_per_second"] == pytest.approx(21 / row["seconds"]) for row in rows)
