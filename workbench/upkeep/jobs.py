"""Work that outlives the server that began it: what a killed server leaves behind is listed, and goes on.

Clips and evaluations are told by their marks (`workbench.clips.under_way`); sweeps are in the database and go on with
the same command.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from eval.video.text_files import read_json
from models.types import GenerationRequest, PromptSwitch, RequestError
from workbench.clips.under_way import FOLDER, STOPPING_SECONDS, ProgramEnds, is_left
from workbench.common.priority import make_way
from workbench.common.words import counted
from workbench.sweeps.first_run import NAME as FIRST_RUN

if TYPE_CHECKING:
    from workbench.clips.generation import GenerationService
    from workbench.scoring.runs import EvaluationService
    from workbench.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One piece of work. `kind` is generation, evaluation or sweep; `state` is running, interrupted, waiting, stopped
    or failed; `says` tells what it is and how it goes on."""

    id: str
    kind: str
    state: str
    says: str


class Jobs:
    """The list of a data folder's work, and what takes up again what was interrupted."""

    def __init__(
        self, data_dir: Path, store: "Store", evaluations: "EvaluationService", service: "GenerationService"
    ) -> None:
        self.data_dir, self.store, self.evaluations, self.service = data_dir, store, evaluations, service
        self._again: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._ends = threading.Event()

    def all(self) -> list[Job]:
        """Everything that is under way, waits, or was interrupted; what is done is no job any more."""
        return [*self._generations(), *self._evaluations(), *self._sweeps()]

    def go_on(self) -> None:
        """Take up what a killed server left: evaluations where they were, clips from their start. Returns at once."""
        left = [path for path in self._files() if is_left(path)]
        runs = self.evaluations.interrupted()
        for identity in runs:
            with suppress(RequestError):
                self.evaluations.resume(identity)
        if left or runs:
            what = f"{counted(len(left), 'clip')} and {counted(len(runs), 'evaluation')}"
            log.warning("%s of an earlier server: making them goes on", what)
        if left:
            self._thread = threading.Thread(
                target=self._make_again, args=(left,), name="interrupted clips", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Make no more clips again; those that are left stay in the list for the next server."""
        self._ends.set()
        if self._thread:
            self._thread.join(STOPPING_SECONDS)

    def _make_again(self, left: list[Path]) -> None:
        make_way()
        for path in left:
            if self._ends.is_set():
                return
            try:
                model, request = self._request(path)
                self._again[path.stem] = "running"
                self.service.generate(model, request, cancelled=self._ended)
                path.unlink(missing_ok=True)
                self._again.pop(path.stem, None)
            except ProgramEnds:  # the clip is in the list by a mark of this process, which the next one finds
                path.unlink(missing_ok=True)
                self._again.pop(path.stem, None)
            except Exception as error:  # it stays in the list with the reason; the others go on
                self._again[path.stem] = (
                    str(error) if isinstance(error, RequestError) else "it failed again, see the log"
                )
                log.warning("interrupted clip %s: %s", path.stem, error)

    def _ended(self) -> bool:
        if self._ends.is_set():
            raise ProgramEnds
        return False

    def _request(self, path: Path) -> tuple[str, GenerationRequest]:
        told = read_json(path)
        if told["pixels"]:
            raise RequestError("it started from a picture or a video, which is gone with the server; make it again")
        known = {field.name for field in fields(GenerationRequest)}
        values = {name: value for name, value in told["request"].items() if name in known}
        values["switches"] = tuple(PromptSwitch(**switch) for switch in values.get("switches", ()))
        for name in ("step_plan", "size"):
            values[name] = tuple(values[name]) if isinstance(values.get(name), list) else values.get(name)
        return told["model"], GenerationRequest(**{**values, "step_plan": values["step_plan"] or ()})

    def _files(self) -> list[Path]:
        return sorted((self.data_dir / FOLDER).glob("*.json"))

    def _generations(self) -> Iterator[Job]:
        for path in self._files():
            try:
                told = read_json(path)
                says = f"{told['model']}: {told['request']['prompt']}"
            except FileNotFoundError:
                continue
            except (OSError, ValueError, TypeError, KeyError):
                says = "an entry that cannot be read"
            again = self._again.get(path.stem)
            if again == "running" or not is_left(path):
                yield Job(path.stem, "generation", "running", says)
            else:
                yield Job(
                    path.stem, "generation", "failed" if again else "interrupted", f"{says}: {again or 'goes on'}"
                )

    def _evaluations(self) -> Iterator[Job]:
        left = set(self.evaluations.interrupted())
        for identity in self.evaluations.unfinished():
            run = self.evaluations.get(identity)
            done = f"{len(run.rows)} of {len(run.plan.clips)} clips"
            state = "running" if run.active else "interrupted" if identity in left else run.state
            yield Job(identity, "evaluation", state, f"{done}; open {run.link}")

    def _sweeps(self) -> Iterator[Job]:
        for sweep in self.store.sweeps.all():
            if sweep.waiting:
                count = sweep.waiting + sweep.done + sweep.failed
                how = "the app goes on" if sweep.name == FIRST_RUN else "the same `sweep` command goes on"
                says = f"{sweep.done} of {count} clips; {how}"
                yield Job(sweep.id, "sweep", "waiting", f"{sweep.name}: {says}" if sweep.name else says)
