"""Noise levels: the flow-matching path, step lists for any number of steps, and First-Frame Enhancement as a plan.

Wan's path is x_t = (1 - sigma) * x0 + sigma * noise with the network predicting flow = noise - x0.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from models.sampling.noise_levels import step_sigmas

Levels = Callable[[int], tuple[float, ...]]


def add_noise(x0: Tensor, noise: Tensor, sigma: float | Tensor) -> Tensor:
    """x_t = (1 - sigma) * x0 + sigma * noise; sigma is a number or broadcasts against x0."""
    return (1 - sigma) * x0 + sigma * noise


def x0_from_flow(noisy: Tensor, flow: Tensor, sigma: float | Tensor) -> Tensor:
    """x0 = x_t - sigma * flow, subtracted in float64 as in Self Forcing and cast back."""
    if isinstance(sigma, Tensor):
        sigma = sigma.double()
    return (noisy.double() - sigma * flow.double()).to(noisy.dtype)


def per_frame(sigma: Tensor) -> Tensor:
    """Noise levels (B,) or (B, T) shaped to broadcast against latents (B, T, C, H, W)."""
    return sigma[:, None, None, None, None] if sigma.ndim == 1 else sigma[:, :, None, None, None]


@dataclass(frozen=True)
class StepPlan:
    """What to do, chunk by chunk: `chunks` lengths in latent frames, `sigmas` the noise levels of each chunk.

    A chunk with no noise levels is given (an image or earlier video) and only enters the cache.
    """

    chunks: tuple[int, ...]
    sigmas: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if len(self.chunks) != len(self.sigmas):
            raise ValueError(
                f"{len(self.chunks)} chunks but {len(self.sigmas)} step lists; give one list for each chunk"
            )

    @classmethod
    def uniform(cls, chunks: Sequence[int], steps: int, levels: Levels = step_sigmas, *, given: int = 0) -> "StepPlan":
        """The same `steps` for every chunk but the first `given` ones, which are given. `levels(n)` are the noise
        levels of n steps."""
        return cls(tuple(chunks), tuple(() if i < given else levels(steps) for i in range(len(chunks))))

    def enhance_first(self, first_steps: int, levels: Levels = step_sigmas) -> "StepPlan":
        """First-Frame Enhancement (ASD, arXiv 2511.01419): `first_steps` for the first generated chunk, the rest as
        they are."""
        first = next((i for i, sigmas in enumerate(self.sigmas) if sigmas), None)
        if first is None:
            return self
        return replace(self, sigmas=(*self.sigmas[:first], levels(first_steps), *self.sigmas[first + 1 :]))

    @classmethod
    def by_hand(
        cls, chunks: Sequence[int], steps: Sequence[int], levels: Levels = step_sigmas, *, given: int = 0
    ) -> "StepPlan":
        """`steps` of one generated chunk after the other; the last number serves all that follow."""
        numbers = [*steps, *[steps[-1]] * len(chunks)]
        sigmas = [() if i < given else levels(numbers[i - given]) for i in range(len(chunks))]
        return cls(tuple(chunks), tuple(sigmas))

    def start_at(self, strength: float) -> "StepPlan":
        """For chunks that start from a video noised to `strength`: that level, then those of the list below it.

        0 leaves no level, so every chunk is given; 1 leaves the lists as they are.
        """
        if strength >= 1:
            return self
        kept = [(strength, *(s for s in sigmas if s < strength - 1e-6)) if sigmas else () for sigmas in self.sigmas]
        return replace(self, sigmas=tuple(kept) if strength > 0 else ((),) * len(self.chunks))

    @property
    def forwards(self) -> int:
        """Network calls without guidance: the steps, and a clean pass for every chunk but the last."""
        return sum(len(s) for s in self.sigmas) + len(self.chunks) - 1
