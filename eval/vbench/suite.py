"""VBench's prompt suite and folders: which file belongs to which prompt, and exactly which are missing or extra.

Standard mode: `<folder>/<prompt>-<0..4>.mp4`, all in one folder or one folder a dimension. Custom input: any clips,
each with the prompt of its name or of a prompt file. The suite itself (`VBench_full_info.json`) comes from the user.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from eval.vbench.constants import DIMENSIONS, folder_of
from eval.video.text_files import read_json

SAMPLES = 5  # clips per prompt that VBench looks up
VIDEO_SUFFIXES = (".mp4", ".gif")
LONGEST_NAME = 255  # bytes; the limit of ext4, APFS and NTFS (there in UTF-16 units)
SHORTENED = 180  # characters that VBench-2.0 keeps of a prompt in a file name


@dataclass(frozen=True)
class SuitePrompt:
    """One prompt of a suite with the dimensions it serves; `labels` is VBench's `auxiliary_info`, `image` for I2V."""

    prompt: str
    dimensions: tuple[str, ...]
    labels: dict = field(default_factory=dict)
    image: str = ""


@dataclass(frozen=True)
class FolderCheck:
    """A folder against a suite: `found` prompt index -> files in order of sample, and what does not fit, by path.

    `clashes`: names that differ only in case and fall together on a disk that ignores it.
    """

    found: dict[int, tuple[Path, ...]]
    missing: tuple[Path, ...]
    extra: tuple[Path, ...]
    clashes: tuple[tuple[str, ...], ...] = ()

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def says(self) -> str:
        """One sentence with the counts and the first missing name."""
        found = sum(map(len, self.found.values()))
        first = f", the first is {self.missing[0].name!r}" if self.missing else ""
        return f"{found} clips found, {len(self.missing)} missing{first}, {len(self.extra)} not of the suite"


def read_suite(path: Path) -> list[SuitePrompt]:
    """VBench's full-info JSON (`VBench_full_info.json`, or one written by a run); ValueError names a bad entry."""
    rows = read_json(Path(path))
    if not isinstance(rows, list):
        raise ValueError(f"{path} is no full-info file; it must hold a list of prompts as VBench_full_info.json does")
    return [_suite_prompt(path, number, row) for number, row in enumerate(rows)]


def _suite_prompt(path: Path, number: int, row: object) -> SuitePrompt:
    if not isinstance(row, dict) or not isinstance(row.get("prompt_en"), str) or "dimension" not in row:
        raise ValueError(f"entry {number} of {path} lacks prompt_en or dimension; give both, as VBench does")
    dimensions = row["dimension"]
    return SuitePrompt(
        prompt=row["prompt_en"],
        dimensions=(dimensions,) if isinstance(dimensions, str) else tuple(dimensions),
        labels=row.get("auxiliary_info", {}),
        image=row.get("image_name", ""),
    )


def check_name(text: str) -> None:
    """ValueError unless `text` can be (part of) one file name: prompts come from files and become paths."""
    if not text.strip():
        raise ValueError("an empty prompt cannot name a file; give the clip a prompt")
    unsafe = sorted({character for character in text if character in "/\\" or ord(character) < 32})
    if unsafe or text.startswith("."):
        why = f"it holds {', '.join(map(repr, unsafe))}" if unsafe else "it begins with a dot"
        raise ValueError(f"prompt {text[:60]!r} cannot name a file: {why}; use custom input with a prompt file")


def video_name(prompt: str, index: int, *, suffix: str = ".mp4", special: str = "") -> str:
    """The name VBench looks up: `<prompt><special>-<index>.mp4`; ValueError for a prompt that cannot name a file."""
    check_name(prompt)
    name = f"{prompt}{special}-{index}{suffix}"
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(
            f"prompt {prompt[:40]!r}... makes a file name of {len(name.encode())} bytes, the limit is {LONGEST_NAME}; "
            "use custom input with a prompt file"
        )
    return name


def custom_names(prompts: Sequence[str], *, suffix: str = ".mp4") -> dict[str, str]:
    """A safe file name for every prompt, in order, as a VBench prompt file `{file name: prompt}`.

    Prompts are shortened and stripped of what no file system takes; equal names get a running number.
    """
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for prompt in prompts:
        stem = re.sub(r'[/\\:*?"<>|\x00-\x1f]+', " ", prompt).strip(" .")[:SHORTENED] or "clip"
        while len(stem.encode()) > LONGEST_NAME - 16:
            stem = stem[:-1]
        key = stem.casefold()
        index = counts.get(key, 0)
        counts[key] = index + 1
        names[f"{stem}-{index}{suffix}"] = prompt
    return names


def prompt_of(name: str | PurePath) -> str:
    """The prompt in a clip's file name: its stem without a trailing `-<number>`."""
    return re.sub(r"-\d+$", "", PurePath(name).stem)


