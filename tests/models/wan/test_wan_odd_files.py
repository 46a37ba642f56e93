"""Files that are not as their authors write them: damaged, of other kinds, or to be told apart; each one sentence."""

import json

import pytest
import torch
from safetensors.torch import save_file

from models.types import RequestError
from models.wan.files import choose_entry, read_network
from models.wan.load import load_transformer, read_source
from models.wan.names import TRANSFORMER
from models.wan.source import Source, parse_source
from tests.helpers.wan_data import original_state, transformer


@pytest.fixture(scope="module")
def state():
    return {name: tensor.detach().clone() for name, tensor in original_state(transformer()).items()}


def test_a_damaged_torch_file_is_told_whatever_it_fails_as(tmp_path, state):
    path = tmp_path / "file.pt"
    for zipped in (True, False):
        torch.save({"generator": state}, path, _use_new_zipfile_serialization=zipped)
        whole = path.read_bytes()
        changed = [whole[:at] + bytes([255 - whole[at]]) + whole[at + 1 :] for at in range(80, 400, 8)]
        for content in (*(whole[:length] for length in (0, 1, 10, 1000, 5000, len(whole) - 1)), *changed):
            path.write_bytes(content)
            try:
                read_network(path)  # a changed byte may be part of a number
            except RequestError as error:
                assert "file.pt" in str(error)


@pytest.mark.parametrize(
    "content", [b"<!DOCTYPE html>", b"version https://git-lfs.github.com/spec/v1\n", b"\x80\x02x"]
)
def test_what_is_no_torch_file_is_not_said_to_hold_code(content, tmp_path):
    (tmp_path / "file.pt").write_bytes(content)
    with pytest.raises(RequestError, match="is not a torch file"):
        read_network(tmp_path / "file.pt")


def test_the_ending_of_a_safetensors_file_may_be_in_capitals(tmp_path, state):
    save_file(state, tmp_path / "FILE.SAFETENSORS")
    assert len(read_network(tmp_path / "FILE.SAFETENSORS").state) == len(state)


def test_an_entry_of_a_file_that_has_none_is_refused(tmp_path, state):
    save_file(state, tmp_path / "file.safetensors")
    for place in (tmp_path, tmp_path / "file.safetensors"):
        with pytest.raises(RequestError, match="has no entry 'generator'; its one network has no name"):
            read_network(place, "generator")


def test_a_network_is_found_beside_what_trainers_keep_with_it(state):
    settings, optimizer = {"lr": 1.0}, {"state": {0: {"exp_avg": torch.zeros(2)}}}
    found, entry, others = choose_entry({**state, "config": settings, "optimizer": optimizer}, "f.pt")
    assert len(found) == len(state) and entry is None and others == ()
    assert choose_entry({"args": settings, "optimizer": optimizer, "ema": state}, "f.pt")[1] == "ema"
    assert choose_entry({"step": torch.tensor(3), "net": state}, "f.pt")[1] == "net"
    for nothing in ({}, {"generator": {}}, {"a": {"b": state}}, {1: torch.zeros(1)}):
        with pytest.raises(RequestError, match="holds no named tensors"):
            choose_entry(nothing, "f.pt")


def test_a_folder_of_several_networks_is_refused(tmp_path, state):
    save_file(state, tmp_path / "a.safetensors")
    save_file({name: tensor + 1 for name, tensor in state.items()}, tmp_path / "b.safetensors")
    with pytest.raises(RequestError, match=r"in both a.safetensors and b.safetensors, .* name the file that you mean"):
        read_network(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "a.safetensors"}}))
    with pytest.raises(RequestError, match="several networks"):
        read_network(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": {"a": 1}}'])
def test_a_damaged_index_or_config_is_named(content, tmp_path, state):
    save_file(state, tmp_path / "a.safetensors")
    index = tmp_path / "a.safetensors.index.json"
    index.write_text(content)
    with pytest.raises(RequestError, match=r"a.safetensors.index.json"):
        read_network(tmp_path)


def test_weights_that_tell_the_configuration_must_be_there(tmp_path, state):
    for name, sides in TRANSFORMER.measured:
        theirs = TRANSFORMER.to_original(name)
        torch.save({key: tensor for key, tensor in state.items() if key != theirs}, tmp_path / "file.pt")
        with pytest.raises(RequestError, match=f"file.pt' lacks weights of a Wan transformer: {name}"):
            read_network(tmp_path / "file.pt")
        torch.save(state | {theirs: torch.tensor(1.0)}, tmp_path / "file.pt")
        with pytest.raises(RequestError, match=f"of shape .* it has {sides} sides"):
            read_network(tmp_path / "file.pt")
    torch.save(state | {"blocks.99999.norm3.bias": torch.zeros(1)}, tmp_path / "file.pt")
    with pytest.raises(RequestError, match="layer 2 of 100000 is not there"):
        read_network(tmp_path / "file.pt")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda tensor: tensor.to(torch.int8), "int8"),
        (lambda tensor: tensor.to(torch.complex64), "complex64"),
        (lambda tensor: tensor.to_sparse(), "sparse_coo"),
    ],
)
def test_weights_are_dense_floating_point_numbers(change, kind, tmp_path, state):
    name = "blocks.0.ffn.0.weight"
    torch.save(state | {name: change(state[name])}, tmp_path / "file.pt")
    with pytest.raises(RequestError, match=f"{name}' as {kind}; weights are dense floating-point"):
        read_network(tmp_path / "file.pt")


