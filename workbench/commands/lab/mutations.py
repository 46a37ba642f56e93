"""`mutations`: put a fault into each package in turn; the quick tests must notice every one."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from models.types import RequestError
from workbench.common.console import say, say_json

ROOT = Path(__file__).resolve().parents[3]
QUICK = ROOT / "tests" / "quick.txt"
COPIED = ("models", "eval", "workbench", "tests", "pyproject.toml", "docs")


@dataclass(frozen=True)
class Mutation:
    """`before` stands once in `file` and becomes `after`; the quick test file `caught_by` must then fail."""

    package: str
    file: str
    before: str
    after: str
    caught_by: str


MUTATIONS = (
    Mutation(
        "models.training",
        "models/training/losses.py",
        "F.softplus(loser - winner)",
        "F.softplus(winner - loser)",
        "tests/models/training/test_losses.py",
    ),
    Mutation(
        "models.worlds",
        "models/worlds/shapes.py",
        "dx, dy = DIRECTIONS[self.kind.direction]",
        "dy, dx = DIRECTIONS[self.kind.direction]",
        "tests/models/test_world.py",
    ),
    Mutation(
        "eval.video",
        "eval/video/frame_metrics.py",
        "mean_difference(a, b) / 255",
        "mean_difference(a, b) / 256",
        "tests/eval/test_frame_metrics.py",
    ),
    Mutation(
        "eval.statistics",
        "eval/statistics/over_time.py",
        "float(1 - np.clip(end / start, 0, 1))",
        "float(np.clip(end / start, 0, 1))",
        "tests/eval/test_over_time.py",
    ),
    Mutation(
        "workbench.requests",
        "workbench/requests/systems.py",
        "if first_steps in (0, steps):",
        "if first_steps == 0:",
        "tests/workbench/ui/test_words.py",
    ),
)


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "mutations",
        help="see that quick tests notice faults in the code",
        description="Put one fault into each package, one after the other, in a copy of the checkout, and run quick "
        "tests on it. Exit code 1 when one is not noticed.",
    )
    parser.add_argument("--whole", action="store_true", help="run all quick tests on each, not only those of its file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    outcomes = []
    for outcome in try_mutations(whole=options.whole):
        outcomes.append(outcome)
        if not options.json:
            word = "caught" if outcome.caught else "NOT CAUGHT"
            say(f"{outcome.package:<20} {word:<11} {outcome.seconds:6.1f} s  {outcome.file}")
    if options.json:
        say_json([asdict(outcome) for outcome in outcomes])
    return 0 if all(outcome.caught for outcome in outcomes) else 1


@dataclass(frozen=True)
class Outcome:
    """Whether the tests failed on a mutation, as they should, and in how many seconds."""

    package: str
    file: str
    caught: bool
    seconds: float


def try_mutations(*, whole: bool = False) -> Iterator[Outcome]:
    """Each mutation in turn, in a copy of the checkout; `whole` runs all quick tests on it, not only its own file's.

    Raises RequestError where a mutation no longer fits the code.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = ROOT / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copyfile(source, copy / name)
        (copy / "assets").symlink_to(ROOT / "assets")
        for mutation in MUTATIONS:
            start = perf_counter()
            caught = _caught(copy, mutation, whole)
            yield Outcome(mutation.package, mutation.file, caught, perf_counter() - start)


def _caught(copy: Path, mutation: Mutation, whole: bool) -> bool:
    path = copy / mutation.file
    text = path.read_text()
    if text.count(mutation.before) != 1:
        raise RequestError(f"{mutation.before!r} does not stand once in {mutation.file}; mend its row in MUTATIONS")
    path.write_text(text.replace(mutation.before, mutation.after))
    tests = QUICK.read_text().split() if whole else [mutation.caught_by]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        # 1: tests failed; any other code is no verdict on the mutation
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True).returncode == 1
    finally:
        path.write_text(text)
