"""An expression of a nest as Python text: operators with as few parentheses as their precedence allows, everything else
as a function of its name. Called by `emit_python`.

What is used several times in a statement, or would make a line long, is given a name in front of it.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pellucid._typing import DType
from pellucid.compiler.expressions import BOOL, INT64, Buffer, Expr, Variable
from pellucid.compiler.python_functions import NAMESPACE
from pellucid.compiler.subscripts import Range, subscripts
from pellucid.compiler.tiers import Unsupported

Text: TypeAlias = tuple[str, int]
"""Printed text, and the precedence of its outermost operator."""

_OPERATORS = {
    "<": 1, "<=": 1, ">": 1, ">=": 1, "==": 1, "!=": 1,
    "or": 2, "|": 2, "xor": 3, "^": 3, "and": 4, "&": 4, "<<": 5, ">>": 5,
    "+": 6, "-": 6, "*": 7, "/": 7, "//": 7, "%": 7,
}  # fmt: skip
_SYMBOLS = {"or": "|", "xor": "^", "and": "&"}
_PREFIX, _ATOM = 8, 9
_PREFIXES = {"neg": "-", "invert": "~"}
_FUNCTIONS = {"not": "logical_not"}
_LONG, _SHORT, _SHORT_LOAD = 72, 12, 30
"""So many characters an expression inside another may have; the last two are for one that is used more than once."""


class Names:
    """Names that Python accepts, each given once: `taken` are those that something has."""

    def __init__(self, taken: set[str] | None = None) -> None:
        self.taken = set(NAMESPACE) | (taken or set())

    def fresh(self, wanted: str) -> str:
        """The wanted name, or if it is taken or no name the next that is like it."""
        name = re.sub(r"\W+", "_", wanted).strip("_") or "x"
        if name[0].isdigit() or keyword.iskeyword(name):
            name = f"_{name}"
        result, count = name, 2
        while result in self.taken:
            result, count = f"{name}_{count}", count + 1
        self.taken.add(result)
        return result


class Expressions:
    """Prints the expressions of a kernel.

    names : those taken in the kernel.
    buffers : the name of each buffer's array.
    emit : takes a line that has to stand in front of the statement that is being printed.
    variables, values : the names of counters, and of what the kernel's statements have named.
    ranges : the least and the greatest value of the counters for which they are known.
    """

    def __init__(self, names: Names, buffers: Mapping[Buffer, str], emit: Callable[[str], None]) -> None:
        self.names, self.buffers, self.emit = names, buffers, emit
        self.variables: dict[Variable, str] = {}
        self.values: dict[str, str] = {}
        self.ranges: dict[Variable, Range] = {}
        self._places: dict[tuple[Buffer, Expr], tuple[Expr, ...] | None] = {}
        self._kinds: dict[tuple[str, DType, tuple[Any, ...]], Expr] = {}

    def text(self, expr: Expr) -> str:
        """An expression on its own."""
        expr = self._one_of_a_kind(expr)
        return self._printed([expr])[expr][0]

    def target(self, buffer: Buffer, index: Expr) -> str:
        """An element as the target of an assignment."""
        index = self._one_of_a_kind(index)
        return self._element(buffer, index, self._printed(self._parts(buffer, index)))

    def _one_of_a_kind(self, root: Expr) -> Expr:
        """The expression with one object for all parts that are alike, so that each is printed once."""
        kept: dict[Expr, Expr] = {}
        for expr in _inside_out([root], _operands):
            args = tuple(kept[a] if isinstance(a, Expr) else a for a in expr.args)
            # Expressions compare as numbers do; their identity is meant.
            parts = tuple(repr(a) if expr.op == "number" else a if isinstance(a, str) else id(a) for a in args)
            kept[expr] = self._kinds.setdefault((expr.op, expr.dtype, parts), Expr(expr.op, args, expr.dtype))
        return kept[root]

    def _printed(self, roots: Sequence[Expr]) -> dict[Expr, Text]:
        """Expressions and all they are made of, from the inside out: they may be deeper than Python can call."""
        order = _inside_out(roots, self._children)
        uses = Counter(part for expr in order for part in self._children(expr))
        printed: dict[Expr, Text] = {}
        for expr in order:
            text, level = self._one(expr, printed)
            limit = _LONG if uses[expr] < 2 else _SHORT_LOAD if expr.op == "load" else _SHORT
            if len(text) > limit and not any(expr is root for root in roots):
                name = self.names.fresh("t")
                self.emit(f"{name} = {text}")
                text, level = name, _ATOM
            printed[expr] = text, level
        return printed

    def _children(self, expr: Expr) -> Sequence[Expr]:
        if expr.op == "load":
            return self._parts(*expr.args)
        return _operands(expr)

    def _parts(self, buffer: Buffer, index: Expr) -> tuple[Expr, ...]:
        """The subscripts of an element, of its array or else of the array's memory."""
        key = buffer, index
        if key not in self._places:
            self._places[key] = subscripts(buffer, index, self.ranges)
        places = self._places[key]
        return (index,) if places is None else places

    def _element(self, buffer: Buffer, index: Expr, printed: Mapping[Expr, Text]) -> str:
        parts = ", ".join(printed[p][0] for p in self._parts(buffer, index))
        name = self.buffers[buffer]
        return f"{name if self._places[buffer, index] is not None else flat_name(name)}[{parts or '()'}]"

    def _one(self, expr: Expr, printed: Mapping[Expr, Text]) -> Text:
        """An expression of which the parts are printed."""
        op, args = expr.op, expr.args
        match op:
            case "number":
                return _literal(expr, bare=expr.dtype in (INT64, BOOL))
            case "variable":
                return self.variables[args[0]], _ATOM
            case "name":
                return self.values[args[0]], _ATOM
            case "load":
                return self._element(args[0], args[1], printed), _ATOM
            case "cast" if expr.dtype == BOOL:
                return f"{_held(printed[args[0]], 2)} != 0", 1
            case "cast":
                return f"{expr.dtype.name}({printed[args[0]][0]})", _ATOM
            case "bits":
                whole = _literal(args[0], bare=False) if args[0].op == "number" else printed[args[0]]
                return f"{_held(whole, _ATOM)}.view({expr.dtype.name})", _ATOM
        # A number takes the dtype of what it meets.
        meets = any(a.op != "number" for a in (args[1:] if op == "where" else args))
        texts = [_literal(a, bare=True) if meets and a.op == "number" else printed[a] for a in args]
        if op in _OPERATORS:
            level = _OPERATORS[op]
            # Comparisons do not chain, and what stands on the right was computed first.
            left, right = _held(texts[0], level + (level == 1)), _held(texts[1], level + 1)
            return f"{left} {_SYMBOLS.get(op, op)} {right}", level
        if op in _PREFIXES:
            return _PREFIXES[op] + _held(texts[0], _PREFIX), _PREFIX
        name = _FUNCTIONS.get(op, op)
        if name not in NAMESPACE:
            raise Unsupported(op)
        return f"{name}({', '.join(text for text, _ in texts)})", _ATOM


def _operands(expr: Expr) -> list[Expr]:
    return [a for a in expr.args if isinstance(a, Expr)]


def _inside_out(roots: Sequence[Expr], parts: Callable[[Expr], Sequence[Expr]]) -> list[Expr]:
    """Expressions, each after its parts."""
    order: dict[Expr, None] = {}
    waiting = list(reversed(roots))
    while waiting:
        missing = [part for part in parts(waiting[-1]) if part not in order]
        if missing:
            waiting += reversed(missing)
        else:
            order[waiting.pop()] = None
    return list(order)


def _held(text: Text, least: int) -> str:
    """In parentheses, if an operator of that precedence would tear it apart."""
    return text[0] if text[1] >= least else f"({text[0]})"


def _literal(expr: Expr, bare: bool) -> Text:
    """A number, the shortest that is read back the same; with its dtype unless it stands by itself."""
    dtype = expr.dtype
    text = str(dtype.type(expr.args[0]))
    if not bare:
        return f"{dtype.name}({text})", _ATOM
    return text, _PREFIX if text.startswith("-") else _ATOM


def flat_name(name: str) -> str:
    """What the memory of an array is called."""
    return f"{name}_flat"
