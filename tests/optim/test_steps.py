"""Steps and gradients: what a step uses, what it leaves, and what is refused."""

import warnings

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from pellucid.errors import (
    ArgumentTypeError,
    GradientError,
    ShapeError,
)
from tests.optim.problem import build, leaf, loss, parameters, words

STEPPING = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Lion"]


def test_a_step_before_backward() -> None:
    with pytest.raises(GradientError) as error:
        optim.SGD([leaf(2), leaf(3)]).step()
    assert words(error) == (
        "SGD: no parameter has a gradient\n"
        "  given:    2 parameter(s), none of them with .grad\n"
        "  expected: loss.backward() before, for a loss that depends on these parameters"
    )


def test_parameters_that_ask_for_no_gradient() -> None:
    with pytest.raises(GradientError) as error:
        optim.SGD([pl.ones((2,))]).step()
    assert words(error) == (
        "SGD: no parameter asks for a gradient\n"
        "  given:    1 parameter(s), all of them with requires_grad=False\n"
        "  expected: at least one parameter to train\n"
        "  fix:      parameter.requires_grad_()"
    )


def test_two_steps_on_the_same_gradients() -> None:
    w = leaf(2)
    optimizer = optim.SGD([w], lr=0.5)
    (w * w / 2).sum().backward()
    optimizer.step()
    with pytest.raises(GradientError) as error:
        optimizer.step()
    assert words(error) == (
        "SGD: the gradients were already used by a step\n"
        "  given:    1 parameter(s), and no backward() that reached them since\n"
        "  expected: one loss.backward() before every step()"
    )
    assert w.tolist() == [0.5, 0.5]
    assert w.grad is not None
    assert w.grad.tolist() == [1.0, 1.0]  # still readable


def test_forgetting_zero_grad_does_no_harm() -> None:
    results = []
    for forget in (False, True):
        x, a, b = parameters()
        optimizer = optim.SGD([a, b], lr=0.1)
        for _ in range(4):
            if not forget:
                optimizer.zero_grad()
            loss(x, a, b).backward()
            optimizer.step()
        results.append((a.tolist(), b.tolist()))
    assert results[0] == results[1]


def test_backward_calls_before_a_step_add_up() -> None:
    w = leaf(1)
    optimizer = optim.SGD([w], lr=0.1)
    for _ in range(3):
        (w * 2.0).sum().backward()
    optimizer.step()
    assert w.item() == pytest.approx(1 - 0.6)


def test_a_parameter_that_was_not_reached_stays() -> None:
    a, b = leaf(2), leaf(2)
    optimizer = optim.SGD([a, b], lr=0.1, momentum=0.9, weight_decay=0.5)
    (a.sum() + b.sum()).backward()
    optimizer.step()
    before = b.tolist()
    a.sum().backward()
    optimizer.step()
    assert b.tolist() == before
    assert b.grad is not None


def test_zero_grad_to_zeros_is_a_gradient_of_zero() -> None:
    w = leaf(1)
    optimizer = optim.SGD([w], lr=0.5, weight_decay=0.5)
    w.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is not None
    assert w.grad.tolist() == [0.0]
    optimizer.step()
    assert w.tolist() == [0.75]
    optimizer.zero_grad()
    assert w.grad is None


def test_a_gradient_of_another_shape() -> None:
    w = leaf(3)
    w.name = "head.bias"
    w.grad = pl.ones((1,))
    with pytest.raises(ShapeError) as error:
        optim.SGD([w]).step()
    assert words(error) == (
        "a gradient has another shape than its parameter\n  given:    the gradient of head.bias: (1,)\n  expected: (3,)"
    )


def test_a_closure() -> None:
    w = leaf(1)
    optimizer = optim.SGD([w], lr=0.1)

    def closure() -> pl.Tensor:
        value = (w * w).sum()
        value.backward()
        return value

    with pl.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert w.item() == pytest.approx(0.8)


@pytest.mark.parametrize("name", ["Adam", "LBFGS"])
def test_the_loss_in_the_place_of_a_closure(name: str) -> None:
    w = leaf(1)
    with pytest.raises(ArgumentTypeError) as error:
        build(name, [w]).step((w * w).sum())  # type: ignore[arg-type]
    assert words(error) == (
        f"{name}: step() takes a function\n"
        "  given:    Tensor\n"
        "  expected: a function that computes the loss, calls backward and returns the loss"
    )


def test_lbfgs_needs_a_closure_that_returns_the_loss() -> None:
    w = leaf(2)
    with pytest.raises(ArgumentTypeError) as missing:
        optim.LBFGS([w]).step()
    assert words(missing).splitlines()[1] == "  given:    None"

    def silent() -> None:
        w.sum().backward()

    with pytest.raises(ArgumentTypeError) as error:
        optim.LBFGS([w]).step(silent)
    assert words(error) == (
        "LBFGS: the closure does not return the loss\n  given:    NoneType\n  expected: a single number"
    )
    with pytest.raises(ArgumentTypeError) as many:
        optim.LBFGS([w]).step(lambda: w * 2)
    assert words(many).splitlines()[1] == "  given:    Tensor(2,)"
    with pytest.raises(GradientError):
        optim.LBFGS([w, leaf(3)]).step(lambda: pl.Tensor(1.0))


@pytest.mark.parametrize("name", STEPPING)
def test_a_step_leaves_no_history_and_no_warning(name: str) -> None:
    w = pl.Tensor([1.0, np.inf, np.nan, 0.0], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w.grad = pl.Tensor([1.0, np.nan, np.inf, 0.0])
        build(name, [w], lr=0.1).step()
    assert w.is_leaf
    assert w.requires_grad
    assert np.isfinite(w.numpy()[[0, 3]]).all()
    assert not np.isfinite(w.numpy()[[1, 2]]).any()


@pytest.mark.parametrize("name", STEPPING)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (1, 1)])
def test_shapes_at_the_edge(name: str, shape: tuple[int, ...]) -> None:
    w = pl.Tensor(np.ones(shape), requires_grad=True)
    optimizer = build(name, [w], lr=0.1)
    for _ in range(2):
        (w * 3.0).sum().backward()
        optimizer.step()
    assert w.shape == shape
    assert (w.numpy() < 1).all()


@pytest.mark.parametrize("name", STEPPING)
def test_parameters_of_two_dtypes(name: str) -> None:
    single, double = leaf(2), pl.Tensor(np.ones(2), requires_grad=True)
    optimizer = build(name, [single, double], lr=0.1)
    for _ in range(3):
        ((single * single).sum() + (double * double).sum()).backward()
        optimizer.step()
    assert (single.dtype, double.dtype) == (pl.float32, pl.float64)
    assert single.numpy() == pytest.approx(double.numpy(), abs=1e-5)


def test_messages_in_chinese() -> None:
    try:
        pl.set_language("zh")
        with pytest.raises(GradientError) as error:
            optim.SGD([leaf(2)]).step()
        assert str(error.value).startswith(
            "SGD：没有任何参数有梯度\n"
            "  给出：1 个参数，.grad 都为空\n"
            "  应为：先对依赖这些参数的损失调用 loss.backward()"
        )
    finally:
        pl.set_language(None)
