import threading
from itertools import islice

import numpy as np
import pytest

from models.types import Chunk, GenerationRequest, RequestError
from tests.conftest import PROMPT
from workbench.clips.generation import Cancelled, GenerationService, SavedClip
from workbench.clips.manifest import image_path, read_manifest, request_from_manifest
from workbench.clips.media import decode_mp4

MODEL = "tiny-random"
REQUEST = GenerationRequest(PROMPT, steps=2, frames=25, seed=7)


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_clip_is_saved_with_its_manifest(service):
    clip = service.generate(MODEL, REQUEST)
    assert files(service.clips) == [clip.path.with_suffix(".json").name, clip.path.name]
    assert read_manifest(clip.manifest_path) == clip.manifest
    frames, fps = decode_mp4(clip.path)
    assert (frames.shape, fps) == (clip.result.frames.shape, clip.manifest.fps)
    assert (clip.manifest.frames, clip.manifest.steps, clip.manifest.seed) == (25, 2, 7)
    assert clip.manifest.chunk_frames == (1, 12, 12)
    assert [len(sigmas) for sigmas in clip.manifest.sigmas] == [2, 2, 2]
    assert "tiny" not in clip.path.name


def test_the_same_request_gives_the_same_file(service):
    first = service.generate(MODEL, REQUEST)
    content = first.path.read_bytes()
    again = service.generate(MODEL, REQUEST)
    assert again.path == first.path and again.path.read_bytes() == content
    assert again.manifest.frames_digest == first.manifest.frames_digest


def test_any_change_of_the_request_gives_another_file(service, world_clip):
    requests = [
        REQUEST,
        GenerationRequest(PROMPT, steps=2, frames=25, seed=8),
        GenerationRequest(PROMPT, steps=1, frames=25, seed=7),
        GenerationRequest(PROMPT, steps=2, frames=24, seed=7),
        GenerationRequest(PROMPT, steps=2, frames=25, seed=7, ffe=True),
        GenerationRequest(PROMPT.replace("red", "blue"), steps=2, frames=25, seed=7),
        GenerationRequest(PROMPT, steps=2, frames=25, seed=7, image=world_clip[0]),
    ]
    assert len({service.generate(MODEL, request).path for request in requests}) == len(requests)


def test_equal_frames_made_in_two_ways_keep_two_manifests(service):
    """FFE with 4 first steps on 4 steps changes nothing but the request."""
    plain = service.generate(MODEL, GenerationRequest(PROMPT, steps=4, frames=13))
    enhanced = service.generate(MODEL, GenerationRequest(PROMPT, steps=4, frames=13, ffe=True))
    assert plain.manifest.frames_digest == enhanced.manifest.frames_digest
    assert (read_manifest(plain.manifest_path).ffe, read_manifest(enhanced.manifest_path).ffe) == (False, True)


def test_a_stream_ends_in_the_clip_that_generate_makes(service):
    *chunks, clip = service.stream(MODEL, REQUEST)
    assert all(isinstance(chunk, Chunk) for chunk in chunks) and isinstance(clip, SavedClip)
    assert np.array_equal(np.concatenate([chunk.frames for chunk in chunks]), clip.result.frames)
    assert np.array_equal(service.generate(MODEL, REQUEST).result.frames, clip.result.frames)


def test_chunks_are_told_while_the_clip_is_made(service):
    seen = []
    service.generate(MODEL, REQUEST, on_chunk=lambda chunk: seen.append((chunk.index, files(service.clips))))
    assert seen == [(0, []), (1, []), (2, [])]


@pytest.mark.parametrize("frames", [1, 2, 13, 20, 26, 49])
def test_any_number_of_frames_is_rounded_up_and_cut(service, frames):
    clip = service.generate(MODEL, GenerationRequest(PROMPT, steps=1, frames=frames))
    assert len(clip.result.frames) == len(decode_mp4(clip.path)[0]) == sum(clip.manifest.chunk_frames) == frames
    whole = service.generate(MODEL, GenerationRequest(PROMPT, steps=1, frames=49))
    assert np.array_equal(whole.result.frames[:frames], clip.result.frames)


