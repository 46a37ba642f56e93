"""Assignments and votes. A vote is written once, whatever is sent twice; an undo is one more row."""

from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import asdict, dataclass, fields

from sqlalchemy import Connection, Row, Select, and_, bindparam, exists, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from workbench.common.clock import now
from workbench.store import schema
from workbench.store.database import Database
from workbench.store.records import AlreadyVoted, Assignment, Ballot, Clip, KeyReused, Person, StudyRecord, new_id

BODY_LIMIT = 2000  # characters kept of what was refused
CLIP = [field.name for field in fields(Clip)]
# from how often each pair was handed out, and the pairs this person has had, to what they get now
Choose = Callable[[Mapping[str, int], Set[str]], "HandOut | None"]


@dataclass(frozen=True)
class HandOut:
    """A pair to be handed out, which side is where, and how likely this choice was."""

    pair: str
    swapped: bool
    propensity: float


class Ballots:
    def __init__(self, database: Database) -> None:
        self._database = database

    def assignment(self, identity: str) -> Assignment | None:
        with self._database.read() as connection:
            return _by_id(connection, identity)

    def standing(
        self, person: Person, study: StudyRecord, lost: Collection[str] = ()
    ) -> tuple[Assignment | None, int, set[str]]:
        """The oldest assignment of this person without a vote that counts, how many votes of theirs count, and the
        pairs that were ever handed to them. Pairs in `lost` cannot be shown; nobody is asked for them."""
        values = _of(person, study) | {"lost": list(lost)}
        with self._database.read() as connection:
            found = connection.execute(OLDEST_OPEN, values).first()
            rows = connection.execute(PROGRESS, values).all()
        done = sum(1 for _, voted, undone in rows if voted and not undone)
        return found and _from_row(found), done, {pair for pair, _, _ in rows}

    def assign(
        self,
        person: Person,
        study: StudyRecord,
        pair: str,
        *,
        swapped: bool,
        propensity: float,
    ) -> Assignment:
        """Hand a pair to a person. Where they have an open assignment already, a second request at once say, it is
        that one they get."""
        return self.hand_out(person, study, lambda issued, seen: HandOut(pair, swapped, propensity))

    def hand_out(
        self, person: Person, study: StudyRecord, choose: Choose, lost: Collection[str] = ()
    ) -> Assignment | None:
        """Choose a pair and hand it to a person in one transaction, so that nobody else chooses meanwhile, in whatever
        process. Where they have an open assignment already it is that one they get; None when `choose` gives none."""
        identity, of = new_id(), _of(person, study)
        with self._database.write() as connection:
            self._take_turns(connection, LOCK_STUDY, study.id)
            found = connection.execute(OLDEST_OPEN, of | {"lost": list(lost)}).first()
            if found:
                return _from_row(found)
            issued = {row.id: row.issued for row in connection.execute(ISSUED, of)}
            chosen = choose(issued, {row[0] for row in connection.execute(PROGRESS, of)})
            if chosen is None:
                return None
            values = {"id": identity, "study": study.id, "version": study.version, "annotator": person.id}
            values |= {"protocol_hash": study.protocol_hash if study.frozen_at else "", "pair": chosen.pair}
            values |= {"swapped": int(chosen.swapped), "propensity": chosen.propensity}
            tokens = {"left_token": new_token(), "right_token": new_token(), "issued_at": now()}
            connection.execute(ADD_ASSIGNMENT, values | tokens)
            connection.execute(COUNT_PAIR, {"handed": chosen.pair})
            return _by_id(connection, identity)

    def of_token(self, token: str) -> Assignment | None:
        """The assignment of which one side's media token this is."""
        with self._database.read() as connection:
            row = connection.execute(BY_TOKEN, {"token": token}).first()
        return _from_row(row) if row else None

    def handed_out(self, study: str) -> list[tuple[str, str]]:
        """(pair, person) of every assignment of a study."""
        table = schema.assignment
        with self._database.read() as connection:
            rows = connection.execute(select(table.c.pair, table.c.annotator).where(table.c.study == study)).all()
        return [(pair, person) for pair, person in rows]

    def record(self, ballot: Ballot) -> str:
        """Write a vote and return its id once it is safe. The same key on the same assignment is the same vote.

        Raises KeyReused for a key of another assignment, AlreadyVoted when a vote counts already, StoreUnavailable
        when nothing could be written.
        """
        try:
            return self._record(ballot)
        except IntegrityError:
            # on PostgreSQL a twin of this request may have committed between our look and our write
            return self._record(ballot)

    def _record(self, ballot: Ballot) -> str:
        with self._database.write() as connection:
            # first the lock, then the look
            self._take_turns(connection, LOCK_ASSIGNMENT, ballot.assignment)
            rows = connection.execute(VOTES, {"assignment": ballot.assignment, "key": ballot.key}).all()
            twin = next((row for row in rows if row.key == ballot.key), None)
            if twin and twin.assignment != ballot.assignment:
                raise KeyReused
            if twin:
                return twin.id
            if any(row.undone is None for row in rows):
                raise AlreadyVoted
            return _insert(connection, ballot, attempt=len(rows))

    def undo(self, assignment: str) -> str | None:
        """Take back the vote that counts, by a record of its own; its id, or None when there is none."""
        with self._database.write() as connection:
            self._take_turns(connection, LOCK_ASSIGNMENT, assignment)
            rows = connection.execute(VOTES, {"assignment": assignment, "key": None})
            identity = next((row.id for row in rows if row.undone is None), None)
            if identity:
                connection.execute(schema.undo.insert().values(vote=identity, created_at=now()))
        return identity

    def refuse(self, annotator: str | None, assignment: str | None, reason: str, sentence: str, body: str) -> None:
        """Keep what was refused and why; long bodies are cut."""
        kept = body.replace("\0", "")[:BODY_LIMIT]
        values = {"id": new_id(), "created_at": now(), "annotator": annotator, "reason": reason, "sentence": sentence}
        with self._database.write() as connection:
            named = (assignment or "").replace("\0", "")[:80] or None
            connection.execute(schema.refusal.insert().values(**values, assignment=named, body=kept))

    def recent_votes(self, person: Person, since: str) -> int:
        """How many votes this person has cast after a moment and until now, undone ones included. Votes of the future
        were cast before the clock was put back."""
        with self._database.read() as connection:
            return connection.execute(RECENT, {"person": person.id, "since": since, "until": now()}).scalar_one()

    def tallies(self, study: StudyRecord, question: str) -> list[tuple[str, str, str, int]]:
        """(system on the left, on the right, answer, how often) over the votes that count, checks left out."""
        table, pair, answer, (vote, undo) = schema.assignment, schema.pair, schema.answer, _live_votes()
        first, second = schema.clip.alias("first"), schema.clip.alias("second")
        query = (
            select(first.c.system, second.c.system, table.c.swapped, answer.c.answer, func.count())
            .select_from(vote)
            .join(undo, undo.c.vote == vote.c.id, isouter=True)
            .join(answer, and_(answer.c.vote == vote.c.id, answer.c.question == question))
            .join(table, table.c.id == vote.c.assignment)
            .join(pair, pair.c.id == table.c.pair)
            .join(first, first.c.id == pair.c.first_clip)
            .join(second, second.c.id == pair.c.second_clip)
            .where(table.c.study == study.id, table.c.version == study.version)
            .where(pair.c.check_kind == "", undo.c.vote.is_(None))
            .group_by(first.c.system, second.c.system, table.c.swapped, answer.c.answer)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [(b, a, given, n) if swapped else (a, b, given, n) for a, b, swapped, given, n in rows]

    def _take_turns(self, connection: Connection, lock: Select, identity: str) -> None:
        """Whoever asks for the same row waits until this transaction ends; SQLite has one writer anyway."""
        if not self._database.is_sqlite:
            connection.execute(lock, {"identity": identity})


def _of(person: Person, study: StudyRecord) -> dict[str, str | int]:
    """What queries by person and study are asked with."""
    return {"person": person.id, "study": study.id, "version": study.version}


def new_token() -> str:
    """Twice as long as an id: it opens a clip to whoever has it."""
    return new_id() + new_id()


def _live_votes():
    return schema.vote, schema.undo


def _insert(connection: Connection, ballot: Ballot, *, attempt: int) -> str:
    identity = new_id()
    values = {"id": identity, "assignment": ballot.assignment, "key": ballot.key, "attempt": attempt}
    more = {"watched_seconds": ballot.watched_seconds, "seconds": ballot.seconds, "app_version": ballot.app_version}
    connection.execute(ADD_VOTE, values | more | {"created_at": now()})
    answers = [{"vote": identity, "question": question, "answer": given} for question, given in ballot.answers]
    connection.execute(ADD_ANSWER, answers)
    if ballot.flags:
        rows = [{"vote": identity, "position": i, **asdict(flag)} for i, flag in enumerate(ballot.flags)]
        connection.execute(schema.flag.insert(), rows)
    return identity


# Queries are built once: building them costs more than running them.


def _assignment_query():
    """An assignment with its pair, clips and the vote that counts."""
    table, pair, (vote, undo) = schema.assignment, schema.pair, _live_votes()
    first, second = schema.clip.alias("first"), schema.clip.alias("second")
    live = (
        select(vote.c.id)
        .join(undo, undo.c.vote == vote.c.id, isouter=True)
        .where(vote.c.assignment == table.c.id, undo.c.vote.is_(None))
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(
            table,
            pair.c.check_kind,
            pair.c.prompt,
            pair.c.seed,
            live.label("live"),
            *(first.c[name].label(f"first_{name}") for name in CLIP),
            *(second.c[name].label(f"second_{name}") for name in CLIP),
        )
        .join(pair, pair.c.id == table.c.pair)
        .join(first, first.c.id == pair.c.first_clip)
        .join(second, second.c.id == pair.c.second_clip)
    )
    return query, live


def _votes_query():
    """Votes, undone ones too, of an assignment or with a key."""
    vote, undo = _live_votes()
    query = select(vote.c.id, vote.c.assignment, vote.c.key, undo.c.vote.label("undone"))
    query = query.join(undo, undo.c.vote == vote.c.id, isouter=True)
    return query.where(or_(vote.c.assignment == bindparam("assignment"), vote.c.key == bindparam("key")))


def _progress_query():
    """Every pair that was handed to a person, with its votes."""
    table, (vote, undo) = schema.assignment, _live_votes()
    query = select(table.c.pair, vote.c.id, undo.c.vote)
    query = query.join(vote, vote.c.assignment == table.c.id, isouter=True)
    return query.join(undo, undo.c.vote == vote.c.id, isouter=True).where(*_ASKED)


def _recent_query():
    vote, table = schema.vote, schema.assignment
    query = select(func.count()).select_from(vote).join(table, table.c.id == vote.c.assignment)
    return query.where(
        table.c.annotator == bindparam("person"), vote.c.created_at.between(bindparam("since"), bindparam("until"))
    )


def _lock(table) -> Select:
    return select(table.c.id).where(table.c.id == bindparam("identity")).with_for_update()


_ASKED = (
    schema.assignment.c.annotator == bindparam("person"),
    schema.assignment.c.study == bindparam("study"),
    schema.assignment.c.version == bindparam("version"),
)
_QUERY, _LIVE = _assignment_query()
BY_ID = _QUERY.where(schema.assignment.c.id == bindparam("identity"))
_TOKENS = schema.assignment.c.left_token, schema.assignment.c.right_token
BY_TOKEN = _QUERY.where(or_(*(column == bindparam("token") for column in _TOKENS)))
_SHOWABLE = schema.assignment.c.pair.not_in(bindparam("lost", expanding=True))
# what was voted on and undone comes first: by the time alone another would, once the clock was put back
_UNDONE = exists().where(schema.vote.c.assignment == schema.assignment.c.id).desc()
OLDEST_OPEN = (
    _QUERY.where(*_ASKED, _LIVE.is_(None), _SHOWABLE).order_by(_UNDONE, schema.assignment.c.issued_at).limit(1)
)
VOTES, PROGRESS, RECENT = _votes_query(), _progress_query(), _recent_query()
LOCK_STUDY, LOCK_ASSIGNMENT = _lock(schema.study), _lock(schema.assignment)
ISSUED = select(schema.pair.c.id, schema.pair.c.issued).where(
    schema.pair.c.study == bindparam("study"), schema.pair.c.version == bindparam("version")
)
ADD_ASSIGNMENT, ADD_VOTE, ADD_ANSWER = (table.insert() for table in (schema.assignment, schema.vote, schema.answer))
COUNT_PAIR = update(schema.pair).where(schema.pair.c.id == bindparam("handed")).values(issued=schema.pair.c.issued + 1)


def _by_id(connection: Connection, identity: str) -> Assignment | None:
    row = connection.execute(BY_ID, {"identity": identity}).first()
    return _from_row(row) if row else None


def _from_row(row: Row) -> Assignment:
    values = row._mapping
    sides = [Clip(**{name: values[f"{which}_{name}"] for name in CLIP}) for which in ("first", "second")]
    left, right = reversed(sides) if row.swapped else sides
    kept = {field.name: values[field.name] for field in fields(Assignment) if field.name in values}
    return Assignment(**kept, left=left, right=right, vote=row.live)
