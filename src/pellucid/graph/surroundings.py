"""What a function finds outside of itself: a function comes in; the names leave that it and the user's own functions
beside it look up in closures, globals, modules, classes and the attributes of objects, with what they stand for.
`compile` records anew where that has changed, and refuses to record what changes it.
"""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Callable, Iterable, Iterator
from operator import is_
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from pellucid.core.same import is_plain
from pellucid.core.tensor import Tensor
from pellucid.graph.contents import (
    FIXED,
    Contents,
    holds_things,
    is_users,
    is_users_object,
    items_of,
    same_items,
    same_value,
    slots,
)
from pellucid.graph.names import is_module, is_optimizer

_EMPTY = object()

# With these a function asks for attributes that may not be there.
_MAY_LACK = frozenset(("getattr", "hasattr"))

_MOST_ITEMS = 256
"""A list, dict or set of more is not looked into again before every run."""


class Surroundings:
    """The names that a function looks up outside of itself, and what they stand for now.

    Parameters
        function : what is called
        parts : further networks and layers that it uses
        contents : whether `changed` and `put_back` will be asked for what lies in things
    Attributes
        networks : the networks that it can reach, and `parts`
    """

    def __init__(self, function: Any, parts: Iterable[Any] = (), contents: bool = True) -> None:
        reached = _Reached(function, parts)
        self.networks = list(reached.networks.values())
        self._cells = list(reached.cells.values())
        self._places = list(reached.places())
        self._find = [(find, name) for find, name, _ in self._places]
        self._found = self._now()
        self._new = [(known, name) for known, name in reached.free_names() if name not in known]
        self._watched = [(x, items_of(x)) for x in reached.watched.values()]
        self._contents = Contents()
        if not contents:
            return
        for name, x in (*zip(self._names(), self._found, strict=True), *reached.roots()):
            self._contents.add(name, x)
        # Python's own random numbers and NumPy's, which every module shares.
        self._contents.add("random", getattr(random, "_inst", None))
        self._contents.add("numpy.random", getattr(np.random.mtrand, "_rand", None))

    @property
    def looks_around(self) -> bool:
        """Whether there is anything that `still_hold` looks at."""
        return bool(self._found or self._watched)

    def still_hold(self) -> bool:
        """Whether every name stands for the same, and lists, dicts and sets have the same items."""
        now = self._now()
        return (all(map(is_, now, self._found)) or all(map(same_value, now, self._found))) and all(
            [same_items(x, items) for x, items in self._watched]
        )

    def changed(self) -> str:
        """The first name that stands for something else by now, or for something with other contents; "" where there
        is none."""
        for name, now, found in zip(self._names(), self._now(), self._found, strict=True):
            if not same_value(now, found):
                return name
        return next((name for known, name in self._new if name in known), "") or self._contents.changed()

    def put_back(self) -> None:
        """Let every name stand for what it stood for, and have everything the contents that it had."""
        count = len(self._cells)
        for (_, cell), value in zip(self._cells, self._found[:count], strict=True):
            if value is not _EMPTY:
                cell.cell_contents = value
        for (find, name, owner), value in zip(self._places, self._found[count:], strict=True):
            if isinstance(owner, dict):
                owner.pop(name, None) if value is _EMPTY else owner.update({name: value})
            elif find(name, _EMPTY) is not value:
                setattr(owner, name, value)
        for known, name in self._new:
            known.pop(name, None)
        self._contents.put_back()

    def _names(self) -> list[str]:
        return [*(name for name, _ in self._cells), *(name for _, name in self._find)]

    def _now(self) -> list[Any]:
        return [_held(c) for _, c in self._cells] + [find(name, _EMPTY) for find, name in self._find]


