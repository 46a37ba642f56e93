"""Files that visitors have uploaded: the only files of this machine that a call may name."""

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from models.prompt_text import unstorable_fault

MOST_UPLOADS = 20_000
DEEPEST = 64  # levels of a page's message; its deepest part, a player with curves, has eight
FILE_KEYS = ("path", "orig_name", "size", "mime_type")


class BadCall(Exception):
    """A call that names a file its sender has not uploaded, or that cannot be read; the text is one sentence."""


class Uploads:
    """Who has uploaded which files, by the paths that Gradio gave out; the oldest are forgotten first."""

    def __init__(self, most: int = MOST_UPLOADS) -> None:
        self._owned: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._most, self._lock = most, threading.Lock()

    def add(self, owner: str, paths: list[str]) -> None:
        with self._lock:
            for path in paths:
                self._owned[owner, path] = None
                self._owned.move_to_end((owner, path))
            while len(self._owned) > self._most:
                self._owned.popitem(last=False)

    def holds(self, owner: str, path: str) -> bool:
        with self._lock:
            return (owner, path) in self._owned

    def is_of_others(self, owner: str, path: str) -> bool:
        """Whether a file, by whatever way its path leads there, was uploaded by others and not by `owner`."""
        wanted = os.path.realpath(path)
        with self._lock:
            owners = {
                each
                for each, known in self._owned
                if os.path.basename(known) == os.path.basename(wanted) and os.path.realpath(known) == wanted
            }
        return bool(owners) and owner not in owners

    def add_answer(self, owner: str, answer: bytes) -> None:
        """Remember what Gradio answered to an upload: a JSON list of paths."""
        paths = json.loads(answer)
        if isinstance(paths, list):
            self.add(owner, [path for path in paths if isinstance(path, str)])

    def checked(self, owner: str, body: bytes) -> bytes:
        """A call's JSON written anew, so that the application reads exactly what was checked here. Of a file only its
        path and names are left. Raises BadCall."""
        try:
            content = json.loads(body or b"{}")
            for file in _files(content):
                self._check(owner, file)
        except (ValueError, RecursionError) as error:
            raise BadCall("the request is not JSON; send an object") from error
        if fault := unstorable_fault(content):
            raise BadCall(f"the request {fault}; take it out")
        return json.dumps(content, ensure_ascii=True).encode()

    def _check(self, owner: str, file: dict[str, Any]) -> None:
        if not isinstance(file["path"], str) or not self.holds(owner, file["path"]):
            raise BadCall("the request names a file that you have not uploaded; upload it first")
        kept = {name: file[name] for name in FILE_KEYS if name in file}
        file.clear()
        file.update(kept, meta={"_type": "gradio.FileData"})


def _files(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Every object in `value` that Gradio could take for a file: all that have a path."""
    if depth > DEEPEST:
        raise BadCall(f"the request is nested more than {DEEPEST} deep; send a flatter one")
    if isinstance(value, dict):
        if "path" in value:
            yield value
        for part in list(value.values()):
            yield from _files(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            yield from _files(part, depth + 1)
