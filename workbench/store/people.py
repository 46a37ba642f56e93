"""Annotators, their sessions, consents and invitations. Secrets are kept as digests only."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from models.types import RequestError
from workbench.store import schema
from workbench.store.database import Database
from workbench.store.records import Person, new_id, now

SESSION_DAYS = 90
INVITATION_DAYS = 30


class People:
    def __init__(self, database: Database) -> None:
        self._database = database

    def named(self, name: str, role: str | None = None) -> Person:
        """The person of this name, made when there is none. A `role` is given to them; else they keep theirs, which
        is annotator at first."""
        table = schema.annotator
        values = {"id": new_id(), "name": name, "role": role or "annotator", "created_at": now()}
        insert = (sqlite if self._database.is_sqlite else postgresql).insert(table)
        with self._database.write() as connection:
            connection.execute(insert.values(**values).on_conflict_do_nothing(index_elements=["name"]))
            if role:
                connection.execute(table.update().where(table.c.name == name).values(role=role))
            row = connection.execute(select(table).where(table.c.name == name)).one()
        return Person(row.id, row.name, row.role)

    def open_session(self, person: Person) -> str:
        """A new secret that stands for `person` for 90 days."""
        secret = secrets.token_urlsafe(32)
        expires = _in_days(SESSION_DAYS)
        with self._database.write() as connection:
            values = {"digest": digest(secret), "annotator": person.id, "created_at": now(), "expires_at": expires}
            connection.execute(schema.session.insert().values(**values))
        return secret

    def of_session(self, secret: str) -> Person | None:
        """Whose secret this is; None when it is unknown or over."""
        session, person = schema.session, schema.annotator
        query = (
            select(person.c.id, person.c.name, person.c.role)
            .join(session, session.c.annotator == person.c.id)
            .where(session.c.digest == digest(secret), session.c.expires_at > now())
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return Person(*row) if row else None

    def close_session(self, secret: str) -> None:
        with self._database.write() as connection:
            connection.execute(schema.session.delete().where(schema.session.c.digest == digest(secret)))

    def consent(self, person: Person, study: str) -> None:
        """Record, once, that the instructions were read and the study agreed to."""
        insert = (sqlite if self._database.is_sqlite else postgresql).insert(schema.consent)
        with self._database.write() as connection:
            values = {"annotator": person.id, "study": study, "created_at": now()}
            connection.execute(insert.values(**values).on_conflict_do_nothing())

    def has_consented(self, person: Person, study: str) -> bool:
        table = schema.consent
        query = select(table.c.created_at).where(table.c.annotator == person.id, table.c.study == study)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def invite(self, name: str, study: str | None, days: int = INVITATION_DAYS) -> str:
        """A secret by which its holder is the annotator `name`, until it is over. Raises RequestError for a name that
        belongs to somebody who may do more."""
        person = self.named(name)
        if person.role != "annotator":
            raise RequestError(f"{name!r} is a {person.role} here; invite annotators by another name")
        secret = secrets.token_urlsafe(24)
        with self._database.write() as connection:
            values = {"digest": digest(secret), "annotator": person.id, "study": study}
            dates = {"created_at": now(), "expires_at": _in_days(days)}
            connection.execute(schema.invitation.insert().values(**values, **dates))
        return secret

    def invited(self, secret: str) -> tuple[Person, str | None] | None:
        """Who an invitation is for and to which study; None when it is unknown or over."""
        invitation, person = schema.invitation, schema.annotator
        query = (
            select(person.c.id, person.c.name, person.c.role, invitation.c.study)
            .join(invitation, invitation.c.annotator == person.c.id)
            .where(invitation.c.digest == digest(secret), invitation.c.expires_at > now())
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return (Person(*row[:3]), row[3]) if row else None


def digest(secret: str) -> str:
    """SHA-256: enough for secrets that are random themselves."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="microseconds")
