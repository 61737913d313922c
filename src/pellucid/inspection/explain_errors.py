"""An element of the recorded graph comes in; its error, the derivative of the loss by it, leaves as arithmetic: for
each operation that takes it the local derivative times the error behind. `explain_backward` tells gradients from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._typing import Array, Shape
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import PellucidError
from pellucid.graph import Instruction, Value, record
from pellucid.graph.ir import input_spec
from pellucid.inspection.explain_expressions import Apply, Expression, Leaf, Total, shown
from pellucid.inspection.explain_names import Names
from pellucid.inspection.explain_places import contraction_pairs, convolution_of, convolution_pairs
from pellucid.inspection.explain_terms import (
    Choices,
    Terms,
    body_of,
    jacobian_column,
    local_derivative,
    total_of,
    with_numbers,
)
from pellucid.inspection.explain_trace import Place, Trace
from pellucid.ops._families.contraction import parse, swapped
from pellucid.ops._families.convolution import _FACTORS

# Operations whose derivatives need no name of their own: a factor, a sign, or a choice.
_PLAIN = frozenset(("add", "subtract", "multiply", "multiply_add", "divide", "negative", "positive", "where"))


@dataclass(frozen=True)
class _Part:
    """Terms of one use: coefficients, the flat places of the errors behind them, and how a coefficient is written."""

    coefficients: Array
    places: Array
    value: Value
    factor: Callable[[int], Expression]


class Errors:
    """Writes the errors of elements."""

    def __init__(self, trace: Trace, names: Names, terms: Terms) -> None:
        self.trace, self.names, self.terms = trace, names, terms
        # For each derivative that was given a name: where it was taken.
        self.derivatives: dict[str, tuple[int, int, Place]] = {}
        self._local: dict[tuple[int, int], Array] = {}

    def leaf(self, value: Value, place: Place) -> Leaf:
        """The error of an element."""
        name = f"∂L/∂{self.names.element(value, place)}"
        return Leaf(name, self.trace.error(value, place), "error", (value.id, place))

    def expression(self, value: Value, place: Place) -> Expression:
        """The error of an element, as a sum over what it goes into."""
        parts = self._parts(value, place)
        if value is self.trace.loss:
            return Leaf("", 1.0)
        numbers, owners = [], []
        for part in parts:
            behind = self.trace.errors[part.value.id].reshape(-1)[part.places].astype(np.float64)
            numbers.append(part.coefficients.astype(np.float64) * behind)
            owners += [(part, n) for n in range(len(part.places))]
        values = np.concatenate(numbers) if numbers else np.zeros(0)

        def term(n: int) -> Expression:
            part, own = owners[n]
            if part.value is self.trace.loss:
                return simplified(part.factor(own))
            at = tuple(int(i) for i in np.unravel_index(part.places[own], part.value.spec.shape))
            return times(part.factor(own), self.leaf(part.value, at))

        return total_of("sum", values, term, self.terms.most)

    def opened(self, value: Value, place: Place) -> Expression:
        """The same, behind operations that hand an error on as it is."""
        while True:
            expression = self.expression(value, place)
            only = single(expression)
            if not isinstance(only, Leaf) or only.element is None or only.role != "error":
                return expression
            value, place = self.trace.values[only.element[0]], only.element[1]

    def derivative(self, name: str, choices: Choices | None = None) -> tuple[Expression | None, float, Instruction]:
        """A derivative that was named: its arithmetic where its rule is one of single numbers, its value, and the
        operation."""
        number, position, place = self.derivatives[name]
        instruction = self.trace.graph.instructions[number]
        return self._rule(number, position, place, choices), float(self._local_of(number, position)[place]), instruction

    # The uses of an element

    def _parts(self, value: Value, place: Place) -> list[_Part]:
        found = []
        for number, position in self.trace.uses(value):
            instruction = self.trace.graph.instructions[number]
            if instruction.output.id in self.trace.errors:
                part = self._part(number, position, place)
                if len(part.places):
                    found.append(part)
        return found

    def _part(self, number: int, position: int, place: Place) -> _Part:
        instruction = self.trace.graph.instructions[number]
        family = instruction.op.family
        if family == "elementwise":
            return self._elementwise(number, position, place)
        if family == "contraction":
            return self._contraction(instruction, position, place)
        if family == "convolution":
            return self._convolution(instruction, position, place)
        arguments, y = self._tensors(instruction)
        column = jacobian_column(instruction, position, place, arguments, y).reshape(-1)
        out = instruction.output
        places = np.flatnonzero(column)
        # What no error comes back to is left out, unless there is nothing else.
        met = places[self.trace.errors[out.id].reshape(-1)[places] != 0]
        places = met if len(met) else places

        def factor(n: int) -> Expression:
            coefficient = float(column[places[n]])
            if coefficient == 1.0:
                return Leaf("", 1.0)
            at = tuple(int(i) for i in np.unravel_index(places[n], out.spec.shape))
            if instruction.op.name == "log_softmax":
                # Whether it is the class itself, less the probability of the class that is asked for.
                share = Apply("exp", (self.terms.leaf(out, place),))
                return Apply("-", (Leaf("", 1.0), share)) if at == place else Apply("neg", (share,))
            x = self.names.element(instruction.inputs[position], place)
            return Leaf(f"∂{self.names.element(out, at)}/∂{x}", coefficient, "derivative")

        return _Part(column[places], places, out, factor)

    def _tensors(self, instruction: Instruction) -> tuple[list[Any], Tensor]:
        arguments = [wrap(self.trace.array(x)) if isinstance(x, Value) else x for x in instruction.inputs]
        return arguments, wrap(self.trace.array(instruction.output))

    def _local_of(self, number: int, position: int) -> Array:
        key = (number, position)
        if key not in self._local:
            instruction = self.trace.graph.instructions[number]
            self._local[key] = local_derivative(instruction, position, *self._tensors(instruction))
        return self._local[key]

    def _elementwise(self, number: int, position: int, place: Place) -> _Part:
        instruction = self.trace.graph.instructions[number]
        x, out = instruction.inputs[position], instruction.output
        local = self._local_of(number, position).reshape(-1)
        places = _spread(place, input_spec(x).shape, out.spec.shape)

        def factor(n: int) -> Expression:
            at = tuple(int(i) for i in np.unravel_index(places[n], out.spec.shape))
            if instruction.op.name in _PLAIN:
                rule = self._rule(number, position, at)
                if rule is not None:
                    return rule
            name = self._derivative_name(instruction, position, at)
            self.derivatives[name] = (number, position, at)
            return Leaf(name, float(local[places[n]]), "derivative")

        return _Part(local[places], places, out, factor)

    def _derivative_name(self, instruction: Instruction, position: int, at: Place) -> str:
        """relu'(z1[0]) for an operation of one input, else ∂y/∂x."""
        inputs = instruction.inputs
        leaf = self.terms.leaf(inputs[position], own_place(at, input_spec(inputs[position]).shape))
        if sum(isinstance(x, Value) for x in inputs) == 1:
            return f"{instruction.op.name}'({leaf.name or shown(leaf.value)})"
        return f"∂{self.names.element(instruction.output, at)}/∂{leaf.name or shown(leaf.value)}"

    def _contraction(self, instruction: Instruction, position: int, place: Place) -> _Part:
        out = instruction.output
        if position == 2:
            flat = np.arange(out.spec.size).reshape(out.spec.shape)[..., place[0]].reshape(-1)
            return _Part(np.ones(len(flat)), flat, out, lambda n: Leaf("", 1.0))
        a, b = (input_spec(x).shape for x in instruction.inputs[:2])
        text = swapped(position, parse(instruction.op.kernel(a, b, **instruction.attrs)))
        formula, other = parse(text), instruction.inputs[1 - position]
        at = tuple(0 if letter == "1" else i for letter, i in zip(formula.out, place, strict=True))
        pairs = contraction_pairs(formula, out.spec.shape, input_spec(other).shape, at)
        return self._with_other(other, pairs.b, pairs.a, out)

    def _convolution(self, instruction: Instruction, position: int, place: Place) -> _Part:
        role, shapes, geometry = convolution_of(instruction)
        own, other = _FACTORS[role][position], _FACTORS[role][1 - position]
        pairs = dict(zip(_FACTORS[own], convolution_pairs(own, shapes, geometry, place), strict=True))
        return self._with_other(instruction.inputs[1 - position], pairs[other], pairs[role], instruction.output)

    def _with_other(self, other: Value, others: Array, places: Array, out: Value) -> _Part:
        """Products with the elements of the other factor."""
        coefficients = self.trace.array(other).reshape(-1)[others]

        def factor(n: int) -> Expression:
            at = np.unravel_index(others[n], other.spec.shape)
            return self.terms.leaf(other, tuple(int(i) for i in at))

        return _Part(coefficients, places, out, factor)

    # The arithmetic of a local derivative

    def _rule(self, number: int, position: int, place: Place, choices: Choices | None = None) -> Expression | None:
        """The derivative of an operation at one place as arithmetic: its own rule, recorded on single numbers."""
        instruction = self.trace.graph.instructions[number]
        leaves = [self.terms.leaf(x, own_place(place, input_spec(x).shape)) for x in instruction.inputs]
        y = self.terms.leaf(instruction.output, place)
        numbers = [isinstance(x, Value) for x in instruction.inputs]
        tracked = [n for n, is_value in enumerate(numbers) if is_value]

        def rule(g: Tensor, result: Tensor, *given: Tensor) -> Any:
            arguments: list[Any] = list(instruction.inputs)
            for n, tensor in zip(tracked, given, strict=True):
                arguments[n] = tensor
            return instruction.op.vjp(position, g, result, arguments, dict(instruction.attrs))  # type: ignore[operator]

        examples = [_scalar(1.0), _scalar(y.value), *(_scalar(leaves[n].value) for n in tracked)]
        try:
            graph = record(rule, *examples)
        except PellucidError:
            return None
        found: dict[int, Expression] = {c.value.id: Leaf("", c.tensor.data.item()) for c in graph.captured}
        for value, leaf in zip(graph.inputs, [Leaf("", 1.0), y, *(leaves[n] for n in tracked)], strict=True):
            found[value.id] = leaf
        for step in graph.instructions:
            arguments = [found[x.id] if isinstance(x, Value) else Leaf("", x) for x in step.inputs]
            if step.op.family == "elementwise":
                found[step.output.id] = simplified(with_numbers(body_of(step), arguments, choices))
            elif step.op.family == "movement" or step.op.name == "sum_to":
                found[step.output.id] = arguments[0]
            else:
                return None
        return found[graph.outputs.id] if isinstance(graph.outputs, Value) else Leaf("", 0.0)


