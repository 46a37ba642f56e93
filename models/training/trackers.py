"""Where a run's values go beside its log: TensorBoard's events always, trackio or Weights & Biases where asked."""

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from models.types import RequestError

PROJECT = "asd-workbench"


class Tracker(Protocol):
    """Takes the values of a run as they come; `step` counts from 1."""

    def add(self, values: Mapping[str, float], step: int) -> None: ...

    def add_sheet(self, sheet: np.ndarray, step: int) -> None:
        """A picture (H, W, 3) uint8 of what the model makes now."""

    def close(self) -> None: ...


class TensorBoard:
    """Events in `out/tensorboard`; those past step `first`, from where a run goes on, no longer count."""

    def __init__(self, out: Path, first: int) -> None:
        self.writer = SummaryWriter(str(out / "tensorboard"), purge_step=first)

    def add(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def add_sheet(self, sheet: np.ndarray, step: int) -> None:
        self.writer.add_image("samples", sheet, step, dataformats="HWC")

    def close(self) -> None:
        self.writer.close()


class Trackio:
    """The run as `out` is called, in trackio's folder on this machine (TRACKIO_DIR); `trackio show` draws it.

    A run that goes on continues the curves it had.
    """

    def __init__(self, out: Path, facts: dict[str, Any]) -> None:
        import trackio  # noqa: PLC0415  (optional)

        self.trackio = trackio
        trackio.init(PROJECT, name=out.name, config=facts, resume="allow", embed=False)

    def add(self, values: Mapping[str, float], step: int) -> None:
        self.trackio.log(dict(values), step=step)

    def add_sheet(self, sheet: np.ndarray, step: int) -> None:
        self.trackio.log({"samples": self.trackio.Image(sheet)}, step=step)

    def close(self) -> None:
        self.trackio.finish()


class WeightsAndBiases:
    """The run as `out` is called, offline in `out/wandb` unless WANDB_MODE says otherwise; `wandb sync` uploads it."""

    def __init__(self, out: Path, facts: dict[str, Any]) -> None:
        import wandb  # noqa: PLC0415  (optional)

        self.wandb = wandb
        mode = os.environ.get("WANDB_MODE", "offline")
        self.run = wandb.init(project=PROJECT, name=out.name, group=out.name, dir=out, config=facts, mode=mode)

    def add(self, values: Mapping[str, float], step: int) -> None:
        self.run.log(dict(values), step=step)

    def add_sheet(self, sheet: np.ndarray, step: int) -> None:
        self.run.log({"samples": self.wandb.Image(sheet)}, step=step)

    def close(self) -> None:
        self.run.finish()


# by the name of its package, which is the user's to install
OPTIONAL = {"trackio": Trackio, "wandb": WeightsAndBiases}


def check_tracker(name: str) -> None:
    """Raises RequestError where the package of a tracker is not installed."""
    if importlib.util.find_spec(name) is None:
        raise RequestError(
            f"--log-to {name} needs the package {name}, which is not installed; run `pip install {name}`, "
            "or leave --log-to out"
        )


def trackers_of(out: Path, first: int, log_to: str, facts: Mapping[str, Any]) -> list[Tracker]:
    """TensorBoard and, where `log_to` names one, another tracker, for a run that begins after step `first`."""
    board = TensorBoard(out, first)
    if not log_to:
        return [board]
    plain = json.loads(json.dumps(facts, default=str))  # paths and the like as text
    return [board, OPTIONAL[log_to](out, plain)]
