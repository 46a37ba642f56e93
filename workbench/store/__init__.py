"""The database: studies, people, votes. The only SQL of the workbench; SQLite by default, PostgreSQL by URL."""

from workbench.store.database import StoreUnavailable, database_url
from workbench.store.migrations import migrate
from workbench.store.store import FLAG_COLUMNS, VOTE_COLUMNS, Store, open_store

__all__ = ["FLAG_COLUMNS", "VOTE_COLUMNS", "Store", "StoreUnavailable", "database_url", "migrate", "open_store"]
