"""Every recipe runs, small and for real: its weights move, nothing else does, a resumed run is the same run."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.networks.kv_cache import KVCache
from models.sampling.rollout import ClipNoise, Guidance, rollout
from models.sampling.schedulers import StepPlan
from models.training.diptychs import diptych_pool
from models.training.discriminator import VideoDiscriminator
from models.training.distillation import (
    CHUNKS,
    LATENT_SHAPE,
    Roles,
    distribution_matching,
    some_frames,
    training_rollout,
)
from models.training.loop import Muon, Run, StepSeed, multiplying_in, orthogonalized, train
from models.training.peers import Peers
from models.training.recipes import RECIPES, ode_init
from models.training.recipes.self_forcing import prefix_plan
from models.training.stages import STAGES, with_what_they_need
from models.weights import load_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("training")


def smoke(name: str, folder: Path, **changes):
    """The smoke preset of a recipe, reading what earlier recipes exported below `folder`."""
    config = RECIPES[name].presets["smoke"]
    if hasattr(config, "pools"):
        config = replace(config, pools=folder / "pools")
    if hasattr(config, "roles"):
        export = folder / "teacher" / "export"
        generator = folder / "ode-init" / "export" / "generator"
        config = replace(config, roles=Roles(export / "teacher", generator, export / "text_encoder"))
    return replace(config, **changes)


@pytest.fixture(scope="module")
def chain(folder) -> dict[str, dict[str, float]]:
    """All recipes in the order in which they build on one another; the last logged values of each."""
    last = {}
    for name, row in RECIPES.items():
        config = smoke(name, folder)
        last[name] = train(row.build(config), Run(folder / name, config.steps, log_every=1, sample_every=config.steps))
    return last


@pytest.mark.parametrize("name", RECIPES)
def test_smoke_training_logs_finite_values_and_exports(chain, folder, name):
    assert chain[name] and all(np.isfinite(value) for value in chain[name].values())
    assert list((folder / name / "export").glob("*/config.json"))
    assert (folder / name / "log.jsonl").read_text().count("\n") == RECIPES[name].presets["smoke"].steps
    assert list((folder / name / "tensorboard").glob("events*"))
    assert (folder / name / "samples.png").stat().st_size > 1000


def test_a_teacher_goes_on_from_what_another_run_exported(chain, folder):
    start = folder / "teacher/export"
    recipe = RECIPES["teacher"].build(smoke("teacher", folder, start=start))
    for module, name in ((recipe.model, "teacher"), (recipe.text, "text_encoder")):
        wanted = load_model(type(module), start / name).state_dict()
        assert all(torch.equal(tensor, wanted[key]) for key, tensor in module.state_dict().items())


@pytest.mark.parametrize("name", ["autoencoder", "teacher", "asd", "aad1", "world-clip"])
def test_a_resumed_run_ends_bit_equal(chain, folder, name, tmp_path):
    row, config = RECIPES[name], smoke(name, folder)
    whole = row.build(config)
    train(whole, Run(tmp_path / "whole", config.steps))
    first = row.build(config)
    # the schedule knows the full length; only the loop stops early, as a killed process would
    train(first, Run(tmp_path / "parts", config.steps // 2))
    again = row.build(config)
    train(again, Run(tmp_path / "parts", config.steps), resume=True)
    for part, module in whole.modules.items():
        for key, tensor in module.state_dict().items():
            assert torch.equal(tensor, again.modules[part].state_dict()[key]), f"{part}.{key}"
    for part, average in whole.averages.items():
        assert all(torch.equal(v, again.averages[part].values[k]) for k, v in average.values.items())


def test_in_bfloat16_every_update_of_a_step_is_seen_by_the_next(chain, folder, tmp_path):
    """Weights stay float32; what is multiplied follows each of the critic's updates, not the step's first weights."""
    losses = {}
    for precision in ("fp32", "bf16"):
        recipe = RECIPES["self-forcing"].build(smoke("self-forcing", folder, critic_lr=1e-2, critic_updates=8))
        last = train(recipe, Run(tmp_path / precision, 3, precision=precision, log_every=1))
        losses[precision] = last["critic_loss"]
        assert {p.dtype for p in recipe.fake_score.parameters()} == {torch.float32}
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02) and losses["bf16"] != losses["fp32"]


def test_slow_steps_are_saved_by_the_clock(chain, folder, tmp_path):
    recipe = RECIPES["self-forcing"].build(smoke("self-forcing", folder))
    step = recipe.step

    def stopped_at_three(number, seed):
        if number == 3:
            raise KeyboardInterrupt
        return step(number, seed)

    recipe.step = stopped_at_three
    with pytest.raises(KeyboardInterrupt):
        train(recipe, Run(tmp_path, 6, save_seconds=0))
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 3


def test_a_run_that_is_asked_to_stop_saves_and_goes_on_to_the_same_end(folder, tmp_path):
    row, config = RECIPES["autoencoder"], smoke("autoencoder", folder)
    whole = row.build(config)
    train(whole, Run(tmp_path / "whole", config.steps))
    train(row.build(config), Run(tmp_path / "parts", config.steps, stop=lambda: True))
    assert torch.load(tmp_path / "parts" / "state.pt", weights_only=True)["step"] == 1
    assert not (tmp_path / "parts" / "export").exists()
    again = row.build(config)
    train(again, Run(tmp_path / "parts", config.steps), resume=True)
    assert (tmp_path / "parts" / "export").exists()
    for name, module in whole.modules.items():
        assert all(torch.equal(t, again.modules[name].state_dict()[k]) for k, t in module.state_dict().items())


def test_scores_that_see_some_frames_give_the_whole_gradient_on_average(chain, folder):
    """Nothing outside the frames that are seen; the size over the clip is that of all frames."""
    recipe = RECIPES["self-forcing"].build(smoke("self-forcing", folder, score_frames=5))
    text = recipe.prompts.embeddings[:2]
    clips = torch.randn(2, *recipe.shape)
    part = recipe.matching_gradient(clips, text, StepSeed.at(0, 0))
    frames = some_frames(recipe.shape[0], 5, StepSeed.at(0, 0).numpy)
    seen = torch.zeros(recipe.shape[0], dtype=torch.bool)
    seen[frames] = True
    assert (part[:, ~seen] == 0).all() and (part[:, seen] != 0).float().mean() > 0.99
    alone = recipe.matching_gradient(clips, text, StepSeed.at(0, 0))
    assert torch.equal(part, alone)
    everything = distribution_matching(
        *(clips, text, recipe.prompts.none, recipe.teacher, recipe.fake_score, 4.0, StepSeed.at(0, 0)),
        frames=[*range(13)],
    )
    recipe.config = replace(recipe.config, score_frames=0)
    assert torch.allclose(everything, recipe.matching_gradient(clips, text, StepSeed.at(0, 0)), atol=1e-5)


def test_stages_wait_for_what_they_start_from():
    assert STAGES["teacher"].waits_for == set()
    assert STAGES["asd"].waits_for == {"teacher", "ode-init"}
    assert STAGES["aad1-causal"].waits_for == {"teacher", "causal-teacher", "aad1-warmup"}
    names = [stage.name for stage in with_what_they_need(["aad1"])]
    assert names == ["teacher", "causal-teacher", "aad1-init", "aad1-warmup", "aad1"]
    for position, stage in enumerate(STAGES.values()):
        assert stage.waits_for <= {earlier.name for earlier in list(STAGES.values())[:position]}
        assert stage.preset in RECIPES[stage.recipe].presets


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("self-forcing", {}),
        ("self-forcing", {"score_frames": 5, "critic_batch": 3}),
        ("self-forcing", {"image": True, "sampler_steps": 1}),
        ("causvid", {}),
        ("causvid", {"causal_scores": True}),
        ("asd", {}),
        ("asd", {"positive": "real"}),
        ("asd", {"positive": "both", "score_frames": 5}),
    ],
)
def test_only_the_trained_roles_move(chain, folder, name, changes):
    recipe = RECIPES[name].build(smoke(name, folder, warmup=0, **changes))
    before = {n: [p.clone() for p in m.parameters()] for n, m in recipe.modules.items()}
    teacher = [p.clone() for p in recipe.teacher.parameters()]
    for step in range(4):
        recipe.step(step, StepSeed.at(1, step))
    assert all(torch.equal(a, b) for a, b in zip(teacher, recipe.teacher.parameters(), strict=True))
    for part, module in recipe.modules.items():
        moved = [not torch.equal(a, b) for a, b in zip(before[part], module.parameters(), strict=True)]
        assert np.mean(moved) > 0.8, part


def test_processes_that_train_together_end_with_one_set_of_weights_from_different_batches(chain, folder, tmp_path):
    row, config = RECIPES["teacher"], smoke("teacher", folder)

    def together(steps: int, *, resume: bool) -> tuple[list, list[Run]]:
        runs = [
            Run(tmp_path / name, steps, peers=Peers(tmp_path / "first", rank, 2, every=2))
            for rank, name in enumerate(["first", "second"])
        ]
        recipes = [row.build(config) for _ in runs]
        with ThreadPoolExecutor() as pool:
            list(pool.map(partial(train, resume=resume), recipes, runs))
        return recipes, runs

    together(config.steps // 2, resume=False)
    recipes, runs = together(config.steps, resume=True)
    first, second = (recipe.averages["teacher"].values for recipe in recipes)
    assert all(torch.equal(first[name], second[name]) for name in first)
    losses = [(run.out / "log.jsonl").read_text() for run in runs]
    assert losses[0] != losses[1]
    assert StepSeed.at(3, 5).numpy.random() == StepSeed.at(3, 5, rank=0).numpy.random()


def test_one_meeting_takes_the_mean(tmp_path):
    peers = [Peers(tmp_path, rank, 3, every=1) for rank in range(3)]
    with ThreadPoolExecutor() as pool:
        means = list(pool.map(lambda p: p.mean({"m": {"w": torch.tensor([float(p.rank)])}}, 1), peers))
    assert [float(mean["m"]["w"]) for mean in means] == pytest.approx([1.0] * 3)


def test_critic_learns_five_times_for_one_generator_step():
    for name in ("self-forcing", "asd"):
        assert RECIPES[name].presets["shapes"].critic_updates == 5


def test_baseline_and_asd_share_their_settings():
    """Same start, data, iterations and rates: what differs is ASD's own, and the batch that equals the compute."""
    baseline, asd = (RECIPES[name].presets["shapes"] for name in ("self-forcing", "asd"))
    same = (
        "roles",
        "steps",
        "prompts",
        "causal_scores",
        "critic_updates",
        "lr",
        "critic_lr",
        "guidance_scale",
        "ema",
        "warmup",
    )
    assert all(getattr(baseline, field) == getattr(asd, field) for field in same)


