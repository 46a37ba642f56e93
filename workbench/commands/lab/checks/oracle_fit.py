"""`oracle-fit`: fit the tables of the tabletop oracle, from nothing."""

import argparse
from pathlib import Path

from tqdm import tqdm

from models.types import RequestError
from workbench.common.console import say
from workbench.requests.arguments import COUNT, SEED, add_output


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "oracle-fit",
        help="fit the tabletop oracle to rendered clips",
        description="Render clips of training captions, and fit to them and their reconstructions the colour tables "
        "and the discriminants of solids by which the tabletop oracle judges. `tabletop-oracle` tells how often it is "
        "right.",
    )
    parser.add_argument("--clips", type=COUNT, default=360, metavar="N", help="clips to render (default 360)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="0 or more (default 0)")
    parser.add_argument("--rendered-only", action="store_true", help="leave the reconstructions out")
    add_output(
        parser,
        "--out",
        default=lambda options: _own_tables(),
        metavar="F.npz",
        help="the file to write (default: the oracle's own, in assets)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from models.networks.codec import load_codec
    from models.registry import ASSETS
    from workbench.scoring.tabletop_oracle import draw_samples, fit_tables, save

    codec = None if options.rendered_only else load_codec(ASSETS / "tabletop-autoencoder")
    total = options.clips * (2 if codec else 1)
    samples = tqdm(draw_samples(options.clips, options.seed, codec), total=total, unit="clip", disable=None)
    out = options.out or _own_tables()
    fitted = fit_tables(samples)
    try:
        save(fitted, out)
    except OSError as error:
        raise RequestError(f"--out {str(out)!r} cannot be written ({error.strerror}); choose another file") from error
    say(str(out))
    return 0


def _own_tables() -> Path:
    """The file that the oracle reads."""
    from eval.tabletop.reading import TABLES

    return TABLES
