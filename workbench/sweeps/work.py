"""What a sweep's workers do: make a clip, then judge the file that was made. They write nothing that lasts.

A worker is a process, here or on another machine; what it made goes back to the one that writes. Numbers are those of
the stored file, not of the frames it was made from: H.264 loses a little, and `evaluate` reads the file too.
"""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from eval.evaluator import Source, evaluate
from eval.metric import Metric, Resources
from models.registry import get_spec, register
from models.types import RequestError
from workbench.scoring.evaluation import create_metrics
from workbench.scoring.store_rows import values_of
from workbench.store.records import Value
from workbench.sweeps.plan import THREADS, Cell


@dataclass(frozen=True)
class Setup:
    """What a worker needs to know once. `weights` is the folder of published weights of metrics, `models` the networks
    of one's own that cells may name, as `path:FILE`."""

    device: str = "cpu"
    weights: Path | None = None
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """One piece of work: a cell whose clip is to be made, or which is there by the name `clip`, and the metrics it
    lacks. `stored` is the file of a clip that is there, or what is in it."""

    cell: Cell
    metrics: tuple[str, ...]
    clip: str = ""
    stored: Path | bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Outcome:
    """What came of an item. `error` tells why nothing did; with `stop` it is not the item's own and ends the sweep.

    `clip` is the content name, `seconds` what it took.
    """

    key: str
    error: str = ""
    stop: bool = False
    clip: str = ""
    mp4: bytes = field(default=b"", repr=False)
    manifest: str = field(default="", repr=False)
    values: Mapping[str, Value] = field(default_factory=dict)
    seconds: float = 0.0


ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(THREADS)),
    "HF_HUB_OFFLINE": "1",
}
"""What a worker's process is started with: libraries read it when they are loaded."""


def limit_threads() -> None:
    """One thread for everything, whoever else works on this machine."""
    import cv2
    import torch

    torch.set_num_threads(THREADS)
    cv2.setNumThreads(THREADS)


class Worker:
    """Holds one loaded model and the metrics, and works items off."""

    def __init__(self, setup: Setup) -> None:
        limit_threads()
        for model in setup.models:
            register(model)
        self.setup = setup
        self.model, self.service = "", None
        self.metrics: dict[tuple[str, ...], list[Metric]] = {}

    def ready(self) -> bool:
        """Answers once the worker is there."""
        return True

    def work(self, item: Item) -> Outcome:
        """Never raises for what belongs to the item: its error is the outcome."""
        began = time.perf_counter()
        try:
            with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
                outcome = self._work(item, Path(folder) / "clip.mp4")
            return replace(outcome, seconds=time.perf_counter() - began)
        except Exception as error:  # whatever it is, it belongs to this cell
            told = str(error) if isinstance(error, RequestError) else f"{type(error).__name__}: {error}"
            return Outcome(item.cell.key, error=" ".join(told.split())[:1000] or type(error).__name__)

    def _work(self, item: Item, path: Path) -> Outcome:
        if isinstance(item.stored, bytes):
            path.write_bytes(item.stored)
        if item.clip:
            there = item.stored if isinstance(item.stored, Path) else path
            return Outcome(item.cell.key, clip=item.clip, values=self._values(item, there))
        from workbench.clips.generation import content_name

        made = self._service(item.cell.model).generate(item.cell.model, item.cell.request, out=path)
        if made.manifest.weights_digest != item.cell.weights:
            told = f"the weights of {item.cell.model} are not those that the sweep began with"
            return Outcome(item.cell.key, f"{told}; start it again, with the same files on every machine", stop=True)
        values = self._values(item, path)
        return Outcome(
            item.cell.key,
            clip=content_name(made.manifest),
            mp4=path.read_bytes(),
            manifest=made.manifest_path.read_text(encoding="utf-8"),
            values=values,
        )

    def _service(self, model: str):
        from workbench.clips.generation import GenerationService

        if self.model != model:
            # the one before goes first: a worker has room for one
            self.service = None
            self.service = GenerationService(Path(tempfile.gettempdir()), self.setup.device)
            self.model = model
        return self.service

    def _values(self, item: Item, path: Path) -> dict[str, Value]:
        if not item.metrics:
            return {}
        if item.metrics not in self.metrics:
            resources = Resources(self.setup.weights, self.setup.device)
            self.metrics = {item.metrics: create_metrics(item.metrics, resources)}
        source = Source("clip", path, prompt=item.cell.prompt, world=get_spec(item.cell.model).family)
        scores = next(evaluate([source], self.metrics[item.metrics]))
        if scores.skipped:
            raise RequestError(f"the clip cannot be read again ({scores.skipped}); delete it, and it is made again")
        return values_of(scores, {metric.facts.name: metric.facts.version for metric in self.metrics[item.metrics]})
