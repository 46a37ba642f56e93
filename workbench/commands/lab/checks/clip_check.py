"""`clip-check`: how often the CLIP of a world finds the caption of rendered clips, whose truth is known."""

import argparse

import numpy as np
from tqdm import tqdm

from eval.statistics.intervals import wilson
from models.default_world import MEASURED
from models.types import RequestError
from models.worlds.captions import CAPTIONS, Caption
from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, SEED

AMONG = 64
"""Captions to choose from: of all held-out combinations, each once."""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "clip-check",
        help="check a world's CLIP on rendered clips",
        description="Embed rendered clips of 64 held-out captions by the CLIP of their world, the mean over frames, "
        "and look for the nearest caption: of all 64, and of those that differ by one word alone.",
    )
    parser.add_argument(
        "--world", choices=list(CAPTIONS), default=MEASURED.name, help=f"whose CLIP (default {MEASURED.name})"
    )
    parser.add_argument("--draws", type=COUNT, default=1, help="clips of every caption (default 1)")
    parser.add_argument("--seed", type=SEED, default=0, help="draws places, sizes and speeds (default 0)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.draws < 1 or options.seed < 0:
        raise RequestError(f"{options.draws} draws from seed {options.seed} cannot be made; give 1 or more, from 0 up")
    rows = check(options.world, options.draws, options.seed)
    if options.json:
        say_json(rows)
    else:
        say(table(rows))
    return 0


def check(world: str, draws: int, seed: int) -> list[dict]:
    """One row a question: how many of the clips find their own caption, and the captions that were taken instead."""
    from eval.metrics.content.world_clip import DiptychTail, world_clip
    from eval.video.windows import Window
    from models.worlds.training_worlds import WORLDS

    clip, captions = world_clip(world), held_out(world)
    prompts = [str(caption) for caption in captions]
    among = clip.embed_captions(prompts)
    generator = np.random.default_rng((seed, 77))
    hits: dict[str, list[bool]] = {}
    missed: dict[str, list[str]] = {}
    for caption, prompt in tqdm([*zip(captions, prompts, strict=True)] * draws, unit="clip"):
        frames = WORLDS[world].render(WORLDS[world].scene(caption, generator))
        seen = DiptychTail(clip, WORLDS[world].fps).embed(Window(frames, 0, None)).mean(0)
        asked = {name: (choices, clip.embed_captions(choices)) for name, choices in others(world, caption).items()}
        for question, (choices, texts) in ({f"of {AMONG} held-out captions": (prompts, among)} | asked).items():
            nearest = choices[int((texts @ seen).argmax())]
            hits.setdefault(question, []).append(nearest == prompt)
            missed.setdefault(question, []).extend([f"{prompt}: {nearest}"] * (nearest != prompt))
    return [
        {"question": name, "n": len(found), "right": sum(found), "missed": missed[name]}
        for name, found in hits.items()
    ]


def held_out(world: str) -> list[Caption]:
    """Captions of all held-out combinations, each once, over what is behind them by turns."""
    captions = CAPTIONS[world]
    choices = captions.words[captions.behind]
    things = dict.fromkeys(c.objects for c in captions.whole if c.objects[0].held_out)
    by_words = {(c.objects, getattr(c, captions.behind)): c for c in captions.whole}
    return [by_words[things, choices[i % len(choices)]] for i, things in enumerate(things)][:AMONG]


def others(world: str, caption: Caption) -> dict[str, list[str]]:
    """The captions that differ from one of one thing by one word alone, itself included, by what is asked."""
    captions = CAPTIONS[world]
    return {
        f"of {len(choices)} {word}s": [str(other) for other in captions.alike_but(caption, word)]
        for word, choices in captions.words.items()
    }


def table(rows: list[dict]) -> str:
    """Rows as a Markdown table with Wilson 95 % intervals."""
    lines = ["| nearest caption | n | right | 95 % |", "|---|---|---|---|"]
    for row in rows:
        rate = wilson(row["right"], row["n"])
        lines.append(f"| {row['question']} | {row['n']} | {rate.value:.1%} | {rate.low:.1%} to {rate.high:.1%} |")
    return "\n".join(lines)
