"""Parameters that are computed from others: `register_parametrization` puts functions between what is trained and the
weight that a layer uses. Weight and spectral normalisation are such functions; users write their own.

A layer whose `weight` is parametrized has no parameter of that name any more. What is trained stands in
`layer.parametrizations.weight`, as `original` or, where the function takes several values, `original0`, `original1`;
`layer.weight` computes the weight from it, whenever it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid.core.check import Flag, checked, shown
from pellucid.core.context import no_grad, state
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, ModelError, ShapeError
from pellucid.nn._calls import calls
from pellucid.nn._initial import keep_fingerprint
from pellucid.nn._parts import note_behaviour
from pellucid.nn.containers import ModuleDict
from pellucid.nn.module import Module, Parameter


class Effective(Tensor):
    """The weight that a parametrization gives. Assigning to it, as the functions of `nn.init` do, changes what it is
    computed from."""

    _origin: Parametrized | None = None

    def assign(self, value: Tensor) -> Tensor:
        """Change what the weight is computed from, so far as the parametrization allows; returns self.

        Raises
            ModelError: while a network is running: what was computed from the weight would not know of it.
        """
        if self._origin is None:
            return super().assign(value)
        if calls.root is not None or state.recorder is not None:
            raise ModelError("nn.parametrized-write", name=self._origin._path or "weight")
        self._origin.assign(value)
        with no_grad():
            return super().assign(wrap(self._origin().data))


class Parametrized(Module):
    """A weight in the making: the values that are trained, and the functions that they go through.

    Parameters
        weight : the parameter as it was.
        parametrization : see `register_parametrization`.
    Attributes
        original : Parameter; or original0, original1, ... where the first function takes several.
    """

    def __init__(self, weight: Parameter, parametrization: Module) -> None:
        self.shape = weight.shape
        with _as_they_were([weight]), no_grad():
            values = _inverse(parametrization, weight)
            if isinstance(values, tuple | list):
                for n, value in enumerate(values):
                    own = Parameter(np.array(as_tensor(value).data), weight.requires_grad, weight.dtype)
                    self.register_parameter(f"original{n}", own)
            else:
                # The same object as before: an optimizer that has it goes on training it.
                self.register_parameter("original", weight)
                if values is not weight:
                    weight.assign(as_tensor(values))
            self.append(parametrization)

    def append(self, parametrization: Module) -> None:
        """Add a function after those that there are.

        Raises
            ShapeError: it gives another shape than the weight's.
            ModelError: it gives no Tensor, or another dtype.
        """
        self.add_module(str(len(self._functions())), parametrization)
        with no_grad():
            made = self()
        name, dtype = type(parametrization).__name__, self._originals()[0].dtype
        if not isinstance(made, Tensor) or made.dtype != dtype:
            given = shown(wrap(made.data) if isinstance(made, Tensor) else made)
            raise ModelError("nn.parametrize-result", name=name, given=given, dtype=dtype)
        if made.shape != self.shape:
            raise ShapeError("nn.parametrize-shape", name=name, given=made.shape, expected=self.shape)

    def forward(self) -> Tensor:
        """The weight."""
        first, *others = self._functions()
        y = first(*self._originals())
        for function in others:
            y = function(y)
        if type(y) is Tensor and not any(y is buffer for buffer in self.buffers()):
            y.__class__ = Effective
            y._origin = self  # type: ignore[attr-defined]
        return y  # type: ignore[no-any-return]

    def assign(self, value: Any) -> None:
        """Make the weight `value`, so far as the functions can give it: each is gone through backwards.

        Raises
            ModelError: a function has no `right_inverse`.
            ShapeError: the shape differs.
        """
        originals = self._originals()
        value = as_tensor(value, originals[0].dtype)
        if value.shape != self.shape:
            raise ShapeError("core.assign", given=value.shape, expected=self.shape)
        with no_grad():
            for function in reversed(self._functions()):
                if not hasattr(type(function), "right_inverse"):
                    raise ModelError("nn.parametrize-no-inverse", name=type(function).__name__)
                value = _inverse(function, value)
            for own, new in zip(originals, value if isinstance(value, tuple | list) else [value], strict=True):
                own.assign(wrap(np.array(as_tensor(new).data)))
        note_behaviour()

    def _functions(self) -> list[Module]:
        return [module for _, module in self._own("module")]

    def _originals(self) -> list[Parameter]:
        return [parameter for _, parameter in self._own("parameter")]


@contextmanager
def _as_they_were(originals: list[Parameter]) -> Iterator[None]:
    """Undo what happens to parameters inside if it ends in an error."""
    before = [p.data.copy() for p in originals]
    try:
        yield
    except Exception:
        for p, array in zip(originals, before, strict=True):
            p.assign(wrap(array))
        raise


def _inverse(parametrization: Module, weight: Tensor) -> Any:
    """What a parametrization takes to give `weight`: what its `right_inverse` says, else the weight itself."""
    return parametrization.right_inverse(weight) if hasattr(type(parametrization), "right_inverse") else weight


def register_parametrization(module: Module, tensor_name: str, parametrization: Module) -> Module:
    """Let a parameter of a layer be computed: `module.weight` becomes `parametrization(original)`.

    Where the parametrization has a method `right_inverse(weight)`, training starts from what it returns: a Tensor, or a
    tuple of several for a parametrization that takes several. Without one the weight as it is becomes the original. A
    second parametrization takes what the first one gives.

    Parameters
        module : the layer; changed, and returned.
        tensor_name : the name of a parameter of its own, such as "weight".
        parametrization : a Module from the original to a Tensor of the weight's shape and dtype.
    Raises
        NoAttributeError: the layer has no parameter of that name.
        ShapeError, ModelError: the parametrization gives another shape or dtype; the layer stays as it was.
    Examples
        >>> from pellucid import nn
        >>> class Symmetric(nn.Module):
        ...     def forward(self, x):
        ...         return pl.triu(x) + pl.triu(x, 1).T
        >>> layer = nn.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
        >>> bool((layer.weight == layer.weight.T).all())
        True
        >>> [name for name, _ in layer.named_parameters()]
        ['bias', 'parametrizations.weight.original']
    """
    check_module("register_parametrization: module", module)
    check_module("register_parametrization: parametrization", parametrization)
    if tensor_name in module._parametrized:
        _append(module, tensor_name, parametrization)
        return module
    weight = module._part(tensor_name, "parameter")
    with keep_fingerprint(module):
        made = Parametrized(weight, parametrization)
        if "parametrizations" not in module._kinds:
            module.parametrizations = ModuleDict()
        module.parametrizations[tensor_name] = made
        delattr(module, tensor_name)
        module._parametrized = (*module._parametrized, tensor_name)
    return module


def _append(module: Module, tensor_name: str, parametrization: Module) -> None:
    """Add a second parametrization to a weight; with its inverse the weight stays what it was."""
    made: Parametrized = module.parametrizations[tensor_name]
    place = str(len(made._functions()))
    with keep_fingerprint(module), _as_they_were(made._originals()), no_grad():
        before = made()
        value = _inverse(parametrization, before)
        if isinstance(value, tuple | list):
            raise ModelError("nn.parametrize-several", name=type(parametrization).__name__, count=len(value))
        if value is not before:
            made.assign(value)
        try:
            made.append(parametrization)
        except Exception:
            delattr(made, place)
            raise


def check_module(name: str, value: Any) -> None:
    """Raise unless an argument is a Module.

    Raises
        ArgumentTypeError: it is not.
    """
    if not isinstance(value, Module):
        raise ArgumentTypeError(
            "core.type", name=name, value=shown(value), type=type(value).__name__, expected="Module"
        )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a weight of a layer, or with None any of them, is computed by a parametrization."""
    check_module("is_parametrized: module", module)
    return bool(module._parametrized) if tensor_name is None else tensor_name in module._parametrized


