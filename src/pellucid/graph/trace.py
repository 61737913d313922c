"""A function of Tensors and example arguments come in; a Graph of every operation that it ran leaves. Users call
`record`; compiling, saving and explaining start from it.

The function runs once, eagerly and for real, while a recorder listens to `apply`, `composite`, `Tensor.assign` and
whatever else tells it how Tensors come to be. A Tensor from outside is known by itself alone, since others may share
its array; one that was made inside also by its array: `Tensor(t)` shares that of t.
"""

from __future__ import annotations

import math
import weakref
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import shown
from pellucid.core.context import Recorder, default_dtype, state
from pellucid.core.op import Op
from pellucid.core.rng import default_generator
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentTypeError, PellucidError, RecordingError
from pellucid.graph.ir import Captured, Expectation, Graph, Instruction, Read, Scope, Value, leaves, mapped
from pellucid.graph.names import function_name, input_names, named_tensors
from pellucid.graph.reads import use_of_values
from pellucid.graph.text import scope_text
from pellucid.graph.verify import verify

_PLAIN = (type(None), bool, int, float, str)

_MAKE_INDICES = frozenset(("argmax", "argmin", "argsort"))
_KEEP_ELEMENTS = frozenset(("reshape", "transpose", "broadcast_to", "flip", "index", "take_along", "positive"))


def record(function: Callable[..., Any], *examples: Any, strict: bool = True) -> Graph:
    """Run `function(*examples)` once and keep every operation, with those of `backward` and of an optimizer's step.

    What the run changes (`Tensor.assign`, in-place operations, random keys) it really changes, and the graph lists it
    under `updates`. State that a function makes at its first call belongs to that call: run it once before it is
    recorded.

    Parameters
        function : a function or a Module; returns Tensors, alone or in tuples, lists and dicts.
        examples : Tensors, arrays or lists of numbers; their shapes and dtypes become those of the graph.
        strict : refuse Python that looks at values which change from run to run; False only lists them in
            `graph.reads`.
    Returns
        Graph
    Raises
        RecordingError: Python looked at such a value, data were changed by something that is no operation, or
            something else than Tensors is returned.
    Examples
        >>> import pellucid as pl
        >>> print(pl.graph.record(lambda x: pl.relu(x * 2.0), pl.ones((3,))))
        graph function(%x)
          inputs
            %x: float32[3]
          operations
            %1: float32[3] = multiply(%x, 2.0)
            %2: float32[3] = relu(%1)
          return %2
    """
    if not callable(function):
        raise ArgumentTypeError("graph.not-a-function", value=shown(function), type=type(function).__name__)
    if state.recorder is not None:
        raise RecordingError("graph.nested")
    recording = Recording(function, examples, strict)
    state.recorder = recording
    try:
        outputs = recording.returned(function(*recording.arguments))
    finally:
        state.recorder = None
    graph = recording.finished(outputs)
    verify(graph)
    return graph


class _Known(NamedTuple):
    """A Tensor met while recording: the array it then had, its value, and whether a gradient flows on to that value."""

    tensor: Tensor
    array: Array
    value: Value
    detached: bool


class _Lazy(NamedTuple):
    """A tensor that was made while recording and then assigned to: state, if something outside still holds it at the
    end."""

    tensor: weakref.ref[Tensor]
    before: Captured


class _Root(NamedTuple):
    """A tensor that was there before: an input, or one that is captured; with its array and that array's checksum."""

    tensor: Tensor
    value: Value
    array: Array
    checksum: int


