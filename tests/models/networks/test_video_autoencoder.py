"""The video autoencoder: exact streaming, causality between groups, and what its losses measure."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.networks.codec import Codec
from models.networks.video_autoencoder import VideoAutoencoder
from models.training.discriminator import PatchDiscriminator
from models.training.loop import StepSeed
from models.training.recipes import RECIPES
from models.training.recipes.video_autoencoder import (
    as_groups,
    detail_loss,
    energy_loss,
    reconstruction_loss,
    rhythm_loss,
    shown_frames,
)

SMALL = {"encoder_widths": (8, 16), "decoder_widths": (8, 16), "encoder_layers": (1, 1), "decoder_layers": (1, 1)}


@pytest.fixture(scope="module")
def model() -> VideoAutoencoder:
    torch.manual_seed(0)
    network = VideoAutoencoder(**SMALL).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (17, 32, 48, 3), dtype=np.uint8)


def test_runs_of_any_length_decode_to_the_same_pixels(model, clip):
    codec = Codec(model)
    latents = codec.encode(clip)
    assert latents.shape == (1, 5, 16, 4, 6)
    whole = codec.decode(latents)
    assert whole.shape == clip.shape
    for cut in ([1, 4], [2, 3], [1, 1, 1, 1, 1], [4, 1]):
        parts = np.concatenate(list(codec.stream_decode(iter(latents.split(cut, 1)))))
        assert np.abs(parts.astype(int) - whole).max() <= 1


def test_a_latent_frame_is_of_its_own_frames_alone(model, clip):
    codec = Codec(model)
    changed = clip.copy()
    changed[5:9] = 255 - changed[5:9]  # the third latent frame's
    moved = (codec.encode(changed) - codec.encode(clip)).abs().amax((0, 2, 3, 4))
    assert moved[2] > 0 and torch.equal(moved[[0, 1, 3, 4]], torch.zeros(4))


def test_a_group_is_decoded_from_its_latent_frame_and_the_one_before(model, clip):
    codec = Codec(model)
    latents = codec.encode(clip)
    changed = latents.clone()
    changed[:, 2] += 1
    moved = np.abs(codec.decode(changed).astype(int) - codec.decode(latents)).max((1, 2, 3))
    assert (moved[:5] == 0).all() and (moved[5:13] > 0).all() and (moved[13:] == 0).all()


def test_pictures_of_another_size_and_bad_lengths(model):
    assert model.encode(torch.zeros(1, 3, 5, 64, 40)).latent_dist.mode().shape == (1, 16, 2, 8, 5)
    with pytest.raises(ValueError, match="4k \\+ 1"):
        model.encode(torch.zeros(1, 3, 4, 64, 64))


def test_the_first_frame_is_encoded_four_times():
    video = torch.arange(9.0).view(1, 9, 1, 1, 1).expand(1, 9, 3, 2, 2)
    assert as_groups(video)[0, :, :, 0, 0, 0].tolist() == [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]]


def test_losses_are_zero_for_the_same_and_grow_with_blur():
    torch.manual_seed(0)
    real = torch.rand(1, 3, 4, 3, 32, 32) * 2 - 1
    assert reconstruction_loss(real, real, 1.0) == 0 and detail_loss(real.flatten(0, 2), real.flatten(0, 2)) == 0
    kernel = torch.ones(3, 1, 3, 3) / 9
    blurred = torch.nn.functional.conv2d(real.flatten(0, 2), kernel, padding=1, groups=3)
    more = torch.nn.functional.conv2d(blurred, kernel, padding=1, groups=3)
    losses = [float(detail_loss(frames, real.flatten(0, 2))) for frames in (blurred, more)]
    assert 0.1 < losses[0] < losses[1]


def test_a_flicker_between_frames_costs_more_than_a_steady_error_of_its_size():
    real = torch.zeros(1, 3, 4, 3, 8, 8)
    steady, flicker = real + 0.1, real.clone()
    flicker[:, :, ::2] += 0.1
    flicker[:, :, 1::2] -= 0.1
    assert reconstruction_loss(flicker, real, 1.0) > reconstruction_loss(steady, real, 1.0) + 0.1


def test_losses_of_detail_have_known_values():
    """Half the amplitude is a quarter of the energy; one frame in four that is flatter is a rhythm, all are none."""
    torch.manual_seed(0)
    groups = 2 * torch.rand(2, 3, 4, 3, 32, 32) - 1
    halved = energy_loss(groups / 2, groups)
    assert energy_loss(groups, groups) == 0 and halved == pytest.approx(2 * math.log(2), rel=0.01)
    assert rhythm_loss(groups, groups) == 0
    assert rhythm_loss(groups / 2, groups) < 0.03
    uneven = groups.clone()
    uneven[:, :, 2] /= 2
    assert rhythm_loss(uneven, groups) > 0.25


def test_sharpening_from_published_weights_moves_the_decoder_alone(tmp_path):
    VideoAutoencoder().save_pretrained(tmp_path / "start")
    config = replace(
        RECIPES["video-autoencoder"].presets["smoke"],
        start=tmp_path / "start",
        sharpen_steps=4,
        energy=0.5,
        rhythm=0.5,
        adversarial=0.5,
        pools=tmp_path,
    )
    recipe = RECIPES["video-autoencoder"].build(config)
    before = {name: p.clone() for name, p in recipe.model.named_parameters()}
    logs = [recipe.step(step, StepSeed.at(0, step)) for step in range(2)]
    moved = {name for name, p in recipe.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved and all(name.startswith("decoder.") for name in moved)
    assert all(math.isfinite(log[name]) for log in logs for name in ("detail", "energy", "rhythm", "won", "penalty"))


def test_a_patch_logit_sees_34_pixels_of_every_frame_and_no_colour():
    torch.manual_seed(0)
    video = torch.rand(1, 9, 3, 64, 64, requires_grad=True)
    discriminator = PatchDiscriminator(9)
    logits = discriminator(video)
    assert logits.shape == (1, 1, 16, 16)
    (seen,) = torch.autograd.grad(logits[0, 0, 8, 8], video)
    rows, columns = (seen[0].abs().sum((0, 1, side)).nonzero().flatten() for side in (3, 2))
    assert len(rows) == len(columns) == 26 + 8  # and what the means are taken of
    assert (seen[0].abs().sum((1, 2, 3)) > 0).all()
    assert float(seen[0].sum((2, 3)).abs().max()) < 1e-5  # more of a colour everywhere changes nothing
    tinted = video.detach() + torch.tensor([0.2, -0.1, 0.3]).view(3, 1, 1)
    torch.testing.assert_close(discriminator(tinted).detach(), logits.detach(), atol=1e-5, rtol=1e-4)


def test_the_discriminators_pull_is_a_share_of_the_other_gradient_and_leads_to_real_clips(tmp_path):
    smoke = RECIPES["video-autoencoder"].presets["smoke"]
    config = replace(smoke, adversarial=0.3, critic_lr=2e-3, penalty=1.0, pools=tmp_path)
    recipe = RECIPES["video-autoencoder"].build(config)
    groups = as_groups(recipe.pool.batch(np.random.default_rng(0), 2, 64))
    output = torch.nn.functional.avg_pool2d(groups.flatten(0, 2), 5, 1, 2).view_as(groups).requires_grad_(True)
    for step in range(40):
        loss = reconstruction_loss(output, groups, 1.0)
        pull, logs = recipe.adversarial_pull(output, groups, loss, StepSeed.at(0, step))
    assert logs["won"] > 0.9
    (toward,) = torch.autograd.grad(pull, output)
    (other,) = torch.autograd.grad(loss, output)
    assert float(toward.norm()) == pytest.approx(0.3 * float(other.norm()), rel=1e-4)
    with torch.no_grad():
        before, after = (
            recipe.discriminator(shown_frames(video)).mean() for video in (output, output - 2 * toward / toward.norm())
        )
    assert after > before
