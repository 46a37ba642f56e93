"""The training loop: one for every recipe. Seeds each step, keeps averages, logs, samples, saves, resumes
bit-equal."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from models.training.peers import Peers
from models.training.trackers import trackers_of
from models.whole_files import replacing, write_bytes

log = logging.getLogger(__name__)
SHAPES = 64
"""For how many shapes at most a layer is compiled; torch runs all others uncompiled."""


@dataclass(frozen=True)
class StepSeed:
    """All randomness of one training step: a function of (run seed, step) and of nothing that happened before."""

    torch: torch.Generator
    numpy: np.random.Generator

    @classmethod
    def at(cls, seed: int, step: int, rank: int = 0) -> "StepSeed":
        """`rank` tells processes that train together apart; rank 0 draws what a single process would."""
        key = [seed, step, rank] if rank else [seed, step]
        mixed = int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
        generator = torch.Generator(torch.get_default_device()).manual_seed(mixed)
        return cls(generator, np.random.default_rng(key))


class Recipe:
    """What the loop runs. All that changes in training is in `modules`, `optimizers`, `averages` and `memory()`."""

    modules: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Optimizer]
    averages: dict[str, "Average"]

    def step(self, step: int, seed: StepSeed) -> dict[str, float]:
        """Do step number `step` (from 0) and return what to log."""
        raise TypeError(f"{type(self).__name__} has no step of its own")

    def sample_sheet(self) -> np.ndarray | None:
        """A picture (H, W, 3) uint8 of what the model makes now, or None."""
        return None

    def export(self, folder: Path) -> None:
        """Write the averaged weights for use: one folder per average."""
        with self.averaged():
            for name in self.averages:
                self.modules[name].save_pretrained(folder / name)

    def memory(self) -> dict[str, Tensor]:
        """Tensors that outlive a step and are no parameters (a replay of clips, say)."""
        return {}

    def recall(self, memory: dict[str, Tensor]) -> None:
        """Take back what `memory` gave."""

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the modules hold their averaged weights."""
        for average in self.averages.values():
            average.swap()
        try:
            yield
        finally:
            for average in self.averages.values():
                average.swap()


class Average:
    """Exponential moving average of a module's parameters: `decay` from step `start` on, a plain copy before."""

    def __init__(self, module: nn.Module, decay: float, start: int = 0) -> None:
        self.module, self.decay, self.start = module, decay, start
        self.values = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = self.decay if step >= self.start else 0.0
        for name, parameter in self.module.named_parameters():
            self.values[name].lerp_(parameter, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the module's parameters with their average; calling it twice restores them."""
        for name, parameter in self.module.named_parameters():
            current = parameter.clone()
            parameter.copy_(self.values[name])
            self.values[name].copy_(current)


@dataclass
class Run:
    """Where and how long to train. `steps` is the total; resuming continues up to it.

    State is saved every `save_every` steps, and after `save_seconds` if those take longer; once `stop()` is true it is
    saved after the step at hand, and the run ends there. `precision` "bf16"
    multiplies matrices in bfloat16 (autocast; weights and optimiser stay float32), which pays where the hardware
    does so, as AMX. `log_to` names a tracker that gets the values too, "" for none.
    """

    out: Path
    steps: int
    seed: int = 0
    precision: str = "fp32"
    log_every: int = 10
    save_every: int = 200
    save_seconds: float = 300.0
    sample_every: int = 0
    log_to: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    peers: Peers | None = None
    stop: Callable[[], bool] = lambda: False


def train(recipe: Recipe, run: Run, *, resume: bool = False) -> dict[str, float]:
    """Run `recipe`; leaves `log.jsonl`, TensorBoard events, sheets, `state.pt` and the export in `run.out`.

    With `resume` the run goes on from its last saved state and ends with the same weights, bit for bit, as a run
    that was never stopped. A learning rate may be another from there on; `run.json` keeps what it was and until which
    step. Only a run that comes to its end exports. Returns the last logged values.
    """
    run.out.mkdir(parents=True, exist_ok=True)
    # processes that train together go on from the first one's state: theirs may be a save ahead or behind
    first, seconds = _load(recipe, run.peers.home if run.peers else run.out) if resume else (0, 0.0)
    _record(run, first)
    trackers = trackers_of(run.out, first, run.log_to, run.facts)
    history = _History(run.out / "log.jsonl", first)
    latest: dict[str, float] = {}
    began = saved = time.monotonic()
    progress = tqdm(range(first, run.steps), initial=first, total=run.steps, desc=run.out.name, mininterval=5)
    for step in progress:
        seed = StepSeed.at(run.seed, step, run.peers.rank if run.peers else 0)
        with multiplying_in(run.precision):
            values = recipe.step(step, seed)
        for average in recipe.averages.values():
            average.update(step)
        done = step + 1
        if run.peers and run.peers.due(done):
            _meet(recipe, run.peers, done)
        history.add(values)
        if done % run.log_every == 0 or done == run.steps:
            latest = history.flush(done, seconds + time.monotonic() - began)
            progress.set_postfix({k: f"{v:.4g}" for k, v in list(latest.items())[:4]})
            for tracker in trackers:
                tracker.add(latest, done)
        if run.sample_every and (done % run.sample_every == 0 or done == run.steps):
            sheet = recipe.sample_sheet()
            if sheet is not None:
                for tracker in trackers:
                    tracker.add_sheet(sheet, done)
                _write_png(run.out / "samples.png", sheet)
        agreed = not run.peers or run.peers.agreed(done)
        late = agreed and time.monotonic() - saved > run.save_seconds
        stopped = agreed and done < run.steps and run.stop()
        due = done % run.save_every == 0 or done == run.steps or late or stopped
        if due and not (run.peers and run.peers.rank):
            saved = time.monotonic()
            _save(recipe, run.out, done, seconds + time.monotonic() - began)
        if stopped:
            progress.close()
            break
    else:
        recipe.export(run.out / "export")
    for tracker in trackers:
        tracker.close()
    return latest


def is_rate(setting: str) -> bool:
    """Whether a recipe's setting is a learning rate, which may change when a run is resumed."""
    return setting == "lr" or setting.endswith("_lr")


def _record(run: Run, first: int) -> None:
    """Write `run.json`: the run's facts, and the learning rates that it had before step `first`."""
    path, changes = run.out / "run.json", []
    now = json.loads(json.dumps(run.facts.get("config", {}), default=str))
    if first and path.exists():
        before = json.loads(path.read_text())
        changes = before.get("changes", [])
        was = before.get("config", {})
        changed = {
            name: [was[name], now[name]] for name in now if is_rate(name) and was.get(name, now[name]) != now[name]
        }
        changes += [{"step": first, **changed}] if changed else []
    facts = {"steps": run.steps, "seed": run.seed, **run.facts} | ({"changes": changes} if changes else {})
    write_bytes(path, (json.dumps(facts, indent=2, default=str) + "\n").encode())


def multiplying_in(precision: str) -> torch.autocast:
    """Inside, matrices are multiplied in bfloat16 where `precision` is "bf16"."""
    # no cache of cast weights: a step may update a network several times
    kind = torch.get_default_device().type
    return torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)


