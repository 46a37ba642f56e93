"""Files as cameras and encoders write them, each with the value that is right for it, whoever reads it."""

import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition

from eval.evaluator import Source, evaluate
from eval.metric import ClipFacts
from eval.metrics import create_metrics
from eval.video.frame_times import TimesOfFrames, own_rate, uneven_times
from eval.video.limits import MOST_BOXES, told_samples
from eval.video.reader import Reading, Unreadable, inspect_video, open_video
from eval.video.windows import Window
from models.specs import MODELS
from models.types import RequestError
from models.video_input import fit_frames
from workbench.__main__ import main
from workbench.clips.display import make_display
from workbench.clips.media import decode_mp4, encode_mp4
from workbench.requests.input_video import read_video

CASES = Path(__file__).parents[1] / "cases"
SPEC = MODELS["shapes-asd"]


def scores(path, names=("temporal_flickering",), **more):
    (found,) = evaluate([Source("clip", path)], create_metrics(list(names)), **more)
    return found


def decoded(path, threads=2, **more):
    with open_video(path, Reading(threads=threads), **more) as video:
        return np.concatenate([window.frames for window in video.windows()])


def opencv(path):
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])
    return np.stack(frames)


def held(path, matrix, source=CASES / "base.mp4"):
    """A copy of an mp4 with the display matrix (a, b, c, d)."""
    content = bytearray(source.read_bytes())
    place = content.index(b"tkhd") + 44
    a, b, c, d = (round(value * 65536) for value in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


# --- times


def test_seconds_are_those_of_the_frames_that_are_shown():
    found = scores(CASES / "vfredit.mp4")
    assert found.frames == 30 and found.times[7] == pytest.approx(0.75) and found.times[-1] == pytest.approx(6.25)
    assert found.fps == pytest.approx(29 / 6.25)


def test_an_edit_list_hides_frames_without_a_word():
    found = scores(CASES / "editlist.mp4")
    assert (found.frames, found.notices, found.times, found.fps) == (18, (), (), 12)
    frames, said = read_video(CASES / "editlist.mp4", SPEC, 49)
    assert len(frames) == 18 and any("ends after 18 frames" in text for text in said)


def test_a_variable_rate_is_resampled_by_time_stamps():
    frames, _ = read_video(CASES / "vfr_ramp.mp4", SPEC, 72)
    levels = frames.mean((1, 2, 3))
    right = [7 * k for k in range(18)] + [7 * (18 + k // 3) for k in range(54)]
    assert len(levels) == 72 and np.abs(levels - right).max() < 4
    shown, rate = decode_mp4(CASES / "vfr_ramp.mp4")
    assert rate == pytest.approx(12) and np.abs(shown.mean((1, 2, 3)) - right).max() < 4


def test_frames_at_uneven_times_are_those_on_screen():
    frames = [np.full((8, 8, 3), k, np.uint8) for k in range(4)]
    fitted = fit_frames(frames, 4.0, SPEC, 100, times=(0.0, 0.5, 0.75, 1.0))
    assert [int(frame[0, 0, 0]) for frame in fitted] == [0] * 6 + [1] * 3 + [2] * 3 + [3] * 3


def timed(path, stamps, **more):
    """Grey frames at `stamps` (ms) in Matroska."""
    with av.open(str(path), "w", **more) as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 32, 32, "yuv420p", Fraction(1, 1000)
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number * 9, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 1000)
            for packet in stream.encode(frame.reformat(format="yuv420p")):
                packet.pts = packet.dts = stamp
                packet.time_base = Fraction(1, 1000)
                container.mux(packet)
    return path


@pytest.mark.parametrize(
    ("stamps", "times", "said"),
    [
        ([0, 100, 200, 200, 900, 1000], [0, 0.1, 0.2, 0.55, 0.9, 1.0], "1 frame has the time stamp of another"),
        ([0, 100, 200, 200, 400, 500], [], "1 frame has the time stamp of another"),
        ([40, 40, 40, 40], [], "all 4 frames have one time stamp"),
        ([0, 100, 900, 1000], [0, 0.1, 0.9, 1.0], "100 to 800 ms apart"),
    ],
)
def test_frames_of_one_time_stamp_are_spread_and_told(tmp_path, stamps, times, said):
    path = timed(tmp_path / "clip.mkv", stamps)
    found = scores(path)
    assert found.times == pytest.approx(times) and any(said in text for text in found.notices)
    assert any("ms apart" in text for text in found.notices) == bool(times)
    assert len(decode_mp4(path)[0]) >= len(set(stamps))


def moving(path, milliseconds, **options):
    """H.264 of a texture that moves by 2 px in 1/24 s, shown at these times."""
    ground = np.random.default_rng(5).integers(0, 256, (9, 24, 3), np.uint8)
    picture = cv2.resize(ground, (320, 96), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        options = {name: str(value) for name, value in ({"crf": 12, "bf": 0} | options).items()}
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 128, 96, "yuv420p", Fraction(1, 1000)
        stream.codec_context.time_base = Fraction(1, 1000)
        for stamp in milliseconds:
            left = round(stamp * 24 / 1000 * 2)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture[:, left : left + 128]), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def wrapped_again(source, path):
    with av.open(str(source)) as read, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            packet.stream = stream
            if packet.size:
                container.mux(packet)
    return path


def test_speed_and_steadiness_go_by_the_times_of_frames_in_every_container(tmp_path):
    """The same movement has the same speed whether frames are evenly timed or every third is missing."""
    names = ("dynamic_degree_flow", "ground_stability")
    stamps = [125 * k // 3 for k in range(36)]
    even = scores(moving(tmp_path / "even.mp4", stamps), names).results
    uneven = moving(tmp_path / "uneven.mp4", [stamp for k, stamp in enumerate(stamps) if k % 3 != 2])
    speed = even["dynamic_degree_flow"].parts["speed"]
    seen = []
    for ending in ("mp4", "mkv", "ts"):
        path = uneven if ending == "mp4" else wrapped_again(uneven, tmp_path / f"uneven.{ending}")
        found = scores(path, names)
        assert found.times and found.results["dynamic_degree_flow"].parts["speed"] == pytest.approx(speed, rel=0.03)
        seen.append(found.results)
    _, *curve = seen[0]["dynamic_degree_flow"].per_frame
    assert curve == pytest.approx([speed] * len(curve), rel=0.15)
    for other in seen[1:]:
        for name, result in other.items():
            numbers, same = ([v for v in each.per_frame if v is not None] for each in (result, seen[0][name]))
            assert result.value == pytest.approx(seen[0][name].value, rel=0.01)
            assert numbers == pytest.approx(same, rel=0.05)


@pytest.mark.parametrize("size", [1, 5, 16])
def test_steadiness_takes_the_frame_nearest_to_a_quarter_of_a_second_before(monkeypatch, size):
    times = (0.0, 0.1, 0.2, 0.24, 0.5, 0.51, 1.0)
    frames = np.zeros((len(times), 32, 32, 3), np.uint8) + np.arange(len(times), dtype=np.uint8)[:, None, None, None]
    monkeypatch.setattr(
        "eval.metrics.motion.ground_stability.ground_agreement", lambda a, b: float(10 * int(a[0, 0]) + int(b[0, 0]))
    )
    scorer = create_metrics(["ground_stability"])[0].open(ClipFacts(32, 32, 10.0, len(times)))
    for first in range(0, len(times), size):
        part = slice(first, first + size)
        scorer.add(Window(frames[part], first, frames[first - 1] if first else None, times[part]))
    # 0.2 s is within half of the first gap of a quarter, 0.1 s is not
    assert scorer.result().per_frame == (None, None, 2.0, 3.0, 34.0, 35.0, 56.0)


@pytest.mark.parametrize("every", [320, 125 / 3])
def test_evenly_timed_frames_have_the_rate_of_their_times_in_every_container(tmp_path, every):
    """Whatever rate the file tells, which VBench takes."""
    first = moving(tmp_path / "a.mkv", [round(every * k) for k in range(12)])
    speeds = []
    for ending in ("mkv", "ts", "mp4"):
        path = wrapped_again(first, tmp_path / f"b.{ending}")
        found = scores(path, ("dynamic_degree_flow", "ground_stability"))
        assert found.fps == pytest.approx(1000 / every, rel=0.01) and not found.times
        with av.open(str(path)) as read:
            told = float(read.streams.video[0].average_rate or read.streams.video[0].base_rate)
        assert any("which VBench takes" in text for text in found.notices) == (abs(found.fps / told - 1) > 0.01)
        speeds.append(found.results["dynamic_degree_flow"].parts["speed"])
    assert speeds == pytest.approx([speeds[0]] * 3, rel=0.01)


@pytest.mark.parametrize(
    ("stamps", "base", "uneven"),
    [
        ([0, 1, 3, 4, 6, 7], 1 / 30, True),  # every third is missing, and a tick is a frame
        ([0, 1, 3, 4, 6, 7], 1 / 1000, False),
        ([0, 8, 16, 25, 33], 1 / 100, False),  # 12 a second in GIF
        ([0, 33, 67, 100], 1 / 1000, False),
        ([0, 33, 100, 133], 1 / 1000, True),
    ],
)
def test_a_tick_is_rounding_only_where_it_is_short(stamps, base, uneven):
    assert bool(uneven_times(stamps, base)) == uneven


@pytest.mark.parametrize(
    ("stamps", "base", "told", "own"),
    [
        ([0, 320, 640], 1 / 1000, 30, 3.125),
        ([0, 33, 67], 1 / 1000, 30, None),
        ([0, 33], 1 / 1000, 30, None),
        ([0, 0, 0, 100, 100, 100], 1 / 1000, 1000, 30),
        ([0, None, 2], 1, 5, None),
        ([7, 7], 1, 5, None),
    ],
)
def test_the_rate_of_frames_is_their_own_where_it_is_another(stamps, base, told, own):
    assert own_rate(stamps, base, told) == (None if own is None else pytest.approx(own))


def avi(path, stamps):
    """MPEG-4 in AVI, whose clock ticks on where nothing new is shown."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for stamp in stamps:
            pixels = np.random.default_rng(stamp).integers(0, 256, (48, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_an_avi_that_leaves_out_frames_is_whole(tmp_path):
    path = avi(tmp_path / "clip.avi", [stamp for stamp in range(60) if stamp % 3 != 2])
    found = scores(path)
    assert found.frames == 40 and [text for text in found.notices if "ms apart" not in text] == []
    assert found.times[:4] == pytest.approx((0, 1 / 30, 3 / 30, 4 / 30))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert any("cut short" in text for text in scores(path).notices)


def test_an_edit_list_that_starts_later_than_one_key_frame_leaves_a_whole_file(tmp_path):
    source, path = moving(tmp_path / "long.mkv", [40 * k for k in range(30)], g=6), tmp_path / "trim.mp4"
    with av.open(str(source)) as read, av.open(str(path), "w", container_options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = stream
                packet.pts, packet.dts = packet.pts - 640, packet.dts - 640
                out.mux(packet)
    found = scores(path)
    with av.open(str(path)) as read:
        assert read.streams.video[0].frames > sum(packet.size > 0 for packet in read.demux(video=0))
    assert (found.frames, found.notices, found.times) == (14, (), ())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert any("cut short" in text and "of 14 frames" in text for text in scores(path).notices)


def test_frames_keep_their_times_where_others_are_lost():
    times = TimesOfFrames([3, 0, 1, 1, 9], (0, 0.1, 0.2, 0.3, 0.9), 0.1)
    assert [times.of(stamp, 0) for stamp in (0, 1, 9)] == [0, 0.1, 0.9]
    assert times.of(12, 0.9) == pytest.approx(1.2) and times.of(None, 2.0) == pytest.approx(2.1)


def test_a_frame_that_is_lost_makes_no_uneven_times(tmp_path):
    pieces = tmp_path / "pieces.mp4"
    with av.open(str(CASES / "base.mp4")) as source:
        options = {"movflags": "frag_keyframe+empty_moov"}
        with av.open(str(pieces), "w", container_options=options) as container:
            stream = container.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                packet.stream = stream
                if packet.size:
                    container.mux(packet)
    content, seen = pieces.read_bytes(), set()
    for size in range(len(content) // 2, len(content), 601):
        pieces.write_bytes(content[:size])
        found = scores(pieces)
        assert any("ms apart" in text for text in found.notices) == bool(found.times)
        seen.add(found.frames)
    assert len(seen) > 3


def test_the_rate_of_bare_pictures_is_their_own(tmp_path):
    path = tmp_path / "bare.h264"
    with av.open(str(path), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode())
    assert inspect_video(path).fps == 12


# --- streams


def two_streams(path, marked):
    """A stream of 2 frames of 32x32, then one of 9 frames of 64x48; `marked` as the file's default."""
    with av.open(str(path), "w") as container:
        streams = []
        for place, (width, height) in enumerate(((32, 32), (64, 48))):
            stream = container.add_stream("ffv1", rate=10)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = Disposition.default if place == marked else Disposition(0)
            streams.append(stream)
        for stream, count in zip(streams, (2, 9), strict=True):
            for _ in range(count):
                container.mux(stream.encode(av.VideoFrame(stream.width, stream.height, "yuv420p")))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("marked", "size"), [(0, (32, 32, 2)), (1, (64, 48, 9))])
def test_the_stream_that_players_show_is_read_and_told(tmp_path, marked, size):
    path = two_streams(tmp_path / "two.mkv", marked)
    found = scores(path)
    assert (found.width, found.height, found.frames) == size
    (said,) = [text for text in found.notices if "video streams" in text]
    assert f"2 video streams; number {marked + 1}" in said and ("VBench reads number 1" in said) == (marked == 1)


def test_a_cover_is_no_video(tmp_path):
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as container:
        cover, stream = container.add_stream("png", rate=12), container.add_stream("libx264", rate=12)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 64, 48, "rgb24", Disposition.attached_pic
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(cover.encode(av.VideoFrame(64, 48, "rgb24")))
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode())
    found = scores(path)
    assert found.frames == 6 and any("2 video streams" in text for text in found.notices)


# --- geometry


@pytest.mark.parametrize("name", ["rot90.mp4", "rotx-89.997.mp4"])
def test_a_quarter_turn_is_upright_everywhere(name, tmp_path):
    path = CASES / name
    assert (scores(path).width, scores(path).height) == (64, 96)
    assert np.array_equal(decoded(path), opencv(path))
    assert decode_mp4(path)[0].shape[1:3] == make_display(path, "d", tmp_path).frames.shape[1:3] == (96, 64)


@pytest.mark.parametrize(
    ("matrix", "seen"),
    [
        ((-1, 0, 0, 1), lambda frames: frames[:, :, ::-1]),
        ((1, 0, 0, -1), lambda frames: frames[:, ::-1]),
        ((-1, 0, 0, -1), lambda frames: frames[:, ::-1, ::-1]),
        ((0, 1, 1, 0), lambda frames: frames.transpose(0, 2, 1, 3)),
        ((0, 1, -1, 0), lambda frames: np.rot90(frames, -1, (1, 2))),
        ((0, -1, 1, 0), lambda frames: np.rot90(frames, 1, (1, 2))),
        ((0, -1, -1, 0), lambda frames: np.rot90(frames, 2, (1, 2)).transpose(0, 2, 1, 3)),
    ],
)
def test_a_file_is_turned_and_mirrored_as_it_asks(tmp_path, matrix, seen):
    assert np.array_equal(decoded(held(tmp_path / "held.mp4", matrix)), seen(decoded(CASES / "base.mp4")))


def test_a_slanted_picture_is_told(tmp_path):
    angle = np.radians(30)
    path = held(tmp_path / "held.mp4", (np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)))
    assert any("turned by 30 degrees" in text for text in inspect_video(path).notices)
    assert np.array_equal(decoded(path), decoded(CASES / "base.mp4"))


