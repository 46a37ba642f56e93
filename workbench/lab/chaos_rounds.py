"""Rounds of chaos, and the journal that lets them go on in another run: a line of JSON for every round that ended."""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from eval.video.text_files import parse_json, read_text
from models.types import RequestError
from workbench.common.line_files import appending
from workbench.lab.chaos import (
    SMALL_DISK,
    Part,
    clips_and_evaluations,
    connections,
    full_disk,
    small_disk,
    sweep,
    votes,
)

CYCLE_KILLS = 20  # kills until every part has had its turn; dropped connections and full disks end each cycle
DROPS = 40
KILLED = (votes, sweep, clips_and_evaluations)


@dataclass(frozen=True)
class Round:
    """What is tried in a row: `kills` of one part, or no kills, and dropped connections and full disks."""

    number: int
    part: Callable[..., Part] | None
    kills: int
    seed: int


def rounds(kills: int, seed: int) -> Iterator[Round]:
    """The rounds of so many kills; more kills only add rounds to those of fewer, from one whole cycle on."""
    number = done = 0
    while done < kills or not number:
        cycle = min(CYCLE_KILLS, kills - done)
        for k, part in enumerate((*KILLED, None)):
            share = cycle // len(KILLED) + (k < cycle % len(KILLED)) if part else 0
            if share or not part:
                yield Round(number, part, share, seed + number)
            number += 1
        done += cycle


def try_round(what: Round, on_kill: Callable[[], object]) -> Iterator[Part]:
    """The parts of one round, in folders that are removed."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with tempfile.TemporaryDirectory() as place:
        if what.part:
            yield what.part(Path(place), what.kills, what.seed, on_kill)
            return
        yield connections(Path(place), DROPS, what.seed)
    try:
        with small_disk(SMALL_DISK) as disk:
            yield from full_disk(disk)
    except RequestError as error:
        yield Part("a full disk", left_out=str(error))


def run_chaos(
    kills: int, seed: int, journal: Path | None = None, on_kill: Callable[[], object] = lambda: None
) -> Iterator[Part]:
    """The parts of all rounds; those that `journal` has are not tried again but told as they were."""
    ended = read_journal(journal) if journal and journal.exists() else {}
    for what in rounds(kills, seed):
        if what.number in ended:
            parts = [Part(**part) for part in ended[what.number]]
            for _ in range(what.kills):
                on_kill()
            yield from parts
            continue
        parts = []
        for part in try_round(what, on_kill):
            parts.append(part)
            yield part
        if journal:
            _keep(journal, {"round": what.number, "seed": what.seed, "parts": [asdict(part) for part in parts]})


def read_journal(path: Path) -> dict[int, list[dict]]:
    """The parts of every round that ended, without a line that a crash cut off; RequestError for other files."""
    try:
        lines = [parse_json(line) for line in read_text(path).rpartition("\n")[0].splitlines()]
        return {line["round"]: [dict(part) for part in line["parts"]] for line in lines}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RequestError(f"{str(path)!r} is no journal of chaos; name the --journal of an earlier run") from error


def _keep(journal: Path, line: dict) -> None:
    with appending(journal, sync=True) as add:
        add(json.dumps(line))
