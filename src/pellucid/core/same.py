"""What a compiled function's recordings are told apart by: plain values by what they are, anything else by being the
same object. Networks and the compiler make keys of it.
"""

from __future__ import annotations

from typing import Any

_PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None)))


class Same:
    """An object as part of a key, equal to itself alone whatever its own equality says. The key keeps it alive, so that
    no other object can be taken for it.
    """

    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.item is other.item

    def __hash__(self) -> int:
        return id(self.item)


def is_plain(value: Any) -> bool:
    """Whether a value never changes and says all about itself: a number, a string, a tuple of such."""
    return type(value) in _PLAIN or (type(value) is tuple and all(map(is_plain, value)))