def test_wide_pixels_are_shown_wide_and_scored_as_vbench_reads_them(tmp_path):
    path = CASES / "sar2.mp4"
    assert np.array_equal(decoded(path), opencv(path))
    assert any("2:1" in text for text in scores(path).notices)
    assert decode_mp4(path)[0].shape[1:3] == make_display(path, "d", tmp_path).frames.shape[1:3] == (64, 192)


def test_a_shape_of_pixels_that_cannot_be_is_told(tmp_path):
    path, content = tmp_path / "thin.mp4", (CASES / "sar2.mp4").read_bytes()
    place = content.index(b"pasp") + 4
    path.write_bytes(content[:place] + struct.pack(">2I", 100, 1) + content[place + 8 :])
    found = inspect_video(path)
    assert any("100:1" in text and "not believed" in text for text in found.notices)


# --- damage, size, colour


@pytest.mark.parametrize("names", [("temporal_flickering",), ("temporal_flickering", "sharpness", "warping_error")])
@pytest.mark.parametrize("at_once", [1, 2])
def test_a_damaged_file_has_one_value_whatever_is_asked(names, at_once):
    found = scores(CASES / "trunc_faststart.mp4", names, at_once=at_once)
    assert found.frames == 17 and any("19 are lost" in text for text in found.notices)
    assert found.results["temporal_flickering"].value == pytest.approx(0.9628358795, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_gives_the_same_frames_by_any_number_of_threads(tmp_path, seed):
    content, rng = bytearray((CASES / "base.mp4").read_bytes()), np.random.default_rng(seed)
    media = content.index(b"mdat") + 2000
    for place in rng.integers(media, len(content) - 2500, 3):
        content[place : place + 40] = rng.bytes(40)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    one, *others = [decoded(path, threads) for threads in (1, 2, 3)]
    assert len(one) > 1 and all(np.array_equal(one, other) for other in others)


def test_a_change_of_size_is_told_and_refused_for_showing():
    found = scores(CASES / "sizechange.ts")
    assert found.frames == 23 and any("picture size changes" in text for text in found.notices) and not found.times
    with pytest.raises(RequestError, match="changes its picture size"):
        decode_mp4(CASES / "sizechange.ts")


@pytest.mark.parametrize("name", ["bt2020_pq.mp4", "rgb_pq.mp4"])
def test_wide_colours_are_converted_in_one_way_and_told(name):
    found = scores(CASES / name)
    assert np.array_equal(decoded(CASES / name), opencv(CASES / name))
    assert any("BT.2020 with PQ" in text for text in found.notices) and "BT.2020" in found.color
    assert "BT.601 (assumed)" in scores(CASES / "base.mp4").color


def ramp(path, pix_fmt, primaries, transfer):
    """16 grey steps from black to white beside a red that gets stronger, in BT.2020 of limited range."""
    shift = 2 if "10" in pix_fmt else 0
    luma = np.repeat(np.linspace(16, 235, 16).round(), 8)[None].repeat(64, 0)
    red = np.full((32, 64), 128.0)
    red[16:] = np.repeat(np.linspace(128, 200, 16), 4)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 128, 64, pix_fmt
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = primaries, transfer, 9, 1
        for _ in range(3):
            frame = av.VideoFrame(128, 64, pix_fmt)
            for plane, values in zip(frame.planes, (luma, np.full((32, 64), 128.0), red), strict=True):
                kind = np.uint16 if shift else np.uint8
                rows = np.zeros((plane.height, plane.line_size // kind().itemsize), kind)
                rows[:, : plane.width] = (values * 2**shift).round()
                plane.update(rows.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize(
    ("tags", "said"), [((9, 16), "BT.2020 with PQ"), ((9, 18), "BT.2020 with HLG"), ((12, 1), "Display P3")]
)
def test_wide_and_bright_colours_are_those_of_opencv_and_grey_stays_grey(tmp_path, pix_fmt, tags, said):
    path = tmp_path / "ramp.mp4"
    ramp(path, pix_fmt, *tags)
    frames = decoded(path)
    assert np.array_equal(frames, opencv(path))
    grey = frames[0, 8, 4::8].astype(int)
    assert np.ptp(grey, axis=1).max() <= 2 and (np.diff(grey[:, 1]) >= 0).all() and np.ptp(grey[:, 1]) > 100
    assert any(f"colours are {said}; converted to BT.709" in text for text in inspect_video(path).notices)


@pytest.mark.parametrize("tags", [(12, 13), (9, 8)], ids=["sRGB", "linear"])
def test_other_transfers_stay_as_opencv_leaves_them(tmp_path, tags):
    ramp(tmp_path / "ramp.mp4", "yuv420p", *tags)
    assert np.array_equal(decoded(tmp_path / "ramp.mp4"), opencv(tmp_path / "ramp.mp4"))
    assert any("stays, as VBench reads it" in text for text in inspect_video(tmp_path / "ramp.mp4").notices)


def test_an_unknown_transfer_is_taken_for_bt709_and_told(tmp_path):
    for name, transfer in (("log", 9), ("usual", 1)):
        ramp(tmp_path / f"{name}.mp4", "yuv420p", 9, transfer)
    assert np.array_equal(decoded(tmp_path / "log.mp4"), decoded(tmp_path / "usual.mp4"))
    assert any("number 9 (logarithmic)" in text for text in inspect_video(tmp_path / "log.mp4").notices)


# --- what is opened


def test_a_name_is_a_name_and_never_an_address(tmp_path):
    path = tmp_path / "concat:evil|x.mp4"
    path.write_bytes((CASES / "base.mp4").read_bytes())
    assert scores(path).frames == 36
    raw = os.fsencode(tmp_path) + b"/caf\xe9.mp4"
    Path(os.fsdecode(raw)).write_bytes((CASES / "base.mp4").read_bytes())
    assert scores(Path(os.fsdecode(raw))).frames == 36


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5000 RTP/AVP 96\n",
    ],
)
def test_lists_of_other_files_are_not_followed(tmp_path, text):
    path = tmp_path / "list.mp4"
    path.write_text(text.format(CASES / "base.mp4"))
    with pytest.raises(Unreadable, match="cannot be read"):
        inspect_video(path)


def test_what_is_no_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(Unreadable, match="is not a file"):
        inspect_video(tmp_path / "pipe.mp4")


@pytest.mark.parametrize(
    ("limit", "said"), [("pixels=1000", "96x64"), ("frames=20", "frames"), ("seconds=1", "seconds")]
)
def test_limits_are_checked_before_decoding_and_can_be_set(monkeypatch, limit, said):
    monkeypatch.setenv("WORKBENCH_LIMITS", limit)
    with pytest.raises(Unreadable, match=f"{said}.*WORKBENCH_LIMITS") as refusal:
        inspect_video(CASES / "base.mp4")
    assert "\n" not in str(refusal.value)
    monkeypatch.setenv("WORKBENCH_LIMITS", "pixels=many")
    with pytest.raises(Unreadable, match="pixels=many"):
        inspect_video(CASES / "base.mp4")


def tell_samples(content: bytes, count: int) -> bytes:
    """An mp4 whose tables of twenty bytes say that it holds `count` samples of one byte."""
    made = bytearray(content)
    for kind, numbers in ((b"stsz", {8: 1, 12: count}), (b"stsc", {16: count}), (b"stts", {12: count, 16: 1})):
        place = made.index(kind)
        for at, number in numbers.items():
            made[place + at : place + at + 4] = struct.pack(">I", number)
    return bytes(made)


def test_tables_that_tell_of_endless_frames_are_refused_before_room_is_made_for_them(tmp_path):
    """A file of a few kB took 3 GB to open."""
    path = tmp_path / "endless.mp4"
    content = (CASES / "base.mp4").read_bytes()
    path.write_bytes(tell_samples(content, 30_000_000))
    assert told_samples(path) == 30_000_000 and told_samples(CASES / "base.mp4") == 36
    with pytest.raises(Unreadable, match="too long: it has 30,000,000 frames"):
        inspect_video(path)
    # FFmpeg reads tables in any box, and boxes with a size of 64 bits
    tables = tell_samples(content, 30_000_000)[content.index(b"moov") + 4 : content.index(b"moov") + 2000]
    path.write_bytes(struct.pack(">I4sQ", 1, b"moof", 16 + len(tables)) + tables)
    assert told_samples(path) == 30_000_000


def test_boxes_without_end_are_refused(tmp_path):
    path = tmp_path / "boxes.mp4"
    path.write_bytes((CASES / "base.mp4").read_bytes() + struct.pack(">I4s", 8, b"free") * MOST_BOXES)
    with pytest.raises(Unreadable, match="more than 4,000,000 boxes"):
        inspect_video(path)


@pytest.mark.parametrize(("codec", "count"), [("pcm_s16le", 36), ("aac", 144)])
def test_sound_is_no_endless_table(tmp_path, codec, count):
    """Plain sound has a sample for each moment."""
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        picture, sound = container.add_stream("libx264", rate=12), container.add_stream(codec, rate=48000)
        picture.width, picture.height = 64, 48
        for number in range(36):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
            noise = av.AudioFrame.from_ndarray(np.zeros((1, 4000 * 2), np.int16), format="s16", layout="stereo")
            noise.sample_rate, noise.pts = 48000, number * 4000
            container.mux(sound.encode(noise))
        container.mux(picture.encode())
        container.mux(sound.encode())
    assert count <= told_samples(path) < count + 40 and inspect_video(path).frames == 36


def test_a_video_of_two_fields_is_told(tmp_path):
    for name, options in (("fields.mp4", {"x264-params": "tff=1"}), ("whole.mp4", {})):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("libx264", rate=12, options=options)
            stream.width, stream.height = 64, 64
            for number in range(4):
                picture = np.full((64, 64, 3), 40 * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    assert any("interlaced" in text for text in inspect_video(tmp_path / "fields.mp4").notices)
    assert inspect_video(tmp_path / "whole.mp4").notices == ()


def test_a_picture_of_enormous_size_is_refused(tmp_path):
    path = tmp_path / "huge.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=12)
        stream.width, stream.height, stream.pix_fmt = 12000, 12000, "gray"
        frame = av.VideoFrame(12000, 12000, "gray")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(Unreadable, match="35,389,440 pixels"):
        inspect_video(path)


# --- studies


@pytest.mark.parametrize(("name", "shape"), [("study_rot.yaml", (64, 96)), ("study_sar.yaml", (192, 64))])
def test_studies_show_clips_as_players_do(tmp_path, name, shape):
    from workbench.settings import Settings
    from workbench.store import open_store

    assert main(["studies", "add", str(CASES / name), "--data-dir", str(tmp_path)]) == 0
    store = open_store(Settings(data_dir=tmp_path))
    clips = {clip.system: clip for clip in store.studies.clips(name[6:9])}
    store.close()
    assert (clips["a"].width, clips["a"].height) == shape
    assert decode_mp4(tmp_path / clips["a"].file)[0].shape[1:3] == shape[::-1]


def test_a_study_that_cannot_be_shown_leaves_nothing(tmp_path, capsys):
    assert main(["studies", "add", str(CASES / "study_size.yaml"), "--data-dir", str(tmp_path)]) == 2
    assert "changes its picture size" in capsys.readouterr().err
    assert main(["studies", "list", "--data-dir", str(tmp_path), "--json"]) == 0
    assert "size" not in capsys.readouterr().out


def test_a_study_of_one_prompt_can_be_frozen_and_short_clips_shown(tmp_path, world_clip):
    for name, clip in (("a", world_clip), ("b", world_clip[::-1])):
        encode_mp4(clip[:1], 12, tmp_path / f"{name}.mp4")
    lines = [f"  - {{system: {name}, prompt: p, path: {name}.mp4}}" for name in "ab"]
    (tmp_path / "s.yaml").write_text("\n".join(["id: pilot", "title: t", "degraded: 1", "clips:", *lines]))
    assert main(["studies", "add", str(tmp_path / "s.yaml"), "--data-dir", str(tmp_path / "d")]) == 0
    assert main(["studies", "freeze", "pilot", "--data-dir", str(tmp_path / "d")]) == 0


def test_a_lost_frame_does_not_hide_that_others_are_damaged(tmp_path):
    content, seen = bytearray((CASES / "base.mp4").read_bytes()), set()
    begin = content.index(b"mdat")
    for place in range(begin + 3000, len(content) - 3000, 700):
        broken = bytearray(content)
        broken[place : place + 60] = bytes(255 - byte for byte in broken[place : place + 60])
        (tmp_path / "broken.mp4").write_bytes(broken)
        told = " ".join(scores(tmp_path / "broken.mp4").notices)
        seen.add(("lost" in told, "are damaged, from frame" in told))
    assert (True, True) in seen


@pytest.mark.parametrize(("left", "width"), [(0, 96), (16, 80), (10, 86)])
def test_columns_that_a_file_cuts_off_on_the_left_are_left_out_and_told(tmp_path, left, width):
    """As players show it; FFmpeg leaves them in for the sake of memory, and OpenCV squeezes the picture."""
    columns = np.tile(np.arange(96, dtype=np.uint8) * 2 + 30, (64, 1))
    path, whole = tmp_path / "clip.mp4", tmp_path / "whole.mp4"
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for number in range(4):
            frame = av.VideoFrame.from_ndarray(np.stack([columns] * 3, 2), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(whole)) as read, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(read.streams.video[0])
        cut = BitStreamFilterContext(f"h264_metadata=crop_left={left}", read.streams.video[0], stream)
        for packet in read.demux(video=0):
            for changed in cut.filter(packet if packet.size else None):
                changed.stream = stream
                container.mux(changed)
    found = scores(path)
    frames = decoded(path)
    assert (found.width, frames.shape[2]) == (width, width) and bool(found.notices) == bool(left)
    assert np.abs(frames[0, 8].mean(1) - columns[0, left:]).max() < 6


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "clear", "told"),
    [
        ("a.mov", "qtrle", "argb", True, True),
        ("a.mov", "qtrle", "argb", False, False),
        ("a.webm", "libvpx-vp9", "yuva420p", True, True),
        ("a.webm", "libvpx-vp9", "yuv420p", False, False),
    ],
)
def test_transparency_is_told(tmp_path, name, codec, pix_fmt, clear, told):
    pixels = np.full((32, 32, 4), 128, np.uint8)
    pixels[:, :, 3] = 255
    pixels[:, :9, 3] = 0 if clear else 255
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, pix_fmt
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgba").reformat(format=pix_fmt)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    said = inspect_video(tmp_path / name).notices
    assert any("transparen" in text for text in said) == told
    assert decoded(tmp_path / name).mean() == pytest.approx(128, abs=2)
