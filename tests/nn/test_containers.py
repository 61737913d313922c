"""Sequential, ModuleList and ModuleDict: running, indexing, names, and what is refused when they are built."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentTypeError, IndexRangeError, MissingKeyError, ShapeError


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


def test_layers_run_in_turn() -> None:
    net = nn.Sequential(nn.Linear(2, 2, init=nn.init.eye_), nn.ReLU(), nn.Linear(2, 1, init=nn.init.ones_))
    assert net([[1.0, -5.0], [2.0, 3.0]]).tolist() == [[1.0], [5.0]]
    assert nn.Sequential()([[1.0]]).tolist() == [[1.0]]


def test_indexing_slicing_and_changing() -> None:
    a, b, c = nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)
    net = nn.Sequential(a, b, c)
    assert len(net) == 3
    assert list(net) == [a, b, c]
    assert net[0] is a
    assert net[-1] is c
    assert [n for n, _ in net[1:].named_children()] == ["1", "2"]
    assert net[1:][1] is c
    assert list(net[1:].append(nn.ReLU()).state_dict()) == ["2.weight", "2.bias"]
    net[1] = nn.ReLU()
    assert repr(net[1]) == "ReLU()"
    assert net.pop() is c
    net.insert(0, nn.Flatten())
    assert [type(m).__name__ for m in net] == ["Flatten", "Linear", "ReLU"]
    assert list(net.state_dict()) == ["1.weight", "1.bias"]
    del net[0]
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    net.extend([nn.Linear(2, 3), nn.Linear(3, 1)])
    assert net(np.ones((4, 2))).shape == (4, 1)
    del net[1:]
    assert list(net) == [a]
    with pytest.raises(IndexRangeError) as caught:
        net[3]
    assert lines(caught.value) == [
        "Sequential: there is no such place",
        "  given:    index 3, 1 modules",
        "  expected: an index below the number of modules",
    ]
    with pytest.raises(ArgumentTypeError):
        net["0"]


def test_a_changed_sequential_runs_what_it_now_holds() -> None:
    net = nn.Sequential(nn.Identity())
    assert net([1.0]).tolist() == [1.0]
    net[0] = nn.Threshold(5.0, 7.0)
    assert net([1.0]).tolist() == [7.0]
    net.add_module("more", nn.Threshold(8.0, 9.0))
    assert net([1.0]).tolist() == [9.0]
    del net.more
    assert net([1.0]).tolist() == [7.0]


@pytest.mark.parametrize(
    ("make", "given", "fix"),
    [
        (
            lambda: nn.Sequential(nn.Linear(1, 1), nn.ReLU),
            "[1]: <class 'pellucid.nn.activation.piecewise.ReLU'>",
            "ReLU(...)",
        ),
        (lambda: nn.Sequential([nn.ReLU(), nn.ReLU()]), "[0]: [ReLU(), ReLU()]", "Sequential(*layers)"),
        (lambda: nn.Sequential({"a": 3}), "'a': 3", None),
    ],
)
def test_what_is_no_layer_is_refused(make: object, given: str, fix: str | None) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        make()  # type: ignore[operator]
    expected = ["Sequential: only a layer can stand here", f"  given:    {given}", "  expected: a Module"]
    assert lines(caught.value) == expected + ([f"  fix:      {fix}"] if fix else [])


def test_layers_that_do_not_fit_are_refused_when_the_network_is_built() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(), nn.LayerNorm(16), nn.Linear(20, 10))
    assert lines(caught.value) == [
        "Linear(20, 10): the input has another number of features",
        '  given:    16 features from "0"',
        "  expected: 20 features, the length of the last axis",
        '  fix:      Linear(16, 10) at "4": it receives 16 features from "0"',
    ]
    nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(), nn.LayerNorm(16), nn.Linear(16, 10))  # the fix
    with pytest.raises(ShapeError, match=r'LayerNorm\(16\) at "1": it receives 16 features from "0"'):
        nn.Sequential(nn.Linear(4, 16), nn.LayerNorm(8))
    with pytest.raises(ShapeError, match=r'Linear\(8, 1\) at "2": it receives 8 features'):
        nn.Sequential(nn.Linear(4, 16), nn.GLU(), nn.Linear(16, 1))
    with pytest.raises(ShapeError, match=r'Linear\(3, 1\) at "b": it receives 3 features from "a"'):
        nn.Sequential({"a": nn.Sequential(nn.Embedding(9, 3), nn.Tanh()), "b": nn.Linear(2, 1)})
    with pytest.raises(ShapeError):
        nn.Sequential(nn.Linear(4, 16)).append(nn.Linear(15, 1))
    # What cannot be known beforehand is let through.
    nn.Sequential(nn.Linear(4, 16), nn.Flatten(), nn.Linear(32, 1))
    nn.Sequential(nn.Linear(4, 16), nn.Unflatten(1, (2, 8)), nn.Linear(8, 1))
    nn.Sequential(nn.Linear(4, 16), nn.GLU(axis=1), nn.Linear(8, 1))


def test_a_mismatch_at_run_time_names_where_the_features_come_from() -> None:
    net = nn.Sequential({"pool": nn.Linear(4, 6), "act": nn.ReLU(), "flat": nn.Flatten(), "head": nn.Linear(20, 10)})
    with pytest.raises(ShapeError) as caught:
        net(np.ones((2, 3, 4)))
    assert lines(caught.value) == [
        "Linear(20, 10): the input has another number of features",
        '  given:    18 features from "flat"',
        "  expected: 20 features, the length of the last axis",
        '  fix:      Linear(18, 10) at "head": it receives 18 features from "flat"',
    ]
    assert str(caught.value).endswith('"head" Linear(20, 10) ‹ Sequential')
    net.head = nn.Linear(18, 10)  # the fix
    assert net(np.ones((2, 3, 4))).shape == (2, 10)


def test_module_list_and_dict() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(2)])
            self.by_name = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Linear(2, 3)})

        def forward(self, x: pl.Tensor, name: str) -> pl.Tensor:
            for layer in self.layers:
                x = layer(x)
            return self.by_name[name](x)

    net = Net()
    assert net([[1.0, 2.0]], "b").shape == (1, 3)
    assert list(net.state_dict())[::2] == ["layers.0.weight", "layers.1.weight", "by_name.a.weight", "by_name.b.weight"]
    both = net.layers + [nn.Tanh()]
    assert len(both) == 3
    assert type(net.layers[:1]) is nn.ModuleList
    assert list(net.by_name) == ["a", "b"]
    assert "a" in net.by_name
    assert "c" not in net.by_name
    assert [type(m).__name__ for m in net.by_name.values()] == ["Linear", "Linear"]
    assert [k for k, _ in net.by_name.items()] == ["a", "b"]
    net.by_name.update([("c", nn.Tanh())])
    assert len(net.by_name) == 3
    net.by_name.pop("a")
    del net.by_name["b"]
    with pytest.raises(MissingKeyError) as caught:
        net.by_name["cc"]
    assert lines(caught.value) == [
        "ModuleDict: there is no such module",
        "  given:    'cc'",
        "  expected: one of: 'c'",
        "  fix:      did you mean c?",
    ]
    net.by_name.clear()
    assert len(net.by_name) == 0
    with pytest.raises(ArgumentTypeError):
        net.by_name["x"] = 3
    with pytest.raises(ArgumentTypeError):
        net.layers.append("x")
