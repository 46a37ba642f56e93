"""Which video files a path means, and what of a folder was passed over."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from eval.video.frame_folder import frame_files, lacking_frames
from eval.video.reader import SUFFIXES
from models.types import RequestError
from workbench.clips.manifest import read_manifest
from workbench.common.words import counted

BESIDE_CLIPS = (".json", ".input.png", ".input.mkv")  # manifests, and what clips were made from
ENDINGS_TOLD = 5


def find_clips(
    paths: Sequence[Path], *, recursive: bool = False, notify: Callable[[str], None] = lambda text: None
) -> list[Path]:
    """The clips that `paths` mean, each once: files as given, a folder's videos by name, a manifest's clip, and
    folders whose pictures are the numbered frames of one clip.

    `recursive` takes sub-folders too, links to folders left out. `notify` is told how many files were passed over,
    by their endings, and how many videos lie in sub-folders. Raises RequestError for a path that does not exist, and
    for a folder without videos.
    """
    found = [clip for path in paths for clip in _clips_of(path, recursive, notify)]
    return list(dict.fromkeys(found))


def shown_name(path: Path | str) -> str:
    r"""A path as text that can be written anywhere: bytes of a name that are not UTF-8 are shown as \xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _clips_of(path: Path, recursive: bool, notify: Callable[[str], None]) -> list[Path]:
    if path.is_dir():
        return _clips_in(path, recursive, notify)
    if not path.exists():
        raise RequestError(f"{str(path)!r} does not exist; give a video, a folder of videos or a manifest")
    if path.suffix.lower() == ".json":
        read_manifest(path)
        clip = path.with_suffix(".mp4")
        if not clip.exists():
            raise RequestError(f"{str(path)!r} is the manifest of {clip.name}, which is not beside it; put it there")
        return [clip]
    return [path]


def _clips_in(folder: Path, recursive: bool, notify: Callable[[str], None]) -> list[Path]:
    clips, passed, deeper = [], Counter(), 0
    for place, name in files_below(folder):
        if name is None:  # a folder of frames
            if recursive or place == str(folder):
                clips.append(Path(place))
            else:
                deeper += 1
            continue
        if not is_video(name):
            passed[ending(name)] += not is_beside(name) and (recursive or place == str(folder))
            passed[f"hidden {ending(name)}"] += is_hidden_video(name) and (recursive or place == str(folder))
        elif recursive or place == str(folder):
            clips.append(Path(place) / name)
        else:
            deeper += 1
    shown = shown_name(folder)
    more = f"; {deeper} in its sub-folders can be scored with --recursive" if deeper else ""
    if not clips:
        kinds = ", ".join(SUFFIXES[:5])
        lacks = f"{str(folder)!r} holds no videos ({kinds}, ...) and {lacking_frames(folder)}"
        raise RequestError(f"{lacks}{more or '; give another folder'}")
    if more:
        notify(f"{shown!r}: {counted(len(clips), 'video is', 'videos are')} scored{more}")
    if told := told_endings(passed):
        notify(f"{shown!r}: files that are no videos were passed over: {told}")
    return clips


def told_endings(passed: Counter[str]) -> str:
    """How many files have which endings, the most frequent first: "3 .txt, 1 .csv"; empty for none."""
    told = [f"{count} {ending}" for ending, count in passed.most_common() if count]
    rest = f" and {len(told) - ENDINGS_TOLD} more endings" if len(told) > ENDINGS_TOLD else ""
    return ", ".join(told[:ENDINGS_TOLD]) + rest


def is_video(name: str) -> bool:
    """Whether a file is a clip by its name."""
    return Path(name).suffix.lower() in SUFFIXES and not is_beside(name)


def is_beside(name: str) -> bool:
    """Whether a file belongs to a clip or is hidden, so that nobody asks why it is no video."""
    return name.endswith(BESIDE_CLIPS) or name.startswith(".")


def is_hidden_video(name: str) -> bool:
    """Whether a hidden file is a video by its ending; "._name" is what macOS keeps beside one."""
    return name.startswith(".") and not name.startswith("._") and Path(name).suffix.lower() in SUFFIXES


def ending(name: str) -> str:
    return Path(name).suffix.lower() or "no ending"


def files_below(folder: Path) -> Iterator[tuple[str, str | None]]:
    """(folder, name) of every file at and below `folder`, by name; (folder, None) of a folder whose pictures are the
    frames of one clip, and nothing of what else it holds."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        if not any(Path(name).suffix.lower() in SUFFIXES for name in names) and frame_files(Path(place)):
            yield place, None
            continue
        for name in sorted(names):
            yield place, name
