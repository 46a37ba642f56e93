"""The world that defaults are read from: its models exist, and it understands its own examples."""

import pytest

import models.worlds.shapes as shapes
import models.worlds.tabletop.grammar as tabletop
from eval.video.pair_difference import visible_difference
from models.default_world import DEFAULT, MEASURED, SHAPES, TABLETOP
from models.registry import get_spec
from models.worlds.training_worlds import WORLDS
from workbench.clips.generation import GenerationService
from workbench.clips.kept import as_stored
from workbench.sweeps.first_run import SEED
from workbench.ui.pages.compare.page import start_sides
from workbench.votes.studies import default_study

LANGUAGES = {"shapes": shapes, "tabletop": tabletop}


@pytest.mark.parametrize("world", [SHAPES, TABLETOP], ids=lambda world: world.name)
def test_examples_are_understood_and_show_every_word(world):
    language = LANGUAGES[world.name]
    for prompt in (*world.prompts, *world.study_prompts, world.switch):
        assert language.parse_prompt(prompt), prompt
    said = {word for prompt in world.study_prompts for word in prompt.split()}
    synonyms = {"the", "sliding", "moving", "grey"}
    pairs = set() if any(" and " in prompt for prompt in world.study_prompts) else {"and"}
    assert WORLDS[world.name].words - synonyms - pairs <= said
    assert len(set(world.study_prompts)) == 16


def test_defaults_are_models_of_the_default_world():
    for name in (DEFAULT.teacher, DEFAULT.baseline, DEFAULT.asd):
        assert get_spec(name).family == DEFAULT.name
    for name in (MEASURED.teacher, MEASURED.causal_teacher, MEASURED.baseline, MEASURED.asd):
        assert get_spec(name).family == MEASURED.name
    study = default_study()
    assert study.id == DEFAULT.study and study.prompts == DEFAULT.study_prompts
    assert {system.split(":")[0] for system in study.systems} == {DEFAULT.asd, DEFAULT.baseline}


@pytest.mark.parametrize("prompt", DEFAULT.prompts[:2])
def test_the_pair_that_the_app_opens_with_differs_at_sight(tmp_path, prompt):
    service = GenerationService(tmp_path)
    left, right = (
        as_stored(service.generate(side.model, side.request(prompt, SEED, 13))).result for side in start_sides()
    )
    seen = visible_difference(left.frames, right.frames, left.fps)
    assert seen.visible and seen.jod < 8
