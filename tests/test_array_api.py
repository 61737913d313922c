"""The array-API standard, 2024.12: every function of it is here with its meaning, or its absence has a reason."""

import inspect
import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.errors import ArgumentError, DTypeError, PellucidError

NO_COMPLEX = "there are no complex numbers"

# Name -> a call with the value that the standard defines for it, worked out by hand; or the reason why it is not there.
a, b = [1.0, -2.5], [3.0, 0.5]
i, j = [6, -7], [3, 2]
t, f = [True, True, False, False], [True, False, True, False]
m = [[1.0, 2.0], [3.0, 4.0]]

STANDARD: dict[str, Any] = {
    # Constants
    "e": (lambda: pl.e, math.e),
    "inf": (lambda: pl.inf, math.inf),
    "nan": (lambda: math.isnan(pl.nan), True),
    "newaxis": (lambda: pl.newaxis, None),
    "pi": (lambda: pl.pi, math.pi),
    # Creation
    "arange": (lambda: pl.arange(1, 7, 2), [1, 3, 5]),
    "asarray": (lambda: pl.asarray(m, dtype=pl.float64, copy=True), m),
    "empty": (lambda: pl.empty((2, 0)).shape, (2, 0)),
    "empty_like": (lambda: pl.empty_like(m).shape, (2, 2)),
    "eye": (lambda: pl.eye(2, 3, k=1), [[0, 1, 0], [0, 0, 1]]),
    "from_dlpack": (lambda: pl.from_dlpack(np.arange(3)), [0, 1, 2]),
    "full": (lambda: pl.full((2,), 7), [7, 7]),
    "full_like": (lambda: pl.full_like(m, 7.0), [[7, 7], [7, 7]]),
    "linspace": (lambda: pl.linspace(0, 1, 5, endpoint=False), [0, 0.2, 0.4, 0.6, 0.8]),
    "meshgrid": (lambda: pl.meshgrid([1, 2], [3, 4, 5])[1], [[3, 3], [4, 4], [5, 5]]),
    "ones": (lambda: pl.ones((1, 2)), [[1, 1]]),
    "ones_like": (lambda: pl.ones_like(m), [[1, 1], [1, 1]]),
    "tril": (lambda: pl.tril(m, k=-1), [[0, 0], [3, 0]]),
    "triu": (lambda: pl.triu(m, k=1), [[0, 2], [0, 0]]),
    "zeros": (lambda: pl.zeros(2, dtype=pl.int8), [0, 0]),
    "zeros_like": (lambda: pl.zeros_like(m), [[0, 0], [0, 0]]),
    # Data types
    "astype": (lambda: pl.astype(a, pl.int64), [1, -2]),
    "can_cast": (lambda: (pl.can_cast(pl.int8, pl.int16), pl.can_cast(pl.float64, pl.float32)), (True, False)),
    "finfo": (lambda: pl.finfo(pl.float32).eps, 2.0**-23),
    "iinfo": (lambda: pl.iinfo(pl.int8).max, 127),
    "isdtype": (lambda: (pl.isdtype(pl.int8, "integral"), pl.isdtype(pl.int8, (pl.float32, "bool"))), (True, False)),
    "result_type": (lambda: pl.result_type(pl.int8, pl.int16), np.dtype("int16")),
    "bool": (lambda: pl.ones(1, pl.bool).dtype, np.dtype("bool")),
    **{
        n: (lambda n=n: pl.ones(1, getattr(pl, n)).dtype, np.dtype(n))
        for n in "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()
    },
    "complex64": NO_COMPLEX,
    "complex128": NO_COMPLEX,
    # Elementwise
    "abs": (lambda: pl.abs(a), [1, 2.5]),
    "acos": (lambda: pl.acos([0.0]), [math.pi / 2]),
    "acosh": (lambda: pl.acosh([2.0]), [math.acosh(2)]),
    "add": (lambda: pl.add(a, b), [4, -2]),
    "asin": (lambda: pl.asin([1.0]), [math.pi / 2]),
    "asinh": (lambda: pl.asinh([2.0]), [math.asinh(2)]),
    "atan": (lambda: pl.atan([1.0]), [math.pi / 4]),
    "atan2": (lambda: pl.atan2([1.0, -1.0], [-1.0, 0.0]), [3 * math.pi / 4, -math.pi / 2]),
    "atanh": (lambda: pl.atanh([0.5]), [math.atanh(0.5)]),
    "bitwise_and": (lambda: pl.bitwise_and(i, j), [2, 0]),
    "bitwise_left_shift": (lambda: pl.bitwise_left_shift(i, j), [48, -28]),
    "bitwise_invert": (lambda: pl.bitwise_invert(i), [-7, 6]),
    "bitwise_or": (lambda: pl.bitwise_or(i, j), [7, -5]),
    "bitwise_right_shift": (lambda: pl.bitwise_right_shift(i, j), [0, -2]),
    "bitwise_xor": (lambda: pl.bitwise_xor(i, j), [5, -5]),
    "ceil": (lambda: pl.ceil(a), [1, -2]),
    "clip": (lambda: pl.clip(a, -1, 0.5), [0.5, -1]),
    "conj": NO_COMPLEX,
    "copysign": (lambda: pl.copysign([1.0, 1.0], [-0.0, 2.0]), [-1, 1]),
    "cos": (lambda: pl.cos([math.pi]), [-1]),
    "cosh": (lambda: pl.cosh([1.0]), [math.cosh(1)]),
    "divide": (lambda: pl.divide(i, j), [2, -3.5]),
    "equal": (lambda: pl.equal(i, [6, 2]), [True, False]),
    "exp": (lambda: pl.exp([1.0]), [math.e]),
    "expm1": (lambda: pl.expm1([1e-10]), [1e-10]),
    "floor": (lambda: pl.floor(a), [1, -3]),
    "floor_divide": (lambda: pl.floor_divide(i, j), [2, -4]),
    "greater": (lambda: pl.greater(a, b), [False, False]),
    "greater_equal": (lambda: pl.greater_equal(a, a), [True, True]),
    "hypot": (lambda: pl.hypot([3.0], [4.0]), [5]),
    "imag": NO_COMPLEX,
    "isfinite": (lambda: pl.isfinite([1.0, math.inf, math.nan]), [True, False, False]),
    "isinf": (lambda: pl.isinf([1.0, -math.inf, math.nan]), [False, True, False]),
    "isnan": (lambda: pl.isnan([1.0, math.inf, math.nan]), [False, False, True]),
    "less": (lambda: pl.less(a, b), [True, True]),
    "less_equal": (lambda: pl.less_equal(a, a), [True, True]),
    "log": (lambda: pl.log([math.e]), [1]),
    "log1p": (lambda: pl.log1p([1e-10]), [1e-10]),
    "log2": (lambda: pl.log2([8.0]), [3]),
    "log10": (lambda: pl.log10([1000.0]), [3]),
    "logaddexp": (lambda: pl.logaddexp([0.0], [0.0]), [math.log(2)]),
    "logical_and": (lambda: pl.logical_and(t, f), [True, False, False, False]),
    "logical_not": (lambda: pl.logical_not(t), [False, False, True, True]),
    "logical_or": (lambda: pl.logical_or(t, f), [True, True, True, False]),
    "logical_xor": (lambda: pl.logical_xor(t, f), [False, True, True, False]),
    "maximum": (lambda: pl.maximum(a, b), [3, 0.5]),
    "minimum": (lambda: pl.minimum(a, b), [1, -2.5]),
    "multiply": (lambda: pl.multiply(a, b), [3, -1.25]),
    "negative": (lambda: pl.negative(a), [-1, 2.5]),
    "nextafter": (lambda: pl.nextafter(pl.ones(1), [2.0]), [1 + 2.0**-23]),
    "not_equal": (lambda: pl.not_equal(i, [6, 2]), [False, True]),
    "positive": (lambda: pl.positive(a), a),
    "pow": (lambda: pl.pow(a, [2.0, 2.0]), [1, 6.25]),
    "real": NO_COMPLEX,
    "reciprocal": (lambda: pl.reciprocal([4.0]), [0.25]),
    "remainder": (lambda: pl.remainder(i, [4, 4]), [2, 1]),
    "round": (lambda: pl.round([0.5, 1.5, -2.5]), [0, 2, -2]),
    "sign": (lambda: pl.sign([-2.0, 0.0, 3.0]), [-1, 0, 1]),
    "signbit": (lambda: pl.signbit([-0.0, 0.0]), [True, False]),
    "sin": (lambda: pl.sin([math.pi / 2]), [1]),
    "sinh": (lambda: pl.sinh([1.0]), [math.sinh(1)]),
    "sqrt": (lambda: pl.sqrt([16.0]), [4]),
    "square": (lambda: pl.square(a), [1, 6.25]),
    "subtract": (lambda: pl.subtract(a, b), [-2, -3]),
    "tan": (lambda: pl.tan([0.5]), [math.tan(0.5)]),
    "tanh": (lambda: pl.tanh([0.5]), [math.tanh(0.5)]),
    "trunc": (lambda: pl.trunc(a), [1, -2]),
    # Indexing
    "take": (lambda: pl.take(m, [1, 0, 1], axis=1), [[2, 1, 2], [4, 3, 4]]),
    "take_along_axis": (lambda: pl.take_along_axis(m, [[1, 1], [0, 1]], axis=1), [[2, 2], [3, 4]]),
    # Linear algebra
    "matmul": (lambda: pl.matmul(m, m), [[7, 10], [15, 22]]),
    "matrix_transpose": (lambda: pl.matrix_transpose(m), [[1, 3], [2, 4]]),
    "tensordot": (lambda: pl.tensordot(m, m, axes=([0], [0])), [[10, 14], [14, 20]]),
    "vecdot": (lambda: pl.vecdot(m, a, axis=-1), [-4, -7]),
    # Manipulation
    "broadcast_arrays": (lambda: pl.broadcast_arrays([[1], [2]], [3, 4])[0], [[1, 1], [2, 2]]),
    "broadcast_to": (lambda: pl.broadcast_to([1, 2], (2, 2)), [[1, 2], [1, 2]]),
    "concat": (lambda: pl.concat([m, m], axis=None), [1, 2, 3, 4] * 2),
    "expand_dims": (lambda: pl.expand_dims(i, axis=0), [i]),
    "flip": (lambda: pl.flip(m, axis=0), [[3, 4], [1, 2]]),
    "moveaxis": (lambda: pl.moveaxis(m, 0, 1), [[1, 3], [2, 4]]),
    "permute_dims": (lambda: pl.permute_dims(m, (1, 0)), [[1, 3], [2, 4]]),
    "repeat": (lambda: pl.repeat(i, [2, 1]), [6, 6, -7]),
    "reshape": (lambda: pl.reshape(m, (4,)), [1, 2, 3, 4]),
    "roll": (lambda: pl.roll(m, 1), [[4, 1], [2, 3]]),
    "squeeze": (lambda: pl.squeeze([[1, 2]], axis=0), [1, 2]),
    "stack": (lambda: pl.stack([i, j], axis=1), [[6, 3], [-7, 2]]),
    "tile": (lambda: pl.tile(i, (2, 2)), [[6, -7, 6, -7]] * 2),
    "unstack": (lambda: pl.unstack(m, axis=1)[1], [2, 4]),
    # Searching
    "argmax": (lambda: pl.argmax(m, axis=1, keepdims=True), [[1], [1]]),
    "argmin": (lambda: pl.argmin(m), 0),
    "count_nonzero": (lambda: pl.count_nonzero([[0, 1], [2, 3]], axis=1), [1, 2]),
    "nonzero": (lambda: pl.stack(pl.nonzero([[0, 1], [2, 0]])), [[0, 1], [1, 0]]),
    "searchsorted": (lambda: pl.searchsorted([1, 3, 3, 5], [3, 6, 0], side="right"), [3, 4, 0]),
    "where": (lambda: pl.where([True, False], a, 9.0), [1, 9]),
    # Sets
    "unique_all": (lambda: pl.unique_all([3, 1, 3]).indices, [1, 0]),
    "unique_counts": (lambda: pl.unique_counts([3, 1, 3]).counts, [1, 2]),
    "unique_inverse": (lambda: pl.unique_inverse([[3], [1], [3]]).inverse_indices, [[1], [0], [1]]),
    "unique_values": (lambda: pl.unique_values([3.0, 1.0, 3.0]), [1, 3]),
    # Sorting
    "argsort": (lambda: pl.argsort([2, 1, 2], descending=True, stable=True), [0, 2, 1]),
    "sort": (lambda: pl.sort([2, 3, 1], descending=True), [3, 2, 1]),
    # Statistics
    "cumulative_prod": (lambda: pl.cumulative_prod(i, include_initial=True), [1, 6, -42]),
    "cumulative_sum": (lambda: pl.cumulative_sum(i, include_initial=True), [0, 6, -1]),
    "max": (lambda: pl.max(m, axis=0), [3, 4]),
    "mean": (lambda: pl.mean(m, axis=0, keepdims=True), [[2, 3]]),
    "min": (lambda: pl.min(m), 1),
    "prod": (lambda: pl.prod(m, axis=1, dtype=pl.float64), [2, 12]),
    "std": (lambda: pl.std(a, correction=1.0), math.sqrt(2 * 1.75**2)),
    "sum": (lambda: pl.sum(m, axis=(0, 1), dtype=pl.float64), 10),
    "var": (lambda: pl.var(a), 1.75**2),
    # Utilities
    "all": (lambda: pl.all([[1, 0], [1, 1]], axis=1), [False, True]),
    "any": (lambda: pl.any([[0, 0], [0, 1]], axis=1), [False, True]),
    "diff": (lambda: pl.diff([1, 4, 9], prepend=[0], n=2), [2, 2]),
}
# Methods and attributes of the array object.
OBJECT = (
    "__abs__ __add__ __and__ __array_namespace__ __bool__ __complex__ __eq__ __float__ __floordiv__ __ge__ "
    "__getitem__ __gt__ __index__ __int__ __invert__ __le__ __lshift__ __lt__ __matmul__ __mod__ __mul__ __ne__ "
    "__neg__ __or__ __pos__ __pow__ __rshift__ __setitem__ __sub__ __truediv__ __xor__ __iadd__ __radd__ __rsub__ "
    "__rmul__ __rtruediv__ __rpow__ __rmatmul__ __dlpack__ __dlpack_device__ device dtype mT ndim shape size T "
    "to_device"
).split()


