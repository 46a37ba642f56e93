"""The clock of the machine jumps, back and forth: while people vote, while sessions run, while work is under way."""

import time
from datetime import datetime, timedelta

import pytest

from models.types import GenerationRequest
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService
from workbench.clips.under_way import is_left, mark
from workbench.common import clock
from workbench.lab.drawn_study import TRIAL, make_trial, trial_study
from workbench.scoring.runs import DONE, EvaluationService, Plan
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.people import SESSION_DAYS
from workbench.store.records import Session
from workbench.votes import voting as voting_rules
from workbench.votes.bodies import Refused, UndoBody, VoteBody
from workbench.votes.study_clips import StudyClips
from workbench.votes.voting import VotingService

JUMPS = [timedelta(hours=-3), timedelta(days=-400), timedelta(hours=3), timedelta(days=400)]


@pytest.fixture
def put(monkeypatch):
    """Puts the clock so far from the true time."""

    def move(by: timedelta) -> None:
        class Moved(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + by

        monkeypatch.setattr(clock, "datetime", Moved)

    return move


@pytest.fixture
def voting(tmp_path):
    settings = Settings(data_dir=tmp_path, min_watch=0.5)
    make_trial(settings, trial_study(8))
    store = open_store(settings)
    yield VotingService(store, settings, StudyClips(store, tmp_path))
    store.close()


def cast(voting, person, key: str) -> str:
    given = voting.next_pair(person, TRIAL).assignment
    body = {"assignment": given.id, "key": key, "answers": {"overall": "a"}, "watched": 1.0, "seconds": 2.0}
    return voting.vote(person, VoteBody(**body)).vote


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_a_jump_between_pair_and_vote_loses_nothing(voting, put, jump):
    ann = voting.sessions.named("Ann")
    put(timedelta(seconds=-5))  # so that enough time has passed by the clock of before
    given = voting.next_pair(ann, TRIAL).assignment
    put(jump)
    assert voting.next_pair(ann, TRIAL).assignment.id == given.id
    votes = [cast(voting, ann, "one")]
    put(jump - timedelta(seconds=5))
    voting.next_pair(ann, TRIAL)
    put(timedelta(0) if jump > timedelta(0) else jump)
    votes.append(cast(voting, ann, "two"))
    assert voting.next_pair(ann, TRIAL).done == 2
    assert (
        voting.undo(ann, UndoBody(assignment=given.id)) == votes[0]
        and voting.next_pair(ann, TRIAL).assignment.id == given.id
    )
    kept = voting.store.votes(TRIAL)
    assert set(kept.vote_id) == set(votes) and kept.undone.sum() == 1


def test_votes_of_a_future_that_was_taken_back_are_not_too_many(voting, put, monkeypatch):
    monkeypatch.setattr(voting_rules, "VOTES_A_MINUTE", 2)
    ann = voting.sessions.named("Ann")
    for hour in (2, 1):  # each time an hour before the last
        for k in range(2):
            put(timedelta(hours=hour, seconds=10 * k - 5))
            voting.next_pair(ann, TRIAL)
            put(timedelta(hours=hour, seconds=10 * k))
            cast(voting, ann, f"{hour} {k}")
    put(timedelta(hours=1, seconds=15))
    voting.next_pair(ann, TRIAL)
    put(timedelta(hours=1, seconds=20))
    with pytest.raises(Refused, match="in a minute"):
        cast(voting, ann, "one more")


@pytest.mark.parametrize("door", SESSION_DAYS)
def test_sessions_are_over_by_the_clock_there_is(tmp_path, put, door):
    store = open_store(Settings(data_dir=tmp_path))
    secret = store.people.open_session(Session(store.people.named("Ann"), door))
    known = []
    for days in (-400, SESSION_DAYS[door] - 1, SESSION_DAYS[door] + 1, 0):
        put(timedelta(days=days))
        known.append(store.people.of_session(secret) is not None)
    assert known == [True, True, False, True]
    store.close()


@pytest.mark.parametrize("jump", JUMPS, ids=str)
def test_work_that_is_under_way_goes_on(tmp_path, put, jump):
    service = GenerationService(tmp_path, pipelines={"shapes-asd": tiny_pipeline(0)})
    request = GenerationRequest("a red circle moving right on a black background", steps=1, frames=13)
    clip = service.generate("shapes-asd", request, on_chunk=lambda chunk: put(jump))
    assert clip.path.is_file() and 0 <= clip.manifest.seconds < 600
    mark(tmp_path / "mark.json")
    put(timedelta(0))
    assert not is_left(tmp_path / "mark.json")
    evaluations = EvaluationService(tmp_path)
    run = evaluations.start(Plan((evaluations.library.stored(clip.path.stem),), ("sharpness",)))
    put(jump)
    end = time.monotonic() + 60
    while run.active and time.monotonic() < end:
        time.sleep(0.02)
    assert evaluations.get(run.id).state == DONE and evaluations.interrupted() == []
