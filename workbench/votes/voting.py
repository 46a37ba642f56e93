"""Voting as a service: who may vote on what, what counts as a vote, and what is refused and why.

It knows no web and no SQL: routes call it, and it calls the store.
"""

import logging
import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from models.specs import MODELS
from models.types import RequestError
from workbench import __version__
from workbench.people.accounts import Account, Accounts
from workbench.settings import Settings
from workbench.store import Store, StoreUnavailable
from workbench.store.ballots import HandOut
from workbench.store.records import AlreadyVoted, Assignment, Ballot, Flag, KeyReused, Person, Session, StudyRecord
from workbench.systems import label_of, system_text
from workbench.votes.blind_copies import BlindCopies
from workbench.votes.pair_choice import choose_pair, values_of
from workbench.votes.questions import ANSWERS, FLAG_KINDS
from workbench.votes.studies import DEFAULT_STUDY, Study, default_study, parse_system, study_from_json
from workbench.votes.study_clips import StudyClips

NAME_LENGTH, KEY_LENGTH, COMMENT_LENGTH = 80, 100, 500
MOST_FLAGS = 50
VOTES_A_MINUTE = 40
REFUSALS_A_MINUTE = 60
LONGEST = 1e6  # seconds
SESSION_FRESH_SECONDS = 5.0  # how long a session ended by another process may live on
FRESH_SECONDS = 2.0  # how long counts that only steer sampling may be old


