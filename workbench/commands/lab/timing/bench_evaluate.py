"""`bench-evaluate`: what metrics cost against decoding alone, peak memory, and how they answer to known faults."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from eval.evaluator import Source, evaluate
from eval.metric import Metric
from eval.metrics import create_metrics, list_metrics
from eval.video.reader import Unreadable, inspect_video, open_video
from models.types import RequestError
from models.whole_files import replacing
from workbench.clips.media import write_png
from workbench.commands.evaluate import at_once
from workbench.common.console import say
from workbench.requests.arguments import COUNT, add_output
from workbench.requests.outputs import check_place

WIDTH, HEIGHT, FPS, FRAMES, MINUTES = 832, 480, 16, 81, 10
DISTINCT = 4  # clips that are rendered; the others are copies of their files
TURN = 4  # clips that a job takes before the next job's turn
FLOW = ("motion_smoothness_flow", "warping_error", "dynamic_degree_flow")


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "bench-evaluate",
        help="measure what metrics cost",
        description="Time metrics against decoding alone on rendered 832x480 clips, clip by clip in turn, so that "
        "other load on the machine hits all of them alike; measure peak memory on a long video. Prints Markdown. "
        "The environment variable VBENCH_CHECKOUT names a checkout of VBench to compare with.",
    )
    parser.add_argument("--clips", type=COUNT, default=100, help="how many clips of 81 frames (default 100)")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="of the video for memory, 0 for none (default 10)"
    )
    parser.add_argument("--folder", type=Path, default=Path("data/bench"), help="where clips are kept (data/bench)")
    add_output(parser, "--figure", metavar="F.png", help="only draw how metrics answer to known faults")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.figure:
        options.figure.parent.mkdir(parents=True, exist_ok=True)
        write_png(options.figure, draw_responses())
        return 0
    if options.clips < 1 or options.minutes < 0:
        raise RequestError(f"{options.clips} clips and {options.minutes} minutes cannot be measured; give more")
    check_place(options.folder, "--folder", folder=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    clips = make_clips(options.folder, options.clips)
    for clip in clips:
        _check_clip(clip)
    say("\n".join(speed_table(clips)))
    if options.minutes:
        say(f"\n{memory_line(options.folder, options.minutes)}")
    return 0


# --- clips


def make_clips(folder: Path, count: int) -> list[Path]:
    """`count` files of 81 frames, of which four differ; made once."""
    clips = [folder / f"{index:03d}.mp4" for index in range(count)]
    for index, clip in enumerate(clips):
        if clip.exists():
            continue
        if index < DISTINCT:
            _encode(clip, _scene(index, FRAMES), {"crf": "18"})
        else:
            with replacing(clip) as temporary:
                shutil.copyfile(clips[index % DISTINCT], temporary)
    return clips


def _check_clip(clip: Path) -> None:
    """Raises RequestError for a clip that is damaged or another's: its times would say nothing."""
    way_out = f"remove {clip.name} from --folder, to have it made anew"
    try:
        facts = inspect_video(clip)
    except Unreadable as error:
        raise RequestError(f"{error}; or {way_out}") from error
    if (facts.width, facts.height, facts.frames) != (WIDTH, HEIGHT, FRAMES) or facts.notices:
        found = "; ".join(facts.notices) or f"{facts.width}x{facts.height}, {facts.frames} frames"
        raise RequestError(f"{str(clip)!r} is not a clip of this bench ({found}); {way_out}")


def _scene(seed: int, frames: int) -> Iterator[np.ndarray]:
    """A textured pan with a disc that crosses it, over and over."""
    rng = np.random.default_rng(seed)
    rough = rng.integers(0, 256, (HEIGHT, WIDTH + 2 * FRAMES, 3), dtype=np.uint8).astype(np.float32)
    blurred = cv2.GaussianBlur(rough, (0, 0), 3) - 128
    texture = (blurred * 4 + 128).clip(0, 255).astype(np.uint8)
    for t in range(frames):
        moment = t % FRAMES
        frame = texture[:, 2 * moment : 2 * moment + WIDTH].copy()
        yield cv2.circle(frame, (100 + 7 * moment, 240), 60, (200, 40 * seed, 60), -1, cv2.LINE_AA)


