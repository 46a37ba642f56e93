"""What annotators are asked. Ids are permanent: votes are stored under them. Adding a question is adding a row."""

import re
from dataclasses import dataclass, replace

from models.types import RequestError

IDENTITY = re.compile(r"[a-z][a-z0-9_]{0,39}")
LONGEST_QUESTION = 200  # characters


@dataclass(frozen=True)
class Question:
    id: str
    title: str
    text: str


QUESTIONS: dict[str, Question] = {
    question.id: question
    for question in (
        Question("overall", "Overall", "Which video is better overall?"),
        Question("visual_quality", "Visual quality", "Which video looks better, frame by frame?"),
        Question("motion", "Motion", "In which video do things move more naturally?"),
        Question("text_alignment", "Text", "Which video shows better what the text says?"),
    )
}
ANSWERS = {"a": "A is better", "b": "B is better", "tie": "No difference", "bad": "Both are bad"}
FLAG_KINDS = ("flicker", "morph", "freeze", "colour", "drift")


def read_question(line: str) -> Question:
    """A question as a study writes it: the id of a known one, or `id: text`, which words a known one anew or asks one
    of the study's own. Raises RequestError."""
    identity, colon, text = (part.strip() for part in line.partition(":"))
    if not colon:
        if line not in QUESTIONS:
            known = ", ".join(QUESTIONS)
            raise RequestError(f"question {line[:60]!r} is unknown; choose from {known}, or write yours as id: text")
        return QUESTIONS[line]
    if not IDENTITY.fullmatch(identity):
        advice = "give it small letters, digits and _, at most 40, as smooth: Which video is smoother?"
        raise RequestError(f"question {line[:60]!r} has no usable id before the colon; {advice}")
    if not text or len(text) > LONGEST_QUESTION or not text.isprintable():
        what = f"{len(text)} characters" if text.isprintable() else "characters that cannot be shown"
        raise RequestError(f"question {identity!r} has a text of {what}; write 1 to {LONGEST_QUESTION} in one line")
    known = QUESTIONS.get(identity)
    return replace(known, text=text) if known else Question(identity, question_title(identity), text)


def question_title(identity: str) -> str:
    """What a question is called where its text would be too long; those of votes from elsewhere have only an id."""
    known = QUESTIONS.get(identity)
    return known.title if known else identity.replace("_", " ").capitalize()
