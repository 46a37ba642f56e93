"""The table of models. Adding one is adding a row (and, for the shapes family, its weights under `assets/`)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelSpec:
    """What a model is and how it is sampled.

    `steps` are the step counts on offer, `trained_steps` those it was trained at. `causal` models generate chunk by
    chunk
    (`first_chunk` latent frames, then `chunk` each) through a cache; others make the whole clip at once with guidance.
    `sampler` "few-step" predicts the clean chunk and renoises it, "flow" takes many Euler steps with guidance.
    `window` and `sink` limit what a chunk sees in clips longer than the training length of `latent_frames`.
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

    @property
    def few_step(self) -> bool:
        """Causal and distilled: the step counts, First-Frame Enhancement and step plans of the papers apply."""
        return self.causal and self.sampler == "few-step"


MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
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
            guidance_scale=4.0,
        ),
        ModelSpec(
            name="shapes-self-forcing",
            title="Self Forcing (baseline)",
            family="shapes",
            paper="Self Forcing (arXiv 2506.08009)",
            weights="shapes-self-forcing",
            steps=(1, 2, 3, 4),
            trained_steps=(4,),
            default_steps=4,
            note="causal, few steps, distribution matching on its own rollouts",
        ),
        ModelSpec(
            name="shapes-asd",
            title="ASD",
            family="shapes",
            paper="Adversarial Self-Distillation (arXiv 2511.01419)",
            weights="shapes-asd",
            steps=(1, 2, 3, 4),
            trained_steps=(1, 2, 3, 4),
            default_steps=1,
            note="causal, one checkpoint for every step count: a discriminator aligns n steps with n + 1, on top of "
            "distribution matching",
        ),
    )
}
