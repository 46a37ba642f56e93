"""A small store of measured clips whose numbers are drawn, for tests of the Dashboard."""

import hashlib
from pathlib import Path

import numpy as np

from workbench.clips.media import encode_mp4
from workbench.store import Store
from workbench.store.records import GeneratedClip, Value

PROMPTS = tuple(
    f"a {color} {shape} moving up on a navy background"
    for color in ("red", "blue")
    for shape in ("star", "circle", "square")
)
# system: shift of its values; the last one is better by far, the second by a hair
SYSTEMS = {
    ("shapes-self-forcing", 4, 0): 0.0,
    ("shapes-self-forcing", 1, 0): 0.01,
    ("shapes-asd", 1, 4): 0.5,
}
METRICS = ("temporal_flickering", "warping_error", "sharpness", "oracle_right")
HOSTILE = "a <img src=x onerror='window.hacked=1'> & {{value}} `"
FRAMES = 9


def clip_of(model: str, steps: int, first: int, prompt: str, seed: int, **changes) -> GeneratedClip:
    told = repr((model, steps, first, prompt, seed, *changes.items()))
    identity = hashlib.sha256(told.encode()).hexdigest()[:24]
    made = {
        "id": identity,
        "model": model,
        "family": "shapes",
        "weights_digest": f"{model[-3:]}0123456789abcdef",
        "steps": steps,
        "first_steps": first,
        "prompt": prompt,
        "seed": seed,
        "image_digest": "",
        "frames": FRAMES,
        "width": 32,
        "height": 32,
        "fps": 12.0,
        "guidance_scale": 1.0,
        "dtype": "float32",
        "path": f"clips/{identity}.mp4",
        "seconds": 0.2 * steps + 0.1 * first,
        "first_frame_seconds": 0.1,
        "forwards": 5 * steps + first,
        "created_at": "2026-11-21T10:00:00+00:00",
    }
    return GeneratedClip(**{**made, **changes})


def values_of(generator: np.random.Generator, shift: float) -> dict[str, Value]:
    """Of one clip; now and then the oracle does not score it."""
    found = {}
    for name in METRICS[:3]:
        curve = generator.normal(1 + shift, 0.05, FRAMES)
        found[name] = Value(float(curve.mean()), curve=tuple(curve.tolist()))
    scored = generator.random() > 0.15
    found["oracle_right"] = Value(float(generator.random() < 0.5)) if scored else Value(None, reason="too dark to see")
    return found


def fill(store: Store, *, prompts=PROMPTS, seeds=2, data_dir: Path | None = None, **changes) -> list[GeneratedClip]:
    """Every system on every prompt and seed; with `data_dir` the files are there too. Returns the clips."""
    generator = np.random.default_rng(5)
    clips = []
    for (model, steps, first), shift in SYSTEMS.items():
        for prompt in prompts:
            for seed in range(seeds):
                clip = clip_of(model, steps, first, prompt, seed, **changes)
                store.add_clip(clip)
                store.add_values(clip.id, values_of(generator, shift))
                clips.append(clip)
                if data_dir is not None:
                    path = data_dir / clip.path
                    path.parent.mkdir(parents=True, exist_ok=True)
                    frames = generator.integers(0, 255, (FRAMES, 32, 32, 3), dtype=np.uint8)
                    encode_mp4(frames, clip.fps, path)
    return clips
