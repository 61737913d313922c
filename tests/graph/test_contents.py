"""Contents of lists, dicts, arrays and objects: kept, compared and put back."""

import collections
import itertools
import random
import types

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.graph.contents import Contents, is_users


class Slotted:
    __slots__ = ("more", "value")

    def __init__(self):
        self.value = 1


class Plain:
    def __init__(self):
        self.value, self.inner = 1, [Slotted()]


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.part, self._private, self.options = nn.Linear(2, 1), 1, {"a": [1]}

    def forward(self, x):
        return self.part(x)


def function():
    return None


function.calls = 1

THINGS = {
    "list": (lambda: [1, 2], lambda x: x.reverse()),
    "nested": (lambda: {"a": {"b": [1]}}, lambda x: x["a"]["b"].append(2)),
    "tuple": (lambda: ([1],), lambda x: x[0].clear()),
    "order of a dict": (lambda: {"a": 1, "b": 2}, lambda x: x.update(a=x.pop("a"))),
    "type of a number": (lambda: [1], lambda x: x.__setitem__(0, True)),
    "set": (lambda: {1, 2}, lambda x: x.discard(1)),
    "deque": (lambda: collections.deque([1, 2], maxlen=2), lambda x: x.append(3)),
    "defaultdict": (lambda: collections.defaultdict(int, a=1), lambda x: x["b"]),
    "Counter": (lambda: collections.Counter("aab"), lambda x: x.update("ab")),
    "OrderedDict": (lambda: collections.OrderedDict(a=1, b=2), lambda x: x.move_to_end("a")),
    "array": (lambda: np.array([1.0, np.nan]), lambda x: x.__setitem__(0, 2.0)),
    "generator": (lambda: np.random.default_rng(0), lambda x: x.random()),
    "RandomState": (lambda: np.random.RandomState(0), lambda x: x.rand()),
    "Random": (lambda: random.Random(0), lambda x: x.random()),
    "object": (Plain, lambda x: setattr(x, "value", 2)),
    "object in an object": (Plain, lambda x: setattr(x.inner[0], "value", 2)),
    "new attribute": (Plain, lambda x: setattr(x, "other", 2)),
    "slot": (Slotted, lambda x: setattr(x, "value", 2)),
    "new slot": (Slotted, lambda x: setattr(x, "more", 2)),
    "no slot": (Slotted, lambda x: delattr(x, "value")),
    "namespace": (lambda: types.SimpleNamespace(a=1), lambda x: setattr(x, "a", 2)),
    "function": (lambda: function, lambda x: setattr(x, "calls", x.calls + 1)),
    "network": (Layer, lambda x: setattr(x, "_private", 2)),
    "list of a network": (Layer, lambda x: x.options["a"].append(2)),
    "part of a network": (lambda: nn.Sequential(Layer()), lambda x: setattr(x[0].part, "weight", None)),
}


@pytest.mark.parametrize("name", THINGS)
def test_a_change_is_seen_and_put_back(name):
    make, change = THINGS[name]
    thing, contents = make(), Contents()
    contents.add("thing", thing)
    assert contents.changed() == ""
    contents.put_back()
    assert contents.changed() == ""
    for _ in range(2):
        change(thing)
        assert contents.changed()
        contents.put_back()
        assert contents.changed() == ""


def test_what_changed_is_named():
    plain, layer, contents = Plain(), Layer(), Contents()
    contents.add("plain", {"inside": plain})
    contents.add("layer", layer)
    plain.inner.append(1)
    assert contents.changed() == "Plain.inner"
    contents.put_back()
    layer.other = 1
    assert contents.changed() == "Layer.other"


def test_what_modules_keep_for_themselves_is_no_change():
    layer, contents = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1)), Contents()
    contents.add("layer", layer)
    layer(np.ones((3, 2), "f4"))
    layer.behaviour()
    list(layer.parameters())
    assert contents.changed() == ""


def test_a_network_that_is_put_back_says_so_of_its_behaviour():
    layer, contents = Layer(), Contents()
    before = layer.behaviour()
    contents.add("layer", layer)
    layer._private = 2
    assert layer.behaviour() != before
    contents.put_back()
    assert layer.behaviour() == before


def test_tensors_optimizers_of_the_library_and_what_is_large_are_left_alone():
    layer = nn.Linear(2, 1)
    optimizer, large, tensor = optim.Adam(layer.parameters()), np.zeros(2**18), pl.ones((2,))
    contents = Contents()
    contents.add("all", [optimizer, large, tensor, itertools.count(), layer])
    large[0] = 1.0
    tensor.data[0] = 5.0
    optimizer.defaults["lr"] = 7.0
    assert contents.changed() == ""


def test_things_that_hold_each_other_and_many_things():
    circle = []
    circle.append(circle)
    contents = Contents()
    contents.add("circle", circle)
    contents.add("many", [[n] for n in range(30_000)])
    circle.append(1)
    assert contents.changed() == "circle"
    contents.put_back()
    assert circle == [circle]


def test_whose_a_module_is():
    assert [is_users(m) for m in (__name__, "__main__", None)] == [True, True, True]
    assert not any(map(is_users, ["numpy", "collections", "pellucid.nn", "pytest"]))


def test_what_modules_work_out_for_themselves_is_no_content():
    """`graph` lies below `nn`, and so says itself which attributes these are."""
    from pellucid.graph.contents import _OWN
    from pellucid.nn._parts import OF_THIS_OBJECT

    assert set(OF_THIS_OBJECT) <= _OWN
