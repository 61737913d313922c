"""The schedules under the name of PyTorch's module: `pellucid.optim.lr_scheduler.StepLR`. Called by code that was
written for PyTorch.
"""

from __future__ import annotations

from pellucid.optim.schedules import *  # noqa: F403
from pellucid.optim.schedules import __all__ as __all__
