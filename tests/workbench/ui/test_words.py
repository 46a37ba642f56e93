"""Names of systems and numbers, as readers meet them."""

import pytest

from models.types import RequestError
from workbench.systems import label_of, plan_text, read_system, system_text
from workbench.words import counted, readable


@pytest.mark.parametrize(
    "text, taken, again, label",
    [
        ("shapes-asd:1*", ("shapes-asd", 1, 4, ()), "shapes-asd:1*", "ASD 1*"),
        ("shapes-asd:1:4", ("shapes-asd", 1, 4, ()), "shapes-asd:1*", "ASD 1*"),
        ("shapes-asd:2:0", ("shapes-asd", 2, 0, ()), "shapes-asd:2", "ASD 2"),
        ("shapes-asd:3,1", ("shapes-asd", 1, 3, ()), "shapes-asd:3,1", "ASD 3,1"),
        ("shapes-asd:4,1,2", ("shapes-asd", 2, 0, (4, 1, 2)), "shapes-asd:4,1,2", "ASD 4,1,2"),
        ("elsewhere:2", ("elsewhere", 2, 0, ()), "elsewhere:2", "elsewhere 2"),
    ],
)
def test_a_system_has_one_name_and_is_read_back(text, taken, again, label):
    assert tuple(read_system(text)) == taken
    assert system_text(*read_system(text)) == again and label_of(text) == label


def test_what_is_no_system_is_told_or_left_alone():
    with pytest.raises(RequestError, match=r"'shapes-asd:\*' is not a system; .* as shapes-asd:1\*"):
        read_system("shapes-asd:*")
    assert label_of("My model, 4 steps") == "My model, 4 steps"
    assert plan_text(4, 4) == "4"  # as many first steps as steps is the same clip


@pytest.mark.parametrize(
    "value, text",
    [(23790.2, "23,790"), (-9e-6, "0.0000"), (12.345, "12.35"), (0.9931, "0.9931"), (None, "–")],  # noqa: RUF001
)
def test_numbers_are_written_out(value, text):
    assert readable(value) == text


def test_counts_agree_with_their_noun():
    assert [counted(n, "frame") for n in (0, 1, 2400)] == ["0 frames", "1 frame", "2,400 frames"]
    assert counted(2, "prompt switch", "prompt switches") == "2 prompt switches"
