"""`train`: any recipe, from the table of recipes."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_type_hints

from models.types import RequestError
from workbench.common.console import notice, say, say_json
from workbench.requests.arguments import PROCESSES, device, whole
from workbench.requests.outputs import check_place

SAMPLE_EVERY = 500
TRACKERS = ("trackio", "wandb")
INTERRUPTED = 130  # as a shell has it after Ctrl-C


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a model by a recipe",
        description="Train by a recipe and preset. --resume goes on with a stopped run and ends the same, bit for "
        "bit; --set may give it other learning rates, which run.json and the card then tell",
    )
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help="a name from --list")
    parser.add_argument("--preset", metavar="P", help="a preset of the recipe (default: its first)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for weights, log, events and sample sheets")
    parser.add_argument("--resume", action="store_true", help="go on from the last saved state in --out")
    parser.add_argument("--steps", type=int, metavar="N", help="train this many steps in all instead of the preset's")
    parser.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="other values of the preset's settings, for example --set lr=2e-5 batch=16",
    )
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=0, metavar="N", help="0 or more (default 0)")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument(
        "--precision",
        choices=["fp32", "bf16"],
        default="fp32",
        help="bf16 multiplies matrices in bfloat16: faster on a CPU with AMX or on a GPU (default fp32)",
    )
    parser.add_argument(
        "--processes", type=PROCESSES, default=1, metavar="N", help="train N copies that average (default 1)"
    )
    parser.add_argument(
        "--log-to",
        choices=TRACKERS,
        default="",
        help="log to trackio or Weights & Biases too, on this machine alone unless their settings say otherwise",
    )
    parser.add_argument("--rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help="list recipes and presets")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from models.training.loop import train
    from models.training.recipes import RECIPES
    from models.training.trackers import check_tracker

    if options.list:
        _list(RECIPES, as_json=options.json)
        return 0
    row = _choose("recipe", options.recipe, RECIPES)
    config = _configure(options, row)
    facts = {"recipe": options.recipe, "preset": _preset(options, row), "config": asdict(config)}
    facts |= {"hardware": use_device(options.device), "precision": options.precision}
    _check_inputs(config)
    if options.log_to:
        check_tracker(options.log_to)
    _check_out(options, facts)
    with _other_processes(options), _asked_to_stop() as stop:
        latest = train(row.build(config), _run_of(options, config, facts, stop), resume=options.resume)
    if stop():
        notice(f"stopped; what is done is saved in {str(options.out)!r}, and --resume goes on from there")
        return INTERRUPTED
    if options.json:
        say_json({"out": options.out, "steps": config.steps, "last": latest})
    else:
        say(str(options.out))
    return 0


def use_device(device: str) -> str:
    """Make `device` the one on which tensors are made from now on; returns what it is, for the card."""
    import torch

    if device not in ("cpu", "cuda"):
        raise RequestError(f"--device {device!r} is not known; give cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise RequestError("--device cuda needs a GPU, and none is seen here; leave it out to train on the CPU")
    if device == "cpu":
        return f"CPU, {os.cpu_count()} cores"
    torch.set_default_device(device)
    return torch.cuda.get_device_name()


def _run_of(options: argparse.Namespace, config: Any, facts: dict[str, Any], stop: Callable[[], bool]) -> Any:
    from models.training.loop import Run
    from models.training.peers import Peers

    peers = Peers(options.out, options.rank, options.processes)
    sample_every = 0 if options.rank else SAMPLE_EVERY
    out = options.out / f"rank{options.rank}" if options.rank else options.out
    return Run(
        out,
        config.steps,
        options.seed,
        options.precision,
        sample_every=sample_every,
        log_to="" if options.rank else options.log_to,
        facts=facts,
        peers=peers,
        stop=stop,
    )


@contextmanager
def _other_processes(options: argparse.Namespace) -> Iterator[None]:
    """Start processes 1 .. N-1 with this one's arguments; each gets its share of the cores."""
    if options.processes < 1:
        raise RequestError(f"--processes {options.processes} trains nothing; give 1 or more")
    if options.processes == 1 or options.rank:
        yield
        return
    threads = max(1, len(os.sched_getaffinity(0)) // options.processes)
    import torch

    torch.set_num_threads(threads)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "workbench", *sys.argv[1:]]
    others = [subprocess.Popen([*command, "--rank", str(k)], env=environment) for k in range(1, options.processes)]
    try:
        yield
        for other in others:
            other.wait()
    finally:
        for other in others:
            other.terminate()


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Inside, SIGTERM and the first Ctrl-C end the run after the step at hand; what is given says whether they
    came."""
    asked: list[int] = []

    def note(number: int, frame: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _list(recipes: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json({name: {p: asdict(config) for p, config in row.presets.items()} for name, row in recipes.items()})
        return
    for name, row in recipes.items():
        presets = ", ".join(f"{preset} ({config.steps:,} steps)" for preset, config in row.presets.items())
        say(f"{name:<20}{row.paper}\n{'':<20}{presets}")


def _choose(what: str, name: str | None, table: dict[str, Any]) -> Any:
    if name not in table:
        given = f"{what} {name!r} does not exist" if name else f"the {what} is missing"
        raise RequestError(f"{given}; choose one of {', '.join(table)}")
    return table[name]


def _preset(options: argparse.Namespace, row: Any) -> str:
    return options.preset or next(iter(row.presets))


def _configure(options: argparse.Namespace, row: Any) -> Any:
    config = _choose("preset", _preset(options, row), row.presets)
    if options.seed < 0:
        raise RequestError(f"--seed {options.seed} is negative; give 0 or more")
    config = replace(config, **_settings(options.settings, config))
    if options.steps is None:
        return config
    if options.steps < 1:
        raise RequestError(f"--steps {options.steps} trains nothing; give 1 or more")
    return replace(config, steps=options.steps)


def _settings(given: list[str], config: Any) -> dict[str, Any]:
    """Values of --set for numbers, switches, words and paths of a preset, each of its own kind."""
    known = _kinds(config)
    settings: dict[str, Any] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in known or not value:
            raise RequestError(f"--set {text!r} is no NAME=VALUE of this preset; names are {', '.join(known)}")
        settings[name] = _as(known[name], name, value)
    return settings


def _kinds(config: Any) -> dict[str, type]:
    """What kind of value each setting takes; those of other kinds, such as roles, are left out."""
    kinds = {}
    for name, hint in get_type_hints(type(config)).items():
        kind = Path if hint == Path | None else hint
        if kind in (bool, int, float, str, Path):
            kinds[name] = kind
    return kinds


def _as(kind: type, name: str, text: str) -> Any:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise RequestError(f"--set {name}={text} is neither true nor false; give one of them")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}[kind]
        raise RequestError(f"--set {name}={text} is not {wanted}; give one") from None


def _check_inputs(config: Any) -> None:
    """Weights that a recipe starts from must be there before anything is made."""
    roles = vars(getattr(config, "roles", None) or argparse.Namespace())
    given = {**vars(config), **roles}
    for name, path in given.items():
        if isinstance(path, Path) and name != "pools" and not path.exists():
            raise RequestError(
                f"{name} {str(path)!r} is not here; train that first, or run from the repository, as paths start there"
            )


def _check_out(options: argparse.Namespace, facts: dict[str, Any]) -> None:
    if not options.out:
        raise RequestError(f"--out is missing; give a folder, for example --out runs/{options.recipe}")
    if options.rank:  # checked by the process that started this one
        return
    shown, record = f"--out {str(options.out)!r}", options.out / "run.json"
    if record.exists() and not options.resume:
        raise RequestError(f"{shown} already holds a run; give --resume or another folder")
    if record.exists():
        try:
            before = {"precision": "fp32", **json.loads(record.read_text())}
        except ValueError as error:
            raise RequestError(
                f"{str(record)!r} is damaged ({error}); delete it to begin anew in this folder"
            ) from error
        _check_same(shown, before, {**facts, "seed": options.seed})
    elif options.resume:
        raise RequestError(f"{shown} holds no run to go on with; name the folder of one, or begin without --resume")
    try:
        check_place(options.out, "--out", folder=True)
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{shown} cannot be made ({error.strerror}); choose another folder") from error


def _check_same(shown: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Only the number of steps and learning rates may change while a run is resumed."""
    from models.training.loop import is_rate

    for name in ("recipe", "preset", "seed", "precision"):
        if before.get(name) != now[name]:
            was = f"{name} {before.get(name)!r}, not {now[name]!r}"
            raise RequestError(f"{shown} holds a run with {was}; resume it as it was or choose another folder")
    then, wanted = before.get("config", {}), json.loads(json.dumps(now["config"], default=str))
    for name in then.keys() & wanted.keys() - {"steps"}:
        if then[name] != wanted[name] and not is_rate(name):
            was = f"{name} {then[name]!r}, not {wanted[name]!r}"
            raise RequestError(f"{shown} holds a run with {was}; resume it as it was or choose another folder")
