"""The registry as plain rows, the same for the command line, the page and the endpoint."""

import shutil
import subprocess
from functools import cache
from typing import Any

from models.registry import list_models, unavailable
from models.specs import ModelSpec
from models.wan.memory import modes_of
from models.wan.places import missing


def model_rows() -> list[dict[str, Any]]:
    """One JSON-ready row a model; `reason` says why it cannot run here, None when it can."""
    return [_row(spec) for spec in list_models()]


def _row(spec: ModelSpec) -> dict[str, Any]:
    reason = unavailable(spec)
    lacking = missing(spec.checkpoint) if spec.checkpoint and not spec.source else []
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
        "download_gb": round(sum(file.gigabytes for file in lacking), 1),
        "gpu_gb": round(min((mode.gigabytes for mode in modes_of(spec)), default=0.0), 1),
        "modes": [{"name": mode.name, "gb": round(mode.gigabytes, 1), "cost": mode.cost} for mode in modes_of(spec)],
        "available": reason is None,
        "reason": reason,
    }


@cache
def gpu_gigabytes() -> float:
    """Memory of this machine's largest GPU in GB; 0 without one. Asked of the driver, for torch takes seconds."""
    if shutil.which("nvidia-smi") is None:
        return 0.0
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10).stdout.split()
    return max((float(number) * 2**20 / 1e9 for number in told if number.isdigit()), default=0.0)
