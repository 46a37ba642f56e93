"""The speed of training is told right for a step whose work is known."""

from types import SimpleNamespace

import pytest
import torch

from models.training.discriminator import VideoDiscriminator
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


class Reading(Recipe):
    """A discriminator's update: its readers give a parameter, the query, to their modules."""

    def __init__(self):
        torch.manual_seed(0)
        self.averages, self.config = {}, SimpleNamespace(batch=2)
        self.heads = VideoDiscriminator(16, 2, (0, 1), 3)
        self.states = [torch.randn(2, 24, 16) for _ in range(2)]

    def step(self, step, seed):
        with torch.no_grad():
            self.heads(self.states)
        self.heads(self.states).sum().backward()
        return {}


def test_a_step_with_a_parameter_for_an_input_is_counted():
    found = speed(Reading(), "reading", "none", first=0, steps=1, precision="fp32")
    assert found.gflop > 2 * 2 * 2 * 24 * 16 * 16 * 2 / 1e9  # at least the keys and values of both readers


@pytest.mark.alone
def test_operations_and_share_of_a_step_that_only_multiplies():
    recipe = TwoProducts()
    found = speed(recipe, "two-products", "none", first=7, steps=5, precision="fp32")
    assert found.gflop == pytest.approx(2 * 2 * 768**3 / 1e9)
    # counted, then run once to compile, then timed: the same steps each time
    assert recipe.numbers == [7, 8, 9, 10, 11] * 3
    assert found.gflops == pytest.approx(found.gflop / found.seconds)
    assert 0.05 < found.share < 1.5 and found.batch == 4
