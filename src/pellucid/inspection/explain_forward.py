"""A trace comes in; the forward pass layer by layer leaves, for the chosen places of each layer's output: the inner
steps first, what contributed most, where broadcasting happened, where no gradient passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pellucid.core.op import COMPOSITES
from pellucid.graph import Instruction, Value
from pellucid.graph.ir import input_spec
from pellucid.inspection.explain_condense import condensed
from pellucid.inspection.explain_errors import _PLAIN, Errors
from pellucid.inspection.explain_expressions import Apply, Expression, Leaf, Total, evaluate, leaves_of, shown, written
from pellucid.inspection.explain_names import Call, Names
from pellucid.inspection.explain_places import broadcast_place
from pellucid.inspection.explain_records import Contribution, LayerExplanation, Note, Step
from pellucid.inspection.explain_terms import Choices, Element, Terms
from pellucid.inspection.explain_trace import Place, Trace

FEW = 4
"""As many units of a layer, or terms of a sum, are all gone into."""
_MOST_STEPS = 24
_LAST = ("derivative", "weight", "error")


class Forward:
    """Tells the forward pass."""

    def __init__(self, trace: Trace, names: Names, terms: Terms, errors: Errors) -> None:
        self.trace, self.names, self.terms, self.errors = trace, names, terms, errors
        # What stands for numbers inside the loss that have no step of their own.
        self.written: dict[tuple[int, Place], Expression] = {}

    def layer(self, call: Call, elements: Sequence[Element]) -> LayerExplanation:
        """One call of a layer at some places of its output."""
        steps: dict[tuple[int, Place], Step] = {}
        for value, place in elements:
            self._open(call, value, place, steps)
        order = sorted(steps, key=lambda key: (self.trace.makers.get(key[0], -1), key[1]))
        value = elements[0][0]
        owner = call.owner
        if owner.role == "loss":
            ordered = condensed(steps, order, [(v.id, place) for v, place in elements], self.written)
        else:
            ordered = [steps[key] for key in order]
        return LayerExplanation(
            path=owner.path,
            kind=owner.kind,
            role=owner.role,
            name=self.names.of(value),
            shape=value.spec.shape,
            formula=self._formula(call, value),
            steps=tuple(ordered),
            notes=tuple(self._broadcasts(call)),
        )

    def _formula(self, call: Call, value: Value) -> str:
        """The mathematics of a layer: of the composite that it is, or of its operation."""
        maker = self.trace.maker(value)
        instructions = [self.trace.graph.instructions[n] for n in call.numbers]
        for scope in instructions[-1].scope if maker is None else maker.scope:
            if scope.name in COMPOSITES:
                return COMPOSITES[scope.name].formula
        computed = [i for i in instructions if i.op.family != "movement"] or instructions
        return _formula(computed[-1] if maker is None or maker.op.family == "movement" else maker)

    def _open(self, call: Call, value: Value, place: Place, steps: dict[tuple[int, Place], Step]) -> None:
        """The arithmetic of an element, and of what it was made of inside the same layer."""
        found = self.terms.source(value, place, opening=True)
        name = self.names.element(value, place)
        inside = set(call.numbers)
        if isinstance(found, Leaf) or self.trace.makers.get(found[0].id) not in inside:
            # A layer that only moves: what stands at this place of its output.
            leaf = found if isinstance(found, Leaf) else self.terms.leaf(*found)
            number = self.trace.makers.get(value.id)
            if number is not None and (value.id, place) not in steps:
                steps[value.id, place] = self._step(number, name, value, place, leaf)
            return
        queue: list[tuple[Value, Place, str]] = [(*found, name)]
        while queue and len(steps) < _MOST_STEPS:
            value, place, title = queue.pop(0)
            number = self.trace.makers.get(value.id)
            if number not in inside or (value.id, place) in steps:
                continue
            choices: Choices = []
            expression = self.terms.expression(value, place, choices)
            if expression is None:
                continue
            steps[value.id, place] = self._step(number, title, value, place, expression, choices)
            for leaf in followed(expression):
                if leaf.element is not None:
                    inner = self.trace.values[leaf.element[0]]
                    queue.append((inner, leaf.element[1], leaf.name))

    def _step(
        self, number: int, name: str, value: Value, place: Place, expression: Expression, choices: Choices | None = None
    ) -> Step:
        instruction = self.trace.graph.instructions[number]
        dtype = value.spec.dtype
        return Step(
            kind="forward",
            name=name,
            layer=self.names.call_of(number).owner.path,
            formula=_formula(instruction),
            expression=expression,
            value=self.trace.number(value, place),
            eps=float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0,
            contributions=contributions(expression),
            notes=(*branches(choices or []), *self._flat(number, place), *self._plainly(number, place)),
        )

    def _plainly(self, number: int, place: Place) -> Iterator[Note]:
        """A remark on what a form that cannot overflow comes to in the terms of a textbook."""
        instruction = self.trace.graph.instructions[number]
        name = instruction.op.name
        if name == "sigmoid":
            yield Note("sigmoid", {"z": self.terms.leaf(instruction.inputs[0], place).name or "z"})
        if name == "log_softmax":
            logarithm = self.trace.number(instruction.output, place)
            yield Note("probability", {"name": self.names.element(instruction.output, place),
                                       "value": shown(math.exp(min(logarithm, 0.0)))})  # fmt: skip
        if name == "logistic_loss":
            z, t = (self.terms.leaf(x, broadcast_place(place, input_spec(x).shape)) for x in instruction.inputs[:2])
            p = _sigmoid(float(z.value))
            facts = {"z": z.name or shown(z.value), "p": shown(p), "rest": shown(1.0 - p), "t": shown(t.value)}
            yield Note("logistic", {**facts, "other": shown(1 - t.value)})

    def _flat(self, number: int, place: Place) -> Iterator[Note]:
        """A remark where an activation passes no gradient on."""
        instruction = self.trace.graph.instructions[number]
        given = [n for n, x in enumerate(instruction.inputs) if isinstance(x, Value)]
        smooth = instruction.op.family == "elementwise" and instruction.output.spec.dtype.kind == "f"
        if not smooth or len(given) != 1 or instruction.op.name in _PLAIN:
            return
        x = instruction.inputs[given[0]]
        tracked = self.trace.tensors[instruction.output.id].requires_grad
        if tracked and self.errors._local_of(number, given[0])[place] == 0:
            z = self.terms.leaf(x, place)
            yield Note("no-gradient", {"function": instruction.op.name, "z": z.name, "value": shown(z.value)})

    def _broadcasts(self, call: Call) -> Iterator[Note]:
        """Where an input was repeated to the shape of another."""
        told: set[str] = set()
        for number in call.numbers:
            instruction = self.trace.graph.instructions[number]
            out = instruction.output.spec.shape
            family, name = instruction.op.family, instruction.op.name
            for position, x in enumerate(instruction.inputs):
                if (
                    not isinstance(x, Value)
                    or x.spec.shape == out
                    or x.spec.size == 1
                    or instruction.output.spec.size == 1
                ):
                    continue
                bias = family == "contraction" and position == 2 and math.prod(out[:-1]) > 1
                if family == "elementwise" or bias or name == "broadcast_to":
                    words = self.names.of(x)
                    if words not in told:
                        told.add(words)
                        yield Note("broadcast", {"name": words, "shape": x.spec.shape, "to": out})

    # Which places

    def elements(self, call: Call, wanted: Sequence[Element], sample: int) -> list[Element]:
        """The places of a layer's output to tell of: all of a sample if they are few, else those that are wanted, else
        the largest."""
        if wanted:
            value = wanted[0][0]
        else:
            returned = [v for v in call.outputs if v in self.trace.outputs]
            value = (returned or call.outputs[-1:])[0]
        shape = value.spec.shape
        if not value.spec.size:
            return []
        lead = (min(sample, shape[0] - 1),) if len(shape) > 1 else ()
        rest = shape[len(lead) :]
        if math.prod(rest) <= FEW:
            return [(value, (*lead, *index)) for index in np.ndindex(*rest)]
        if wanted:
            return list(dict.fromkeys(wanted))[:FEW]
        part = np.nan_to_num(self.trace.array(value)[lead].reshape(-1).astype(np.float64))
        # Of the network's answer the largest, such as the class that it takes; inside, what is strongest.
        largest = int(np.argmax(part if value in self.trace.outputs else np.abs(part)))
        return [(value, (*lead, *(int(i) for i in np.unravel_index(largest, rest))))]


def _sigmoid(z: float) -> float:
    e = math.exp(-abs(z))
    return (1.0 if z >= 0 else e) / (1.0 + e)


def _formula(instruction: Instruction) -> str:
    specs = [input_spec(x) for x in instruction.inputs]
    return instruction.op.formula(specs, dict(instruction.attrs))


def branches(choices: Choices) -> Iterator[Note]:
    """A remark for each condition that chose a branch."""
    for condition, holds in choices:
        facts = {"condition": written(condition, names=True), "numbers": written(condition)}
        yield Note("branch-taken" if holds else "branch-not-taken", facts)


def followed(expression: Expression) -> list[Leaf]:
    """The numbers of an expression whose own arithmetic is worth telling: of a long sum those of its largest term."""
    if isinstance(expression, Leaf):
        return [expression]
    if isinstance(expression, Apply):
        return [leaf for a in expression.arguments for leaf in followed(a)]
    terms = list(expression.terms)
    if expression.count > FEW and terms:
        terms = [max(terms, key=lambda t: abs(float(evaluate(t))))]
    return [leaf for t in terms for leaf in followed(t)]


def contributions(expression: Expression) -> tuple[Contribution, ...]:
    """The terms of a sum that matter most, the largest first."""
    total = expression
    if isinstance(total, Apply) and total.function == "+" and isinstance(total.arguments[0], Total):
        total = total.arguments[0]
    if not isinstance(total, Total) or total.combine != "sum" or total.count < 2:
        return ()
    amounts = [float(evaluate(t)) for t in total.terms]
    size = sum(map(abs, amounts)) + (0.0 if total.rest is None else total.rest.size)
    if not size or not math.isfinite(size):
        return ()
    found = [
        Contribution(_term_name(t), amount, abs(amount) / size)
        for t, amount in zip(total.terms, amounts, strict=True)
        if amount
    ]
    return tuple(sorted(found, key=lambda c: -c.share)[:3])


def _term_name(term: Expression) -> str:
    leaves = [leaf for leaf in leaves_of(term) if leaf.name]
    leaves.sort(key=lambda leaf: _LAST.index(leaf.role) if leaf.role in _LAST else 3)
    return leaves[-1].name if leaves else ""
