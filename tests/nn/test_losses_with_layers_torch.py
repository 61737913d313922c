"""The losses that hold layers, against PyTorch: the same weights by name give the same values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 8))
LABELS = np.array([0, 2, 1, 2, 2, 0])


def agree(ours: Any, theirs: Any, inputs: tuple[Any, Any], modules: tuple[Any, Any]) -> None:
    """Value, the gradient of the input and those of all parameters."""
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=0, atol=1e-10)
    ours.sum().backward()
    theirs.sum().backward()
    np.testing.assert_allclose(inputs[0].grad.numpy(), inputs[1].grad.numpy(), rtol=0, atol=1e-9)
    given = {name: p.grad for name, p in modules[0].named_parameters()}
    expected = {name: p.grad for name, p in modules[1].named_parameters()}
    assert list(given) == list(expected)
    for name, gradient in expected.items():
        if gradient is not None:
            np.testing.assert_allclose(given[name].numpy(), gradient.numpy(), rtol=0, atol=1e-9, err_msg=name)
        else:
            assert given[name] is None


def pair_of_inputs(x: Any) -> tuple[Any, Any]:
    return pl.Tensor(x.copy(), requires_grad=True), torch.tensor(x, requires_grad=True)


LINEAR: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "labels": ({}, X, LABELS),
    "bias": ({"bias": True}, X, LABELS),
    "sum": ({"reduction": "sum"}, X, LABELS),
    "none": ({"reduction": "none", "bias": True}, X, LABELS),
    "smoothing": ({"label_smoothing": 0.2}, X, LABELS),
    "ignored": ({"ignore_index": 2}, X, LABELS),
    "ignored by default": ({}, X, np.where(LABELS == 2, -100, LABELS)),
    "weight": ({"weight": [1.0, 0.5, 2.0]}, X, LABELS),
    "one row": ({"bias": True}, X[:1], LABELS[:1]),
    "no batch": ({"bias": True}, X[0], LABELS[0]),
    "probabilities": ({}, X, np.eye(3)[LABELS] * 0.7 + 0.1),
    "several axes": ({"out_features": (2, 2), "bias": True}, X, RNG.integers(0, 3, (6, 2, 2))),
    "several axes, none": ({"out_features": (4,), "reduction": "none"}, X, RNG.integers(0, 3, (6, 4))),
}


@pytest.mark.parametrize("name", LINEAR)
def test_linear_cross_entropy_is_pytorchs(name: str) -> None:
    options, x, target = LINEAR[name]
    weight = options.get("weight")
    theirs = torch.nn.LinearCrossEntropyLoss(
        8, 3, dtype=torch.float64, **{**options, "weight": None if weight is None else torch.tensor(weight).double()}
    )
    ours = nn.LinearCrossEntropyLoss(8, 3, dtype=pl.float64, **options)
    ours.load_state_dict(theirs.state_dict())
    given, expected = pair_of_inputs(x)
    agree(ours(given, pl.Tensor(target)), theirs(expected, torch.tensor(target)), (given, expected), (ours, theirs))


def test_the_function_takes_pytorchs_arguments() -> None:
    weight, bias = RNG.normal(size=(3, 8)), RNG.normal(size=3)
    ours = F.linear_cross_entropy(X, weight, LABELS, linear_bias=bias, label_smoothing=0.1, reduction="none")
    theirs = torch.nn.functional.linear_cross_entropy(
        *map(torch.tensor, (X, weight, LABELS)), linear_bias=torch.tensor(bias), label_smoothing=0.1, reduction="none"
    )
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-10)


ADAPTIVE: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "all clusters": ({}, X, np.array([0, 3, 4, 9, 6, 11])),
    "frequent only": ({}, X, np.array([0, 1, 2, 3, 0, 1])),
    "one cluster only": ({}, X, np.array([4, 5, 6, 7, 4, 4])),
    "bias": ({"head_bias": True, "div_value": 2.0}, X, np.array([0, 3, 4, 9, 6, 11])),
    "one row": ({}, X[:1], np.array([10])),
    "no batch": ({}, X[0], np.array(5)),
}


@pytest.mark.parametrize("name", ADAPTIVE)
def test_adaptive_softmax_is_pytorchs(name: str) -> None:
    options, x, target = ADAPTIVE[name]
    options = {"div_value": 2.0, **options}
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 8], dtype=torch.float64, **options)
    ours = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 8], dtype=pl.float64, **options)
    ours.load_state_dict(theirs.state_dict())
    given, expected = pair_of_inputs(x)
    result, wanted = ours(given, pl.Tensor(target)), theirs(expected, torch.tensor(target))
    np.testing.assert_allclose(result.output.numpy(), wanted.output.detach().numpy(), rtol=0, atol=1e-10)
    agree(result.loss, wanted.loss, (given, expected), (ours, theirs))


def test_adaptive_softmax_gives_all_classes_and_the_most_probable() -> None:
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 8], div_value=2.0, dtype=torch.float64)
    ours = nn.AdaptiveLogSoftmaxWithLoss(8, 12, [4, 8], div_value=2.0, dtype=pl.float64)
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_allclose(ours.log_prob(X).numpy(), theirs.log_prob(torch.tensor(X)).detach().numpy(), atol=1e-10)
    assert ours.predict(X).tolist() == theirs.predict(torch.tensor(X)).tolist()
    assert pl.exp(ours.log_prob(X)).sum(1).tolist() == pytest.approx([1.0] * 6)


def test_training_by_both_follows_the_same_path() -> None:
    x, labels = RNG.normal(size=(20, 8)), RNG.integers(0, 12, 20)
    for name, arguments in (("LinearCrossEntropyLoss", (8, 12)), ("AdaptiveLogSoftmaxWithLoss", (8, 12, [3, 7], 2.0))):
        theirs = getattr(torch.nn, name)(*arguments, dtype=torch.float64)
        ours = getattr(nn, name)(*arguments, dtype=pl.float64)
        ours.load_state_dict(theirs.state_dict())
        optimizers = pl.optim.Adam(ours.parameters(), lr=0.05), torch.optim.Adam(theirs.parameters(), lr=0.05)
        for _ in range(20):
            mine, other = ours(pl.Tensor(x), pl.Tensor(labels)), theirs(torch.tensor(x), torch.tensor(labels))
            getattr(mine, "loss", mine).backward()
            optimizers[1].zero_grad()
            getattr(other, "loss", other).backward()
            for optimizer in optimizers:
                optimizer.step()
        for key, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=0, atol=1e-8)
