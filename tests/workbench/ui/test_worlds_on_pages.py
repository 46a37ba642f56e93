"""Pages that offer models of several worlds keep the worlds apart."""

from types import SimpleNamespace

import gradio as gr
import pytest

from models.default_world import DEFAULT, EMBEDDED, MEASURED
from models.registry import get_spec, watchable
from models.types import GenerationRequest
from workbench.clips.generation import GenerationService
from workbench.experiments.ablation_files import read_report
from workbench.scoring.evaluation import metric_rows
from workbench.scoring.runs import EvaluationService
from workbench.ui.context import model_choices
from workbench.ui.pages.compare.page import preset_sides, presets
from workbench.ui.pages.dashboard.tables import ablation_status
from workbench.ui.pages.evaluate.view import checklist, default_metrics
from workbench.ui.pages.grid import preset_axes
from workbench.ui.pages.grid import presets as grid_presets
from workbench.ui.pages.insight.page import _form


def test_no_two_models_of_a_list_have_one_name():
    with gr.Blocks():
        form, _ = _form()
    titles = [title for title, _ in form["model"].choices]
    assert len(titles) == len(set(titles)) == len(watchable())
    assert ("ASD", "asd") in form["model"].choices and ("ASD (shapes)", "shapes-asd") in form["model"].choices
    assert set(form["model"].choices) <= set(model_choices())


@pytest.mark.parametrize("world", EMBEDDED, ids=lambda world: world.name)
def test_presets_are_of_the_world_that_is_chosen(world):
    three = {world.teacher, world.baseline, world.asd}
    for title, _ in presets():
        assert {side.model for side in preset_sides(title, world.model("ode-init"))} <= three
    sides = preset_sides("Teacher, baseline, ASD", world.asd)
    assert [side.model for side in sides] == [world.teacher, world.baseline, world.asd]
    assert all(side.steps in get_spec(side.model).steps for side in sides)
    named = {text for title, _ in grid_presets() for text in preset_axes(title, world.asd) if world.asd in text}
    assert named == {f"{world.baseline}, {world.asd}"}


def test_a_family_without_models_that_ship_has_the_presets_of_the_default_world():
    sides = preset_sides("Baseline and ASD, 1 step", "self-forcing-wan-1.3b")
    assert [side.model for side in sides] == [DEFAULT.baseline, DEFAULT.asd] != [MEASURED.baseline, MEASURED.asd]


def test_the_metrics_chosen_at_first_know_the_world_of_the_clips(tmp_path, tiny):
    service = GenerationService(tmp_path, pipelines={"shapes-asd": tiny})
    made = service.generate("shapes-asd", GenerationRequest("a red circle", 1, frames=1)).path.stem
    context = SimpleNamespace(evaluations=EvaluationService(tmp_path))
    known = {facts.name: facts.world for facts, why in metric_rows(context.evaluations.resources) if not why}
    for clips, world in (((), DEFAULT.name), ((made,), "shapes")):
        chosen = checklist(context, clips)["chosen"]
        assert chosen == default_metrics(context, clips)
        assert {known[name] for name in chosen} == {"", world}


def test_the_ablation_says_its_world_and_opens_when_its_models_are_gone(tmp_path):
    report, _ = read_report(tmp_path)
    assert ablation_status(report, own=False)["text"].endswith("Measured on the shapes world.")
    assert "world" not in ablation_status(report | {"weights": {"gone": "0" * 64}}, own=True)["text"]
