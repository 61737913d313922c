"""Modules made of modules: Sequential runs them in turn, ModuleList and ModuleDict hold them for a network that runs
them itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pellucid._text import text
from pellucid.core.check import closest, shown
from pellucid.errors import ArgumentTypeError, IndexRangeError, MissingKeyError, ShapeError
from pellucid.nn import _parts
from pellucid.nn._initial import follow
from pellucid.nn._parts import not_a_module
from pellucid.nn.activation import Activation
from pellucid.nn.module import Module


class _Numbered(Module):
    """Modules in a row, named by their places "0", "1", ...; PyTorch's list methods."""

    _chain: tuple[int, tuple[Module, ...]] = (-1, ())

    def _items(self) -> tuple[Module, ...]:
        """The modules in order; one that stands in two places comes twice."""
        now = _parts.structure
        if self._chain[0] != now:
            vars(self)["_chain"] = (now, tuple(module for _, module in self._own("module")))
        return self._chain[1]

    def _renew(self, modules: Iterable[Module]) -> None:
        """Hold these modules under the names "0", "1", ..."""
        new = list(modules)
        for n, module in enumerate(new):
            if not isinstance(module, Module):
                raise not_a_module(type(self).__name__, f"[{n}]", module)
        for name, _ in list(self._own("module")):
            delattr(self, name)
        for n, module in enumerate(new):
            self.add_module(str(n), module)

    def _place(self, index: Any) -> int:
        """A valid index from 0 on.

        Raises
            IndexRangeError: there is no such place.
        """
        size = len(self)
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            raise ArgumentTypeError("nn.index-type", owner=type(self).__name__, given=shown(index))
        number: int = index.__index__()
        if not -size <= number < size:
            raise IndexRangeError("nn.index", owner=type(self).__name__, index=number, size=size)
        return number % size

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._sliced(index)
        return self._items()[self._place(index)]

    def _sliced(self, index: slice) -> Any:
        """The same modules, shared and not copied, in a container of their own."""
        return type(self)(self._items()[index])

    def __setitem__(self, index: int, module: Module) -> None:
        place = self._place(index)
        if not isinstance(module, Module):
            raise not_a_module(type(self).__name__, f"[{place}]", module)
        setattr(self, [name for name, _ in self._own("module")][place], module)

    def __delitem__(self, index: Any) -> None:
        items = list(self._items())
        del items[index if isinstance(index, slice) else self._place(index)]
        self._renew(items)

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns self."""
        return self.extend([module])

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add several modules at the end; returns self."""
        for module in list(modules):
            if not isinstance(module, Module):
                raise not_a_module(type(self).__name__, f"[{len(self)}]", module)
            n = len(self)
            while str(n) in self._kinds:  # a slice keeps the names of its layers, a dict brings its own
                n += 1
            self.add_module(str(n), module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Put a module in front of the one at `index`; those after it move on by one. Returns self."""
        items = list(self._items())
        items.insert(index, module)
        self._renew(items)
        return self

    def pop(self, index: int = -1) -> Module:
        """Take a module out and return it."""
        module: Module = self[index]
        del self[index]
        return module


class Sequential(_Numbered):
    """Modules run one after another, each on the result of the one before.

    Layers whose features do not fit each other are refused when it is built. Linear layers whose weights are still as
    they were first drawn are drawn anew for the activation that follows them, and note it in their repr.

    Parameters
        layers : modules, or one dict of names and modules.
    Raises
        ShapeError: a layer does not take as many features as the one before it gives.
        ArgumentTypeError: something is not a Module.
    Examples
        >>> from pellucid import nn
        >>> nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
        Sequential(
          (0): Linear(in_features=2, out_features=8, bias=True, init="he normal (ReLU), std 1, bias 0.01")
          (1): ReLU()
          (2): Linear(in_features=8, out_features=1, bias=True, init="lecun uniform, std 0.354")
        )
    """

    def __init__(self, *layers: Any) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            for name, layer in layers[0].items():
                if not isinstance(layer, Module):
                    raise not_a_module("Sequential", repr(name), layer)
                self.add_module(name, layer)
        else:
            for n, layer in enumerate(layers):
                if not isinstance(layer, Module):
                    raise not_a_module("Sequential", f"[{n}]", layer)
                self.add_module(str(n), layer)
        self._built()

    def forward(self, x: Any) -> Any:
        """The result of the last module; x itself where there is none."""
        done = 0
        try:
            for layer in self._items():
                if type(x) is tuple and done:
                    raise self._several(done - 1, len(x))
                x = layer(x)
                done += 1
        except ShapeError as error:
            self._name_source(error, done)
            raise
        return x

    def _several(self, number: int, count: int) -> ArgumentTypeError:
        name, layer = list(self._own("module"))[number]
        return ArgumentTypeError("nn.several-results", layer=layer._label(), name=name, count=count)

    def _sliced(self, index: slice) -> Sequential:
        # Names are kept, as in PyTorch; nothing is drawn anew, since the layers belong to this network too.
        part = Sequential.__new__(Sequential)
        for name, layer in list(self._own("module"))[index]:
            part.add_module(name, layer)
        return part

    def _features_after(self, given: int | None) -> int | None:
        for n, layer in enumerate(self._items()):
            try:
                given = layer._features_after(given)
            except ShapeError as error:
                self._name_source(error, n)
                raise
        return given

    def extend(self, modules: Iterable[Module]) -> Sequential:
        """Add several modules at the end; returns self."""
        super().extend(modules)
        self._built()
        return self

    def _built(self) -> None:
        """Refuse layers that do not fit each other, and draw weights for the activations that follow them."""
        self._ensure_names()
        self._features_after(None)
        flat = list(_flat(self))
        for n, layer in enumerate(flat):
            if hasattr(layer, "_drawn"):
                after = next((m for m in flat[n + 1 :] if not _passes(m)), None)
                if isinstance(after, Activation):
                    follow(layer, after)

    def _name_source(self, error: ShapeError, n: int) -> None:
        """Say in the error of layer n from which layer its features come."""
        names = [name for name, _ in self._own("module")]
        layers = self._items()
        if error.key != "nn.features" or error.facts["source"]:
            return
        for k in range(n - 1, -1, -1):
            if not isinstance(layers[k], Activation) and not _passes(layers[k]):
                path = f"{self._path}.{names[k]}" if self._path else names[k]
                error.facts["source"] = text("nn.from", name=path)
                return


def _flat(module: Module) -> Iterator[Module]:
    """The layers of nested Sequentials in the order in which they run."""
    for layer in module._items() if isinstance(module, Sequential) else [module]:
        if isinstance(layer, Sequential):
            yield from _flat(layer)
        else:
            yield layer


def _passes(module: Module) -> bool:
    """Whether it may stand between a layer and the activation that the layer's weights are drawn for."""
    return not isinstance(module, Activation) and module.between_layers


class ModuleList(_Numbered):
    """A list of modules that are part of the network that holds it. It is not called itself.

    Parameters
        modules : modules, in order.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])


class ModuleDict(Module):
    """A dict of modules that are part of the network that holds it. It is not called itself.

    Parameters
        modules : names and modules, or pairs of them.
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add or replace several modules."""
        for name, module in modules.items() if isinstance(modules, Mapping | ModuleDict) else modules:
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise not_a_module("ModuleDict", repr(name), module)
        self.add_module(name, module)

    def __getitem__(self, name: str) -> Module:
        if self._kinds.get(name) != "module":
            raise MissingKeyError(
                "nn.no-key",
                name=repr(name),
                options=", ".join(map(repr, self.keys())),
                suggestion=closest(name, self.keys()),
            )
        return vars(self)[name]  # type: ignore[no-any-return]

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._kinds.get(name) == "module"

    def __len__(self) -> int:
        return len(self.keys())

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def keys(self) -> list[str]:
        """The names, in order."""
        return [name for name, _ in self._own("module")]

    def values(self) -> list[Module]:
        """The modules, in order."""
        return [module for _, module in self._own("module")]

    def items(self) -> list[tuple[str, Module]]:
        """Names and modules, in order."""
        return list(self._own("module"))

    def pop(self, name: str) -> Module:
        """Take a module out and return it."""
        module = self[name]
        delattr(self, name)
        return module

    def clear(self) -> None:
        """Take all modules out."""
        for name in self.keys():
            delattr(self, name)
