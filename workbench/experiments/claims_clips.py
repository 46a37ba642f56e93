"""The clips that the papers' claims are checked on: made, judged and remembered, one line of a file a clip.

Every condition makes the same held-out captions from the same seeds, so differences are paired by caption. An
interrupted run goes on where it stopped.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from eval.evaluator import Source, evaluate
from eval.realism.frechet import clip_features
from eval.shapes.oracle import Verdict, judge
from eval.shapes.scene_reading import follow, read_scene
from eval.statistics.over_time import drift_score
from eval.video.clip import check_frames
from models.types import GenerationRequest, PromptSwitch
from models.worlds import shapes as world
from models.worlds.training_worlds import WORLDS
from workbench.requests.systems import System, plan_text
from workbench.scoring import resumable_jobs
from workbench.scoring.evaluation import create_metrics

FRAMES, LONG_FRAMES, SWITCH_FRAMES = 49, 361, 97
TURN_CHUNKS = 4  # after so many chunks, 48 frames, a thing has gone as far as in any clip of training
SWITCH_CHUNK, SWITCH_SEEN = 4, slice(49, 61)  # the second chunk after the one at which the prompt changes
STRENGTH = 0.9
SEGMENTS = 10
METRICS = ("dynamic_degree_flow", "sharpness")
PICTURES, INPUTS = 2, 3
"""Draws of real clips whose first frames, or all of whose frames, a model starts from."""


KINDS = {
    "text": "",
    "picture": " from a picture",
    "turning": ", 30 s",
    "straight": ", 30 s straight on",
    "switch": ", prompt switch ({cache})",
    "video": " from a video",
    "steps": ", step by step",
}
LONG = ("turning", "straight")


@dataclass(frozen=True)
class Condition:
    """What makes a clip: a model at `steps` with `first_steps` in the first chunk (0: no First-Frame Enhancement).

    `kind`: "text", "picture", "turning" (30 s, in which things are told to turn round before they reach the edge),
    "straight" (30 s of the one prompt, in which they reach it after about six), "switch" (another prompt halfway, the
    past treated as `cache` says, `first_steps` again in the chunk after it), "video" (a real clip of another colour at
    STRENGTH) or "steps" (how alike the predictions of the steps are).
    """

    model: str
    steps: int
    first_steps: int = 0
    kind: str = "text"
    cache: str = "keep"

    @property
    def name(self) -> str:
        plan = plan_text(self.steps, self.first_steps)
        return f"{self.model} {plan}{KINDS[self.kind].format(cache=self.cache)}"


@dataclass(frozen=True)
class Job:
    condition: Condition
    index: int
    prompt: str
    other: str
    weights: str

    @property
    def key(self) -> str:
        """What decides the clip and its numbers."""
        what = [*asdict(self).values(), _versions(), STRENGTH]
        return hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Measured:
    """A clip's numbers; `features` are the 36 of the Fréchet distance, empty for what is no clip of 49 frames."""

    key: str
    condition: str
    index: int
    prompt: str
    values: dict[str, float]
    reason: str = ""
    features: tuple[float, ...] = ()


@cache
def _versions() -> tuple:
    return tuple((metric.facts.name, metric.facts.version) for metric in create_metrics(METRICS))


