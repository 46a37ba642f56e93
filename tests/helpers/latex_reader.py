"""A reader of LaTeX tables that is as strict as LaTeX is."""

import re


def cells_of(text: str) -> list[list[str]]:
    """The cells of a LaTeX table, by a reader that knows comments, groups and escapes; fails where LaTeX would: at an
    open group, at a row of another width, at a special character that stands for itself."""
    body = re.sub(r"(?<!\\)%.*", "", text)
    found = re.search(r"\\begin\{tabular\}\{([lcr]+)\}(.*)\\end\{tabular\}", body, re.DOTALL)
    assert found, text
    for line in body.splitlines():
        depth = 0
        for mark in re.findall(r"(?<!\\)[{}]", line):
            depth += 1 if mark == "{" else -1
            assert depth >= 0, line
        assert depth == 0, line
    rows = [row.strip() for row in re.sub(r"\\(top|mid|bottom)rule", "", found[2]).split(r"\\") if row.strip()]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)&", row)] for row in rows]
    assert {len(row) for row in cells} == {len(found[1])}
    assert not any(re.search(r"(?<!\\)[#_%]|[<>|\"~]", cell) for row in cells for cell in row)
    return cells
