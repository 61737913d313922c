"""Indexing, shapes, reductions and dtypes against NumPy on random cases: empty and 1-sized axes, strided inputs."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import pellucid as pl
from pellucid.autograd import vjp
from pellucid.errors import PellucidError

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
FULL = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def numbered(shape: tuple[int, ...], strided: bool = False) -> np.ndarray:
    """Distinct numbers, also as a view with negative and skipping strides."""
    x = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
    if not strided or not shape:
        return x
    wide = np.zeros(tuple(2 * n for n in shape))
    view = wide[tuple(slice(None, None, -2) for _ in shape)]
    view[...] = x
    return view


def the_same(ours: Any, theirs: np.ndarray) -> None:
    assert ours.shape == theirs.shape
    np.testing.assert_array_equal(ours.numpy(), theirs)


@st.composite
def indexed(draw: Any) -> tuple[np.ndarray, Any]:
    shape = draw(FULL)
    index = draw(
        st.one_of(
            hnp.basic_indices(shape, allow_newaxis=True),
            hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2, max_side=3)),
            hnp.arrays(bool, st.just(shape)),
            st.tuples(
                *(
                    st.one_of(
                        st.integers(-n, n - 1),
                        hnp.arrays(int, 2, elements=st.integers(-n, n - 1)),
                        st.just(slice(None)),
                    )
                    for n in shape
                )
            ),
        )
    )
    return numbered(shape, draw(st.booleans())), index


@given(indexed())
def test_indexing(case: tuple[np.ndarray, Any]) -> None:
    x, index = case
    wanted = np.asarray(x[index])
    y, g = vjp(lambda t: t[index], x, np.ones(wanted.shape))
    the_same(y, wanted)
    places = np.zeros(x.shape)
    np.add.at(places, index, 1.0)
    the_same(g, places)


@given(indexed())
def test_assignment(case: tuple[np.ndarray, Any]) -> None:
    x, index = case
    ours, theirs = pl.tensor(x), x.copy()
    ours[index] = -1.0
    theirs[index] = -1.0
    the_same(ours, theirs)

    def assigned(t: pl.Tensor) -> pl.Tensor:
        y = t * 2.0
        y[index] = 3.0
        return y

    wanted = np.full(x.shape, 2.0)
    wanted[index] = 0.0
    the_same(vjp(assigned, x, np.ones(x.shape))[1], wanted)


@given(SHAPES, st.booleans(), st.data())
def test_shapes(shape: tuple[int, ...], strided: bool, data: st.DataObject) -> None:
    x = numbered(shape, strided)
    order = data.draw(st.permutations(range(len(shape))))
    the_same(pl.transpose(x, order), np.transpose(x, order))
    the_same(pl.reshape(x, (-1,) if x.size else (0,)), x.reshape(-1))
    lead = data.draw(st.lists(st.integers(0, 2), max_size=2))
    spread = (*lead, *(data.draw(st.integers(0, 3)) if n == 1 else n for n in shape))
    the_same(pl.broadcast_to(x, spread), np.broadcast_to(x, spread))
    _, g = vjp(lambda t: pl.broadcast_to(t, spread), x, np.ones(spread))
    the_same(g, np.full(shape, np.prod(spread) / x.size if x.size else 0.0))
    if shape:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        the_same(pl.flip(x, axis), np.flip(x, axis))
        the_same(pl.roll(x, 2, axis), np.roll(x, 2, axis))
        the_same(pl.expand_dims(x, axis), np.expand_dims(x, axis))
        the_same(pl.concatenate([x, x], axis), np.concatenate([x, x], axis))
        the_same(pl.stack([x, x], axis), np.stack([x, x], axis))
        the_same(pl.repeat(x, 2, axis), np.repeat(x, 2, axis))
        the_same(pl.pad(x, 1), np.pad(x, 1))
        the_same(pl.tile(x, (2, 1)), np.tile(x, (2, 1)))
        the_same(pl.sort(x, axis), np.sort(x, axis))


@given(SHAPES, st.booleans(), st.booleans(), st.data())
def test_reductions(shape: tuple[int, ...], keepdims: bool, strided: bool, data: st.DataObject) -> None:
    x = numbered(shape, strided) / 7 - 1
    axis = data.draw(
        st.one_of(st.none(), st.sets(st.integers(0, max(len(shape) - 1, 0))).map(tuple) if shape else st.none())
    )
    kw = {"axis": axis, "keepdims": keepdims}
    empty = 0 in (shape if axis is None else [shape[a] for a in axis])
    with np.errstate(all="ignore"):
        for name in ("sum", "prod", "any", "all"):
            ours, theirs = getattr(pl, name)(x, **kw).numpy(), getattr(np, name)(x, **kw)
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        for name in ("max", "min", "mean", "var", "std"):
            if empty:
                with pytest.raises(PellucidError):
                    getattr(pl, name)(x, **kw)
            else:
                np.testing.assert_allclose(
                    getattr(pl, name)(x, **kw).numpy(), getattr(np, name)(x, **kw), rtol=1e-10, atol=1e-12
                )
    if shape:
        one = data.draw(st.integers(-len(shape), len(shape) - 1))
        np.testing.assert_allclose(pl.cumsum(x, one).numpy(), np.cumsum(x, one), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(pl.cumprod(x, one).numpy(), np.cumprod(x, one), rtol=1e-10, atol=1e-12)
        if not empty and shape[one]:
            assert pl.argmax(x, one, keepdims).tolist() == np.argmax(x, one, keepdims=keepdims).tolist()


SUMMED = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint32", "bool"]


@pytest.mark.parametrize("dtype", SUMMED)
def test_sums_and_products_of_small_numbers_do_not_overflow(dtype: str) -> None:
    x = np.ones((3, 2), dtype)
    for name in ("sum", "prod", "cumsum", "cumprod"):
        ours, theirs = getattr(pl, name)(x, axis=0), getattr(np, name)(x, axis=0)
        assert ours.dtype == theirs.dtype, name
        the_same(ours, theirs)


KINDS = ["bool", "uint8", "uint32", "uint64", "int8", "int16", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations_with_replacement(KINDS, 2)))
def test_two_dtypes_meet_in_either_order(a: str, b: str) -> None:
    """NumPy's rule within a kind; a float keeps its dtype against whole numbers; uint64 meets no signed dtype."""
    first, second = np.dtype(a), np.dtype(b)
    x, y = pl.ones((2,), a), pl.ones((2,), b)
    if {first.kind, second.kind} == {"u", "i"} and "uint64" in (a, b):
        for p, q in ((x, y), (y, x)):
            with pytest.raises(pl.errors.DTypeError):
                p * q
        return
    floats = [d for d in (first, second) if d.kind == "f"]
    wanted = np.result_type(*(floats or [first, second]))
    assert (x * y).dtype == (y * x).dtype == wanted == pl.result_type(a, b)


