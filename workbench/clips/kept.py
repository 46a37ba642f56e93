"""Clips as their files hold them. Pages show and measure those, so that a clip is the same whenever it is opened; the
clip that a request has made before is found, so that a link opens at once."""

from dataclasses import replace

from models.types import GenerationRequest, GenerationResult
from workbench.clips.generation import GenerationService, SavedClip
from workbench.clips.library import Library, StoredClip
from workbench.clips.manifest import Manifest, manifest_path
from workbench.clips.media import decode_mp4

MOST_SEARCHED = 5000  # clips, the newest first


def kept_clip(
    service: GenerationService, library: Library, model: str, request: GenerationRequest
) -> SavedClip | None:
    """The stored clip of `request` by the weights there are now; None without one, and for requests with a picture, a
    video, prompt switches or a schedule by hand."""
    if request.image is not None or request.video is not None or request.switches or request.step_plan:
        return None
    pipeline = service.pipeline(model)
    wanted = pipeline.fit(request)
    size = pipeline.sized(request).size
    weights = service.weights_digest(model)
    stored = library.listing("", 0, MOST_SEARCHED)[1]
    found = next((clip for clip in stored if _is(clip, model, wanted, weights, size)), None)
    return None if found is None else saved_clip(found)


def saved_clip(stored: StoredClip) -> SavedClip:
    """A stored clip as the service hands it over when it has made one; its frames are those of the file."""
    frames, _ = decode_mp4(stored.path)
    made: Manifest = stored.manifest
    result = GenerationResult(
        frames, made.fps, made.chunk_frames, made.sigmas, made.forwards, made.first_frame_seconds, made.seconds
    )
    return SavedClip(stored.path, manifest_path(stored.path), result, made, tuple(made.notices))


def as_stored(clip: SavedClip) -> SavedClip:
    """A clip that was made just now, with the frames of its file, whose compression moves what is measured: the
    sharpness of a soft clip by half."""
    frames, _ = decode_mp4(clip.path)
    return replace(clip, result=replace(clip.result, frames=frames))


def _is(clip: StoredClip, model: str, request: GenerationRequest, weights: str, size: tuple[int, int]) -> bool:
    made = clip.manifest
    same = (made.model, made.weights_digest, made.prompt, made.seed, made.steps, made.ffe, made.frames) == (
        *(model, weights, request.prompt, request.seed, request.steps, request.ffe, request.frames),
    )
    same = same and (made.height, made.width) == size
    return same and made.plain and (not made.ffe or made.first_steps == request.first_steps)
