"""Training losses as pure functions. Latents (B, T, C, H, W) float32; sigmas (B,) or (B, T)."""

from torch import Tensor
from torch.nn import functional as F

from models.sampling.schedulers import add_noise, per_frame


def flow_matching_loss(flow: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error to the target flow = noise - x0, unweighted (arXiv 2210.02747, on Wan's path)."""
    return F.mse_loss(flow, noise - x0)


def noisy_pair(x0: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """x_t for training noise levels (B,) or (B, T)."""
    return add_noise(x0, noise, per_frame(sigma))


def ode_regression_loss(x0: Tensor, target: Tensor, sigma: Tensor) -> Tensor:
    """MSE of x0 to the end of the teacher's trajectory over frames with sigma (B, T) > 0 (CausVid, arXiv
    2412.07772)."""
    noisy = per_frame(sigma > 0).expand_as(x0)
    return F.mse_loss(x0[noisy], target[noisy])


def dmd_gradient(x: Tensor, teacher_x0: Tensor, fake_x0: Tensor) -> Tensor:
    """Distribution-matching gradient: (fake - teacher) / mean|x - teacher|, DMD eq. 7-8 (arXiv 2311.18828);
    detached."""
    scale = (x - teacher_x0).abs().mean((1, 2, 3, 4), keepdim=True)
    return ((fake_x0 - teacher_x0) / scale).nan_to_num(0.0, 0.0, 0.0).detach()


def relativistic_loss(winner: Tensor, loser: Tensor) -> Tensor:
    """softplus(loser - winner), the relativistic pairing loss (R3GAN, arXiv 2501.05441); logits (B,)."""
    return F.softplus(loser - winner).mean()


def finite_difference_penalty(logits: Tensor, perturbed: Tensor) -> Tensor:
    """Approximate R1 or R2 (arXiv 2501.08316): mean squared change of the logits under a small Gaussian step of the
    input."""
    return (perturbed - logits).square().mean()
