"""What a function finds outside of itself: a function comes in; the names leave that it and the user's own functions
beside it look up in closures, globals and the attributes of objects, with what they stand for. `compile` records anew
where that has changed, and refuses to record what changes it.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from operator import is_
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from pellucid.core.same import is_plain
from pellucid.core.tensor import Tensor
from pellucid.graph.names import is_module, is_optimizer

# Whose functions and objects are not looked into: they are the same tomorrow.
_LIBRARIES = frozenset(sys.stdlib_module_names) - {"__main__"} | {"pellucid", "numpy"}

_EMPTY = object()


class Surroundings:
    """The names that a function looks up outside of itself, and what they stand for now."""

    def __init__(self, function: Any) -> None:
        functions, objects = _parts(function)
        used = {name for f in functions for name in _names(f.__code__)}
        self._cells = list({id(c): c for f in functions for c in f.__closure__ or ()}.values())
        spaces = [*((f.__globals__, _names(f.__code__)) for f in functions), *((vars(o), used) for o in objects)]
        places = [(known, name) for known, names in spaces for name in sorted(names & set(known))]
        places = [(known, name) for known, name in places if not isinstance(known[name], ModuleType | type)]
        self._places = list({(id(known), name): (known, name) for known, name in places}.values())
        self._found = self._now()
        self._contents = [(x, x.copy()) for found in self._found for x in _containers(found)]

    def still_hold(self) -> bool:
        """Whether every name stands for the same."""
        now = self._now()
        return all(map(is_, now, self._found)) or all(map(_same, now, self._found))

    def changed(self) -> str:
        """The first name that stands for something else by now, or for a list, dict or set with other contents; ""
        where there is none."""
        other = {id(x) for x, contents in self._contents if not _same_contents(x, contents)}
        names = [*("a name of the closure" for _ in self._cells), *(name for _, name in self._places)]
        for name, now, found in zip(names, self._now(), self._found, strict=True):
            if not _same(now, found) or any(id(x) in other for x in _containers(found)):
                return name
        return ""

    def put_back(self) -> None:
        """Let every name stand for what it stood for."""
        count = len(self._cells)
        for cell, value in zip(self._cells, self._found[:count], strict=True):
            if value is not _EMPTY:
                cell.cell_contents = value
        for (known, name), value in zip(self._places, self._found[count:], strict=True):
            known[name] = value
        for x, contents in self._contents:
            if not _same_contents(x, contents):
                x.clear()
                (x.extend if isinstance(x, list) else x.update)(contents)

    def _now(self) -> list[Any]:
        return [_held(c) for c in self._cells] + [known.get(name, _EMPTY) for known, name in self._places]


def _held(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return _EMPTY


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and is_plain(a) and bool(a == b))


def _containers(x: Any, depth: int = 2) -> Iterator[Any]:
    """A list, dict or set with those that it holds itself."""
    if type(x) in (list, dict, set):
        yield x
        if depth > 1:
            for item in x.values() if type(x) is dict else x:
                yield from _containers(item, depth - 1)


def _same_contents(x: Any, contents: Any) -> bool:
    if type(x) is dict:
        return list(x) == list(contents) and all(map(is_, x.values(), contents.values()))
    return len(x) == len(contents) and (x == contents if type(x) is set else all(map(is_, x, contents)))


def _names(code: CodeType) -> set[str]:
    """The names that code looks up, with those of the functions that are written inside."""
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def _parts(function: Any) -> tuple[list[FunctionType], list[Any]]:
    """The user's own functions that a function may call, itself first, and the objects whose attributes they read."""
    functions: dict[int, FunctionType] = {}
    objects: dict[int, Any] = {}

    def look_into(item: Any, first: bool = False) -> None:
        while isinstance(item, functools.partial):
            item = item.func
        inner = getattr(item, "__func__", item)
        if isinstance(inner, FunctionType):
            if id(inner) not in functions and (first or _is_users(inner.__module__)):
                functions[id(inner)] = inner
                look_into(getattr(item, "__self__", None))
        elif is_module(item):
            for forward in {type(m).forward for m in item.modules()}:
                look_into(forward)
        elif _is_users_object(item) and id(item) not in objects:
            objects[id(item)] = item
            if first:
                look_into(type(item).__call__)
        if isinstance(getattr(item, "__dict__", None), dict):
            look_into(vars(item).get("__wrapped__"), first)

    look_into(function, first=True)
    count = 0
    while count < len(functions) + len(objects):
        count = len(functions) + len(objects)
        used = {name for f in functions.values() for name in _names(f.__code__)}
        for f in list(functions.values()):
            for item in (*map(_held, f.__closure__ or ()), *map(f.__globals__.get, _names(f.__code__))):
                look_into(item)
        for o in list(objects.values()):
            for name in used:
                look_into(vars(o).get(name, inspect.getattr_static(type(o), name, None)))
    return list(functions.values()), list(objects.values())


def _is_users(module: str | None) -> bool:
    return (module or "").partition(".")[0] not in _LIBRARIES


def _is_users_object(item: Any) -> bool:
    return (
        isinstance(getattr(item, "__dict__", None), dict)
        and not isinstance(item, type | ModuleType | Tensor)
        and not is_optimizer(item)
        and _is_users(type(item).__module__)
    )
