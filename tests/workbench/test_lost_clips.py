"""Clips of a study that somebody deleted: annotators get other pairs, the study names them, and they can come back."""

from dataclasses import replace

import numpy as np
import pytest
from fastapi.testclient import TestClient

from models.types import RequestError
from workbench.clips.media import decode_mp4
from workbench.lab.drawn_study import TRIAL, draw, make_trial, trial_study
from workbench.lab.voting_server import build_voting_app
from workbench.settings import Settings
from workbench.store import open_store
from workbench.ui.pages.studies.view import described
from workbench.votes.study_clips import StudyClips
from workbench.votes.voting import VotingService


@pytest.fixture
def settings(store_settings) -> Settings:
    made = replace(store_settings, min_watch=0.0)
    make_trial(made, trial_study(4))
    return made


@pytest.fixture
def voting(settings):
    store = open_store(settings)
    yield VotingService(store, settings, StudyClips(store, settings.data_dir, draw))
    store.close()


def test_people_are_given_other_pairs_and_no_vote_is_lost(settings, voting):
    with TestClient(build_voting_app(settings)) as client:
        assert client.post("/api/v1/session", json={"name": "ann"}).status_code == 200

        def next_pair() -> dict:
            answer = client.post("/api/v1/next-pair", json={"study": TRIAL})
            assert answer.status_code == 200, answer.text
            return answer.json()

        first = next_pair()
        given = voting.store.ballots.assignment(first["assignment"])
        (settings.data_dir / given.left.file).unlink()
        assert client.get(first["a"]).status_code in (200, 404)  # a copy may have been made in time
        seen = set()
        for turn in range(3):
            pair = next_pair()
            assert pair["prompt"] != first["prompt"] and pair["assignment"] not in seen
            seen.add(pair["assignment"])
            body = {"assignment": pair["assignment"], "key": f"key-{turn}", "answers": {"overall": "a"}}
            answer = client.post("/api/v1/votes", json=body | {"watched": 1.0, "seconds": 2.0})
            assert answer.status_code == 200, answer.text
    assert len(voting.store.votes(TRIAL)) == 3


def test_a_study_names_what_is_gone_and_makes_it_again(settings, voting):
    record = voting.study(TRIAL)
    with pytest.raises(RequestError, match="no clip is gone"):
        voting.remake(TRIAL)
    clips = voting.store.studies.clips(TRIAL)
    frames = decode_mp4(settings.data_dir / clips[0].file)[0]
    (settings.data_dir / clips[0].file).unlink()
    assert voting.clips.missing(record) == [clips[0]] and voting.clips.progress(record).ready == 7
    told = described(record, voting.clips.progress(record), {}, gone=voting.clips.missing(record))
    assert "1 clip is missing" in told["notices"][0] and clips[0].prompt in told["notices"][0]
    assert voting.remake(TRIAL).version == record.version
    voting.clips.wait(record)
    assert voting.clips.missing(record) == [] and voting.clips.progress(record).ready == 8
    files = {clip.id: clip.file for clip in voting.store.studies.clips(TRIAL)}
    (again,) = [file for name, file in files.items() if name not in {clip.id for clip in clips}]
    assert np.array_equal(decode_mp4(settings.data_dir / again)[0], frames)
    pairs = voting.store.studies.pair_clips(TRIAL, 1)
    there = [pair for pair, both in pairs.items() if clips[0].id not in both]
    assert len(pairs) == 5 and len(there) == 4  # the pair of the lost clip stays, for the votes that it may have
