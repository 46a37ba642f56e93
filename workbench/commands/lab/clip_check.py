"""`clip-check`: how often the CLIP of the shapes world finds the caption of rendered clips, whose truth is known."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from tqdm import tqdm

from eval.statistics.intervals import wilson
from models.types import RequestError
from models.worlds import shapes as world
from workbench.console import say, say_json
from workbench.requests.arguments import COUNT, SEED
from workbench.scoring.prompt_following import captions

AMONG = 64
"""Captions to choose from: all held-out combinations, each once."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "clip-check",
        help="check the shapes CLIP on rendered clips",
        description="Embed rendered clips of the 64 held-out combinations by the shapes CLIP, the mean over frames, "
        "and look for the nearest caption: of all 64, and of those that differ by one word alone.",
    )
    parser.add_argument("--draws", type=COUNT, default=1, help="clips of every combination (default 1)")
    parser.add_argument("--seed", type=SEED, default=0, help="draws places, sizes and speeds (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.draws < 1 or options.seed < 0:
        raise RequestError(f"{options.draws} draws from seed {options.seed} cannot be made; give 1 or more, from 0 up")
    rows = check(options.draws, options.seed)
    if options.json:
        say_json(rows)
    else:
        say(table(rows))
    return 0


def check(draws: int, seed: int) -> list[dict]:
    """One row a question: how many of the clips find their own caption, and the captions that were taken instead."""
    from eval.shapes.clip_network import DiptychTail, shapes_clip  # noqa: PLC0415  (loads torch)
    from eval.video.windows import Window  # noqa: PLC0415

    prompts = captions(AMONG)
    among = shapes_clip().embed_captions(prompts)
    hits: dict[str, list[bool]] = {}
    missed: dict[str, list[str]] = {}
    for prompt, clip in tqdm(rendered(prompts, draws, seed), total=draws * AMONG, unit="clip"):
        seen = DiptychTail(shapes_clip(), world.FPS).embed(Window(clip, 0, None)).mean(0)
        asked = {name: (choices, shapes_clip().embed_captions(choices)) for name, choices in others(prompt).items()}
        for question, (choices, texts) in ({f"of {AMONG} held-out captions": (prompts, among)} | asked).items():
            nearest = choices[int((texts @ seen).argmax())]
            hits.setdefault(question, []).append(nearest == prompt)
            missed.setdefault(question, []).extend([f"{prompt}: {nearest}"] * (nearest != prompt))
    return [
        {"question": name, "n": len(found), "right": sum(found), "missed": missed[name]}
        for name, found in hits.items()
    ]


def rendered(prompts: Sequence[str], draws: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Each prompt with a clip (T, H, W, 3) uint8 of it, `draws` times over."""
    generator = np.random.default_rng((seed, 77))
    for prompt in [*prompts] * draws:
        yield prompt, world.render(world.sample_scene(world.parse_prompt(prompt), generator))


def others(prompt: str) -> dict[str, list[str]]:
    """The captions that differ from a prompt of one object by one word alone, itself included."""
    caption = world.parse_prompt(prompt)
    (thing,) = caption.objects

    def every(**words: Sequence[str]) -> list[str]:
        ((kind, choices),) = words.items()
        return [str(replace(caption, objects=(replace(thing, **{kind: word}),))) for word in choices]

    return {
        f"of {len(world.COLORS)} colors": every(color=world.COLORS),
        f"of {len(world.SHAPES)} shapes": every(shape=world.SHAPES),
        f"of {len(world.DIRECTIONS)} directions": every(direction=world.DIRECTIONS),
        f"of {len(world.BACKGROUNDS)} backgrounds": [str(replace(caption, background=b)) for b in world.BACKGROUNDS],
    }


def table(rows: list[dict]) -> str:
    """Rows as a Markdown table with Wilson 95 % intervals."""
    lines = ["| nearest caption | n | right | 95 % |", "|---|---|---|---|"]
    for row in rows:
        rate = wilson(row["right"], row["n"])
        lines.append(f"| {row['question']} | {row['n']} | {rate.value:.1%} | {rate.low:.1%} to {rate.high:.1%} |")
    return "\n".join(lines)
