"""backward, grad and the products built on them: accumulation, histories deep and wide, threads, and every refusal."""

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.autograd import backward, grad, hessian, hvp, jacobian, per_sample_gradients, vjp
from pellucid.errors import ArgumentTypeError, DTypeError, GradientError, ShapeError


def leaf(data: Any) -> pl.Tensor:
    return pl.tensor(data, dtype="float64", requires_grad=True)


def message(problem: pytest.ExceptionInfo[Exception]) -> str:
    """The message without its last line, which names the place."""
    return "\n".join(line for line in str(problem.value).splitlines() if not line.startswith("  at:"))


# Accumulation


def test_one_element_of_any_number_of_axes_needs_no_gradient_to_start_from() -> None:
    w = leaf([[3.0]])
    (w * w).backward()
    assert w.grad.tolist() == [[6.0]]


def test_an_output_that_is_given_twice_counts_twice() -> None:
    w = leaf(3.0)
    y = w * w
    assert grad([y, y, 2 * y], w).item() == 6.0 + 6.0 + 12.0


def test_backward_calls_before_a_step_add_up_and_after_it_start_afresh() -> None:
    w = leaf([1.0, 2.0])
    (w * w).sum().backward()
    assert w.grad.tolist() == [2.0, 4.0]
    (3 * w).sum().backward()
    assert w.grad.tolist() == [5.0, 7.0]
    w._used_grad = w.grad  # what an optimizer's step says
    assert w.grad.tolist() == [5.0, 7.0]
    (3 * w).sum().backward()
    assert w.grad.tolist() == [3.0, 3.0]
    assert w._used_grad is None


def test_a_step_and_the_next_backward_by_an_optimizer() -> None:
    w = leaf([1.0])
    optimizer = pl.optim.SGD([w], lr=0.5)
    for expected in (0.0, 0.0):  # w - 0.5·2w = 0
        (w * w).sum().backward()
        optimizer.step()
        assert w.tolist() == [expected]


def test_grad_is_nobody_elses() -> None:
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seed = pl.tensor([1.0, 1.0], dtype="float64")
    (a + b).backward(seed)
    assert a.grad is not b.grad
    assert not np.shares_memory(a.grad.data, b.grad.data)
    assert not np.shares_memory(a.grad.data, seed.data)
    a.grad *= 10.0
    assert b.grad.tolist() == [1.0, 1.0]
    assert seed.tolist() == [1.0, 1.0]
    a.sum().backward()
    a.grad.data[0] = 7.0  # not a broadcast view


def test_results_of_grad_are_the_callers_own() -> None:
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    seed = pl.ones(2, "float64")
    g, h = grad(a + b, [a, b], seed)
    assert g is not h
    g[0] = 5.0
    assert h.tolist() == [1.0, 1.0]
    assert seed.tolist() == [1.0, 1.0]


def test_retain_grad_fills_the_gradient_of_a_computed_tensor() -> None:
    x = leaf([2.0])
    y = (x * 3.0).retain_grad()
    z = y * y
    z.backward()
    assert y.grad.tolist() == [12.0]
    assert z.grad is None
    assert x.grad.tolist() == [36.0]


def test_backward_of_chosen_inputs_leaves_the_others_alone() -> None:
    a, b = leaf([1.0]), leaf([2.0])
    y = a * b
    y.backward(inputs=a)
    assert a.grad.tolist() == [2.0]
    assert b.grad is None
    z = y * y
    z.backward(inputs=[y])
    assert y.grad.tolist() == [4.0]
    assert b.grad is None


def test_backward_of_a_leaf() -> None:
    x = leaf([3.0])
    x.backward()
    assert x.grad.tolist() == [1.0]


def test_a_diamond_and_a_tensor_used_many_times() -> None:
    x = leaf(3.0)
    y = x * x
    z = y * x + y * y + y
    z.backward()
    assert x.grad.item() == pytest.approx(3 * 9 + 4 * 27 + 2 * 3)


def test_a_long_row_of_diamonds_is_not_walked_path_by_path() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(200):  # 2**200 paths
        y = (y + y) * 0.5
    y.backward()
    assert x.grad.item() == 1.0


def test_ten_thousand_operations_need_no_recursion() -> None:
    x = leaf([1.0, 2.0])
    y = x
    for _ in range(10_000):
        y = y + 1e-3
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]
    ghost = weakref.ref(y)
    del y
    gc.collect()
    assert ghost() is None


