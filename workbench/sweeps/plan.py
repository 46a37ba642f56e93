"""What a sweep is: models x steps x FFE x prompts x seeds, read from flags and YAML, and the cells it comes to.

Everything that can be refused is refused here, before anything runs, with its place in the file.
"""

import difflib
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from eval.video.text_files import read_yaml
from models.default_world import DEFAULT, EMBEDDED, EmbeddedWorld
from models.registry import get_spec, unavailable, weights_digest
from models.types import GenerationRequest, RequestError
from models.worlds.captions import held_out_captions
from workbench.common.words import read_whole
from workbench.requests.prompt_files import read_prompts
from workbench.requests.systems import System
from workbench.scoring.evaluation import create_metrics, list_metrics

THREADS = 1
"""Of every network call in a sweep: sums are split by thread, so that clips are the same however many workers run."""
MOST_CELLS = 1_000_000
FFE = {"off": (False,), "on": (True,), "both": (False, True)}
HELD_OUT = re.compile(r"held-out:([0-9]{1,9})")
RANGE = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")
METRICS = ("temporal_flickering", "motion_smoothness_flow", "sharpness")
"""Of every sweep that names none; those of its models' worlds come on top."""


@dataclass(frozen=True)
class Cell:
    """One clip of a sweep; `first_steps` 0 is no FFE, `weights` the digest of the model's weights."""

    model: str
    steps: int
    first_steps: int
    prompt: str
    seed: int
    frames: int
    weights: str
    device: str = "cpu"

    @cached_property
    def key(self) -> str:
        """Hash of all that decides the clip: the same cell of any sweep is the same clip, bit for bit."""
        values = asdict(self) | {"threads": THREADS, "device": self.device.partition(":")[0]}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:24]

    @property
    def request(self) -> GenerationRequest:
        return System(self.model, self.steps, self.first_steps).request(self.prompt, self.seed, self.frames)


@dataclass(frozen=True)
class Plan:
    """A sweep as its author wrote it. FFE counts `first_steps`; where they are the steps it is no cell of its own.

    `name` is for people and no part of the sweep's id.
    """

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    steps: tuple[int, ...] = (1,)
    ffe: str = "off"
    first_steps: tuple[int, ...] = (4,)
    seeds: tuple[int, ...] = (0,)
    frames: int = 49
    metrics: tuple[str, ...] = METRICS
    name: str = ""

    def to_json(self, weights: Mapping[str, str], device: str = "cpu") -> str:
        """The plan with the digests of the weights it runs on."""
        told = asdict(self) | {"weights": dict(weights), "device": device, "threads": THREADS}
        return json.dumps(told, sort_keys=True, ensure_ascii=False)

    def identity(self, weights: Mapping[str, str], device: str = "cpu") -> str:
        """The sweep's id: the same plan on the same weights is the same sweep."""
        text = replace(self, name="").to_json(weights, device)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def weights(self) -> dict[str, str]:
        """Digests by model."""
        return {model: weights_digest(get_spec(model)) for model in self.models}

    def cells(self, weights: Mapping[str, str], device: str = "cpu") -> list[Cell]:
        """Every cell once, model by model, so that a worker changes its model seldom."""
        ways = [0] * (False in FFE[self.ffe]) + [*self.first_steps] * (True in FFE[self.ffe])
        found: dict[Cell, None] = {}
        for model, steps, first, prompt, seed in itertools.product(
            self.models, self.steps, ways, self.prompts, self.seeds
        ):
            first = first if first != steps and get_spec(model).few_step else 0
            found[Cell(model, steps, first, prompt, seed, self.frames, weights[model], device)] = None
        return list(found)


KEYS = tuple(field.name for field in fields(Plan))
Place = Callable[[str, int | None], str]


def make_plan(values: Mapping[str, Any], place: Place = lambda key, index: "") -> Plan:
    """A checked plan. `place` tells where a key, or an item of its list, stands, as "plan.yaml, line 3: ".

    Raises RequestError with the place and the way out.
    """
    for key in values:
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, 1, 0.0)
            raise RequestError(
                f"{place(key, None)}{str(key)!r} is not a key of a sweep, did you mean {near[0]!r}?; "
                f"the keys are {', '.join(KEYS)}"
            )
    made = {
        key: _READERS[key](value, lambda index, k=key: place(k, index))
        for key, value in _named_captions(values, place).items()
    }
    for key in ("models", "prompts"):
        if key not in made:
            raise RequestError(f"the sweep names no {key}; give {EXAMPLES[key]}")
    plan = Plan(**{"metrics": usual_metrics(made["models"])} | made)
    _check_cells(plan, place)
    return plan


