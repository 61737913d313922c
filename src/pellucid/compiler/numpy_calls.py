"""How an operation is called in NumPy so that its result lands in memory that is already there. An instruction comes
in; calls of NumPy functions on places leave; None where only the operation's own value will do. `numpy_plan` calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.core.spec import Spec, spec_of
from pellucid.graph.ir import Instruction, Value
from pellucid.graph.run import evaluated
from pellucid.ops._families.contraction import parse
from pellucid.ops._families.elementwise import common_dtype
from pellucid.ops._families.maths import SYMBOLS, Symbol, variable

BOOL = np.dtype(np.bool_)


class Place:
    """Where a value stands: an array, which may be another one in every run, and who must be told so.

    steady : whether it stays the same array, so that a view of it is made once and sees what is written to it.
    """

    def __init__(self, name: str, array: Array, steady: bool) -> None:
        self.name, self.array, self.steady = name, array, steady
        self._uses: list[tuple[list[Any], int]] = []
        self._views: list[tuple[Callable[[Array], Array], Place]] = []

    def set(self, array: Array) -> None:
        """Go on with another array."""
        self.array = array
        for arguments, position in self._uses:
            arguments[position] = array
        for view, place in self._views:
            place.set(view(array))

    def view(self, name: str, view: Callable[[Array], Array]) -> Place | None:
        """The place of a view; None where the array would have to be copied and is written to later."""
        array = view(self.array)
        if self.steady and not np.may_share_memory(array, self.array):
            return None
        return self._seen(name, view, array)

    def _seen(self, name: str, view: Callable[[Array], Array], array: Array) -> Place:
        place = Place(name, array, self.steady)
        self._views.append((view, place))
        return place

    def transposed(self) -> Place:
        """The place of the transposed matrix."""
        return self._seen(f"{self.name}.T", lambda x: x.T, self.array.T)

    def used(self, arguments: list[Any], position: int) -> None:
        """Note that the array is an argument of a call."""
        self._uses.append((arguments, position))


class Call(NamedTuple):
    """A function with its arguments, some of them places; where in the network it belongs."""

    function: Callable[..., Any]
    arguments: Sequence[Any]
    where: str = ""

    def bound(self) -> tuple[Callable[..., Any], Sequence[Any]]:
        """What runs: the function and the arrays, in a list where they may change."""
        arrays = [a.array if isinstance(a, Place) else a for a in self.arguments]
        for position, a in enumerate(self.arguments):
            if isinstance(a, Place):
                a.used(arrays, position)
        return self.function, arrays

    def __str__(self) -> str:
        words = [a.name if isinstance(a, Place) else str(a) for a in self.arguments]
        if isinstance(self.function, Operation):
            text = self.function.text(words)
        elif self.function is np.copyto:
            text = f"np.copyto({words[0]}, {words[1]}" + (f", where={words[3]})" if len(words) == 4 else ")")
        else:
            text = f"np.{self.function.__name__.strip('_')}({', '.join(words[:-1])}, out={words[-1]})"
        return f"{text}  # {self.where}" if self.where else text


# Operations that show the same memory under other indices


def view_of(instruction: Instruction) -> Callable[[Array], Array] | None:
    """The function that shows an instruction's input as its result, if no element moves for it."""
    name, attrs, x = instruction.op.name, instruction.attrs, instruction.inputs[0]
    if name in ("reshape", "transpose", "flip") or (name == "index" and len(instruction.inputs) == 1):
        return partial(instruction.op.value, **attrs)
    if name == "cast" and x.spec.dtype == instruction.output.spec.dtype:
        return lambda x: x
    return None


_FRESH = frozenset("concatenate pad take_along place_along index_add put scatter_add argsort".split())


def may_be_view(instruction: Instruction) -> bool:
    """Whether the result may look at the memory of an input."""
    name = instruction.op.name
    if name == "index":
        return len(instruction.inputs) == 1
    return (instruction.op.family == "movement" and name not in _FRESH) or name == "sum_to"


# Elementwise operations, as calls of NumPy's universal functions


def _maximum(a: Any, b: Any, out: Array) -> None:
    np.maximum(a, b, out=out)  # which takes no third argument by position


def _minimum(a: Any, b: Any, out: Array) -> None:
    np.minimum(a, b, out=out)


