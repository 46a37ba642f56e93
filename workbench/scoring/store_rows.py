"""A clip and its scores as the store keeps them."""

from collections.abc import Mapping

from eval.evaluator import ClipScores
from workbench.clips.manifest import Manifest
from workbench.store.records import GeneratedClip, Value


def values_of(scores: ClipScores, versions: Mapping[str, str]) -> dict[str, Value]:
    """The results of a clip as the store keeps them; side results are values of their own, as `metric.part`."""
    found: dict[str, Value] = {}
    for name, result in scores.results.items():
        version = versions[name]
        found[name] = Value(result.value, version, result.reason, result.per_frame)
        if result.value is not None:
            found |= {f"{name}.{part}": Value(value, version) for part, value in result.parts.items()}
    return found


def record_of(made: Manifest, identity: str, sweep: str = "") -> GeneratedClip:
    """The clip of a manifest as the store keeps it."""
    return GeneratedClip(
        id=identity,
        model=made.model,
        family=made.family,
        weights_digest=made.weights_digest,
        steps=made.steps,
        first_steps=made.first_steps if made.ffe else 0,
        prompt=made.prompt,
        seed=made.seed,
        image_digest=made.image.sha256 if made.image else "",
        frames=made.frames,
        width=made.width,
        height=made.height,
        fps=made.fps,
        guidance_scale=made.guidance_scale,
        dtype=made.dtype,
        path=f"clips/{identity}.mp4",
        seconds=made.seconds,
        first_frame_seconds=made.first_frame_seconds,
        forwards=made.forwards,
        created_at=made.created,
        sweep=sweep,
    )
