"""The registry as plain rows, the same for the command line, the page and the endpoint."""

import shutil
import subprocess
from functools import cache
from typing import Any

from models.default_world import SHAPES, TABLETOP
from models.registry import get_spec, list_models, unavailable
from models.specs import ModelSpec
from models.types import RequestError
from models.wan.memory import modes_of
from models.wan.places import missing
from models.wan.source import PREFIX
from workbench.requests.prompt_scores import prompt_score

SHIPPED = (SHAPES.name, TABLETOP.name)


def model_rows() -> list[dict[str, Any]]:
    """One JSON-ready row a model; `reason` says why it cannot run here, None when it can."""
    return [_row(spec) for spec in list_models()]


def shipped_model(name: str, flag: str) -> ModelSpec:
    """The row of a model of a world that ships, which alone has captions and real clips to be held against. Raises
    RequestError for others, also for files of one's own."""
    if not name.startswith(PREFIX):
        spec = get_spec(name)
        if spec.family in SHIPPED:
            return spec
        name = spec.name
    raise RequestError(
        f"{flag} {name!r} is of no world that ships, so there are no real clips to hold its clips against; make them "
        f"by `sweep --models {name}` and score them by `evaluate`"
    )


def _row(spec: ModelSpec) -> dict[str, Any]:
    reason, offered = unavailable(spec), modes_of(spec)
    needs = round(min((mode.gigabytes for mode in offered), default=0.0), 1)
    lacking = missing(spec.checkpoint) if spec.checkpoint and not spec.source else []
    score = prompt_score(spec.name)
    return {
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "paper": spec.paper,
        "tasks": list(spec.tasks),
        "steps": list(spec.steps),
        "trained_steps": list(spec.trained_steps),
        "guidance_scale": spec.guidance_scale,
        "license": spec.license,
        "weights": spec.weights,
        "note": spec.note,
        "score": score.row() if score else None,
        "download_gb": round(sum(file.gigabytes for file in lacking), 1),
        "gpu_gb": needs,
        "modes": [{"name": mode.name, "gb": round(mode.gigabytes, 1), "cost": mode.cost} for mode in offered],
        "available": reason is None,
        "reason": reason,
        "state": _state(reason, needs),
    }


def _state(reason: str | None, needs: float) -> str:
    """Whether a model is ready here, and what it lacks; `needs` GB of GPU memory."""
    have = f"{gpu_gigabytes():.0f} GB" if gpu_gigabytes() else "none"
    lacking = needs > gpu_gigabytes()
    if reason is None:
        slow = f"ready on the processor; a GPU needs {needs:.1f} GB, and this machine has {have}"
        return slow if lacking else "ready"
    card = f" and {needs:.1f} GB of GPU memory, of which this machine has {have}" if lacking else ""
    return f"{reason.removeprefix('it ')}{card}"


@cache
def gpu_gigabytes() -> float:
    """Memory of this machine's largest GPU in GB; 0 without one. Asked of the driver, for torch takes seconds."""
    if shutil.which("nvidia-smi") is None:
        return 0.0
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10).stdout.split()
    return max((float(number) * 2**20 / 1e9 for number in told if number.isdigit()), default=0.0)
