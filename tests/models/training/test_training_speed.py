"""The speed of training is told right for a step whose work is known."""

from types import SimpleNamespace

import pytest
import torch

from models.training.loop import Recipe
from workbench.lab.training_speed import speed


class TwoProducts(Recipe):
    """Two products of 768 x 768 matrices."""

    def __init__(self):
        self.averages, self.config = {}, SimpleNamespace(batch=4)
        self.numbers = []
        self.a = torch.randn(768, 768)

    def step(self, step, seed):
        self.numbers.append(step)
        return {"norm": float((self.a @ self.a @ self.a).norm())}


@pytest.mark.alone
def test_operations_and_share_of_a_step_that_only_multiplies():
    recipe = TwoProducts()
    found = speed(recipe, "two-products", "none", first=7, steps=5, precision="fp32")
    assert found.gflop == pytest.approx(2 * 2 * 768**3 / 1e9)
    # counted, then run once to compile, then timed: the same steps each time
    assert recipe.numbers == [7, 8, 9, 10, 11] * 3
    assert found.gflops == pytest.approx(found.gflop / found.seconds)
    assert 0.05 < found.share < 1.5 and found.batch == 4
