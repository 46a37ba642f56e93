"""What words on the command line may be: whole numbers, finite numbers, text, paths and devices, told when wrong."""

import argparse
import math
import os
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from eval.video.limits import kind_at
from models.prompt_text import character_fault
from models.types import COMPILE, RequestError
from workbench.requests.numbers import DIGITS, LARGEST_SEED
from workbench.requests.outputs import check_outputs, check_place

LARGEST = 10_000_000  # of counts that have no limit of their own
APP_FOLDERS, APP_DATABASE = ("clips", "studies", "evaluations"), "workbench.db"
LONGEST_NAME, LONGEST_PATH = 255, 4095  # bytes, of Linux


def whole(least: int = 0, most: int = LARGEST) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""

    def read(word: str) -> int:
        try:
            value = int(word) if DIGITS.fullmatch(word) else None
        except ValueError:  # more digits than Python reads
            value = None
        if value is None or not least <= value <= most:
            raise ArgumentTypeError(f"{_shown(word)} is not a whole number from {least} to {most}")
        return value

    return read


def number(least: float = 0.0, most: float = 1e9) -> Callable[[str], float]:
    """Reads a finite number from `least` to `most`."""

    def read(word: str) -> float:
        try:
            value = float(word)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise ArgumentTypeError(f"{_shown(word)} is not a number from {least:g} to {most:g}")
        return value

    return read


def text(word: str) -> str:
    """Reads text; bytes that are no UTF-8 and control characters are refused."""
    if fault := character_fault(word):
        raise ArgumentTypeError(f"{_shown(word)} {fault}; give plain text")
    return word


def path(word: str) -> Path:
    """Reads the name of a file or folder, whether there or not, in any bytes that a file system takes."""
    if not word.strip() or "\0" in word:
        raise ArgumentTypeError(f"{_shown(word)} is no name of a file or folder")
    parts = [len(os.fsencode(part)) for part in word.split("/")]
    if max(parts) > LONGEST_NAME or len(os.fsencode(word)) > LONGEST_PATH:
        raise ArgumentTypeError(f"{_shown(word)} is longer than the name of a file can be")
    return Path(word)


def device(word: str) -> str:
    """Reads cpu, cuda or cuda:N, and refuses what this machine does not have."""
    kind, _, index = word.partition(":")
    if word == "cpu":
        return word
    if kind != "cuda" or (":" in word and not (index.isascii() and index.isdigit())):
        raise ArgumentTypeError(f"{_shown(word)} is no device; choose cpu or cuda")
    import torch

    if int(index or 0) >= torch.cuda.device_count():
        raise ArgumentTypeError(f"{_shown(word)} is not on this machine; choose cpu{_or_cuda(torch)}")
    return word


SEED = whole(0, LARGEST_SEED)
PROCESSES = whole(1, 1024)
COUNT = whole(1)
READERS = {int: whole(), float: number(), None: text, Path: path}
"""What stands for `type=int` and its like in every command."""


@dataclass(frozen=True)
class Output:
    """An option that names what is written. `files` are all that come of it, `default` is where it goes unnamed."""

    dest: str
    flag: str
    files: Callable[[Path, argparse.Namespace], Iterable[Path]]
    default: Callable[[argparse.Namespace], Path | None]
    folder: bool | None


def add_output(
    parser: argparse.ArgumentParser,
    flag: str,
    *,
    to: argparse._ArgumentGroup | None = None,
    files: Callable[[Path, argparse.Namespace], Iterable[Path]] = lambda path, options: (path,),
    default: Callable[[argparse.Namespace], Path | None] = lambda options: None,
    folder: bool | None = False,
    **told,
) -> None:
    """Add an option or argument that names an output, and --overwrite; `check_given` then guards what is there.

    `files` gives every file that is written for a name, when more than the one of the name itself. `folder` None is
    either, as its ending says. `told` goes to `add_argument`.
    """
    place = to or parser
    action = place.add_argument(flag, type=Path, **told)
    if "--overwrite" not in parser._option_string_actions:
        place.add_argument("--overwrite", action="store_true", help="write over results that exist; never over inputs")
    before = parser.get_default("outputs") or ()
    parser.set_defaults(outputs=(*before, Output(action.dest, _name(action), files, default, folder)))


def check_given(options: argparse.Namespace) -> None:
    """Raise RequestError for an output that cannot be written, is read by this command, or exists without --overwrite.

    Nothing is written with --list, so nothing is checked then.
    """
    outputs = getattr(options, "outputs", ())
    if not outputs or getattr(options, "list", False):
        return
    own = {output.dest for output in outputs}
    inputs = [path for name, value in vars(options).items() if name not in own for path in _paths(value)]
    data = getattr(options, "data_dir", None)
    for output in outputs:
        target = getattr(options, output.dest) or output.default(options)
        if target is not None:
            flag = output.flag
            check_place(target, flag, folder=output.folder)
            files = list(output.files(target, options))
            check_outputs(files, inputs, flag, overwrite=options.overwrite)
            if data and (kept := next((file for file in files if _is_data(file, data)), None)):
                raise RequestError(f"{flag} {str(kept)!r} is one of the app's own files; choose another name")


def check_data_dir(options: argparse.Namespace) -> None:
    """Raise RequestError when the data that a command looks at is not there: looking should not make an empty one."""
    folder, kind = options.data_dir, kind_at(options.data_dir)
    if kind not in ("", "a folder"):
        raise RequestError(f"--data-dir {str(folder)!r} is {kind}; name the folder of the app's data")
    if not kind and not getattr(options, "database_url", None):
        raise RequestError(f"--data-dir {str(folder)!r} is not there; name the folder of the app's data")


def _is_data(file: Path, data: Path) -> bool:
    """Whether a file is the database or below the folders that the app keeps clips and evaluations in."""
    file, data = file.resolve(), data.resolve()
    inside = file.relative_to(data).parts if file.is_relative_to(data) else ()
    return bool(inside) and (inside[0] in APP_FOLDERS or inside[0].startswith(APP_DATABASE))


def _name(action: argparse.Action) -> str:
    """--out, or OUT of an argument without a flag."""
    return action.option_strings[0] if action.option_strings else action.metavar or action.dest.upper()


def _paths(value: object) -> Iterable[Path]:
    if isinstance(value, Path):
        return (value,)
    return (part for part in value if isinstance(part, Path)) if isinstance(value, list | tuple) else ()


def _shown(word: str) -> str:
    return repr(word if len(word) <= 60 else word[:60] + "...")


def _or_cuda(torch) -> str:
    return " or cuda" if torch.cuda.device_count() else ""


def add_compile(parser: argparse._ActionsContainer) -> None:
    """`--compile`: whether the layers of networks are compiled."""
    told = "compile layers when they first run, which takes minutes, or replay them as CUDA graphs too (default off)"
    parser.add_argument("--compile", choices=COMPILE, default="off", help=told)
