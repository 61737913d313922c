"""nn.functional against torch.nn.functional, by the same arguments in the same order."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import ArgumentError, ModelError, PellucidError
from pellucid.nn import functional as F

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

T = torch.nn.functional
RNG = np.random.default_rng(11)
X = RNG.normal(size=(4, 6)) * 2
IMAGE = RNG.normal(size=(3, 4, 5))
W, B = RNG.normal(size=(3, 6)), RNG.normal(size=3)
FOUR, ABOVE = RNG.normal(size=4), np.abs(RNG.normal(size=4)) + 0.5
SIX = RNG.normal(size=6)

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *((name, (X,), {}) for name in (
        "relu", "relu6", "selu", "silu", "mish", "hardsigmoid", "hardswish", "leaky_relu", "elu", "celu", "gelu",
        "softplus", "softsign", "hardtanh", "hardshrink", "softshrink", "tanhshrink", "logsigmoid", "sigmoid", "tanh",
        "rrelu", "glu",
    )),
    ("relu", (X, True), {}),
    ("leaky_relu", (X, 0.3), {}),
    ("leaky_relu", (X,), {"negative_slope": 0.3}),
    ("elu", (X, 0.5), {}),
    ("celu", (X, 0.5), {}),
    ("gelu", (X,), {"approximate": "tanh"}),
    ("softplus", (X, 2, 1.5), {}),
    ("hardtanh", (X, -0.5, 1.5), {}),
    ("hardshrink", (X, 1.0), {}),
    ("softshrink", (X, 1.0), {}),
    ("threshold", (X, 0.1, 20), {}),
    ("rrelu", (X, 0.25, 0.25, True), {}),
    ("prelu", (X, SIX), {}),
    ("prelu", (IMAGE, FOUR), {}),
    ("prelu", (X, SIX[:1]), {}),
    ("softmax", (X, 0), {}),
    ("softmin", (X, 1), {}),
    ("log_softmax", (X, -1), {}),
    ("glu", (IMAGE, 1), {}),
    ("linear", (X, W), {}),
    ("linear", (X, W, B), {}),
    ("linear", (X[0], W, B), {}),
    ("bilinear", (X, X[:, :4], RNG.normal(size=(2, 6, 4)), RNG.normal(size=2)), {}),
    ("layer_norm", (X, (6,)), {}),
    ("layer_norm", (X, (6,), SIX, SIX, 0.1), {}),
    ("layer_norm", (IMAGE, (4, 5)), {"eps": 0.3}),
    ("rms_norm", (X, (6,)), {}),
    ("rms_norm", (X, (6,), SIX, 0.1), {}),
    ("batch_norm", (IMAGE, FOUR, ABOVE), {}),
    ("batch_norm", (IMAGE, FOUR, ABOVE, FOUR, FOUR, False, 0.1, 0.3), {}),
    ("batch_norm", (IMAGE, None, None), {"training": True}),
    ("batch_norm", (RNG.normal(size=(3, 4, 2, 2)), FOUR, ABOVE), {}),
    ("normalize", (X,), {}),
    ("normalize", (X, 1.0, 0), {}),
    ("dropout", (X, 0.3, False), {}),
    ("alpha_dropout", (X, 0.3), {}),
    ("embedding", (np.array([[0, 3], [2, 2]]), IMAGE[0]), {}),
]  # fmt: skip
# PyTorch takes 1/6 in float32 there.
COARSE = {"hardsigmoid": 1e-7}


@pytest.mark.parametrize(("name", "args", "options"), CALLS, ids=lambda v: v if isinstance(v, str) else "")
def test_functions(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
    def leaf(a: Any, make: Any) -> Any:
        return make(a) if isinstance(a, np.ndarray) else a

    floats = [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype == np.float64]
    if name == "batch_norm":  # the statistics are state
        floats = [i for i in floats if i not in (1, 2)]
    ours = [leaf(a, lambda v, i=i: pl.Tensor(v.copy(), requires_grad=i in floats)) for i, a in enumerate(args)]
    theirs = [leaf(a, lambda v, i=i: torch.tensor(v, requires_grad=i in floats)) for i, a in enumerate(args)]
    torch_args = [
        t + 0 if i == 0 and any(a is True for a in args) else t for i, t in enumerate(theirs)
    ]  # in place, not on a leaf
    y, t = getattr(F, name)(*ours, **options), getattr(T, name)(*torch_args, **options)
    np.testing.assert_allclose(y.numpy(), t.detach().numpy(), rtol=1e-10, atol=1e-10)
    weight = np.random.default_rng(0).normal(size=y.shape)
    (y * weight).sum().backward()
    (t * torch.from_numpy(weight)).sum().backward()
    for i in floats:
        tolerance = COARSE.get(name, 1e-9)
        np.testing.assert_allclose(ours[i].grad.numpy(), theirs[i].grad.numpy(), rtol=tolerance, atol=tolerance)


def test_lists_and_keywords() -> None:
    assert F.relu(input=[-1.0, 2.0]).tolist() == [0.0, 2.0]
    assert F.linear([[1.0, 2.0]], [[3.0, 4.0]]).tolist() == [[11.0]]
    assert F.dropout([1.0], p=0.0).tolist() == [1.0]
    assert F.dropout(np.ones(3), p=1.0).tolist() == [0.0] * 3


def takes_a_tensor(function: Any) -> bool:
    """Whether the first argument is a tensor, and not itself one with a range."""
    return next(iter(inspect.signature(function).parameters)) not in function.constraints


@pytest.mark.parametrize(
    "function",
    [f for f in map(F.__dict__.get, F.__all__) if hasattr(f, "constraints") and takes_a_tensor(f)],
    ids=lambda f: f.__name__,
)
def test_arguments_out_of_range_are_refused(function: Any) -> None:
    needed = {"threshold": 0.0, "value": 0.0} if function is F.threshold else {}
    for name, constraint in function.constraints.items():
        for bad in constraint.invalid():
            with pytest.raises(PellucidError, match=name):
                function(X, **{**needed, name: bad})


def test_what_cannot_be_computed() -> None:
    with pytest.raises(ModelError) as caught:
        F.batch_norm(X, None, None)
    assert str(caught.value).split("\n")[:3] == [
        "batch_norm: there are no running statistics to use",
        "  given:    training=False, running_mean=None",
        "  expected: running_mean and running_var, or training=True",
    ]
    for function in (F.dropout, F.alpha_dropout):
        with pytest.raises(ArgumentError, match="dropout: p is out of range"):
            function(X, 1.5)
    with pytest.raises(ArgumentError, match="rrelu: the bounds are in the wrong order"):
        F.rrelu(X, 0.5, 0.1)
    with pytest.raises(ArgumentError, match="hardtanh: the bounds are in the wrong order"):
        F.hardtanh(X, 0.5, 0.1)
