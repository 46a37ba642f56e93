"""Decoding beside denoising: the same frames, the next chunk begun early, nothing left running."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLWan

from models.decoding import decode_beside, decode_in_turn, made_ahead
from models.networks.codec import Codec, load_codec
from models.networks.tiny_decoder import TinyDecoder
from models.pipeline import VideoPipeline
from models.registry import get_spec
from models.sampling.rollout import ChunkLatents
from models.types import GenerationRequest, PromptSwitch
from models.wan.memory import SPARE, make_plan
from models.wan.shapes import SHAPE_1B
from tests.helpers.peak_tensors import peak_gigabytes
from tests.helpers.tiny_models import tiny_pipeline

SECONDS = 20
PROMPT = "a red ball rolling left"


@pytest.fixture
def pipeline() -> VideoPipeline:
    return tiny_pipeline()


def _requests() -> dict[str, GenerationRequest]:
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (25, 64, 64, 3), np.uint8)
    return {
        "text": GenerationRequest(PROMPT, 2, frames=37),
        "first frame enhanced": GenerationRequest(PROMPT, 1, ffe=True, frames=37),
        "cut inside a chunk": GenerationRequest(PROMPT, 1, frames=18),
        "one chunk": GenerationRequest(PROMPT, 1, frames=5),
        "prompt switch": GenerationRequest(
            PROMPT, 1, frames=37, switches=(PromptSwitch(1, "a blue cube rolling right", "recache"),)
        ),
        "video": GenerationRequest(PROMPT, 2, frames=25, video=video, video_fps=12.0, strength=0.6),
    }


@pytest.mark.parametrize("kind", list(_requests()))
def test_frames_are_the_same_beside_and_in_turn(pipeline: VideoPipeline, kind: str) -> None:
    request = _requests()[kind]
    in_turn = list(pipeline.stream(request))
    pipeline.decodes_beside = True
    beside = list(pipeline.stream(request))
    assert len(in_turn) == len(beside)
    for one, other in zip(in_turn, beside, strict=True):
        assert (one.index, one.chunks, one.sigmas, one.forwards) == (
            other.index,
            other.chunks,
            other.sigmas,
            other.forwards,
        )
        np.testing.assert_array_equal(one.frames, other.frames)


def test_a_codec_that_remembers_frames_gives_the_same_beside() -> None:
    codec = load_codec(Path("assets/tabletop-autoencoder"))
    noise = torch.Generator().manual_seed(0)
    chunks = [
        ChunkLatents(index, torch.randn((1, length, 16, 16, 16), generator=noise), (1.0,), 1)
        for index, length in enumerate((1, 3, 3))
    ]
    ways = [[frames for _, frames in decode(iter(chunks), codec)] for decode in (decode_in_turn, decode_beside)]
    whole = codec.decode(torch.cat([chunk.latents for chunk in chunks], 1))
    for way in ways:
        np.testing.assert_array_equal(np.concatenate(way), np.concatenate(ways[0]))
        assert np.abs(np.concatenate(way).astype(int) - whole).max() <= 1


def test_decoding_beside_is_chosen_where_both_fit_the_card() -> None:
    spec = get_spec("self-forcing-wan-1.3b")
    needed = make_plan(spec, SHAPE_1B, "cuda", 80.0).mode
    assert make_plan(spec, SHAPE_1B, "cuda", 80.0).decodes_beside
    assert not make_plan(spec, SHAPE_1B, "cpu", 80.0).decodes_beside
    tight = make_plan(spec, SHAPE_1B, "cuda", needed.gigabytes / SPARE + 0.01)
    assert tight.mode == needed
    assert not tight.decodes_beside
    assert "while the next is denoised" in make_plan(spec, SHAPE_1B, "cuda", 80.0).lines()[1]


@torch.no_grad()
def test_encoding_and_the_tiny_decoder_take_less_than_decoding() -> None:
    """So the planner's peak, which counts decoding, holds for them too."""
    with torch.device("meta"):
        codec, tiny = Codec(AutoencoderKLWan().eval()), TinyDecoder().eval()
        latents = torch.randn(1, 3, 16, 24, 24)
    video = np.zeros((9, 192, 192, 3), np.uint8)
    decode = codec.run_decoder()
    decoding = peak_gigabytes(lambda: [decode(latents) for _ in range(2)])
    assert 0 < peak_gigabytes(lambda: codec.encode_runs(video)(0, 3)) < decoding
    assert 0 < peak_gigabytes(lambda: tiny.decode(latents)) < decoding


def test_a_chunk_comes_before_its_clean_pass(pipeline: VideoPipeline) -> None:
    calls = []

    def network(*args: object, **how: object) -> object:
        calls.append(bool(how.get("write_cache")))
        return pipeline.transformer(*args, **how)

    chunks = pipeline.causal_latents(GenerationRequest(PROMPT, 2, frames=25), network=network)
    next(chunks)
    assert calls == [False, False]
    next(chunks)
    assert calls == [False, False, True, False, False]


def test_the_next_item_is_made_while_one_is_used() -> None:
    begun = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        begun.set()
        yield 1

    made = made_ahead(items())
    assert next(made) == 0
    assert begun.wait(SECONDS)
    assert list(made) == [1]


def test_only_one_item_is_made_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(5):
            made.append(item)
            yield item

    ahead = made_ahead(items())
    next(ahead)
    ahead.close()  # waits for what is being made
    assert made == [0, 1]


def test_an_error_comes_where_its_item_would_have() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise ValueError("the second item failed")

    made = made_ahead(items())
    assert next(made) == 0
    with pytest.raises(ValueError, match="the second item failed"):
        next(made)


def test_a_clip_that_is_left_early_leaves_no_thread(pipeline: VideoPipeline) -> None:
    pipeline.decodes_beside = True
    stream = pipeline.stream(GenerationRequest(PROMPT, 1, frames=49))
    next(stream)
    assert _denoising()
    stream.close()
    assert not _denoising()


def _denoising() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("denoise")]
