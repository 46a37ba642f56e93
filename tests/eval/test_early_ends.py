"""Files that end before their container says are told with counts, and whole ones never, whatever their kind."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from eval.video.reader import Reading, open_video

CASES = Path(__file__).parents[1] / "cases"
# (ending, encoder, pixels, encoder of the sound or "")
KINDS = [
    ("gif", "gif", "rgb8", ""),
    ("apng", "apng", "rgb24", ""),
    ("ogv", "libvpx", "yuv420p", ""),
    ("ogv", "libvpx", "yuv420p", "libopus"),
    ("mkv", "libx264", "yuv420p", ""),
    ("mkv", "libx264", "yuv420p", "aac"),
    ("webm", "libvpx", "yuv420p", ""),
    ("webm", "libvpx-vp9", "yuv420p", "libopus"),
    ("flv", "flv", "yuv420p", ""),
    ("flv", "flv", "yuv420p", "aac"),
    ("wmv", "wmv2", "yuv420p", ""),
    ("wmv", "wmv2", "yuv420p", "wmav2"),
    ("mpg", "mpeg2video", "yuv420p", ""),
    ("mpg", "mpeg2video", "yuv420p", "mp2"),
    ("ts", "libx264", "yuv420p", ""),
    ("avi", "mpeg4", "yuv420p", "mp2"),
    ("mp4", "libx264", "yuv420p", "aac"),
]
IDS = [f"{kind[0]}{'-with-sound' * bool(kind[3])}" for kind in KINDS]


def make(path, kind, count=50, sound=2.0, **more):
    """`count` frames at 25 a second, with `sound` seconds of noise."""
    _, codec, pixels, heard = kind
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", **more) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        voice = container.add_stream(heard, rate=48000) if heard else None
        if voice:
            voice.codec_context.bit_rate = 64000
        size = max((voice.codec_context.frame_size if voice else 0) or 960, 64)
        made = 0
        for index in range(count):
            picture = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
            while voice and made < 48000 * min(sound, (index + 1) * sound / count):
                heard_now = (rng.random((2, size)) / 4).astype(np.float32)
                part = av.AudioFrame.from_ndarray(heard_now, format="fltp", layout="stereo")
                part.sample_rate, part.pts, part.time_base = 48000, made, Fraction(1, 48000)
                container.mux(voice.encode(part))
                made += size
        container.mux(stream.encode())
        if voice:
            container.mux(voice.encode())
    return path


def told(path, threads=1):
    """The frames that came, and all that was told."""
    notices: list[str] = []
    with open_video(path, Reading(threads=threads)) as video:
        count = sum(len(window.frames) for window in video.windows(notices.append))
        return count, (*video.facts.notices, *notices)


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_whole_files_are_told_nothing_about_and_cut_ones_with_the_frames_that_are_there(tmp_path, kind):
    path = make(tmp_path / f"whole.{kind[0]}", kind)
    assert told(path) == (50, ())
    content = path.read_bytes()
    path = tmp_path / f"cut.{kind[0]}"
    if kind[0] == "mp4":  # whose list of frames comes last is no video without it; in pieces it is
        pieces = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "200000"}
        whole = make(tmp_path / "pieces.mp4", kind, container_options=pieces)
        assert told(whole) == (50, ())
        content = whole.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4 + 77])
    count, notices = told(path)
    assert count < 50 and any("cut short" in text and any(c.isdigit() for c in text) for text in notices), notices
    assert all("\n" not in text for text in notices) and told(path, 3) == (count, notices)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[3] and kind[0] != "mp4"], ids=lambda kind: kind[0])
def test_sound_that_ends_later_or_earlier_is_no_early_end(tmp_path, kind):
    for sound in (1.0, 3.0):
        assert told(make(tmp_path / f"{sound}.{kind[0]}", kind, sound=sound)) == (50, ())


def test_matroska_tells_how_many_frames_there_should_be(tmp_path):
    content = make(tmp_path / "whole.mkv", KINDS[5]).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(content[: len(content) - 3000])
    (said,) = [text for text in told(path)[1] if "cut short" in text]
    assert f"{len(content) - 3000:,} of {len(content):,} bytes" in said and "of about 50 frames" in said


def test_files_that_are_written_as_they_are_sent_are_whole(tmp_path):
    path = make(tmp_path / "live.webm", KINDS[6], format="webm", container_options={"live": "1"})
    assert told(path) == (50, ())


def test_frames_that_do_not_come_out_are_counted(tmp_path):
    """Two sizes in one MPEG-2 stream: the last frame of the first is lost where the second begins."""
    parts = []
    for number, size in enumerate(((64, 48), (96, 64))):
        path = tmp_path / f"{number}.m2v"
        with av.open(str(path), "w", format="mpeg2video") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for index in range(12):
                picture = np.full((size[1], size[0], 3), index * 20, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        parts.append(path.read_bytes())
    path = tmp_path / "both.mpg"
    path.write_bytes(b"".join(parts))
    count, notices = told(path)
    assert count == 23 and any("23 of 24 frames could be decoded; 1 is lost" in text for text in notices)
