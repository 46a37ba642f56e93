"""The evaluator on real files: every kind of video, every kind of bad file, memory, resuming, cancelling."""

import json
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from eval.degradations import clean_clip
from eval.evaluator import Cancelled, ClipScores, DoneFile, Source, done_key, evaluate
from eval.metrics import create_metrics
from eval.metrics.motion.temporal_flickering import create as temporal_flickering
from eval.report import clip_table, drift_rows, frame_table, summary
from eval.video.reader import Unreadable, inspect_video, open_video

GOLDEN = Path(__file__).parents[1] / "golden" / "vbench"
METRICS = create_metrics(["temporal_flickering", "sharpness", "saturation"])


def write(path, frames, *, codec="libx264", pix_fmt="yuv420p", rate=16, stamps=None, options=None):
    """Encode by av; `stamps` are the frames' times in 1/90 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], pix_fmt
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            if stamps:
                stream.codec_context.time_base = Fraction(1, 90)
                picture.pts, picture.time_base = stamps[index], Fraction(1, 90)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def clip():
    return clean_clip()


@pytest.fixture
def mp4(tmp_path, clip):
    return write(tmp_path / "clip.mp4", clip)


def only(path, **more):
    (scores,) = evaluate([Source("clip", path, **more)], METRICS)
    return scores


def opencv(path):
    """(T, H, W, 3) RGB as VBench reads it."""
    video, frames = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])
    return np.stack(frames)


def decoded(path):
    with open_video(path) as video:
        return np.concatenate([window.frames for window in video.windows()])


# --- kinds of video

KINDS = {
    "h264": {},
    "yuv444p": {"pix_fmt": "yuv444p"},
    "10 bit": {"pix_fmt": "yuv420p10le"},
    "mpeg4": {"codec": "mpeg4"},
    "b-frames": {"options": {"bf": "3"}},
    "24000/1001": {"rate": Fraction(24000, 1001)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_that_vbench_sees(tmp_path, clip, kind):
    path = write(tmp_path / "clip.mp4", clip[:10], **KINDS[kind])
    assert np.array_equal(decoded(path), opencv(path))


@pytest.mark.parametrize(
    "suffix, codec", [("mkv", "libx264"), ("webm", "libvpx-vp9"), ("avi", "mpeg4"), ("gif", "gif")]
)
def test_any_container(tmp_path, clip, suffix, codec):
    pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    path = write(tmp_path / f"clip.{suffix}", clip[:10], codec=codec, pix_fmt=pix_fmt, rate=10)
    scores = only(path)
    assert (scores.frames, scores.width, scores.height, scores.skipped, scores.times) == (10, 240, 160, "", ())
    assert scores.fps == pytest.approx(10, rel=0.01)


@pytest.mark.parametrize("height, width", [(161, 241), (17, 33), (1, 1)])
def test_odd_sizes(tmp_path, height, width):
    frames = np.random.default_rng(0).integers(0, 256, (4, height, width, 3), dtype=np.uint8)
    path = write(tmp_path / "odd.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    assert np.array_equal(decoded(path), frames)
    assert only(path).results["temporal_flickering"].value is not None


def test_uneven_times_are_told_and_kept(tmp_path, clip):
    stamps = [0, 6, 12, 18, 60, 66, 72, 78]
    scores = only(write(tmp_path / "v.mp4", clip[:8], stamps=stamps))
    assert scores.times == pytest.approx([stamp / 90 for stamp in stamps], abs=1e-3)
    assert any("ms apart" in text for text in scores.notices)
    assert not only(write(tmp_path / "even.mp4", clip[:8])).notices


def test_a_change_of_size_within_a_file_is_told(tmp_path, clip):
    small = np.stack([cv2.resize(frame, (120, 80)) for frame in clip[:6]])
    parts = [write(tmp_path / f"{i}.ts", part).read_bytes() for i, part in enumerate((clip[:6], small))]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(parts))
    scores = only(joined)
    assert (scores.width, scores.frames) == (240, 12)
    assert any("picture size changes" in text for text in scores.notices)


# --- temporal flickering is VBench's


def test_temporal_flickering_of_a_file_is_the_recorded_number():
    row = json.loads((GOLDEN / "temporal_flickering.json").read_text())["clips"]["flicker"]
    (scores,) = evaluate([Source("f", GOLDEN / "flicker.mp4")], [temporal_flickering(None)])
    assert scores.results["temporal_flickering"].value == pytest.approx(row["vbench"], abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_temporal_flickering_is_what_vbench_computes(tmp_path, clip, kind, vbench_cal_score):
    path = write(tmp_path / "clip.mp4", clip, **KINDS[kind])
    assert only(path).results["temporal_flickering"].value == pytest.approx(vbench_cal_score(str(path)), abs=1e-6)


@pytest.fixture(scope="module")
def vbench_cal_score():
    """`cal_score` of the checkout that VBENCH_CHECKOUT names, without importing what its package needs."""
    checkout = os.environ.get("VBENCH_CHECKOUT")
    if not checkout:
        pytest.skip("VBENCH_CHECKOUT names no checkout of VBench")
    source = (Path(checkout) / "vbench" / "temporal_flickering.py").read_text()
    body = source[source.index("def get_frames") : source.index("def temporal_flickering")]
    names = {"np": np, "cv2": cv2}
    exec(compile(body, "temporal_flickering.py", "exec"), names)
    return names["cal_score"]


# --- bad files: each is skipped with its reason, and the run goes on

BAD = {
    "empty.mp4": (b"", "it is empty"),
    "text.mp4": (b"hello, I am text\n" * 50, "Invalid data"),
    "header.mp4": (b"\x00\x00\x00\x18ftypmp42" + bytes(100), "cannot be read|no video"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_skipped_in_one_sentence(tmp_path, mp4, name):
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    bad, good = evaluate([Source("bad", tmp_path / name), Source("good", mp4)], METRICS)
    assert bad.skipped and not bad.results and name in bad.skipped and "\n" not in bad.skipped
    with pytest.raises(Unreadable, match=words):
        inspect_video(tmp_path / name)
    assert not good.skipped and good.results["sharpness"].value


def test_missing_files_folders_and_sound_are_skipped(tmp_path):
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    skipped = [s.skipped for s in evaluate([Source(p.name, p) for p in (tmp_path / "x", tmp_path, sound)], METRICS)]
    assert "No such file" in skipped[0] and "holds no numbered PNG" in skipped[1] and "none of those" in skipped[2]


def test_a_truncated_file_gives_the_frames_it_has_and_says_so(tmp_path, clip):
    whole = write(tmp_path / "whole.mkv", np.concatenate([clip] * 3))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    scores = only(cut)
    assert not scores.skipped and 10 < scores.frames < 96
    front = write(tmp_path / "front.mp4", clip, options={"movflags": "+faststart"}).with_name("front.mp4")
    with av.open(str(front), options={}) as container:
        assert container.streams.video[0].frames == 32
    cut_mp4 = tmp_path / "cut.mp4"
    cut_mp4.write_bytes(front.read_bytes()[: front.stat().st_size // 2])
    assert "cannot be read as a video" in only(cut_mp4).skipped  # an mp4's index lies at its end


def test_damage_in_the_middle_is_told(tmp_path, clip):
    path = write(tmp_path / "clip.mkv", np.concatenate([clip] * 2), options={"g": "8"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    scores = only(path)
    assert not scores.skipped and scores.frames > 20


def test_a_metric_that_fails_leaves_the_others_alone(mp4):
    class Broken:
        facts = METRICS[0].facts.__class__(**{**METRICS[0].facts.__dict__, "name": "broken"})

        def missing(self):
            return ""

        def open(self, clip):
            raise KeyError("no such thing")

    (scores,) = evaluate([Source("c", mp4)], [Broken(), *METRICS])
    assert "KeyError" in scores.results["broken"].reason and scores.results["sharpness"].value
    assert "broken" not in scores.versions


# --- streaming, resuming, cancelling


def test_a_file_and_its_frames_score_alike(mp4):
    frames = decoded(mp4)
    assert only(mp4).results == next(evaluate([Source("f", frames=frames, fps=16)], METRICS)).results


def test_windows_join_up(mp4):
    with open_video(mp4) as video:
        windows = list(video.windows())
    frames = np.concatenate([window.frames for window in windows])
    assert [window.first for window in windows] == [0, 16]
    assert windows[0].before is None and np.array_equal(windows[1].before, frames[15])


def test_scores_survive_json(mp4):
    scores = only(mp4, prompt="a café")
    assert ClipScores.from_json(scores.to_json()) == scores
    assert "\n" not in scores.to_json()
    with pytest.raises(ValueError, match="not a clip's scores"):
        ClipScores.from_json("[]")


def test_what_was_scored_is_not_scored_again(tmp_path, mp4):
    first = only(mp4)
    done = {done_key(first): first}
    seen = []
    (again,) = evaluate([Source("clip", mp4)], METRICS, done=done, on_progress=lambda p: seen.append(p.frame))
    assert again.results == first.results and seen == [0]
    more = [*METRICS, *create_metrics(["contrast"])]
    (wider,) = evaluate([Source("clip", mp4)], more, done=done, on_progress=lambda p: seen.append(p.frame))
    assert wider.results["contrast"].value and seen[-1] == 32
    (other,) = evaluate([Source("clip", mp4, prompt="other")], METRICS, done=done)
    assert other.prompt == "other"


def test_a_cut_line_of_an_earlier_run_is_left_out(tmp_path, mp4):
    first, journal = only(mp4), tmp_path / "j.jsonl"
    journal.write_text(first.to_json() + "\n" + first.to_json()[:50])
    done = DoneFile(journal)
    assert len(done) == 1 and done[done_key(first)] == first
    assert len(DoneFile(tmp_path / "none.jsonl")) == 0


@pytest.mark.parametrize("matrix", [(0, 1, 0, -1, 0, 0, 0, 0), (-1, 0, 0, 0, -1, 0, 0, 0), (0, -1, 0, 1, 0, 0, 0, 0)])
def test_a_video_that_says_how_it_was_held_is_turned_upright(tmp_path, clip, matrix):
    path = write(tmp_path / "held.mp4", clip[:3, :, :150])
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44  # the display matrix of the track, in 1/65536, ends in 1.0 of 1/2^30
    content[place : place + 36] = struct.pack(">9i", *(value << 16 for value in matrix), 1 << 30)
    path.write_bytes(content)
    with open_video(path) as video:
        frames = np.concatenate([window.frames for window in video.windows()])
    assert np.array_equal(frames, opencv(path))
    assert frames.shape[1:3] == ((150, 160) if matrix[1] else (160, 150))
    assert (only(path).width, only(path).height) == frames.shape[2:0:-1]


def test_cancelling_stops_within_a_window(tmp_path, clip):
    path = write(tmp_path / "long.mp4", np.concatenate([clip] * 4))
    seen = []
    with pytest.raises(Cancelled):
        list(
            evaluate(
                [Source("c", path)],
                METRICS,
                on_progress=lambda p: seen.append(p.frame),
                cancelled=lambda: bool(seen and seen[-1] >= 32),
            )
        )
    assert max(seen) == 32


def test_clips_side_by_side_come_in_order_with_the_same_numbers(tmp_path, clip):
    paths = [write(tmp_path / f"{i}.mp4", clip[: 32 - 9 * i]) for i in range(3)]
    (tmp_path / "bad.mp4").write_text("no video")
    sources = [Source(path.name, path) for path in (*paths, tmp_path / "bad.mp4", *paths)]
    found = list(evaluate(sources, METRICS, at_once=3))
    assert [scores.id for scores in found] == [source.id for source in sources] and found[3].skipped
    assert [scores.results for scores in found] == [scores.results for scores in evaluate(sources, METRICS)]
    seen = []
    some = evaluate([*sources] * 20, METRICS, at_once=3, on_progress=lambda p: seen.append(p.clip))
    next(some)
    some.close()  # who leaves early does not wait for the rest
    assert max(seen) < 10


# VmHWM and not ru_maxrss, which a process inherits from the one that started it
MEMORY = """
import sys
from eval.evaluator import Source, evaluate
from eval.metrics import create_metrics
names = ["temporal_flickering", "sharpness", "colorfulness", "saturation", "warping_error"]
(scores,) = evaluate([Source("c", __import__("pathlib").Path(sys.argv[1]))], create_metrics(names))
assert scores.frames == int(sys.argv[2]), scores
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_length(tmp_path, clip):
    peaks = []
    for repeats in (1, 12):
        frames = np.concatenate([clip] * repeats)
        path = write(tmp_path / f"{repeats}.mp4", frames, options={"preset": "ultrafast"})
        command = [sys.executable, "-c", MEMORY, str(path), str(len(frames))]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, cwd=root)
        peaks.append(int(done.stdout) / 1024)
    # 352 more frames would be 40 MB; windows on their way take the same in both
    assert peaks[1] < peaks[0] + 25


