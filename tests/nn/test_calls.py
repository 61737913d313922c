"""Calling a Module: raw inputs, hooks, errors that name the layer, scopes of a recorded call, and its repr."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.core.context import state
from pellucid.errors import ModelError, ShapeError


class Net(nn.Module):
    def __init__(self) -> None:
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.head = nn.Linear(4, 2, bias=False)
        self.scale = nn.Parameter([2.0])

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.head(self.encoder(x)) * self.scale


def test_raw_data_take_the_dtype_of_the_network() -> None:
    seen = []
    net = Net()
    net.encoder.register_forward_pre_hook(lambda module, args: seen.append(args[0].dtype))
    for data in ([[1, 2, 3]], [[1.0, 2.0, 3.0]], np.ones((1, 3)), np.ones((1, 3), np.uint8), np.ones((1, 3), bool)):
        assert net(data).dtype == np.float32
    assert set(seen) == {np.dtype(np.float32)}
    assert net(pl.Tensor(np.ones((1, 3)))).dtype == np.float64  # a Tensor is taken as it is


def test_of_the_other_arguments_only_floats_are_cast() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 2)

        def forward(self, x, mask, lengths, factor, names, nothing=None):  # type: ignore[no-untyped-def]
            assert x.dtype == factor.dtype == np.float32
            assert mask.dtype == np.bool_
            assert lengths.dtype == np.int64
            assert names == ["a"]
            assert nothing is None
            return self.layer(x) * factor

    y = Masked()([[1, 2]], np.array([True]), np.array([2]), np.array([0.5]), ["a"], nothing=None)
    assert y.shape == (1, 2)


def test_lists_of_tensors_are_left_alone() -> None:
    class Sum(nn.Module):
        def forward(self, parts):  # type: ignore[no-untyped-def]
            return parts[0] + parts[1]

    a = pl.Tensor([1.0], requires_grad=True)
    Sum()([a, a]).backward()
    assert a.grad.tolist() == [2.0]


def test_hooks_see_and_replace() -> None:
    layer = nn.Linear(2, 1, init=nn.init.ones_)
    seen: list[str] = []
    first = layer.register_forward_pre_hook(lambda m, args: seen.append("before") or (args[0] * 2.0,))
    second = layer.register_forward_hook(lambda m, args, y: seen.append("after") or y + 1.0)
    third = layer.register_forward_hook(lambda m, args, kwargs, y: seen.append("first"), with_kwargs=True, prepend=True)
    assert layer([[1.0, 2.0]]).tolist() == [[7.0]]
    assert seen == ["before", "first", "after"]
    second.remove()
    second.remove()
    third.remove()
    with first:
        assert layer([[1.0, 2.0]]).tolist() == [[6.0]]
    assert layer([[1.0, 2.0]]).tolist() == [[3.0]]
    assert seen == ["before", "first", "after", "before"]


def test_an_error_says_in_which_layer_it_happened_and_from_where_it_got_its_input() -> None:
    class Wrong(nn.Module):
        def __init__(self) -> None:
            self.body = nn.Sequential({"pool": nn.Linear(4, 16), "act": nn.ReLU(), "drop": nn.Dropout()})
            self.head = nn.Linear(20, 10)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.head(self.body(x))

    with pytest.raises(ShapeError) as caught:
        Wrong()(np.ones((2, 4)))
    lines = str(caught.value).split("\n")
    assert lines[:4] == [
        "Linear(20, 10): the input has another number of features",
        "  given:    16 features",
        "  expected: 20 features, the length of the last axis",
        '  fix:      Linear(16, 10) at "head": it receives 16 features',
    ]
    assert lines[4].endswith('"head" Linear(20, 10) ‹ Wrong')


def test_the_call_ends_whatever_happens() -> None:
    class Fails(nn.Module):
        def forward(self, x: pl.Tensor) -> pl.Tensor:
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            Fails()([1.0])
    assert not state.quiet
    assert nn.Linear(1, 1)([[1]]).dtype == np.float32


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(ModelError) as caught:
        nn.Module()([1.0])
    assert str(caught.value).split("\n")[:3] == [
        "Module does not say what it computes",
        "  given:    a Module without forward()",
        "  expected: def forward(self, x): ...",
    ]


def test_scopes_of_a_recorded_call_are_the_attribute_names() -> None:
    graph = pl.graph.record(Net(), np.ones((1, 3), np.float32))
    assert [[part.name for part in i.scope] for i in graph.instructions] == [
        ["Net", "encoder", "0"],
        ["Net", "encoder", "1"],
        ["Net", "head"],
        ["Net"],
    ]


def test_its_repr_is_pytorchs_tree() -> None:
    net = Net()
    assert repr(net) == (
        "Net(\n"
        "  (encoder): Sequential(\n"
        '    (0): Linear(in_features=3, out_features=4, bias=True, init="xavier uniform (Tanh), std 0.535")\n'
        "    (1): Tanh()\n"
        "  )\n"
        '  (head): Linear(in_features=4, out_features=2, bias=False, init="lecun uniform, std 0.5")\n'
        ")"
    )