def test_a_history_goes_with_its_result() -> None:
    x = leaf(np.ones(3))
    y = x * 2
    ghost = weakref.ref(y)
    z = y.sum()
    z.backward()
    del y
    assert ghost() is not None
    del z
    assert ghost() is None


def test_mixed_dtypes_get_gradients_of_their_own_dtype() -> None:
    a, b = pl.tensor([1.0, 2.0], requires_grad=True), leaf([3.0, 4.0])
    y = pl.concatenate([a, b]) * 2 + (a * b).sum()
    assert y.dtype == "float64"
    y.sum().backward()
    assert a.grad.dtype == "float32"
    assert b.grad.dtype == "float64"
    assert a.grad.tolist() == [14.0, 18.0]
    grad(a.sum(), a, np.float64(1.0))


# Orders


def test_third_derivative() -> None:
    x = leaf(2.0)
    first = grad(x**4, x, create_graph=True)
    second = grad(first, x, create_graph=True)
    third = grad(second, x, create_graph=True)
    assert (first.item(), second.item(), third.item()) == pytest.approx((32.0, 48.0, 48.0))
    assert grad(third, x).item() == pytest.approx(24.0)


def test_create_graph_in_backward() -> None:
    x = leaf(3.0)
    backward(x**3, create_graph=True)
    assert x.grad.item() == pytest.approx(27.0)
    (x.grad * 2).backward()
    assert x.grad.item() == pytest.approx(27.0 + 36.0)


def test_without_create_graph_a_gradient_has_no_history() -> None:
    x = leaf(3.0)
    assert not grad(x * x, x).requires_grad


