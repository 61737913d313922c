"""A program of loop nests comes in, Python text leaves that NumPy runs: each kernel as a function, then the loop over
steps. People read it as `step.source`; the tests run it as a second opinion on the machine code. Called by
`native_plan`.

A vector loop becomes operations on whole arrays, its counter an `arange`; a product keeps its loops over rows and over
what is summed, and has a row of results as an array. Sums are therefore rounded otherwise than in machine code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.lib.stride_tricks import as_strided

from pellucid._typing import Array
from pellucid.compiler.expressions import Buffer
from pellucid.compiler.nest import Kernel, Program
from pellucid.compiler.python_expressions import Names, flat_name
from pellucid.compiler.python_functions import NAMESPACE
from pellucid.compiler.python_statements import FunctionPrinter, parameters

_INDENT = "    "


def source(program: Program) -> str:
    """The program as Python text, for people; `run` says what its names mean.

    Parameters
        program : what every step does
    Returns
        str, the arrays as comments, a function for each kernel, and the loop over the steps
    """
    arrays = _array_names(program.buffers)
    lines = [f"# {program.name}", "#", *(f"# {arrays[b]}: {_described(b)}" for b in program.buffers)]
    calls: dict[Kernel, str] = {}
    names = Names(set(arrays.values()) | {"first", "last"})
    steps = []
    for position, phase in enumerate(program.phases):
        if position:
            steps.append(f"{_INDENT}# here every thread waits for the others")
        for call in phase:
            if call.kernel not in calls:
                calls[call.kernel] = names.fresh(call.kernel.name)
                lines += ["", "", *FunctionPrinter(call.kernel, calls[call.kernel], arrays, call.extent).lines]
            given = {call.kernel.lo: "0", call.kernel.hi: str(call.extent), call.kernel.step: "step"}
            used = [given[v] for v in parameters(call.kernel)]
            steps.append(f"{_INDENT}{calls[call.kernel]}({', '.join(used)})")
    return "\n".join([*lines, "", "", "for step in range(first, last):", *(steps or [f"{_INDENT}pass"])]) + "\n"


def run(program: Program, arrays: Mapping[int, Array], first: int = 0, last: int = 1) -> None:
    """Do steps of a program by its Python text, in place.

    Parameters
        arrays : for each buffer's number its array; of one that is read through an order of rows all rows
        first, last : the steps
    """
    names = _array_names(program.buffers)
    namespace = {**NAMESPACE, "first": first, "last": last}
    for buffer, name in names.items():
        array = arrays[buffer.number]
        size = array.itemsize
        memory = as_strided(array, (_elements(array),), (size,))
        namespace[flat_name(name)] = memory
        whole = len(buffer.shape) == 1 and buffer.strides == (1,)
        namespace[name] = memory if whole else _shaped(array, buffer)
    with np.errstate(all="ignore"):
        exec(source(program), namespace)  # noqa: S102 - the text is our own, made of a program a line before


def _elements(array: Array) -> int:
    """How many elements there are from an array's first to its last place in memory."""
    return (
        array.size and 1 + sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)) // array.itemsize
    )


def _shaped(array: Array, buffer: Buffer) -> Array:
    """A buffer's memory with its shape; as many rows as there are."""
    shape = buffer.shape
    if len(shape) == array.ndim > 0 and shape[1:] == array.shape[1:]:
        shape = array.shape
    return as_strided(array, shape, [s * array.itemsize for s in buffer.strides])


def _array_names(buffers: Iterable[Buffer]) -> dict[Buffer, str]:
    """A name for each array; of intermediate results in capitals, since a single element goes by the same name."""
    names = Names()
    result = {}
    for buffer in buffers:
        result[buffer] = names.fresh(buffer.name.upper() if buffer.kind == "scratch" else buffer.name)
        names.taken.add(flat_name(result[buffer]))
    return result


def _described(buffer: Buffer) -> str:
    return f"{buffer.dtype.name} {buffer.shape}, {buffer.kind}"
