"""Batches of different sizes: the noise of their gradient, how far they lead, and what becomes of flatness when it is
compared at equal loss."""

import itertools
import math

import numpy as np
import pytest

from pellucid import nn, optim
from pellucid.core.rng import manual_seed
from pellucid.data import Dataset, two_moons
from pellucid.lab import batch_size, flatness, gradient_noise
from pellucid.lab.flatness import Place, Trial
from pellucid.lab.interval import Interval, interval, student
from pellucid.train import evaluate, fit

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(("freedom", "quantile"), [(4, 2.776), (9, 2.262), (30, 2.042), (10**6, 1.960)])
def test_students_quantile(freedom: int, quantile: float) -> None:
    assert student(freedom) == pytest.approx(quantile, rel=0.01)  # tables


def test_an_interval_and_what_it_says() -> None:
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3.0
    assert found.high - 3.0 == pytest.approx(2.776 * math.sqrt(2.5 / 5), rel=0.01)
    assert 3.0 - found.low == pytest.approx(found.high - 3.0)
    assert Interval(2.0, 1.0, 3.0).effect(0.5) == "shown"
    assert Interval(0.2, 0.1, 0.3).effect(0.5) == "absent"  # above 0, and too little to matter
    assert Interval(-2.0, -3.0, -1.0).effect(0.5) == "absent"
    assert Interval(0.5, -0.5, 1.5).effect(0.5) == "open"


def test_the_share_of_a_way_that_leads_uphill() -> None:
    way = batch_size.Way(2, np.array([0, 1, 2, 4]), np.array([4.0, 2.0, 3.0, 1.0]))
    assert way.uphill == 1 / 5  # down 2, up 1, down 2
    assert (way.end, way.after(2), way.after(3)) == (1.0, 3.0, 1.0)


def test_the_way_of_the_full_batch_is_that_of_fit() -> None:
    data = two_moons(100, seed=1)
    way = batch_size.way(data, 100, 0.1, 5, seed=2)
    manual_seed(2)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    sgd = optim.SGD(model.parameters(), lr=0.1)
    fit(model, data, loss=nn.CrossEntropyLoss(), optimizer=sgd, epochs=5, batch_size=None, seed=2, verbose=0)
    assert way.steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert way.end == pytest.approx(evaluate(model, data, loss=nn.CrossEntropyLoss())["loss"], rel=1e-6)


def test_small_batches_lead_further_by_their_steps() -> None:
    found = batch_size.run(0, epochs=2)
    assert found.confirmed
    # ⌈1000 / B⌉
    assert [found.value(f"steps-{name}") for name in ("online", "mini", "full")] == [1000, 32, 1]
    # A rate a thousand times smaller for a thousand times as many steps is no longer further.
    planted = batch_size.run(0, rates=(5e-5, 0.05, 0.05), epochs=1)
    assert planted.confirmed is False
    assert planted.conclusion != found.conclusion


def rows_of_five() -> tuple[nn.Linear, Dataset]:
    manual_seed(3)
    random = np.random.default_rng(0)
    return nn.Linear(2, 2), Dataset(random.normal(size=(5, 2)).astype(np.float32), np.array([0, 1, 1, 0, 1]))


def test_a_gradient_against_the_one_of_softmax_regression() -> None:
    model, data = rows_of_five()
    rows = np.array([0, 2, 3])
    x, y = data.x[rows].astype(np.float64), np.asarray(data.y)[rows]
    z = x @ model.weight.numpy().T.astype(np.float64) + model.bias.numpy()
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    off = (p - np.eye(2)[y]) / 3
    expected = np.concatenate([(off.T @ x).ravel(), off.sum(axis=0)])
    np.testing.assert_allclose(gradient_noise.gradient(model, data, rows), expected, atol=1e-6)


def test_the_predicted_noise_is_that_of_all_batches_there_are() -> None:
    model, data = rows_of_five()
    singles = np.array([gradient_noise.gradient(model, data, np.array([n])) for n in range(5)])
    whole = singles.mean(axis=0)
    batches = [np.array(pair) for pair in itertools.combinations(range(5), 2)]
    squared = np.mean([np.sum((gradient_noise.gradient(model, data, b) - whole) ** 2) for b in batches])
    variance = float(singles.var(axis=0, ddof=1).sum())
    generator = np.random.default_rng(0)
    found = gradient_noise.measured(model, data, 2, variance, generator, gradient_noise.at_random)
    assert found.expected == pytest.approx(squared, rel=1e-5)
    assert found.deviation < 4


