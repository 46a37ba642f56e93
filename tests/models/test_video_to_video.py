"""Video-to-video: reading any video, the laws of its strength, its manifest, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.registry import get_spec
from models.sampling.schedulers import StepPlan
from models.types import GenerationRequest, PromptSwitch, RequestError
from models.video_input import fit_frames, fitted_length, shown_at
from workbench.__main__ import main
from workbench.clips.manifest import request_from_manifest, video_path
from workbench.clips.media import encode_mp4, read_lossless, write_lossless
from workbench.requests.input_video import read_video

PROMPT = "a red circle moving right on a black background"
OTHER = "a blue star moving left on a gray background"
SPEC = get_spec("shapes-asd")


@pytest.fixture
def request_of(world_clip):
    base = GenerationRequest(OTHER, steps=4, seed=3, video=world_clip, strength=0.9)
    return lambda **changes: replace(base, **changes)


def test_strength_1_is_text_to_video_and_strength_0_the_video_itself(tiny, request_of):
    assert np.array_equal(tiny(request_of(strength=1.0)).frames, tiny(request_of(video=None)).frames)
    untouched = tiny(request_of(strength=0.0))
    decoded = tiny.codec.decode(tiny.codec.encode(request_of().video))
    assert np.abs(untouched.frames.astype(int) - decoded).max() <= 1 and not any(untouched.sigmas)


def test_what_is_kept_of_the_video_shrinks_with_the_strength(request_of, world_clip):
    """With a network that predicts no flow, what remains is the noised video: its distance grows with the strength."""
    from tests.helpers.tiny_models import tiny_pipeline

    still = tiny_pipeline()
    torch.nn.init.zeros_(still.transformer.proj_out.weight)
    torch.nn.init.zeros_(still.transformer.proj_out.bias)
    base = still(request_of(strength=0.0)).frames.astype(float)
    distances = [np.abs(still(request_of(strength=s, steps=1)).frames - base).mean() for s in (0.1, 0.3, 0.6, 1.0)]
    assert distances == sorted(distances) and distances[0] > 0


def test_the_list_of_levels_starts_at_the_strength():
    plan = StepPlan.uniform((1, 3), 4)
    assert plan.start_at(0.9).sigmas == ((0.9, 5 / 6, 0.625),) * 2
    assert plan.start_at(0.625).sigmas == ((0.625,),) * 2
    assert plan.start_at(1.0) == plan and plan.start_at(0.0).sigmas == ((), ())
    assert StepPlan.uniform((1, 3), 1).start_at(0.4).sigmas == ((0.4,), (0.4,))


def test_latents_of_a_run_are_those_of_the_whole(tiny, world_clip):
    whole = tiny.codec.encode(world_clip)
    for start, length in ((0, 1), (0, 4), (1, 3), (7, 3), (10, 3)):
        run = tiny.codec.encode_run(world_clip, start, length)
        assert torch.allclose(run, whole[:, start : start + length], atol=1e-5)
    still = tiny.codec.encode_run(world_clip[:45], 10, 3)
    assert torch.allclose(still[:, :2], whole[:, 10:12], atol=1e-5)  # the last four frames are missing and stand still


@pytest.mark.parametrize(("fps", "frames"), [(12, 49), (24, 97), (30, 122), (25, 60), (6, 20), (59.94, 200), (12, 1)])
def test_frames_are_those_on_screen_at_every_tick(fps, frames):
    """By hand: a frame is on screen from its time until the next one's."""
    numbered = [np.full((64, 64, 3), i % 256, np.uint8) for i in range(frames)]
    fitted = list(fit_frames(numbered, fps, SPEC, 10_000))
    shown = [max(i for i in range(frames) if i / fps <= tick / 12 + 1e-6) for tick in range(len(fitted))]
    assert [int(frame[0, 0, 0]) for frame in fitted] == [i % 256 for i in shown]
    assert len(fitted) == fitted_length(frames, fps, 12)
    assert shown_at(len(fitted) - 1, fps, 12) < frames <= shown_at(len(fitted), fps, 12)


def test_a_longer_video_is_cut_and_a_shorter_one_ends_the_clip(tiny, request_of, world_clip):
    assert len(tiny(request_of(frames=20)).frames) == 20
    short = tiny(request_of(video=world_clip[:30]))
    assert len(short.frames) == 30 and "ends after 30 frames" in short.notices[0]
    chunks = list(tiny.stream(request_of(video=world_clip[:30])))
    assert np.array_equal(np.concatenate([chunk.frames for chunk in chunks]), short.frames)


def test_another_size_and_rate_are_told_and_read(tiny, request_of, world_clip):
    wide = world_clip.repeat(2, 0).repeat(2, 1).repeat(3, 2)
    clip = tiny(request_of(video=wide, video_fps=24.0))
    assert clip.frames.shape == (49, 64, 64, 3)
    assert any("192 x 128 pixels is resized to 64 x 64 and cropped" in n for n in clip.notices)
    assert any("24 frames a second" in n for n in clip.notices)


