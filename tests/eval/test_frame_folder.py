"""Folders of numbered PNG frames are clips: same values as the video they came from, and a rate that is said."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.evaluator import Source, evaluate
from eval.metrics import create_metric
from eval.video.frame_folder import frame_files
from eval.video.limits import VARIABLE
from eval.video.reader import Unreadable, file_digest, open_video
from models.types import RequestError
from workbench.__main__ import main
from workbench.clips.media import read_image, write_png
from workbench.clips.search import find_clips

CASES = Path(__file__).parents[1] / "cases"
METRICS = ("sharpness", "temporal_flickering", "luma_flicker")


@pytest.fixture
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 16, 24, 3)).astype(np.uint8)


def write(folder: Path, frames: np.ndarray, name: str = "frame_{}.png") -> Path:
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        write_png(folder / name.format(number), frame)
    return folder


def test_pictures_are_the_frames_in_the_order_of_their_numbers(tmp_path, frames):
    folder = write(tmp_path / "clip", frames)  # 10 comes after 9, not after 1
    with open_video(folder) as video:
        got = np.concatenate([window.frames for window in video.windows()])
        assert video.facts.fps == 24 and "pictures have no rate" in video.facts.notices[0]
    assert np.array_equal(got, frames)
    metrics = [create_metric(name) for name in METRICS]
    (one,) = evaluate([Source("a", path=folder, fps=12.0)], metrics)
    (other,) = evaluate([Source("a", frames=frames, fps=12.0)], metrics)
    assert one.results == other.results and (one.fps, one.frames, one.notices) == (12.0, 20, ())
    assert all(result.value is not None for result in one.results.values())
    before = file_digest(folder)
    write_png(folder / "frame_3.png", frames[0])
    assert file_digest(folder) != before


@pytest.mark.parametrize("names", [["a.png", "b.png"], ["1.png"], ["a1.png", "b01.png"], ["1.jpg", "2.jpg"], []])
def test_other_pictures_are_no_clip(tmp_path, names):
    for name in names:
        write_png(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    assert frame_files(tmp_path) == []


def test_folders_of_frames_are_scored_named_and_counted(capsys, tmp_path, monkeypatch, frames):
    monkeypatch.chdir(tmp_path)
    write(Path("clips/one"), frames)
    write(Path("clips/deep/two"), frames[:5], "{}.PNG")
    shutil.copyfile(CASES / "base.mp4", "clips/base.mp4")
    asked = ["evaluate", "--metrics", "sharpness", "--json"]
    assert main([*asked, "clips"]) == 0
    told = capsys.readouterr()
    assert [row["id"] for row in json.loads(told.out)["clips"]] == ["clips/base.mp4"]
    assert "1 video is scored; 2 in its sub-folders can be scored with --recursive" in told.err
    assert main([*asked, "clips", "--recursive", "--fps", "8"]) == 0
    told = capsys.readouterr()
    rows = {row["id"]: (row["frames"], row["fps"]) for row in json.loads(told.out)["clips"]}
    assert rows == {"clips/base.mp4": (36, 12.0), "clips/deep/two": (5, 8.0), "clips/one": (20, 8.0)}
    assert main([*asked, "clips/one"]) == 0
    assert "24 frames a second are taken" in capsys.readouterr().err


def test_faults_of_pictures_are_told_in_one_sentence(tmp_path, monkeypatch, frames):
    folder = write(tmp_path / "clip", frames[:4])
    write_png(folder / "frame_3.png", np.zeros((8, 8, 3), np.uint8))
    assert "frame_3.png is 8x8, and the first picture is 24x16" in fault(folder)
    (folder / "frame_3.png").write_bytes((folder / "frame_2.png").read_bytes()[:60])
    assert "frame_3.png" in fault(folder)
    (folder / "frame_1.png").write_bytes(b"none")
    assert "frame_1.png is no PNG picture" in fault(folder)
    monkeypatch.setenv(VARIABLE, "frames=3")
    assert "4 frames, and at most 3" in fault(folder)


def read(folder: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """The frames, and what was told beside the rate."""
    told: list[str] = []
    with open_video(folder) as video:
        got = np.concatenate([window.frames for window in video.windows(told.append)])
    return got, (*video.facts.notices[1:], *told)


def test_pictures_of_16_bits_are_those_of_8_bits(tmp_path, frames):
    for place, kind in (("deep", np.uint16), ("usual", np.uint8)):
        (tmp_path / place).mkdir()
        for number, frame in enumerate(frames[:3, ..., 0]):
            Image.fromarray(frame.astype(kind) * kind(257 if place == "deep" else 1)).save(
                tmp_path / place / f"{number}.png"
            )
    (deep, told), (usual, _) = read(tmp_path / "deep"), read(tmp_path / "usual")
    assert np.array_equal(deep, usual) and told == ()
    assert np.array_equal(read_image(tmp_path / "deep/1.png"), usual[1])


def test_turned_and_transparent_pictures_are_shown_as_everywhere_and_told(tmp_path, frames):
    tag = Image.Exif()
    tag[0x112] = 6
    for number, frame in enumerate(frames[:3]):
        (tmp_path / "turned").mkdir(exist_ok=True)
        Image.fromarray(frame).save(tmp_path / f"turned/{number}.png", exif=tag)
    got, told = read(tmp_path / "turned")
    assert np.array_equal(got, np.rot90(frames[:3], -1, (1, 2))) and "EXIF" in told[0]
    clear = np.concatenate([frames[:3], np.full((3, 16, 24, 1), 255, np.uint8)], 3)
    clear[:, :4, :4, 3] = 0
    (tmp_path / "clear").mkdir()
    for number, frame in enumerate(clear):
        Image.fromarray(frame).save(tmp_path / f"clear/{number}.png")
    got, told = read(tmp_path / "clear")
    assert (got[:, :4, :4] == 255).all() and np.array_equal(got[:, 4:], frames[:3, 4:]) and "on white" in told[0]


def test_missing_numbers_are_told(tmp_path, frames):
    folder = write(tmp_path / "clip", frames[:9], "{}0.png")
    assert read(folder)[1] == ()  # every tenth one is there
    for number in (20, 60, 70):
        (folder / f"{number}.png").unlink()
    (told,) = read(folder)[1]
    assert "frames 20, 60 to 70 are missing" in told and "evenly spaced" in told


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a_0.png", "a_1.png", "b_0.png"], "'a_0.png' and 'b_0.png' have the same number"),
        (["1.png"], "a single picture"),
        (["1.png", "2.png", "thumb.png"], "'thumb.png' does not end in a number"),
    ],
)
def test_why_pictures_are_no_clip_is_told(tmp_path, names, said):
    for name in names:
        write_png(tmp_path / name, np.zeros((8, 8, 3), np.uint8))
    assert said in fault(tmp_path)
    with pytest.raises(RequestError, match=said):
        find_clips([tmp_path])


def fault(folder: Path) -> str:
    with pytest.raises(Unreadable) as caught, open_video(folder) as video:
        list(video.windows())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_without_a_decoder_does_not_end_a_batch(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    clip = (CASES / "base.mp4").read_bytes()
    Path("a.mp4").write_bytes(clip.replace(b"avc1", b"zzzz"))
    Path("b.mp4").write_bytes(clip)
    assert main(["evaluate", ".", "--metrics", "sharpness", "--json"]) == 0
    told = capsys.readouterr()
    first, second = json.loads(told.out)["clips"]
    assert "cannot be decoded" in first["skipped"] and second["results"]["sharpness"]["value"] is not None
    assert "Traceback" not in told.err


def test_a_pipe_among_the_pictures_does_not_hang(tmp_path, frames):
    folder = write(tmp_path / "clip", frames)
    os.mkfifo(folder / "frame_900.png")
    assert "frame_900.png is not a file" in fault(folder)
    with pytest.raises(Unreadable, match=r"frame_900\.png is not a file"):
        file_digest(folder)
