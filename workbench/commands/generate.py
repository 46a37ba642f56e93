"""`generate`: clips and their manifests from a prompt, a list of prompts, or a manifest."""

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from models.default_world import DEFAULT
from models.registry import get_spec
from models.types import GenerationRequest, PromptSwitch, RequestError
from workbench.clips.manifest import (
    Manifest,
    image_path,
    manifest_path,
    read_manifest,
    request_from_manifest,
    video_path,
)
from workbench.clips.media import read_image
from workbench.common.console import notice, say, say_json
from workbench.requests.arguments import SEED, add_compile, device
from workbench.requests.frame_size import read_size
from workbench.requests.outputs import check_outputs
from workbench.requests.prompt_files import read_prompts
from workbench.requests.timeline import EXAMPLE as SWITCH
from workbench.requests.timeline import read_step_plan, read_switch

EXAMPLE = DEFAULT.prompt


@dataclass(frozen=True)
class Job:
    """One clip to make and where to put it."""

    request: GenerationRequest
    out: Path


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "generate",
        help="make clips from prompts",
        description="Make a clip and its manifest from a prompt, a prompt and a picture, or another clip's manifest.",
        epilog=f'example: python -m workbench generate --prompt "{EXAMPLE}" --steps 1 --ffe --seed 7 --out out.mp4',
    )
    source = parser.add_argument_group("what to make")
    source.add_argument("--model", help=f"a name from `models`, or path:FILE (default {DEFAULT.asd})")
    source.add_argument("--prompt", help="what the clip should show")
    source.add_argument("--image", type=Path, metavar="F", help="a picture that becomes the first frame")
    source.add_argument("--video", type=Path, metavar="F", help="a video the clip starts from, of any size and rate")
    source.add_argument(
        "--strength", type=float, metavar="S", help="noise given to --video, 0 (as it is) to 1 (default 0.9)"
    )
    source.add_argument("--prompts", type=Path, metavar="F", help="a file, one prompt a line; seeds count up")
    source.add_argument(
        "--from", type=Path, metavar="F.json", dest="manifest", help="make a clip again; flags change it"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--steps", type=int, metavar="N", help="denoising steps a chunk (default: the model's own)")
    how.add_argument("--ffe", action=argparse.BooleanOptionalAction, help="First-Frame Enhancement (more steps first)")
    how.add_argument("--first-steps", type=int, metavar="N", help="steps of the first chunk with --ffe (default 4)")
    how.add_argument(
        "--step-plan", metavar="N,N,...", help="steps of each chunk by hand, the last for all that follow"
    )
    how.add_argument(
        "--switch",
        action="append",
        metavar="CHUNK:PROMPT",
        help="another prompt from this chunk on (1 is the second); may be given several times",
    )
    how.add_argument(
        "--switch-cache",
        choices=("keep", "recache", "reset"),
        help="chunks before a switch: kept, cached anew under its prompt, or forgotten (default keep)",
    )
    how.add_argument("--frames", type=int, metavar="N", help="frames of the clip (default 49)")
    how.add_argument("--size", metavar="WxH", help="frame size, as 832x480 (default: the model's own)")
    how.add_argument("--seed", type=SEED, metavar="N", help="0 or more (default 0); the same seed is the same noise")
    how.add_argument("--guidance-scale", type=float, metavar="S", help="1 is off (default: the model's own)")
    how.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    add_compile(how)
    to = parser.add_argument_group("where to")
    to.add_argument("--out", type=Path, metavar="F.mp4", help="the clip; F.json beside it is its manifest")
    to.add_argument("--out-dir", type=Path, metavar="D", help="with --prompts: 0000.mp4, 0000.json, 0001.mp4, ...")
    to.add_argument("--overwrite", action="store_true", help="write over clips that exist; never over what is read")
    to.add_argument("--json", action="store_true", help="print paths and manifests as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Refuse all that can be refused first, then make the clips one by one."""
    _check_flags(options)
    origin = read_manifest(options.manifest) if options.manifest else None
    model = open_model(options.model or (origin.model if origin else DEFAULT.asd))
    service = _service(options, origin)
    jobs, said = _jobs(options, get_spec(model))
    for job in jobs:
        service.check_output(job.out)
    _check_outputs(options, jobs)
    for text in dict.fromkeys([*said, *(text for job in jobs for text in service.check(model, job.request))]):
        notice(text)
    progress = tqdm(jobs, unit="clip", disable=len(jobs) == 1)
    saved = [service.generate(model, job.request, out=job.out, notices=said) for job in progress]
    if origin and len(jobs) == 1:
        _compare(origin, saved[0].manifest)
    if options.json:
        rows = [_row(clip) for clip in saved]
        say_json(rows if options.prompts else rows[0])
    else:
        for clip in saved:
            say(str(clip.path))
    return 0


def open_model(name: str) -> str:
    """The name in the registry of a model or of a `path:FILE`; what it lacks is downloaded. Raises RequestError."""
    from models.registry import opened, register, unavailable
    from models.wan.places import download

    if name.startswith("path:"):
        spec = register(name)
        notice(opened(spec))
        return spec.name
    spec = get_spec(name)
    if spec.checkpoint and (reason := unavailable(spec)):
        notice(f"{spec.name}: {reason}")
        download(spec.checkpoint)
    return spec.name


def _service(options: argparse.Namespace, origin: Manifest | None):
    import torch

    from workbench.clips.generation import GenerationService

    if origin:
        torch.set_num_threads(origin.threads)  # sums are split by thread: another count may change the last bit
    return GenerationService(Path("data"), options.device, say=notice, compile=options.compile)


def _row(clip) -> dict:
    return {"path": str(clip.path), "manifest_path": str(clip.manifest_path), **asdict(clip.manifest)}


def _check_flags(options: argparse.Namespace) -> None:
    sources = [flag for flag in ("prompts", "manifest") if getattr(options, flag)]
    if len(sources) == 2:
        raise RequestError("--prompts and --from both say what to make; give one of them")
    if options.prompt is None and not sources:
        raise RequestError(f'--prompt is missing; give one, for example --prompt "{EXAMPLE}"')
    if options.prompts:
        if options.prompt is not None:
            raise RequestError("--prompt and --prompts both say what to make; give one of them")
        if options.out or not options.out_dir:
            raise RequestError("--prompts makes many clips; give their folder by --out-dir, and no --out")
    elif options.out_dir:
        raise RequestError(f"--out-dir {str(options.out_dir)!r} goes with --prompts; for one clip give --out F.mp4")
    elif not options.out and not options.manifest:
        raise RequestError("--out is missing; give the clip's path, for example --out out.mp4")
    if options.strength is not None and not (options.video or options.manifest):
        raise RequestError(f"--strength {options.strength} goes with --video; give one, or drop it")
    if options.first_steps is not None and options.ffe is False:
        raise RequestError(f"--first-steps {options.first_steps} counts only with --ffe; drop it or --no-ffe")


def _jobs(options: argparse.Namespace, spec) -> tuple[list[Job], list[str]]:
    """What to make, and what was changed about the given video."""
    request, said = _request(options, spec)
    if not options.prompts:
        return [Job(request, options.out or options.manifest.with_suffix(".again.mp4"))], said
    prompts = read_prompts(options.prompts)
    jobs = [
        Job(replace(request, prompt=prompt, seed=request.seed + index), options.out_dir / f"{index:04d}.mp4")
        for index, prompt in enumerate(prompts)
    ]
    return jobs, said


def _check_outputs(options: argparse.Namespace, jobs: list[Job]) -> None:
    beside = (lambda path: path, manifest_path, image_path, video_path)
    given = [path for path in (options.image, options.video, options.prompts, options.manifest) if path]
    read = [*given, *(make(options.manifest) for make in beside[1:] if options.manifest)]
    flag = "--out-dir" if options.prompts else "--out"
    outputs = [make(job.out) for job in jobs for make in beside]
    check_outputs(outputs, read, flag, overwrite=options.overwrite)


def _request(options: argparse.Namespace, spec) -> tuple[GenerationRequest, list[str]]:
    if options.manifest:
        _, request = request_from_manifest(options.manifest, spec.size, with_input=not options.image)
    else:
        request = GenerationRequest("", steps=spec.default_steps)
    names = ("prompt", "steps", "ffe", "first_steps", "frames", "seed", "guidance_scale", "strength")
    given = {name: getattr(options, name) for name in names}
    given |= {"step_plan": _step_plan(options), "switches": _switches(options)}
    given |= {"size": read_size(options.size) if options.size else None}
    given |= {"image": read_image(options.image) if options.image else None}
    request = replace(request, **{name: value for name, value in given.items() if value is not None})
    if options.video is None:
        return request, []
    from workbench.requests.input_video import read_video

    frames, said = read_video(options.video, replace(spec, size=request.size or spec.size), request.frames)
    return replace(request, video=frames, video_fps=float(spec.fps), frames=len(frames)), said


def _step_plan(options: argparse.Namespace) -> tuple[int, ...] | None:
    return None if options.step_plan is None else read_step_plan(options.step_plan, "--step-plan")


def _switches(options: argparse.Namespace) -> tuple[PromptSwitch, ...] | None:
    if options.switch is None:
        if options.switch_cache:
            raise RequestError(f"--switch-cache {options.switch_cache} goes with --switch; give one, as {SWITCH!r}")
        return None
    found = [read_switch(text, options.switch_cache or "keep", "--switch") for text in options.switch]
    return tuple(sorted(found, key=lambda switch: switch.chunk))


def _compare(origin: Manifest, made: Manifest) -> None:
    """Say why a remake of `origin` differs, if it does and nothing was changed on purpose."""
    asked = ("model", "prompt", "image", "seed", "steps", "ffe", "first_steps", "guidance_scale", "frames")
    asked += ("step_plan", "switches", "width", "height")
    if made.frames_digest == origin.frames_digest or any(getattr(origin, a) != getattr(made, a) for a in asked):
        return
    causes = ("weights_digest", "dtype", "device", "threads", "libraries", "app_version")
    changed = [name for name in causes if getattr(origin, name) != getattr(made, name)]
    notice(f"these are not the manifest's frames; changed since then: {', '.join(changed) or 'the machine'}")
