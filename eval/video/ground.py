"""Does the ground stay itself while the camera moves? Frames are laid over each other along the camera's motion."""

import cv2
import numpy as np

from eval.video.flow import flow, pixels, read

GRID = 8  # pixels of the working picture between points that the camera's motion is fitted to
BLOCKS = (4, 16)  # least and most pixels of the working picture a side of the blocks that are compared
LEAST_BLOCKS = 4
AGREEING = 0.1  # share of points that must move alike to be a camera's motion
LEAST_CONTRAST = 1.0  # levels: less detail than this is flat, and has nothing that could stay
SPAN = 0.25  # seconds between the frames that are compared, so that frame rates do not matter
DETAIL = (0.8, 4.0)  # pixels: detail is what a blur of the first leaves and a blur of the second takes away


def frames_back(fps: float) -> int:
    """How many frames a quarter of a second is, at least one."""
    return max(1, round(fps * SPAN))


def camera_motion(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """(2, 3) similarity that leads from pixels (x, y) of `before` (h, w) uint8 luma to `after`: pan, turn, zoom.

    Fitted by RANSAC to optical flow, so that things that move otherwise on less than half of the picture do not count.
    No motion where there is nothing to fit: under four points, or where fewer than a tenth of them move alike.
    """
    steps = flow(before, after)[GRID // 2 :: GRID, GRID // 2 :: GRID].reshape(-1, 2)
    start = pixels(*before.shape)[GRID // 2 :: GRID, GRID // 2 :: GRID].reshape(-1, 2)
    still = np.eye(2, 3)
    if len(start) < 4:
        return still
    fitted, alike = cv2.estimateAffinePartial2D(start, start + steps, method=cv2.RANSAC, ransacReprojThreshold=0.5)
    sure = fitted is not None and np.isfinite(fitted).all() and alike.mean() >= AGREEING
    return fitted if sure else still


def ground_agreement(before: np.ndarray, after: np.ndarray, motion: np.ndarray | None = None) -> float | None:
    """Correlation of the detail of `before` (h, w) uint8 luma with `after`, moved back by the camera's motion; -1..1.

    1: the same ground; 0: drawn anew. It is the median over blocks (16 x 16 pixels, smaller in pictures under 64) that
    hold detail and are seen in both frames, so that objects and their shadows do not count while they cover less than
    half of those. `motion` (2, 3) is estimated where it is not known. None where fewer than four blocks hold detail.
    """
    motion = camera_motion(before, after) if motion is None else np.asarray(motion, float)
    at = (pixels(*before.shape) @ motion[:, :2].T + motion[:, 2]).astype(np.float32)
    inside = ((at >= 0) & (at <= np.array(after.shape[::-1]) - 1)).all(-1)
    there, here = read(_detail(after), at), _detail(before)
    side = int(np.clip(min(before.shape) // 4, *BLOCKS))
    products = [_blocks(part, side) for part in (here * here, there * there, here * there)]
    own, others, shared = (part.mean((1, 3)) for part in products)
    usable = _blocks(inside, side).all((1, 3)) & (np.minimum(own, others) >= LEAST_CONTRAST**2)
    if usable.sum() < LEAST_BLOCKS:
        return None
    return float(np.median(shared[usable] / np.sqrt(own[usable] * others[usable])).clip(-1, 1))


def _detail(luma: np.ndarray) -> np.ndarray:
    fine, coarse = (cv2.GaussianBlur(luma.astype(np.float32), (0, 0), sigma) for sigma in DETAIL)
    return fine - coarse


def _blocks(picture: np.ndarray, side: int) -> np.ndarray:
    """(rows, side, columns, side) view of a picture (h, w), less what is left at the right and at the bottom."""
    rows, columns = (length // side for length in picture.shape)
    return picture[: rows * side, : columns * side].reshape(rows, side, columns, side)
