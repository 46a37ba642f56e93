"""The pipeline: one request, one clip, on every path; image-to-video; frames; and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.pipeline import check_request, fit_image
from models.registry import get_spec, list_models
from models.types import GenerationRequest, PromptSwitch, RequestError
from models.worlds import shapes as world
from models.worlds.training_worlds import WORLDS
from tests.helpers.tiny_models import tiny_pipeline

PROMPT = "a red circle moving right on a black background"


def request(**changes) -> GenerationRequest:
    return replace(GenerationRequest(PROMPT, steps=1, seed=7), **changes)


def test_streamed_frames_are_the_clips_frames(tiny):
    whole = tiny(request(ffe=True))
    chunks = list(tiny.stream(request(ffe=True)))
    assert np.array_equal(np.concatenate([c.frames for c in chunks]), whole.frames)
    assert [len(c.frames) for c in chunks] == [1, 12, 12, 12, 12] and whole.frames.shape == (49, 64, 64, 3)
    assert [len(c.sigmas) for c in chunks] == [4, 1, 1, 1, 1]
    assert whole.forwards == sum(c.forwards for c in chunks) == 12


def test_same_request_same_clip_and_every_seed_counts(tiny):
    assert np.array_equal(tiny(request()).frames, tiny(request()).frames)
    assert np.array_equal(tiny(request()).frames, tiny(request(), generator=torch.Generator().manual_seed(7)).frames)
    assert not np.array_equal(tiny(request(seed=0)).frames, tiny(request(seed=1)).frames)
    assert np.array_equal(tiny(request(seed=0)).frames, tiny(request(seed=0)).frames)


def test_ffe_with_equal_steps_makes_the_same_clip(tiny):
    four = request(steps=4)
    assert np.array_equal(tiny(four).frames, tiny(replace(four, ffe=True, first_steps=4)).frames)


def test_a_shorter_clip_is_the_beginning_of_a_longer_one(tiny):
    long = tiny(request(frames=49)).frames
    for frames in (1, 2, 13, 30):
        short = tiny(request(frames=frames)).frames
        assert len(short) == frames and np.array_equal(short, long[:frames])


@pytest.mark.parametrize("frames", [1, 14, 50, 97])
def test_any_frame_count_is_made_exactly(tiny, frames):
    assert len(tiny(request(frames=frames)).frames) == frames


def test_the_image_is_the_first_chunk_and_ffe_moves_to_the_next(tiny):
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    chunks = list(tiny.stream(request(image=image, ffe=True)))
    assert [len(c.sigmas) for c in chunks] == [0, 4, 1, 1, 1]
    other = tiny(request(image=255 - image)).frames
    assert not np.array_equal(other[1:], tiny(request(image=image)).frames[1:])


def test_pictures_of_any_size_are_cropped_to_the_middle(tiny):
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = 200
    assert (fit_image(picture, (64, 64)) == 200).all()
    assert tiny(request(image=picture)).notices[-1] == (
        "the picture of 300 x 100 pixels is resized to 64 x 64 and cropped to its middle"
    )
    assert not any("resized" in told for told in tiny(request(image=picture[:64, 100:164])).notices)


def test_bidirectional_model_starts_from_the_same_noise_and_counts_both_passes():
    teacher = tiny_pipeline(causal=False)
    result = teacher(request(steps=3))
    assert result.frames.shape == (49, 64, 64, 3) and result.forwards == 6
    assert teacher(request(steps=3, guidance_scale=1.0)).forwards == 3


def test_a_short_clip_of_a_bidirectional_model_has_no_empty_chunks():
    teacher = tiny_pipeline(causal=False)
    chunks = list(teacher.stream(request(frames=5)))
    assert [len(c.frames) for c in chunks] == [1, 4] and {c.chunks for c in chunks} == {2}
    assert np.array_equal(np.concatenate([c.frames for c in chunks]), teacher(request()).frames[:5])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompt": "  "}, "the prompt is empty"),
        ({"prompt": "x" * 10_000}, "10000 characters; at most 1000"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 7}, "steps is 7; tiny-random offers 1, 2, 3, 4"),
        ({"steps": 1.5}, "steps is 1.5; it must be a whole number"),
        ({"seed": -1}, "seed is -1"),
        ({"frames": 0}, "frames is 0"),
        ({"frames": 10**9}, "frames is 1000000000"),
        ({"first_steps": 0}, "first_steps is 0"),
        ({"guidance_scale": float("nan")}, "guidance scale is nan"),
        ({"image": np.zeros((64, 64), np.uint8)}, "give \\(H, W, 3\\) uint8 RGB"),
        ({"image": np.zeros((2, 64, 3), np.uint8)}, "each side needs at least 8"),
    ],
)
def test_wrong_input_is_one_sentence_that_names_the_value(tiny, changes, words):
    with pytest.raises(RequestError, match=words) as caught:
        tiny(request(**changes))
    assert "\n" not in str(caught.value)


def test_words_outside_the_world_are_named_and_the_clip_is_made(tiny):
    result = tiny(request(prompt="a pink cat moving right on a black background"))
    assert result.notices == ("words this model does not know: pink, cat",) and len(result.frames) == 49


def test_two_things_are_warned_of():
    two = "a red circle moving left and a blue star moving up on a navy background"
    assert any("two things" in notice for notice in check_request(get_spec("shapes-asd"), request(prompt=two)))
    assert check_request(get_spec("shapes-asd"), request()) == []


def test_every_world_is_told_of_in_its_own_words():
    spec = replace(get_spec("shapes-teacher"), family="tabletop")
    assert check_request(spec, request(prompt="a red ball rolling left over grass")) == []
    strange = check_request(spec, request(prompt="a red circle moving left on a black background"))
    assert strange == ["words this model does not know: circle, on, black, background"]
    unclear = check_request(spec, request(prompt="red ball over grass"))
    assert unclear == [
        "the prompt is outside the grammar this model was trained on: a COLOR SOLID rolling DIRECTION over GROUND"
    ]


def test_a_clip_whose_things_reach_the_edge_says_so():
    spec = get_spec("shapes-asd")
    long, turned = request(frames=121), (PromptSwitch(5, "a red circle moving left on a black background"),)
    assert any("reaches the edge after about 60 frames" in notice for notice in check_request(spec, long))
    film = np.zeros((121, 64, 64, 3), np.uint8)
    for other in (replace(long, frames=49), replace(long, switches=turned), replace(long, video=film)):
        assert not any("edge" in notice for notice in check_request(spec, other))
    rng, touched = np.random.default_rng(0), []
    for _ in range(200):
        thing = world.sample_scene(world.sample_caption(rng, held_out=False), rng).objects[0]
        x, y = thing.position(WORLDS["shapes"].edge)
        touched.append(min(x, y, world.SIZE - x, world.SIZE - y) < thing.radius)
    assert 0.4 < np.mean(touched) < 0.65


def test_unknown_models_are_answered_with_what_exists():
    with pytest.raises(RequestError, match=r"shapes-teacher.*did you mean 'shapes-asd'"):
        get_spec("shape-asd")


@pytest.mark.parametrize("spec", list_models(), ids=lambda spec: spec.name)
def test_every_row_is_complete(spec):
    assert spec.license and spec.paper and spec.note and spec.default_steps in spec.steps
    assert {"t2v", "i2v", "v2v"} & set(spec.tasks)