class Refused(Exception):
    """A request that is not granted: an HTTP status, a short reason for the record, one sentence for the person."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.reason, self.sentence = status, reason, sentence


@dataclass(frozen=True)
class NextPair:
    """What an annotator does next; without an `assignment` they are done, or, with `waiting`, clips are being made."""

    study: Study
    assignment: Assignment | None
    done: int
    wanted: int
    waiting: bool = False


@dataclass(frozen=True)
class Saved:
    """A vote that is safe, and what may be told about the clips now."""

    vote: str
    reveal: dict[str, Any] | None


class VotingService:
    """Hands out pairs and takes votes. `min_watch` of the settings is the share of a clip to be watched first."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clips: StudyClips,
        seed: int | None = None,
        accounts: Accounts | None = None,
    ) -> None:
        """`accounts` None lets everybody in by name, as on one's own machine."""
        self.store, self.settings, self.clips, self.accounts = store, settings, clips, accounts
        self._rng = random.Random(seed) if seed is not None else random.SystemRandom()
        self._sessions: OrderedDict[str, tuple[float, Session]] = OrderedDict()
        self._shown: OrderedDict[str, Assignment] = OrderedDict()
        self.copies = BlindCopies(settings.data_dir)
        self._definitions: dict[tuple[str, int], Study] = {}
        self._kept: dict[tuple, tuple[float, Any]] = {}
        self._refusals: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    # people

    def named(self, name: Any) -> Person:
        """The person who goes by this name. Raises Refused for what is not a name."""
        if not isinstance(name, str) or not name.strip() or len(name) > NAME_LENGTH or not name.isprintable():
            raise Refused(422, "name", f"a name has 1 to {NAME_LENGTH} letters; give yours")
        return self.store.people.named(" ".join(name.split()))

    def person(self, secret: str | None, token: bool = False) -> Person:
        """Whose cookie this is, or access `token`, with the role they have at this moment. Raises Refused when it is
        nobody's, and for one in place of the other."""
        known = self.remembered(secret, token)
        if known is None and secret:
            session = self.store.people.of_session(secret)
            if session:
                _remember(self._sessions, secret, (time.monotonic(), session), 10_000)
                known = self.remembered(secret, token)
        if known is None:
            raise Refused(401, "no-session", "you have no session here; give your name on the Vote page first")
        return known

    def remembered(self, secret: str | None, token: bool = False) -> Person | None:
        """Whose cookie this is, or access `token`, if that is known without asking the database."""
        moment, session = self._sessions.get(secret or "", (0.0, None))
        fresh = session is not None and time.monotonic() - moment < SESSION_FRESH_SECONDS
        return self._at_present(session) if fresh and (session.door == "token") is token else None

    def _at_present(self, session: Session) -> Person | None:
        """The person of a session; None when it no longer counts, as an account's that was removed since."""
        if self.accounts is None:
            return session.person
        if session.door == "invitation":
            return replace(session.person, role="annotator")
        account = self.accounts.find(session.account) if session.door in ("account", "token") else None
        known = account is not None and account.mark == session.mark
        return replace(session.person, role=account.role) if known else None

    def open_session(
        self, person: Person, door: str, account: Account | None = None, days: int | None = None
    ) -> str:
        """A new secret for somebody who came in by a name, an invitation or an account, or for a program of theirs."""
        name, mark = (account.name, account.mark) if account else ("", "")
        return self.store.people.open_session(Session(person, door, name, mark), days)

    def end_session(self, secret: str) -> None:
        self.store.people.close_session(secret)
        self._sessions.pop(secret, None)

    def account_of(self, secret: str | None) -> Account:
        """The account that a cookie was opened by. Raises Refused for anybody else."""
        self.person(secret)
        _, session = self._sessions.get(secret or "", (0.0, None))
        account = self.accounts.find(session.account) if self.accounts and session else None
        if account is None:
            raise Refused(403, "no-account", "only accounts have access tokens; sign in with a password")
        return account

    def revoke_token(self, account: str, name: str) -> bool:
        """End an access token, at once here and within seconds in other processes."""
        ended = self.store.people.revoke_token(account, name)
        self._sessions.clear()
        return ended

    def end_sessions(self, name: str) -> int:
        """End what the person of this name has open, at once here and within seconds in other processes."""
        ended = self.store.people.end_sessions(name)
        self._sessions.clear()
        return ended

    # studies

    def study(self, identity: Any = None) -> StudyRecord:
        """The newest version of a study, the default one when None. Raises Refused for one that does not exist."""
        identity = DEFAULT_STUDY if identity is None else identity
        if not isinstance(identity, str) or "\0" in identity:
            raise Refused(422, "unknown-study", "study is not a name; give the id of a study")
        record = self._fresh(("study", identity), lambda: self.store.studies.get(identity))
        if record is None and identity == DEFAULT_STUDY and not self.settings.read_only:
            record = self.add_study(default_study())
        if record is None:
            raise Refused(
                404, "unknown-study", f"study {identity[:60]!r} does not exist; ask who sent you for the link"
            )
        return record

    def prepare(self) -> None:
        """Begin to make the default study's clips, so that voting works when somebody comes."""
        if self.settings.read_only:
            return
        record = self.study()
        self.clips.start(record)
        for model in self.changed_weights(record):
            told = "study %s shows clips of other weights than %s has now; `studies remake` makes a new version"
            logging.getLogger(__name__).warning(told, record.id, model)

    def add_study(self, study: Study) -> StudyRecord:
        """Keep a study, as a new version where its protocol has changed, and begin to make its clips."""
        record = self.store.studies.save(study.id, study.title, study.to_json(), study.protocol_hash())
        self._forget(("study", study.id))
        self.clips.start(record)
        return record

    def changed_weights(self, record: StudyRecord) -> dict[str, str]:
        """The models whose weights are not those that made the study's clips, with what they are now."""
        made_by = self.clips.weights(record)
        return {model: now for model, now in _weights_now(made_by).items() if now != made_by[model]}

    def remake(self, identity: str) -> StudyRecord:
        """A new version whose clips come from today's weights; votes so far keep theirs. With the same weights, only
        clips that are gone are made again. Raises RequestError when there are none."""
        record = self.study(identity)
        study = study_from_json(record.definition)
        if self.clips.missing(record) and not self.changed_weights(record):
            self.clips.start(record)
            return record
        if not self.changed_weights(record):
            nothing = "have not changed and no clip is gone; there is nothing to remake"
            raise RequestError(f"the weights behind study {identity!r} {nothing}")
        pins = tuple(f"{model} {digest}" for model, digest in _weights_now(study.models()).items())
        return self.add_study(replace(study, weights=pins))

    def freeze(self, identity: str) -> StudyRecord:
        """Fix a study's protocol. Raises RequestError when a channel tells the systems' files apart."""
        record = self.study(identity)
        leaks = [
            f"{finding.channel} ({first} against {second}: {finding.says})"
            for (first, second), findings in self.clips.leaks(record).items()
            for finding in findings
            if finding.leaks
        ]
        if leaks:
            raise RequestError(f"study {identity!r} cannot be frozen, its clips leak by {leaks[0]}; make them alike")
        frozen = self.store.studies.freeze(record.id, record.version)
        self._forget(("study", identity))
        return frozen

    def definition(self, identity: str, version: int) -> Study:
        """What was asked at a version, which never changes but in wording."""
        if (identity, version) not in self._definitions:
            record = self.store.studies.get(identity, version)
            self._definitions[identity, version] = study_from_json(record.definition)
        return self._definitions[identity, version]

    # voting

    def next_pair(self, person: Person, identity: Any = None) -> NextPair:
        """The pair this person left open, else a new one, side by the toss of a coin. Raises Refused."""
        self._check_writable()
        record = self.study(identity)
        if record.state != "open":
            raise Refused(403, "closed", f"study {record.title!r} is closed; thank you for your votes")
        study = self.definition(record.id, record.version)
        lost = self._lost(record)
        open_one, done, _ = self.store.ballots.standing(person, record, lost)
        if open_one and not self.clips.are_there(open_one.left, open_one.right):
            self._forget(("lost", record.id, record.version))  # a clip was deleted just now
            lost = self._lost(record)
            open_one, done, _ = self.store.ballots.standing(person, record, lost)
        pairs = self._fresh(("pairs", record.id, record.version), lambda: self._pairs(record))
        wanted = min(study.pairs_per_annotator, len(study.items()) * len(study.opponents()))
        if open_one:
            self.copies.begin(open_one)
            return NextPair(study, open_one, done, wanted)
        values = self._fresh(("values", record.id, record.version), lambda: self._values(record, study))

        def choose(issued: Mapping[str, int], seen: Set[str]) -> HandOut | None:
            there = (pair for pair in pairs if pair.id not in lost)
            fresh = [replace(pair, issued=issued.get(pair.id, pair.issued)) for pair in there]
            choice = choose_pair(study, fresh, seen, person.id, values, self._rng)
            return choice and HandOut(choice.pair.id, self._rng.random() < 0.5, choice.propensity)

        given = self.store.ballots.hand_out(person, record, choose, lost)
        if given:
            self.copies.begin(given)
        waiting = given is None and self._more_to_come(record, pairs)
        return NextPair(study, given, done, wanted, waiting)

    def vote(self, person: Person, body: Mapping[str, Any]) -> Saved:
        """Take a vote. It is safe when this returns; Refused, or StoreUnavailable, mean that it was not saved."""
        self._check_writable()
        given = self._own(person, body.get("assignment"))
        study = self.definition(given.study, given.version)
        key = _text(body, "key", KEY_LENGTH, empty="the vote has no key; send a new random one with each vote")
        ballot = Ballot(
            assignment=given.id,
            key=key,
            answers=_answers(study, body.get("answers")),
            watched_seconds=round(self._watched(given, body) * _duration(given), 3),
            seconds=round(_number(body, "seconds", 0.0), 3),
            app_version=__version__,
            flags=_flags(body.get("flags"), _duration(given)),
        )
        self._check_pace(person)
        try:
            vote = self.store.ballots.record(ballot)
        except KeyReused as error:
            raise Refused(
                409, "reused-key", "this key belongs to another vote; send a new one with each vote"
            ) from error
        except AlreadyVoted as error:
            raise Refused(409, "already-voted", "you have voted on this pair; undo that vote first") from error
        return Saved(vote, self._reveal(given) if study.reveal else None)

    def undo(self, person: Person, assignment: Any) -> str:
        """Take a vote back by a record of its own; returns the vote's id. Raises Refused."""
        self._check_writable()
        given = self._own(person, assignment)
        if self.definition(given.study, given.version).reveal:
            raise Refused(409, "revealed", "you have seen what made these clips, so this vote stays")
        vote = self.store.ballots.undo(given.id)
        if vote is None:
            raise Refused(409, "nothing-to-undo", "there is no vote on this pair to undo")
        return vote

    def media(self, token: str) -> Path | None:
        """The copy behind a media token of an assignment; None when there is none. Raises Refused when it cannot be
        made."""
        if token not in self._shown:
            given = self.store.ballots.of_token(token)
            if given is None:
                return None
            _remember(self._shown, token, given, 20_000)
        try:
            return self.copies.path(self._shown[token], token, make=not self.settings.read_only)
        except RequestError as error:  # it names the clip, which only the log may do
            raise Refused(404, "no-clip", "a clip of this pair is gone; tell whoever runs this server") from error
        except OSError as error:
            reason = f"this clip cannot be prepared ({error.strerror}); tell whoever runs this server"
            raise Refused(503, "no-copy", reason) from error

    def record_refusal(self, person: Person | None, refused: Refused, body: str, assignment: Any = None) -> None:
        """Keep what was refused; a flood of it is cut, and nothing else suffers when it cannot be kept."""
        who = person.id if person else ""
        minute = int(time.time() // 60)
        with self._lock:
            last, count = self._refusals.get(who, (minute, 0))
            count = count + 1 if last == minute else 1
            self._refusals[who] = minute, count
        if count > REFUSALS_A_MINUTE or self.settings.read_only:
            return
        named = assignment if isinstance(assignment, str) else None
        try:
            self.store.ballots.refuse(who or None, named, refused.reason, refused.sentence, body)
        except StoreUnavailable:
            logging.getLogger(__name__).warning("a refusal could not be recorded: %s", refused.reason)

    # parts

    def _check_writable(self) -> None:
        if self.settings.read_only:
            raise Refused(
                403, "read-only", "this server is read-only and takes no votes; start one without --read-only"
            )

    def _own(self, person: Person, identity: Any) -> Assignment:
        usable = isinstance(identity, str) and 0 < len(identity) <= 80 and "\0" not in identity
        given = self.store.ballots.assignment(identity) if usable else None
        if given is None:
            raise Refused(404, "unknown-pair", "this pair does not exist; ask for the next one")
        if given.annotator != person.id:
            raise Refused(403, "not-yours", "this pair was given to somebody else; ask for the next one")
        return given

    def _watched(self, given: Assignment, body: Mapping[str, Any]) -> float:
        """How often the clips were watched, 1 is once through; refused when it is too little, or cannot be true."""
        watched, least = _number(body, "watched", 0.0), self.settings.min_watch
        if watched < least:
            raise Refused(422, "not-watched", f"watch {least:.0%} of both clips before you vote")
        since = (datetime.now(UTC) - datetime.fromisoformat(given.issued_at)).total_seconds()
        if 0 <= since < least * _duration(given):  # below 0 the clock was put back, and tells nothing
            raise Refused(422, "too-fast", f"this vote came sooner than {least:.0%} of the clips can be watched")
        return watched

    def _check_pace(self, person: Person) -> None:
        """Off with the viewing rule, for load tests."""
        if not self.settings.min_watch:
            return
        since = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="microseconds")
        if self.store.ballots.recent_votes(person, since) >= VOTES_A_MINUTE:
            raise Refused(
                429, "too-many", f"more than {VOTES_A_MINUTE} votes in a minute are not counted; take a break"
            )

    def _pairs(self, record: StudyRecord):
        return self.store.studies.pairs(record.id, record.version)

    def _lost(self, record: StudyRecord) -> frozenset[str]:
        """Pairs of which a clip is gone; people are given others."""
        return self._fresh(("lost", record.id, record.version), lambda: self.clips.lost_pairs(record))

    def _values(self, record: StudyRecord, study: Study):
        told = study.sampling == "uncertainty"
        return values_of(study, self.store.ballots.tallies(record, study.questions[0])) if told else {}

    def _more_to_come(self, record: StudyRecord, pairs) -> bool:
        """Whether clips are still being made; Refused when that has failed."""
        progress = self.clips.progress(record)
        if progress.ready >= progress.planned and pairs:
            return False
        if progress.error:
            self.clips.start(record)  # what was wrong may be mended
            raise Refused(503, "no-clips", "this study's clips could not be made; tell whoever sent you here")
        self.clips.start(record)
        return True

    def _reveal(self, given: Assignment) -> dict[str, Any]:
        """What made the two clips, and where to look at them again."""
        sides = {"a": given.left.system, "b": given.right.system}
        told = {side: {"system": system, "title": describe_system(system)} for side, system in sides.items()}
        return told | {"seed": given.seed, "compare": compare_address(given)}

    def _fresh(self, name: tuple, read: Callable[[], Any]) -> Any:
        """`read()` as it was at most FRESH_SECONDS ago."""
        kept = self._kept.get(name)
        if kept is None or kept[1] is None or time.monotonic() - kept[0] > FRESH_SECONDS:
            kept = self._kept[name] = time.monotonic(), read()
        return kept[1]

    def _forget(self, name: tuple) -> None:
        self._kept.pop(name, None)


