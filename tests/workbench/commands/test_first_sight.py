"""`lab first-sight`: its seconds add up, and it runs from a clone of this repository to two clips that differ."""

import json
import subprocess
import sys

import pytest

from models.types import RequestError
from workbench.commands.lab.first_sight import HERE, PARTS, measure, named_parts
from workbench.lab.browser import find_chromium


def test_every_part_has_its_seconds_and_the_last_line_is_their_sum():
    found = named_parts([10.0, 12.0, 15.0, 19.0, 20.5])
    assert list(found.values()) == [2.0, 3.0, 4.0, 1.5, 10.5] and list(found)[:-1] == list(PARTS)


def test_a_source_that_is_no_repository_is_told(tmp_path):
    with pytest.raises(RequestError, match="git clone failed"):
        measure(str(tmp_path / "nothing"), tmp_path / "clone", installed=True)


@pytest.mark.browser
@pytest.mark.alone
def test_a_clone_comes_to_show_two_clips_that_differ():
    try:
        find_chromium()
    except RequestError as error:
        pytest.skip(str(error))
    if not (HERE / ".git").exists():
        pytest.skip("this is no clone, so that there is nothing to clone")
    command = [sys.executable, "-m", "workbench", "lab", "first-sight", "--installed", "--json"]
    made = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE)
    assert made.returncode == 0 and made.stderr == "", made.stderr
    seconds = json.loads(made.stdout)
    assert list(seconds)[:-1] == list(PARTS)
    assert seconds["clone to first difference"] == pytest.approx(sum(seconds[name] for name in PARTS))
