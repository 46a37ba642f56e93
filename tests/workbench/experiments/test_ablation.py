"""The ablation: its plan, that it resumes, that its numbers are those of its clips, that it finds what is there."""

import json
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest

from models.types import GenerationRequest, RequestError
from models.worlds.captions import held_out_captions
from workbench.__main__ import main
from workbench.clips.generation import GenerationService
from workbench.experiments import ablation
from workbench.experiments.ablation import ANCHOR, ASD, BASELINE, REAL, Job, Judged, plan_jobs, sums, systems
from workbench.experiments.ablation_files import console, latex, markdown, read_report, tables, write_files
from workbench.experiments.ablation_report import COLUMNS, Effort, build_report, clip_table, verdict
from workbench.requests.systems import System
from workbench.scoring.resumable_jobs import read_done
from workbench.settings import Settings
from workbench.store import open_store
from workbench.ui.pages.dashboard import tables as dashboard_tables

WEIGHTS = {BASELINE: "b" * 64, ASD: "a" * 64}
QUICK = Effort(means=300, distances=20, swaps=300)
FACTS = {
    "command": "python -m workbench ablation",
    "date": "2026-11-21T10:00:00+00:00",
    "prompts": 12,
    "seeds": 2,
    "seed": 0,
    "frames": 49,
    "first_steps": 4,
    "anchor": ANCHOR,
    "weights": WEIGHTS,
}


def made_up(job):
    """Clips of ASD with FFE at one step are better in temporal flickering by far, those of ASD without are the
    baseline's own."""
    twin = (
        replace(job, system=replace(job.system, model=BASELINE), weights=WEIGHTS[BASELINE])
        if job.system.model == ASD
        else job
    )
    own = np.random.default_rng(int(twin.key[:12], 16))
    values = {column.name: float(own.uniform(0.4, 0.6)) for column in COLUMNS if column.name != "frechet"}
    features = own.normal(size=36)
    if job.system == System(ASD, 1, 4):
        values["temporal_flickering"] += 0.3
        features = features + 3
    reasons = {}
    if job.system.model == BASELINE and job.seed % 5 == 0:
        reasons["oracle_shape_error"] = "nothing can be seen"
        del values["oracle_shape_error"]
    clip = "" if job.system.model == REAL else job.key
    return Judged(job.key, job.system.stored, job.prompt, job.seed, clip, values, reasons, tuple(features), {}, 9, 0.1)


@pytest.fixture(scope="module")
def made():
    """The rows of one step, and real clips."""
    planned = plan_jobs(held_out_captions("shapes", 12), 2, seed=0, frames=49, weights=WEIGHTS)
    jobs = [job for job in planned if job.system.steps < 2]
    judged = {job.key: made_up(job) for job in jobs}
    return jobs, judged, build_report(jobs, judged, QUICK, **FACTS)


def test_the_plan_is_the_papers_table():
    assert [row.stored for row in systems()] == [
        *(f"{model}:4:0" for model in (BASELINE, ASD)),
        *(f"{model}:{steps}:{first}" for steps in (2, 1) for first in (0, 4) for model in (BASELINE, ASD)),
    ]
    jobs = plan_jobs(held_out_captions("shapes", 3), 2, seed=7, frames=49, weights=WEIGHTS)
    assert len(jobs) == len({job.key for job in jobs}) == 3 * 2 * (10 + 2)
    asked = {(job.prompt, job.seed) for job in jobs}
    assert len(asked) == 6  # every system makes the same captions from the same seeds
    other = plan_jobs(held_out_captions("shapes", 3), 2, seed=7, frames=49, weights={**WEIGHTS, ASD: "c" * 64})
    changed = [one.system.model for one, two in zip(jobs, other, strict=True) if one.key != two.key]
    assert set(changed) == {ASD}  # new weights make only their own clips again


def test_means_and_differences_are_those_of_the_parquet_file(made, tmp_path):
    jobs, judged, report = made
    write_files(report, clip_table(jobs, judged), tmp_path)
    clips = pd.read_parquet(tmp_path / "ablation.parquet")
    means = clips.groupby(["system", "metric", "prompt"])["value"].mean().groupby(["system", "metric"]).mean()
    for row in report["rows"]:
        for name, cell in row["cells"].items():
            if name != "frechet":
                assert cell["value"] == pytest.approx(means[row["system"], name])
                assert cell["low"] <= cell["value"] <= cell["high"] and cell["clips"] + cell["unscored"] == 24
    one = clips[clips["metric"] == "warping_error"].pivot(index=["prompt", "seed"], columns="system", values="value")
    gap = (one[f"{ASD}:1:4"] - one[f"{BASELINE}:1:0"]).groupby("prompt").mean()
    found = next(row for row in report["rows"] if row["system"] == f"{ASD}:1:4")["differences"]["warping_error"]
    assert found["value"] == pytest.approx(gap.mean()) and found["clips"] == 24 and found["prompts"] == 12


