"""The transformer and its cache: equal to the reference implementations, causal, and the same on every path."""

import re

import pytest
import torch

from models.networks.attention_masks import chunk_causal_mask, chunk_layout, teacher_forcing_mask
from models.networks.kv_cache import KVCache
from models.networks.transformer import CausalVideoTransformer, _rotate
from tests.helpers.golden_data import golden, golden_network

TOLERANCE = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(autouse=True)
def no_gradient():
    with torch.no_grad():
        yield


def close(actual, expected):
    torch.testing.assert_close(actual, expected, **TOLERANCE)


@pytest.mark.parametrize("suffix", ["", "_b", "_c"])
def test_bidirectional_equals_the_reference(suffix):
    g = golden("bidirectional")
    x, text = (g["x_c"], g["text_c"]) if suffix == "_c" else (g["x"], g["text"])
    close(golden_network()(x, g[f"timestep{suffix}"], text), g[f"flow{suffix}"])


def test_equals_diffusers_own_transformer():
    from diffusers import WanTransformer3DModel

    ours, g = golden_network(), golden("bidirectional")
    keys = (
        "num_attention_heads",
        "attention_head_dim",
        "in_channels",
        "out_channels",
        "text_dim",
        "freq_dim",
        "ffn_dim",
        "num_layers",
    )
    theirs = WanTransformer3DModel(**{key: ours.config[key] for key in keys}).eval()
    theirs.load_state_dict(ours.state_dict())
    out = theirs(g["x"].transpose(1, 2), g["timestep"], g["text"], return_dict=False)[0].transpose(1, 2)
    close(ours(g["x"], g["timestep"], g["text"]), out)


def test_zero_padded_text_is_attended_as_in_wan():
    g = golden("text_padding")
    flow = golden_network()(g["x"], g["timestep"], g["text"])
    close(flow, g["flow"])
    assert (flow - g["flow_if_padding_were_dropped"]).abs().max() > 0.1


@pytest.mark.parametrize(
    "name", ["c1", "c3", "c9", "c1_w4", "c3_w6", "c3_w3", "first1_c4", "first1_c2", "first1_c4_w5"]
)
def test_masked_forward_equals_the_reference(name):
    g = golden("causal_masked")
    chunk, window = int(re.search(r"c(\d+)", name)[1]), re.search(r"w(\d+)", name)
    chunks = chunk_layout(9, chunk, 1 if name.startswith("first1") else None)
    flow = golden_network()(g["x"], g["timestep"], g["text"], chunks=chunks, window=int(window[1]) if window else None)
    close(flow, g[f"flow.{name}"])


def test_teacher_forcing_equals_the_reference():
    g, network = golden("teacher_forcing"), golden_network()
    for key, chunks, time, context in [
        ("flow.c3", (3, 3, 3), "timestep", None),
        ("flow.c3_context_t", (3, 3, 3), "timestep", g["context_timestep"]),
        ("flow.c1", (1,) * 9, "timestep_frame", None),
        ("flow.c3_frame_t", (3, 3, 3), "timestep_frame", None),
    ]:
        close(network(g["noisy"], g[time], g["text"], chunks=chunks, clean=g["clean"], clean_timestep=context), g[key])


@pytest.mark.parametrize("key", [key for key in golden("masks") if not key.startswith("cached")])
def test_masks_equal_the_reference_bit_for_bit(key):
    kind, *_ = key.split(".")
    numbers = {letter: int(value) for letter, value in re.findall(r"_?([fcwp])(\d+)", key.split(".")[1])}
    chunks = chunk_layout(numbers["f"], numbers["c"], 1 if kind == "first1" else None)
    if kind == "teacher_forcing":
        mask = teacher_forcing_mask(chunks, numbers["p"])
    else:
        mask = chunk_causal_mask(chunks, numbers["p"], numbers.get("w"))
    assert torch.equal(mask, golden("masks")[key])


