"""Marks of work that is under way, by which later processes know what a killed one has left.

A clip that is asked for in the app is written down before it is made, as `data_dir`/jobs/<id>.json, and an evaluation
marks its folder while it runs. Whoever ends in good order removes the mark; marks of processes that are gone are those
of interrupted work.
"""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eval.video.text_files import read_json
from models.types import GenerationRequest
from models.whole_files import write_bytes

FOLDER = "jobs"
STOPPING_SECONDS = 20  # that work has to come to an end in when the program ends
PIXELS = ("image", "video")


class ProgramEnds(Exception):
    """Work was broken off because the program ends; the next one goes on with it."""


@contextmanager
def written_down(data_dir: Path, model: str, request: GenerationRequest) -> Iterator[None]:
    """Inside, a clip of this request is in the list of jobs; a process that is killed or ends leaves it there."""
    path = data_dir / FOLDER / f"{secrets.token_hex(8)}.json"
    values = {name: value for name, value in vars(request).items() if name not in PIXELS}
    values["switches"] = [asdict(switch) for switch in request.switches]
    told = {**_owner(), "model": model, "request": values, "pixels": any(_pixels(request))}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, json.dumps(told).encode())
    left = False
    try:
        yield
    except ProgramEnds:
        left = True
        raise
    finally:
        if not left:
            path.unlink(missing_ok=True)


def _pixels(request: GenerationRequest) -> list[bool]:
    return [getattr(request, name) is not None for name in PIXELS]


def _owner() -> dict[str, Any]:
    return {"process": os.getpid(), "began": _began(os.getpid())}


def _began(process: int) -> str:
    """When a process began, in ticks since the machine did; "" when it is gone. A number alone may be given again."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def mark(path: Path) -> None:
    """Say in a file that this process works on what lies beside it."""
    write_bytes(path, json.dumps(_owner()).encode())


def is_left(path: Path) -> bool:
    """Whether a mark is there whose process is gone."""
    try:
        owner = read_json(path)
        return owner["began"] != _began(owner["process"])
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError, KeyError):
        return True
