"""`studies`: preference studies from YAML files, their leak check, and freezing them."""

import argparse
from pathlib import Path

from models.default_world import DEFAULT
from models.types import RequestError
from workbench.common.console import notice, say, say_json
from workbench.requests.arguments import check_data_dir, device
from workbench.settings import Settings
from workbench.store import Store, open_store
from workbench.store.records import StudyRecord
from workbench.votes.bodies import Refused
from workbench.votes.studies import DEFAULT_STUDY, default_study, read_study
from workbench.votes.study_clips import StudyClips, check_ready_clips
from workbench.votes.voting import VotingService

EXAMPLE = f"""example of a study:
  id: one-step
  title: Which video is better?
  systems: [{DEFAULT.asd}:1:4, {DEFAULT.baseline}:1:0]
  prompts: [{DEFAULT.prompt}]
  seeds: [1, 2, 3]
  questions: [overall, motion]"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "studies",
        help="preference studies: add, check, freeze",
        description="Studies of the Vote page. `add` reads YAML and makes the clips; `freeze` fixes the protocol; "
        "`remake` makes the clips again when the weights behind them have changed, as a new version: votes keep "
        "theirs.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="add a study, or a new version of one, and make its clips")
    add.add_argument("file", type=Path, metavar="FILE", help=f"a YAML file; {DEFAULT_STUDY!r} for the default study")
    add.add_argument("--no-clips", action="store_true", help="let the app make the clips when somebody votes")
    remake = actions.add_parser("remake", help="a new version, its clips by weights that have changed since")
    remake.add_argument("study", metavar="ID")
    for making in (add, remake):
        making.add_argument(
            "--device", type=device, default=Settings.device, help=f"cpu or cuda (default {Settings.device})"
        )
    listing = actions.add_parser("list", help="list the studies")
    parsers = [add, remake, listing]
    for name, text in (
        ("leaks", "name every channel by which the clips could be told apart"),
        ("freeze", "fix the protocol, when nothing leaks"),
        ("close", "take no more votes"),
        ("open", "take votes again"),
    ):
        parsers.append(actions.add_parser(name, help=text))
        parsers[-1].add_argument("study", metavar="ID")
    for each in parsers:
        each.add_argument("--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="folder of the data")
        each.add_argument("--database-url", metavar="URL", help="the database (default: SQLite in --data-dir)")
        each.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.action == "add":  # before the store is opened: a bad file makes no database
        options.asked = default_study() if str(options.file) == DEFAULT_STUDY else read_study(options.file)
        for text in check_ready_clips(options.asked):
            notice(text)
    else:
        check_data_dir(options)
    settings = Settings(data_dir=options.data_dir, database_url=options.database_url)
    store = open_store(settings)
    try:
        rows = ACTIONS[options.action](options, settings, store)
    except Refused as refused:
        raise RequestError(refused.sentence) from refused
    finally:
        store.close()
    if options.json:
        say_json(rows)
    for row in [] if options.json else rows:
        say("  ".join(f"{name} {value}" for name, value in row.items()))
    return 0


def _add(options: argparse.Namespace, settings: Settings, store: Store) -> list[dict]:
    study = options.asked
    record = store.studies.save(study.id, study.title, study.to_json(), study.protocol_hash())
    if not options.no_clips:
        _clips(options, settings, store).prepare(record)
    return [_row(store, settings, record)]


def _clips(options: argparse.Namespace, settings: Settings, store: Store) -> StudyClips:
    from workbench.clips.generation import GenerationService
    from workbench.votes.study_maker import registry_maker

    service = GenerationService(settings.data_dir, options.device)
    return StudyClips(store, settings.data_dir, registry_maker(service))


def _list(options: argparse.Namespace, settings: Settings, store: Store) -> list[dict]:
    voting, rows = _voting(settings, store), []
    for record in store.studies.all():
        changed = ", ".join(voting.changed_weights(record))
        rows.append(_row(store, settings, record) | {"weights": f"changed: {changed}" if changed else "as they were"})
    return rows


def _leaks(options: argparse.Namespace, settings: Settings, store: Store) -> list[dict]:
    voting = _voting(settings, store)
    return [
        {"first": first, "second": second, "channel": found.channel, "leaks": found.leaks, "says": found.says}
        for (first, second), findings in voting.clips.leaks(voting.study(options.study)).items()
        for found in findings
    ]


def _freeze(options: argparse.Namespace, settings: Settings, store: Store) -> list[dict]:
    return [_row(store, settings, _voting(settings, store).freeze(options.study))]


def _remake(options: argparse.Namespace, settings: Settings, store: Store) -> list[dict]:
    clips = _clips(options, settings, store)
    record = VotingService(store, settings, clips).remake(options.study)
    clips.wait(record)
    return [_row(store, settings, record)]


def _set_state(options: argparse.Namespace, settings: Settings, store: Store) -> list[dict]:
    record = _voting(settings, store).study(options.study)
    store.studies.set_state(record.id, "closed" if options.action == "close" else "open")
    return [_row(store, settings, store.studies.get(record.id))]


def _voting(settings: Settings, store: Store) -> VotingService:
    return VotingService(store, settings, StudyClips(store, settings.data_dir))


def _row(store: Store, settings: Settings, record: StudyRecord) -> dict:
    progress = StudyClips(store, settings.data_dir).progress(record)
    return {
        "id": record.id,
        "version": record.version,
        "state": record.state,
        "frozen": record.frozen_at or "no",
        "protocol": record.protocol_hash,
        "clips": f"{progress.ready}/{progress.planned}",
        "pairs": store.studies.count_pairs(record.id, record.version),
    }


ACTIONS = {
    "add": _add,
    "list": _list,
    "leaks": _leaks,
    "freeze": _freeze,
    "remake": _remake,
    "close": _set_state,
    "open": _set_state,
}
