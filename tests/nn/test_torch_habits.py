"""What people who come from PyTorch write: it does the same here, or is refused or reported with what to write."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    GradientError,
    ModelError,
    PellucidWarning,
    ShapeError,
)
from pellucid.nn import functional as F

X = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]])


def message(problem: Any) -> str:
    return "\n".join(line for line in str(problem).splitlines() if not line.startswith("  at:"))


# Updates by hand


@pytest.mark.parametrize("in_place", [True, False])
def test_updates_through_data(in_place: bool) -> None:
    p = nn.Parameter(np.array([1.0, 2.0, 3.0]))
    (p * p).sum().backward()
    if in_place:
        p.data -= 0.1 * p.grad
    else:
        p.data = p.data - 0.1 * p.grad
    assert type(p.data) is np.ndarray
    assert p.tolist() == pytest.approx([0.8, 1.6, 2.4])
    assert p.requires_grad
    assert (p * 1.0).requires_grad


def test_data_keeps_its_kind() -> None:
    p = nn.Parameter(np.ones(2))
    p.data = np.array([1, 2])
    assert p.dtype == pl.float64
    p.data = [3, 4]
    assert p.dtype == pl.float64
    assert p.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("in_place", [True, False])
def test_backward_through_values_that_data_replaced_is_refused(in_place: bool) -> None:
    p = nn.Parameter(np.ones(2))
    y = (p * p).sum()
    if in_place:
        p.data -= 0.5
    else:
        p.data = p.data - 0.5
    with pytest.raises(GradientError, match="changed in place after multiply used it"):
        y.backward()


def test_a_parameter_can_be_pickled_copied_and_cast() -> None:
    layer = nn.Linear(2, 1)
    for twin in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):  # noqa: S301
        assert twin.weight.tolist() == layer.weight.tolist()
        assert type(twin.double().weight.data) is np.ndarray


# Gradients


def test_zeroed_gradients_of_a_module_count_for_the_next_step() -> None:
    # With weight decay a parameter whose gradient is zeros still moves, as in PyTorch.
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    model = nn.Module()
    model.a, model.b = a, b
    optimizer = optim.SGD(model.parameters(), lr=0.1, weight_decay=1.0)
    (a + b).sum().backward()
    optimizer.step()
    model.zero_grad(set_to_none=False)
    before = b.item()
    (a * 2.0).sum().backward()
    optimizer.step()
    assert b.item() == pytest.approx(before * 0.9)


def test_a_gradient_set_by_hand_after_a_step_is_used() -> None:
    a, b = nn.Parameter([1.0]), nn.Parameter([1.0])
    optimizer = optim.SGD([a, b], lr=0.5)
    (a + b).sum().backward()
    optimizer.step()
    a.sum().backward()
    b.grad = pl.Tensor([4.0])
    optimizer.step()
    assert (a.item(), b.item()) == (0.0, -1.5)
    b.grad = pl.Tensor([1.0])
    optimizer.step()
    assert (a.item(), b.item()) == (0.0, -2.0)
    with pytest.raises(GradientError, match="already used"):
        optimizer.step()


def test_a_copy_in_the_middle_of_training_knows_which_gradients_were_used() -> None:
    layer = nn.Linear(3, 1)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    layer(X).sum().backward()
    optimizer.step()
    twin, its_optimizer = copy.deepcopy((layer, optimizer))
    with pytest.raises(GradientError, match="already used"):
        its_optimizer.step()
    twin(X).sum().backward()
    its_optimizer.step()


# Parts that are none


class Appended(nn.Module):
    def __init__(self) -> None:
        self.head = nn.Linear(3, 2)
        self.layers: list[Any] = []
        for _ in range(2):
            self.layers.append(nn.Linear(3, 3))

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def test_layers_appended_to_a_list_are_noticed_once() -> None:
    model = Appended()
    with pytest.warns(PellucidWarning) as caught:
        optimizer = optim.SGD(model.parameters(), lr=0.1)
    assert len(caught) == 1
    assert message(caught[0].message) == (
        "Appended.layers: layers or parameters in a plain list are neither trained nor saved\n"
        "  given:    a list of layers or parameters\n"
        "  expected: a ModuleList, a ModuleDict or attributes; a name that starts with _ if this is meant\n"
        "  fix:      self.layers = nn.ModuleList(...)"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.Linear(1, 1)  # names are worked out anew
        model(X).sum().backward()
        optimizer.step()


def test_layers_among_other_things_are_noticed() -> None:
    model = nn.Module()
    with pytest.warns(PellucidWarning, match="in a plain dict") as caught:
        model.parts = {"a": nn.Linear(1, 1), "rate": 0.5}
    assert caught[0].message.fix == "", "a ModuleDict would not take the rate"  # type: ignore[union-attr]
    with pytest.warns(PellucidWarning, match="in a plain list"):
        model.nested = [[nn.Linear(1, 1)]]


def test_a_tensor_that_asks_for_a_gradient_is_noticed() -> None:
    model = nn.Module()
    with pytest.warns(PellucidWarning) as caught:
        model.scale = pl.Tensor([1.0], requires_grad=True)
    assert message(caught[0].message) == (
        "Module.scale: a tensor that asks for a gradient is neither trained nor saved unless it is a Parameter\n"
        "  given:    a Tensor of shape (1,) with requires_grad=True\n"
        "  expected: a Parameter; a name that starts with _ if this is meant\n"
        "  fix:      self.scale = nn.Parameter(...)"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model._aside = pl.Tensor([1.0], requires_grad=True)
        model.last = nn.Linear(1, 1)(np.ones((1, 1)))  # computed: somebody's output
        model.constant = pl.ones((2,))
        model.numbers = [1.0] * 5000


def test_a_name_in_use_is_not_taken_by_a_part_of_another_kind() -> None:
    model = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ArgumentError) as problem:
        model.register_buffer("0", pl.zeros((3,)))
    assert message(problem.value) == (
        "Sequential.0 is a module and cannot become a buffer\n"
        "  given:    a buffer under the name 0\n"
        "  expected: another name, or del module.0 before"
    )
    assert isinstance(model[0], nn.Linear)
    layer = nn.Linear(3, 2, bias=False)
    layer.register_buffer("bias", pl.zeros((2,)))  # the name was kept for nothing
    assert layer(X).shape == (2, 2)


# States


def test_values_beyond_the_dtype_are_refused() -> None:
    layer = nn.Linear(1, 1)
    before = layer.weight.item()
    with pytest.raises(ModelError, match=r"weight: beyond the range of float32"):
        layer.load_state_dict({"weight": np.full((1, 1), 1e300), "bias": np.zeros(1)})
    assert layer.weight.item() == before
    layer.load_state_dict({"weight": np.full((1, 1), np.inf), "bias": np.zeros(1)})
    assert layer.weight.item() == np.inf


def test_the_state_of_another_optimizer_is_refused_before_its_first_step() -> None:
    params = list(nn.Linear(1, 1).parameters())
    adam = optim.Adam(params)
    with pytest.raises(ArgumentError, match="this is the state of another optimizer"):
        adam.load_state_dict(optim.SGD(params).state_dict())
    assert "momentum" not in adam.param_groups[0]


# Options


def test_options_are_changed_in_the_groups() -> None:
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    with pytest.raises(ArgumentError) as problem:
        optimizer.lr = 0.5
    assert message(problem.value) == (
        "SGD: an option is changed in the parameter groups; the optimizer itself has none\n"
        "  given:    optimizer.lr = 0.5\n"
        "  expected: a change of each group that it is meant for\n"
        '  fix:      for group in optimizer.param_groups: group["lr"] = 0.5'
    )
    exec(problem.value.fix, {"optimizer": optimizer})
    assert optimizer.param_groups[0]["lr"] == 0.5
    with pytest.raises(ArgumentTypeError, match=r"did you mean lr\?"):
        optimizer.param_groups[0]["learning_rate"] = 0.5
    optimizer.param_groups[0]["name"] = "all"


def test_the_model_or_its_method_in_place_of_the_parameters() -> None:
    model = nn.Linear(1, 1)
    for given in (model, model.parameters):
        with pytest.raises(ArgumentTypeError) as problem:
            optim.SGD(given)
        assert problem.value.fix == "SGD(model.parameters())"
        assert "<" not in problem.value.given
        with pytest.raises(ArgumentTypeError, match=r"clip_grad_norm_\(model.parameters\(\)\)"):
            optim.clip_grad_norm_(given, 1.0)
    with pytest.raises(ArgumentTypeError) as problem:
        optim.SGD(model.state_dict())
    assert problem.value.given == "dict('weight', 'bias')"


def test_a_schedule_whose_function_gives_no_number() -> None:
    optimizer = optim.SGD(nn.Linear(1, 1).parameters())
    for kind in (optim.LambdaLR, optim.MultiplicativeLR):
        with pytest.raises(ArgumentTypeError, match="gave no number"):
            _stepped(kind(optimizer, lambda epoch: "half" if epoch else 1.0))


def _stepped(schedule: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PellucidWarning)
        schedule.step()


# Initialisation


@pytest.mark.parametrize("name", [n for n in nn.init.__all__ if n.endswith("_")])
def test_only_tensors_are_filled(name: str) -> None:
    function = getattr(nn.init, name)
    rest = {"constant_": (1.0,), "sparse_": (0.5,)}.get(name, ())
    for given in (np.zeros((3, 3)), None, "weight"):
        with pytest.raises(ArgumentTypeError, match=f"{name}: fills a Tensor"):
            function(given, *rest)
    with pytest.raises(ArgumentTypeError) as problem:
        function(nn.Linear(3, 3), *rest)
    assert problem.value.fix == f"{name}(layer.weight)"


# Losses


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize(
    "call",
    [
        lambda w: nn.CrossEntropyLoss(weight=w),
        lambda w: nn.NLLLoss(weight=w),
        lambda w: nn.MultiMarginLoss(weight=w),
        lambda w: nn.MultiLabelSoftMarginLoss(weight=w),
        lambda w: nn.BCEWithLogitsLoss(pos_weight=w),
        lambda w: nn.FocalLoss(alpha=w),
        lambda w: nn.LinearCrossEntropyLoss(3, 2, weight=w),
        lambda w: F.cross_entropy(X[:, :2], [0, 1], weight=w),
        lambda w: F.nll_loss(-abs(X[:, :2]), [0, 1], weight=w),
        lambda w: F.binary_cross_entropy_with_logits(X[:, :2], np.zeros((2, 2)), pos_weight=w),
    ],
)
def test_factors_of_classes_are_finite_and_not_negative(call: Any, bad: float) -> None:
    with pytest.raises(DataError, match=r"has a factor that cannot weigh anything") as problem:
        call([1.0, bad])
    assert problem.value.given == f"{bad} at (1,)"


def test_factors_of_elements_may_be_negative() -> None:
    # Policy gradients weigh the log-probability of an action by its advantage.
    y = F.binary_cross_entropy([0.5, 0.5], [1.0, 1.0], weight=[1.0, -1.0], reduction="none")
    assert y.tolist() == pytest.approx([np.log(2), -np.log(2)])
    with pytest.raises(DataError, match="finite numbers"):
        F.binary_cross_entropy([0.5, 0.5], [1.0, 1.0], weight=[1.0, np.nan])


def test_swapped_arguments() -> None:
    logits = nn.Linear(3, 2).double()(X)
    with pytest.raises(ShapeError) as problem:
        F.cross_entropy(pl.Tensor([0, 1]), logits)
    assert problem.value.fix == "cross_entropy(target, input)"
    for loss, labels in (
        (F.binary_cross_entropy_with_logits, np.zeros((2, 2))),
        (F.cross_entropy, np.array([[1.0, 0.0], [0.0, 1.0]])),
    ):
        with pytest.warns(PellucidWarning, match="a gradient flows through the target"):
            loss(pl.Tensor(labels), pl.softmax(logits))
    with pytest.warns(PellucidWarning) as caught:
        F.binary_cross_entropy(pl.Tensor([0.0, 1.0]), pl.sigmoid(logits[0]))
    assert message(caught[0].message) == (
        "binary_cross_entropy: a gradient flows through the target, and none through the input\n"
        "  given:    an input that was not computed from parameters, a target that was\n"
        "  expected: what the network gives first, the labels second; target.detach() if this is meant\n"
        "  fix:      binary_cross_entropy(target, input)"
    )


def test_integer_predictions_are_not_taken_for_one_hot_labels() -> None:
    with pytest.raises(TypeError) as problem:
        F.cross_entropy(pl.Tensor([3, 5]), pl.Tensor([0, 1]))
    assert problem.value.fix == ""  # type: ignore[attr-defined]


def test_class_probabilities_have_no_label_to_ignore() -> None:
    with pytest.raises(ArgumentError, match="class probabilities have no label to ignore"):
        F.cross_entropy(X[:, :2], [[1.0, 0.0], [0.0, 1.0]], ignore_index=1)
    assert F.cross_entropy(X[:, :2], [[1.0, 0.0], [0.0, 1.0]]).shape == ()
