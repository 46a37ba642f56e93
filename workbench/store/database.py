"""Connections: SQLite made safe against crashes and lock errors, PostgreSQL as it comes."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy import exc as errors
from sqlalchemy.engine import URL, make_url

from models.types import RequestError

BUSY_MILLISECONDS = 10_000
MIGRATION_LOCK = 4_711_042  # any number, the same for all who migrate
PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
)
DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}


class StoreUnavailable(Exception):
    """The database did not take or give what was asked: gone, full, locked. Nothing was changed."""


def database_url(url: str | None, data_dir: Path) -> URL:
    """The address of the database: `url`, or SQLite inside `data_dir`. Raises RequestError for what is not one."""
    if url is None:
        return URL.create("sqlite", database=str(data_dir / "workbench.db"))
    advice = "give sqlite:///path/to/file.db or postgresql://user:password@host/name"
    try:
        found = make_url(url)
        found = found.set(drivername=DRIVERS.get(found.drivername, found.drivername))
        found.get_dialect()
    except (errors.ArgumentError, errors.NoSuchModuleError, ValueError) as error:
        raise RequestError(f"--database-url is not a database address; {advice}") from error
    if found.get_backend_name() not in ("sqlite", "postgresql"):
        raise RequestError(f"--database-url names {found.get_backend_name()!r}, which is not supported; {advice}")
    return found


def copy_sqlite(database: Path, copy: Path) -> None:
    """Copy an SQLite database as it is at one moment, its log included; others may write meanwhile."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


class Database:
    """Transactions that either happen as a whole or raise StoreUnavailable."""

    def __init__(self, url: URL) -> None:
        self.url, self.is_sqlite = url, url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(url) if self.is_sqlite else _postgresql_engine(url)
        # one writer at a time is SQLite's rule; waiting here is fair, its own busy handler sleeps up to 100 ms
        self._writing = threading.Lock() if self.is_sqlite else nullcontext()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Commits when the block ends: after that the change survives a crash and a power cut."""
        with self._told(), self._writing, self.engine.connect() as connection:
            connection = connection.execution_options(write=True)
            with connection.begin():
                yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A write that no other program's migration overlaps."""
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except errors.IntegrityError:
            raise  # the rows disagree, the database is well
        except (errors.DBAPIError, errors.TimeoutError) as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            raise StoreUnavailable(f"the database did not answer ({reason[:200]})") from error


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, pool_size=20, max_overflow=40, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def prepare(connection, record) -> None:
        connection.isolation_level = None  # the driver's own transactions begin too late
        for pragma in PRAGMAS:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # a read that turns into a write fails at once when another writer came between: writers say so from the start
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql_engine(url: URL) -> Engine:
    # a connection that the server has closed since is replaced before it is used
    options = {"connect_timeout": 5, "options": "-c synchronous_commit=on"}
    return create_engine(url, pool_size=20, max_overflow=40, pool_pre_ping=True, connect_args=options)
