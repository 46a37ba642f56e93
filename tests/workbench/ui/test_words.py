"""Names of systems and numbers, as readers meet them."""

import pytest

from models.registry import list_models
from models.types import RequestError
from tests.helpers.page_words import KINDS, found_in
from workbench.common.words import chance, counted, readable
from workbench.requests.systems import System, label_of, plan_text


@pytest.mark.parametrize(
    "text, taken, again, label",
    [
        ("asd:1*", ("asd", 1, 4, ()), "asd:1*", "ASD 1*"),
        ("asd:1:4", ("asd", 1, 4, ()), "asd:1*", "ASD 1*"),
        ("asd:2:0", ("asd", 2, 0, ()), "asd:2", "ASD 2"),
        ("asd:3,1", ("asd", 1, 3, ()), "asd:3,1", "ASD 3,1"),
        ("asd:4,1,2", ("asd", 2, 0, (4, 1, 2)), "asd:4,1,2", "ASD 4,1,2"),
        ("shapes-asd:1:4", ("shapes-asd", 1, 4, ()), "shapes-asd:1*", "ASD (shapes) 1*"),
        ("elsewhere:2", ("elsewhere", 2, 0, ()), "elsewhere:2", "elsewhere 2"),
    ],
)
def test_a_system_has_one_name_and_is_read_back(text, taken, again, label):
    system = System.read(text)
    assert system == System(*taken) and str(system) == again and system.label == label_of(text) == label


def test_no_two_models_share_a_label():
    labels = [System(spec.name, 1).label for spec in list_models()]
    assert len(set(labels)) == len(labels)
    assert System("shapes-teacher", 16).label == "Bidirectional teacher (shapes) 16"


def test_what_is_no_system_is_told_or_left_alone():
    with pytest.raises(RequestError, match=r"'asd:\*' is not a system; .* as asd:1\*"):
        System.read("asd:*")
    assert label_of("My model, 4 steps") == "My model, 4 steps"
    assert plan_text(4, 4) == "4"  # as many first steps as steps is the same clip


@pytest.mark.parametrize(
    "value, text",
    [(23790.2, "23,790"), (-9e-6, "0.0000"), (12.345, "12.35"), (0.9931, "0.9931"), (None, "–")],
)
def test_numbers_are_written_out(value, text):
    assert readable(value) == text


def test_counts_agree_with_their_noun():
    assert [counted(n, "frame") for n in (0, 1, 2400)] == ["0 frames", "1 frame", "2,400 frames"]
    assert counted(2, "prompt switch", "prompt switches") == "2 prompt switches"


@pytest.mark.parametrize("p, text", [(0.5, "0.500"), (0.0123, "0.012"), (4e-7, "< 0.001"), (0, "< 0.001")])
def test_a_small_chance_is_not_none(p, text):
    assert chance(p) == text


def test_every_kind_of_riddle_is_found_and_plain_words_are_left_alone():
    odd = {
        "a power of ten": "sharpness 2.379e+04",
        "a negative nothing": "change -0.000 (\N{MINUS SIGN}0.1)",
        "one of many": "Done: 1 frames",
        "many of one": "Done: 3 clip.",
        "a for an": "a orange square",
        "an for a": "an red ball",
        "a chunk or frame before the first": "Chunk 0 of 5",
        "a percent sign without its space": "95% of them",
        "nothing at all": "mean NaN",
        "a for per": "votes a pair",
        "a phrase that needs a key": "a spoilt copy",
        "a system in the code's form": "from shapes-asd:1*",
        "a word of the code": "offers t2v",
    }
    assert odd.keys() == KINDS.keys()
    for kind, text in odd.items():
        assert [found.partition(":")[0] for found in found_in(text)] == [kind]
    right = (
        "Done: 1 frame of 1 clip; 21 frames, 0.1 steps. A clip, an orange ball, a one-step model, a unit. Seeds 0-15, "
        "-0.5 to 0, 1-0 by votes. Side a and side b. #1e3f0a"
    )
    assert found_in(right) == []
