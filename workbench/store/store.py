"""The store as a whole: opening it, and its votes as tables."""

from collections.abc import Sequence

import pandas as pd
from sqlalchemy import Row, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from models.types import RequestError
from workbench.settings import Settings
from workbench.store import schema
from workbench.store.ballots import Ballots
from workbench.store.clips import ClipStore
from workbench.store.database import Database, StoreUnavailable, database_url
from workbench.store.migrations import migrate
from workbench.store.people import People
from workbench.store.studies import Studies
from workbench.store.sweeps import Sweeps

VOTE_COLUMNS = (
    "vote_id",
    "study",
    "study_version",
    "protocol_hash",
    "assignment",
    "annotator",
    "prompt",
    "seed",
    "question",
    "left_system",
    "right_system",
    "answer",
    "winner",
    "check_kind",
    "watched_seconds",
    "seconds",
    "created_at",
    "undone",
    "app_version",
    "left_clip",
    "right_clip",
)
FLAG_COLUMNS = ("vote_id", "side", "time_seconds", "kind", "comment")
# an empty table has the types of a full one
TYPES = {
    "study_version": "int64",
    "seed": "int64",
    "undone": "bool",
    "watched_seconds": "float64",
    "seconds": "float64",
}
SIDES = {"a": "left", "b": "right"}
BY_LETTER = {side: letter for letter, side in SIDES.items()}
WINNERS = {"a": "left", "b": "right", "tie": "tie", "bad": "bad"}


