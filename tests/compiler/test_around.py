"""What lies around a compiled function changes between its calls, and its results follow."""

import argparse
import collections
import dataclasses
import sys
import types

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from tests.compiler.both_ways import X, assert_same_both_ways, network

ONES = np.ones((2, 3), "f4")
FACTOR = 2.0
PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    monkeypatch.setitem(globals(), "FACTOR", 2.0)


def around(function, change, compile, x=ONES):
    """Results before and after a change."""
    function = compile(function)
    before = function(pl.Tensor(x))
    change()
    return before, function(pl.Tensor(x)), function(pl.Tensor(x))


# Networks that are not called


@program
def layers_that_are_iterated_over(compile):
    model, found = network(), []

    def forward(x):
        for layer in model:
            x = layer(x)
        return x

    for change in (lambda: None, lambda: model.append(nn.Tanh()), lambda: model.__setitem__(0, nn.Linear(5, 6))):
        found.append(around(forward, change, compile, X))
    return found


@program
def a_mode_that_is_only_read(compile):
    model = network()
    return around(lambda x: x * (2.0 if model.training else 1.0), model.eval, compile)


@program
def a_parameter_that_is_replaced(compile):
    model = network()
    new = nn.Parameter(np.ones((6, 5), "f4"))
    return around(lambda x: x @ model[0].weight.T, lambda: setattr(model[0], "weight", new), compile, X)


@program
def a_list_of_layers(compile):
    layers = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])

    def forward(x):
        for layer in layers:
            x = layer(x)
        return x

    return around(forward, lambda: layers.append(nn.Tanh()), compile)


# What a network has besides parts


class Scene(nn.Module):
    kind = 1.0

    def __init__(self):
        super().__init__()
        self.part = nn.Linear(3, 3)
        self.factor, self.mask, self.scale = 1.0, np.full(3, 2.0, "f4"), pl.Tensor([3.0])
        self.options, self.factors = {"k": 2.0}, [[2.0]]
        self._hidden = collections.deque([2.0])

    def encode(self, x):
        return self.part(x) * self.factor * self.kind

    def outer(self, x):
        return x * FACTOR

    @property
    def doubled(self):
        return FACTOR * 2.0

    def forward(self, x):
        x = self.outer(x) * self.doubled * pl.Tensor(self.mask) * self.scale
        return x * self.options["k"] * self.factors[0][0] * self._hidden[0]


