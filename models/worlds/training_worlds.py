"""The worlds that ship with the repository, behind one type: their language, their scenes, their renderer."""

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
    """A procedural world.

    `random_scene(rng)` draws a training scene, `scene(caption, rng)` one of a caption, `held_out_caption(rng, things)`
    a caption of things that training never shows; `render(scene, frames, start=)` draws its frames (T, size, size, 3)
    uint8. `prompt(caption, rng)` says what a caption means, in one of the ways there are; `parse` gives the caption
    that a prompt means (None outside the grammar, whose form is `form`), `unknown_words` those words of a prompt that
    the world does not have. A clip of `frames` frames has latents of `latent_shape` (T, C, h, w). `edge`: after so
    many frames half of the things would touch the border of the picture, which training never shows; None where they
    turn round there.
    """

    size: int
    frames: int
    fps: int
    latent_shape: tuple[int, int, int, int]
    words: frozenset[str]
    random_scene: Callable[[np.random.Generator], Any]
    scene: Callable[[Any, np.random.Generator], Any]
    held_out_caption: Callable[[np.random.Generator, int], Any]
    render: Callable[..., np.ndarray]
    prompt: Callable[[Any, np.random.Generator], str]
    parse: Callable[[str], Any | None]
    unknown_words: Callable[[str], list[str]]
    form: str
    edge: int | None = None

    def real_clip(self, prompt: str, key: tuple[int, ...], frames: int) -> np.ndarray:
        """A rendered clip (frames, size, size, 3) uint8 of a prompt; another `key` is another scene that fits it."""
        return self.render(self.scene(self.parse(prompt), np.random.default_rng(key)), frames)


def _in_some_words(caption: tabletop_grammar.Caption, rng: np.random.Generator) -> str:
    return caption.text(str(rng.choice(tabletop_grammar.VERBS)))


def _random_shapes(rng: np.random.Generator) -> shapes.Scene:
    """A training scene: seen combinations only, three in ten with two objects."""
    return shapes.sample_scene(shapes.sample_caption(rng, held_out=False, objects=2 if rng.random() < 0.3 else 1), rng)


WORLDS = {
    "shapes": World(
        shapes.SIZE,
        shapes.FRAMES,
        shapes.FPS,
        (13, 16, 8, 8),
        shapes.known_words(),
        _random_shapes,
        shapes.sample_scene,
        lambda rng, things: shapes.sample_caption(rng, held_out=True, objects=things),
        shapes.render,
        lambda caption, rng: str(caption),
        shapes.parse_prompt,
        shapes.unknown_words,
        "a COLOR SHAPE moving DIRECTION on a BACKGROUND background",
        edge=60,
    ),
    "tabletop": World(
        tabletop_grammar.SIZE,
        tabletop_grammar.FRAMES,
        tabletop_grammar.FPS,
        (13, 16, 16, 16),
        tabletop_grammar.known_words(),
        tabletop_scene.random_scene,
        tabletop_scene.sample_scene,
        lambda rng, things: tabletop_grammar.sample_caption(rng, held_out=True, objects=things),
        tabletop_render.render,
        _in_some_words,
        tabletop_grammar.parse_prompt,
        tabletop_grammar.unknown_words,
        "a COLOR SOLID rolling DIRECTION over GROUND",
    ),
}


def about_prompt(world: str, prompt: str) -> list[str]:
    """What models of `world` will not show of a prompt, in words; nothing of a world that does not ship."""
    if world not in WORLDS:
        return []
    language = WORLDS[world]
    if strange := language.unknown_words(prompt):
        shown = ", ".join(strange[:12]) + (", ..." if len(strange) > 12 else "")
        return [f"words this model does not know: {shown}"]
    caption = language.parse(prompt)
    if caption is None:
        return [f"the prompt is outside the grammar this model was trained on: {language.form}"]
    if len(caption.objects) > 1:
        return ["two things are more than this model learned: expect their colours, shapes and ways to be mixed up"]
    return []
