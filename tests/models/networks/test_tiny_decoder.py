"""TAEHV's decoder: its published size and names, streaming, and drafts of a clip that change nothing of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from models.networks.tiny_decoder import TinyDecoder
from models.types import GenerationRequest
from tests.helpers.tiny_models import tiny_pipeline
from workbench.clips.generation import GenerationService

WIDTHS = (8, 6, 4, 4)
REQUEST = GenerationRequest("a red circle moving right on a black background", steps=1, frames=12)


@pytest.fixture
def decoder():
    torch.manual_seed(0)
    return TinyDecoder(16, WIDTHS).eval()


def test_size_and_names_are_those_of_its_file():
    with torch.device("meta"):
        state = TinyDecoder().state_dict()
    assert len(state) == 64 and sum(tensor.numel() for tensor in state.values()) == 9_844_611
    assert state["decoder.13.conv.weight"].shape == (256, 128, 1, 1) and "decoder.15.conv.4.bias" in state


@pytest.mark.parametrize("runs", [(1, 3, 1), (2, 3), (1, 1, 1, 1, 1)])
def test_streamed_is_whole(decoder, runs):
    latents = torch.randn(1, 5, 16, 4, 6)
    whole, _ = decoder.decode(latents)
    assert whole.shape == (1, 3, 17, 32, 48)
    parts, memory = [], None
    for run in latents.split(runs, 1):
        video, memory = decoder.decode(run, memory)
        parts.append(video)
    assert_close(torch.cat(parts, 2), whole, atol=1e-6, rtol=0)


def test_a_frame_depends_on_the_past_alone(decoder):
    latents = torch.randn(1, 4, 16, 4, 4)
    changed = latents.clone()
    changed[:, 2] += 1
    (before, _), (after, _) = decoder.decode(latents), decoder.decode(changed)
    differs = (before != after).flatten(3).any(-1)[0].any(0)
    assert differs.nonzero().flatten().tolist() == list(range(5, 13))


def test_a_file_is_read_by_its_names_and_its_encoder_left(decoder):
    state = dict(decoder.state_dict()) | {"encoder.0.weight": torch.ones(1)}
    # a file that was trained to make two frames where one is kept: the last
    state["decoder.7.conv.weight"] = torch.cat([torch.randn(8, 8, 1, 1), state["decoder.7.conv.weight"]])
    latents = torch.randn(1, 2, 16, 4, 4)
    assert torch.equal(TinyDecoder.of_file(state).decode(latents)[0], decoder.decode(latents)[0])
    with pytest.raises(ValueError, match="not the weights of TAEHV's decoder"):
        TinyDecoder.of_file({"decoder.1.weight": torch.ones(2, 2, 3, 3)})


def test_drafts_come_first_and_the_clip_is_the_same(decoder, tmp_path):
    pipeline = tiny_pipeline()
    plain = list(pipeline.stream(REQUEST, drafts=True))
    pipeline.drafts = decoder
    events = list(pipeline.stream(REQUEST, drafts=True))
    drafts, chunks = events[: len(plain)], events[len(plain) :]
    assert all(chunk.draft for chunk in drafts) and not any(chunk.draft for chunk in [*plain, *chunks])
    assert [chunk.frames.shape for chunk in drafts] == [chunk.frames.shape for chunk in chunks]
    for chunk, usual in zip(chunks, plain, strict=True):
        assert np.array_equal(chunk.frames, usual.frames) and replace(chunk, frames=0, seconds=0) == replace(
            usual, frames=0, seconds=0
        )
    service = GenerationService(tmp_path, pipelines={"tiny-random": pipeline})
    seen = []
    made = service.generate("tiny-random", REQUEST, on_chunk=seen.append, drafts=True)
    assert len(seen) == len(events) and len(made.result.frames) == 12
    assert sum(made.result.chunk_frames) == 12 and made.result.forwards == sum(chunk.forwards for chunk in plain)