_SIGNS: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "neg": np.negative,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
    "maximum": _maximum,
    "minimum": _minimum,
}
_TRUTHS = frozenset(
    "< <= > >= == != isnan isinf isfinite signbit logical_and logical_or logical_xor logical_not".split()
)

Temporary = Callable[[Spec], Place]


class Elementwise:
    """The calls of one elementwise instruction: its scalar body, one universal function a node."""

    def __init__(self, instruction: Instruction, dtype: DType) -> None:
        names = [f"x{n}" for n in range(len(instruction.inputs))]
        self.dtype = dtype
        self.root = instruction.op.kernel(SYMBOLS, *map(variable, names), **instruction.attrs)
        self.operands: dict[str, Any] = dict(zip(names, instruction.inputs, strict=True))
        self.uses: dict[int, int] = {}
        self._count(self.root)
        self.calls: list[Call] = []
        self._done: dict[int, Any] = {}

    def _count(self, node: Any) -> None:
        if isinstance(node, Symbol) and node.op != "x":
            self.uses[id(node)] = self.uses.get(id(node), 0) + 1
            if self.uses[id(node)] == 1:
                for a in node.args:
                    self._count(a)

    def possible(self) -> bool:
        """Whether every node is a universal function of something that is no mere number."""
        return all(map(self._known, self._nodes(self.root)))

    def _nodes(self, node: Any) -> Iterator[Symbol]:
        if isinstance(node, Symbol) and node.op != "x":
            yield node
            for a in node.args:
                yield from self._nodes(a)

    def _known(self, node: Symbol) -> bool:
        function = _SIGNS.get(node.op, getattr(np, node.op, None))
        known = function in (_maximum, _minimum) or isinstance(function, np.ufunc)
        if node.op == "where":
            known = self._is_truth(node.args[0])
        elif node.op in ("positive", "power"):  # other dtypes the handler of NumPy treats in a way of its own
            known = self.dtype.kind == "f"
        return known and self._shape(node) is not None and self._numbers_fit(node)

    def _is_truth(self, node: Any) -> bool:
        if isinstance(node, Symbol) and node.op == "x":
            given = self.operands[node.args[0]]
            return isinstance(given, Value) and given.spec.dtype == BOOL
        return self.dtype_of(node) == BOOL

    def _numbers_fit(self, node: Symbol) -> bool:
        try:
            for a in node.args:
                number = self.operands.get(a.args[0]) if isinstance(a, Symbol) and a.op == "x" else a
                if isinstance(number, bool | int | float):
                    self._number(number)
        except OverflowError:
            return False
        return True

    def _number(self, x: Any) -> Array:
        """A Python number as NumPy would read it beside the operands: made once."""
        return np.array(x, self.dtype)

    def dtype_of(self, node: Any) -> DType:
        """The dtype of a node."""
        return BOOL if isinstance(node, Symbol) and node.op in _TRUTHS else self.dtype

    def _shape(self, node: Any) -> Shape | None:
        """The shape of a node; None for one of numbers alone."""
        if not isinstance(node, Symbol):
            return None
        if node.op == "x":
            given = self.operands[node.args[0]]
            if isinstance(given, Value):
                return given.spec.shape
            return given.array.shape if isinstance(given, Place) else None
        shapes = [s for s in map(self._shape, node.args) if s is not None]
        return np.broadcast_shapes(*shapes) if shapes else None

    def write(self, operands: Sequence[Any], out: Place, temporary: Temporary, early: bool) -> list[Call]:
        """The calls that leave the result in `out`.

        Parameters
            operands : places and numbers
            temporary : makes a place for an intermediate result
            early : whether `out` may be written before the operands have all been read
        """
        self.operands = dict(zip(self.operands, operands, strict=True))
        self._temporary, self._early = temporary, early
        if isinstance(self.root, Symbol) and self.root.op == "x":
            self.calls.append(Call(np.copyto, (out, self.operands[self.root.args[0]], "unsafe")))
        else:
            self._into(self.root, out)
        return self.calls

    def _operand(self, node: Any, free: Place | None) -> Any:
        """The argument for a node: what it stands for, or the place of its result: `free`, if that fits."""
        if not isinstance(node, Symbol):
            return self._number(node)
        if node.op == "x":
            return self._in_dtype(self.operands[node.args[0]])
        if id(node) not in self._done:
            shape = self._shape(node)
            assert shape is not None
            spec = Spec(shape, self.dtype_of(node))
            fits = free is not None and self.uses[id(node)] == 1 and _spec(free.array) == spec
            place = free if free is not None and fits else self._temporary(spec)
            self._into(node, place)
            self._done[id(node)] = place
        return self._done[id(node)]

    def _in_dtype(self, operand: Any) -> Any:
        """A place or a number in the dtype of the computation."""
        if not isinstance(operand, Place):
            return self._number(operand)
        if operand.array.dtype == self.dtype:
            return operand
        place = self._temporary(Spec(operand.array.shape, self.dtype))
        self.calls.append(Call(np.copyto, (place, operand, "unsafe")))
        return place

    def _into(self, node: Symbol, out: Place) -> None:
        """Compute a node into a place."""
        free = out if self._early else None
        arguments = []
        for n, a in enumerate(node.args):
            if node.op == "where" and n == 0:  # read once more when the first choice has been written
                found = self.operands[a.args[0]] if a.op == "x" else self._operand(a, None)
            else:
                found = self._operand(a, free)
            if found is free:
                free = None  # taken, until this node is computed
            arguments.append(found)
        if node.op != "where":
            self.calls.append(Call(_SIGNS.get(node.op) or getattr(np, node.op), (*arguments, out)))
            return
        condition, chosen, other = arguments
        if chosen is out:
            chosen, other = other, chosen
            inverse = self._temporary(_spec(condition.array))
            self.calls.append(Call(np.logical_not, (condition, inverse)))
            condition = inverse
        if other is not out:
            self.calls.append(Call(np.copyto, (out, other)))
        self.calls.append(Call(np.copyto, (out, chosen, "same_kind", condition)))


