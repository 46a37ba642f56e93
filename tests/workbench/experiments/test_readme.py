"""docs/results.md shows what was measured, of the weights that ship; the README is short and its links hold."""

import json
import re
from pathlib import Path

import pytest

from eval.video.reader import file_digest
from models.registry import get_spec, weights_digest
from models.types import RequestError
from workbench.experiments.ablation_files import FOLDER
from workbench.experiments.few_steps import RECONSTRUCTIONS, autoencoder_folder
from workbench.experiments.readme import BLOCKS, refresh

ROOT = Path(__file__).resolve().parents[3]
README = ROOT / "docs" / "results.md"


def test_the_tables_are_those_of_the_reports():
    assert refresh(README.read_text()) == README.read_text()


@pytest.mark.parametrize("name", BLOCKS)
def test_results_are_of_the_weights_that_ship(name):
    measured = json.loads((FOLDER / f"{name}.json").read_text())["weights"]
    if RECONSTRUCTIONS in measured:
        (file,) = autoencoder_folder("tabletop").glob("*.safetensors")
        assert measured.pop(RECONSTRUCTIONS) == file_digest(file)
    assert measured == {model: weights_digest(get_spec(model)) for model in measured}


def test_the_readme_is_short_and_every_link_of_the_docs_holds():
    assert len((ROOT / "README.md").read_text().split()) <= 900
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    index = (ROOT / "docs" / "README.md").read_text()
    assert all(f"({page.name})" in index for page in (ROOT / "docs").glob("*.md") if page.name != "README.md")


def test_a_new_report_replaces_its_table_and_nothing_else(tmp_path):
    for name in BLOCKS:
        report = json.loads((FOLDER / f"{name}.json").read_text())
        (tmp_path / f"{name}.json").write_text(json.dumps(report | {"date": "2001-02-03T04:05:06+00:00"}))
    before = README.read_text()
    after = refresh(before, tmp_path)
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    assert len(changed) == len(BLOCKS) and all("2001-02-03" in line for line in changed)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"prompt_following\.json"):
        refresh(README.read_text(), tmp_path)
    with pytest.raises(RequestError, match="<!-- results:prompt_following -->"):
        refresh("# No places")
