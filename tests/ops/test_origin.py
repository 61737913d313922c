"""Which function computed a Tensor's values, through movements and without a history."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.ops.declare import composite
from pellucid.ops.origin import composite_behind

Z = np.array([[0.5, -1.0, 2.0], [0.0, 1.0, -2.0]])

MOVES = {
    "itself": lambda p: p,
    "reshape": lambda p: p.reshape(3, 2),
    "transpose": lambda p: p.T,
    "index": lambda p: p[:, :2],
    "chosen rows": lambda p: p[np.array([1, 0, 1])],
    "squeeze": lambda p: p[:, None].squeeze(1),
    "flip": lambda p: pl.flip(p, 0),
    "broadcast": lambda p: pl.broadcast_to(p, (4, 2, 3)),
    "cast": lambda p: p.astype("float32"),
    "concatenate": lambda p: pl.concatenate([p, p]),
    "several": lambda p: p.reshape(6)[1:].reshape(5, 1).T,
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_movements_are_looked_through(move) -> None:  # type: ignore[no-untyped-def]
    z = pl.Tensor(Z, requires_grad=True)
    assert composite_behind(move(pl.softmax(z))) == "softmax"
    assert composite_behind(move(pl.sigmoid(z))) == "sigmoid"
    assert composite_behind(move(pl.tanh(z))) == "tanh"
    assert composite_behind(move(z)) is None


def test_what_is_computed_from_it_is_something_else() -> None:
    z = pl.Tensor(Z, requires_grad=True)
    assert composite_behind(pl.log(pl.softmax(z))) == "log"
    assert composite_behind(pl.softmax(z) * 2.0) == "multiply"
    assert composite_behind(pl.concatenate([pl.softmax(z), pl.tanh(z)])) is None


def test_the_direct_result_is_known_without_a_history() -> None:
    with pl.no_grad():
        assert composite_behind(pl.softmax(pl.Tensor(Z))) == "softmax"
        assert composite_behind(pl.sigmoid(pl.Tensor(Z))) == "sigmoid"
    assert composite_behind(pl.softmax(pl.Tensor(Z))) == "softmax"


def test_values_that_were_changed_in_place_are_nobodys() -> None:
    for p in (pl.softmax(pl.Tensor(Z)), pl.softmax(pl.Tensor(Z, requires_grad=True)).detach()):
        p *= 3.0
        assert composite_behind(p) != "softmax"
    p = pl.softmax(pl.Tensor(Z))
    p[0] = 3.0
    assert composite_behind(p) is None


def test_what_a_composite_hands_through_is_not_its_result() -> None:
    @composite(formula="y = x", onnx="Identity", name="handed_through")
    def same(x: pl.Tensor) -> pl.Tensor:
        return x

    x = pl.Tensor(Z)
    assert same(x) is x
    assert composite_behind(x) is None