def _scalar(value: Any) -> Tensor:
    return wrap(np.asarray(value, np.float64) if type(value) is float else np.asarray(value))


def own_place(place: Place, shape: Shape) -> Place:
    """Where an input stands at a place of what it is broadcast to."""
    return tuple(0 if n == 1 else i for i, n in zip(place[len(place) - len(shape) :], shape, strict=True))


def _spread(place: Place, shape: Shape, to: Shape) -> Array:
    """The flat places to which broadcasting brings an element."""
    lead = len(to) - len(shape)
    axes = [np.arange(n) for n in to[:lead]]
    axes += [np.arange(m) if n == 1 else np.array([i]) for i, n, m in zip(place, shape, to[lead:], strict=True)]
    if not axes:
        return np.zeros(1, np.int64)
    return np.ravel_multi_index(np.ix_(*axes), to).reshape(-1)


def single(expression: Expression) -> Expression:
    """The only term of a sum of one; else the sum."""
    if isinstance(expression, Total) and len(expression.terms) == 1 and expression.rest is None:
        return expression.terms[0]
    return expression


def times(left: Expression, right: Expression) -> Expression:
    """A product, without factors of 1."""
    return simplified(Apply("*", (left, right)))


def _is(node: Expression, value: float) -> bool:
    return isinstance(node, Leaf) and not node.name and node.value == value


def simplified(node: Expression) -> Expression:
    """An expression without what changes nothing: factors of 1, terms of 0, double signs. Values stay, to the bit."""
    if not isinstance(node, Apply):
        return node
    arguments = tuple(simplified(a) for a in node.arguments)
    name = node.function
    if name == "*" and _is(arguments[0], 1.0):
        return arguments[1]
    if name in ("*", "/") and _is(arguments[1], 1.0):
        return arguments[0]
    if name in ("+", "-") and _is(arguments[1], 0.0):
        return arguments[0]
    if name == "+" and _is(arguments[0], 0.0):
        return arguments[1]
    if name == "neg":
        (only,) = arguments
        if isinstance(only, Leaf) and not only.name:
            return Leaf("", -only.value)
        if isinstance(only, Apply) and only.function == "neg":
            return only.arguments[0]
    return Apply(name, arguments)
