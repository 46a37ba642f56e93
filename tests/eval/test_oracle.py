"""The oracle against rendered truth: right about clips as they are, and not fooled by what is wrong."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from eval.shapes.oracle import Verdict, judge, parse
from models.worlds import shapes as world
from workbench.commands.lab.checks.oracle_check import blur, changed, h264, noise, rendered

SINGLE, PAIR = 128, 48
SAID = "a {} {} moving {} on a {} background"


def scene(prompt, seed=0):
    return world.sample_scene(world.parse_prompt(prompt), np.random.default_rng(seed))


def clip(prompt, seed=0):
    return world.render(scene(prompt, seed))


@pytest.fixture(scope="module")
def singles():
    """Every combination once, backgrounds in turn."""
    return list(rendered(SINGLE, objects=1, seed=0))


@pytest.fixture(scope="module")
def pairs():
    return list(rendered(PAIR, objects=2, seed=0))


def share_right(clips, damage=lambda frames: frames):
    verdicts = [judge(damage(frames), str(caption)) for caption, frames in clips]
    return sum(v.all_right is True for v in verdicts) / len(verdicts), [v.reason for v in verdicts if not v.all_right]


def test_every_combination_is_recognised(singles):
    share, reasons = share_right(singles)
    assert share >= 0.99, reasons


def test_two_objects_are_recognised(pairs):
    share, reasons = share_right(pairs)
    assert share >= 0.97, reasons


@pytest.mark.parametrize("damage", [blur, noise, h264], ids=["blur", "noise", "h264"])
def test_damaged_clips_are_still_recognised(singles, pairs, damage):
    share, reasons = share_right([*singles[::4], *pairs[::4]], damage)
    assert share >= 0.95, reasons


def test_a_caption_with_one_word_changed_is_refused(singles, pairs):
    generator = np.random.default_rng(1)
    clips = [*singles[::4], *pairs[::4]]
    verdicts = [judge(frames, str(changed(caption, generator))) for caption, frames in clips]
    assert sum(v.all_right is False for v in verdicts) / len(clips) >= 0.98


def test_the_wrong_attribute_is_the_one_named():
    frames = clip("a red circle moving right on a black background")
    for word, name in [("blue", "color_ok"), ("star", "shape_ok"), ("left", "direction_ok")]:
        words = {"color_ok": "red", "shape_ok": "circle", "direction_ok": "right"} | {name: word}
        verdict = judge(frames, SAID.format(*words.values(), "black"))
        thing = verdict.things[0]
        assert {n for n in words if not getattr(thing, n)} == {name}
        assert verdict.background_ok and verdict.count_ok and word in verdict.reason
    verdict = judge(frames, SAID.format("red", "circle", "right", "navy"))
    assert verdict.background_ok is False and verdict.things[0].color_ok


@pytest.mark.parametrize("shape", world.SHAPES)
def test_frozen_objects_are_refused(shape):
    prompt = SAID.format("yellow", shape, "up", "navy")
    verdict = judge(world.render(world.still(scene(prompt))), prompt)
    assert verdict.all_right is False and "still seen" in verdict.reason
    assert verdict.things[0].shape_ok and verdict.things[0].color_ok


@pytest.mark.parametrize("last", [33, 41])
def test_an_object_that_vanishes_is_refused(last):
    prompt = SAID.format("green", "square", "left", "brown")
    whole = scene(prompt)
    empty = world.render(replace(whole, objects=()), 49 - last)
    verdict = judge(np.concatenate([world.render(whole, last), empty]), prompt)
    assert verdict.all_right is False and verdict.count_ok is False


def test_a_few_lost_frames_are_forgiven():
    prompt = SAID.format("green", "square", "left", "brown")
    whole = scene(prompt)
    frames = world.render(whole)
    frames[20:22] = world.render(replace(whole, objects=()), 2)
    assert judge(frames, prompt).all_right is True


def swapped_midway(prompt, word, other, seed=0):
    """A clip that shows `other` in place of `word` from the middle on, everything else unbroken."""
    caption, before = world.parse_prompt(prompt.replace(word, other)), scene(prompt, seed)
    things = tuple(replace(o, kind=kind) for o, kind in zip(before.objects, caption.objects, strict=True))
    after = replace(before, objects=things, background=caption.background)
    return np.concatenate([world.render(before, 25), world.render(after, 24, start=25)])


MIDWAY = [("orange", "red"), ("circle", "square"), ("star", "circle"), ("gray", "black")]


@pytest.mark.parametrize("word, other", MIDWAY)
def test_changes_midway_are_refused(word, other):
    prompt = SAID.format("orange", "star" if word == "star" else "circle", "right", "gray")
    frames = swapped_midway(prompt, word, other)
    assert judge(frames, prompt).all_right is False
    assert judge(frames, prompt.replace(word, other)).all_right is False


def test_turning_back_is_refused():
    prompt = SAID.format("cyan", "triangle", "down", "gray")
    frames = clip(prompt)
    assert judge(np.concatenate([frames[::2], frames[::-2]]), prompt).things[0].direction_ok is False


@pytest.mark.parametrize("shape", ["triangle", "star", "square"])
def test_a_blob_is_none_of_the_cornered_shapes(shape):
    prompt = SAID.format("white", shape, "right", "black")
    frames = np.full((49, 64, 64, 3), (14, 14, 18), np.uint8)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    reach = 8 * (1 + 0.1 * np.sin(2 * angles + 1) + 0.06 * np.sin(3 * angles))
    x, y = reach * np.cos(angles), reach * np.sin(angles)
    for t, frame in enumerate(frames):
        corners = np.stack([x + 16 + 0.6 * t, y + 32], -1) * 16
        cv2.fillPoly(frame, [np.round(corners).astype(np.int32)], (230, 230, 230), cv2.LINE_AA, 4)
    verdict = judge(frames, prompt)
    assert verdict.things[0].shape_ok is False
    assert verdict.things[0].direction_ok and verdict.things[0].color_ok


def test_the_number_of_objects_counts():
    both = "a red circle moving right and a blue star moving up on a navy background"
    frames = clip(both)
    assert judge(frames, both).all_right is True
    one = judge(frames, "a red circle moving right on a navy background")
    assert one.all_right is False and one.count_ok is False and one.things[0].shape_ok
    missing = judge(clip("a red circle moving right on a navy background"), both)
    assert missing.all_right is False and missing.count_ok is False


def test_two_objects_of_one_colour_are_told_apart_by_their_tracks():
    prompt = "a green star moving up and a green star moving left on a gray background"
    assert judge(clip(prompt), prompt).all_right is True
    assert judge(clip(prompt), prompt.replace("moving left", "moving up")).all_right is False


def test_attributes_belong_to_their_object():
    frames = clip("a red circle moving right and a blue square moving left on a black background")
    for wrong in ("a blue circle moving right and a red square moving left on a black background",
                  "a red circle moving left and a blue square moving right on a black background",
                  "a red square moving right and a blue circle moving left on a black background"):  # fmt: skip
        assert judge(frames, wrong).all_right is False


def test_an_empty_scene_and_noise_are_refused():
    prompt = SAID.format("white", "circle", "up", "black")
    empty = world.render(replace(scene(prompt), objects=()))
    static = np.random.default_rng(0).integers(0, 256, (49, 64, 64, 3), dtype=np.uint8)
    for frames in (empty, static):
        verdict = judge(frames, prompt)
        thing = verdict.things[0]
        assert verdict.all_right is False and verdict.count_ok is False
        assert not (thing.color_ok or thing.shape_ok or thing.direction_ok)
    assert judge(empty, prompt).things[0].seen is None


def test_mirrored_reversed_and_enlarged_clips():
    frames = clip(SAID.format("purple", "star", "left", "brown"))
    assert judge(frames[:, :, ::-1], SAID.format("purple", "star", "right", "brown")).all_right is True
    assert judge(frames[::-1], SAID.format("purple", "star", "right", "brown")).all_right is True
    large = np.repeat(np.repeat(frames, 3, 1), 3, 2)
    assert judge(large, SAID.format("purple", "star", "left", "brown")).all_right is True


def test_curves_follow_the_scene():
    prompt = SAID.format("blue", "circle", "down", "gray")
    truth = scene(prompt)
    verdict = judge(world.render(truth), prompt)
    x, y = truth.objects[0].position(np.arange(49))
    assert verdict.curves["0/x"] == pytest.approx(np.full(49, x), abs=0.5)
    assert verdict.curves["0/y"] == pytest.approx(y, abs=0.5)
    assert verdict.curves["things"] == verdict.curves["right"] == [1.0] * 49
    assert max(verdict.curves["0/shape_error"]) < 0.06 and max(verdict.curves["0/color_error"]) < 10
    assert json.loads(json.dumps(verdict.to_dict()))["all_right"] is True


def test_what_cannot_be_judged_says_why():
    frames = clip(SAID.format("red", "circle", "up", "black"))
    outside = judge(frames, "a pink elephant")
    assert outside == Verdict(None, "the prompt 'a pink elephant' is outside the grammar of the shapes world")
    short = judge(frames[:3], SAID.format("red", "circle", "up", "black"))
    assert short.all_right is None and "3 frames are too few" in short.reason
    with pytest.raises(ValueError, match="are not a clip"):
        judge(frames[0], "a red circle moving up on a black background")


def test_prompts_are_read_as_the_world_reads_them():
    generator = np.random.default_rng(3)
    for index in range(60):
        caption = world.sample_caption(generator, held_out=bool(index % 2), objects=1 + index % 2)
        asked = parse(f"  {str(caption).upper()}. ")
        assert [(t.color, t.shape, t.direction) for t in asked.things] == [
            (o.color, o.shape, o.direction) for o in caption.objects
        ]
        assert asked.background == caption.background
    assert parse("an orange star moving up on a gray background").things[0].color == "orange"
    assert parse("a red circle on a black background") is None
    assert parse("a red circle moving up and on a black background") is None