@pytest.mark.parametrize("name", STANDARD)
def test_function(name: str) -> None:
    entry = STANDARD[name]
    if isinstance(entry, str):
        assert not hasattr(pl.ops, name)
        return
    call, wanted = entry
    got = call()
    if isinstance(got, pl.Tensor):
        assert got.shape == np.shape(wanted)
        np.testing.assert_allclose(got.numpy(), wanted, rtol=1e-6)
        assert (got.dtype.kind == "b") == (np.asarray(wanted).dtype.kind == "b")
    else:
        assert got == wanted


def test_every_function_that_is_called_here_is_public() -> None:
    constants = {"e", "inf", "nan", "newaxis", "pi", "bool"}
    for name, entry in STANDARD.items():
        if not isinstance(entry, str) and name not in constants and not isinstance(getattr(pl, name), np.dtype):
            assert name in pl.ops.__all__, name


@pytest.mark.parametrize("name", OBJECT)
def test_the_array_object(name: str) -> None:
    assert hasattr(pl.Tensor([[1]]), name)


# Options that the standard gives, by name.
OPTIONS = {
    "sum": "axis dtype keepdims",
    "prod": "axis dtype keepdims",
    "mean": "axis keepdims",
    "var": "axis correction keepdims",
    "std": "axis correction keepdims",
    "max": "axis keepdims",
    "min": "axis keepdims",
    "all": "axis keepdims",
    "any": "axis keepdims",
    "argmax": "axis keepdims",
    "argmin": "axis keepdims",
    "count_nonzero": "axis keepdims",
    "cumulative_sum": "axis dtype include_initial",
    "cumulative_prod": "axis dtype include_initial",
    "sort": "axis descending stable",
    "argsort": "axis descending stable",
    "searchsorted": "side sorter",
    "diff": "axis n prepend append",
    "concat": "axis",
    "stack": "axis",
    "flip": "axis",
    "roll": "axis",
    "repeat": "axis",
    "unstack": "axis",
    "take": "axis",
    "take_along_axis": "axis",
    "vecdot": "axis",
    "tensordot": "axes",
    "expand_dims": "axis",
    "squeeze": "axis",
    "clip": "min max",
    "linspace": "dtype endpoint",
    "eye": "k dtype",
    "arange": "step dtype",
    "meshgrid": "indexing",
    "tril": "k",
    "triu": "k",
    "astype": "copy",
    "asarray": "dtype copy",
    "full": "dtype",
    "zeros": "dtype",
    "full_like": "dtype",
    "zeros_like": "dtype",
    "isdtype": "kind",
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name: str) -> None:
    assert set(OPTIONS[name].split()) <= set(inspect.signature(getattr(pl, name)).parameters)


