"""The checklist of claims and the tables behind it, as data and as Markdown."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from eval.realism.frechet import clip_features
from eval.statistics.intervals import Interval, bootstrap_mean, wilson
from models.default_world import MEASURED
from workbench.common.words import fixed
from workbench.experiments.claims import CLAIMS, Claim, Clips, conditions, frechet, values
from workbench.experiments.claims_clips import (
    LONG,
    LONG_FRAMES,
    SEGMENTS,
    STRENGTH,
    SWITCH_FRAMES,
    Condition,
    real_clip,
    real_motion,
)
from workbench.requests.systems import label_of

SHARES = ("right", "color", "shape", "direction", "background")
NUMBERS = ("motion", "drift", "path_correlation", "first_chunk", "later_chunks")
CURVES = ("right", "sharpness", "dynamic_degree_flow")
SYSTEM = re.compile(r"(\S+) (\d+\*?)(.*)")  # a condition begins with one
MARKS = {"confirmed": "✓", "not confirmed": "·", "reversed": "✗"}
NOTE = (
    f"All clips are of held-out captions of the {MEASURED.name} world, judged from pixels by the oracle, so these are "
    "toy-scale results. Differences are paired by caption; intervals are 95 % (bootstrap over captions; Wilson "
    "for shares). A claim is confirmed when its whole interval lies above the threshold (0 unless said), reversed "
    "when it lies below, and undecided when the threshold lies inside. The intervals are not corrected for the "
    "number of claims."
)


def build_report(
    claims: Sequence[Claim], clips: Clips, prompts: Sequence[str], few: int, **facts: Any
) -> dict[str, Any]:
    """Claims with their intervals and verdicts, and a row of every condition, from the clips measured; `few` captions
    of what takes long."""
    real = np.array([clip_features(real_clip(prompt, index, 0)) for index, prompt in enumerate(prompts)])
    known = [condition for condition in conditions(claims) if condition.name in clips]
    return {
        **facts,
        "prompts": len(prompts),
        "few": few,
        "strength": STRENGTH,
        "long_frames": LONG_FRAMES,
        "switch_frames": SWITCH_FRAMES,
        "note": NOTE,
        "claims": [_claim(claim, clips, f"--prompts {len(prompts)} --few {few}") for claim in claims],
        "conditions": [_row(condition, clips, real) for condition in known],
        "real": _real(prompts) if any(condition.kind == "picture" for condition in known) else None,
        "long": [_long(condition, clips) for condition in known if condition.kind in LONG],
    }


def _claim(claim: Claim, clips: Clips, counts: str) -> dict[str, Any]:
    found = claim.measure(clips)
    return {
        "id": claim.id,
        "text": claim.text,
        "source": claim.source,
        "published": claim.published,
        "unit": claim.unit,
        "threshold": claim.threshold,
        "conditions": [condition.name for condition in claim.conditions],
        **_interval(found),
        "verdict": claim.verdict(found),
        "command": f"python -m workbench claims --claims {claim.id} {counts}",
    }


def _row(condition: Condition, clips: Clips, real: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {**asdict(condition), "name": condition.name, "n": len(clips[condition.name])}
    for name in SHARES:
        known = _known(values(clips, condition, name))
        row[name] = _interval(wilson(int(sum(known)), len(known))) if known else None
    for name in NUMBERS:
        known = _known(values(clips, condition, name))
        row[name] = _interval(bootstrap_mean(known)) if known else None
    distance = frechet(clips, condition, real)
    return row | {"frechet": _interval(distance) if distance else None}


def _long(condition: Condition, clips: Clips) -> dict[str, Any]:
    """Means over clips of every curve, tenth by tenth, with their intervals."""
    curves = {
        name: [
            _interval(bootstrap_mean(known)) if (known := _known(values(clips, condition, f"{name}/{k}"))) else None
            for k in range(SEGMENTS)
        ]
        for name in CURVES
    }
    return {"name": condition.name, "model": condition.model, "n": len(clips[condition.name]), **curves}


def _real(prompts: Sequence[str]) -> dict[str, Any]:
    """What the clips show whose first frames the models are given: the mark for motion and drift."""
    rows = real_motion(prompts)
    means = {name: _interval(bootstrap_mean([row[name] for row in rows])) for name in ("motion", "drift")}
    return {"n": len(rows), **means}


def _known(found: Sequence[float]) -> list[float]:
    return [value for value in found if np.isfinite(value)]


def _interval(found: Interval) -> dict[str, float]:
    return {name: (value if name == "n" else float(f"{value:.6g}")) for name, value in asdict(found).items()}


def markdown(report: dict[str, Any]) -> str:
    """The checklist as a Markdown table, the verdicts counted above it."""
    counts = {name: sum(row["verdict"] == name for row in report["claims"]) for name in MARKS}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    lines = [
        f"Of {len(report['claims'])} claims: {told}. Command: `{report['command']}` ({report['date'][:10]}).",
        "",
        "| | claim | published | here (95 %) | n |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {MARKS[row['verdict']]} {row['verdict']} | {row['text']} | {row['published']} ({row['source']}) | "
        f"{told_interval(row)} | {row['n']} |"
        for row in report["claims"]
    ]
    return "\n".join([*lines, *_pictures_table(report), *_long_table(report), "", report["note"], ""])


def _pictures_table(report: dict[str, Any]) -> list[str]:
    """Lines: what starts from a picture, with motion and drift; none where nothing does."""
    rows = [row for row in report["conditions"] if row["kind"] == "picture"]
    head = [
        "",
        "One step from a picture, AAD-1 with its opponent and its ablations:",
        "",
        "| system | n | all right % | motion, pixels per frame | drift of sharpness | Fréchet distance |",
        "|---|---|---|---|---|---|",
    ]
    cells = (("right", 100, 1), ("motion", 1, 2), ("drift", 1, 2), ("frechet", 1, 2))
    lines = [
        "| " + " | ".join([row["model"], str(row["n"]), *(_told(row[name], *how) for name, *how in cells)]) + " |"
        for row in rows
    ]
    if real := report.get("real"):
        cells = ("", _told(real["motion"], 1, 2), _told(real["drift"], 1, 2), "")
        lines.append("| " + " | ".join(["real clips", str(real["n"]), *cells]) + " |")
    return head + lines if lines else []


def _long_table(report: dict[str, Any]) -> list[str]:
    """Lines: frames right in the first and the last tenth of 30 seconds; none where nothing is so long."""
    head = [
        "",
        "Thirty seconds, frames right (number, background, colour, shape), %. Things are told to turn round every "
        "four chunks, so that they stay in the picture; straight on they reach its edge after about five seconds, "
        "which no training clip shows:",
        "",
        "| system | n | first tenth | middle | last tenth |",
        "|---|---|---|---|---|",
    ]
    lines = [
        f"| {row['name'].replace(', 30 s', '')} | {row['n']} | "
        f"{' | '.join(_told(row['right'][k], 100, 1) for k in (0, SEGMENTS // 2, SEGMENTS - 1))} |"
        for row in report["long"]
    ]
    return head + lines if lines else []


def _told(found: dict[str, float] | None, scale: float, digits: int) -> str:
    if found is None:
        return ""
    value, low, high = (fixed(scale * found[name], digits) for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def told_interval(row: dict[str, Any]) -> str:
    """`-3.1 (-9.4 to +3.1) points`, with a sign where the row is a difference; a share says against what it stands."""
    wide = max(abs(row["value"]), abs(row["low"]), abs(row["high"]))
    digits = 1 if wide >= 5 or row["unit"].startswith("points") else 3
    sign = "" if row["threshold"] else "+"
    value, low, high = (fixed(row[name], digits, sign) for name in ("value", "low", "high"))
    against = f", against {row['threshold']:g}" if row["threshold"] else ""
    return f"{value} ({low} to {high}) {row['unit']}{against}"


def condition_label(name: str) -> str:
    """A condition's name as people read it: `shapes-asd 1*, 30 s` is "ASD 1*, 30 s"."""
    model, plan, rest = SYSTEM.fullmatch(name).groups()
    return label_of(f"{model}:{plan}") + rest


def all_claims() -> tuple[str, ...]:
    return tuple(claim.id for claim in CLAIMS)
