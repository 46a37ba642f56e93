"""`readme`: the measured tables of `assets/results` into docs/results.md."""

import argparse
from pathlib import Path

from models.types import RequestError
from workbench.common.console import say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "readme",
        help="put measured tables into docs/results.md",
        description="Make the tables of docs/results.md anew from the reports in assets/results.",
    )
    page = Path("docs/results.md")
    parser.add_argument("--file", type=Path, default=page, metavar="F", help=f"default {page}")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from eval.video.text_files import read_text
    from models.whole_files import write_bytes
    from workbench.experiments.readme import refresh

    try:
        text = read_text(options.file)
    except OSError as error:
        shown = f"--file {str(options.file)!r}"
        raise RequestError(f"{shown} cannot be read ({error.strerror}); name the page with the tables") from error
    except ValueError as error:
        shown = f"--file {str(options.file)!r}"
        raise RequestError(f"{shown} is no page ({error}); name the one with the tables") from error
    write_bytes(options.file, refresh(text).encode())
    say(str(options.file))
    return 0
