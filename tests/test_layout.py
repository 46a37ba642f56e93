"""Who may import whom, read from the syntax trees of the three packages."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
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


PAGE = (ROOT / "docs" / "architecture.md").read_text()


def drawn_floors():
    """The floor of each room in the drawing."""
    drawing = re.search(r"```floors\n(.*?)```", PAGE, re.DOTALL)[1]
    return {name: int(line.split()[0]) for line in drawing.splitlines() for name in line.split()[1:]}


def test_the_page_counts_the_house():
    told = re.search(r"^\| rooms, floors, arrows between them .* (\d+), (\d+), (\d+) \|$", PAGE, re.MULTILINE).groups()
    rooms, height, most_arrows = map(int, told)
    floors = drawn_floors()
    assert (len(floors), max(floors.values())) == (rooms, height)
    assert len(set(arrows())) <= most_arrows


def test_imports_point_down_the_floors_of_the_drawing():
    floors = drawn_floors()
    upwards = {(own, other) for own, other in arrows() if floors[own] <= floors[other]}
    assert not upwards
    assert set(floors) == {name for arrow in arrows() for name in arrow} - {"workbench/__init__"}


def module_imports():
    """Modules of the three packages with those they import as they are imported, or for their types."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for _, path in FILES}
    modules = {path: name.removesuffix(".__init__") for path, name in names.items()}
    known = set(modules.values())
    for path, own in modules.items():
        blocks = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom | ast.If)]
        found = [node for block in blocks for node in ast.walk(block) if isinstance(node, ast.ImportFrom)]
        named = {(node.module, f"{node.module}.{alias.name}") for node in found for alias in node.names}
        yield own, {inner if inner in known else outer for outer, inner in named} & known - {own}


def test_no_modules_import_each_other_in_a_circle():
    list(TopologicalSorter(dict(module_imports())).static_order())  # CycleError names the circle
    with pytest.raises(CycleError, match="cycle"):
        list(TopologicalSorter(dict(module_imports()) | {"models.types": {"models.pipeline"}}).static_order())


def test_no_file_is_too_long_to_be_read_at_once():
    lines = {path: path.read_text().count("\n") for _, path in FILES}
    assert not {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > 420}


def test_no_folder_holds_more_files_than_can_be_looked_over():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = Counter(str(Path(name).parent) for name in listed.splitlines() if "/" in name)
    assert not {folder: count for folder, count in folders.items() if count > 15}


SCRIPTS = ROOT / "workbench" / "ui" / "static" / "js"


@pytest.mark.parametrize("script", sorted(SCRIPTS.rglob("*.js")), ids=lambda path: path.name)
def test_scripts_import_what_is_there(script):
    for place in re.findall(r'(?:from|import) "(\.[^"]+)"', script.read_text()):
        assert (script.parent / place).is_file(), f"{script.name} imports {place}, which is not there"


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
