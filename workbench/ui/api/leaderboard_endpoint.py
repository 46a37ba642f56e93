"""The named endpoint /leaderboard for `gradio_client`."""

import json
from typing import Any

import gradio as gr

from models.default_world import DEFAULT
from models.types import RequestError
from workbench.leaderboard.files import board_of
from workbench.requests.links.dashboard import read_dashboard
from workbench.ui.api.described import Parameter, described
from workbench.ui.components.component import json_input
from workbench.ui.context import Context, sentence


def leaderboard_endpoint(context: Context) -> None:
    @described(
        "Means of everything measured in the store.",
        Parameter(
            "filters",
            "What counts: an object with any of models, steps, metrics (lists), ffe (on or off), prompt (words), "
            "sweep, and reference, the system that all are compared with, as text.",
            "object",
            "any of these keys",
            None,
        ),
        returns="a row for each system, settings and metric: the mean over prompts with its 95 % interval (null for "
        "one prompt), `n` clips, `prompts`, and against the reference the difference with its interval, p of a paired "
        "t test over prompts, and p corrected after Holm for all rows.",
        example={"filters": {"metrics": ["sharpness"], "reference": f"{DEFAULT.baseline}:1:0"}},
    )
    def leaderboard(filters: Any = None) -> list[dict[str, Any]]:
        try:
            query = read_dashboard(_texts(filters))
            table = board_of(context.voting.store, query).table
        except RequestError as error:
            raise gr.Error(sentence(error), print_exception=False) from error
        return json.loads(table.to_json(orient="records", double_precision=15))

    given = json_input("filters", {"type": "object", "additionalProperties": {}})
    rows = gr.JSON(label="rows")
    gr.Button("leaderboard").click(leaderboard, given, rows, api_name="leaderboard", concurrency_limit=4)


def _texts(filters: Any) -> dict[str, str]:
    """Filters as an address has them. Raises RequestError for what is none."""
    known = ("models", "steps", "metrics", "ffe", "prompt", "sweep", "reference")
    if filters is None:
        return {}
    if not isinstance(filters, dict):
        raise RequestError(f"filters is {type(filters).__name__}; give an object with any of {', '.join(known)}")
    unknown = sorted(set(filters) - set(known))
    if unknown:
        raise RequestError(f"filters has the unknown key {str(unknown[0])[:40]!r}; choose from {', '.join(known)}")
    return {
        name: ",".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in filters.items()
        if value is not None
    }