@torch.no_grad()
def _meet(recipe: Recipe, peers: Peers, done: int) -> None:
    parameters = {
        f"module {name}": {key: p.detach() for key, p in module.named_parameters() if p.requires_grad}
        for name, module in recipe.modules.items()
    }
    averages = {f"average {name}": average.values for name, average in recipe.averages.items()}
    mean = peers.mean(parameters | averages, done)
    for group, tensors in (parameters | averages).items():
        for key, tensor in tensors.items():
            tensor.copy_(mean[group][key])


class _History:
    """Averages values between log lines and appends them as JSON lines, dropping lines past a resumed step."""

    def __init__(self, path: Path, first: int) -> None:
        self.path, self.pending = path, []
        lines = path.read_text().splitlines() if path.exists() and first else []
        write_bytes(path, "".join(line + "\n" for line in lines if _step_of(line) <= first).encode())

    def add(self, values: dict[str, float]) -> None:
        self.pending.append(values)

    def flush(self, step: int, seconds: float) -> dict[str, float]:
        names = dict.fromkeys(name for values in self.pending for name in values)
        means = {name: float(np.mean([v[name] for v in self.pending if name in v])) for name in names}
        self.pending = []
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, "seconds": round(seconds, 1), **means}) + "\n")
        return means


def _step_of(line: str) -> float:
    """The step of a log line; one that a full disk or a kill cut off is later than any."""
    try:
        return json.loads(line)["step"]
    except ValueError:
        return float("inf")


def _save(recipe: Recipe, out: Path, step: int, seconds: float) -> None:
    state = {
        "step": step,
        "seconds": seconds,
        "modules": {name: module.state_dict() for name, module in recipe.modules.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in recipe.optimizers.items()},
        "averages": {name: average.values for name, average in recipe.averages.items()},
        "memory": recipe.memory(),
    }
    with replacing(out / "state.pt") as temporary:
        torch.save(state, temporary)


