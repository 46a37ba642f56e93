"""How often shipped models follow prompts, as the Models page and `models --json` say it."""

import json

from models.registry import get_spec
from workbench.requests.catalogue import model_rows
from workbench.requests.prompt_scores import FOLDER, prompt_score
from workbench.ui.pages.models import COLUMNS, models_table


def test_a_score_is_the_share_of_the_most_steps_without_ffe(tmp_path):
    few = [
        {"system": system, "metric": metric, "mean": mean, "low": 0.1, "high": 0.9, "n": 128}
        for system, metric, mean in (
            *(("asd:1", "oracle", 0.2), ("asd:4", "oracle", 0.6), ("asd:2*", "oracle", 0.9)),
            *(("asd:4", "frechet", 7.0), ("real clips", "oracle", 1.0)),
        )
    ]
    (tmp_path / "few_steps.json").write_text(json.dumps({"rows": few}))
    score = prompt_score("asd", tmp_path)
    assert (score.mean, score.n, str(score.system)) == (0.6, 128, "asd:4")
    assert prompt_score("self-forcing", tmp_path) is None


def test_every_score_that_ships_is_in_its_report_and_on_the_page():
    report = json.loads((FOLDER / "prompt_following.json").read_text())
    teacher = next(row for row in report["rows"] if row["name"] == "shapes-teacher 16")
    score = prompt_score("shapes-teacher")
    assert score.mean == teacher["all_right"]["value"] and score.n == teacher["all_right"]["n"]
    assert score.low < score.mean < score.high
    rows = {row["name"]: row for row in model_rows()}
    assert rows["shapes-teacher"]["score"]["system"] == "shapes-teacher:16"
    shown = {row[0]: row[COLUMNS.index("Follows prompts")] for row in models_table()["rows"]}
    spec = get_spec("shapes-teacher")
    assert shown[f"{spec.title} ({spec.name})"] == f"{100 * score.mean:.0f} % (87 to 98) at 16 steps, n = 64"
    json.dumps(list(rows.values()))
