"""A function comes in; names leave: its own, those of its arguments, and those of the tensors it will find in modules,
optimizers, closures and globals. `trace` calls it; a function whose parts cannot be seen gets numbers instead of names.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any

from pellucid.core.tensor import Tensor

NamedTensor = tuple[str, Tensor, bool]


def function_name(function: Callable[..., Any]) -> str:
    """What to call the graph of a function."""
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else str(name)


def input_names(function: Callable[..., Any], count: int) -> list[str]:
    """Names of the first `count` positional arguments."""
    names: list[str] = []
    try:
        parameters = list(inspect.signature(getattr(function, "forward", function)).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for p in parameters:
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            names.append(p.name)
        elif p.kind is p.VAR_POSITIONAL:
            names += [f"{p.name}.{n}" for n in range(max(count - len(names), 0))]
    names += [f"input.{n}" for n in range(len(names), count)]
    return names[:count]


def named_tensors(function: Callable[..., Any]) -> Iterator[NamedTensor]:
    """Tensors that the function can reach, each with its name and whether it is state: part of a module or an
    optimizer."""
    seen: set[int] = set()
    for path, item in _reachable(function):
        for name, tensor, is_state in _parts(path, item):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield name, tensor, is_state


def reachable(function: Callable[..., Any]) -> tuple[list[Tensor], list[Any]]:
    """The tensors that a function can reach, those that its optimizers train among them, and its optimizers."""
    tensors = {id(t): t for _, t, _ in named_tensors(function)}
    optimizers = [item for _, item in _reachable(function) if is_optimizer(item)]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            tensors.update((id(t), t) for t in group["params"])
    return list(tensors.values()), optimizers


def _reachable(function: Any, seen: frozenset[int] = frozenset()) -> Iterator[tuple[str, Any]]:
    """What the function refers to by name, and what the functions do that it refers to."""
    yield from _referred(function)
    for inner in _beside(function, seen):
        yield from _reachable(inner, seen | {id(inner)})


def _beside(function: Any, seen: frozenset[int]) -> Iterator[Any]:
    """The functions that a function refers to, of its own module or with a closure: the user's own, not a library's."""
    own = getattr(getattr(function, "__func__", function), "__globals__", None)
    for _, item in _referred(function):
        inner = getattr(item, "__wrapped__", item)
        users = isinstance(inner, FunctionType) and (inner.__closure__ or inner.__globals__ is own)
        if users and id(inner) not in seen and len(seen) < 8:
            yield inner


def _referred(function: Any) -> Iterator[tuple[str, Any]]:
    """What a function refers to by name: itself if it is a module, its object, its closure, its globals."""
    while isinstance(function, functools.partial):
        yield from ((f"argument.{n}", a) for n, a in enumerate(function.args))
        yield from function.keywords.items()
        function = function.func
    if is_module(function):
        yield "", function
        return
    owner = getattr(function, "__self__", None)
    if owner is not None:
        yield ("", owner) if is_module(owner) else ("self", getattr(owner, "__dict__", {}))
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        yield "", getattr(function, "__dict__", {})
        return
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not yet filled
            continue
    names = function.__globals__
    yield from ((name, names[name]) for name in code.co_names if name in names)


def _parts(path: str, item: Any, depth: int = 0) -> Iterator[NamedTensor]:
    if isinstance(item, Tensor):
        yield item.name or path, item, False
    elif is_module(item):
        for named in (item.named_parameters(), item.named_buffers()):
            for name, tensor in named:
                yield _joined(path, name), tensor, True
    elif is_optimizer(item):
        yield from _optimizer_parts(path, item)
    elif depth < 2 and isinstance(item, Mapping):
        for key, part in list(item.items()):
            if isinstance(key, str | int):
                yield from _parts(_joined(path, str(key)), part, depth + 1)
    elif depth < 2 and isinstance(item, list | tuple):
        for n, part in enumerate(item):
            yield from _parts(_joined(path, str(n)), part, depth + 1)


def _optimizer_parts(path: str, optimizer: Any) -> Iterator[NamedTensor]:
    for n, entries in enumerate(optimizer.state.values()):
        if isinstance(entries, Mapping):
            for key, tensor in entries.items():
                if isinstance(tensor, Tensor):
                    yield _joined(path, f"{n}.{key}"), tensor, True


def is_module(item: Any) -> bool:
    """Whether it is a network or a layer."""
    return not isinstance(item, type) and all(
        callable(getattr(type(item), name, None)) for name in ("named_parameters", "named_buffers")
    )


def is_optimizer(item: Any) -> bool:
    """Whether it is an optimizer."""
    values = getattr(item, "__dict__", {})
    return isinstance(values.get("state"), Mapping) and isinstance(values.get("param_groups"), list)


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
