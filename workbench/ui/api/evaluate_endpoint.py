"""The named endpoint /evaluate for `gradio_client`."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from eval.video.text_files import parse_json
from models.types import RequestError
from workbench.clips.library import give_prompts
from workbench.scoring.results import everything
from workbench.scoring.runs import FAILED, Plan, Run
from workbench.ui.api.described import Parameter, described
from workbench.ui.components.component import json_input, uploaded_files
from workbench.ui.context import EVALUATION_QUEUE, Context, sentence
from workbench.ui.pages.evaluate.view import default_metrics

POLL_SECONDS = 0.1
LISTS = ("clip_ids", "metrics", "prompts")


def evaluate_endpoint(context: Context) -> None:
    inputs = [
        uploaded_files(label="clips"),
        *(json_input(name, {"type": "array", "items": {"type": "string"}}) for name in LISTS),
    ]

    @described(
        "Measure uploaded `clips` and, after them, clips of the store by `clip_ids`.",
        Parameter("clips", "Videos to measure.", "list of video files", "any number, up to 256 MB each", None),
        Parameter("clip_ids", "Clips of the store.", "list of texts", "names of their files without ending", None),
        Parameter(
            "metrics",
            "Names of metrics; without any, the quick ones that know the clips' world.",
            "list of texts",
            "metrics that run here",
            None,
        ),
        Parameter(
            "prompts",
            "One prompt for all clips that have none, or one for each clip.",
            "list of texts",
            "1, or as many as clips",
            None,
        ),
        returns="the metrics' facts, a summary with n, mean and 95 % interval, and for every clip its `values`, "
        "`reasons` where there is no value, curves `per_frame`, and why it was `skipped`; `link` opens it in a "
        "browser.",
        example={"clip_ids": ["CLIP"], "metrics": ["sharpness"]},
    )
    async def evaluate(
        clips: list[str] | None = None, clip_ids: Any = None, metrics: Any = None, prompts: Any = None
    ) -> dict[str, Any]:
        files = clips or []
        try:
            context.check_writable()
            given = [] if prompts is None else texts_of(prompts, "prompts")
            ids = [] if clip_ids is None else texts_of(clip_ids, "clip_ids")
            names = default_metrics(context, ids) if metrics is None else texts_of(metrics, "metrics")
            run = await asyncio.to_thread(start_run, context, ids, files, given, names)
        except RequestError as error:
            raise gr.Error(sentence(error, *files), print_exception=False) from error
        while run.active:
            await asyncio.sleep(POLL_SECONDS)
        if run.state == FAILED:
            raise gr.Error("the evaluation failed on the server; try it again", print_exception=False)
        return await asyncio.to_thread(everything, run) | {"link": run.link}

    button, results = gr.Button("evaluate"), gr.JSON(label="results")
    button.click(evaluate, inputs, results, api_name="evaluate", **EVALUATION_QUEUE)


def start_run(
    context: Context, ids: Sequence[str], files: Sequence[str], prompts: Sequence[str], metrics: Sequence[str]
) -> Run:
    """Begin to evaluate files and clips of the store; raises RequestError."""
    library = context.evaluations.library
    clips = [*(library.uploaded(Path(path)) for path in files), *(library.stored(identity) for identity in ids)]
    return context.evaluations.start(Plan(tuple(give_prompts(clips, prompts)), tuple(metrics)))


def texts_of(value: Any, name: str) -> list[str]:
    """A list of strings, or one string, or either as JSON text; raises RequestError naming the argument."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = parse_json(value)
        except ValueError as error:
            raise RequestError(f"{name} are not JSON ({error}); give a list of strings") from error
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise RequestError(f"{name} is {json.dumps(value)[:80]}; give a list of strings")
    return listed
