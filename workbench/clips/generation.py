"""One service makes every clip: the app, the command line and sweeps call it, so that they all make the same clip."""

import gc
import hashlib
import json
import logging
import platform
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.registry import create_pipeline, get_spec, weights_digest
from models.types import Chunk, GenerationRequest, GenerationResult, RequestError
from models.whole_files import replacing
from workbench import __version__
from workbench.clips.manifest import (
    InputImage,
    InputVideo,
    Manifest,
    digest_pixels,
    image_path,
    is_manifest,
    manifest_path,
    video_path,
    write_manifest,
)
from workbench.clips.media import encode_mp4, write_lossless, write_png
from workbench.clips.picture_check import picture_notices
from workbench.clips.under_way import STOPPING_SECONDS, ProgramEnds, written_down
from workbench.common.clock import to_the_second
from workbench.common.faults import wants_memory
from workbench.common.priority import make_way
from workbench.requests.outputs import check_place

if TYPE_CHECKING:  # torch is imported when the first clip is made: pages and commands should not wait for it
    from models.pipeline import VideoPipeline

log = logging.getLogger(__name__)
# what a clip is named by; times and machine may differ between two makings of the same clip
IDENTITY = ("model", "weights_digest", "prompt", "seed", "steps", "ffe", "first_steps", "guidance_scale", "frames")


class Cancelled(Exception):
    """Generation was stopped on request; nothing was written."""


@dataclass(frozen=True)
class SavedClip:
    """A finished clip on disk: `path` mp4 and `manifest_path` JSON, with the exact frames in `result`."""

    path: Path
    manifest_path: Path
    result: GenerationResult
    manifest: Manifest
    notices: tuple[str, ...]


