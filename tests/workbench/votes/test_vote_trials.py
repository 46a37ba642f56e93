"""The server killed while people vote, on both databases; the command does the same 200 times."""

import asyncio
import threading
from dataclasses import replace

import pytest
from sqlalchemy import update

from tests.helpers.voting_data import ballot
from workbench.lab.drawn_study import TRIAL, make_trial, trial_study
from workbench.lab.vote_trials import Load, Voter, audit, check_load, load, torture
from workbench.lab.voting_server import build_voting_app
from workbench.store import open_store, schema
from workbench.ui.live import listening

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
    assert found.clips_p95 > 0
    checked = check_load(store, found, saved, TRIAL)
    assert (checked.lost, checked.twice, checked.repeated) == (0, 0, 0) and checked.good
    store.close()


def test_the_check_of_a_load_notices_what_is_wrong(settings):
    """A vote that is not there, one of another pair, and a hand-out that was not counted; the database itself gives no
    pair twice to one person."""
    store = open_store(settings)
    ann, record = store.people.named("Ann"), store.studies.get(TRIAL)
    first = store.studies.pairs(TRIAL, record.version)[0].id
    given = store.ballots.assign(ann, record, first, swapped=False, propensity=1)
    vote = store.ballots.record(ballot(given.id, "key"))
    with store.ballots._database.write() as connection:
        connection.execute(update(schema.pair).where(schema.pair.c.id == first).values(issued=0))
    found = Load(1, 1.0, 2, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0)
    checked = check_load(store, found, {"gone": given.id, vote: "another"}, TRIAL)
    assert (checked.lost, checked.twice, checked.repeated) == (2, 0, 1) and not checked.good
    assert check_load(store, found, {vote: given.id}, TRIAL).lost == 0
    store.close()