def _weights_now(models: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the weights of each of `models` that is on this machine."""
    from models.registry import unavailable, weights_digest  # noqa: PLC0415  (loads torch, which voting does without)

    return {name: weights_digest(MODELS[name]) for name in models if name in MODELS and not unavailable(MODELS[name])}


def describe_system(system: str) -> str:
    """A system for people; labels that are not the registry's are themselves."""
    base = system.removesuffix("/degraded")
    return label_of(base) + " (degraded on purpose)" * (base != system)


def compare_address(given: Assignment) -> str | None:
    """The Compare page with both clips; None when the registry cannot make them."""
    try:
        sides = [
            system_text(found.model, found.steps, found.first_steps)
            for found in (parse_system(clip.system) for clip in (given.left, given.right))
        ]
    except RequestError:
        return None
    query = {"prompt": given.prompt, "seed": given.seed, "frames": given.left.frames, "sides": ";".join(sides)}
    return f"/compare?{urlencode(query)}"


def _duration(given: Assignment) -> float:
    """Seconds of the longer clip."""
    return max(clip.frames / clip.fps for clip in (given.left, given.right))


def _answers(study: Study, answers: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(answers, Mapping) or not answers:
        raise Refused(422, "no-answers", f"the vote has no answers; answer {', '.join(study.questions)}")
    unknown = next((question for question in answers if question not in study.questions), None)
    if unknown is not None:
        asked = ", ".join(study.questions)
        raise Refused(422, "unknown-question", f"question {str(unknown)[:40]!r} is not asked here; answer {asked}")
    missing = next((question for question in study.questions if question not in answers), None)
    if missing is not None:
        raise Refused(422, "unanswered", f"question {missing!r} is not answered; answer it with a, b, tie or bad")
    wrong = next((given for given in answers.values() if given not in tuple(ANSWERS)), None)
    if wrong is not None or None in answers.values():
        raise Refused(422, "unknown-answer", f"answer {str(wrong)[:40]!r} is none; give a, b, tie or bad")
    return tuple((question, answers[question]) for question in study.questions)


def _flags(flags: Any, duration: float) -> tuple[Flag, ...]:
    if flags is None:
        return ()
    if not isinstance(flags, list) or len(flags) > MOST_FLAGS:
        raise Refused(422, "flags", f"flags are a list of at most {MOST_FLAGS}; leave some out")
    return tuple(_flag(flag, duration) for flag in flags)


def _flag(flag: Any, duration: float) -> Flag:
    if not isinstance(flag, Mapping) or flag.get("side") not in ("a", "b") or flag.get("kind") not in FLAG_KINDS:
        kinds = ", ".join(FLAG_KINDS)
        raise Refused(422, "flags", f"a flag has a side, a or b, and a kind, one of {kinds}; mend it")
    comment = flag.get("comment") or ""
    if not isinstance(comment, str) or len(comment) > COMMENT_LENGTH:
        size = f"{len(comment):,} letters" if isinstance(comment, str) else "no text"
        raise Refused(422, "comment", f"the comment has {size}; write at most {COMMENT_LENGTH}")
    seconds = _number(flag, "time_seconds", 0.0)
    return Flag(flag["side"], round(min(seconds, duration), 3), flag["kind"], comment.replace("\0", ""))


def _number(body: Mapping[str, Any], name: str, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST or math.isnan(value):
        raise Refused(422, "number", f"{name} is {str(value)[:40]!r}; give a number from 0 to {LONGEST:,.0f}")
    return float(value)


def _text(body: Mapping[str, Any], name: str, longest: int, empty: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise Refused(422, name, empty)
    if len(value) > longest:
        raise Refused(422, name, f"{name} has {len(value):,} letters; give at most {longest}")
    return value


def _remember(kept: OrderedDict, name: str, value: Any, limit: int) -> None:
    kept[name] = value
    while len(kept) > limit:
        kept.popitem(last=False)
