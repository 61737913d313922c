"""Arithmetic with its numbers: expressions of named numbers come from the recorded graph, and leave as values, as text,
and, from text, as expressions again. `explain` builds them, `verify` evaluates what they print, reports draw them.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from pellucid.errors import GraphError
from pellucid.ops._families.maths import NUMPY

Role = Literal["input", "target", "weight", "value", "error", "derivative", "constant", "option", "state", "gradient"]
Number: TypeAlias = float | int | bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """A number of the network, with its name.

    name : such as `W1[0,2]`; "" for a constant, which is its own name.
    value : exactly the network's number.
    role : what it is.
    element : the value of the graph and the place in it that the number was read from; None for others.
    """

    name: str
    value: Number
    role: Role = "constant"
    element: tuple[int, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    """A function or an operator (+ - * / ** neg) of expressions."""

    function: str
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Rest:
    """The terms that are not shown, combined.

    count : how many they are.
    size : the sum of their absolute values.
    """

    count: int
    value: float
    size: float


@dataclass(frozen=True, slots=True)
class Total:
    """A sum of terms, or the largest or smallest of them: those that are shown, and the rest."""

    combine: Literal["sum", "max", "min"]
    terms: tuple[Expression, ...]
    rest: Rest | None = None

    @property
    def count(self) -> int:
        return len(self.terms) + (0 if self.rest is None else self.rest.count)


Expression: TypeAlias = Leaf | Apply | Total

_OPERATORS: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.divide,
    "**": np.power,
    "neg": operator.neg,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_COMBINE: dict[str, Callable[..., Any]] = {"max": np.maximum, "min": np.minimum}


def apply(function: str, values: list[Any]) -> Any:
    """A function of numbers, in float64."""
    if function in _OPERATORS:
        return _OPERATORS[function](*values)
    if function in ("where", "if"):
        return values[1] if values[0] else values[2]
    return getattr(NUMPY, function)(*values)


def _number(value: Any) -> Any:
    kind = type(value)
    return np.float64(value) if kind is float else np.asarray(value)[()]


def evaluate(expression: Expression) -> Any:
    """The value, computed in float64 from exactly the numbers at the leaves; sums are exact before their rounding."""
    with np.errstate(all="ignore"):
        return _evaluated(expression)


def _evaluated(expression: Expression) -> Any:
    if isinstance(expression, Leaf):
        return _number(expression.value)
    if isinstance(expression, Apply):
        return apply(expression.function, [_evaluated(a) for a in expression.arguments])
    values = [_evaluated(t) for t in expression.terms]
    if expression.rest is not None:
        values.append(np.float64(expression.rest.value))
    if expression.combine == "sum":
        return _sum(values)
    result = values[0]
    for value in values[1:]:
        result = _COMBINE[expression.combine](result, value)
    return result


def _sum(values: list[Any]) -> Any:
    numbers = [float(v) for v in values]
    try:
        return np.float64(math.fsum(numbers))
    except (OverflowError, ValueError):  # infinite or not a number on the way
        return np.float64(sum(numbers))


def bound(expression: Expression, eps: float) -> tuple[Any, float]:
    """The value, and how far a network that rounds every operation to `eps` may be from it: a running error
    analysis, in which sums may be taken in any order."""
    with np.errstate(all="ignore"):
        value, error = _bound(expression, eps)
    return value, float(error)


def _bound(expression: Expression, eps: float) -> tuple[Any, Any]:
    if isinstance(expression, Leaf):
        return _number(expression.value), 0.0
    if isinstance(expression, Total):
        return _bound_of_total(expression, eps)
    parts = [_bound(a, eps) for a in expression.arguments]
    values, errors = [v for v, _ in parts], [e for _, e in parts]
    name = expression.function
    value = apply(name, values)
    if np.asarray(value).dtype.kind == "b":
        return value, 0.0
    size = abs(float(value))
    own = eps * size
    if name in ("+", "-"):
        return value, sum(errors) + own
    if name == "*":
        return value, abs(values[0]) * errors[1] + abs(values[1]) * errors[0] + own
    if name == "/":
        return value, (errors[0] + size * errors[1]) / abs(values[1]) + own
    if name in ("neg", "abs"):
        return value, errors[0]
    if name in ("where", "if"):
        return value, errors[1] if values[0] else errors[2]
    moved = 0.0
    for n, error in enumerate(errors):
        for sign in (1.0, -1.0):
            if error:
                beside = [v + sign * error if m == n else v for m, v in enumerate(values)]
                moved = max(moved, abs(float(apply(name, beside)) - float(value)))
    return value, moved + 4 * own


def _bound_of_total(total: Total, eps: float) -> tuple[Any, Any]:
    parts = [_bound(t, eps) for t in total.terms]
    value, errors = _evaluated(total), [e for _, e in parts]
    if total.combine != "sum":
        return value, max(errors, default=0.0)
    size = sum(abs(float(v)) for v, _ in parts) + (0.0 if total.rest is None else total.rest.size)
    # n terms meet in n - 1 additions, and each may be a product that was rounded itself.
    return value, sum(errors) + eps * (total.count + 1) * size


def leaves_of(expression: Expression) -> Iterator[Leaf]:
    """All the numbers of an expression."""
    if isinstance(expression, Leaf):
        yield expression
    else:
        for part in expression.arguments if isinstance(expression, Apply) else expression.terms:
            yield from leaves_of(part)


def shown(value: Number, digits: int = 6) -> str:
    """A number with so many significant digits, or with fewer where these are all it has; 17 show every float
    exactly."""
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, int | np.integer):
        return str(int(value))
    return f"{float(value) + 0.0:.{max(digits, 4)}g}"  # + 0.0 takes the sign off a zero


def is_exact(value: Number, digits: int = 6) -> bool:
    """Whether so many digits are all the number has, in float64 or in float32."""
    number = float(value)
    if not math.isfinite(number):
        return True
    back = float(shown(value, digits))
    return back == number or (float(np.float32(number)) == number and float(np.float32(back)) == number)


_LEVELS = {"<": 1, "<=": 1, ">": 1, ">=": 1, "==": 1, "!=": 1, "+": 2, "-": 2, "*": 3, "/": 3, "neg": 4, "**": 5}
_SIGNS = {"*": "·"}


def written(expression: Expression, *, names: bool = False, digits: int = 6, other: str = "other") -> str:
    """The arithmetic as a line of text.

    Parameters
        names : the names of the numbers instead of the numbers
        digits : significant digits of each number
        other : the word for terms that are not shown
    Examples
        >>> line = Apply("+", (Apply("*", (Leaf("w", -0.5), Leaf("x", 10.0))), Leaf("b", 1.0)))
        >>> written(line, names=True), written(line)
        ('w·x + b', '-0.5·10 + 1')
    """
    return _Writer(names, digits, other).text(expression, 0, True)


class _Writer:
    """Writes expressions with as few parentheses as are needed; a negative number has them unless it stands first."""

    def __init__(self, names: bool, digits: int, other: str) -> None:
        self.names, self.digits, self.other = names, digits, other

    def text(self, node: Expression, above: int, first: bool) -> str:
        if isinstance(node, Leaf):
            words = node.name if self.names and node.name else shown(node.value, self.digits)
            return f"({words})" if words.startswith("-") and not first else words
        if isinstance(node, Total):
            return self._total(node, above, first)
        level = _LEVELS.get(node.function)
        if level is None:
            return f"{node.function}({', '.join(self.text(a, 0, True) for a in node.arguments)})"
        inside = level < above or (node.function == "neg" and not first)
        begins = first or inside
        if node.function == "neg":
            body = "-" + self.text(node.arguments[0], level, False)
        else:
            left, right = node.arguments
            sign = _SIGNS.get(node.function, f" {node.function} ")
            # Powers bind what stands before them, - and / what stands behind.
            low, high = (level + 1, level) if node.function == "**" else (level, level + (node.function in ("-", "/")))
            head = self.text(left, low, begins and node.function != "**")
            body = f"{head}{sign}{self.text(right, high, False)}"
        return f"({body})" if inside else body

    def _total(self, node: Total, above: int, first: bool) -> str:
        rest = [] if node.rest is None else [self._rest(node.rest)]
        if node.combine != "sum":
            return f"{node.combine}({', '.join([*(self.text(t, 0, True) for t in node.terms), *rest])})"
        inside = above > 2 and node.count > 1
        begins = first or inside
        parts = [self.text(t, 2 if node.count > 1 else above, begins and n == 0) for n, t in enumerate(node.terms)]
        body = " + ".join([*parts, *rest]) or "0"
        return f"({body})" if inside else body

    def _rest(self, rest: Rest) -> str:
        number = "" if self.names else f": {shown(rest.value, self.digits)}"
        return f"[{self.other} {rest.count}{number}]"


# From text to expressions: the printed line, and the rules of optimizers

_REST = re.compile(r"\[[^\]:]*: ([^\]]*)\]")
_BINARY: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARE: dict[type, str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


def parsed(line: str, leaves: Mapping[str, Leaf | None] | None = None) -> Expression:
    """The expression of a printed line; a choice between branches becomes the one that its condition takes.

    Parameters
        leaves : what names stand for; None marks a state that is not there yet
    Raises
        GraphError: the line holds something else than arithmetic.
    """
    return _from(_read(line), _known(leaves), line)


def rule(line: str, leaves: Mapping[str, Leaf | None]) -> Expression | None:
    """The right side of a rule, as `parsed`; None where the branch that is taken says None."""
    node, known = _read(line), _known(leaves)
    while isinstance(node, ast.IfExp):
        node = node.body if _holds(node.test, known, line) else node.orelse
    return None if isinstance(node, ast.Constant) and node.value is None else _from(node, known, line)


def _read(line: str) -> ast.expr:
    return ast.parse(_REST.sub(r"(\1)", line).replace("·", "*").strip(), mode="eval").body


def _known(leaves: Mapping[str, Leaf | None] | None) -> Mapping[str, Leaf | None]:
    return {"inf": Leaf("", math.inf), "nan": Leaf("", math.nan), **(leaves or {})}


def _from(node: ast.expr, leaves: Mapping[str, Leaf | None], line: str) -> Expression:
    def inner(part: ast.expr) -> Expression:
        return _from(part, leaves, line)

    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Leaf("", node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name) and isinstance(leaf := leaves.get(node.id), Leaf):
        return leaf
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return Apply(_BINARY[type(node.op)], (inner(node.left), inner(node.right)))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = inner(node.operand)
        return Leaf("", -value.value) if isinstance(value, Leaf) and not value.name else Apply("neg", (value,))
    if isinstance(node, ast.IfExp):
        return inner(node.body if _holds(node.test, leaves, line) else node.orelse)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARE:
        return Apply(_COMPARE[type(node.ops[0])], (inner(node.left), inner(node.comparators[0])))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        arguments = tuple(inner(a) for a in node.args)
        if node.func.id in ("max", "min"):
            return Total(node.func.id, arguments)  # type: ignore[arg-type]
        return Apply(node.func.id, arguments)
    raise GraphError("explain.not-arithmetic", line=line)


def _holds(test: ast.expr, leaves: Mapping[str, Leaf | None], line: str) -> bool:
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is) and isinstance(test.left, ast.Name):
        return leaves.get(test.left.id) is None
    return bool(evaluate(_from(test, leaves, line)))
