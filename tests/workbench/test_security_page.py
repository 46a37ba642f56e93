"""The tables of docs/security.md are held to the tests they name: each is there, and each row has one."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "security.md"
FUNCTIONS = {
    path.name: set(re.findall(r"^def test_(\w+)", path.read_text(), re.M)) for path in TESTS.rglob("test_*.py")
}
EVERYWHERE = set().union(*FUNCTIONS.values())
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and line.count("|") == 5 and not re.match(r"\| (hole|fault|---)", line)
]


def named(cell: str) -> list[tuple[str, str]]:
    """(file, test) of all in backticks; the file is "" until one is named, the test is "" for a whole file."""
    file, found = "", []
    for word in re.findall(r"`([^`]+)`", cell):
        if word.endswith(".py"):
            file = word
            found.append((file, ""))
        elif re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", word):
            found.append((file, word))
    return found


def test_there_are_two_tables_of_many_rows():
    assert len(ROWS) > 40 and {len(row) for row in ROWS} == {4}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_every_row_names_tests_that_are_there(row):
    _, _, cell, state = row
    assert named(cell) or "without a test" in state
    for file, test in named(cell):
        assert not file or file in FUNCTIONS, file
        assert not test or test in (FUNCTIONS[file] if file else EVERYWHERE), (file, test)