def run_through_cache(g, chunks, time, *, window=None, sink=0):
    """The recorded calls: for each chunk an earlier noisy call, a noisy one and the clean one, all writing."""
    network = golden_network()
    cache = network.new_cache(6, 10, window=window, sink=sink)
    flows, trace, start = {"earlier": [], "noisy": [], "clean": []}, [], 0
    for length in chunks:
        here = slice(start, start + length)
        for kind, (name, flow) in enumerate(flows.items()):
            x = g["noisy_earlier" if name == "earlier" else name][:, here]
            t = {"earlier": torch.full_like(g[time], 1000.0), "noisy": g[time], "clean": torch.zeros_like(g[time])}[
                name
            ][:, here]
            flow.append(network(x, t, g["text"], cache=cache, start_frame=start, write_cache=True))
            trace.append([start, length, kind, cache.global_end, cache.local_end])
        start += length
    return {name: torch.cat(flow, 1) for name, flow in flows.items()}, torch.tensor(trace), cache


@pytest.mark.parametrize(
    ("key", "chunks", "time"),
    [("c3", (3, 3, 3), "timestep"), ("c1", (1,) * 9, "timestep_frame"), ("first1_c4", (1, 4, 4), "timestep_frame")],
)
def test_cached_steps_equal_the_reference(key, chunks, time):
    g = golden("cached_steps")
    flows, trace, cache = run_through_cache(g, chunks, time)
    for name, flow in flows.items():
        close(flow, g[f"{key}.flow_{name}"])
    assert torch.equal(trace, g[f"{key}.trace"])
    if key == "c3":
        close(cache.entries[2].k[:1], g["c3.cache.2.k"])
        close(cache.entries[0].text[0][:1], g["c3.text_cache.0.k"])


@pytest.mark.parametrize("key", sorted({key.split(".")[0] for key in golden("window") if "." in key}))
def test_window_and_sink_equal_the_reference(key):
    g = golden("window")
    frames = g[f"{key}.flow_noisy"].shape[1]
    chunk, window, sink = map(int, re.search(r"c(\d+)_w(\d+)_s(\d+)", key).groups())
    chunks = chunk_layout(frames, chunk, 1 if key.startswith("first1") else None)
    flows, trace, _ = run_through_cache(g, chunks, "timestep", window=window, sink=sink)
    for name, flow in flows.items():
        close(flow, g[f"{key}.flow_{name}"])
    assert torch.equal(trace, g[f"{key}.trace"])


def test_cached_equals_uncached():
    """Each noisy chunk through the cache equals one teacher-forced pass over the whole clip."""
    torch.manual_seed(3)
    network = golden_network()
    noisy, clean = torch.randn(2, 1, 7, 4, 6, 10)
    text, chunks = torch.randn(1, 12, 40), (1, 3, 3)
    time = (torch.rand(1, 3) * 1000).repeat_interleave(torch.tensor(chunks), 1)
    whole = network(noisy, time, text, chunks=chunks, clean=clean)
    cache, start = network.new_cache(6, 10), 0
    for length in chunks:
        here = slice(start, start + length)
        flow = network(noisy[:, here], time[:, here], text, cache=cache, start_frame=start)
        close(flow, whole[:, here])
        network(clean[:, here], torch.zeros(1, 1), text, cache=cache, start_frame=start, write_cache=True)
        start += length


def test_later_chunks_cannot_change_earlier_ones():
    torch.manual_seed(4)
    network, x, text = golden_network(), torch.randn(1, 7, 4, 6, 10), torch.randn(1, 12, 40)
    time = torch.full((1, 7), 500.0)
    changed = x.clone()
    changed[:, 4:] += 1
    before, after = (network(clip, time, text, chunks=(1, 3, 3)) for clip in (x, changed))
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_only_differences_of_time_positions_matter():
    g, network = golden("rope"), golden_network()
    for start in (0, 5, 300):
        cache = network.new_cache(6, 10)
        cache.global_end = start * 15
        flow = network(g["x"], g["timestep"], g["text"], cache=cache, start_frame=start)
        close(flow, g[f"flow.alone_start{start}"])


