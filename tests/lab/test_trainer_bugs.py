"""The trainer by hand: the numbers of the classic example, the gradient without mistakes, and each mistake caught."""

import numpy as np
import pytest

from pellucid.lab import trainer_bugs
from pellucid.lab.trainer_bugs import MISTAKES, Trainer, check, start

pytest.importorskip("matplotlib")


def test_the_classic_example_has_its_known_numbers() -> None:
    trainer = Trainer(*start(0))
    loss, found = trainer.gradients()
    assert loss == pytest.approx(0.725886, abs=5e-7)
    expected = {
        "weights1": [-0.00069152, -0.00487985, -0.00054666, -0.0012974],
        "biases1": [0.00135387, 0.0100023],
        "weights2": [-0.06905948, -0.07491845],
        "biases2": [-0.09676674],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].ravel(), values, atol=1e-7)
    losses = trainer.train(1000)
    assert [round(losses[n], 4) for n in (100, 500, 999)] == [0.6970, 0.6925, 0.6919]


def test_the_gradient_without_mistakes_agrees_with_differences() -> None:
    x, y, weights = start(3)
    _, found = Trainer(x, y, weights).gradients()
    for name, place in (("weights1", (1, 0)), ("biases1", (1,)), ("weights2", (0, 0)), ("biases2", (0,))):
        sides = []
        for step in (1e-5, -1e-5):
            moved = {key: value.copy() for key, value in weights.items()}
            moved[name][place] += step
            sides.append(Trainer(x, y, moved).gradients()[0])
        assert found[name][place] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_mistake_is_caught_and_the_correct_trainer_passes(seed: int) -> None:
    assert check(Trainer(*start(seed))).ways == 0
    for name, kind in MISTAKES.items():
        assert check(kind(*start(seed))).ways >= 1, name


def test_how_each_mistake_shows() -> None:
    caught = {name: check(kind(*start(0))) for name, kind in MISTAKES.items()}
    assert caught["sum"].gradient_off == pytest.approx(999)  # a thousand times too large
    assert [name for name, c in caught.items() if c.shape_off] == ["merged-bias"]
    assert [name for name, c in caught.items() if c.refused] == ["broadcast"]
    assert [name for name, c in caught.items() if c.loss_off > 1e-9] == ["broadcast"]


def test_the_verdict() -> None:
    found = trainer_bugs.run(0)
    assert found.confirmed
    assert (found.value("bugs-caught"), found.value("bugs-planted")) == (5, 5)
    assert found.value("bugs-silent") == 4
    assert found.value("bugs-off-correct") < 1e-12
    # Labels do not depend on inputs: nothing is explained beyond chance.
    assert found.value("bugs-dependence") < 1


def test_a_mistake_that_is_none_goes_uncaught() -> None:
    planted = trainer_bugs.run(0, mistakes={**MISTAKES, "sum": Trainer}, steps=5)
    assert planted.confirmed is False
    assert planted.value("bugs-caught") == 4


def test_a_trainer_that_runs_away_is_shown_all_the_same() -> None:
    # With this seed the summed gradients drive outputs to 0 and 1, and the loss to infinity.
    found = trainer_bugs.run(2**32 - 1, steps=30)
    assert found.value("bugs-caught") == 5
    assert found.figure.startswith(b"\x89PNG")
