"""Learning-rate schedules: an optimizer comes in, and at every `step()` of the schedule the rates of its groups change.
Names, arguments and values are PyTorch's. Called after the optimizer's own step, by training loops and `fit`.
"""

from __future__ import annotations

from pellucid.optim.schedules.base import LRScheduler
from pellucid.optim.schedules.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from pellucid.optim.schedules.cycles import CyclicLR, OneCycleLR
from pellucid.optim.schedules.decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from pellucid.optim.schedules.plateau import ReduceLROnPlateau
from pellucid.optim.schedules.sequence import ChainedScheduler, SequentialLR

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
