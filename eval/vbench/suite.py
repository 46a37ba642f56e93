"""VBench's prompt suite and folders: which file belongs to which prompt, and exactly which are missing or extra.

Standard mode: `<folder>/<prompt>-<0..4>.mp4`, all in one folder or one folder a dimension. Custom input: any clips,
each with the prompt of its name or of a prompt file. The suite itself (`VBench_full_info.json`) comes from the user.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from eval.vbench.constants import folder_of
from eval.video.text_files import read_json

SAMPLES = 5  # clips per prompt that VBench looks up
VIDEO_SUFFIXES = (".mp4", ".gif")
LONGEST_NAME = 255  # bytes; the limit of ext4, APFS and NTFS (there in UTF-16 units)


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
    given, labels, image = row["dimension"], row.get("auxiliary_info", {}), row.get("image_name", "")
    dimensions = [given] if isinstance(given, str) else given
    named = isinstance(dimensions, list) and all(isinstance(name, str) for name in dimensions)
    if not named or not isinstance(labels, dict) or not isinstance(image, str):
        kinds = "dimension is a name or a list of names, auxiliary_info a table, image_name a text"
        raise ValueError(f"entry {number} of {path} is not as VBench writes it: {kinds}")
    return SuitePrompt(row["prompt_en"], tuple(dimensions), labels, image)


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
    return [info_row(suite[number], [str(path) for path in paths]) for number, paths in check.found.items()]


def read_prompt_file(path: Path) -> dict[str, str]:
    """VBench's prompt file: a JSON object `{file name: prompt}`; ValueError for anything else."""
    table = read_json(Path(path))
    if not isinstance(table, dict) or not all(isinstance(prompt, str) for prompt in table.values()):
        raise ValueError(f"{path} is not a prompt file; give a JSON object of file name to prompt")
    return table


def info_row(row: SuitePrompt, videos: list[str]) -> dict:
    """A row of VBench's full-info list: what the clips at `videos` show, in its own keys."""
    info = {"prompt_en": row.prompt, "dimension": list(row.dimensions)}
    if row.labels:
        info["auxiliary_info"] = row.labels
    if row.image:
        info["image_name"] = row.image
    return {**info, "video_list": videos}
