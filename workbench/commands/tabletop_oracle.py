"""`tabletop-oracle`: how often the tabletop world's oracle is right about clips whose truth is known."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.types import RequestError
from workbench.common.console import say, say_json

if TYPE_CHECKING:
    from workbench.scoring.oracle_quality import Quality


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "tabletop-oracle",
        help="check the tabletop oracle on rendered clips",
        description="Render clips with random captions, half of them held out, judge each by its caption, and print "
        "how often each attribute is right with 95 % intervals (Wilson) and which words are taken for which. --wrong "
        "also makes each clip wrong in many ways, none of which should pass.",
    )
    parser.add_argument("--clips", type=int, default=100, metavar="N", help="clips of each number (default 100)")
    parser.add_argument(
        "--objects", type=int, nargs="+", choices=[1, 2], default=[1, 2], help="solids in a clip (default: 1 2)"
    )
    parser.add_argument("--frames", type=int, default=49, metavar="N", help="frames per clip, 4k + 1 (default 49)")
    parser.add_argument("--reconstructed", action="store_true", help="judge what the autoencoder gives back")
    parser.add_argument("--wrong", action="store_true", help="also judge clips made wrong; takes ten times as long")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws captions and scenes (default 0)")
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder of an autoencoder (default: assets/tabletop-autoencoder)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    for name, least in (("clips", 1), ("seed", 0), ("frames", 9)):
        if getattr(options, name) < least:
            raise RequestError(f"--{name} {getattr(options, name)} is too low; give {least} or more")
    if options.frames % 4 != 1:
        raise RequestError(f"--frames {options.frames} is not 4k + 1; give 9, 13, 17 and so on")
    from tqdm import tqdm

    from workbench.scoring.oracle_quality import WRONG, draw_clips, measure_oracle

    codec = _codec(options)
    found = {}
    for objects in dict.fromkeys(options.objects):
        clips = draw_clips(options.clips, objects, options.seed, codec, options.frames)
        shown = tqdm(clips, f"{objects} solid{'s' * (objects > 1)}", total=options.clips, unit="clip", disable=None)
        found[objects] = measure_oracle(shown, tuple(WRONG) if options.wrong else ())
    if options.json:
        say_json([row for objects, quality in found.items() for row in _plain(objects, quality)])
    else:
        say("\n\n".join(table(objects, quality) for objects, quality in found.items()))
    return 0


def _codec(options: argparse.Namespace) -> Any:
    if not (options.reconstructed or options.weights):
        return None
    from models.networks.codec import load_codec
    from models.registry import ASSETS

    folder = options.weights or ASSETS / "tabletop-autoencoder"
    if not (folder / "config.json").exists():
        raise RequestError(f"--weights {str(folder)!r} holds no config.json; give the folder of an autoencoder")
    return load_codec(folder)


def _plain(objects: int, quality: "Quality") -> list[dict[str, Any]]:
    """Rows for JSON: one an attribute, with its confusion matrix, and one for each way of being wrong."""
    from workbench.scoring.oracle_quality import WORDS, rate_row

    rows = []
    for row in quality.tally.rows():
        more = {}
        if row["attribute"] in WORDS:
            columns, counts = quality.tally.confusion(row["attribute"])
            more = {"asked": WORDS[row["attribute"]], "seen": columns, "counts": counts}
        elif row["attribute"] == "all":
            more = {"seconds_per_clip": quality.tally.seconds / quality.tally.clips, "refused": quality.tally.reasons}
        rows.append({"objects": objects, "clips": "as rendered", **row, **more})
    for name, (passed, tried) in quality.passed.items():
        rows.append({"objects": objects, "clips": name, "attribute": "all", **rate_row(passed, tried)})
    return rows


def table(objects: int, quality: "Quality") -> str:
    """Markdown: rates, what was refused and why, confusion matrices, and wrong clips that passed."""
    from workbench.scoring.oracle_quality import WORDS, rate_row

    tally = quality.tally
    lines = [f"| {objects} solid{'s' * (objects > 1)} | n | right | 95 % |", "|---|---|---|---|"]
    lines += [_cells(row["attribute"], row) for row in tally.rows()]
    lines += ["", f"{tally.seconds / tally.clips:.3f} processor seconds a clip.", *(f"- {r}" for r in tally.reasons)]
    for name in WORDS:
        columns, counts = tally.confusion(name)
        lines += ["", f"| {name} asked | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        named = zip(WORDS[name], counts, strict=True)
        lines += [f"| {word} | {' | '.join(str(n) if n else '' for n in row)} |" for word, row in named]
    if quality.passed:
        lines += ["", "| made wrong | n | passed | 95 % |", "|---|---|---|---|"]
        lines += [_cells(name, rate_row(*count)) for name, count in quality.passed.items()]
        lines += ["", *(f"- {miss}" for miss in quality.misses)]
    return "\n".join(lines).rstrip()


def _cells(name: str, row: dict[str, Any]) -> str:
    return f"| {name} | {row['n']} | {row['rate']:.1%} | {row['low']:.1%} to {row['high']:.1%} |"
