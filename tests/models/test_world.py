"""The shapes world: grammar, split, scenes that stay in view, and a renderer that draws what the scene says."""

from itertools import combinations

import numpy as np
import pytest

from models.worlds import shapes as world


def test_prompt_and_caption_are_one_to_one():
    generator = np.random.default_rng(0)
    for index in range(50):
        caption = world.sample_caption(generator, held_out=bool(index % 2), objects=1 + index % 2)
        assert world.parse_prompt(str(caption)) == caption
    assert str(world.parse_prompt("An  ORANGE star moving up on a gray background.")) == (
        "a orange star moving up on a gray background"
    )


@pytest.mark.parametrize(
    "prompt", ["", "a red circle", "a pink circle moving up on a black background", "a red circle moving up on a sofa"]
)
def test_prompts_outside_the_grammar_mean_nothing(prompt):
    assert world.parse_prompt(prompt) is None


def test_unknown_words_are_named_once_in_order():
    assert world.unknown_words("A dancing red circle, dancing on a SOFA background!") == ["dancing", "sofa"]
    assert world.unknown_words("a red circle moving up on a black background") == []


def test_half_of_all_combinations_is_held_out_and_every_pair_is_seen():
    everything = world.all_combinations()
    seen = [c for c in everything if not c.held_out]
    assert len(everything) == 128 and len(seen) == 64
    fields = {"color": world.COLORS, "shape": world.SHAPES, "direction": world.DIRECTIONS}
    for a, b in combinations(fields, 2):
        assert len({(getattr(c, a), getattr(c, b)) for c in seen}) == len(fields[a]) * len(fields[b])


def test_samples_keep_to_their_split():
    generator = np.random.default_rng(1)
    for objects in (1, 2):
        for held_out in (False, True):
            caption = world.sample_caption(generator, held_out=held_out, objects=objects)
            assert [o.held_out for o in caption.objects] == [held_out] * objects
            assert caption.held_out == held_out


@pytest.mark.parametrize("objects", [1, 2])
def test_everything_stays_in_view_and_apart(objects):
    generator = np.random.default_rng(2)
    times = np.arange(world.FRAMES)
    for index in range(100):
        caption = world.sample_caption(generator, held_out=bool(index % 2), objects=objects)
        scene = world.sample_scene(caption, generator)
        assert scene.caption == caption
        tracks = [np.stack(np.broadcast_arrays(*o.position(times))) for o in scene.objects]
        for thing, track in zip(scene.objects, tracks, strict=True):
            assert (track >= thing.radius).all() and (track <= world.SIZE - thing.radius).all()
        if objects == 2:
            gap = np.hypot(*(tracks[0] - tracks[1])) - sum(o.radius for o in scene.objects)
            assert gap.min() > 2


def test_objects_move_the_way_the_caption_says():
    generator = np.random.default_rng(3)
    for combination in world.all_combinations():
        thing = world.sample_scene(world.Caption((combination,), "black"), generator).objects[0]
        start, end = np.array(thing.position(0)), np.array(thing.position(world.FRAMES - 1))
        step = np.array(world.DIRECTIONS[combination.direction])
        assert (end - start) @ step >= 24 and abs((end - start) @ step[::-1]) < 1e-9


def test_a_seed_is_a_clip():
    caption = world.parse_prompt("a red circle moving right and a blue star moving up on a navy background")
    clips = [world.render(world.sample_scene(caption, np.random.default_rng(seed))) for seed in (5, 5, 6)]
    assert clips[0].shape == (49, 64, 64, 3) and clips[0].dtype == np.uint8
    assert (clips[0] == clips[1]).all() and (clips[0] != clips[2]).any()


def test_a_clip_can_be_rendered_in_pieces():
    caption = world.parse_prompt("a cyan triangle moving down on a brown background")
    scene = world.sample_scene(caption, np.random.default_rng(7))
    whole = world.render(scene)
    assert (np.concatenate([world.render(scene, 13), world.render(scene, 36, start=13)]) == whole).all()


def test_a_still_scene_does_not_move():
    caption = world.parse_prompt("a white star moving left on a gray background")
    frames = world.render(world.still(world.sample_scene(caption, np.random.default_rng(8))))
    assert (frames == frames[0]).all()


def test_colours_are_those_of_the_table():
    generator = np.random.default_rng(9)
    for combination in world.all_combinations()[::4]:
        background = str(generator.choice(list(world.BACKGROUNDS)))
        scene = world.sample_scene(world.Caption((combination,), background), generator)
        frame = world.render(scene, 1)[0].astype(float)
        x, y = (round(v) for v in scene.objects[0].position(0))
        assert np.abs(frame[y, x] - 0.94 * np.array(world.COLORS[combination.color])).max() < 12
        corners = frame[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert np.abs(np.median(corners, 0) - world.BACKGROUNDS[background]).max() < 14
