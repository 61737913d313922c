"""Tensors: what they are made from, how they print, copy, pickle, convert, and what is refused."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, GradientError, OutOfMemoryError, ShapeError


def message(problem: pytest.ExceptionInfo[Exception]) -> str:
    return "\n".join(line for line in str(problem.value).splitlines() if not line.startswith("  at:"))


def test_lists_and_numbers_take_the_default_dtypes() -> None:
    assert pl.tensor([[1, 2, 3], [4, 5, 6]]).dtype == "int64"
    assert pl.tensor([1.5, 2]).dtype == "float32"
    assert pl.tensor(True).dtype == "bool"
    assert (pl.tensor([[1, 2, 3], [4, 5, 6]]) + 10).tolist() == [[11, 12, 13], [14, 15, 16]]
    assert pl.tensor([[1, 2, 3], [4, 5, 6]]).mean().item() == 3.5


def test_numpy_keeps_its_dtype_and_is_shared() -> None:
    array = np.array([0.1, 0.2])
    assert pl.Tensor(array).dtype == "float64"
    assert np.shares_memory(pl.Tensor(array).data, array)
    assert not np.shares_memory(pl.tensor(array).data, array)
    assert pl.tensor([np.float64(0.1), 2.0]).dtype == "float64"
    assert pl.tensor([np.array([0.1]), np.array([0.2])]).dtype == "float64"
    assert pl.tensor(np.array([1, 2], ">f4")).dtype.isnative
    assert pl.tensor(np.array([1, 2], ">f4")).tolist() == [1.0, 2.0]


def test_a_dtype_that_is_asked_for_is_reached_directly() -> None:
    assert pl.tensor([0.1], dtype="float64").item() == 0.1
    assert pl.tensor([2**53 + 1], dtype="int64").item() == 2**53 + 1


def test_tensors_in_lists() -> None:
    a = pl.tensor([1.0, 2.0])
    assert pl.tensor([a, a * 2]).tolist() == [[1.0, 2.0], [2.0, 4.0]]
    assert pl.tensor([[a[0], 5.0]]).tolist() == [[1.0, 5.0]]


def test_a_list_of_tensors_with_gradients_is_refused() -> None:
    a = pl.tensor([1.0], requires_grad=True)
    with pytest.raises(GradientError) as problem:
        pl.tensor([a, a])
    assert message(problem) == (
        "a list holds a tensor with a gradient, which would be lost\n"
        "  given:    a tensor of shape (1,) inside a list\n"
        "  expected: pellucid.stack(list), which keeps the gradient, or .detach()"
    )
    with pl.no_grad():
        assert pl.tensor([a, a]).tolist() == [[1.0], [1.0]]


NOT_NUMBERS = """these are not numbers
  given:    {}
  expected: floats, whole numbers of at most 64 bits, booleans, or nested lists of them"""
NOT_REAL = """the data are not real numbers
  given:    dtype {}
  expected: floats, whole numbers or booleans of at most 64 bits"""
MASKED = """masked arrays are not taken, since the mask would be lost
  given:    a numpy.ma.MaskedArray
  expected: an array without a mask
  fix:      masked.filled(value)"""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, NOT_NUMBERS.format("None (NoneType)")),
        ("a", NOT_NUMBERS.format("'a' (str)")),
        ([10**30], NOT_NUMBERS.format("[1000000000000000000000000000000] (list)")),
        (1j, NOT_NUMBERS.format("1j (complex)")),
        (np.array(["a"]), NOT_REAL.format("<U1")),
        (np.ones(1, complex), NOT_REAL.format("complex128")),
        (np.ma.masked_array([1.0], [True]), MASKED),
    ],
)
def test_what_is_not_numbers_is_refused(data: Any, words: str) -> None:
    with pytest.raises(DTypeError) as problem:
        pl.tensor(data)
    assert message(problem) == words


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="there is no wider float on this machine")
def test_floats_wider_than_64_bits_are_refused() -> None:
    with pytest.raises(DTypeError, match="the data are not real numbers"):
        pl.tensor(np.ones(1, np.longdouble))
    with pytest.raises(DTypeError):
        pl.zeros(2, np.longdouble)


def test_ragged_lists_are_refused() -> None:
    with pytest.raises(ShapeError) as problem:
        pl.tensor([[1.0], [1.0, 2.0]])
    assert message(problem).splitlines() == [
        "the nested lists have unequal lengths",
        "  given:    rows of different lengths",
        "  expected: a rectangular array",
    ]


@pytest.mark.parametrize("dtype", ["nonsense", 3, object(), "complex64", "U3"])
@pytest.mark.parametrize(
    "use",
    [
        lambda d: pl.tensor([1.0]).astype(d),
        lambda d: pl.zeros(2, d),
        lambda d: pl.sum([1.0], dtype=d),
        lambda d: pl.tensor(1, d),
    ],
)
def test_unknown_dtypes_are_refused(use: Any, dtype: Any) -> None:
    with pytest.raises(DTypeError):
        use(dtype)


def test_none_is_no_dtype_to_cast_to() -> None:
    with pytest.raises(DTypeError) as problem:
        pl.cast([1.0], None)
    assert message(problem) == "unknown dtype\n  given:    None\n  expected: float32, float64, int64, bool, ..."


def test_item_len_bool_and_iteration() -> None:
    assert pl.tensor([[2.5]]).item() == 2.5
    assert float(pl.tensor(2.5)) == 2.5
    assert int(pl.tensor([3])) == 3
    assert [10, 20, 30][pl.tensor(1)] == 20
    assert f"{pl.tensor(2.5):.3f}" == "2.500"
    assert [row.tolist() for row in pl.tensor([[1, 2], [3, 4]])] == [[1, 2], [3, 4]]
    assert bool(pl.tensor([0.0])) is False
    assert round(pl.tensor([1.26]), 1).item() == pytest.approx(1.3)
    assert 3.0 in pl.tensor([1.0, 3.0])
    assert (pl.tensor([1.0]) == None) is False  # noqa: E711
    assert (pl.tensor([1.0]) != "x") is True
    with pytest.raises(ShapeError) as problem:
        pl.tensor([1.0, 2.0]).item()
    assert message(problem) == (
        "item() needs exactly one element\n"
        "  given:    a tensor of shape (2,)\n"
        "  expected: shape () or a single element; tolist() gives them all"
    )
    with pytest.raises(ArgumentError, match="the truth value of several elements is ambiguous"):
        bool(pl.tensor([1.0, 2.0]))
    with pytest.raises(ArgumentTypeError, match=r"len\(\) of a tensor without axes"):
        len(pl.tensor(1.0))
    with pytest.raises(ArgumentTypeError, match="iteration of a tensor without axes"):
        list(pl.tensor(1.0))
    with pytest.raises(ArgumentTypeError, match="only a tensor with one whole number can be an index"):
        [1, 2][pl.tensor(1.0)]


def test_numpy_views_are_read_only_and_share() -> None:
    x = pl.tensor([1.0, 2.0])
    view = x.numpy()
    assert np.shares_memory(view, x.data)
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0
    assert np.asarray(x, np.float64).dtype == "float64"
    assert np.array(x).flags.writeable
    with pytest.raises(ArgumentError) as problem:
        np.asarray(x, np.float64, copy=False)
    assert message(problem) == (
        "another dtype needs a copy\n"
        "  given:    a tensor of dtype float32 with copy=False\n"
        "  expected: copy=None, or dtype float32 instead of float64"
    )


def test_repr() -> None:
    assert repr(pl.tensor([1, 2])) == "Tensor([1, 2])"
    assert repr(pl.tensor([1.0])) == "Tensor([1.], dtype=float32)"
    x = pl.tensor([1.0], requires_grad=True)
    assert repr(x) == "Tensor([1.], dtype=float32, requires_grad=True)"
    assert repr(x * 2) == "Tensor([2.], dtype=float32, op=multiply)"


def test_copies_and_pickles_are_leaves() -> None:
    x = pl.tensor([1.0, 2.0], requires_grad=True)
    x.name = "w"
    (x * x).sum().backward()
    twin = copy.deepcopy(x)
    assert (twin.tolist(), twin.requires_grad, twin.name, twin.grad.tolist()) == ([1.0, 2.0], True, "w", [2.0, 4.0])
    assert not np.shares_memory(twin.data, x.data)
    back = pickle.loads(pickle.dumps(x))  # noqa: S301
    assert (back.tolist(), back.requires_grad, back.name) == ([1.0, 2.0], True, "w")
    computed = pickle.loads(pickle.dumps(x * 2))  # noqa: S301
    assert computed.is_leaf
    assert not computed.requires_grad
    with pytest.raises(GradientError, match="a tensor with a history cannot be deep-copied"):
        copy.deepcopy(x * 2)


def test_assign() -> None:
    x = pl.tensor([1.0, 2.0])
    assert x.assign(pl.tensor([3.0, 4.0], dtype="float64")) is x
    assert (x.tolist(), str(x.dtype)) == ([3.0, 4.0], "float32")
    x.assign([5, 6])
    assert x.tolist() == [5.0, 6.0]
    with pytest.raises(ShapeError, match="assign: the shapes differ"):
        x.assign([1.0])


def test_asarray_keeps_a_history_through_a_cast_and_says_where_it_cannot_share() -> None:
    x = pl.tensor([1.0], requires_grad=True)
    assert pl.asarray(x) is x
    y = pl.asarray(x, dtype="float64")
    assert y.requires_grad
    assert pl.autograd.grad(y * 3, x).tolist() == [3.0]
    assert not np.shares_memory(pl.asarray(x, copy=True).data, x.data)
    with pytest.raises(ArgumentError, match="another dtype needs a copy"):
        pl.asarray([1.0], copy=False)
    array = np.ones(2)
    assert np.shares_memory(pl.asarray(array, copy=False).data, array)


@pytest.mark.parametrize(
    "make",
    [
        lambda: pl.zeros((10**15, 10**15)),
        lambda: pl.ones(10**18),
        lambda: pl.arange(10**17),
        lambda: pl.linspace(0.0, 1.0, 10**17),
        lambda: pl.eye(10**10),
        lambda: pl.uniform(shape=(10**17,)),
        lambda: pl.pad(pl.ones(2), 10**17),
        lambda: pl.one_hot([1], 10**17),
        lambda: pl.outer(pl.broadcast_to(1.0, (10**12,)), pl.broadcast_to(1.0, (10**12,))),
    ],
)
def test_what_no_memory_can_hold_is_refused_as_such(make: Any) -> None:
    with pytest.raises(OutOfMemoryError, match="the result is larger than the memory"):
        make()
    assert issubclass(OutOfMemoryError, MemoryError)


def test_numbers_beyond_a_dtype_are_refused() -> None:
    with pytest.raises(ArgumentError) as problem:
        pl.tensor([1], dtype="uint8") + 300
    assert message(problem) == (
        "add: a number does not fit the dtype\n"
        "  given:    300 in uint8[1], int64[]\n"
        "  expected: a number within the range of the dtype; astype gives a wider one"
    )
    x = pl.tensor([1], dtype="uint8")
    with pytest.raises(ArgumentError, match="a number does not fit the dtype"):
        x[0] = 256
    with pytest.raises(ArgumentError, match="a whole number of 1329 bits"):
        pl.tensor([1.0]) * 10**400
