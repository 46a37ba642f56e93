"""The numbers of the Dashboard against an independent computation; its views on nothing, one row and many; links."""

import io
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI
from scipy import stats

from models.types import RequestError
from tests.helpers.dashboard_data import HOSTILE, METRICS, PROMPTS, SYSTEMS, clip_of, fill, values_of
from workbench.common.words import counted
from workbench.leaderboard.files import EXPORTS, board_of, latex, published_frame
from workbench.leaderboard.means import find_row, leaderboard, newest_versions, usual_metrics, words_of
from workbench.requests.links.dashboard import Query, read_dashboard
from workbench.settings import Settings
from workbench.store import open_store
from workbench.store.records import ClipFilter, Value
from workbench.ui.api.dashboard_api import dashboard_router
from workbench.ui.api.leaderboard_endpoint import _texts
from workbench.ui.api.media import MediaTokens
from workbench.ui.pages.dashboard import clips as dashboard_clips
from workbench.ui.pages.dashboard import tables as dashboard_tables
from workbench.ui.pages.dashboard import view
from workbench.ui.pages.dashboard import votes as dashboard_votes

REFERENCE = "shapes-self-forcing:4:0"
BETTER = "shapes-asd:1:4"


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A store with three systems; its data folder has no files."""
    store = open_store(Settings(data_dir=tmp_path_factory.mktemp("many")))
    fill(store)
    yield store
    store.close()


@pytest.fixture
def empty(tmp_path):
    store = open_store(Settings(data_dir=tmp_path / "empty"))
    yield store
    store.close()


@pytest.fixture
def single(empty):
    """A store with one clip."""
    clip = clip_of("shapes-asd", 1, 4, PROMPTS[0], 0)
    empty.add_clip(clip)
    empty.add_values(clip.id, values_of(np.random.default_rng(0), 0.0))
    return empty


def exported(store, name, **query):
    app = FastAPI()
    app.include_router(dashboard_router(store))
    transport = httpx.ASGITransport(app)

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(f"/api/v1/leaderboard/{name}", params=query)

    import asyncio

    return asyncio.run(ask())


def recomputed(values, reference):
    """The table again, from the values alone, by other means: loops, scipy's paired test, Holm by its definition."""
    known = values.dropna(subset="value")
    means = known.groupby(["system", "settings", "metric", "prompt"])["value"].mean()
    rows = {}
    for (system, settings, metric), own in means.groupby(level=[0, 1, 2]):
        prompt_means = own.droplevel([0, 1, 2])
        n = len(prompt_means)
        low, high = stats.t.interval(0.95, n - 1, prompt_means.mean(), stats.sem(prompt_means))
        bounds = words_of(metric).bounds
        low = low if bounds[0] is None else max(low, bounds[0])
        high = high if bounds[1] is None else min(high, bounds[1])
        clips = known[(known["system"] == system) & (known["settings"] == settings) & (known["metric"] == metric)]
        rows[system, metric] = {"n": len(clips), "prompts": n, "mean": prompt_means.mean(), "low": low, "high": high}
        if system != reference:
            other = means.xs((reference, metric), level=("system", "metric")).droplevel("settings")
            both = pd.concat([prompt_means, other], axis=1, join="inner").to_numpy()
            found = stats.ttest_rel(both[:, 0], both[:, 1])
            rows[system, metric] |= {"difference": (both[:, 0] - both[:, 1]).mean(), "p": found.pvalue}
    tested = sorted((row["p"], key) for key, row in rows.items() if "p" in row)
    for place, (_, key) in enumerate(tested):
        rows[key]["p_holm"] = max(min(1.0, (len(tested) - k) * tested[k][0]) for k in range(place + 1))
    return rows


def test_every_number_is_that_of_the_exported_values(many):
    values = pd.read_parquet(io.BytesIO(exported(many, "values.parquet", metrics=",".join(METRICS)).content))
    answer = exported(many, "leaderboard.parquet", metrics=",".join(METRICS), reference=REFERENCE)
    table = pd.read_parquet(io.BytesIO(answer.content))
    expected = recomputed(values, REFERENCE)
    assert len(table) == len(expected) == len(SYSTEMS) * len(METRICS)
    for row in table.to_dict("records"):
        for name, value in expected[row["system"], row["metric"]].items():
            assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-12), (row["system"], row["metric"], name)
    unscored = values[values["value"].isna()]
    assert table["n_unscored"].sum() == len(unscored) > 0


