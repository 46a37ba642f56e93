"""What the Insight page shows of findings and costs, as values of its components."""

import math
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from eval.statistics.intervals import Interval
from models.cost import CostModel
from models.insight import step_clips
from models.networks.codec import pixel_frames
from models.pipeline import VideoPipeline, cache_limits
from workbench.charts import MOST_MAPS, attention_map, cost_bars, reading_map, similarity_line, similarity_maps
from workbench.experiments.insight import Findings, PlanCost
from workbench.ui.api.media import MediaTokens
from workbench.ui.components.clips import sheet


def player_value(pipeline: VideoPipeline, found: Findings, media: MediaTokens) -> dict[str, Any]:
    """The first clip as every step predicted it, in step."""
    settings, plan = found.settings, found.plan
    clips = step_clips(pipeline, found.trace, settings.frames)
    starts = [pixel_frames(sum(plan.chunks[:chunk])) for chunk in range(1, len(plan.chunks))]
    return {
        "id": uuid4().hex,
        "fps": pipeline.spec.fps,
        "total": settings.frames,
        "ticks": [start for start in starts if start < settings.frames],
        "clips": [
            {"label": f"after step {step}", "done": True, "sheets": [sheet(frames, media)]}
            for step, frames in enumerate(clips, 1)
        ],
        "autoplay": True,
    }


def similarity_values(found: Findings) -> dict[str, Any]:
    """The line, the maps and the table of similarity; empty where every chunk took one step."""
    return {
        "line": similarity_line(found.first_to_last, found.unit),
        "maps": similarity_maps([matrix.tolist() for matrix in found.similarity]),
        "chunks": chunk_table(found),
    }


def reading_values(pipeline: VideoPipeline, found: Findings) -> dict[str, Any]:
    """What the chunks can read and what they look at."""
    plan, reads = found.plan, found.trace.reads
    sink = cache_limits(pipeline.spec, plan.chunks).get("sink", 0)
    return {
        "reads": reading_map(plan.chunks, reads, [len(sigmas) for sigmas in plan.sigmas], sink),
        "attention": attention_map(found.attention.tolist(), reads, plan.chunks),
    }


def chunk_table(found: Findings) -> dict[str, Any]:
    rows = []
    for chunk, (length, sigmas) in enumerate(zip(found.plan.chunks, found.plan.sigmas, strict=True)):
        point = found.first_to_last[chunk]
        levels = " ".join(f"{sigma:.3g}" for sigma in sigmas)
        shown = [f"{point.value:.3f}", interval_text(point), point.n] if point else ["one step", "", ""]
        rows.append([chunk + 1, length, len(sigmas), levels, *shown, len(found.trace.reads[chunk])])
    columns = [
        "Chunk",
        "Latent frames",
        "Steps",
        "Noise levels",
        "Step 1 to last",
        "95 % interval",
        "n",
        "Reads frames",
    ]
    return {
        "caption": "Chunk by chunk",
        "columns": columns,
        "rows": rows,
        "note": f"Cosine similarity of predictions, mean over {found.clips} clip{'s' * (found.clips != 1)}; "
        f"n counts {found.unit}.",
    }


def interval_text(point: Interval) -> str:
    """The ends of an interval; a dash where one clip has none."""
    return f"{point.low:.3f} to {point.high:.3f}" if math.isfinite(point.low) else "–"  # noqa: RUF001


def limits_text(pipeline: VideoPipeline, found: Findings) -> str:
    """In words, what limits the past of this clip."""
    limits = cache_limits(pipeline.spec, found.plan.chunks)
    if not limits:
        return f"no window: up to {pipeline.spec.latent_frames} latent frames, a chunk reads everything before it"
    return f"window {limits['window']} latent frames with a sink of {limits['sink']}"


def notices(found: Findings) -> list[str]:
    """What the charts leave out."""
    several = sum(len(matrix) > 1 for matrix in found.similarity)
    if not several:
        return ["every chunk took one step, so there are no two predictions to compare; choose 2 or more steps"]
    if several > MOST_MAPS:
        return [f"maps are drawn for the first {MOST_MAPS} of {several} chunks; the line and the table have all"]
    return []


def done_status(pipeline: VideoPipeline, found: Findings, more: Sequence[str]) -> dict[str, Any]:
    settings = found.settings
    clips = f"{found.clips} clip{'s' * (found.clips != 1)}"
    query = {"model": settings.model, "prompt": settings.prompts[0], "seed": settings.seeds[0]}
    query |= {"steps": settings.steps, "ffe": settings.first_steps, "frames": settings.frames}
    query |= {"plan": ",".join(map(str, settings.plan))} if settings.plan else {}
    return {
        "state": "done",
        "text": f"Done: {clips}, {found.trace.forwards} forwards each; {limits_text(pipeline, found)}.",
        "notices": [*more, *notices(found)],
        "links": [{"label": "Open the first clip in Generate", "url": f"/generate?{urlencode(query)}"}],
    }


def cost_values(model: CostModel, rows: Sequence[PlanCost]) -> dict[str, Any]:
    """The chart and the table of plans."""
    hints = [f"{row.forwards} forwards" for row in rows]
    fit = model.forward
    return {
        "costs": cost_bars(
            [row.name for row in rows], [row.predicted for row in rows], [row.measured for row in rows], hints
        ),
        "cost-table": {
            "caption": "Plans",
            "columns": ["Plan", "Forwards", "Predicted s", "Measured s", "Lowest to highest s", "n"],
            "rows": [
                [
                    row.name,
                    row.forwards,
                    f"{row.predicted:.3f}",
                    f"{row.typical:.3f}",
                    f"{min(row.measured):.3f} to {max(row.measured):.3f}",
                    len(row.measured),
                ]
                for row in rows
            ],
            "note": f"One forward: {1000 * fit.call:.1f} ms + {1000 * fit.frame:.2f} ms a latent frame + "
            f"{1000 * fit.pair:.3f} ms for each pair of a frame made and a frame read (fit over {fit.n} calls, median "
            f"error {fit.error:.0%}). Medians on this server, with whatever else it was doing.",
        },
    }