def test_special_values() -> None:
    inf, nan = math.inf, math.nan
    assert pl.sign([nan]).isnan().tolist() == [True]
    assert pl.max([1.0, nan]).isnan().item()
    assert pl.maximum([1.0, nan], [nan, 2.0]).isnan().tolist() == [True, True]
    assert pl.sum(pl.zeros((0, 2)), axis=0).tolist() == [0, 0]
    assert pl.prod(pl.zeros((0, 2)), axis=0).tolist() == [1, 1]
    assert pl.hypot([inf], [nan]).tolist() == [inf]
    assert pl.logaddexp([-inf], [-inf]).tolist() == [-inf]
    assert pl.pow([nan, 1.0], [0.0, nan]).tolist() == [1.0, 1.0]
    assert len(pl.unique_values([nan, nan, 1.0])) == 3
    assert pl.clip([nan, 5.0], 0, 1).isnan().tolist() == [True, False]
    assert pl.clip([1.0], nan).isnan().item()
    assert pl.argmax([[1, 3, 3], [2, 2, 1]], axis=1).tolist() == [1, 0]


def test_clip_of_whole_numbers() -> None:
    x = pl.tensor([0, 100, 255], dtype="uint8")
    assert (pl.clip(x, -5, 300).tolist(), str(pl.clip(x, -5, 300).dtype)) == ([0, 100, 255], "uint8")
    assert (pl.clip(x, 3, 200).tolist(), str(pl.clip(x, 3, 200).dtype)) == ([3, 100, 200], "uint8")
    y = pl.clip(pl.tensor([0, 1, 2]), 0.5, 1.5)
    assert (y.tolist(), str(y.dtype)) == ([0.5, 1.0, 1.5], "float32")
    with pytest.raises(DTypeError):
        pl.clip([True], 0, 1)


