"""How many held-out captions a teacher's clips show, before it is published, and while it still trains."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from eval.oracles import ORACLES
from models.networks.codec import Codec, load_codec
from models.networks.text_encoder import ShapesTextEncoder
from models.networks.transformer import CausalVideoTransformer
from models.registry import ASSETS
from models.sampling.noise_levels import step_sigmas
from models.sampling.rollout import sample_flow
from models.types import RequestError
from models.weights import load_model
from models.worlds.training_worlds import WORLDS

PIECE = 4
"""Clips that are sampled at once."""


@dataclass(frozen=True)
class Teacher:
    """A teacher's networks; `step` is how far its training is, None for exported weights."""

    network: CausalVideoTransformer
    text: ShapesTextEncoder
    codec: Codec
    step: int | None = None


@dataclass(frozen=True)
class Sampling:
    """`steps` of the Euler sampler at noise levels shifted by `shift`, with guidance of scale `guidance`."""

    steps: int = 24
    shift: float = 8.0
    guidance: float = 2.0


@dataclass(frozen=True)
class JudgedClip:
    """A clip (T, H, W, 3) uint8 of `prompt`, and which parts of it the oracle sees."""

    prompt: str
    frames: np.ndarray
    right_parts: dict[str, bool]

    @property
    def right(self) -> bool:
        return all(self.right_parts.values())


def load_teacher(folder: Path, world: str) -> Teacher:
    """The networks of a training's folder, as its last save has them on average, or of a folder with `teacher` and
    `text_encoder`. Raises RequestError for any other."""
    codec = load_codec(ASSETS / f"{world}-autoencoder")
    if (folder / "state.pt").exists():
        config = json.loads((folder / "run.json").read_text()).get("config", {})
        if "architecture" not in config or config.get("world") != world:
            raise RequestError(f"{str(folder)!r} is not the training of a teacher of the {world} world; name another")
        network = CausalVideoTransformer(**config["architecture"])
        text = ShapesTextEncoder(tuple(sorted(WORLDS[world].words)))
        state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
        for name, module in (("teacher", network), ("text_encoder", text)):
            _take_average(module, state["averages"][name])
        return Teacher(network.eval(), text.eval(), codec, state["step"])
    missing = [name for name in ("teacher", "text_encoder") if not (folder / name / "config.json").exists()]
    if missing:
        raise RequestError(f"{str(folder)!r} holds neither state.pt nor {missing[0]}; name a training or its export")
    network = load_model(CausalVideoTransformer, folder / "teacher")
    return Teacher(network.eval(), load_model(ShapesTextEncoder, folder / "text_encoder").eval(), codec)


@torch.no_grad()
def _take_average(module: nn.Module, average: dict[str, torch.Tensor]) -> None:
    for name, parameter in module.named_parameters():
        parameter.copy_(average[name])


@torch.no_grad()
def judged_clips(
    teacher: Teacher, world: str, prompts: Sequence[str], how: Sampling, *, seed: int, precision: str
) -> Iterator[JudgedClip]:
    """A clip of every prompt, clip i from the noise of `seed` + i, judged by the world's oracle."""
    about, oracle = WORLDS[world], ORACLES[world]
    bf16 = precision == "bf16"
    for first in range(0, len(prompts), PIECE):
        asked = list(prompts[first : first + PIECE])
        seeds = range(seed + first, seed + first + len(asked))
        noise = torch.stack(
            [torch.randn(about.latent_shape, generator=torch.Generator().manual_seed(number)) for number in seeds]
        )
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            words, none = teacher.text.embed(asked), teacher.text.embed([""] * len(asked))
            levels = step_sigmas(how.steps, how.shift)
            *_, latents = sample_flow(teacher.network, levels, words, none, noise, how.guidance)
        for prompt, state in zip(asked, latents.float(), strict=True):
            frames = teacher.codec.decode(state[None])
            yield JudgedClip(prompt, frames, oracle.right_parts(oracle.judge(frames, prompt)))


def right_counts(clips: Sequence[JudgedClip]) -> dict[str, int]:
    """How many clips are right in each part, and "all" in every part."""
    parts = {part: sum(clip.right_parts[part] for clip in clips) for part in clips[0].right_parts}
    return {"all": sum(clip.right for clip in clips), **parts}


def contact_sheet(clips: Sequence[JudgedClip], columns: int = 5) -> np.ndarray:
    """A row of `columns` frames for every clip, spread over its length: (rows, width, 3) uint8."""
    rows: list[Any] = []
    for clip in clips:
        shown = np.linspace(0, len(clip.frames) - 1, columns).round().astype(int)
        rows.append(np.concatenate(list(clip.frames[shown]), 1))
    return np.concatenate(rows, 0)
