"""Step lists, First-Frame Enhancement and the sampling loop: known values, the reference's rollouts, and laws."""

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch.testing import assert_close

from models.sampling.noise_levels import shift_sigma, step_sigmas
from models.sampling.rollout import ClipNoise, Guidance, clean_pass, rollout, sample_flow
from models.sampling.schedulers import StepPlan, add_noise, x0_from_flow
from tests.helpers.golden_data import golden, golden_network

C3, FIRST1 = (3, 3, 3), (1, 3, 3, 3)


def test_shift_five_gives_the_published_timesteps():
    assert [1000 * s for s in step_sigmas(4, 5.0)] == pytest.approx([1000, 937.5, 833.33, 625], abs=0.01)


def test_fewer_steps_are_strides_of_the_four():
    four = step_sigmas(4)
    assert step_sigmas(1) == four[:1] and step_sigmas(2) == pytest.approx(four[::2])
    assert [1000 * s for s in step_sigmas(3)] == pytest.approx([1000, 909.09, 714.29], abs=0.01)


@pytest.mark.parametrize("shift", [1, 5, 8])
def test_warped_lists_equal_the_reference(shift):
    warped = golden("scheduler")[f"shift{shift}.warped.1000_750_500_250"]
    assert [1000 * s for s in step_sigmas(4, shift)] == pytest.approx(warped.tolist(), abs=1e-3)


def test_noise_and_x0_equal_the_reference():
    g = golden("scheduler")
    sigma = g["shift5.nearest_sigma"][:, None, None, None]
    assert_close(add_noise(g["x0"], g["noise"], sigma), g["shift5.noisy"], atol=1e-6, rtol=0)
    assert_close(x0_from_flow(g["shift5.noisy"], g["flow"], sigma), g["shift5.x0_from_flow"], atol=1e-6, rtol=0)


def test_ffe_with_equal_steps_is_the_identity():
    plan = StepPlan.uniform(FIRST1, 4)
    assert plan.enhance_first(4) == plan


def test_ffe_changes_the_first_generated_chunk_only():
    plan = StepPlan.uniform(FIRST1, 1).enhance_first(4)
    assert [len(s) for s in plan.sigmas] == [4, 1, 1, 1]
    given = StepPlan.uniform(FIRST1, 1, given=1).enhance_first(4)
    assert [len(s) for s in given.sigmas] == [0, 4, 1, 1]


def test_forward_counts_of_seven_chunks():
    """35, 23, 17 and 14 calls with a clean pass for every chunk; the last clean pass is not needed."""
    chunks = (3,) * 7
    plans = [
        StepPlan.uniform(chunks, 4),
        StepPlan.uniform(chunks, 2).enhance_first(4),
        StepPlan.uniform(chunks, 1).enhance_first(4),
        StepPlan.uniform(chunks, 1),
    ]
    assert [plan.forwards + 1 for plan in plans] == [35, 23, 17, 14]


def test_a_plan_needs_a_list_for_each_chunk():
    with pytest.raises(ValueError, match="one list for each chunk"):
        StepPlan((1, 3), ((1.0,),))
    with pytest.raises(ValueError, match="at least 1 step"):
        step_sigmas(0)


def recorded_rollout(name, chunks, plan, *, given=None, batch=2, window=None):
    """Run the loop with the recorded noise; `chunks` are the generated ones."""
    g, network = golden("rollouts"), golden_network()
    skipped = len(plan.chunks) - len(chunks)
    starts = [sum(chunks[:i]) for i in range(len(chunks))]

    def draw(chunk, step, shape):
        chunk -= skipped
        if step == 0:
            return g["noise"][:batch, starts[chunk] : starts[chunk] + chunks[chunk]]
        return g[f"{name}.renoise.{chunk}.{step - 1}"].view(shape)

    cache = network.new_cache(6, 10, window=window)
    with torch.no_grad():
        parts = rollout(network, plan, g["text"][:batch], cache, draw, (batch, 4, 6, 10), given=given)
        return torch.cat([part.latents for part in parts], 1)


