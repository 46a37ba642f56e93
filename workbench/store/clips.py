"""Generated clips and what metrics say of them, with sums that follow every value.

Leaderboards read `metric_sum`, one row for each prompt of a system: there are far fewer of them than values.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Select, and_, delete, func, insert, or_, select, text, true
from sqlalchemy.dialects import postgresql, sqlite

from models.types import RequestError
from workbench.requests.systems import System
from workbench.store import schema
from workbench.store.database import Database
from workbench.store.records import SETTINGS, ClipFilter, GeneratedClip, Value

VALUES_LOCK = 4_711_043  # any number, the same for all who write values
BATCH = 20_000  # rows held in memory at once
MOST_NAMES = 10_000  # in one question
ALL = ClipFilter()
SYSTEM = ("model", "steps", "first_steps")
GROUP = (*SYSTEM, "settings", "metric", "version")
SUMS = ("n", "n_unscored", "total", "total_of_squares")
LEADERBOARD_COLUMNS = ("system", *SYSTEM, "settings", "prompt", "metric", "version", *SUMS)
CLIP_COLUMNS = (
    *("id", "system", *SYSTEM, "family", "weights_digest", "settings", "prompt", "seed", "image_digest"),
    *("frames", "width", "height", "fps", "guidance_scale", "dtype", "task", "path", "seconds"),
    *("first_frame_seconds", "forwards", "created_at", "sweep"),
)
VALUE_COLUMNS = ("clip", "system", *SYSTEM, "settings", "prompt", "seed", "metric", "version", "value", "reason")
SETTINGS_COLUMNS = ("settings", *SETTINGS)
KINDS = {
    **dict.fromkeys(("steps", "first_steps", "seed", "frames", "width", "height", "forwards"), "int64"),
    **dict.fromkeys(("n", "n_unscored", "number", "measured_group", "measured_prompt"), "int64"),
    **dict.fromkeys(("total", "total_of_squares", "value", "fps", "guidance_scale"), "float64"),
    **dict.fromkeys(("seconds", "first_frame_seconds"), "float64"),
}


class ClipStore:
    """The part of the store with clips and values. All methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # writing

    def add_clip(self, clip: GeneratedClip) -> bool:
        """Keep a clip; one that is there stays as it is. True when it is new."""
        made = schema.generated_clip
        with self.database.write() as connection:
            known = connection.execute(select(made.c.id).where(made.c.id == clip.id)).first()
            self.put_clips(connection, [clip])
        return known is None

    def add_values(self, clip: str, values: Mapping[str, Value]) -> None:
        """Keep what metrics say of a clip, all or none; the same metric of the same version is replaced.

        Raises RequestError for a clip that is not in the store.
        """
        with self.database.write() as connection:
            self.put_values(connection, clip, values)

    def add_many(self, clips: Sequence[GeneratedClip], values: Iterable[tuple[str, str, Value]]) -> None:
        """Keep many new clips and (clip, metric, value) at once, all or none; far quicker than one by one.

        Values of a clip that has them already are refused with IntegrityError.
        """
        rows = (_value_row(clip, metric, value) for clip, metric, value in values)
        with self.database.write() as connection:
            self._lock_values(connection)
            self.put_clips(connection, clips)
            while some := list(islice(rows, BATCH)):
                connection.execute(insert(schema.metric_value), some)
            self._sum(connection, None, None)

    def put_clips(self, connection: Connection, clips: Sequence[GeneratedClip]) -> None:
        """`add_clip` of many inside a transaction."""
        if not clips:
            return
        settings = {clip.settings: {name: getattr(clip, name) for name in SETTINGS} for clip in clips}
        rows = [{"id": identity, **values} for identity, values in settings.items()]
        connection.execute(self._insert(schema.clip_settings).on_conflict_do_nothing(), rows)
        kept = [column.name for column in schema.generated_clip.c if column.name != "settings"]
        rows = [{name: getattr(clip, name) for name in kept} | {"settings": clip.settings} for clip in clips]
        connection.execute(self._insert(schema.generated_clip).on_conflict_do_nothing(), rows)

    def put_values(self, connection: Connection, clip: str, values: Mapping[str, Value]) -> None:
        """`add_values` inside a transaction."""
        self._lock_values(connection)
        table, curve = schema.metric_value, schema.metric_curve
        made = schema.generated_clip
        group = [made.c[name] for name in (*SYSTEM, "settings", "prompt")]
        key = connection.execute(select(*group).where(made.c.id == clip)).first()
        if key is None:
            raise RequestError(f"clip {clip[:80]!r} is not in the store; add the clip before its values")
        if not values:
            return
        for metric, value in values.items():
            row = _value_row(clip, metric, value)
            put = self._insert(table).values(**row)
            new = {"value": row["value"], "reason": row["reason"]}
            connection.execute(put.on_conflict_do_update(index_elements=["clip", "metric", "version"], set_=new))
            same = and_(curve.c.clip == clip, curve.c.metric == metric, curve.c.version == value.version)
            connection.execute(delete(curve).where(same))
            if value.curve:
                row = {"clip": clip, "metric": metric, "version": value.version, "curve": _pack(value.curve)}
                connection.execute(insert(curve).values(**row))
        self._sum(connection, dict(key._mapping), list(values))

    def rebuild_sums(self) -> None:
        """Add all values up anew."""
        with self.database.write() as connection:
            self._lock_values(connection)
            self._sum(connection, None, None)

    def _sum(self, connection: Connection, key: Mapping | None, metrics: Sequence[str] | None) -> None:
        """Add up the values of `key` and `metrics` anew, of everything where they are None.

        Added up rather than counted on: a value that is replaced leaves no rounding error behind.
        """
        made, value, total = schema.generated_clip, schema.metric_value, schema.metric_sum
        group, prompt = schema.measured_group, schema.measured_prompt
        rules = []
        if key is None:
            connection.execute(delete(total))
        else:
            rules = [*(made.c[name] == there for name, there in key.items()), value.c.metric.in_(metrics)]
        self._number(connection, group, GROUP, _grouped(GROUP).where(*rules))
        self._number(connection, prompt, ["prompt"], _grouped(["prompt"]).where(*rules))
        same = and_(*(group.c[name] == _column(name) for name in GROUP))
        query = _grouped([group.c.id, prompt.c.id], SUMS).join(group, same)
        query = query.join(prompt, prompt.c.prompt == made.c.prompt).where(true(), *rules)
        put = self._insert(total).from_select([column.name for column in total.c], query)
        renewed = {name: put.excluded[name] for name in SUMS}
        keys = ["measured_group", "measured_prompt"]
        connection.execute(put.on_conflict_do_update(index_elements=keys, set_=renewed))

    def _number(self, connection: Connection, table, names: Sequence[str], found: Select) -> None:
        """Give those rows of `found` a number that have none in `table`."""
        new = connection.execute(found.except_(select(*(table.c[name] for name in names)))).all()
        first = 1 + (connection.execute(select(func.max(table.c.id))).scalar() or 0)
        rows = [dict(zip(names, row, strict=True), id=first + place) for place, row in enumerate(new)]
        if rows:
            connection.execute(insert(table), rows)

    def _lock_values(self, connection: Connection) -> None:
        """Writers of values take turns, else two of them could each miss the other's value in a sum."""
        if not self.database.is_sqlite:  # which has one writer anyway
            connection.execute(text(f"SELECT pg_advisory_xact_lock({VALUES_LOCK})"))

    def _insert(self, table):
        return (sqlite if self.database.is_sqlite else postgresql).insert(table)

    # reading

    def leaderboard_rows(self, filters: ClipFilter = ALL) -> pd.DataFrame:
        """One row for each system, settings, prompt, metric and version, with `LEADERBOARD_COLUMNS`: how many clips
        were scored and not scored, sum and sum of squares over the scored ones."""
        if filters.sweep or filters.seeds:
            query = _of_clips(_grouped([*GROUP, "prompt"], SUMS), filters)
            return self._table(_where(query, schema.metric_value.c.metric, filters.metrics), LEADERBOARD_COLUMNS)
        group, prompt, total = schema.measured_group, schema.measured_prompt, schema.metric_sum
        columns = [group.c[name] for name in GROUP]
        groups = _where(
            select(group.c.id.label("number"), *columns).where(*_system_rules(group, filters)),
            group.c.metric,
            filters.metrics,
        )
        prompts = select(prompt.c.id.label("number"), prompt.c.prompt).where(*_prompt_rules(prompt, filters))
        sums = select(total).where(total.c.measured_group.in_(groups.with_only_columns(group.c.id)))
        if filters.prompt or filters.prompts:
            sums = sums.where(total.c.measured_prompt.in_(prompts.with_only_columns(prompt.c.id)))
        with self.database.read() as connection:
            parts = [_columns(connection, query) for query in (groups, prompts, sums)]
        of_group, of_prompt, table = parts
        of_group["system"] = _systems(*(of_group[name] for name in SYSTEM))
        which = pd.Index(of_group["number"]).get_indexer(table.pop("measured_group"))
        said = pd.Index(of_prompt["number"]).get_indexer(table.pop("measured_prompt"))
        table["prompt"] = of_prompt["prompt"].take(said)
        table |= {name: of_group[name].take(which) for name in ("system", *GROUP)}
        return pd.DataFrame({name: table[name].array for name in LEADERBOARD_COLUMNS})

    def clip_table(self, filters: ClipFilter = ALL, limit: int | None = 100, offset: int = 0) -> pd.DataFrame:
        """Clips with `CLIP_COLUMNS`, newest first; `limit` None gives all. Metrics are not asked for."""
        made, settings = schema.generated_clip, schema.clip_settings
        columns = [*made.c, *(settings.c[name] for name in SETTINGS)]
        query = _of_clips(select(*columns).join(settings, settings.c.id == made.c.settings), filters)
        query = query.order_by(made.c.created_at.desc(), made.c.id).offset(offset).limit(limit)
        return self._table(query, CLIP_COLUMNS)

    def count_clips(self, filters: ClipFilter = ALL) -> int:
        query = _of_clips(select(func.count()).select_from(schema.generated_clip), filters)
        with self.database.read() as connection:
            return connection.execute(query).scalar_one()

    def value_table(self, filters: ClipFilter = ALL) -> pd.DataFrame:
        """One row for each clip, metric and version, with `VALUE_COLUMNS`; `value` is NaN where `reason` tells why."""
        made, value = schema.generated_clip, schema.metric_value
        columns = [made.c[name] for name in (*SYSTEM, "settings", "prompt", "seed")]
        query = select(value, *columns).join(made, made.c.id == value.c.clip)
        query = _where(_of_clips(query, filters), value.c.metric, filters.metrics)
        return self._table(query, VALUE_COLUMNS).sort_values(["clip", "metric", "version"], ignore_index=True)

    def known_values(self, clips: Sequence[str], *, but: str = "") -> dict[str, set[tuple[str, str]]]:
        """(metric, version) for which each of `clips` has a value, or a reason that does not begin with `but`."""
        value = schema.metric_value
        found: dict[str, set[tuple[str, str]]] = {}
        for first in range(0, len(clips), MOST_NAMES):
            query = select(value.c.clip, value.c.metric, value.c.version)
            query = query.where(value.c.clip.in_(clips[first : first + MOST_NAMES]))
            if but:
                query = query.where(~value.c.reason.startswith(but, autoescape=True))
            with self.database.read() as connection:
                for clip, metric, version in connection.execute(query):
                    found.setdefault(clip, set()).add((metric, version))
        return found

    def curves(self, filters: ClipFilter = ALL) -> dict[tuple[str, str, str], np.ndarray]:
        """Curves by (clip, metric, version): float32, one value a frame, NaN where there is nothing to measure."""
        made, curve = schema.generated_clip, schema.metric_curve
        query = select(curve).join(made, made.c.id == curve.c.clip)
        query = _where(_of_clips(query, filters), curve.c.metric, filters.metrics)
        with self.database.read() as connection:
            rows = connection.execute(query).all()
        return {(row.clip, row.metric, row.version): np.frombuffer(row.curve, "<f4") for row in rows}

    def settings_table(self) -> pd.DataFrame:
        """What the `settings` of clips stand for, with `SETTINGS_COLUMNS`."""
        table = schema.clip_settings
        return self._table(select(table, table.c.id.label("settings")).order_by(table.c.id), SETTINGS_COLUMNS)

    def filters(self) -> dict[str, list]:
        """What can be chosen: models, steps, first_steps, systems, settings, prompts, metrics, and sweeps as
        (id, name), newest first."""
        made, group, sweep = schema.generated_clip, schema.measured_group, schema.sweep
        groups = select(*(made.c[name] for name in (*SYSTEM, "settings"))).distinct()
        prompts = select(made.c.prompt).distinct().order_by(made.c.prompt)
        metrics = select(group.c.metric).distinct().order_by(group.c.metric)
        sweeps = select(sweep.c.id, sweep.c.name).order_by(sweep.c.created_at.desc(), sweep.c.id)
        with self.database.read() as connection:
            rows = connection.execute(groups).all()
            found = {"prompts": [row[0] for row in connection.execute(prompts)]}
            found |= {"metrics": [row[0] for row in connection.execute(metrics)]}
            found |= {"sweeps": [tuple(row) for row in connection.execute(sweeps)]}
        names = {"models": 0, "steps": 1, "first_steps": 2, "settings": 3}
        found |= {name: sorted({row[place] for row in rows}) for name, place in names.items()}
        return found | {"systems": [f"{m}:{s}:{f}" for m, s, f in sorted({tuple(row[:3]) for row in rows})]}

    def wrong_sums(self) -> pd.DataFrame:
        """Rows of sums that do not agree with the values; empty when all is well."""
        values = self._table(_grouped([*GROUP, "prompt"], SUMS), LEADERBOARD_COLUMNS)
        keys = [name for name in LEADERBOARD_COLUMNS if name not in SUMS]
        both = self.leaderboard_rows().merge(values, on=keys, how="outer", suffixes=("", "_found"))
        good = np.logical_and.reduce([np.isclose(both[name], both[f"{name}_found"], rtol=1e-9) for name in SUMS])
        return both[~good]

    def _table(self, query: Select, columns: Sequence[str]) -> pd.DataFrame:
        """The rows of a query in these columns; `system` is joined from its three parts."""
        with self.database.read() as connection:
            table = _columns(connection, query)
        if "system" in columns:
            table["system"] = _systems(*(table[name] for name in SYSTEM))
        return pd.DataFrame({name: table[name] for name in columns})


