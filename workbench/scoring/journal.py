"""The journal of `evaluate`: one JSON line a clip, written as soon as the clip is scored."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from eval.evaluator import ClipScores, DoneFile, done_key
from models.types import RequestError
from models.whole_files import replacing
from workbench.common.line_files import cut_torn_line

FIRST = b'{"id": '  # how every line begins


class ScoreJournal:
    """Scores of the clips of one run, and of earlier runs with `resume`; curves are read from here again, not held in
    memory.

    A run that resumes adds to what is there: clips that it does not name stay, and so do results of metrics that it
    does not ask for, of a clip that is the same. Raises RequestError for a file that is no such journal, before
    anything is written.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self.path = path
        if resume:
            _check(path)
            cut_torn_line(path)
        self.done = DoneFile(path) if resume else {}
        self.file = path.open("ab" if resume else "wb")
        self.start = self.file.tell()
        self.named: set[str] = set()

    def add(self, scores: ClipScores) -> None:
        """Write the scores of a clip of this run, with its earlier ones of other metrics."""
        earlier = self.done.get(done_key(scores))
        if earlier and not scores.skipped:
            scores = replace(scores, results=earlier.results | scores.results, versions=_versions(earlier, scores))
        self.named.add(scores.id)
        self.file.write(scores.to_json().encode() + b"\n")
        self.file.flush()

    def __iter__(self) -> Iterator[ClipScores]:
        """Every clip, once `finish` has been called; those of this run alone before."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            for line in file:
                yield ClipScores.from_json(line.decode())

    def finish(self) -> None:
        """Keep one line a clip: of earlier runs those that this one does not name, then its own."""
        self.file.close()
        if self.start:
            with replacing(self.path) as whole, self.path.open("rb") as old, whole.open("wb") as new:
                for place in self._others():
                    old.seek(place)
                    new.write(old.readline())
                old.seek(self.start)
                shutil.copyfileobj(old, new)
            self.start = 0

    def _others(self) -> list[int]:
        """Where the last line of each clip begins that this run does not name."""
        places: dict[str, int] = {}
        with self.path.open("rb") as file:
            while (place := file.tell()) < self.start:
                scores = ClipScores.from_json(file.readline().decode())
                if scores.id not in self.named:
                    places[scores.id] = place
        return sorted(places.values())


def _versions(earlier: ClipScores, scores: ClipScores) -> dict[str, str]:
    """Versions of both; of a metric that is scored now, only that of now."""
    return {n: v for n, v in earlier.versions.items() if n not in scores.results} | scores.versions


def _check(path: Path) -> None:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                torn = not line.endswith(b"\n") and line[: len(FIRST)] == FIRST[: len(line)]  # by a crash
                if not torn:
                    ClipScores.from_json(line.decode())
            except ValueError as error:
                raise RequestError(
                    f"--resume finds {str(path)!r}, which is no journal of evaluate (line {number} holds no scores); "
                    "choose another --out, or begin without --resume"
                ) from error
