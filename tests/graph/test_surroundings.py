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
    assert (around.still_hold(), around.changed()) == (False, "factor")
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
    assert (around.still_hold(), trainer.factor, trainer.unread) == (True, 3.0, 1)


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
    assert not around.still_hold()
    assert around.changed() == "kept"
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


# Parts, classes and modules


class Reading(nn.Module):
    kind = 1.0

    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleList([nn.Linear(2, 1)])
        self.factors, self.unread = [1.0], [1.0]

    def helper(self, x):
        return x * SCALE * self.factors[0] * self.kind

    @property
    def worked_out(self):
        return TABLE["a"][0]

    def forward(self, x):
        return self.helper(x) * self.worked_out


class ByWord(Reading):
    def forward(self, x):
        return getattr(self, "hel" + "per")(x)


READING = {"forward": Reading, "by word": ByWord}


@pytest.mark.parametrize("name", READING)
def test_a_networks_methods_and_lists_are_looked_into(name):
    layer = READING[name]()
    for function in (layer, layer.forward, lambda x: layer.helper(x), lambda x: [m(x) for m in [layer]]):
        around = Surroundings(function)
        for change in (
            lambda: globals().update(SCALE=7.0),
            lambda: layer.factors.append(2.0),
            lambda: setattr(Reading, "kind", 2.0),
        ):
            assert around.still_hold()
            change()
            assert not around.still_hold()
            assert around.changed()
            around.put_back()
    assert (layer.factors, Reading.kind, SCALE) == ([1.0], 1.0, 2.0)


def test_a_networks_list_that_nobody_names_is_only_put_back():
    layer = Reading()
    around = Surroundings(layer)
    layer.unread.append(2.0)
    assert (around.still_hold(), around.changed()) == (True, "Reading.unread")
    around.put_back()
    assert layer.unread == [1.0]


def test_networks_are_found_wherever_they_are():
    first, second, third = nn.Linear(2, 1), nn.ModuleList([nn.Linear(2, 1)]), nn.Linear(1, 1)
    holder = Trainer()
    holder.parts = {"a": [third]}

    def function(x, given=first):
        return [given(x), second, holder.parts]

    found = Surroundings(function).networks
    assert {id(m) for m in (first, second, third)} <= {id(m) for m in found}
    assert [id(m) for m in Surroundings(np.sin, [first]).networks] == [id(first)]


def test_names_that_a_function_makes_are_taken_away_again():
    def makes():
        global MADE_HERE
        MADE_HERE = 1

    around = Surroundings(makes)
    makes()
    assert around.changed() == "MADE_HERE"
    around.put_back()
    assert "MADE_HERE" not in globals()


def test_a_long_list_is_not_looked_into_before_every_run():
    items = list(range(1000))
    around = Surroundings(lambda: items)
    items[0] = 7
    assert (around.still_hold(), around.changed()) == (True, "items")