def test_set_functions_have_gradients() -> None:
    x = pl.tensor([3.0, 1.0, 3.0], requires_grad=True)
    assert pl.autograd.grad((pl.unique_values(x) * pl.tensor([10.0, 20.0])).sum(), x).tolist() == [20.0, 10.0, 0.0]


def test_dlpack_shares_memory_both_ways() -> None:
    x = pl.tensor([1.0, 2.0])
    back = np.from_dlpack(x)
    assert np.shares_memory(back, x.data)
    assert np.shares_memory(pl.from_dlpack(back).data, x.data)
    assert pl.from_dlpack(x) is x
    with pytest.raises(DTypeError, match="an object cannot be turned into an array"):
        pl.from_dlpack([1.0])


def test_the_namespace_of_a_tensor_is_pellucid() -> None:
    x = pl.tensor([1.0])
    assert x.__array_namespace__() is pl
    assert x.__array_namespace__(api_version="2024.12") is pl
    with pytest.raises(ArgumentError) as problem:
        x.__array_namespace__(api_version="1999.12")
    assert str(problem.value).splitlines()[:3] == [
        "this version of the array-API standard is not followed",
        "  given:    '1999.12'",
        "  expected: 2021.12, 2022.12, 2023.12, 2024.12",
    ]


def test_what_can_be_expected_of_the_namespace() -> None:
    assert pl.__array_api_version__ == "2024.12"
    info = pl.__array_namespace_info__()
    capabilities = info.capabilities()
    assert capabilities["boolean indexing"]
    assert pl.arange(4)[pl.arange(4) > 1].tolist() == [2, 3]
    assert capabilities["data-dependent shapes"]
    assert pl.nonzero([0, 1, 1])[0].tolist() == [1, 2]
    most = capabilities["max dimensions"]
    assert pl.ones((1,) * most).ndim == most
    with pytest.raises(PellucidError):
        pl.ones((1,) * (most + 1))
    assert (info.default_device(), info.devices()) == ("cpu", ["cpu"])


