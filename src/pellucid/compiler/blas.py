"""NumPy comes in; the addresses of its own matrix products leave, for code that multiplies large matrices. Called by
engine and native.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Blas(NamedTuple):
    """Addresses of C functions, as the reference interface of BLAS for C has them, every whole number but the
    options an int64."""

    sgemm: int
    dgemm: int


@cache
def blas() -> Blas | None:
    """The matrix products that NumPy itself calls, or None where they are not found."""
    for path, before, after in _libraries():
        try:
            library = ctypes.CDLL(path)  # loaded already: NumPy uses it
            found = [getattr(library, before + name + after) for name in ("cblas_sgemm", "cblas_dgemm")]
        except (OSError, AttributeError):
            continue
        return Blas(*(ctypes.cast(function, ctypes.c_void_p).value or 0 for function in found))
    return None


def _libraries() -> Iterator[tuple[str, str, str]]:
    """Where NumPy's wheels have their BLAS: its file, and what stands before and after its functions' names."""
    package = Path(np.__file__).parent
    for folder in (package.parent / "numpy.libs", package / ".dylibs"):
        for file in sorted(folder.glob("libscipy_openblas64_*")):
            yield str(file), "scipy_", "64_"
    yield "/System/Library/Frameworks/Accelerate.framework/Accelerate", "", "$NEWLAPACK$ILP64"
