"""What the Insight page shows of findings and costs, as values of its components."""

import math
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from eval.statistics.intervals import Interval
from models.cost import CostModel
from models.insight import step_clips
from models.latent_time import pixel_frames
from models.pipeline import VideoPipeline, cache_limits
from workbench.charts import MOST_MAPS, attention_map, cost_bars, reading_map, similarity_line, similarity_maps
from workbench.common.words import counted, percent
from workbench.experiments.insight import Findings, PlanCost
from workbench.requests.links.generate import generate_link
from workbench.requests.systems import System
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
        "Latent frames read",
    ]
    return {
        "caption": "Chunks",
        "columns": columns,
        "rows": rows,
        "note": f"Cosine similarity of predictions, mean over {counted(found.clips, 'clip')}; n counts {found.unit}.",
    }


def interval_text(point: Interval) -> str:
    """The ends of an interval; a dash where one clip has none."""
    return f"{point.low:.3f} to {point.high:.3f}" if math.isfinite(point.low) else "–"


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
    made = f"{counted(found.clips, 'clip')}, {counted(found.trace.forwards, 'network call')} each"
    system = System(settings.model, settings.steps, settings.first_steps, settings.plan)
    link = generate_link(system, settings.prompts[0], settings.seeds[0], settings.frames)
    return {
        "state": "done",
        "text": f"Done: {made}; {limits_text(pipeline, found)}.",
        "notices": [*more, *notices(found)],
        "links": [{"label": "Open the first clip in Generate", "url": link}],
    }


def cost_values(model: CostModel, rows: Sequence[PlanCost]) -> dict[str, Any]:
    """The chart and the table of plans."""
    hints = [counted(row.forwards, "network call") for row in rows]
    fit = model.forward
    return {
        "costs": cost_bars(
            [row.name for row in rows], [row.predicted for row in rows], [row.measured for row in rows], hints
        ),
        "cost-table": {
            "caption": "Step schedules",
            "columns": ["Steps", "Network calls", "Predicted, s", "Measured, s", "Lowest to highest, s", "n"],
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
            "note": f"One network call: {1000 * fit.call:.1f} ms + {1000 * fit.frame:.2f} ms per latent frame + "
            f"{1000 * fit.pair:.3f} ms for each pair of a frame made and a frame read (fit over {fit.n} calls, median "
            f"error {percent(fit.error)}). Medians on this server, with whatever else it was doing.",
        },
    }
