"""The published tables: complete, sourced, and consistent with each other where papers print the same figure."""

import json

import pytest

from workbench.published.tables import FOLDER, TEXTS, published_table, published_tables


def figures(paper, table, key, *columns):
    return {tuple(row[k] for k in key): tuple(row[c] for c in columns) for row in published_table(paper, table).rows}


def test_every_row_has_its_source_and_every_figure_is_a_number():
    count = 0
    for table in published_tables():
        assert table.source.startswith("arXiv ") and table.link.startswith("https://arxiv.org/abs/") and table.rows
        assert table.columns[0] == "model"
        for row in table.rows:
            assert row["model"]
            count += sum(float(row[name]) > 0 for name in table.columns if name not in TEXTS and row[name])
    assert count == 273  # no figure has been lost
    files = {paper["file"] for paper in json.loads((FOLDER / "sources.json").read_text())["papers"]}
    assert files == {path.name for path in FOLDER.glob("*.csv")}


def test_known_figures():
    ablation = figures("ASD", "Table 2", ("model", "setting", "steps"), "total", "quality", "semantic")
    assert ablation["baseline", "", "1"] == ("78.13", "80.33", "69.31")
    assert ablation["ASD", "FFE", "1"] == ("83.89", "84.55", "81.24")
    assert figures("CausVid", "Table 3", ("model",), "latency_s", "fps")["CausVid",] == ("1.3", "9.4")


def test_papers_agree_where_they_print_the_same():
    asd = figures("ASD", "Table 1", ("model", "steps"), "total", "quality", "semantic")
    forcing = figures("Self Forcing", "Table 1", ("model", "setting"), "total", "quality", "semantic")
    assert asd["Self Forcing", "4"] == forcing["Self Forcing", "chunk-wise"]
    assert asd["CausVid", "4"] == forcing["CausVid", "re-implemented"]
    for name, steps in (("MAGI-1", "64"), ("NOVA", "25"), ("Pyramid Flow", "20"), ("Wan 2.1", "50")):
        assert asd[name, steps] == forcing[name, ""]
    both = figures("ASD", "Table 2", ("model", "setting", "steps"), "total", "quality", "semantic")
    assert both["ASD", "FFE", "2"] == asd["ASD", "2"] and both["ASD", "FFE", "1"] == asd["ASD", "1"]


def test_totals_are_four_parts_quality_and_one_part_semantic():
    for paper, name in (("ASD", "Table 1"), ("ASD", "Table 2"), ("Self Forcing", "Table 1")):
        for row in published_table(paper, name).rows:
            total = (4 * float(row["quality"]) + float(row["semantic"])) / 5
            assert total == pytest.approx(float(row["total"]), abs=0.02), row