def check_folder(
    suite: Sequence[SuitePrompt],
    folder: Path,
    dimensions: Iterable[str],
    *,
    samples: int = SAMPLES,
    suffix: str | None = None,
    by_dimension: bool = False,
) -> FolderCheck:
    """Match `folder` with the suite's prompts of `dimensions`.

    `by_dimension`: clips lie in one folder a dimension (`folder_of`). `suffix` None takes .mp4 or .gif, whichever
    is there for a clip. `samples` is 25 for temporal flickering before its static filter.
    """
    wanted = set(dimensions)
    folder = Path(folder)
    found: dict[int, tuple[Path, ...]] = {}
    missing: list[Path] = []
    places: dict[str, str] = {}  # place without case -> the name that claims it
    clashes: list[tuple[str, ...]] = []
    searched: set[Path] = set()
    listing: dict[Path, set[str]] = {}
    for number, row in enumerate(suite):
        serves = [name for name in row.dimensions if name in wanted]
        if not serves:
            continue
        home = folder / folder_of(serves[0]) if by_dimension else folder
        if home not in listing:
            listing[home] = {entry.name for entry in home.iterdir() if entry.is_file()} if home.is_dir() else set()
            searched.add(home)
        paths = []
        for index in range(samples):
            names = [video_name(row.prompt, index, suffix=end) for end in ([suffix] if suffix else VIDEO_SUFFIXES)]
            name = next((name for name in names if name in listing[home]), None)
            if name is None:
                missing.append(home / names[0])
            else:
                paths.append(home / name)
        found[number] = tuple(paths)
        other = places.setdefault(str(home / row.prompt).casefold(), row.prompt)
        if other != row.prompt:
            clashes.append((other, row.prompt))
    used = {path for paths in found.values() for path in paths}
    extra = sorted(home / name for home in searched for name in listing[home] if home / name not in used)
    videos = tuple(path for path in extra if path.suffix.lower() in VIDEO_SUFFIXES)
    return FolderCheck(found, tuple(dict.fromkeys(missing)), videos, tuple(clashes))


def standard_info(suite: Sequence[SuitePrompt], check: FolderCheck) -> list[dict]:
    """VBench's full-info list of a standard run: its own keys, with `video_list` filled from `check`."""
    return [_info_row(suite[number], [str(path) for path in paths]) for number, paths in check.found.items()]


def custom_info(
    clips: Path | Sequence[Path],
    dimensions: Sequence[str],
    *,
    prompts: Mapping[str, str] | None = None,
    prompt: str = "",
) -> list[dict]:
    """VBench's full-info list for any clips: a file, a flat folder of .mp4 and .gif, or a list of files.

    The prompt of a clip is `prompts[its file name]`, else `prompt`, else what its name says. ValueError for
    dimensions that read labels beside the prompt, and for a clip the prompt file leaves out.
    """
    labelled = [name for name in dimensions if name in DIMENSIONS and DIMENSIONS[name].needs_labels]
    if labelled:
        raise ValueError(
            f"{', '.join(labelled)} cannot run on custom clips: VBench reads an object, colour, scene or style label "
            "from its suite; name the other dimensions, or use the suite's prompts and folder"
        )
    paths = clip_paths(clips)
    lacking = [path.name for path in paths if prompts is not None and path.name not in prompts]
    if lacking:
        raise ValueError(f"the prompt file lacks {lacking[0]!r} ({len(lacking)} clips in all); add them by file name")
    return [
        _info_row(
            SuitePrompt(prompts[path.name] if prompts is not None else prompt or prompt_of(path), tuple(dimensions)),
            [str(path)],
        )
        for path in paths
    ]


def clip_paths(clips: Path | Sequence[Path]) -> list[Path]:
    """The clips VBench would take, in name order; ValueError when there is none, saying what was looked for."""
    if isinstance(clips, (str, Path)):
        root = Path(clips)
        paths = sorted(root.iterdir()) if root.is_dir() else [root]
    else:
        root, paths = None, [Path(path) for path in clips]
    videos = [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()]
    if not videos:
        raise ValueError(f"{root or 'the list'} holds no clip; VBench takes {' and '.join(VIDEO_SUFFIXES)} files")
    return videos


def read_prompt_file(path: Path) -> dict[str, str]:
    """VBench's prompt file: a JSON object `{file name: prompt}`; ValueError for anything else."""
    table = read_json(Path(path))
    if not isinstance(table, dict) or not all(isinstance(prompt, str) for prompt in table.values()):
        raise ValueError(f"{path} is not a prompt file; give a JSON object of file name to prompt")
    return table


def _info_row(row: SuitePrompt, videos: list[str]) -> dict:
    info = {"prompt_en": row.prompt, "dimension": list(row.dimensions)}
    if row.labels:
        info["auxiliary_info"] = row.labels
    if row.image:
        info["image_name"] = row.image
    return {**info, "video_list": videos}