class GenerationService:
    """Makes clips and saves them under `data_dir`/clips, from any thread, one network at a time.

    A model is loaded once. `pipelines` are ready-made ones by name; any other comes from the registry when first
    asked for, and `say` is told how a large one will fit before it is loaded. `compile` is as in `create_pipeline`.
    """

    def __init__(
        self,
        data_dir: Path,
        device: str = "cpu",
        *,
        pipelines: Mapping[str, "VideoPipeline"] | None = None,
        say: Callable[[str], None] = log.info,
        compile: str = "off",
    ) -> None:
        _check_device(device)
        self.clips, self.device, self.say, self.compile = data_dir / "clips", device, say, compile
        self._pipelines = dict(pipelines or {})
        self._digests = {name: weights_digest(pipeline.spec) for name, pipeline in self._pipelines.items()}
        self._loading, self._network = threading.Lock(), threading.Lock()
        self._calls: set[threading.Event] = set()
        self._call_over = threading.Condition()

    def stop(self) -> None:
        """Break off what is being made, and return when it has ended. A program that ends while one of its threads is
        inside torch is aborted."""
        with self._call_over:
            for ending in self._calls:
                ending.set()
            self._call_over.wait_for(lambda: not self._calls, STOPPING_SECONDS)

    @contextmanager
    def _call(self) -> Iterator[threading.Event]:
        """A call that `stop` waits for; its event is set when it has to end."""
        ending = threading.Event()
        with self._call_over:
            self._calls.add(ending)
        try:
            yield ending
        finally:
            with self._call_over:
                self._calls.discard(ending)
                self._call_over.notify_all()

    def pipeline(self, model: str, asked: GenerationRequest | None = None) -> "VideoPipeline":
        """The loaded pipeline; where clips of its usual size do not fit, one for clips as `asked`. Raises RequestError
        for an unknown model and for one that cannot run here."""
        with self._loading:
            if model not in self._pipelines:
                if asked:
                    _check_before_loading(model, asked)
                self._digests[model] = weights_digest(get_spec(model))
                with _memory_told(f"{model} does not fit the memory of {self.device}; close what else uses it"):
                    how: dict[str, Any] = {
                        "device": self.device,
                        "say": self.say,
                        "asked": asked,
                        "compile": self.compile,
                    }
                    self._pipelines[model] = create_pipeline(model, **how)
            return self._pipelines[model]

    def weights_digest(self, model: str) -> str:
        """SHA-256 of the weights that `model` runs on here."""
        self.pipeline(model)
        return self._digests[model]

    def check(self, model: str, request: GenerationRequest) -> list[str]:
        """Notices about a request that will work; raises RequestError for one that will not."""
        return self.pipeline(model, request).check(request)

    def generate(
        self,
        model: str,
        request: GenerationRequest,
        *,
        on_chunk: Callable[[Chunk], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        out: Path | None = None,
        notices: Sequence[str] = (),
        drafts: bool = False,
    ) -> SavedClip:
        """Make a clip and save it with its manifest, at `out` or in the store by a name made from its content.
        `notices` are those of reading its input, kept with the clip's own. With `drafts`, `on_chunk` sees chunks as a
        tiny decoder shows them first, where the model has one.

        Raises RequestError, before anything is made, for a bad request or an output that cannot be written, and
        between chunks Cancelled when `cancelled()` turns true, ProgramEnds when `stop` is called.
        """
        self.check_output(out or self.clips / "clip.mp4")
        with ExitStack() as listed:
            ending = listed.enter_context(self._call())
            if out is None:  # for the app, whose killed server is followed by another; weights take a while to load
                listed.enter_context(written_down(self.clips.parent, model, request))
            pipeline = self.pipeline(model, request)
            notices = [*notices, *pipeline.check(request), *picture_notices(pipeline.spec, request)]
            request = pipeline.fit(request)

            def stopped() -> bool:
                if ending.is_set():
                    raise ProgramEnds
                return cancelled is not None and cancelled()

            return self._make(pipeline, model, request, on_chunk, stopped, out, notices, drafts)

    def _make(
        self,
        pipeline: "VideoPipeline",
        model: str,
        request: GenerationRequest,
        on_chunk: Callable[[Chunk], None] | None,
        cancelled: Callable[[], bool],
        out: Path | None,
        notices: Sequence[str],
        drafts: bool,
    ) -> SavedClip:
        too_large = (
            f"{request.frames} frames of this size do not fit the memory of {self.device}; ask for fewer frames or a "
            "smaller size, or close what else uses it"
        )
        with _memory_told(too_large):
            chunks = self._run(pipeline, request, on_chunk or (lambda chunk: None), cancelled, drafts)
        result = GenerationResult.joined(chunks, pipeline.spec.fps, notices)
        manifest = describe(pipeline, request, result, self._digests[model])
        path = out or self.clips / f"{content_name(manifest)}.mp4"
        return save(result, manifest, request, path)

    def check_output(self, path: Path) -> None:
        """Raise RequestError unless a clip and what goes with it can be written at `path`; leaves nothing behind."""
        shown = f"output {str(path)!r}"
        if path.suffix.lower() != ".mp4":
            raise RequestError(
                f"{shown} does not end in .mp4; clips are H.264 mp4, so name it {path.stem or 'out'}.mp4"
            )
        for file in (path, manifest_path(path), image_path(path), video_path(path)):
            if file.is_dir():
                raise RequestError(f"{shown} cannot be written ({str(file)!r} is a folder); choose another name")
        if manifest_path(path).exists() and not is_manifest(manifest_path(path)):
            taken = f"{str(manifest_path(path))!r}, which is not a manifest"
            raise RequestError(f"{shown} would overwrite {taken}; choose another name")
        check_place(path, "output", folder=False)

    def stream(
        self, model: str, request: GenerationRequest, notices: Sequence[str] = (), *, drafts: bool = False
    ) -> Iterator[Chunk | SavedClip]:
        """Yield each chunk as soon as it exists, then the saved clip. Closing the iterator stops the network. `drafts`
        are as in `generate`.

        The network runs in a thread of its own: a reader that stalls holds nobody else up.
        """
        events: queue.SimpleQueue[Chunk | SavedClip | BaseException] = queue.SimpleQueue()
        closed = threading.Event()

        def work() -> None:
            make_way()
            try:
                told: dict[str, Any] = {"on_chunk": events.put, "cancelled": closed.is_set}
                told |= {"notices": notices, "drafts": drafts}
                events.put(self.generate(model, request, **told))
            except BaseException as error:  # carried to the reader, who raises it
                events.put(error)

        threading.Thread(target=work, name="generate", daemon=True).start()
        try:
            while True:
                event = events.get()
                if isinstance(event, BaseException):
                    raise event
                yield event
                if isinstance(event, SavedClip):
                    return
        finally:
            closed.set()

    def _run(
        self,
        pipeline: "VideoPipeline",
        request: GenerationRequest,
        on_chunk: Callable[[Chunk], None],
        cancelled: Callable[[], bool],
        drafts: bool,
    ) -> list[Chunk]:
        chunks = []
        with self._network, closing(pipeline.stream(request, drafts=drafts)) as stream:
            while not cancelled():
                chunk = next(stream, None)
                if chunk is None:
                    return chunks
                if not chunk.draft:
                    chunks.append(chunk)
                on_chunk(chunk)
        raise Cancelled(f"stopped after {len(chunks)} of {chunks[0].chunks if chunks else 'all'} chunks")


def _check_before_loading(model: str, request: GenerationRequest) -> None:
    """Raise RequestError for what the model cannot make: its weights may take minutes to load."""
    from models.pipeline import check_request

    check_request(get_spec(model), request)


@contextmanager
def _memory_told(sentence: str) -> Iterator[None]:
    """Memory that is refused inside is told as a RequestError of `sentence`, and what was taken is given back."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not wants_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold the tensors that were made so far
    else:
        return
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    raise RequestError(sentence)


def _check_device(device: str) -> None:
    if device == "cpu":
        return
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise RequestError(f"device {device!r} is not one; choose cpu or cuda") from error
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise RequestError(
            f"device {device!r} is not on this machine; choose cpu{' or cuda' * torch.cuda.is_available()}"
        )


def describe(pipeline: "VideoPipeline", request: GenerationRequest, result: GenerationResult, digest: str) -> Manifest:
    """The manifest of a result made just now by `pipeline`, whose weights have `digest`."""
    import torch

    spec = pipeline.spec
    frames, height, width, _ = result.frames.shape
    guidance = spec.guidance_scale if request.guidance_scale is None else request.guidance_scale
    return Manifest(
        model=spec.name,
        family=spec.family,
        weights_digest=digest,
        prompt=request.prompt,
        image=_describe_image(request),
        seed=request.seed,
        steps=request.steps,
        ffe=request.ffe,
        first_steps=request.first_steps,
        guidance_scale=guidance,
        frames=frames,
        fps=result.fps,
        width=width,
        height=height,
        sigmas=result.sigmas,
        chunk_frames=result.chunk_frames,
        forwards=result.forwards,
        frames_digest=digest_pixels(result.frames),
        notices=result.notices,
        dtype=str(pipeline.transformer.dtype).removeprefix("torch."),
        device=str(pipeline.transformer.device),
        threads=torch.get_num_threads(),
        libraries=library_versions(),
        app_version=__version__,
        created=to_the_second(),
        first_frame_seconds=round(result.first_frame_seconds, 4),
        seconds=round(result.seconds, 4),
        step_plan=tuple(request.step_plan),
        switches=tuple(request.switches),
        video=_describe_video(request),
    )


def _describe_video(request: GenerationRequest) -> InputVideo | None:
    if request.video is None:
        return None
    return InputVideo(digest_pixels(request.video), len(request.video), request.strength)


def _describe_image(request: GenerationRequest) -> InputImage | None:
    if request.image is None:
        return None
    height, width, _ = request.image.shape
    return InputImage(digest_pixels(request.image), width, height)


def content_name(manifest: Manifest) -> str:
    """A file name made from what decides the clip: the same request on the same weights has the same name."""
    identity = {name: getattr(manifest, name) for name in IDENTITY}
    identity |= {"image": manifest.image and manifest.image.sha256, "frames_digest": manifest.frames_digest}
    # added only where used, so that clips without them keep their names
    identity |= {"step_plan": manifest.step_plan} if manifest.step_plan else {}
    identity |= {"switches": [asdict(switch) for switch in manifest.switches]} if manifest.switches else {}
    identity |= {"video": asdict(manifest.video)} if manifest.video else {}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]


def save(result: GenerationResult, manifest: Manifest, request: GenerationRequest, path: Path) -> SavedClip:
    """Write clip, manifest and what it started from together: all of them or none, the manifest last."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = manifest_path(path)
    with ExitStack() as files:
        write_manifest(manifest, files.enter_context(replacing(beside)))
        encode_mp4(result.frames, result.fps, files.enter_context(replacing(path)))
        if request.image is not None:
            write_png(files.enter_context(replacing(image_path(path))), request.image)
        if request.video is not None:
            write_lossless(request.video, result.fps, files.enter_context(replacing(video_path(path))))
    return SavedClip(path, beside, result, manifest, result.notices)


@cache
def library_versions() -> dict[str, str]:
    names = ("torch", "diffusers", "numpy", "av")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
