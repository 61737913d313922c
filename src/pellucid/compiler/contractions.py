"""A contraction as a matrix product with loops around it: which letter of its formula is a row, which a column, which
is summed. Read by `groups` (what follows the nest's rows) and by `lower` (the product itself).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pellucid.compiler.elements import Index
from pellucid.compiler.expressions import INT64, Variable, number, variable
from pellucid.compiler.groups import Group
from pellucid.compiler.tiers import Unsupported
from pellucid.graph.ir import Value
from pellucid.ops._families.contraction import extents, parse


@dataclass(frozen=True, eq=False)
class Contraction:
    """The loops of a contraction.

    row, column : axes of the result; row is None where there is only one row.
    around : further axes of the result, outermost first.
    inner, depth : the counter that is summed over, and its length.
    a, b : the operand that has the rows and the one that has the columns, each with its index.
    bias : what is added along the last axis, or None.
    """

    row: int | None
    column: int
    around: tuple[int, ...]
    inner: Variable
    depth: int
    a: tuple[Value, Index]
    b: tuple[Value, Index]
    bias: Value | None


def contraction_of(group: Group) -> Contraction:
    """The loops of a product group's head.

    Raises
        Unsupported: several indices are summed, or the innermost axis belongs to both operands.
    """
    head = group.head
    assert head is not None
    left, right, *rest = head.inputs
    formula = parse(head.op.kernel(left.spec.shape, right.spec.shape, **head.attrs))
    lengths = extents(formula, left.spec.shape, right.spec.shape)
    summed = [i for i in dict.fromkeys(formula.a + formula.b) if i not in formula.out and i != "1"]
    if len(summed) > 1 or any(i not in formula.a or i not in formula.b for i in summed):
        raise Unsupported(f"contraction {formula}")
    inner = Variable("k")
    counters = {letter: variable(c) for letter, c in zip(formula.out, group.counters, strict=True) if letter != "1"}
    counters.update({letter: variable(inner) for letter in summed})

    def index(term: str) -> Index:
        return tuple(number(0, INT64) if letter == "1" else counters[letter] for letter in term)

    loops = [a for a in group.order if formula.out[a] != "1"]
    operands = [(formula.a, left), (formula.b, right)]
    if not loops:
        raise Unsupported(f"contraction {formula}")
    column = loops.pop()
    owners = [n for n, (term, _) in enumerate(operands) if formula.out[column] in term]
    if len(owners) != 1:
        raise Unsupported(f"contraction {formula}")
    (b_term, b), (a_term, a) = operands[owners[0]], operands[1 - owners[0]]
    row = None
    if loops and formula.out[loops[-1]] in a_term and formula.out[loops[-1]] not in b_term:
        row = loops.pop()
    return Contraction(
        row,
        column,
        tuple(loops),
        inner,
        lengths[summed[0]] if summed else 1,
        (a, index(a_term)),
        (b, index(b_term)),
        rest[0] if rest else None,
    )


def operand_index(group: Group) -> Iterator[tuple[Value, Index]]:
    """What a product reads, each operand with its index in the nest."""
    found = contraction_of(group)
    yield found.a
    yield found.b
    if found.bias is not None:
        yield found.bias, (variable(group.counters[-1]),)
