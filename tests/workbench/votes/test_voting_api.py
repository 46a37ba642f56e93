"""The voting routes by HTTP: what is given, what is kept, what is refused."""

import asyncio
import gc
import json
import math
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from workbench.common import clock
from workbench.lab.drawn_study import TRIAL, draw, make_trial, trial_study
from workbench.lab.voting_server import build_voting_app
from workbench.settings import Settings
from workbench.store import open_store
from workbench.votes.blindness import blind_copies
from workbench.votes.study_clips import StudyClips
from workbench.votes.voting import VotingService, describe_system

SECRETS = ("shapes", "asd", "self-forcing", "trial-", "degraded", ":1:", "4 step", "ffe")


@pytest.fixture(scope="module")
def settings(tmp_path_factory, new_database) -> Settings:
    made = Settings(data_dir=tmp_path_factory.mktemp("voting"), min_watch=0.0, database_url=new_database())
    make_trial(made, trial_study(6, degraded=1, identical=1))
    make_trial(made, trial_study(3, id="told", reveal=True, questions=("overall", "motion")))
    return made


@pytest.fixture(scope="module")
def app(settings):
    return build_voting_app(settings)


@pytest.fixture
def store(settings):
    opened = open_store(settings)
    yield opened
    opened.close()


class Annotator:
    """A browser of one person, as seen by the routes."""

    def __init__(self, app, name: str, study: str = TRIAL) -> None:
        self.client, self.study, self.keys = TestClient(app), study, 0
        self.name = name
        assert self.post("session", name=name).status_code == 200

    def post(self, path: str, **body):
        return self.client.post(f"/api/v1/{path}", json=body)

    def next(self) -> dict:
        answer = self.post("next-pair", study=self.study)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def vote(self, assignment: str, answer: str = "a", **more):
        self.keys += 1
        body = {"assignment": assignment, "key": f"{self.name}-{self.keys}", "answers": {"overall": answer}}
        return self.post("votes", **{**body, "watched": 1.0, "seconds": 3.0, **more})


@pytest.fixture
def ann(app, request):
    return Annotator(app, request.node.name)


def test_openapi_describes_every_route(app):
    paths = TestClient(app).get("/openapi.json").json()["paths"]
    for path in ("session", "next-pair", "votes", "votes/undo"):
        post = paths[f"/api/v1/{path}"]["post"]
        assert post["requestBody"]["content"]["application/json"]["schema"]["properties"] and post["description"]
    assert "get" in paths["/api/v1/media/{token}"] and "get" in paths["/api/v1/health"]


def test_a_pair_has_what_the_page_needs_and_no_more(ann):
    pair = ann.next()
    assert set(pair) == {"assignment", "prompt", "a", "b", "fps", "frames", "questions", "done", "wanted"}
    assert pair["fps"] == 12 and pair["frames"] == 13 and pair["done"] == 0 and pair["wanted"] == 6
    assert [question["id"] for question in pair["questions"]] == ["overall"]
    assert ann.next() == pair  # until it is voted on


def test_both_sides_answer_alike(ann):
    pair = ann.next()
    a, b = (ann.client.get(pair[side]) for side in "ab")
    assert a.status_code == b.status_code == 200 and a.content != b.content
    differing = {name for name in a.headers if a.headers[name] != b.headers[name]}
    assert differing <= {"etag"} and len(a.content) == len(b.content)
    part = ann.client.get(pair["a"], headers={"Range": "bytes=5-9"})
    assert part.status_code == 206 and part.content == a.content[5:10]
    told = json.dumps(pair) + str(a.headers) + str(b.headers)
    assert not [secret for secret in SECRETS if secret in told.lower()]


def test_a_study_is_voted_through_and_ends(ann, store):
    assignments = []
    while (pair := ann.next())["assignment"] and pair["done"] < pair["wanted"]:
        saved = ann.vote(pair["assignment"], "tie").json()
        assert saved["saved"] and saved["reveal"] is None
        assignments.append(pair["assignment"])
    assert len(assignments) == len(set(assignments)) == 6
    mine = store.votes(TRIAL)
    mine = mine[mine.assignment.isin(assignments)]
    assert sorted(mine.check_kind) == ["", "", "", "", "degraded", "identical"]
    assert mine.prompt.nunique() >= 4 and (mine.watched_seconds > 1).all()


