"""The operations of expressions.BASIC as LLVM instructions: scalars or vectors come in, one value leaves. A scalar that
meets a vector is put in all of its lanes. Nothing here is fast-math: each operation rounds as IEEE 754 says, and fma
rounds once. Called by emit_llvm and product.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pellucid._typing import DType
from pellucid.compiler.expressions import BOOL
from pellucid.compiler.llvm_writer import Value, Writer, literal, type_of
from pellucid.compiler.tiers import Unsupported

_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)
_SUFFIX = {"float": "f32", "double": "f64", "ptr": "p0"}
_UNARY = {"sqrt": "sqrt", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "round": "rint"}
_FLOAT = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv", "fmod": "frem"}
_WHOLE = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor", "<<": "shl"}
_TRUTH = {"and": "and", "or": "or", "xor": "xor", "&": "and", "|": "or", "^": "xor"}
_FLOAT_TESTS = {"<": "olt", "<=": "ole", ">": "ogt", ">=": "oge", "==": "oeq", "!=": "une"}
_TESTS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
COMBINING = {"add": "+", "maximum": "maximum", "minimum": "minimum", "and": "and", "or": "or"}
"""The operation that each kind of accumulator combines by."""


def mangled(dtype: DType, lanes: int = 1) -> str:
    """A type's part in the name of an intrinsic function."""
    kind = type_of(dtype)
    scalar = _SUFFIX.get(kind, kind)
    return scalar if lanes == 1 else f"v{lanes}{scalar}"


class Operations(Writer):
    """A writer that knows the basic operations.

    has_fma : whether the machine multiplies and adds at once.
    intrinsics : declarations of the intrinsic functions that were called.
    """

    def __init__(self, has_fma: bool) -> None:
        super().__init__()
        self.has_fma = has_fma
        self.intrinsics: set[str] = set()
        self.mask: Value | None = None

    def operation(self, op: str, arguments: list[Value], dtype: DType) -> Value:
        """The value of a basic operation."""
        lanes = max(x.lanes for x in arguments)
        # A condition that is the same in all lanes selects whole vectors.
        fixed = 1 if op == "where" and arguments[0].lanes == 1 else 0
        args = arguments[:fixed] + [self.splat(x, lanes) for x in arguments[fixed:]]
        special = _SPECIAL.get(op)
        if special is not None:
            return special(self, args, dtype)
        a = args[0]
        kind = a.dtype.kind
        if op in _FLOAT_TESTS:
            return self.compared(op, a, args[1])
        if kind == "b":
            instruction = _TRUTH.get(op)
        elif kind == "f":
            instruction = _FLOAT.get(op)
        elif op == ">>":
            instruction = "ashr" if kind == "i" else "lshr"
        else:
            instruction = _WHOLE.get(op)
        if instruction is not None:
            return self.pure(f"{instruction} {a}, {args[1].text}", dtype, lanes, a, args[1])
        if op in _UNARY and kind == "f":
            return self.intrinsic(_UNARY[op], [a])
        raise Unsupported(f"{op} of {a.dtype}")

    def intrinsic(self, name: str, args: list[Value], *flags: str) -> Value:
        """A call of an LLVM function whose result has the type of its arguments; `flags` are literals at its end."""
        a = args[0]
        full = f"@llvm.{name}.{mangled(a.dtype, a.lanes)}"
        types = [x.type for x in args] + [flag.split()[0] for flag in flags]
        self.intrinsics.add(f"declare {a.type} {full}({', '.join(types)})")
        given = ", ".join([str(x) for x in args] + list(flags))
        return self.pure(f"call {a.type} {full}({given})", a.dtype, a.lanes, *args)

    def compared(self, op: str, a: Value, b: Value) -> Value:
        """A comparison of two numbers."""
        if a.dtype.kind == "f":
            test = f"fcmp {_FLOAT_TESTS[op]}"
        elif op in _TESTS:
            test = f"icmp {'s' if a.dtype.kind == 'i' else 'u'}{_TESTS[op]}"
        else:
            test = "icmp eq" if op == "==" else "icmp ne"
        return self.pure(f"{test} {a}, {b.text}", BOOL, a.lanes, a, b)

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """a where the condition holds, else b."""
        return self.pure(f"select {condition}, {a}, {b}", a.dtype, a.lanes, condition, a, b)

    def combined(self, kind: str, a: Value, b: Value) -> Value:
        """Two values of an accumulator as one."""
        return self.operation(COMBINING[kind], [a, b], a.dtype)

    def across(self, kind: str, x: Value) -> Value:
        """All lanes combined into one: halves with halves, in this order on every machine with so many lanes."""
        while x.lanes > 1:
            half = x.lanes // 2
            if half == 1:
                return self.combined(kind, self.lane(x, 0), self.lane(x, 1))
            low, high = list(range(half)), list(range(half, 2 * half))
            x = self.combined(kind, self.shuffled(x, x, low), self.shuffled(x, x, high))
        return x


