"""Clipping of gradients by hand-computed values, and what is refused."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from pellucid.errors import ArgumentError, ArgumentTypeError, GradientError


def with_gradients(*gradients: Any, dtype: Any = np.float32) -> list[pl.Tensor]:
    params = []
    for g in gradients:
        p = pl.Tensor(np.zeros(np.shape(g), dtype), requires_grad=True)
        p.grad = pl.Tensor(np.asarray(g, dtype))
        params.append(p)
    return params


def gradients_of(params: list[pl.Tensor]) -> list[Any]:
    return [p.grad.tolist() for p in params if p.grad is not None]


@pytest.mark.parametrize(
    ("order", "total"),
    # 2, -3, 6: sqrt(49); 11; 6; the cube root of 8 + 27 + 216.
    [(2.0, 7.0), (1.0, 11.0), (np.inf, 6.0), ("inf", 6.0), (3, 251 ** (1 / 3))],
)
def test_norms(order: Any, total: float) -> None:
    params = with_gradients([2.0, -3.0], [[6.0]], dtype=np.float64)
    norm = optim.clip_grad_norm_(params, 1.0, order)
    assert norm.item() == pytest.approx(total, rel=1e-12)
    assert (norm.shape, norm.dtype) == ((), pl.float64)
    factor = 1 / (total + 1e-6)
    assert gradients_of(params)[0] == pytest.approx([2 * factor, -3 * factor], rel=1e-12)
    assert gradients_of(params)[1][0] == pytest.approx([6 * factor], rel=1e-12)


def test_short_gradients_stay_as_they_are() -> None:
    params = with_gradients([0.25, -0.5])
    assert optim.clip_grad_norm_(params, 1.0).item() == pytest.approx(0.3125**0.5)
    assert gradients_of(params) == [[0.25, -0.5]]
    assert params[0].grad is not None
    assert params[0].grad.dtype == pl.float32


def test_a_gradient_whose_square_overflows_is_shortened_like_any_other() -> None:
    params = with_gradients([3e30, -4e30])
    assert optim.clip_grad_norm_(params, 1.0).item() == pytest.approx(5e30)
    assert gradients_of(params)[0] == pytest.approx([0.6, -0.8])


def test_one_parameter_may_stand_alone() -> None:
    (p,) = with_gradients([3.0, 4.0])
    assert optim.clip_grad_norm_(p, 1.0).item() == 5.0


def test_infinity_only_measures() -> None:
    params = with_gradients([3.0, 4.0])
    optim.SGD(params).step()
    assert optim.clip_grad_norm_(params, np.inf).item() == 5.0
    assert gradients_of(params) == [[3.0, 4.0]]


def test_a_zero_gradient_stays_zero() -> None:
    params = with_gradients([0.0, 0.0], np.zeros((0, 2)))
    assert optim.clip_grad_norm_(params, 1.0).item() == 0.0
    assert gradients_of(params) == [[0.0, 0.0], []]
    assert optim.clip_grad_norm_(params, 1.0, np.inf).item() == 0.0


def test_values() -> None:
    params = with_gradients([2.0, -3.0, 0.5], [1.0])
    optim.clip_grad_value_(params, 1.0)
    assert gradients_of(params) == [[1.0, -1.0, 0.5], [1.0]]


def test_parameters_without_a_gradient_are_left_out() -> None:
    params = [*with_gradients([3.0, 4.0]), pl.Tensor([1.0], requires_grad=True), pl.ones((2,))]
    assert optim.clip_grad_norm_(params, 1.0).item() == 5.0
    # Gradients in place of parameters: nothing would be clipped.
    with pytest.raises(GradientError, match="no parameter asks for a gradient"):
        optim.clip_grad_norm_([p.grad for p in with_gradients([3.0, 4.0])], 1.0)


def test_a_clipped_step() -> None:
    w = pl.Tensor([3.0, 4.0], dtype=pl.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)
    (w * w / 2).sum().backward()
    optim.clip_grad_norm_([w], 1.0)
    optimizer.step()
    assert w.tolist() == pytest.approx([2.4, 3.2], abs=1e-6)


def test_clipping_after_the_step() -> None:
    params = with_gradients([3.0, 4.0])
    optim.SGD(params).step()
    for act in (lambda: optim.clip_grad_norm_(params, 1.0), lambda: optim.clip_grad_value_(params, 1.0)):
        with pytest.raises(GradientError) as error:
            act()
        assert str(error.value).splitlines()[1:3] == [
            "  given:    1 parameter(s), and no backward() that reached them since the step",
            "  expected: backward(), then clipping, then step()",
        ]
    assert error.value.what == (
        "clip_grad_value_: the gradients were already used by a step, and clipping them changes nothing"
    )


def test_clipping_before_backward() -> None:
    with pytest.raises(GradientError) as error:
        optim.clip_grad_norm_([pl.Tensor([1.0], requires_grad=True)], 1.0)
    assert error.value.what == "clip_grad_norm_: no parameter has a gradient"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_gradients_that_are_not_finite(bad: float) -> None:
    params = with_gradients([1.0, bad])
    with pytest.raises(GradientError) as error:
        optim.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
    assert str(error.value).splitlines()[:3] == [
        "clip_grad_norm_: the gradients are not finite",
        f"  given:    a norm of order 2.0 of {abs(bad)}",
        "  expected: gradients without NaN and infinity; error_if_nonfinite=False lets them pass",
    ]
    assert not np.isfinite(optim.clip_grad_norm_(params, 1.0).item())


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda p: optim.clip_grad_norm_(p, -1.0), ArgumentError),
        (lambda p: optim.clip_grad_norm_(p, "x"), ArgumentTypeError),
        (lambda p: optim.clip_grad_norm_(p, 1.0, 0.0), ArgumentError),
        (lambda p: optim.clip_grad_norm_(p, 1.0, "two"), ArgumentTypeError),
        (lambda p: optim.clip_grad_value_(p, -1.0), ArgumentError),
        (lambda p: optim.clip_grad_norm_([], 1.0), ArgumentError),
        (lambda p: optim.clip_grad_norm_("weights", 1.0), ArgumentTypeError),
        (lambda p: optim.clip_grad_norm_(3, 1.0), ArgumentTypeError),
        (lambda p: optim.clip_grad_norm_([3], 1.0), ArgumentTypeError),
    ],
)
def test_wrong_arguments(act: Any, error: Any) -> None:
    with pytest.raises(error):
        act(with_gradients([1.0]))
