"""Graphs: any function of Tensors as a list of operations that can be printed, checked, run again, compiled, exported
and explained."""

from __future__ import annotations

from pellucid.graph.batch import bind, generalize, record_batched
from pellucid.graph.ir import Batch, Captured, Expectation, Graph, Instruction, Read, Scope, Value
from pellucid.graph.run import Ran, replay, run
from pellucid.graph.trace import record
from pellucid.graph.verify import verify

__all__ = [
    "Batch",
    "Captured",
    "Expectation",
    "Graph",
    "Instruction",
    "Ran",
    "Read",
    "Scope",
    "Value",
    "bind",
    "generalize",
    "record",
    "record_batched",
    "replay",
    "run",
    "verify",
]
