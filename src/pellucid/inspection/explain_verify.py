"""An explanation and the trace that it was told from come in; what comes of evaluating every printed line leaves.
`Explanation.verify` calls it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from pellucid.inspection.explain_expressions import (
    Apply,
    Expression,
    Leaf,
    Number,
    Total,
    bound,
    evaluate,
    leaves_of,
    parsed,
    shown,
    written,
)
from pellucid.inspection.explain_records import Explanation, Mismatch, Step, Update, Verification
from pellucid.inspection.explain_trace import Trace

_ALL_DIGITS = 17


class Verifier:
    """Evaluates an explanation."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __call__(self, explanation: Explanation) -> Verification:
        self.lines = self.numbers = 0
        self.mismatches: list[Mismatch] = []
        for step in explanation.steps:
            self._step(step)
        for chain in explanation.chains:
            product = math.prod(float(f.value) for f in chain.factors)
            self._compare(chain.name, "·".join(f.name for f in chain.factors), product, chain.product, 0.0)
            if chain.only:
                eps = max((s.eps for s in explanation.gradients), default=0.0)
                allowed = 4 * eps * (len(chain.factors) + 1) * abs(chain.product)
                self._compare(chain.name, "·".join(f.name for f in chain.factors), product, chain.gradient, allowed)
        for update in explanation.updates:
            self._update(update)
        return Verification(self.lines, self.numbers, tuple(self.mismatches))

    def _compare(self, name: str, line: str, evaluated: float, network: float, allowed: float) -> None:
        self.lines += 1
        if evaluated == network or (math.isnan(evaluated) and math.isnan(network)):
            return
        if not abs(evaluated - network) <= allowed:
            self.mismatches.append(Mismatch(name, line, evaluated, network, allowed))

    def _step(self, step: Step) -> None:
        for leaf in leaves_of(step.expression):
            self._leaf(leaf)
        line = written(step.expression, digits=_ALL_DIGITS)
        value = float(evaluate(parsed(line)))
        _, error = bound(step.expression, step.eps)
        network = float(step.value)
        self._compare(step.name, line, value, network, 4 * (error + step.eps * abs(network)) + _smallest(step.eps))

    def _leaf(self, leaf: Leaf) -> None:
        if leaf.element is None:
            return
        self.numbers += 1
        value = self.trace.values[leaf.element[0]]
        place = leaf.element[1]
        network = self.trace.error(value, place) if leaf.role == "error" else self.trace.number(value, place)
        same = leaf.value == network or (math.isnan(float(leaf.value)) and math.isnan(float(network)))
        if not same:
            self.mismatches.append(Mismatch(leaf.name, shown(leaf.value, 17), float(leaf.value), float(network), 0.0))

    def _update(self, update: Update) -> None:
        """Every line of a rule; what it comes to is compared with what the optimizer did."""
        opened: dict[str, Expression] = {}
        for line in update.lines:
            printed = written(line.expression, digits=_ALL_DIGITS)
            value = float(evaluate(parsed(printed)))
            self._compare(f"{update.name}: {line.name}", printed, value, float(line.value), 1e-15 * abs(value))
            opened[line.name] = _inlined(line.expression, opened)
        network: dict[str, Number] = {**update.new_state, "p": update.new}
        for name, expression in opened.items():
            if name in network:
                value, error = bound(expression, update.eps)
                allowed = 8 * (error + update.eps * abs(float(network[name]))) + _smallest(update.eps)
                whole = written(expression, digits=_ALL_DIGITS)
                self._compare(f"{update.name}: {name}", whole, float(value), float(network[name]), allowed)


def _smallest(eps: float) -> float:
    """What gets lost where numbers become too small for their dtype."""
    return 1e-300 if eps < 1e-10 else 1e-36


def _inlined(expression: Expression, opened: Mapping[str, Expression]) -> Expression:
    """An expression with what earlier lines have set written out."""
    if isinstance(expression, Leaf):
        return opened.get(expression.name, expression) if expression.name else expression
    if isinstance(expression, Apply):
        return Apply(expression.function, tuple(_inlined(a, opened) for a in expression.arguments))
    return Total(expression.combine, tuple(_inlined(t, opened) for t in expression.terms), expression.rest)
