"""VBench's scores: public rows, the competition's worked example, VBench's own script, and laws."""

import importlib.util
import json
import os
import random
import sys
from pathlib import Path

import pytest

from eval.vbench.aggregation import aggregate, leverage
from eval.vbench.constants import DIMENSIONS, QUALITY, SEMANTIC, folder_of

TABLE = json.loads((Path(__file__).parents[2] / "golden" / "vbench" / "leaderboard.json").read_text())
CHECKOUT = os.environ.get("VBENCH_CHECKOUT", "")
needs_checkout = pytest.mark.skipif(
    not (Path(CHECKOUT) / "scripts" / "constant.py").is_file() or not CHECKOUT,
    reason="VBENCH_CHECKOUT does not name a checkout of Vchitect/VBench with scripts/constant.py",
)


def raw_of(model):
    return {name: value / 100 for name, value in TABLE["models"][model]["raw_percent"].items()}


def random_raw(seed):
    generator = random.Random(seed)
    return {name: generator.random() for name in DIMENSIONS}


@pytest.fixture(scope="module")
def vbench():
    """VBench's own `cal_final_score` and `constant` modules, loaded from the checkout under private names."""
    modules = {}
    sys.path.insert(0, str(Path(CHECKOUT) / "scripts"))
    try:
        for name in ("constant", "cal_final_score"):
            spec = importlib.util.spec_from_file_location(name, Path(CHECKOUT) / "scripts" / f"{name}.py")
            modules[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(modules[name])
    finally:
        sys.path.pop(0)
        for name in modules:
            sys.modules.pop(name, None)
    return modules


@pytest.mark.parametrize("model", TABLE["models"])
def test_public_rows_recompute(model):
    row, scores = TABLE["models"][model], aggregate(raw_of(model))
    for name in ("total", "quality", "semantic"):
        value = 100 * getattr(scores, name).value
        assert value == pytest.approx(row["vbench_script"][name], abs=5.1e-5)
        assert value == pytest.approx(row["published"][name], abs=0.0066)  # inputs are rounded to 0.01


def test_leverage_on_the_total():
    per_hundredth = {name: round(value, 4) for name, value in leverage().items()}
    assert per_hundredth["motion_smoothness"] == 0.4222
    assert per_hundredth["temporal_flickering"] == 0.332
    assert per_hundredth["object_class"] == 0.0222
    raw = random_raw(0)
    nudged = aggregate({**raw, "scene": raw["scene"] + 0.01}).total.value - aggregate(raw).total.value
    assert nudged == pytest.approx(0.01 * leverage()["scene"], abs=1e-12)


def test_values_are_not_clipped():
    scores = aggregate(dict.fromkeys(DIMENSIONS, 1.0))
    assert 100 * scores.total.value == pytest.approx(113.93, abs=0.005)
    assert any("appearance_style" in notice for notice in scores.notices)


@pytest.mark.parametrize("absent", DIMENSIONS)
def test_a_missing_dimension_leaves_no_total(absent):
    scores = aggregate({**random_raw(1), absent: None})
    group = scores.quality if DIMENSIONS[absent].group == QUALITY else scores.semantic
    whole = scores.semantic if group is scores.quality else scores.quality
    assert group.value is None and scores.total.value is None and whole.value is not None
    assert group.missing == scores.total.missing == (absent,)
    assert "15 of 16" in scores.total.says and absent in scores.total.says and "partial" in scores.total.says


def test_nothing_at_all_has_no_partial_either():
    scores = aggregate({})
    assert scores.total.value is scores.total.partial is scores.quality.partial is None
    assert "0 of 16" in scores.total.says


def test_partial_is_the_mean_of_what_is_there():
    scores = aggregate({"aesthetic_quality": 0.4, "imaging_quality": 0.6, "dynamic_degree": 1.0})
    assert scores.quality.partial == pytest.approx((0.4 + 0.6 + 0.5) / 2.5)


def test_order_of_values_does_not_matter():
    raw = random_raw(2)
    shuffled = dict(sorted(raw.items(), reverse=True))
    assert aggregate(raw).total.value == aggregate(shuffled).total.value


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match=r"scene=.* is not a score; leave"):
        aggregate({**random_raw(3), "scene": bad})


def test_folders_are_vbenchs():
    assert folder_of("background_consistency") == "scene"
    assert folder_of("imaging_quality") == folder_of("aesthetic_quality") == "overall_consistency"
    assert folder_of("motion_smoothness") == folder_of("dynamic_degree") == "subject_consistency"
    assert folder_of("color") == "color"


@needs_checkout
def test_constants_are_those_of_the_checkout(vbench):
    constant = vbench["constant"]
    assert {name.replace("_", " ") for name in DIMENSIONS} == set(constant.TASK_INFO)
    for name, row in DIMENSIONS.items():
        words = name.replace("_", " ")
        assert {"Min": row.low, "Max": row.high} == constant.NORMALIZE_DIC[words]
        assert row.weight == constant.DIM_WEIGHT[words]
    for group, names in ((QUALITY, constant.QUALITY_LIST), (SEMANTIC, constant.SEMANTIC_LIST)):
        assert [row.name.replace("_", " ") for row in DIMENSIONS.values() if row.group == group] == names
    folders = Path(CHECKOUT) / "dimension_to_folder.json"
    if folders.is_file():
        assert {name: folder_of(name) for name in DIMENSIONS} == json.loads(folders.read_text())


@needs_checkout
@pytest.mark.parametrize("seed", range(20))
def test_scores_equal_vbenchs_script(vbench, seed):
    script, raw = vbench["cal_final_score"], random_raw(seed)
    normalised = script.get_nomalized_score({name.replace("_", " "): value for name, value in raw.items()})
    quality, semantic = script.get_quality_score(normalised), script.get_semantic_score(normalised)
    scores = aggregate(raw)
    assert scores.quality.value == pytest.approx(quality, abs=1e-12)
    assert scores.semantic.value == pytest.approx(semantic, abs=1e-12)
    assert scores.total.value == pytest.approx(script.get_final_score(quality, semantic), abs=1e-12)
