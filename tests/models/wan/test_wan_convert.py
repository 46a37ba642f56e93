"""`convert`: nothing that it reads is dropped, what it writes is one network, and a refusal leaves no file."""

import json

import pytest
import torch
from diffusers import SkyReelsV2Transformer3DModel
from safetensors.torch import save_file
from transformers import UMT5EncoderModel

from models.wan.names import TRANSFORMER
from tests.helpers.wan_data import SMALL, original_state, transformer, write_small_world
from workbench.__main__ import main


@pytest.fixture(scope="module")
def state():
    return {name: tensor.detach().clone() for name, tensor in original_state(transformer()).items()}


@pytest.fixture
def file(tmp_path, state):
    torch.save(state, tmp_path / "in.pt")
    return tmp_path / "in.pt"


def convert(*words):
    return main(["convert", *map(str, words)])


def refused(capsys, *words):
    assert convert(*words) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ["self-forcing-wan-1.3b", "wan2.1", "v1.0-final"])
def test_a_folders_name_may_have_a_number_after_a_point(name, file, tmp_path):
    assert convert(file, tmp_path / name) == 0 and (tmp_path / name / "config.json").is_file()
    assert convert(file, tmp_path / f"{name}.pth") == 2


def test_what_json_prints_is_json(file, tmp_path, capsys):
    assert convert(file, tmp_path / "out", "--json") == 0
    assert json.loads(capsys.readouterr().out)["out"] == str(tmp_path / "out")


def test_a_network_that_is_not_whole_is_refused(tmp_path, state, capsys):
    torch.save({name: tensor for name, tensor in state.items() if "blocks.1.ffn" not in name}, tmp_path / "in.pt")
    assert "lacks 4 weights" in refused(capsys, tmp_path / "in.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_row_says_nothing_about_a_file(file, capsys):
    assert "leave @ out" in refused(capsys, f"{file}@self-forcing-wan-1.3b")


def test_numbers_that_a_dtype_does_not_hold_are_refused(tmp_path, state, capsys):
    torch.save(state | {"head.head.bias": torch.full((64,), 1e6)}, tmp_path / "in.pt")
    (tmp_path / "out.pt").write_text("before")
    words = (tmp_path / "in.pt", tmp_path / "out.pt", "--dtype", "float16", "--overwrite")
    assert "head.head.bias has numbers too large for float16" in refused(capsys, *words)
    assert (tmp_path / "out.pt").read_text() == "before" and len(list(tmp_path.iterdir())) == 2


def test_a_folders_head_width_is_kept(tmp_path):
    transformer(num_attention_heads=2, attention_head_dim=64).save_pretrained(tmp_path / "in")
    assert convert(tmp_path / "in", tmp_path / "out") == 0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["attention_head_dim"], config["num_attention_heads"]) == (64, 2)


def test_every_folder_is_read_by_its_own_library(tmp_path):
    torch.manual_seed(0)
    sizes = SMALL | {"attention_head_dim": 128, "inject_sample_info": True}
    network = SkyReelsV2Transformer3DModel(**sizes, in_channels=16, out_channels=16)
    original = {TRANSFORMER.to_original(name): tensor for name, tensor in network.state_dict().items()}
    torch.save(original, tmp_path / "sky.pt")
    assert convert(tmp_path / "sky.pt", tmp_path / "sky") == 0
    read, told = SkyReelsV2Transformer3DModel.from_pretrained(tmp_path / "sky", output_loading_info=True)
    assert not any(told.values()) and torch.equal(read.fps_embedding.weight, network.fps_embedding.weight)
    write_small_world(tmp_path)
    assert convert(tmp_path / "models_t5_umt5-xxl-enc-bf16.pth", tmp_path / "text_encoder") == 0
    encoder, told = UMT5EncoderModel.from_pretrained(tmp_path / "text_encoder", output_loading_info=True)
    assert not any(told.values())
    theirs = torch.load(tmp_path / "models_t5_umt5-xxl-enc-bf16.pth", weights_only=True)
    assert torch.equal(encoder.shared.weight, theirs["token_embedding.weight"])


def test_another_networks_shards_are_never_read_for_the_one_written(file, tmp_path, capsys):
    transformer(1).save_pretrained(tmp_path / "out", max_shard_size="500KB")
    assert "holds another network's" in refused(capsys, file, tmp_path / "out", "--overwrite")


@pytest.mark.parametrize(
    "change",
    [
        lambda names: dict(list(names.items())[:-5]),
        lambda names: names | {"more": "more"},
        lambda names: dict.fromkeys(names, "same"),
    ],
)
def test_names_that_a_folder_keeps_are_those_of_its_weights(change, file, tmp_path, capsys):
    assert convert(file, tmp_path / "out") == 0
    layout = json.loads((tmp_path / "out" / "layout.json").read_text())
    (tmp_path / "out" / "layout.json").write_text(json.dumps(layout | {"names": change(layout["names"])}))
    assert "take that file away" in refused(capsys, tmp_path / "out", tmp_path / "back.pt")
    assert not (tmp_path / "back.pt").exists()


def test_a_pipelines_folder_stands_for_its_transformer(tmp_path, state, capsys):
    for part in ("transformer", "vae"):
        (tmp_path / "in" / part).mkdir(parents=True)
    save_file(state, tmp_path / "in" / "transformer" / "a.safetensors")
    save_file({"decoder.conv1.weight": torch.zeros(1)}, tmp_path / "in" / "vae" / "a.safetensors")
    (tmp_path / "in" / "model_index.json").write_text('{"_class_name": "WanPipeline"}')
    assert convert(tmp_path / "in") == 0 and "69 tensors" in capsys.readouterr().out
