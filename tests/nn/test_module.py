"""Module and Parameter: registration, listing, names, state, copies, casts and messages."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    ModelError,
    NoAttributeError,
    PellucidWarning,
)


class Net(nn.Module):
    def __init__(self) -> None:
        self.encoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.head = nn.Linear(4, 2, bias=False)
        self.scale = nn.Parameter([2.0])
        self.register_buffer("count", np.zeros((), np.int64))
        self.register_buffer("scratch", [1.0], persistent=False)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.head(self.encoder(x)) * self.scale


class Tied(nn.Module):
    def __init__(self) -> None:
        self.a = nn.Linear(2, 2)
        self.b = nn.Linear(2, 2, bias=False)
        self.b.weight = self.a.weight


def message(error: Exception) -> list[str]:
    """The lines of an error without the last, which names a place in this file."""
    lines = str(error).split("\n")
    assert lines[-1].startswith("  at:       test_")
    return lines[:-1]


# What it is made of


def test_parts_are_listed_in_pytorchs_order_under_pytorchs_names() -> None:
    net = Net()
    assert list(net.state_dict()) == ["scale", "count", "encoder.0.weight", "encoder.0.bias", "head.weight"]
    assert [n for n, _ in net.named_parameters()] == ["scale", "encoder.0.weight", "encoder.0.bias", "head.weight"]
    assert [n for n, _ in net.named_buffers()] == ["count", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "encoder", "encoder.0", "encoder.1", "head"]
    assert [n for n, _ in net.named_children()] == ["encoder", "head"]
    assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert len(list(net.modules())) == 5
    assert len(list(net.children())) == 2
    assert net.num_parameters() == 1 + 12 + 4 + 8
    net.head.requires_grad_(False)
    assert net.num_parameters(trainable_only=True) == 17
    assert net.get_parameter("encoder.0.bias") is net.encoder[0].bias
    assert net.get_submodule("encoder.1") is net.encoder[1]
    assert net.get_submodule("") is net
    assert net.get_buffer("count") is net.count


def test_parameters_know_their_full_name_once_the_network_is_listed_or_called() -> None:
    net = Net()
    assert net.head.weight.name is None
    list(net.parameters())
    assert net.head.weight.name == "head.weight"
    assert net.encoder[0].bias.name == "encoder.0.bias"
    assert net.count.name == "count"

    class Outer(nn.Module):
        def __init__(self) -> None:
            self.net = net

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.net(x)

    outer = Outer()
    outer([[1.0, 2.0, 3.0]])
    assert net.head.weight.name == "net.head.weight"
    nn.Linear(1, 1)  # something registered elsewhere does not shorten the names
    list(net.parameters())
    assert net.head.weight.name == "net.head.weight"


def test_a_shared_parameter_is_listed_once_and_saved_under_both_names() -> None:
    tied = Tied()
    assert [n for n, _ in tied.named_parameters()] == ["a.weight", "a.bias"]
    assert list(tied.state_dict()) == ["a.weight", "a.bias", "b.weight"]
    for other in (copy.deepcopy(tied), pickle.loads(pickle.dumps(tied))):  # noqa: S301
        assert other.a.weight is other.b.weight
    assert [n for n, _ in tied.named_parameters(remove_duplicate=False)] == ["a.weight", "a.bias", "b.weight"]
    same = nn.Sequential(tied.a, tied.a)
    assert [n for n, _ in same.named_modules()] == ["", "0"]
    assert len(same) == 2


def test_forgetting_super_init_does_no_harm() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 1)

    assert [n for n, _ in Forgetful().named_parameters()] == ["layer.weight", "layer.bias"]


def test_a_part_keeps_its_kind() -> None:
    net = Net()
    net.head = nn.Identity()
    assert list(net.state_dict()) == ["scale", "count", "encoder.0.weight", "encoder.0.bias"]
    net.scale = None
    assert "scale" not in net.state_dict()
    net.scale = nn.Parameter([3.0])
    assert next(iter(net.state_dict())) == "scale"
    del net.encoder
    assert list(net.state_dict()) == ["scale", "count"]
    with pytest.raises(ArgumentTypeError) as caught:
        net.scale = 3.0
    assert message(caught.value) == [
        "Net.scale is a parameter and cannot become something else",
        "  given:    a value of type float",
        "  expected: the same kind, or None; change its values with scale.assign(tensor)",
    ]


def test_names_that_cannot_be() -> None:
    net = Net()
    with pytest.raises(ArgumentError) as caught:
        net.add_module("a.b", nn.Identity())
    assert message(caught.value) == [
        "Net: a part cannot have this name",
        "  given:    'a.b'",
        "  expected: a text that is not empty and has no dot",
    ]
    with pytest.raises(ArgumentError) as caught:
        net.register_parameter("forward", nn.Parameter([1.0]))
    assert message(caught.value) == [
        "Net already has a method or attribute forward",
        "  given:    Net.forward",
        "  expected: another name",
    ]
    with pytest.raises(ModelError) as caught:
        net.encoder.add_module("loop", net)
    assert message(caught.value) == [
        "Sequential would contain itself",
        "  given:    loop, which holds this Sequential",
        "  expected: a module that does not hold it",
    ]


def test_a_missing_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(NoAttributeError) as caught:
        _ = Net().encodr
    assert message(caught.value) == [
        "Net has no encodr",
        "  given:    Net.encodr",
        "  expected: a public name of Net",
        "  fix:      did you mean encoder?",
    ]
    with pytest.raises(NoAttributeError) as caught:
        Net().get_parameter("head.bias")
    assert message(caught.value) == [
        "Linear has no parameter bias",
        "  given:    bias",
        "  expected: one of: weight",
    ]
    assert not hasattr(Net(), "nothing")


def test_layers_in_a_plain_list_are_reported() -> None:
    net = nn.Module()
    with pytest.warns(PellucidWarning) as caught:
        net.layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    assert message(caught[0].message) == [
        "Module.layers: layers or parameters in a plain list are neither trained nor saved",
        "  given:    a list of layers or parameters",
        "  expected: a ModuleList, a ModuleDict or attributes; a name that starts with _ if this is meant",
        "  fix:      self.layers = nn.ModuleList(...)",
    ]
    net._layers = [nn.Linear(1, 1)]
    net.sizes = [1, 2, 3]
    net.layers = nn.ModuleList([nn.Linear(1, 1)])
    assert [n for n, _ in net.named_parameters()] == ["layers.0.weight", "layers.0.bias"]


# State


def test_a_state_dict_is_a_copy() -> None:
    net = Net()
    saved = net.state_dict()
    net.scale.assign(pl.Tensor([9.0]))
    net.head.weight.data[:] = 0
    assert saved["scale"].tolist() == [2.0]
    assert saved["head.weight"].numpy().any()
    assert net.load_state_dict(saved) == ([], [])
    assert net.scale.tolist() == [2.0]
    saved["scale"].data[:] = 5
    assert net.scale.tolist() == [2.0]


def test_loading_lists_every_difference_and_changes_nothing() -> None:
    net = Net()
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    ones = {"encoder.0.weight": np.ones((4, 3)), "encoder.0.bais": np.ones(4)}
    given = {"scale": [1.0, 2.0], **ones, "other": 1, "count": 3}
    with pytest.raises(ModelError) as caught:
        net.load_state_dict(given)
    assert message(caught.value) == [
        "Net: the state dict does not fit",
        "  given:    5 names: 2 missing, 2 unexpected, 1 of another shape or range",
        "    scale: shape (2,), here (1,)",
        "    encoder.0.bais: unexpected; did you mean encoder.0.bias?",
        "    other: unexpected",
        "    encoder.0.bias: missing",
        "    head.weight: missing",
        "  expected: the 5 names of this network, each with its shape",
    ]
    assert all(np.array_equal(v.numpy(), before[k]) for k, v in net.state_dict().items())
    with pytest.raises(ModelError, match="1 of another shape"):
        net.load_state_dict(given, strict=False)
    del given["scale"]
    result = net.load_state_dict(given, strict=False)
    assert result.missing_keys == ["scale", "encoder.0.bias", "head.weight"]
    assert result.unexpected_keys == ["encoder.0.bais", "other"]
    assert net.encoder[0].weight.numpy().all()
    assert net.encoder[0].weight.dtype == np.float32
    assert net.count.item() == 3


def test_loading_what_is_no_state_dict() -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        nn.Linear(1, 1).load_state_dict([1, 2])
    assert message(caught.value) == [
        "load_state_dict: takes a mapping of names to arrays",
        "  given:    a value of type list",
        "  expected: a dict, as state_dict() gives it",
    ]
    with pytest.raises(ArgumentTypeError) as caught:
        nn.Linear(1, 1).load_state_dict({"weight": "a", "bias": [0.0]})
    assert message(caught.value) == [
        "load_state_dict: a value is not an array",
        "  given:    weight: a value of type str",
        "  expected: a tensor, an array or numbers",
    ]


def test_a_long_list_of_differences_is_cut() -> None:
    with pytest.raises(ModelError) as caught:
        nn.Linear(1, 1).load_state_dict({f"x{n}": 1 for n in range(40)})
    assert message(caught.value)[-2] == "    and 22 more"


# Copies


def test_copies_are_independent_and_name_their_parts_anew() -> None:
    net = Net()
    net([[1.0, 2.0, 3.0]])
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):  # noqa: S301
        other.scale.assign(pl.Tensor([0.0]))
        assert net.scale.tolist() == [2.0]
        other.encoder.append(nn.Linear(4, 4))
        assert len(other.encoder) == 3
        assert len(net.encoder) == 2
        other([[1.0, 2.0, 3.0]])
        assert other.encoder[2].weight.name == "encoder.2.weight"
        assert type(other.head.weight) is nn.Parameter


# Changes to the whole


def test_train_and_eval_reach_everything() -> None:
    net = Net()
    assert all(m.training for m in net.modules())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    assert net.train() is net
    assert all(m.training for m in net.modules())
    with pytest.raises(ArgumentTypeError):
        net.train("yes")


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    net = Net()
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "Tanh", "Sequential", "Linear", "Net"]


def test_casts_reach_parameters_buffers_and_gradients() -> None:
    net = Net()
    net([[1.0, 2.0, 3.0]]).sum().backward()
    assert net.double() is net
    assert net.scale.dtype == net.scale.grad.dtype == net.scratch.dtype == np.float64
    assert net.count.dtype == np.int64
    assert net([[1, 2, 3]]).dtype == np.float64
    assert net.float().scale.dtype == np.float32
    assert net.to("float64").scale.dtype == np.float64
    with pytest.raises(DTypeError):
        net.to(np.int64)
    with pytest.raises(DTypeError):
        net.to("float99")


def test_zero_grad_and_requires_grad() -> None:
    net = Net()
    net([[1.0, 2.0, 3.0]]).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.tolist() == [0.0]
    net.zero_grad()
    assert net.scale.grad is None
    assert net.requires_grad_(False) is net
    assert not net([[1.0, 2.0, 3.0]]).requires_grad


def test_python_numbers_keep_their_digits_in_a_float64_network() -> None:
    layer = nn.Linear(1, 1, bias=False).double()
    layer.load_state_dict({"weight": [[0.1]]})
    assert layer.weight.item() == 0.1
    assert layer([[0.3]]).item() == 0.1 * 0.3


@pytest.mark.parametrize("name", ["features", "classifier", "init", "layers", "norm", "forward_pass", "label", "path"])
def test_usual_names_of_parts_are_free(name: str) -> None:
    net = nn.Module()
    setattr(net, name, nn.Linear(1, 1))
    assert list(net.state_dict()) == [f"{name}.weight", f"{name}.bias"]
