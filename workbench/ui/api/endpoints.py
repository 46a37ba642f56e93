"""Named endpoints for `gradio_client`: /models, /generate, /compare; /evaluate and /leaderboard have their own files.

Bad input is a `gr.Error` with one sentence.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from models.default_world import DEFAULT
from models.registry import get_spec
from models.types import GenerationRequest, RequestError
from workbench.charts import curve_values
from workbench.clips.kept import as_stored
from workbench.clips.manifest import Manifest
from workbench.clips.media import read_image
from workbench.requests.catalogue import model_rows
from workbench.requests.comparison import LETTERS, sides_from_json
from workbench.requests.frame_size import chosen_size
from workbench.requests.input_video import read_video
from workbench.requests.numbers import LARGEST_SEED, frames_of, seed_of, whole
from workbench.ui.api.described import Parameter, described
from workbench.ui.api.evaluate_endpoint import evaluate_endpoint
from workbench.ui.api.leaderboard_endpoint import leaderboard_endpoint
from workbench.ui.components.component import json_input
from workbench.ui.context import MODEL_QUEUE, Context
from workbench.ui.pages.compare.view import Plan, check_sides

PROMPT = Parameter("prompt", "What the video shows, in plain English.", "text", "1 to 1000 characters for most models")
SEED = Parameter("seed", "Seed of the noise.", "whole number", f"0 to {LARGEST_SEED}", 0)
FRAMES = Parameter("frames", "Length of the clip.", "whole number", "1 to 4000", 49, "frames, at the model's rate")
SIZE = Parameter(
    "size",
    "Width x height, as 832x480; the model's own when left out.",
    "text",
    "sizes that the models offer",
    "",
    "pixels",
)
SHORT = {"prompt": DEFAULT.prompt, "frames": 13}


def build_endpoints(context: Context) -> None:
    """Endpoints have no place on a page; their components exist to describe them."""
    with gr.Column(visible=False):
        _models_endpoint()
        _generate_endpoint(context)
        _compare_endpoint(context)
        evaluate_endpoint(context)
        leaderboard_endpoint(context)


def _models_endpoint() -> None:
    @described(
        "List every model of the registry.",
        returns="a list with a row for each model: name, title, paper, tasks, the steps it offers and was trained "
        "for, its licence, and whether it is `available` here or the `reason` why not.",
        example={},
    )
    def models() -> list[dict[str, Any]]:
        return model_rows()

    gr.Button("models").click(models, None, gr.JSON(label="models"), api_name="models", queue=False)


def _generate_endpoint(context: Context) -> None:
    inputs = [
        gr.Textbox(label="model"),
        gr.Textbox(label="prompt"),
        gr.Number(4, label="steps"),
        gr.Checkbox(False, label="ffe"),
        gr.Number(4, label="first_steps"),
        gr.Number(49, label="frames"),
        gr.Number(0, label="seed"),
        gr.File(label="image", type="filepath"),
        gr.File(label="video", type="filepath"),
        gr.Number(0.9, label="strength"),
        gr.Textbox("", label="size"),
    ]

    @described(
        "Make one clip: from text, with a picture, or with a video.",
        Parameter("model", "Name of a model.", "text", "a name that `models` lists as available"),
        PROMPT,
        Parameter(
            "steps",
            "How often each chunk is denoised.",
            "whole number",
            "those that `models` lists for it",
            4,
            "steps",
        ),
        Parameter("ffe", "First-Frame Enhancement: more steps on the first chunk only.", "yes or no", "both", False),
        Parameter(
            "first_steps",
            "How often the first chunk is denoised; it counts only with ffe.",
            "whole number",
            "those that `models` lists for the model",
            4,
            "steps",
        ),
        FRAMES,
        SEED,
        Parameter("image", "First frame, for models that start from one.", "picture file", "any size", None),
        Parameter("video", "Video to start from.", "video file", "any size and rate", None),
        Parameter(
            "strength", "How far the input video is ignored: 0 keeps it, 1 ignores it.", "number", "0 to 1", 0.9
        ),
        SIZE,
        returns="the clip as an mp4 file, and its manifest: all it takes to make the clip again.",
        example={"model": DEFAULT.asd, "steps": 1, "ffe": True, **SHORT},
    )
    def generate(
        model: str,
        prompt: str,
        steps: float = 4,
        ffe: bool = False,
        first_steps: float = 4,
        frames: float = 49,
        seed: float = 0,
        image: str | None = None,
        video: str | None = None,
        strength: float = 0.9,
        size: str = "",
    ) -> tuple[str, dict[str, Any]]:
        try:
            context.check_writable()
            first = whole(first_steps, "first_steps", "a whole number")
            picture = read_image(Path(image)) if image else None
            count, number = frames_of(frames), seed_of(seed)
            request = GenerationRequest(
                prompt, whole(steps, "steps", "a whole number"), bool(ffe), first, count, number, picture
            )
            request, said = replace(request, size=chosen_size(size)), []
            if video:
                spec = get_spec(model)
                fitted, said = read_video(Path(video), replace(spec, size=request.size or spec.size), count)
                request = replace(request, video=fitted, video_fps=float(spec.fps), strength=strength)
            clip = context.service.generate(model, request, notices=said)
        except RequestError as error:
            refuse(error, image, video)
        return _hand_over(clip.path), _json(clip.manifest)

    outputs = [gr.File(label="clip"), gr.JSON(label="manifest")]
    gr.Button("generate").click(generate, inputs, outputs, api_name="generate", **MODEL_QUEUE)


def _compare_endpoint(context: Context) -> None:
    inputs = [
        gr.Textbox(label="prompt"),
        json_input("sides", {"type": "array", "items": {"type": "object", "additionalProperties": {}}}),
        gr.Number(0, label="seed"),
        gr.Number(49, label="frames"),
        gr.Textbox("", label="size"),
    ]

    @described(
        "Make clips from the same prompt and noise by two to four systems.",
        PROMPT,
        Parameter(
            "sides",
            "The systems: objects with model, steps (default 4), ffe (default false), first_steps (default 4) and, "
            "for a schedule by hand, plan as text such as 4,1,2.",
            "list of objects",
            "2 to 4 of them",
        ),
        SEED,
        FRAMES,
        SIZE,
        returns="a result for each side (label, manifest, speed, flicker and sharpness of each frame), and the mp4 "
        "files.",
        example={
            "sides": [{"model": DEFAULT.baseline, "steps": 1}, {"model": DEFAULT.asd, "steps": 1, "ffe": True}],
            **SHORT,
        },
    )
    def compare(
        prompt: str, sides: Any, seed: float = 0, frames: float = 49, size: str = ""
    ) -> tuple[list[dict[str, Any]], list[str]]:
        try:
            context.check_writable()
            plan = Plan(prompt, seed_of(seed), frames_of(frames), sides_from_json(sides), size=size)
            requests = check_sides(context, plan)
            clips = [
                as_stored(context.service.generate(side.model, request, notices=said))
                for side, (request, said) in zip(plan.sides, requests, strict=True)
            ]
        except RequestError as error:
            refuse(error)
        results = [
            {"side": letter, "label": side.label, "manifest": _json(clip.manifest), **curve_values(clip.result.frames)}
            for letter, side, clip in zip(LETTERS, plan.sides, clips, strict=False)
        ]
        return results, [_hand_over(clip.path) for clip in clips]

    outputs = [gr.JSON(label="results"), gr.File(label="clips", file_count="multiple")]
    gr.Button("compare").click(compare, inputs, outputs, api_name="compare", **MODEL_QUEUE)


def refuse(error: RequestError, *hidden: str | None) -> NoReturn:
    """Tell the caller in one sentence, without the server's paths."""
    text = str(error)
    for path in filter(None, hidden):
        text = text.replace(path, Path(path).name)
    raise gr.Error(text, print_exception=False) from error


def _hand_over(path: Path) -> str:
    """A copy in gradio's own cache: callers reach this one file, not the folder of clips."""
    return save_file_to_cache(path, get_upload_folder())


def _json(manifest: Manifest) -> dict[str, Any]:
    return json.loads(manifest.to_json())
