"""How pixel frames and latent frames count the same time: the first frame alone, then groups of four (Wan 2.1 VAE)."""

TEMPORAL = 4


def latent_frames(frames: int) -> int:
    """Latent frames that hold `frames` pixel frames: the first alone, then groups of four, rounded up."""
    return 1 + -(-(frames - 1) // TEMPORAL)


def pixel_frames(latents: int) -> int:
    """Pixel frames of `latents` latent frames: 4 * (latents - 1) + 1."""
    return TEMPORAL * (latents - 1) + 1
