"""A trace comes in; the backward pass leaves: the derivative of the loss by each chosen weight as the product of its
named factors, the errors in it opened back to the loss, and the chain rule along one path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pellucid.graph import Instruction, Value
from pellucid.graph.ir import input_spec
from pellucid.inspection.explain_condense import errors_condensed, put_in
from pellucid.inspection.explain_errors import Errors, own_place, simplified, single, times
from pellucid.inspection.explain_expressions import Apply, Expression, Leaf, Total, evaluate, leaves_of, shown, written
from pellucid.inspection.explain_forward import FEW, branches, contributions, followed
from pellucid.inspection.explain_names import Names
from pellucid.inspection.explain_records import Chain, Note, Step
from pellucid.inspection.explain_terms import Choices, Element
from pellucid.inspection.explain_trace import Place, Trace

_MOST_WEIGHTS, _MOST_TENSORS, _MOST_ERRORS, _MOST_CHAINS = 16, 12, 60, 3


class Backward:
    """Tells the backward pass."""

    def __init__(
        self, trace: Trace, names: Names, errors: Errors, written: Mapping[tuple[int, Place], Expression]
    ) -> None:
        self.trace, self.names, self.errors, self.written = trace, names, errors, written

    def weights(self) -> tuple[list[Element], int]:
        """The weights to tell of: all of a small network, else of each parameter the one with the largest gradient;
        and how many parameters are left out."""
        values = [self.trace.values[key] for key in self.trace.parameters if key in self.trace.errors]
        if not values:  # nothing to train: what the loss asks of the inputs
            values = [v for v in self.trace.graph.inputs if v.id in self.trace.errors]
        if sum(v.spec.size for v in values) <= _MOST_WEIGHTS:
            places = [(v, tuple(map(int, p))) for v in values for p in np.ndindex(*v.spec.shape)]
            return places, 0
        chosen = []
        for value in values[:_MOST_TENSORS]:
            error = np.abs(np.nan_to_num(self.trace.errors[value.id]))
            chosen.append((value, tuple(int(i) for i in np.unravel_index(error.argmax(), error.shape))))
        return chosen, max(len(values) - _MOST_TENSORS, 0)

    def gradient(self, value: Value, place: Place) -> Step:
        """The derivative of the loss by a weight, the errors in it one step open."""
        expression = self.errors.expression(value, place)
        return self._step("gradient", value, place, self._expanded(expression))

    def _expanded(self, expression: Expression) -> Expression:
        """A sum of factors times errors, in which an error that is itself one product is written as that product."""
        if not isinstance(expression, Total) or len(expression.terms) > FEW:
            return expression
        terms = []
        for term in expression.terms:
            left, error = _factors(term)
            if error is None or error.element is None:
                terms.append(term)
                continue
            inner = single(self.errors.opened(self.trace.values[error.element[0]], error.element[1]))
            behind = _factors(inner)[1] if isinstance(inner, Apply) else None
            told = error if behind is None or self._in_loss(behind) else inner
            terms.append(told if left is None else times(left, told))
        return replace(expression, terms=tuple(terms))

    def _in_loss(self, error: Leaf) -> bool:
        """Whether an error is one of the loss's own arithmetic, or of the loss itself."""
        number = None if error.element is None else self.trace.makers.get(error.element[0])
        return number is not None and self.names.call_of(number).owner.role == "loss"

    def _step(self, kind: str, value: Value, place: Place, expression: Expression) -> Step:
        expression = put_in(expression, self.written)
        dtype = value.spec.dtype
        number = self.trace.makers.get(value.id)
        layer = "" if number is None else self.names.call_of(number).owner.path
        if value.id in self.trace.parameters:
            layer = self.trace.parameters[value.id][0].rpartition(".")[0]
        name = self.errors.leaf(value, place).name
        return Step(
            kind=kind,  # type: ignore[arg-type]
            name=name,
            layer=layer,
            formula=f"{name} = Σ ∂y/∂{self.names.of(value)} · ∂L/∂y",
            expression=expression,
            value=self.trace.error(value, place),
            eps=float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0,
            contributions=contributions(expression) if kind == "gradient" else (),
            notes=(*_dead(expression), *_shares(expression)),
        )

    def told(self, gradients: Sequence[Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The errors and the local derivatives that gradients are made of, opened back to the loss."""
        errors: dict[tuple[int, Place], Step] = {}
        derivatives: dict[str, Step] = {}
        queue = [leaf for step in gradients for leaf in self._opening(step.expression, derivatives)]
        while queue and len(errors) < _MOST_ERRORS:
            key = queue.pop(0).element
            if key is None or key in errors or key[0] not in self.trace.errors:
                continue
            value = self.trace.values[key[0]]
            errors[key] = self._step("error", value, key[1], self.errors.opened(value, key[1]))
            queue += self._opening(errors[key].expression, derivatives)
        order = sorted(errors, key=lambda k: (-self.trace.makers.get(k[0], -1), k[1]))
        return tuple(errors_condensed(errors, order, self.written)), tuple(derivatives.values())

    def _opening(self, expression: Expression, derivatives: dict[str, Step]) -> list[Leaf]:
        for leaf in leaves_of(expression):
            if leaf.role == "derivative" and leaf.name in self.errors.derivatives and leaf.name not in derivatives:
                choices: Choices = []
                rule, value, instruction = self.errors.derivative(leaf.name, choices)
                if rule is not None:
                    derivatives[leaf.name] = Step(
                        kind="derivative",
                        name=leaf.name,
                        layer=self.names.call_of(self.trace.makers[instruction.output.id]).owner.path,
                        formula=instruction.op.formula(None, dict(instruction.attrs)),
                        expression=rule,
                        value=value,
                        eps=float(np.finfo(instruction.output.spec.dtype).eps),
                        notes=(*branches(choices), *self._residual(instruction, leaf)),
                    )
        return [leaf for leaf in followed(expression) if leaf.role == "error"]

    def _residual(self, instruction: Instruction, leaf: Leaf) -> Iterator[Note]:
        """What the derivative of a logistic loss by its logit comes to in the terms of a textbook."""
        _, position, place = self.errors.derivatives[leaf.name]
        if instruction.op.name == "logistic_loss" and position == 0:
            z, t = (self.errors.terms.leaf(x, own_place(place, input_spec(x).shape)) for x in instruction.inputs[:2])
            p = float(leaf.value) + float(t.value)
            yield Note("residual", {"p": shown(p), "t": shown(t.value), "z": z.name or shown(z.value)})

    def strongest(self, weights: Sequence[Element]) -> list[Element]:
        """The few weights whose chains are told: those with the largest gradients."""
        ordered = sorted(weights, key=lambda w: -abs(self.trace.error(*w)))
        moving = [w for w in ordered if self.trace.error(*w) != 0]
        return moving[:_MOST_CHAINS] or ordered[:1]

    def chain(self, value: Value, place: Place) -> Chain:
        """The chain rule along the strongest path from a weight to the loss."""
        name, gradient = self.names.element(value, place), self.trace.error(value, place)
        factors: list[Leaf] = []
        only = True
        while value is not self.trace.loss:
            expression = self.errors.expression(value, place)
            terms = expression.terms if isinstance(expression, Total) else (expression,)
            if not terms:
                break
            only = only and isinstance(expression, Total) and expression.count == 1
            left, error = _factors(max(terms, key=lambda t: abs(float(evaluate(t)))))
            left = None if left is None else simplified(put_in(left, self.written))
            if left is not None and left != Leaf("", 1.0):
                exact = left if isinstance(left, Leaf) else Leaf(written(left, names=True), float(evaluate(left)))
                factors.append(replace(exact, role="derivative") if not exact.name else exact)
            if error is None or error.element is None:
                break
            value, place = self.trace.values[error.element[0]], error.element[1]
        product = 1.0
        for factor in factors:
            product *= float(factor.value)
        return Chain(f"∂L/∂{name}", tuple(factors), product, gradient, only)


def _factors(term: Expression) -> tuple[Expression | None, Leaf | None]:
    """The local derivative and the error of a term; None for a factor of 1."""
    if isinstance(term, Leaf):
        return (None, term) if term.role == "error" else (term, None)
    if isinstance(term, Apply) and term.function == "*":
        left, right = term.arguments
        if isinstance(right, Leaf) and right.role == "error":
            return left, right
    return term, None


def _shares(expression: Expression) -> Iterator[Note]:
    """A remark on what the exponential of a log-softmax is."""
    if isinstance(expression, Apply) and expression.function == "exp":
        for leaf in leaves_of(expression):
            if leaf.name.startswith("log_softmax"):
                yield Note("share", {"name": leaf.name, "value": shown(float(np.exp(leaf.value)))})
    elif not isinstance(expression, Leaf):
        for part in expression.arguments if isinstance(expression, Apply) else expression.terms[:1]:
            yield from _shares(part)


def _dead(expression: Expression) -> Iterator[Note]:
    """A remark for each local derivative of 0: nothing passes there."""
    for leaf in leaves_of(expression):
        if leaf.role == "derivative" and leaf.name and leaf.value == 0:
            yield Note("factor-zero", {"name": leaf.name})
            return
