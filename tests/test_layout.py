"""Who may import whom, read from the syntax trees of the three packages."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {"models": set(), "eval": set(), "workbench": {"models", "eval"}}
OWNER = {
    "gradio": "workbench/ui/",
    "plotly": "workbench/charts/",
    "sqlite3": "workbench/store/",
    "sqlalchemy": "workbench/store/",
}
FILES = [(package, path) for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def imports(tree):
    """(dotted name, line, is a plain `import`) of every import, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, True) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module, node.lineno, False


TRAINERS = (
    "workbench/commands/training/train.py",
    "workbench/commands/training/train_all.py",
    "workbench/commands/training/publish.py",
    "workbench/lab/training_speed.py",
)


def violations(package, place, tree):
    """Sentences about imports that break the layout; `place` is the file's path from the root."""
    forbidden = ({"app", "tests"} | set(MAY_IMPORT)) - MAY_IMPORT[package] - {package}
    for name, line, plain in imports(tree):
        root = name.partition(".")[0]
        if root in forbidden:
            yield f"{place}:{line}: {package} may not import {root}"
        if not place.startswith(OWNER.get(root, "")):
            yield f"{place}:{line}: {root} belongs in {OWNER[root]}"
        if root == "eval" and plain:
            yield f"{place}:{line}: `import eval` hides the builtin; write `from eval.x import y`"
        if name.startswith("models.training") and not place.startswith(("models/training/", *TRAINERS)):
            yield f"{place}:{line}: inference may not import models.training"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_package_resolves_to_this_checkout(package):
    assert Path(importlib.util.find_spec(package).origin) == ROOT / package / "__init__.py"


@pytest.mark.parametrize("package, path", FILES, ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_imports_point_downwards(package, path):
    assert not list(violations(package, path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())))


@pytest.mark.parametrize(
    "package, place, source",
    [
        ("models", "models/x.py", "import gradio as gr"),
        ("models", "models/x.py", "def f():\n    from eval.video.clip import Clip"),
        ("eval", "eval/x.py", "from models import world"),
        ("eval", "eval/x.py", "import sqlalchemy.orm"),
        ("workbench", "workbench/x.py", "import eval.video.clip"),
        ("workbench", "workbench/x.py", "import app"),
        ("workbench", "workbench/ui/x.py", "import plotly.graph_objects as go"),
        ("workbench", "workbench/ui/x.py", "from models.training.loop import train"),
    ],
)
def test_the_rule_catches_what_it_is_for(package, place, source):
    assert len(list(violations(package, place, ast.parse(source)))) == 1


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_every_folder_with_code_is_a_package_with_a_docstring(package):
    for folder in {path.parent for _, path in FILES if path.is_relative_to(ROOT / package)}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


def room(name):
    """`models`, `eval`, or the part of `workbench` that a dotted name is in."""
    first, _, rest = name.partition(".")
    return f"{first}/{rest.partition('.')[0]}" if first == "workbench" else first


def arrows():
    """(room, imported room) of every import between rooms."""
    for _, path in FILES:
        own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in MAY_IMPORT:
                names = {room(f"{node.module}.{alias.name}") for alias in node.names}
                yield from ((own, name) for name in names - {own, "workbench/__version__"})


def test_imports_point_down_the_floors_of_the_drawing():
    drawing = re.search(r"```floors\n(.*?)```", (ROOT / "docs" / "architecture.md").read_text(), re.DOTALL)[1]
    floors = {name: int(line.split()[0]) for line in drawing.splitlines() for name in line.split()[1:]}
    upwards = {(own, other) for own, other in arrows() if floors[own] <= floors[other]}
    # trials run commands whole, as users do
    assert upwards <= {("workbench/lab", "workbench/commands"), ("workbench/lab", "workbench/__main__")}
    assert set(floors) == {name for arrow in arrows() for name in arrow} - {"workbench/__init__"}


PAGES = """
from pathlib import Path; from workbench.settings import Settings; from workbench.ui.app import build_app
from workbench.clips.generation import GenerationService
settings = Settings(data_dir=Path(sys.argv[1])); build_app(GenerationService(settings.data_dir), settings)
"""


@pytest.mark.parametrize(
    "code, spared",
    [
        ("import app", {"torch", "gradio"}),
        ("from workbench.__main__ import main; assert main(['models']) == 0", {"torch", "gradio"}),
        (PAGES, {"torch", "diffusers", "transformers"}),
    ],
    ids=["import app", "models", "pages"],
)
def test_who_needs_no_network_does_not_wait_for_one(code, spared, tmp_path):
    check = f"import sys\n{code}\nassert not {spared} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check, str(tmp_path)], cwd=ROOT, check=True, timeout=60)
