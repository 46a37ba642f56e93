"""Weights in 8 bits: how far they are off, and that both kinds of folder load."""

import json

import pytest
import torch

from models.networks.transformer import CausalVideoTransformer
from models.registry import create_pipeline
from models.training.cards import publish
from models.types import GenerationRequest, RequestError
from models.weights import FILE, dequantize, load_model, quantize, save_int8
from workbench.__main__ import main


@pytest.mark.parametrize("shape", [(7, 5), (4, 3, 1, 2, 2), (1, 6, 8), (3, 1)])
def test_values_come_back_within_half_a_scale_of_their_row(shape):
    tensor = torch.randn(shape, generator=torch.Generator().manual_seed(0)) * 3
    values, scale = quantize(tensor)
    back = dequantize(values, scale)
    assert values.dtype == torch.int8 and back.shape == tensor.shape
    error = (back - tensor).abs().flatten(1).amax(1)
    assert (error <= scale / 2 + 1e-6).all()
    assert torch.equal(quantize(torch.zeros(2, 3))[0], torch.zeros(2, 3, dtype=torch.int8))


def test_a_known_row():
    values, scale = quantize(torch.tensor([[1.27, -0.5, 0.004]]))
    assert values.tolist() == [[127, -50, 0]] and float(scale[0]) == pytest.approx(0.01)


def test_both_kinds_of_folder_load(tmp_path, tiny):
    model = tiny.transformer
    save_int8(model, tmp_path / "small")
    model.save_pretrained(tmp_path / "whole")
    small, whole = (load_model(CausalVideoTransformer, tmp_path / name) for name in ("small", "whole"))
    for name, tensor in model.state_dict().items():
        assert torch.equal(whole.state_dict()[name], tensor)
        assert torch.allclose(small.state_dict()[name], tensor, atol=float(tensor.abs().max()) / 200 + 1e-4), name


@pytest.mark.parametrize("step, kept", [(0.2, False), (20.0, True)])
def test_8_bits_are_refused_where_they_take_back_what_was_trained(tmp_path, tiny, step, kept):
    run = trained_run(tmp_path, tiny, step)
    if kept:
        assert publish(run, "generator", tmp_path / "asset", bits=8)["steps"] == 1
        return
    refused = (
        r"8 bits would round these weights by 1\d\d % of .*; publish .* --bits 16, or as differences .* --onto DIR"
    )
    with pytest.raises(RequestError, match=refused):
        publish(run, "generator", tmp_path / "asset", bits=8)
    assert not (tmp_path / "asset").exists()
    assert publish(run, "generator", tmp_path / "asset", bits=16)["steps"] == 1


def trained_run(folder, tiny, step):
    """A run whose weights start on the steps of 8 bits and move by `step` of them."""
    start, run = folder / "start", folder / "run"
    save_int8(tiny.transformer, start)
    model = load_model(CausalVideoTransformer, start)
    noise = torch.Generator().manual_seed(0)
    for tensor in model.state_dict().values():
        if tensor.ndim > 1:
            scale = tensor.flatten(1).abs().amax(1).view(-1, *[1] * (tensor.ndim - 1)) / 127
            tensor += step * scale * torch.randn(tensor.shape, generator=noise)
    model.save_pretrained(run / "export" / "generator")
    settings = {"roles": {"generator": str(start)}}
    (run / "run.json").write_text(json.dumps({"seed": 0, "recipe": "asd", "preset": "shapes", "config": settings}))
    (run / "log.jsonl").write_text(json.dumps({"step": 1, "seconds": 1.0, "loss": 0.5}) + "\n")
    return run


@pytest.mark.parametrize("step", [0.02, 0.2, 20.0])
def test_differences_keep_what_was_trained_however_small_it_is(tmp_path, tiny, step):
    run = trained_run(tmp_path, tiny, step)
    before, after = (
        load_model(CausalVideoTransformer, folder).state_dict()
        for folder in (tmp_path / "start", run / "export" / "generator")
    )
    card = publish(run, "generator", tmp_path / "asset", bits=8, onto=tmp_path / "start")
    kept = load_model(CausalVideoTransformer, tmp_path / "asset").state_dict()
    for name, tensor in after.items():
        change = tensor - before[name]
        assert (kept[name] - tensor).norm() <= 0.02 * change.norm() + 1e-6, name
    assert card["start"] == "start"
    sizes = [(tmp_path / folder / FILE).stat().st_size for folder in ("asset", "start")]
    assert sizes[0] == pytest.approx(sizes[1], abs=500)


def test_differences_without_their_start_as_it_was_are_refused(tmp_path, tiny):
    run = trained_run(tmp_path, tiny, 0.2)
    publish(run, "generator", tmp_path / "asset", bits=8, onto=tmp_path / "start")
    (tmp_path / "start").rename(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match=r"are differences from those in '.*start', which are gone or others now"):
        load_model(CausalVideoTransformer, tmp_path / "asset")
    other = load_model(CausalVideoTransformer, tmp_path / "elsewhere")
    next(other.parameters()).data += 1
    save_int8(other, tmp_path / "start")
    with pytest.raises(RequestError, match="gone or others now"):
        load_model(CausalVideoTransformer, tmp_path / "asset")


def test_publish_says_what_differences_need(tmp_path, tiny, capsys):
    run = trained_run(tmp_path, tiny, 0.2)
    words = ["publish", str(run), "generator", str(tmp_path / "asset"), "--onto"]
    for more, said in (
        ([str(tmp_path / "start")], "goes with --bits 8"),
        ([str(tmp_path / "nothing"), "--bits", "8"], "holds no weights"),
        ([str(run / "export" / "generator"), "--bits", "8"], "does not lie beside"),
    ):
        assert main([*words, *more]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "asset").exists()
    assert main([*words, str(tmp_path / "start"), "--bits", "8"]) == 0
    assert load_model(CausalVideoTransformer, tmp_path / "asset")


def test_a_model_published_in_8_bits_makes_nearly_the_same_clip(tmp_path, tiny):
    run = tmp_path / "run"
    pipeline = create_pipeline("shapes-asd")
    pipeline.transformer.save_pretrained(run / "export" / "generator")
    (run / "run.json").write_text(json.dumps({"seed": 0, "recipe": "asd", "preset": "shapes", "config": {}}))
    (run / "log.jsonl").write_text(json.dumps({"step": 1, "seconds": 1.0, "loss": 0.5}) + "\n")
    card = publish(run, "generator", tmp_path / "asset", bits=8)
    assert card["model"] == "CausalVideoTransformer" and (tmp_path / "asset" / FILE).stat().st_size < 5e6
    request = GenerationRequest("a red circle moving right on a black background", steps=2, seed=3, frames=25)
    whole = pipeline(request).frames.astype(float)
    pipeline.transformer = load_model(CausalVideoTransformer, tmp_path / "asset").eval()
    assert ((pipeline(request).frames - whole) ** 2).mean() < 255**2 / 10**4  # 40 dB