def test_random_exit_is_a_prefix_of_the_four_steps():
    assert [len(s) for s in prefix_plan(2).sigmas] == [2] * 5
    assert prefix_plan(2).sigmas[0] == prefix_plan(4).sigmas[0][:2]


def noise_at(seed: int, step: int) -> ClipNoise:
    return ClipNoise(StepSeed.at(seed, step).torch)


def test_rollout_depends_on_the_step_seed_only(chain, folder):
    recipe = RECIPES["self-forcing"].build(smoke("self-forcing", folder))
    text = recipe.prompts.embeddings[:2]
    clips = [recipe.rollout(prefix_plan(2), text, noise_at(5, 9), gradient=False) for _ in range(2)]
    assert torch.equal(*clips)
    other = recipe.rollout(prefix_plan(2), text, noise_at(5, 10), gradient=False)
    assert not torch.equal(clips[0], other)


def test_discriminator_gives_one_logit_per_pair_and_video_and_learns_a_visible_difference():
    torch.manual_seed(0)
    heads = VideoDiscriminator(24, 2, (0, 1), 3)
    optimizer = torch.optim.AdamW(heads.parameters(), 1e-2)
    pattern = torch.randn(24)
    for _ in range(40):
        states = [torch.randn(8, 10, 24) for _ in range(2)]
        shifted = [s + pattern for s in states]
        gap = heads(shifted)[:, 0] - heads(states)[:, 0]
        optimizer.zero_grad()
        torch.nn.functional.softplus(-gap).mean().backward()
        optimizer.step()
    assert heads([torch.randn(8, 10, 24)] * 2).shape == (8, 3)
    assert (gap > 0).float().mean() > 0.9


