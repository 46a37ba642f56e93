"""Clips, values, sums and sweeps in the store, on SQLite and on PostgreSQL by the same tests."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sqlalchemy.exc import IntegrityError

from models.types import RequestError
from workbench.__main__ import main
from workbench.store.clips import CLIP_COLUMNS, LEADERBOARD_COLUMNS, VALUE_COLUMNS
from workbench.store.records import ClipFilter, GeneratedClip, Value

CLIP = GeneratedClip(
    id="clip-0",
    model="shapes-asd",
    family="shapes",
    weights_digest="a" * 64,
    steps=1,
    first_steps=4,
    prompt="a red circle",
    seed=0,
    image_digest="",
    frames=49,
    width=64,
    height=64,
    fps=12.0,
    guidance_scale=1.0,
    dtype="float32",
    path="clips/clip-0.mp4",
    seconds=0.5,
    first_frame_seconds=0.1,
    forwards=18,
    created_at="2026-01-01T00:00:00",
)


def clips(count: int = 24) -> list[GeneratedClip]:
    """Two models, FFE or none, three prompts, two seeds, and twice as many settings as models."""
    made = []
    for k in range(count):
        made.append(
            replace(
                CLIP,
                id=f"clip-{k}",
                model=("shapes-asd", "shapes-self-forcing")[k % 2],
                first_steps=(0, 4)[k // 2 % 2],
                prompt=("a red circle", "a blue star", "100% green_square")[k // 4 % 3],
                seed=k // 12,
                frames=49 if k % 5 else 25,
                created_at=f"2026-01-01T00:00:{k:02d}",
            )
        )
    return made


@pytest.fixture
def filled(store):
    """A store with values: two metrics, some of them not scored."""
    rng = np.random.default_rng(0)
    values = [
        (clip.id, metric, Value(float(rng.normal(5, 1))) if k % 7 else Value(None, reason="too short"))
        for k, clip in enumerate(clips())
        for metric in ("sharpness", "contrast")
    ]
    store.add_many(clips(), values)
    return store


def by_pandas(values: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard's rows from the values, by other means."""
    keys = [name for name in LEADERBOARD_COLUMNS if name in VALUE_COLUMNS]
    grouped = values.groupby(keys).value
    sums = {"n": grouped.count(), "n_unscored": grouped.size() - grouped.count(), "total": grouped.sum()}
    squares = values.assign(value=values.value**2).groupby(keys).value.sum()
    return pd.DataFrame(sums | {"total_of_squares": squares}).reset_index()


def same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    keys = [name for name in LEADERBOARD_COLUMNS if name in VALUE_COLUMNS]
    left, right = (table.sort_values(keys, ignore_index=True)[[*LEADERBOARD_COLUMNS]] for table in (found, wanted))
    pd.testing.assert_frame_equal(left, right, check_dtype=False, rtol=1e-12)


def test_an_empty_store_gives_empty_tables_with_their_columns_and_kinds(store):
    for table, columns in (
        (store.leaderboard_rows(), LEADERBOARD_COLUMNS),
        (store.clip_table(), CLIP_COLUMNS),
        (store.value_table(), VALUE_COLUMNS),
    ):
        assert tuple(table.columns) == columns and table.empty
        assert table["steps"].dtype == "int64" and table["system"].dtype == "str"
    assert store.count_clips() == 0 and store.sweeps.all() == [] and store.curves() == {}
    assert set(map(len, store.filters().values())) == {0}


def test_sums_are_what_pandas_makes_of_the_values(filled):
    rows = filled.leaderboard_rows()
    assert tuple(rows.columns) == LEADERBOARD_COLUMNS and rows.n.sum() == 40 and rows.n_unscored.sum() == 8
    same(rows, by_pandas(filled.value_table()))
    assert filled.wrong_sums().empty


