"""Every endpoint and every route says what it takes: what is new and says nothing fails here."""

import inspect

import pytest
from fastapi import FastAPI, Query

from tests.helpers.tiny_models import tiny_pipeline
from tests.workbench.test_exports import ROUTES
from workbench.clips.generation import GenerationService
from workbench.common.field_notes import noted
from workbench.settings import Settings
from workbench.ui.api.described import Parameter, endpoint_of
from workbench.ui.app import build_app
from workbench.ui.pages.api import body_of, kind_of, public_endpoints, range_of, route_entries, snippet, tool_entries

NUMBERS = {"whole number", "number"}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    return build_app(GenerationService(data, pipelines={"shapes-asd": tiny_pipeline(0)}), Settings(data_dir=data))


@pytest.fixture(scope="module")
def blocks(app):
    return next(route.app for route in app.routes if hasattr(getattr(route, "app", None), "get_blocks")).get_blocks()


def lacking(openapi: dict) -> list[str]:
    """What a reader of the routes is not told, as "POST /path field: what"."""
    found = []
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            where = f"{method.upper()} {path}"
            if not operation.get("description"):
                found.append(f"{where}: what it does")
            fields = [(each["name"], each, each["schema"]) for each in operation.get("parameters", ())]
            fields += [(name, field, field) for name, field in body_of(operation).get("properties", {}).items()]
            for name, said, schema in fields:
                numeric = bool(set(kind_of(schema).split(" or ")) & NUMBERS)
                told = {
                    "what it is": said.get("description"),
                    "type": kind_of(schema),
                    "range": range_of(schema),
                    "unit": schema.get("x-unit") or not numeric or "version" in name,
                    "default": said.get("required")
                    or name in body_of(operation).get("required", ())
                    or "default" in schema
                    or "null" in str(schema),
                }
                found += [f"{where} {name}: {what}" for what, there in told.items() if not there]
    return found


def test_every_route_says_what_it_does_and_takes(app):
    assert lacking(app.openapi()) == []


def test_a_route_that_says_nothing_is_found():
    app = FastAPI()

    @app.get("/silent")
    def silent(count: int = 3) -> None: ...

    @app.get("/clear")
    def clear(count: int = Query(3, **noted("how many", "1 or more", "clips"))) -> None:
        """It does something."""

    assert {each.split(": ")[1] for each in lacking(app.openapi())} == {"what it does", "what it is", "range", "unit"}
    assert all("/silent" in each for each in lacking(app.openapi()))


def test_every_endpoint_says_what_it_takes_and_its_signature_agrees(blocks):
    endpoints = public_endpoints(blocks)
    assert {"models", "generate", "compare", "evaluate", "leaderboard"} <= set(endpoints)
    for function in blocks.fns.values():
        if function.api_visibility != "public":
            continue
        endpoint = endpoint_of(function.fn)
        assert endpoint, f"/{function.api_name} has no description; give it one with @described"
        signature = inspect.signature(function.fn).parameters
        assert [each.name for each in endpoint.parameters] == list(signature)
        for each in endpoint.parameters:
            default = signature[each.name].default
            assert each.default_text == ("required" if default is inspect.Parameter.empty else default_text(default))
            assert all((each.what.endswith("."), each.kind, each.unit, each.range)), each
            assert "\n" not in each.sentence  # Gradio reads one line of each


def default_text(default) -> str:
    return Parameter("", "", "", "", default).default_text


def test_the_page_holds_all_of_it(app, blocks):
    tools = list(tool_entries(public_endpoints(blocks)))
    assert [each["name"] for each in tools] == [f"/{name}" for name in public_endpoints(blocks)]
    routes = {each["name"] for each in route_entries(app.openapi())}
    assert "POST /api/v1/votes" in routes and "GET /api/v1/leaderboard/{file}" in routes
    assert all(len(row) == len(each["columns"]) for each in tools for row in each["rows"])
    for name, endpoint in public_endpoints(blocks).items():
        compile(snippet(name, endpoint), name, "exec")


def test_the_words_for_a_range_are_those_of_the_rules():
    assert range_of({"minimum": 0, "maximum": 1e6, "type": "number"}) == "from 0 to 1,000,000"
    assert range_of({"anyOf": [{"type": "string", "maxLength": 80}, {"type": "null"}]}) == "up to 80 characters"
    assert range_of({"type": "string", "x-range": "a, b"}) == "a, b" and range_of({"type": "string"}) == ""
    assert kind_of({"anyOf": [{"type": "integer"}, {"type": "null"}]}) == "whole number"


def test_every_route_that_hands_out_files_is_among_the_exports_that_are_opened(app):
    assert {path for path in app.openapi()["paths"] if path.endswith("/{file}")} == set(ROUTES)
