"""The weights in `assets`: every row of the registry runs, follows its contract, and carries a card."""

import json

import numpy as np
import pytest

from models.registry import create_pipeline, list_models, unavailable, weight_folders
from models.types import GenerationRequest
from models.worlds.shapes import Caption, Combination, render, sample_scene

PROMPT = "a red circle moving right on a black background"
SHIPPED = [spec for spec in list_models() if not spec.checkpoint]
SHAPES = [spec for spec in SHIPPED if spec.family == "shapes"]
TABLETOP = [spec for spec in SHIPPED if spec.family == "tabletop"]
CAUSAL = [spec for spec in SHAPES if spec.causal]


@pytest.fixture(scope="module")
def pipelines():
    return {spec.name: create_pipeline(spec.name) for spec in SHAPES}


@pytest.mark.parametrize("spec", SHIPPED, ids=lambda spec: spec.name)
def test_every_model_runs_here_and_has_a_card(spec):
    assert unavailable(spec) is None
    for folder in weight_folders(spec):
        card = json.loads((folder / "card.json").read_text())
        assert card["recipe"] and card["steps"] and card["date"] and len(card["curve"]) >= 3


@pytest.mark.parametrize("ffe", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_one_asd_checkpoint_serves_every_step_count(pipelines, steps, ffe):
    result = pipelines["shapes-asd"](GenerationRequest(PROMPT, steps=steps, ffe=ffe, seed=7))
    assert result.frames.shape == (49, 64, 64, 3)
    assert [len(s) for s in result.sigmas] == [4 if ffe else steps, *[steps] * 4]


@pytest.mark.parametrize("spec", CAUSAL, ids=lambda spec: spec.name)
def test_the_given_picture_is_the_first_frame_and_moves_on(pipelines, spec):
    caption = Caption((Combination("red", "square", "right"),), "navy")
    quality, moved = [], []
    steps = min(4, max(spec.steps))
    for seed in range(2):
        picture = render(sample_scene(caption, np.random.default_rng(seed)), 1)[0]
        request = GenerationRequest(str(caption), steps=steps, seed=seed, image=picture, frames=25)
        frames = pipelines[spec.name](request).frames
        quality.append(10 * np.log10(255**2 / np.mean((frames[0].astype(float) - picture) ** 2)))
        moved.append(np.abs(frames[-1].astype(float) - frames[0]).mean())
    assert min(quality) >= 25
    assert np.mean(moved) > 1.0


@pytest.mark.parametrize("spec", SHAPES, ids=lambda spec: spec.name)
def test_background_and_colour_of_the_prompt_are_there(pipelines, spec):
    """A floor, not a score: `prompt-following` measures."""
    picture = None
    if "t2v" not in spec.tasks:
        caption = Caption((Combination("red", "circle", "right"),), "black")
        picture = render(sample_scene(caption, np.random.default_rng(3)), 1)[0]
    request = GenerationRequest(PROMPT, spec.default_steps, 4 in spec.steps, seed=3, image=picture)
    frames = pipelines[spec.name](request).frames
    corner = np.median(frames[:, ::63, ::63].reshape(-1, 3), 0)
    reddest = (frames[..., 0].astype(int) - frames[..., 1:].max(-1)).reshape(len(frames), -1).max(1)
    assert corner.max() < 60 and np.median(reddest) > 60


@pytest.mark.parametrize("spec", TABLETOP, ids=lambda spec: spec.name)
def test_ground_and_colour_of_the_prompt_are_there_on_the_tabletop(spec):
    """A floor, not a score: `few-steps` measures."""
    pipeline = create_pipeline(spec.name)
    steps = max(steps for steps in spec.steps if steps <= 8)  # a teacher takes seconds for each
    frames = pipeline(GenerationRequest("a red ball rolling right over grass", steps, seed=3)).frames
    assert frames.shape == (49, 128, 128, 3)
    red, green, blue = np.moveaxis(frames.astype(int), -1, 0)
    assert np.mean((green > red) & (green > blue)) > 0.7  # grass
    assert np.median(((red > 2 * green) & (red > 2 * blue) & (red > 90)).mean((1, 2))) > 0.005  # the ball
    if "i2v" in spec.tasks:
        again = pipeline(GenerationRequest("a red ball rolling right over grass", 2, seed=4, image=frames[0])).frames
        assert 10 * np.log10(255**2 / np.mean((again[0].astype(float) - frames[0]) ** 2)) >= 25
