"""Which clips can be evaluated: those of the store, uploads, and folders below those given at the start."""

import hashlib
import os
import re
import shutil
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from eval.video.frame_folder import frame_files, lacking_frames
from eval.video.reader import SUFFIXES
from models.prompt_text import check_prompt
from models.types import RequestError
from models.whole_files import replacing
from workbench.clips.manifest import Manifest, manifest_path, read_input, read_manifest
from workbench.clips.search import ending, files_below, is_beside, is_video
from workbench.common.words import counted
from workbench.requests.systems import System

NAME = re.compile(r"[A-Za-z0-9_-]{1,120}")
LINK = "link out"
ENDING = re.compile(r"\.[a-z0-9]{1,5}")


@dataclass(frozen=True)
class ClipFile:
    """A video file to look at. `id` names a clip of the store and is empty elsewhere; `name` is for people."""

    path: Path
    name: str
    prompt: str = ""
    id: str = ""


@dataclass(frozen=True)
class StoredClip:
    """A clip of the store as a list shows it."""

    id: str
    path: Path
    manifest: Manifest

    @property
    def label(self) -> str:
        """Model, steps and seed in words."""
        made = self.manifest
        system = System.of(made.model, made).label
        more = f" · {counted(len(made.switches), 'prompt switch', 'prompt switches')}" * bool(made.switches)
        more += f" · from a video at {made.video.strength:g}" if made.video else ""
        return f"{system} · seed {made.seed}{more}"

    @property
    def file(self) -> ClipFile:
        return ClipFile(self.path, self.label, self.manifest.prompt, self.id)


class Library:
    """Finds clips under `data_dir`/clips and below `folders`, and keeps uploads under `data_dir`/uploads.

    `roots` are those folders by name: people write `NAME` or `NAME/inside`, and never where a folder lies.
    """

    def __init__(self, data_dir: Path, folders: Sequence[Path] = ()) -> None:
        self.clips, self.uploads = data_dir / "clips", data_dir / "uploads"
        self.roots = _by_name([folder.resolve() for folder in folders])
        self._read: dict[Path, tuple[float, StoredClip | None]] = {}

    def listing(
        self, text: str = "", offset: int = 0, limit: int = 24, before: Container[str] = ()
    ) -> tuple[int, list[StoredClip]]:
        """How many clips of the store have every word of `text` in prompt, label or name, and some of them, newest
        first, those whose ids are in `before` ahead of all."""
        words = text.lower().split()
        found = [clip for clip in self._stored() if _matches(clip, words)] if words else list(self._stored())
        found.sort(key=lambda clip: clip.id not in before)
        return len(found), found[max(0, offset) :][:limit]

    def stored(self, identity: str) -> ClipFile:
        """A clip of the store by its id, as a file to look at; raises RequestError when it is not there."""
        return self.record(identity).file

    def record(self, identity: str) -> StoredClip:
        """A clip of the store by its id, with its manifest; raises RequestError when it is not there."""
        path = self.clips / f"{identity}.mp4"
        clip = self._load(manifest_path(path)) if NAME.fullmatch(identity) and path.is_file() else None
        if clip is None:
            raise RequestError(f"clip {identity[:80]!r} is not in the store; choose one from the list, or upload it")
        return clip

    def uploaded(self, path: Path) -> ClipFile:
        """Keep an uploaded file, so that its results can be looked at again later; the same file is kept once. Raises
        RequestError for one that was cleared away meanwhile."""
        digest, ending = hashlib.sha256(), path.suffix.lower()
        try:
            with path.open("rb") as file:
                while block := file.read(2**20):
                    digest.update(block)
        except FileNotFoundError as error:
            raise RequestError(f"upload {path.name[:80]!r} is no longer on this server; upload it again") from error
        kept = self.uploads / f"{digest.hexdigest()[:32]}{ending if ENDING.fullmatch(ending) else '.bin'}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            with replacing(kept) as temporary:
                shutil.copyfile(path, temporary)
        return ClipFile(kept, path.name)

    def folder(self, text: str) -> tuple[list[ClipFile], Counter[str]]:
        """The clips in a folder and below it, by name, and how many other files with which endings lie there, and how
        many files, and folders of frames, behind a link that leads out, under LINK.

        Clips are videos, with the prompts of the manifests beside them, and folders whose pictures are the numbered
        frames of one clip. Raises RequestError for a folder outside `roots`, missing or without clips.
        """
        shown = f"folder {text.strip()[:200]!r}"
        root, folder = self._allowed(text.strip(), shown)
        clips, passed = [], Counter()
        for place, name in files_below(folder):
            path = Path(place, name or "")
            if not all(_inside(root, file) for file in ([path] if name else frame_files(path))):
                if not is_beside(path.name):
                    passed[LINK] += 1
                continue
            if name is None or is_video(name):
                clips.append(path)
            elif not is_beside(name):
                passed[ending(name)] += 1
        if not clips:
            endings = ", ".join(SUFFIXES[:7])
            links = f"; {counted(passed[LINK], LINK)} of it" if passed[LINK] else ""
            holds = f"{shown} holds no videos and {lacking_frames(folder)}{links}"
            raise RequestError(f"{holds}; choose one with files ending in {endings} or similar")
        named = ((clip, clip.relative_to(folder).as_posix() if clip != folder else folder.name) for clip in clips)
        return [_with_manifest(clip, name) for clip, name in sorted(named)], passed

    def _allowed(self, text: str, shown: str) -> tuple[Path, Path]:
        """The root that a folder lies below, and the folder itself."""
        if not self.roots:
            raise RequestError(f"{shown} is closed: this server offers no folders; start it with --clips DIR")
        name, _, inside = text.partition("/")
        offered = ", ".join(self.roots)
        if name not in self.roots:
            raise RequestError(f"{shown} is outside the folders of this server; begin with one of {offered}")
        root = self.roots[name]
        try:
            folder = (root / inside.lstrip("/")).resolve()
            there = folder.is_dir()
        except (OSError, ValueError) as error:  # a name too long for the file system, or with a null character
            raise RequestError(f"{shown} cannot be opened; give a folder below one of {offered}") from error
        if not folder.is_relative_to(root):
            raise RequestError(f"{shown} is outside the folders of this server; begin with one of {offered}")
        if not there:
            raise RequestError(f"{shown} does not exist; give a folder below one of {offered}")
        return root, folder

    def _stored(self) -> Iterable[StoredClip]:
        try:
            rows = [(entry.stat().st_mtime, entry.path) for entry in os.scandir(self.clips) if _is_manifest(entry)]
        except FileNotFoundError:
            return
        for _, path in sorted(rows, reverse=True):
            if clip := self._load(Path(path)):
                yield clip

    def _load(self, path: Path) -> StoredClip | None:
        """A clip by its manifest, read once for every time it changes; None where either file is missing or bad."""
        try:
            changed = path.stat().st_mtime
            if self._read.get(path, (None,))[0] != changed:
                clip = path.with_suffix(".mp4")
                stored = StoredClip(path.stem, clip, read_manifest(path)) if clip.is_file() else None
                self._read[path] = changed, stored
            return self._read[path][1]
        except (OSError, RequestError):
            return None