def _named_captions(values: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    """`values` with the captions that `held-out:N` stands for, those of the models' world."""
    prompts = values.get("prompts")
    held_out = HELD_OUT.fullmatch(prompts) if isinstance(prompts, str) else None
    if not held_out:
        return values
    models = _READERS["models"](values.get("models", []) or [DEFAULT.asd], lambda index: place("models", index))
    worlds = _worlds(models) or [DEFAULT]
    if len(worlds) > 1:
        names = " and ".join(world.name for world in worlds)
        raise RequestError(
            f"{place('prompts', None)}prompts {prompts!r} are of one world, and the models are of {names}; sweep them "
            "one after the other, or give a list of prompts"
        )
    return {**values, "prompts": held_out_captions(worlds[0].name, int(held_out[1]))}


def _worlds(models: Sequence[str]) -> list[EmbeddedWorld]:
    families = {get_spec(model).family for model in models}
    return [world for world in EMBEDDED if world.name in families]


def usual_metrics(models: Sequence[str]) -> tuple[str, ...]:
    """The metrics of a sweep of `models` that names none."""
    return (*METRICS, *(name for world in _worlds(models) for name in world.metrics))


EXAMPLES = {
    "models": f"models: [{DEFAULT.asd}] in the file, or --models {DEFAULT.asd}",
    "prompts": "prompts: held-out:8 in the file, or --prompts held-out:8",
}


def _check_cells(plan: Plan, place: Place) -> None:
    from models.pipeline import check_request

    ways = 2 if plan.ffe == "both" else 1
    count = len(plan.models) * len(plan.steps) * ways * len(plan.prompts) * len(plan.seeds)
    if count > MOST_CELLS:
        raise RequestError(f"the sweep has about {count:,} cells; {MOST_CELLS:,} are the most, so make several of it")
    for index, model in enumerate(plan.models):
        reason = unavailable(get_spec(model))
        if reason:
            raise RequestError(
                f"{place('models', index)}model {model!r} cannot run here ({reason}); `models` lists what can"
            )
    for spec in map(get_spec, plan.models):
        for key, index, request in _requests(plan, spec.default_steps):
            try:
                check_request(spec, request)
            except RequestError as error:
                raise RequestError(f"{place(key, index)}{error}") from error


def _requests(plan: Plan, steps: int) -> list[tuple[str, int | None, GenerationRequest]]:
    """(key, index, request) for each value of the plan, all else in the request being right."""
    right = GenerationRequest("a clip", steps)
    found: list = [("frames", None, replace(right, frames=plan.frames))]
    found += [("steps", i, replace(right, steps=steps)) for i, steps in enumerate(plan.steps)]
    found += [("first_steps", i, replace(right, ffe=True, first_steps=n)) for i, n in enumerate(plan.first_steps)]
    found += [("seeds", i, replace(right, seed=seed)) for i, seed in enumerate(plan.seeds)]
    return found + [("prompts", i, replace(right, prompt=prompt)) for i, prompt in enumerate(plan.prompts)]


# readers: (value as YAML or flags have it, place of an item) -> value of the plan

Where = Callable[[int | None], str]


def _list(value: Any) -> list:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, list | tuple) else [value]


def _names(what: str, known: Callable[[], Sequence[str]]) -> Callable[[Any, Where], tuple[str, ...]]:
    def read(value: Any, where: Where) -> tuple[str, ...]:
        names, choices = _list(value), known()
        for index, name in enumerate(names):
            if name not in choices:
                near = difflib.get_close_matches(str(name), choices, 1, 0.0)
                raise RequestError(
                    f"{where(index)}{what} {str(name)[:80]!r} does not exist, did you mean {near[0]!r}?; choose from "
                    f"{', '.join(choices)}"
                )
        return _some(what, dict.fromkeys(names), where)

    return read


def _some(what: str, values, where: Where) -> tuple:
    if not values:
        raise RequestError(f"{where(None)}there is no {what}; give one or more")
    return tuple(dict.fromkeys(values))


def _numbers(what: str) -> Callable[[Any, Where], tuple[int, ...]]:
    def read(value: Any, where: Where) -> tuple[int, ...]:
        found: list[int] = []
        for index, part in enumerate(_list(value)):
            span = RANGE.fullmatch(part) if isinstance(part, str) else None
            if span and int(span[1]) <= int(span[2]) < int(span[1]) + MOST_CELLS:
                found += range(int(span[1]), int(span[2]) + 1)
            else:
                found.append(_number(what, part, where(index)))
        return _some(what, found, where)

    return read


