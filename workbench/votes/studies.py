"""What a study is: systems, prompts, seeds and questions, and the protocol by which votes are taken.

A study is written in YAML (`read_study`) or made on the page. Its protocol has a hash; freezing fixes it.
"""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from eval.video.text_files import read_yaml
from models.default_world import DEFAULT
from models.prompt_text import character_fault
from models.specs import MODELS
from models.types import RequestError
from workbench.common.words import counted
from workbench.requests.systems import System
from workbench.votes.questions import Question, read_question

DEFAULT_STUDY = DEFAULT.study
IDENTITY = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
PAIRINGS = ("target", "all")
SAMPLINGS = ("uncertainty", "balanced", "uniform")
LONGEST_TEXT = 4000
MOST_CLIPS = 20_000
INSTRUCTIONS = (
    "You will see two videos, A and B, made for the same text, playing side by side in a loop. "
    "Say which one is better. Watch both before you answer; there is no right answer, your opinion counts."
)
EXCLUSION = "annotators who fail more than half of their attention checks are left out; both results are shown"
CONSENT = (
    "Your answers are stored under the name you give, with the time they took, and are used for research. "
    "You can stop at any time."
)


class StudyFault(RequestError):
    """What is wrong with a study, in a sentence, and the `field` of it that is to be mended."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True)
class ClipRow:
    """A clip made elsewhere: `system` is any label, `path` a video file."""

    system: str
    prompt: str
    path: str
    seed: int = 0


@dataclass(frozen=True)
class Study:
    """A study as its author wrote it. With `clips` the systems are their labels; else they are made by the registry.

    `pairing` "target" sets the first system against each of the others, "all" every two against each other.
    `sampling` chooses an annotator's next pair: the one that tells most, the one with fewest votes, or any.
    `degraded` and `identical` are the attention checks among an annotator's `pairs_per_annotator` pairs.
    `votes_per_pair` is how many annotators should see each pair; `exclusion` and `stop` are rules in words, fixed
    before votes arrive. `reveal` tells what made the clips after each vote; then a vote cannot be undone.
    `weights` are lines "model sha256" of models whose clips must come from these weights and no others.
    `questions` are ids of known questions, or lines "id: text" of questions in the author's own words.
    """

    id: str
    title: str
    systems: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    frames: int = 49
    clips: tuple[ClipRow, ...] = ()
    questions: tuple[str, ...] = ("overall",)
    pairing: str = "target"
    sampling: str = "uncertainty"
    votes_per_pair: int = 3
    pairs_per_annotator: int = 20
    degraded: int = 1
    identical: int = 1
    exclusion: str = EXCLUSION
    stop: str = "when every pair has the votes wanted"
    reveal: bool = False
    weights: tuple[str, ...] = ()
    instructions: str = INSTRUCTIONS
    consent: str = CONSENT

    def protocol(self) -> dict[str, Any]:
        """What the hash covers: everything that decides what is asked of whom. The title is not part of it."""
        left_out = ("id", "title", *([] if self.weights else ["weights"]))  # no weights, the hash it had before them
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    def protocol_hash(self) -> str:
        """SHA-256 of the protocol as canonical JSON, 64 hexadecimal digits."""
        text = json.dumps(self.protocol(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    def asked(self) -> tuple[Question, ...]:
        """The questions in words, in order."""
        return tuple(read_question(line) for line in self.questions)

    def question_ids(self) -> tuple[str, ...]:
        """What votes are stored under."""
        return tuple(question.id for question in self.asked())

    def labels(self) -> tuple[str, ...]:
        """The systems by name, in order."""
        return tuple(dict.fromkeys(row.system for row in self.clips)) if self.clips else self.systems

    def models(self) -> tuple[str, ...]:
        """The models of the registry that make the clips."""
        return tuple(dict.fromkeys(parse_system(system).model for system in self.systems))

    def pinned(self) -> dict[str, str]:
        """`weights` as digest by model."""
        return dict(line.split(maxsplit=1) for line in self.weights)

    def items(self) -> list[tuple[str, int]]:
        """(prompt, seed) of everything that is shown, in order."""
        if self.clips:
            return list(dict.fromkeys((row.prompt, row.seed) for row in self.clips))
        return list(itertools.product(self.prompts, self.seeds))

    def opponents(self) -> list[tuple[str, str]]:
        """The systems that meet."""
        first, *others = self.labels()
        if self.pairing == "target":
            return [(first, other) for other in others]
        return list(itertools.combinations(self.labels(), 2))


def study_from_json(text: str) -> Study:
    """The inverse of `Study.to_json`."""
    return study_from(json.loads(text))


def read_study(path: Path) -> Study:
    """A study from a YAML file; clips' paths count from the file's folder. Raises RequestError."""
    try:
        values, _ = read_yaml(path)
    except OSError as error:
        raise RequestError(f"{str(path)!r} cannot be read ({error.strerror}); give a study in YAML") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(f"{str(path)!r} is not YAML ({reason}); mend it there") from error
    study = study_from(values)
    rows = tuple(ClipRow(row.system, row.prompt, str(path.parent / row.path), row.seed) for row in study.clips)
    return Study(**_shallow(study) | {"clips": rows})


def study_from(values: Any) -> Study:
    """A study from plain data, checked. Raises RequestError naming the first thing that is wrong."""
    if not isinstance(values, Mapping):
        raise RequestError("a study is a table of settings; start with the lines `id:` and `title:`")
    known = {field.name: field for field in fields(Study)}
    unknown = next((name for name in values if name not in known), None)
    if unknown is not None:
        raise RequestError(f"{str(unknown)[:40]!r} is not a setting of a study; choose from {', '.join(known)}")
    for name in ("id", "title"):
        if values.get(name) is not None and not isinstance(values[name], str):
            raise StudyFault(name, f"{name} is {str(values[name])[:40]}, which is no text; write it in quotes")
        if not (values.get(name) or "").strip():
            raise StudyFault(name, f"the study has no {name}; give it one")
    typed = {}
    for name in (name for name in known if name in values):
        with _fault_of(name):
            typed[name] = _typed(name, values[name])
    study = Study(**typed)
    _check(study)
    if study.clips:
        return study
    return replace(study, systems=tuple(parse_system(system).stored for system in study.systems))  # as stored


def parse_system(text: str) -> System:
    """A system from its text, as `shapes-asd:1*`; raises RequestError for what the registry cannot make."""
    system = System.read(text)
    model = system.model
    if system.plan:
        count = len(system.plan)
        raise RequestError(f"system {text[:80]!r} has a plan of {count} numbers; studies take one as 1* or 4,1")
    if model not in MODELS:
        raise RequestError(f"system {text[:80]!r} names an unknown model; choose one of {', '.join(MODELS)}")
    if "t2v" not in MODELS[model].tasks:
        raise RequestError(
            f"system {text[:80]!r} makes no video from text, which studies ask for; choose another model"
        )
    if system.steps not in MODELS[model].steps:
        offered = ", ".join(map(str, MODELS[model].steps))
        raise RequestError(f"system {text[:80]!r} has {counted(system.steps, 'step')}; {model} offers {offered}")
    if system.first_steps and system.first_steps not in MODELS[model].steps:
        first = f"{counted(system.first_steps, 'step')} on the first chunk"
        raise RequestError(f"system {text[:80]!r} has {first}, which {model} does not offer")
    return system


def default_study() -> Study:
    """ASD against its baseline on the default world, the layout of the paper's preference figure."""
    return Study(
        id=DEFAULT_STUDY,
        title="Which video is better?",
        systems=(
            f"{DEFAULT.asd}:1:4",
            f"{DEFAULT.asd}:1:0",
            f"{DEFAULT.baseline}:1:0",
            f"{DEFAULT.baseline}:2:0",
            f"{DEFAULT.baseline}:4:0",
        ),
        prompts=DEFAULT.study_prompts,
        seeds=(7,),
    )


