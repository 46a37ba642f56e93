"""Training with several processes that seldom talk: local SGD (arXiv 1805.09767).

Every process trains a copy on its own random batches; every `every` steps all copies take the mean of their weights.
On a CPU this beats threads, which wait for each other in every layer.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

Weights = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Peers:
    """This process is number `rank` (from 0) of `count`; they meet in `home`, where the first one keeps its run."""

    home: Path
    rank: int = 0
    count: int = 1
    every: int = 50

    def due(self, done: int) -> bool:
        """True after steps that end with a meeting."""
        return self.count > 1 and done % self.every == 0

    def agreed(self, done: int) -> bool:
        """True after steps at whose end all processes hold the same weights."""
        return self.count == 1 or self.due(done)

    def mean(self, weights: Weights, done: int) -> Weights:
        """The mean of every process's `weights` after step `done`; waits until all are there.

        Raises ChildProcessError when the process that started this one is gone.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        mine = self._file(done, self.rank)
        torch.save(weights, mine.with_suffix(".tmp"))
        mine.with_suffix(".tmp").replace(mine)
        total = {
            group: {name: torch.zeros_like(t) for name, t in tensors.items()} for group, tensors in weights.items()
        }
        for rank in range(self.count):
            for group, tensors in self._read(self._file(done, rank)).items():
                for name, tensor in tensors.items():
                    total[group][name] += tensor / self.count
        # everyone is past the last meeting once all have come to this one
        self._file(done - self.every, self.rank).unlink(missing_ok=True)
        return total

    def _read(self, path: Path) -> Weights:
        parent = os.getppid()
        while not path.exists():
            if self.rank and os.getppid() != parent:
                raise ChildProcessError("the process that started this one is gone; resume the run from there")
            time.sleep(0.05)
        return torch.load(path, weights_only=True)

    def _file(self, done: int, rank: int) -> Path:
        return self.home / f"meeting-{done}-{rank}.pt"