def test_replaced_and_added_values_keep_the_sums_exact(filled):
    filled.add_clip(replace(CLIP, id="late", seed=9))
    filled.add_values("late", {"sharpness": Value(1e9), "contrast": Value(3.0, version="2")})
    filled.add_values("late", {"sharpness": Value(0.1)})
    filled.add_values("late", {"sharpness": Value(0.1)})
    filled.add_values("clip-7", {"sharpness": Value(None, reason="why not")})
    values = filled.value_table()
    assert values[(values["clip"] == "late") & (values.metric == "sharpness")].value.tolist() == [0.1]
    same(filled.leaderboard_rows(), by_pandas(values))


@pytest.mark.parametrize(
    "filters",
    [
        ClipFilter(models=["shapes-asd"]),
        ClipFilter(systems=["shapes-asd:1:4", "shapes-self-forcing:1:0"], metrics=["contrast"]),
        ClipFilter(first_steps=[4], steps=[1], prompt="CIRCLE red"),
        ClipFilter(prompt="100% n_s"),
        ClipFilter(prompts=["a blue star"], seeds=[1]),
        ClipFilter(models=["none"]),
    ],
)
def test_filters_give_the_rows_they_name(filled, filters):
    values = filled.value_table()
    keep = pd.Series(True, index=values.index)
    for name, field in (("model", "models"), ("system", "systems"), ("first_steps", "first_steps"), ("seed", "seeds")):
        keep &= values[name].isin(chosen) if (chosen := getattr(filters, field)) else True
    keep &= values.metric.isin(filters.metrics) if filters.metrics else True
    keep &= values.prompt.isin(filters.prompts) if filters.prompts else True
    for word in filters.prompt.split():
        keep &= values.prompt.str.lower().str.contains(word.lower(), regex=False)
    wanted = values[keep].reset_index(drop=True)
    pd.testing.assert_frame_equal(filled.value_table(filters), wanted)
    same(filled.leaderboard_rows(filters), by_pandas(wanted))
    table = filled.clip_table(replace(filters, metrics=()), limit=None)
    assert set(table.id) == set(wanted["clip"]) and filled.count_clips(filters) == len(table)


def test_clips_come_newest_first_by_pages(filled):
    newest = [clip.id for clip in reversed(clips())]
    assert list(filled.clip_table(limit=5).id) + list(filled.clip_table(limit=None, offset=5).id) == newest
    row = filled.clip_table(limit=1).iloc[0]
    wanted = clips()[-1]
    assert {name: row[name] for name in CLIP_COLUMNS if name != "system"} == {
        name: getattr(wanted, name) for name in CLIP_COLUMNS if name != "system"
    }


def test_settings_part_what_must_not_be_averaged(store):
    for k, changed in enumerate(({}, {"frames": 25}, {"guidance_scale": 4.0}, {"image_digest": "b"}, {"seed": 3})):
        store.add_clip(replace(CLIP, id=f"{k}", **changed))
    table = store.settings_table().set_index("settings")
    assert len(table) == 4 and sorted(table.task) == ["i2v", "t2v", "t2v", "t2v"]
    assert table.loc[CLIP.settings].weights_digest == CLIP.weights_digest


def test_a_clip_is_kept_once(store):
    assert store.add_clip(CLIP) and not store.add_clip(replace(CLIP, seconds=9.0))
    assert list(store.clip_table().seconds) == [0.5]


def test_what_is_no_number_is_not_scored(store):
    store.add_clip(CLIP)
    store.add_values(CLIP.id, {"a": Value(float("nan")), "b": Value(float("inf")), "c": Value(None)})
    table = store.value_table()
    assert table.value.isna().all() and all(table.reason) and store.leaderboard_rows().n_unscored.tolist() == [1, 1, 1]


def test_values_of_an_unknown_clip_are_refused_whole(store):
    with pytest.raises(RequestError, match="not in the store"):
        store.add_values("nobody", {"a": Value(1.0)})
    store.add_clip(CLIP)
    with pytest.raises(IntegrityError):
        store.add_many([replace(CLIP, id="new")], [(CLIP.id, "a", Value(1.0)), (CLIP.id, "a", Value(2.0))])
    assert store.value_table().empty and store.count_clips() == 1


