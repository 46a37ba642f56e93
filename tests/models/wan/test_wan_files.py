"""Checkpoint files as their authors write them: every weight used once, refused when not, and back again."""

import pytest
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers, convert_wan_vae_to_diffusers
from safetensors.torch import save_file
from transformers import UMT5Config, UMT5EncoderModel

from models.types import RequestError
from models.wan.files import choose_entry, read_network, to_network, to_original
from models.wan.load import load_transformer, load_umt5, load_vae, read_source, transformer_config, vae_config
from models.wan.lora import merge_lora
from models.wan.names import TRANSFORMER, UMT5, VAE, bare_name
from models.wan.source import Source, parse_source
from tests.helpers.golden_data import golden, golden_network
from tests.helpers.wan_data import FULL, layouts, original_state, transformer
from workbench.__main__ import main

NAMES = list(layouts(original_state(transformer())))


def meta(kind, **config):
    with torch.device("meta"):
        return kind(**config)


@pytest.fixture(autouse=True)
def no_gradient():
    with torch.no_grad():
        yield


@pytest.fixture(scope="module")
def full_state():
    """Original names and shapes of the 1.3B network, without memory."""
    return original_state(meta(WanTransformer3DModel, **FULL))


@pytest.fixture(scope="module")
def full_shapes():
    return {name: tensor.shape for name, tensor in meta(WanTransformer3DModel, **FULL).state_dict().items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_layout_is_read_at_full_size(name, full_state, full_shapes):
    network = to_network(choose_entry(layouts(full_state)[name], name)[0])
    assert {key: tensor.shape for key, tensor in network.state.items()} == full_shapes
    assert len(network.state) == 825 and sum(t.numel() for t in network.state.values()) == 1_418_996_800
    config = transformer_config(network.state)
    assert (config["num_attention_heads"], config["ffn_dim"], config["num_layers"]) == (12, 8960, 30)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_every_layout_is_loaded_and_gives_the_networks_output(name, tmp_path):
    network = transformer()
    content = layouts(original_state(network))[name]
    torch.save(content, tmp_path / "file.pt")
    paths = [tmp_path / "file.pt"]
    if all(isinstance(value, torch.Tensor) for value in content.values()):
        paths.append(tmp_path / "file.safetensors")
        save_file({key: tensor.clone() for key, tensor in content.items()}, paths[-1])
    x, text, time = torch.randn(1, 3, 16, 4, 4), torch.randn(1, 5, 32), torch.tensor([500.0])
    for path in paths:
        loaded = load_transformer(read_network(path), torch.float32)
        torch.testing.assert_close(loaded(x, time, text), network(x, time, text), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("config", "tensors", "parameters"),
    [
        ({"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40}, 1095, 14_288_491_584),
        (
            {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40, "in_channels": 36}
            | {"image_dim": 1280, "added_kv_proj_dim": 5120},
            1303,
            16_394_878_784,
        ),
        (
            {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40, "in_channels": 36}
            | {"image_dim": 1280, "added_kv_proj_dim": 5120, "pos_embed_seq_len": 514},
            1304,
            16_395_536_704,
        ),
        (
            {"num_attention_heads": 24, "ffn_dim": 14336, "num_layers": 30, "in_channels": 48, "out_channels": 48},
            825,
            4_999_787_712,
        ),
    ],
    ids=["T2V 14B", "I2V 14B", "FLF2V 14B", "TI2V 5B"],
)
def test_names_are_a_bijection_and_shapes_tell_the_configuration(config, tensors, parameters):
    model = meta(WanTransformer3DModel, **config)
    original = original_state(model)
    assert len(original) == tensors and sum(t.numel() for t in original.values()) == parameters
    network = to_network(original)
    assert set(network.state) == set(model.state_dict())
    found = transformer_config(network.state)
    assert {key: found[key] for key in config} == config


def test_names_are_diffusers_own_mapping(full_state):
    ours = {name: TRANSFORMER.to_ours(name) for name in full_state}
    marked = {name: torch.full((1,), float(index)) for index, name in enumerate(full_state)}
    theirs = convert_wan_transformer_to_diffusers(dict(marked))
    assert {ours[name]: float(mark) for name, mark in marked.items()} == {n: float(t) for n, t in theirs.items()}


def test_autoencoder_names_are_diffusers_own_mapping():
    model = meta(AutoencoderKLWan)
    original = {VAE.to_original(name): tensor for name, tensor in model.state_dict().items()}
    network = to_network(original)
    assert len(original) == 194 and set(network.state) == set(model.state_dict())
    marked = {name: torch.full((1,), float(index)) for index, name in enumerate(original)}
    theirs = convert_wan_vae_to_diffusers(dict(marked))
    assert {VAE.to_ours(n): float(mark) for n, mark in marked.items()} == {n: float(t) for n, t in theirs.items()}
    assert vae_config(network.state) == {"base_dim": 96, "z_dim": 16}


def test_the_recorded_autoencoder_loads_by_its_original_names():
    vae, g = load_vae(to_network(golden("vae"))), golden("vae_io")
    found = vae.encode(g["video"].transpose(1, 2)).latent_dist.mode().transpose(1, 2)
    torch.testing.assert_close(found, g["encoded_unnormalized"], atol=1e-5, rtol=0)


def test_umt5_names_at_full_size_and_a_small_one_loads():
    full = {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    wanted = meta(UMT5EncoderModel, config=UMT5Config(**full, feed_forward_proj="gated-gelu")).state_dict()
    original = {UMT5.to_original(n): t for n, t in wanted.items() if n != "encoder.embed_tokens.weight"}
    assert len(original) == 242 and sum(t.numel() for t in original.values()) == 5_680_910_336
    assert set(to_network(original).state) == set(wanted) - {"encoder.embed_tokens.weight"}
    small = {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    torch.manual_seed(0)
    model = UMT5EncoderModel(UMT5Config(**small, feed_forward_proj="gated-gelu", dropout_rate=0)).eval()
    original = {UMT5.to_original(n): t for n, t in model.state_dict().items() if n != "encoder.embed_tokens.weight"}
    ids = torch.arange(7)[None]
    loaded = load_umt5(to_network(original), torch.float32)
    torch.testing.assert_close(loaded(ids).last_hidden_state, model(ids).last_hidden_state, atol=1e-5, rtol=0)
    assert loaded.shared.weight is loaded.encoder.embed_tokens.weight


def test_entries_are_chosen_by_name():
    first, second = (original_state(transformer(seed)) for seed in (0, 1))
    content = {"generator": first, "generator_ema": second, "step": 7}
    state, chosen, others = choose_entry(content, "f.pt")
    assert state["head.head.bias"] is second["head.head.bias"]
    assert (chosen, others) == ("generator_ema", ("generator",))
    assert choose_entry(content, "f.pt", "generator")[0]["head.head.bias"] is first["head.head.bias"]
    with pytest.raises(RequestError, match="no entry 'ema'; it holds generator_ema, generator"):
        choose_entry(content, "f.pt", "ema")


def test_what_is_not_the_whole_network_is_refused_by_its_first_three_offenders():
    state = original_state(transformer())
    strange = state | {f"blocks.0.adapter.{index}.weight": torch.zeros(1) for index in range(5)}
    with pytest.raises(RequestError, match=r"5 weights .* blocks.0.adapter.0.weight, blocks.0.adapter.1.weight, \S+;"):
        to_network(strange)
    partial = {name: tensor for name, tensor in state.items() if not name.startswith("blocks.1.ffn")}
    with pytest.raises(RequestError, match=r"lacks 4 weights .*blocks.1.ffn.net.0.proj.weight"):
        load_transformer(to_network(partial))
    unlike = state | {"blocks.1.self_attn.q.bias": torch.zeros(3)}
    with pytest.raises(RequestError, match=r"another shape 1 weights .*blocks.1.attn1.to_q.bias is \(3,\)"):
        load_transformer(to_network(unlike))
    with pytest.raises(RequestError, match="more than one network"):
        to_network(state | {f"model.{name}": tensor for name, tensor in state.items()})
    with pytest.raises(RequestError, match="holds no Wan transformer"):
        to_network({"conv.weight": torch.zeros(1)})
    with pytest.raises(RequestError, match="image or frame-rate inputs"):
        load_transformer(to_network(original_state(meta(WanTransformer3DModel, **FULL, image_dim=1280))))


class _Code:
    def __reduce__(self):
        return print, ("this must never run",)


def test_files_that_could_run_code_or_are_broken_are_refused(tmp_path, capsys):
    path = tmp_path / "code.pt"
    torch.save({"generator": {}, "trainer": _Code()}, path)
    with pytest.raises(RequestError, match="which could run code"):
        read_network(path)
    assert capsys.readouterr().out == ""
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RequestError, match="cut off"):
        read_network(path)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(b"\x10")
    with pytest.raises(RequestError, match="not a safetensors file"):
        read_network(torn)
    with pytest.raises(RequestError, match="is not there"):
        read_network(tmp_path / "nothing.pt")


@pytest.mark.parametrize("name", ["Wan2.1", "Causal-Forcing", "rCM", "FSDP and compile"])
def test_back_to_the_original_layout(name, tmp_path):
    content = layouts(original_state(transformer()))[name]
    torch.save(content, tmp_path / "in.pt")
    assert main(["convert", str(tmp_path / "in.pt"), str(tmp_path / "folder")]) == 0
    assert main(["convert", str(tmp_path / "folder"), str(tmp_path / "out.pt")]) == 0
    state, entry, _ = choose_entry(content, name)
    again = torch.load(tmp_path / "out.pt", weights_only=True)
    found = again[entry] if entry else again
    assert list(found) == list(state) and all(torch.equal(found[key], state[key]) for key in state)


def test_a_converted_folder_is_diffusers_own(tmp_path):
    network = transformer()
    torch.save({"generator": original_state(network)}, tmp_path / "in.pt")
    assert main(["convert", str(tmp_path / "in.pt"), str(tmp_path / "folder"), "--dtype", "bfloat16"]) == 0
    theirs = WanTransformer3DModel.from_pretrained(tmp_path / "folder", torch_dtype=torch.bfloat16)
    ours = load_transformer(read_network(tmp_path / "folder"))
    assert theirs.blocks[1].ffn.net[2].weight.dtype == torch.bfloat16
    assert all(torch.equal(a.bfloat16(), ours.state_dict()[name]) for name, a in theirs.state_dict().items())
    assert main(["convert", str(tmp_path / "folder"), str(tmp_path / "folder")]) == 2


def test_a_plain_diffusers_folder_is_written_under_original_names(tmp_path):
    network = transformer()
    network.save_pretrained(tmp_path / "in")
    assert main(["convert", str(tmp_path / "in"), str(tmp_path / "out.safetensors")]) == 0
    found, expected = read_network(tmp_path / "out.safetensors"), original_state(network)
    assert set(found.layout.names.values()) == set(expected)
    assert all(torch.equal(to_original(found)[name], expected[name]) for name in expected)


def test_a_merged_lora_is_the_base_and_its_branch():
    """The second implementation adds the branch to every linear layer at run time, as peft does."""
    network = transformer()
    state = original_state(network)
    torch.manual_seed(1)
    kinds = ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "cross_attn.q", "cross_attn.k")
    kinds += ("cross_attn.v", "cross_attn.o", "ffn.0", "ffn.2")
    lora = {}
    for layer in range(2):
        for kind in kinds:
            outs, ins = state[f"blocks.{layer}.{kind}.weight"].shape
            stem = f"base_model.model.blocks.{layer}.{kind}"
            lora |= {f"{stem}.lora_A.weight": torch.randn(4, ins), f"{stem}.lora_B.weight": torch.randn(outs, 4) / 50}
    merged = load_transformer(to_network(merge_lora(state, lora, alpha=8)), torch.float32)

    def branch(down, up):
        return lambda module, inputs, output: output + 2 * inputs[0] @ down.T @ up.T

    modules = dict(network.named_modules())
    for name in lora:
        if ".lora_A." in name:
            stem = bare_name(name).partition(".lora_A")[0]
            ours = TRANSFORMER.to_ours(f"{stem}.weight").removesuffix(".weight")
            modules[ours].register_forward_hook(branch(lora[name], lora[name.replace("lora_A", "lora_B")]))
    x, text, time = torch.randn(1, 3, 16, 4, 4), torch.randn(1, 5, 32), torch.tensor([500.0])
    torch.testing.assert_close(merged(x, time, text), network(x, time, text), atol=1e-4, rtol=0)
    with pytest.raises(RequestError, match=r"parts that do not fit its base: blocks.7.ffn.0"):
        merge_lora(state, lora | {"blocks.7.ffn.0.lora_A.weight": torch.zeros(4, 4)})


def test_a_base_with_its_lora_is_one_source(tmp_path):
    state = original_state(transformer())
    torch.save({"generator": {f"model.{name}": tensor for name, tensor in state.items()}}, tmp_path / "base.pt")
    stem = "base_model.model.blocks.0.ffn.0"
    down, up = torch.randn(4, 128), torch.randn(64, 4)
    torch.save({"generator_lora": {f"{stem}.lora_A.weight": down, f"{stem}.lora_B.weight": up}}, tmp_path / "lora.pt")
    network = read_source(parse_source(f"path:{tmp_path}/base.pt+{tmp_path}/lora.pt@longlive"))
    expected = state["blocks.0.ffn.0.weight"] + up @ down
    torch.testing.assert_close(network.state["blocks.0.ffn.net.0.proj.weight"], expected)
    with pytest.raises(RequestError, match="give its base too"):
        read_network(tmp_path / "lora.pt")


def test_sources_are_read(tmp_path):
    assert parse_source("path:a.pt#generator@row") == Source(parse_source("path:a.pt").path, "generator", None, "row")
    odd = tmp_path / "a+b#c.pt"
    odd.touch()
    assert parse_source(f"path:{odd}") == Source(odd)
    assert str(parse_source(f"path:{odd}")) == f"path:{odd}"
    with pytest.raises(RequestError, match="names no file"):
        parse_source("path:")


def test_recorded_weights_are_read_as_before():
    network = to_network(golden("transformer"))
    assert set(network.state) == set(golden_network().state_dict())
    assert "'model.' removed" in network.report() or not network.layout.marks
