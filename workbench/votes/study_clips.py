"""The clips of a study, made ahead, encoded alike and named by chance; annotators get copies (`blind_copies`)."""

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from models.types import RequestError
from workbench.clips.media import Footage, encode_stream
from workbench.clips.under_way import STOPPING_SECONDS, ProgramEnds
from workbench.common.faults import fault_sentence
from workbench.common.priority import make_way
from workbench.requests.systems import System
from workbench.store import Store, StoreUnavailable
from workbench.store.ballots import new_token
from workbench.store.records import Clip, Pair, StudyRecord, new_id
from workbench.votes.blindness.blind_copies import write_copies
from workbench.votes.blindness.leak_check import ClipHeader, Finding, check_headers, read_header
from workbench.votes.blindness.leak_guessers import guesses, read_sent
from workbench.votes.studies import Study, parse_system, study_from_json

FOLDER = "studies"
DEGRADED = "/degraded"  # ends the system's name of a copy that was spoilt on purpose
HELD, COARSE = 6, 8  # frames that a spoilt copy stands still, pixels that it merges
TIMES_SEEN = 2  # that the leak check has of each pair, as somebody who compares notes has
CHECK_EVERY = 4  # of so many prompts one has a check of each kind


@dataclass(frozen=True)
class Made:
    """Frames (T, H, W, 3) uint8 RGB, held or in a file, the clip of the store they are and the weights it came from
    ("" for none)."""

    frames: np.ndarray | Footage
    fps: float
    origin: str = ""
    weights: str = ""


@dataclass(frozen=True)
class Progress:
    """How many of a study's clips there are; `error` tells why no more are coming."""

    ready: int
    planned: int
    error: str = ""


Maker = Callable[[System, str, int, int], Made]


