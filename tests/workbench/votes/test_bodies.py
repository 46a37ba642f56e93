"""One schema for each body of voting: what the docs say of a field is what is checked, in a sentence of its own."""

import pytest
from pydantic import BaseModel

from workbench.votes import bodies
from workbench.votes.bodies import (
    KEY_LENGTH,
    LONGEST,
    MOST_DAYS,
    MOST_FLAGS,
    Body,
    FlagBody,
    NextPairBody,
    Refusal,
    Refused,
    RevokeBody,
    SessionBody,
    TokenBody,
    UndoBody,
    VoteBody,
)

FLAG = {"side": "a", "kind": "flicker", "time_seconds": 1.0}
VOTE = {"assignment": "given", "key": "k", "answers": {"overall": "a"}, "watched": 1, "seconds": 2.5, "flags": [FLAG]}


def refusal(body: type[Body], value: object) -> Refused:
    with pytest.raises(Refused) as refused:
        body.read(value)
    return refused.value


@pytest.mark.parametrize(
    ("change", "status", "reason", "words"),
    [
        ({"assignment": 5}, 404, "unknown-pair", "this pair does not exist; ask for the next one"),
        ({"assignment": "x" * 81}, 404, "unknown-pair", "this pair does not exist; ask for the next one"),
        ({"key": " "}, 422, "key", "the vote has no key; send a new random one with each vote"),
        ({"key": "k" * 1234}, 422, "key", f"key has 1,234 letters; give at most {KEY_LENGTH}"),
        ({"answers": "a"}, 422, "no-answers", "the vote has no answers; answer each question of the pair"),
        ({"watched": True}, 422, "number", "watched is 'True'; give a number from 0 to 1,000,000"),
        ({"seconds": float("nan")}, 422, "number", "seconds is 'nan'; give a number from 0 to 1,000,000"),
        ({"seconds": LONGEST + 1}, 422, "number", "seconds is '1000001.0'; give a number from 0 to 1,000,000"),
        ({"flags": "many"}, 422, "flags", f"flags are a list of at most {MOST_FLAGS}; leave some out"),
        ({"flags": [FLAG] * (MOST_FLAGS + 1)}, 422, "flags", f"flags are a list of at most {MOST_FLAGS}"),
        ({"flags": [FLAG | {"side": "c"}]}, 422, "flags", "a flag has a side, a or b, and a kind, one of flicker"),
        ({"flags": [{"side": "a"}]}, 422, "flags", "a flag has a side, a or b, and a kind, one of flicker"),
        ({"flags": [FLAG | {"time_seconds": "1"}]}, 422, "number", "time_seconds is '1'; give a number"),
        ({"flags": [FLAG | {"comment": 5}]}, 422, "comment", "the comment has no text; write at most 500"),
        ({"flags": [FLAG | {"comment": "x" * 2000}]}, 422, "comment", "the comment has 2,000 letters; write at most"),
    ],
)
def test_a_wrong_field_of_a_vote_is_told(change, status, reason, words):
    refused = refusal(VoteBody, VOTE | change)
    assert (refused.status, refused.reason) == (status, reason) and refused.sentence.startswith(words)


def test_what_may_be_left_out_of_a_vote():
    least = VoteBody.read({name: VOTE[name] for name in ("assignment", "key", "answers")} | {"flags": None, "new": 1})
    assert (least.watched, least.seconds, least.flagged(2.0)) == (0.0, 0.0, ())
    (flag,) = VoteBody.read(VOTE | {"flags": [FLAG | {"time_seconds": 9}]}).flagged(2.5)
    assert flag.time_seconds == 2.5 and flag.comment == ""


@pytest.mark.parametrize(
    ("body", "value", "status", "reason"),
    [
        (UndoBody, {}, 404, "unknown-pair"),
        (UndoBody, [], 422, "unreadable"),
        (NextPairBody, {"study": 5}, 404, "unknown-study"),
        (SessionBody, {"name": 5}, 422, "name"),
        (SessionBody, {"name": "a", "password": []}, 401, "password"),
        (SessionBody, {"invite": 5}, 403, "invitation"),
        (TokenBody, {"days": 1.0}, 422, "days"),
        (TokenBody, {"days": MOST_DAYS + 1}, 422, "days"),
        (RevokeBody, {"id": None}, 404, "no-token"),
    ],
)
def test_wrong_bodies_are_told(body, value, status, reason):
    refused = refusal(body, value)
    assert (refused.status, refused.reason) == (status, reason) and ";" in refused.sentence


def test_every_field_has_its_words():
    found = [each for each in vars(bodies).values() if isinstance(each, type) and issubclass(each, BaseModel)]
    fields = [(each.__name__, name, field) for each in found for name, field in each.model_fields.items()]
    assert {FlagBody, VoteBody, SessionBody} <= set(found) and len(fields) > 15
    for body, name, field in fields:
        assert field.description, f"{body}.{name} is not described"
        words = [each for each in field.metadata if isinstance(each, Refusal)]
        assert words, f"{body}.{name} says nothing when it is wrong"
