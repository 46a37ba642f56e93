"""The tabletop oracle against rendered truth: right about clips as they are, and not fooled by what is wrong."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from eval.metric import ClipFacts
from eval.tabletop.oracle import _color, judge, judge_windows, look_at, parse
from eval.video.windows import Window
from models.worlds.tabletop.grammar import DIRECTIONS, GROUNDS, SOLIDS, parse_prompt, sample_caption
from models.worlds.tabletop.render import render
from models.worlds.tabletop.scene import sample_scene
from workbench.scoring.evaluation import create_metrics

RED_BALL = "a red ball rolling right over grass"


def clip(prompt, seed=0):
    return render(sample_scene(parse_prompt(prompt), np.random.default_rng(seed)))


@pytest.fixture(scope="module")
def ball():
    return clip(RED_BALL)


@pytest.fixture(scope="module")
def drawn():
    """Captions with their scenes and clips, half of them held out."""
    rng, found = np.random.default_rng(41), []
    for i in range(12):
        caption = sample_caption(rng, held_out=bool(i % 2), objects=1 + i // 8)
        scene = sample_scene(caption, rng)
        found.append((caption, scene, render(scene)))
    return found


def test_rendered_clips_are_as_their_captions_say(drawn):
    verdicts = [judge(frames, str(caption)) for caption, _, frames in drawn]
    assert sum(v.all_right for v in verdicts) >= 11, [v.reason for v in verdicts if v.reason]


def test_captions_of_other_clips_are_refused(drawn):
    for (caption, _, _), (_, _, frames) in pairwise(drawn):
        assert judge(frames, str(caption)).all_right is False


def test_one_changed_word_is_named(ball):
    for word, other, attribute in (("red", "blue", "color"), ("ball", "cone", "solid"), ("right", "up", "direction")):
        verdict = judge(ball, RED_BALL.replace(word, other))
        assert verdict.reason == f"{attribute}: {other} asked, {word} seen"
    assert judge(ball, RED_BALL.replace("grass", "sand")).reason == "ground: sand asked, grass seen"


def test_a_mirrored_clip_moves_the_other_way(ball):
    assert judge(ball, RED_BALL).all_right
    assert judge(ball[:, :, ::-1], RED_BALL.replace("right", "left")).all_right


def test_the_parser_agrees_with_the_grammar_of_the_world(drawn):
    for caption, _, _ in drawn:
        asked = parse(str(caption))
        assert asked.ground == caption.ground
        assert [vars(thing) for thing in asked.things] == [vars(thing) for thing in caption.objects]
    assert parse("a red ball over grass") is None


def blurred(frames):
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 4) for frame in frames])


def fading(frames):
    """The solid gives way to the ground's mean colour in the second half."""
    plain = np.broadcast_to(np.median(frames, (1, 2), keepdims=True), frames.shape)
    return np.where(np.arange(len(frames))[:, None, None, None] < len(frames) // 2, frames, plain).astype(np.uint8)


def reversed_time(frames):
    return frames[::-1]


def standing(frames):
    return np.repeat(frames[:1], len(frames), 0)


def smeared(frames):
    return np.broadcast_to(frames.mean(0).astype(np.uint8), frames.shape)


@pytest.mark.parametrize("damage", [blurred, fading, reversed_time, standing, smeared])
def test_damaged_clips_do_not_pass(ball, damage):
    assert judge(np.ascontiguousarray(damage(ball)), RED_BALL).all_right is False


def test_a_prompt_outside_the_grammar_is_not_judged(ball):
    verdict = judge(ball, "a panda surfing")
    assert verdict.all_right is None
    assert "outside the grammar" in verdict.reason


def test_the_metric_says_what_is_right_and_over_time(ball):
    (metric,) = create_metrics(["tabletop_right"])
    scorer = metric.open(ClipFacts(128, 128, 12.0, len(ball), prompt=RED_BALL.replace("red", "cyan")))
    scorer.add(Window(ball, 0, None))
    result = scorer.result()
    assert result.value == 0
    assert result.parts == {"ground": 1, "count": 1, "sharp": 1, "color": 0, "solid": 1, "direction": 1}
    assert len(result.per_frame) == len(ball)


def test_a_longer_clip_with_turns_is_judged():
    scene = sample_scene(parse_prompt(RED_BALL), np.random.default_rng(3))
    assert judge(render(scene, 121), RED_BALL).all_right


def test_windows_of_thirty_seconds_are_right_and_the_one_that_breaks_is_not():
    scene = sample_scene(parse_prompt(RED_BALL), np.random.default_rng(3))
    parts = [render(scene, 24), render(scene, 24, start=336), render(replace(scene, objects=()), 24)]
    verdicts = judge_windows(np.concatenate(parts), RED_BALL, 24)
    assert [verdict.all_right for verdict in verdicts] == [True, True, False]
    assert "number of solids" in verdicts[2].reason and "direction" not in verdicts[2].reason


@pytest.mark.parametrize(
    ("likely", "word"),
    [
        ([-5, -14, -14, -14, -14, -9, -14, -14], "red"),
        ([-14, -10.2, -14, -13.4, -14, -14, -14, -13.9], "green"),  # an off shade, as students draw
        ([-10.8, -14, -14, -14, -14, -9.6, -10.9, -14], "unclear"),  # half faded
        ([-11.2, -14, -14, -14, -14, -14, -14, -14], "unclear"),
    ],
)
def test_an_off_shade_has_the_word_that_fits_far_better(likely, word):
    assert _color(np.array(likely, float)) == word


def test_the_words_read_are_words_of_the_world(ball):
    sight = look_at(ball)
    assert set(sight.grounds) <= {*GROUNDS}
    assert set(sight.looks[0].solids) <= {*SOLIDS, "unclear"}
    assert sight.looks[0].direction in DIRECTIONS