def test_adversarial_gradient_is_held_to_its_share(chain, folder):
    recipe = RECIPES["asd"].build(smoke("asd", folder))
    matching, adversarial = torch.ones(2, 3), torch.full((2, 3), 5.0)
    assert recipe.weight(matching, adversarial, 1.0) == pytest.approx(0.3 / 5)
    assert recipe.weight(matching, adversarial, 0.5) == pytest.approx(0.3 / 10)
    assert recipe.weight(matching, adversarial * 1e-6, 1.0) == 30.0


def test_a_head_that_tells_nothing_apart_has_no_say_and_one_that_does_gains_it(chain, folder):
    """Equal clips: the gap is 0 and trust stays 0. Clips that differ by a pattern: learned, and trusted."""
    recipe = RECIPES["asd"].build(smoke("asd", folder, head_lr=1e-2, penalty=1.0))
    text = recipe.prompts.embeddings[:2]
    clip = torch.randn(2, *LATENT_SHAPE)
    same = recipe.update_discriminator(clip, clip, text, 1, StepSeed.at(0, 0))
    assert same["gap/n1"] == 0 and recipe.trust(1) == 0
    pattern = 2 * torch.randn(1, *LATENT_SHAPE)
    for step in range(12):
        fresh = torch.randn(2, *LATENT_SHAPE)
        recipe.update_discriminator(fresh, fresh + pattern, text, 2, StepSeed.at(1, step))
    assert recipe.trust(2) > 0.5 > recipe.trust(3) == 0


