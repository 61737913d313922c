"""A graph comes in, and an error leaves if it breaks a rule: every value is defined once and before it is used, every
operation is in the registry, and each result has the shape and dtype that its operation's rule gives. Recording,
binding, loading and every pass call it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pellucid.core.op import REGISTRY
from pellucid.core.spec import Spec
from pellucid.errors import GraphError, PellucidError
from pellucid.graph.batch import bind, is_symbolic
from pellucid.graph.dtype import float_dtype
from pellucid.graph.ir import Graph, Instruction, Value, input_spec, leaves
from pellucid.graph.text import instruction_text

# Two sizes: what only fits one size by chance does not fit both.
_SIZES = (2, 5)


def verify(graph: Graph) -> None:
    """Raise unless the graph keeps its rules.

    Raises
        GraphError: with the instruction that breaks one.
    """
    if is_symbolic(graph):
        for rows in _SIZES:
            verify(bind(graph, rows))
        return
    defined: dict[int, Value] = {}
    names: set[str] = set()
    for value in (*graph.inputs, *(c.value for c in graph.captured)):
        _define(value, defined, lambda value=value: f"{value}: {value.spec}")  # type: ignore[misc]
        if value.name in names and value.name:
            raise GraphError("graph.name-twice", name=value.name)
        names.add(value.name)
    for item in graph.captured:
        actual = Spec(item.tensor.shape, item.tensor.dtype)
        if actual != item.value.spec:
            raise GraphError("graph.captured-spec", value=str(item.value), given=actual, expected=item.value.spec)
    with float_dtype(graph.float_dtype):
        for instruction in graph.instructions:
            _check_instruction(instruction, defined)
            _define(instruction.output, defined, partial(instruction_text, instruction))
    for leaf in leaves(graph.outputs):
        if isinstance(leaf, Value):
            _check_defined(leaf, defined, lambda leaf=leaf: f"return {leaf}")  # type: ignore[misc]
    known = {v.id for v in graph.inputs} | {c.value.id for c in graph.captured}
    for target, value in graph.updates:
        line = partial("{} <- {}".format, target, value)
        _check_defined(target, defined, line)
        _check_defined(value, defined, line)
        if target.id not in known:
            raise GraphError("graph.update-target", line=line())
        if target.spec != value.spec:
            raise GraphError("graph.update-spec", line=line(), given=value.spec, expected=target.spec)


def _define(value: Value, defined: dict[int, Value], line: Callable[[], str]) -> None:
    if value.id in defined:
        raise GraphError("graph.defined-twice", id=value.id, line=line())
    defined[value.id] = value


def _check_defined(value: Value, defined: dict[int, Value], line: Callable[[], str]) -> None:
    if defined.get(value.id) is not value:
        raise GraphError("graph.undefined", value=str(value), line=line())


def _check_instruction(instruction: Instruction, defined: dict[int, Value]) -> None:
    line = partial(instruction_text, instruction)  # written only where it is needed: most graphs are right
    op = instruction.op
    if REGISTRY.get(op.name) is not op:
        raise GraphError("graph.unknown-op", op=op.name, line=line())
    for x in instruction.inputs:
        if isinstance(x, Value):
            _check_defined(x, defined, line)
        elif type(x) not in (bool, int, float):
            raise GraphError("graph.input-type", type=type(x).__name__, line=line())
    if instruction.stopped and not 0 <= min(instruction.stopped) <= max(instruction.stopped) < len(instruction.inputs):
        raise GraphError("graph.stopped", positions=instruction.stopped, line=line())
    if not instruction.attrs.keys() <= op.attrs.keys():
        raise GraphError("graph.attributes", given=_words(instruction.attrs), expected=_words(op.attrs), line=line())
    specs = [input_spec(x) for x in instruction.inputs]
    try:
        expected = op.spec(*specs, **instruction.attrs)
    except PellucidError as problem:
        raise GraphError("graph.rule", line=line(), problem=f"{problem.what}; {problem.given}") from problem
    except Exception as problem:  # a rule may meet attributes of any type
        raise GraphError("graph.rule", line=line(), problem=f"{type(problem).__name__}: {problem}") from problem
    given = instruction.output.spec
    if (given.shape, given.dtype) != (expected.shape, expected.dtype):
        raise GraphError("graph.spec", line=line(), given=given, expected=expected)


def _words(names: Any) -> str:
    return ", ".join(map(str, names)) or "-"
