"""The addresses are NumPy's own products: called on a small one they give what NumPy gives."""

import ctypes

import numpy as np
import pytest

from pellucid.compiler import blas as module
from pellucid.compiler.blas import blas

ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE = 101, 111, 112


@pytest.mark.parametrize(("dtype", "scalar"), [(np.float32, ctypes.c_float), (np.float64, ctypes.c_double)])
def test_a_small_product(dtype: type, scalar: type) -> None:
    found = blas()
    if found is None:
        pytest.skip("this NumPy has its BLAS elsewhere")
    whole, options, pointer = ctypes.c_int64, ctypes.c_int, ctypes.c_void_p
    kinds = [options] * 3 + [whole] * 3 + [scalar, pointer, whole, pointer, whole, scalar, pointer, whole]
    address = found.sgemm if dtype is np.float32 else found.dgemm
    gemm = ctypes.CFUNCTYPE(None, *kinds)(address)
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in [(3, 5), (4, 5), (3, 4)])
    expected = 2 * a.astype(np.float64) @ b.T.astype(np.float64) + 3 * c
    gemm(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, 3, 4, 5, 2, a.ctypes.data, 5, b.ctypes.data, 5, 3, c.ctypes.data, 4)
    np.testing.assert_allclose(c, expected, rtol=100 * np.finfo(dtype).eps)


def test_none_where_no_library_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    places = [("/no/such/library", "", ""), (ctypes.pythonapi._name, "no_", "_such")]
    monkeypatch.setattr(module, "_libraries", lambda: iter(places))
    assert blas.__wrapped__() is None
