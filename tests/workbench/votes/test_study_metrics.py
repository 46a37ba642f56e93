"""Metrics beside the votes of a study, on drawn clips of which it is known what a metric must say."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.default_world import DEFAULT
from tests.helpers.voting_data import ballot
from workbench.__main__ import main
from workbench.lab.drawn_study import FPS, TRIAL, draw, trial_study
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.records import Flag, GeneratedClip, Value
from workbench.ui.pages.results import view
from workbench.votes.preferences import Filters
from workbench.votes.study_clips import StudyClips
from workbench.votes.study_metrics import beside, measure

FLASH = 8


def make(system, prompt, seed, frames):
    """ASD's clips have grain and a flash; the others are another picture without."""
    made = draw(system, prompt, seed, frames)
    if system.model != DEFAULT.asd:
        grain = np.array(made.frames) < 100
        return replace(made, frames=np.where(grain, np.uint8(60), made.frames))
    made.frames[FLASH] = np.minimum(made.frames[FLASH].astype(int) + 90, 255)
    return replace(made, origin=f"clip of {prompt}")


@pytest.fixture(scope="module")
def voted(tmp_path_factory):
    """Six prompts; the clip with the flash always wins, and its flash is flagged."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("voted"))
    store = open_store(settings)
    study = trial_study(6)
    record = store.studies.save(study.id, study.title, study.to_json(), study.protocol_hash())
    StudyClips(store, settings.data_dir, make).prepare(record)
    ann = store.people.named("Ann")
    for k, pair in enumerate(store.studies.pairs(TRIAL, 1)):
        given = store.ballots.assign(ann, record, pair.id, swapped=bool(k % 2), propensity=1)
        side = "a" if given.left.system.startswith(DEFAULT.asd) else "b"
        flag = Flag(side, FLASH / FPS, "flicker")
        store.ballots.record(ballot(given.id, f"key {k}", side, flags=(flag,)))
    yield settings, store
    store.close()


def test_metrics_are_measured_once_and_set_beside_people(voted):
    settings, store = voted
    before = beside(store, settings.data_dir, TRIAL, Filters())
    assert (before.clips, before.unmeasured, before.agreement) == (12, 12, ())
    assert list(measure(store, settings.data_dir, TRIAL))[-1] == (12, 12)
    assert list(measure(store, settings.data_dir, TRIAL)) == []
    found = beside(store, settings.data_dir, TRIAL, Filters())
    flicker = next(row for row in found.agreement if row.metric == "luma_flicker")
    assert (found.unmeasured, flicker.pairs, flicker.prompts) == (0, 6, 6)
    assert flicker.accuracy.value == 0 and flicker.tau.value < -0.5  # people preferred what flickers
    assert "sharpness" not in [row.metric for row in found.agreement]  # more of it is neither good nor bad
    jumps = next(row for row in found.flagged if row.metric == "frame_difference" and row.kind == "flicker")
    assert jumps.flags == 6 and jumps.share.low > 0.6  # half of so short a clip lies near the flag
    assert beside(store, settings.data_dir, TRIAL, Filters("motion")).agreement == ()
    for table in (view.metrics_table(found), view.flagged_table(found)):
        assert json.dumps(table) and table["rows"][0][0] not in ("sharpness", "frame_difference")  # titles, not names


def test_values_of_the_store_are_those_of_the_clip_that_is_shown(voted):
    settings, store = voted
    clips = [clip for clip in store.studies.clips(TRIAL) if clip.origin]
    for k, clip in enumerate(clips):
        shape = clip.frames, clip.width, clip.height, clip.fps
        made = GeneratedClip(clip.origin, DEFAULT.asd, "asd", "00", 1, 4, clip.prompt, 0, "", *shape, 1.0, "float32",
                             "clips/x.mp4", 1.0, 0.5, 4, clip.system)  # fmt: skip
        store.add_clip(made)
        store.add_values(clip.origin, {"aesthetic_quality": Value(0.5 + k / 100)})
    found = beside(store, settings.data_dir, TRIAL, Filters())
    assert "aesthetic_quality" not in [row.metric for row in found.agreement]  # one side alone makes no pair
    assert found.clips == 12


def test_the_command_tells_it(voted, capsys):
    settings, _ = voted
    at = ["--data-dir", str(settings.data_dir)]
    assert main(["votes", "stats", "--study", TRIAL, "--metrics", "--measure", *at]) == 0
    told = capsys.readouterr().out
    assert "12 clips were voted on" in told and "luma_flicker" in told and "frame_difference" in told
    assert main(["votes", "stats", "--study", TRIAL, "--metrics", "--json", *at]) == 0
    rows = json.loads(capsys.readouterr().out)["metrics"]["agreement"]
    assert {row["metric"] for row in rows} >= {"luma_flicker", "blockiness"}
    assert main(["votes", "stats", "--metrics", *at]) == 2
    assert "give --study" in capsys.readouterr().err
