"""The chart of distances over time: what is drawn is what was measured."""

from workbench.charts import Curve, drift_lines
from workbench.charts.common import NEUTRAL

FRAMES = (0, 12, 24)


def chart(*systems: str, metrics=("far", "near")) -> dict:
    curves = [
        Curve(system, metric, FRAMES, (1.0, 2.0, 3.0 + place), (0.5, 1.5, 2.5), (1.5, 2.5, 9.0))
        for metric in metrics
        for place, system in enumerate(systems)
    ]
    return drift_lines(curves, {"far": "Distance"}, fps=12, reference="real clips")


def test_every_system_has_a_line_and_its_interval_in_every_panel():
    found = chart("real clips", "asd:1", "asd:4")
    lines = [trace for trace in found["data"] if trace.get("fill") != "toself"]
    around = [trace for trace in found["data"] if trace.get("fill") == "toself"]
    assert len(lines) == len(around) == 6
    assert lines[1]["x"] == [0.0, 1.0, 2.0] and lines[1]["y"] == [1.0, 2.0, 4.0]
    assert around[1]["x"] == [0.0, 1.0, 2.0, 2.0, 1.0, 0.0] and around[1]["y"] == [1.5, 2.5, 9.0, 2.5, 1.5, 0.5]
    assert [trace["name"] for trace in lines if trace["showlegend"]] == ["real clips", "asd:1", "asd:4"]
    titles = [note["text"] for note in found["layout"]["annotations"]]
    assert titles == ["Distance", "near"]


def test_real_clips_are_grey_and_no_two_systems_look_alike():
    systems = [f"asd:{number}" for number in range(9)]
    found = chart(*systems, "real clips", metrics=("far",))
    looks = {trace["name"]: trace["line"] for trace in found["data"] if "name" in trace}
    assert looks["real clips"]["color"] == NEUTRAL
    kinds = {(looks[name]["color"], looks[name]["dash"]) for name in systems}
    assert len(kinds) == len(systems) and NEUTRAL not in {color for color, _ in kinds}


def test_nothing_measured_is_nothing_drawn():
    assert drift_lines([], {}, fps=12, reference="real clips") == {}
