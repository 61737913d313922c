"""Module, the base of every layer and network, and Parameter, a Tensor that is trained. Layers and users' networks derive from Module; `fit`,
optimizers, files and reports read it through its iterators.

What a module is made of lives in its own attributes; `_kinds` notes which of them are parameters, buffers and submodules, in order of
registration. So reading `self.weight` costs no more than any attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Literal, TypeVar

import numpy as np

from pellucid._typing import DType
from pellucid.core.check import Flag, check, closest
from pellucid.core.context import quiet, state
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ModelError, NoAttributeError, PellucidError, warn
from pellucid.nn._calls import RemovableHandle, as_inputs, calls
from pellucid.nn._state_dict import LoadResult, load

M = TypeVar("M", bound="Module")
Kind = Literal["parameter", "buffer", "temporary buffer", "module"]

_numbers = count()
# Counts registrations in all modules, so that a network knows when the names of its parts have to be worked out anew.
_structure = 0


class Parameter(Tensor):
    """A Tensor that is trained: a Module that has it as an attribute lists it, saves it and hands it to the optimizer.

    Parameters
        data : Tensor, array or nested lists of numbers; shared, not copied.
        requires_grad : False for one that stays as it is.
        dtype : float32 or float64; None as for a Tensor.
    """

    def __init__(self, data: Any, requires_grad: bool = True, dtype: Any = None) -> None:
        super().__init__(data, dtype, requires_grad)


class Module:
    """A part of a network: parameters, buffers, submodules, and `forward`, which computes with them.

    Parameters, Modules and (by `register_buffer`) buffers become part of it when they are assigned to an attribute. Calling the module
    runs `forward`, after turning arrays and lists into Tensors of the network's dtype.

    Examples
        >>> from pellucid import nn
        >>> class Double(nn.Module):
        ...     def __init__(self):
        ...         self.scale = nn.Parameter([2.0])
        ...     def forward(self, x):
        ...         return x * self.scale
        >>> Double()([[1.0, 2.5]]).tolist()
        [[2.0, 5.0]]
    """

    training: bool
    # Whether its first argument holds whole numbers that must stay so, such as the indices of an Embedding.
    takes_indices = False

    # The name that the outermost network gave it; "" before, and for that network itself.
    _path = ""
    _named_at = -1
    _kinds: dict[str, Kind]
    _hooks: dict[int, Any]
    _pre_hooks: dict[int, Any]
    _hooked: bool

    def __new__(cls: type[M], *args: Any, **kwargs: Any) -> M:
        # Here and not in __init__, so that a subclass that forgets super().__init__() is none the worse.
        module = object.__new__(cls)
        vars(module).update(training=True, _kinds={}, _hooks={}, _pre_hooks={}, _hooked=False)
        return module

    # Calls

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; a subclass writes it.

        Raises
            ModelError: the subclass has none.
        """
        raise ModelError("nn.no-forward", module=type(self).__name__)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if calls.root is None:
            return self._call_from_outside(args, kwargs)
        if self._hooked or state.recorder is not None:
            return self._call_observed(args, kwargs)
        try:
            return self.forward(*args, **kwargs)
        except PellucidError as error:
            self._blame(error)
            raise

    def _call_from_outside(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._named_at != _structure:
            self._name_parts()
        for x in args:
            if not isinstance(x, Tensor):
                args = as_inputs(args, self._float_dtype(), any(m.takes_indices for m in self.modules()))
                break
        calls.root = self
        try:
            with quiet():
                return self.__call__(*args, **kwargs)
        finally:
            calls.root = None

    def _call_observed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        recorder = state.recorder
        if recorder is not None:
            outermost = calls.root is self
            recorder.enter_scope(type(self).__name__ if outermost else self._path.rpartition(".")[2] or type(self).__name__)
        try:
            for hook, with_kwargs in list(self._pre_hooks.values()):
                changed = hook(self, args, kwargs) if with_kwargs else hook(self, args)
                if changed is not None:
                    if with_kwargs:
                        args, kwargs = changed
                    else:
                        args = changed if isinstance(changed, tuple) else (changed,)
            output = self.forward(*args, **kwargs)
            for hook, with_kwargs in list(self._hooks.values()):
                changed = hook(self, args, kwargs, output) if with_kwargs else hook(self, args, output)
                if changed is not None:
                    output = changed
            return output
        except PellucidError as error:
            self._blame(error)
            raise
        finally:
            if recorder is not None:
                recorder.leave_scope()

    def _blame(self, error: PellucidError) -> None:
        """Say in an error that passes through that it happened here."""
        path = f'"{self._path}" ' if self._path else ""
        leaf = "module" not in self._kinds.values()
        error.add_layer(path + (repr(self) if leaf else type(self).__name__))

    def _float_dtype(self) -> DType | None:
        """The dtype of the first floating parameter, or None without one."""
        for p in self.parameters():
            if p.data.dtype.kind == "f":
                return p.data.dtype
        return None

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each `forward`; what it returns, unless None, replaces the output.

        With `with_kwargs` it is called as `hook(module, args, kwargs, output)`; with `prepend` before the hooks there are.
        """
        return self._add_hook(self._hooks, hook, prepend, with_kwargs)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before each `forward`; what it returns, unless None, replaces the arguments."""
        return self._add_hook(self._pre_hooks, hook, prepend, with_kwargs)

    def _add_hook(
        self, hooks: dict[int, Any], hook: Callable[..., Any], prepend: bool, with_kwargs: bool
    ) -> RemovableHandle:
        number = next(_numbers)
        before = dict(hooks)
        if prepend:
            hooks.clear()
        hooks[number] = (hook, with_kwargs)
        hooks.update(before)
        handle = RemovableHandle(hooks, number, self._count_hooks)
        self._count_hooks()
        return handle

    def _count_hooks(self) -> None:
        vars(self)["_hooked"] = bool(self._hooks or self._pre_hooks)

    # Registration

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._register(name, value, "parameter")
        elif isinstance(value, Module):
            self._register(name, value, "module")
        elif name not in self._kinds:
            if isinstance(value, list | tuple | dict) and not name.startswith("_"):
                _warn_of_hidden_parts(type(self).__name__, name, value)
            object.__setattr__(self, name, value)
        elif value is None or (self._kinds[name].endswith("buffer") and isinstance(value, Tensor)):
            vars(self)[name] = value
        else:
            raise ArgumentTypeError(
                "nn.part-type", module=type(self).__name__, name=name, kind=self._kinds[name], type=type(value).__name__
            )

    def __delattr__(self, name: str) -> None:
        global _structure
        if self._kinds.pop(name, None) is not None:
            _structure += 1
        object.__delattr__(self, name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own probing, far too often for a message
            raise AttributeError(name)
        names = [n for n in dir(self) if not n.startswith("_")]
        raise NoAttributeError("core.attribute", module=type(self).__name__, name=name, suggestion=closest(name, names))

    def _register(self, name: str, value: Any, kind: Kind) -> None:
        global _structure
        if not isinstance(name, str) or not name or "." in name:
            raise ArgumentError("nn.part-name", module=type(self).__name__, name=repr(name))
        if name not in self._kinds and hasattr(type(self), name):
            raise ArgumentError("nn.part-name-taken", module=type(self).__name__, name=name)
        if kind == "module" and any(m is self for m in value.modules()):
            raise ModelError("nn.cycle", module=type(self).__name__, name=name)
        if self._kinds.get(name, kind) != kind:
            del self._kinds[name]
        self._kinds[name] = kind
        vars(self)[name] = value
        _structure += 1

    def register_parameter(self, name: str, value: Parameter | None) -> None:
        """Make `value` the parameter `name`; None keeps the name for a parameter that this instance does without."""
        if value is not None and not isinstance(value, Parameter):
            raise ArgumentTypeError(
                "nn.part-type", module=type(self).__name__, name=name, kind="parameter", type=type(value).__name__
            )
        self._register(name, value, "parameter")

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make `tensor` part of the state that is not trained, such as running statistics; it changes by `.assign`.

        Parameters
            tensor : Tensor, array, numbers or None.
            persistent : whether `state_dict` holds it.
        """
        value = tensor if tensor is None or isinstance(tensor, Tensor) else Tensor(tensor)
        self._register(name, value, "buffer" if persistent else "temporary buffer")

    def add_module(self, name: str, module: Module | None) -> None:
        """Make `module` the submodule `name`."""
        if module is not None and not isinstance(module, Module):
            raise _not_a_module(type(self).__name__, name, module)
        self._register(name, module if module is not None else _Absent(), "module")

    register_module = add_module

    # What it is made of

    def _own(self, *kinds: Kind) -> Iterator[tuple[str, Any]]:
        """Names and values of the module's own parts of these kinds; parts that are None are left out."""
        values = vars(self)
        for name, kind in list(self._kinds.items()):
            if kind in kinds and values[name] is not None:
                yield name, values[name]