@pytest.mark.parametrize("with_image", [False, True])
def test_a_manifest_makes_its_clip_again(service, tmp_path, world_clip, with_image):
    image = world_clip[0] if with_image else None
    request = GenerationRequest(PROMPT, steps=1, ffe=True, first_steps=3, frames=20, seed=3, image=image)
    made = service.generate(MODEL, request, out=tmp_path / "a.mp4")
    assert image_path(made.path).exists() == with_image
    model, again = request_from_manifest(made.manifest_path)
    remade = service.generate(model, again, out=tmp_path / "b.mp4")
    assert remade.manifest.frames_digest == made.manifest.frames_digest
    assert remade.path.read_bytes() == made.path.read_bytes()


def test_a_cancelled_clip_leaves_nothing(service):
    seen = []
    with pytest.raises(Cancelled, match="stopped after 1 of 3 chunks"):
        service.generate(MODEL, REQUEST, on_chunk=seen.append, cancelled=lambda: bool(seen))
    assert not service.clips.exists()
    assert service.generate(MODEL, REQUEST).path.exists()  # the network is free again


def test_closing_a_stream_stops_the_network(service):
    stream = service.stream(MODEL, GenerationRequest(PROMPT, steps=4, frames=300))
    assert [chunk.index for chunk in islice(stream, 2)] == [0, 1]
    stream.close()
    for thread in threading.enumerate():
        if thread.name == "generate":
            thread.join(timeout=60)
    assert not service.clips.exists()


def test_clips_made_at_once_are_the_clips_made_alone(service):
    requests = [GenerationRequest(PROMPT, steps=1, frames=13, seed=seed) for seed in range(4)]
    digests = {}

    def work(request):
        digests[request.seed] = service.generate(MODEL, request).manifest.frames_digest

    threads = [threading.Thread(target=work, args=[request]) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert digests == {r.seed: service.generate(MODEL, r).manifest.frames_digest for r in requests}


def test_bad_requests_are_refused_on_every_path_before_anything_is_written(service):
    bad = GenerationRequest("", steps=1)
    for make in (service.check, service.generate, lambda model, request: list(service.stream(model, request))):
        with pytest.raises(RequestError, match="prompt is empty"):
            make(MODEL, bad)
    assert not service.clips.exists()


def test_unknown_words_are_a_notice_in_the_manifest(service):
    clip = service.generate(MODEL, GenerationRequest("a red zebra moving right", steps=1, frames=1))
    assert "zebra" in clip.notices[0] and clip.manifest.notices == clip.notices


def test_unknown_models_are_answered_with_what_exists(service):
    with pytest.raises(RequestError, match="shapes-asd"):
        service.generate("shapes-adb", REQUEST)


def test_unknown_devices_are_refused(tmp_path):
    with pytest.raises(RequestError, match=r"device 'tpu9'.*choose cpu"):
        GenerationService(tmp_path, "tpu9")


@pytest.mark.parametrize(
    "prepare, rule",
    [
        (lambda out: out.mkdir(), r"clip\.mp4' is a folder"),
        (lambda out: out.with_suffix(".json").mkdir(), r"clip\.json' is a folder"),
        (lambda out: out.with_suffix(".json").write_text("{}"), r"clip\.json', which is not a manifest"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_anything_is_made(service, tmp_path, prepare, rule):
    out = tmp_path / "clip.mp4"
    prepare(out)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RequestError, match=rule):
        service.generate(MODEL, REQUEST, out=out, on_chunk=lambda chunk: pytest.fail("a chunk was made"))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("out", ["clip.avi", "clip", "/proc/clip.mp4", "/dev/null/clip.mp4"])
def test_an_output_in_a_wrong_place_is_refused(service, tmp_path, out):
    with pytest.raises(RequestError, match="output"):
        service.generate(MODEL, REQUEST, out=tmp_path / out)


def test_folders_of_the_output_are_made(service, tmp_path):
    assert service.generate(MODEL, REQUEST, out=tmp_path / "new" / "folder" / "clip.mp4").path.exists()