class Recording(Recorder):
    """Listens while a function runs; `finished` gives its graph."""

    def __init__(self, function: Callable[..., Any], examples: tuple[Any, ...], strict: bool) -> None:
        self.name = function_name(function)
        self.strict = strict
        self.instructions: list[Instruction] = []
        self.captured: list[Captured] = []
        self.reads: list[Read] = []
        self.expectations: list[Expectation] = []
        self._next_id = 0
        self._known: dict[int, _Known] = {}
        # Arrays of values, first come: an operation may give its input's array as its result.
        self._arrays: dict[int, tuple[Array, Value]] = {}
        # Arrays of several tensors from outside.
        self._shared: set[int] = set()
        self._roots: dict[int, _Root] = {}
        self._made_here: dict[int, Tensor] = {}
        self._updates: dict[int, tuple[Value, Value]] = {}
        # Values that differ from run to run, and constants that Python has looked at.
        self._varying: set[int] = set()
        # Values that come from inputs or captured tensors, so that Python looks at them anew in every run.
        self._moving: set[int] = set()
        # Indices that an operation made, each with the length of the axis that they lie on.
        self._places: dict[int, int] = {}
        self._looked_at: dict[int, RecordingError] = {}
        self._lazy: dict[int, _Lazy] = {}
        self._assigned_results: dict[int, tuple[weakref.ref[Tensor], RecordingError]] = {}
        self._returned: set[int] = set()
        self._scope: list[Scope] = []
        self._scope_calls = 0
        self._names: set[str] = set()

        self.arguments: list[Tensor] = []
        self.inputs: list[Value] = []
        for name, example in zip(input_names(function, len(examples)), examples, strict=True):
            tensor = as_tensor(example)
            if id(tensor) in self._roots:
                twin = wrap(tensor.data)
                twin.requires_grad = tensor.requires_grad and tensor.is_leaf
                tensor = twin
            self.arguments.append(tensor)
            self.inputs.append(self._root(tensor, name, varying=True))
        outside = [*named_tensors(function), ("random_state", default_generator.state, True)]
        self._outside = {id(t): (name, t, is_state) for name, t, is_state in outside}
        # A tensor made from a parameter's array leads back to the parameter, also before that was used.
        self._outside_arrays = {id(t.data): t for _, t, _ in reversed(outside)}

    # What the recorder hears

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None:
        values: list[Any] = []
        stopped = []
        for position, x in enumerate(inputs):
            if not isinstance(x, Tensor):
                values.append(x)
                continue
            value, detached = self._look_up(x)
            values.append(value)
            if (detached or not state.grad) and value.spec.dtype.kind == "f":
                stopped.append(position)
        result = self._new_value(output.data)
        if any(isinstance(v, Value) and v.id in self._varying for v in values):
            self._varying.add(result.id)
        given = [v.id for v in values if isinstance(v, Value)]
        if not self._moving.isdisjoint(given):
            self._moving.add(result.id)
            self._note_places(op, values, attrs, result)
        self.instructions.append(
            Instruction(op, tuple(values), dict(attrs), result, tuple(self._scope), tuple(stopped))
        )
        self._bind(output, output.data, result)

    def assignment(self, target: Tensor, value: Tensor) -> None:
        self._update(target, self._look_up(value)[0], value.data)

    def change(self, target: Tensor, new: Tensor) -> None:
        value, detached = self._look_up(new)
        if id(target) in self._roots and not self._is_constant(target):
            self._update(target, value, new.data)
        else:  # made here: its old value is a constant, and nobody outside sees the new one but through results
            self._bind(target, new.data, value, detached)

    def created(self, tensor: Tensor) -> None:
        self._made_here[id(tensor)] = tensor

    def alias(self, new: Tensor, old: Tensor, detached: bool) -> None:
        value, already = self._look_up(old)
        self._bind(new, new.data, value, detached or already)

    def value_read(self, tensor: Tensor) -> None:
        value, _ = self._look_up(tensor)
        use = use_of_values()
        problem = RecordingError(
            "graph.value-read", use=use, value=str(value), spec=value.spec, origin=self._origin(value)
        )
        if value.id not in self._varying:
            self._looked_at.setdefault(value.id, problem)
        elif self.strict:
            raise problem
        else:
            self.reads.append(Read(value, use, problem.at))

    def expected(self, tensor: Tensor, check: Callable[[Array], Any]) -> None:
        value, _ = self._look_up(tensor)
        if value.id in self._moving and not self._always_expected(value, check):
            self.expectations.append(Expectation(value, check))

    def enter_scope(self, name: str) -> None:
        self._scope_calls += 1
        self._scope.append(Scope(name, self._scope_calls))

    def leave_scope(self) -> None:
        self._scope.pop()

    # Tensors and their values

    def _look_up(self, tensor: Tensor) -> tuple[Value, bool]:
        """The value that a tensor stands for, and whether it is cut off from that value's gradient."""
        known = self._known.get(id(tensor))
        if known is not None and known.array is tensor.data:
            return known.value, known.detached
        if known is None and id(tensor) not in self._made_here:
            return self._capture(tensor), False
        found = self._arrays.get(id(tensor.data))
        if found is None and known is None and id(tensor.data) in self._outside_arrays:
            self._look_up(self._outside_arrays[id(tensor.data)])
            found = self._arrays.get(id(tensor.data))
        if found is not None:
            if id(tensor.data) in self._shared:
                raise RecordingError("graph.shared-array", value=str(found[1]), spec=found[1].spec)
            self._bind(tensor, tensor.data, found[1], detached=True)
            return found[1], True
        if known is not None:
            raise RecordingError("graph.replaced", value=str(known.value), spec=known.value.spec)
        return self._capture(tensor), False

    def _bind(self, tensor: Tensor, array: Array, value: Value, detached: bool = False) -> None:
        self._known[id(tensor)] = _Known(tensor, array, value, detached)
        self._arrays.setdefault(id(array), (array, value))

    def _new_value(self, array: Array, name: str = "") -> Value:
        value = Value(self._next_id, Spec(array.shape, array.dtype), name)
        self._next_id += 1
        return value

    def _root(self, tensor: Tensor, name: str, varying: bool) -> Value:
        array = tensor.data
        value = self._new_value(array, self._unique(name))
        known = self._arrays.get(id(array))
        if known is not None:
            if all(root.value is not known[1] for root in self._roots.values()):
                raise RecordingError("graph.replaced", value=str(value), spec=value.spec)
            self._shared.add(id(array))
        self._roots[id(tensor)] = _Root(tensor, value, array, _checksum(array))
        self._bind(tensor, array, value)
        self._moving.add(value.id)
        if varying:
            self._varying.add(value.id)
        return value

    def _capture(self, tensor: Tensor) -> Value:
        """A tensor met for the first time: a constant made here, or one from outside."""
        if id(tensor) in self._made_here:
            value = self._new_value(tensor.data)
            self.captured.append(Captured(value, _copy_of(tensor), constant=True))
            self._bind(tensor, tensor.data, value)
            return value
        name, _, is_state = self._outside.get(id(tensor), (tensor.name or "", tensor, False))
        value = self._root(tensor, name, varying=is_state or tensor.requires_grad or bool(tensor.name))
        self.captured.append(Captured(value, tensor))
        return value

    def _note_places(self, op: Op, values: list[Any], attrs: dict[str, Any], result: Value) -> None:
        """Indices from `argmax` and its like lie on the axis whatever the values; so do those that are taken from
        them."""
        source = values[0]
        if not isinstance(source, Value):
            return
        if op.name in _MAKE_INDICES:
            axes = attrs["axis"] if isinstance(attrs["axis"], tuple) else (attrs["axis"],)
            self._places[result.id] = math.prod([source.spec.shape[axis] for axis in axes])
        elif op.name in _KEEP_ELEMENTS and source.id in self._places:
            self._places[result.id] = self._places[source.id]

    def _always_expected(self, value: Value, check: Callable[[Array], Any]) -> bool:
        """Whether a look cannot fail, since it passes the first and the last of the indices that an operation may
        give."""
        length = self._places.get(value.id)
        if not length:
            return False
        try:
            for index in (0, length - 1):
                check(np.full(value.spec.shape, index, value.spec.dtype))
        except PellucidError:
            return False
        return True

    def _unique(self, name: str) -> str:
        if not name:
            return ""
        if name.isdigit():
            name = f"tensor.{name}"
        number, plain = 1, name
        while name in self._names:
            number += 1
            name = f"{plain}_{number}"
        self._names.add(name)
        return name

    def _is_constant(self, tensor: Tensor) -> bool:
        return id(tensor) in self._made_here and id(tensor) not in self._lazy

    def _update(self, target: Tensor, value: Value, array: Array) -> None:
        """A tensor that lives on outside takes over a value."""
        if id(target) not in self._roots:
            self._look_up(target)
        if id(target) not in self._roots and not self._become_state(target):
            self._bind(target, array, value)
            return
        root = self._roots[id(target)]
        if root.value.id not in self._varying:
            self._varying.add(root.value.id)
            if root.value.id in self._looked_at:
                problem = self._looked_at[root.value.id]
                if self.strict:
                    raise problem
                self.reads.append(Read(root.value, problem.facts["use"], problem.at))
        self._updates[id(target)] = (root.value, value)
        self._bind(target, array, value)

    def _become_state(self, target: Tensor) -> bool:
        """A tensor that is assigned to is state, also one made here, as an optimizer makes its averages at the first
        step; but not the result of an operation, which would have to be computed before it can be state."""
        value = self._known[id(target)].value
        before = next((c for c in self.captured if c.value is value), None)
        if before is None:
            problem = RecordingError(
                "graph.result-assigned", value=str(value), spec=value.spec, origin=self._origin(value)
            )
            self._assigned_results[id(target)] = (weakref.ref(target), problem)
            return False
        self._roots[id(target)] = _Root(target, value, target.data, _checksum(target.data))
        self._lazy[id(target)] = _Lazy(weakref.ref(target), before)
        return True

    def _origin(self, value: Value) -> str:
        for instruction in self.instructions:
            if instruction.output is value:
                where = scope_text(instruction.scope)
                return f"{instruction.op.name} ({where})" if where else instruction.op.name
        return str(value)

    # The end

    def returned(self, result: Any) -> Any:
        """The structure of what the function returned, with Values for Tensors."""
        for leaf in leaves(result):
            if not isinstance(leaf, Tensor) and type(leaf) not in _PLAIN:
                raise RecordingError("graph.returned", type=type(leaf).__name__)
            self._returned.add(id(leaf))
        return mapped(result, lambda leaf: self._returned_value(leaf) if isinstance(leaf, Tensor) else leaf)

    def _returned_value(self, tensor: Tensor) -> Value:
        value, detached = self._look_up(tensor)
        if detached and value.spec.dtype.kind == "f":
            from pellucid.ops.elementwise import positive

            value, _ = self._look_up(positive(tensor))
        return value

    def finished(self, outputs: Any) -> Graph:
        """The graph, once nothing was changed that it does not know of."""
        self._check_untouched()
        self._settle_lazy()
        return Graph(
            name=self.name,
            inputs=tuple(self.inputs),
            captured=tuple(self.captured),
            instructions=tuple(self.instructions),
            outputs=outputs,
            updates=tuple(self._updates.values()),
            reads=tuple(self.reads),
            float_dtype=default_dtype().name,
            expectations=tuple(self.expectations),
        )

    def _check_untouched(self) -> None:
        for root in self._roots.values():
            if root.tensor.data is not self._known[id(root.tensor)].array:
                raise RecordingError("graph.replaced", value=str(root.value), spec=root.value.spec)
            if _checksum(root.array) != root.checksum:
                raise RecordingError("graph.mutated", value=str(root.value), spec=root.value.spec)

    def _settle_lazy(self) -> None:
        """What nobody outside holds any more, or only as a result, starts from the same constant in every run."""
        for identity in self._lazy:
            del self._roots[identity]
        self._known.clear()
        self._made_here.clear()
        self.arguments.clear()
        for identity, (reference, before) in self._lazy.items():
            tensor = reference()
            if tensor is None or identity in self._returned:
                del self._updates[identity]
            else:
                self.captured[self.captured.index(before)] = Captured(before.value, tensor)
        for identity, (reference, problem) in self._assigned_results.items():
            if reference() is not None and identity not in self._returned:
                raise problem


def _copy_of(tensor: Tensor) -> Tensor:
    """A tensor of its own with the same values and memory order; the recorder that listens does not hear of it."""
    copy = Tensor.__new__(Tensor)
    copy.data = tensor.data.copy(order="K")
    return copy


def _checksum(array: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