def _encode(path: Path, frames: Iterator[np.ndarray], options: dict[str, str]) -> None:
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS), options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _repeat(clip: Path, times: int, out: Path) -> None:
    """A clip over and over without encoding it again."""
    with av.open(str(clip)) as source:
        packets = [(bytes(p), p.pts, p.dts, p.is_keyframe) for p in source.demux(video=0) if p.size]
        stream = source.streams.video[0]
        length = round(1 / (stream.time_base * FPS)) * FRAMES
        with replacing(out) as temporary, av.open(str(temporary), "w", format="mp4") as container:
            copy = container.add_stream_from_template(stream)
            for index in range(times):
                for content, pts, dts, is_keyframe in packets:
                    packet = av.Packet(content)
                    packet.stream, packet.time_base = copy, stream.time_base
                    packet.pts, packet.dts, packet.is_keyframe = (
                        pts + index * length,
                        dts + index * length,
                        is_keyframe,
                    )
                    container.mux(packet)


# --- speed


def speed_table(clips: Sequence[Path]) -> list[str]:
    """Markdown: each job's time against decoding alone."""
    free = [name for name in weight_free() if name not in FLOW]
    flickering = create_metrics(["temporal_flickering"])
    jobs: dict[str, Callable[[Sequence[Path]], object]] = {
        "decoding alone": _each(decode),
        "temporal flickering": _scorer(flickering),
        f"temporal flickering, {at_once(flickering)} clips side by side": _scorer(flickering, at_once(flickering)),
        f"all {len(free)} frame metrics without flow": _scorer(create_metrics(free)),
        f"all {len(free) + len(FLOW)} with flow": _scorer(create_metrics([*free, *FLOW])),
    }
    if os.environ.get("VBENCH_CHECKOUT"):
        jobs["temporal flickering by VBench's own code"] = _each(vbench_score(Path(os.environ["VBENCH_CHECKOUT"])))
    for job in jobs.values():  # first use loads code
        job(clips[:1])
    seconds, cpu = dict.fromkeys(jobs, 0.0), dict.fromkeys(jobs, 0.0)
    for few in tqdm([clips[first : first + TURN] for first in range(0, len(clips), TURN)], unit="turn"):
        for name, job in jobs.items():  # in turn: load on the machine hits all alike
            start = time.perf_counter(), time.process_time()
            job(few)
            seconds[name] += time.perf_counter() - start[0]
            cpu[name] += time.process_time() - start[1]
    base = seconds["decoding alone"], cpu["decoding alone"]
    lines = [f"{len(clips)} clips, {WIDTH}x{HEIGHT}, {FRAMES} frames, {os.cpu_count()} cores:", ""]
    lines += ["| job | seconds | against decoding | processor seconds | against decoding |", "|---|---|---|---|---|"]
    for name in jobs:
        times = f"{seconds[name]:.1f} | {seconds[name] / base[0]:.2f}x | {cpu[name]:.1f} | {cpu[name] / base[1]:.2f}x"
        lines.append(f"| {name} | {times} |")
    return lines


def weight_free() -> list[str]:
    """Every metric that a degradation moves, which are those that need no network, and that asks for no prompt."""
    facts = [metric.facts for metric in create_metrics(list_metrics())]
    return [each.name for each in facts if each.moved_by and not any("prompt" in need for need in each.needs)]


def decode(clip: Path) -> int:
    """Every frame to RGB, and nothing else."""
    with open_video(clip) as video:
        return sum(len(window.frames) for window in video.windows())


def _each(job: Callable[[Path], object]) -> Callable[[Sequence[Path]], object]:
    return lambda clips: [job(clip) for clip in clips]


def _scorer(metrics: Sequence[Metric], side_by_side: int = 1) -> Callable[[Sequence[Path]], object]:
    def score(clips: Sequence[Path]) -> None:
        for scores in evaluate([Source(clip.name, clip) for clip in clips], metrics, at_once=side_by_side):
            reasons = [scores.skipped, *(result.reason for result in scores.results.values())]
            if reason := next(filter(None, reasons), None):
                raise RequestError(f"{scores.id} of --folder cannot be measured ({reason}); remove it to have it anew")

    return score


def vbench_score(checkout: Path) -> Callable[[Path], float]:
    """VBench's `cal_score` from a checkout. Only these functions are run: its package imports what is not needed."""
    path = checkout / "vbench" / "temporal_flickering.py"
    if not path.is_file():
        raise RequestError(
            f"VBENCH_CHECKOUT={str(checkout)!r} holds no vbench/temporal_flickering.py; name a checkout"
        )
    text = path.read_text()
    names: dict = {"np": np, "cv2": cv2}
    exec(compile(text[text.index("def get_frames") : text.index("def temporal_flickering")], str(path), "exec"), names)
    return lambda clip: names["cal_score"](str(clip))


# --- memory

MEASURE = """
import sys
from pathlib import Path
from eval.evaluator import Source, evaluate
from eval.metrics import create_metrics
from workbench.commands.lab.timing.bench_evaluate import weight_free
(scores,) = evaluate([Source("long", Path(sys.argv[1]))], create_metrics(weight_free()))
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(scores.frames, peak)
"""