def test_the_same_key_is_one_vote_however_often_it_is_sent(app, ann, store):
    given = ann.next()["assignment"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ann.vote(given, key="same").json(), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert list(store.votes().vote_id).count(answers[0]["vote"]) == 1


def test_undo_is_a_record_and_the_pair_comes_again(ann, store):
    first = ann.next()["assignment"]
    vote = ann.vote(first).json()["vote"]
    second = ann.next()["assignment"]
    assert ann.post("votes/undo", assignment=first).json() == {"undone": True, "vote": vote, "assignment": first}
    again = ann.next()
    assert again["assignment"] == first and again["done"] == 0
    ann.vote(first, "b")
    assert ann.next()["assignment"] == second
    rows = store.votes().set_index("assignment").loc[[first]]
    assert sorted(zip(rows.answer, rows.undone, strict=True)) == [("a", True), ("b", False)]


def test_a_session_is_resumed_by_name_and_by_cookie(app, ann):
    pair = ann.next()
    assert Annotator(app, ann.name).next() == pair
    assert ann.post("session", name=ann.name).status_code == 200 and ann.next() == pair


def test_reveal_tells_and_ends_undo(app, request):
    ann = Annotator(app, request.node.name, "told")
    given = ann.next()["assignment"]
    answers = {"overall": "a", "motion": "bad"}
    reveal = ann.vote(given, answers=answers).json()["reveal"]
    assert {reveal["a"]["system"], reveal["b"]["system"]} == set(trial_study().systems)
    assert reveal["compare"].startswith("/compare?prompt=trial+")
    assert {reveal["a"]["title"], reveal["b"]["title"]} == {describe_system(name) for name in trial_study().systems}
    assert ann.post("votes/undo", assignment=given).status_code == 409


def test_sides_are_a_fair_coin(settings, store):
    """4 standard errors of a fair coin: a wrong alarm in 16,000 runs."""
    voting = VotingService(store, settings, StudyClips(store, settings.data_dir))
    shown = [voting.next_pair(voting.sessions.named(f"coin {k}"), TRIAL).assignment.left.system for k in range(64)]
    share = shown.count(trial_study().systems[0]) / len(shown)
    assert set(shown) == set(trial_study().systems) and abs(share - 0.5) < 4 * math.sqrt(0.25 / len(shown))


# refusals: (what is sent, status, a word of the sentence, the recorded reason)


def wrong_votes(given: str) -> dict[str, tuple[dict, int, str, str]]:
    right = {"assignment": given, "key": "k", "answers": {"overall": "a"}, "watched": 1, "seconds": 1}
    flag = {"side": "a", "time_seconds": 0.5, "kind": "flicker"}
    return {
        "unknown pair": (right | {"assignment": "nope"}, 404, "does not exist", "unknown-pair"),
        "pair that is no text": (right | {"assignment": {"$ne": 1}}, 404, "does not exist", "unknown-pair"),
        "null character": (right | {"assignment": "a\0b"}, 422, "null character", "unreadable"),
        "null character in a comment": (
            right | {"flags": [flag | {"comment": "a\0b"}]},
            422,
            "null character",
            "unreadable",
        ),
        "no key": (right | {"key": ""}, 422, "no key", "key"),
        "unknown question": (right | {"answers": {"beauty": "a"}}, 422, "'beauty'", "unknown-question"),
        "no answer": (right | {"answers": {}}, 422, "no answers", "no-answers"),
        "unknown answer": (right | {"answers": {"overall": "c"}}, 422, "'c'", "unknown-answer"),
        "answer that is no text": (right | {"answers": {"overall": ["a"]}}, 422, "answer", "unknown-answer"),
        "script in a flag": (right | {"flags": [flag | {"kind": "<script>"}]}, 422, "flicker", "flags"),
        "megabyte of comment": (right | {"flags": [flag | {"comment": "x" * 2**20}]}, 422, "1,048,576", "comment"),
        "not a number": (right | {"seconds": "soon"}, 422, "'soon'", "number"),
        "negative": (right | {"watched": -1}, 422, "-1", "number"),
        "infinite": (right | {"seconds": 1e300}, 422, "seconds", "number"),
    }


@pytest.mark.parametrize("case", wrong_votes(""))
def test_bad_votes_are_refused_and_recorded(ann, store, case):
    given = ann.next()["assignment"]
    before = len(store.votes())
    body, status, word, reason = wrong_votes(given)[case]
    answer = ann.post("votes", **body)
    assert answer.status_code == status and set(answer.json()) == {"error"} and word in answer.json()["error"]
    assert "\n" not in answer.json()["error"] and len(answer.json()["error"]) < 250
    assert store.refusals(1).reason[0] == reason and len(store.votes()) == before
    assert ann.vote(given).status_code == 200  # nothing else is disturbed


def test_nan_is_no_number(ann):
    given = ann.next()["assignment"]
    body = f'{{"assignment": "{given}", "key": "k", "answers": {{"overall": "a"}}, "watched": NaN, "seconds": 1}}'
    answer = ann.client.post("/api/v1/votes", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and "watched" in answer.json()["error"]


@pytest.mark.parametrize("content", ["", "no json", "[]", "[" * 100_000, b"\xff\xfe", '"text"', "\0"])
def test_bodies_that_are_no_objects_are_refused_and_recorded(ann, store, content):
    before = len(store.refusals())
    answer = ann.client.post("/api/v1/votes", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422 and "error" in answer.json()
    assert len(store.refusals()) == before + 1


def test_a_huge_body_is_refused(ann):
    answer = ann.post("votes", assignment="x" * 3 * 2**20)
    assert answer.status_code == 413 and "write less" in answer.json()["error"]


def test_somebody_elses_pair_is_refused(app, ann):
    other = Annotator(app, f"{ann.name} other")
    given = ann.next()["assignment"]
    answer = other.vote(given)
    assert answer.status_code == 403 and "somebody else" in answer.json()["error"]
    assert other.post("votes/undo", assignment=given).status_code == 403


def test_a_second_vote_and_a_reused_key_are_refused(ann):
    first = ann.next()["assignment"]
    ann.vote(first, key=f"{ann.name} first")
    assert ann.vote(first).status_code == 409
    second = ann.next()["assignment"]
    answer = ann.vote(second, key=f"{ann.name} first")
    assert answer.status_code == 409 and "key" in answer.json()["error"]


def test_without_a_session_nothing_is_given(app):
    client = TestClient(app)
    for path, body in (("next-pair", {}), ("votes", {}), ("votes/undo", {}), ("consent", {"study": TRIAL})):
        assert client.post(f"/api/v1/{path}", json=body).status_code == 401


@pytest.mark.parametrize("name", ["", "  ", None, 5, "x" * 81, "a\nb", "\u202edesrever"])
def test_names_that_are_none_are_refused(app, name):
    assert TestClient(app).post("/api/v1/session", json={"name": name}).status_code == 422


def test_a_script_for_a_name_is_a_name(app):
    answer = TestClient(app).post("/api/v1/session", json={"name": "<script>alert(1)</script>"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"


def test_the_cookie_is_out_of_scripts_reach(app):
    cookie = TestClient(app).post("/api/v1/session", json={"name": "Cookie"}).headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie


def test_another_site_cannot_vote(ann):
    for headers in ({"Origin": "https://elsewhere.example"}, {"Content-Type": "text/plain"}):
        answer = ann.client.post("/api/v1/next-pair", content="{}", headers=headers)
        assert answer.status_code in (403, 415)


@pytest.mark.parametrize("study", ["nope", 5, "a\0b", ["x"]])
def test_an_unknown_study_is_refused(ann, study):
    assert ann.post("next-pair", study=study).status_code in (404, 422)


def test_a_closed_study_takes_no_new_pairs(settings, app, store):
    make_trial(settings, trial_study(2, id="closed"))
    store.studies.set_state("closed", "closed")
    answer = Annotator(app, "late", "closed").post("next-pair", study="closed")
    assert answer.status_code == 403 and "closed" in answer.json()["error"]


def test_media_of_unknown_tokens_are_not_there(app):
    for token in ("x" * 32, "..%2fworkbench.db"):
        assert TestClient(app).get(f"/api/v1/media/{token}").status_code == 404


# the viewing rule


@pytest.fixture
def watched(settings):
    return Annotator(build_voting_app(replace(settings, min_watch=0.8)), "watcher")


def test_a_vote_before_watching_is_refused(watched, store, monkeypatch):
    given = watched.next()["assignment"]
    assert watched.vote(given, watched=0.5).json()["error"].startswith("watch 80 %")
    answer = watched.vote(given, watched=1.0)
    assert answer.status_code == 422 and "sooner" in answer.json()["error"]
    assert store.refusals(1).reason[0] == "too-fast"

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=2)

    monkeypatch.setattr(clock, "datetime", Later)
    assert watched.vote(given, watched=1.0).status_code == 200


# failures


def test_a_vote_that_could_not_be_saved_is_told_so(tmp_path):
    settings = Settings(data_dir=tmp_path, min_watch=0.0)
    make_trial(settings, trial_study(2))
    app = build_voting_app(settings)
    ann = Annotator(app, "Ann")
    given = ann.next()["assignment"]
    store = open_store(settings)
    with store.database.write() as connection:
        connection.execute(text("ALTER TABLE vote RENAME TO gone"))
    answer = ann.vote(given)
    assert answer.status_code == 503 and "NOT saved" in answer.json()["error"] and answer.json()["saved"] is False
    with store.database.write() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO vote"))
    assert ann.vote(given).status_code == 200


def test_a_read_only_server_takes_no_votes(settings):
    client = TestClient(build_voting_app(replace(settings, read_only=True)))
    client.post("/api/v1/session", json={"name": "Reader"})
    answer = client.post("/api/v1/next-pair", json={"study": TRIAL})
    assert answer.status_code == 403 and "read-only" in answer.json()["error"]


def test_a_pair_waits_for_clips_that_are_being_made(tmp_path):
    settings = Settings(data_dir=tmp_path, min_watch=0.0)
    store = open_store(settings)
    gate = threading.Event()

    def draw_later(*what):
        gate.wait(60)
        return draw(*what)

    voting = VotingService(store, settings, StudyClips(store, tmp_path, draw_later))
    voting.add_study(trial_study(2))
    ann = voting.sessions.named("early")
    assert voting.next_pair(ann, TRIAL).waiting
    gate.set()
    end = time.monotonic() + 60
    while voting.next_pair(ann, TRIAL).assignment is None and time.monotonic() < end:
        time.sleep(0.05)
    assert voting.next_pair(ann, TRIAL).assignment


def test_clips_that_cannot_be_made_are_told(tmp_path):
    settings = Settings(data_dir=tmp_path)
    store = open_store(settings)
    study = trial_study(2)
    store.studies.save(study.id, study.title, study.to_json(), study.protocol_hash())
    answer = Annotator(build_voting_app(settings), "early").post("next-pair", study=TRIAL)
    assert answer.status_code == 503 and "clips" in answer.json()["error"]


# many at once


def test_what_nobody_has_is_not_remembered(ann):
    """Whoever asks for ever more studies that do not exist takes no memory."""
    names = [f"{k} " + "x" * 50_000 for k in range(80)]
    tracemalloc.start()
    kept = []
    try:
        for some in (names[:40], names[40:]):
            for name in some:
                assert ann.post("next-pair", study=name).status_code == 404
            gc.collect()
            kept.append(tracemalloc.get_traced_memory()[0])
        assert kept[1] - kept[0] < 1_000_000, kept
    finally:
        tracemalloc.stop()


def test_a_vote_is_taken_while_many_wait_for_their_clips(tmp_path, monkeypatch):
    """More requests than the server has threads wait for copies; none of them holds one."""
    settings = Settings(data_dir=tmp_path, min_watch=0.0)
    make_trial(settings, trial_study(2))
    gate = threading.Event()
    write = blind_copies.write_copies
    monkeypatch.setattr(blind_copies, "write_copies", lambda *given: gate.wait(60) and write(*given))

    async def people() -> tuple[int, list[int]]:
        transport = httpx.ASGITransport(build_voting_app(settings))
        clients = [httpx.AsyncClient(transport=transport, base_url="http://localhost") for _ in range(25)]
        pairs = []
        for k, client in enumerate(clients):
            await client.post("/api/v1/session", json={"name": f"person {k}"})
            pairs.append((await client.post("/api/v1/next-pair", json={"study": TRIAL})).json())
        asked = [client.get(pair[side]) for client, pair in zip(clients, pairs, strict=True) for side in "ab"]
        waiting = asyncio.gather(*asked)
        await asyncio.sleep(0.5)
        body = {"assignment": pairs[0]["assignment"], "key": "k", "answers": {"overall": "a"}, "watched": 1.0}
        async with asyncio.timeout(20):
            vote = await clients[0].post("/api/v1/votes", json=body)
        still = waiting.done()
        gate.set()
        answers = await waiting
        return vote.status_code * (not still), [answer.status_code for answer in answers]

    vote, clips = asyncio.run(people())
    assert vote == 200 and clips == [200] * 50


def test_part_of_a_clip_can_be_asked_for(ann):
    clip = ann.next()["a"]
    whole, part = ann.client.get(clip), ann.client.get(clip, headers={"Range": "bytes=4-11"})
    assert (part.status_code, part.content) == (206, whole.content[4:12])
    same = ("etag", "last-modified", "content-type", "accept-ranges", "cache-control")
    assert [part.headers[name] for name in same] == [whole.headers[name] for name in same]
