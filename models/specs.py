"""The table of models. Adding one is adding a row (and, for a world that ships, its weights under `assets/`)."""

from dataclasses import dataclass, replace
from typing import Any

from models.sampling.noise_levels import nearest_sigma, step_sigmas
from models.wan.rows import ROWS, Checkpoint
from models.wan.source import Source


@dataclass(frozen=True)
class ModelSpec:
    """What a model is and how it is sampled.

    `steps` are the step counts on offer, `trained_steps` those it was trained at. `causal` models generate chunk by
    chunk (`first_chunk` latent frames, then `chunk` each) through a cache; others make the whole clip at once with
    guidance. `sampler` "few-step" predicts the clean chunk and renoises it, "flow" takes many Euler steps with
    guidance. `window` and `sink` limit what a chunk sees: in clips longer than the training length of `latent_frames`,
    or always, with `window_always`. With `sink_follows` the sink stays next to the window; else it keeps its place.
    `step_lists` are the noise levels * 1000 that the network is told where they are not `step_sigmas` of the shift;
    with `sigma_table` sigma is the nearest entry of the shifted table, as in CausVid. An image is one latent frame, so
    a model takes one ("i2v") only if its first chunk is one. `first_chunk_steps` are what its released sampler gives
    the first chunk that it makes (0: as many as the others). `prompt_limit` counts characters. `sizes` (height, width)
    are offered beside `size`, and any other of sides in steps of 16 up to the largest area; `most_frames` is the
    longest clip. `checkpoint` are the files of a released network, `source` a file of one's own, `pipeline` the class
    of diffusers that runs it.
    """

    name: str
    title: str
    family: str
    paper: str
    weights: str
    steps: tuple[int, ...]
    trained_steps: tuple[int, ...]
    default_steps: int
    note: str
    causal: bool = True
    sampler: str = "few-step"
    tasks: tuple[str, ...] = ("t2v", "i2v", "v2v")
    license: str = "Apache-2.0"
    guidance_scale: float = 1.0
    shift: float = 5.0
    first_chunk: int = 1
    chunk: int = 3
    latent_frames: int = 13
    window: int = 13
    sink: int = 1
    fps: int = 12
    size: tuple[int, int] = (64, 64)
    window_always: bool = False
    sink_follows: bool = True
    step_lists: tuple[tuple[float, ...], ...] = ()
    first_chunk_steps: int = 0
    sigma_table: bool = False
    prompt_limit: int = 1000
    most_frames: int = 4000
    sizes: tuple[tuple[int, int], ...] = ()
    checkpoint: Checkpoint | None = None
    source: Source | None = None
    pipeline: str = ""

    def __post_init__(self) -> None:
        if "i2v" in self.tasks and self.causal and self.first_chunk != 1:
            raise ValueError(
                f"{self.name} takes an image, which is one latent frame, but its first chunk is {self.first_chunk}; "
                "leave 'i2v' out of its tasks"
            )

    def levels(self, steps: int) -> tuple[float, ...]:
        """The noise levels of `steps` steps, from 1 down."""
        listed = next((numbers for numbers in self.step_lists if len(numbers) == steps), None)
        return step_sigmas(steps, self.shift) if listed is None else tuple(number / 1000 for number in listed)

    def sigma_at(self, sigma: float) -> float:
        """What the sampler computes with when the network is told 1000 * `sigma`."""
        return nearest_sigma(sigma, self.shift) if self.sigma_table else sigma

    def check_size(self, size: tuple[int, int]) -> str | None:
        """Why a clip cannot have this (height, width), or None when it can."""
        shown = f"size is {size[1]}x{size[0]}"
        if not self.sizes:
            own = f"{self.size[1]}x{self.size[0]}"
            return None if size == self.size else f"{shown}; {self.name} makes {own} only"
        most = max(height * width for height, width in self.all_sizes)
        if min(size) < 64 or any(side % 16 for side in size) or size[0] * size[1] > most:
            return f"{shown}; sides go in steps of 16 from 64, at most {most:,} pixels a frame"
        return None

    @property
    def trained_frames(self) -> int:
        """Pixel frames of the clips it was trained on: the first latent frame holds one, every other four."""
        return 4 * (self.latent_frames - 1) + 1

    @property
    def all_sizes(self) -> tuple[tuple[int, int], ...]:
        """The (height, width) on offer, its own first."""
        return (self.size, *self.sizes)

    @property
    def few_step(self) -> bool:
        """Causal and distilled: the step counts, First-Frame Enhancement and step plans of the papers apply."""
        return self.causal and self.sampler == "few-step"


def _student(name: str, title: str, paper: str, note: str, **values: Any) -> ModelSpec:
    """A causal few-step model of the shapes world; by default trained for four steps."""
    usual: dict[str, Any] = {"steps": (1, 2, 3, 4), "trained_steps": (4,), "default_steps": 4}
    return ModelSpec(name, title, "shapes", paper, name, note=note, **(usual | values))


def _tabletop_student(name: str, title: str, paper: str, note: str, **values: Any) -> ModelSpec:
    """A causal few-step model of the tabletop world, whose models are named by their role alone."""
    model = _student(name, title, paper, note, **values)
    return replace(model, family="tabletop", weights=f"tabletop-{name}", size=(128, 128))


