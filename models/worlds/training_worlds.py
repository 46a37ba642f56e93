"""The worlds that models can be trained on: what training draws from, behind one type."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import models.worlds.shapes as shapes
import models.worlds.tabletop.grammar as tabletop_grammar
import models.worlds.tabletop.render as tabletop_render
import models.worlds.tabletop.scene as tabletop_scene


@dataclass(frozen=True)
class World:
    """A procedural world. `random_scene(rng)` draws a training scene, `render(scene, frames, start=)` its frames
    (T, size, size, 3) uint8; `prompt(scene, rng)` says what it shows, in one of the ways there are. A clip of
    `frames` frames has latents of `latent_shape` (T, C, h, w)."""

    size: int
    frames: int
    latent_shape: tuple[int, int, int, int]
    words: frozenset[str]
    random_scene: Callable[[np.random.Generator], Any]
    render: Callable[..., np.ndarray]
    prompt: Callable[[Any, np.random.Generator], str]


def _in_some_words(scene: tabletop_scene.Scene, rng: np.random.Generator) -> str:
    return scene.caption.text(str(rng.choice(tabletop_grammar.VERBS)))


def _random_shapes(rng: np.random.Generator) -> shapes.Scene:
    """A training scene: seen combinations only, three in ten with two objects."""
    return shapes.sample_scene(shapes.sample_caption(rng, held_out=False, objects=2 if rng.random() < 0.3 else 1), rng)


WORLDS = {
    "shapes": World(
        shapes.SIZE,
        shapes.FRAMES,
        (13, 16, 8, 8),
        shapes.known_words(),
        _random_shapes,
        shapes.render,
        lambda scene, rng: str(scene.caption),
    ),
    "tabletop": World(
        tabletop_grammar.SIZE,
        tabletop_grammar.FRAMES,
        (13, 16, 16, 16),
        tabletop_grammar.known_words(),
        tabletop_scene.random_scene,
        tabletop_render.render,
        _in_some_words,
    ),
}
