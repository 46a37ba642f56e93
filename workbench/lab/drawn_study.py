"""A study of drawn clips, which needs no model: for trials of the vote path on any machine."""

import zlib
from typing import Any

import numpy as np

from models.default_world import DEFAULT
from workbench.requests.systems import System
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.records import StudyRecord
from workbench.votes.studies import Study
from workbench.votes.study_clips import Made, StudyClips

TRIAL = "trial"
SIZE, FRAMES, FPS = 32, 13, 12.0


def trial_study(pairs: int = 40, **changes) -> Study:
    """Two systems, one pair a prompt; every annotator gets every pair."""
    values: dict[str, Any] = {
        "id": TRIAL,
        "title": "A trial of voting",
        "systems": (f"{DEFAULT.asd}:1:4", f"{DEFAULT.baseline}:1:0"),
        "prompts": tuple(f"trial {k}" for k in range(pairs)),
        "frames": FRAMES,
        "pairs_per_annotator": pairs,
        "degraded": 0,
        "identical": 0,
        "sampling": "balanced",
    }
    return Study(**values | changes)


def draw(system: System, prompt: str, seed: int, frames: int) -> Made:
    """A bar that moves over noise; the same arguments draw the same clip."""
    rng = np.random.default_rng(zlib.crc32(f"{system.stored} {prompt} {seed}".encode()))
    clip = rng.integers(40, 80, (frames, SIZE, SIZE, 3), np.uint8)
    start, speed = int(rng.integers(0, SIZE)), int(rng.integers(1, 4))
    for k in range(frames):
        clip[k, :, (start + speed * k) % SIZE] = 230
    return Made(clip, FPS)


def make_trial(settings: Settings, study: Study) -> StudyRecord:
    """Keep a trial study and draw its clips."""
    store = open_store(settings)
    record = store.studies.save(study.id, study.title, study.to_json(), study.protocol_hash())
    StudyClips(store, settings.data_dir, draw).prepare(record)
    store.close()
    return record
