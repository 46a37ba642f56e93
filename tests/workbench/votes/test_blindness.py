"""What annotators are sent tells nothing but what it shows: the video's form, the copies, and those who guess."""

import asyncio
import io
import os
import threading
import time
from dataclasses import replace

import av
import numpy as np
import pytest

from models.types import RequestError
from workbench.clips.media import encode_mp4
from workbench.clips.plain_video import Planes, plain_size, write_plain
from workbench.lab.drawn_study import SIZE, draw, make_trial, trial_study
from workbench.lab.leak_trial import keep_everything, told_apart
from workbench.lab.voting_server import build_voting_app
from workbench.requests.systems import System
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.records import Assignment, Clip
from workbench.ui.live import listening
from workbench.votes.blindness.blind_copies import FOLDER, BlindCopies, write_copies
from workbench.votes.blindness.leak_guessers import GUESSERS, guesses, read_sent
from workbench.votes.study_clips import leaks_of_copies

CHANNELS = {f"guess by {channel}" for channel in GUESSERS}


def planes(count: int, width: int, height: int, low: int = 1, high: int = 254) -> Planes:
    rng = np.random.default_rng(count + width)
    sizes = (height, width), (height // 2, width // 2), (height // 2, width // 2)
    return Planes(*(rng.integers(low, high + 1, (count, *size), np.uint8) for size in sizes))


def plain(pictures: Planes, fps: float = 12) -> bytes:
    out = io.BytesIO()
    count, height, width = pictures.y.shape
    write_plain(out, [pictures], count, width, height, fps)
    return out.getvalue()


# the video


@pytest.mark.parametrize("count, width, height, fps", [(5, 32, 32, 12), (3, 50, 38, 30000 / 1001), (2, 832, 480, 16)])
def test_ffmpeg_reads_every_sample_back(count, width, height, fps):
    """FFmpeg is the second implementation; sides that are no multiples of 16 are cropped."""
    pictures = planes(count, width, height)
    content = plain(pictures, fps)
    assert len(content) == plain_size(count, width, height, fps)
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-6) and stream.frames == count
        frames = list(container.decode(stream))
    assert len(frames) == count and all(frame.key_frame for frame in frames)
    assert {(int(frame.colorspace), int(frame.color_range)) for frame in frames} == {(1, 1)}
    for k, plane in enumerate(pictures):
        assert np.array_equal(np.stack([samples(frame.planes[k]) for frame in frames]), plane)


def test_all_files_of_a_shape_differ_in_samples_alone():
    """Where two files agree whatever they show is where neither has a sample."""
    first, second = (np.frombuffer(plain(planes(3, 32, 32, *range_)), np.uint8) for range_ in ((1, 100), (101, 254)))
    assert len(first) == len(second) and int((first != second).sum()) == 3 * 32 * 32 * 3 // 2


def test_what_would_change_the_length_is_refused():
    with pytest.raises(ValueError, match="samples are 0"):
        plain(planes(1, 32, 32, 0, 0))
    with pytest.raises(ValueError, match="1 pictures came"):
        write_plain(io.BytesIO(), [planes(1, 32, 32)], 2, 32, 32, 12)


# the copies


@pytest.fixture
def clip(tmp_path):
    """Makes clips of noise that have `kept` of their pictures."""

    def make(name: str, frames: np.ndarray, kept: int | None = None) -> Clip:
        encode_mp4(frames, 12, tmp_path / f"{name}.mp4")
        count, height, width, _ = frames.shape
        return Clip(name, "study", name, "prompt", 0, f"{name}.mp4", kept or count, 12.0, width, height, 0)

    return make


def given(left: Clip, right: Clip, name: str = "one") -> Assignment:
    return Assignment(
        name, "study", 1, "ann", "pair", "", "prompt", 0, left, right, f"{name}-l", f"{name}-r", "2026", None
    )


def samples(plane) -> np.ndarray:
    return np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]


