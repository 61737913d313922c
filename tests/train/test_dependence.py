"""The permutation test: no false alarm on data that can be learned, an alarm where labels were given out unseen."""

from typing import Any

import numpy as np
import pytest

from pellucid import data
from pellucid.errors import DataError
from pellucid.train import label_dependence

SETS = {
    "xor": lambda seed: data.xor(200, seed=seed),
    "xor_small": lambda seed: data.xor(40, seed=seed),
    "two_moons": lambda seed: data.two_moons(200, seed=seed),
    "circles": lambda seed: data.circles(100, seed=seed),
    "spirals": lambda seed: data.spirals(300, seed=seed),
    "blobs": lambda seed: data.blobs(60, seed=seed),
    "curve": lambda seed: data.curve(seed=seed),
}


@pytest.mark.parametrize("name", SETS)
def test_no_false_alarm(name: str) -> None:
    for seed in range(10):
        assert label_dependence(SETS[name](seed), seed=seed).verdict == "dependent"


def test_no_false_alarm_on_the_digits() -> None:
    digits = data.digits()
    for seed in range(10):
        part = digits[np.random.default_rng(seed).choice(len(digits), 400, replace=False)]
        assert label_dependence(part, seed=seed).verdict == "dependent"


def unrelated(seed: int) -> tuple[Any, Any]:
    x = np.random.RandomState(seed).randn(1000, 2)
    return x, np.repeat([1, 0], 500)


def test_labels_that_were_given_out_by_row_number_are_independent_of_normal_inputs() -> None:
    found = label_dependence(*unrelated(0))
    assert found.verdict == "independent"
    assert found.rows == 1000
    assert len(found.permuted) == 20
    # The chance of a score 2 deviations above 20 shuffles is about 3 in 100, for each of two learners.
    verdicts = [label_dependence(*unrelated(seed), seed=seed).verdict for seed in range(1, 11)]
    assert "dependent" not in verdicts
    assert verdicts.count("independent") >= 8


def test_noise_in_high_dimension_is_independent_and_one_faint_column_is_not() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(3000, 64))
    assert label_dependence(x, random.integers(0, 10, 3000)).verdict == "independent"
    assert label_dependence(x, (x[:, 5] + 3 * random.normal(size=3000) > 0).astype(int)).verdict == "dependent"


def test_float_targets() -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(300, 3))
    y = np.stack([np.sin(x[:, 0]), random.normal(size=300)], axis=1)
    assert label_dependence(x, y).verdict == "dependent"
    assert label_dependence(x, random.normal(size=(300, 1))).verdict in ("independent", "unclear")


def test_the_same_seed_gives_the_same_answer() -> None:
    assert label_dependence(*unrelated(3), seed=5) == label_dependence(*unrelated(3), seed=5)


def test_too_little_to_tell() -> None:
    assert label_dependence(data.xor()).verdict == "too_few"
    assert label_dependence(np.random.default_rng(0).normal(size=(50, 2)), np.zeros(50, int)).verdict == "too_few"
    assert label_dependence(np.ones((50, 2)), np.arange(50) % 2).verdict != "dependent"
    with pytest.raises(DataError, match="no targets"):
        label_dependence(np.zeros((50, 2)))
