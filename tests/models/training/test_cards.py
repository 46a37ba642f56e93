"""Publishing: float16 weights that load again, a card that tells how they were made, and a clear refusal."""

import json

import pytest
import torch
from safetensors.torch import load_file

from models.networks.transformer import CausalVideoTransformer
from models.training.cards import publish
from workbench.__main__ import main


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    model = CausalVideoTransformer(
        num_attention_heads=2, attention_head_dim=12, ffn_dim=24, num_layers=1, text_dim=8, freq_dim=8
    )
    model.save_pretrained(folder / "export" / "generator")
    (folder / "run.json").write_text(json.dumps({"seed": 3, "recipe": "asd", "preset": "smoke", "config": {"lr": 1}}))
    (folder / "log.jsonl").write_text(
        "".join(json.dumps({"step": i, "seconds": i / 2, "loss": 1 / i}) + "\n" for i in (1, 2, 3))
    )
    return folder


def test_published_weights_are_half_precision_and_carry_a_card(run, tmp_path):
    card = publish(run, "generator", tmp_path / "asset", "a remark")
    stored = load_file(tmp_path / "asset" / "diffusion_pytorch_model.safetensors")
    assert all(tensor.dtype == torch.float16 for tensor in stored.values())
    again = CausalVideoTransformer.from_pretrained(tmp_path / "asset", low_cpu_mem_usage=False)
    assert card == json.loads((tmp_path / "asset" / "card.json").read_text())
    assert str(tmp_path) not in (tmp_path / "asset" / "config.json").read_text()
    facts = ("recipe", "preset", "seed", "steps", "seconds", "remarks")
    assert [card[key] for key in facts] == ["asd", "smoke", 3, 3, 1.5, "a remark"]
    assert card["curve"][0]["loss"] == 1 and card["parameters"] == sum(p.numel() for p in again.parameters())


def test_a_run_without_weights_is_refused_with_what_it_has(run, tmp_path, capsys):
    assert main(["publish", str(run), "teacher", str(tmp_path / "asset")]) == 2
    assert "this run has generator" in capsys.readouterr().err and not (tmp_path / "asset").exists()
