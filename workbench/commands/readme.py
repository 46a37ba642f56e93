"""`readme`: the measured tables of `assets/results` into the README."""

import argparse
from pathlib import Path

from models.types import RequestError
from workbench.console import say


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "readme",
        help="put measured tables into the README",
        description="Make the README's tables of results anew from the reports in assets/results.",
    )
    parser.add_argument("--file", type=Path, default=Path("README.md"), metavar="F", help="default README.md")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from workbench.media import write_bytes  # noqa: PLC0415  (--help should be quick)
    from workbench.readme import refresh  # noqa: PLC0415

    try:
        text = options.file.read_text()
    except OSError as error:
        raise RequestError(f"--file {str(options.file)!r} cannot be read ({error.strerror}); name a README") from error
    write_bytes(options.file, refresh(text).encode())
    say(str(options.file))
    return 0
