"""A graph and arguments come in; values leave. `run` interprets the graph in NumPy, operation by operation, to the very
bits of the eager function: every faster way of running a graph is compared with it. `replay` runs it through Tensors,
so that gradients flow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import closest
from pellucid.core.context import no_grad, quiet, state
from pellucid.core.tensor import Tensor, apply, as_tensor, to_array, wrap
from pellucid.errors import DTypeError, GraphError, MissingKeyError, PellucidError, ShapeError
from pellucid.graph.batch import bind, is_symbolic, rows_of
from pellucid.graph.dtype import float_dtype
from pellucid.graph.ir import Graph, Instruction, Scope, Value, leaves, mapped
from pellucid.graph.text import instruction_text, scope_text


class Ran(NamedTuple):
    """What a run gave: the outputs in the structure that the function returned, and the new values of state by name."""

    outputs: Any
    updates: dict[str, Any]


def run(graph: Graph, *inputs: Any, captured: Mapping[str, Any] | None = None, commit: bool = False) -> Ran:
    """The graph's values by NumPy.

    Parameters
        inputs : arrays, Tensors or lists, of the shapes and dtypes that the graph was recorded with.
        captured : other values for captured tensors, by name.
        commit : whether captured tensors take over their new values, as the function would have changed them.
    Returns
        Ran, with NumPy arrays
    Raises
        ShapeError, DTypeError: an input or captured value does not fit.
        GraphError: the number of inputs differs, or an operation fails on these values.
    """
    graph = bound_to(graph, [to_array(x) for x in inputs])
    arrays: dict[int, Array] = {}
    for value, x in zip(graph.inputs, inputs, strict=True):
        arrays[value.id] = _fitting(value, to_array(x))
    for value, tensor in _captured(graph, captured):
        arrays[value.id] = tensor.data
    given = {id(array) for array in arrays.values()}
    release = _last_uses(graph)
    with quiet(), float_dtype(graph.float_dtype):
        for number, instruction in enumerate(graph.instructions):
            arguments = [arrays[x.id] if isinstance(x, Value) else x for x in instruction.inputs]
            result = evaluated(instruction, arguments)
            arrays[instruction.output.id] = result if type(result) is np.ndarray else np.asarray(result)
            for identity in release.get(number, ()):
                del arrays[identity]
    outputs = mapped(graph.outputs, lambda leaf: arrays[leaf.id] if isinstance(leaf, Value) else leaf)
    new = [(target, arrays[value.id]) for target, value in graph.updates]
    if commit:
        # State gets memory of its own, not the caller's or that of another tensor.
        owned = [(t, a if a.base is None and id(a) not in given else a.copy()) for t, a in new]
        _commit(graph, inputs, [(target, wrap(array)) for target, array in owned])
    return Ran(outputs, {str(target)[1:]: array for target, array in new})


def replay(graph: Graph, *inputs: Any, captured: Mapping[str, Any] | None = None, commit: bool = False) -> Ran:
    """The graph's values by Tensors, as the recorded function would compute them, with its gradients.

    Parameters
        inputs, captured, commit : as for `run`; gradients flow to Tensors among them that ask for one.
    Returns
        Ran, with Tensors
    """
    tensors = [as_tensor(x) for x in inputs]
    graph = bound_to(graph, [t.data for t in tensors])
    values: dict[int, Tensor] = {}
    for value, tensor in zip(graph.inputs, tensors, strict=True):
        _fitting(value, tensor.data)
        values[value.id] = tensor
    for value, tensor in _captured(graph, captured):
        values[value.id] = tensor
    release = _last_uses(graph)
    with quiet(), float_dtype(graph.float_dtype), _Scopes() as scopes:
        for number, instruction in enumerate(graph.instructions):
            scopes.move_to(instruction.scope)
            arguments: list[Any] = [values[x.id] if isinstance(x, Value) else x for x in instruction.inputs]
            for position in instruction.stopped:
                if arguments[position].requires_grad:
                    arguments[position] = arguments[position].detach()
            values[instruction.output.id] = apply(instruction.op, arguments, dict(instruction.attrs))
            for identity in release.get(number, ()):
                del values[identity]
    outputs = mapped(graph.outputs, lambda leaf: values[leaf.id] if isinstance(leaf, Value) else leaf)
    new = [(target, values[value.id]) for target, value in graph.updates]
    if commit:
        with no_grad():
            _commit(graph, inputs, new)
    return Ran(outputs, {str(target)[1:]: tensor for target, tensor in new})


def bound_to(graph: Graph, inputs: list[Array]) -> Graph:
    """The graph for as many rows as the inputs have.

    Raises
        GraphError: another number of inputs than the graph has.
    """
    if len(inputs) != len(graph.inputs):
        raise GraphError("graph.count", given=len(inputs), expected=", ".join(map(str, graph.inputs)))
    return bind(graph, rows_of(graph, inputs)) if is_symbolic(graph) else graph


def _fitting(value: Value, array: Array) -> Array:
    if array.shape != value.spec.shape:
        raise ShapeError("graph.input-shape", value=str(value), given=array.shape, expected=value.spec.shape)
    if array.dtype != value.spec.dtype:
        raise DTypeError("graph.input-dtype", value=str(value), given=array.dtype, expected=value.spec.dtype)
    return array


def _captured(graph: Graph, given: Mapping[str, Any] | None) -> Iterator[tuple[Value, Tensor]]:
    given = given or {}
    names = [str(c.value)[1:] for c in graph.captured]
    for name in given:
        if name not in names:
            raise MissingKeyError(
                "graph.captured-name", name=name, options=", ".join(names), suggestion=closest(name, names)
            )
    for name, item in zip(names, graph.captured, strict=True):
        tensor = as_tensor(given[name]) if name in given else item.tensor
        _fitting(item.value, tensor.data)
        yield item.value, tensor


def _last_uses(graph: Graph) -> dict[int, list[int]]:
    """Results that are not needed after an instruction, by its number."""
    kept = {leaf.id for leaf in leaves(graph.outputs) if isinstance(leaf, Value)}
    kept |= {value.id for _, value in graph.updates}
    last: dict[int, int] = {}
    for number, instruction in enumerate(graph.instructions):
        last[instruction.output.id] = number
        for x in instruction.inputs:
            if isinstance(x, Value) and x.id in last:
                last[x.id] = number
    release: dict[int, list[int]] = {}
    for identity, number in last.items():
        if identity not in kept:
            release.setdefault(number, []).append(identity)
    return release


def evaluated(instruction: Instruction, arguments: Sequence[Any]) -> Any:
    """The value of one operation; what goes wrong says in which layer.

    Raises
        GraphError: NumPy refuses the arguments.
    """
    try:
        return instruction.op.value(*arguments, **instruction.attrs)
    except PellucidError as error:
        if instruction.scope:
            error.add_layer(scope_text(instruction.scope))
        raise
    except (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as problem:
        raise GraphError("graph.failed", line=instruction_text(instruction), problem=str(problem)) from problem


def _commit(graph: Graph, inputs: tuple[Any, ...], new: list[tuple[Value, Tensor]]) -> None:
    holders = {c.value.id: c.tensor for c in graph.captured}
    holders.update((v.id, x) for v, x in zip(graph.inputs, inputs, strict=True) if isinstance(x, Tensor))
    for target, value in new:
        if target.id in holders:
            holders[target.id].assign(value)


class _Scopes:
    """Tells a recorder that listens of the scopes that instructions ran in, so that a graph recorded anew keeps
    them."""

    def __init__(self) -> None:
        self._open: tuple[Scope, ...] = ()

    def __enter__(self) -> _Scopes:
        return self

    def __exit__(self, *error: object) -> None:
        self.move_to(())

    def move_to(self, scope: tuple[Scope, ...]) -> None:
        """Leave and enter scopes until `scope` is open."""
        recorder = state.recorder
        if recorder is None or scope == self._open:
            return
        shared = 0
        while shared < min(len(scope), len(self._open)) and scope[shared] == self._open[shared]:
            shared += 1
        for _ in self._open[shared:]:
            recorder.leave_scope()
        for part in scope[shared:]:
            recorder.enter_scope(part.name)
        self._open = scope
