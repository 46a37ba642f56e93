"""Paired tests against other implementations, known examples, and what they must do under no difference."""

from itertools import product

import numpy as np
import pytest

from eval.statistics.paired import holm, sign_flip_p, swap_p

# Darwin's maize: differences of heights of cross- and self-fertilised plants, Fisher's own example (1935, section 21)
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_sign_flip_on_fishers_example_and_by_brute_force():
    assert sign_flip_p(MAIZE, resamples=40_000) == pytest.approx(1726 / 2**15, abs=0.004)  # the count is Fisher's
    few = MAIZE[:6]
    sums = [abs(np.dot(signs, few)) for signs in product((1, -1), repeat=6)]
    assert sign_flip_p(few) == np.mean(np.array(sums) >= abs(sum(few)))


def test_swapping_sides_of_a_mean_is_flipping_signs():
    few = np.array(MAIZE[:8], float)
    assert swap_p(lambda mask: np.where(mask, -few, few).mean(), 8) == pytest.approx(sign_flip_p(few))


def test_p_is_even_where_nothing_differs():
    draws = np.random.default_rng(3).normal(size=(400, 20))
    found = np.array([sign_flip_p(row, resamples=400, seed=k) for k, row in enumerate(draws)])
    assert 0.02 < (found < 0.05).mean() < 0.09 and abs(found.mean() - 0.5) < 0.06


def test_holm_as_by_hand():
    assert holm([0.01, 0.04, None, 0.03, 0.005]) == pytest.approx([0.03, 0.06, None, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize("bad", [[], [[1.0]], [float("nan"), 1.0]])
def test_what_is_no_list_of_numbers_is_refused(bad):
    with pytest.raises(ValueError, match="cannot be tested"):
        sign_flip_p(bad)
