"""The arguments of a call come in; Tensors in a fixed order leave, with a key of all that a recording depends on
besides, and the call with other Tensors in their places. Called by `step`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.same import Same, is_plain
from pellucid.core.tensor import Tensor, to_array
from pellucid.errors import PellucidError, RecordingError
from pellucid.graph.contents import items_of, same_items
from pellucid.ops._families.elementwise import FLOATS

# Dtypes of which an array is a Tensor's already.
_AS_THEY_ARE = FLOATS | {np.dtype(name) for name in ("int64", "int32", "int8", "uint8", "bool")}

_new = object.__new__


class Arguments:
    """The Tensors among the arguments of a call.

    Attributes
        tensors : the Tensors, each once; an array, or a list of numbers, is one that is marked as raw
        key : the same for calls that differ in the tensors' values alone
    """

    __slots__ = ("_places", "key", "tensors")

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.tensors: list[Tensor] = []
        self._places: dict[int, int] = {}
        parts: list[Any] = []
        for x in args:
            # An array as it is, the most usual argument, without a detour.
            plain = type(x) is np.ndarray and x.dtype in _AS_THEY_ARE
            parts.append(self._raw(x) if plain else self._described(x))
        if kwargs:
            parts += [(name, self._described(kwargs[name])) for name in sorted(kwargs)]
        self.key = tuple(parts)

    def _described(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            place = self._places.setdefault(id(x), len(self.tensors))
            if place < len(self.tensors):
                return place
            self.tensors.append(x)
            data = x.data
            return data.shape, data.dtype, x.requires_grad, x._source is None
        if isinstance(x, np.ndarray):
            return self._raw(to_array(x))
        if isinstance(x, list | tuple):
            array = _numbers(x) if isinstance(x, list) else None
            return self._raw(array) if array is not None else (type(x), *map(self._described, x))
        if isinstance(x, dict):
            return dict, *((name, self._described(item)) for name, item in x.items())
        return (type(x), repr(x)) if is_plain(x) else Same(x)  # 0.0 and -0.0 are equal, and not the same

    def _raw(self, array: Array) -> Any:
        tensor = _new(Tensor)
        tensor.data, tensor._is_raw = array, True
        self.tensors.append(tensor)
        return array.shape, array.dtype


def with_tensors(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[..., Any]:
    """The function of the Tensors alone, in the order of `Arguments.tensors`; all other arguments are these."""
    if not kwargs and all(isinstance(x, Tensor | np.ndarray) for x in args) and len(set(map(id, args))) == len(args):
        return function

    def of_tensors(*tensors: Tensor) -> Any:
        filling = _Filling(iter(tensors))
        rest = [filling.filled(x) for x in args]
        named = {name: filling.filled(kwargs[name]) for name in sorted(kwargs)}
        result = function(*rest, **named)
        filling.check_unchanged()
        return result

    of_tensors.__wrapped__ = function  # type: ignore[attr-defined]
    return of_tensors


class _Filling:
    """Arguments with Tensors in the places of theirs; one that is there twice is the same twice."""

    def __init__(self, given: Iterator[Tensor]) -> None:
        self._given = given
        self._placed: dict[int, Tensor] = {}
        self._made: list[tuple[Any, list[Any]]] = []

    def check_unchanged(self) -> None:
        """Raise if the function has changed a list or dict that it was given, which is none of the caller's.

        Raises
            RecordingError: it has.
        """
        for x, items in self._made:
            if not same_items(x, items):
                raise RecordingError("compiler.rebinds", name=f"{type(x).__name__} [...]")

    def filled(self, x: Any) -> Any:
        if isinstance(x, Tensor):
            if id(x) not in self._placed:
                self._placed[id(x)] = next(self._given)
            return self._placed[id(x)]
        if isinstance(x, np.ndarray) or (isinstance(x, list) and _numbers(x) is not None):
            return next(self._given)
        if isinstance(x, list | tuple):
            items = [self.filled(item) for item in x]
            return type(x)(*items) if hasattr(x, "_fields") else self._noted(type(x)(items))
        return self._noted({name: self.filled(item) for name, item in x.items()}) if isinstance(x, dict) else x

    def _noted(self, x: Any) -> Any:
        self._made.append((x, items_of(x)))
        return x


def _numbers(x: list[Any]) -> Any:
    """The array of a list that holds nothing but numbers; None of another."""
    first: Any = x
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if not isinstance(first, int | float | np.ndarray | np.generic):
        return None
    try:
        return to_array(x)
    except PellucidError:
        return None
