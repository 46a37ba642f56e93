"""Every page's address: what one function writes, one function reads back, and nothing else writes or reads any."""

import ast
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from models.types import RequestError
from workbench.requests.grid import Cell, read_grid
from workbench.requests.insight_settings import Settings
from workbench.requests.links.address import address
from workbench.requests.links.compare import compare_link, read_compare
from workbench.requests.links.dashboard import Query, cell_key, read_cell_key, read_dashboard
from workbench.requests.links.evaluate import evaluate_link, evaluation_link, read_evaluate
from workbench.requests.links.generate import asks_for_clip, generate_link, model_link, read_generate
from workbench.requests.links.grid import grid_query, read_grid_link
from workbench.requests.links.inputs import VIDEO, input_query
from workbench.requests.links.insight import insight_link, insight_query, read_insight
from workbench.requests.links.people import invitation_link, login_link, vote_link
from workbench.requests.links.results import read_results, results_link
from workbench.requests.links.studies import comparison_study_link, read_draft
from workbench.requests.systems import System
from workbench.requests.timeline import read_switches

ROOT = Path(__file__).resolve().parents[3]
PROMPT = "a red ball & 100 % = 1? \u00e9/#"
ONE, TWO = System("shapes-asd", 1, 4), System("shapes-asd", 4, plan=(4, 1, 4))
SWITCHES = read_switches("3: a blue star\n2: two words", "reset")
SWITCH_TEXT = "2: two words\n3: a blue star"


def query_of(link: str, path: str) -> dict[str, str]:
    place, _, query = link.partition("?")
    assert place == path
    return dict(parse_qsl(query, strict_parsing=True))


def test_generate_reads_back_what_it_was_asked():
    found = read_generate(query_of(generate_link(TWO, PROMPT, 11, 25, "64x32", SWITCHES), "/generate"))
    clip = {"seed": 11, "frames": 25, "size": "64x32", "switches": SWITCH_TEXT, "cache": "reset"}
    assert found == {"prompt": PROMPT, "model": "shapes-asd", "steps": 4, "ffe": False, "plan": "4,1,4", **clip}
    least = read_generate(query_of(generate_link(ONE, PROMPT), "/generate"))
    assert least == {"prompt": PROMPT, "model": "shapes-asd", "steps": 1, "ffe": True, "first_steps": 4}
    assert read_generate(query_of(model_link("shapes-asd"), "/generate")) == {"model": "shapes-asd"}


def test_older_links_of_generate_are_known_by_their_keys():
    assert asks_for_clip("seed=7&prompt=x") and not asks_for_clip("seed=7&sides=x") and not asks_for_clip("")


def test_compare_reads_back_what_it_was_asked():
    query = query_of(compare_link((ONE, TWO), PROMPT, 0, 13, "", SWITCHES), "/compare")
    query |= {name: str(value) for name, value in input_query(VIDEO, None, None, 0.4, f"{'a' * 32}.mp4").items()}
    given = {"source": VIDEO, "kept": f"{'a' * 32}.mp4", "strength": 0.4}
    clip = {"seed": 0, "frames": 13, "switches": SWITCH_TEXT, "cache": "reset"}
    assert read_compare(query) == {"sides": (ONE, TWO), "prompt": PROMPT, **given, **clip}


@pytest.mark.parametrize("read", [read_generate, read_compare])
def test_a_cache_that_is_none_is_told(read):
    with pytest.raises(RequestError, match="cache 'x' in this link is unknown"):
        read({"cache": "x"})


def test_grid_reads_back_what_it_was_asked():
    base = Cell("shapes-asd", 1, 4, 7, PROMPT, 13)
    query = query_of(address("/grid", grid_query(read_grid(base, [("steps", "1, 2"), ("seed", "7-9")]))), "/grid")
    found = read_grid_link(query)
    assert found.pop("axes") == [("steps", "1,2"), ("seed", "7,8,9"), ("", "")]
    assert found == {"model": "shapes-asd", "first_steps": 4, "prompt": PROMPT, "frames": 13}
    assert "axes" not in read_grid_link({"x": "steps", "xv": "1,2"})


def test_insight_reads_back_what_it_was_asked():
    settings = Settings("shapes-asd", (PROMPT, "b"), (0, 1, 2, 9), 2, 4, (4, 2), 25)
    found = read_insight(query_of(insight_link(settings), "/insight"))
    wanted = {"model": "shapes-asd", "prompts": f"{PROMPT}\nb", "seeds": "0-2,9", "steps": 2, "ffe": 4, "frames": 25}
    assert found == wanted | {"plan": "4,2"}
    cost = {name: str(value) for name, value in insight_query(settings, "1 2", 5).items()}
    assert read_insight(cost) == wanted | {"plan": "4,2", "plans": "1 2", "repeats": 5}


def test_evaluate_reads_back_what_it_was_asked():
    assert read_evaluate(query_of(evaluate_link(["a", "b"]), "/evaluate")) == {"clips": ["a", "b"]}
    assert read_evaluate(query_of(evaluation_link("ab"), "/evaluate")) == {"run": "ab"}


def test_dashboard_reads_back_what_it_was_asked():
    query = Query(view="prompts", steps=(1, 2), prompt=PROMPT, row="m:1:4@ab")
    assert read_dashboard(query_of(query.link(), "/dashboard")) == query and Query().link() == "/dashboard"
    assert read_cell_key(cell_key(at=PROMPT, metric="m")) == {"at": PROMPT, "metric": "m"}
    with pytest.raises(RequestError, match="'study' cannot be pressed"):
        read_cell_key("study=x")


def test_results_reads_back_what_it_was_asked():
    wanted = {"study": "s &", "question": "motion", "target": "m:1:0", "checks": 0.5, "version": 2, "prompt": PROMPT}
    assert read_results(query_of(results_link(**wanted), "/results")) == wanted
    opened = {"study": "s", "question": "overall", "target": None, "checks": 0.0, "version": 0, "prompt": ""}
    assert read_results(query_of(results_link("s"), "/results")) == opened


def test_a_comparison_begins_a_study():
    query = query_of(compare_link((ONE, System("shapes-asd", 2)), PROMPT, 7), "/compare")
    draft = read_draft(query_of(comparison_study_link(query), "/studies"))
    assert draft == {"systems": ["shapes-asd:1*", "shapes-asd:2"], "prompts": PROMPT, "pairing": "all", "seeds": "7"}


def test_people_are_led_on():
    assert vote_link("a b", "http://x") == "http://x/vote?study=a+b"
    assert invitation_link("s3cret") == "/vote?invite=s3cret"
    assert query_of(login_link("/compare?prompt=a&seed=1"), "/login") == {"next": "/compare?prompt=a&seed=1"}


def test_a_path_in_parts_is_quoted():
    assert address(("", "files", "a/b c"), {"none": None, "empty": "", "nothing": 0}) == "/files/a%2Fb%20c?nothing=0"


def test_no_other_file_writes_or_reads_queries():
    codecs = {"urlencode", "parse_qs", "parse_qsl", "quote", "quote_plus", "unquote", "unquote_plus"}
    home, spared = ROOT / "workbench" / "requests" / "links", {"bad_input_trials.py"}  # it makes addresses of junk
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "workbench").rglob("*.py")
        if home not in path.parents and path.name not in spared
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "urllib.parse"
        if codecs & {alias.name for alias in node.names}
    ]
    assert not found