def test_adversarial_gradient_leaves_the_scores_alone(chain, folder):
    recipe = RECIPES["asd"].build(smoke("asd", folder))
    text = recipe.prompts.embeddings[:2]
    clips = [recipe.rollout(recipe.plans[n], text, noise_at(0, n), gradient=False) for n in (1, 2)]
    gradient = recipe.adversarial_gradient(*clips, text, 1, StepSeed.at(0, 0))
    assert gradient.shape == clips[0].shape and gradient.abs().max() > 0
    assert all(p.grad is None and p.requires_grad for p in recipe.fake_score.parameters())
    assert all(p.grad is None for p in recipe.discriminator.parameters())


def test_batches_of_diptychs_are_seen_captions_once_each_and_ask_for_directions(tmp_path):
    pool = diptych_pool(400, 8, seed=3, folder=tmp_path)
    again = diptych_pool(400, 8, seed=3, folder=tmp_path)  # read back
    pictures, captions = pool.batch(np.random.default_rng(0), 48)
    assert len(set(captions)) == len(captions) == 48 and not any(caption.held_out for caption in captions)
    same, _ = again.batch(np.random.default_rng(0), 48)
    assert torch.equal(pictures, same) and pictures.shape == (48, 3, 64, 128) and pictures.abs().max() <= 1
    assert len(list(tmp_path.iterdir())) == 1
    one = [caption for caption in captions if len(caption.objects) == 1]
    subjects = Counter((c.objects[0].color, c.objects[0].shape, c.background) for c in one)
    assert sum(count for count in subjects.values() if count > 1) > 0.6 * len(one)


def test_pairs_of_a_discriminator_are_those_its_positive_class_allows(chain, folder):
    """Self: n with n + 1, none at four steps. Real: n with real clips, four steps too. No alpha: none at all."""
    rng = np.random.default_rng(0)
    own, real, both, off = (
        RECIPES["asd"].build(smoke("asd", folder, **changes))
        for changes in ({}, {"positive": "real"}, {"positive": "both"}, {"alpha": 0.0})
    )
    assert [own.pair(n, rng) for n in (1, 2, 3, 4)] == [1, 2, 3, None]
    assert [real.pair(n, rng) for n in (1, 2, 3, 4)] == [4, 5, 6, 7]
    assert {both.pair(1, rng) for _ in range(40)} == {1, 4} and both.pair(4, rng) == 7
    assert [off.pair(n, rng) for n in (1, 2, 3, 4)] == [None] * 4


def test_four_steps_without_a_partner_leave_at_any_level_and_the_other_plans_end(chain, folder, monkeypatch):
    """Every level of the four-step list is the last of some rollout, else it would never be trained."""
    seen = Counter()

    def noted(model, plan, text, noise, **rest):
        seen[plan.sigmas[0]] += rest["gradient"]
        return training_rollout(model, plan, text, noise, **rest)

    monkeypatch.setattr("models.training.recipes.self_forcing.training_rollout", noted)
    recipe = RECIPES["asd"].build(smoke("asd", folder, batch=1, critic_updates=0, head_updates=1, alpha=0.0))
    recipe.update_critic = lambda *_: {}
    for step in range(40):
        recipe.step(step, StepSeed.at(7, step))
    four = recipe.plans[4].sigmas[0]
    assert {four[:n] for n in (1, 2, 3, 4)} <= set(seen)
    assert sum(seen[four[:n]] for n in (3, 4)) < sum(seen.values())
    assert set(seen) == {four[:n] for n in (1, 2, 3, 4)} | {recipe.plans[n].sigmas[0] for n in (1, 2, 3)}


