"""Voting as a service: who may vote on what, what counts as a vote, and what is refused and why.

It knows no web and no SQL: routes call it, and it calls the store.
"""

import logging
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Set
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from models.specs import MODELS
from models.types import RequestError
from workbench import __version__
from workbench.common.clock import after, present
from workbench.common.words import percent
from workbench.people.accounts import Accounts
from workbench.requests.links.compare import compare_link
from workbench.requests.systems import label_of
from workbench.settings import Settings
from workbench.store import Store, StoreUnavailable
from workbench.store.ballots import HandOut
from workbench.store.records import (
    AlreadyVoted,
    Assignment,
    Ballot,
    KeyReused,
    PairState,
    Person,
    StudyRecord,
)
from workbench.votes.blindness.blind_copies import BlindCopies
from workbench.votes.bodies import UNKNOWN_PAIR, Refused, UndoBody, VoteBody
from workbench.votes.pair_choice import choose_pair, values_of
from workbench.votes.sessions import Sessions
from workbench.votes.studies import DEFAULT_STUDY, Study, default_study, parse_system, study_from_json
from workbench.votes.study_clips import StudyClips

VOTES_A_MINUTE = 40
REFUSALS_A_MINUTE = 60
MOST_REFUSED = 10_000  # people whose refusals are counted
MOST_GIVEN = 60_000  # assignments remembered, by three names each
FRESH_SECONDS = 2.0  # how long counts that only steer sampling may be old


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
        self.store, self.settings, self.clips = store, settings, clips
        self.sessions = Sessions(store, accounts)
        self._rng = random.Random(seed) if seed is not None else random.SystemRandom()
        self._given: OrderedDict[str, Assignment] = OrderedDict()  # by id and by media token; they never change
        self.copies = BlindCopies(settings.data_dir)
        self._definitions: dict[tuple[str, int], Study] = {}
        self._kept: dict[tuple, tuple[float, Any]] = {}
        self._refusals: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    # studies

    def study(self, identity: str | None = None) -> StudyRecord:
        """The newest version of a study, the default one when None. Raises Refused for one that does not exist."""
        identity = DEFAULT_STUDY if identity is None else identity
        if "\0" in identity:
            raise Refused(404, "unknown-study", "study is not a name; give the id of a study")
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

    def next_pair(self, person: Person, identity: str | None = None) -> NextPair:
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
            self._hand(open_one)
            return NextPair(study, open_one, done, wanted)
        values = self._fresh(("values", record.id, record.version), lambda: self._values(record, study))

        def choose(issued: Mapping[str, int], seen: Set[str]) -> HandOut | None:
            there = (pair for pair in pairs if pair.id not in lost)
            fresh = [_issued(pair, issued.get(pair.id, pair.issued)) for pair in there]
            choice = choose_pair(study, fresh, seen, person.id, values, self._rng)
            return choice and HandOut(choice.pair.id, self._rng.random() < 0.5, choice.propensity)

        given = self.store.ballots.hand_out(person, record, choose, lost)
        if given:
            self._hand(given)
        waiting = given is None and self._more_to_come(record, pairs)
        return NextPair(study, given, done, wanted, waiting)

    def vote(self, person: Person, body: VoteBody) -> Saved:
        """Take a vote. It is safe when this returns; Refused, or StoreUnavailable, mean that it was not saved."""
        self._check_writable()
        given = self._own(person, body.assignment)
        study = self.definition(given.study, given.version)
        ballot = Ballot(
            assignment=given.id,
            key=body.key,
            answers=body.answered(study),
            watched_seconds=round(self._watched(given, body.watched) * _duration(given), 3),
            seconds=round(body.seconds, 3),
            app_version=__version__,
            flags=body.flagged(_duration(given)),
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

    def undo(self, person: Person, body: UndoBody) -> str:
        """Take a vote back by a record of its own; returns the vote's id. Raises Refused."""
        self._check_writable()
        given = self._own(person, body.assignment)
        if self.definition(given.study, given.version).reveal:
            raise Refused(409, "revealed", "you have seen what made these clips, so this vote stays")
        vote = self.store.ballots.undo(given.id)
        if vote is None:
            raise Refused(409, "nothing-to-undo", "there is no vote on this pair to undo")
        return vote

    def coming(self, token: str) -> Future | None:
        """What a media token's copy waits for, so that nobody's thread has to; None when `media` can tell at once."""
        given = self._of_token(token)
        return self.copies.coming(given) if given and not self.settings.read_only else None

    def media(self, token: str) -> Path | None:
        """The copy behind a media token of an assignment; None when there is none. Raises Refused when it cannot be
        made."""
        given = self._of_token(token)
        if given is None:
            return None
        try:
            return self.copies.path(given, token, make=not self.settings.read_only)
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
            if len(self._refusals) > MOST_REFUSED:
                self._refusals.clear()
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

    def _of_token(self, token: str) -> Assignment | None:
        given = self._given.get(token) or self.store.ballots.of_token(token)
        if given:
            _remember(self._given, token, given, MOST_GIVEN)
        return given

    def _hand(self, given: Assignment) -> None:
        """Begin its copies, and keep what will be asked for next: the two clips, and whose pair it is."""
        self.copies.begin(given)
        for name in (given.id, given.left_token, given.right_token):
            _remember(self._given, name, given, MOST_GIVEN)

    def _own(self, person: Person, identity: str) -> Assignment:
        given = self._given.get(identity) or self.store.ballots.assignment(identity)
        if given is None:
            raise Refused(404, "unknown-pair", UNKNOWN_PAIR)
        if given.annotator != person.id:
            raise Refused(403, "not-yours", "this pair was given to somebody else; ask for the next one")
        return given

    def _watched(self, given: Assignment, watched: float) -> float:
        """How often the clips were watched, 1 is once through; refused when it is too little, or cannot be true."""
        least = self.settings.min_watch
        if watched < least:
            raise Refused(422, "not-watched", f"watch {percent(least)} of both clips before you vote")
        since = (present() - datetime.fromisoformat(given.issued_at)).total_seconds()
        if 0 <= since < least * _duration(given):  # below 0 the clock was put back, and tells nothing
            raise Refused(422, "too-fast", f"this vote came sooner than {percent(least)} of the clips can be watched")
        return watched

    def _check_pace(self, person: Person) -> None:
        """Off with the viewing rule, for load tests."""
        if not self.settings.min_watch:
            return
        if self.store.ballots.recent_votes(person, after(minutes=-1)) >= VOTES_A_MINUTE:
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
        return values_of(study, self.store.ballots.tallies(record, study.question_ids()[0])) if told else {}

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
        """`read()` as it was at most FRESH_SECONDS ago. None is not kept: anybody may ask for what does not exist."""
        moment, value = self._kept.get(name, (0.0, None))
        if value is None or time.monotonic() - moment > FRESH_SECONDS:
            value = read()
            if value is None:
                self._forget(name)
            else:
                self._kept[name] = time.monotonic(), value
        return value

    def _forget(self, name: tuple) -> None:
        self._kept.pop(name, None)


def _issued(pair: PairState, count: int) -> PairState:
    """The pair as often handed out; most are as they were, and copying thousands would hold others up."""
    return pair if pair.issued == count else replace(pair, issued=count)


def _weights_now(models: Iterable[str]) -> dict[str, str]:
    """SHA-256 of the weights of each of `models` that is on this machine."""
    from models.registry import unavailable, weights_digest

    return {name: weights_digest(MODELS[name]) for name in models if name in MODELS and not unavailable(MODELS[name])}


def describe_system(system: str) -> str:
    """A system for people; labels that are not the registry's are themselves."""
    base = system.removesuffix("/degraded")
    return label_of(base) + " (degraded on purpose)" * (base != system)


def compare_address(given: Assignment) -> str | None:
    """The Compare page with both clips; None when the registry cannot make them."""
    try:
        sides = [parse_system(clip.system) for clip in (given.left, given.right)]
    except RequestError:
        return None
    return compare_link(sides, given.prompt, given.seed, given.left.frames)


def _duration(given: Assignment) -> float:
    """Seconds of the longer clip."""
    return max(clip.frames / clip.fps for clip in (given.left, given.right))


def _remember(kept: OrderedDict, name: str, value: Any, limit: int) -> None:
    kept[name] = value
    while len(kept) > limit:
        kept.popitem(last=False)
