"""Which pipelines of diffusers are run as they are, and what their rows say. Needs no torch."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.wan.places import read_table


@dataclass(frozen=True)
class Kind:
    """A pipeline class: its usual clip, `steps` on offer, and `options`, arguments of its call that are its own."""

    title: str
    paper: str
    license: str
    size: tuple[int, int]
    latent_frames: int
    fps: int
    steps: tuple[int, ...]
    default_steps: int
    guidance_scale: float
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def row(self) -> dict[str, Any]:
        """The values of a `ModelSpec` that do not depend on a folder."""
        values = {name: getattr(self, name) for name in ROW}
        fixed = {"family": "wan", "causal": False, "sampler": "flow", "tasks": ("t2v",), "weights": ""}
        return values | fixed | {"sizes": (self.size[::-1],), "prompt_limit": 20_000, "trained_steps": ()}


ROW = ("paper", "license", "size", "latent_frames", "fps", "steps", "default_steps", "guidance_scale")
KINDS = {
    "AnyFlowFARPipeline": Kind(
        "AnyFlow-FAR", "AnyFlow (NVlabs/AnyFlow)", "Apache-2.0", (480, 832), 21, 16, (1, 2, 4, 8, 16, 50), 4, 1.0,
        {"chunk_partition": None},
    ),
    "SkyReelsV2DiffusionForcingPipeline": Kind(
        "SkyReels-V2 diffusion forcing", "SkyReels-V2 (arXiv 2504.13074)", "Skywork licence", (544, 960), 25, 24,
        (2, 30, 50), 30, 6.0, {"fps": 24},
    ),
    "HeliosPipeline": Kind(
        "Helios", "Helios (arXiv 2603.04379)", "Apache-2.0", (384, 640), 33, 24, (2, 20, 50), 50, 5.0,
    ),
}  # fmt: skip


def kind_of(folder: Path) -> str:
    """The class of a diffusers folder that is run as it is; "" for any other file or folder."""
    index = folder / "model_index.json"
    name = read_table(index).get("_class_name") if index.is_file() else None
    return name if isinstance(name, str) and name in KINDS else ""
