"""A comparison: what is asked of every side, how it is made, and what the page shows of it."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

from eval.video.pair_difference import visible_difference
from models.registry import get_spec
from models.types import GenerationRequest, PromptSwitch, RequestError
from workbench.charts import frame_curves
from workbench.clips.generation import SavedClip
from workbench.clips.kept import as_stored, kept_clip
from workbench.common.words import counted
from workbench.requests.comparison import LETTERS, recipe_difference, told_apart
from workbench.requests.frame_size import chosen_size, size_text
from workbench.requests.links.compare import compare_query
from workbench.requests.links.evaluate import evaluate_link
from workbench.requests.links.generate import generate_link
from workbench.requests.links.inputs import TEXT, input_query
from workbench.requests.links.studies import comparison_study_link
from workbench.requests.systems import System
from workbench.ui.api.export_api import export_links
from workbench.ui.components.clips import chunk_starts, file_name, finished_clip, speed_facts
from workbench.ui.components.inputs import with_input
from workbench.ui.context import WORLDS, Context
from workbench.ui.pages.compare.pair_view import NumbersFile, effort, flip_sheets, flip_value

RECIPE_FIELDS = {
    "model": "model",
    "family": "world",
    "steps": "steps",
    "ffe": "FFE",
    "first_steps": "steps on the first chunk",
    "guidance_scale": "guidance scale",
    "forwards": "network calls",
    "weights_digest": "weights digest",
    "frames": "frames",
    "dtype": "number type",
}

SAME_NOISE = "Prompt, seed and noise are the same on every side."
DIFFERENT_SIZES = "Prompt and seed are the same on every side. The noise is not: the clips have different sizes."


@dataclass(frozen=True)
class Plan:
    """A comparison to make: the sides share prompt, noise, prompt switches and what they start from (`given`, the
    values of the page's `Inputs`). `size` is text such as 832x480, or "" for each model's own."""

    prompt: str
    seed: int
    frames: int
    sides: tuple[System, ...]
    switches: tuple[PromptSwitch, ...] = ()
    given: tuple[Any, ...] = (TEXT, None, None, 0.9, "")
    size: str = ""

    def request(self, context: Context, side: System) -> tuple[GenerationRequest, list[str]]:
        """What a side is made by, and what was changed about its input. Raises RequestError."""
        request = side.request(
            self.prompt, self.seed, self.frames, switches=self.switches, size=chosen_size(self.size)
        )
        return with_input(request, context, side.model, *self.given)

    @property
    def query(self) -> dict[str, Any]:
        """The comparison as the query of an address."""
        query = compare_query(self.sides, self.prompt, self.seed, self.frames, self.size, self.switches)
        return query | input_query(*self.given)


def make_comparison(context: Context, plan: Plan, *, kept: bool = False) -> Iterator[dict[str, Any]]:
    """Yield what changes on the page, by component name, as the sides are made one after the other; with `kept`,
    clips that were made before are not made again."""
    requests = check_sides(context, plan)
    identity, clips = uuid4().hex, []
    for i, side in enumerate(plan.sides):
        library = context.evaluations.library
        if kept and (found := kept_clip(context.service, library, side.model, requests[i][0])):
            clips.append(found)
            continue
        with closing(context.service.stream(side.model, *requests[i])) as events:
            for event in events:
                if isinstance(event, SavedClip):
                    clips.append(as_stored(event))
                else:
                    yield {"status": _progress(plan, i, event.index + 1, event.chunks)}
        if len(clips) < len(plan.sides):
            yield {"player": player_value(context, plan, clips, identity)}
    made = [clip.result for clip in clips]
    seen = cache(lambda: visible_difference(made[0].frames, made[1].frames, made[0].fps) if len(made) == 2 else None)
    results, sheets = _results(plan, clips), flip_sheets(made)
    player = player_value(context, plan, clips, identity) | {"flip": flip_value(sheets, context.media)}
    numbers = context.media.later(NumbersFile(made, sheets, seen), "application/json")
    yield {"player": player, "numbers": {"source": numbers}} | results
    if len(clips) == 2:
        fact = ("difference to the eye", seen().verdict)
        yield {"status": results["status"] | {"facts": [fact]}}


def check_sides(context: Context, plan: Plan) -> list[tuple[GenerationRequest, list[str]]]:
    """Every side's request with what was changed about its input. Refuses before anything is made; raises
    RequestError naming the side."""
    requests = []
    for letter, side in zip(LETTERS, plan.sides, strict=False):
        try:
            requests.append(plan.request(context, side))
            context.service.check(side.model, requests[-1][0])
        except RequestError as error:
            raise RequestError(f"Side {letter}: {error}") from error
    return requests


def player_value(context: Context, plan: Plan, made: Sequence[SavedClip], identity: str) -> dict[str, Any]:
    """The player's value with the sides made so far; the others are named and wait."""
    clips, asked = [], (plan.prompt, plan.seed, plan.frames, plan.size)
    for i, side in enumerate(plan.sides):
        label = f"{LETTERS[i]} · {side.label}"
        if i >= len(made):
            clips.append({"label": label, "note": "being made"})
            continue
        name = file_name(side.model, side.steps, side.ffe, plan.seed)
        files = [("mp4", made[i].path), ("manifest", made[i].manifest_path)]
        downloads = [
            {"label": kind, "url": context.media.file(path), "name": name + path.suffix} for kind, path in files
        ]
        more = {
            "facts": speed_facts(made[i].result),
            "downloads": downloads,
            "links": [{"label": "open in Generate", "url": generate_link(side, *asked)}],
        }
        clips.append(finished_clip(label, made[i].result, made[i].path, context.media, **more))
    return {
        "id": identity,
        "fps": get_spec(plan.sides[0].model).fps,
        "total": max((len(clip.result.frames) for clip in made), default=plan.frames),
        "ticks": chunk_starts(max((clip.result.chunk_frames for clip in made), key=len, default=())),
        "clips": clips,
        "live": len(made) < len(plan.sides),
        "autoplay": len(made) == len(plan.sides),
        "link": plan.query,
    }


def _results(plan: Plan, clips: Sequence[SavedClip]) -> dict[str, Any]:
    labels = [f"{letter} · {side.label}" for letter, side in zip(LETTERS, plan.sides, strict=False)]
    notices = told_apart({f"Side {letter}": clip.notices for letter, clip in zip(LETTERS, clips, strict=False)})
    ids = [clip.path.stem for clip in clips]
    seconds = sum(clip.result.seconds for clip in clips)
    done = f"Done: {counted(len(clips), 'clip')} in {seconds:.1f} s, all from seed {plan.seed}."
    ticks = chunk_starts(max((clip.result.chunk_frames for clip in clips), key=len))
    return {
        "status": {
            "state": "done",
            "text": " ".join([done, *effort([clip.result for clip in clips])]),
            "notices": notices,
            "links": [
                {"label": "Evaluate these clips", "url": evaluate_link(ids)},
                *_study_links(plan),
                *export_links(ids, len(ids)),
            ],
        },
        "chart": frame_curves(dict(zip(labels, [clip.result.frames for clip in clips], strict=True)), ticks),
        "recipes": recipe_table(clips),
    }


def _study_links(plan: Plan) -> list[dict[str, str]]:
    """Where people can be asked which side is better; studies ask about clips made from one text alone."""
    if plan.query.keys() - compare_query(plan.sides, plan.prompt, plan.seed, plan.frames).keys():
        return []
    return [{"label": "Make a study of this", "url": comparison_study_link(plan.query)}]


def recipe_table(clips: Sequence[SavedClip]) -> dict[str, Any]:
    """The fields in which the sides' recipes differ."""
    recipes = [{name: getattr(clip.manifest, name) for name in RECIPE_FIELDS} for clip in clips]
    for recipe, clip in zip(recipes, clips, strict=True):
        recipe["model"] = System.of(clip.manifest.model, clip.manifest).model_title
        recipe["family"] = WORLDS.get(clip.manifest.family, clip.manifest.family)
        recipe["size"] = size_text((clip.manifest.height, clip.manifest.width))
        recipe["weights_digest"] = recipe["weights_digest"][:12]
        recipe["noise levels of the first chunk"] = _numbers(clip.manifest.sigmas[0])
        recipe["noise levels of the last chunk"] = _numbers(clip.manifest.sigmas[-1])
    rows = [[RECIPE_FIELDS.get(name, name), *map(_shown, values)] for name, values in recipe_difference(recipes)]
    columns = ["Field", *LETTERS[: len(clips)]]
    if not rows:
        rows = [["nothing", *["the same recipe" for _ in clips]]]
    return {
        "caption": "What differs",
        "columns": columns,
        "rows": rows,
        "note": DIFFERENT_SIZES if len({recipe["size"] for recipe in recipes}) > 1 else SAME_NOISE,
    }


def _numbers(values: Sequence[float]) -> str:
    shown = [f"{value:.3g}" for value in values]
    return " ".join(shown if len(shown) <= 6 else [*shown[:3], "…", shown[-1]])


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _progress(plan: Plan, side: int, chunk: int, chunks: int) -> dict[str, Any]:
    text = f"{LETTERS[side]} · {plan.sides[side].label}: chunk {chunk} of {chunks}"
    return {"state": "running", "text": text, "progress": (side + chunk / chunks) / len(plan.sides)}