def test_without_distribution_matching_only_the_discriminator_moves_the_generator(chain, folder):
    recipe = RECIPES["asd"].build(smoke("asd", folder, matching=False, warmup=0))
    for step in range(4):
        logs = recipe.step(step, StepSeed.at(4, step))
        assert not any(name.startswith("dmd/") for name in logs)


@pytest.mark.parametrize("per_frame", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_aad1_scores_videos_or_frames_and_a_causal_one_not_the_future(chain, folder, causal, per_frame):
    recipe = RECIPES["aad1"].build(smoke("aad1", folder, causal=causal, per_frame=per_frame))
    clips = torch.randn(2, *LATENT_SHAPE, generator=torch.Generator().manual_seed(0))
    text = recipe.text.embed(recipe.clips.captions[:2])
    levels = torch.full(clips.shape[:2], 0.3)
    scores = recipe.judge(clips, levels, text)
    assert scores.shape == ((2, LATENT_SHAPE[0] - 1) if per_frame else (2,))
    changed = clips.clone()
    changed[:, -3:] += 1  # the last chunk
    moved = (recipe.judge(changed, levels, text) - scores).abs()
    assert moved.max() > 0
    if per_frame:
        assert bool((moved[:, : LATENT_SHAPE[0] - 4] == 0).all()) == causal


def test_aad1_heads_learn_before_the_generator_follows(chain, folder):
    recipe = RECIPES["aad1"].build(smoke("aad1", folder, warmup=1))
    before = {name: [p.clone() for p in m.parameters()] for name, m in recipe.modules.items()}

    def moved(name: str) -> float:
        pairs = zip(before[name], recipe.modules[name].parameters(), strict=True)
        return float(np.mean([not torch.equal(a, b) for a, b in pairs]))

    recipe.step(0, StepSeed.at(0, 0))
    assert moved("generator") == 0 and moved("heads") > 0.8 and moved("backbone") > 0.8
    recipe.step(1, StepSeed.at(0, 1))
    assert moved("generator") > 0.8


def test_levels_of_diffusion_forcing_are_equal_in_a_chunk_and_clean_only_before_the_noise(chain, folder):
    recipe = RECIPES["causal-teacher"].build(smoke("causal-teacher", folder))
    sigma = recipe.noise_levels(200, StepSeed.at(0, 0))
    chunks = torch.stack([part[:, 0] for part in sigma.split(CHUNKS, 1)], 1)
    assert torch.equal(sigma, chunks.repeat_interleave(torch.tensor(CHUNKS), 1))
    clean = chunks == 0
    assert (clean[:, 1:] <= clean[:, :-1]).all() and not clean[:, -1].any()
    assert 0.4 < clean[:, 0].float().mean() < 0.6
    control = RECIPES["causal-teacher"].build(smoke("causal-teacher", folder, causal=False))
    levels = control.noise_levels(50, StepSeed.at(0, 0))
    assert torch.equal(levels, levels[:, :1].expand_as(levels)) and (levels > 0).all() and levels.max() > 0.9
    assert np.isfinite(control.step(0, StepSeed.at(0, 0))["loss"]) and control.sample_sheet().ndim == 3


def test_one_step_regression_sees_noise_or_clean_chunks_after_a_clean_first(chain, folder):
    recipe = RECIPES["ode-init"].build(smoke("ode-init", folder, one_step=True))
    seen = []
    forward = recipe.model.forward
    recipe.model.forward = lambda noisy, time, *rest, **more: seen.append(time) or forward(noisy, time, *rest, **more)
    recipe.step(0, StepSeed.at(0, 0))
    assert set(seen[0].unique().tolist()) <= {0.0, 1000.0} and (seen[0][:, 0] == 0).all()


def test_paths_of_a_causal_teacher_end_in_its_clips_and_step_down_the_guided_flow(chain, folder):
    """The ends are those of a rollout; a step in the midst is written out with the mask instead of the cache."""
    recipe = RECIPES["ode-init"].build(smoke("ode-init", folder, causal=True))
    words, none = recipe.prompts.embeddings[:2], recipe.prompts.none.expand(2, -1, -1)
    teacher, scale = recipe.teacher, recipe.config.guidance_scale
    path = recipe._chunk_paths(words, none, StepSeed.at(22, 0))
    assert len(path) == 5 and path[0].std() == pytest.approx(1, abs=0.05)

    def cache() -> KVCache:
        return teacher.new_cache(*LATENT_SHAPE[2:])

    plan, shape = StepPlan.uniform(CHUNKS, 4), (2, *LATENT_SHAPE[1:])
    noise = ClipNoise(StepSeed.at(22, 0).torch)
    clips = rollout(teacher, plan, words, cache(), noise, shape, guidance=Guidance(none, scale, cache()))
    torch.testing.assert_close(path[-1], torch.cat([chunk.latents for chunk in clips], 1), atol=1e-4, rtol=1e-4)

    frames, seen = slice(4, 7), CHUNKS[:3]
    mixed = torch.cat([path[-1][:, :4], path[1][:, frames]], 1)
    level = torch.zeros(2, 7)
    level[:, frames] = plan.sigmas[2][1]
    cond, free = (teacher(mixed, 1000 * level, text, chunks=seen)[:, frames] for text in (words, none))
    expected = path[1][:, frames] + (plan.sigmas[2][2] - plan.sigmas[2][1]) * (free + scale * (cond - free))
    torch.testing.assert_close(path[2][:, frames], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_sampling_paths_go_on_where_they_were_stopped(chain, folder, tmp_path, monkeypatch, precision):
    monkeypatch.setattr(ode_init, "PIECE", 2)
    with multiplying_in(precision):
        sample_in_two_goes(folder, tmp_path, monkeypatch)


def sample_in_two_goes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = RECIPES["ode-init"].build(smoke("ode-init", folder, pools=tmp_path / "whole")).trajectories
    stopped = RECIPES["ode-init"].build(smoke("ode-init", folder, pools=tmp_path / "stopped"))
    paths, drawn = stopped._clip_paths, []

    def first_only(words, none, seed):
        if drawn:
            raise KeyboardInterrupt
        drawn.append(len(words))
        return paths(words, none, seed)

    monkeypatch.setattr(stopped, "_clip_paths", first_only)
    with pytest.raises(KeyboardInterrupt):
        stopped.trajectories  # noqa: B018  (drawn when it is asked for)
    monkeypatch.setattr(stopped, "_clip_paths", lambda *given: drawn.append(2) or paths(*given))
    assert torch.equal(stopped.trajectories, whole) and drawn == [2, 2] and len(whole) == 4
    assert [path.suffix for path in (tmp_path / "stopped").iterdir()] == [".safetensors"]


def test_under_causal_scores_no_score_and_no_head_sees_the_future(chain, folder):
    recipe = RECIPES["asd"].build(smoke("asd", folder, causal_scores=True))
    text, sigma = recipe.prompts.embeddings[:2], torch.full((2,), 0.5)
    clips = torch.randn(2, *LATENT_SHAPE)
    other = clips.clone()
    other[:, 4:] = torch.randn(2, 9, *LATENT_SHAPE[1:])
    tokens = 4 * 4 * 4
    with torch.no_grad():
        one, two = (recipe.hidden(c, sigma, text) for c in (clips, other))
        both_ways = RECIPES["asd"].build(smoke("asd", folder))
        free = [both_ways.hidden(c, sigma, text) for c in (clips, other)]
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a[:, :tokens], b[:, :tokens])
        assert (a[:, tokens:] - b[:, tokens:]).abs().max() > 1e-3
    assert (free[0][-1][:, :tokens] - free[1][-1][:, :tokens]).abs().max() > 1e-6
    gradients = [recipe.matching_gradient(c, text, StepSeed.at(0, 0)) for c in (clips, other)]
    assert all(g.isfinite().all() for g in gradients)


def test_muon_moves_as_torch_has_it_and_keeps_singular_vectors():
    """torch's Muon rounds to bfloat16 on the way, so that it is only close."""
    torch.manual_seed(0)
    ours = [nn.Parameter(torch.randn(24, 64) / 10), nn.Parameter(torch.randn(64, 24) / 10)]
    theirs = [nn.Parameter(p.detach().clone()) for p in ours]
    mine = Muon(ours, lr=0.01)
    reference = torch.optim.Muon(theirs, lr=0.01, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn_like(a)
            b.grad = a.grad.clone()
        mine.step()
        reference.step()
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() < 2e-3
    matrices = torch.randn(3, 24, 64)
    u, _, vh = torch.linalg.svd(matrices, full_matrices=False)
    turned = u.mT @ orthogonalized(matrices) @ vh.mT
    inside = torch.diagonal(turned, dim1=1, dim2=2)
    assert (turned - torch.diag_embed(inside)).abs().max() < 1e-4 and inside.min() > 0.6 and inside.max() < 1.3
