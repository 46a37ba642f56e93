"""`embed-prompts`: put prompts into the cache of embeddings, so that Wan's text encoder is not needed for them."""

import argparse
from pathlib import Path

from models.types import RequestError
from workbench.commands.generate import read_prompts
from workbench.common.console import notice, say
from workbench.requests.arguments import device


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "embed-prompts",
        help="embed prompts for Wan models ahead",
        description="Embed every prompt of a file with UMT5, load it once, and keep the results. Clips of these "
        "prompts need no text encoder any more; the folder of results can be copied to another machine.",
    )
    parser.add_argument("prompts", type=Path, metavar="FILE", help="a text file, one prompt a line")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="where UMT5 and its tokenizer lie")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Embed what is new, tell how much that was and where it is."""
    prompts = read_prompts(options.prompts, "FILE")
    if options.weights and not options.weights.is_dir():
        raise RequestError(f"--weights {str(options.weights)!r} is no folder; give the one that holds UMT5")
    from models.wan.create import text_encoder

    encoder = text_encoder(*filter(None, [options.weights]), device=options.device)
    fresh = encoder.fill(prompts)
    for number, prompt in enumerate(prompts, 1):
        for text in encoder.notices(prompt):
            notice(f"prompt {number}: {text}")
    say(f"{fresh} of {len(prompts)} prompts are new and embedded; all are in {encoder.folder}")
    return 0
