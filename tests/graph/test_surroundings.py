"""The names that a function looks up outside of itself: found, compared and put back."""

import functools

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.graph.surroundings import Surroundings

SCALE = 2.0
TABLE = {"a": [1]}


def uses_scale(x):
    return x * SCALE + len(TABLE)


def uses_it_indirectly(x):
    return [uses_scale(y) for y in x]


class Trainer:
    rate = 1.0

    def __init__(self):
        self.model, self.factor, self.unread = nn.Linear(2, 1), 3.0, 1

    def step(self, x):
        return self._loss(x)

    def _loss(self, x):
        return self.model(x) * self.factor * SCALE


class Scaled(nn.Module):
    def forward(self, x):
        return x * SCALE


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    monkeypatch.setitem(globals(), "TABLE", {"a": [1]})


TRAINER = Trainer()


@pytest.mark.parametrize(
    "function",
    [
        uses_scale,
        uses_it_indirectly,
        functools.partial(uses_scale),
        lambda x: uses_scale(x),
        lambda x: (lambda: SCALE),
        TRAINER.step, lambda x: TRAINER.step(x), Scaled(), nn.Sequential(Scaled()), pl.compile(uses_scale),
        functools.wraps(np.sin)(lambda x: uses_scale(x)),
    ],
)  # fmt: skip
def test_a_global_is_found(function):
    around = Surroundings(function)
    assert around.still_hold()
    globals()["SCALE"] = 2.0 + len("")  # the same number
    assert around.still_hold()
    globals()["SCALE"] = 5.0
    assert not around.still_hold()
    assert around.changed() == "SCALE"
    around.put_back()
    assert around.still_hold()
    assert SCALE == 2.0


def test_a_closure_is_found_also_one_that_is_filled_later():
    def inner(x):
        return x * factor

    around = Surroundings(inner)
    factor = 3.0
    assert not around.still_hold()
    around = Surroundings(inner)
    factor = 4.0
    assert (around.still_hold(), around.changed()) == (False, "a name of the closure")
    around.put_back()
    assert factor == 3.0


@pytest.mark.parametrize("through", ["method", "object"])
def test_attributes_that_are_read_are_found(through):
    trainer = Trainer()
    around = Surroundings(trainer.step if through == "method" else lambda x: trainer.step(x))
    trainer.unread = 2
    assert around.still_hold()
    trainer.model = nn.Linear(2, 1)
    assert around.changed() == "model"
    around.put_back()
    trainer.factor = 5.0
    assert around.changed() == "factor"
    around.put_back()
    assert (around.still_hold(), trainer.factor, trainer.unread) == (True, 3.0, 2)


@pytest.mark.parametrize(
    "change",
    [lambda x: x.append(1), lambda x: x.clear(), lambda x: x.__setitem__(0, 7), lambda x: x.reverse()],
)
def test_contents_are_compared_and_put_back(change):
    noted, first = [1, 2], object()
    kept = {"a": noted, "b": {first}}

    def function():
        return kept

    around = Surroundings(function)
    change(noted)
    assert around.still_hold()  # what a name stands for is the same list
    assert around.changed() == "a name of the closure"
    around.put_back()
    assert (noted, around.changed()) == ([1, 2], "")
    kept["b"].add(3)
    kept["c"] = 1
    around.put_back()
    assert kept == {"a": [1, 2], "b": {first}}


def test_an_array_is_itself_and_no_comparison_of_elements():
    array = np.ones(3)

    def function():
        return array

    around = Surroundings(function)
    assert around.still_hold()
    array = np.ones(3)
    assert not around.still_hold()


def test_a_function_that_calls_itself_and_one_without_code():
    def recursive(n):
        return recursive(n - 1)

    assert Surroundings(recursive).still_hold()
    assert Surroundings(np.sin).still_hold()
    assert Surroundings(nn.Linear(2, 1)).still_hold()
