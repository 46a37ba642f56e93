"""Trained weights become assets: cast to 16 or 8 bits, with a card that says how they were made."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin

from models.networks.autoencoder import ShapesAutoencoder
from models.networks.text_encoder import ShapesTextEncoder
from models.networks.transformer import CausalVideoTransformer
from models.networks.video_autoencoder import VideoAutoencoder
from models.networks.world_clip import WorldClip
from models.weights import CARD, DIGESTS, digests, save_int8

CLASSES: dict[str, type[ModelMixin]] = {
    cls.__name__: cls
    for cls in (CausalVideoTransformer, ShapesAutoencoder, ShapesTextEncoder, VideoAutoencoder, WorldClip)
}
CURVE_POINTS = 80


def publish(run: Path, part: str, target: Path, remarks: str = "", *, bits: int = 16) -> dict[str, Any]:
    """Write `run`'s exported `part` to `target` in 16 or 8 bits with `card.json`; returns the card.

    Raises FileNotFoundError when the run has not exported that part.
    """
    source = run / "export" / part
    config = json.loads((source / "config.json").read_text())
    model = CLASSES[config["_class_name"]].from_pretrained(source, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    card = make_card(run, model, remarks)
    if bits == 8:
        save_int8(model, target)
    else:
        model.half().save_pretrained(target)
    card[DIGESTS] = digests(target)
    (target / CARD).write_text(json.dumps(card, indent=1) + "\n")
    return card


def make_card(run: Path, model: ModelMixin, remarks: str) -> dict[str, Any]:
    """Recipe, preset, settings, seed, steps, wall time, date, and the training curve thinned to a few dozen points."""
    record = json.loads((run / "run.json").read_text())
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {
        "model": type(model).__name__,
        "parameters": sum(p.numel() for p in model.parameters()),
        "recipe": record.get("recipe"),
        "preset": record.get("preset"),
        "settings": record.get("config"),
        "precision": record.get("precision", "fp32"),
        "seed": record["seed"],
        "steps": lines[-1]["step"],
        "seconds": lines[-1]["seconds"],
        "hardware": record.get("hardware") or f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "license": "Apache-2.0",
        "remarks": remarks,
        "curve": lines[:: max(1, len(lines) // CURVE_POINTS)],
    }