def test_the_dtypes_of_the_namespace() -> None:
    info = pl.__array_namespace_info__()
    defaults = info.default_dtypes(device="cpu")
    assert defaults["real floating"] == pl.tensor([1.0]).dtype
    assert defaults["integral"] == pl.tensor([1]).dtype
    assert defaults["indexing"] == pl.argmax([1]).dtype
    pl.set_default_dtype("float64")
    try:
        assert info.default_dtypes()["real floating"] == pl.float64
    finally:
        pl.set_default_dtype("float32")
    assert all(dtype == getattr(pl, name) for name, dtype in info.dtypes().items())
    assert set(info.dtypes(kind="real floating")) == {"float32", "float64"}
    assert set(info.dtypes(kind=("bool", "unsigned integer"))) == {"bool", "uint8", "uint16", "uint32", "uint64"}
    assert info.dtypes(kind="complex floating") == {}
    with pytest.raises(ArgumentError):
        info.dtypes(kind="whole")
    with pytest.raises(ArgumentError):
        info.default_dtypes(device="cuda")


def test_there_is_one_device() -> None:
    x = pl.tensor([1.0])
    assert x.device == "cpu"
    assert x.to_device("cpu") is x
    with pytest.raises(ArgumentError) as problem:
        x.to_device("cuda")
    assert str(problem.value).splitlines()[:3] == [
        "to_device: device is not one of its options",
        "  given:    to_device: device = 'cuda'",
        "  expected: one of 'cpu'",
    ]
    with pytest.raises(ArgumentError):
        x.to_device("cpu", stream=1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pl.can_cast("int8", "x"),
        lambda: pl.isdtype("int8", "whole"),
        lambda: pl.result_type(),
        lambda: pl.result_type("uint64", "int8"),
        lambda: pl.finfo("int8"),
        lambda: pl.iinfo("float32"),
        lambda: pl.nonzero(1.0),
        lambda: pl.searchsorted([[1.0]], [1.0]),
        lambda: pl.searchsorted([1.0], [1.0], side="middle"),
        lambda: pl.searchsorted([1.0], [1.0], sorter=[0, 1]),
        lambda: pl.vecdot([1.0, 2.0], [1.0]),
        lambda: pl.meshgrid([[1.0]]),
        lambda: pl.diff([1.0], n=-1),
    ],
)
def test_mistakes(call: Any) -> None:
    with pytest.raises(PellucidError):
        call()
