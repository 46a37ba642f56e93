"""`votes`: export, import and statistics of votes, and simulations that show what the statistics are worth."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.common.words import percent
from workbench.requests.arguments import SEED, add_output, check_data_dir
from workbench.settings import Settings

if TYPE_CHECKING:
    from workbench.store import Store
    from workbench.votes.preferences import Filters, Report
    from workbench.votes.study_metrics import Beside


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "votes",
        help="export, import and statistics of votes",
        description="Votes as files and as numbers. What each column means is written beside every export.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _export_parser(actions)
    _import_parser(actions)
    _stats_parser(actions)
    _recovery_parser(actions)
    _pairing_parser(actions)
    parser.set_defaults(run=run)


def _export_parser(actions: argparse._SubParsersAction) -> None:
    export = _with_store(actions.add_parser("export", help="votes and flags as files"))
    add_output(
        export,
        "--out",
        files=lambda path, options: _export_files(path),
        required=True,
        metavar="F",
        help="F.csv, F.parquet or F.json",
    )
    export.add_argument("--study", metavar="ID", help="votes of one study (default: all)")
    export.set_defaults(act=export_votes)


def _export_files(path: Path) -> list[Path]:
    from workbench.votes.files import vote_file_names

    return vote_file_names(path)


def _import_parser(actions: argparse._SubParsersAction) -> None:
    importing = _with_store(actions.add_parser("import", help="add votes of a file; known ones stay as they are"))
    importing.add_argument("file", type=Path, metavar="F", help="what export wrote")
    importing.set_defaults(act=import_votes)


def _stats_parser(actions: argparse._SubParsersAction) -> None:
    stats = _with_store(actions.add_parser("stats", help="ratings, win rates, agreement, votes still missing"))
    stats.add_argument("--study", metavar="ID", help="votes of one study (default: all)")
    stats.add_argument("--question", default="overall", metavar="ID", help="default overall")
    stats.add_argument("--version", type=int, metavar="N", help="one version of the protocol (default: all)")
    stats.add_argument(
        "--least-checks",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="leave out annotators who passed fewer attention checks (0 to 1, default 0)",
    )
    stats.add_argument("--file", type=Path, metavar="F", help="votes of an exported file instead of the store")
    stats.add_argument(
        "--metrics", action="store_true", help="also how metrics side with people and with what they flagged"
    )
    stats.add_argument(
        "--measure", action="store_true", help="first compute the weight-free metrics of the clips that were voted on"
    )
    stats.set_defaults(act=stats_of)


def _recovery_parser(actions: argparse._SubParsersAction) -> None:
    recovery = actions.add_parser("recovery", help="simulate voters of known strengths: do intervals hold the truth?")
    recovery.add_argument("--runs", type=int, default=100, help="simulated studies (default 100)")
    recovery.add_argument("--votes", type=int, default=600, help="votes in each (default 600)")
    recovery.add_argument("--annotators", type=int, default=12, help="default 12")
    recovery.add_argument("--prompts", type=int, default=100, help="default 100")
    recovery.add_argument("--annotator-sd", type=float, default=0.0, help="how annotators differ, in log strength")
    recovery.add_argument("--prompt-sd", type=float, default=0.0, help="how prompts differ, in log strength")
    recovery.add_argument("--seed", type=SEED, default=0)
    recovery.add_argument("--json", action="store_true", help="print JSON")
    recovery.set_defaults(act=show_recovery)


def _pairing_parser(actions: argparse._SubParsersAction) -> None:
    pairing = actions.add_parser("pairing", help="simulate studies with telling pairs against uniform ones")
    pairing.add_argument("--runs", type=int, default=20, help="simulated studies of each world (default 20)")
    pairing.add_argument("--width", type=float, default=0.3, help="of the widest win rate's interval (default 0.3)")
    pairing.add_argument("--seed", type=SEED, default=0)
    pairing.add_argument("--json", action="store_true", help="print JSON")
    pairing.set_defaults(act=show_pairing)


def _with_store(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--data-dir", type=Path, default=Settings.data_dir, metavar="D", help="the app's data folder")
    parser.add_argument("--database-url", metavar="URL", help="SQLAlchemy URL (default: SQLite in --data-dir)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(options: argparse.Namespace) -> int:
    return options.act(options)


def _store(options: argparse.Namespace) -> "Store":
    from workbench.store import open_store

    return open_store(Settings(data_dir=options.data_dir, database_url=options.database_url))


def export_votes(options: argparse.Namespace) -> int:
    from workbench.votes.files import VoteTables, write_votes

    check_data_dir(options)
    store = _store(options)
    tables = VoteTables(store.votes(options.study), store.flags(options.study))
    files = write_votes(options.out, tables)
    done = {"files": [str(file) for file in files], "rows": len(tables.votes), "flags": len(tables.flags)}
    if options.json:
        say_json(done)
    else:
        say("\n".join([*done["files"], f"{done['rows']} answers, {done['flags']} flags"]))
    return 0


def import_votes(options: argparse.Namespace) -> int:
    from workbench.votes.files import read_votes

    tables = read_votes(options.file)  # before the store is opened: a bad file makes no database
    store = _store(options)
    added = {"rows": store.import_votes(tables.votes), "flags": store.import_flags(tables.flags)}
    known = len(tables.votes) - added["rows"]
    if options.json:
        say_json(added | {"known": known})
    else:
        say(f"{added['rows']} answers and {added['flags']} flags added; {known} answers were there already")
    return 0


def stats_of(options: argparse.Namespace) -> int:
    from workbench.votes.files import VoteTables, read_votes
    from workbench.votes.preferences import Filters, study_report

    if not 0 <= options.least_checks <= 1:
        raise RequestError(f"--least-checks {options.least_checks} is not a share; give 0 to 1")
    if options.file:
        tables = read_votes(options.file)
        if options.study:
            tables = VoteTables(tables.votes[tables.votes["study"] == options.study], tables.flags)
    else:
        check_data_dir(options)
        store = _store(options)
        tables = VoteTables(store.votes(options.study), store.flags(options.study))
    questions = sorted(set(tables.votes["question"]))
    if questions and options.question not in questions:
        raise RequestError(f"question {options.question!r} has no votes; choose one of {', '.join(questions)}")
    filters = Filters(options.question, options.version, options.least_checks)
    report = study_report(tables.votes, tables.flags, filters)
    found = _beside(options, filters) if options.metrics or options.measure else None
    if options.json:
        say_json(report.to_json() | ({"metrics": found.to_json()} if found else {}))
    else:
        say("\n".join([text_of(report), *(metric_lines(found) if found else [])]))
    return 0


def _beside(options: argparse.Namespace, filters: "Filters") -> "Beside":
    from workbench.votes.study_metrics import beside, measure

    if options.file or not options.study:
        raise RequestError("--metrics and --measure need the clips of one study; give --study ID, and no --file")
    store = _store(options)
    for _ in tqdm(measure(store, options.data_dir, options.study), unit="clip") if options.measure else ():
        pass
    return beside(store, options.data_dir, options.study, filters)


def metric_lines(found: "Beside") -> list[str]:
    """Metrics beside people, as text."""
    lines = ["", f"{found.clips} clips were voted on; of {found.unmeasured} no metric is known (--measure)."]
    if found.agreement:
        lines += ["decisions that agree (95 %)  Kendall's tau (95 %)       pairs  metric"]
    for row in found.agreement:
        share, tau = row.accuracy, row.tau
        told = f"{percent(share.value)} ({percent(share.low)} to {percent(share.high)})"
        ordered = f"{tau.value:+z.2f} ({tau.low:+z.2f} to {tau.high:+z.2f})" if tau else "-"
        lines.append(f"{told:<28} {ordered:<26} {row.pairs:>5}  {row.metric}")
    if found.flagged:
        lines += ["stands out at flags (95 %)   flags  what       metric"]
    for flagged in found.flagged:
        share = flagged.share
        told = f"{share.value:z.2f} ({share.low:z.2f} to {share.high:z.2f})"
        lines.append(f"{told:<28} {flagged.flags:>5}  {flagged.kind or 'anything':<9}  {flagged.metric}")
    return lines


def text_of(report: "Report") -> str:
    """The report as text: the headline, ratings, pairs, and what they rest on."""
    lines = [report.headline, ""]
    if report.ratings:
        lines += ["rank  Elo (95 %)             log strength (95 %)     votes  system"]
        for row in report.ratings.rows:
            value, low, high = row.points()
            elo, strength = (
                f"{value:.0f} ({low:.0f} to {high:.0f})",
                f"{row.strength:+z.2f} ({row.low:+z.2f} to {row.high:+z.2f})",
            )
            lines.append(f"{row.rank:>4}  {elo:<22} {strength:<23} {row.votes:>5}  {row.system}")
        lines += ["", "won of decisive (95 %)   wins  losses  ties  bad  more votes  pair"]
        for duel in report.duels:
            one = duel.rate
            share = one.decisive
            told = f"{percent(share.value)} ({percent(share.low)} to {percent(share.high)})" if share else "-"
            more = {None: "not known", 0: "apart"}.get(duel.more, f"about {duel.more}")
            numbers = f"{one.wins:>4}  {one.losses:>6}  {one.ties:>4}  {one.bad:>3}  {more:<10}"
            lines.append(f"{told:<24} {numbers}  {one.first} against {one.second}")
        lines.append("")
    alpha = report.agreement.alpha
    if alpha:
        raw = f"raw agreement {percent(report.agreement.raw)}"
        told = f"{alpha.value:z.2f} ({alpha.low:z.2f} to {alpha.high:z.2f})"
        lines.append(f"Krippendorff's alpha {told}, {raw}, {report.agreement.units} pairs seen by two or more.")
    if report.side:
        left = report.side.left
        lines.append(
            f"A won {percent(left.value)} ({percent(left.low)} to {percent(left.high)}) of decisive votes, "
            f"p {report.side.p:.2g}."
        )
    lines.append(
        f"{report.votes} votes count, of {report.annotators} annotators on {report.prompts} prompts; left out: "
        f"{report.undone} undone, {report.checks} attention checks, {report.excluded} of inattentive annotators."
    )
    lines += report.ratings.notes if report.ratings else []
    lines += [f"Protocol {protocol}" for protocol in report.protocols]
    return "\n".join(lines)


def show_recovery(options: argparse.Namespace) -> int:
    from eval.preferences.simulation import STUDY, World, recovery
    from eval.statistics.intervals import wilson

    _positive(options, "runs", "votes", "annotators", "prompts")
    world = World(STUDY, annotator_sd=options.annotator_sd, prompt_sd=options.prompt_sd)
    sizes = {"votes": options.votes, "annotators": options.annotators, "prompts": options.prompts}
    found = recovery(world, runs=options.runs, seed=options.seed, **sizes)
    share = wilson(found.all_inside, found.runs)
    if options.json:
        say_json(
            {**sizes, "runs": found.runs, "all_inside": found.all_inside, "each": found.each, "width": found.width}
        )
    else:
        say(
            f"All {len(STUDY)} strengths were inside their simultaneous 95 % intervals in {found.all_inside} of "
            f"{found.runs} simulated studies ({percent(share.low)} to {percent(share.high)}); a single strength was "
            f"inside its own in {percent(found.each, 1)}. Median width {found.width:z.2f} log strength, "
            f"{options.votes} votes each."
        )
    return 0


def show_pairing(options: argparse.Namespace) -> int:
    from eval.preferences.simulation import pairing_rows

    _positive(options, "runs")
    if not 0.05 <= options.width < 1:
        raise RequestError(f"--width {options.width} is not the width of an interval of a share; give 0.05 to 0.95")
    rows = pairing_rows(runs=options.runs, width=options.width, seed=options.seed)
    if options.json:
        say_json(rows)
        return 0
    lines = [
        "| systems | votes, uniform pairs | votes, telling pairs | fewer (95 %) | runs |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        saved = f"{percent(row['saved'])} ({percent(row['low'])} to {percent(row['high'])})"
        lines.append(f"| {row['world']} | {row['uniform']:.0f} | {row['driven']:.0f} | {saved} | {row['runs']} |")
    lines += ["", f"Mean votes until the widest 95 % interval of a win rate is {options.width:z.2f} wide."]
    say("\n".join(lines))
    return 0


def _positive(options: argparse.Namespace, *names: str) -> None:
    for name in names:
        if getattr(options, name) < 1:
            raise RequestError(f"--{name} is {getattr(options, name)}; give a number above 0")
