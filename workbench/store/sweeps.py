"""Sweeps and the state of their cells. A cell's clip, values and state are written together."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from workbench.common.clock import now
from workbench.store import schema
from workbench.store.clips import ClipStore
from workbench.store.database import Database
from workbench.store.records import CellState, GeneratedClip, SweepRecord, Value


class Sweeps:
    def __init__(self, database: Database, clips: ClipStore) -> None:
        self._database, self._clips = database, clips

    def save(self, identity: str, name: str, plan: str, cells: Sequence[str]) -> SweepRecord:
        """Keep a sweep with its cells in order, all waiting. One that is there keeps the states of its cells; a cell
        that another sweep has done is done here too."""
        table, cell = schema.sweep, schema.sweep_cell
        put = (sqlite if self._database.is_sqlite else postgresql).insert
        values = {"id": identity, "name": name, "plan": plan, "created_at": now()}
        rows = [_waiting(identity, each, position) for position, each in enumerate(cells)]
        with self._database.write() as connection:
            connection.execute(put(table).values(**values).on_conflict_do_nothing())
            connection.execute(put(cell).on_conflict_do_nothing(), rows)
            _adopt(connection, identity)
        return self.get(identity)

    def get(self, identity: str) -> SweepRecord | None:
        """A sweep with the counts of its cells; None when there is none."""
        return next(iter(self._read(schema.sweep.c.id == identity)), None)

    def all(self) -> list[SweepRecord]:
        """Every sweep, newest first."""
        return self._read(True)

    def _read(self, rule) -> list[SweepRecord]:
        table, cell = schema.sweep, schema.sweep_cell
        counts = select(cell.c.sweep, cell.c.status, func.count()).group_by(cell.c.sweep, cell.c.status)
        query = select(table).where(rule).order_by(table.c.created_at.desc(), table.c.id)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
            counts = counts.where(cell.c.sweep.in_([row.id for row in rows]))
            found = {(sweep, status): n for sweep, status, n in connection.execute(counts)}
        states = ("waiting", "done", "failed")
        return [SweepRecord(**row._mapping, **{s: found.get((row.id, s), 0) for s in states}) for row in rows]

    def cells(self, identity: str) -> list[CellState]:
        """The cells of a sweep in the order of its plan."""
        table = schema.sweep_cell
        columns = [table.c[name] for name in ("cell", "status", "reason", "attempts", "clip")]
        query = select(*columns).where(table.c.sweep == identity).order_by(table.c.position)
        with self._database.read() as connection:
            return [CellState(*row) for row in connection.execute(query)]

    def done_cells(self, cells: Sequence[str]) -> dict[str, str]:
        """Those of `cells` that any sweep has done, each with its clip."""
        table = schema.sweep_cell
        query = select(table.c.cell, func.min(table.c.clip)).where(table.c.status == "done").group_by(table.c.cell)
        wanted = set(cells)
        with self._database.read() as connection:
            return {cell: clip for cell, clip in connection.execute(query) if cell in wanted}

    def finish(self, identity: str, cell: str, clip: GeneratedClip, values: Mapping[str, Value]) -> None:
        """Keep the clip and the values of a cell and mark it done, all or none; again changes nothing."""
        with self._database.write() as connection:
            self._clips.put_clips(connection, [clip])
            self._clips.put_values(connection, clip.id, values)
            done = {"status": "done", "reason": "", "clip": clip.id}
            _change(connection, identity, cell, done | {"attempts": schema.sweep_cell.c.attempts + 1})

    def fail(self, identity: str, cell: str, reason: str) -> None:
        """Mark a cell failed, with the reason."""
        with self._database.write() as connection:
            failed = {"status": "failed", "reason": reason, "clip": None}
            _change(connection, identity, cell, failed | {"attempts": schema.sweep_cell.c.attempts + 1})

    def wait(self, identity: str, cells: Sequence[str]) -> None:
        """Put cells back among those that are still to be made: failed ones, or ones whose clip is gone."""
        table = schema.sweep_cell
        with self._database.write() as connection:
            for cell in cells:
                # whichever sweep had it: its clip is gone for all of them
                gone = update(table).where(
                    table.c.cell == cell, (table.c.sweep == identity) | (table.c.status == "done")
                )
                connection.execute(gone.values(status="waiting", reason="", clip=None))


def _waiting(sweep: str, cell: str, position: int) -> dict:
    return {
        "sweep": sweep,
        "cell": cell,
        "position": position,
        "status": "waiting",
        "reason": "",
        "attempts": 0,
        "clip": None,
    }


def _adopt(connection: Connection, identity: str) -> None:
    """Mark the waiting cells of a sweep done that any other sweep has done."""
    table, other = schema.sweep_cell, schema.sweep_cell.alias("other")
    clip = select(func.min(other.c.clip)).where(other.c.cell == table.c.cell, other.c.status == "done")
    waiting = update(table).where(table.c.sweep == identity, table.c.status == "waiting")
    known = select(other.c.cell).where(other.c.status == "done")
    done = waiting.where(table.c.cell.in_(known)).values(status="done", reason="", clip=clip.scalar_subquery())
    connection.execute(done)


def _change(connection: Connection, sweep: str, cell: str, values: dict) -> None:
    table = schema.sweep_cell
    connection.execute(update(table).where(table.c.sweep == sweep, table.c.cell == cell).values(**values))
