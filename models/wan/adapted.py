"""Models that come as a pipeline of diffusers, run by it: AnyFlow-FAR, SkyReels-V2 diffusion forcing, Helios.

They have transformers of their own, so that the sampler and cache of this repository do not apply. A pipeline decodes
when all is made: a clip comes as one chunk.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from models.latent_time import latent_frames, pixel_frames
from models.pipeline import check_request
from models.types import Chunk, GenerationRequest, GenerationResult, RequestError
from models.wan.adapted_kinds import KINDS

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from models.specs import ModelSpec


class AdaptedPipeline:
    """A pipeline of diffusers with the interface of `VideoPipeline`."""

    drafts = None

    def __init__(self, spec: "ModelSpec", pipeline: "DiffusionPipeline") -> None:
        self.spec, self.pipeline, self.transformer = spec, pipeline, pipeline.transformer

    def check(self, request: GenerationRequest) -> list[str]:
        """Raise `RequestError` for what cannot be made; return notices about what can but may surprise."""
        return check_request(self.spec, request)

    def fit(self, request: GenerationRequest) -> GenerationRequest:
        return request

    def sized(self, request: GenerationRequest) -> "ModelSpec":
        """The model's row with the size that is asked for."""
        return replace(self.spec, size=request.size or self.spec.size)

    def __call__(self, request: GenerationRequest, *, generator: torch.Generator | None = None) -> GenerationResult:
        notices = self.check(request)
        return GenerationResult.joined(list(self.stream(request, generator=generator)), self.spec.fps, notices)

    @torch.no_grad()
    def stream(
        self, request: GenerationRequest, *, generator: torch.Generator | None = None, drafts: bool = False
    ) -> Iterator[Chunk]:
        """Yield the whole clip as one chunk."""
        self.check(request)
        began = time.perf_counter()
        height, width = request.size or self.spec.size
        latents = latent_frames(request.frames)
        frames = pixel_frames(latents)
        calls: list[int] = []
        scale = self.spec.guidance_scale if request.guidance_scale is None else request.guidance_scale
        count = self.transformer.register_forward_pre_hook(lambda *_: calls.append(1))
        try:
            made = self.pipeline(
                prompt=request.prompt,
                height=height,
                width=width,
                num_frames=frames,
                num_inference_steps=request.steps,
                guidance_scale=scale,
                generator=generator or torch.Generator().manual_seed(request.seed),
                output_type="np",
                max_sequence_length=512,  # several pipelines default to 226, whose zero rows give another clip
                **self._own_arguments(latents),
            ).frames[0]
        finally:
            count.remove()
        shown = (made[: request.frames].clip(0, 1) * 255).round().astype("uint8")
        sigmas = tuple(float(step) / 1000 for step in self.pipeline.scheduler.timesteps)
        yield Chunk(0, 1, shown, sigmas, len(calls), time.perf_counter() - began)

    def _own_arguments(self, latents: int) -> dict[str, Any]:
        own = dict(KINDS[self.spec.pipeline].options)
        if "chunk_partition" in own:
            own["chunk_partition"] = partition(latents, self.transformer.config.chunk_partition)
        return own


def partition(latents: int, usual: tuple[int, ...]) -> list[int]:
    """Chunks of `latents` latent frames: as `usual`, cut or gone on with its longest."""
    if latents == sum(usual):
        return list(usual)
    found, chunks = [], iter(usual[:-1])
    while sum(found) < latents:
        found.append(min(next(chunks, max(usual)), latents - sum(found)))
    return found


def create_adapted_pipeline(spec: "ModelSpec", device: str, say: Callable[[str], None]) -> AdaptedPipeline:
    """Load the folder of `spec`; on a card its parts are brought there one at a time. Raises RequestError."""
    from models.networks.diffusers_parts import diffusers

    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    size = sum(path.stat().st_size for path in spec.source.files) / 1e9
    say(f"{spec.name} is run by diffusers' {spec.pipeline}: {size:.1f} GB of files, no plan of its memory is made")
    kind = getattr(diffusers, spec.pipeline)
    try:
        pipeline = kind.from_pretrained(spec.source.path, torch_dtype=dtype, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        told = " ".join(str(error).split())[:200]
        raise RequestError(f"{str(spec.source.path)!r} is no whole {spec.pipeline} ({told}); get it again") from error
    pipeline.set_progress_bar_config(disable=True)
    if device != "cpu":
        pipeline.enable_model_cpu_offload(device=device)
    return AdaptedPipeline(spec, pipeline)