def _spec(array: Array) -> Spec:
    return Spec(array.shape, array.dtype)


def elementwise_calls(instruction: Instruction) -> Elementwise | None:
    """How to call an elementwise instruction; None where its body is more than NumPy's universal functions."""
    op, inputs, out = instruction.op, instruction.inputs, instruction.output.spec
    if op.family != "elementwise":
        return None
    if op.name == "where":
        inputs = inputs[1:]  # the condition does not decide the dtype
    common = common_dtype([(s.dtype, s.weak) for s in map(_spec_of_input, inputs)])
    found = Elementwise(instruction, common if out.dtype == BOOL or common.kind == "f" else out.dtype)
    return found if found.dtype_of(found.root) == out.dtype and found.possible() else None


def _spec_of_input(x: Any) -> Spec:
    return x.spec if isinstance(x, Value) else spec_of(x)


def product_of(instruction: Instruction) -> Callable[[Sequence[Place], Place], list[Call]] | None:
    """How to call a product of two matrices of one dtype; None for other contractions."""
    if instruction.op.family != "contraction":
        return None
    a, b = (x.spec for x in instruction.inputs[:2])
    dtypes = {x.spec.dtype for x in (*instruction.inputs, instruction.output)}
    if (a.ndim, b.ndim) != (2, 2) or len(dtypes) != 1 or dtypes.pop().kind != "f":
        return None
    formula = parse(instruction.op.kernel(a.shape, b.shape, **instruction.attrs))
    letters = set(formula.a + formula.b)
    if "1" in letters or len(letters) != 3 or len(formula.out) != 2 or formula.out[0] in formula.b:
        return None
    flips = formula.a[0] != formula.out[0], formula.b[1] != formula.out[1]
    function = np.matmul if instruction.op.name == "matmul" else np.dot

    def calls(operands: Sequence[Place], out: Place) -> list[Call]:
        left, right = (p.transposed() if flip else p for p, flip in zip(operands, flips, strict=False))
        product = Call(function, (left, right, out))
        return [product, *(Call(np.add, (out, bias, out)) for bias in operands[2:])]

    return calls


class Operation:
    """An operation by its own value, as a function of arrays that tells the place of the result."""

    def __init__(self, instruction: Instruction, place: Place) -> None:
        self._instruction, self._place = instruction, place

    def __call__(self, *arrays: Any) -> None:
        result = evaluated(self._instruction, arrays)
        self._place.set(result if type(result) is np.ndarray else np.asarray(result))

    def text(self, words: list[str]) -> str:
        """The operation as Python."""
        return f"{self._place.name} = {applied(self._instruction, words)}"


def applied(instruction: Instruction, words: list[str]) -> str:
    """An operation of operands as Python."""
    options = [f"{name}={value}" for name, value in instruction.attrs.items()]
    return f"{instruction.op.name}({', '.join([*words, *options])})"
