"""CausVid (arXiv 2412.07772): asymmetric distribution matching, a causal student under a bidirectional teacher.

The student sees real clips, each chunk at a noise level of its own from the step list (0 included), under the
chunk-causal mask, and its predictions of all chunks are matched at once. There is no rollout: what it sees of its past
in training is real, at inference it is its own. That gap is what Self Forcing closes.

With `causal_scores` and the causal teacher in the teacher's role this is the paper's negative control.
"""

import torch
from torch import Tensor

from models.sampling.noise_levels import step_sigmas
from models.sampling.schedulers import x0_from_flow
from models.training.distillation import CHUNKS
from models.training.loop import StepSeed
from models.training.losses import noisy_pair
from models.training.recipes.self_forcing import SelfForcingConfig, SelfForcingRecipe


class CausVidRecipe(SelfForcingRecipe):
    """Self Forcing's roles; the generator's clips come from noised real ones."""

    def __init__(self, config: SelfForcingConfig) -> None:
        super().__init__(config)
        self.clips = self.real_clips()
        self.levels = torch.tensor([*step_sigmas(config.sampler_steps), 0.0])

    def generate(self, seed: StepSeed) -> tuple[Tensor, Tensor, str]:
        x0, captions = self.clips.batch(seed.numpy, self.config.batch)
        level = torch.tensor(seed.numpy.integers(len(self.levels), size=(len(x0), len(CHUNKS))))
        sigma = self.levels[level].repeat_interleave(torch.tensor(CHUNKS), 1)
        noisy = noisy_pair(x0, torch.randn(x0.shape, generator=seed.torch), sigma)
        text = self.text.embed(captions)
        flow = self.generator(noisy, 1000 * sigma, text, chunks=CHUNKS)
        return x0_from_flow(noisy, flow, sigma[:, :, None, None, None]), text, "forced"