def shares(answers, metric):
    """What the store gives of one system whose clips answer so, one clip a prompt."""
    rows = [{"prompt": f"p{i}", "n": 1, "n_unscored": 0, "total": float(value)} for i, value in enumerate(answers)]
    row = {"system": "m:1:0", "model": "m", "steps": 1, "first_steps": 0, "settings": "s", "metric": metric}
    (found,) = leaderboard(pd.DataFrame(rows).assign(**row)).to_dict("records")
    return found["mean"], found["low"], found["high"]


@pytest.mark.parametrize("metric", ["tabletop_right", "tabletop_right.color", "dynamic_degree_flow"])
def test_metrics_that_say_yes_or_no_have_wilsons_interval(metric):
    """None of three is no certainty, and one of three is not below nothing."""
    assert shares([0, 0, 0], metric) == pytest.approx((0, 0, 0.5615), abs=1e-4)
    assert shares([1, 0, 0], metric) == pytest.approx((1 / 3, 0.0615, 0.7923), abs=1e-4)
    low, high = stats.t.interval(0.95, 2, 0.7, stats.sem([0.6, 0.7, 0.8]))
    assert shares([0.6, 0.7, 0.8], "temporal_flickering") == pytest.approx((0.7, low, high))


def test_the_page_shows_those_numbers(many):
    board = board_of(many, Query(metrics=METRICS, reference=REFERENCE))
    grid = view.leaderboard_grid(board.table)
    by_key = {(row["system"], row["metric"]): row for row in board.table.to_dict("records")}
    assert len(grid["rows"]) == len(SYSTEMS)
    for line, key in zip(grid["rows"], grid["keys"], strict=True):
        system = dict(pair.split("=") for pair in key.replace("%3A", ":").replace("%40", "@").split("&"))["row"].split(
            "@"
        )[0]
        for cell, metric in zip(
            line[2:], ("temporal_flickering", "warping_error", "sharpness", "oracle_right"), strict=True
        ):
            row = by_key[system, metric]
            numbers = [float(part.replace(",", "")) for part in re.findall(r"-?[\d,]*\.?\d+", cell["text"])[:3]]
            assert numbers == pytest.approx([row["mean"], row["low"], row["high"]], rel=1e-3, abs=1e-4)
            assert "e-" not in cell["text"]
            assert f"{counted(row['n'], 'clip')} of {counted(row['prompts'], 'prompt')}" in cell["title"]
            assert ("n=" in cell["text"]) == (row["n"] != line[1])
    best = next(line for line in grid["rows"] if "ASD" in line[0]["text"])
    assert "▲" in best[2]["text"] and "▼" in best[3]["text"] and "≠" in best[4]["text"]  # one of each direction


def test_settings_are_never_averaged_together(many, empty):
    fill(empty, seeds=1)
    fill(empty, seeds=1, frames=21)
    board = board_of(empty, Query(metrics=("warping_error",), reference=REFERENCE))
    table = board.table
    assert len(table) == 2 * len(SYSTEMS) and set(table["n"]) == {len(PROMPTS)}
    told = " ".join(view.status(board, Query(), "/x")["notices"])
    assert "listed apart and never averaged" in told and "Clips of 2 kinds" in told
    own = table[table["system"] == REFERENCE]
    assert own["p"].isna().all() and table[table["system"] != REFERENCE]["p"].notna().all()
    assert len({row[0]["text"] for row in view.leaderboard_grid(table)["rows"]}) == 2 * len(SYSTEMS)


def test_versions_of_a_metric_are_never_averaged_together(single):
    clip = single.clip_table().iloc[0]["id"]
    single.add_values(clip, {"sharpness": Value(99.0, "0-old")})
    rows, told = newest_versions(single.leaderboard_rows())
    assert len(rows[rows["metric"] == "sharpness"]) == 1 and "0-old" in told[0]
    assert leaderboard(rows).set_index("metric").at["sharpness", "mean"] < 2