def _load(recipe: Recipe, out: Path) -> tuple[int, float]:
    path = out / "state.pt"
    if not path.exists():
        log.info("nothing to resume in %s: starting at step 0", out)
        return 0, 0.0
    state = torch.load(path, map_location=torch.get_default_device(), weights_only=True)
    for name, module in recipe.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimizer in recipe.optimizers.items():
        optimizer.load_state_dict(state["optimizers"][name])
    for name, average in recipe.averages.items():
        average.values = state["averages"][name]
    recipe.recall(state["memory"])
    return state["step"], state["seconds"]


def cosine(step: int, steps: int, *, warmup: int, floor: float = 0.02) -> float:
    """Learning-rate factor: linear warm-up, then half a cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    phase = min(1.0, (step - warmup) / max(1, steps - warmup))
    return floor + (1 - floor) * 0.5 * (1 + float(np.cos(np.pi * phase)))


def steady(step: int, steps: int, *, warmup: int, decay: float = 0.25) -> float:
    """Learning-rate factor: linear warm-up, level, then linear down to 0 over the last `decay` of the steps."""
    return min(1.0, (step + 1) / warmup, (steps - step) / (decay * steps))


def optimize(loss: Tensor, *optimizers: torch.optim.Optimizer, lr: float, clip: float) -> float:
    """One step of the optimisers on `loss` at learning rate `lr`, with gradients clipped to norm `clip`; returns the
    norm."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    loss.backward()
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    norm = torch.nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], clip)
    for group in groups:
        group["lr"] = lr
    for optimizer in optimizers:
        optimizer.step()
    return float(norm)


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024): matrices move along their momentum with all singular values near 1. Learning rates
    and weight decay mean what AdamW's do (arXiv 2502.16982).

    torch has one too; it multiplies in bfloat16, which a CPU without such units does a hundred times slower, and takes
    the matrices one by one. Here matrices of one shape go together, in float32.
    """

    def __init__(
        self, matrices: Iterable[nn.Parameter], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            alike: dict[torch.Size, list[nn.Parameter]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike.setdefault(matrix.shape, []).append(matrix)
            for shape, matrices in alike.items():
                updates = torch.stack([self._momentum(matrix, group["momentum"]) for matrix in matrices])
                lr = group["lr"] * 0.2 * max(shape) ** 0.5
                for matrix, update in zip(matrices, orthogonalized(updates), strict=True):
                    matrix.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=lr)

    def _momentum(self, matrix: nn.Parameter, decay: float) -> Tensor:
        """Nesterov's: the gradient mixed with the momentum that it has just entered."""
        kept = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
        kept.lerp_(matrix.grad, 1 - decay)
        return matrix.grad.lerp(kept, decay)


def orthogonalized(matrices: Tensor, steps: int = 5) -> Tensor:
    """Matrices (N, rows, columns) with singular vectors kept and singular values moved to between 0.7 and 1.2, by the
    Newton-Schulz iteration of Jordan et al. (2024)."""
    a, b, c = 3.4445, -4.775, 2.0315
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        square = torch.bmm(x, x.mT)
        polynomial = torch.baddbmm(square, square, square, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x if wide else x.mT


def muon(layers: Iterable[nn.Module], *, lr: float, weight_decay: float = 0.01) -> Muon:
    """Muon for the matrices of transformer layers."""
    matrices = [p for layer in layers for p in layer.parameters() if p.ndim == 2]
    return Muon(matrices, lr=lr, weight_decay=weight_decay)


def adamw(
    modules: Iterable[nn.Module], *, lr: float, betas: tuple[float, float], weight_decay: float = 0.01
) -> torch.optim.AdamW:
    return adamw_of(
        (p for module in modules for p in module.parameters()), lr=lr, betas=betas, weight_decay=weight_decay
    )


def adamw_of(
    parameters: Iterable[nn.Parameter], *, lr: float, betas: tuple[float, float], weight_decay: float = 0.01
) -> torch.optim.AdamW:
    parameters = [p for p in parameters if p.requires_grad]
    return torch.optim.AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay, foreach=True)


def compile_layers(layers: Iterable[nn.Module]) -> None:
    """Compile each transformer layer by itself: on a CPU a step takes a third less, and one layer's code serves
    all."""
    # every shape of a batch, routed or not, has code of its own: at torch's limit of 8 the ninth would run uncompiled
    torch._dynamo.config.recompile_limit = max(SHAPES, torch._dynamo.config.recompile_limit)
    for layer in layers:
        layer.compile(dynamic=False)


def contact_sheet(clips: np.ndarray, columns: Callable[[int], Iterable[int]]) -> np.ndarray:
    """One row per clip, chosen frames side by side: (N, T, H, W, 3) uint8 to (N*H, K*W, 3)."""
    rows = [np.concatenate([clip[i] for i in columns(len(clip))], 1) for clip in clips]
    return np.concatenate(rows, 0)


def _write_png(path: Path, image: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(image).save(path)
