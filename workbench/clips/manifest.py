"""A clip's manifest: everything it takes to make the clip again, as JSON beside it."""

import hashlib
import json
import math
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import numpy as np

from eval.video.text_files import parse_json, read_text
from models.prompt_text import character_fault
from models.types import GenerationRequest, PromptSwitch, RequestError
from models.whole_files import write_bytes
from workbench.clips.media import read_image, read_lossless

FORMAT = "asd-workbench clip"
VERSION = 1
MOST_THREADS = 4096


@dataclass(frozen=True)
class InputImage:
    """The conditioning picture, which lies beside the manifest as `<name>.input.png`; `sha256` is of its pixels."""

    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class InputVideo:
    """The video a clip started from, fitted to the model, which lies beside the manifest as `<name>.input.mkv`;
    `sha256` is of its pixels, `strength` how much noise it was given."""

    sha256: str
    frames: int
    strength: float


@dataclass(frozen=True)
class Manifest:
    """How a clip was made. `sigmas` and `chunk_frames` hold one entry for each chunk; seconds are wall clock."""

    model: str
    family: str
    weights_digest: str
    prompt: str
    image: InputImage | None
    seed: int
    steps: int
    ffe: bool
    first_steps: int
    guidance_scale: float
    frames: int
    fps: int
    width: int
    height: int
    sigmas: tuple[tuple[float, ...], ...]
    chunk_frames: tuple[int, ...]
    forwards: int
    frames_digest: str
    notices: tuple[str, ...]
    dtype: str
    device: str
    threads: int
    libraries: dict[str, str]
    app_version: str
    created: str
    first_frame_seconds: float
    seconds: float
    step_plan: tuple[int, ...] = ()
    switches: tuple[PromptSwitch, ...] = ()
    video: InputVideo | None = None

    @property
    def plain(self) -> bool:
        """From text alone, one prompt, and the same steps in every chunk but for First-Frame Enhancement."""
        return not (self.image or self.video or self.step_plan or self.switches)

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, "version": VERSION, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Raises ValueError naming what is missing or wrong."""
        values = parse_json(text)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise ValueError(f"no {FORMAT!r} format mark")
        if values.get("version") != VERSION:
            raise ValueError(f"version {values.get('version')!r}, and this program reads version {VERSION}")
        # fields with a default came later: manifests from before them are still read
        values = {f.name: f.default for f in fields(cls) if f.default is not MISSING} | values
        known = {field.name: field.type for field in fields(cls)}
        missing = [name for name in known if name not in values]
        if missing:
            raise ValueError(f"without {', '.join(missing)}")
        wrong = [name for name, kind in known.items() if not _fits(values[name], kind)]
        if wrong:
            raise ValueError(f"with a wrong type in {', '.join(wrong)}")
        if not 1 <= values["threads"] <= MOST_THREADS:
            raise ValueError("with a wrong value in threads")
        if fault := character_fault(values["prompt"]):
            raise ValueError(f"its prompt {fault}")
        return cls(**{name: _revive(name, values[name]) for name in known})


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of the type of a field: a list is a tuple, a table one of these dataclasses or a
    dict."""
    parts = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kind is NoneType:
        return value is None
    if is_dataclass(kind):
        return isinstance(value, dict) and _fill(kind, value)
    if get_origin(kind) is tuple:
        return isinstance(value, list | tuple) and all(_fits(each, parts[0]) for each in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(_fits(each, parts[1]) for each in value.values())
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is kind


def _fill(kind: Any, values: dict[str, Any]) -> bool:
    """Whether `values` are the fields of the dataclass `kind`; those with a default may be missing."""
    known = {field.name: field for field in fields(kind)}
    needed = {name for name, field in known.items() if field.default is MISSING}
    return needed <= set(values) <= set(known) and all(_fits(v, known[name].type) for name, v in values.items())


def _revive(name: str, value: Any) -> Any:
    if name == "image" and value is not None:
        return InputImage(**value)
    if name == "video" and value is not None:
        return InputVideo(**value)
    if name == "switches":
        return tuple(PromptSwitch(**switch) for switch in value)
    if name == "sigmas":
        return tuple(tuple(float(s) for s in sigmas) for sigmas in value)
    return tuple(value) if isinstance(value, list) else value


def digest_pixels(pixels: np.ndarray) -> str:
    """SHA-256 of a clip's or picture's raw uint8 RGB, its shape included."""
    digest = hashlib.sha256("x".join(map(str, pixels.shape)).encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def manifest_path(clip: Path) -> Path:
    return clip.with_suffix(".json")


def image_path(clip: Path) -> Path:
    return clip.with_suffix(".input.png")


def video_path(clip: Path) -> Path:
    return clip.with_suffix(".input.mkv")


def write_manifest(manifest: Manifest, path: Path) -> None:
    write_bytes(path, manifest.to_json().encode())


def read_manifest(path: Path) -> Manifest:
    """Raises RequestError for a missing file and for what is not a manifest of this program."""
    try:
        return Manifest.from_json(read_text(path))
    except OSError as error:
        raise RequestError(f"{str(path)!r} cannot be read ({error.strerror}); give the .json beside a clip") from error
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error)[:300]
        raise RequestError(f"{str(path)!r} is not a manifest ({reason}); give the .json beside a clip") from error


def is_manifest(path: Path) -> bool:
    try:
        read_manifest(path)
    except RequestError:
        return False
    return True


def request_from_manifest(
    path: Path, usual: tuple[int, int] | None = None, *, with_input: bool = True
) -> tuple[str, GenerationRequest]:
    """The model and the request that make the clip of this manifest again, its picture or video included unless
    `with_input` is False. `usual` (height, width) is the model's own size; where the clip has another, that is asked.

    Raises RequestError when the manifest or what it started from is missing or changed.
    """
    manifest = read_manifest(path)
    image = read_input(path, manifest.image) if manifest.image and with_input else None
    size = (manifest.height, manifest.width)
    return manifest.model, GenerationRequest(
        prompt=manifest.prompt,
        steps=manifest.steps,
        ffe=manifest.ffe,
        first_steps=manifest.first_steps,
        frames=manifest.frames,
        seed=manifest.seed,
        image=image,
        guidance_scale=manifest.guidance_scale,
        step_plan=manifest.step_plan,
        switches=manifest.switches,
        size=size if usual and size != usual else None,
        **(_video_values(path, manifest) if with_input else {}),
    )


def read_input(manifest: Path, image: InputImage) -> np.ndarray:
    """The picture beside `manifest`; raises RequestError when it is missing or not the one the clip was made from."""
    path = image_path(manifest)
    pixels = read_image(path)
    if digest_pixels(pixels) != image.sha256:
        raise RequestError(f"{str(path)!r} is not the picture this clip was made from; put that one back")
    return pixels


def _video_values(path: Path, manifest: Manifest) -> dict[str, Any]:
    """The fields of a request about the video beside the manifest at `path`; empty without one. Raises RequestError
    when it is missing or not the one the clip was made from."""
    if manifest.video is None:
        return {}
    beside = video_path(path)
    frames = read_lossless(beside)
    if digest_pixels(frames) != manifest.video.sha256:
        raise RequestError(f"{str(beside)!r} is not the video this clip was made from; put that one back")
    return {"video": frames, "video_fps": float(manifest.fps), "strength": manifest.video.strength}
