"""Module, the base of every layer and network: how it is called, hooked, saved, cast and printed. Layers and users'
networks derive from it; `fit`, optimizers, files and reports read it through its iterators. What it is made of is kept
by `_parts.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np

from pellucid._typing import DType, Shape
from pellucid.core.check import Flag, check
from pellucid.core.context import quiet, state
from pellucid.core.other_names import DEVICES
from pellucid.core.same import Same, is_plain
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, DTypeError, ModelError, PellucidError
from pellucid.nn import _parts
from pellucid.nn._calls import RemovableHandle, as_inputs, calls
from pellucid.nn._parts import OF_THIS_OBJECT, Parameter, Parts, joined, note_behaviour
from pellucid.nn._state_dict import LoadResult, load

__all__ = ["Module", "Parameter"]

_numbers = count()

# Attributes that follow from others, or that no `forward` reads, and those that `behaviour` looks at by their entries.
_NO_OPTIONS = frozenset(
    (*OF_THIS_OBJECT, "_path", "_hooked", "_drawn", "_warned", "inputs_seen", "_kinds", "_hooks", "_pre_hooks")
)


class Module(Parts):
    """A part of a network: parameters, buffers, submodules, and `forward`, which computes with them.

    Parameters, Modules and (by `register_buffer`) buffers become part of it when they are assigned to an attribute.
    Calling the module runs `forward`, after turning arrays and lists into Tensors of the network's dtype.

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

    # Whether its first argument holds whole numbers that must stay so, such as the indices of an Embedding.
    takes_indices = False
    # Whether it may stand between a layer and its activation: dropout, normalisation and the like.
    between_layers = False
    # Shape of a row and dtype of each Tensor that it was last called with from outside: a file is written for such.
    inputs_seen: Sequence[tuple[Shape, DType]] = ()

    # Worked out by `behaviour`: when, what, and the parameters.
    _behaviour: Any = None

    # Worked out for raw inputs: the count of registrations it holds for, the first floating parameter, indices or not.
    _entry: Any = None

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
        self._ensure_names()
        for x in args:
            if not isinstance(x, Tensor) or x._is_raw:
                args = as_inputs(args, *self._what_it_takes())
                break
        calls.root = self
        try:
            with quiet():
                output = self.__call__(*args, **kwargs)
        finally:
            calls.root = None
        if self._kinds:
            vars(self)["inputs_seen"] = [(x.data.shape[1:], x.data.dtype) for x in args if isinstance(x, Tensor)]
        return output

    def _call_observed(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        recorder = state.recorder
        if recorder is not None:
            recorder.uses(self)
            outermost = calls.root is self
            recorder.enter_scope(
                type(self).__name__ if outermost else self._path.rpartition(".")[2] or type(self).__name__
            )
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
        error.add_layer(path + self._label())

    def _label(self) -> str:
        """The module in a message: its repr in one line, a network by its class alone."""
        return type(self).__name__ if "module" in self._kinds.values() else repr(self)

    def _what_it_takes(self) -> tuple[DType | None, bool]:
        """The dtype of the first floating parameter (None without one), and whether any layer takes indices."""
        if self._entry is None or self._entry[0] != self._named_at:
            first = next((p for p in self.parameters() if p.data.dtype.kind == "f"), None)
            vars(self)["_entry"] = (self._named_at, first, any(m.takes_indices for m in self.modules()))
        _, parameter, indices = self._entry
        return None if parameter is None else parameter.data.dtype, indices

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after each `forward`; what it returns, unless None, replaces the output.

        With `with_kwargs` it is called as `hook(module, args, kwargs, output)`; with `prepend` before the hooks there
        are.
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
        note_behaviour()

    # State

    def state_dict(self, prefix: str = "") -> dict[str, Tensor]:
        """Copies of all parameters and persistent buffers by full name, as PyTorch names them.

        Unlike PyTorch's they are copies: training on does not change a state dict that was put aside.
        """
        return {name: wrap(value.data.copy()) for name, value in self._state(prefix)}

    def _state(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules(prefix.removesuffix("."), remove_duplicate=False):
            for kind in ("parameter", "buffer"):
                for name, value in module._own(kind):
                    yield joined(path, name), value

    def load_state_dict(self, state_dict: Any, strict: bool = True) -> LoadResult:
        """Take over the values of a state dict: ours, PyTorch's, or any mapping of names to arrays. All are checked
        first, then all copied.

        Parameters
            strict : whether missing and unexpected names are errors; shapes always are.
        Returns
            The missing and the unexpected names.
        Raises
            ModelError: names or shapes differ; all differences are listed, nothing is changed.
        """
        result = load(dict(self._state()), state_dict, strict, type(self).__name__)
        for path, module in self.named_modules(remove_duplicate=False):
            if any(joined(path, name) in state_dict for name in module._kinds):
                module._loaded()
        return result

    def _loaded(self) -> None:
        """Called after values of the module's own were loaded."""

    # Changes to the whole

    def train(self, mode: bool = True) -> Module:
        """Make it and everything inside it behave as in training (dropout, batch statistics); returns self."""
        check("train: mode", mode, Flag())
        for module in self.modules():
            vars(module)["training"] = bool(mode)
        note_behaviour()
        return self

    def behaviour(self) -> tuple[Any, ...]:
        """Everything besides the tensors' values that its `forward` may depend on: parts, modes, options, what other
        attributes stand for, hooks, which parameters are trained. A compiled function is recorded anew where it
        differs."""
        changes = self._behaviour_changes()
        if self._behaviour is None or self._behaviour[0] != changes:
            modules = list(self.modules())
            options = tuple(
                (name, repr(value) if is_plain(value) else Same(value))
                for m in modules
                for name, value in vars(m).items()
                if name not in _NO_OPTIONS
            )
            hooks = tuple(key for m in modules for key in (*m._hooks, *m._pre_hooks))
            vars(self)["_behaviour"] = (changes, (options, hooks), list(self.parameters()))
        _, found, parameters = self._behaviour
        return found, tuple([p.requires_grad for p in parameters])

    @staticmethod
    def _behaviour_changes() -> tuple[object, int]:
        """Another one after each change of any module that `behaviour` may show, but for which parameters are trained:
        a look at two marks, where nothing has changed."""
        return _parts._behaviour_changes, _parts.structure

    def eval(self) -> Module:
        """Make it and everything inside it behave as in use; returns self."""
        return self.train(False)

    def apply(self, function: Callable[[Module], Any]) -> Module:
        """Call `function` with every module inside, children first, and with itself; returns self."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Train all parameters, or with False keep them as they are; returns self."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients, or with `set_to_none=False` make them zeros."""
        if state.recorder is not None and not set_to_none:
            state.recorder.beside("zero_grad(set_to_none=False)")
        for p in self.parameters():
            p.grad = None if set_to_none or p.grad is None else wrap(np.zeros_like(p.data))
            p._used_grad = None

    def to(self, dtype: Any) -> Module:
        """Cast all floating parameters and buffers, and their gradients, to a float dtype; returns self.

        Raises
            DTypeError: not a float dtype.
            ArgumentError: the name of a device.
        """
        if isinstance(dtype, str) and dtype.partition(":")[0] in DEVICES:
            raise ArgumentError("core.device", module=type(self).__name__, name=f"to({dtype!r})")
        try:
            wanted = np.dtype(dtype)
        except TypeError:
            raise DTypeError("core.unknown-dtype", dtype=repr(dtype)) from None
        if wanted.kind != "f":
            raise DTypeError("core.grad-dtype", dtype=wanted)
        for tensor in [*self.parameters(), *self.buffers()]:
            for t in (tensor, tensor.grad):
                if t is not None and t.data.dtype.kind == "f":
                    t.data = t.data.astype(wanted, copy=False)
        return self

    def float(self) -> Module:
        """Cast to float32; returns self."""
        return self.to(np.float32)

    def double(self) -> Module:
        """Cast to float64; returns self."""
        return self.to(np.float64)

    def _features_after(self, given: int | None) -> int | None:
        """How many features (the last axis) leave when `given` enter; None where that is not known beforehand.

        A layer that knows what it takes says so here, so that a network whose layers do not fit is refused when it is
        built.

        Raises
            ShapeError: it cannot take that many.
        """
        return None

    # In words

    def extra_repr(self) -> str:
        """What stands between the parentheses of its repr; a layer writes its arguments."""
        return ""

    def __repr__(self) -> str:
        extra, name = self.extra_repr(), type(self).__name__
        children = [f"({key}): " + repr(module).replace("\n", "\n  ") for key, module in self._own("module")]
        if not children:
            return f"{name}({extra})"
        return f"{name}(\n  " + "\n  ".join([*filter(None, [extra]), *children]) + "\n)"
