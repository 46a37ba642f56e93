"""Files that tools of the Model Context Protocol are given: as data: URLs, for one file and for lists of them.

Gradio takes a file at the top of a tool's arguments only, names a type for lists that no client can look up, and would
fetch addresses.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from typing import Any

from gradio.processing_utils import save_base64_to_cache
from gradio.utils import get_upload_folder
from gradio_client import handle_file

from models.types import RequestError

DATA = re.compile(r"data:[\w.+/-]*(?:;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)
MARK = "gradio.FileData"
FILE = {
    "type": "string",
    "format": "data: URL",
    "description": "A file as data:TYPE;base64,...; a whole call has at most 8 MiB.",
}
KEPT = ("title", "description", "default")


def told_schema(schema: dict[str, Any]) -> tuple[dict[str, Any], list[list[str]]]:
    """A tool's arguments with every file as a text, and the places of files: [name], or [name, "items"] for a list."""
    properties, places = {}, []
    for name, taken in schema["properties"].items():
        properties[name] = taken
        if MARK in json.dumps(taken):
            many = taken.get("type") == "array"
            kept = {key: taken[key] for key in KEPT if key in taken}
            properties[name] = ({"type": "array", "items": FILE} if many else FILE) | kept
            places.append([name, "items"] if many else [name])
    return {**schema, "properties": properties}, places


def with_files(arguments: Any, places: Sequence[Sequence[str]]) -> Any:
    """A tool's arguments with files in place of data: URLs. Raises RequestError for a path, an address and what is
    none."""
    given = dict(arguments)
    for name, *inside in places:
        value = given.get(name)
        if isinstance(value, list) and inside:
            given[name] = [_file(each, f"{name}[{i}]") for i, each in enumerate(value)]
        elif value is not None:
            given[name] = _file(value, name)
    return given


def _file(value: Any, name: str) -> Any:
    found = DATA.match(value) if isinstance(value, str) else None
    shown = json.dumps(value)[:60]
    if not found:
        told = f"{name} is {shown}, and a tool takes a file as data:TYPE;base64,... only"
        raise RequestError(f"{told}; send what is in it, never a path or an address")
    try:
        content = base64.b64decode(value[found.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"{name} is {shown}, and what follows is not base64; encode the file anew") from error
    if not content:
        raise RequestError(f"{name} is {shown}, and nothing follows; send what is in the file")
    return handle_file(save_base64_to_cache(value, get_upload_folder()))