@pytest.mark.parametrize("kind", ["empty", "single", "many"])
def test_every_part_is_plain_data(kind, request):
    store = request.getfixturevalue(kind)
    query = Query(at=PROMPTS[0])
    board = board_of(store, replace(query, reference=REFERENCE if kind == "many" else BETTER))
    parts = {"status": view.status(board, query, "/x"), "empty": view.empty_status(False)}
    if kind != "empty":
        metric, first, second = view.focus(board, query)
        context = SimpleNamespace(settings=Settings(data_dir=request.getfixturevalue("tmp_path")), media=MediaTokens())
        clips = dashboard_clips.clips_at(store, query, board.filters, first, second)
        parts |= view.charts(board, metric) | {
            "board": view.leaderboard_grid(board.table),
            "prompts": view.prompts_grid(board, metric, first, second),
            "clips": dashboard_clips.clips_grid(board, clips, metric),
            "player": dashboard_clips.player_value(context, clips, query),
            "curves": dashboard_clips.curves_value(board, clips, metric),
            "links": dashboard_clips.clip_links(clips, query, False),
        }
    parts |= {
        f"votes {name}": part for name, part in dashboard_votes.votes_of(store, "shapes-asd", list(METRICS)).items()
    }
    json.dumps(parts, allow_nan=False)
    drawn = {name for name, part in parts.items() if "layout" in part}
    assert (
        drawn
        == {
            "empty": set(),
            "single": {"dots", "speed", "time", "curves"},
            "many": {"dots", "radar", "speed", "time", "curves"},
        }[kind]
    )
    for part in parts.values():
        assert all(len(row) == len(part["columns"]) for row in part.get("rows", []))
    assert parts["status"]["state"] == ("idle" if kind == "empty" else "done")


def test_one_clip_has_no_interval_and_no_test(single):
    board = board_of(single, Query(reference=REFERENCE))
    assert board.table[["low", "high", "p", "difference"]].isna().all(axis=None)
    assert all("(" not in cell["text"] for cell in view.leaderboard_grid(board.table)["rows"][0][2:])


def test_time_and_speed_charts_draw_the_stores_numbers(many):
    board = board_of(many, Query(metrics=METRICS))
    drawn = view.charts(board, "sharpness")
    lines = [trace for trace in drawn["time"]["data"] if trace.get("showlegend") is not False]
    assert len(lines) == len(SYSTEMS)
    curves = many.curves(ClipFilter(systems=(BETTER,), metrics=("sharpness",)))
    middle = np.mean([curve[1:8].mean() for curve in curves.values()])  # a window of seven frames around the fifth
    line = next(trace for trace in lines if "ASD" in trace["name"])
    assert line["y"][4] == pytest.approx(middle, abs=1e-6) and line["x"][-1] == pytest.approx(8 / 12)
    seconds = {trace["name"]: trace["x"][0] for trace in drawn["speed"]["data"] if "marker" in trace}
    assert sorted(seconds.values()) == pytest.approx([0.2, 0.6, 0.8])


def test_prompts_are_sorted_by_disagreement_and_lead_to_their_clips(many):
    board = board_of(many, Query(metrics=METRICS, reference=REFERENCE))
    first, second = find_row(board.table, BETTER), find_row(board.table, REFERENCE)
    grid = view.prompts_grid(board, "warping_error", first, second)
    gaps = [row[1]["value"] for row in grid["rows"]]
    assert len(gaps) == len(PROMPTS) and gaps == sorted(gaps, key=abs, reverse=True)
    values = board.values()
    own = values[(values["metric"] == "warping_error") & (values["prompt"] == grid["rows"][0][0]["text"])]
    means = own.groupby("system")["value"].mean()
    assert gaps[0] == pytest.approx(means[BETTER] - means[REFERENCE])
    clips = dashboard_clips.clips_at(many, Query(at=PROMPTS[1]), board.filters, first, second)
    assert len(clips) == 2 * len(SYSTEMS) and clips["system"].iloc[0] == BETTER
    assert "seed=1" in dashboard_clips.again_link(clips[clips["seed"] == 1].iloc[0].to_dict())


