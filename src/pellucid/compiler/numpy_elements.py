"""Elementwise operations for a plan of NumPy calls: an instruction comes in; calls of universal functions leave, one a
node of its scalar body, with the bits of the body over NumPy. Called by `numpy_calls`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array, DType
from pellucid.compiler.numpy_writer import Place, Writer, undispatched
from pellucid.graph.ir import Instruction, Value, input_spec
from pellucid.ops._families.elementwise import common_dtype
from pellucid.ops._families.maths import SYMBOLS, Symbol, variable

BOOL = np.dtype(np.bool_)

_SIGNS: dict[str, Any] = {
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
}
_TRUTHS = frozenset(
    "< <= > >= == != isnan isinf isfinite signbit logical_and logical_or logical_xor logical_not".split()
)


class Body:
    """The scalar body of an elementwise instruction as a tree of universal functions.

    dtype : that in which it computes.
    """

    def __init__(self, instruction: Instruction) -> None:
        inputs, out = instruction.inputs, instruction.output.spec
        names = [f"x{n}" for n in range(len(inputs))]
        self.root = instruction.op.kernel(SYMBOLS, *map(variable, names), **instruction.attrs)
        self.inputs: dict[str, Any] = dict(zip(names, inputs, strict=True))
        deciding = inputs[1:] if instruction.op.name == "where" else inputs
        common = common_dtype([(s.dtype, s.weak) for s in map(input_spec, deciding)])
        self.dtype = common if out.dtype == BOOL or common.kind == "f" else out.dtype
        self.uses: dict[Any, int] = {}
        self._count(self.root)
        self.possible = self.dtype_of(self.root) == out.dtype and all(map(self._known, self._nodes(self.root)))

    def key(self, node: Any) -> Any:
        """What tells a node from others: the name of an operand, else the node."""
        return node.args[0] if node.op == "x" else id(node)

    def _count(self, node: Any) -> None:
        if isinstance(node, Symbol):
            key = self.key(node)
            self.uses[key] = self.uses.get(key, 0) + 1
            if self.uses[key] == 1 and node.op != "x":
                for a in node.args:
                    self._count(a)

    def _nodes(self, node: Any) -> Iterator[Symbol]:
        if isinstance(node, Symbol) and node.op != "x":
            yield node
            for a in node.args:
                yield from self._nodes(a)

    def _known(self, node: Symbol) -> bool:
        """Whether a node is a universal function of something that is no mere number, of dtypes that it takes."""
        known = isinstance(_function(node), np.ufunc)
        if node.op == "where":
            known = self.dtype_of(node.args[0]) == BOOL
        elif node.op in ("positive", "power"):  # NumPy as a handler treats other dtypes in a way of its own
            known = self.dtype.kind == "f"
        return known and any(map(self._is_array, node.args)) and all(map(self._number_fits, node.args))

    def _is_array(self, node: Any) -> bool:
        return isinstance(node, Symbol) and (node.op != "x" or isinstance(self.inputs[node.args[0]], Value))

    def _number_fits(self, node: Any) -> bool:
        """Whether a number beside arrays leaves them their dtype, and is one of it."""
        number = self.inputs[node.args[0]] if isinstance(node, Symbol) and node.op == "x" else node
        if not isinstance(number, bool | int | float):
            return True
        if "biuf".index(self.dtype.kind) < {bool: 0, int: 1, float: 3}[type(number)]:
            return False
        try:
            np.array(number, self.dtype)
        except OverflowError:
            return False
        return True

    def dtype_of(self, node: Any) -> DType:
        """The dtype of a node or operand."""
        if isinstance(node, Symbol) and node.op == "x" and isinstance(self.inputs[node.args[0]], Value):
            dtype: DType = self.inputs[node.args[0]].spec.dtype
            return dtype
        return BOOL if isinstance(node, Symbol) and node.op in _TRUTHS else self.dtype


def _function(node: Symbol) -> Any:
    return _SIGNS.get(node.op) or getattr(np, node.op, None)


class Calls:
    """Writes the calls of one body.

    dying : operands that nothing reads afterwards: a result may take their memory.
    """

    def __init__(self, write: Writer, body: Body, operands: Sequence[Any], dying: Sequence[Place], last: int) -> None:
        self._write, self._body, self._last = write, body, last
        self._operands = dict(zip(body.inputs, operands, strict=True))
        self._dying = list(dying)
        self._done: dict[int, Place] = {}

    def result(self, name: str, out: Place | None) -> Place:
        """The place of the result: `out` if it is given."""
        root = self._body.root
        if root.op == "x":
            source = self._operands[root.args[0]]
            out = out or self._write.buffer(name, self._sample([source], source.sample.dtype), self._last)
            self._write.copy(out, source)
            return out
        place = self._computed(root, out, name)
        if place.room is not None:
            place.room.last = max(place.room.last, self._last)
        return place

    def _computed(self, node: Symbol, out: Place | None, name: str = "t") -> Place:
        if node.op == "where":
            return self._chosen(node, out, name)
        arguments = [self._argument(a, self._wanted(node, a)) for a in node.args]
        dtype = BOOL if node.op in _TRUTHS else self._body.dtype
        sample = self._sample(arguments, dtype)
        out = out or self._free(node.args, arguments, sample) or self._write.buffer(name, sample, self._now)
        self._write.ufunc(_function(node), [self._write.spread(a, out) for a in arguments], out)
        return out

    def _chosen(self, node: Symbol, out: Place | None, name: str) -> Place:
        """`where`: the one choice is written, then, where the condition holds, the other."""
        condition = self._argument(node.args[0], BOOL)
        chosen, other = (self._argument(a, self._body.dtype) for a in node.args[1:])
        sample = self._sample([condition, chosen, other], self._body.dtype)
        if out is None or out.name in (condition.name, chosen.name):
            out = self._free(node.args[2:], [other], sample) or self._write.buffer(name, sample, self._now)
        if other.sample.ndim == 0:
            self._write.line(f"{out.name}.fill({other.name})")
        elif other.name != out.name:
            self._write.copy(out, other)
        same = [p.sample.shape == out.sample.shape and p.packed for p in (condition, chosen)]
        if out.packed and same[0] and (same[1] or chosen.sample.ndim == 0):
            put = self._write.known("putmask", undispatched(np.putmask))
            self._write.line(f"{put}({out.name}, {condition.name}, {chosen.name})")
        else:
            self._write.copy(out, chosen, condition)
        return out

    @property
    def _now(self) -> int:
        return self._write.position

    def _wanted(self, parent: Symbol, node: Any) -> DType:
        """The dtype in which a node reads an argument: that of the computation, but truths as they are."""
        is_truth = parent.op.startswith("logical_") and self._body.dtype_of(node) == BOOL
        return BOOL if is_truth else self._body.dtype

    def _argument(self, node: Any, wanted: DType) -> Place:
        """The place of a node's value, in a dtype."""
        operand = self._operands[node.args[0]] if isinstance(node, Symbol) and node.op == "x" else node
        if isinstance(operand, Symbol):
            if id(node) not in self._done:
                self._done[id(node)] = self._computed(node, None)
            operand = self._done[id(node)]
        if not isinstance(operand, Place):
            return self._write.constant(operand, wanted)
        if operand.sample.dtype == wanted:
            return operand
        converted = self._write.buffer("t", self._sample([operand], wanted), self._now)
        self._write.copy(converted, operand)
        return converted

    def _sample(self, arguments: Sequence[Place], dtype: DType) -> Array:
        """An array as NumPy would make it for a universal function's result."""
        samples = [a.sample for a in arguments]
        shape = np.broadcast_shapes(*(s.shape for s in samples))
        if all(s.flags.c_contiguous for s in samples) or 0 in shape:
            return np.zeros(shape, dtype)
        operands: Any = [*samples, None]
        flags: Any = [["readonly"]] * len(samples) + [["writeonly", "allocate"]]
        made: Any = np.nditer(operands, op_flags=flags, op_dtypes=[*(s.dtype for s in samples), dtype])
        strides = made.operands[-1].strides
        return np.ndarray(shape, dtype, np.zeros(int(np.prod(shape)) * dtype.itemsize, np.uint8), 0, strides)

    def _free(self, nodes: Sequence[Any], places: Sequence[Place], sample: Array) -> Place | None:
        """An argument whose memory the result may take."""
        for node, place in zip(nodes, places, strict=True):
            if not isinstance(node, Symbol) or self._body.uses[self._body.key(node)] > 1 or place.room is None:
                continue
            s = place.sample
            alike = (s.shape, s.dtype, s.strides) == (sample.shape, sample.dtype, sample.strides)
            # NumPy takes long to see that an array without axes may be written to while it is read.
            if alike and s.ndim and s.flags.writeable and (node.op != "x" or place in self._dying):
                return place
        return None
