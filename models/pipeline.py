"""A video pipeline: a checked request in, frames out, whole or chunk by chunk."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.decoding import decode_beside, decode_in_turn
from models.default_world import DEFAULT
from models.latent_time import latent_frames, pixel_frames
from models.networks.attention_masks import chunk_layout
from models.networks.codec import Codec, to_pixels
from models.networks.kv_cache import KVCache
from models.networks.text_encoder import TextEncoder
from models.networks.tiny_decoder import TinyDecoder
from models.networks.transformer import CausalVideoTransformer
from models.prompt_text import character_fault
from models.sampling.rollout import ChunkLatents, ClipNoise, Guidance, Observe, TextSwitch, rollout, sample_flow
from models.sampling.schedulers import StepPlan
from models.specs import ModelSpec
from models.types import CACHES, Chunk, GenerationRequest, GenerationResult, RequestError
from models.video_input import fit_frames, fit_image, fitted_length, size_notices
from models.video_input import notices as video_notices
from models.worlds.training_worlds import WORLDS, about_prompt

MAX_STEPS = 100


class VideoPipeline:
    """One model, its text encoder and its codec, and a tiny decoder for `drafts`, if there is one. `stream` and
    `__call__` give the same frames, bit for bit. With `decodes_beside` a chunk is decoded while the next is denoised,
    where it would wait for its turn otherwise."""

    def __init__(
        self,
        spec: ModelSpec,
        transformer: CausalVideoTransformer,
        text_encoder: TextEncoder,
        codec: Codec,
        drafts: TinyDecoder | None = None,
        *,
        decodes_beside: bool = False,
    ) -> None:
        self.spec, self.transformer, self.text_encoder, self.codec = spec, transformer, text_encoder, codec
        self.drafts, self.decodes_beside = drafts, decodes_beside

    def compile(self, how: str, **options: Any) -> None:
        """Compile the layers when they are first run: "layers", or "graphs" to replay them as CUDA graphs, too.
        `options` go to `torch.compile`."""
        mode = {"mode": "reduce-overhead"} if how == "graphs" else {}
        self.transformer.compile_repeated_blocks(fullgraph=True, **mode, **options)

    def check(self, request: GenerationRequest) -> list[str]:
        """Raise `RequestError` for what cannot be made; return notices about what can but may surprise."""
        return check_request(self.spec, request) + [
            notice
            for text in (request.prompt, *(switch.prompt for switch in request.switches))
            for notice in self.text_encoder.notices(text)
        ]

    def __call__(self, request: GenerationRequest, *, generator: torch.Generator | None = None) -> GenerationResult:
        """Generate a clip. Noise comes from `generator`, or from one seeded with `request.seed`."""
        notices = self.check(request)
        chunks = list(self.stream(request, generator=generator))
        return GenerationResult.joined(chunks, self.spec.fps, notices)

    @torch.no_grad()
    def stream(
        self, request: GenerationRequest, *, generator: torch.Generator | None = None, drafts: bool = False
    ) -> Iterator[Chunk]:
        """Yield the frames of each chunk as soon as they exist; together they are exactly `request.frames` frames.

        With `drafts`, and a tiny decoder, each chunk comes as its quick look while the next is made, and all come
        again, decoded in full, when the last is there.
        """
        self.check(request)
        request = self.fit(request)
        began = time.perf_counter()
        noise = ClipNoise(generator) if generator else ClipNoise.of_seed(request.seed)
        latents = self.latents(request, noise)
        if drafts and self.drafts:
            finished: list[ChunkLatents] = []
            yield from self._drafts(request, latents, finished, began)
            latents = iter(finished)

        decode = decode_beside if self.decodes_beside and self.spec.causal else decode_in_turn
        made, total = 0, len(chunk_layout_for(self.spec, request.frames, shown=True))
        with closing(decode(latents, self.codec)) as decoded:
            for index, (chunk, frames) in enumerate(decoded):
                kept = frames[: request.frames - made]
                made += len(kept)
                yield Chunk(index, total, kept, chunk.sigmas, chunk.forwards, time.perf_counter() - began)
                if made == request.frames:
                    return

    def _drafts(
        self, request: GenerationRequest, latents: Iterator[ChunkLatents], finished: list[ChunkLatents], began: float
    ) -> Iterator[Chunk]:
        """The chunks as the tiny decoder shows them; their latents are put into `finished`."""
        made, total, memory = 0, len(chunk_layout_for(self.spec, request.frames, shown=True)), None
        for chunk in latents:
            finished.append(chunk)
            video, memory = self.drafts.decode(chunk.latents, memory)
            kept = to_pixels(video)[: request.frames - made]
            made += len(kept)
            took = time.perf_counter() - began
            yield Chunk(chunk.index, total, kept, chunk.sigmas, chunk.forwards, took, draft=True)
            if made == request.frames:
                return

    def fit(self, request: GenerationRequest) -> GenerationRequest:
        """The request with its video, if any, at the model's rate, size and at most the asked number of frames."""
        if request.video is None:
            return request
        fitted = np.stack(list(fit_frames(request.video, request.video_fps, self.sized(request), request.frames)))
        return replace(request, video=fitted, video_fps=float(self.spec.fps), frames=len(fitted))

    def sized(self, request: GenerationRequest) -> ModelSpec:
        """The model's row with the size that is asked for."""
        return replace(self.spec, size=request.size or self.spec.size)

    def plan(self, request: GenerationRequest) -> StepPlan:
        """Noise levels for each chunk of a causal model, First-Frame Enhancement and a video's strength included."""
        given = 1 if request.image is not None else 0
        if request.step_plan:
            plan = StepPlan.by_hand(self._layout(request), request.step_plan, self.spec.levels, given=given)
        else:
            plan = StepPlan.uniform(self._layout(request), request.steps, self.spec.levels, given=given)
            first = request.first_steps if request.ffe and self.spec.few_step else self.spec.first_chunk_steps
            if first:
                plan = plan.enhance_first(first, self.spec.levels)
        return plan if request.video is None else plan.start_at(request.strength)

    def _layout(self, request: GenerationRequest) -> tuple[int, ...]:
        return chunk_layout_for(self.spec, request.frames)

    def _embed(self, prompt: str) -> Tensor:
        return self.text_encoder.embed([prompt])

    def _frame_shape(self, request: GenerationRequest) -> tuple[int, int, int]:
        height, width = request.size or self.spec.size
        return (self.transformer.config.in_channels, height // 8, width // 8)

    def latents(self, request: GenerationRequest, noise: ClipNoise | None = None) -> Iterator[ChunkLatents]:
        """The chunks of a clip before they are decoded."""
        noise = noise or ClipNoise.of_seed(request.seed)
        return self.causal_latents(request, noise) if self.spec.causal else self._whole(request, noise)

    def causal_latents(
        self,
        request: GenerationRequest,
        noise: ClipNoise | None = None,
        *,
        network: Callable[..., Tensor] | None = None,
        observe: Observe | None = None,
    ) -> Iterator[ChunkLatents]:
        """The chunks of a causal model's clip before they are decoded. `network` stands in for the transformer, which
        it wraps; `observe` is as in `rollout`."""
        plan = self.plan(request)
        noise = noise or ClipNoise.of_seed(request.seed)
        channels, height, width = self._frame_shape(request)

        def new_cache() -> KVCache:
            limits = cache_limits(self.spec, plan.chunks)
            follows = self.spec.sink_follows
            return self.transformer.new_cache(height, width, sink_follows=follows, frames=sum(plan.chunks), **limits)

        size = request.size or self.spec.size
        given = None if request.image is None else self.codec.encode(fit_image(request.image, size)[None])
        device = next(self.transformer.parameters()).device
        model: Any = network or self.transformer
        yield from rollout(
            model,
            plan,
            self._embed(request.prompt),
            new_cache(),
            lambda chunk, step, size: noise(chunk, step, size).to(device),
            (1, channels, height, width),
            given=given,
            source=None if request.video is None else self.codec.encode_runs(request.video),
            switches={s.chunk: TextSwitch(self._embed(s.prompt), s.cache) for s in request.switches},
            guidance=None if self.spec.few_step else Guidance(self._embed(""), self._scale(request), new_cache()),
            observe=observe,
            sigma_at=self.spec.sigma_at,
        )

    def _scale(self, request: GenerationRequest) -> float:
        return self.spec.guidance_scale if request.guidance_scale is None else request.guidance_scale

    def _whole(self, request: GenerationRequest, noise: ClipNoise) -> Iterator[ChunkLatents]:
        layout = self._layout(request)
        device = next(self.transformer.parameters()).device
        # drawn chunk by chunk, so that a causal model with the same seed starts from the same noise
        shape = self._frame_shape(request)
        start = torch.cat([noise(i, 0, (1, length, *shape)) for i, length in enumerate(layout)], 1).to(device)
        sigmas = self.spec.levels(request.steps)
        scale = self._scale(request)
        *_, x0 = sample_flow(self.transformer, sigmas, self._embed(request.prompt), self._embed(""), start, scale)
        forwards = len(sigmas) * (2 if scale != 1 else 1)
        for index, latents in enumerate(x0.split(layout, 1)):
            yield ChunkLatents(index, latents, sigmas, forwards if index == 0 else 0)


def cache_limits(spec: ModelSpec, chunks: Sequence[int]) -> dict[str, int]:
    """The window and sink that a clip of these chunks is made with: none up to the training length, unless the model
    always has them."""
    limited = spec.window_always or sum(chunks) > spec.latent_frames
    return {"window": spec.window, "sink": spec.sink} if limited else {}


def chunk_layout_for(spec: ModelSpec, frames: int, *, shown: bool = False) -> tuple[int, ...]:
    """Whole chunks that hold `frames` pixel frames; a bidirectional model always makes its full training length.

    With `shown`, only the chunks of which frames are kept.
    """
    latents = latent_frames(frames)
    if not spec.causal and not shown:
        latents = max(latents, spec.latent_frames)
    later = -(-max(0, latents - spec.first_chunk) // spec.chunk) * spec.chunk
    return chunk_layout(spec.first_chunk + later, spec.chunk, spec.first_chunk)


def check_request(spec: ModelSpec, request: GenerationRequest) -> list[str]:
    """The rules of a request, each with a sentence of its own; returns notices."""
    prompt = request.prompt.strip()
    if not prompt:
        raise RequestError(f"the prompt is empty; describe the clip, for example {DEFAULT.prompt!r}")
    limit = spec.prompt_limit
    if len(prompt) > limit:
        raise RequestError(f"the prompt has {len(prompt)} characters; at most {limit} are read, so shorten it")
    if fault := character_fault(prompt):
        raise RequestError(f"the prompt {fault}; take it out")
    _whole_number("steps", request.steps, 1, MAX_STEPS)
    _whole_number("frames", request.frames, 1, spec.most_frames)
    _whole_number("seed", request.seed, 0, 2**63 - 1)
    _whole_number("first_steps", request.first_steps, 1, MAX_STEPS)
    if spec.causal and request.steps not in spec.steps:
        raise RequestError(f"steps is {request.steps}; {spec.name} offers {', '.join(map(str, spec.steps))}")
    if request.ffe and spec.few_step and request.first_steps not in spec.steps:
        raise RequestError(
            f"first steps is {request.first_steps}; {spec.name} offers {', '.join(map(str, spec.steps))}"
        )
    if request.size and (fault := spec.check_size(request.size)):
        raise RequestError(fault)
    if request.guidance_scale is not None and not 0 <= request.guidance_scale <= 30:
        raise RequestError(f"guidance scale is {request.guidance_scale}; it must lie between 0 and 30, where 1 is off")
    if request.image is not None:
        _check_image(spec, request.image)
    elif "t2v" not in spec.tasks and request.video is None:
        start = "a picture" if "i2v" in spec.tasks else "a video"
        raise RequestError(f"{spec.name} makes video from {start} only; add one, or choose a text-to-video model")
    if request.video is not None:
        _check_video(spec, request)
    if request.step_plan or request.switches:
        _check_timeline(spec, request)
    return [
        notice
        for text in (prompt, *(s.prompt for s in request.switches))
        for notice in about_prompt(spec.family, text)
    ] + _notices(spec, request)


def _whole_number(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise RequestError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
    if not low <= value <= high:
        raise RequestError(f"{name} is {value}; it must be from {low} to {high}")


def _check_timeline(spec: ModelSpec, request: GenerationRequest) -> None:
    """Steps by hand and prompt switches: both need chunks, and places inside the clip."""
    if not spec.causal:
        raise RequestError(
            f"{spec.name} makes all frames at once and has no chunks; leave step plan and prompt switches out"
        )
    for steps in request.step_plan:
        _whole_number("a number in the step plan", steps, 1, MAX_STEPS)
        if steps not in spec.steps:
            raise RequestError(f"the step plan holds {steps}; {spec.name} offers {', '.join(map(str, spec.steps))}")
    frames = request.frames
    if request.video is not None:
        frames = min(frames, fitted_length(len(request.video), request.video_fps, spec.fps))
    last = len(chunk_layout_for(spec, frames, shown=True)) - 1
    places = [switch.chunk for switch in request.switches]
    for switch in request.switches:
        if not isinstance(switch.chunk, int) or not 1 <= switch.chunk <= last:
            where = f"at chunks 2 to {last + 1}" if last else "nowhere, as there is one chunk only"
            chunk = _counted(switch.chunk)
            raise RequestError(f"a prompt switch is at chunk {chunk}; {frames} frames can switch {where}")
        if places.count(switch.chunk) > 1:
            raise RequestError(f"two prompt switches are at chunk {_counted(switch.chunk)}; keep one of them")
        if switch.cache not in CACHES:
            raise RequestError(f"a prompt switch has cache {switch.cache[:40]!r}; choose {', '.join(CACHES)}")
        if not switch.prompt.strip() or len(switch.prompt) > spec.prompt_limit:
            length = len(switch.prompt.strip())
            chunk = _counted(switch.chunk)
            raise RequestError(
                f"the prompt from chunk {chunk} on has {length} characters; give 1 to {spec.prompt_limit}"
            )
        if fault := character_fault(switch.prompt):
            raise RequestError(f"the prompt from chunk {_counted(switch.chunk)} on {fault}; take it out")


def _counted(chunk: object) -> str:
    """A chunk's place as people count it, from 1."""
    return str(chunk + 1) if isinstance(chunk, int) else repr(chunk)


def _check_image(spec: ModelSpec, image: np.ndarray) -> None:
    if "i2v" not in spec.tasks:
        raise RequestError(
            f"{spec.name} makes video from text only; leave the picture out or choose a model that takes one"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise RequestError(f"the image has shape {image.shape} and type {image.dtype}; give (H, W, 3) uint8 RGB")
    if min(image.shape[:2]) < 8:
        raise RequestError(f"the image is {image.shape[1]} x {image.shape[0]} pixels; each side needs at least 8")


def _check_video(spec: ModelSpec, request: GenerationRequest) -> None:
    video = request.video
    if request.image is not None:
        raise RequestError("a picture and a video are both given to start from; keep one of them")
    if "v2v" not in spec.tasks:
        raise RequestError(f"{spec.name} does not start from a video; leave it out or choose a model that takes one")
    if video.ndim != 4 or video.shape[3] != 3 or video.dtype != np.uint8 or not len(video):
        raise RequestError(f"the video has shape {video.shape} and type {video.dtype}; give (T, H, W, 3) uint8 RGB")
    if min(video.shape[1:3]) < 8:
        raise RequestError(f"the video is {video.shape[2]} x {video.shape[1]} pixels; each side needs at least 8")
    if not 0 < request.video_fps <= 1000:
        raise RequestError(f"the video has {request.video_fps} frames a second; give a rate above 0, up to 1000")
    if not 0 <= request.strength <= 1:
        raise RequestError(
            f"strength is {request.strength}; it must be from 0, the video as it is, to 1, nothing but noise"
        )


def _notices(spec: ModelSpec, request: GenerationRequest) -> list[str]:
    notices = []
    if request.frames > pixel_frames(spec.latent_frames):
        notices.append(
            f"{request.frames} frames are more than the {pixel_frames(spec.latent_frames)} this model was trained on"
        )
    # a video says itself where things go
    edge = WORLDS[spec.family].edge if spec.family in WORLDS else None
    goes_on = edge and spec.causal and not request.switches and request.video is None
    if goes_on and request.frames > edge:
        notices.append(
            f"what keeps moving one way reaches the edge after about {edge} frames, which no training clip "
            "shows; other prompts at later chunks can turn it round"
        )
    own = spec.first_chunk_steps
    if own and not request.ffe and not request.step_plan and own != request.steps:
        notices.append(
            f"the first chunk takes {own} steps, as {spec.name} was released; a step plan of {request.steps} turns "
            "that off"
        )
    if request.ffe and not spec.few_step:
        why = "takes many steps anyway" if spec.causal else "makes all frames at once"
        notices.append(f"First-Frame Enhancement does nothing here: {spec.name} {why}")
    if request.image is not None:
        notices += size_notices("picture", request.image.shape[:2], request.size or spec.size)
    if request.video is not None:
        notices += video_notices(
            request.video.shape[1:3], len(request.video), request.video_fps, spec, request.frames
        ) + _about_strength(request.strength)
    if request.guidance_scale not in (None, 1) and spec.few_step:
        notices.append(f"guidance scale does nothing here: {spec.name} was distilled with guidance built in")
    return notices


def _about_strength(strength: float) -> list[str]:
    if strength == 0:
        return ["strength 0 leaves the video as it is: no step is taken and the prompt does nothing"]
    if strength == 1:
        return ["strength 1 keeps nothing of the video but its length"]
    return []