def plan_jobs(conditions: Sequence[Condition], prompts: Sequence[str], weights: dict[str, str], few: int) -> list[Job]:
    """All clips: caption i with seed i. Long clips and steps one by one are asked of the first `few` captions."""
    jobs = []
    for condition in dict.fromkeys(conditions):
        count = few if condition.kind in (*LONG, "steps") else len(prompts)
        for index, prompt in enumerate(prompts[:count]):
            other = prompts[(index + len(prompts) // 2 + 1) % len(prompts)]
            jobs.append(Job(condition, index, prompt, other, weights[condition.model]))
    return jobs


def run_jobs(jobs: Sequence[Job], file: Path, *, workers: int) -> Iterator[Measured]:
    """Every clip's numbers, those of an earlier run first; raises RequestError for fewer than one worker."""
    return resumable_jobs.run_jobs(jobs, file, ClipMeasurer(), Measured, workers=workers)


@dataclass
class ClipMeasurer:
    """Makes a job's clip and its numbers; `pipelines` are those loaded so far, by model."""

    pipelines: dict[str, Any] = field(default_factory=dict)

    def __call__(self, job: Job) -> Measured:
        values, reason, features = _MEASURES[job.condition.kind](job, self._pipeline(job.condition.model))
        return Measured(job.key, job.condition.name, job.index, job.prompt, values, reason, features)

    def _pipeline(self, model: str) -> Any:
        from models.registry import create_pipeline

        if model not in self.pipelines:
            self.pipelines[model] = create_pipeline(model)
        return self.pipelines[model]


Found = tuple[dict[str, float], str, tuple[float, ...]]


def _request(job: Job, **changes: Any) -> GenerationRequest:
    row = job.condition
    base = System(row.model, row.steps, row.first_steps).request(job.prompt, job.index, FRAMES)
    return replace(base, **changes)


def real_clip(prompt: str, index: int, draw: int) -> np.ndarray:
    """A rendered clip (49, 64, 64, 3) uint8 of a caption; another `draw` is another scene that it may describe."""
    return WORLDS["shapes"].real_clip(prompt, (0, index, draw), FRAMES)


def _short(job: Job, pipeline: Any) -> Found:
    picture = real_clip(job.prompt, job.index, PICTURES)[0] if job.condition.kind == "picture" else None
    frames = pipeline(_request(job, image=picture)).frames
    verdict = judge(frames, job.prompt)
    values = verdict_values(verdict) | _curves(frames, job.prompt)
    return values, verdict.reason, tuple(map(float, clip_features(frames)))


def asked_of_long(job: Job) -> GenerationRequest:
    """30 seconds, straight on or turning round."""
    request = _request(job, frames=LONG_FRAMES)
    if job.condition.kind == "straight":
        return request
    # the first chunk is a single frame: TURN_CHUNKS come after it before the first turn
    places = range(1 + TURN_CHUNKS, 1 + (LONG_FRAMES - 1) // 12, TURN_CHUNKS)
    prompts = cycle((turned(job.prompt), job.prompt))
    return replace(request, switches=tuple(map(PromptSwitch, places, prompts)))


def _long(job: Job, pipeline: Any) -> Found:
    """Right (number, background, colour, shape), sharpness and motion in each tenth of 30 seconds.

    The oracle reads one stretch after the other, from turn to turn, so that what was lost counts once it is back.
    """
    request = asked_of_long(job)
    prompts = [job.prompt, *(switch.prompt for switch in request.switches)]
    turns = range(FRAMES, LONG_FRAMES, FRAMES - 1)
    if pipeline.spec.causal:
        frames = pipeline(request).frames
        stretches = np.split(frames, turns)
    else:  # it has no memory: window after window, each from its own seed and for the prompt of its time
        stretches = [
            pipeline(_request(job, prompt=prompts[k % len(prompts)], seed=job.index + 10_000 * k)).frames
            for k in range(1 + len(turns))
        ]
        stretches = np.split(np.concatenate(stretches)[:LONG_FRAMES], range(FRAMES, LONG_FRAMES, FRAMES))
        frames = np.concatenate(stretches)
    verdicts = [judge(part, prompts[k % len(prompts)]) for k, part in enumerate(stretches)]
    curves = {"right": [value for verdict in verdicts for value in verdict.curves["right"]]} | {
        name: result.per_frame for name, result in _scores(frames, job.prompt).items()
    }
    values = {}
    for name, curve in curves.items():
        for k, part in enumerate(np.array_split(np.arange(len(curve)), SEGMENTS)):
            known = [curve[i] for i in part if curve[i] is not None]
            if known:
                values[f"{name}/{k}"] = float(np.mean(known))
    return values | _curves(frames, job.prompt), "", ()


def _switched(job: Job, pipeline: Any) -> Found:
    row = job.condition
    plan = ()
    if row.first_steps:
        plan = (row.first_steps, *[row.steps] * (SWITCH_CHUNK - 1), row.first_steps, row.steps)
    switch = PromptSwitch(SWITCH_CHUNK, job.other, row.cache)
    request = _request(job, frames=SWITCH_FRAMES, ffe=False, step_plan=plan, switches=(switch,))
    seen = judge(pipeline(request).frames[SWITCH_SEEN], job.other)
    return verdict_values(seen), seen.reason, ()


def _from_video(job: Job, pipeline: Any) -> Found:
    """A real clip goes in and the prompt asks for another colour: the path should stay, the colour should change."""
    given = real_clip(job.prompt, job.index, INPUTS)
    asked = recolored(job.prompt)
    frames = pipeline(_request(job, prompt=asked, video=given, video_fps=12.0, strength=STRENGTH)).frames
    verdict = judge(frames, asked)
    values = verdict_values(verdict)
    correlation = path_correlation(given, frames)
    if correlation is not None:
        values["path_correlation"] = correlation
    return values, verdict.reason, ()


def _step_by_step(job: Job, pipeline: Any) -> Found:
    """Cosine similarity of the first step's prediction to the last one's, in the first chunk and in later ones."""
    from models.insight import step_similarity, trace

    predictions = trace(pipeline, _request(job), attention=False).predictions
    first, *later = [float(step_similarity(steps)[0, -1]) for steps in predictions]
    return {"first_chunk": first, "later_chunks": float(np.mean(later))}, "", ()


_MEASURES: dict[str, Callable[[Job, Any], Found]] = {
    "text": _short,
    "picture": _short,
    "turning": _long,
    "straight": _long,
    "switch": _switched,
    "video": _from_video,
    "steps": _step_by_step,
}


def verdict_values(verdict: Verdict) -> dict[str, float]:
    """The oracle's verdict as shares: all right, and each attribute of every object."""
    values = {"right": float(verdict.all_right), "background": float(verdict.background_ok)}
    for name in ("color", "shape", "direction"):
        values[name] = float(all(getattr(thing, f"{name}_ok") for thing in verdict.things))
    return values


def _scores(frames: np.ndarray, prompt: str) -> dict[str, Any]:
    scores = next(evaluate([Source("clip", frames=frames, fps=12, prompt=prompt)], create_metrics(METRICS)))
    return scores.results


def _curves(frames: np.ndarray, prompt: str) -> dict[str, float]:
    """How much moves (mean optical flow), and how far detail drifts over the clip."""
    results = _scores(frames, prompt)
    flow = [value for value in results["dynamic_degree_flow"].per_frame if value is not None]
    values = {"motion": float(np.mean(flow))} if flow else {}
    drift = drift_score(results["sharpness"].per_frame)
    return values if drift is None else {**values, "drift": float(drift)}


def real_motion(prompts: Sequence[str]) -> list[dict[str, float]]:
    """Motion and drift of the real clips whose first frames the models are given, in the order of `prompts`."""
    return [_curves(real_clip(prompt, index, PICTURES), prompt) for index, prompt in enumerate(prompts)]


def recolored(prompt: str) -> str:
    """The caption with the next colour of the world in the place of its own."""
    caption = world.parse_prompt(prompt)
    colors = list(world.COLORS)
    thing = caption.objects[0]
    other = colors[(colors.index(thing.color) + 1) % len(colors)]
    return str(world.Caption((replace(thing, color=other),), caption.background))


def turned(prompt: str) -> str:
    """The caption with everything moving the other way."""
    caption = world.parse_prompt(prompt)
    names = {tuple(step): name for name, step in world.DIRECTIONS.items()}
    steps = [world.DIRECTIONS[thing.direction] for thing in caption.objects]
    things = tuple(
        replace(thing, direction=names[-x, -y]) for thing, (x, y) in zip(caption.objects, steps, strict=True)
    )
    return str(replace(caption, objects=things))


def path_correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Correlation, -1 to 1, of the paths of the longest track in two clips (T, H, W, 3): x and y together, about
    their means, over the frames that both were seen in. None where either has none, or stands still.
    """
    tracks = []
    for frames in (first, second):
        check_frames(frames)
        found = follow(read_scene(frames))
        if not found:
            return None
        blobs = max(found, key=lambda track: len(track.blobs)).blobs
        tracks.append({t: (blob.outline.x, blob.outline.y) for t, blob in blobs.items()})
    common = sorted(set(tracks[0]) & set(tracks[1]))
    if len(common) < 6:
        return None
    a, b = (np.array([track[t] for t in common]) for track in tracks)
    a, b = a - a.mean(0), b - b.mean(0)
    scale = np.sqrt((a * a).sum() * (b * b).sum())
    return float((a * b).sum() / scale) if scale > 1e-9 else None