def _columns(connection: Connection, query: Select) -> dict[str, pd.Series]:
    """What a query gives, by column. Rows are taken as the driver has them: there may be 200,000."""
    found = connection.execute(query)
    names = list(found.keys())
    parts = list(zip(*found.cursor.fetchall(), strict=True)) or [()] * len(names)
    found.close()
    return {name: pd.Series(part, dtype=KINDS.get(name, "str")) for name, part in zip(names, parts, strict=True)}


def system_of(model: str, steps: int, first_steps: int) -> str:
    """`model:steps:first_steps`, as links have it."""
    return f"{model}:{steps}:{first_steps}"


def _systems(model: pd.Series, steps: pd.Series, first_steps: pd.Series) -> pd.Series:
    """`system_of` row by row."""
    known = {key: system_of(*key) for key in set(zip(model, steps, first_steps, strict=True))}
    return pd.Series([known[key] for key in zip(model, steps, first_steps, strict=True)], dtype="str")


def _column(name: str):
    return (schema.metric_value if name in ("metric", "version") else schema.generated_clip).c[name]


def _grouped(keys: Sequence, sums: Sequence[str] = ()) -> Select:
    """Values grouped by `keys`, which are columns or names of them, with the named sums."""
    made, value = schema.generated_clip, schema.metric_value
    columns = [_column(key) if isinstance(key, str) else key for key in keys]
    scored = func.count(value.c.value)
    found = {
        "n": scored,
        "n_unscored": func.count() - scored,
        "total": func.coalesce(func.sum(value.c.value), 0.0),
        "total_of_squares": func.coalesce(func.sum(value.c.value * value.c.value), 0.0),
    }
    counted = [found[name].label(name) for name in sums]
    return select(*columns, *counted).select_from(made).join(value, value.c.clip == made.c.id).group_by(*columns)


