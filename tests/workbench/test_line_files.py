"""Files of JSON lines: what a crash cut short neither counts nor spoils the next line."""

import pytest

from workbench.common.line_files import appending, cut_torn_line, read_lines


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("", []),
        ('{"a": 1}\n', ['{"a": 1}']),
        ('{"a": 1}\n{"b": ', ['{"a": 1}']),
        ('{"a": 1}\n{"b": "\u2028"}\n', ['{"a": 1}', '{"b": "\u2028"}']),
    ],
)
def test_whole_lines_are_read_and_kept(tmp_path, content, lines):
    path = tmp_path / "lines.jsonl"
    path.write_text(content, encoding="utf-8")
    assert read_lines(path) == lines
    with appending(path, sync=True) as add:
        place = add("ä")
    assert read_lines(path) == [*lines, "ä"]
    assert path.read_bytes()[place:] == "ä\n".encode()


def test_a_file_of_one_torn_line_is_empty(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text('{"a": ', encoding="utf-8")
    assert read_lines(path) == []
    cut_torn_line(path)
    assert path.read_text() == ""


def test_no_file_has_no_lines(tmp_path):
    assert read_lines(tmp_path / "none.jsonl") == []
    cut_torn_line(tmp_path / "none.jsonl")
    assert not (tmp_path / "none.jsonl").exists()
