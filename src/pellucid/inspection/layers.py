"""A network and the name of one of its layers come in; the layer, what it gave in a call, or a call in which it gives
something else leave. `features`, the methods of attribution and `maximize_activation` call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pellucid.core.check import closest, shown
from pellucid.core.context import default_dtype, quiet, state
from pellucid.core.tensor import Tensor, as_tensor, to_array, wrap
from pellucid.errors import ArgumentTypeError, MissingKeyError, ModelError
from pellucid.nn import Module


def found_layer(model: Any, layer: Any) -> tuple[str, Module]:
    """Full name and module of a layer, given by its name or as itself.

    Raises
        ArgumentTypeError: the model is a function, or the layer is neither a name nor a Module.
        MissingKeyError: the network has no such layer.
    """
    if not isinstance(model, Module):
        raise ArgumentTypeError("attribution.layer-of-function", layer=shown(layer), value=shown(model))
    named = dict(model.named_modules(remove_duplicate=False))
    if isinstance(layer, Module):
        name = next((n for n, module in named.items() if module is layer), None)
        if name is not None:
            return name, layer
        raise MissingKeyError(
            "attribution.layer", name=type(layer).__name__, network=type(model).__name__, suggestion=None
        )
    if not isinstance(layer, str):
        raise ArgumentTypeError("attribution.layer-type", value=shown(layer), type=type(layer).__name__)
    if layer not in named or not layer:
        names = [n for n in named if n]
        raise MissingKeyError(
            "attribution.layer", name=repr(layer), network=type(model).__name__, suggestion=_similar(layer, names)
        )
    return layer, named[layer]


def _similar(name: str, names: list[str]) -> str | None:
    found = closest(name, names)
    return None if found is None else repr(found)


@contextmanager
def as_in_use(model: Any) -> Iterator[None]:
    """The whole network in eval mode, as silent as it is when it is called; each module gets its own mode back."""
    modules = list(model.modules()) if isinstance(model, Module) else []
    before = [m.training for m in modules]
    for m in modules:
        if m.training:
            m.training = False
    grad = state.grad
    try:
        with quiet():
            yield
    finally:
        state.grad = grad
        for m, mode in zip(modules, before, strict=True):
            if m.training != mode:
                m.training = mode


def as_input(model: Any, x: Any) -> Tensor:
    """What a network takes for x: floats of its own dtype; whole numbers stay so where its layers take indices."""
    if isinstance(x, Tensor):
        array = x.data
    elif isinstance(x, list | tuple) or hasattr(x, "__array__"):
        array = to_array(x)
    else:
        raise ArgumentTypeError("attribution.input", value=shown(x), type=type(x).__name__)
    if not isinstance(model, Module):
        return wrap(array if array.dtype.kind == "f" or isinstance(x, Tensor) else array.astype(default_dtype()))
    first = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), default_dtype())
    if array.dtype == first or (array.dtype.kind in "iu" and any(m.takes_indices for m in model.modules())):
        return wrap(array)
    # Python's own numbers are read anew: as default floats they have lost digits that float64 has.
    return as_tensor(x.detach() if isinstance(x, Tensor) else x, first)


def observed(model: Any, module: Module, x: Tensor) -> tuple[Any, list[Any]]:
    """What the network gives, and what one of its layers gave on the way, call by call."""
    found: list[Any] = []
    with module.register_forward_hook(lambda layer, args, output: found.append(output)):
        result = model(x)
    return result, found


def with_output(model: Any, module: Module, name: str, x: Tensor, output: Tensor) -> Any:
    """What the network gives where a layer gives `output`.

    Raises
        ModelError: the layer is not called, is called several times, or gives something else than one Tensor.
    """
    found: list[Any] = []

    def replaced(layer: Module, args: Any, before: Any) -> Any:
        found.append(before)
        return output

    with module.register_forward_hook(replaced):
        result = model(x)
    check_called_once(name, found)
    return result


def check_called_once(name: str, found: list[Any]) -> None:
    """Raise unless a layer was called once and gave one Tensor.

    Raises
        ModelError: it was not.
    """
    if len(found) != 1:
        raise ModelError("attribution.layer-calls", name=name, calls=len(found))
    if not isinstance(found[0], Tensor):
        raise ModelError("attribution.layer-output", name=name, type=type(found[0]).__name__)


def last_layer(model: Any, wanted: Callable[[Module], bool]) -> str | None:
    """Name of the last layer of a kind, None without one."""
    if not isinstance(model, Module):
        return None
    names = [name for name, module in model.named_modules() if name and wanted(module)]
    return names[-1] if names else None
