"""The API page: every endpoint and tool, every route, and what each takes."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import gradio as gr

from workbench.ui.api.described import Endpoint, endpoint_of
from workbench.ui.components.component import script_component
from workbench.ui.context import PRIVATE, Context
from workbench.ui.pages.header import page_header

COLUMNS = ("Parameter", "Type", "Unit", "Range", "Default", "What it is")
RULES = {"minimum": "from", "maximum": "to", "minLength": "at least", "maxLength": "up to"}
TOOLS = """Each is a tool of the Model Context Protocol at {address}gradio_api/mcp/ and an endpoint of gradio_client.
Where people sign in, both need an access token: Authorization: Bearer TOKEN."""
ROUTES = """Plain HTTP. A refusal has a status of 400 or above and one sentence, as `error` or `detail`. The same as
OpenAPI: {address}api/v1/openapi.json"""


def build(blocks: gr.Blocks, context: Context) -> None:
    page_header("API", "What programs can ask of this server: tools, endpoints and routes, with everything they take.")
    shown = script_component("reference", elem_id="reference")

    @cache
    def reference() -> dict[str, Any]:
        return {
            "sections": [
                {
                    "title": "Tools and endpoints",
                    "text": TOOLS,
                    "entries": list(tool_entries(public_endpoints(blocks))),
                },
                {"title": "Routes", "text": ROUTES, "entries": list(route_entries(context.openapi()))},
            ]
        }

    blocks.load(reference, None, shown, show_progress="hidden", **PRIVATE)


def public_endpoints(blocks: gr.Blocks) -> dict[str, Endpoint | None]:
    """The endpoints that programs may call, by name; None for one without a description."""
    return {each.api_name: endpoint_of(each.fn) for each in blocks.fns.values() if each.api_visibility == "public"}


def tool_entries(endpoints: Mapping[str, Endpoint | None]) -> Iterator[dict[str, Any]]:
    for name, endpoint in endpoints.items():
        if endpoint:
            rows = [
                [{"text": each.name, "mono": True}, each.kind, each.unit, each.range, each.default_text, each.what]
                for each in endpoint.parameters
            ]
            yield {
                "id": name,
                "name": f"/{name}",
                "says": endpoint.summary,
                "returns": f"Returns {endpoint.returns}",
                "code": snippet(name, endpoint),
                "columns": COLUMNS,
                "rows": rows,
            }


def snippet(name: str, endpoint: Endpoint) -> str:
    """Lines of Python that call the endpoint."""
    given = "".join(f"{key}={value!r}, " for key, value in endpoint.example.items())
    call = f'client.predict({given}api_name="/{name}")'
    return f'from gradio_client import Client\n\nclient = Client("{{address}}")\nprint({call})'


def route_entries(openapi: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            rows = [_row(each["name"], each, each.get("required")) for each in operation.get("parameters", ())]
            body = body_of(operation)
            rows += [
                _row(name, field, name in body.get("required", ()))
                for name, field in body.get("properties", {}).items()
            ]
            yield {
                "id": f"{method}{path}".replace("/", "-"),
                "name": f"{method.upper()} {path}",
                "says": operation.get("description", "").replace("\n", " "),
                "columns": COLUMNS,
                "rows": rows,
            }


def body_of(operation: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON schema of what a route's body holds; empty without a body."""
    return operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})


def _row(name: str, said: Mapping[str, Any], required: bool | None) -> list[Any]:
    schema = said.get("schema", said)
    default = "required" if required else json.dumps(schema.get("default"))
    kind, unit = kind_of(schema), schema.get("x-unit") or "none"
    return [{"text": name, "mono": True}, kind, unit, range_of(schema), default, said.get("description", "")]


def kind_of(schema: Mapping[str, Any]) -> str:
    """The type of a field in words; "" where it has none."""
    names = {"string": "text", "integer": "whole number", "array": "list", "boolean": "yes or no"}
    return " or ".join(names.get(part.get("type"), part.get("type", "")) for part in _parts(schema))


def range_of(schema: Mapping[str, Any]) -> str:
    """What a field takes, in words; "" where nothing says so."""
    rules = {name: part[name] for part in _parts(schema) for name in RULES if name in part}
    unit = " characters" if any(name.endswith("Length") for name in rules) else ""
    return schema.get("x-range") or " ".join(f"{RULES[name]} {value:,.12g}" for name, value in rules.items()) + unit


def _parts(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