@pytest.mark.parametrize(
    ("name", "chunks", "plan", "options"),
    [
        ("c3_4step", C3, StepPlan.uniform(C3, 4), {}),
        ("c3_2step", C3, StepPlan.uniform(C3, 2), {}),
        ("c3_1step", C3, StepPlan.uniform(C3, 1), {}),
        ("c3_ffe_4_1", C3, StepPlan.uniform(C3, 1).enhance_first(4), {}),
        ("c3_ffe_4_2", C3, StepPlan.uniform(C3, 2).enhance_first(4), {}),
        ("c1_ffe_4_1", (1,) * 5, StepPlan.uniform((1,) * 5, 1).enhance_first(4), {}),
        ("first1_c3_4step", FIRST1, StepPlan.uniform(FIRST1, 4), {}),
        ("i2v_first1_c3_4step", C3, StepPlan.uniform(FIRST1, 4, given=1), {"given": 1}),
        ("i2v_first1_c3_ffe_4_1", C3, StepPlan.uniform(FIRST1, 1, given=1).enhance_first(4), {"given": 1}),
        ("extend_c3_4step", (3, 3), StepPlan.uniform(C3, 4, given=1), {"given": 3, "batch": 1}),
        ("c3_4step_w6", (3,) * 5, StepPlan.uniform((3,) * 5, 4), {"batch": 1, "window": 6}),
        ("c3_2step_w6", (3,) * 5, StepPlan.uniform((3,) * 5, 2), {"batch": 1, "window": 6}),
    ],
)
def test_rollouts_equal_the_reference(name, chunks, plan, options):
    if "given" in options:
        batch = options.get("batch", 2)
        options = {**options, "given": golden("rollouts")["initial"][:batch, : options["given"]]}
    assert_close(
        recorded_rollout(name, chunks, plan, **options), golden("rollouts")[f"{name}.latents"], atol=1e-5, rtol=0
    )


