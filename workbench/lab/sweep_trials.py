"""Trials of sweeps: killed at random and started again, one worker against two, a Ray cluster that loses a node."""

import json
import os
import random
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from eval.video.reader import Unreadable, open_video
from models.default_world import DEFAULT
from models.types import RequestError
from workbench.clips.manifest import manifest_path, read_manifest
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.records import ClipFilter
from workbench.sweeps.plan import make_plan
from workbench.sweeps.pool import CONTEXT, environment, run_here
from workbench.sweeps.ray_cluster import check_ray, connect, disconnect, run_on_ray
from workbench.sweeps.sweep import Report, Sweep
from workbench.sweeps.work import ENVIRONMENT

EARLY = 0.25  # of the kills that may come before the first clip
LONGEST_RUN = 3600.0
METRICS = "sharpness,temporal_flickering,oracle_right"
SHAPES = ("--models", DEFAULT.asd, "--steps", "1", "--frames", "13", "--metrics", METRICS)


def sweep_flags(clips: int) -> list[str]:
    """Flags of a sweep of so many clips of the default world."""
    prompts = min(64, clips)
    return [*SHAPES, "--prompts", f"held-out:{prompts}", "--seeds", f"0-{clips // prompts - 1}"]


@dataclass
class Torture:
    """What killing a sweep again and again left; from `missing` to `wrong_sums` all must be 0."""

    cells: int = 0
    kills: int = 0
    missing: int = 0
    twice: int = 0
    torn: int = 0
    unknown_files: int = 0
    without_values: int = 0
    wrong_sums: int = 0
    left_behind: int = 0
    """Temporary files of killed runs, which a later run removes; not a fault."""
    damage: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        faults = (self.missing, self.twice, self.torn, self.unknown_files, self.without_values, self.wrong_sums)
        return not any(faults) and not self.damage


def arguments(settings: Settings, plan: Sequence[str], workers: int) -> list[str]:
    """The command line of a sweep in the folder and database of these settings."""
    store = ["--database-url", settings.database_url] if settings.database_url else []
    return [
        "sweep",
        *plan,
        "--workers",
        str(workers),
        "--data-dir",
        str(settings.data_dir.absolute()),
        *store,
        "--json",
    ]