def _of_clips(query: Select, filters: ClipFilter) -> Select:
    """`query`, which reads generated clips, for the clips of `filters` only."""
    made, cell = schema.generated_clip, schema.sweep_cell
    rules = [*_system_rules(made, filters), *_prompt_rules(made, filters)]
    query = _where(query.where(*rules), made.c.seed, filters.seeds)
    if filters.sweep:
        query = query.where(made.c.id.in_(select(cell.c.clip).where(cell.c.sweep == filters.sweep)))
    return query


def _system_rules(table, filters: ClipFilter) -> list:
    chosen = {"model": "models", "steps": "steps", "first_steps": "first_steps", "settings": "settings"}
    rules = [table.c[name].in_(list(values)) for name, field in chosen.items() if (values := getattr(filters, field))]
    if filters.systems:
        rules.append(or_(*(_is_system(table, system) for system in filters.systems)))
    return rules


def _prompt_rules(table, filters: ClipFilter) -> list:
    exact = [table.c.prompt.in_(list(filters.prompts))] if filters.prompts else []
    return exact + [table.c.prompt.icontains(word, autoescape=True) for word in filters.prompt.split()]


def _is_system(table, text: str):
    system = System.read(text)
    wanted = {"model": system.model, "steps": system.steps, "first_steps": system.first_steps}
    return and_(*(table.c[name] == value for name, value in wanted.items()))


def _where(query: Select, column, values: Sequence) -> Select:
    return query.where(column.in_(list(values))) if values else query


def _value_row(clip: str, metric: str, value: Value) -> dict:
    number, reason = value.value, value.reason
    if number is not None and not math.isfinite(number):
        number, reason = None, f"the value is {number}, which is no number"
    reason = "" if number is not None else reason or "no reason was given"
    return {"clip": clip, "metric": metric, "version": value.version, "value": number, "reason": reason}


def _pack(curve: Sequence[float | None]) -> bytes:
    return np.array([math.nan if value is None else value for value in curve], "<f4").tobytes()