def _held(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not yet filled
        return _EMPTY


def _names(code: CodeType) -> frozenset[str]:
    """The names that code looks up, with those of the functions that are written inside, and the words in it that
    could be names for `getattr`."""
    inner = [_names(c) for c in code.co_consts if isinstance(c, CodeType)]
    return _words(code).union(code.co_names, *inner)


def _words(code: CodeType) -> frozenset[str]:
    inner = [_words(c) for c in code.co_consts if isinstance(c, CodeType)]
    return frozenset(c for c in code.co_consts if isinstance(c, str) and c.isidentifier()).union(*inner)


class _Reached:
    """What a function can reach by names: the user's own functions that it may call, itself first, the objects, classes
    and modules whose attributes they read, networks, and lists, dicts and sets that are watched."""

    def __init__(self, function: Any, parts: Iterable[Any]) -> None:
        self.functions: dict[int, FunctionType] = {}
        self.networks: dict[int, Any] = {}
        self.watched: dict[int, Any] = {}
        self._objects: dict[int, Any] = {}
        self._layers: dict[int, Any] = {}
        self._classes: dict[int, type] = {}
        self._spaces: dict[int, ModuleType] = {}
        self._containers: dict[int, Any] = {}
        self.names: set[str] = set()
        self.words: set[str] = set()
        self._look_into(function, first=True)
        for part in parts:
            self._look_into(part)
        before = -1
        while before != (before := self._size()):
            self._go_on()
        self.cells = {
            id(c): (name, c)
            for f in self.functions.values()
            for name, c in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
        }

    def places(self) -> Iterator[tuple[Callable[[str, Any], Any], str, Any]]:
        """For each name outside of closures: how to find what it stands for, the name, whose it is."""
        met = set()
        for owner, find, name in self._all_places():
            if (id(owner), name) not in met:
                met.add((id(owner), name))
                if not isinstance(find(name, _EMPTY), ModuleType | type):
                    yield find, name, owner

    def _all_places(self) -> Iterator[tuple[Any, Callable[[str, Any], Any], str]]:
        for f in self.functions.values():
            known = f.__globals__
            yield from ((known, known.get, name) for name in sorted(_names(f.__code__) & set(known)))
            for name in ("__defaults__", "__kwdefaults__"):
                if getattr(f, name):
                    yield f, functools.partial(getattr, f), name
            yield from ((vars(f), vars(f).get, name) for name in sorted(self.names & set(vars(f))))
        for o in self._objects.values():
            known = getattr(o, "__dict__", {})
            # What the class says now the object may say for itself later.
            possible = set(known).union(*map(vars, type(o).__mro__), self.words if _MAY_LACK & self.names else ())
            yield from ((known, known.get, name) for name in sorted(self.names & possible))
            for name in sorted(self.names & set(slots(type(o)))):
                yield o, functools.partial(getattr, o), name
        for x in (*self._classes.values(), *self._spaces.values()):
            named = (self.names | {"forward"}) & set(vars(x)) - _AT_THE_START
            yield from ((x, vars(x).get, name) for name in sorted(named))

    def free_names(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Names that functions may give to what is not there yet."""
        for f in self.functions.values():
            yield from ((f.__globals__, name) for name in f.__code__.co_names)

    def roots(self) -> Iterator[tuple[str, Any]]:
        """Everything that may have contents and has no name."""
        yield from ((f.__name__, f) for f in self.functions.values())
        for x in (*self._objects.values(), *self.networks.values()):
            yield type(x).__name__, x

    def _size(self) -> int:
        found = (self.functions, self.networks, self._objects, self._layers, self._classes, self._spaces)
        return sum(map(len, found)) + len(self._containers) + len(self.names)

    def _go_on(self) -> None:
        """Look into what the names stand for that were found so far."""
        codes = [f.__code__ for f in self.functions.values()]
        self.names.update(*map(_names, codes))
        self.words.update(*map(_words, codes))
        for f in list(self.functions.values()):
            watched = is_users(f.__module__)
            for cell in f.__closure__ or ():
                self._look_into(_held(cell), watched=watched)
            for name in _names(f.__code__):
                self._look_into(f.__globals__.get(name))
            for item in (f.__defaults__, f.__kwdefaults__, *map(vars(f).get, self.names)):
                self._look_into(item)
        for x in (*self._objects.values(), *self._layers.values()):
            known = getattr(x, "__dict__", {})
            for name in self.names:
                self._look_into(known.get(name))
            for name in self.names.intersection(slots(type(x))):
                self._look_into(getattr(x, name, None))
        for c in (*self._classes.values(), *self._spaces.values()):
            for name in self._names_of(c):
                self._look_into(vars(c)[name])

    def _names_of(self, x: Any) -> set[str]:
        """The names of a class or a module that are used: those that are written somewhere, and those that Python
        uses by itself."""
        found = set(vars(x))
        if isinstance(x, ModuleType):
            return found & self.names
        if "getattr" in self.names:
            return {n for n in found if not n.startswith("__") or inspect.isfunction(vars(x)[n])} - _AT_THE_START
        implied = {n for n in found if n.startswith("__") and inspect.isfunction(vars(x)[n])} | {"forward"}
        return found & (self.names | implied) - _AT_THE_START

    def _look_into(self, item: Any, first: bool = False, watched: bool = True) -> None:
        if item is None or is_plain(item):
            return
        while isinstance(item, functools.partial):
            for given in (*item.args, *item.keywords.values()):
                self._look_into(given, watched=watched)
            item = item.func
        for wrapped in ("__func__", "fget", "func"):
            if isinstance(item, staticmethod | classmethod | property | functools.cached_property):
                item = getattr(item, wrapped, item)
        inner = getattr(item, "__func__", item) if inspect.ismethod(item) else item
        if isinstance(inner, FunctionType):
            if id(inner) not in self.functions and (first or is_users(inner.__module__)):
                self.functions[id(inner)] = inner
            self._look_into(getattr(item, "__self__", None))
        elif is_module(item):
            self._look_into_network(item)
        elif isinstance(item, type) or is_optimizer(item):
            self._look_into_class(item if isinstance(item, type) else type(item))
        elif isinstance(item, ModuleType):
            if is_users(item.__name__):
                self._spaces.setdefault(id(item), item)
        elif holds_things(item):
            self._look_into_items(item, watched)
        elif is_users_object(item) and id(item) not in self._objects:
            self._objects[id(item)] = item
            self._look_into_class(type(item))
        if not isinstance(item, type | Tensor) and isinstance(getattr(item, "__dict__", None), dict):
            self._look_into(vars(item).get("__wrapped__"), first)

    def _look_into_network(self, network: Any) -> None:
        if id(network) in self._layers and id(network) not in self.networks:
            return
        if id(network) not in self.networks:
            self.networks[id(network)] = network
        for layer in network.modules():
            if id(layer) not in self._layers:
                self._layers[id(layer)] = layer
                self._look_into_class(type(layer))
                hooks = [*getattr(layer, "_hooks", {}).values(), *getattr(layer, "_pre_hooks", {}).values()]
                for x in (*vars(layer).values(), *(hook for hook, _ in hooks)):
                    if callable(x) and not is_module(x):
                        self._look_into(x)

    def _look_into_class(self, kind: type) -> None:
        for c in kind.__mro__:
            if is_users(c.__module__):
                self._classes.setdefault(id(c), c)

    def _look_into_items(self, x: Any, watched: bool) -> None:
        if id(x) in self._containers or len(x) > _MOST_ITEMS:
            return
        self._containers[id(x)] = x
        if watched and not isinstance(x, FIXED):
            self.watched[id(x)] = x
        for item in list(x.values() if isinstance(x, dict) else x):
            self._look_into(item, watched=watched)


# What Python calls when an object is made or goes, not while it is used.
_AT_THE_START = frozenset(
    "__init__ __new__ __del__ __init_subclass__ __set_name__ __reduce__ __getstate__ __setstate__".split()
)
