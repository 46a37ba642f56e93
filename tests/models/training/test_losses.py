"""Losses and training rollouts: equal to the reference with its noise and noise levels, and their laws."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.testing import assert_close

from models.sampling.noise_levels import shift_sigma
from models.sampling.rollout import rollout
from models.sampling.schedulers import StepPlan, per_frame, x0_from_flow
from models.training.losses import (
    dmd_gradient,
    finite_difference_penalty,
    flow_matching_loss,
    noisy_pair,
    ode_regression_loss,
    relativistic_loss,
)
from models.wan.names import TRANSFORMER, bare_name
from tests.helpers.golden_data import golden, golden_network


def nearest_sigma(timestep, shift):
    """The reference looks sigma up by the nearest entry of a shifted table of 1000; this repository uses t / 1000."""
    table = shift_sigma(torch.linspace(1, 0, 1001, dtype=torch.float64)[:-1], shift)
    return table[(1000 * table[None] - timestep.double().flatten()[:, None]).abs().argmin(1)].view(timestep.shape)


@pytest.mark.parametrize("case", ["dmd", "dmd_clamped", "dmd_first_chunk_masked"])
def test_dmd_equals_the_reference(case):
    g, teacher, fake_score = golden("losses"), golden_network("teacher"), golden_network("fake_score")
    x, time = g["x"], g[f"{case}.timestep"]
    with torch.no_grad():
        noisy = noisy_pair(x, g["noise"], nearest_sigma(time, 5.0).float())
        level = per_frame(nearest_sigma(time, 8.0))
        fake = x0_from_flow(noisy, fake_score(noisy, time[:, 0], g["text"]), level)
        cond = x0_from_flow(noisy, teacher(noisy, time[:, 0], g["text"]), level)
        free = x0_from_flow(noisy, teacher(noisy, time[:, 0], g["negative_text"]), level)
    # additive guidance 3 is scale 4 in the convention uncond + s * (cond - uncond)
    gradient = dmd_gradient(x, free + 4.0 * (cond - free), fake)
    # the reference's loss is half the mean square of the gradient, over the frames that it does not mask
    seen = torch.arange(9).expand(2, 9) >= (3 if case.endswith("masked") else 0)
    seen = per_frame(seen).expand_as(x)
    loss = 0.5 * gradient.double()[seen].square().mean()
    assert_close(loss, g[f"{case}.loss"].double().reshape(()), rtol=1e-5, atol=1e-7)
    assert_close(gradient * seen / seen.sum(), g[f"{case}.dx"], rtol=1e-4, atol=1e-7)


def test_dmd_vanishes_when_the_scores_agree_and_points_toward_the_teacher():
    x, real = torch.zeros(1, 2, 3, 4, 4), torch.ones(1, 2, 3, 4, 4)
    assert dmd_gradient(x, real, real).abs().max() == 0
    assert (x - dmd_gradient(x, real, x)).mean() > 0
    assert dmd_gradient(real, real, x).isfinite().all()


def test_critic_equals_the_reference():
    g, fake_score = golden("losses"), golden_network("fake_score")
    for case in ("critic", "critic_low_t"):
        time = g[f"{case}.timestep"]
        noisy = noisy_pair(g["x"], g["noise"], nearest_sigma(time, 5.0).float())
        assert_close(noisy, g[f"{case}.noisy"], atol=1e-5, rtol=0)
        loss = flow_matching_loss(fake_score(noisy, time[:, 0], g["text"]), g["x"], g["noise"])
        assert_close(
            loss.detach().double(), g[f"{case}.loss_plain_flow_mse"].double().reshape(()), rtol=1e-5, atol=1e-6
        )


def test_ode_regression_equals_the_reference():
    g, network = golden("losses"), golden_network()
    index, trajectory = g["ode.index"], g["ode.trajectory"]
    noisy = trajectory[torch.arange(2)[:, None], index, torch.arange(9)[None]]
    assert torch.equal(noisy, g["ode.input"])
    sigma = nearest_sigma(g["ode.timestep"], 5.0)
    x0 = x0_from_flow(noisy, network(noisy, g["ode.timestep"], g["text"], chunks=(3, 3, 3)), per_frame(sigma))
    loss = ode_regression_loss(x0, trajectory[:, -1], g["ode.timestep"])
    assert_close(loss.detach().double(), g["ode.loss"].double().reshape(()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", ["all_1", "all_3"])
def test_training_rollout_is_close_to_the_reference(case):
    """Outputs and gradient norms; only close, since the reference noises its context by half a percent."""
    g, network = golden("training_rollout"), golden_network()
    exit_index = int(g[f"{case}.exit_index"][0])
    plan = StepPlan.uniform((3, 3, 3), 4)
    plan = replace(plan, sigmas=tuple(sigmas[: exit_index + 1] for sigmas in plan.sigmas))
    drawn = iter(g[f"{case}.randn.{i:02d}"] for i in range(sum(f"{case}.randn" in key for key in g)))

    def draw(chunk, step, shape):
        return g["noise"][:, 3 * chunk : 3 * chunk + 3] if step == 0 else next(drawn).view(shape)

    cache, parts = network.new_cache(6, 10), []
    for part in rollout(network, plan, g["text"], cache, draw, (1, 4, 6, 10), gradient=True):
        parts.append(part.latents)
        # the reference draws once more here: half a percent of noise on the context, which this repository leaves out
        next(drawn)
    output = torch.cat(parts, 1)
    assert_close(output.detach(), g[f"{case}.output"], atol=0.05, rtol=0)
    network.zero_grad()
    (output * g["output_weight"]).sum().backward()
    names = sorted(golden("transformer"))
    renamed = {TRANSFORMER.to_ours(bare_name(name)): name for name in names}
    mine = {renamed[name]: p.grad.double().norm() for name, p in network.named_parameters()}
    norms = torch.stack([mine[name] for name in names])
    network.zero_grad()
    assert_close(norms, g[f"{case}.dparam_norm_all"], rtol=0.05, atol=1e-3)


def test_gradient_flows_through_the_last_step_of_each_chunk_only():
    network, g = golden_network(), golden("training_rollout")
    noise = g["noise"].clone().requires_grad_()
    plan = StepPlan.uniform((3, 3, 3), 2)

    def draw(chunk, step, shape):
        return noise[:, 3 * chunk : 3 * chunk + 3] if step == 0 else torch.zeros(shape)

    parts = list(rollout(network, plan, g["text"], network.new_cache(6, 10), draw, (1, 4, 6, 10), gradient=True))
    assert all(part.latents.requires_grad for part in parts)
    torch.cat([part.latents for part in parts], 1).sum().backward()
    # the first step, the renoising and the cache pass no gradient, so none reaches the initial noise
    assert noise.grad is None
    network.zero_grad()


def test_relativistic_loss_is_cross_entropy_of_the_difference_and_mirrors():
    better, worse = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.0])  # no mirror image of themselves
    expected = binary_cross_entropy_with_logits(better - worse, torch.ones(2))
    assert_close(relativistic_loss(better, worse), expected)
    assert_close(relativistic_loss(better, better), torch.tensor(0.6931472))
    assert_close(relativistic_loss(better + 3, worse + 3), expected)


def test_penalty_of_a_linear_discriminator_is_its_squared_slope():
    torch.manual_seed(0)
    slope, x, nudge = torch.randn(5), torch.randn(20000, 5), 0.05 * torch.randn(20000, 5)
    penalty = finite_difference_penalty(x @ slope, (x + nudge) @ slope)
    assert float(penalty / 0.05**2) == pytest.approx(float(slope.square().sum()), rel=0.05)
