"""What annotators are asked. Ids are permanent: votes are stored under them. Adding a question is adding a row."""

from dataclasses import dataclass


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
