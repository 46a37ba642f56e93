"""Trained weights become assets: cast to 16 or 8 bits, with a card that says how they were made."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from models.networks.autoencoder import ShapesAutoencoder
from models.networks.diffusers_parts import ModelMixin
from models.networks.text_encoder import ShapesTextEncoder
from models.networks.transformer import CausalVideoTransformer
from models.networks.video_autoencoder import VideoAutoencoder
from models.networks.world_clip import WorldClip
from models.types import RequestError
from models.weights import CARD, DIGESTS, START, dequantize, digests, load_model, quantize, save_int8

CLASSES: dict[str, type[ModelMixin]] = {
    cls.__name__: cls
    for cls in (CausalVideoTransformer, ShapesAutoencoder, ShapesTextEncoder, VideoAutoencoder, WorldClip)
}
CURVE_POINTS = 80
ROUNDING = 0.3


def publish(
    run: Path, part: str, target: Path, remarks: str = "", *, bits: int = 16, onto: Path | None = None
) -> dict[str, Any]:
    """Write `run`'s exported `part` to `target` in 16 or 8 bits with `card.json`; returns the card. With `onto`, a
    folder beside `target`, the 8 bits hold the difference from the weights there.

    Raises FileNotFoundError when the run has not exported that part, and RequestError where 8 bits would lose what
    the run has changed of the weights that it started from.
    """
    source = run / "export" / part
    config = json.loads((source / "config.json").read_text())
    model = CLASSES[config["_class_name"]].from_pretrained(source, torch_dtype=torch.float32, low_cpu_mem_usage=False)
    card = make_card(run, model, remarks)
    if bits == 8:
        if onto is None:
            check_rounding(model, start_of(card["settings"], part))
        else:
            card[START] = onto.name
        save_int8(model, target, onto)
    else:
        model.half().save_pretrained(target)
    config.update(json.loads((target / "config.json").read_text()))
    config.pop("_name_or_path", None)  # where the run lay is nobody's business
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    card[DIGESTS] = digests(target)
    (target / CARD).write_text(json.dumps(card, indent=1) + "\n")
    return card


def start_of(settings: dict[str, Any] | None, part: str) -> Path | None:
    """The folder of the weights that a run's exported `part` started from, as its settings tell it; None for none."""
    roles = (settings or {}).get("roles") or {}
    found = roles.get(part) or (settings or {}).get("start")
    return Path(found) if found and (Path(found) / "config.json").is_file() else None


def check_rounding(model: ModelMixin, start: Path | None) -> None:
    """Raises RequestError where rounding to 8 bits is more than ROUNDING of what training has changed since `start`.

    Weights that start from 8 bits lie on their steps, and what a short training adds to them is less than a step, so
    that rounding takes most of it back.
    """
    if start is None:
        return
    before = load_model(type(model), start).state_dict()
    lost = changed = 0.0
    for name, tensor in model.state_dict().items():
        if tensor.ndim < 2 or name not in before or before[name].shape != tensor.shape:
            continue
        lost += float((dequantize(*quantize(tensor)) - tensor).square().sum())
        changed += float((tensor - before[name]).square().sum())
    if changed and lost > ROUNDING**2 * changed:
        share = 100 * (lost / changed) ** 0.5
        raise RequestError(
            f"8 bits would round these weights by {share:.0f} % of what training has changed since {str(start)!r}, "
            f"and {100 * ROUNDING:.0f} % is the most; publish them with --bits 16, or as differences from what ships "
            "with --onto DIR"
        )


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
        # learning rates that the run had before a resumed step: {"step": int, name: [before, after]}
        "changes": record.get("changes", []),
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
