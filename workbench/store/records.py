"""What the store hands out and takes in, as plain values."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StudyRecord:
    """A study at one version; `definition` is JSON. `frozen_at` is None while the protocol may still be changed."""

    id: str
    version: int
    title: str
    definition: str
    protocol_hash: str
    state: str
    created_at: str
    frozen_at: str | None


@dataclass(frozen=True)
class Clip:
    """A display copy: `file` lies below the data folder, `origin` is the clip of the store it shows ("" for none),
    `weights` the SHA-256 of what made that ("" when it was made elsewhere)."""

    id: str
    study: str
    system: str
    prompt: str
    seed: int
    file: str
    frames: int
    fps: float
    width: int
    height: int
    bytes: int
    origin: str = ""
    weights: str = ""


@dataclass(frozen=True)
class Pair:
    """Two clips by id; `check_kind` is "", "degraded" (the second clip is) or "identical"."""

    id: str
    study: str
    version: int
    prompt: str
    seed: int
    first_clip: str
    second_clip: str
    check_kind: str = ""


@dataclass(frozen=True)
class PairState:
    """A pair as sampling sees it: its systems, and how often it was handed out."""

    id: str
    prompt: str
    first_system: str
    second_system: str
    check_kind: str
    issued: int


@dataclass(frozen=True)
class Person:
    """Somebody with a role. Locally a name is enough to be one."""

    id: str
    name: str
    role: str


@dataclass(frozen=True)
class Session:
    """Who a cookie stands for, and how they came in.

    `door` is name, invitation, account or token; for the last two `account` is its name in the auth file and `mark`
    tells which password it was opened with.
    """

    person: Person
    door: str
    account: str = ""
    mark: str = ""


@dataclass(frozen=True)
class Assignment:
    """A pair handed to an annotator, with what decides how it is shown and judged.

    `votes` counts its votes, undone ones included; `vote` is the id of the one that counts, None when there is none.
    """

    id: str
    study: str
    version: int
    annotator: str
    pair: str
    check_kind: str
    prompt: str
    seed: int
    left: Clip
    right: Clip
    left_token: str
    right_token: str
    issued_at: str
    vote: str | None


@dataclass(frozen=True)
class Flag:
    """A moment that an annotator marked on one side."""

    side: str
    time_seconds: float
    kind: str
    comment: str = ""


@dataclass(frozen=True)
class Ballot:
    """A vote to be recorded: `answers` are (question, answer) pairs."""

    assignment: str
    key: str
    answers: tuple[tuple[str, str], ...]
    watched_seconds: float
    seconds: float
    app_version: str
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True)
class GeneratedClip:
    """A clip and how it was made; `id` is its content name, `path` lies below the data folder.

    `first_steps` is 0 without FFE and `image_digest` "" for text-to-video. `sweep` is the sweep that made it first.
    """

    id: str
    model: str
    family: str
    weights_digest: str
    steps: int
    first_steps: int
    prompt: str
    seed: int
    image_digest: str
    frames: int
    width: int
    height: int
    fps: float
    guidance_scale: float
    dtype: str
    path: str
    seconds: float
    first_frame_seconds: float
    forwards: int
    created_at: str
    sweep: str = ""

    @property
    def task(self) -> str:
        return "i2v" if self.image_digest else "t2v"

    @property
    def settings(self) -> str:
        """Hash of what must agree before values may be averaged, next to model, steps, FFE, prompt and seed."""
        told = "\0".join(str(getattr(self, name)) for name in SETTINGS)
        return hashlib.sha256(told.encode()).hexdigest()[:12]


SETTINGS = ("weights_digest", "frames", "width", "height", "fps", "guidance_scale", "dtype", "task")


@dataclass(frozen=True)
class Value:
    """What a metric of one version says of a clip; `value` None: not scored, for `reason`. `curve`: a value a frame,
    None where there is nothing to measure; empty for a metric without one."""

    value: float | None
    version: str = "1"
    reason: str = ""
    curve: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class ClipFilter:
    """Which clips and values are asked for; an empty field asks for all. `prompt` are words that a prompt has.

    `systems` are `model:steps:first_steps`. `sweep` is a sweep's id.
    """

    models: Sequence[str] = ()
    steps: Sequence[int] = ()
    first_steps: Sequence[int] = ()
    systems: Sequence[str] = ()
    settings: Sequence[str] = ()
    metrics: Sequence[str] = ()
    prompts: Sequence[str] = ()
    prompt: str = ""
    seeds: Sequence[int] = ()
    sweep: str = ""


@dataclass(frozen=True)
class SweepRecord:
    """A sweep; `plan` is JSON and `id` its hash. The counts are of its cells."""

    id: str
    name: str
    plan: str
    created_at: str
    waiting: int = 0
    done: int = 0
    failed: int = 0


@dataclass(frozen=True)
class CellState:
    """A cell of a sweep; `clip` is the id of its clip, None until it is done. `reason` tells why it failed."""

    cell: str
    status: str
    reason: str
    attempts: int
    clip: str | None


class KeyReused(Exception):
    """The vote's key belongs to a vote on another assignment."""


class AlreadyVoted(Exception):
    """The assignment has a vote that counts."""


def new_id() -> str:
    """Random and meaningless: an identity that nobody can guess or sort by."""
    return secrets.token_urlsafe(12)
