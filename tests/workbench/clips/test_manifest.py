import json
import math
from dataclasses import replace

import numpy as np
import pytest

from models.types import RequestError
from workbench.clips.manifest import (
    InputImage,
    Manifest,
    digest_pixels,
    image_path,
    read_manifest,
    request_from_manifest,
    write_manifest,
)
from workbench.clips.media import write_png

MANIFEST = Manifest(
    model="shapes-asd",
    family="shapes",
    weights_digest="ab" * 32,
    prompt='a "red" circle\nmoving ünder',
    image=None,
    seed=2**62 + 1,
    steps=2,
    ffe=True,
    first_steps=4,
    guidance_scale=1.0,
    frames=25,
    fps=12,
    width=64,
    height=64,
    sigmas=((), (1.0, 0.9375), (1.0,)),
    chunk_frames=(1, 12, 12),
    forwards=5,
    frames_digest="cd" * 32,
    notices=("words this model does not know: ünder",),
    dtype="float32",
    device="cpu",
    threads=2,
    libraries={"torch": "2.12.0"},
    app_version="0.1.0",
    created="2026-01-01T00:00:00+00:00",
    first_frame_seconds=0.25,
    seconds=1.0,
)


def test_a_manifest_survives_the_way_through_json(tmp_path):
    for manifest in (MANIFEST, replace(MANIFEST, image=InputImage("ef" * 32, 10, 20))):
        write_manifest(manifest, tmp_path / "clip.json")
        assert read_manifest(tmp_path / "clip.json") == manifest


def test_the_request_is_the_one_that_was_made(tmp_path):
    write_manifest(MANIFEST, tmp_path / "clip.json")
    model, request = request_from_manifest(tmp_path / "clip.json")
    assert model == "shapes-asd"
    for name in ("prompt", "seed", "steps", "ffe", "first_steps", "frames", "guidance_scale", "image"):
        assert getattr(request, name) == getattr(MANIFEST, name)


def test_the_picture_comes_from_beside_the_manifest_and_must_be_the_same(tmp_path):
    picture = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    path = tmp_path / "clip.json"
    write_manifest(replace(MANIFEST, image=InputImage(digest_pixels(picture), 8, 8)), path)
    with pytest.raises(RequestError, match=r"clip\.input\.png"):
        request_from_manifest(path)
    write_png(image_path(path), picture)
    assert np.array_equal(request_from_manifest(path)[1].image, picture)
    write_png(image_path(path), picture[::-1])
    with pytest.raises(RequestError, match="not the picture this clip was made from"):
        request_from_manifest(path)


def changed(**values):
    return json.dumps(json.loads(MANIFEST.to_json()) | values)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "not JSON"),
        ("[1, 2]", "no 'asd-workbench clip' format mark"),
        ('{"name": "package"}', "no 'asd-workbench clip' format mark"),
        (changed(version=2), "version 2, and this program reads version 1"),
        (json.dumps({"format": "asd-workbench clip", "version": 1, "model": "x"}), "without family, weights_digest"),
        (changed(seed="7", ffe=1), "with a wrong type in seed, ffe"),
        (changed(steps=True), "with a wrong type in steps"),
        (changed(threads=0), "with a wrong value in threads"),
        (changed(step_plan=5), "with a wrong type in step_plan"),
        (changed(step_plan=[1, "2"]), "with a wrong type in step_plan"),
        (changed(switches=[{"chunk": 1, "prompt": 5}]), "with a wrong type in switches"),
        (changed(switches=[{"chunk": 1}]), "with a wrong type in switches"),
        (changed(libraries={"torch": 2}), "with a wrong type in libraries"),
        (changed(notices=[1]), "with a wrong type in notices"),
        (changed(seconds=math.nan), "with a wrong type in seconds"),
        (MANIFEST.to_json().replace('"seed"', '"seed": 1, "seed"'), "'seed' is given twice"),
        (changed(sigmas=7), "is not a manifest"),
        (changed(image={"file": "x"}), "is not a manifest"),
    ],
)
def test_what_is_not_a_manifest_is_refused_with_its_reason(tmp_path, text, reason):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(RequestError, match=reason) as refusal:
        read_manifest(tmp_path / "x.json")
    assert "x.json" in str(refusal.value) and "give the .json beside a clip" in str(refusal.value)


def test_a_video_in_place_of_a_manifest_is_refused(tmp_path):
    (tmp_path / "x.mp4").write_bytes(bytes(range(256)))
    with pytest.raises(RequestError, match="not UTF-8 text"):
        read_manifest(tmp_path / "x.mp4")


def test_a_digest_knows_pixels_and_shape():
    frames = np.zeros((2, 4, 6, 3), np.uint8)
    assert digest_pixels(frames) == digest_pixels(frames.copy())
    assert digest_pixels(frames) != digest_pixels(frames.reshape(2, 6, 4, 3))
    frames[1, 3, 5, 2] = 1
    assert digest_pixels(frames) != digest_pixels(np.zeros_like(frames))
    assert digest_pixels(frames[:, ::-1]) == digest_pixels(np.ascontiguousarray(frames[:, ::-1]))