ASD_PAPER = "Adversarial Self-Distillation (arXiv 2511.01419)"
CAUSVID_PAPER = "CausVid (arXiv 2412.07772)"
SELF_FORCING_PAPER = "Self Forcing (arXiv 2506.08009)"
AAD1_PAPER = "AAD-1 (arXiv 2606.03972)"
ONE_STEP: dict[str, Any] = {"trained_steps": (1,), "default_steps": 1}
ALL_STEPS: dict[str, Any] = {"trained_steps": (1, 2, 3, 4), "default_steps": 1}
FROM_PICTURE: dict[str, Any] = {**ONE_STEP, "steps": (1, 2), "tasks": ("i2v",)}

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            name="teacher",
            title="Bidirectional teacher",
            family="tabletop",
            paper="Wan 2.1 (arXiv 2503.20314)",
            weights="tabletop-teacher",
            steps=(8, 16, 24, 32, 48),
            trained_steps=(),
            default_steps=24,
            note="flow matching, many Euler steps with guidance, the whole clip at once; it still takes cubes and "
            "cylinders for each other",
            causal=False,
            tasks=("t2v",),
            guidance_scale=2.0,
            shift=8.0,
            size=(128, 128),
        ),
        _tabletop_student(
            "self-forcing",
            "Self Forcing (baseline)",
            SELF_FORCING_PAPER,
            "causal, few steps, distribution matching on its own rollouts",
        ),
        _tabletop_student(
            "asd",
            "ASD",
            ASD_PAPER,
            "causal, one checkpoint for every step count: a discriminator aligns n steps with n + 1, on top of "
            "distribution matching",
            **ALL_STEPS,
        ),
        _tabletop_student(
            "ode-init",
            "ODE initialisation",
            "Causal Forcing (arXiv 2602.02214)",
            "where the baseline and ASD start: regression on the teacher's sampling paths",
        ),
        ModelSpec(
            name="shapes-teacher",
            title="Bidirectional teacher",
            family="shapes",
            paper="Wan 2.1 (arXiv 2503.20314)",
            weights="shapes-teacher",
            steps=(4, 8, 16, 32, 48),
            trained_steps=(),
            default_steps=16,
            note="flow matching, many Euler steps with guidance, the whole clip at once",
            causal=False,
            tasks=("t2v",),
            guidance_scale=2.0,
        ),
        _student(
            "shapes-self-forcing",
            "Self Forcing (baseline)",
            SELF_FORCING_PAPER,
            "causal, few steps, distribution matching on its own rollouts",
        ),
        _student(
            "shapes-asd",
            "ASD",
            ASD_PAPER,
            "causal, one checkpoint for every step count: a discriminator aligns n steps with n + 1, on top of "
            "distribution matching",
            **ALL_STEPS,
        ),
        ModelSpec(
            name="shapes-causal-teacher",
            title="Causal teacher",
            family="shapes",
            paper=CAUSVID_PAPER,
            weights="shapes-causal-teacher",
            steps=(4, 8, 16, 32, 48),
            trained_steps=(),
            default_steps=16,
            note="the teacher taught to see the past only, by diffusion forcing: many steps per chunk with guidance",
            sampler="flow",
            guidance_scale=2.0,
        ),
        _student(
            "shapes-ode-init",
            "ODE initialisation",
            "Causal Forcing (arXiv 2602.02214)",
            "where the baseline and ASD start: regression on the causal teacher's sampling paths, made chunk by chunk",
        ),
        _student(
            "shapes-causvid",
            "CausVid",
            CAUSVID_PAPER,
            "distribution matching on noised real clips under the bidirectional teacher, no rollout in training",
        ),
        _student(
            "shapes-causvid-causal",
            "CausVid, causal teacher",
            CAUSVID_PAPER,
            "CausVid's negative control: the same training under the causal teacher",
        ),
        _student(
            "shapes-self-forcing-1",
            "Self Forcing for one step",
            SELF_FORCING_PAPER,
            "the baseline trained on for one step alone: the fair opponent of ASD there",
            **ONE_STEP,
        ),
        _student(
            "shapes-self-forcing-2",
            "Self Forcing for two steps",
            SELF_FORCING_PAPER,
            "the baseline trained on for two steps alone: the fair opponent of ASD there",
            **{"trained_steps": (2,), "default_steps": 2},
        ),
        _student(
            "shapes-dmd",
            "DMD alone, every step count",
            ASD_PAPER,
            "ASD's training without its discriminator, from the baseline",
            **ALL_STEPS,
        ),
        _student(
            "shapes-asd-real",
            "ASD against real clips",
            "One-Forcing (arXiv 2605.23458)",
            "ASD's training from the baseline with real clips in the place of n + 1 steps",
            **ALL_STEPS,
        ),
        _student(
            "shapes-aad1",
            "AAD-1",
            AAD1_PAPER,
            "one step from a picture: adversarial only, a bidirectional discriminator with one score a video",
            **FROM_PICTURE,
        ),
        _student(
            "shapes-aad1-dmd",
            "AAD-1's start, DMD only",
            AAD1_PAPER,
            "one step from a picture: distribution matching for as long as AAD-1 trains altogether",
            **FROM_PICTURE,
        ),
        _student(
            "shapes-aad1-causal",
            "AAD-1, causal discriminator",
            AAD1_PAPER,
            "AAD-1's ablation: its discriminator sees the past only",
            **FROM_PICTURE,
        ),
        _student(
            "shapes-aad1-frames",
            "AAD-1, score per frame",
            AAD1_PAPER,
            "AAD-1's ablation: its discriminator gives one score a frame",
            **FROM_PICTURE,
        ),
    )
} | {row["name"]: ModelSpec(**row) for row in ROWS}