def test_positions_beyond_the_table_are_refused():
    with pytest.raises(ValueError, match="1024 positions"):
        golden_network()(torch.zeros(1, 3, 4, 6, 10), torch.zeros(1), torch.zeros(1, 12, 40), start_frame=1022)


def test_a_denoising_call_leaves_the_cache_as_it_was():
    network, text = golden_network(), torch.randn(1, 12, 40)
    cache = network.new_cache(6, 10)
    network(torch.randn(1, 3, 4, 6, 10), torch.zeros(1, 1), text, cache=cache, write_cache=True)
    kept = cache.entries[1].k
    network(torch.randn(1, 3, 4, 6, 10), torch.full((1, 1), 900.0), text, cache=cache, start_frame=3)
    assert cache.entries[1].k is kept and (cache.global_end, cache.local_end) == (45, 45)


def test_cache_refuses_calls_that_skip_or_go_back():
    cache = KVCache(1, 15)
    cache.advance(0, 45)
    with pytest.raises(ValueError, match="redo the newest chunk"):
        cache.kept(135, 45)
    with pytest.raises(ValueError, match="leaves no room"):
        KVCache(1, 15, window=3, sink=3)


@pytest.mark.parametrize(("follows", "seen_at"), [(False, 0), (True, 5)])
@pytest.mark.parametrize("origin", [0, 20])
def test_a_sink_that_follows_stands_right_before_the_window(follows, seen_at, origin):
    """In one layer keys depend on their frame alone, so the cache must equal a call on the frames it holds, which
    are told their places; also in a cache that forgot everything before frame 20."""
    torch.manual_seed(0)
    network = CausalVideoTransformer(**{**golden_network().config, "num_layers": 1}).eval()
    frames, text = torch.randn(1, 9, 4, 6, 10), golden("bidirectional")["text"][:1]
    cache = network.new_cache(6, 10, window=4, sink=1, sink_follows=follows)
    if origin:
        network(frames[:, :1], torch.zeros(1, 1), text, cache=cache, write_cache=True)
        cache.reset()
        cache.skip(origin * cache.tokens_per_frame)
    for place in range(8):
        clean = frames[:, place : place + 1]
        network(clean, torch.zeros(1, 1), text, cache=cache, start_frame=origin + place, write_cache=True)
    stored = cache.entries[0].k
    time = torch.tensor([[0.0, 0.0, 0.0, 700.0]])
    found = network(frames[:, 8:], time[:, 3:], text, cache=cache, start_frame=origin + 8)
    held, places = frames[:, [0, 6, 7, 8]], [origin + at for at in (seen_at, 6, 7, 8)]
    close(found, network(held, time, text, chunks=(1,) * 4, positions=places)[:, 3:])
    assert cache.entries[0].k is stored  # what is kept is not turned, only what is read


def test_turned_keys_are_those_of_a_later_place():
    network = golden_network()
    keys = torch.randn(2, 15, 2, network.config.attention_head_dim)
    here, there = (_rotate(keys, network._rotations((place,), 6, 10, keys.device)) for place in (3, 40))
    close(network._turn(here, 37), there)
    close(network._turn(network._turn(here, 5), -5), here)


def test_other_arithmetic_is_refused():
    with pytest.raises(ValueError, match="cross_attn_norm"):
        CausalVideoTransformer(num_attention_heads=2, attention_head_dim=12, num_layers=1, cross_attn_norm=False)


def test_saved_and_loaded_weights_give_the_same_output(tmp_path):
    network, g = golden_network(), golden("bidirectional")
    network.save_pretrained(tmp_path)
    again = CausalVideoTransformer.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    assert torch.equal(network(g["x"], g["timestep"], g["text"]), again(g["x"], g["timestep"], g["text"]))
