"""What must be known of a program to run its machine code: it is kept beside the code on disk, so that a step that was
compiled before needs neither passes nor loop nests. A lowered program comes in, or bytes; a Table leaves, or bytes.
Called by `prepared`; read by `native` and `native_plan`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.compiler.memory import Memory, Piece


class Place(NamedTuple):
    """What an array must be like to stand in for a buffer.

    strides : in bytes.
    written : whether the program writes to it.
    """

    name: str
    dtype: DType
    shape: Shape
    strides: tuple[int, ...]
    written: bool


@dataclass(frozen=True, eq=False)
class Table:
    """The buffers of a program, and which number that of each part of the graph has.

    places : by buffer number.
    flops : operations of a step.
    phases : between which its threads wait for each other.
    inputs, outputs : by position.
    varying : of captured numbers that are given for every step; None where the passes have left nothing of one.
    captured : of the captured tensors that the passes have left, by position in the graph.
    by_columns : the positions of those that lie column by column.
    scratch : (number, offset) of the intermediate results in their block of memory.
    order : of the row numbers of a program that picks its batches itself.
    constants : the passes' own constants, by number.
    """

    places: Mapping[int, Place]
    flops: int
    phases: int
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    varying: list[int | None] = field(default_factory=list)
    captured: dict[int, int] = field(default_factory=dict)
    by_columns: list[int] = field(default_factory=list)
    scratch: list[tuple[int, int]] = field(default_factory=list)
    memory: Memory = field(default_factory=lambda: Memory((), 0))
    order: int | None = None
    constants: list[tuple[int, Array]] = field(default_factory=list)

    def to_bytes(self) -> bytes:
        """JSON in a line, then the constants' elements one after the other."""
        document = {
            "places": [[n, p.name, p.dtype.name, p.shape, p.strides, p.written] for n, p in self.places.items()],
            "flops": self.flops,
            "phases": self.phases,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "varying": self.varying,
            "captured": list(self.captured.items()),
            "by_columns": self.by_columns,
            "scratch": self.scratch,
            "peak": self.memory.peak,
            "pieces": [[p.name, p.nbytes, p.first, p.last, p.offset] for p in self.memory.pieces],
            "order": self.order,
            "constants": [[n, a.dtype.name, a.shape] for n, a in self.constants],
        }
        elements = [np.ascontiguousarray(a).tobytes() for _, a in self.constants]
        return b"\n".join([json.dumps(document).encode(), b"".join(elements)])

    @staticmethod
    def from_bytes(content: bytes) -> Table:
        """What `to_bytes` gave."""
        head, _, elements = content.partition(b"\n")
        document: dict[str, Any] = json.loads(head)
        pieces = tuple([Piece(*piece) for piece in document["pieces"]])
        return Table(
            {n: Place(name, np.dtype(d), tuple(s), tuple(t), w) for n, name, d, s, t, w in document["places"]},
            document["flops"],
            document["phases"],
            document["inputs"],
            document["outputs"],
            document["varying"],
            dict(document["captured"]),
            document["by_columns"],
            [(n, offset) for n, offset in document["scratch"]],
            Memory(pieces, document["peak"]),
            document["order"],
            list(_constants(document["constants"], elements)),
        )


def _constants(described: list[tuple[int, str, list[int]]], elements: bytes) -> Iterator[tuple[int, Array]]:
    start = 0
    for n, name, shape in described:
        dtype, size = np.dtype(name), int(np.prod(shape, dtype=np.int64))
        yield n, np.frombuffer(elements, dtype, size, start).reshape(shape)
        start += size * dtype.itemsize