def test_a_read_only_server_offers_nothing_to_make(many, tmp_path):
    clips = many.clip_table(limit=2)
    for read_only in (False, True):
        context = SimpleNamespace(settings=Settings(data_dir=tmp_path, read_only=read_only), media=MediaTokens())
        offered = json.dumps(
            [
                dashboard_clips.player_value(context, clips, Query()),
                dashboard_clips.clip_links(clips, Query(at="x"), read_only),
            ]
        ) + json.dumps(view.empty_status(read_only))
        assert ("make this again" in offered) == ("/evaluate" in offered) == (not read_only)


def test_text_of_strangers_is_escaped_in_charts(empty):
    for steps in (1, 2):
        clip = clip_of(HOSTILE, steps, 0, HOSTILE, 0)
        empty.add_clip(clip)
        empty.add_values(clip.id, {**values_of(np.random.default_rng(steps), 0.0), HOSTILE: Value(1.0)})
    board = board_of(empty, Query(metrics=(*METRICS, HOSTILE)))
    drawn = json.dumps(view.charts(board, HOSTILE))
    assert "<img" not in drawn and "&lt;img" in drawn
    assert "\\{" in latex(board.table) and "{{value}}" not in latex(board.table)


@pytest.mark.parametrize("name", EXPORTS)
def test_files_on_an_empty_store(empty, name):
    answer = exported(empty, name)
    assert answer.status_code == 200 and answer.headers["content-disposition"].endswith(f'"{name}"')


def test_files_that_are_none_are_refused(empty):
    assert exported(empty, "passwd").status_code == 404
    answer = exported(empty, "leaderboard.csv", steps="two")
    assert answer.status_code == 400 and "steps in this link" in answer.text


QUERIES = [
    Query(),
    Query(view="prompts", models=("shapes-asd",), steps=(1, 2), ffe="on", metrics=("quality",), prompt="red star"),
    Query(view="charts", sweep="ab", reference=REFERENCE, metric="quality", row=f"{BETTER}@12", at="a & b=c, d"),
]


@pytest.mark.parametrize("query", QUERIES)
def test_a_link_leads_back_to_what_it_was_made_from(query):
    link = httpx.URL(f"http://test{query.link()}")
    assert link.path == "/dashboard" and read_dashboard(dict(link.params)) == query


@pytest.mark.parametrize(
    "params, told",
    [({"view": "nowhere"}, "leaderboard, charts"), ({"ffe": "maybe"}, "off, on"), ({"steps": "1,x"}, "steps in")],
)
def test_a_wrong_link_says_what_is_wrong(params, told):
    with pytest.raises(RequestError, match=told):
        read_dashboard(params)


def test_filters_narrow_the_board(many):
    assert set(board_of(many, Query(ffe="on")).table["system"]) == {BETTER}
    assert set(board_of(many, Query(ffe="off", steps=(1,))).table["system"]) == {"shapes-self-forcing:1:0"}
    one = board_of(many, Query(prompt="blue star", metrics=("sharpness",))).table
    assert set(one["prompts"]) == {1} and one["low"].isna().all()
    assert board_of(many, Query(models=("nobody",))).table.empty


def test_filters_of_the_endpoint():
    assert _texts({"steps": [1, 2], "ffe": "on", "prompt": None}) == {"steps": "1,2", "ffe": "on"}
    for bad in ([], {"model": "x"}):
        with pytest.raises(RequestError, match=r"give an object|unknown key"):
            _texts(bad)


def test_published_rows_are_apart_and_have_sources():
    frame = published_frame()
    assert {"ASD", "CausVid", "Self Forcing", "AAD-1"} <= set(frame["paper"]) and frame["source"].str.startswith(
        "arXiv"
    ).all()
    for table in dashboard_tables.published_values():
        assert "as published" in table["caption"] and all(
            row[-1]["href"].startswith("https://arxiv.org/") for row in table["rows"]
        )


def test_usual_metrics_are_of_those_that_there_are():
    assert usual_metrics(["x", "sharpness"]) == ["sharpness", "x"]
    assert len(usual_metrics([*METRICS, "quality", "semantic", "total", "blockiness"])) == 6
