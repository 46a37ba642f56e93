"""Annotators, their sessions, consents and invitations. Secrets are kept as digests only."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, Row, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from models.types import RequestError
from workbench.common.clock import after, now
from workbench.store import schema
from workbench.store.database import Database
from workbench.store.records import Person, Session, new_id

SESSION_DAYS = {"name": 90, "invitation": 30, "account": 7, "token": 90}
TOKEN_NAME = 12  # digits of a token's digest by which people name it
INVITATION_DAYS = 30


@dataclass(frozen=True)
class AccessToken:
    """What may be told of a token once it was shown: the beginning of its digest, and when it begins and ends."""

    id: str
    created_at: str
    expires_at: str


class People:
    def __init__(self, database: Database) -> None:
        self._database = database

    def named(self, name: str) -> Person:
        """The person of this name, made when there is none."""
        with self._database.write() as connection:
            return self._named(connection, name)

    def of_account(self, name: str) -> Person:
        """The person behind a name of the auth file. Whoever was invited by that name is somebody else."""
        account, person, invitation = schema.account, schema.annotator, schema.invitation
        known = select(person).join(account, account.c.annotator == person.c.id).where(account.c.name == name)
        taken = select(person.c.id).join(invitation, invitation.c.annotator == person.c.id)
        owned = select(account.c.annotator)
        with self._database.write() as connection:
            row = connection.execute(known).first()
            if row:
                return _person(row)
            shown, number = name, 1
            while connection.execute(
                select(person.c.id).where(person.c.name == shown, or_(person.c.id.in_(taken), person.c.id.in_(owned)))
            ).first():
                number += 1
                shown = f"{name} (account {number})"
            found = self._named(connection, shown)
            connection.execute(account.insert().values(name=name, annotator=found.id, created_at=now()))
            return found

    def _named(self, connection: Connection, name: str) -> Person:
        table = schema.annotator
        values = {"id": new_id(), "name": name, "role": "annotator", "created_at": now()}
        insert = (sqlite if self._database.is_sqlite else postgresql).insert(table)
        connection.execute(insert.values(**values).on_conflict_do_nothing(index_elements=["name"]))
        return _person(connection.execute(select(table).where(table.c.name == name)).one())

    def open_session(self, session: Session, days: int | None = None) -> str:
        """A new secret that stands for a session, until it is ended or over; `days` None is what its door has."""
        secret = secrets.token_urlsafe(32)
        values = {"digest": digest(secret), "annotator": session.person.id, "created_at": now()}
        values |= {"expires_at": after(days=SESSION_DAYS[session.door] if days is None else days)}
        values |= {"door": session.door, "account": session.account, "mark": session.mark}
        with self._database.write() as connection:
            connection.execute(schema.session.delete().where(schema.session.c.expires_at <= now()))
            connection.execute(schema.session.insert().values(**values))
        return secret

    def of_session(self, secret: str) -> Session | None:
        """Whose secret this is; None when it is unknown, ended or over."""
        session, person = schema.session, schema.annotator
        query = (
            select(person.c.id, person.c.name, person.c.role, session.c.door, session.c.account, session.c.mark)
            .join(session, session.c.annotator == person.c.id)
            .where(session.c.digest == digest(secret), session.c.expires_at > now())
        )
        with self._database.read() as connection:
            row = connection.execute(query).first()
        return Session(_person(row), row.door, row.account, row.mark) if row else None

    def end_sessions(self, name: str) -> int:
        """End all sessions and invitations of the account or the person of this name; returns how many."""
        person, account = schema.annotator, schema.account
        named = select(person.c.id).where(person.c.name == name)
        theirs = named.union(select(account.c.annotator).where(account.c.name == name))
        with self._database.write() as connection:
            return sum(
                connection.execute(table.delete().where(table.c.annotator.in_(theirs))).rowcount
                for table in (schema.session, schema.invitation)
            )

    def tokens(self, account: str) -> list[AccessToken]:
        """The access tokens of an account that are not over, oldest first."""
        table = schema.session
        query = select(table.c.digest, table.c.created_at, table.c.expires_at).where(
            table.c.account == account, table.c.door == "token", table.c.expires_at > now()
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.c.created_at)).all()
        return [AccessToken(token_name(row.digest), row.created_at, row.expires_at) for row in rows]

    def revoke_token(self, account: str, name: str) -> bool:
        """End an access token of an account; False when there is none of this name."""
        table = schema.session
        theirs = table.c.account == account, table.c.door == "token", table.c.digest.startswith(name, autoescape=True)
        with self._database.write() as connection:
            return len(name) == TOKEN_NAME and connection.execute(table.delete().where(*theirs)).rowcount > 0

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
        """A secret by which its holder is the annotator `name`, until it is over. Raises RequestError for the name of
        an account."""
        secret, account = secrets.token_urlsafe(24), schema.account
        with self._database.write() as connection:
            person = self._named(connection, name)
            theirs = or_(account.c.annotator == person.id, account.c.name == name)
            if connection.execute(select(account.c.name).where(theirs)).first():
                raise RequestError(f"{name!r} has an account here; invite annotators by another name")
            values = {"digest": digest(secret), "annotator": person.id, "study": study}
            dates = {"created_at": now(), "expires_at": after(days=days)}
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


def token_name(digested: str) -> str:
    return digested[:TOKEN_NAME]


def digest(secret: str) -> str:
    """SHA-256: enough for secrets that are random themselves."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _person(row: Row) -> Person:
    return Person(row.id, row.name, row.role)
