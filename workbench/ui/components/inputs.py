"""What a clip may start from besides text: a picture or a video, kept by content so that a link can name it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from models.registry import get_spec
from models.types import GenerationRequest, RequestError
from workbench.clips.media import read_image
from workbench.requests.clip_length import fitting_length, length_choices
from workbench.requests.frame_size import fitting_size, size_choices
from workbench.requests.input_video import read_video
from workbench.requests.links.inputs import KEPT, PICTURE, TEXT, VIDEO
from workbench.ui.api.media import TYPES
from workbench.ui.components.component import SEGMENTS, script_component, uploaded_file, uploaded_picture
from workbench.ui.context import PRIVATE, Context

TASKS = {"t2v": TEXT, "i2v": PICTURE, "v2v": VIDEO}
Update = dict[Any, Any]


@dataclass(frozen=True)
class Inputs:
    """The components; `kept` holds the name of the file that the server keeps for the link."""

    source: gr.Radio
    picture_box: gr.Group
    picture: gr.Image
    video_box: gr.Group
    video: gr.File
    strength: gr.Slider
    kept: gr.Textbox
    preview: gr.HTML

    @property
    def fields(self) -> list[Any]:
        """What a handler is given, in the order of `start_of`."""
        return [self.source, self.picture, self.video, self.strength, self.kept]

    @property
    def linked(self) -> list[Any]:
        """What the address holds, in the order of `LINK_NAMES`."""
        return [self.source, self.kept, self.strength]

    @property
    def opened(self) -> list[Any]:
        """What a link fills."""
        return [*self.linked, self.picture_box, self.video_box, self.preview]


# in a page's script: the part of the address that `linked` makes
LINK_SCRIPT = """const inputs = (source, kept, strength) => kept && source !== 'Text'
  ? source.startsWith('Video') ? { source: 'video', input: kept, strength } : { source: 'picture', input: kept }
  : {};"""


def build_inputs(models: Sequence[str]) -> Inputs:
    source = gr.Radio(
        sources_of(models), value=TEXT, label="Input", elem_classes=SEGMENTS, elem_id="source", min_width=280
    )
    with gr.Group(visible=False) as picture_box:
        picture = uploaded_picture(label="First frame", sources=["upload", "clipboard"], height=200, elem_id="picture")
    with gr.Group(visible=False) as video_box:
        video = uploaded_file(label="Input video, of any size and rate", height=150, elem_id="video")
        strength = gr.Slider(
            0,
            1,
            0.9,
            step=0.01,
            label="Strength",
            info="0 keeps the input video, 1 ignores it.",
            elem_id="strength",
        )
    preview = script_component("source", elem_id="source-preview")
    kept = gr.Textbox(visible="hidden", label="Kept input", elem_id="kept-input")
    return Inputs(source, picture_box, picture, video_box, video, strength, kept, preview)


def size_box(models: Sequence[str]) -> gr.Dropdown:
    """The choice of a frame size that `models` share; others may be typed. Hidden where there is none."""
    choices = size_choices(models)
    return gr.Dropdown(
        choices,
        value="",
        label="Size",
        allow_custom_value=True,
        visible=len(choices) > 1,
        min_width=150,
        elem_id="size",
    )


def size_update(models: Sequence[str], size: str) -> dict:
    """The update of `size_box` for other models: only what all of them can make, the choice kept if it can be."""
    choices = size_choices(models)
    return gr.update(choices=choices, value=fitting_size(models, size), visible=len(choices) > 1)


def length_box(models: Sequence[str], frames: int = 49) -> gr.Dropdown:
    """The choice of a clip's frames, in whole chunks of `models`; any other count may be typed."""
    return gr.Dropdown(
        length_choices(models),
        value=frames,
        label="Frames",
        allow_custom_value=True,
        min_width=90,
        elem_id="frames",
    )


def length_update(models: Sequence[str], frames: Any) -> dict:
    """The update of `length_box` for other models: what all of them make, the count kept if they can make so many."""
    count = int(frames) if str(frames).isdecimal() else None
    kept = frames if count is None else fitting_length(models, count)
    return gr.update(choices=length_choices(models), value=kept)


def connect_inputs(inputs: Inputs, context: Context) -> None:
    """Show the boxes of the chosen source, and keep what is uploaded."""
    quiet = {"show_progress": "hidden", "queue": False, **PRIVATE}

    def keep(path: str | None) -> tuple[str, None]:
        """The kept file's name; a file that cannot be kept is told when the clip is made."""
        if not path or context.settings.read_only:
            return "", None
        return context.evaluations.library.uploaded(Path(path)).path.name, None

    inputs.source.change(boxes, inputs.source, [inputs.picture_box, inputs.video_box], **quiet)
    for box in (inputs.picture, inputs.video):
        box.upload(keep, box, [inputs.kept, inputs.preview], **quiet)
        box.clear(lambda: ("", None), None, [inputs.kept, inputs.preview], **quiet)


def boxes(kind: str) -> tuple[dict, dict]:
    return gr.update(visible=kind == PICTURE), gr.update(visible=kind == VIDEO)


def sources_of(models: Iterable[str]) -> list[str]:
    """The sources that every one of `models` takes; text where they share none, so that the reason is told."""
    tasks = [set(get_spec(model).tasks) for model in models]
    shared = set.intersection(*tasks) if tasks else set(TASKS)
    return [source for task, source in TASKS.items() if task in shared] or [TEXT]


def fitting_source(models: Iterable[str], source: str) -> dict:
    """The update of the radio for other models: only what they can start from, and the choice kept if it can be."""
    choices = sources_of(models)
    return gr.update(choices=choices, value=source if source in choices else choices[0])


def open_inputs(inputs: Inputs, context: Context, found: Mapping[str, Any]) -> Update:
    """The updates that show what `read_inputs` found; raises RequestError for a file that is no longer kept."""
    if "kept" not in found:
        return {}
    path = kept_file(context, found["kept"])
    kind = found["source"]
    shown = {"url": context.media.file(path), "video": kind == VIDEO} if path.suffix in TYPES else {"text": path.name}
    pictures, videos = boxes(kind)
    updates: Update = {inputs.source: kind, inputs.kept: found["kept"], inputs.preview: shown}
    updates |= {inputs.picture_box: pictures, inputs.video_box: videos}
    return updates | ({inputs.strength: found["strength"]} if "strength" in found else {})


def kept_file(context: Context, name: str) -> Path:
    path = context.evaluations.library.uploads / name
    if not KEPT.fullmatch(name) or not path.is_file():
        raise RequestError("the picture or video of this link is no longer on the server; upload it again")
    return path


def with_input(
    request: GenerationRequest,
    context: Context,
    model: str,
    source: str,
    picture: str | None,
    video: str | None,
    strength: float,
    kept: str,
) -> tuple[GenerationRequest, list[str]]:
    """The request with the picture or video it starts from, and what was changed about it. Raises RequestError."""
    if source == TEXT:
        return request, []
    given = picture if source == PICTURE else video
    if not given and kept:
        given = str(kept_file(context, kept))
    if not given:
        what = "picture" if source == PICTURE else "video"
        raise RequestError(f"there is no {what} to start from; upload one, or choose {TEXT!r}")
    if source == PICTURE:
        return replace(request, image=read_image(Path(given))), []
    spec = get_spec(model)
    frames, said = read_video(Path(given), replace(spec, size=request.size or spec.size), request.frames)
    started = replace(request, video=frames, video_fps=float(spec.fps), frames=len(frames), strength=float(strength))
    return started, said
