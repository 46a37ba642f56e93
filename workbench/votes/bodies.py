"""What the routes of voting take: one schema for each body, by which it is checked and described. A field carries what
is said where its rules are broken, so that a refusal is a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from workbench.common.field_notes import noted
from workbench.people.accounts import NAME_LENGTH
from workbench.store.people import SESSION_DAYS
from workbench.store.records import Flag
from workbench.votes.questions import ANSWERS, FLAG_KINDS
from workbench.votes.studies import Study

KEY_LENGTH = 100
COMMENT_LENGTH, MOST_FLAGS = 500, 50
LONGEST = 1e6  # seconds
MOST_DAYS = 365
NOT_BLANK = r"\S"


class Refused(Exception):
    """A request that is not granted: an HTTP status, a short reason for the record, one sentence for the person."""

    def __init__(self, status: int, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.reason, self.sentence = status, reason, sentence


@dataclass(frozen=True)
class Refusal:
    """What is said of a value that breaks a rule of its field, which {name} and {given} stand for. `too_long` is said
    of text beyond its longest, of which {length} tells the letters."""

    reason: str
    sentence: str
    status: int = 422
    too_long: str = ""

    def of(self, name: str, given: Any, kind: str) -> Refused:
        """The refusal of the value `given`, which pydantic found to be wrong in a `kind` of way."""
        if kind == "string_too_long" and self.too_long:
            return Refused(self.status, self.reason, self.too_long.format(name=name, length=f"{len(given):,}"))
        return Refused(self.status, self.reason, self.sentence.format(name=name, given=repr(str(given)[:40])))


class Body(BaseModel):
    """A body of a request; what it holds beyond its fields is passed over."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    @classmethod
    def read(cls, value: Any) -> Self:
        """The body in JSON that anybody may have written. Raises Refused."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise cls._refused(error) from error

    @classmethod
    def _refused(cls, error: ValidationError) -> Refused:
        """In the words of the innermost field that the first fault is in and that has some."""
        fault = error.errors(include_url=False)[0]
        model: type[BaseModel] = cls
        told, name = Refusal("unreadable", "the request is not an object; send one, as {{}}"), ""
        for place in fault["loc"]:
            field = model.model_fields.get(str(place))
            if field is None:  # the place in a list, or a key
                continue
            name = str(place)
            told = next((each for each in field.metadata if isinstance(each, Refusal)), told)
            model = PARTS.get(name, model)
        return told.of(name, fault["input"], fault["type"])


def _one_of(*choices: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in choices:
            raise ValueError("not a choice")
        return value

    return AfterValidator(check)


NUMBER = Refusal("number", f"{{name}} is {{given}}; give a number from 0 to {LONGEST:,.0f}")
NO_NAME = Refusal("name", f"a name has 1 to {NAME_LENGTH} letters; give yours")
NO_LOGIN = "name and password do not belong together; try again, or use your invitation"
NO_INVITATION = "this invitation is unknown or over; ask who sent it for a new one"
UNKNOWN_PAIR = "this pair does not exist; ask for the next one"
NO_FLAG = Refusal("flags", f"a flag has a side, a or b, and a kind, one of {', '.join(FLAG_KINDS)}; mend it")


class SessionBody(Body):
    """Who one is: a name, with a password where accounts are on, or an invitation."""

    name: Annotated[str | None, NO_NAME] = Field(None, **noted("one's name", max_length=NAME_LENGTH))
    password: Annotated[str | None, Refusal("password", NO_LOGIN, 401)] = Field(
        None, **noted("of the account of this name", max_length=200)
    )
    invite: Annotated[str | None, Refusal("invitation", NO_INVITATION, 403)] = Field(
        None, **noted("the end of an invitation's link", "as given")
    )


class LogoutBody(Body):
    """Nothing needs to be said."""


class EndBody(Body):
    name: Annotated[str, Refusal("name", "name is not one; give that of an account or of an invited annotator")] = (
        Field(**noted("of an account or an invited annotator", max_length=NAME_LENGTH, pattern=NOT_BLANK))
    )


class NextPairBody(Body):
    study: Annotated[str | None, Refusal("unknown-study", "study is not a name; give the id of a study", 404)] = Field(
        None, **noted("id of a study; the default one when left out", max_length=80)
    )


class UndoBody(Body):
    assignment: Annotated[str, Refusal("unknown-pair", UNKNOWN_PAIR, 404)] = Field(
        **noted("of the pair", "as next-pair gave it", min_length=1, max_length=80)
    )


class FlagBody(Body):
    side: Annotated[str, _one_of("a", "b"), NO_FLAG] = Field(**noted("which clip", "a or b"))
    time_seconds: Annotated[float, NUMBER] = Field(0.0, **noted("when in the clip", unit="seconds", ge=0, le=LONGEST))
    kind: Annotated[str, _one_of(*FLAG_KINDS), NO_FLAG] = Field(**noted("what is wrong", ", ".join(FLAG_KINDS)))
    comment: Annotated[
        str | None,
        Refusal(
            "comment",
            f"the comment has no text; write at most {COMMENT_LENGTH}",
            too_long=f"the comment has {{length}} letters; write at most {COMMENT_LENGTH}",
        ),
    ] = Field("", **noted("in one's own words", max_length=COMMENT_LENGTH))


class VoteBody(UndoBody):
    key: Annotated[
        str,
        Refusal(
            "key",
            "the vote has no key; send a new random one with each vote",
            too_long=f"key has {{length}} letters; give at most {KEY_LENGTH}",
        ),
    ] = Field(
        **noted(
            "random, new for each vote; the same key again is the same vote",
            min_length=1,
            max_length=KEY_LENGTH,
            pattern=NOT_BLANK,
        )
    )
    answers: Annotated[
        dict[str, Any], Refusal("no-answers", "the vote has no answers; answer each question of the pair")
    ] = Field(**noted("an answer to every question, by its id", "a, b, tie or bad"))
    watched: Annotated[float, NUMBER] = Field(
        0.0, **noted("how often both clips were watched", unit="times through", ge=0, le=LONGEST)
    )
    seconds: Annotated[float, NUMBER] = Field(
        0.0, **noted("from showing the pair to the vote", unit="seconds", ge=0, le=LONGEST)
    )
    flags: Annotated[
        list[FlagBody] | None, Refusal("flags", f"flags are a list of at most {MOST_FLAGS}; leave some out")
    ] = Field([], **noted("moments where something is wrong", f"up to {MOST_FLAGS}", max_length=MOST_FLAGS))

    def answered(self, study: Study) -> tuple[tuple[str, str], ...]:
        """(question, answer) of every question that the study asks. Raises Refused."""
        asked = study.question_ids()
        listed = ", ".join(asked)
        if not self.answers:
            raise Refused(422, "no-answers", f"the vote has no answers; answer {listed}")
        unknown = next((question for question in self.answers if question not in asked), None)
        if unknown is not None:
            raise Refused(422, "unknown-question", f"question {unknown[:40]!r} is not asked here; answer {listed}")
        if missing := [question for question in asked if question not in self.answers]:
            raise Refused(
                422, "unanswered", f"question {missing[0]!r} is not answered; answer it with a, b, tie or bad"
            )
        for given in self.answers.values():
            if given not in tuple(ANSWERS):
                raise Refused(422, "unknown-answer", f"answer {str(given)[:40]!r} is none; give a, b, tie or bad")
        return tuple((question, self.answers[question]) for question in asked)

    def flagged(self, duration: float) -> tuple[Flag, ...]:
        """The moments that were marked, none beyond the clips' `duration` in seconds."""
        return tuple(
            Flag(flag.side, round(min(flag.time_seconds, duration), 3), flag.kind, flag.comment or "")
            for flag in self.flags or ()
        )


class TokenBody(Body):
    days: Annotated[int, Refusal("days", f"days is {{given}}; give a whole number from 1 to {MOST_DAYS}")] = Field(
        SESSION_DAYS["token"], **noted("how long it holds", unit="days", ge=1, le=MOST_DAYS)
    )


NO_TOKEN = Refusal("no-token", "you have no token of this id; GET /api/v1/tokens lists those you have", 404)


class RevokeBody(Body):
    id: Annotated[str, NO_TOKEN] = Field(**noted("of a token", "as GET /api/v1/tokens lists it"))


PARTS: Mapping[str, type[BaseModel]] = {"flags": FlagBody}  # the bodies within bodies, by the fields that hold them
