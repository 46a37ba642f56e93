"""`autoencoder-check`: what the tabletop world's autoencoder gives back of rendered clips."""

import argparse
from pathlib import Path
from typing import Any

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.arguments import COUNT, SEED


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "autoencoder-check",
        help="check the autoencoder on rendered clips",
        description="Render clips with held-out captions over each ground, put them through the autoencoder, and tell "
        "the error in dB, how much of the detail is left in each octave, and how strongly the groups of four frames "
        "show in the curves of sharpness and flicker.",
    )
    parser.add_argument("--clips", type=COUNT, default=8, metavar="N", help="clips per ground (default 8)")
    parser.add_argument("--seed", type=SEED, default=0, metavar="N", help="0 or more (default 0)")
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder of an autoencoder (default: assets/tabletop-autoencoder)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.clips < 1:
        raise RequestError(f"--clips {options.clips} checks nothing; give 1 or more")
    if options.seed < 0:
        raise RequestError(f"--seed {options.seed} is negative; give 0 or more")
    from models.networks.codec import load_codec
    from models.registry import ASSETS
    from workbench.experiments.autoencoder_quality import quality_by_ground

    folder = options.weights or ASSETS / "tabletop-autoencoder"
    if not (folder / "config.json").exists():
        raise RequestError(f"--weights {str(folder)!r} holds no config.json; give the folder of an autoencoder")
    rows = list(quality_by_ground(load_codec(folder), options.clips, options.seed))
    if options.json:
        say_json(rows)
    else:
        say(table(rows))
    return 0


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table. Octaves are told by their cycles a pixel."""
    octaves = [f"1/{4 * 2**i} to 1/{2 * 2**i}" for i in range(len(rows[0]["detail"]))]
    heads = ["ground", "n", "PSNR", *octaves, "rhythm of sharpness (real)", "rhythm of flicker (real)"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [
            row["ground"],
            str(row["n"]),
            f"{row['psnr']:.1f} dB",
            *(f"{share:.0%}" for share in row["detail"]),
            f"{row['sharpness_rhythm']:.2f} ({row['sharpness_rhythm_real']:.2f})",
            f"{row['flicker_rhythm']:.2f} ({row['flicker_rhythm_real']:.2f})",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
