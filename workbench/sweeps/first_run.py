"""What a new data folder is filled with in the background, so that no page opens empty: a few real clips of the models
that run here, measured, and one evaluation of them."""

import json
import logging
import threading
from collections.abc import Callable

from models.default_world import DEFAULT
from models.registry import list_models, unavailable
from models.specs import ModelSpec
from models.types import RequestError
from models.whole_files import write_bytes
from workbench.clips.under_way import STOPPING_SECONDS, ProgramEnds
from workbench.common.priority import make_way
from workbench.scoring.runs import EvaluationService, Plan
from workbench.settings import Settings
from workbench.store import Store

SEED = 7
PROMPTS = 3
SHOWN_METRICS = ("temporal_flickering", "motion_smoothness_flow", "sharpness", DEFAULT.metrics[0])
NAME = "first run"  # of its sweep
log = logging.getLogger(__name__)


def first_models() -> list[ModelSpec]:
    """The pair whose difference is to be seen first: a baseline and ASD, of the models that run here."""
    able = [spec for spec in list_models() if spec.few_step and "t2v" in spec.tasks and not unavailable(spec)]
    asd = [spec for spec in able if spec.name == DEFAULT.asd]
    others = [spec for spec in able if spec.name == DEFAULT.baseline]
    return (others[:1] + asd[:1]) or able[:2]


class FirstRun:
    """Fills an empty store once. `text` says how far it is, "" when there is nothing to say."""

    def __init__(self, settings: Settings, store: Store, evaluations: EvaluationService, prompts: tuple[str, ...]):
        self.settings, self.store, self.evaluations, self.prompts = settings, store, evaluations, prompts
        self.done, self.total, self.active = 0, 0, False
        self._thread: threading.Thread | None = None
        self._ends = threading.Event()
        self._mark = settings.data_dir / "first-run.json"

    @property
    def text(self) -> str:
        if not self.active:
            return ""
        return f"The first clips are being made and measured: {self.done} of {self.total or 'a few'}."

    @property
    def evaluation(self) -> str | None:
        """The id of the evaluation that it left, once it is there."""
        try:
            return json.loads(self._mark.read_text())["evaluation"]
        except (OSError, ValueError, KeyError):
            return None

    def start(self, then: Callable[[], None]) -> None:
        """Begin in the background, unless this server only shows results or the store has clips; `then` is called
        when that is done, or now."""
        wanted = self.settings.first_run and not self.settings.read_only
        if not wanted or (self.store.count_clips() and not self._is_left()):
            return then()
        self.active = True
        self._thread = threading.Thread(target=self._work, args=(then,), name="first-run", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Make no more, and return when what is begun has ended; the next server goes on."""
        self._ends.set()
        if self._thread:
            self._thread.join(STOPPING_SECONDS)

    def _is_left(self) -> bool:
        """Whether an earlier server was killed while it made them."""
        return any(sweep.name == NAME and sweep.waiting for sweep in self.store.sweeps.all())

    def _work(self, then: Callable[[], None]) -> None:
        make_way()
        try:
            self._make()
        except ProgramEnds:
            return
        except Exception as error:  # the pages work without it, and say what they lack
            level = logging.WARNING if isinstance(error, RequestError) else logging.ERROR
            log.log(level, "the first clips could not be made: %s", error)
        finally:
            self.active = False
        then()

    def _make(self) -> None:
        from workbench.sweeps.plan import make_plan
        from workbench.sweeps.sweep import Sweep

        models = [spec.name for spec in first_models()]
        if not models:
            return
        values = {"models": models, "prompts": list(self.prompts[:PROMPTS]), "steps": [1], "ffe": "both"}
        plan = make_plan(values | {"seeds": [SEED], "name": NAME})
        sweep = Sweep(plan, self.settings, self.store)
        work = sweep.begin()
        self.total = len(work.items)
        clips: list[str] = []
        if self._ends.is_set():
            raise ProgramEnds

        def count(item, outcome) -> None:
            if self._ends.is_set():
                raise ProgramEnds
            self.done += 1
            if outcome.clip:
                clips.append(outcome.clip)

        sweep.run(work, 1, on_done=count)
        self._evaluate(clips)

    def _evaluate(self, clips: list[str]) -> None:
        """An evaluation of the clips of one prompt, for the Evaluate page to open with."""
        found = [self.evaluations.library.stored(clip) for clip in clips]
        same = [clip for clip in found if clip.prompt == self.prompts[0]]
        if not same:
            return
        run = self.evaluations.start(Plan(tuple(same), SHOWN_METRICS))
        write_bytes(self._mark, json.dumps({"evaluation": run.id}).encode())
