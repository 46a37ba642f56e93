"""What is held out of training in the tabletop world: no pool draws it, evaluation asks for it, the split stands."""

import hashlib

import pytest
import torch

from models.networks.text_encoder import ShapesTextEncoder
from models.training.data import _scene_and_prompt
from models.training.distillation import Prompts
from models.training.recipes.video_autoencoder import snippet_scene
from models.worlds.captions import held_out_captions
from models.worlds.tabletop.grammar import HELD_OUT_GROUNDS, all_combinations, parse_prompt
from models.worlds.training_worlds import WORLDS

COUNT = 300
WORLD = WORLDS["tabletop"]


@pytest.fixture(scope="module")
def trained():
    """Captions of every pool that a recipe of the tabletop world draws: clips, sampling paths, rollouts, pieces."""
    torch.manual_seed(0)
    text = ShapesTextEncoder(tuple(sorted(WORLD.words)))
    prompts = [_scene_and_prompt("tabletop", 12, index)[1] for index in range(COUNT)]
    prompts += [prompt for seed in (21, 31) for prompt in Prompts.sample(text, COUNT, seed, WORLD).captions]
    captions = [parse_prompt(prompt) for prompt in prompts]
    return captions + [snippet_scene(11, index)[0].caption for index in range(COUNT)]


def test_no_pool_holds_what_is_held_out(trained):
    assert len(trained) == 4 * COUNT
    assert not any(thing.held_out for caption in trained for thing in caption.objects)
    assert not any(HELD_OUT_GROUNDS[thing.solid] == caption.ground for caption in trained for thing in caption.objects)


def test_evaluation_asks_for_combinations_that_no_pool_has(trained):
    asked = {parse_prompt(caption).objects[0] for caption in held_out_captions("tabletop", 128)}
    shown = {thing for caption in trained for thing in caption.objects}
    assert len(asked) == 64 and len(shown) == 64 and not asked & shown
    assert asked | shown == set(all_combinations())


def test_the_split_is_the_same_everywhere_and_always():
    named = [" ".join((c.color, c.solid, c.direction)) for c in all_combinations() if c.held_out]
    told = "\n".join([*named, *(f"{solid} {ground}" for solid, ground in HELD_OUT_GROUNDS.items())])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == "de5e5c295848067c"
    first, again = ([_scene_and_prompt("tabletop", 12, index)[1] for index in range(5)] for _ in range(2))
    assert first == again
