"""What is told of an autoencoder: known values for error, detail and the rhythm of its groups."""

import cv2
import numpy as np
import pytest

from workbench.experiments.autoencoder_quality import clip_quality, group_rhythm, held_out_caption


def test_rhythm_of_known_curves():
    t = np.arange(48)
    assert group_rhythm(np.cos(2 * np.pi * t / 4)) == pytest.approx(1)
    assert group_rhythm((t % 4 == 0).astype(float)) == pytest.approx(1)
    assert group_rhythm(np.cos(2 * np.pi * t / 6)) == pytest.approx(0, abs=1e-12)
    assert group_rhythm(np.full(48, 3.0)) == 0
    mixed = np.cos(2 * np.pi * t / 4) + np.cos(2 * np.pi * t / 6)
    assert group_rhythm(mixed) == pytest.approx(0.5)


def test_rhythm_of_noise_is_what_two_of_47_frequencies_hold():
    rng = np.random.default_rng(0)
    assert np.mean([group_rhythm(rng.normal(size=48)) for _ in range(4000)]) == pytest.approx(3 / 47, abs=0.003)


def test_the_same_clip_lacks_nothing_and_a_blurred_one_its_finest_detail():
    real = np.random.default_rng(1).integers(0, 256, (13, 64, 64, 3), dtype=np.uint8)
    same = clip_quality(real, real)
    assert same.psnr > 100 and np.allclose(same.detail, 1)
    assert same.sharpness_rhythm == same.sharpness_rhythm_real and same.flicker_rhythm == same.flicker_rhythm_real
    blurred = clip_quality(real, np.stack([cv2.GaussianBlur(f, (0, 0), 1.0) for f in real]))
    assert blurred.detail[0] < 0.05 and blurred.detail == sorted(blurred.detail)


def test_error_of_one_level_is_48_decibels():
    real = np.full((5, 32, 32, 3), 100, np.uint8)
    assert clip_quality(real, real + 1).psnr == pytest.approx(20 * np.log10(255))


def test_every_fourth_frame_sharper_is_heard_as_rhythm():
    rng = np.random.default_rng(2)
    real = rng.integers(0, 256, (49, 32, 32, 3), dtype=np.uint8)
    made = np.stack([f if t % 4 == 0 else cv2.GaussianBlur(f, (0, 0), 1.0) for t, f in enumerate(real)])
    quality = clip_quality(real, made)
    assert quality.sharpness_rhythm > 0.95 and quality.flicker_rhythm > 0.8 and quality.sharpness_rhythm_real < 0.3


def test_captions_are_held_out_and_name_their_ground():
    captions = [held_out_caption("stone", np.random.default_rng(i)) for i in range(8)]
    assert all(caption.held_out and caption.ground == "stone" for caption in captions)