def command(argv: Sequence[str]) -> None:
    """A process that is one command; what it says goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.argv = ["workbench", *argv]
    runpy.run_module("workbench", run_name="__main__")


def torture(
    settings: Settings,
    plan: Sequence[str],
    kills: int,
    *,
    workers: int = 2,
    longest: float = 2.0,
    seed: int = 0,
    on_kill: Callable[[], object] = lambda: None,
) -> Torture:
    """Run a sweep in an empty folder and kill it `kills` times, up to `longest` seconds after it made a first clip or,
    at times, after it was started; then let it end, and look at all that it left."""
    rng, began, found = random.Random(seed), time.perf_counter(), Torture(kills=kills)
    for _ in range(kills):
        process = _start(settings, plan, workers)
        if rng.random() > EARLY:
            _wait_for_work(settings, process)
        time.sleep(rng.uniform(0, longest))
        if not process.is_alive():
            raise RequestError(f"the sweep was done, or failed, before it was killed {kills} times; give more cells")
        process.kill()
        process.join()
        on_kill()
    process = _start(settings, plan, workers)
    process.join(LONGEST_RUN)
    audit(settings, found)
    if process.exitcode:
        found.damage.append(f"the last run ended with exit code {process.exitcode}")
    found.seconds = round(time.perf_counter() - began, 1)
    return found


def _start(settings: Settings, plan: Sequence[str], workers: int):
    with environment(ENVIRONMENT):
        process = CONTEXT.Process(target=command, args=(arguments(settings, plan, workers),))
        process.start()
    return process


def _wait_for_work(settings: Settings, process) -> None:
    """Until the sweep has begun to make clips, or has ended."""
    before, end = _files(settings), time.monotonic() + LONGEST_RUN
    while process.is_alive() and _files(settings) == before and time.monotonic() < end:
        time.sleep(0.02)


def _files(settings: Settings) -> int:
    folder = settings.data_dir / "clips"
    return len(list(folder.glob("*.mp4"))) if folder.is_dir() else 0


def audit(settings: Settings, found: Torture | None = None) -> Torture:
    """Hold cells, clips, files and values of the only sweep of a store against one another."""
    found = found or Torture()
    store = open_store(settings)
    try:
        (sweep,) = store.sweeps.all()
        cells = store.sweeps.cells(sweep.id)
        clips = store.clip_table(limit=None)
        values = store.value_table(ClipFilter(sweep=sweep.id))
        found.damage += store.problems()
        found.wrong_sums = len(store.wrong_sums())
    finally:
        store.close()
    found.cells = len(cells)
    found.missing = sum(cell.status != "done" for cell in cells)
    made = Counter(zip(clips.system, clips.prompt, clips.seed, clips.settings, strict=True))
    found.twice = sum(n > 1 for n in made.values()) + abs(len(clips) - len({cell.clip for cell in cells if cell.clip}))
    folder = settings.data_dir / "clips"
    names = {path.stem for path in folder.glob("*.mp4")}
    found.unknown_files = len(names ^ set(clips.id)) + len(names ^ {path.stem for path in folder.glob("*.json")})
    found.left_behind = len(list(folder.glob(".*.tmp")))
    found.torn = sum(_is_torn(folder / f"{name}.mp4") for name in names)
    wanted = json.loads(sweep.plan)["metrics"]
    counts = values[values.metric.isin(wanted)].groupby("clip").metric.nunique()
    found.without_values = sum(counts.get(clip, 0) != len(wanted) for clip in clips.id)
    return found


def _is_torn(path: Path) -> bool:
    """A clip that cannot be read to its end, or a manifest that tells of other frames."""
    try:
        made = read_manifest(manifest_path(path))
        with open_video(path) as video:
            count = sum(len(window.frames) for window in video.windows(lambda notice: None))
    except (Unreadable, RequestError):
        return True
    return count != made.frames


@dataclass(frozen=True)
class Scaling:
    """One sweep with one worker and with several: clips a second once all work, and whether the clips are the same."""

    clips: int
    workers: int
    cores: int
    rate_of_one: float
    rate: float
    speedup: float
    same_clips: bool
    same_values: bool

    @property
    def good(self) -> bool:
        return self.same_clips and self.same_values


def scaling(folder: Path, plan: Sequence[str], workers: int) -> Scaling:
    """Run a sweep in two empty folders, with one worker and with `workers`. Clips made while workers still load the
    model are not counted."""
    rates, kept = [], []
    for count in (1, workers):
        settings, times = Settings(data_dir=folder / str(count)), []
        run_sweep(settings, plan, count, on_done=lambda *done, times=times: times.append(time.perf_counter()))
        warm = times[2 * workers :]
        if len(warm) < 2:
            raise RequestError(f"{len(times)} clips are too few to tell a rate by; give {2 * workers + 2} or more")
        rates.append((len(warm) - 1) / (warm[-1] - warm[0]))
        kept.append(_contents(settings))
    (clips, values), (other_clips, other_values) = kept
    return Scaling(
        clips=len(clips),
        workers=workers,
        cores=len(os.sched_getaffinity(0)),
        rate_of_one=round(rates[0], 3),
        rate=round(rates[1], 3),
        speedup=round(rates[1] / rates[0], 3),
        same_clips=clips == other_clips,
        same_values=values.equals(other_values),
    )


def run_sweep(settings: Settings, plan: Sequence[str], workers: int, *, run=run_here, on_done=None) -> Report:
    """A sweep in this process, by the flags of its plan."""
    flags = {name.removeprefix("--"): value for name, value in zip(plan[::2], plan[1::2], strict=True)}
    store = open_store(settings)
    try:
        sweep = Sweep(make_plan(flags), settings, store)
        return sweep.run(sweep.begin(), workers, run=run, on_done=on_done)
    finally:
        store.close()


def lose_a_node(settings: Settings, plan: Sequence[str], workers: int) -> Torture:
    """Run a sweep on a Ray cluster of a head without processors and two nodes with one each, and kill a node once a
    quarter of the clips is there."""
    check_ray()
    from ray.cluster_utils import Cluster

    began, found, count = time.perf_counter(), Torture(kills=1), 0
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        cluster.wait_for_nodes()
        connect(cluster.address)

        def on_done(item, outcome) -> None:
            nonlocal count
            count += 1
            if count == wanted:
                cluster.remove_node(nodes[0], allow_graceful=False)

        wanted = max(1, _cells(plan) // 4)
        report = run_sweep(settings, plan, workers, run=run_on_ray, on_done=on_done)
    finally:
        disconnect()
        cluster.shutdown()
    audit(settings, found)
    found.damage += [f"{cell.key}: {reason}" for cell, reason in report.failed]
    found.seconds = round(time.perf_counter() - began, 1)
    return found


def _cells(plan: Sequence[str]) -> int:
    prompts, seeds = plan[plan.index("--prompts") + 1], plan[plan.index("--seeds") + 1]
    return int(prompts.partition(":")[2]) * (int(seeds.partition("-")[2]) + 1)


def _contents(settings: Settings):
    """(file contents and frames by clip, values)."""
    store = open_store(settings)
    try:
        values = store.value_table()
    finally:
        store.close()
    folder = settings.data_dir / "clips"
    clips = {
        path.name: (path.read_bytes(), read_manifest(manifest_path(path)).frames_digest)
        for path in folder.glob("*.mp4")
    }
    return clips, values


def row(found: Torture | Scaling) -> dict:
    return asdict(found) | {"good": found.good}
