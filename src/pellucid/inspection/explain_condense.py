"""The steps of a layer come in; the same arithmetic without the steps that a reader need not be told leaves: what only
passes a number on, changes its sign, or counts rows that all count. The tellers of both passes call it for losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pellucid.inspection.explain_errors import simplified, single
from pellucid.inspection.explain_expressions import Apply, Expression, Leaf, Total, leaves_of
from pellucid.inspection.explain_records import Step
from pellucid.inspection.explain_trace import Place

Key = tuple[int, Place]
_COMPARE = ("==", "!=", "<", "<=", ">", ">=")


def condensed(
    steps: Mapping[Key, Step], order: Sequence[Key], kept: Sequence[Key], written: dict[Key, Expression]
) -> list[Step]:
    """The steps that are worth telling, with the others written into them.

    Parameters
        order : of the keys, what is computed first in front
        kept : steps that are told whatever they are
        written : takes up what stands for those that are not told
    """
    found: list[Step] = []
    for key in order:
        step = steps[key]
        expression = put_in(step.expression, written)
        short = None if key in kept else _short(step, expression)
        if short is None:
            # A remark on a condition that only says which rows count is of no use where all do.
            notes = tuple(n for n in step.notes if n.kind != "branch-taken" or not _on_dropped(n.facts, written, steps))
            found.append(replace(step, expression=expression, notes=notes))
        else:
            written[key] = short
    return found


def _short(step: Step, expression: Expression) -> Expression | None:
    """What stands for a step in those that read it; None for a step of its own."""
    only = single(expression)
    if isinstance(only, Leaf):
        return only
    if isinstance(only, Apply) and only.function == "neg" and isinstance(only.arguments[0], Leaf):
        return only
    if isinstance(only, Apply) and only.function in _COMPARE:
        left, right = only.arguments
        asked = isinstance(left, Leaf) and left.role == "target" and isinstance(right, Leaf) and not right.name
        return Leaf("", 1) if asked and float(step.value) == 1 else None
    if isinstance(only, Total) and only.combine == "sum" and only.rest is None and all(map(_counts, only.terms)):
        return Leaf("", only.count)
    return None


def _counts(term: Expression) -> bool:
    return isinstance(term, Leaf) and not term.name and term.value == 1


def put_in(expression: Expression, written: Mapping[Key, Expression]) -> Expression:
    """An expression with the numbers that are not told of written out."""
    if isinstance(expression, Leaf):
        if expression.element is None or expression.role == "error":
            return expression
        return written.get(expression.element, expression)
    if isinstance(expression, Apply):
        return Apply(expression.function, tuple(put_in(a, written) for a in expression.arguments))
    return Total(expression.combine, tuple(put_in(t, written) for t in expression.terms), expression.rest)


def errors_condensed(errors: Mapping[Key, Step], order: Sequence[Key], written: Mapping[Key, Expression]) -> list[Step]:
    """Errors, from the loss back, without those of numbers that are not told of."""
    short: dict[Key, Expression] = {}
    found = []
    for key in order:
        expression = _with_errors(errors[key].expression, short)
        if key in written and not any(leaf.role == "error" for leaf in leaves_of(expression)):
            short[key] = single(expression)
        else:
            found.append(replace(errors[key], expression=expression))
    return found


def _with_errors(expression: Expression, short: Mapping[Key, Expression]) -> Expression:
    if isinstance(expression, Leaf):
        if expression.element is None or expression.role != "error":
            return expression
        return short.get(expression.element, expression)
    if isinstance(expression, Apply):
        return simplified(Apply(expression.function, tuple(_with_errors(a, short) for a in expression.arguments)))
    return Total(expression.combine, tuple(_with_errors(t, short) for t in expression.terms), expression.rest)


def _on_dropped(facts: Mapping[str, object], written: Mapping[Key, Expression], steps: Mapping[Key, Step]) -> bool:
    return facts.get("condition") in {steps[key].name for key in written}