def _inside(root: Path, path: Path) -> bool:
    """A link that leads out of `root` is not followed."""
    return path.is_file() and path.resolve().is_relative_to(root)


def _by_name(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by their own names; a second one of a name gets a number."""
    named: dict[str, Path] = {}
    for folder in folders:
        name, number = folder.name or "root", 1
        while name in named:
            number += 1
            name = f"{folder.name or 'root'}-{number}"
        named[name] = folder
    return named


def conditioning_picture(clip: Path) -> np.ndarray | None:
    """The picture (H, W, 3) uint8 RGB that a clip was made from, as its manifest says; None without one."""
    made = _manifest_of(clip)
    try:
        return read_input(manifest_path(clip), made.image) if made and made.image else None
    except RequestError:
        return None


def world_of(clip: Path) -> str:
    """The world that a clip's manifest names; "" without one."""
    made = _manifest_of(clip)
    return made.family if made else ""


def _manifest_of(clip: Path) -> Manifest | None:
    """The manifest beside a clip; None without one that can be read, and for a link to another folder than the
    clip's."""
    path = manifest_path(clip)
    try:
        if path.is_symlink() and path.resolve().parent != clip.resolve().parent:
            return None
        return read_manifest(path)
    except (RequestError, OSError):
        return None


def give_prompts(clips: Sequence[ClipFile], prompts: Sequence[str]) -> list[ClipFile]:
    """Clips that have no prompt yet take one: the only one of `prompts`, or theirs in order.

    Raises RequestError when there are neither as many as such clips, nor one, nor none.
    """
    for number, prompt in enumerate(prompts, start=1):
        check_prompt(prompt, f"prompt {number}")
    bare = [i for i, clip in enumerate(clips) if not clip.prompt]
    if len(prompts) not in (0, 1, len(bare)):
        needed = f"{counted(len(bare), 'clip')} without a prompt"
        count = counted(len(prompts), "prompt is", "prompts are")
        raise RequestError(f"{count} given for {needed}; give one for all, or one for each")
    given = dict(zip(bare, list(prompts) * (len(bare) if len(prompts) == 1 else 1), strict=False))
    return [replace(clip, prompt=given[i].strip()) if i in given else clip for i, clip in enumerate(clips)]


def _with_manifest(path: Path, name: str) -> ClipFile:
    made = _manifest_of(path)
    return ClipFile(path, name, made.prompt if made else "")


def _is_manifest(entry: os.DirEntry) -> bool:
    return entry.name.endswith(".json") and not entry.name.startswith(".")


def _matches(clip: StoredClip, words: Sequence[str]) -> bool:
    text = f"{clip.manifest.prompt} {clip.label} {clip.manifest.model}".lower()
    # a short number is found in nearly every id by chance
    return all(word in text or (len(word) >= 6 and clip.id.startswith(word)) for word in words)
