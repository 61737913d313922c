"""An element of the recorded graph comes in; the arithmetic that gave it leaves, as an expression over the elements it
was computed from. One rule for each family of operations, read from their declarations.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.context import enable_grad, quiet
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import PellucidError
from pellucid.graph import Instruction, Value
from pellucid.graph.ir import input_spec
from pellucid.inspection.explain_expressions import Apply, Expression, Leaf, Rest, Role, Total, evaluate
from pellucid.inspection.explain_names import Names
from pellucid.inspection.explain_places import (
    Pairs,
    broadcast_place,
    contraction_pairs,
    convolution_of,
    convolution_pairs,
    window_places,
)
from pellucid.inspection.explain_trace import Place, Trace
from pellucid.ops._families.contraction import parse
from pellucid.ops._families.maths import SYMBOLS, Symbol, variable

Element = tuple[Value, Place]


class Terms:
    """Writes the arithmetic of elements.

    Parameters
        most : how many terms of a sum are shown; of a longer one the largest
    """

    def __init__(self, trace: Trace, names: Names, most: int) -> None:
        self.trace, self.names, self.most = trace, names, most
        self._targets = {v.id for v in trace.graph.inputs[trace.num_inputs :]}
        self._inputs = {v.id for v in trace.graph.inputs[: trace.num_inputs]}
        self._given = {v.id for call in names.calls for v in call.outputs}
        self._constants = {c.value.id for c in trace.graph.captured if c.constant}

    # Elements and their leaves

    def role(self, value: Value) -> Role:
        """What an element of a value is."""
        if value.id in self.trace.parameters:
            return "weight"
        if value.id in self._targets:
            return "target"
        if value.id in self._constants:
            return "constant"
        return "input" if value.id in self._inputs else "value"

    def leaf(self, x: Any, place: Place) -> Leaf:
        """A number of the network with its name; what only moved is named where it came from."""
        if not isinstance(x, Value):
            return Leaf("", x)
        found = self.source(x, place)
        if isinstance(found, Leaf):
            return found
        value, place = found
        number = self.trace.number(value, place)
        role = self.role(value)
        if role == "constant":
            return Leaf("", number)
        return Leaf(self.names.element(value, place), number, role, (value.id, place))

    def source(self, value: Value, place: Place, *, opening: bool = False) -> Element | Leaf:
        """Where an element that was only moved came from: an element that was given or computed, or that a layer gave,
        or a constant.

        Parameters
            opening : whether to look into the layer that gave the element itself
        """
        while (maker := self.trace.maker(value)) is not None:
            if value.id in self._given and not opening:
                break
            opening = False
            if maker.op.family == "movement":
                found = self._moved(maker, place)
            elif maker.op.name == "positive":
                found = [(0, place, 1.0)]
            else:
                break
            if found is None:
                break
            if not found:
                return Leaf("", self.trace.number(value, place))
            (position, before, factor), *more = found
            x = maker.inputs[position]
            if more or factor != 1.0 or not isinstance(x, Value):
                break
            number, moved = self.trace.number(value, place), self.trace.number(x, before)
            if number != moved and not (math.isnan(float(number)) and math.isnan(float(moved))):
                break  # a cast that rounds is a step of its own
            value, place = x, before
        return value, place

    def _moved(self, instruction: Instruction, place: Place) -> list[tuple[int, Place, float]] | None:
        """The elements that a movement puts at a place, each with its input and its factor; None where that cannot be
        told."""
        kernel = instruction.op.kernel
        if callable(kernel) and len(instruction.inputs) == 1:
            specs = [input_spec(x) for x in instruction.inputs]
            index = kernel(place, specs, **instruction.attrs)
            return [(0, tuple(int(i) for i in index), 1.0)]
        return self.linear_sources(instruction, place)

    def linear_sources(self, instruction: Instruction, place: Place) -> list[tuple[int, Place, float]] | None:
        """The elements of which a linear operation makes an element, by its own gradient of that element alone."""
        if isinstance(instruction.op.vjp, NONE):
            return None
        arguments = [self._plain(x) for x in instruction.inputs]
        y = wrap(self.trace.array(instruction.output))
        seed = np.zeros(y.shape, np.float64)
        seed[place] = 1.0
        found: list[tuple[int, Place, float]] = []
        for position, x in enumerate(instruction.inputs):
            if not isinstance(x, Value):
                continue
            try:
                with quiet():
                    g = instruction.op.vjp(position, wrap(seed), y, arguments, dict(instruction.attrs))
            except PellucidError:
                return None
            if g is not None:
                for where in np.argwhere(g.data):
                    at = tuple(int(i) for i in where)
                    found.append((position, at, float(g.data[at])))
        return found

    def _plain(self, x: Any) -> Any:
        if not isinstance(x, Value):
            return x
        array = self.trace.array(x)
        # Indices stay what they are; of the others a float is as good as any, since only places are asked for.
        return wrap(array)

    # The arithmetic of an operation

    def expression(self, value: Value, place: Place, choices: Choices | None = None) -> Expression | None:
        """The arithmetic that gave an element; None where it was given, drawn at random, or is a position.

        Parameters
            choices : takes up the conditions of the branches that were taken
        """
        instruction = self.trace.maker(value)
        if instruction is None:
            return None
        op = instruction.op
        if op.family == "elementwise":
            return self._elementwise(instruction, place, choices)
        if op.family == "contraction":
            return self._contraction(instruction, place)
        if op.family == "convolution":
            role, shapes, geometry = convolution_of(instruction)
            pairs = convolution_pairs(role, shapes, geometry, place)
            return self._products(pairs, instruction.inputs[0], instruction.inputs[1])
        if op.family == "reduction":
            return self._reduction(instruction, place)
        if op.name == "max_pool":
            x = instruction.inputs[0]
            places = window_places(instruction.attrs, input_spec(x).shape, place)
            return self._total("max", x, places)
        if op.name == "cast" and instruction.output.spec.dtype.kind in "iu":
            return Apply("trunc", (self.leaf(instruction.inputs[0], place),))
        if op.family in ("movement", "pooling"):
            return self._linear(instruction, place)
        return None

    def _elementwise(self, instruction: Instruction, place: Place, choices: Choices | None) -> Expression:
        leaves = [self.leaf(x, broadcast_place(place, input_spec(x).shape)) for x in instruction.inputs]
        return with_numbers(body_of(instruction), leaves, choices)

    def _contraction(self, instruction: Instruction, place: Place) -> Expression:
        a, b = instruction.inputs[:2]
        shapes = input_spec(a).shape, input_spec(b).shape
        formula = parse(instruction.op.kernel(*shapes, **instruction.attrs))
        total: Expression = self._products(contraction_pairs(formula, *shapes, place), a, b)
        if len(instruction.inputs) == 3:
            total = Apply("+", (total, self.leaf(instruction.inputs[2], place[-1:])))
        return total

    def _products(self, pairs: Pairs, a: Value, b: Value) -> Expression:
        left, right = (self.trace.array(v).reshape(-1)[p] for v, p in ((a, pairs.a), (b, pairs.b)))
        products = left.astype(np.float64) * right

        def term(n: int) -> Expression:
            factors = []
            for value, places in ((a, pairs.a), (b, pairs.b)):
                at = np.unravel_index(places[n], value.spec.shape)
                factors.append(self.leaf(value, tuple(int(i) for i in at)))
            # A weight stands before what it weighs.
            factors.sort(key=lambda leaf: leaf.role != "weight")
            return Apply("*", tuple(factors))

        return self.sum_of(products, term)

    def sum_of(self, values: Array, term: Callable[[int], Expression]) -> Total:
        """A sum: all of its terms if they are few, else the largest and the rest."""
        return total_of("sum", values, term, self.most)

    def _total(self, combine: Any, x: Value, places: Sequence[Place]) -> Total:
        array = self.trace.array(x)
        values = np.array([array[p] for p in places], np.float64)
        return total_of(combine, values, lambda n: self.leaf(x, places[n]), self.most)

    def _reduction(self, instruction: Instruction, place: Place) -> Expression | None:
        name, x = instruction.op.name, instruction.inputs[0]
        if not isinstance(x, Value):
            return None
        shape = x.spec.shape
        if name == "sum_to":
            return self._linear(instruction, place)
        if name in ("log_softmax", "cumsum"):
            axis = instruction.attrs["axis"]
            axis = axis % len(shape) if isinstance(axis, int) else axis[0]
            last = place[axis] + 1 if name == "cumsum" else shape[axis]
            places = [(*place[:axis], i, *place[axis + 1 :]) for i in range(last)]
            if name == "cumsum":
                return self._total("sum", x, places)
            return Apply("-", (self.leaf(x, place), self._log_of_sum(x, places)))
        axes = instruction.attrs["axis"]
        lengths = [shape[a] for a in axes]
        rest = [i for i in range(len(shape)) if i not in axes]
        kept = place if not instruction.attrs["keepdims"] else tuple(place[i] for i in rest)
        places = []
        for index in np.ndindex(*lengths):
            known = dict(zip(axes, index, strict=True)) | dict(zip(rest, kept, strict=True))
            places.append(tuple(known[i] for i in range(len(shape))))
        if name in ("sum", "max", "min"):
            return self._total(name, x, places)
        return self._log_of_sum(x, places) if name == "logsumexp" else None

    def _log_of_sum(self, x: Value, places: Sequence[Place]) -> Expression:
        """log Σ exp(x), with the largest taken out, so that no number overflows."""
        array = self.trace.array(x)
        values = np.array([array[p] for p in places], np.float64)
        if not np.isfinite(values).all():
            return Leaf("", math.nan)
        top = int(values.argmax())
        largest = self.leaf(x, places[top])

        def term(n: int) -> Expression:
            return Apply("exp", (Apply("-", (self.leaf(x, places[n]), largest)),))

        total = self.sum_of(np.exp(values - values[top]), term)
        return Apply("+", (largest, Apply("log", (total,))))

    def _linear(self, instruction: Instruction, place: Place) -> Expression | None:
        """A sum of elements with factors, as windows and scatters make it."""
        sources = self.linear_sources(instruction, place)
        if not sources:
            return None
        inputs = instruction.inputs
        numbers = [float(self.trace.number(inputs[i], at)) * factor for i, at, factor in sources]

        def term(n: int) -> Expression:
            position, at, factor = sources[n]
            leaf = self.leaf(inputs[position], at)
            return leaf if factor == 1.0 else Apply("*", (Leaf("", factor), leaf))

        return self.sum_of(np.array(numbers), term)


def total_of(combine: Any, values: Array, term: Callable[[int], Expression], most: int) -> Total:
    """Terms combined: all of them if they are few, else those that matter most, in their order, and the rest."""
    if len(values) <= most + 1:
        return Total(combine, tuple(term(n) for n in range(len(values))))
    weight = -np.abs(values) if combine == "sum" else -values if combine == "max" else values
    chosen = np.sort(np.argsort(weight, kind="stable")[:most])
    others = np.delete(values, chosen)
    if combine == "sum":
        value = math.fsum(others) if np.isfinite(others).all() else float(others.sum())
    else:
        value = float(others.max() if combine == "max" else others.min())
    rest = Rest(len(others), value, float(np.abs(others).sum()))
    return Total(combine, tuple(term(int(n)) for n in chosen), rest)


def body_of(instruction: Instruction) -> Any:
    """The scalar body of an elementwise operation as symbols; its inputs are named by their positions."""
    count = len(inspect.signature(instruction.op.kernel).parameters) - 1 - len(instruction.op.attrs)
    return instruction.op.kernel(SYMBOLS, *(variable(str(n)) for n in range(count)), **instruction.attrs)


Choices = list[tuple[Expression, bool]]


def with_numbers(symbol: Any, leaves: Sequence[Expression], choices: Choices | None = None) -> Expression:
    """A body with its inputs filled in; of a choice the branch that is taken, and what changes nothing left out.

    Parameters
        choices : takes up each condition and whether it holds
    """
    if not isinstance(symbol, Symbol):
        return Leaf("", symbol)
    if symbol.op == "x":
        return leaves[int(symbol.args[0])]
    if symbol.op == "where":
        condition, *branches = symbol.args
        asked = with_numbers(condition, leaves)
        holds = bool(evaluate(asked))
        if choices is not None and (asked, holds) not in choices:
            choices.append((asked, holds))
        return with_numbers(branches[0 if holds else 1], leaves, choices)
    arguments = tuple(with_numbers(a, leaves, choices) for a in symbol.args)
    if symbol.op == "positive":
        return arguments[0]
    return Apply(symbol.op, arguments)


def local_derivative(instruction: Instruction, position: int, arguments: Sequence[Any], y: Tensor) -> Array:
    """The derivative of an elementwise operation by one of its inputs, everywhere in its result."""
    spread = [wrap(np.broadcast_to(a.data, y.shape)) if isinstance(a, Tensor) else a for a in arguments]
    with quiet():
        ones = wrap(np.ones(y.shape, y.dtype))
        found = instruction.op.vjp(position, ones, y, spread, dict(instruction.attrs))  # type: ignore[operator]
    return np.zeros(y.shape, y.dtype) if found is None else np.broadcast_to(found.data, y.shape)


def jacobian_column(
    instruction: Instruction, position: int, place: Place, arguments: Sequence[Any], y: Tensor
) -> Array:
    """The derivative of every element of a result by one element of an input: the operation's rule is linear in the
    gradient that comes in, and its own gradient by that is the column."""
    with enable_grad(), quiet():
        incoming = wrap(np.zeros(y.shape, y.dtype)).requires_grad_()
        outgoing = instruction.op.vjp(position, incoming, y, list(arguments), dict(instruction.attrs))  # type: ignore[operator]
        if outgoing is None or not outgoing.requires_grad:
            return np.zeros(y.shape, y.dtype)
        seed = np.zeros(outgoing.shape, outgoing.dtype)
        seed[place] = 1
        found = grad(outgoing, incoming, wrap(seed), allow_unused=True)
    return np.zeros(y.shape, y.dtype) if found is None else found.data