def _maximum(w: Operations, args: list[Value], dtype: DType) -> Value:
    return _larger(w, args, ">")


def _minimum(w: Operations, args: list[Value], dtype: DType) -> Value:
    return _larger(w, args, "<")


def _larger(w: Operations, args: list[Value], op: str) -> Value:
    a, b = args
    if a.dtype.kind == "b":
        return w.operation("or" if op == ">" else "and", args, a.dtype)
    if a.dtype.kind == "f" and not _is_literal(a) and _is_literal(b):
        a, b = b, a
    larger = w.select(w.compared(op, a, b), a, b)
    if a.dtype.kind != "f" or _is_literal(a):
        return larger  # a NaN in b compares false and is chosen
    return w.select(w.pure(f"fcmp uno {a}, {a.text}", BOOL, a.lanes, a), a, larger)


def _is_literal(x: Value) -> bool:
    """A literal that is a number; NaN in hexadecimal begins with 7FF8 or FFF8."""
    return x.text[0] != "%" and "x7FF8" not in x.text and "xFFF8" not in x.text


def _negative(w: Operations, args: list[Value], dtype: DType) -> Value:
    (a,) = args
    text = f"fneg {a}" if dtype.kind == "f" else f"sub {a.type} {literal(0, dtype, a.lanes).text}, {a.text}"
    return w.pure(text, dtype, a.lanes, a)


def _absolute(w: Operations, args: list[Value], dtype: DType) -> Value:
    if dtype.kind == "f":
        return w.intrinsic("fabs", args)
    return args[0] if dtype.kind == "u" else w.intrinsic("abs", args, "i1 false")


def _fma(w: Operations, args: list[Value], dtype: DType) -> Value:
    if w.has_fma:
        return w.intrinsic("fma", args)
    return w.operation("+", [w.operation("*", args[:2], dtype), args[2]], dtype)


def _where(w: Operations, args: list[Value], dtype: DType) -> Value:
    return w.select(*args)


def _not(w: Operations, args: list[Value], dtype: DType) -> Value:
    (a,) = args
    ones = literal(True if dtype == BOOL else -1, dtype, a.lanes)
    return w.pure(f"xor {a}, {ones.text}", dtype, a.lanes, a)


def _copysign(w: Operations, args: list[Value], dtype: DType) -> Value:
    return w.intrinsic("copysign", args)


def _high_product(w: Operations, args: list[Value], dtype: DType) -> Value:
    """The upper half of a product twice as wide."""
    a, b = args
    width = dtype.itemsize * 8
    wide = f"i{2 * width}" if a.lanes == 1 else f"<{a.lanes} x i{2 * width}>"
    shift = str(width) if a.lanes == 1 else f"splat (i{2 * width} {width})"
    # The wide values have no dtype of ours: they are written as if of the narrow one, and named by their text alone.
    x, y = (w.pure(f"zext {v} to {wide}", dtype, a.lanes, v) for v in (a, b))
    product = w.pure(f"mul {wide} {x.text}, {y.text}", dtype, a.lanes, x, y)
    high = w.pure(f"lshr {wide} {product.text}, {shift}", dtype, a.lanes, product)
    return w.pure(f"trunc {wide} {high.text} to {a.type}", dtype, a.lanes, high)


def _bits(w: Operations, args: list[Value], dtype: DType) -> Value:
    (a,) = args
    target = type_of(dtype, a.lanes)
    # Signed and unsigned numbers are one type to LLVM; the value only changes its dtype.
    if target == a.type:
        return a.seen_as(dtype)
    return w.pure(f"bitcast {a} to {target}", dtype, a.lanes, a)


def _cast(w: Operations, args: list[Value], dtype: DType) -> Value:
    (a,) = args
    source, target = a.dtype.kind, dtype.kind
    if target == "b":
        return w.compared("!=", a, literal(0, a.dtype, a.lanes)) if source != "b" else a
    if source == "f" and target == "f":
        return _converted(w, "fpext" if dtype.itemsize > a.dtype.itemsize else "fptrunc", a, dtype)
    if source == "f":
        return _truncated(w, a, dtype)
    if target == "f":
        return _converted(w, "sitofp" if source == "i" else "uitofp", a, dtype)
    if source == "b" or dtype.itemsize > a.dtype.itemsize:
        return _converted(w, "sext" if source == "i" else "zext", a, dtype)
    return _converted(w, "trunc", a, dtype) if dtype.itemsize < a.dtype.itemsize else _bits(w, args, dtype)


