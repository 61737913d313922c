"""The statements of a kernel as the lines of a Python function. Called by `emit_python`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from pellucid.compiler.expressions import BOOL, INT64, Buffer, Expr, Variable, affine, number, with_parts
from pellucid.compiler.nest import (
    Accumulator,
    Across,
    Combine,
    Comment,
    If,
    Kernel,
    Let,
    Loop,
    Product,
    Statement,
    Store,
    expressions,
    identity,
    with_inner,
)
from pellucid.compiler.python_expressions import Expressions, Names

_REDUCED = {"add": "sum", "maximum": "max", "minimum": "min", "and": "all", "or": "any"}
_ASSIGNED = {"add": "+=", "and": "&=", "or": "|="}
_INDENT = "    "
_WIDTH = 100
"""So many characters a line of a comment has."""


class FunctionPrinter:
    """Prints one kernel.

    vector : the counter of the vector loop that is being printed.
    varying : names of what in that loop has a value for each of the counter's.
    """

    def __init__(self, kernel: Kernel, name: str, arrays: Mapping[Buffer, str], extent: int) -> None:
        self._lines: list[str] = []
        self.names = Names(set(arrays.values()) | {name})
        self.expressions = Expressions(self.names, arrays, self._line)
        self.vector: Variable | None = None
        self.varying: set[str] = set()
        self._accumulators: dict[str, Accumulator] = {}
        self._starts: dict[str, tuple[int, int]] = {}
        self._indent = 0
        for v in (kernel.lo, kernel.hi, kernel.step):
            self.expressions.variables[v] = self.names.fresh(v.name)
        self.expressions.ranges |= {kernel.lo: (0, extent - 1), kernel.hi: (0, extent)}
        self._fixed = _fixed_ranges(kernel)
        self._ready: set[Variable] = set()
        used = [self.expressions.variables[v] for v in parameters(kernel)]
        self._line(f"def {name}({', '.join(used)}):")
        self._body(kernel.body)

    @property
    def lines(self) -> list[str]:
        """The function."""
        return [line for line in self._lines if line]

    def _line(self, text: str) -> None:
        self._lines.append(_INDENT * self._indent + text)

    def _body(self, body: Iterable[Statement]) -> None:
        self._indent += 1
        start = len(self._lines)
        self._statements(body)
        if all(line.lstrip().startswith("#") for line in self._lines[start:]):
            self._line("pass")
        self._indent -= 1
        self._starts.clear()

    def _statements(self, body: Iterable[Statement]) -> None:
        for statement in body:
            if not isinstance(statement, Comment):
                self._print_fixed_ranges()
            match statement:
                case Comment():
                    for line in statement.text.splitlines():
                        for part in textwrap.wrap(line, _WIDTH):
                            self._line(f"# {part}")
                case Let():
                    self._let(statement)
                case Store():
                    value = self._text(statement.value)
                    self._line(f"{self.expressions.target(statement.buffer, statement.index)} = {value}")
                case Accumulator():
                    self._accumulator(statement)
                case Combine():
                    self._combine(statement)
                case Across():
                    value = self._reduced(statement.kind, statement.value)
                    self._line(f"{self._named(statement.name, False)} = {value}")
                case If():
                    self._line(f"if {self._text(statement.condition)}:")
                    self._body(statement.body)
                case Loop(vector=True):
                    self._over(statement.counter, statement.start, statement.stop)
                    self._vectors(statement.counter, statement.body)
                case Loop():
                    self._for(statement.counter, statement.start, statement.stop)
                    self._body(statement.body)
                case Product():
                    self._product(statement)

    def _print_fixed_ranges(self) -> None:
        """The counters of vector loops that always run alike, once, at the head of the function."""
        fixed, self._fixed = self._fixed, {}
        for counter, (start, stop) in fixed.items():
            self._over(counter, start, stop)
            self._ready.add(counter)

    def _text(self, expr: Expr) -> str:
        return self.expressions.text(expr)

    # Values

    def _named(self, name: str, varies: bool) -> str:
        self.expressions.values[name] = self.names.fresh(name)
        if varies:
            self.varying.add(name)
        return self.expressions.values[name]

    def _let(self, let: Let) -> None:
        value = self._text(let.value)
        # What is combined into the accumulator later leaves this value alone.
        copied = let.value.op == "name" and let.value.args[0] in self._accumulators
        self._line(f"{self._named(let.name, self._varies(let.value))} = {value}{'.copy()' if copied else ''}")

    def _accumulator(self, accumulator: Accumulator) -> None:
        dtype = accumulator.dtype
        self._accumulators[accumulator.name] = accumulator
        name = self._named(accumulator.name, self.vector is not None)
        if self.vector is None:
            self._starts[accumulator.name] = len(self._lines), self._indent
            self._line(f"{name} = {self._text(number(identity(accumulator.kind, dtype), dtype))}")
        else:
            self._line(f"{name} = {_filled(self.expressions.variables[self.vector], accumulator)}")

    def _combine(self, combine: Combine) -> None:
        name, kind = self.expressions.values[combine.name], self._accumulators[combine.name].kind
        value = self._text(combine.value)
        if self.vector is not None and combine.name not in self.varying:
            value = self._reduced(kind, combine.value)
            line, indent = self._starts.pop(combine.name, (0, 0))
            if indent == self._indent and self.expressions.ranges.get(self.vector) is not None:
                # All that the accumulator ever holds: its start need not be printed.
                self._lines[line] = ""
                self._line(f"{name} = {value}")
                return
        if kind in _ASSIGNED:
            self._line(f"{name} {_ASSIGNED[kind]} {value}")
        else:
            self._line(f"{name} = {kind}({name}, {value})")

    def _reduced(self, kind: str, x: Expr) -> str:
        """A value combined over the vector loop."""
        assert self.vector is not None
        value = self._text(x)
        if not self._varies(x):
            value = f"full(len({self.expressions.variables[self.vector]}), {value})"
        value = f"{_REDUCED[kind]}({value})"
        # NumPy sums small whole numbers as large ones.
        return f"{x.dtype.name}({value})" if x.dtype.kind in "iu" and x.dtype != INT64 else value

    def _varies(self, expr: Expr) -> bool:
        """Whether there is a value for each of the vector loop's counter."""
        return any(
            leaf.args[0] is self.vector or (leaf.op == "name" and leaf.args[0] in self.varying)
            for leaf in leaves([expr])
            if leaf.op in ("variable", "name")
        )

    # Loops

    def _counted(self, counter: Variable, start: Expr, stop: Expr) -> str:
        """The counter's values, as what stands in the parentheses of range."""
        first, last = self._range(start)[0], self._range(stop)[1]
        if first is not None and last is not None and first < last:
            self.expressions.ranges[counter] = first, last - 1
        texts = self._text(start), self._text(stop)
        if counter not in self.expressions.variables:
            self.expressions.variables[counter] = self.names.fresh(counter.name)
        return texts[1] if texts[0] == "0" else ", ".join(texts)

    def _range(self, bound: Expr) -> tuple[int | None, int | None]:
        if bound.op == "number":
            return bound.args[0], bound.args[0]
        if bound.op == "variable":
            return self.expressions.ranges.get(bound.args[0], (None, None))
        return None, None

    def _for(self, counter: Variable, start: Expr, stop: Expr) -> None:
        bounds = self._counted(counter, start, stop)
        self._line(f"for {self.expressions.variables[counter]} in range({bounds}):")

    def _over(self, counter: Variable, start: Expr, stop: Expr) -> None:
        if counter in self._ready:
            return
        bounds = self._counted(counter, start, stop)
        self._line(f"{self.expressions.variables[counter]} = arange({bounds})")

    def _vectors(self, counter: Variable, body: Iterable[Statement]) -> None:
        outer = set(self.varying)
        self.vector = counter
        self._statements(body)
        self.vector, self.varying = None, outer

    def _product(self, product: Product) -> None:
        self._over(product.n, number(0, INT64), number(product.n_stop, INT64))
        self._for(product.m, product.m_start, product.m_stop)
        self._indent += 1
        self.vector = product.n
        self._accumulator(Accumulator(product.name, "add", product.dtype))
        for s in product.sums:
            self._for(s.counter, s.start, s.stop)
            self._indent += 1
        self._for(product.k, number(0, INT64), number(product.k_stop, INT64))
        self._indent += 1
        self._combine(Combine(product.name, product.a * product.b))
        self._indent -= 1 + len(product.sums)
        self._vectors(product.n, product.body)
        self._indent -= 1


