"""The registry as plain rows, the same for the command line, the page and the endpoint."""

from typing import Any

from models.registry import list_models, unavailable
from models.specs import ModelSpec


def model_rows() -> list[dict[str, Any]]:
    """One JSON-ready row a model; `reason` says why it cannot run here, None when it can."""
    return [_row(spec) for spec in list_models()]


def _row(spec: ModelSpec) -> dict[str, Any]:
    reason = unavailable(spec)
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
        "available": reason is None,
        "reason": reason,
    }