def test_a_file_of_shapes_alone_is_refused(tmp_path, state):
    torch.save({name: tensor.to("meta") for name, tensor in state.items()}, tmp_path / "file.pt")
    with pytest.raises(RequestError, match="shapes without numbers"):
        load_transformer(read_network(tmp_path / "file.pt"))


@pytest.mark.parametrize("folder", ["user@host", "c++", "a#b", "a b ü"])
def test_marks_of_a_folders_name_are_left_alone(folder, tmp_path):
    base, lora = tmp_path / folder / "my.pt", tmp_path / folder / "lora.pt"
    base.parent.mkdir()
    for path in (base, lora):
        path.touch()
    assert parse_source(f"path:{base}#generator") == Source(base, "generator")
    assert parse_source(f"path:{base}@row") == Source(base, row="row")
    assert parse_source(f"path:{base}#generator+{lora}@row") == Source(base, "generator", lora, "row")


@pytest.mark.parametrize("mark", ["#", "+", "@", "#generator@", "#generator+"])
def test_a_mark_with_nothing_after_it_is_refused(mark, tmp_path):
    (tmp_path / "my.pt").touch()
    with pytest.raises(RequestError, match="nothing after a mark"):
        parse_source(f"path:{tmp_path / 'my.pt'}{mark}")


LAYER = "blocks.0.ffn.0"
STYLES = {
    "peft": ("base_model.model.", LAYER, "lora_A.default", "lora_B.default", None),
    "ComfyUI": ("diffusion_model.", LAYER, "lora_down", "lora_up", "alpha"),
    "kohya": ("lora_unet_", "blocks_0_ffn_0", "lora_down", "lora_up", "alpha"),
    "diffusers": ("transformer.", "blocks.0.ffn.net.0.proj", "lora_A", "lora_B", None),
}


@pytest.mark.parametrize("folder", [False, True], ids=["original base", "diffusers base"])
@pytest.mark.parametrize("style", STYLES)
def test_a_lora_of_every_style_is_merged(style, folder, tmp_path, state):
    prefix, layer, down, up, alpha = STYLES[style]
    torch.manual_seed(1)
    matrices = torch.randn(4, 128), torch.randn(64, 4)
    lora = {f"{prefix}{layer}.{name}.weight": part for name, part in zip((down, up), matrices, strict=True)}
    lora |= {f"{prefix}{layer}.{alpha}": torch.tensor(2.0)} if alpha else {}
    save_file(lora, tmp_path / "lora.safetensors")
    base = tmp_path / "base"
    if folder:
        base.mkdir()
        save_file({TRANSFORMER.to_ours(name): tensor for name, tensor in state.items()}, base / "a.safetensors")
    else:
        torch.save({"generator": {f"model.{name}": tensor for name, tensor in state.items()}}, base)
    merged = read_source(Source(base, lora=tmp_path / "lora.safetensors")).state["blocks.0.ffn.net.0.proj.weight"]
    expected = state[f"{LAYER}.weight"] + (0.5 if alpha else 1.0) * matrices[1] @ matrices[0]
    torch.testing.assert_close(merged, expected)


def test_the_alpha_of_a_loras_configuration_counts(tmp_path, state):
    torch.save(state, tmp_path / "base.pt")
    torch.manual_seed(1)
    down, up = torch.randn(4, 128), torch.randn(64, 4)
    tensors, told = {f"{LAYER}.lora_A.weight": down, f"{LAYER}.lora_B.weight": up}, {"r": 4, "lora_alpha": 16}
    peft = tmp_path / "adapter"
    peft.mkdir()
    save_file(tensors, peft / "adapter_model.safetensors")
    (peft / "adapter_config.json").write_text(json.dumps(told))
    own = tmp_path / "own.safetensors"
    metadata = json.dumps({f"transformer.{name}": value for name, value in told.items()})
    save_file(tensors, own, metadata={"lora_adapter_metadata": metadata})
    for lora in (peft, peft / "adapter_model.safetensors", own):
        merged = read_source(Source(tmp_path / "base.pt", lora=lora)).state["blocks.0.ffn.net.0.proj.weight"]
        torch.testing.assert_close(merged, state[f"{LAYER}.weight"] + 4 * up @ down)
    (peft / "adapter_config.json").write_text(json.dumps(told | {"use_rslora": True}))
    with pytest.raises(RequestError, match="use_rslora set, which is not merged here"):
        read_source(Source(tmp_path / "base.pt", lora=peft))


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        ({}, "holds no named tensors"),
        (
            {f"{LAYER}.lora_A.weight": torch.zeros(4, 128), f"{LAYER}.lora_B.weight": torch.zeros(64, 5)},
            "does not fit",
        ),
        (
            {f"{LAYER}.lora_A.weight": torch.zeros(0, 128), f"{LAYER}.lora_B.weight": torch.zeros(64, 0)},
            "does not fit",
        ),
        ({f"{LAYER}.lora_A.weight": torch.zeros(4, 128)}, "holds 1 parts that do not fit"),
        ({f"{LAYER}.diff_b": torch.zeros(64)}, "or merge it with the code that wrote it"),
        (
            {f"{LAYER}.lora_A.weight": torch.full((4, 128), torch.nan), f"{LAYER}.lora_B.weight": torch.zeros(64, 4)},
            "lora.pt' holds numbers that are none",
        ),
    ],
)
def test_a_lora_that_cannot_be_merged_is_named(lora, words, tmp_path, state):
    torch.save(state, tmp_path / "base.pt")
    torch.save({"generator_lora": lora}, tmp_path / "lora.pt")
    with pytest.raises(RequestError, match=rf"lora.pt.*{words}|{words}"):
        read_source(Source(tmp_path / "base.pt", lora=tmp_path / "lora.pt"))