def _fixed_ranges(kernel: Kernel) -> dict[Variable, tuple[Expr, Expr]]:
    """The start and stop of each vector loop's counter that runs over the same range wherever it is used, and has it
    from the kernel's arguments."""
    known: dict[Variable, tuple[Expr, Expr]] = {}
    other: set[Variable] = set()
    for statement in with_inner(kernel.body):
        if isinstance(statement, Product):
            counter, bounds = statement.n, (number(0, INT64), number(statement.n_stop, INT64))
            other |= {statement.m, statement.k, *(s.counter for s in statement.sums)}
        elif isinstance(statement, Loop):
            counter, bounds = statement.counter, (statement.start, statement.stop)
            if not statement.vector:
                other.add(counter)
        else:
            continue
        before = known.setdefault(counter, bounds)
        fixed = all(not terms or terms in ({kernel.lo: 1}, {kernel.hi: 1}) for _, terms in map(affine, bounds))
        if not fixed or any(affine(a) != affine(b) for a, b in zip(before, bounds, strict=True)):
            other.add(counter)
    return {counter: bounds for counter, bounds in known.items() if counter not in other}


def _filled(counter: str, accumulator: Accumulator) -> str:
    dtype, start = accumulator.dtype, identity(accumulator.kind, accumulator.dtype)
    name = "bool" if dtype == BOOL else dtype.name
    if start == 0:
        return f"zeros(len({counter}), {name})"
    return f"full(len({counter}), {start}, {name})"


def parameters(kernel: Kernel) -> list[Variable]:
    """The arguments of a kernel that it uses."""
    used = {leaf.args[0] for leaf in leaves(all_expressions(kernel.body)) if leaf.op == "variable"}
    return [v for v in (kernel.lo, kernel.hi, kernel.step) if v in used]


def all_expressions(body: Iterable[Statement]) -> list[Expr]:
    """The expressions of statements and of those inside them; of a store also the element."""
    result: list[Expr] = []
    for statement in with_inner(body):
        result += expressions(statement)
        if isinstance(statement, Store):
            result.append(Expr("load", (statement.buffer, statement.index), statement.buffer.dtype))
    return result


def leaves(roots: Iterable[Expr]) -> list[Expr]:
    """The expressions without parts, and the loads."""
    return [x for x in with_parts(roots) if x.op == "load" or not any(isinstance(a, Expr) for a in x.args)]
