"""The server killed while people vote, on both databases; the command does the same 200 times."""

import asyncio
import threading
from dataclasses import replace

import pytest

from tests.voting_data import ballot
from workbench.store import open_store
from workbench.trials import TRIAL, make_trial, trial_study
from workbench.ui.live import listening
from workbench.ui.voting_server import build_voting_app
from workbench.vote_trials import Voter, audit, load, torture

pytestmark = pytest.mark.alone


@pytest.fixture
def settings(store_settings):
    make_trial(store_settings, trial_study(20))
    return store_settings


def test_no_acknowledged_vote_is_lost_when_the_server_is_killed(settings):
    found = torture(settings, kills=5, voters=4)
    assert found.good, found
    assert found.acknowledged >= 2 and found.kills == 5


def test_the_audit_notices_what_is_lost_and_what_is_changed(settings):
    """The check itself is checked, on two votes of which one is lost and one became another."""
    store = open_store(settings)
    ann, record = store.people.named("Ann"), store.studies.get(TRIAL)
    pair = store.studies.pairs(TRIAL, record.version)[0].id
    given = store.ballots.assign(ann, record, pair, swapped=False, propensity=1)
    vote = store.ballots.record(ballot(given.id, "key", "a"))
    store.close()
    voter = Voter("", "voter", threading.Event())
    voter.acknowledged = {vote: (given.id, "b", False), "gone": (given.id, "a", False)}
    found = audit(settings, [voter], 0)
    assert (found.lost, found.changed, found.twice) == (1, 1, 0) and not found.good


def test_a_small_load_has_no_errors(settings):
    with listening(build_voting_app(replace(settings, min_watch=0.0))) as url:
        found, saved = asyncio.run(load(url, annotators=10, seconds=2, think=0.2, study=TRIAL))
    assert found.errors == 0 and found.votes == len(saved) >= 10 and found.p50 <= found.p95 <= found.longest
    store = open_store(settings)
    assert set(saved) <= set(store.votes(TRIAL).vote_id)
    store.close()
