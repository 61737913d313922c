"""check_gradients: it passes what is right, names what is wrong, skips kinks, and leaves everything as it was."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.core.op import REGISTRY
from pellucid.core.rng import default_generator
from pellucid.errors import ArgumentError, ArgumentTypeError, GradientError
from pellucid.ops.declare import NONE, elementwise

X = np.random.default_rng(0).uniform(-2, 2, (4, 3))


@pytest.fixture
def wrong_cube() -> Iterator[Any]:
    """A custom operation whose gradient is off by a tenth; taken out of the registry again."""

    @elementwise(onnx=NONE("for a test"), vjp=lambda g, y, x: g * 3.3 * x * x)
    def wrong_cube(m: Any, x: Any) -> Any:
        """The cube."""
        return x * x * x

    yield wrong_cube
    del REGISTRY["wrong_cube"]


def test_a_function_passes_and_the_result_counts() -> None:
    result = pl.check_gradients(lambda a, b: pl.tanh(a @ b) * a.sum(), [X, X.T])
    assert result.passed
    assert (result.num_checked, result.num_skipped) == (24, 0)
    assert result.error < 1e-6
    assert result.worst.startswith("input ")
    assert repr(result).startswith("GradientCheck(passed: 24 elements compared, 0 at kinks skipped; worst input ")


def test_a_wrong_gradient_is_named(wrong_cube: Any) -> None:
    x = np.array([[1.0, 0.1], [2.0, -0.5]])
    with pytest.raises(GradientError) as problem:
        pl.check_gradients(lambda x: wrong_cube(x).sum(), x)
    assert str(problem.value).splitlines()[:3] == [
        "a gradient differs from the difference quotient",
        "  given:    input 0[1, 0]: gradient 13.2, by differences 12",
        "  expected: equal to the tolerance; 4 elements were compared, 0 at kinks skipped",
    ]
    result = pl.check_gradients(lambda x: wrong_cube(x).sum(), x, raises=False)
    assert not result.passed
    assert (result.worst, round(result.computed, 6), round(result.expected, 6)) == ("input 0[1, 0]", 13.2, 12.0)
    assert repr(result) == (
        "GradientCheck(failed: 4 elements compared, 0 at kinks skipped; "
        "worst input 0[1, 0]: gradient 13.2, by differences 12)"
    )


def test_a_wrong_gradient_of_a_parameter_is_named(wrong_cube: Any) -> None:
    class Cubed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 2)
            self.scale = nn.Parameter(np.array([1.0, -2.0]))

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.first(x) + wrong_cube(self.scale)

    result = pl.check_gradients(Cubed(), X, raises=False)
    assert not result.passed
    assert result.worst == "parameter scale[1]"


def test_a_gradient_that_is_cut_off_is_wrong() -> None:
    result = pl.check_gradients(lambda x: (x * x.detach()).sum(), X, raises=False)
    assert not result.passed
    assert result.computed == pytest.approx(result.expected / 2)


def test_a_gradient_of_zero_is_compared_too() -> None:
    assert pl.check_gradients(lambda a, b: a.sum(), [X, X]).num_checked == 24


def test_kinks_are_skipped_and_counted_but_only_they() -> None:
    x = np.array([0.0, 1.0, -1.0, 1e-9, 1e-6, -3e-7, 2e-5])
    result = pl.check_gradients(lambda x: pl.relu(x), x)
    assert result.passed
    # 0 and 1e-9 stand at the kink for every step; the others come clear of it with a smaller one.
    assert (result.num_checked, result.num_skipped) == (5, 2)
    assert pl.check_gradients(lambda x: pl.floor(x) + x, np.array([2.0, 2.5])).num_skipped == 1
    assert (
        pl.check_gradients(lambda x: pl.sort(x) * np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 3.0])).num_skipped == 2
    )


def test_a_kink_hides_no_wrong_gradient_beside_it(wrong_cube: Any) -> None:
    result = pl.check_gradients(lambda x: pl.relu(x) + wrong_cube(x), np.array([0.0, 1.0]), raises=False)
    assert (result.passed, result.num_skipped, result.worst) == (False, 1, "input 0[1]")


def test_whole_numbers_are_passed_on() -> None:
    rows = np.array([0, 2, 2])
    assert pl.check_gradients(lambda x, i: x[i] ** 2, [X, rows]).num_checked == 12


def test_a_loss_is_applied_to_the_result() -> None:
    seen = []

    def loss(y: pl.Tensor) -> pl.Tensor:
        seen.append(str(y.dtype))
        return (y * y).mean()

    assert pl.check_gradients(nn.Linear(3, 2), X, loss=loss).passed
    assert set(seen) == {"float64"}


MODELS: dict[str, Any] = {
    "mlp": lambda: nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)),
    "batch norm": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.GELU()),
    "layer norm": lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)),
    "dropout": lambda: nn.Sequential(nn.Linear(3, 6), nn.Dropout(0.5), nn.Linear(6, 1)),
    "relu": lambda: nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str) -> None:
    pl.manual_seed(1)
    model = MODELS[name]()
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    state = default_generator.get_state()
    result = pl.check_gradients(model, X)
    assert result.passed
    assert result.num_checked + result.num_skipped == X.size + sum(p.size for p in model.parameters())
    # Nothing of the user's has changed.
    assert default_generator.get_state().tolist() == state.tolist()
    for key, value in model.state_dict().items():
        assert value.numpy().dtype == before[key].dtype
        np.testing.assert_array_equal(value.numpy(), before[key])
    assert all(p.grad is None for p in model.parameters())


def test_random_draws_are_the_same_in_every_evaluation() -> None:
    assert pl.check_gradients(lambda x: (x * pl.normal(shape=(4, 3))).sum(), X).passed


def test_frozen_parameters_are_left_out() -> None:
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    assert pl.check_gradients(model, X).num_checked == X.size + 2


def test_mistakes() -> None:
    with pytest.raises(ArgumentTypeError, match="check_gradients takes a function or a model"):
        pl.check_gradients(3, X)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match="there is nothing to differentiate"):
        pl.check_gradients(lambda i: i, np.array([1, 2]))
    with pytest.raises(ArgumentTypeError, match="the function does not return a Tensor"):
        pl.check_gradients(lambda x: 3.0, X)
    with pytest.raises(GradientError, match="there is no gradient through argmax"):
        pl.check_gradients(lambda x: pl.argmax(x), X)
    with pytest.raises(GradientError, match="the gradients cannot be checked: the function is not finite here"):
        pl.check_gradients(lambda x: pl.log(x - x), X)
    with pytest.raises(ArgumentError, match="eps is out of range"):
        pl.check_gradients(lambda x: x, X, eps=0.0)


def test_the_result_reads_in_chinese() -> None:
    try:
        pl.set_language("zh")
        assert repr(pl.check_gradients(lambda x: x * x, [2.0])).startswith("GradientCheck(通过：比较了 1 个元素")
    finally:
        pl.set_language(None)
