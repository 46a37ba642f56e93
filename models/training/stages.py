"""The stages by which all models of the tabletop world are trained from nothing, and which stage waits for which."""

from dataclasses import dataclass
from pathlib import Path

from models.training.recipes import RECIPES

RUNS = Path("runs")


@dataclass(frozen=True)
class Stage:
    """A training run that leaves its networks in `runs/<name>/export`."""

    name: str
    recipe: str
    preset: str

    @property
    def out(self) -> Path:
        return RUNS / self.name

    @property
    def finished(self) -> bool:
        """Whether the run came to its end: only then does it export."""
        return (self.out / "export").is_dir()

    @property
    def waits_for(self) -> set[str]:
        """Names of the stages whose networks this one starts from."""
        roles = getattr(RECIPES[self.recipe].presets[self.preset], "roles", None)
        paths = [path for path in vars(roles).values() if isinstance(path, Path)] if roles else []
        return {path.parts[1] for path in paths if path.parts[0] == RUNS.name}


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage("teacher", "teacher", "tabletop"),
        Stage("ode-init", "ode-init", "tabletop"),
        Stage("self-forcing", "self-forcing", "tabletop"),
        Stage("asd", "asd", "tabletop"),
        Stage("self-forcing-1", "self-forcing", "tabletop-one-step"),
        Stage("self-forcing-2", "self-forcing", "tabletop-two-step"),
        Stage("causal-teacher", "causal-teacher", "tabletop"),
        Stage("asd-real", "asd", "tabletop-real"),
        Stage("dmd-only", "asd", "tabletop-dmd-only"),
        Stage("asd-no-dmd", "asd", "tabletop-no-dmd"),
        Stage("causvid", "causvid", "tabletop"),
        Stage("causvid-causal", "causvid", "tabletop-causal-teacher"),
        Stage("aad1-init", "ode-init", "tabletop-aad1"),
        Stage("aad1-warmup", "self-forcing", "tabletop-aad1-warmup"),
        Stage("aad1", "aad1", "tabletop"),
        Stage("aad1-causal", "aad1", "tabletop-causal"),
        Stage("aad1-frames", "aad1", "tabletop-per-frame"),
        Stage("aad1-dmd", "self-forcing", "tabletop-aad1-dmd"),
    )
}


def with_what_they_need(names: list[str]) -> list[Stage]:
    """The stages called `names` and all that they wait for, in the order of the table."""
    wanted: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending.extend(STAGES[name].waits_for)
    return [stage for name, stage in STAGES.items() if name in wanted]
