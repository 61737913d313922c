"""What several tests of the compiler take."""

import pytest


@pytest.fixture(params=["numpy", "llvm"])
def tier(request):
    """The two ways in which a compiled function runs."""
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    return request.param
