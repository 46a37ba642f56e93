"""How fast each recipe of the tabletop world trains here, as a share of what a matrix product reaches in the same run.

Networks have the published shapes and random weights, pools are small: neither changes the time of a step.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.networks.text_encoder import ShapesTextEncoder
from models.networks.transformer import CausalVideoTransformer
from models.training.distillation import Roles
from models.training.loop import Recipe, StepSeed
from models.training.recipes import RECIPES
from models.training.recipes.teacher import TABLETOP
from models.worlds.training_worlds import WORLDS

AUTOENCODER = Path("assets/tabletop-autoencoder")
SMALL = {"clip_pool": 32, "frame_pool": 128, "pool": 32, "trajectories": 16, "prompts": 64}


@dataclass(frozen=True)
class RecipeSpeed:
    """One recipe and preset: seconds of a step, on average over `steps` steps, and examples in it (0 where steps
    differ); billions of operations of a step, and a second; and those of a matrix product timed between the steps."""

    recipe: str
    preset: str
    precision: str
    steps: int
    seconds: float
    batch: int
    gflop: float
    gflops: float
    matmul_gflops: float

    @property
    def share(self) -> float:
        return self.gflops / self.matmul_gflops


def random_roles(folder: Path) -> Roles:
    """Networks of the tabletop world with random weights, kept in `folder`."""
    torch.manual_seed(0)
    CausalVideoTransformer(**TABLETOP).save_pretrained(folder / "network")
    ShapesTextEncoder(tuple(sorted(WORLDS["tabletop"].words))).save_pretrained(folder / "text-encoder")
    return Roles(folder / "network", folder / "network", folder / "text-encoder", AUTOENCODER, "tabletop")


def build(recipe: str, preset: str, roles: Roles, pools: Path, settings: dict[str, Any]) -> Recipe:
    """A recipe at its preset's batch sizes, on random networks and small pools."""
    row = RECIPES[recipe]
    config = row.presets[preset]
    changes = {name: value for name, value in SMALL.items() if hasattr(config, name)} | settings
    if hasattr(config, "roles"):
        changes["roles"] = replace(roles, world=config.roles.world)
    if hasattr(config, "pools"):
        changes["pools"] = pools
    return row.build(replace(config, **changes))


def speed(recipe: Recipe, name: str, preset: str, *, first: int, steps: int, precision: str) -> RecipeSpeed:
    """Time steps `first` .. `first + steps` of a recipe, after they have run once so that all is compiled."""
    numbers = range(first, first + steps)
    rates = [matmul_rate(precision)]
    operations = sum(_operations(recipe, number, precision) for number in numbers)
    for number in numbers:
        _step(recipe, number, precision)
    spent = 0.0
    for number in numbers:
        began = time.perf_counter()
        _step(recipe, number, precision)
        spent += time.perf_counter() - began
        rates.append(matmul_rate(precision, seconds=0.2))
    gflop = operations / steps / 1e9
    seconds = spent / steps
    return RecipeSpeed(
        recipe=name,
        preset=preset,
        precision=precision,
        steps=steps,
        seconds=seconds,
        batch=getattr(getattr(recipe, "config", None), "batch", 0),
        gflop=gflop,
        gflops=gflop / seconds,
        matmul_gflops=max(rates),
    )


def _step(recipe: Recipe, number: int, precision: str) -> None:
    """What the training loop does in one step."""
    device = torch.get_default_device().type
    with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False):
        recipe.step(number, StepSeed.at(0, number))
    for average in recipe.averages.values():
        average.update(number)
    if device == "cuda":
        torch.cuda.synchronize()


def _operations(recipe: Recipe, number: int, precision: str) -> int:
    """Floating-point operations of a step: products and convolutions, as PyTorch counts them in uncompiled code."""
    # the fused attention of CPUs is not in PyTorch's table; written out it is
    with (
        torch.compiler.set_stance("force_eager"),
        _OperationCounter(display=False) as counter,
        sdpa_kernel(SDPBackend.MATH),
    ):
        _step(recipe, number, precision)
    return counter.get_total_flops()


class _OperationCounter(FlopCounterMode):
    """Counts without telling modules apart, for which PyTorch's counter hooks into every module; that fails where a
    parameter is the input of a module, as a discriminator's query is."""

    def __init__(self, *, display: bool) -> None:
        super().__init__(display=display)
        self.mod_tracker = _NoModules()


class _NoModules:
    parents = ("Global",)

    def __enter__(self) -> "_NoModules":
        return self

    def __exit__(self, *error: object) -> None:
        pass


def matmul_rate(precision: str, seconds: float = 1.0) -> float:
    """Billions of operations a second of a product of 2048 x 2048 matrices in the precision of the run."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(2048, 2048).to(kind) for _ in range(2))
    best, until = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until or not best:
        began = time.perf_counter()
        (a @ b)[0, 0].item()  # a GPU has finished only when a number arrives
        best = max(best, 2 * 2048**3 / (time.perf_counter() - began) / 1e9)
    return best


def speeds(rows: list[tuple[str, str, int]], folder: Path, *, steps: int, precision: str) -> Iterator[RecipeSpeed]:
    """Speeds of (recipe, preset, first step to time); `folder` takes what they are built from."""
    roles = random_roles(folder)
    for name, preset, first in rows:
        recipe = build(name, preset, roles, folder / "pools", {})
        yield speed(recipe, name, preset, first=first, steps=steps, precision=precision)
