"""`oracle-check`: how often the oracle is right about rendered clips, whose truth is known."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from tqdm import tqdm

from eval.shapes.oracle import judge
from eval.statistics.intervals import wilson
from models.worlds import shapes as world
from workbench.clips.media import decode_mp4, encode_mp4
from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, SEED

Damage = Callable[[np.ndarray], np.ndarray]


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "oracle-check",
        help="check the oracle on rendered clips",
        description="Judge rendered clips by their own caption (should be right) and by captions with one word "
        "changed (should be refused), clean and damaged.",
    )
    parser.add_argument(
        "--clips", type=COUNT, default=128, help="clips per row; 128 holds every combination (default)"
    )
    parser.add_argument("--seed", type=SEED, default=0, help="draws places, sizes, speeds and second objects")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    rows = []
    for objects in (1, 2):
        clips = list(rendered(options.clips, objects, options.seed))
        for name, damage in damages().items():
            rows.append(check(f"{objects} object{'s' * (objects > 1)}, {name}", clips, damage, options.seed))
    if options.json:
        say_json(rows)
    else:
        say(table(rows))
    return 0


def rendered(count: int, objects: int, seed: int) -> Iterator[tuple[world.Caption, np.ndarray]]:
    """Captions and their clips; single objects go through every combination on every background in turn."""
    generator = np.random.default_rng((seed, objects))
    combinations, backgrounds = world.all_combinations(), list(world.BACKGROUNDS)
    for index in range(count):
        if objects == 1:
            first = combinations[index % len(combinations)]
            caption = world.Caption((first,), backgrounds[(index + index // 4) % len(backgrounds)])
        else:
            caption = world.sample_caption(generator, held_out=bool(index % 2), objects=objects)
        yield caption, world.render(world.sample_scene(caption, generator))


def check(name: str, clips: list, damage: Damage, seed: int) -> dict:
    """One row: how many of these clips are found right, and how many changed captions are refused."""
    generator = np.random.default_rng((seed, 7))
    right = refused = 0
    for caption, frames in tqdm(clips, name, leave=False):
        shown = damage(frames)
        right += judge(shown, str(caption)).all_right is True
        refused += judge(shown, str(changed(caption, generator))).all_right is False
    return {"clips": name, "n": len(clips), "right": right, "refused": refused}


def changed(caption: world.Caption, generator: np.random.Generator) -> world.Caption:
    """The caption with one word replaced by another of its kind."""
    kind = ("color", "shape", "direction", "background")[generator.integers(4)]
    if kind == "background":
        return replace(caption, background=_other(world.BACKGROUNDS, caption.background, generator))
    index = int(generator.integers(len(caption.objects)))
    table = {"color": world.COLORS, "shape": world.SHAPES, "direction": world.DIRECTIONS}[kind]
    thing = caption.objects[index]
    things = list(caption.objects)
    things[index] = replace(thing, **{kind: _other(table, getattr(thing, kind), generator)})
    return replace(caption, objects=tuple(things))


def _other(words, word: str, generator: np.random.Generator) -> str:
    return str(generator.choice([w for w in words if w != word]))


def damages() -> dict[str, Damage]:
    """What a clip goes through before it is judged."""
    return {"clean": lambda frames: frames, "blur 1 px": blur, "noise 8": noise, "H.264": h264}


def blur(frames: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(f, (0, 0), 1.0) for f in frames])


def noise(frames: np.ndarray) -> np.ndarray:
    grain = np.random.default_rng(int(frames[0].sum())).normal(0, 8, frames.shape)
    return (frames + grain).round().clip(0, 255).astype(np.uint8)


def h264(frames: np.ndarray) -> np.ndarray:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        encode_mp4(frames, world.FPS, path)
        return decode_mp4(path)[0]


def table(rows: list[dict]) -> str:
    """Rows as a Markdown table with Wilson 95 % intervals."""
    lines = ["| clips | n | right | 95 % | changed caption refused | 95 % |", "|---|---|---|---|---|---|"]
    for row in rows:
        cells = [row["clips"], str(row["n"])]
        for key in ("right", "refused"):
            rate = wilson(row[key], row["n"])
            cells += [f"{rate.value:.1%}", f"{rate.low:.1%} to {rate.high:.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
