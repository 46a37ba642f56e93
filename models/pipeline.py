"""A video pipeline: a checked request in, frames out, whole or chunk by chunk."""

import time
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from models.attention_masks import chunk_layout
from models.autoencoder import ShapesAutoencoder
from models.codec import Codec, latent_frames, pixel_frames
from models.sampling import CACHES, ChunkLatents, ClipNoise, TextSwitch, rollout, sample_flow
from models.schedulers import StepPlan, step_sigmas
from models.specs import ModelSpec
from models.text_encoder import ShapesTextEncoder, TextEncoder
from models.transformer import CausalVideoTransformer
from models.types import Chunk, GenerationRequest, GenerationResult, RequestError
from models.world import parse_prompt, unknown_words

MAX_PROMPT = 1000
MAX_FRAMES = 4000
MAX_STEPS = 100


class VideoPipeline:
    """One model, its text encoder and its codec. `stream` and `__call__` give the same frames, bit for bit."""

    def __init__(
        self, spec: ModelSpec, transformer: CausalVideoTransformer, text_encoder: TextEncoder, codec: Codec
    ) -> None:
        self.spec, self.transformer, self.text_encoder, self.codec = spec, transformer, text_encoder, codec

    def check(self, request: GenerationRequest) -> list[str]:
        """Raise `RequestError` for what cannot be made; return notices about what can but may surprise."""
        return check_request(self.spec, request)

    def __call__(self, request: GenerationRequest, *, generator: torch.Generator | None = None) -> GenerationResult:
        """Generate a clip. Noise comes from `generator`, or from one seeded with `request.seed`."""
        notices = self.check(request)
        chunks = list(self.stream(request, generator=generator))
        return collect(chunks, self.spec.fps, notices)

    @torch.no_grad()
    def stream(self, request: GenerationRequest, *, generator: torch.Generator | None = None) -> Iterator[Chunk]:
        """Yield the frames of each chunk as soon as they exist; together they are exactly `request.frames` frames."""
        self.check(request)
        began = time.perf_counter()
        noise = ClipNoise(generator or torch.Generator().manual_seed(request.seed))
        latents = self._causal(request, noise) if self.spec.causal else self._whole(request, noise)
        finished: list[ChunkLatents] = []

        def runs() -> Iterator[Tensor]:
            for chunk in latents:
                finished.append(chunk)
                yield chunk.latents

        made, total = 0, len(chunk_layout_for(self.spec, request.frames, shown=True))
        for index, frames in enumerate(self.codec.stream_decode(runs())):
            kept = frames[: request.frames - made]
            made += len(kept)
            chunk = finished[index]
            yield Chunk(index, total, kept, chunk.sigmas, chunk.forwards, time.perf_counter() - began)
            if made == request.frames:
                return

    def plan(self, request: GenerationRequest) -> StepPlan:
        """Noise levels for each chunk of a causal model, First-Frame Enhancement included."""
        given = 1 if request.image is not None else 0
        if request.step_plan:
            return StepPlan.by_hand(self._layout(request), request.step_plan, self.spec.shift, given=given)
        plan = StepPlan.uniform(self._layout(request), request.steps, self.spec.shift, given=given)
        return plan.enhance_first(request.first_steps, self.spec.shift) if request.ffe else plan

    def _layout(self, request: GenerationRequest) -> tuple[int, ...]:
        return chunk_layout_for(self.spec, request.frames)

    def _embed(self, prompt: str) -> Tensor:
        return self.text_encoder.embed([prompt])

    def _frame_shape(self) -> tuple[int, int, int]:
        height, width = self.spec.size
        return (self.transformer.config.in_channels, height // 8, width // 8)

    def _causal(self, request: GenerationRequest, noise: ClipNoise) -> Iterator[ChunkLatents]:
        plan = self.plan(request)
        channels, height, width = self._frame_shape()
        longer = sum(plan.chunks) > self.spec.latent_frames
        window = {"window": self.spec.window, "sink": self.spec.sink} if longer else {}
        cache = self.transformer.new_cache(height, width, **window)
        given = None if request.image is None else self.codec.encode(fit_image(request.image, self.spec.size)[None])
        shape = (1, channels, height, width)
        device = next(self.transformer.parameters()).device
        draw = lambda chunk, step, size: noise(chunk, step, size).to(device)  # noqa: E731
        switches = {s.chunk: TextSwitch(self._embed(s.prompt), s.cache) for s in request.switches}
        text = self._embed(request.prompt)
        yield from rollout(self.transformer, plan, text, cache, draw, shape, given=given, switches=switches)

    def _whole(self, request: GenerationRequest, noise: ClipNoise) -> Iterator[ChunkLatents]:
        layout = self._layout(request)
        device = next(self.transformer.parameters()).device
        # drawn chunk by chunk, so that a causal model with the same seed starts from the same noise
        start = torch.cat([noise(i, 0, (1, length, *self._frame_shape())) for i, length in enumerate(layout)], 1).to(
            device
        )
        sigmas = step_sigmas(request.steps, self.spec.shift)
        scale = self.spec.guidance_scale if request.guidance_scale is None else request.guidance_scale
        *_, x0 = sample_flow(self.transformer, sigmas, self._embed(request.prompt), self._embed(""), start, scale)
        forwards = len(sigmas) * (2 if scale != 1 else 1)
        for index, latents in enumerate(x0.split(layout, 1)):
            yield ChunkLatents(index, latents, sigmas, forwards if index == 0 else 0)


def chunk_layout_for(spec: ModelSpec, frames: int, *, shown: bool = False) -> tuple[int, ...]:
    """Whole chunks that hold `frames` pixel frames; a bidirectional model always makes its full training length.

    With `shown`, only the chunks of which frames are kept.
    """
    latents = latent_frames(frames)
    if not spec.causal and not shown:
        latents = max(latents, spec.latent_frames)
    later = -(-max(0, latents - spec.first_chunk) // spec.chunk) * spec.chunk
    return chunk_layout(spec.first_chunk + later, spec.chunk, spec.first_chunk)


def collect(chunks: list[Chunk], fps: int, notices: list[str]) -> GenerationResult:
    """Join streamed chunks into a result."""
    return GenerationResult(
        frames=np.concatenate([chunk.frames for chunk in chunks]),
        fps=fps,
        chunk_frames=tuple(len(chunk.frames) for chunk in chunks),
        sigmas=tuple(chunk.sigmas for chunk in chunks),
        forwards=sum(chunk.forwards for chunk in chunks),
        first_frame_seconds=chunks[0].seconds,
        seconds=chunks[-1].seconds,
        notices=tuple(notices),
    )


def fit_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Centre-crop an (H, W, 3) uint8 picture to the model's aspect and resize it to `size` (height, width)."""
    height, width = size
    if image.shape[:2] == size:
        return image
    scale = min(image.shape[0] / height, image.shape[1] / width)
    crop_h, crop_w = round(height * scale), round(width * scale)
    top, left = (image.shape[0] - crop_h) // 2, (image.shape[1] - crop_w) // 2
    cropped = Image.fromarray(image[top : top + crop_h, left : left + crop_w])
    return np.asarray(cropped.resize((width, height), Image.Resampling.BOX if scale > 1 else Image.Resampling.BICUBIC))


def check_request(spec: ModelSpec, request: GenerationRequest) -> list[str]:
    """The rules of a request, each with a sentence of its own; returns notices."""
    prompt = request.prompt.strip()
    if not prompt:
        raise RequestError(
            "the prompt is empty; describe the clip, for example 'a red circle moving right on a black background'"
        )
    if len(prompt) > MAX_PROMPT:
        raise RequestError(f"the prompt has {len(prompt)} characters; at most {MAX_PROMPT} are read, so shorten it")
    _whole_number("steps", request.steps, 1, MAX_STEPS)
    _whole_number("frames", request.frames, 1, MAX_FRAMES)
    _whole_number("seed", request.seed, 0, 2**63 - 1)
    _whole_number("first_steps", request.first_steps, 1, MAX_STEPS)
    if spec.causal and request.steps not in spec.steps:
        raise RequestError(f"steps is {request.steps}; {spec.name} offers {', '.join(map(str, spec.steps))}")
    if request.ffe and spec.causal and request.first_steps not in spec.steps:
        raise RequestError(
            f"first steps is {request.first_steps}; {spec.name} offers {', '.join(map(str, spec.steps))}"
        )
    if request.guidance_scale is not None and not 0 <= request.guidance_scale <= 30:
        raise RequestError(f"guidance scale is {request.guidance_scale}; it must lie between 0 and 30, where 1 is off")
    if request.image is not None:
        _check_image(spec, request.image)
    if request.step_plan or request.switches:
        _check_timeline(spec, request)
    return [
        notice for text in (prompt, *(s.prompt for s in request.switches)) for notice in _about_prompt(spec, text)
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
    last = len(chunk_layout_for(spec, request.frames, shown=True)) - 1
    places = [switch.chunk for switch in request.switches]
    for switch in request.switches:
        if not isinstance(switch.chunk, int) or not 1 <= switch.chunk <= last:
            where = f"from 1 to {last}" if last else "nowhere, as there is one chunk only"
            raise RequestError(
                f"a prompt switch is at chunk {switch.chunk!r}; {request.frames} frames can switch {where}"
            )
        if places.count(switch.chunk) > 1:
            raise RequestError(f"two prompt switches are at chunk {switch.chunk}; keep one of them")
        if switch.cache not in CACHES:
            raise RequestError(f"a prompt switch has cache {switch.cache[:40]!r}; choose {', '.join(CACHES)}")
        if not switch.prompt.strip() or len(switch.prompt) > MAX_PROMPT:
            length = len(switch.prompt.strip())
            raise RequestError(
                f"the prompt from chunk {switch.chunk} on has {length} characters; give 1 to {MAX_PROMPT}"
            )


def _check_image(spec: ModelSpec, image: np.ndarray) -> None:
    if "i2v" not in spec.tasks:
        raise RequestError(
            f"{spec.name} makes video from text only; leave the image out or choose a model that offers i2v"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise RequestError(f"the image has shape {image.shape} and type {image.dtype}; give (H, W, 3) uint8 RGB")
    if min(image.shape[:2]) < 8:
        raise RequestError(f"the image is {image.shape[1]} x {image.shape[0]} pixels; each side needs at least 8")


def _about_prompt(spec: ModelSpec, prompt: str) -> list[str]:
    strange = unknown_words(prompt) if spec.family == "shapes" else []
    if strange:
        shown = ", ".join(strange[:12]) + (", ..." if len(strange) > 12 else "")
        return [f"words this model does not know: {shown}"]
    if spec.family == "shapes" and parse_prompt(prompt) is None:
        return [
            "the prompt is outside the grammar this model was trained on: a COLOR SHAPE moving DIRECTION on a "
            "BACKGROUND background"
        ]
    return []


def _notices(spec: ModelSpec, request: GenerationRequest) -> list[str]:
    notices = []
    if request.frames > pixel_frames(spec.latent_frames):
        notices.append(
            f"{request.frames} frames are more than the {pixel_frames(spec.latent_frames)} this model was trained on"
        )
    if request.ffe and not spec.causal:
        notices.append(f"First-Frame Enhancement does nothing here: {spec.name} makes all frames at once")
    if request.guidance_scale not in (None, 1) and spec.causal:
        notices.append(f"guidance scale does nothing here: {spec.name} was distilled with guidance built in")
    return notices


def tiny_pipeline(seed: int = 0, *, causal: bool = True) -> VideoPipeline:
    """The real classes at tiny width with random weights, for tests of plumbing; what it makes is noise."""
    torch.manual_seed(seed)
    spec = ModelSpec(
        name="tiny-random",
        title="Random weights",
        family="shapes",
        paper="none",
        weights="none",
        steps=(1, 2, 3, 4),
        trained_steps=(),
        default_steps=1,
        note="random weights, tests only",
        causal=causal,
        guidance_scale=1.0 if causal else 2.0,
    )
    transformer = CausalVideoTransformer(
        num_attention_heads=2, attention_head_dim=12, ffn_dim=48, num_layers=2, text_dim=16, freq_dim=16
    )
    autoencoder = ShapesAutoencoder(widths=(8, 8, 16), encoder_layers=(1, 1, 1), decoder_layers=(1, 1, 1))
    text = ShapesTextEncoder(width=16, num_layers=1, num_attention_heads=2)
    return VideoPipeline(spec, transformer.eval(), text.eval(), Codec(autoencoder.eval()))