def test_curves_come_back_with_their_gaps(store):
    store.add_clip(CLIP)
    store.add_values(CLIP.id, {"a": Value(1.0, curve=(0.5, None, 2.0)), "b": Value(1.0)})
    (key,) = curves = store.curves(ClipFilter(metrics=["a"]))
    assert key == (CLIP.id, "a", "1")
    np.testing.assert_array_equal(curves[key], np.array([0.5, np.nan, 2.0], "f4"))
    store.add_values(CLIP.id, {"a": Value(1.0)})
    assert store.curves() == {}


def test_writers_at_once_lose_no_value_and_no_sum(store):
    gate = threading.Barrier(8)

    def write(k: int) -> None:
        gate.wait()
        for seed in range(k, 40, 8):
            store.add_clip(replace(CLIP, id=f"{seed}", seed=seed))
            store.add_values(f"{seed}", {"a": Value(float(seed))})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    (row,) = store.leaderboard_rows().to_dict("records")
    assert (row["n"], row["total"]) == (40, sum(range(40)))


def test_choices_are_what_is_there(filled):
    found = filled.filters()
    assert found["models"] == ["shapes-asd", "shapes-self-forcing"] and found["first_steps"] == [0, 4]
    assert len(found["systems"]) == 4 and len(found["settings"]) == 2 and len(found["prompts"]) == 3
    assert found["metrics"] == ["contrast", "sharpness"]


# sweeps


def test_a_sweep_keeps_its_cells_whatever_is_sent_twice(store):
    first = store.sweeps.save("s", "Sweep", "{}", ["x", "y", "z"])
    store.sweeps.finish("s", "y", replace(CLIP, sweep="s"), {"a": Value(1.0)})
    store.sweeps.finish("s", "y", replace(CLIP, sweep="s"), {"a": Value(1.0)})
    store.sweeps.fail("s", "z", "no memory")
    again = store.sweeps.save("s", "Sweep", "{}", ["x", "y", "z"])
    assert (first.waiting, again.waiting, again.done, again.failed) == (3, 1, 1, 1)
    states = [(cell.cell, cell.status, cell.reason, cell.clip) for cell in store.sweeps.cells("s")]
    wanted = [("x", "waiting", "", None), ("y", "done", "", CLIP.id), ("z", "failed", "no memory", None)]
    assert states == wanted and store.leaderboard_rows().n.tolist() == [1]
    assert store.known_values([CLIP.id, "other"]) == {CLIP.id: {("a", "1")}}
    assert store.known_values([CLIP.id], but="why") == {CLIP.id: {("a", "1")}}
    store.add_values(CLIP.id, {"a": Value(None, reason="why not")})
    assert store.known_values([CLIP.id], but="why") == {} and store.sweeps.done_cells(["x", "y"]) == {"y": CLIP.id}


def test_a_cell_that_another_sweep_has_done_is_done(store):
    store.sweeps.save("s", "", "{}", ["x", "y"])
    store.sweeps.finish("s", "x", CLIP, {})
    other = store.sweeps.save("t", "", "{}", ["w", "x"])
    assert (other.done, other.waiting) == (1, 1)
    assert store.clip_table(ClipFilter(sweep="t")).id.tolist() == [CLIP.id]
    assert store.value_table(ClipFilter(sweep="t")).empty and [s.id for s in store.sweeps.all()] == ["t", "s"]
    store.sweeps.wait("t", ["x"])  # its clip is gone, for both
    assert store.sweeps.get("s").waiting == 2 and store.sweeps.get("t").waiting == 2


def test_a_full_store_is_timed(tmp_path, capsys):
    flags = ["--clips", "300", "--values", "900", "--data-dir", str(tmp_path)]
    assert main(["lab", "store-load", *flags, "--json"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in found["readings"]}
    assert rows["leaderboard, everything"]["rows"] == 3 * 20 * 3 and rows["leaderboard, everything"]["limit"] == 1.0
    assert main(["lab", "store-load", *flags]) == 2