def by_class(generator: np.random.Generator, data: Dataset, size: int) -> np.ndarray:
    """Batches of one class each."""
    same = np.flatnonzero(np.asarray(data.y) == generator.integers(2))
    return generator.choice(same, min(size, len(same)), replace=False)


def test_noise_falls_with_the_root_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_noise, "BATCHES", 60)
    found = gradient_noise.run(0)
    assert found.confirmed
    assert found.value("noise-exponent") == pytest.approx(-0.5, abs=0.05)
    planted = gradient_noise.run(0, by_class)
    assert planted.confirmed is False


def place(loss: float, sharpness: float, accuracy: float, epochs: int = 10) -> Place:
    return Place(epochs, loss, sharpness, accuracy)


def trials(
    ratio: float, better: float, better_than_fast: float, off: float = 0.0, scatter: float = 0.001
) -> list[Trial]:
    """Ten trials whose large batch is so much sharper, and whose small batch is so much more accurate."""
    shifts = scatter * np.linspace(-1, 1, 10)
    return [
        Trial(
            small=place(0.01, 0.05, 0.9),
            large=place(0.01 * (1 + off), 0.05 * ratio, 0.9 - better + s, 500),
            higher=place(0.01, 0.05 * ratio, 0.9 - better_than_fast + s, 200),
            early=place(1.7, 0.05, 0.5),
        )
        for s in shifts
    ]


@pytest.mark.parametrize(
    ("given", "confirmed", "conclusion"),
    [
        (trials(3.0, 0.02, 0.02), True, "flatness"),
        (trials(1.0, 0.02, 0.02), False, "flatness-no-flatter"),
        (trials(0.5, 0.02, 0.02), False, "flatness-no-flatter"),
        (trials(3.0, 0.004, 0.02), False, "flatness-no-better"),
        (trials(3.0, -0.02, -0.02), False, "flatness-no-better"),
        (trials(3.0, 0.02, 0.001), False, "flatness-rate"),
        (trials(3.0, 0.02, 0.02, scatter=0.2), None, "flatness-open"),
        (trials(3.0, 0.02, 0.02, off=0.2), None, "flatness-not-equal"),
    ],
)
def test_the_verdict_on_flatness_follows_the_numbers(
    given: list[Trial], confirmed: bool | None, conclusion: str
) -> None:
    found = flatness.judged(given)
    assert found[:2] == (confirmed, conclusion)
    assert found[2][0].mean == pytest.approx(math.log(given[0].large.sharpness / given[0].small.sharpness))


def test_other_weights_of_the_same_function() -> None:
    rows, _ = flatness.pictures(0)
    model = flatness.network(1)
    outputs = flatness.multiplied(model, 10.0)(rows.x).numpy()
    np.testing.assert_allclose(outputs, model(rows.x).numpy(), rtol=1e-4, atol=1e-5)
    plain, adaptive = flatness.rescaling(model, rows)
    assert adaptive == pytest.approx(1.0, rel=1e-3)
    assert plain > 2


def test_a_trial_ends_at_equal_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatness, "TARGET", 0.1)
    found = flatness.trial(0, 8, 2.5)
    assert found.equal
    assert found.small.loss <= 0.1
    assert found.large.loss == pytest.approx(found.small.loss, rel=0.05)
    # Equally many epochs are far fewer steps.
    assert found.early.epochs == found.small.epochs < found.higher.epochs < found.large.epochs
    assert found.early.loss > 5 * found.small.loss
    picture = flatness.figure([found, found], [found.small], [found.large], (20.0, 1.0))
    assert picture.startswith(b"\x89PNG")


@pytest.mark.long
def test_flatness() -> None:
    found = flatness.run(0)
    assert found.value("sharpness-ratio-low") > 1.5
    assert found.value("rescaled-adaptive") == pytest.approx(1.0, rel=1e-3)
    assert found.value("equal-epochs-ratio") < found.value("sharpness-ratio-low")
    assert found.confirmed is not True or found.value("accuracy-gap-low") > 0