def _shallow(study: Study) -> dict[str, Any]:
    return {field.name: getattr(study, field.name) for field in fields(study)}


def _typed(name: str, value: Any) -> Any:
    """`value` as the field `name` wants it; raises RequestError."""
    kind = Study.__annotations__[name]
    if name == "clips":
        return tuple(_clip_row(row) for row in _list(name, value))
    if name == "questions":  # YAML reads an unquoted `id: text` as a table of one row
        value = [_question_line(row) for row in _list(name, value)]
    if kind == tuple[int, ...]:
        return tuple(_whole(name, part) for part in _list(name, value))
    if kind == tuple[str, ...]:
        return tuple(_text(name, part) for part in _list(name, value))
    if kind is int:
        return _whole(name, value)
    if kind is bool:
        if not isinstance(value, bool):
            raise RequestError(f"{name} is {value!r}; write true or false")
        return value
    return _text(name, value)


def _list(name: str, value: Any) -> Sequence:
    if not isinstance(value, list | tuple):
        raise RequestError(f"{name} is {str(value)[:40]!r}; give a list")
    return value


def _whole(name: str, value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise RequestError(f"{name} is {str(value)[:40]!r}; give a whole number from 0")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        shown = f"{len(value)} characters long" if isinstance(value, str) else repr(value)[:40]
        raise RequestError(f"{name} is {shown}; give text of at most {LONGEST_TEXT} characters")
    if fault := character_fault(value):
        raise RequestError(f"{name} {fault}; take it out")
    return value.strip()


def _question_line(row: Any) -> Any:
    if isinstance(row, Mapping) and len(row) == 1:
        ((identity, text),) = row.items()
        return f"{identity}: {text}"
    return row


def _clip_row(row: Any) -> ClipRow:
    advice = "give each clip system, prompt and path, and a seed where there are several"
    if isinstance(row, ClipRow):
        return row
    needed = {"system", "prompt", "path"}
    if not isinstance(row, Mapping) or not needed <= set(row) <= needed | {"seed"}:
        raise RequestError(f"a clip of the study is {str(row)[:60]!r}; {advice}")
    texts = {name: _text(f"a clip's {name}", row[name]) for name in sorted(needed)}
    return ClipRow(**texts, seed=_whole("a clip's seed", row.get("seed", 0)))


def _check(study: Study) -> None:
    for field, check in CHECKS:
        with _fault_of(field):
            check(study)


@contextmanager
def _fault_of(field: str) -> Iterator[None]:
    try:
        yield
    except StudyFault:
        raise
    except RequestError as error:
        raise StudyFault(field, str(error)) from error


def _check_id(study: Study) -> None:
    if not IDENTITY.fullmatch(study.id):
        raise RequestError(f"id {study.id[:60]!r} cannot be used; it takes small letters, digits and -, at most 60")


def _check_prompts(study: Study) -> None:
    if study.clips and (study.systems or study.prompts):
        raise RequestError("the study has clips and systems or prompts; clips bring theirs, so leave the others out")
    if not study.clips and not study.prompts:
        raise RequestError("the study has no prompts; give a list of them, or clips")


def _check_systems(study: Study) -> None:
    for system in study.systems:
        parse_system(system)
    labels = study.labels()
    if len(labels) < 2 or len(set(labels)) < len(labels):
        raise RequestError(f"the study compares {len(set(labels))} systems; give two or more, each once")


def _check_questions(study: Study) -> None:
    if not study.questions:
        raise RequestError("the study asks no question; choose one, or write one of your own")
    if len(set(study.question_ids())) < len(study.questions):
        raise RequestError("a question is asked twice; name each once")


def _check_choices(study: Study) -> None:
    for name, value, offered in (("pairing", study.pairing, PAIRINGS), ("sampling", study.sampling, SAMPLINGS)):
        if value not in offered:
            raise StudyFault(name, f"{name} is {value[:40]!r}; choose {' or '.join(offered)}")


def _check_numbers(study: Study) -> None:
    for name in ("votes_per_pair", "pairs_per_annotator", "frames"):
        if getattr(study, name) < 1:
            raise StudyFault(name, f"{name} is 0; give 1 or more")
    if study.degraded + study.identical >= study.pairs_per_annotator and study.degraded + study.identical:
        checks = study.degraded + study.identical
        fault = f"{checks} of {study.pairs_per_annotator} pairs are checks; leave some for opinions"
        raise StudyFault("pairs_per_annotator", fault)


def _check_seeds(study: Study) -> None:
    if not study.seeds or len(study.items()) * len(study.labels()) > MOST_CLIPS:
        raise RequestError(f"the study has no seeds, or more than {MOST_CLIPS:,} clips; give fewer prompts or seeds")
    for name in ("seeds", "prompts"):
        values = getattr(study, name)
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise StudyFault(name, f"{name} has {str(twice)[:60]!r} twice; give each once")


def _check_weights(study: Study) -> None:
    for line in study.weights:
        if line.partition(" ")[0] not in study.models() or len(line.split()) != 2:
            raise RequestError(f"weights {line[:60]!r} cannot be read; write a model of the study and its SHA-256")


def _check_clips(study: Study) -> None:
    """Refuses a study of ready clips that lacks one."""
    if not study.clips:
        return
    present = {(row.system, row.prompt, row.seed) for row in study.clips}
    wanted = ((label, *item) for item in study.items() for label in study.labels())
    missing = next(((label, prompt) for label, prompt, seed in wanted if (label, prompt, seed) not in present), None)
    if missing:
        raise RequestError(f"the study has no clip of {missing[0]!r} for {missing[1]!r}; give one for every system")


# the field that a fault is told at, and what looks for it
CHECKS = (
    ("id", _check_id),
    ("prompts", _check_prompts),
    ("systems", _check_systems),
    ("questions", _check_questions),
    ("pairing", _check_choices),
    ("frames", _check_numbers),
    ("seeds", _check_seeds),
    ("weights", _check_weights),
    ("clips", _check_clips),
)
