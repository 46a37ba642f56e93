"""Our network dimensions against VBench's own code, same clips, same random weights, turn by turn."""

import argparse
import importlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import open_clip
import torch
from torch import nn

from eval.evaluator import Source, evaluate
from eval.metric import Resources
from eval.metrics import create_metrics
from eval.vbench.weights import WEIGHTS
from models.types import RequestError
from workbench.common.console import say, say_json
from workbench.requests.frame_size import read_size

DIMENSIONS = (
    "subject_consistency",
    "background_consistency",
    "appearance_style",
    "imaging_quality",
    "aesthetic_quality",
)
STYLE = {"appearance_style": "Van Gogh style"}


def run_timing(options: argparse.Namespace) -> int:
    """Score clips both ways and print the table; `options` are those of the command `bench-vbench`."""
    for folder in (options.vbench, options.dino, options.pyiqa):
        if not folder.is_dir():
            raise RequestError(f"{folder} is not a folder; give the checkout's")
        sys.path.append(str(folder))
    names = options.dimensions.split(",")
    height, width = read_size(options.size)
    with TemporaryDirectory() as folder:
        try:
            theirs = reference(Path(folder), names)
        except ImportError as error:
            raise RequestError(f"{error}; give checkouts that hold it by --vbench, --dino and --pyiqa") from error
        paths = [made_clip(Path(folder), seed, options.frames, width, height) for seed in range(options.clips)]
        metrics = create_metrics(names, Resources(weights=Path(folder), precision=options.precision))
        found = compare(paths, theirs, metrics)
    document = {**found, "clips": len(paths), "frames": options.frames, "size": options.size, "machine": machine()}
    if options.json:
        say_json(document)
    else:
        say(table(document))
    return 0


def compare(paths: list[str], theirs: dict[str, Callable[[str], float]], metrics: list) -> dict:
    """Seconds and CPU seconds of both for each clip, VBench's by dimension, and the largest difference in value."""
    list(evaluate([Source("warm", path=Path(paths[0]), auxiliary={"appearance_style": STYLE})], metrics))
    rows = []
    for path in paths:
        row = {"vbench": {}, "values": {}}
        for name, function in theirs.items():
            value, seconds, cpu = timed(lambda function=function, path=path: function(path))
            row["vbench"][name] = {"seconds": seconds, "cpu": cpu}
            row["values"][name] = value
        source = Source("clip", path=Path(path), auxiliary={"appearance_style": STYLE})
        (scores,), seconds, cpu = timed(lambda source=source: list(evaluate([source], metrics)))
        row["ours"] = {"seconds": seconds, "cpu": cpu}
        row["difference"] = max(abs(scores.results[name].value - row["values"][name]) for name in theirs)
        rows.append(row)
    return {
        "rows": rows,
        "times_faster": ratio(rows, "seconds"),
        "times_less_cpu": ratio(rows, "cpu"),
        "largest_difference": max(row["difference"] for row in rows),
    }


def ratio(rows: list[dict], clock: str) -> float:
    """Median over clips of VBench's time for all dimensions over ours."""
    return statistics.median(sum(part[clock] for part in row["vbench"].values()) / row["ours"][clock] for row in rows)


def timed(work: Callable[[], object]) -> tuple[object, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return found, time.perf_counter() - wall, time.process_time() - cpu


def reference(folder: Path, names: list[str]) -> dict[str, Callable[[str], float]]:
    """VBench's function of each dimension on one path; the random weights are saved where ours look for them."""
    torch.manual_seed(0)
    builders = {
        "subject_consistency": _subject,
        "background_consistency": _background,
        "appearance_style": _style,
        "imaging_quality": _imaging,
        "aesthetic_quality": _aesthetic,
    }
    return {name: builders[name](folder) for name in names}


def _subject(folder: Path) -> Callable[[str], float]:
    vbench = importlib.import_module("vbench.subject_consistency")
    model = importlib.import_module("vision_transformer").vit_base(patch_size=16).eval()
    _save(folder, "dino_b16", model.state_dict())
    return lambda path: vbench.subject_consistency(model, [path], "cpu", False)[0]


def _background(folder: Path) -> Callable[[str], float]:
    vbench, model = importlib.import_module("vbench.background_consistency"), _clip(folder, "clip_b32", "ViT-B-32")
    return lambda path: vbench.background_consistency(model, None, [path], "cpu", False)[0]


def _style(folder: Path) -> Callable[[str], float]:
    vbench, model = importlib.import_module("vbench.appearance_style"), _clip(folder, "clip_b32", "ViT-B-32")
    return lambda path: vbench.appearance_style(model, [{"auxiliary_info": STYLE, "video_list": [path]}], "cpu")[0]


def _imaging(folder: Path) -> Callable[[str], float]:
    vbench = importlib.import_module("vbench.imaging_quality")
    model = importlib.import_module("pyiqa.archs.musiq_arch").MUSIQ(pretrained=False, num_class=1)
    model.training = False
    _save(folder, "musiq_spaq", model.state_dict())
    return lambda path: vbench.technical_quality(model, [path], "cpu")[0]


def _aesthetic(folder: Path) -> Callable[[str], float]:
    vbench, model = importlib.import_module("vbench.aesthetic_quality"), _clip(folder, "clip_l14", "ViT-L-14")
    head = nn.Linear(768, 1)
    _save(folder, "aesthetic_head", head.state_dict())
    return lambda path: vbench.laion_aesthetic(head, model, [path], "cpu")[0]


def _clip(folder: Path, name: str, architecture: str) -> nn.Module:
    """openai-clip's class over random weights of open_clip's, which have the same names; saved once."""
    path = folder / WEIGHTS[name].places[0]
    if not path.exists():
        _save(folder, name, open_clip.create_model(f"{architecture}-quickgelu", pretrained=None).state_dict())
    state = torch.load(path, weights_only=True)
    return importlib.import_module("clip.model").build_model(state).float().eval()


def _save(folder: Path, name: str, state: dict) -> None:
    path = folder / WEIGHTS[name].places[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)


def made_clip(folder: Path, seed: int, frames: int, width: int, height: int) -> str:
    """An mp4 of soft blobs that drift."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 32 + 1, width // 32 + 12, 3), dtype=np.uint8)
    large = cv2.resize(noise, None, fx=32, fy=32, interpolation=cv2.INTER_CUBIC)
    path = folder / f"clip-{seed}.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 16, (width, height))
    for t in range(frames):
        writer.write(np.ascontiguousarray(large[:height, 2 * t % 256 : 2 * t % 256 + width]))
    writer.release()
    return str(path)


def machine() -> str:
    return f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"


def table(document: dict) -> str:
    lines = [
        f"{document['clips']} clips of {document['frames']} frames {document['size']}, {document['machine']}",
        "",
        "| code | dimension | seconds a clip | CPU seconds a clip |",
        "|---|---|---|---|",
    ]
    rows = document["rows"]
    for name in rows[0]["vbench"]:
        parts = [row["vbench"][name] for row in rows]
        lines.append(_line("VBench", name, parts))
    lines.append(_line("workbench", "all of them", [row["ours"] for row in rows]))
    lines += [
        "",
        f"{document['times_faster']:.2f} times faster, {document['times_less_cpu']:.2f} times less CPU, "
        f"largest difference {document['largest_difference']:.1e}",
    ]
    return "\n".join(lines)


def _line(code: str, name: str, parts: list[dict]) -> str:
    seconds, cpu = (statistics.median(part[clock] for part in parts) for clock in ("seconds", "cpu"))
    return f"| {code} | {name} | {seconds:.2f} | {cpu:.2f} |"
