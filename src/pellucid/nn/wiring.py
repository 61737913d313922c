"""Ways beside each other, for networks that are written down as layers: Residual adds what it was given to what its
layers make of it, Parallel joins what several branches make of the same input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pellucid._typing import Shape
from pellucid.core.check import Integer, Options, check, shown
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.nn._parts import not_a_module
from pellucid.nn.activation import Activation
from pellucid.nn.containers import Sequential, _Numbered
from pellucid.nn.linear import Linear
from pellucid.nn.module import Module
from pellucid.ops._families.reduction import one_axis
from pellucid.ops.shape import concatenate


class Residual(Module):
    """What layers make of an input, and the input itself, added up.

        y = shortcut(x) + f(x)

    Parameters
        layers : the layers of f, run one after another; or one dict of names and layers, as for Sequential.
        shortcut : a Module that gives x the shape of f(x), such as a Linear or a 1x1 convolution; None hands x on.
    Attributes
        body : Sequential of the layers.
        shortcut : the Module, or None.
    Raises
        ShapeError: f does not give what the shortcut gives: when it is built if the features tell, else when it is
            called. Nothing is broadcast.
    Source
        He, Zhang, Ren and Sun, Deep residual learning for image recognition, CVPR 2016, eq. 1 and 2.
    Examples
        >>> from pellucid import nn
        >>> block = nn.Residual(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
        >>> block(pl.ones((2, 8))).shape
        (2, 8)
    """

    body: Sequential
    shortcut: Module | None

    def __init__(self, *layers: Any, shortcut: Module | None = None) -> None:
        self.body = Sequential(*layers)
        if not len(self.body):
            raise ArgumentError("nn.wiring-empty", layer="Residual")
        if shortcut is not None and not isinstance(shortcut, Module):
            raise not_a_module("Residual", "shortcut", shortcut)
        self.add_module("shortcut", shortcut)
        self._ensure_names()
        self._features_after(None)

    def forward(self, x: Any) -> Tensor:
        """x -> shortcut(x) + f(x), of the shape of f(x)."""
        x = as_tensor(x)
        y, z = self.body(x), x if self.shortcut is None else self.shortcut(x)
        for name, result in (("body", y), ("shortcut", z)):
            _check_tensor("Residual", name, result)
        if y.shape != z.shape:
            raise ShapeError(
                "nn.residual",
                body=y.shape,
                shortcut=z.shape,
                suggestion=_fitting(x.shape, y.shape) if self.shortcut is None else None,
            )
        return z + y  # type: ignore[no-any-return]

    def _features_after(self, given: int | None) -> int | None:
        taken = given if given is not None else _taken(self.body)
        after = self.body._features_after(given)
        beside = taken if self.shortcut is None else self.shortcut._features_after(taken)
        if after is not None and beside is not None and after != beside:
            raise ShapeError("nn.residual-features", body=after, shortcut=beside)
        return after if after is not None else beside


def _taken(layers: Sequential) -> int | None:
    """How many features the first of the layers that know it take; None if that is not known."""
    for layer in layers._items():
        if isinstance(layer, Linear):
            return layer.in_features
        if isinstance(layer, Sequential):
            return _taken(layer)
        features = layer._features_after(None) if layer.between_layers else None
        if features is not None or not (layer.between_layers or isinstance(layer, Activation)):
            return features
    return None


def _fitting(shape: Shape, wanted: Shape) -> str | None:
    """A shortcut from one shape to another, where an ordinary layer is one."""
    differ = [n for n, (a, b) in enumerate(zip(shape, wanted, strict=False)) if a != b]
    if len(shape) != len(wanted) or len(differ) != 1:
        return None
    if differ == [len(shape) - 1]:
        return f"shortcut=nn.Linear({shape[-1]}, {wanted[-1]})"
    return f"shortcut=nn.Conv2d({shape[1]}, {wanted[1]}, 1)" if differ == [1] and len(shape) == 4 else None


def _check_tensor(layer: str, name: str, value: Any) -> None:
    """Raise unless a branch gave a Tensor.

    Raises
        ArgumentTypeError: it did not.
    """
    if not isinstance(value, Tensor):
        raise ArgumentTypeError("nn.wiring-result", layer=layer, name=name, given=shown(value))


class Parallel(_Numbered):
    """What several branches make of the same input, joined.

        y = [f_0(x), f_1(x), ...] along an axis, or f_0(x) + f_1(x) + ...

    Parameters
        branches : modules that take the same input; or one dict of names and modules.
        combine : "concatenate" or "sum".
        axis : the axis that "concatenate" joins along; 1 is that of channels.
    Raises
        ShapeError: when called, if what a branch gives does not fit what the first one gives. Nothing is broadcast.
        ArgumentTypeError: something is not a Module.
    Source
        Szegedy et al., Going deeper with convolutions, CVPR 2015, figure 2, for "concatenate".
    Examples
        >>> from pellucid import nn
        >>> nn.Parallel(nn.Linear(4, 8), nn.Sequential(nn.Linear(4, 2), nn.ReLU()))(pl.ones((3, 4))).shape
        (3, 10)
    """

    def __init__(self, *branches: Any, combine: str = "concatenate", axis: int = 1) -> None:
        check("Parallel: combine", combine, Options("concatenate", "sum"))
        check("Parallel: axis", axis, Integer())
        self.combine, self.axis = combine, int(axis)
        named = branches[0] if len(branches) == 1 and isinstance(branches[0], Mapping) else dict(enumerate(branches))
        if not named:
            raise ArgumentError("nn.wiring-empty", layer="Parallel")
        for name, branch in named.items():
            if not isinstance(branch, Module):
                raise not_a_module("Parallel", repr(name) if isinstance(name, str) else f"[{name}]", branch)
            self.add_module(str(name), branch)
        self._ensure_names()
        self._features_after(None)

    def forward(self, x: Any) -> Tensor:
        """x -> what the branches give, joined."""
        names = [name for name, _ in self._own("module")]
        results = [branch(x) for branch in self._items()]
        first: Tensor = results[0]
        for name, result in zip(names, results, strict=True):
            _check_tensor("Parallel", name, result)
            self._check(names[0], first.shape, name, result.shape)
        if self.combine == "concatenate":
            return concatenate(results, axis=self.axis)
        y: Tensor = first
        for other in results[1:]:
            y = y + other
        return y

    def _check(self, first: str, shape: Shape, name: str, given: Shape) -> None:
        """Raise unless the shape of a branch fits that of the first one."""
        if self.combine == "concatenate":
            axis = one_axis("Parallel", self.axis, len(shape))
            fits = len(given) == len(shape) and all(
                a == b for n, (a, b) in enumerate(zip(given, shape, strict=True)) if n != axis
            )
        else:
            axis, fits = None, given == shape
        if not fits:
            raise ShapeError(f"nn.parallel-{self.combine}", first=first, shape=shape, name=name, given=given, axis=axis)

    def _sliced(self, index: slice) -> Parallel:
        part = Parallel.__new__(Parallel)
        part.combine, part.axis = self.combine, self.axis
        for name, branch in list(self._own("module"))[index]:
            part.add_module(name, branch)
        return part

    def _features_after(self, given: int | None) -> int | None:
        features = [branch._features_after(given) for branch in self._items()]
        if self.combine == "sum":
            known = [(n, f) for n, f in enumerate(features) if f is not None]
            for n, f in known[1:]:
                if f != known[0][1]:
                    names = [name for name, _ in self._own("module")]
                    facts = {"first": names[known[0][0]], "shape": known[0][1], "name": names[n], "given": f}
                    raise ShapeError("nn.parallel-features", **facts)
            return known[0][1] if known else None
        # Features are the last axis; whether that is the one joined along is known before the first call for -1 alone.
        return sum(f for f in features if f) if self.axis == -1 and None not in features else None

    def extra_repr(self) -> str:
        return f'combine="{self.combine}"' + (f", axis={self.axis}" if self.combine == "concatenate" else "")
