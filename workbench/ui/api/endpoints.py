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

from models.registry import get_spec
from models.types import GenerationRequest, RequestError
from workbench.catalogue import model_rows
from workbench.charts import curve_values
from workbench.clips.manifest import Manifest
from workbench.clips.media import read_image
from workbench.requests.input_video import read_video
from workbench.ui.api.evaluate_endpoint import evaluate_endpoint
from workbench.ui.api.leaderboard_endpoint import leaderboard_endpoint
from workbench.ui.components.comparison import LETTERS, sides_from_json
from workbench.ui.components.component import json_input
from workbench.ui.context import MODEL_QUEUE, Context, frames_of, seed_of, whole
from workbench.ui.pages.compare.view import Plan, check_sides


def build_endpoints(context: Context) -> None:
    """Endpoints have no place on a page; their components exist to describe them."""
    with gr.Column(visible=False):
        _models_endpoint()
        _generate_endpoint(context)
        _compare_endpoint(context)
        evaluate_endpoint(context)
        leaderboard_endpoint(context)


def _models_endpoint() -> None:
    def models() -> list[dict[str, Any]]:
        """List every model: name, title, paper, tasks, the steps it offers and was trained for, its licence, and
        whether it is `available` here or the `reason` why not."""
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
    ]

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
    ) -> tuple[str, dict[str, Any]]:
        """Make one clip, from text, with a picture or with a video; returns the mp4 file and its manifest.

        Args:
            model: Name of a model, as the tool `models` lists them.
            prompt: What the video shows, in plain English.
            steps: Denoising steps per chunk, one of those the model offers (1 to 4 for most); default 4.
            ffe: First-Frame Enhancement, more steps on the first chunk only; default false.
            first_steps: Steps of the first chunk, 2 to 4, counted only with ffe; default 4.
            frames: Length in frames, 1 or more (12 are a second); default 49.
            seed: Seed of the noise, a whole number from 0; default 0.
            image: First frame as a picture file of any size, for models that start from one; default none.
            video: Video file to start from, of any size and rate; default none.
            strength: How far the input video is ignored, from 0 (kept as it is) to 1 (ignored); default 0.9.
        """
        try:
            context.check_writable()
            first = whole(first_steps, "first_steps", "a whole number")
            picture = read_image(Path(image)) if image else None
            count, number = frames_of(frames), seed_of(seed)
            request = GenerationRequest(
                prompt, whole(steps, "steps", "a whole number"), bool(ffe), first, count, number, picture
            )
            said: list[str] = []
            if video:
                fitted, said = read_video(Path(video), get_spec(model), count)
                request = replace(request, video=fitted, video_fps=float(get_spec(model).fps), strength=strength)
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
    ]

    def compare(
        prompt: str, sides: Any, seed: float = 0, frames: float = 49
    ) -> tuple[list[dict[str, Any]], list[str]]:
        """Make the same prompt and noise with two to four choices of {model, steps, ffe, first_steps}.

        Returns one result a side (label, manifest, speed, flicker and sharpness per frame) and the mp4 files.

        Args:
            prompt: What the videos show, in plain English.
            sides: List of 2 to 4 objects, each with model, steps (default 4), ffe (default false), first_steps
                (default 4) and, for a schedule by hand, plan as text such as 4,1,2.
            seed: Seed of the noise that all sides share, a whole number from 0; default 0.
            frames: Length in frames, 1 or more (12 are a second); default 49.
        """
        try:
            context.check_writable()
            plan = Plan(prompt, seed_of(seed), frames_of(frames), sides_from_json(sides))
            requests = check_sides(context, plan)
            clips = [
                context.service.generate(side.model, request, notices=said)
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
