"""What a new row owes, table by table: what is left out is said before a page or a command meets it."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from models.specs import MODELS
from workbench import charts
from workbench.commands import COMMANDS
from workbench.requests.systems import System
from workbench.ui.access import doors
from workbench.ui.pages import PAGES
from workbench.votes.questions import IDENTITY, QUESTIONS, read_question

WORKBENCH = Path(__file__).resolve().parents[1] / "workbench"
GROUPS = ("Make", "Measure", "People", "Evidence")
CHARTS = [name for name in charts.__all__ if inspect.isfunction(getattr(charts, name))]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_says_what_it_is_and_offers_the_steps_it_starts_with(name):
    spec = MODELS[name]
    assert spec.title and spec.paper and spec.note and spec.tasks, f"{name} has no title, paper, note or task"
    assert spec.default_steps in spec.steps, f"{name} does not offer its default, {spec.default_steps} steps"
    alike = [each.name for each in MODELS.values() if (each.family, each.title) == (spec.family, spec.title)]
    assert alike == [name], f"{spec.title!r} stands twice in the {spec.family} world"
    assert System.read(f"{name}:{spec.default_steps}") == System(name, spec.default_steps)


@pytest.mark.parametrize("identity", QUESTIONS)
def test_a_question_asks_which_video(identity):
    question = QUESTIONS[identity]
    assert IDENTITY.fullmatch(identity) and read_question(identity) == question
    assert question.text.endswith("?") and "video" in question.text, f"{question.text!r} does not ask for a video"
    assert 0 < len(question.title) <= 20, f"{question.title!r} does not fit the head of a column"


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_told_and_shown(name):
    assert inspect.getdoc(getattr(charts, name)), f"{name} has no docstring"
    files = [path for path in WORKBENCH.rglob("*.py") if path.parent.name != "charts"]
    assert any(re.search(rf"\b{name}\b", path.read_text()) for path in files), f"no page shows {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.title)
def test_a_page_has_an_address_that_roles_are_asked_for(page):
    assert page.path in doors.PAGES, f"{page.path} is not in PAGES of workbench/ui/access/doors.py: nobody may open it"
    assert page.group in GROUPS and page.path == f"/{page.title.lower()}"
    assert inspect.getdoc(inspect.getmodule(page.build)), f"the module of {page.title} has no docstring"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_a_file_with_a_parser_of_its_name(name):
    path = WORKBENCH / "commands" / (COMMANDS[name].module.replace(".", "/") + ".py")
    tree = ast.parse(path.read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {"add_parser", "run"} <= functions, f"{path.name} has no add_parser or no run"
    assert f'"{name}"' in path.read_text() and COMMANDS[name].help, f"the parser of {path.name} has another name"
