"""Changes in place: what backward refuses because of them, what is differentiated through them, and who sees them."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.autograd import grad
from pellucid.errors import DTypeError, GradientError, ShapeError


def leaf(data: Any) -> pl.Tensor:
    return pl.tensor(data, dtype="float64", requires_grad=True)


def message(problem: pytest.ExceptionInfo[Exception]) -> str:
    """The message without its last line, which names the place."""
    return "\n".join(line for line in str(problem.value).splitlines() if not line.startswith("  at:"))


def test_what_an_operation_saw_must_not_change_before_backward() -> None:
    w, x = leaf([1.0, 2.0]), pl.tensor([3.0, 4.0], dtype="float64")
    y = (w * x).sum()
    with pl.no_grad():
        w += 1.0
    with pytest.raises(GradientError) as problem:
        y.backward()
    assert message(problem) == (
        "a tensor was changed in place after multiply used it\n"
        "  given:    input 0, shape (2,)\n"
        "  expected: the values that multiply saw; change it after backward, or change a copy"
    )


def test_data_that_ask_for_no_gradient_count_too() -> None:
    w, x = leaf([1.0, 2.0]), pl.tensor([3.0, 4.0], dtype="float64")
    y = (w * x).sum()
    x[0] = 9.0
    with pytest.raises(GradientError, match="a tensor was changed in place after multiply used it"):
        y.backward()


@pytest.mark.parametrize("view", ["x[1:]", "x.reshape(2, 1)", "x.T", "x.detach()", "pl.asarray(x.data)", "x"])
def test_a_change_through_a_view_counts(view: str) -> None:
    w, x = leaf([1.0, 2.0]), pl.tensor([3.0, 4.0], dtype="float64")
    y = (w * x).sum()
    other = eval(view)  # noqa: S307
    other[0] = 9.0
    with pytest.raises(GradientError, match="a tensor was changed in place after multiply used it"):
        y.backward()


def test_a_result_changed_where_gradients_cannot_see_it_is_refused() -> None:
    x = leaf([1.0, 2.0])
    y = x.exp()
    with pl.no_grad():
        y[0] = 0.0
    with pytest.raises(GradientError, match="a result was changed where gradients could not see it"):
        y.sum().backward()
    y = x.exp()
    with pl.no_grad():
        y *= 2.0
    with pytest.raises(GradientError, match="a result was changed where gradients could not see it"):
        y.sum().backward()


def test_a_change_after_backward_is_free() -> None:
    w = leaf([1.0, 2.0])
    y = (w * w).sum()
    y.backward()
    with pl.no_grad():
        w -= 0.1 * w.grad
    assert w.requires_grad
    assert w.is_leaf
    np.testing.assert_allclose(w.numpy(), [0.8, 1.6])
    (w * w).sum().backward()


def test_in_place_operators_and_assignment_are_differentiated() -> None:
    x = leaf([1.0, 2.0, 3.0])
    y = x * 2.0
    same = y
    y += x
    y *= y
    y[1] = y[0] * x[2]
    y[2] += x[0]
    assert y is same
    # y = [9x0², 9x0²x2, 9x2² + x0]
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [18 * 1 + 18 * 1 * 3 + 1, 0.0, 9 * 1 + 18 * 3])


def test_a_tensor_filled_row_by_row_like_a_recurrence() -> None:
    w = leaf([0.5, 2.0])
    states = pl.zeros((4, 2), "float64")
    h = pl.ones(2, "float64")
    for t in range(4):
        h = h * w
        states[t] = h
    states.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [1 + 2 * 0.5 + 3 * 0.25 + 4 * 0.125, 1 + 4 + 12 + 32])


def test_an_earlier_use_of_a_tensor_that_was_changed_is_refused_not_lost() -> None:
    x = leaf([1.0, 2.0])
    y = x * 2.0
    z = y * 3.0
    y += 1.0
    with pytest.raises(GradientError, match="changed in place after multiply used it"):
        (z.sum() + y.sum()).backward()
    with pytest.raises(GradientError, match="changed in place after multiply used it"):
        grad(z.sum() + y.sum(), x)


def test_a_leaf_is_changed_only_where_gradients_are_off() -> None:
    w = leaf([1.0])
    w.name = "weight"
    with pytest.raises(GradientError) as problem:
        w += 1.0
    assert message(problem) == (
        "a leaf that asks for a gradient cannot be changed in place while gradients are tracked\n"
        "  given:    weight, shape (1,)\n"
        "  expected: a change inside no_grad()\n"
        "  fix:      with pellucid.no_grad(): ..."
    )
    with pytest.raises(GradientError):
        w[0] = 1.0
    with pl.no_grad():
        w[0] = 5.0
    assert w.tolist() == [5.0]
    assert w.requires_grad


def test_a_view_is_not_changed_alone() -> None:
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x * 1.0
    for write in (
        lambda: y[0].__setitem__(1, 5.0),
        lambda: y.T.__setitem__(0, 5.0),
        lambda: y.reshape(-1).__setitem__(0, 5.0),
    ):
        with pytest.raises(GradientError, match="a view cannot be changed alone while gradients are tracked"):
            write()
    untracked = pl.zeros((2, 2), "float64")
    with pytest.raises(GradientError, match="a view cannot be changed alone"):
        untracked[0][1] = x[0, 0]
    copy = y[0].clone()
    copy[1] = 5.0
    assert grad(copy.sum(), x).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_without_gradients_a_view_writes_to_the_memory_it_looks_at() -> None:
    x = pl.zeros((2, 2))
    x[0][1] = 5.0
    x.reshape(4)[2] = 6.0
    x.T[1, 1] = 7.0
    assert x.tolist() == [[0.0, 5.0], [6.0, 7.0]]
    array = np.zeros(3, np.float32)
    pl.asarray(array)[1] = 2.0
    assert array.tolist() == [0.0, 2.0, 0.0]


def test_a_read_only_array_is_copied_before_it_is_written_to() -> None:
    array = np.zeros(3)
    array.flags.writeable = False
    x = pl.asarray(array)
    x[0] = 1.0
    assert x.tolist() == [1.0, 0.0, 0.0]
    assert array.tolist() == [0.0, 0.0, 0.0]
    y = pl.broadcast_to(pl.zeros(1), (300, 300))
    y[0, 0] = 1.0
    assert y.sum().item() == 1.0


def test_in_place_operators_make_new_memory() -> None:
    array = np.ones(2)
    x = pl.asarray(array)
    row = x[:1]
    x += 1.0
    assert array.tolist() == [1.0, 1.0]
    assert row.tolist() == [1.0]
    x[0] += 5.0
    assert x.tolist() == [7.0, 2.0]


def test_in_place_operations_keep_shape_and_kind() -> None:
    x = pl.tensor([1, 2])
    with pytest.raises(DTypeError) as problem:
        x += 0.5
    assert message(problem) == (
        "add: the values cannot be put into this dtype\n"
        "  given:    values of float32 into a tensor of int64\n"
        "  expected: values that stay what they are; cast them, or the tensor, with astype"
    )
    with pytest.raises(DTypeError):
        x[0] = 1.5
    with pytest.raises(DTypeError):
        pl.tensor([True])[0] = 2
    with pytest.raises(ShapeError, match="an in-place operation cannot change the shape"):
        x += pl.ones((2, 2), "int64")
    f = pl.tensor([1.0])
    f += pl.tensor([0.5], dtype="float64")
    assert f.dtype == "float32"
