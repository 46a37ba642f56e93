"""Fits the tables of the tabletop oracle to clips whose truth is known."""

from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from eval.tabletop import reading
from eval.tabletop.prompt import COLORS, GROUNDS, SOLIDS
from models.networks.codec import Codec
from models.whole_files import write_bytes
from models.worlds.tabletop.grammar import FRAMES, sample_caption
from models.worlds.tabletop.render import render_with_covers
from models.worlds.tabletop.scene import Scene, sample_scene

Sample = tuple[Scene, np.ndarray, np.ndarray]
"""A scene, its frames (T, 128, 128, 3) uint8, and how much each solid covers each pixel (N, T, 128, 128) in 0..1."""
RIDGE = 0.02
EVERY = 4  # frames between those that are looked at


def draw_samples(clips: int, seed: int, codec: Codec | None = None) -> Iterator[Sample]:
    """Every fourth frame of rendered clips of training captions, each third of two solids; each clip again as `codec`
    gives it back."""
    for index in range(clips):
        rng = np.random.default_rng((seed, index))
        scene = sample_scene(sample_caption(rng, held_out=False, objects=2 if index % 3 == 2 else 1), rng)
        frames, covers = render_with_covers(scene, FRAMES)
        yield scene, frames[::EVERY], covers[:, ::EVERY]
        if codec:
            yield scene, codec.decode(codec.encode(frames))[::EVERY], covers[:, ::EVERY]


def fit_tables(samples: Iterable[Sample]) -> dict[str, np.ndarray]:
    """All tables of the oracle, as they are kept: those of colours first, by which the solids are found."""
    known = list(samples)
    coded = fit_colors(known)
    return coded | fit_solids(known, reading.color_tables(coded))


def fit_colors(samples: Iterable[Sample]) -> dict[str, np.ndarray]:
    """How often each colour is seen on each ground and on solids of each colour: -16 log of it, uint8."""
    counts = {"grounds": np.zeros((len(GROUNDS), 2**15)), "colors": np.zeros((len(COLORS), 2**15))}
    for scene, frames, covers in samples:
        codes = reading.color_codes(frames)
        bare = codes[covers.sum(0) < 0.02]
        counts["grounds"][GROUNDS.index(scene.ground)] += np.bincount(bare, minlength=2**15)
        for thing, cover in zip(scene.objects, covers, strict=True):
            inside = codes[cover > 0.95]
            counts["colors"][COLORS.index(thing.kind.color)] += np.bincount(inside, minlength=2**15)
    return {name: np.stack([_coded(row) for row in rows]) for name, rows in counts.items()}


def _coded(count: np.ndarray) -> np.ndarray:
    levels = reading.LEVELS
    soft = count.reshape(levels, levels, levels)
    for axis in range(3):
        padded = np.pad(soft, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        parts = [np.take(padded, range(i, i + levels), axis) for i in range(3)]
        soft = 0.2 * parts[0] + 0.6 * parts[1] + 0.2 * parts[2]
    share = soft.ravel() / soft.sum()
    return np.clip(np.round(-16 * np.log(share + 3e-7)), 0, 255).astype(np.uint8)


def fit_solids(samples: Iterable[Sample], colors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Linear discriminants of the kinds of solids, and how far from its kind's mean outline a solid is at most.
    `colors` are `reading.color_tables`."""
    patches, kinds, sharp = [], [], {ground: [] for ground in GROUNDS}
    for scene, frames, covers in samples:
        seen = reading.read(frames, colors)
        sharp[scene.ground].append(float(np.median(seen.sharpness)))
        for thing, cover in zip(scene.objects, covers, strict=True):
            for blobs, mask in zip(seen.blobs, cover, strict=True):
                moments = cv2.moments(mask.astype(np.float32))
                x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
                near = [blob for blob in blobs if np.hypot(blob.x - x, blob.y - y) < 6]
                patches += [blob.patch for blob in near]
                kinds += [SOLIDS.index(thing.kind.solid)] * len(near)
    patches, kinds = np.array(patches, np.float64), np.array(kinds)
    means = np.stack([patches[kinds == k].mean(0) for k in range(len(SOLIDS))])
    spread = np.cov((patches - means[kinds]).T)
    inverse = np.linalg.inv(spread + RIDGE * np.trace(spread) / len(spread) * np.eye(len(spread)))
    outline = slice(0, reading.PATCH**2 // 2)
    off = np.abs(patches - means[kinds])[:, outline].mean(1)
    return {
        "solid_means": means.astype(np.float32),
        "solid_weights": (means @ inverse).astype(np.float32),
        "solid_offsets": (-0.5 * np.einsum("kf,fg,kg->k", means, inverse, means)).astype(np.float32),
        "farthest_outline": np.float32(1.15 * np.quantile(off, 0.985)),
        "least_sharpness": np.array([0.8 * min(sharp[ground]) for ground in GROUNDS], np.float32),
    }


def save(tables: dict[str, np.ndarray], path: Path = reading.TABLES) -> None:
    """Write the tables where the oracle reads them, whole or not at all."""
    file = BytesIO()
    np.savez_compressed(file, **tables)
    write_bytes(path, file.getvalue())
