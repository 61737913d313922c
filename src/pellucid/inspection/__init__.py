"""A look into networks: what they cost. Every function returns records; `report` and the command line print them."""

from __future__ import annotations

from pellucid.inspection.cost import cost
from pellucid.inspection.cost_audit import Audit, Difference
from pellucid.inspection.cost_records import CostReport, LayerCost, LayerTime, Machine, Measured, Timing, Work

__all__ = [
    "Audit",
    "CostReport",
    "Difference",
    "LayerCost",
    "LayerTime",
    "Machine",
    "Measured",
    "Timing",
    "Work",
    "cost",
]
