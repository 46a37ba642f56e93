"""Routes behind the Evaluate page: the clips of the store with a picture each, and the files of an evaluation."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import Response

from eval.video.reader import Unreadable
from models.types import RequestError
from workbench.clips.display import first_frame
from workbench.clips.library import StoredClip
from workbench.clips.media import png_bytes
from workbench.common.field_notes import noted
from workbench.common.words import counted
from workbench.scoring.results import EXPORTS
from workbench.scoring.runs import EvaluationService

MOST_LISTED = 200
CLIP = Path(**noted("id of a clip of the store", "the name of its file without ending"))
LARGEST = 160  # pixels of a picture's longer side


def library_router(evaluations: EvaluationService) -> APIRouter:
    """`GET /api/v1/clips`, `/api/v1/clips/{clip}/picture` and `/api/v1/evaluations/{run}/{file}`."""
    router = APIRouter(prefix="/api/v1", tags=["evaluation"])

    @router.get("/clips")
    def clips(
        text: Annotated[str, Query(**noted("words that a clip's prompt, label or id must hold", "any words"))] = "",
        offset: Annotated[int, Query(**noted("how many to leave out", "0 or more", "clips"))] = 0,
        limit: Annotated[int, Query(**noted("how many to list at most", f"1 to {MOST_LISTED}", "clips"))] = 24,
        before: Annotated[str, Query(**noted("ids of clips that come first", "ids with commas between"))] = "",
    ) -> dict[str, Any]:
        """Clips of the store that contain every word of `text`, newest first, and how many there are in all."""
        wanted = frozenset(before.split(","))
        found, shown = evaluations.library.listing(text, offset, max(1, min(limit, MOST_LISTED)), wanted)
        return {"total": found, "clips": [_row(clip) for clip in shown]}

    @router.get("/clips/{clip}/picture")
    def picture(clip: Annotated[str, CLIP]) -> Response:
        """The first frame of a clip as PNG."""
        try:
            frame = first_frame(evaluations.library.stored(clip).path)
        except (RequestError, Unreadable) as error:
            raise HTTPException(404, "this clip is not in the store") from error
        headers = {"Cache-Control": "private, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(png_bytes(_small(frame)), media_type="image/png", headers=headers)

    @router.get("/evaluations/{run}/{file}")
    def exported(
        run: Annotated[str, Path(**noted("id of an evaluation", "as its link has it"))],
        file: Annotated[str, Path(**noted("which file", ", ".join(EXPORTS)))],
    ) -> Response:
        """Results as a file: `clips` and `frames` as .csv and .parquet, and everything as `scores.json`."""
        try:
            found = evaluations.get(run)
        except RequestError as error:
            raise HTTPException(404, str(error)) from error
        if file not in EXPORTS:
            raise HTTPException(404, f"there is no file {file[:40]!r}; choose one of {', '.join(EXPORTS)}")
        headers = {"Content-Disposition": f'attachment; filename="evaluation-{run}-{file}"'}
        kind, make = EXPORTS[file]
        return Response(make(found), media_type=kind, headers=headers)

    return router


def _row(clip: StoredClip) -> dict[str, Any]:
    made = clip.manifest
    facts = f"{counted(made.frames, 'frame')} · {made.created[:10]}"
    return {"id": clip.id, "prompt": made.prompt, "label": clip.label, "facts": facts}


def _small(frame: np.ndarray) -> np.ndarray:
    """Every n-th pixel: quick, and good enough for a picture of 56 pixels."""
    step = max(1, max(frame.shape[:2]) // LARGEST)
    return np.ascontiguousarray(frame[::step, ::step])