def test_it_finds_what_differs_and_nothing_else(made):
    _, _, report = made
    told = {
        (row["system"], column.name): verdict(column, row["differences"].get(column.name))
        for row in report["rows"]
        for column in COLUMNS
    }
    wanted = {(f"{ASD}:1:4", "temporal_flickering"): "better", (f"{ASD}:1:4", "frechet"): "worse"}
    assert {key: word for key, word in told.items() if word} == wanted
    same = next(row for row in report["rows"] if row["system"] == f"{ASD}:1:0")["differences"]
    assert all(found["value"] == 0 and found["p_holm"] == 1 for name, found in same.items() if name != "frechet")
    assert abs(same["frechet"]["value"]) < 1e-9
    assert report["comparisons"] == 3 * len(COLUMNS)
    assert all(found["p_holm"] >= found["p"] for row in report["rows"] for found in row["differences"].values())


def test_every_form_of_the_result(made, tmp_path):
    jobs, judged, report = made
    files = write_files(report, clip_table(jobs, judged), tmp_path / "ablation")
    assert [file.suffix for file in files] == [".json", ".md", ".tex", ".parquet"]
    assert read_report(tmp_path)[0] == json.loads(json.dumps(report, allow_nan=False))
    for title, head, rows in tables(report):
        assert title and rows and all(len(row) == len(head) for row in rows)
    text = markdown(report)
    assert "▲" in text and "arXiv 2511.01419, Table 2" in text and "83.89" in text and "n=18" in text
    assert "Real clips" in console(report) and "p below 0.05" in console(report)
    assert latex(report).count(r"\\") == 6 and r"\midrule" in latex(report) and "%" in latex(report).splitlines()[0]
    json.dumps([dashboard_tables.ablation_tables(report), dashboard_tables.ablation_chart(report)], allow_nan=False)
    assert len(dashboard_tables.ablation_tables(report)) == 8  # as many as the page has room for
    assert dashboard_tables.ablation_status(None, False)["state"] == "idle"


def test_one_caption_makes_a_table_without_tests():
    jobs = plan_jobs(held_out_captions("shapes", 1), 1, seed=0, frames=49, weights=WEIGHTS)
    report = build_report(jobs, {job.key: made_up(job) for job in jobs}, QUICK, **FACTS)
    assert report["rows"][1]["cells"]["total"]["clips"] == 1 and "frechet" not in report["rows"][1]["cells"]
    assert {found["p"] for row in report["rows"] for found in row["differences"].values()} == {None}
    assert "p -" in markdown(report) and latex(report)


def test_sums_by_hand():
    values = {"subject_consistency_shapes_clip": 1.0, "background_consistency_shapes_clip": 1.0}
    values |= {"temporal_flickering": 1.0, "motion_smoothness_flow": 0.706, "oracle_right": 0.0}
    values |= {f"oracle_right.{name}": float(name != "shape") for name in ablation.ATTRIBUTES}
    assert sums(values) == pytest.approx({"quality": 75.0, "semantic": 80.0, "total": 76.0})
    assert sums({"temporal_flickering": 1.0}) == {}


def test_a_run_goes_on_where_it_stopped(made, tmp_path):
    jobs, judged, _ = made
    file = tmp_path / "ablation" / "clips.jsonl"
    file.parent.mkdir()
    lines = [json.dumps(asdict(judged[job.key])) for job in jobs]
    file.write_text("\n".join(lines) + "\n" + lines[0][:80])  # the last line was cut
    assert read_done(file, ablation.Judged) == judged
    again = list(ablation.run_jobs(jobs, tmp_path, workers=1))  # nothing is left to do: no process is started
    assert [row.key for row in again] == [job.key for job in jobs]
    with pytest.raises(RequestError, match="workers is 0"):
        next(ablation.run_jobs(jobs, tmp_path, workers=0))


def test_a_clip_is_made_judged_stored_and_found_again(tmp_path, tiny):
    service = GenerationService(tmp_path, pipelines={"tiny-random": tiny})
    prompt = held_out_captions("shapes", 1)[0]
    other = service.generate("tiny-random", GenerationRequest(prompt, 1, frames=13))
    job = Job(System("tiny-random", 1, 4), prompt, 3, 13, other.manifest.weights_digest)
    judge = ablation.ClipJudge(tmp_path, "cpu")
    judge.service = service
    first = judge(job)
    by_hand = GenerationRequest(prompt, 1, True, 4, frames=13, seed=3, step_plan=(2, 1))
    service.generate("tiny-random", by_hand)  # the same but for its plan, so not the clip of the job
    known = ablation.made_clips(tmp_path / "clips")
    assert len(known) == 2 and ablation._located(job, known).path.endswith(f"{first.clip}.mp4")
    assert judge(ablation._located(job, known)) == first  # judged from the file, not made again
    assert {"temporal_flickering", "colorfulness_drift", "quality"} <= set(first.values)
    store = open_store(Settings(data_dir=tmp_path))
    assert [ablation.store_clips(store, [first], tmp_path) for _ in range(2)] == [1, 0]
    values = store.value_table().set_index("metric")["value"].dropna().to_dict()
    assert values == pytest.approx(first.values)
    store.close()


@pytest.mark.parametrize("flag, told", [("--prompts", "give 1 or more"), ("--workers", "a whole number from 1")])
def test_bad_input_is_told_in_one_line(flag, told, capsys):
    assert main(["ablation", flag, "0"]) == 2
    assert told in capsys.readouterr().err
