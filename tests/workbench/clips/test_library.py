"""Which clips can be evaluated: those of the store by words, and those of folders, with what is left out told."""

import os
from pathlib import Path

import pytest

from eval.video.reader import inspect_video
from models.types import GenerationRequest, RequestError
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.clips.library import LINK, ClipFile, Library, conditioning_picture, give_prompts, world_of
from workbench.clips.manifest import read_manifest
from workbench.clips.media import encode_mp4, read_image, write_png
from workbench.ui.pages.evaluate.page import left_out
from workbench.ui.selftest import coded_clip

PROMPT = "a red circle moving right on a black background"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data folder with two clips made by a tiny model, and a folder of other videos, two of them broken."""
    folder = tmp_path_factory.mktemp("data")
    service = GenerationService(folder, pipelines={"shapes-asd": tiny_pipeline(0)})
    for seed in (11, 12):
        service.generate("shapes-asd", GenerationRequest(PROMPT, 1, frames=13, seed=seed))
    others = folder / "others" / "deep"
    others.mkdir(parents=True)
    for path in (folder / "others" / "coded12.mp4", others / "coded16.mp4", folder / "others" / "world.mp4"):
        encode_mp4(coded_clip(5), 12, path)
    (folder / "others" / "empty.mp4").write_bytes(b"")
    (folder / "others" / "renamed.mp4").write_text("hello")
    (folder / "others" / "notes.txt").write_text("not a video by its name")
    return folder


def roots(data: Path) -> tuple[Path, ...]:
    """Folders that a server was started with."""
    return (data / "others", data / "clips")


def test_the_store_is_listed_newest_first_and_filtered_by_words(data):
    library = Library(data)
    total, clips = library.listing()
    assert total == 2 and [clip.manifest.seed for clip in clips] == [12, 11]
    assert [clip.id for clip in library.listing("seed 11 CIRCLE")[1]] == [clips[1].id]
    assert [clip.id for clip in library.listing(before={clips[1].id})[1]] == [clips[1].id, clips[0].id]
    assert library.listing("zeppelin") == (0, []) and library.listing(limit=1, offset=1)[1] == [clips[1]]
    assert library.stored(clips[0].id) == ClipFile(clips[0].path, clips[0].label, PROMPT, clips[0].id)


@pytest.mark.parametrize("identity", ["nope", "../others/coded12", "", "a" * 300, "x\0y"])
def test_only_clips_of_the_store_have_an_id(data, identity):
    with pytest.raises(RequestError, match="not in the store"):
        Library(data).stored(identity)


def test_a_folder_gives_its_videos_and_counts_the_rest(data):
    clips, others = Library(data, roots(data)).folder("others")
    assert [clip.name for clip in clips] == [
        "coded12.mp4",
        "deep/coded16.mp4",
        "empty.mp4",
        "renamed.mp4",
        "world.mp4",
    ]
    assert others == {".txt": 1}
    made, others = Library(data, roots(data)).folder("clips")
    assert {clip.prompt for clip in made} == {PROMPT} and not others  # manifests give prompts and count as read


@pytest.mark.parametrize(
    "folder",
    ["..", "/etc", "others/../../", "others//etc", "others/..", "clips/" + "x" * 5000, "\0", "others/\0", "missing"],
)
def test_folders_outside_the_allowed_one_are_refused_in_one_sentence(data, folder):
    with pytest.raises(RequestError) as error:
        Library(data, roots(data)).folder(folder)
    assert ("cannot be opened" in str(error.value)) is (len(folder) > 5000 or folder == "others/\0")  # else its own
    assert "\n" not in str(error.value) and str(data) not in str(error.value)


def test_without_roots_no_folder_opens_and_like_names_get_numbers(data, tmp_path):
    with pytest.raises(RequestError, match="--clips DIR"):
        Library(data).folder("clips")
    (tmp_path / "clips").mkdir()
    assert list(Library(data, [data / "clips", tmp_path / "clips"]).roots) == ["clips", "clips-2"]


def test_links_out_of_the_allowed_folder_are_not_followed(data, tmp_path):
    (tmp_path / "root").mkdir()
    encode_mp4(coded_clip(3), 12, tmp_path / "secret.mp4")
    (tmp_path / "root" / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(RequestError, match="no videos and no numbered PNG frames; 1 link out of it; choose"):
        Library(data, [tmp_path / "root"]).folder("root")


def test_a_manifest_out_of_the_folder_or_a_pipe_gives_no_prompt(data, tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    for name in ("a", "b"):
        encode_mp4(coded_clip(3), 12, root / f"{name}.mp4")
    (root / "a.json").symlink_to(next((data / "clips").glob("*.json")))
    os.mkfifo(root / "b.json")
    clips, _ = Library(data, [root]).folder("root")
    assert [(clip.name, clip.prompt) for clip in clips] == [("a.mp4", ""), ("b.mp4", "")]
    assert [(world_of(clip.path), conditioning_picture(clip.path)) for clip in clips] == [("", None)] * 2
    with pytest.raises(RequestError, match=r"Is a pipe, not a file\); give the \.json beside a clip"):
        read_manifest(root / "b.json")
    with pytest.raises(RequestError, match="Is a pipe, not a file"):
        read_image(root / "b.json")


def test_a_folder_of_numbered_pictures_is_a_clip_and_what_is_left_out_is_told(tmp_path):
    root = tmp_path / "rendered"
    (root / "a").mkdir(parents=True)
    for number, frame in enumerate(coded_clip(4)):
        write_png(root / "a" / f"frame_{number:03d}.png", frame)
    encode_mp4(coded_clip(3), 12, root / "b.mp4")
    (root / "notes.txt").write_text("no video")
    library = Library(tmp_path, [root])
    clips, passed = library.folder("rendered")
    assert [clip.name for clip in clips] == ["a", "b.mp4"] and passed == {".txt": 1}
    read = [inspect_video(clip.path).frames for clip in clips]
    assert read == [4, 3]
    (frames,), _ = library.folder("rendered/a")
    assert frames.name == "a"
    (root / "a" / "frame_003.png").unlink()
    (root / "a" / "frame_003.png").symlink_to(write_outside(tmp_path))
    (root / "c.mp4").symlink_to(tmp_path / "secret.png")
    clips, passed = library.folder("rendered")
    assert [clip.name for clip in clips] == ["b.mp4"]  # one frame leads out of the root
    assert passed == {".txt": 1, LINK: 2}
    told = "1 other file in the folder is no video and was left out: 1 .txt. "
    assert left_out(passed) == told + "2 links in the folder lead out of it and were not followed."


def write_outside(folder: Path) -> Path:
    write_png(folder / "secret.png", coded_clip(1)[0])
    return folder / "secret.png"


def test_prompts_go_to_clips_that_have_none():
    clips = [ClipFile(Path("a"), "a"), ClipFile(Path("b"), "b", "kept"), ClipFile(Path("c"), "c")]
    assert [clip.prompt for clip in give_prompts(clips, ["one"])] == ["one", "kept", "one"]
    assert [clip.prompt for clip in give_prompts(clips, ["x", "y"])] == ["x", "kept", "y"]
    assert give_prompts(clips, []) == clips
    with pytest.raises(RequestError, match="3 prompts are given for 2 clips"):
        give_prompts(clips, ["x", "y", "z"])
