"""A clip has one value of each metric, whichever page shows it and whether it was made just now or before."""

import json

import numpy as np
import pytest

from eval.evaluator import Source, evaluate
from eval.metrics import create_metrics
from models.default_world import DEFAULT, MEASURED
from workbench.clips.generation import GenerationService
from workbench.clips.kept import as_stored
from workbench.requests.grid import Cell, read_grid
from workbench.requests.systems import System
from workbench.scoring.runs import EvaluationService
from workbench.settings import Settings
from workbench.ui.context import Context
from workbench.ui.pages.compare.view import Plan, make_comparison
from workbench.ui.pages.grid import SHADES, make_grid

FRAMES = 9


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    data = tmp_path_factory.mktemp("clips")
    return Context(GenerationService(data), EvaluationService(data), Settings(data_dir=data), None, None)


def read(context: Context, address: str):
    """What a page would read at the address."""
    return json.loads(context.media.get(address.rsplit("/", 1)[-1]).content())


def test_a_grid_measures_what_evaluate_does(context):
    grid = read_grid(Cell(DEFAULT.asd, 1, 0, 3, DEFAULT.prompt, FRAMES), [("steps", "1,2"), ("seed", "3")])
    new, again = ([cell["scores"] for cell in list(make_grid(context, grid, kept=kept))[-2]["cells"]["cells"]]
                  for kept in (False, True))  # fmt: skip
    assert new == again
    for scores, (_, cell) in zip(new, grid.cells(), strict=True):
        clip = context.service.generate(cell.model, cell.request)
        (found,) = evaluate(
            [Source("clip", clip.path, prompt=cell.prompt, world=DEFAULT.name)], create_metrics(SHADES)
        )
        assert {name: score["value"] for name, score in scores.items()} == {
            name: result.value for name, result in found.results.items()
        }
        assert scores["sharpness"]["value"] > 0


def test_a_comparison_shows_the_same_curves_and_numbers_when_it_is_opened_again(context):
    plan = Plan(DEFAULT.prompt, 3, FRAMES, (System(DEFAULT.baseline, 1), System(DEFAULT.asd, 1, 4)))
    new, again = (list(make_comparison(context, plan, kept=kept))[-2] for kept in (False, True))
    assert json.dumps(new["chart"], default=str) == json.dumps(again["chart"], default=str)
    tables = [read(context, value["numbers"]["source"]) for value in (new, again)]
    assert tables[0] == tables[1]


def test_compression_moves_what_is_measured(context):
    clip = context.service.generate(DEFAULT.asd, System(DEFAULT.asd, 1).request(DEFAULT.prompt, 3, FRAMES))
    values = [
        evaluate([Source("clip", frames=each.result.frames, fps=12)], create_metrics(["sharpness"]))
        for each in (clip, as_stored(clip))
    ]
    raw, stored = (next(iter(scores)).results["sharpness"].value for scores in values)
    assert stored > 1.2 * raw  # why pages measure one of the two, and not now this and now that
    assert np.abs(clip.result.frames.astype(int) - as_stored(clip).result.frames).mean() < 3


def test_a_comparison_of_two_worlds_says_what_is_not_the_same(context):
    plan = Plan(DEFAULT.prompt, 3, FRAMES, (System(DEFAULT.asd, 1), System(MEASURED.asd, 1)))
    *_, made, last = make_comparison(context, plan)
    rows = {name: values for name, *values in made["recipes"]["rows"]}
    assert rows["world"] == ["Tabletop world", "Shapes world"] and rows["size"] == ["128x128", "64x64"]
    assert "noise is not" in made["recipes"]["note"] and made["player"]["flip"] == []
    assert made["status"]["notices"] == ["Side B: words this model does not know: ball, rolling, over, grass"]
    ((_, verdict),) = last["status"]["facts"]
    assert verdict == "not measured: the clips have different sizes, 128x128 and 64x64"
    same = Plan(DEFAULT.prompt, 3, FRAMES, (System(DEFAULT.asd, 1), System(DEFAULT.baseline, 1)))
    *_, made, _ = make_comparison(context, same)
    assert "noise are the same" in made["recipes"]["note"] and "size" not in str(made["recipes"]["rows"])


def test_a_grid_of_two_worlds_says_whose_words_are_unknown(context):
    base = Cell(DEFAULT.asd, 1, 0, 3, DEFAULT.prompt, FRAMES)
    grid = read_grid(base, [("model", f"{DEFAULT.asd},{MEASURED.asd}"), ("seed", "3")])
    *_, last = make_grid(context, grid)
    assert last["status"]["notices"] == ["ASD (shapes): words this model does not know: ball, rolling, over, grass"]