def test_prompt_switches_and_first_frame_enhancement_work_from_a_video(tiny, request_of):
    plain = tiny(request_of(steps=1, ffe=True))
    assert [len(sigmas) for sigmas in plain.sigmas] == [3, 1, 1, 1, 1]
    switched = tiny(request_of(steps=1, ffe=True, switches=(PromptSwitch(2, PROMPT),)))
    assert np.array_equal(plain.frames[:13], switched.frames[:13])
    assert not np.array_equal(plain.frames[13:], switched.frames[13:])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strength": 1.2}, "strength is 1.2; it must be from 0"),
        ({"strength": -0.1}, "strength is -0.1"),
        ({"strength": float("nan")}, "strength is nan"),
        ({"image": np.zeros((64, 64, 3), np.uint8)}, "a picture and a video"),
        ({"video": np.zeros((5, 64, 64), np.uint8)}, "the video has shape"),
        ({"video": np.zeros((5, 4, 64, 3), np.uint8)}, "64 x 4 pixels"),
        ({"video_fps": 0.0}, "0.0 frames a second"),
        ({"video": np.zeros((30, 64, 64, 3), np.uint8), "switches": (PromptSwitch(4, OTHER),)}, "30 frames can"),
    ],
)
def test_what_is_refused(tiny, request_of, change, said):
    with pytest.raises(RequestError, match=said):
        tiny(request_of(**change))


def test_a_model_without_the_task_says_so(request_of):
    from models.pipeline import check_request

    with pytest.raises(RequestError, match="shapes-teacher does not start from a video"):
        check_request(get_spec("shapes-teacher"), request_of())
    with pytest.raises(RequestError, match="shapes-aad1 makes video from a picture only"):
        check_request(get_spec("shapes-aad1"), GenerationRequest(PROMPT, steps=1))


def test_the_manifest_makes_the_clip_again(service, request_of, tmp_path):
    saved = service.generate("tiny-random", request_of(video_fps=10.0), out=tmp_path / "a.mp4")
    model, request = request_from_manifest(saved.manifest_path)
    again = service.generate(model, request, out=tmp_path / "b.mp4")
    assert again.manifest.frames_digest == saved.manifest.frames_digest
    assert again.manifest.video == saved.manifest.video and again.manifest.video.strength == 0.9
    write_lossless(request.video[::-1], 12, video_path(tmp_path / "a.mp4"))
    with pytest.raises(RequestError, match="is not the video this clip was made from"):
        request_from_manifest(saved.manifest_path)


def test_the_copy_beside_a_clip_is_lossless(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    write_lossless(noise, 12, tmp_path / "x.mkv")
    assert np.array_equal(read_lossless(tmp_path / "x.mkv"), noise)


def test_a_file_is_read_at_the_models_rate_and_size(tmp_path, world_clip):
    encode_mp4(world_clip.repeat(2, 0).repeat(2, 1).repeat(2, 2), 24, tmp_path / "big.mp4")
    frames, said = read_video(tmp_path / "big.mp4", SPEC, 49)
    assert frames.shape == (49, 64, 64, 3) and len(said) == 2
    assert np.abs(frames.astype(int) - world_clip).mean() < 4


def test_the_rest_of_a_long_file_is_left_alone(tmp_path, world_clip):
    """Reading stops in the middle of the file, again and again, while its decoder is ahead."""
    encode_mp4(np.concatenate([world_clip] * 8), 24, tmp_path / "long.mp4")
    for frames in (1, 5, 20, 49) * 3:
        assert len(read_video(tmp_path / "long.mp4", SPEC, frames)[0]) == frames


def test_the_command_makes_it_and_refuses_what_is_no_video(tmp_path, world_clip, capsys):
    encode_mp4(world_clip.repeat(2, 1).repeat(2, 2), 12, tmp_path / "in.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    common = ["generate", "--model", "shapes-asd", "--prompt", OTHER, "--steps", "1", "--out", str(tmp_path / "o.mp4")]
    assert main([*common, "--video", str(tmp_path / "text.mp4")]) == 2
    assert "cannot be read as a video" in capsys.readouterr().err
    assert main([*common, "--strength", "0.5"]) == 2
    assert "--strength 0.5 goes with --video" in capsys.readouterr().err
    assert main([*common, "--video", str(tmp_path / "in.mp4"), "--strength", "0.7", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out["notices"] == ["the video of 128 x 128 pixels is resized to 64 x 64"]
    assert out["video"]["strength"] == 0.7 and out["video"]["frames"] == 49 and out["sigmas"][0] == [0.7]
