"""The schedules under the name of PyTorch's module: `pellucid.optim.lr_scheduler.StepLR`. Called by code that was
written for PyTorch.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.other_names import no_attribute
from pellucid.optim.schedules import *  # noqa: F403
from pellucid.optim.schedules import __all__ as __all__


def __getattr__(name: str) -> Any:
    raise no_attribute("pellucid.optim.lr_scheduler", name, __all__)