# --- tables


def test_tables_hold_every_clip_and_every_reason(tmp_path, mp4, clip):
    one = write(tmp_path / "one.mp4", clip[:1])
    scores = list(evaluate([Source("a", mp4), Source("one", one), Source("bad", tmp_path / "no.mp4")], METRICS))
    table = clip_table(scores)
    assert list(table["clip"]) == ["a", "one", "bad"]
    assert "No such file" in table["skipped"][2] and "one frame" in table["reasons"][1]
    frames = frame_table(scores)
    assert len(frames) == 33 and frames["seconds"][1] == 1 / 16 and np.isnan(frames["temporal_flickering"][0])
    rows = {row.metric: row for row in summary(scores)}
    assert (rows["temporal_flickering"].n, rows["temporal_flickering"].unscored) == (1, 2)
    assert rows["temporal_flickering"].low is None and rows["sharpness"].n == 2
    assert rows["temporal_flickering"].reasons["skipped"] == 1
    assert {row["metric"] for row in drift_rows(scores[0])} == {m.facts.name for m in METRICS}


def test_intervals_are_over_prompts(clip):
    sources = [Source(str(i), frames=np.roll(clip, i, 2), fps=16, prompt="ab"[i % 2]) for i in range(4)]
    (row,) = summary(list(evaluate(sources, METRICS[1:2])))
    assert row.n == 4 and row.low <= row.mean <= row.high
