"""The lengths of clips that models are offered at: whole chunks, as far as the model goes."""

from collections.abc import Sequence

from models.latent_time import pixel_frames
from models.registry import get_spec
from models.specs import ModelSpec

MOST_OFFERED = 7  # up to the length of training
LONGER = (2, 4, 8)  # times the length of training


def whole_chunks(spec: ModelSpec) -> list[int]:
    """The frame counts that fill whole chunks of a model: some up to the length of its training, and some beyond."""
    if not spec.causal:
        return [spec.trained_frames]
    trained = [_frames(spec, latents) for latents in range(spec.first_chunk, spec.latent_frames + 1, spec.chunk)]
    trained = [frames for frames in trained if frames > 1] or [_frames(spec, spec.latent_frames)]
    spacing = -(-len(trained) // MOST_OFFERED)
    longer = [_frames(spec, times * spec.latent_frames) for times in LONGER]
    return [frames for frames in (*trained[::-spacing][::-1], *longer) if frames <= spec.most_frames]


def length_choices(models: Sequence[str]) -> list[int]:
    """The frame counts to offer for clips of all of `models`: whole chunks of every one of them, or where there are
    none, of the first."""
    specs = [get_spec(model) for model in dict.fromkeys(models)]
    offered = [frames for frames in whole_chunks(specs[0]) if frames <= most_frames(models)]
    shared = [frames for frames in offered if all(frames in whole_chunks(spec) for spec in specs[1:])]
    return shared or offered or [most_frames(models)]


def fitting_length(models: Sequence[str], frames: int | None) -> int | None:
    """The frame count to go on with for other models: `frames` where all of them can make so many, else the most
    that is offered."""
    return max(length_choices(models)) if frames is not None and frames > most_frames(models) else frames


def most_frames(models: Sequence[str]) -> int:
    """The longest clip that every one of `models` makes."""
    return min(get_spec(model).most_frames for model in models)


def _frames(spec: ModelSpec, latents: int) -> int:
    """The pixel frames of the fewest whole chunks that hold `latents` latent frames."""
    later = -(-max(0, latents - spec.first_chunk) // spec.chunk) * spec.chunk
    return pixel_frames(spec.first_chunk + later)
