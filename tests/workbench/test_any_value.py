"""Whatever stands at any place of what people write down, it is taken or refused in a sentence, and nothing else."""

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eval.vbench.suite import read_suite
from models.types import RequestError
from workbench.clips.manifest import request_from_manifest
from workbench.common.words import read_whole
from workbench.requests.comparison import sides_from_json
from workbench.requests.grid import AXES
from workbench.requests.links.compare import read_compare
from workbench.requests.links.dashboard import read_dashboard
from workbench.requests.links.evaluate import read_evaluate
from workbench.requests.links.generate import read_generate
from workbench.requests.links.grid import read_grid_link
from workbench.requests.links.insight import read_insight
from workbench.requests.links.results import read_results
from workbench.requests.links.studies import read_draft
from workbench.requests.numbers import whole
from workbench.requests.systems import System
from workbench.requests.timeline import read_step_plan, read_switches
from workbench.sweeps.plan import make_plan
from workbench.votes.bodies import Refused, VoteBody
from workbench.votes.studies import study_from

TEXTS = (
    "",
    " ",
    "x" * 3000,
    "a\0b",
    "\u202e",
    "😀" * 40,
    "²",
    "١٢",
    "1_0",
    "9" * 5000,
    "0-" + "9" * 5000,
    "NaN",
    "[" * 5000,
)
VALUES = (None, True, -1, 1.5, 2**70, 10**400, math.nan, math.inf, [], {}, [[]], [None], {"a": 1}, ["a"] * 300, *TEXTS)
SYSTEM = {"model": "shapes-asd", "steps": 1, "ffe": True, "plan": "4,1"}
PROMPT = "a red circle moving right on a black background"
STUDY = {"id": "one", "title": "t", "systems": ["shapes-asd:1*", "shapes-self-forcing:1"], "prompts": [PROMPT]}
STUDY |= {"seeds": [1, 2], "questions": ["overall"], "pairing": "target", "sampling": "uncertainty", "degraded": 1}
CLIPS = {
    "id": "one",
    "title": "t",
    "clips": [{"system": name, "prompt": "p", "path": "a.mp4", "seed": 1} for name in "ab"],
}
PLAN = {"prompts": [PROMPT], "steps": [1, "1-2"], "ffe": [True, False], "seeds": ["0-1"], "frames": 49, "name": "n"}
VOTE = {"assignment": "a", "key": "k", "answers": {"overall": "a"}, "watched": 1, "seconds": 1.5}
VOTE |= {"flags": [{"side": "a", "kind": "flicker", "time_seconds": 1.0, "comment": "x"}]}
SUITE = [{"prompt_en": "x", "dimension": ["color"], "auxiliary_info": {"color": "red"}, "image_name": "a.png"}]


def places(value: Any, before: tuple = ()) -> Iterator[tuple]:
    yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*before, key))


def changed(value: Any, place: tuple, new: Any) -> Any:
    if not place:
        return new
    value = copy.deepcopy(value)
    inner = value
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = new
    return value


def taken_or_told(read: Callable[[Any], object], value: Any, *refusals: type[Exception]) -> None:
    try:
        read(value)
    except (RequestError, *refusals) as refused:
        assert str(refused) and "\n" not in str(refused)


def suite(tmp_path, value: Any) -> None:
    (tmp_path / "suite.json").write_text(json.dumps(value))
    read_suite(tmp_path / "suite.json")


@pytest.mark.parametrize(
    ("base", "read", "refusals"),
    [
        ([SYSTEM, SYSTEM], sides_from_json, ()),
        (STUDY, study_from, ()),
        (CLIPS, study_from, ()),
        (PLAN, lambda value: isinstance(value, dict) and make_plan(value | {"models": ["shapes-asd"]}), ()),
        (VOTE, lambda value: VoteBody.read(value).flagged(2.0), (Refused,)),
    ],
    ids=["sides", "study", "study of clips", "sweep", "vote"],
)
def test_any_value_at_any_place(base, read, refusals):
    for place in places(base):
        for value in VALUES:
            taken_or_told(read, changed(base, place, value), *refusals)


def test_any_value_in_files(tmp_path, monkeypatch):
    from tests.workbench.clips.test_manifest import MANIFEST  # noqa: PLC0415

    made, path = json.loads(MANIFEST.to_json()), tmp_path / "m.json"
    made |= {"switches": [{"chunk": 1, "prompt": "a cat", "cache": "keep"}], "step_plan": [4, 1]}

    def manifest(value: Any) -> None:
        path.write_text(json.dumps(value))
        _, request = request_from_manifest(path)
        assert all(type(step) is int for step in request.step_plan)
        assert all(type(switch.prompt) is str for switch in request.switches)

    for base, read in ((made, manifest), (SUITE, lambda value: suite(tmp_path, value))):
        for place in places(base):
            for value in VALUES[::2]:
                taken_or_told(read, changed(base, place, value), ValueError)


READERS = (
    read_generate,
    read_compare,
    read_grid_link,
    read_insight,
    read_evaluate,
    read_dashboard,
    read_draft,
    read_results,
)
TEXT_READERS = [
    *(axis.read for axis in AXES.values()),
    read_step_plan,
    read_switches,
    System.read,
    sides_from_json,
    lambda text: whole(text, "seed", "a number"),
    *(
        lambda text, read=read, name=name: read({name: text})
        for read in READERS
        for name in (
            "model",
            "steps",
            "seed",
            "frames",
            "frame",
            "sides",
            "plan",
            "switches",
            "run",
            "ffe",
            "guidance",
        )
    ),
]


@pytest.mark.parametrize(
    "text", [*TEXTS, "²:x", f"{'9' * 5000}: x", "a:²", f"a:{'9' * 5000}", "4,²"], ids=lambda t: t[:12]
)
def test_any_text_in_fields_and_links(text):
    for read in TEXT_READERS:
        taken_or_told(read, text)


def test_what_is_a_whole_number():
    assert [read_whole(text) for text in ("7", " 0012 ", "9" * 19)] == [7, 12, 10**19 - 1]
    assert [read_whole(text) for text in ("", "-1", "+1", "1.0", "²", "\u0661", "1_0", "9" * 20, "1 2")] == [None] * 9


def test_infinity_is_no_whole_number():
    for value in (math.inf, math.nan, None, "", "x", 1.5):
        with pytest.raises(RequestError, match=r"^seed is "):
            whole(value, "seed", "a number")