def luma(path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([samples(frame.planes[0]) for frame in container.decode(video=0)]).astype(int)


def test_a_copy_is_within_a_level_of_its_clip_and_no_two_are_alike(tmp_path, clip, world_clip):
    mine = clip("mine", world_clip[:5])
    copies = BlindCopies(tmp_path)
    pair = given(mine, mine)
    left, right = (copies.path(pair, token) for token in ("one-l", "one-r"))
    shown = luma(tmp_path / mine.file)
    for path in (left, right):
        off = luma(path) - np.clip(shown, 2, 253)
        assert np.abs(off).max() == 1 and abs(off.mean()) < 0.05 and 0.4 < (off == 0).mean() < 0.6
    sent = [read_sent(path.read_bytes(), "prompt") for path in (left, right, tmp_path / mine.file)]
    assert sent[0].size == sent[1].size and not np.intersect1d(sent[0].pieces, sent[1].pieces).size
    assert len(set(sent[0].packets)) == 1 and len(set(sent[2].packets)) > 1


def test_a_copy_that_was_removed_comes_again_the_same(tmp_path, clip):
    pair = given(*(clip(name, draw(System(name, 1), "p", 0, 3).frames) for name in "xy"))
    path = BlindCopies(tmp_path).path(pair, "one-l")
    before = path.read_bytes()
    path.unlink()
    assert BlindCopies(tmp_path).path(pair, "one-l").read_bytes() == before


def test_both_sides_are_as_long_even_where_clips_are_not(tmp_path, clip):
    frames = draw(System("x", 1), "p", 0, 9).frames
    pair = given(clip("x", frames), clip("y", np.concatenate([frames[:5], frames[:5]], axis=2)[:5]))
    copies = BlindCopies(tmp_path)
    sent = [read_sent(copies.path(pair, token).read_bytes(), "p") for token in ("one-l", "one-r")]
    assert sent[0].size == sent[1].size and len(sent[0].packets) == len(sent[1].packets) == 5


def test_neither_side_is_given_before_both_are_there(tmp_path, clip, monkeypatch):
    """So that the time until an answer is no side's own."""
    pair = given(*(clip(name, draw(System(name, 1), "p", 0, 3).frames) for name in "xy"))
    gate = threading.Event()

    def slow(data_dir, clips, tokens, paths):
        write_copies(data_dir, clips, tokens, paths)
        moved = paths[1].with_suffix(".later")
        paths[1].rename(moved)
        assert gate.wait(10)
        moved.rename(paths[1])

    monkeypatch.setattr("workbench.votes.blindness.blind_copies.write_copies", slow)
    copies, answered = BlindCopies(tmp_path), []
    asking = threading.Thread(target=lambda: answered.append(copies.path(pair, "one-l")))
    copies.begin(pair)
    asking.start()
    time.sleep(0.2)
    assert not answered
    gate.set()
    asking.join(10)
    assert answered


def test_the_oldest_copies_are_removed_when_there_are_too_many(tmp_path, clip):
    x, y = (clip(name, draw(System(name, 1), "p", 0, 3).frames) for name in "xy")
    size = 2 * plain_size(3, SIZE, SIZE, 12)
    copies = BlindCopies(tmp_path, most_bytes=4 * size)
    for k in range(12):
        path = copies.path(given(x, y, f"pair {k}"), f"pair {k}-l")
        for side in "lr":
            os.utime(tmp_path / FOLDER / f"pair {k}-{side}.mp4", (k, k))
    kept = {path.name.split("-")[0] for path in (tmp_path / FOLDER).glob("*.mp4")}
    assert "pair 11" in kept and path.is_file() and len(kept) <= 4


def test_a_clip_that_is_gone_or_not_as_it_was_is_told(tmp_path, clip):
    frames = draw(System("x", 1), "p", 0, 3).frames
    here, longer = clip("x", frames), clip("z", frames, kept=9)
    with pytest.raises(RequestError, match="cannot be shown"):
        BlindCopies(tmp_path).path(given(here, replace(here, file="gone.mp4")), "one-l")
    with pytest.raises(RequestError, match="3 pictures came, and 9"):
        BlindCopies(tmp_path).path(given(longer, longer), "one-l")


# the guessers

PROMPTS, SYSTEMS = 6, ("shapes-asd:1:4", "shapes-self-forcing:1:0")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder with drawn clips of two systems, of which the second is busier, and so takes more bytes."""
    folder, pairs = tmp_path_factory.mktemp("guessed"), []
    for k in range(PROMPTS):
        pair = []
        for system in SYSTEMS:
            frames = draw(System.read(system), f"p{k}", 0, 5).frames
            frames = frames if system == SYSTEMS[1] else frames // 2
            file = f"{k} {system[:9]}.mp4"
            encode_mp4(frames, 12, folder / file)
            pair.append(Clip(f"{k} {system}", "s", system, f"p{k}", 0, file, 5, 12.0, SIZE, SIZE, 0))
        pairs.append(tuple(pair))
    return folder, pairs


def leaking(folder, pairs, headers=lambda side: {}, seconds=lambda side: 0.0, content=None) -> set[str]:
    """Which guessers beat chance on what each pair's two clips are sent as, twice."""
    content = content or (lambda clip, side: (folder / clip.file).read_bytes())
    sent = [
        tuple(
            read_sent(content(clip, side), clip.prompt, headers(side), seconds(side)) for side, clip in enumerate(pair)
        )
        for pair in pairs * 2
    ]
    found = [guess.finding for guess in guesses(sent)]
    assert {finding.channel for finding in found} == CHANNELS
    return {finding.channel.removeprefix("guess by ") for finding in found if finding.leaks}


def test_files_sent_as_they_are_are_told_apart(study):
    told = leaking(*study)
    assert told >= {"size", "sizes of packets", "larger packets", "sizes of what is coded", "file heads"}
    assert "recurring bytes" in told


def shape_alone(clip: Clip, side: int) -> bytes:
    """What is sent when nothing leaks: noise of one length."""
    rng = np.random.default_rng(threading.get_ident() + time.perf_counter_ns())
    size = (2, SIZE, SIZE), (2, SIZE // 2, SIZE // 2), (2, SIZE // 2, SIZE // 2)
    return plain(Planes(*(rng.integers(1, 255, each, np.uint8) for each in size)))


def own_header(side: int) -> dict[str, str]:
    return {"X-Served-By": "ab"[side], "ETag": str(time.perf_counter_ns())}


WAITS = np.random.default_rng(0)


def slower(side: int) -> float:
    """No two waits are alike, and the second side's are longer."""
    return WAITS.exponential(0.02) + 0.1 * side


def longer(clip: Clip, side: int) -> bytes:
    return shape_alone(clip, side) + b"\0\0\0\x08free" * side


def own_brand(clip: Clip, side: int) -> bytes:
    return shape_alone(clip, side).replace(b"isomiso2", b"isomiso%d" % side)


def the_same_again(clip: Clip, side: int) -> bytes:
    return plain(planes(2, SIZE, SIZE, 1 + side, 200 + int(clip.prompt[1:])))


@pytest.mark.parametrize(
    "channel, planted",
    [
        ("response headers", {"headers": own_header}),
        ("timing", {"seconds": lambda side: 0.010 + 0.004 * side}),
        ("slower answers", {"seconds": slower}),
        ("size", {"content": longer}),
        ("file heads", {"content": own_brand}),
        ("recurring bytes", {"content": the_same_again}),
    ],
)
def test_every_planted_leak_is_found_by_its_guesser(study, channel, planted):
    told = leaking(*study, **{"content": shape_alone, **planted})
    assert channel in told, told
    assert told <= {channel, "file heads", "timing", "slower answers"}  # a longer file has another tail


def test_a_filler_does_not_hide_what_is_coded(study):
    """Packets made equal by filler units are equal to who counts bytes, and differ for who reads them."""

    def filled(clip, side):
        out = io.BytesIO()
        with av.open(str(study[0] / clip.file)) as source, av.open(out, "w", format="mp4") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    filler = b"\x0c" + b"\xff" * (9_000 - packet.size)
                    made = av.Packet(bytes(packet) + len(filler).to_bytes(4) + filler)
                    made.pts, made.dts, made.time_base, made.stream = packet.pts, packet.dts, packet.time_base, stream
                    target.mux(made)
        return out.getvalue()

    told = leaking(*study, content=filled)
    assert {"sizes of what is coded", "more that is coded"} <= told
    assert not {"sizes of packets", "larger packets"} & told


def test_nothing_of_what_is_shipped_tells_the_sides_apart(study):
    found = leaks_of_copies(*study)
    guessed = {finding.channel: finding for finding in found if finding.channel in CHANNELS}
    assert set(guessed) == CHANNELS
    assert {finding.says for finding in guessed.values()} == {f"has nothing to go by in any of {2 * PROMPTS} pairs"}


def test_the_attack_by_http_finds_nothing_and_a_header_of_one_side(tmp_path):
    """The whole way: annotators who keep everything, real answers, labels from the store."""
    settings = Settings(data_dir=tmp_path, min_watch=0.0)
    record = make_trial(settings, trial_study(4, identical=1))
    store = open_store(settings)
    app = build_voting_app(settings)

    @app.middleware("http")
    async def planted(request, call_next):
        answer = await call_next(request)
        given = leaky and store.ballots.of_token(request.url.path.rpartition("/")[2])
        if given:
            mine = given.left if request.url.path.endswith(given.left_token) else given.right
            answer.headers["X-Worker"] = str(len(mine.system) % 2)
        return answer

    with listening(app) as url:
        for leaky in (False, True):
            kept = asyncio.run(keep_everything(url, record.id, 2))
            found = {guess.channel: guess for guess in told_apart(kept, store, record)}
            assert {guess.pairs for guess in found.values()} == {8} and len(kept) == 10
            assert found["response headers"].finding.leaks is leaky
            untimed = [guess for channel, guess in found.items() if channel not in ("timing", "slower answers")]
            assert sum(guess.decided for guess in untimed) == (8 if leaky else 0)
    store.close()
