"""Studies, their clips and their pairs in the database."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from workbench.common.clock import now
from workbench.store import schema
from workbench.store.database import Database
from workbench.store.records import Clip, Pair, PairState, StudyRecord


class Studies:
    """Every version of every study; the newest version is the one that is voted on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StudyRecord]:
        """The newest version of every study, oldest study first."""
        table = schema.study
        with self._database.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.created_at, table.c.id)).all()
        newest: dict[str, StudyRecord] = {}
        for row in rows:
            record = StudyRecord(**row._mapping)
            if record.id not in newest or record.version > newest[record.id].version:
                newest[record.id] = record
        return list(newest.values())

    def get(self, study: str, version: int | None = None) -> StudyRecord | None:
        """A study at a version, the newest when None; None when there is no such study."""
        table = schema.study
        query = select(table).where(table.c.id == study).order_by(table.c.version.desc()).limit(1)
        if version is not None:
            query = query.where(table.c.version == version)
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return StudyRecord(**row._mapping) if row else None

    def save(self, study: str, title: str, definition: str, protocol_hash: str) -> StudyRecord:
        """Keep a definition and return its record. A protocol that differs from the newest becomes a new version;
        the same one only takes new wording."""
        table = schema.study
        with self._database.write() as connection:
            newest = connection.execute(
                select(table).where(table.c.id == study).order_by(table.c.version.desc()).limit(1).with_for_update()
            ).first()
            if newest and newest.protocol_hash == protocol_hash:
                connection.execute(
                    update(table)
                    .where(table.c.id == study, table.c.version == newest.version)
                    .values(title=title, definition=definition)
                )
                version = newest.version
            else:
                version = newest.version + 1 if newest else 1
                values = {"id": study, "version": version, "title": title, "definition": definition}
                more = {"protocol_hash": protocol_hash, "state": "open", "created_at": now(), "frozen_at": None}
                connection.execute(table.insert().values(**values, **more))
            row = connection.execute(select(table).where(table.c.id == study, table.c.version == version)).one()
        return StudyRecord(**row._mapping)

    def freeze(self, study: str, version: int) -> StudyRecord:
        """Mark a version's protocol as final; freezing again changes nothing."""
        table = schema.study
        where = (table.c.id == study, table.c.version == version)
        with self._database.write() as connection:
            connection.execute(update(table).where(*where, table.c.frozen_at.is_(None)).values(frozen_at=now()))
            row = connection.execute(select(table).where(*where)).one()
        return StudyRecord(**row._mapping)

    def set_state(self, study: str, state: str) -> None:
        """Open or close every version of a study for voting."""
        with self._database.write() as connection:
            connection.execute(update(schema.study).where(schema.study.c.id == study).values(state=state))

    def add(self, clips: Sequence[Clip], pairs: Sequence[Pair]) -> None:
        """Keep clips and pairs, all or none; those that are there already stay as they are."""
        with self._database.write() as connection:
            if clips:
                rows = [asdict(clip) | {"created_at": now()} for clip in clips]
                connection.execute(self._insert(schema.clip).on_conflict_do_nothing(), rows)
            if pairs:
                rows = [asdict(pair) | {"issued": 0} for pair in pairs]
                connection.execute(self._insert(schema.pair).on_conflict_do_nothing(), rows)

    def clips(self, study: str) -> list[Clip]:
        table = schema.clip
        columns = [column for column in table.c if column.name != "created_at"]
        with self._database.read() as connection:
            rows = connection.execute(
                select(*columns).where(table.c.study == study).order_by(table.c.created_at)
            ).all()
        return [Clip(**row._mapping) for row in rows]

    def count_pairs(self, study: str, version: int) -> int:
        """How many pairs, checks left out, can be voted on by now."""
        table = schema.pair
        query = select(func.count()).where(
            table.c.study == study, table.c.version == version, table.c.check_kind == ""
        )
        with self._database.read() as connection:
            return connection.execute(query).scalar_one()

    def pairs(self, study: str, version: int) -> list[PairState]:
        """All pairs of a version, checks included, in a fixed order."""
        with self._database.read() as connection:
            rows = connection.execute(pair_states().where(*_of(study, version)).order_by(schema.pair.c.id)).all()
        return [PairState(**row._mapping) for row in rows]

    def pair_clips(self, study: str, version: int) -> dict[str, tuple[str, str]]:
        """The ids of the two clips of every pair of a version."""
        table = schema.pair
        query = select(table.c.id, table.c.first_clip, table.c.second_clip).where(*_of(study, version))
        with self._database.read() as connection:
            return {row.id: (row.first_clip, row.second_clip) for row in connection.execute(query)}

    def _insert(self, table):
        return (sqlite if self._database.is_sqlite else postgresql).insert(table)


def pair_states():
    """The query behind PairState."""
    first, second, table = schema.clip.alias("first"), schema.clip.alias("second"), schema.pair
    return (
        select(
            table.c.id,
            table.c.prompt,
            first.c.system.label("first_system"),
            second.c.system.label("second_system"),
            table.c.check_kind,
            table.c.issued,
        )
        .join(first, first.c.id == table.c.first_clip)
        .join(second, second.c.id == table.c.second_clip)
    )


def _of(study: str, version: int):
    return schema.pair.c.study == study, schema.pair.c.version == version