def test_jacobian_of_a_vector_function() -> None:
    j = jacobian(lambda x: x * x + x.sum(), np.array([1.0, 2.0]))
    assert j.tolist() == [[3.0, 1.0], [1.0, 5.0]]
    several = jacobian(lambda a, b: a * b, [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    assert [s.tolist() for s in several] == [[[3.0, 0.0], [0.0, 4.0]], [[1.0, 0.0], [0.0, 2.0]]]
    assert jacobian(lambda x: x[:0], np.array([1.0, 2.0])).shape == (0, 2)


def test_jacobian_and_vjp_with_create_graph_are_differentiated_by_the_inputs() -> None:
    x = leaf([1.0, 2.0])
    grad(jacobian(lambda t: t**3, x, create_graph=True).sum(), x)
    assert grad(jacobian(lambda t: t**3, x, create_graph=True).sum(), x).tolist() == [6.0, 12.0]
    _, g = vjp(lambda t: (t**3).sum(), x, create_graph=True)
    assert grad(g.sum(), x).tolist() == [6.0, 12.0]


def test_hessian_and_its_product_with_a_vector() -> None:
    def f(x: pl.Tensor) -> pl.Tensor:
        return (x[0] ** 2) * x[1] + x[1] ** 3

    x = np.array([2.0, 3.0])
    wanted = np.array([[6.0, 4.0], [4.0, 18.0]])
    np.testing.assert_allclose(hessian(f, x).numpy(), wanted)
    value, product = hvp(f, x, [1.0, -2.0])
    assert value.item() == 39.0
    np.testing.assert_allclose(product.numpy(), wanted @ [1.0, -2.0])
    assert hessian(lambda t: t.sum(), x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert hvp(lambda t: (t * 2).sum(), x, x)[1].tolist() == [0.0, 0.0]


def test_per_sample_gradients() -> None:
    w = leaf([1.0, -1.0])
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    (g,) = per_sample_gradients(lambda row: ((row * w).sum() ** 2).sum(), [w], x)
    np.testing.assert_allclose(g.numpy(), 2 * (x @ [1.0, -1.0])[:, None] * x)
    (empty,) = per_sample_gradients(lambda row: (row * w).sum(), [w], np.zeros((0, 2)))
    assert empty.shape == (0, 2)


# Where there is no gradient


def test_no_grad_and_enable_grad_nest_and_come_back_after_an_error() -> None:
    x = leaf([1.0])
    with pl.no_grad():
        assert not (x * 2).requires_grad
        with pl.enable_grad():
            assert (x * 2).requires_grad
        assert not pl.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), pl.no_grad():
        _ = 1 / 0
    assert pl.is_grad_enabled()

    @pl.no_grad()
    def f(depth: int) -> bool:
        return f(depth - 1) if depth else pl.is_grad_enabled()

    assert f(3) is False
    assert pl.is_grad_enabled()


def test_the_grad_mode_is_each_threads_own() -> None:
    seen: list[bool] = []
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        seen.append(pl.is_grad_enabled())
        with pl.no_grad():
            inside.set()
            leave.wait(5)
            seen.append(pl.is_grad_enabled())

    thread = threading.Thread(target=other)
    with pl.no_grad():
        thread.start()
        assert inside.wait(5)
    assert pl.is_grad_enabled()
    leave.set()
    thread.join()
    assert seen == [True, False]
    assert pl.is_grad_enabled()


def test_backward_in_many_threads_at_once() -> None:
    results: list[float] = []

    def work(n: int) -> None:
        x = leaf(float(n))
        y = x
        for _ in range(100):
            y = y * 1.01 + 0.0
        y.backward()
        results.append(x.grad.item())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    np.testing.assert_allclose(results, [1.01**100] * 4)


@pytest.mark.parametrize(
    ("make", "op"),
    [
        (lambda x: pl.argmax(x), "argmax"),
        (lambda x: (x > 0).sum() * 1.0, "greater"),
        (lambda x: pl.argsort(x).sum() * 2.0 + 1.0, "argsort"),
        (lambda x: x.astype(int).sum() * 1.5, "cast"),
    ],
)
def test_a_result_behind_an_operation_without_gradient_names_it(make: Any, op: str) -> None:
    with pytest.raises(GradientError, match=f"there is no gradient through {op}"):
        make(leaf([1.0, 2.0])).backward()


def test_the_refusals() -> None:
    x = leaf([1.0, 2.0])
    with pytest.raises(GradientError) as problem:
        (x * 2).backward()
    assert message(problem) == (
        "only a single number can be differentiated without a given gradient\n"
        "  given:    a result of shape (2,)\n"
        "  expected: one element; reduce it with .sum() or .mean(), or pass its gradient"
    )
    with pytest.raises(GradientError, match="there is nothing to differentiate"):
        pl.tensor(1.0).backward()
    with pytest.raises(ShapeError, match="the given gradient has another shape than its tensor"):
        (x * 2).backward([1.0])
    with pytest.raises(GradientError, match="the outputs do not depend on an input"):
        grad(x.sum(), leaf([1.0]))
    with pytest.raises(GradientError, match="an input does not ask for a gradient"):
        grad(x.sum(), pl.tensor([1.0]))
    assert grad(x.sum(), [x, leaf([1.0])], allow_unused=True)[1] is None
    with pytest.raises(ShapeError, match="the number of given tensors differs"):
        grad([x.sum(), x.sum()], x, [1.0])
    with pytest.raises(ArgumentTypeError, match="inputs: takes Tensors"):
        grad(x.sum(), 3)
    with pytest.raises(ArgumentTypeError, match="outputs: takes Tensors"):
        grad(None, x)
    with pytest.raises(ArgumentTypeError, match="the function does not return a Tensor"):
        vjp(lambda t: 3, [1.0])
    with pytest.raises(ShapeError, match="the number of given tensors differs"):
        hvp(lambda a, b: (a * b).sum(), [np.ones(2), np.ones(2)], np.ones(2))
    with pytest.raises(ShapeError, match="the given gradient has another shape"):
        hvp(lambda a: a.sum(), np.ones(2), np.ones(3))
    with pytest.raises(GradientError, match="only a single number"):
        hessian(lambda a: a, np.ones(2))
    with pytest.raises(ShapeError, match="the arrays of the batch differ in length"):
        per_sample_gradients(lambda a, b: a.sum(), [x], np.ones(2), np.ones(3))
    with pytest.raises(ShapeError, match="the arrays of the batch differ in length"):
        per_sample_gradients(lambda a: a.sum(), [x], 1.0)
    with pytest.raises(DTypeError, match="only floats have a gradient"):
        pl.tensor([1, 2], requires_grad=True)
    with pytest.raises(GradientError, match="a computed tensor cannot refuse its gradient"):
        (x * 2).requires_grad_(False)
    with pytest.raises(GradientError, match="a list holds a tensor with a gradient, which would be lost"):
        pl.exp([x[0], x[1]])


def test_messages_read_in_chinese() -> None:
    x = leaf([1.0, 2.0])
    try:
        pl.set_language("zh")
        with pytest.raises(GradientError) as problem:
            (x * 2).backward()
        assert message(problem).splitlines()[:3] == [
            "不给出梯度时，只能对单个数求导",
            "  给出：形状为 (2,) 的结果",
            "  应为：一个元素；可用 .sum() 或 .mean() 归约，或传入它的梯度",
        ]
    finally:
        pl.set_language(None)