class Store(ClipStore):
    """Studies, people, votes, clips, values and sweeps in one database. All methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.studies, self.people, self.ballots = Studies(database), People(database), Ballots(database)
        self.sweeps = Sweeps(database, self)

    def votes(self, study: str | None = None) -> pd.DataFrame:
        """One row for each answer to one question, undone ones included, with `VOTE_COLUMNS`, oldest first.

        `vote_id` is the same for the answers of one vote; "a" is the clip on the left.
        """
        with self.database.read() as connection:
            rows = [_vote_row(row) for row in connection.execute(_votes_query(study))]
            imported = schema.imported_vote
            query = select(imported) if study is None else select(imported).where(imported.c.study == study)
            rows += [_imported_row(row) for row in connection.execute(query)]
        rows.sort(key=lambda row: (row["created_at"], row["vote_id"], row["question"]))
        return pd.DataFrame(rows, columns=list(VOTE_COLUMNS)).astype(TYPES)

    def flags(self, study: str | None = None) -> pd.DataFrame:
        """The moments that annotators marked, with `FLAG_COLUMNS`, `side` left or right; undone votes' are among
        them."""
        flag, vote, table = schema.flag, schema.vote, schema.assignment
        own = select(flag.c.vote, flag.c.side, flag.c.time_seconds, flag.c.kind, flag.c.comment)
        own = own.join(vote, vote.c.id == flag.c.vote).join(table, table.c.id == vote.c.assignment)
        imported = schema.imported_flag
        others = select(*(imported.c[name] for name in FLAG_COLUMNS))
        if study is not None:
            own = own.where(table.c.study == study)
            known = select(schema.imported_vote.c.vote_id).where(schema.imported_vote.c.study == study)
            others = others.where(imported.c.vote_id.in_(known))
        with self.database.read() as connection:
            rows = [*connection.execute(own.order_by(flag.c.vote, flag.c.position)), *connection.execute(others)]
        table = pd.DataFrame([tuple(row) for row in rows], columns=list(FLAG_COLUMNS))
        return table.replace({"side": SIDES})

    def import_votes(self, frame: pd.DataFrame) -> int:
        """Add votes of a table as `votes` gives it and return how many rows were new; known ones stay as they are.

        Raises RequestError for a table without one of the columns or with an answer that is none.
        """
        _check_columns(frame, VOTE_COLUMNS, "votes")
        unknown = sorted(set(frame["answer"]) - set(WINNERS))
        if unknown:
            raise RequestError(f"answer {str(unknown[0])[:40]!r} is not one; the table may hold {', '.join(WINNERS)}")
        rows = [_to_import(row) for row in frame[list(VOTE_COLUMNS)].to_dict("records")]
        with self.database.write() as connection:
            known = {row[0] for row in connection.execute(select(schema.vote.c.id))}
            return self._add(connection, schema.imported_vote, [row for row in rows if row["vote_id"] not in known])

    def import_flags(self, frame: pd.DataFrame) -> int:
        """Add flags of a table as `flags` gives it and return how many were new. Raises RequestError."""
        _check_columns(frame, FLAG_COLUMNS, "flags")
        seen: dict[str, int] = {}
        rows = []
        for row in frame[list(FLAG_COLUMNS)].to_dict("records"):
            position = seen[row["vote_id"]] = seen.get(row["vote_id"], -1) + 1
            comment = row["comment"] if isinstance(row["comment"], str) else ""
            side = BY_LETTER.get(row["side"], row["side"])
            rows.append(row | {"position": position, "comment": comment, "side": side})
        with self.database.write() as connection:
            known = {row[0] for row in connection.execute(select(schema.vote.c.id))}
            return self._add(connection, schema.imported_flag, [row for row in rows if row["vote_id"] not in known])

    def refusals(self, limit: int = 1000) -> pd.DataFrame:
        """What was refused, newest first."""
        with self.database.read() as connection:
            rows = connection.execute(select(schema.refusal).order_by(schema.refusal.c.created_at.desc()).limit(limit))
            return pd.DataFrame([tuple(row) for row in rows], columns=[column.name for column in schema.refusal.c])

    def problems(self) -> list[str]:
        """What the database itself finds damaged; empty when it is well. PostgreSQL checks its pages as it reads."""
        if not self.database.is_sqlite:
            return []
        with self.database.read() as connection:
            found = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
            found += [f"broken reference in {row[0]}" for row in connection.execute(text("PRAGMA foreign_key_check"))]
        return [line for line in found if line != "ok"]

    def close(self) -> None:
        self.database.engine.dispose()

    def _add(self, connection, table, rows: Sequence[dict]) -> int:
        if not rows:
            return 0
        before = connection.execute(select(func.count()).select_from(table)).scalar_one()
        insert = (sqlite if self.database.is_sqlite else postgresql).insert(table)
        connection.execute(insert.on_conflict_do_nothing(), rows)
        return connection.execute(select(func.count()).select_from(table)).scalar_one() - before


def open_store(settings: Settings) -> Store:
    """The store of these settings, brought to the newest schema.

    Raises RequestError when the database cannot be reached or was made by a newer program.
    """
    url = database_url(settings.database_url, settings.data_dir)
    if url.get_backend_name() == "sqlite":
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(url)
    try:
        with database.migrating() as connection:
            migrate(connection)
    except StoreUnavailable as error:
        shown = url.render_as_string(hide_password=True)
        raise RequestError(f"{shown} cannot be opened ({error}); check --database-url or --data-dir") from error
    return Store(database)


def _votes_query(study: str | None):
    vote, undo, table, pair, answer = schema.vote, schema.undo, schema.assignment, schema.pair, schema.answer
    first, second = schema.clip.alias("first"), schema.clip.alias("second")
    query = (
        select(
            vote.c.id.label("vote_id"),
            table.c.study,
            table.c.version.label("study_version"),
            table.c.protocol_hash,
            table.c.id.label("assignment"),
            table.c.annotator,
            pair.c.prompt,
            pair.c.seed,
            answer.c.question,
            answer.c.answer,
            pair.c.check_kind,
            vote.c.watched_seconds,
            vote.c.seconds,
            vote.c.created_at,
            vote.c.app_version,
            undo.c.vote.label("undone"),
            table.c.swapped,
            first.c.system.label("first_system"),
            second.c.system.label("second_system"),
            first.c.id.label("first_clip"),
            second.c.id.label("second_clip"),
        )
        .join(answer, answer.c.vote == vote.c.id)
        .join(undo, undo.c.vote == vote.c.id, isouter=True)
        .join(table, table.c.id == vote.c.assignment)
        .join(pair, pair.c.id == table.c.pair)
        .join(first, first.c.id == pair.c.first_clip)
        .join(second, second.c.id == pair.c.second_clip)
    )
    return query if study is None else query.where(table.c.study == study)


def _vote_row(row: Row) -> dict:
    values = dict(row._mapping)
    left, right = ("second", "first") if row.swapped else ("first", "second")
    values |= {"left_system": values[f"{left}_system"], "right_system": values[f"{right}_system"]}
    values |= {"left_clip": values[f"{left}_clip"], "right_clip": values[f"{right}_clip"]}
    values |= {"winner": WINNERS[row.answer], "undone": row.undone is not None}
    return {name: values[name] for name in VOTE_COLUMNS}


def _imported_row(row: Row) -> dict:
    values = row._mapping
    return {name: bool(values[name]) if name == "undone" else values[name] for name in VOTE_COLUMNS}


def _to_import(row: dict) -> dict:
    numbers = {"study_version": int, "seed": int, "undone": int, "watched_seconds": float, "seconds": float}
    texts = {name: "" if pd.isna(row[name]) else str(row[name]) for name in VOTE_COLUMNS if name not in numbers}
    try:
        return texts | {name: kind(_truth(row[name])) for name, kind in numbers.items()}
    except (TypeError, ValueError) as error:
        raise RequestError(
            f"vote {texts['vote_id'][:40]!r} has a number that is none ({error}); mend the table"
        ) from error


def _truth(value):
    """Spreadsheets write truth values as words."""
    return {"true": 1, "false": 0}.get(str(value).lower(), value)


def _check_columns(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise RequestError(f"the table of {what} lacks the column {missing[0]!r}; it needs {', '.join(columns)}")