@pytest.mark.parametrize("dtype", KINDS)
def test_python_numbers_are_weak(dtype: str) -> None:
    x = pl.ones((2,), dtype)
    kind = np.dtype(dtype).kind
    assert (x * True).dtype == dtype
    assert (x * 2).dtype == (2 * x).dtype == ("int64" if kind == "b" else dtype)
    assert (x * 0.5).dtype == (0.5 * x).dtype == (dtype if kind == "f" else "float32")
    assert (x * np.float64(0.5)).dtype == (np.float64(0.5) * x).dtype == (dtype if kind == "f" else "float32")
    assert pl.where(pl.tensor([True, False]), x, 0).dtype == ("int64" if kind == "b" else dtype)
    assert pl.where(pl.tensor([True, False]), x, 0.0).dtype == (dtype if kind == "f" else "float32")


def test_the_default_dtype_is_what_python_floats_become() -> None:
    try:
        pl.set_default_dtype("float64")
        assert (
            pl.tensor([0.1]).dtype == (pl.tensor([1]) * 0.5).dtype == pl.exp(1).dtype == pl.zeros(2).dtype == "float64"
        )
        assert pl.tensor([0.1]).tolist() == [0.1]
    finally:
        pl.set_default_dtype("float32")
    assert pl.tensor([0.1]).dtype == "float32"


@pytest.mark.parametrize(
    "function",
    [
        lambda x: pl.nonzero(x)[0],
        lambda x: x[x > 1],
        lambda x: pl.unique_values(x),
        lambda x: pl.searchsorted(x, x),
        lambda x: x * pl.allclose(x, 1.0),
        lambda x: x * x.sum().item(),
    ],
)
def test_what_depends_on_values_is_not_recorded(function: Any) -> None:
    with pytest.raises(pl.errors.RecordingError):
        pl.graph.record(function, pl.tensor([1.0, 2.0]))
