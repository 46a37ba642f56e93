"""VBench's result files: `<name>_full_info.json` and `<name>_eval_results.json`, written key by key as VBench does.

`{dimension: [value, [entry, ...]]}`. What VBench has no key for (curves, where a number comes from) goes under keys of
our own, which its scorer ignores.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.metric import MetricResult
from eval.vbench.constants import DIMENSIONS

# dimensions whose clip value is a verdict, and the one VBench prints per clip on 0..100
VERDICTS = ("dynamic_degree", "human_action")
PERCENT_PER_CLIP = ("imaging_quality",)
PROVENANCE = "workbench"  # our own top-level entry; a list, like VBench's, so that its scorer's `[0]` holds


def pooled(dimension: str, results: Sequence[MetricResult]) -> float | None:
    """A model's value of a dimension from its clips, as VBench in one process has it; None when no clip has a value.

    "frames" pooling weights a clip by the number of terms in its curve; the rest is the mean over clips.
    """
    scored = [result for result in results if result.value is not None]
    if not scored:
        return None
    if dimension in DIMENSIONS and DIMENSIONS[dimension].pooling == "frames":
        terms = [term for result in scored for term in result.per_frame if term is not None]
        if terms:
            return sum(terms) / len(terms)
    return sum(result.value for result in scored) / len(scored)


def entry(dimension: str, path: str, result: MetricResult) -> dict:
    """VBench's entry of one clip with our curve beside it; the result must have a value."""
    terms = [term for term in result.per_frame if term is not None]
    value: float | bool = result.value
    if dimension in VERDICTS:
        value = bool(result.value)
    elif dimension in PERCENT_PER_CLIP:
        value = 100 * result.value
    row: dict = {"video_path": path, "video_results": value}
    if dimension == "background_consistency":
        row |= {"video_sim": sum(terms), "cnt_per_video": len(terms)}
    if dimension == "appearance_style":
        row |= {"frame_results": terms, "cur_sim": terms[-1]}
    if result.per_frame:
        row["per_frame"] = list(result.per_frame)
    return row


def result_document(clips: Mapping[str, Sequence[tuple[str, MetricResult]]], provenance: dict | None = None) -> dict:
    """The result JSON of `{dimension: [(path, result), ...]}`. Clips without a value are listed under `unscored` with
    the reason, outside VBench's list, whose mean they do not enter; a dimension without any value is left out."""
    document: dict = {}
    unscored: dict[str, dict[str, str]] = {}
    for dimension, rows in clips.items():
        value = pooled(dimension, [result for _, result in rows])
        lost = {path: result.reason for path, result in rows if result.value is None}
        if lost:
            unscored[dimension] = lost
        if value is not None:
            scored = [entry(dimension, path, result) for path, result in rows if result.value is not None]
            document[dimension] = [value, scored]
    if provenance or unscored:
        document[PROVENANCE] = [0, {**(provenance or {}), **({"unscored": unscored} if unscored else {})}]
    return document


def write_json(path: Path, document: object) -> None:
    """Write as VBench does (UTF-8, indent 4), whole or not at all; a value that is no number is refused."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(document, indent=4, allow_nan=False), encoding="utf-8")
    temporary.replace(path)


def write_results(
    folder: Path,
    name: str,
    info: list[dict],
    clips: Mapping[str, Sequence[tuple[str, MetricResult]]],
    provenance: dict | None = None,
) -> tuple[Path, Path]:
    """Write `<name>_full_info.json` and `<name>_eval_results.json` into `folder`; gives both paths."""
    info_path, results_path = (Path(folder) / f"{name}_{kind}.json" for kind in ("full_info", "eval_results"))
    write_json(info_path, info)
    write_json(results_path, result_document(clips, provenance))
    return info_path, results_path
