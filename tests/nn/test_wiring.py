"""Residual and Parallel: what they compute, how their parts are named, and what does not fit."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, PellucidError, ShapeError


def lines(call: object, error: type[PellucidError]) -> list[str]:
    with pytest.raises(error) as caught:
        call()  # type: ignore[operator]
    return str(caught.value).splitlines()


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return x * self.factor


class Columns(nn.Module):
    """The first columns of its input; it does not say how many."""

    def __init__(self, count: int) -> None:
        self.count = count

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return x[:, : self.count]


class Pair(nn.Module):
    def forward(self, x: pl.Tensor) -> tuple[pl.Tensor, pl.Tensor]:
        return x, x


def test_residual_adds() -> None:
    x = np.array([[1.0, -2.0]])
    assert nn.Residual(Scaled(2.0), Scaled(5.0))(x).tolist() == [[11.0, -22.0]]
    assert nn.Residual(Scaled(2.0), shortcut=Scaled(-3.0))(x).tolist() == [[-1.0, 2.0]]
    assert nn.Residual({"twice": Scaled(2.0)})([[1.0, 2.0]]).tolist() == [[3.0, 6.0]]


def test_names_of_parts() -> None:
    block = nn.Residual(nn.Linear(4, 3), nn.ReLU(), shortcut=nn.Linear(4, 3, bias=False))
    assert list(block.state_dict()) == ["body.0.weight", "body.0.bias", "shortcut.weight"]
    assert list(nn.Residual(nn.Linear(4, 4)).state_dict()) == ["body.0.weight", "body.0.bias"]
    branches = nn.Parallel({"wide": nn.Linear(4, 3), "narrow": nn.Linear(4, 1, bias=False)})
    assert list(branches.state_dict()) == ["wide.weight", "wide.bias", "narrow.weight"]
    assert list(nn.Parallel(nn.Linear(1, 1, bias=False), nn.Identity()).state_dict()) == ["0.weight"]
    assert repr(nn.Parallel(Scaled(1.0), combine="sum")) == 'Parallel(\n  combine="sum"\n  (0): Scaled()\n)'


def test_residual_against_the_loop_written_out() -> None:
    pl.manual_seed(0)
    block = nn.Residual(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    first, last = block.body[0], block.body[2]
    expected = x + np.tanh(x @ first.weight.numpy().T + first.bias.numpy()) @ last.weight.numpy().T + last.bias.numpy()
    np.testing.assert_allclose(block(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    pl.check_gradients(block, x)


def test_weights_are_drawn_for_the_activations_inside() -> None:
    block = nn.Sequential(nn.Residual(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), nn.ReLU())
    assert "he normal (ReLU)" in block[0].body[0].init
    assert "lecun" in block[0].body[2].init  # a sum lies between it and the activation


def test_parallel_joins() -> None:
    x = np.arange(12.0).reshape(2, 2, 3)
    y = nn.Parallel(Scaled(1.0), Scaled(10.0))(x)
    assert y.tolist() == np.concatenate([x, 10 * x], axis=1).tolist()
    assert nn.Parallel(Scaled(1.0), Scaled(10.0), axis=-1)(x).tolist() == np.concatenate([x, 10 * x], axis=-1).tolist()
    assert nn.Parallel(Scaled(1.0), Scaled(10.0), nn.Identity(), combine="sum")(x).tolist() == (12 * x).tolist()
    assert nn.Parallel(Scaled(3.0))(x).tolist() == (3 * x).tolist()
    pl.manual_seed(0)
    both = nn.Parallel(nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 2), nn.Sigmoid()), combine="sum")
    pl.check_gradients(both, np.random.default_rng(0).normal(size=(4, 3)))
    pl.check_gradients(nn.Parallel(*both), np.random.default_rng(0).normal(size=(4, 3)))


def test_parallel_is_a_list_of_branches() -> None:
    branches = nn.Parallel(Scaled(1.0), Scaled(2.0), combine="sum")
    assert len(branches) == 2
    assert branches[1].factor == 2.0
    branches.append(Scaled(4.0))
    assert branches([[1.0]]).tolist() == [[7.0]]
    part = branches[1:]
    assert isinstance(part, nn.Parallel)
    assert part([[1.0]]).tolist() == [[6.0]]
    assert part[0] is branches[1]


def test_an_empty_batch() -> None:
    assert nn.Residual(nn.Linear(4, 4))(np.zeros((0, 4))).shape == (0, 4)
    assert nn.Parallel(nn.Linear(4, 4), nn.Linear(4, 1))(np.zeros((0, 4))).shape == (0, 5)


def test_features_that_do_not_fit_are_found_when_it_is_built() -> None:
    for layers in (
        (nn.Linear(4, 3),),
        (nn.LayerNorm(4), nn.Linear(4, 3)),
        (nn.Dropout(), nn.Linear(4, 5), nn.Linear(5, 3)),
    ):
        assert lines(lambda layers=layers: nn.Residual(*layers), ShapeError)[:3] == [
            "Residual: the layers give other features than they are added to",
            "  given:    layers: 3 features, shortcut: 4",
            "  expected: the same number, or a shortcut that brings x to 3",
        ]
        nn.Residual(*layers, shortcut=nn.Linear(4, 3))  # the fix
    with pytest.raises(ShapeError, match="it receives 4 features"):
        nn.Residual(nn.Linear(4, 3), shortcut=nn.Linear(5, 3))
    with pytest.raises(ShapeError, match="layers: 3 features, shortcut: 2"):
        nn.Residual(nn.Linear(4, 3), shortcut=nn.Linear(4, 2))
    with pytest.raises(ShapeError, match="it receives 8 features"):
        nn.Sequential(nn.Linear(2, 8), nn.Residual(nn.Linear(4, 4)))
    with pytest.raises(ShapeError, match="it receives 4 features"):
        nn.Sequential(nn.Residual(nn.Linear(4, 4)), nn.Linear(8, 2))
    assert lines(lambda: nn.Parallel({"a": nn.Linear(4, 3), "b": nn.Linear(4, 2)}, combine="sum"), ShapeError)[:3] == [
        'Parallel: branch "b" does not fit branch "a"',
        '  given:    "a" gives 3 features, "b" 2',
        "  expected: the same number, since they are added up",
    ]
    nn.Sequential(nn.Parallel(nn.Linear(4, 3), nn.Linear(4, 2), axis=-1), nn.Linear(5, 1))
    with pytest.raises(ShapeError, match="it receives 5 features"):
        nn.Sequential(nn.Parallel(nn.Linear(4, 3), nn.Linear(4, 2), axis=-1), nn.Linear(4, 1))


def test_shapes_that_do_not_fit_are_found_when_it_is_called() -> None:
    x = np.ones((2, 3))
    assert lines(lambda: nn.Residual(Columns(1))(x), ShapeError)[:4] == [
        "Residual: what the layers give does not fit what they are added to",
        "  given:    layers (2, 1), shortcut (2, 3)",
        "  expected: the same shape",
        "  fix:      shortcut=nn.Linear(3, 1)",
    ]
    nn.Residual(Columns(1), shortcut=nn.Linear(3, 1))(x)  # the fix
    pictures = np.ones((2, 3, 4, 4))
    assert "  fix:      shortcut=nn.Conv2d(3, 1, 1)" in lines(lambda: nn.Residual(Columns(1))(pictures), ShapeError)
    nn.Residual(Columns(1), shortcut=nn.Conv2d(3, 1, 1))(pictures)  # the fix
    branches = nn.Parallel({"all": nn.Identity(), "some": Columns(2)}, axis=0)
    assert lines(lambda: branches(x), ShapeError)[:3] == [
        'Parallel: branch "some" does not fit branch "all"',
        '  given:    "all" (2, 3), "some" (2, 2)',
        "  expected: the same lengths on all axes but axis 0",
    ]
    branches = nn.Parallel(nn.Identity(), Columns(1), combine="sum")
    assert lines(lambda: branches(x), ShapeError)[:3] == [
        'Parallel: branch "1" does not fit branch "0"',
        '  given:    "0" (2, 3), "1" (2, 1)',
        "  expected: the same shape",
    ]
    with pytest.raises(PellucidError):
        nn.Parallel(nn.Identity(), nn.Identity(), axis=2)(x)


def test_arguments_that_cannot_be() -> None:
    assert lines(nn.Residual, ArgumentError)[:3] == [
        "Residual: there are no layers",
        "  given:    Residual()",
        "  expected: at least one layer",
    ]
    assert lines(nn.Parallel, ArgumentError)[0] == "Parallel: there are no layers"
    for call in (
        lambda: nn.Residual(pl.tanh),
        lambda: nn.Residual(nn.Tanh(), shortcut=pl.tanh),
        lambda: nn.Parallel(pl.tanh),
        lambda: nn.Parallel({"a": pl.tanh}),
        lambda: nn.Parallel(nn.Tanh(), axis=1.5),
    ):
        with pytest.raises(ArgumentTypeError):
            call()
    with pytest.raises(ArgumentError):
        nn.Parallel(nn.Tanh(), combine="product")
    assert lines(lambda: nn.Parallel(nn.Identity(), Pair())([[1.0]]), ArgumentTypeError)[:3] == [
        "Parallel: 1 does not give one Tensor",
        "  given:    (Tensor([[1.]], dtype=float32), Tensor([[1.]], dtype=float32))",
        "  expected: a Tensor",
    ]
    with pytest.raises(ArgumentTypeError, match="Residual: body does not give one Tensor"):
        nn.Residual(Pair())([[1.0]])
