"""From a model's name to a pipeline that is ready to run. The only constructor others use."""

import difflib
import hashlib
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.specs import MODELS, ModelSpec
from models.types import RequestError
from models.wan.places import missing
from models.wan.source import FORM, PREFIX, of_checkpoint, parse_source

if TYPE_CHECKING:
    from models.pipeline import VideoPipeline

log = logging.getLogger(__name__)
ASSETS = Path(__file__).resolve().parents[1] / "assets"
AUTOENCODER = "shapes-autoencoder"
TEXT_ENCODER = "shapes-text-encoder"
USUAL_ROW = "self-forcing-wan-1.3b"


def register(text: str) -> ModelSpec:
    """Add a network of one's own, given as `path:FILE[#ENTRY][+LORA][@ROW]`, to the table. It is sampled as `ROW` is,
    by default as the row whose file has its name, else as Self Forcing. Raises RequestError."""
    source = parse_source(text)
    if not source.path.exists():
        raise RequestError(f"{str(source.path)!r} is not there; give {FORM}")
    if source.path.is_dir() and (source.path / "transformer").is_dir():
        source = replace(source, path=source.path / "transformer")
    released = [spec for spec in MODELS.values() if spec.checkpoint]
    named = [spec for spec in released if spec.checkpoint.file.name == source.path.name]
    row = get_spec(source.row) if source.row else named[0] if len(named) == 1 else get_spec(USUAL_ROW)
    if row.family != "wan":
        raise RequestError(f"{row.name} is of the {row.family} family; name a Wan model after @, as {USUAL_ROW}")
    note = f"your own file, sampled as {row.name}"
    spec = replace(row, name=source.name, title=source.path.name, note=note, license="your own", source=source)
    MODELS[spec.name] = spec
    return spec


def list_models() -> list[ModelSpec]:
    """Every model of the table, in its order."""
    return list(MODELS.values())


def get_spec(name: str) -> ModelSpec:
    """The row of `name`; an unknown name is answered with what exists."""
    if name in MODELS:
        return MODELS[name]
    if name.startswith(PREFIX):
        raise RequestError(f"{name!r} is not open here; give it to the command line as --model path:FILE")
    near = difflib.get_close_matches(name, MODELS, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise RequestError(f"model '{name}' is not in the registry; choose one of {', '.join(MODELS)}{hint}")


def weight_folders(spec: ModelSpec) -> list[Path]:
    """The folders a model is loaded from: transformer, text encoder, autoencoder."""
    return [ASSETS / spec.weights, ASSETS / TEXT_ENCODER, ASSETS / AUTOENCODER]


def unavailable(spec: ModelSpec) -> str | None:
    """Why a model cannot run here, or None when it can."""
    if spec.source:
        return None
    if spec.checkpoint:
        wanted = sum(file.gigabytes for file in missing(spec.checkpoint))
        return f"it needs {wanted:.1f} GB to download (`models --download {spec.name}`)" if wanted else None
    absent = [f"assets/{folder.name}" for folder in weight_folders(spec) if not (folder / "config.json").exists()]
    return f"its weights are missing: {', '.join(absent)}" if absent else None


def watchable() -> list[ModelSpec]:
    """The models that Insight can watch here: causal ones that predict the clean chunk in few steps."""
    return [spec for spec in list_models() if spec.few_step and "t2v" in spec.tasks and not unavailable(spec)]


def weights_digest(spec: ModelSpec) -> str:
    """SHA-256 over all weight files and configs a model is loaded from, as hex; of a Wan model, over its network."""
    if spec.source or spec.checkpoint:
        return (spec.source or of_checkpoint(spec.checkpoint)).digest()
    digest = hashlib.sha256()
    for folder in weight_folders(spec):
        for path in sorted(folder.glob("*")):
            if path.suffix in (".safetensors", ".json") and path.name != "card.json":
                digest.update(path.name.encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def create_pipeline(name: str, *, device: str = "cpu") -> "VideoPipeline":
    """Load a model, ready to generate on `device`: in float32, a Wan model on a GPU in bf16."""
    spec = get_spec(name)
    reason = unavailable(spec)
    if reason:
        raise RequestError(f"model '{name}' cannot run here: {reason}; `python -m workbench models` lists what can")
    # who only looks at the table should not wait for torch
    from models.networks.autoencoder import ShapesAutoencoder  # noqa: PLC0415
    from models.networks.codec import Codec  # noqa: PLC0415
    from models.networks.text_encoder import ShapesTextEncoder  # noqa: PLC0415
    from models.networks.transformer import CausalVideoTransformer  # noqa: PLC0415
    from models.pipeline import VideoPipeline  # noqa: PLC0415
    from models.weights import load_model  # noqa: PLC0415

    # the hub is not asked from here: weights are local files, and a missing file is an error, not a download
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if spec.family == "wan":
        from models.wan.create import create_wan_pipeline  # noqa: PLC0415

        return create_wan_pipeline(spec, device)
    parts = [
        load_model(kind, folder).eval().requires_grad_(False).to(device)
        for kind, folder in zip(
            (CausalVideoTransformer, ShapesTextEncoder, ShapesAutoencoder), weight_folders(spec), strict=True
        )
    ]
    transformer, text_encoder, autoencoder = parts
    return VideoPipeline(spec, transformer, text_encoder, Codec(autoencoder))
