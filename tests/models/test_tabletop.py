"""The tabletop world: its language, its solids against geometry, its grounds, and how things move."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.worlds.tabletop.grammar import (
    COLORS,
    DIRECTIONS,
    FRAMES,
    GROUNDS,
    HELD_OUT_GROUNDS,
    SIZE,
    SOLIDS,
    VERBS,
    Caption,
    Combination,
    all_combinations,
    parse_prompt,
    sample_caption,
    unknown_words,
)
from models.worlds.tabletop.grounds import PERIOD, draw_ground
from models.worlds.tabletop.render import render, render_with_covers
from models.worlds.tabletop.scene import random_scene, sample_scene
from models.worlds.tabletop.solids import HEIGHTS, Rays, meet


def test_every_prompt_of_the_grammar_is_understood_in_all_its_words():
    for index, kind in enumerate(all_combinations()):
        caption = Caption((kind,), GROUNDS[index % len(GROUNDS)])
        for verb in VERBS:
            assert parse_prompt(caption.text(verb)) == caption
    pair = Caption((Combination("orange", "cone", "up"), Combination("cyan", "ball", "left")), "night sky")
    assert str(pair) == "an orange cone rolling up and a cyan ball rolling left over night sky"
    assert parse_prompt("An orange cone sliding up and a cyan ball moving left over the night sky.") == pair


@pytest.mark.parametrize(
    "prompt", ["", "a red ball", "a red ball rolling left", "a red dog rolling left over grass", "red ball over sand"]
)
def test_other_prompts_have_no_caption(prompt):
    assert parse_prompt(prompt) is None


def test_unknown_words_are_named_once_in_order():
    assert unknown_words("a shiny red dog and a dog over grass") == ["shiny", "dog"]


def test_half_of_the_combinations_are_held_out_and_every_pair_of_words_is_seen():
    seen = [c for c in all_combinations() if not c.held_out]
    assert len(seen) * 2 == len(all_combinations())
    assert {(c.color, c.solid) for c in seen} == {(c, s) for c in COLORS for s in SOLIDS}
    assert {(c.solid, c.direction) for c in seen} == {(s, d) for s in SOLIDS for d in DIRECTIONS}


def test_training_scenes_hold_nothing_that_is_held_out():
    captions = [random_scene(np.random.default_rng(i)).caption for i in range(300)]
    assert not any(caption.held_out for caption in captions)
    assert not any(HELD_OUT_GROUNDS[o.solid] == c.ground for c in captions for o in c.objects)
    assert 40 < sum(len(c.objects) == 2 for c in captions) < 110
    assert {c.ground for c in captions} == set(GROUNDS)


def test_held_out_captions_hold_only_held_out_combinations():
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert all(o.held_out for o in sample_caption(rng, held_out=True, objects=2).objects)


@pytest.mark.parametrize("objects", [1, 2])
def test_things_stay_in_the_picture_for_a_minute_and_go_where_they_should(objects):
    t = np.arange(720)
    turned = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scene = sample_scene(sample_caption(rng, held_out=False, objects=objects), rng)
        for thing in scene.objects:
            x, y = thing.position(t)
            assert min(x.min(), y.min()) >= thing.reach - 1e-6 and max(x.max(), y.max()) <= SIZE - thing.reach + 1e-6
            along = np.stack([x, y], 1)[:FRAMES] @ np.array(DIRECTIONS[thing.kind.direction])
            assert along[-1] - along[0] > 8 and np.diff(along)[:28].min() > 0
            turned += np.diff(along).min() < 0
    assert 0.1 * 60 * objects < turned < 0.45 * 60 * objects


def test_a_part_of_a_clip_is_the_part_of_the_whole():
    scene = random_scene(np.random.default_rng(5))
    assert np.array_equal(render(scene, 20)[12:], render(scene, 8, start=12))
    assert render(scene, 2).shape == (2, SIZE, SIZE, 3)


def ball_by_marching(x, y, z, direction, size):
    """Second implementation: walk along the ray by the signed distance."""
    place, walked = np.array([x, y, z], float), 0.0
    for _ in range(400):
        distance = np.hypot(np.hypot(place[0], place[1]), place[2] - size) - size
        if distance < 1e-5:
            return walked
        place += distance * np.asarray(direction)
        walked += distance
    return np.inf


def test_rays_meet_the_ball_where_marching_finds_it():
    rng = np.random.default_rng(0)
    direction = np.array([0.3, 0.6, -0.74])
    direction /= np.linalg.norm(direction)
    starts = rng.uniform((-15, -15, 0), (15, 15, 24), (40, 3)) - 40 * direction
    found = meet("ball", Rays(*starts.T, tuple(direction)), 12.0, 0.0).distance
    expected = [ball_by_marching(*start, direction, 12.0) for start in starts]
    assert np.isfinite(expected).sum() > 3
    assert np.allclose(found, expected, atol=0.02)


@pytest.mark.parametrize("solid", SOLIDS)
def test_surfaces_are_hit_from_above_at_their_height_and_face_outwards(solid):
    size, height = 10.0, HEIGHTS[solid] * 10.0
    start = np.array([0.3]), np.array([0.2]), np.array([100.0])
    top = meet(solid, Rays(*start, (0.001, 0.001, -0.999999)), size, 0.4)
    assert 100 - top.distance[0] == pytest.approx(height, abs=1.3)
    x, z = np.meshgrid(np.linspace(-14, 14, 60), np.linspace(0.5, 30, 60))
    side = meet(solid, Rays(x, np.full_like(x, -50.0), z, (0.0, 0.9999, -0.014)), size, 0.4)
    hit = np.isfinite(side.distance)
    normal = np.stack([np.broadcast_to(n, x.shape)[hit] for n in side.normal], -1)
    assert 0.1 < hit.mean() < 0.9
    assert np.allclose(np.linalg.norm(normal, axis=-1), 1, atol=1e-3)
    assert (normal[:, 1] < 0.02).all()  # what is seen faces the viewer


@pytest.mark.parametrize("kind", GROUNDS)
def test_grounds_have_no_seam_and_move_by_whole_pixels_without_loss(kind):
    ground = draw_ground(kind, np.random.default_rng(3))
    near, far = (ground.view(x, 40.0, 0.0, SIZE) for x in (20.0, 20.0 + PERIOD))
    assert np.allclose(near, far, atol=1e-3)
    shifted = ground.view(27.0, 40.0, 0.0, SIZE)
    assert np.allclose(shifted[:, :-7], near[:, 7:], atol=1e-3)
    steps = np.abs(np.diff(ground.view(PERIOD - 64.0, PERIOD - 64.0, 0.0, SIZE), axis=1)).mean((0, 2))
    assert steps[60:68].max() < 4 * np.median(steps) + 1


def test_the_ground_moves_with_the_camera():
    scene = sample_scene(Caption((Combination("red", "ball", "left"),), "stone"), np.random.default_rng(1))
    bare = replace(scene, objects=())
    first, last = (frame.astype(np.float32).mean(-1) for frame in render(bare, 13)[[0, 12]])
    (dx, dy), _ = cv2.phaseCorrelate(first, last, cv2.createHanningWindow((SIZE, SIZE), cv2.CV_32F))
    assert (dx, dy) == pytest.approx((-12 * scene.pan[0], -12 * scene.pan[1]), abs=0.3)


@pytest.mark.parametrize("color", COLORS)
def test_a_solid_shows_its_colour(color):
    rng = np.random.default_rng(2)
    scene = sample_scene(Caption((Combination(color, "cube", "right"),), "night sky"), rng)
    x, y = scene.objects[0].position(0)
    top = render(scene, 1)[0][int(y) - 6 : int(y) - 2, int(x) - 2 : int(x) + 3].reshape(-1, 3).mean(0)
    wanted = np.array(COLORS[color], float)
    assert np.dot(top, wanted) / np.linalg.norm(top) / np.linalg.norm(wanted) > 0.98


def test_what_no_solid_and_no_shadow_covers_is_the_bare_ground():
    scene = sample_scene(
        parse_prompt("a red ball rolling left and a blue cube rolling up over wood"), np.random.default_rng(4)
    )
    frames, covers = render_with_covers(scene, 9)
    bare = render(replace(scene, objects=()), 9)
    assert covers.shape == (2, 9, SIZE, SIZE) and covers.min() >= 0 and covers.sum(0).max() <= 1 + 1e-5
    changed = (frames != bare).any(-1)
    assert changed[covers.sum(0) > 0.9].mean() > 0.98 and not (changed & (covers.sum(0) == 0)).mean() > 0.25
    inside = frames[covers[0] > 0.95].mean(0)
    assert inside[0] > 2 * inside[1] and inside[0] > 2 * inside[2]  # the ball is red
    alone = render_with_covers(replace(scene, objects=scene.objects[:1]), 9)[1]
    assert (alone[0] >= covers[0] - 1e-6).all()  # the other one hides some of it at most
