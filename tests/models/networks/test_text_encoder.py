"""The small text encoder: torch's own layers as a second implementation, and one result however it is called."""

import threading

import pytest
import torch

from models.networks.text_encoder import ShapesTextEncoder

PROMPTS = ["a red circle moving right on a black background", "", "something nobody taught it", "blue " * 40]


@pytest.fixture(scope="module")
def encoder() -> ShapesTextEncoder:
    torch.manual_seed(0)
    return ShapesTextEncoder().eval()


def test_layers_are_those_of_torch(encoder):
    ids = encoder.tokenize(PROMPTS)
    there = ids > 0
    hidden = (encoder.embedding(ids) + encoder.positions) * there[..., None]
    for layer in encoder.layers:
        hidden = layer(hidden, src_key_padding_mask=~(there | ~there.any(1, keepdim=True)))
    assert torch.allclose(encoder.embed(PROMPTS), encoder.norm(hidden) * there[..., None], atol=1e-6)


def test_one_prompt_has_one_embedding(encoder):
    """Grad mode, a default device, a thread, or company in the batch change nothing, to the bit."""
    alone = torch.cat([encoder.embed([prompt]) for prompt in PROMPTS]).detach()
    found = {"with gradient": encoder.embed(PROMPTS)}
    with torch.no_grad():
        found["together"] = encoder.embed(PROMPTS)
        thread = threading.Thread(target=lambda: found.update({"in a thread": encoder.embed(PROMPTS)}))
        thread.start()
        thread.join()
        with torch.device("cpu"):
            found["on a default device"] = encoder.embed(PROMPTS)
    for name, embedding in found.items():
        assert torch.equal(embedding, found["together"]), name
    assert torch.allclose(alone, found["together"], atol=1e-6)


def test_rows_without_words_are_zero(encoder):
    embedding = encoder.embed(["", "red circle"])
    assert not embedding[0].any() and not embedding[1, 2:].any() and embedding[1, :2].any()
