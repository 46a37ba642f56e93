"""From a model's name to a pipeline that is ready to run. The only constructor others use."""

import difflib
import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.specs import MODELS, ModelSpec
from models.types import GenerationRequest, RequestError
from models.wan.adapted_kinds import KINDS, kind_of
from models.wan.places import check_there, missing
from models.wan.source import FORM, PREFIX, Source, network_source, of_checkpoint, parse_source

if TYPE_CHECKING:
    from models.pipeline import VideoPipeline

log = logging.getLogger(__name__)
ASSETS = Path(__file__).resolve().parents[1] / "assets"
USUAL_ROW = "self-forcing-wan-1.3b"


def register(text: str) -> ModelSpec:
    """Add a network of one's own, given as `path:FILE[#ENTRY][+LORA][@ROW]`, to the table. It is sampled as `ROW` is,
    by default as the row whose file has its name, else as Self Forcing. Files of the same name in several folders are
    told apart by as many of their folders as that takes. Raises RequestError."""
    if not text.startswith(PREFIX):
        raise RequestError(f"{text[:80]!r} is no file of your own; give {FORM}")
    source = parse_source(text)
    check_there(source.path, f"give {FORM}")
    if kind := kind_of(source.path):
        note = f"{KINDS[kind].title}: your own folder, run by diffusers' {kind}"
        return _add(source, ModelSpec("", "", note=note, pipeline=kind, **KINDS[kind].row))
    if source.lora:
        check_there(source.lora, f"give {FORM}", "the LoRA ")
    source = network_source(source)
    released = [spec for spec in MODELS.values() if spec.checkpoint]
    named = [spec for spec in released if spec.checkpoint.file.name == source.path.name]
    row = get_spec(source.row) if source.row else named[0] if len(named) == 1 else get_spec(USUAL_ROW)
    if row.family != "wan":
        raise RequestError(f"{row.name} is of the {row.family} family; name a Wan model after @, as {USUAL_ROW}")
    return _add(source, replace(row, note=f"your own file, sampled as {row.name}", license="your own"))


def _add(source: Source, row: ModelSpec) -> ModelSpec:
    others = {name: spec.source for name, spec in MODELS.items() if spec.source and spec.source != source}
    depths = range(len(source.path.absolute().parts))
    name = next(name for name in map(source.name, depths) if name not in others)
    spec = replace(row, name=name, title=name.removeprefix(PREFIX), source=source)
    MODELS[spec.name] = spec
    return spec


def opened(spec: ModelSpec) -> str:
    """One sentence on a network of one's own: its name, and what it is sampled as."""
    other = "" if spec.pipeline else "; write path:FILE@ROW for another way of sampling"
    return f"{spec.name}: {spec.note}{other}"


def own_sources() -> tuple[str, ...]:
    """The networks of one's own that are in the table, as `register` reads them in another process."""
    return tuple(str(spec.source) for spec in MODELS.values() if spec.source)


def list_models() -> list[ModelSpec]:
    """Every model of the table, in its order."""
    return list(MODELS.values())


def get_spec(name: str) -> ModelSpec:
    """The row of `name`; an unknown name is answered with what exists."""
    if name in MODELS:
        return MODELS[name]
    if name.startswith(PREFIX):
        raise RequestError(f"{name!r} is not open here; start the app, or the command, with --model path:FILE")
    near = difflib.get_close_matches(name, MODELS, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise RequestError(f"model {name[:80]!r} is not in the registry; choose one of {', '.join(MODELS)}{hint}")


def weight_folders(spec: ModelSpec) -> list[Path]:
    """The folders a model is loaded from: transformer, text encoder, autoencoder."""
    return [ASSETS / spec.weights, *(ASSETS / f"{spec.family}-{part}" for part in ("text-encoder", "autoencoder"))]


def unavailable(spec: ModelSpec) -> str | None:
    """Why a model cannot run here, or None when it can."""
    if spec.source:
        return None
    if spec.checkpoint:
        wanted = sum(file.gigabytes for file in missing(spec.checkpoint))
        size = "less than 0.1" if wanted < 0.1 else f"{wanted:.1f}"
        return f"it needs {size} GB to download (`models --download {spec.name}`)" if wanted else None
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


def create_pipeline(
    name: str,
    *,
    device: str = "cpu",
    say: Callable[[str], None] = log.info,
    asked: GenerationRequest | None = None,
    compile: str = "off",
) -> "VideoPipeline":
    """Load a model, ready to generate on `device`: in float32, a Wan model on a GPU in bf16. `say` is told before it
    is loaded how a large model will fit; where its own size and window do not, it is loaded for a clip as `asked`.
    `compile`, one of `COMPILE`, is how its layers are compiled when they are first run."""
    spec = get_spec(name)
    reason = unavailable(spec)
    if reason:
        raise RequestError(f"model '{name}' cannot run here: {reason}; `python -m workbench models` lists what can")
    # who only looks at the table should not wait for torch
    from models.networks.codec import Codec, load_codec
    from models.networks.text_encoder import ShapesTextEncoder
    from models.networks.transformer import CausalVideoTransformer
    from models.pipeline import VideoPipeline
    from models.weights import load_model

    # the hub is not asked from here: weights are local files, and a missing file is an error, not a download
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if spec.pipeline:
        from models.wan.adapted import create_adapted_pipeline

        return create_adapted_pipeline(spec, device, say)
    if spec.family == "wan":
        from models.wan.create import create_wan_pipeline

        pipeline = create_wan_pipeline(spec, device, say=say, asked=asked)
        return _compiled(pipeline, compile, say)
    network, text, autoencoder = weight_folders(spec)
    transformer, text_encoder = (
        load_model(kind, folder).eval().requires_grad_(False).to(device)
        for kind, folder in ((CausalVideoTransformer, network), (ShapesTextEncoder, text))
    )
    codec = Codec(load_codec(autoencoder).autoencoder.to(device))
    pipeline = VideoPipeline(spec, transformer, text_encoder, codec, decodes_beside=device != "cpu")
    return _compiled(pipeline, compile, say)


def _compiled(pipeline: "VideoPipeline", how: str, say: Callable[[str], None]) -> "VideoPipeline":
    if how == "off":
        return pipeline
    if how == "graphs" and pipeline.transformer.device.type != "cuda":
        raise RequestError("--compile graphs needs a GPU; choose layers or off, or --device cuda")
    if any(hasattr(module, "_diffusers_hook") for module in pipeline.transformer.modules()):
        say(f"{pipeline.spec.name} is not compiled: its layers are cast or moved at every call to fit the memory")
        return pipeline
    if how == "graphs":  # which are bound to the thread that recorded them
        pipeline.decodes_beside = False
    pipeline.compile(how)
    return pipeline
