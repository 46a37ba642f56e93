"""The notice on a picture that does not show its prompt, on pictures whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

import models.worlds.tabletop.grammar as tabletop
from models.registry import get_spec
from models.types import GenerationRequest
from models.worlds.shapes import Caption, Combination, render, sample_scene
from models.worlds.tabletop.render import render as render_tabletop
from models.worlds.tabletop.scene import sample_scene as sample_tabletop
from workbench.clips.picture_check import picture_notices

SPEC = get_spec("shapes-asd")


def picture(*things: tuple[str, str, str], background: str = "black", seed: int = 0) -> np.ndarray:
    caption = Caption(tuple(Combination(*thing) for thing in things), background)
    return render(sample_scene(caption, np.random.default_rng(seed)), 1)[0]


def notices(prompt: str, image: np.ndarray | None, spec=SPEC) -> list[str]:
    return picture_notices(spec, GenerationRequest(prompt, image=image))


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_of_the_prompt_is_passed_over_whichever_way_things_go(seed):
    image = picture(("red", "circle", "right"), seed=seed)
    assert notices("a red circle moving left on a black background", image) == []
    assert notices("a red circle moving right on a black background", np.kron(image, np.ones((3, 3, 1), "u1"))) == []


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("a blue circle moving right on a black background", "blue asked for, red seen"),
        ("a red star moving right on a black background", "star asked for, circle seen"),
        ("a red circle moving right on a gray background", "another background"),
        ("a red circle moving right and a blue star moving up on a black background", "2 asked for, 1 seen"),
    ],
)
def test_what_contradicts_is_named(prompt, words):
    (said,) = notices(prompt, picture(("red", "circle", "right")))
    assert words in said and said.startswith("the picture does not show what the prompt says")


def test_what_cannot_be_told_is_not_guessed():
    image = picture(("red", "circle", "right"))
    assert notices("a red circle moving right on a black background", None) == []
    assert notices("something else altogether", image) == []  # the prompt's own notice says that
    (said,) = notices("a cat", image, get_spec("causal-forcing-2-wan-1.3b"))
    assert "is not checked" in said


def test_a_tabletop_picture_is_read_by_the_tabletop_oracle():
    spec = replace(SPEC, family="tabletop", size=(tabletop.SIZE, tabletop.SIZE))
    caption = tabletop.Caption((tabletop.Combination("red", "ball", "left"),), "grass")
    images = [render_tabletop(sample_tabletop(caption, np.random.default_rng(seed)), 1)[0] for seed in range(5)]
    assert sum(notices(str(caption), image, spec) == [] for image in images) >= 4
    for asked, words in (
        ("a blue ball rolling left over grass", "blue asked for, red seen"),
        ("a red ball rolling left over water", "another ground"),
    ):
        assert sum(words in "".join(notices(asked, image, spec)) for image in images) >= 4
