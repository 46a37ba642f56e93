"""What a network runs with: autoencoder, text encoder, tokenizer and the cache of embeddings, where they may lie and
what is said when they are damaged or another's."""

import shutil

import pytest
import torch

from models.registry import create_pipeline, register
from models.types import GenerationRequest, RequestError
from models.wan.create import text_encoder
from models.wan.places import file_digest
from tests.helpers.wan_data import original_state, transformer, write_small_world
from workbench.__main__ import main
from workbench.clips.generation import GenerationService

ASKED = GenerationRequest("a cat", steps=1, frames=9, size=(64, 64))
pytestmark = pytest.mark.usefixtures("own_places")
T5, TOKENIZER = "models_t5_umt5-xxl-enc-bf16.pth", "google/umt5-xxl/tokenizer.json"


@pytest.fixture
def world(tmp_path):
    """The network's file of a small world."""
    (tmp_path / "world").mkdir()
    return write_small_world(tmp_path / "world")


def make(source):
    return create_pipeline(register(f"path:{source}").name)(ASKED).frames


def test_companions_lie_in_the_folder_of_a_folder_or_in_its_pipeline(world, tmp_path):
    expected = make(world)
    assert main(["convert", str(world), str(world.parent / "folder")]) == 0
    assert (make(world.parent / "folder") == expected).all()
    pipe = tmp_path / "pipe"
    pipe.mkdir()
    (pipe / "model_index.json").write_text('{"_class_name": "WanPipeline"}')
    for name, part in ((world.name, "transformer"), ("Wan2.1_VAE.pth", "vae"), (T5, "text_encoder")):
        assert main(["convert", str(world.parent / name), str(pipe / part)]) == 0
    shutil.copytree(world.parent / "google" / "umt5-xxl", pipe / "tokenizer")
    assert (make(pipe) == expected).all()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("Wan2.1_VAE.pth", b"PK\x03\x04" + bytes(5000), "Wan2.1_VAE.pth' is not a torch file"),
        ("Wan2.1_VAE.pth", original_state(transformer()), "VAE.pth' holds a Wan transformer; give the Wan 2.1 auto"),
        (T5, original_state(transformer()), "enc-bf16.pth' holds a Wan transformer; give the UMT5 text encoder"),
        (TOKENIZER, b"<html>", "the tokenizer in .* cannot be read .*; download it again"),
        ("taew2_1.pth", {"decoder.1.weight": torch.tensor(1.0)}, "is no taew2_1 of TAEHV"),
        (
            "self_forcing_dmd.pt",
            original_state(transformer(text_dim=64)),
            "32 numbers a token and the network takes 64",
        ),
        (
            "self_forcing_dmd.pt",
            original_state(transformer(in_channels=48, out_channels=48)),
            "takes latents of 48 channels and .*VAE.pth' makes 16",
        ),
        ("self_forcing_dmd.pt", original_state(transformer(in_channels=36, out_channels=16)), "with image or frame"),
    ],
)
def test_a_companion_that_does_not_serve_is_named(name, content, words, world):
    path = world.parent / name
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(RequestError, match=words):
        make(world)


def test_a_cut_file_is_damaged_and_no_place_to_mend(world):
    path = world.parent / "Wan2.1_VAE.pth"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RequestError, match="is damaged or cut off"):
        make(world)


def test_a_damaged_embedding_is_made_again(world, tmp_path):
    encoder = text_encoder(world.parent)
    made = encoder.embed(["a cat"])
    path = encoder.path("a cat")
    for content in (b"", path.read_bytes()[:40]):
        path.write_bytes(content)
        assert encoder.notices("a cat") == []
        assert torch.equal(text_encoder(world.parent).embed(["a cat"]), made)
        path.write_bytes(content)
        assert encoder.fill(["a cat"]) == 1
    path.write_bytes(b"")
    with pytest.raises(RequestError, match="not in the cache and the text encoder"):
        text_encoder(tmp_path).embed(["a cat"])


def test_a_damaged_or_locked_memory_of_digests_costs_time_only(world, tmp_path, monkeypatch):
    memory = tmp_path / "WORKBENCH_CACHE" / "digests.json"
    expected = file_digest(world)
    for content in ("{", "[]"):
        memory.write_text(content)
        assert file_digest(world) == expected
    monkeypatch.setenv("WORKBENCH_CACHE", str(memory))
    assert file_digest(world) == expected


def test_a_new_prompt_that_is_cut_is_told_at_once(world):
    long = "many words " * 60
    assert "reads the first 512" in text_encoder(world.parent).notices(long)[0]
    pipeline = create_pipeline(register(f"path:{world}").name)
    asked = GenerationRequest(long, steps=1, frames=9, size=(64, 64))
    assert any("the prompt has 661 tokens" in text for text in pipeline(asked).notices)


def test_embed_prompts_tells_what_is_cut(world, tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("a cat\n" + "many words " * 60)
    assert main(["embed-prompts", str(tmp_path / "prompts.txt"), "--weights", str(world.parent)]) == 0
    assert "prompt 2: the prompt has 661 tokens" in capsys.readouterr().err


def test_embed_prompts_names_its_own_argument(tmp_path, capsys):
    assert main(["embed-prompts", str(tmp_path / "nothing.txt")]) == 2
    assert "error: FILE '" in capsys.readouterr().err


def test_what_is_missing_of_the_text_encoder_is_named(world, tmp_path):
    (world.parent / TOKENIZER).unlink()
    with pytest.raises(RequestError, match=r"its tokenizer .* is not on this machine"):
        text_encoder(world.parent).embed(["a cat"])
    for name in ("a", "b"):
        (tmp_path / "WORKBENCH_CACHE" / "embeddings" / name).mkdir(parents=True)
    with pytest.raises(RequestError, match="which of the 2 encoders' embeddings there to take"):
        text_encoder(tmp_path).embed(["a cat"])


def test_a_request_is_refused_before_a_network_is_loaded(world, tmp_path, monkeypatch):
    spec = register(f"path:{world}")
    monkeypatch.setattr("workbench.clips.generation.create_pipeline", lambda *_, **__: pytest.fail("loaded"))
    service = GenerationService(tmp_path)
    for wrong in (GenerationRequest("a cat", steps=9), GenerationRequest("a cat", size=(70, 64))):
        with pytest.raises(RequestError, match=r"steps is 9|size is 64x70"):
            service.check(spec.name, wrong)


def test_files_that_are_gone_are_named(world, tmp_path):
    with pytest.raises(RequestError, match=r"the LoRA .* is not there"):
        register(f"path:{world}+{tmp_path / 'lora.pt'}")
    transformer().save_pretrained(tmp_path / "folder", max_shard_size="500KB")
    next((tmp_path / "folder").glob("*-00002-of-*")).unlink()
    with pytest.raises(RequestError, match=r"00002-of-00005.safetensors' is not there"):
        GenerationService(tmp_path).check(register(f"path:{tmp_path / 'folder'}").name, ASKED)
