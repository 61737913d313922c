"""What lies in lists, dicts, arrays and objects: they come in; which of them have other contents by now leaves, and
they can be put back. `surroundings` keeps one of all that a function can reach, `compiler.before` of what is called.
"""

from __future__ import annotations

import functools
import random
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from types import FunctionType, MemberDescriptorType, ModuleType
from typing import Any

import numpy as np

from pellucid.core.same import is_plain
from pellucid.core.tensor import Tensor
from pellucid.graph.names import is_module, is_optimizer

# Whose functions and objects are not looked into: they are the same tomorrow.
_LIBRARIES = frozenset(sys.stdlib_module_names) - {"__main__"} | {"pellucid", "numpy"}
_INSTALLED = ("site-packages", "dist-packages")
# Objects of the standard library that stand for a user's own.
_NAMESPACES = frozenset((("types", "SimpleNamespace"), ("argparse", "Namespace")))

# What holds other things, and what does so for good.
MANY = (list, dict, set, deque, defaultdict, OrderedDict, Counter)
FIXED = (tuple, frozenset)

# What modules and the compiler keep in an object for themselves.
_OWN = frozenset(
    ("_named_at", "_lists", "_path", "_hooked", "_chain", "_entry", "_behaviour", "_warned", "_compiled", "inputs_seen")
)
# What a compiled step sees to by itself.
_OF_OPTIMIZERS = frozenset(("param_groups", "_step_taken"))

_MOST_THINGS = 20_000
_MOST_ITEMS = 100_000
_MOST_BYTES = 2**20
"""Of one array; a larger one is neither compared nor put back."""
_MOST_BYTES_TOGETHER = 2**26


class Contents:
    """Contents of things as they were when they were added, with all that lies in them."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}
        self._kept: list[tuple[str, Any, Any]] = []
        self._bytes = 0

    def add(self, name: str, item: Any) -> None:
        """Keep what lies in a thing, and in what lies there."""
        queue = deque([(name, item)])
        while queue and len(self._seen) < _MOST_THINGS:
            name, x = queue.popleft()
            if is_plain(x) or id(x) in self._seen or not self._has_contents(x):
                continue
            self._seen[id(x)] = x
            if not isinstance(x, FIXED):
                self._kept.append((name, x, _contents(x)))
            queue.extend(_inside(name, x))

    def changed(self) -> str:
        """The name of the first thing that has other contents by now; "" where there is none."""
        return next((_changed_part(name, x, kept) for name, x, kept in self._kept if not _same(x, kept)), "")

    def put_back(self) -> None:
        """Give everything the contents that it had."""
        for _, x, kept in self._kept:
            if not _same(x, kept):
                _put_back(x, kept)
            if is_module(x):
                vars(x).pop("_behaviour", None)

    def _has_contents(self, x: Any) -> bool:
        if type(x) in MANY:
            return len(x) <= _MOST_ITEMS
        if type(x) is np.ndarray:
            self._bytes += x.nbytes if x.nbytes <= _MOST_BYTES else 0
            fits = x.nbytes <= _MOST_BYTES and self._bytes <= _MOST_BYTES_TOGETHER
            return fits and x.flags.writeable and not x.dtype.hasobject
        return isinstance(x, FIXED) or _is_source_of_chance(x) or has_attributes(x)


def is_users(module: str | None) -> bool:
    """Whether what a module defines is the user's own: not of the standard library, nor of an installed package."""
    return _is_users(module or "")


@functools.lru_cache(1024)
def _is_users(module: str) -> bool:
    if module.partition(".")[0] in _LIBRARIES:
        return False
    loaded = sys.modules.get(module)
    return not any(part in (getattr(loaded, "__file__", None) or "") for part in _INSTALLED)


def holds_things(x: Any) -> bool:
    """Whether it is a list, dict, set or tuple, or one of the user's own kinds of them."""
    return type(x) in MANY or isinstance(x, FIXED) or (isinstance(x, MANY) and is_users(type(x).__module__))


def is_users_object(item: Any) -> bool:
    """Whether it is an object whose attributes are the user's own: no network, optimizer, Tensor, function or class."""
    kind = type(item)
    return (
        (is_users(kind.__module__) or (kind.__module__, kind.__name__) in _NAMESPACES)
        and not isinstance(item, type | ModuleType | Tensor | FunctionType)
        and (isinstance(getattr(item, "__dict__", None), dict) or bool(slots(kind)))
        and not is_module(item)
        and not is_optimizer(item)
    )


def has_attributes(x: Any) -> bool:
    """Whether it may have attributes that a function changes for purposes of its own."""
    if isinstance(x, FunctionType):
        return is_users(x.__module__)
    if isinstance(x, type | ModuleType | Tensor):
        return False
    return is_users_object(x) or is_module(x) or (is_optimizer(x) and is_users(type(x).__module__))


def slots(kind: type) -> tuple[str, ...]:
    """The names of attributes for which a class has set places aside."""
    return _slots(kind)