class StudyClips:
    """Makes studies' clips below `data_dir`, prompt by prompt, so that voting can begin with the first pairs.

    `make(system, prompt, seed, frames)` makes one clip; without it only studies of ready clips can be prepared.
    """

    def __init__(self, store: Store, data_dir: Path, make: Maker | None = None) -> None:
        self.store, self.data_dir, self.make = store, data_dir, make
        self._running: dict[tuple[str, int], threading.Thread] = {}
        self._errors: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def start(self, record: StudyRecord) -> None:
        """Prepare in the background; what is under way or done is left alone."""
        name = record.id, record.version
        with self._lock:
            before = self._running.get(name)
            if before and (before.is_alive() or not self.missing(record)):
                return
            thread = threading.Thread(target=self._work, args=(record,), name=f"study {record.id}", daemon=True)
            self._running[name] = thread
        thread.start()

    def making(self, record: StudyRecord) -> bool:
        """Whether clips of this version are being made now."""
        thread = self._running.get((record.id, record.version))
        return thread is not None and thread.is_alive()

    def stop(self) -> None:
        """Make no more clips, and return when the one that is begun is done.

        A program that ends while a thread is inside torch is aborted.
        """
        self._stop.set()
        for thread in list(self._running.values()):
            thread.join(timeout=STOPPING_SECONDS)

    def wait(self, record: StudyRecord) -> None:
        """Return when what `start` began is done. Raises RequestError with what went wrong."""
        thread = self._running.get((record.id, record.version))
        if thread:
            thread.join()
        error = self._errors.get((record.id, record.version))
        if error:
            raise RequestError(f"the clips of study {record.id!r} could not be made: {error}")

    def progress(self, record: StudyRecord) -> Progress:
        study = study_from_json(record.definition)
        error = self._errors.get((record.id, record.version), "")
        ready = sum(1 for label, _, _ in self._kept(record, study) if not label.endswith(DEGRADED))
        planned = len(study.items()) * len(study.labels())
        return Progress(min(ready, planned), planned, error)

    def prepare(self, record: StudyRecord) -> None:
        """Make what the study lacks, until it is complete or `stop` is called."""
        study = study_from_json(record.definition)
        kept = self._kept(record, study)
        made_by = {_model(clip.system): clip.weights for clip in kept.values()} | study.pinned()
        for index, (prompt, seed) in enumerate(study.items()):
            if self._stop.is_set():
                return
            labels = [*study.labels(), *_degraded_labels(study, index)]
            there = {label: kept[label, prompt, seed] for label in labels if (label, prompt, seed) in kept}
            new = self._group(study, prompt, seed, [label for label in labels if label not in there], made_by)
            self.store.studies.add(list(new.values()), _pairs(study, record, index, there | new))

    def leaks(self, record: StudyRecord) -> dict[tuple[str, str], list[Finding]]:
        """For every two systems that meet, every channel by which what is sent could or could not be told apart.

        Raises RequestError while clips are missing.
        """
        study = study_from_json(record.definition)
        kept = self._kept(record, study)
        missing = [label for label in study.labels() for item in study.items() if (label, *item) not in kept]
        if missing:
            raise RequestError(f"study {record.id!r} lacks {len(missing)} clips; wait until all are made")
        return {
            (first, second): leaks_of_copies(
                self.data_dir, [(kept[first, *item], kept[second, *item]) for item in study.items()]
            )
            for first, second in study.opponents()
        }

    def weights(self, record: StudyRecord) -> dict[str, str]:
        """The SHA-256 of the weights behind the clips there are, by model."""
        kept = self._kept(record, study_from_json(record.definition)).values()
        return {_model(clip.system): clip.weights for clip in kept if clip.weights}

    def lost(self, record: StudyRecord) -> dict[str, Clip]:
        """The clips, by id, that the database has and whose files are gone."""
        folder = self.data_dir / FOLDER
        there = {f"{FOLDER}/{name}" for name in os.listdir(folder)} if folder.is_dir() else set()
        return {
            clip.id: clip
            for clip in self.store.studies.clips(record.id)
            if clip.file not in there and not (self.data_dir / clip.file).is_file()
        }

    def lost_pairs(self, record: StudyRecord) -> frozenset[str]:
        """The pairs, by id, of which a clip is gone."""
        lost = self.lost(record)
        pairs = self.store.studies.pair_clips(record.id, record.version) if lost else {}
        return frozenset(pair for pair, clips in pairs.items() if not lost.keys().isdisjoint(clips))

    def are_there(self, *clips: Clip) -> bool:
        return all((self.data_dir / clip.file).is_file() for clip in clips)

    def missing(self, record: StudyRecord) -> list[Clip]:
        """Clips that are gone and that none made later stands for."""
        study = study_from_json(record.definition)
        kept, wanted = self._kept(record, study), set(study.items())
        lost = {(clip.system, clip.prompt, clip.seed): clip for clip in self.lost(record).values()}
        return [clip for name, clip in lost.items() if name not in kept and name[1:] in wanted]

    def _kept(self, record: StudyRecord, study: Study) -> dict[tuple[str, str, int], Clip]:
        """The newest clip there is of each system, prompt and seed by the weights that the study asks for."""
        pinned, lost = study.pinned(), self.lost(record)
        return {
            (clip.system, clip.prompt, clip.seed): clip
            for clip in self.store.studies.clips(record.id)
            if clip.id not in lost and clip.weights == pinned.get(_model(clip.system), clip.weights)
        }

    def _work(self, record: StudyRecord) -> None:
        make_way()
        name = record.id, record.version
        self._errors.pop(name, None)
        try:
            self.prepare(record)
        except ProgramEnds:
            pass
        except (RequestError, StoreUnavailable) as error:
            self._errors[name] = str(error)
        except Exception as error:  # told to whoever looks at the study; the server goes on
            logging.getLogger(__name__).error("the clips of study %s failed", record.id, exc_info=error)
            self._errors[name] = fault_sentence(error, place=False) or f"{type(error).__name__}: {error}"
        finally:
            if self._errors.get(name):
                with self._lock:
                    self._running.pop(name)  # it may be tried again

    def _group(
        self, study: Study, prompt: str, seed: int, labels: list[str], made_by: dict[str, str]
    ) -> dict[str, Clip]:
        """Display copies of the same prompt and seed by each of `labels`. `made_by` are the weights of the study's
        other clips by model; raises RequestError when a model has others now, for a study never mixes them."""
        clips: dict[str, Clip] = {}
        for base in dict.fromkeys(label.removesuffix(DEGRADED) for label in labels):
            made = self._frames(study, base, prompt, seed)  # one at a time is held
            if made_by.setdefault(_model(base), made.weights) not in ("", made.weights):
                raise RequestError(
                    f"the weights of {_model(base)} have changed since the first clips of study {study.id!r} were "
                    f"made; make a new version with `studies remake {study.id}`"
                )
            for label in (base, base + DEGRADED):
                if label in labels:
                    clips[label] = self._write(study.id, label, prompt, seed, made)
        return clips

    def _frames(self, study: Study, label: str, prompt: str, seed: int) -> Made:
        if self._stop.is_set():
            raise ProgramEnds
        if study.clips:
            row = next(row for row in study.clips if (row.system, row.prompt, row.seed) == (label, prompt, seed))
            footage = Footage(Path(row.path))
            return Made(footage, footage.fps)
        if self.make is None:
            raise RequestError(f"study {study.id!r} needs clips, and nothing here makes them; open it in the app")
        return self.make(parse_system(label), prompt, seed, study.frames)

    def _write(self, study: str, label: str, prompt: str, seed: int, made: Made) -> Clip:
        identity = new_id()
        file = f"{FOLDER}/{identity}.mp4"
        path = self.data_dir / file
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (side // 2 * 2 for side in made.frames.shape[1:3])
        count = 0

        def counted() -> Iterator[np.ndarray]:
            nonlocal count
            for frame in degraded(made.frames) if label.endswith(DEGRADED) else made.frames:
                count += 1
                yield frame[:height, :width]

        encode_stream(counted(), width, height, made.fps, path)
        shape = count, made.fps, width, height, path.stat().st_size
        return Clip(identity, study, label, prompt, seed, file, *shape, made.origin, made.weights)


def leaks_of_copies(data_dir: Path, pairs: Sequence[tuple[Clip, Clip]]) -> list[Finding]:
    """Every channel by which copies of each pair's first clip and of its second, as annotators get them, could be told
    apart: by their heads, and by guessers who have seen each pair twice. Raises RequestError for a clip that is gone.
    """
    headers: list[list[ClipHeader]] = [[], []]
    sent = []
    with TemporaryDirectory() as folder:
        for clips in pairs:
            for _ in range(TIMES_SEEN):
                tokens = new_token(), new_token()
                paths = Path(folder) / f"{tokens[0]}.mp4", Path(folder) / f"{tokens[1]}.mp4"
                write_copies(data_dir, clips, tokens, paths)
                left, right = (read_sent(path.read_bytes(), clips[0].prompt) for path in paths)
                sent.append((left, right))
                for side, path in zip(headers, paths, strict=True):
                    side.append(read_header(path))
                    path.unlink()
    return check_headers(headers) + [guess.finding for guess in guesses(sent)]


def check_ready_clips(study: Study) -> list[str]:
    """What was assumed or lost in reading the clips of a study, in sentences. Raises RequestError for the first clip
    that could not be shown, before anything of it is kept."""
    told = []
    for path in dict.fromkeys(row.path for row in study.clips):
        footage = Footage(Path(path))
        _, height, width, _ = footage.shape
        if min(height, width) < 2:
            raise RequestError(f"{path!r} is {width}x{height} pixels; a study shows clips from 2x2")
        for _ in footage:  # what changes its size within the file raises
            pass
        told += [f"{path!r}: {text}" for text in footage.notices]
    return told


def _model(label: str) -> str:
    """The model of a system of the registry; of another label any word that is the same for the same label."""
    return label.removesuffix(DEGRADED).partition(":")[0]


def degraded(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) of a copy that anybody sees is worse: coarse pixels, and motion that stands still and jumps."""
    for index, frame in enumerate(frames):
        if index % HELD == 0:
            height, width, _ = frame.shape
            rows, columns = np.arange(height) // COARSE * COARSE, np.arange(width) // COARSE * COARSE
            held = np.ascontiguousarray(frame[rows][:, columns])
        yield held


def _degraded_labels(study: Study, index: int) -> list[str]:
    """The spoilt copy that a prompt has for the attention checks, if it has one: systems take turns."""
    return [_checked_system(study, index) + DEGRADED] if study.degraded and _has_checks(study, index) else []


def _checked_system(study: Study, index: int) -> str:
    labels = study.labels()
    return labels[index // CHECK_EVERY % len(labels)]


def _has_checks(study: Study, index: int) -> bool:
    """Enough prompts have checks that no annotator needs one twice."""
    return index % CHECK_EVERY == 0 or index < max(study.degraded, study.identical)


def _pairs(study: Study, record: StudyRecord, index: int, clips: dict[str, Clip]) -> list[Pair]:
    pairs = [(clips[first], clips[second], "") for first, second in study.opponents()]
    if _has_checks(study, index):
        base = clips[_checked_system(study, index)]
        if study.degraded:
            pairs.append((base, clips[base.system + DEGRADED], "degraded"))
        if study.identical:
            pairs.append((base, base, "identical"))
    prompt, seed = study.items()[index]
    return [
        Pair(new_id(), record.id, record.version, prompt, seed, first.id, second.id, kind)
        for first, second, kind in pairs
    ]
