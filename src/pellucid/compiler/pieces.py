"""A nest's statements come in; the same leave, with each vector loop whose body asks where its counter stands, as after
a concatenation or in front of a border, as several loops in which the answer is known. Called by `lower`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pellucid.compiler.expressions import INT64, Expr, Variable, affine, number, rebuilt, variable, with_parts
from pellucid.compiler.nest import Combine, If, Let, Loop, Statement, Store, expressions, with_inner

_MOST = 8
"""Pieces of a loop at most."""

_COMPARISONS = frozenset({"<", "<=", ">", ">="})


def in_pieces(body: Iterable[Statement]) -> list[Statement]:
    """The statements with their vector loops in pieces."""
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop) and statement.vector:
            result += _pieces(statement)
        elif isinstance(statement, Loop | If):
            result.append(replace(statement, body=tuple(in_pieces(statement.body))))
        else:
            result.append(statement)
    return result


def _pieces(loop: Loop) -> list[Statement]:
    if loop.whole or not (loop.start.op == loop.stop.op == "number") or not all(map(_is_plain, loop.body)):
        return [loop]
    start, stop = int(loop.start.args[0]), int(loop.stop.args[0])
    cuts = sorted(c for c in _cuts(loop) if start < c < stop)
    if not cuts or len(cuts) >= _MOST:
        return [loop]
    ends = [start, *cuts, stop]
    result: list[Statement] = []
    for n, (first, last) in enumerate(zip(ends, ends[1:], strict=False)):
        counter = Variable(f"{loop.counter.name}_{n}", last - first)
        place = variable(counter) + first
        body = tuple(_moved(s, loop.counter, place) for s in loop.body)
        result.append(Loop(counter, number(0, INT64), number(last - first, INT64), body, vector=True))
    return result


def _is_plain(statement: Statement) -> bool:
    return isinstance(statement, Let | Store | Combine)


def _cuts(loop: Loop) -> set[int]:
    """Where the counter passes a literal that it is compared with."""
    found: set[int] = set()
    for x in with_parts(x for s in with_inner(loop.body) for x in expressions(s)):
        if x.op in _COMPARISONS and x.args[0].dtype == INT64:
            constant, terms = affine(x.args[0] - x.args[1])
            if terms.get(loop.counter) in (1, -1) and len(terms) == 1:
                # The counter c for which c + constant, or constant - c, is 0; it turns there or one further on.
                turn = -constant if terms[loop.counter] == 1 else constant
                inclusive = x.op in ("<=", ">") if terms[loop.counter] == 1 else x.op in ("<", ">=")
                found.add(turn + 1 if inclusive else turn)
    return found


def _moved(statement: Statement, counter: Variable, place: Expr) -> Statement:
    changed: dict[str, Any] = {
        name: rebuilt(value, counter, place)
        for name in type(statement).__dataclass_fields__
        if isinstance(value := getattr(statement, name), Expr)
    }
    return replace(statement, **changed)