@checked(leave_parametrized=Flag())
def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a parametrized weight a parameter again.

    Parameters
        module : the layer; changed, and returned.
        tensor_name : the name of the weight.
        leave_parametrized : whether the parameter is what the parametrization gives now; else it is the original.
    Raises
        ArgumentError: the layer has no such parametrized weight, or there are several originals to go back to.
    """
    check_module("remove_parametrizations: module", module)
    if tensor_name not in module._parametrized:
        names = ", ".join(module._parametrized)
        raise ArgumentError("nn.not-parametrized", module=type(module).__name__, name=tensor_name, options=names)
    made: Parametrized = module.parametrizations[tensor_name]
    originals = made._originals()
    if not leave_parametrized and len(originals) > 1:
        raise ArgumentError("nn.parametrize-originals", name=tensor_name, count=len(originals))
    with keep_fingerprint(module):
        with no_grad():
            value = np.array(made().data)
        # A single original stays the same object: an optimizer that has it goes on training it.
        weight = originals[0] if len(originals) == 1 else Parameter(value, originals[0].requires_grad)
        if leave_parametrized and len(originals) == 1:
            weight.assign(wrap(value))
        del module.parametrizations[tensor_name]
        if not len(module.parametrizations):
            del module.parametrizations
        module._parametrized = tuple(name for name in module._parametrized if name != tensor_name)
        module.register_parameter(tensor_name, weight)
    return module


__all__ = ["Parametrized", "is_parametrized", "register_parametrization", "remove_parametrizations"]
