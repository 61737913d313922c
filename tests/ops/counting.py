"""Numbers that count what is done with them: a scalar body, or a textbook algorithm, run on them audits a cost."""

from collections.abc import Callable
from functools import total_ordering
from typing import Any

PLAIN = set(
    "abs maximum minimum where sign copysign signbit floor ceil round trunc remainder floor_divide logical_and "
    "logical_or logical_xor logical_not isnan isinf isfinite bitwise_and bitwise_or bitwise_xor invert left_shift "
    "right_shift".split()
)
SPECIAL = set(
    "power sqrt exp exp2 expm1 log log2 log10 log1p logaddexp hypot erf sin cos tan arcsin arccos arctan arctan2 sinh "
    "cosh tanh arcsinh arccosh arctanh nextafter".split()
)


class Handler:
    """The maths handler of a scalar body: every function is counted, and gives a counting number."""

    def __init__(self) -> None:
        self.plain = 0
        self.special = 0

    def number(self) -> "Counter":
        return Counter(self)

    def line(self, length: int) -> list["Counter"]:
        return [Counter(self) for _ in range(length)]

    def ordered(self, values: list[Any]) -> list["Ordered"]:
        return [Ordered(self, v) for v in values]

    def positive(self, x: Any) -> Any:
        return x

    def __getattr__(self, name: str) -> Callable[..., "Counter"]:
        assert name in PLAIN | SPECIAL, f"{name} is not in the table of counted functions"

        def call(*args: Any) -> "Counter":
            if name in PLAIN:
                self.plain += 1
            else:
                self.special += 1
            return Counter(self)

        return call


class Counter:
    """A number of which only the operations matter."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    def _plain(self, *other: Any) -> "Counter":
        self.handler.plain += 1
        return Counter(self.handler)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _plain
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _plain  # type: ignore[assignment]
    __hash__ = object.__hash__


@total_ordering
class Ordered:
    """A number whose comparisons are counted."""

    def __init__(self, handler: Handler, value: Any) -> None:
        self.handler = handler
        self.value = value

    def __lt__(self, other: "Ordered") -> bool:
        self.handler.plain += 1
        return bool(self.value < other.value)

    def __eq__(self, other: object) -> bool:
        self.handler.plain += 1
        return bool(self.value == other.value)  # type: ignore[attr-defined]

    __hash__ = object.__hash__