def _truncated(w: Operations, a: Value, dtype: DType) -> Value:
    """A float as a whole number. As in C, NumPy's small whole numbers are the low bits of larger ones; the conversion
    of what does not fit is frozen, since it may be any number, but the same one at each use."""
    wide = _INT32 if dtype.itemsize < 4 or dtype == _INT32 else _INT64
    if dtype == np.dtype(np.uint64):
        wide = dtype
    raw = _converted(w, "fptoui" if wide.kind == "u" else "fptosi", a, wide)
    frozen = w.pure(f"freeze {raw}", wide, a.lanes, raw)
    return frozen if wide == dtype else _cast(w, [frozen], dtype)


def _converted(w: Operations, instruction: str, a: Value, dtype: DType) -> Value:
    return w.pure(f"{instruction} {a} to {type_of(dtype, a.lanes)}", dtype, a.lanes, a)


def _quotient(w: Operations, args: list[Value], dtype: DType) -> Value:
    return _divided(w, args, dtype, "div")


def _remainder(w: Operations, args: list[Value], dtype: DType) -> Value:
    return _divided(w, args, dtype, "rem")


def _divided(w: Operations, args: list[Value], dtype: DType, part: str) -> Value:
    """// and % of whole numbers, which round down; by zero they give zero, as NumPy's do."""
    a, b = args
    if dtype.kind not in "iu":
        raise Unsupported(f"{'//' if part == 'div' else '%'} of {dtype}")
    divisor = _whole_literal(b)
    if divisor is not None and divisor > 0 and divisor & (divisor - 1) == 0:
        if part == "rem":
            return w.operation("&", [a, literal(divisor - 1, dtype)], dtype)
        return w.operation(">>", [a, literal(divisor.bit_length() - 1, dtype)], dtype)
    safe, special = b, None
    if divisor is None or divisor in (0, -1):
        # Division by 0 and by -1 stops the processor; 1 takes their place.
        zero = w.compared("==", b, literal(0, dtype, b.lanes))
        special = zero
        if dtype.kind == "i":
            special = w.operation("or", [zero, w.compared("==", b, literal(-1, dtype, b.lanes))], BOOL)
        if w.mask is not None and b.lanes == w.mask.lanes:
            special = w.operation("or", [special, _not(w, [w.mask], BOOL)], BOOL)
        safe = w.select(special, literal(1, dtype, b.lanes), b)
    sign = "s" if dtype.kind == "i" else "u"
    result = w.pure(f"{sign}{part} {a}, {safe.text}", dtype, a.lanes, a, safe)
    if sign == "s":
        result = _rounded_down(w, a, safe, result, part)
    if special is None:
        return result
    # The remainder by 1 is 0 as it should be by 0 and by -1; the quotient of -1 is the negative.
    if part == "rem":
        return result
    zero = w.compared("==", b, literal(0, dtype, b.lanes))
    if dtype.kind == "i":
        minus = w.compared("==", b, literal(-1, dtype, b.lanes))
        result = w.select(minus, _negative(w, [a], dtype), result)
    return w.select(zero, literal(0, dtype, b.lanes), result)


def _rounded_down(w: Operations, a: Value, b: Value, result: Value, part: str) -> Value:
    """A quotient or remainder that LLVM rounded to zero."""
    dtype, zero = result.dtype, literal(0, result.dtype, result.lanes)
    rest = result if part == "rem" else w.pure(f"srem {a}, {b.text}", dtype, a.lanes, a, b)
    divisor = _whole_literal(b)
    if divisor is not None and divisor > 0:
        below = w.compared("<", rest, zero)
    else:
        opposite = w.compared("<", w.operation("^", [rest, b], dtype), zero)
        below = w.operation("and", [opposite, w.compared("!=", rest, zero)], BOOL)
    if part == "rem":
        return w.operation("+", [rest, w.select(below, b, zero)], dtype)
    return w.operation("-", [result, w.select(below, literal(1, dtype, result.lanes), zero)], dtype)


def _whole_literal(x: Value) -> int | None:
    if x.text[0] == "%":
        return None
    return int(x.text if x.lanes == 1 else x.text.split()[-1].rstrip(")"))


_SPECIAL: dict[str, Callable[[Operations, list[Value], DType], Value]] = {
    "maximum": _maximum,
    "minimum": _minimum,
    "neg": _negative,
    "abs": _absolute,
    "fma": _fma,
    "where": _where,
    "not": _not,
    "invert": _not,
    "copysign": _copysign,
    "mulhi": _high_product,
    "cast": _cast,
    "bits": _bits,
    "//": _quotient,
    "%": _remainder,
}