def test_renoising_equals_diffusers_stochastic_sampler():
    """A second implementation: diffusers' flow-match Euler scheduler with stochastic sampling, given our sigmas."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0, stochastic_sampling=True)
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])
    assert scheduler.sigmas[:4].tolist() == pytest.approx(step_sigmas(4), abs=1e-6)
    sample, flow = torch.randn(2, 1, 3, 4, 6, 10, generator=torch.Generator().manual_seed(0))
    theirs = scheduler.step(
        flow, scheduler.timesteps[0], sample, generator=torch.Generator().manual_seed(5)
    ).prev_sample
    fresh = torch.randn(sample.shape, generator=torch.Generator().manual_seed(5))
    sigmas = step_sigmas(4)
    assert_close(add_noise(x0_from_flow(sample, flow, sigmas[0]), fresh, sigmas[1]), theirs, atol=1e-5, rtol=0)


def test_noise_depends_on_its_place_only():
    a, b = (ClipNoise(torch.Generator().manual_seed(0)) for _ in range(2))
    late = a(3, 1, (1, 3, 4))
    assert torch.equal(b(0, 0, (1, 3, 4)), a(0, 0, (1, 3, 4))) and torch.equal(b(3, 1, (1, 3, 4)), late)
    other = ClipNoise(torch.Generator().manual_seed(1))
    assert not torch.equal(other(0, 0, (1, 3, 4)), a(0, 0, (1, 3, 4)))


def test_guidance_of_one_is_off_and_euler_follows_a_straight_flow_exactly():
    network, g = golden_network("teacher"), golden("losses")
    x, text, none = g["noise"][:1], g["text"][:1], g["negative_text"][:1]
    plain = list(sample_flow(network, step_sigmas(2), text, none, x, 1.0))
    swapped = list(sample_flow(network, step_sigmas(2), text, text, x, 3.0))
    assert_close(plain[-1], swapped[-1], atol=1e-4, rtol=0)
    assert not torch.allclose(plain[-1], list(sample_flow(network, step_sigmas(2), text, none, x, 3.0))[-1])


def test_shift_keeps_the_ends():
    assert shift_sigma(0.0, 5.0) == 0 and shift_sigma(1.0, 5.0) == 1 and shift_sigma(0.4, 1.0) == 0.4


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_many_steps_of_one_chunk_are_those_of_the_whole_clip_sampler(tiny, scale):
    """A clip of one chunk has no past: the guided causal rollout and the bidirectional sampler must agree."""
    model, text = tiny.transformer, tiny.text_encoder
    words, none = text.embed(["a red circle"]), text.embed([""])
    noise = ClipNoise(torch.Generator().manual_seed(0))
    plan = StepPlan.uniform((3,), 6)
    guidance = Guidance(none, scale, model.new_cache(8, 8))
    with torch.no_grad():
        (chunk,) = rollout(model, plan, words, model.new_cache(8, 8), noise, (1, 16, 8, 8), guidance=guidance)
        *_, whole = sample_flow(model, plan.sigmas[0], words, none, noise(0, 0, (1, 3, 16, 8, 8)), scale)
    assert torch.allclose(chunk.latents, whole, atol=1e-5)
    assert chunk.forwards == 6 * (2 if scale != 1 else 1)


def test_guidance_keeps_a_past_of_its_own(tiny):
    """Both caches hold every finished chunk, each under its own text."""
    model, text = tiny.transformer, tiny.text_encoder
    words, none = text.embed(["a red circle"]), text.embed([""])
    noise = ClipNoise(torch.Generator().manual_seed(0))
    cache, free = model.new_cache(8, 8), model.new_cache(8, 8)
    plan = StepPlan.uniform((1, 3, 3), 2)
    with torch.no_grad():
        chunks = list(rollout(model, plan, words, cache, noise, (1, 16, 8, 8), guidance=Guidance(none, 2.0, free)))
        past = torch.cat([chunk.latents for chunk in chunks[:2]], 1)
        for made, used in ((cache, words), (free, none)):
            again = model.new_cache(8, 8)
            clean_pass(model, past[:, :1], used, again, 0)
            clean_pass(model, past[:, 1:], used, again, 1)
            assert made.global_end == again.global_end
            assert torch.allclose(made.entries[1].k, again.entries[1].k, atol=1e-5)


def test_every_prediction_is_observed_and_the_last_is_the_chunk(tiny):
    model, words = tiny.transformer, tiny.text_encoder.embed(["a red circle"])
    seen = {}
    noise = ClipNoise(torch.Generator().manual_seed(0))
    plan = StepPlan.by_hand((1, 3), (3, 2))
    with torch.no_grad():
        chunks = list(
            rollout(
                model,
                plan,
                words,
                model.new_cache(8, 8),
                noise,
                (1, 16, 8, 8),
                observe=lambda chunk, step, x0: seen.update({(chunk, step): x0}),
            )
        )
    assert list(seen) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert all(torch.equal(seen[i, len(plan.sigmas[i]) - 1], chunk.latents) for i, chunk in enumerate(chunks))


def test_every_seed_has_noise_of_its_own_beyond_32_bits_too():
    seeds = [7, 7 + 2**32, 7 + 2**33, 7 + 2**62, 2**32, 0]
    drawn = [ClipNoise.of_seed(seed)(0, 0, (4,)).tolist() for seed in seeds]
    assert all(one != other for i, one in enumerate(drawn) for other in drawn[:i])
    for seed in (0, 7, 2**32 - 1):  # clips of such seeds were made before, and are made again from their manifests
        assert ClipNoise.of_seed(seed).key == ClipNoise(torch.Generator().manual_seed(seed)).key
