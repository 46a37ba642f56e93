"""A store as full as a large study makes it, and what reading it costs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from models.types import RequestError
from models.worlds import shapes as world
from workbench.settings import Settings
from workbench.store import Store, open_store
from workbench.store.records import ClipFilter, GeneratedClip, Value

SEEDS = 5  # as VBench has it: five clips a prompt
SYSTEMS = [
    (f"filler-{letter}", steps, first) for letter in "abcde" for steps, first in ((1, 0), (1, 4), (2, 4), (4, 0))
]
LIMITS = {"leaderboard": 1.0, "filter": 0.5}


@dataclass(frozen=True)
class Reading:
    """What was asked, the rows that came, and the seconds it took: the median and the longest of several askings.

    `busy` are the seconds of processor time of the median: less than `seconds` where others use the machine too.
    """

    name: str
    rows: int
    seconds: float
    busy: float
    longest: float
    limit: float

    @property
    def good(self) -> bool:
        return self.seconds < self.limit


def fill(store: Store, clips: int, values: int) -> float:
    """Put made-up clips and values into an empty store; returns the seconds."""
    if store.count_clips():
        raise RequestError("the store holds clips already; give an empty folder or database")
    if clips < len(SYSTEMS) * SEEDS or values < clips:
        least = len(SYSTEMS) * SEEDS
        raise RequestError(f"{clips} clips and {values} values are too few; give {least} or more, and no fewer values")
    made = list(_clips(clips))
    began = time.perf_counter()
    store.add_many(made, _values(made, values))
    return time.perf_counter() - began


def _clips(count: int) -> Iterator[GeneratedClip]:
    prompts = _prompts(-(-count // (len(SYSTEMS) * SEEDS)))
    for k in range(count):
        rest, system = divmod(k, len(SYSTEMS))
        prompt, seed = divmod(rest, SEEDS)
        model, steps, first_steps = SYSTEMS[system]
        yield GeneratedClip(
            id=f"{k:024x}",
            model=model,
            family="filler",
            weights_digest=model,
            steps=steps,
            first_steps=first_steps,
            prompt=prompts[prompt],
            seed=seed,
            image_digest="",
            frames=49,
            width=64,
            height=64,
            fps=12.0,
            guidance_scale=1.0,
            dtype="float32",
            path=f"clips/{k:024x}.mp4",
            seconds=0.8,
            first_frame_seconds=0.1,
            forwards=5 * (steps + 1),
            created_at=f"2026-01-01T{k // 3600 % 24:02d}:{k // 60 % 60:02d}:{k % 60:02d}+00:00",
        )


def _prompts(count: int) -> list[str]:
    rng = np.random.default_rng(0)
    found: dict[str, None] = {}
    while len(found) < count:
        found[str(world.sample_caption(rng, held_out=False, objects=2))] = None
    return list(found)


def _values(clips: list[GeneratedClip], count: int) -> Iterator[tuple[str, str, Value]]:
    rng = np.random.default_rng(1)
    metrics = -(-count // len(clips))
    for k in range(count):
        clip, metric = divmod(k, metrics)
        value = Value(rng.random()) if k % 50 else Value(None, reason="too short")
        yield clips[clip].id, f"metric_{metric}", value


def readings(store: Store, times: int = 5) -> list[Reading]:
    """How long the pages' questions take."""
    choices = store.filters()
    model, system, prompt = choices["models"][0], choices["systems"][0], choices["prompts"][0]
    word = prompt.split()[1]
    asked: dict[str, tuple[str, Callable[[], int]]] = {
        "leaderboard, everything": ("leaderboard", lambda: len(store.leaderboard_rows())),
        f"leaderboard of {model}": ("filter", lambda: len(store.leaderboard_rows(ClipFilter(models=[model])))),
        f"leaderboard of prompts with {word!r}": (
            "filter",
            lambda: len(store.leaderboard_rows(ClipFilter(prompt=word, metrics=["metric_0"]))),
        ),
        "values of one metric of one system": (
            "filter",
            lambda: len(store.value_table(ClipFilter(systems=[system], metrics=["metric_0"]))),
        ),
        "values of one prompt": ("filter", lambda: len(store.value_table(ClipFilter(prompts=[prompt])))),
        "first 100 clips": ("filter", lambda: len(store.clip_table())),
        f"first 100 clips with {word!r}": ("filter", lambda: len(store.clip_table(ClipFilter(prompt=word)))),
        f"how many clips have {word!r}": ("filter", lambda: store.count_clips(ClipFilter(prompt=word))),
        "what can be chosen": ("filter", lambda: sum(map(len, store.filters().values()))),
    }
    return [_timed(name, LIMITS[kind], ask, times) for name, (kind, ask) in asked.items()]


def _timed(name: str, limit: float, ask: Callable[[], int], times: int) -> Reading:
    took, busy = [], []
    for _ in range(times):
        began, ran = time.perf_counter(), time.process_time()
        rows = ask()
        took.append(time.perf_counter() - began)
        busy.append(time.process_time() - ran)
    seconds, processor = (round(float(np.median(each)), 4) for each in (took, busy))
    return Reading(name, rows, seconds, processor, round(max(took), 4), limit)


def store_load(settings: Settings, clips: int, values: int) -> dict:
    """Fill the empty store of these settings and read it; what it took as plain data."""
    store = open_store(settings)
    try:
        seconds = fill(store, clips, values)
        found = readings(store)
        added = _add_one(store)
    finally:
        store.close()
    file = Path(settings.data_dir) / "workbench.db"
    size = file.stat().st_size if settings.database_url is None else None
    rows = [asdict(reading) | {"good": reading.good} for reading in found]
    told = {"clips": clips, "values": values, "fill_seconds": round(seconds, 2), "add_seconds": round(added, 4)}
    return told | {"bytes": size, "readings": rows, "good": all(reading.good for reading in found)}


def _add_one(store: Store) -> float:
    """Seconds for a value more of a clip that is there, sums and disk included."""
    clip = store.clip_table(limit=1).id[0]
    began = time.perf_counter()
    store.add_values(clip, {"metric_0": Value(0.5)})
    return time.perf_counter() - began
