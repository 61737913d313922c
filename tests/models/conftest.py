"""What the tests of the networks share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid.core.tensor import Tensor, wrap
from pellucid.nn import init


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights start at 0 where they would be drawn: a hundred million random numbers are not needed to count them."""

    def zeros(_a: float, _b: float, shape: Any, _key: Any, dtype: Any) -> Tensor:
        return wrap(np.zeros(shape, dtype))

    monkeypatch.setattr(init, "normal", zeros)
    monkeypatch.setattr(init, "uniform", zeros)
