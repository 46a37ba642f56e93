"""`evaluate`: metrics over clips, folders of clips or manifests."""

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from eval.evaluator import ClipScores, Progress, Source, evaluate
from eval.metric import Metric, Resources
from eval.report import Summary, clip_table, drift_rows, frame_table, json_pieces, summary, write_csv, write_parquet
from eval.vbench.long import LongMetric
from models.prompt_text import check_prompt
from models.types import RequestError
from models.whole_files import replacing
from workbench.clips.manifest import image_path, is_manifest, manifest_path, read_manifest, video_path
from workbench.clips.media import read_image
from workbench.clips.search import find_clips, shown_name
from workbench.common.console import notice, one_line, say
from workbench.common.words import counted
from workbench.requests.arguments import device, number
from workbench.requests.outputs import check_outputs, check_place, vbench_files
from workbench.scoring.journal import ScoreJournal

FORMATS = (".json", ".csv", ".parquet")
EXAMPLE = "python -m workbench evaluate clips/ --metrics temporal_flickering,sharpness --out scores.csv"


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="score clips by metrics",
        description="Score video files, folders of them, or clips named by their manifests. A clip that cannot be "
        "read, or cannot be scored by a metric, is in the result with the reason; the others are scored.",
        epilog=f"example: {EXAMPLE}",
    )
    what = parser.add_argument_group("what to score")
    what.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help="a video, a folder of videos or of PNG frames, or a clip's manifest",
    )
    what.add_argument("--recursive", action="store_true", help="also the videos in folders of the folders")
    what.add_argument(
        "--metrics", metavar="A,B", help="names with commas between, or all (default: those without a network)"
    )
    what.add_argument(
        "--fps", type=number(0.1, 1000), metavar="N", help="rate of clips that are folders of PNG frames (default 24)"
    )
    what.add_argument("--list", action="store_true", help="list the metrics and whether they can run here")
    what.add_argument("--prompt", help="the prompt of clips that have none by manifest or file")
    what.add_argument("--prompt-file", type=Path, metavar="F", help='a JSON file {"clip.mp4": "its prompt", ...}')
    what.add_argument(
        "--prompt-from-name", action="store_true", help="the file name is the prompt, as VBench names clips"
    )
    what.add_argument("--weights", type=Path, metavar="DIR", help="published weights (default: where VBench has them)")
    what.add_argument(
        "--clip",
        default="",
        metavar="MODEL[:PRETRAINED]",
        help="also the CLIP score of an open_clip model; PRETRAINED is a file, or names weights in "
        "open_clip/MODEL/ below --weights or in Hugging Face's cache",
    )
    what.add_argument(
        "--long",
        action="store_true",
        help="VBench's dimensions also in clips of two seconds, as VBench-Long",
    )
    what.add_argument("--device", type=device, default="cpu", help="cpu or cuda (default cpu)")
    what.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of DINO, CLIP and MUSIQ; bfloat16 is faster where the hardware has it, and moves values in the third or "
        "fourth decimal (default float32, as VBench)",
    )
    what.add_argument(
        "--vbench-suite",
        type=Path,
        metavar="DIR",
        help="VBench's sample folders, DIR/DIMENSION/PROMPT-0.mp4: each dimension on its own clips, then its scores",
    )
    what.add_argument(
        "--vbench-info", type=Path, metavar="F", help="VBench_full_info.json: match the clips with its prompts"
    )
    to = parser.add_argument_group("where to")
    to.add_argument(
        "--out", type=Path, metavar="F", help="F.json, or F.csv or F.parquet with F.frames.* and F.drift.* beside it"
    )
    to.add_argument("--vbench-out", type=Path, metavar="DIR", help="VBench's own result files, for its dimensions")
    to.add_argument("--resume", action="store_true", help="go on with --out after an interruption, or add metrics")
    to.add_argument("--overwrite", action="store_true", help="write over results that exist; never over clips")
    to.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Refuse all that can be refused first, then score clip by clip."""
    if options.vbench_suite:
        from workbench.scoring.evaluate_suite import run_suite

        return run_suite(options)
    metrics = _metrics(options)
    if options.long:
        metrics += [LongMetric(metric) for metric in metrics if metric.facts.kind == "vbench"]
    if options.list:
        say(_listing(metrics))
        return 0
    _check_flags(options)
    paths = find_clips(options.paths, recursive=options.recursive, notify=notice)
    prompts = _prompt_file(options.prompt_file)
    _check_keys(options.prompt_file, prompts, paths)
    _check_outputs(options, paths)
    sources = Sources(paths, lambda path: _source(path, prompts, options))
    with _journal(options) as journal:
        rows = list(_score(sources, metrics, journal))
        journal.finish()
        _write([_without_curves(scores) for scores in journal], journal, options)
    # wrong input only when nothing at all came out: single clips that were skipped are results, and told
    return 0 if any(not row.skipped for row in rows) else 2


class Sources(Sequence):
    """Clips whose prompt and picture are read when their turn comes: ten thousand are listed at once."""

    def __init__(self, paths: Sequence[Path], source: Callable[[Path], Source]) -> None:
        self.paths, self.source = paths, source

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Source:
        return self.source(self.paths[index])


def _metrics(options: argparse.Namespace) -> list[Metric]:
    from workbench.scoring.evaluation import create_metrics, list_metrics

    resources = Resources(options.weights, options.device, options.clip, options.precision)
    if options.weights and not options.weights.is_dir():
        raise RequestError(f"--weights {str(options.weights)!r} is not a folder; give the one that holds the weights")
    asked = _asked_clip(resources)
    if options.metrics is None and not options.list:
        # the oracle judges the shapes world only, and is asked for by name
        everything = [metric for metric in create_metrics(list_metrics(resources), resources) if not metric.missing()]
        wanted = [m for m in everything if m.facts.kind == "weight-free" or m.facts.name == "temporal_flickering"]
        return [metric for metric in wanted if not metric.facts.name.startswith("oracle")] + asked
    names = list_metrics(resources) if options.list or options.metrics == "all" else options.metrics.split(",")
    chosen = create_metrics([name.strip() for name in names if name.strip()], resources)
    return chosen + [metric for metric in asked if metric.facts.name not in {m.facts.name for m in chosen}]


def _asked_clip(resources: Resources) -> list[Metric]:
    """The model of --clip, whose weights must be there."""
    if not resources.clip:
        return []
    from eval.vbench.metrics.open_clip_score import open_clip_scores

    metric = open_clip_scores(resources)[0]
    if why := metric.missing():
        raise RequestError(
            f"--clip {resources.clip!r} cannot be used ({why}); put the weights there or name their file"
        )
    return [metric]


def _listing(metrics: Sequence[Metric]) -> str:
    width = max(len(metric.facts.name) for metric in metrics)
    lines = []
    for metric in metrics:
        reason = metric.missing()
        state = f"cannot run here: {reason}" if reason else "runs here"
        lines.append(f"{metric.facts.name:{width}}  {metric.facts.kind:12}  {state}")
    return "\n".join(lines)


def _check_flags(options: argparse.Namespace) -> None:
    if not options.paths:
        raise RequestError(f"no clip is named; give videos, folders or manifests, for example: {EXAMPLE}")
    given = [f for f in ("prompt", "prompt_file") if getattr(options, f) is not None]
    given += ["prompt_from_name"] * options.prompt_from_name
    if len(given) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise RequestError(f"{flags} all say what the prompt is; give one of them")
    if options.prompt:
        check_prompt(options.prompt, "--prompt")
    if options.vbench_info:
        raise RequestError("--vbench-info says what clips of --vbench-suite show; give that too, or drop it")
    if options.out and options.out.suffix.lower() not in FORMATS:
        raise RequestError(f"--out {str(options.out)!r} has no known ending; use {', '.join(FORMATS)}")
    if options.resume and not options.out:
        raise RequestError("--resume goes on with a file; give the same --out as before")
    if options.resume and not options.out.with_suffix(".jsonl").exists():
        beside = str(options.out.with_suffix(".jsonl"))
        raise RequestError(
            f"--resume finds no {beside!r} to go on with; give the --out of before, or begin without it"
        )


def _prompt_file(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    from eval.vbench.suite import read_prompt_file

    try:
        prompts = read_prompt_file(path)
    except OSError as error:
        raise RequestError(
            f"--prompt-file {str(path)!r} cannot be read ({error.strerror}); give a JSON file"
        ) from error
    except ValueError as error:
        example = '{"clip.mp4": "its prompt"}'
        raise RequestError(f"--prompt-file {str(path)!r} is not JSON like {example} ({error}); mend it") from error
    for key, prompt in prompts.items():
        check_prompt(prompt, f"the prompt of {key!r} in {str(path)!r}")
    return prompts


def _check_keys(file: Path | None, prompts: dict[str, str], paths: Sequence[Path]) -> None:
    """Name the keys of a prompt file that are no clip's; raises RequestError when none is one's."""
    names = {path.name for path in paths}
    strange = [key for key in prompts if key not in names]
    if not strange:
        return
    listed = ", ".join(map(repr, strange[:5])) + (f" and {len(strange) - 5} more" if len(strange) > 5 else "")
    if len(strange) == len(prompts):
        raise RequestError(
            f"no key of --prompt-file {str(file)!r} is the name of a clip ({listed}); "
            f"keys are file names such as {shown_name(paths[0].name)!r}"
        )
    notice(f"keys of {str(file)!r} that match no clip: {listed}")


def _check_outputs(options: argparse.Namespace, paths: Sequence[Path]) -> None:
    outputs = [*_tables(options.out), *vbench_files(options)]
    beside = (make(path) for path in paths for make in (manifest_path, image_path, video_path))
    given = [path for path in (options.prompt_file, options.vbench_info) if path]
    if options.out:
        check_place(options.out, "--out", folder=False)
    if options.vbench_out:
        check_place(options.vbench_out, "--vbench-out", folder=True)
    flag = "--out" if options.out else "--vbench-out"
    check_outputs(outputs, [*paths, *beside, *given], flag, overwrite=options.overwrite or options.resume)


def _tables(out: Path | None) -> list[Path]:
    if out is None:
        return []
    suffix = out.suffix
    tables = () if suffix.lower() == ".json" else (f".frames{suffix}", f".drift{suffix}")
    return [out, *(out.with_suffix(ending) for ending in (".jsonl", *tables))]


def _source(path: Path, prompts: dict[str, str], options: argparse.Namespace) -> Source:
    from eval.vbench.suite import prompt_of

    beside = manifest_path(path)
    made = read_manifest(beside) if beside.is_file() and is_manifest(beside) else None
    prompt = prompts.get(path.name) or (made.prompt if made else "") or options.prompt or ""
    if options.prompt_from_name:
        prompt = shown_name(prompt_of(path))
    picture = image_path(path)
    image = read_image(picture) if made and made.image and picture.is_file() else None
    fps = options.fps if path.is_dir() else None
    world = made.family if made else ""
    return Source(shown_name(path), path, prompt=prompt, image=image, fps=fps, world=world)


@contextmanager
def _journal(options: argparse.Namespace) -> Iterator[ScoreJournal]:
    """It stays beside --out for --resume, and is nowhere without --out."""
    with tempfile.TemporaryDirectory() as folder:
        path = options.out.with_suffix(".jsonl") if options.out else Path(folder) / "scores.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        yield ScoreJournal(path, resume=options.resume)


def at_once(metrics: Sequence[Metric]) -> int:
    """Clips side by side: as many as there are cores, up to four; networks use all cores for one clip already."""
    light = all(m.facts.kind == "weight-free" or m.facts.name == "temporal_flickering" for m in metrics)
    return min(4, os.cpu_count() or 1) if light else 1


def _without_curves(scores: ClipScores) -> ClipScores:
    """What tables of clips need; the journal keeps the curves."""
    return replace(scores, results={name: replace(r, per_frame=()) for name, r in scores.results.items()})


def _score(sources: "Sources", metrics: Sequence[Metric], journal: ScoreJournal) -> Iterator[ClipScores]:
    """Scores without curves, each written to the journal."""
    with tqdm(total=len(sources), unit="clip", disable=len(sources) == 1) as bar:

        def show(progress: Progress) -> None:
            bar.set_postfix_str(
                f"{one_line(shown_name(Path(progress.id).name))[-40:]} {progress.frame}", refresh=False
            )

        for scores in evaluate(sources, metrics, done=journal.done, on_progress=show, at_once=at_once(metrics)):
            journal.add(scores)
            if scores.skipped:
                notice(f"skipped: {scores.skipped}")
            for text in scores.notices:
                notice(f"{scores.id}: {text}")
            bar.update()
            yield _without_curves(scores)


def _write(rows: Sequence[ClipScores], journal: ScoreJournal, options: argparse.Namespace) -> None:
    table = summary(rows)
    command = f"python -m workbench {shown_name(shlex.join(sys.argv[1:]))}"
    if options.out:
        WRITERS[options.out.suffix.lower()](options.out, rows, journal, command)
    if options.vbench_out:
        _write_vbench(options.vbench_out, options.out.stem if options.out else "results", journal, command)
    if options.json:
        for piece in json_pieces(journal, table, command):
            sys.stdout.write(piece)
    else:
        say(_table(table, rows))


def _write_json(out: Path, rows: Sequence[ClipScores], journal: ScoreJournal, command: str) -> None:
    with replacing(out) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(json_pieces(journal, summary(rows), command))


def _write_tables(write: Callable) -> Callable:
    def write_tables(out: Path, rows: Sequence[ClipScores], journal: ScoreJournal, command: str) -> None:
        frames = out.with_suffix(f".frames{out.suffix}")
        drift = out.with_suffix(f".drift{out.suffix}")
        drifts = pd.DataFrame([row for each in journal for row in drift_rows(each)])
        for table, path in ((clip_table(rows), out), (frame_table(journal), frames), (drifts, drift)):
            with replacing(path) as temporary:
                write(table, temporary)

    return write_tables


WRITERS = {".json": _write_json, ".csv": _write_tables(write_csv), ".parquet": _write_tables(write_parquet)}


def _write_vbench(folder: Path, name: str, journal: ScoreJournal, command: str) -> None:
    """VBench's two files for its own dimensions; what only carries a similar name is left out."""
    from eval.metrics import create_metric
    from eval.vbench.constants import DIMENSIONS
    from eval.vbench.results import write_results
    from eval.vbench.suite import SuitePrompt, info_row

    clips: dict[str, list] = {}
    info = []
    for scores in journal:
        # "results" of metrics that only follow VBench's idea must never pass for its own
        exact = [n for n in scores.results if n in DIMENSIONS and create_metric(n).facts.kind == "vbench"]
        for dimension in exact:
            clips.setdefault(dimension, []).append((scores.id, scores.results[dimension]))
        if not scores.skipped:
            info.append(info_row(SuitePrompt(scores.prompt, tuple(exact)), [scores.id]))
    write_results(folder, name, info, clips, {"command": command})


def _table(table: Sequence[Summary], rows: Sequence[ClipScores]) -> str:
    """The summary as Markdown; one clip shows its values, and reasons stand where there is no value."""
    skipped = sum(bool(row.skipped) for row in rows)
    head = f"{counted(len(rows), 'clip')}" + (f", {skipped} skipped" if skipped else "")
    lines = [head, "", "| metric | n | mean | 95 % interval | not scored |", "|---|---|---|---|---|"]
    for row in table:
        mean = "" if row.mean is None else f"{row.mean:.6g}"
        interval = "" if row.low is None else f"{row.low:.6g} to {row.high:.6g}"
        reasons = "; ".join(f"{count}: {reason}" for reason, count in row.reasons.items())
        lines.append(f"| {row.metric} | {row.n} | {mean} | {interval} | {one_line(reasons, 300)} |")
    return "\n".join(lines)
