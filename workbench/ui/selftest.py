"""The coded clip of the player's self-test: every frame carries its own number as black and white blocks."""

from pathlib import Path

import numpy as np
from fastapi import APIRouter

from workbench.clips.media import encode_mp4
from workbench.ui.api.media import MediaTokens

BITS, BLOCK, FRAMES, FPS, SIZE = 8, 8, 49, 12, 64


def coded_clip(frames: int = FRAMES, *, shift: int = 0) -> np.ndarray:
    """(T, 64, 64, 3) uint8 RGB: the number in the top strip (lowest bit first, white is one), its inverse below it,
    and a bright bar that moves right; `shift` moves the bar, so that two clips with one code look different."""
    numbers = np.arange(frames)
    clip = np.full((frames, SIZE, SIZE, 3), (30, 41, 59), np.uint8)
    for bit in range(BITS):
        columns = slice(bit * BLOCK, (bit + 1) * BLOCK)
        ones = ((numbers >> bit) & 1).astype(np.uint8)[:, None, None, None] * 255
        clip[:, :BLOCK, columns] = ones
        clip[:, BLOCK : 2 * BLOCK, columns] = 255 - ones
    for number in numbers:
        left = (2 * BLOCK + int(number) + shift) % (SIZE - 10)
        clip[number, 24:56, left : left + 10] = (129, 140, 248) if shift else (251, 191, 36)
    return clip


def selftest_router(media: MediaTokens, folder: Path) -> APIRouter:
    """`GET /api/v1/selftest`: addresses of two coded clips in step, and how to read them."""
    router = APIRouter(prefix="/api/v1", tags=["self-test"])

    @router.get("/selftest")
    def selftest() -> dict:
        """Two coded clips, encoded as every clip of this app is, and the same frames without loss."""
        folder.mkdir(parents=True, exist_ok=True)
        clips = [coded_clip(), coded_clip(shift=23)]
        paths = [folder / f"coded-{i}.mp4" for i in range(len(clips))]
        for path, clip in zip(paths, clips, strict=True):
            if not path.exists():
                encode_mp4(clip, FPS, path)
        videos, sheets = [media.file(path) for path in paths], [media.sheet(clip) for clip in clips]
        return {"videos": videos, "sheets": sheets, "frames": FRAMES, "fps": FPS, "bits": BITS, "block": BLOCK}

    return router
