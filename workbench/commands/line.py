"""The command line: which parser a command has, and what becomes of its errors."""

import argparse
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from models.types import RequestError
from workbench import __version__
from workbench.commands import COMMANDS
from workbench.common.console import about_given, fail, notice, told
from workbench.common.faults import fault_sentence
from workbench.requests.arguments import READERS, check_given

LAB = "trials and benchmarks for developers"


class Parser(argparse.ArgumentParser):
    """argparse that tells an error in one line, with the nearest valid flag; `commands` are those under it."""

    commands: Any

    def __init__(self, **options) -> None:
        super().__init__(**{"allow_abbrev": False, **options})
        for kind, read in READERS.items():
            self.register("type", kind, read)

    def error(self, message: str) -> NoReturn:
        fail(f"{message.rstrip('.')}; see {self.prog} --help")
        self.exit(2)

    def add_subparsers(self, **options: Any) -> Any:
        """Adds commands, which read their words themselves: not all that a command is given is text."""
        commands = super().add_subparsers(**options)
        commands.type = str
        return commands

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        options, rest = self.parse_known_args(args, namespace)
        if rest:
            # the command's own parser knows the flags that may have been meant
            self.commands.choices[options.command].unexpected(rest[0])
        return options

    def unexpected(self, word: str) -> NoReturn:
        """Refuse a word that no flag takes."""
        known = [flag for action in self._actions for flag in action.option_strings]
        near = difflib.get_close_matches(word.partition("=")[0], known, n=1)
        self.error(f"{word!r} is not understood here" + (f", did you mean {near[0]}?" if near else ""))


def build_parser(command: str | None, *, lab: bool = False) -> Parser:
    """The parser with `command`'s own flags; the other commands of its group are only listed."""
    lab = lab or (command in COMMANDS and COMMANDS[command].lab)
    prog = "python -m workbench lab" if lab else "python -m workbench"
    parser = Parser(prog=prog, description=LAB if lab else "Few-step causal video generation.")
    parser.add_argument("--version", action="version", version=f"ASD Workbench {__version__}")
    parser.commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    if not lab:
        parser.commands.add_parser("lab", help=LAB)
    for name, row in COMMANDS.items():
        if row.lab != lab:
            continue
        if name == command:
            importlib.import_module(f"workbench.commands.{row.module}").add_parser(parser.commands)
        else:
            parser.commands.add_parser(name, help=row.help)
        parser.commands.choices[name].add_argument("--debug", action="store_true", help="show tracebacks of failures")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in argv if not word.startswith("-")), None)
    lab = command == "lab"
    if lab:
        argv.remove("lab")
        command = next((word for word in argv if not word.startswith("-")), None)
    elif command in COMMANDS and COMMANDS[command].lab:
        notice(f"`{command}` is `lab {command}` now")
        lab = True
    try:
        options = build_parser(command, lab=lab).parse_args(argv)
    except SystemExit as stop:  # argparse ends --help and bad input this way
        return int(stop.code or 0)
    try:
        check_given(options)
        return options.run(options)
    except RequestError as error:
        fail(str(error))
        return 2
    except BrokenPipeError:  # the reader of our output, `head` say, has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if options.debug:
            traceback.print_exc()
        fail(told(error))
        return 2 if about_given(error, options) else 1
    except KeyboardInterrupt:
        fail("stopped")
        return 130
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        fail(fault_sentence(error) or f"{type(error).__name__}: {error} (run again with --debug for the traceback)")
        return 1