CHANGES = {
    "a number": lambda m: setattr(m, "factor", 5.0),
    "an array": lambda m: setattr(m, "mask", np.zeros(3, "f4")),
    "a Tensor": lambda m: setattr(m, "scale", pl.Tensor([7.0])),
    "a dict": lambda m: setattr(m, "options", {"k": 3.0}),
    "an item of a dict": lambda m: m.options.update(k=3.0),
    "an item of a list in a list": lambda m: m.factors[0].__setitem__(0, 3.0),
    "a private deque": lambda m: m._hidden.appendleft(5.0),
    "a global of a method": lambda m: globals().update(FACTOR=4.0),
    "a method": lambda m: setattr(m, "outer", lambda x: x * 9.0),
    "what the object says of the class": lambda m: setattr(m, "kind", 6.0),
    "an attribute that goes": lambda m: (setattr(m, "kind", 6.0), delattr(m, "kind")),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("method", ["forward", "encode"])
def test_attributes_of_a_network_may_change(name, method, tier):
    def both(compile):
        globals()["FACTOR"] = 2.0
        pl.manual_seed(0)
        scene = Scene()
        function = scene if method == "forward" else (lambda x: scene.encode(x))
        return around(function, lambda: CHANGES[name](scene), compile)

    assert_same_both_ways(both, tier)


@program
def a_layer_whose_class_gets_another_forward(compile):
    class Layer(nn.Module):
        def forward(self, x):
            return x * 2.0

    return around(Layer(), lambda: setattr(Layer, "forward", lambda self, x: x * 3.0), compile)


@program
def an_attribute_of_a_class(compile):
    class Options:
        scale = 2.0

    return around(lambda x: x * Options.scale, lambda: setattr(Options, "scale", 3.0), compile)


@program
def a_name_in_a_module_of_the_users_own(compile):
    settings = types.ModuleType("settings_of_a_user")
    settings.scale = 2.0
    settings.scaled = lambda x: x * settings.scale
    sys.modules["settings_of_a_user"] = settings
    try:
        return (
            around(lambda x: x * settings.scale, lambda: setattr(settings, "scale", 3.0), compile),
            around(lambda x: settings.scaled(x), lambda: setattr(settings, "scale", 4.0), compile),
        )
    finally:
        del sys.modules["settings_of_a_user"]


# Lists, dicts and objects


@program
def what_a_list_or_dict_holds(compile):
    numbers, tensors, layers = [2.0], {"w": pl.Tensor([2.0])}, [nn.Linear(3, 3)]
    return [
        around(lambda x: x * numbers[0], lambda: numbers.__setitem__(0, 3.0), compile),
        around(lambda x: x * tensors["w"], lambda: tensors.update(w=pl.Tensor([5.0])), compile),
        around(lambda x: layers[0](x), lambda: layers.__setitem__(0, nn.Linear(3, 3)), compile),
        around(lambda x: layers[0](x), lambda: layers[0].weight.requires_grad_(False), compile),
    ]


@program
def attributes_of_objects(compile):
    @dataclasses.dataclass
    class Options:
        scale: float = 2.0

    class Kept:
        __slots__ = ("scale",)

    class Read:
        @property
        def scale(self):
            return self.inner

    found = []
    for thing in (Options(), Kept(), types.SimpleNamespace(), argparse.Namespace()):
        thing.scale = 2.0
        found.append(around(lambda x, o=thing: x * o.scale, lambda o=thing: setattr(o, "scale", 3.0), compile))
        found.append(around(lambda x, o=thing: x * getattr(o, "scale"), lambda: None, compile))  # noqa: B009
    read = Read()
    read.inner = 2.0
    return found, around(lambda x: x * read.scale, lambda: setattr(read, "inner", 3.0), compile)


@program
def attributes_that_come_later(compile):
    class Options:
        scale = 2.0

    options = Options()
    return (
        around(lambda x: x * options.scale, lambda: setattr(options, "scale", 3.0), compile),
        around(lambda x: x * getattr(options, "more", 1.0), lambda: setattr(options, "more", 3.0), compile),
        around(lambda x: x * 2.0 if hasattr(options, "most") else x, lambda: setattr(options, "most", 3.0), compile),
    )


@program
def attributes_of_arguments(compile):
    options = types.SimpleNamespace(scale=2.0, more=[1.0])
    scaled, found = compile(lambda x, o: x * o.scale * o.more[0]), []
    for change in (lambda: None, lambda: setattr(options, "scale", 3.0), lambda: options.more.__setitem__(0, 5.0)):
        change()
        found.append(scaled(pl.Tensor(ONES), options))
    return found


@program
def defaults_and_attributes_of_functions(compile):
    def scaled(x, by=(2.0,)):
        return x * by[0] * scaled.more

    scaled.more = 1.0
    return (
        around(scaled, lambda: setattr(scaled, "__defaults__", ((3.0,),)), compile),
        around(scaled, lambda: setattr(scaled, "more", 2.0), compile),
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_follow_what_is_around(name, tier):
    assert_same_both_ways(PROGRAMS[name], tier)


def test_a_list_that_is_not_read_may_grow(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")

    class Noted(nn.Module):
        def __init__(self):
            super().__init__()
            self.losses = []

        def forward(self, x):
            return x * 2.0

        def note(self, loss):
            self.losses.append(loss)

    model = Noted()
    use = pl.compile(model)
    for n in range(5):
        use(pl.Tensor(ONES))
        model.note(n)
    assert use._recordings == 1
