"""`publish`: trained weights into the assets, in 16 or 8 bits, with a card."""

import argparse
from pathlib import Path

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import add_output

PUBLISHED = ("config.json", "card.json", "diffusion_pytorch_model.safetensors", "weights-int8.safetensors")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "publish",
        help="turn a training run's weights into an asset",
        description="Cast the averaged weights of a run to 16 or 8 bits and write them, with a card (recipe, "
        "settings, seed, curve, date), to a folder that the registry reads.",
    )
    parser.add_argument("source", type=Path, metavar="RUN", help="the --out folder of a finished training")
    parser.add_argument("part", metavar="PART", help="which of its exports, for example teacher or text_encoder")
    add_output(
        parser,
        "target",
        folder=True,
        files=lambda folder, options: [folder / name for name in PUBLISHED],
        metavar="DIR",
        help="for example assets/shapes-teacher",
    )
    parser.add_argument("--bits", type=int, choices=(16, 8), default=16, help="16 (default), or 8 for half the size")
    parser.add_argument(
        "--onto",
        type=Path,
        metavar="DIR",
        help="with --bits 8: write the difference from the published weights in this folder, beside the target, from "
        "which a short training changes little",
    )
    parser.add_argument("--remarks", default="", help="a sentence for the card")
    parser.add_argument("--json", action="store_true", help="print the card")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from models.training.cards import publish

    folder = options.source / "export" / options.part
    if not (folder / "config.json").exists():
        made = sorted(p.parent.name for p in options.source.glob("export/*/config.json"))
        there = f"this run has {', '.join(made)}" if made else "finish the training first"
        raise RequestError(f"'{folder}' holds no weights; {there}")
    if options.onto:
        _check_onto(options)
    how = {"bits": options.bits, "onto": options.onto}
    card = publish(options.source, options.part, options.target, options.remarks, **how)
    if options.json:
        say_json(card)
    else:
        say(str(options.target))
    return 0


def _check_onto(options: argparse.Namespace) -> None:
    shown = f"--onto {str(options.onto)!r}"
    if options.bits != 8:
        raise RequestError(f"{shown} goes with --bits 8; add it, or leave --onto out")
    if not (options.onto / "config.json").is_file():
        raise RequestError(f"{shown} holds no weights; give a published folder, for example assets/tabletop-ode-init")
    if options.onto.resolve().parent != options.target.resolve().parent or options.onto.name == options.target.name:
        raise RequestError(f"{shown} does not lie beside {str(options.target)!r}; both must be in one folder")