@functools.lru_cache(1024)
def _slots(kind: Any) -> tuple[str, ...]:
    found = [n for c in kind.__mro__ for n, x in vars(c).items() if isinstance(x, MemberDescriptorType)]
    return tuple([n for n in found if not n.startswith("__")])


def same_value(a: Any, b: Any) -> bool:
    """Whether they are one object, or plain values that nothing tells apart."""
    return a is b or (type(a) is type(b) and is_plain(a) and repr(a) == repr(b))


def same_items(x: Any, items: list[Any]) -> bool:
    """Whether a list, dict or set still has the items that `items_of` gave."""
    now = items_of(x)
    if len(now) != len(items):
        return False
    return all([a is b for a, b in zip(now, items, strict=True)]) or all(map(same_value, now, items))


def items_of(x: Any) -> list[Any]:
    """The items of a list, dict (keys, then values) or set, in their order."""
    return [*x, *x.values()] if isinstance(x, dict) else [*x]


def _is_source_of_chance(x: Any) -> bool:
    return isinstance(x, random.Random | np.random.Generator | np.random.RandomState)


def _inside(name: str, x: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(x, dict):
        yield from ((name, item) for item in list(x.values()))
    elif isinstance(x, (*MANY, *FIXED)):
        yield from ((name, item) for item in list(x))
    elif has_attributes(x):
        for key, item in _attributes(x).items():
            if not is_plain(item):
                yield f"{_owner(x)}.{key}", item
        if isinstance(x, FunctionType):
            yield name, x.__defaults__
            yield name, x.__kwdefaults__


def _owner(x: Any) -> str:
    return x.__name__ if isinstance(x, FunctionType) else type(x).__name__


def _attributes(x: Any) -> dict[str, Any]:
    skipped = _OWN | _OF_OPTIMIZERS if is_optimizer(x) else _OWN
    found = {name: value for name, value in getattr(x, "__dict__", {}).items() if name not in skipped}
    for name in () if isinstance(x, FunctionType) else slots(type(x)):
        value = getattr(x, name, found)
        if value is not found:
            found[name] = value
    return found


def _contents(x: Any) -> Any:
    if isinstance(x, MANY):
        return items_of(x)
    if isinstance(x, np.ndarray):
        return x.copy(order="K")
    if isinstance(x, np.random.Generator):
        return x.bit_generator.state
    if isinstance(x, np.random.RandomState):
        return x.get_state(legacy=False)
    return x.getstate() if isinstance(x, random.Random) else _attributes(x)


def _same(x: Any, kept: Any) -> bool:
    if isinstance(x, MANY):
        return same_items(x, kept)
    if isinstance(x, np.ndarray):
        same = x.shape == kept.shape and x.dtype == kept.dtype
        return same and bool(np.array_equal(x, kept, equal_nan=x.dtype.kind in "fc"))
    if isinstance(x, random.Random):
        return bool(x.getstate() == kept)
    if _is_source_of_chance(x):
        return repr(_plainly(_contents(x))) == repr(_plainly(kept))
    now = _attributes(x)
    return now.keys() == kept.keys() and all([same_value(now[name], kept[name]) for name in kept])


def _plainly(state: Any) -> Any:
    """A generator's state with arrays in full."""
    if isinstance(state, dict):
        return {key: _plainly(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _changed_part(name: str, x: Any, kept: Any) -> str:
    if isinstance(x, (*MANY, np.ndarray)) or _is_source_of_chance(x):
        return name
    now = _attributes(x)
    other = next(n for n in {**kept, **now} if n not in now or n not in kept or not same_value(now[n], kept[n]))
    return f"{_owner(x)}.{other}"


def _put_back(x: Any, kept: Any) -> None:
    if isinstance(x, dict):
        count = len(kept) // 2
        items = dict(zip(kept[:count], kept[count:], strict=True))
        x.clear()
        x.update(items)
    elif isinstance(x, set):
        x.clear()
        x.update(kept)
    elif isinstance(x, list | deque):
        x.clear()
        x.extend(kept)
    elif isinstance(x, np.ndarray):
        if x.shape == kept.shape:
            x[...] = kept
    elif isinstance(x, np.random.Generator):
        x.bit_generator.state = kept
    elif isinstance(x, np.random.RandomState):
        x.set_state(kept)
    elif isinstance(x, random.Random):
        x.setstate(kept)
    else:
        _put_attributes_back(x, kept)


def _put_attributes_back(x: Any, kept: dict[str, Any]) -> None:
    # Past the object's own rules of how attributes are set: it is as it was, and nobody is told of a change.
    values = getattr(x, "__dict__", {})
    places = () if isinstance(x, FunctionType) else slots(type(x))
    for name in [*_attributes(x)]:
        if name not in kept:
            (object.__delattr__(x, name) if name in places else values.pop(name))
    for name, value in kept.items():
        if name in places:
            object.__setattr__(x, name, value)
        else:
            values[name] = value