def memory_line(folder: Path, minutes: float) -> str:
    """Peak resident memory of a process of its own that runs every weight-free metric on one long video."""
    times = max(1, round(minutes * 60 * FPS / FRAMES))
    long = folder / f"long-{times}.mp4"
    if not long.exists():
        _repeat(make_clips(folder, 1)[0], times, long)
    done = subprocess.run([sys.executable, "-c", MEASURE, str(long)], capture_output=True, text=True, check=True)
    seen, peak = done.stdout.split()
    return (
        f"Peak memory, all metrics on a video of {minutes:g} minutes ({seen} frames of {WIDTH}x{HEIGHT}): "
        f"{int(peak) / 1024:.0f} MB"
    )


# --- figure

CELL, LEFT, TOP = (74, 34), 230, 150


def draw_responses() -> np.ndarray:
    """(H, W, 3) uint8: metrics by degradations, each as a share of the metric's strongest answer; orange is up."""
    columns, titles = _responses()
    size = (LEFT + CELL[0] * len(columns) + 20, TOP + CELL[1] * len(titles) + 50)
    image = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    for column, (title, cells) in enumerate(columns.items()):
        x = LEFT + column * CELL[0]
        label = Image.new("RGB", (TOP - 10, 20), "white")
        ImageDraw.Draw(label).text((0, 1), title, "black", font)
        image.paste(label.rotate(90, expand=True), (x + CELL[0] // 2 - 10, 4))
        for line, name in enumerate(titles):
            if name in cells:
                _draw_cell(draw, (x, TOP + line * CELL[1]), *cells[name], font)
    for line, title in enumerate(titles.values()):
        draw.text((LEFT - 12, TOP + line * CELL[1] + 16), title, "black", font, anchor="rm")
    note = "Change after the fault begins, as a share of the metric's strongest. Framed: what the fault is for."
    draw.text((12, size[1] - 30), note, "black", font)
    return np.asarray(image)


def _draw_cell(draw: ImageDraw.ImageDraw, place: tuple[int, int], change: float, wanted: bool, font: object) -> None:
    x, y = place
    draw.rectangle((x, y, x + CELL[0] - 2, y + CELL[1] - 2), _shade(change))
    if wanted:
        draw.rectangle((x + 1, y + 1, x + CELL[0] - 3, y + CELL[1] - 3), outline="black", width=2)
    draw.text((x + CELL[0] // 2 - 1, y + CELL[1] // 2 - 1), f"{change:+.2f}", "black", font, anchor="mm")


def _responses() -> tuple[dict[str, dict[str, tuple[float, bool]]], dict[str, str]]:
    """{fault: {metric: (change, is the fault for it)}} and {metric: title}."""
    from eval.degradations import DEGRADATIONS, responses

    metrics = create_metrics(weight_free())
    found, facts = responses(metrics), {metric.facts.name: metric.facts for metric in metrics}
    columns = {
        row.title: {metric: (answer.change, name in facts[metric].moved_by) for metric, answer in found[name].items()}
        for name, row in DEGRADATIONS.items()
    }
    swapped, titles = _swapped_caption()
    return columns | {"Swapped caption": swapped}, {m.facts.name: m.facts.title for m in metrics} | titles


def _swapped_caption() -> tuple[dict[str, tuple[float, bool]], dict[str, str]]:
    """What a clip of the shapes world scores by another clip's caption, against its own: cells, and titles of the
    metrics that read captions."""
    from models.worlds.shapes import parse_prompt, render, sample_scene
    from workbench.scoring.evaluation import create_metrics, metric_rows

    own, other = (
        f"a {thing} moving right on a {ground} background"
        for thing, ground in (("red circle", "black"), ("blue square", "gray"))
    )
    clip = render(sample_scene(parse_prompt(own), np.random.default_rng(0)))
    names = [facts.name for facts, why in metric_rows() if not why]
    metrics = create_metrics(names)
    sources = [Source(caption, frames=clip, fps=12, prompt=caption) for caption in (own, other)]
    right, wrong = (scores.results for scores in evaluate(sources, metrics))
    changes = {name: wrong[name].value - right[name].value for name in names if right[name].value is not None}
    cells = {name: (float(np.sign(change)), change != 0) for name, change in changes.items()}
    return cells, {m.facts.name: m.facts.title for m in metrics if changes.get(m.facts.name)}


def _shade(change: float) -> tuple[int, int, int]:
    """White at 0, orange up to 1, blue down to -1: told apart by the colour-blind."""
    far = np.array((230, 140, 60) if change > 0 else (90, 150, 220))
    return tuple(int(v) for v in 255 + (far - 255) * min(abs(change), 1))
