"""What released checkpoints ask of the sampler: lists of steps, windows, buffers, bf16, and diffusers' tools."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import WanTransformer3DModel
from torch.testing import assert_close

from models.pipeline import cache_limits
from models.registry import MODELS, create_pipeline, register
from models.sampling.noise_levels import nearest_sigma, sigma_table
from models.sampling.rollout import ClipNoise, TextSwitch, rollout
from models.sampling.schedulers import StepPlan
from models.types import GenerationRequest
from models.wan.load import keep_layers_in_half
from tests.helpers.golden_data import golden, golden_network
from tests.helpers.tiny_models import tiny_pipeline
from tests.helpers.wan_data import transformer, write_small_world

SPEC = tiny_pipeline().spec
SEVEN = (3,) * 7


@pytest.fixture(autouse=True)
def no_gradient():
    with torch.no_grad():
        yield


def run(network, plan, text, cache, draw, shape, **options):
    return torch.cat([part.latents for part in rollout(network, plan, text, cache, draw, shape, **options)], 1)


def recorded(name, run_name, chunks, skipped=0):
    """The noise of a recorded rollout, by chunk and step."""
    g, starts = golden(name), [sum(chunks[:i]) for i in range(len(chunks))]

    def draw(chunk, step, shape):
        if step == 0:
            return g["noise"][:, starts[chunk] : starts[chunk] + chunks[chunk]]
        return g[f"{run_name}.renoise.{chunk}.{step - 1}"].view(shape)

    return draw


@pytest.mark.parametrize("static", [False, True], ids=["functional", "buffers"])
@pytest.mark.parametrize("name", ["c3_1000_757_522", "c3_warped_4step", "c3_1000_757_522_start_latents"])
def test_causvids_rollouts(name, static):
    """Its lists are explicit, and sigma is the nearest entry of the table of shift 8: 757 is told, .756757 is used."""
    g, chunks = golden("rollouts_causvid"), (3, 3, 3)
    told = (1000, 757, 522) if "warped" not in name else (1000, 960, 888.8889, 727.2727)
    spec = replace(SPEC, shift=8.0, step_lists=(told,), sigma_table=True, tasks=("t2v",), first_chunk=3)
    assert [spec.sigma_at(s) for s in spec.levels(len(told))] == pytest.approx(g[f"{name}.sigmas_used"].tolist())
    given = g["start_latents"] if "start" in name else None
    plan = StepPlan.uniform(chunks, len(told), spec.levels, given=0 if given is None else 1)
    network = golden_network()
    cache = network.new_cache(6, 10, frames=9 if static else None)
    draw = recorded("rollouts_causvid", name, chunks)
    found = run(network, plan, g["text"], cache, draw, (1, 4, 6, 10), given=given, sigma_at=spec.sigma_at)
    assert_close(found, g[f"{name}.latents"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("static", [False, True], ids=["functional", "buffers"])
@pytest.mark.parametrize(
    ("name", "window", "steps"), [("w6_s3_4step", 6, 4), ("w9_s3_2step", 9, 2), ("w12_s3_2step", 12, 2)]
)
def test_longlives_rollouts_have_their_window_from_the_first_frame(name, window, steps, static):
    """21 latent frames, no more than it was trained on; its sink keeps its place."""
    g, network = golden("rollouts_longlive"), golden_network()
    spec = replace(SPEC, latent_frames=21, window=window, sink=3, window_always=True, sink_follows=False)
    limits = cache_limits(spec, SEVEN)
    assert limits == {"window": window, "sink": 3} and cache_limits(replace(spec, window_always=False), SEVEN) == {}
    cache = network.new_cache(6, 10, frames=21 if static else None, sink_follows=spec.sink_follows, **limits)
    draw = recorded("rollouts_longlive", name, SEVEN)
    found = run(network, StepPlan.uniform(SEVEN, steps), g["text_first"], cache, draw, (1, 4, 6, 10))
    assert_close(found, g[f"{name}.latents"], atol=1e-4, rtol=0)
    assert not static or cache.bytes() == 3 * 2 * window * 15 * 96 * 4


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("mode", ["keep", "recache", "reset"])
def test_buffers_hold_what_the_functional_cache_holds(follows, mode):
    """A long clip with window, sink and a change of prompt, by both caches."""
    torch.manual_seed(0)
    network, (first, second) = golden_network(), torch.randn(2, 1, 12, 40)
    chunks = (1, *(3,) * 6)
    limits = {"window": 7, "sink": 1, "sink_follows": follows}
    made = [
        run(
            network,
            StepPlan.uniform(chunks, 2),
            first,
            network.new_cache(6, 10, frames=frames, **limits),
            ClipNoise(torch.Generator().manual_seed(0)),
            (1, 4, 6, 10),
            switches={4: TextSwitch(second, mode)},
        )
        for frames in (None, sum(chunks))
    ]
    assert_close(made[1], made[0], atol=1e-5, rtol=0)


def test_buffers_are_written_in_place_and_refuse_a_longer_clip():
    network, text = golden_network(), torch.randn(1, 12, 40)
    cache, noise = network.new_cache(6, 10, frames=6), ClipNoise(torch.Generator().manual_seed(0))
    shape = (1, 4, 6, 10)
    run(network, StepPlan.uniform((3,), 1), text, cache, noise, shape)
    places = [tensor.data_ptr() for pair in cache.buffers for tensor in pair]
    cache.reset()
    run(network, StepPlan.uniform((3, 3), 1), text, cache, noise, shape)
    assert places == [tensor.data_ptr() for pair in cache.buffers for tensor in pair]
    cache.reset()
    with pytest.raises(ValueError, match="do not fit buffers of 90"):
        run(network, StepPlan.uniform((3, 3, 3), 1), text, cache, noise, shape)


def test_table_of_sigmas():
    assert len(sigma_table(8.0)) == 1000 and sigma_table(8.0)[0] == 1
    g = golden("scheduler")
    assert_close(torch.tensor(sigma_table(5.0)), g["shift5.sigmas"], atol=1e-6, rtol=0)
    assert (nearest_sigma(0.757, 8.0), nearest_sigma(0, 8.0)) == pytest.approx((0.756757, 0.00794), abs=1e-5)


def test_a_model_whose_first_chunk_is_three_takes_no_image():
    with pytest.raises(ValueError, match="its first chunk is 3; leave 'i2v' out"):
        replace(SPEC, first_chunk=3)
    assert replace(SPEC, first_chunk=3, tasks=("t2v",)).first_chunk == 3


@pytest.mark.parametrize("task", ["text", "image", "video", "flow"])
def test_a_clip_is_made_in_bf16(task):
    """Noise, images and what is computed from them stay float32; only the network runs in bf16."""
    pipeline = tiny_pipeline(causal=task != "flow")
    pictures = np.random.default_rng(0).integers(0, 255, (9, 64, 64, 3), np.uint8)
    given = {"image": {"image": pictures[0]}, "video": {"video": pictures}}.get(task, {})
    request = GenerationRequest("a red circle moving right on a black background", steps=2, frames=9, **given)
    exact = pipeline(request).frames
    pipeline.transformer.to(torch.bfloat16)
    rounded = pipeline(request).frames
    assert 0 < np.abs(exact.astype(int) - rounded).mean() < 3
    latents = torch.randn(1, 3, 16, 8, 8)
    flow = pipeline.transformer(latents, torch.tensor([500.0]), torch.randn(1, 4, 16))
    assert flow.dtype == torch.float32


def compiled_rollout(chunks, **limits):
    """How often layers were compiled in all, and during the first chunk, in one rollout; and its latents."""
    network, counts = golden_network(), []

    def count(graph, inputs):
        counts.append(len(done))
        return graph.forward

    network.compile_repeated_blocks(backend=count, fullgraph=True)
    done, latents = [], []
    noise = ClipNoise(torch.Generator().manual_seed(0))
    cache = network.new_cache(6, 10, frames=sum(chunks), **limits)
    for part in rollout(
        network, StepPlan.uniform(chunks, 2), golden("rollouts")["text"][:1], cache, noise, (1, 4, 6, 10)
    ):
        done.append(part.index)
        latents.append(part.latents)
    return counts, torch.cat(latents, 1)


@pytest.mark.parametrize("limits", [{}, {"window": 9, "sink": 3}], ids=["whole past", "window"])
def test_seven_chunks_compile_once(limits):
    torch._dynamo.reset()
    golden_network.cache_clear()
    try:
        counts, latents = compiled_rollout(SEVEN, **limits)
    finally:
        golden_network.cache_clear()
        torch._dynamo.reset()
    # the first call computes the prompt's keys and values, all later ones are given them; all layers share both
    assert counts == [0, 0]
    network, noise = golden_network(), ClipNoise(torch.Generator().manual_seed(0))
    cache, text = network.new_cache(6, 10, **limits), golden("rollouts")["text"][:1]
    assert_close(
        latents, run(network, StepPlan.uniform(SEVEN, 2), text, cache, noise, (1, 4, 6, 10)), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("row", ["self-forcing", "longlive", "causal-forcing-frames"])
def test_the_switch_compiles_in_the_first_chunk_and_never_again(row, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("models.registry.MODELS", dict(MODELS))
    spec = register(f"path:{write_small_world(tmp_path)}@{row}-wan-1.3b")
    pipeline, counts, done = create_pipeline(spec.name), [], []
    frames = 4 * (7 * spec.chunk - 1) + 1
    request = GenerationRequest("a cat", spec.default_steps, frames=frames, size=(64, 64))
    usual = pipeline(replace(request, frames=5)).frames

    def count(graph, inputs):
        counts.append(len(done))
        return graph.forward

    torch._dynamo.reset()
    try:
        pipeline.compile("layers", backend=count)
        for chunk in pipeline.stream(request):
            done.append(chunk.frames)
    finally:
        torch._dynamo.reset()
    assert len(done) == 7 and counts and set(counts) == {0}
    assert np.abs(np.concatenate(done)[:5].astype(int) - usual).max() <= 1


def call(network):
    torch.manual_seed(1)
    x, text = torch.randn(1, 3, 16, 8, 8), torch.randn(1, 12, 32)
    return network(x, torch.tensor([700.0]), text)


def test_an_attention_backend_is_used():
    network = transformer()
    attentions = [module for module in network.modules() if hasattr(module, "processor")]
    assert len(attentions) == 4
    usual = call(network)
    network.set_attention_backend("_native_math")
    try:
        assert {module.processor._attention_backend.value for module in attentions} == {"_native_math"}
        other = call(network)
    finally:
        network.set_attention_backend("native")
    assert_close(other, usual, atol=1e-5, rtol=0)
    assert not torch.equal(other, usual)
    with pytest.raises((ValueError, RuntimeError, ImportError)):
        network.set_attention_backend("flash")


def test_fp8_layers_err_as_diffusers_own_class_does():
    ours = transformer(num_attention_heads=2)
    keys = ("num_attention_heads", "text_dim", "freq_dim", "ffn_dim", "num_layers")
    theirs = WanTransformer3DModel(**{key: ours.config[key] for key in keys}).eval()
    theirs.load_state_dict(ours.state_dict())
    exact = call(ours)
    for network in (ours, theirs):
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert ours.patch_embedding.weight.dtype == ours.blocks[0].norm2.weight.dtype == torch.float32
    assert ours.blocks[0].attn1.to_q.weight.dtype == torch.float8_e4m3fn
    torch.manual_seed(1)
    x, text = torch.randn(1, 3, 16, 8, 8), torch.randn(1, 12, 32)
    reference = theirs(x.transpose(1, 2), torch.tensor([700.0]), text, return_dict=False)[0].transpose(1, 2)
    error = (call(ours) - exact).abs().max()
    assert 0 < error < 1.2 * (reference - exact).abs().max() + 1e-4


def test_layers_kept_in_half_compute_as_rounded_ones_and_stay_where_they_are():
    rounded, half = transformer(), transformer()
    for layer in rounded.blocks.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.to(torch.bfloat16).to(torch.float32)
    keep_layers_in_half(half)
    kept = {name: weights.data_ptr() for name, weights in half.named_parameters() if weights.dtype == torch.bfloat16}
    assert len(kept) == 2 * 10 * len(half.blocks) and set(half.state_dict()) == set(rounded.state_dict())
    assert torch.equal(call(half), call(rounded)) and not torch.equal(call(half), call(transformer()))
    assert kept == {name: dict(half.named_parameters())[name].data_ptr() for name in kept}


@pytest.mark.parametrize("kind", ["block_level", "leaf_level"])
def test_offloading_changes_nothing(kind):
    network, noise = transformer(), ClipNoise(torch.Generator().manual_seed(0))
    plan, text = StepPlan.uniform((1, 3), 2), torch.randn(1, 5, 32)
    usual = run(network, plan, text, network.new_cache(8, 8, frames=4), noise, (1, 16, 8, 8))
    device = torch.device("cpu")
    network.enable_group_offload(device, device, offload_type=kind, num_blocks_per_group=1)
    assert torch.equal(run(network, plan, text, network.new_cache(8, 8, frames=4), noise, (1, 16, 8, 8)), usual)
