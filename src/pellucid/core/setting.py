"""Settings: numbers that Python keeps and that change from step to step, such as a learning rate. While a step is
compiled, an optimizer's options are handed out as Settings; what Python computes from them stays one, so that a
compiled step can compute it again from other values. A look at a Setting's size is remembered: a step whose Python
would now decide otherwise is another step.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any


class Setting:
    """A number that is read anew before every run.

    key : how it came to be, the same for two Settings that always have the same value.
    read() : the value now.
    decided(find) : told of every look at the value: find() gives what the look found, now or later; a partial of
        `computed`.
    """

    __slots__ = ("decided", "key", "read")
    # NumPy leaves operators between a number of its own and a Setting to the Setting.
    __array_ufunc__ = None
    __hash__ = object.__hash__

    def __init__(
        self, key: tuple[Any, ...], read: Callable[[], float], decided: Callable[[partial[Any]], None]
    ) -> None:
        self.key = key
        self.read = read
        self.decided = decided

    def _with(self, function: Callable[..., float], *operands: Any) -> Any:
        if not all(isinstance(x, Setting | int | float) for x in operands):
            return NotImplemented
        key = (function, *(x.key if isinstance(x, Setting) else x for x in operands))
        return Setting(key, partial(computed, function, *operands), self.decided)

    def _look(self, function: Callable[..., Any], *operands: Any) -> Any:
        self.decided(partial(computed, function, *operands))
        return computed(function, *operands)

    def __add__(self, other: Any) -> Any:
        return self._with(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return self._with(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return self._with(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._with(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return self._with(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._with(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._with(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(operator.truediv, other, self)

    def __pow__(self, other: Any) -> Any:
        return self._with(operator.pow, self, other)

    def __rpow__(self, other: Any) -> Any:
        return self._with(operator.pow, other, self)

    def __neg__(self) -> Any:
        return self._with(operator.neg, self)

    def __abs__(self) -> Any:
        return self._with(abs, self)

    def __float__(self) -> float:
        return float(self._look(float, self))

    def __bool__(self) -> bool:
        return bool(self._look(bool, self))

    def __eq__(self, other: object) -> Any:
        return self._look(operator.eq, self, other)

    def __ne__(self, other: object) -> Any:
        return self._look(operator.ne, self, other)

    def __lt__(self, other: Any) -> Any:
        return self._look(operator.lt, self, other)

    def __le__(self, other: Any) -> Any:
        return self._look(operator.le, self, other)

    def __gt__(self, other: Any) -> Any:
        return self._look(operator.gt, self, other)

    def __ge__(self, other: Any) -> Any:
        return self._look(operator.ge, self, other)

    def __int__(self) -> int:
        return int(self._look(int, self))

    def __round__(self, digits: int | None = None) -> Any:
        return self._look(round, self, digits)

    def __format__(self, spec: str) -> str:
        return str(self._look(format, self, spec))

    def __repr__(self) -> str:
        return str(self._look(repr, self))


def computed(function: Callable[..., Any], *operands: Any) -> Any:
    """What a function gives for the values that Settings have now."""
    return function(*[x.read() if isinstance(x, Setting) else x for x in operands])