def _number(what: str, value: Any, where: str) -> int:
    number = read_whole(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise RequestError(f"{where}{what} {str(value)[:80]!r} is not a whole number; give numbers, or a range as 0-4")
    return number


def _one_number(what: str) -> Callable[[Any, Where], int]:
    return lambda value, where: _number(what, value, where(None))


def _ffe(value: Any, where: Where) -> str:
    """on, off or both; YAML reads on and off as truth values."""
    if isinstance(value, list) and value and all(isinstance(item, bool) for item in value):
        return "both" if len(set(value)) == 2 else _ffe(value[0], where)
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, str) or value not in FFE:
        raise RequestError(f"{where(None)}ffe {str(value)[:80]!r} is none of {', '.join(FFE)}; choose one of them")
    return value


def _prompts(value: Any, where: Where) -> tuple[str, ...]:
    """A list, or the name of a file with one prompt a line."""
    if isinstance(value, str):
        value = _from_file(value, where)
    if not isinstance(value, list):
        raise RequestError(f"{where(None)}prompts are no list; give a list, a file, or held-out:8")
    for index, prompt in enumerate(value):
        if not isinstance(prompt, str):
            raise RequestError(f"{where(index)}prompt {prompt!r} is not text; put it between quotation marks")
    return _some("prompt", value, where)


def _from_file(name: str, where: Where) -> list[str]:
    try:
        return read_prompts(Path(name), "file")
    except RequestError as error:
        raise RequestError(f"{where(None)}{error}") from error


def _name(value: Any, where: Where) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise RequestError(f"{where(None)}name {str(value)[:80]!r} is not a text of up to 200 characters")
    return value


def _model_names() -> list[str]:
    from models.specs import MODELS

    return list(MODELS)


_READERS: dict[str, Callable[[Any, Where], Any]] = {
    "models": _names("model", _model_names),
    "prompts": _prompts,
    "steps": _numbers("steps"),
    "ffe": _ffe,
    "first_steps": _numbers("first_steps"),
    "seeds": _numbers("seed"),
    "frames": _one_number("frames"),
    "metrics": _names("metric", list_metrics),
    "name": _name,
}


def check_metrics(plan: Plan, weights: Path | None = None, device: str = "cpu") -> None:
    """Raise RequestError for a metric that cannot run here."""
    from eval.metric import Resources

    for metric in create_metrics(plan.metrics, Resources(weights, device)):
        if metric.missing():
            raise RequestError(
                f"metric {metric.facts.name!r} cannot run here ({metric.missing()}); leave it out, or give --weights"
            )


# files


@dataclass(frozen=True)
class PlanFile:
    """The values of a YAML file and the lines they stand on."""

    path: Path
    values: dict[str, Any]
    lines: dict[tuple[str, int | None], int]

    def place(self, key: str, index: int | None) -> str:
        line = self.lines.get((key, index), self.lines.get((key, None)))
        return f"{self.path}, line {line}: " if line else ""


def read_plan_file(path: Path) -> PlanFile:
    """Raises RequestError for a file that cannot be read or is not a YAML table; a prompt file's name counts from
    the folder of the plan."""
    try:
        values, node = read_yaml(path)
    except OSError as error:
        raise RequestError(f"{str(path)!r} cannot be read ({error.strerror}); give a YAML file") from error
    except (yaml.YAMLError, ValueError) as error:
        raise RequestError(f"{_yaml_fault(path, error)}; mend it") from error
    if not isinstance(values, dict):
        raise RequestError(f"{str(path)!r} is not a table of keys; begin with a line as `models: [{DEFAULT.asd}]`")
    lines: dict[tuple[str, int | None], int] = {}
    for key, value in node.value:
        lines[key.value, None] = key.start_mark.line + 1
        if isinstance(value, yaml.SequenceNode):
            lines |= {(key.value, i): item.start_mark.line + 1 for i, item in enumerate(value.value)}
    prompts = values.get("prompts")
    if isinstance(prompts, str) and not HELD_OUT.fullmatch(prompts):
        values["prompts"] = str(path.parent / prompts)
    return PlanFile(path, values, lines)


def _yaml_fault(path: Path, error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error)
    line = f", line {mark.line + 1}" if mark else ""
    return f"{path}{line}: {' '.join(str(reason).split())[:300]}"
