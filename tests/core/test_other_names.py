"""PyTorch's names and arguments: each is refused with what to write instead, and what is offered is run here."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.core import other_names
from pellucid.errors import ArgumentError, ArgumentTypeError, NoAttributeError, PellucidError
from pellucid.nn import functional as F

NAMES: dict[str, Any] = {
    "pellucid": pl,
    "shape": (2, 3),
    "dtype": pl.float64,
    "value": 1.0,
    "low": 0.0,
    "high": 1.0,
    "axis": 0,
    "sections": 2,
    "name": "kept",
}


def setting() -> dict[str, Any]:
    x = pl.Tensor(np.arange(6.0).reshape(2, 3) + 1)
    return {
        **NAMES,
        "x": x,
        "y": pl.Tensor(np.ones((2, 3))),
        "mask": pl.Tensor(np.ones((2, 3), bool)),
        "indices": pl.Tensor([0, 1]),
        "module": nn.Linear(3, 2),
        "tensor": pl.ones((2,)),
    }


def message(problem: pytest.ExceptionInfo[Any]) -> str:
    return "\n".join(line for line in str(problem.value).splitlines() if not line.startswith("  at:"))


@pytest.mark.parametrize("name", other_names.OF_TENSORS)
def test_what_is_offered_for_a_method_of_a_tensor_works(name: str) -> None:
    code = other_names.OF_TENSORS[name]
    with pytest.raises(NoAttributeError, match=rf"did you mean {re.escape(code)}\?"):
        getattr(pl.ones((2, 3)), name)
    exec(code, setting())


@pytest.mark.parametrize("name", other_names.OF_THE_PACKAGE)
def test_what_is_offered_for_a_name_of_the_package_works(name: str) -> None:
    code = other_names.OF_THE_PACKAGE[name]
    with pytest.raises(NoAttributeError, match=rf"did you mean {re.escape(code)}\?"):
        getattr(pl, name)
    exec(code, setting())


def test_what_is_offered_for_layers_and_their_rooms_works() -> None:
    for table, owner in (
        (other_names.OF_LAYERS, nn.Linear(3, 2)),
        (other_names.OF_NN, nn),
        (other_names.OF_FUNCTIONS, F),
    ):
        for name, code in table.items():
            with pytest.raises(NoAttributeError, match=rf"did you mean {re.escape(code)}\?"):
                getattr(owner, name)
            exec(code, setting())


@pytest.mark.parametrize(
    ("owner", "name", "near"),
    [
        (nn, "Liner", "Linear"),
        (F, "mse_lose", "mse_loss"),
        (nn.init, "xavier_uniform", "xavier_uniform_"),
        (pl.optim, "Adma", "Adam"),
        (pl.optim.lr_scheduler, "StepLr", "StepLR"),
        (pl.autograd, "jacobien", "jacobian"),
    ],
)
def test_slips_of_the_pen_are_answered_in_every_room(owner: Any, name: str, near: str) -> None:
    with pytest.raises(NoAttributeError, match=f"did you mean {near}"):
        getattr(owner, name)
    assert not hasattr(owner, name)


def test_names_that_are_elsewhere_are_not_there() -> None:
    x = pl.ones((2,))
    assert not hasattr(x, "clamp")
    assert not hasattr(pl.Tensor, "cuda")
    assert getattr(x, "add_", None) is None


def test_there_is_no_device() -> None:
    layer = nn.Linear(3, 2)
    for call, kind in (
        (lambda: pl.ones((2,)).cuda(), NoAttributeError),
        (lambda: pl.cuda.is_available(), NoAttributeError),
        (lambda: layer.cpu(), NoAttributeError),
        (lambda: layer.to("cuda:0"), ArgumentError),
    ):
        with pytest.raises(kind, match="there is no device to choose"):
            call()
    with pytest.raises(ArgumentError) as problem:
        layer.to("cpu")
    assert message(problem) == (
        "Linear has no to('cpu'): there is no device to choose\n"
        "  given:    Linear.to('cpu')\n"
        "  expected: nothing: tensors are NumPy arrays, and are computed with where they are\n"
        "  fix:      leave to('cpu') out"
    )


X = pl.Tensor(np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: X.sum(dim=0),
        lambda: X.mean(dim=0),
        lambda: X.argmax(dim=1),
        lambda: X.max(dim=1),
        lambda: X.norm(dim=1),
        lambda: X.cumsum(dim=1),
        lambda: X.squeeze(dim=0),
        lambda: pl.softmax(X, dim=1),
        lambda: pl.sum(X, dim=1),
        lambda: pl.stack([X, X], dim=0),
        lambda: pl.concatenate([X, X], dim=0),
        lambda: F.softmax(X, dim=1),
        lambda: F.log_softmax(X, dim=-1),
        lambda: F.normalize(X, dim=1),
        lambda: nn.Softmax(dim=1),
    ],
)
def test_dim_is_called_axis(call: Any) -> None:
    with pytest.raises(ArgumentTypeError, match=r"has no argument dim\n(.*\n)*.*did you mean axis\?"):
        call()


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: X.sum(0, keepdim=True), "keepdims"),
        (lambda: X.var(unbiased=False), "correction"),
        (lambda: F.mse_loss(X, X, size_average=False), "reduction"),
        (lambda: nn.MSELoss(reduce=False), "reduction"),
        (lambda: pl.optim.SGD(nn.Linear(1, 1).parameters(), learning_rate=0.1), "lr"),
    ],
)
def test_other_arguments_are_named(call: Any, near: str) -> None:
    with pytest.raises(ArgumentTypeError, match=rf"did you mean {near}\?"):
        call()


def test_a_call_with_too_few_arguments_says_how_it_goes() -> None:
    with pytest.raises(ArgumentTypeError) as problem:
        F.mse_loss(X)
    assert message(problem) == (
        "mse_loss is called with the wrong arguments\n"
        "  given:    nothing for target\n"
        "  expected: mse_loss(input, target, *, reduction='mean', sample_weight=None)"
    )


@pytest.mark.parametrize(
    ("call", "given", "expected"),
    [
        (lambda: pl.exp(1, 2), "arguments by place: 2, where at most 1 can be", "exp(x, /)"),
        (lambda: pl.zeros(), "nothing for shape", "zeros(shape, /, dtype=None, requires_grad=False)"),
        (lambda: pl.where(X), "nothing for a, b", "where(condition, a, b, /)"),
        (lambda: pl.exp(x=1), "x by name, which goes by its place alone", "exp(x, /)"),
        (lambda: pl.softmax(X, 0, axis=1), "axis twice: by place and by name", "softmax(x, /, axis=-1)"),
        (lambda: X.reshape(), "nothing for shape", "reshape(shape, /, *more)"),
        (lambda: X.exp(2), "arguments by place: 1, where at most 0 can be", "exp()"),
        (lambda: X.squeeze(0, 1), "arguments by place: 2, where at most 1 can be", "squeeze(axis=None)"),
        (lambda: X.item(ndigits=1), "ndigits, but it takes no argument by name", "item()"),
        (lambda: X.transpose(dim=1), "dim, but it takes no argument by name", "transpose(*axes)"),
        (lambda: pl.Tensor(), "nothing for data", "Tensor(data, dtype=None, requires_grad=False)"),
        (lambda: pl.manual_seed(), "nothing for seed", "manual_seed(seed)"),
        (lambda: pl.autograd.hvp(abs), "nothing for inputs, v", "hvp(function, inputs, v)"),
        (lambda: pl.result_type(), "nothing for item", "result_type(item, /, *items)"),
    ],
)
def test_a_call_that_does_not_fit_says_why(call: Any, given: str, expected: str) -> None:
    with pytest.raises(ArgumentTypeError) as problem:
        call()
    what, *rest = message(problem).splitlines()
    assert what == f"{expected.partition('(')[0]} is called with the wrong arguments"
    assert rest == [f"  given:    {given}", f"  expected: {expected}"]


def test_a_function_without_the_argument_says_which_it_has() -> None:
    with pytest.raises(ArgumentTypeError) as problem:
        pl.sum(X, foo=1)
    assert message(problem) == ("sum has no argument foo\n  given:    foo\n  expected: one of x, axis, keepdims, dtype")
    assert pl.ones((1,)).reshape().shape == ()


def test_an_error_inside_is_passed_on_as_it_is() -> None:
    def broken(_: Any) -> Any:
        return 1 + "a"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand") as problem:
        other_names.explains_calls(broken)(1)
    assert not isinstance(problem.value, PellucidError)


def test_a_transposition_that_does_nothing_is_refused() -> None:
    with pytest.raises(ArgumentError, match="leaves the axes of a matrix as they are"):
        X.transpose(0, 1)
    assert X.transpose(1, 0).shape == (3, 2)
    assert X.transpose((0, 1)).shape == (2, 3)
    assert pl.ones((2, 3, 4)).transpose(0, 1, 2).shape == (2, 3, 4)


def test_backward_takes_retain_graph() -> None:
    w = pl.Tensor([2.0], requires_grad=True)
    y = (w * w).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert w.grad is not None
    assert w.grad.tolist() == [8.0]
    assert pl.autograd.grad(y, w, retain_graph=True).tolist() == [4.0]
