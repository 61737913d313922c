"""Names and arguments that PyTorch's users know and that are called otherwise here. A name that was not found, or a
call that did not fit, comes in; the error that says what to write instead leaves. Tensor, the modules of the package
and the functions of `ops` call it when something has gone wrong, never before.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar

from pellucid.core.check import bad_call, called, closest
from pellucid.errors import NoAttributeError, PellucidError

F = TypeVar("F", bound=Callable[..., Any])

OF_TENSORS = {
    "add_": "x += y",
    "sub_": "x -= y",
    "mul_": "x *= y",
    "div_": "x /= y",
    "copy_": "x[...] = y",
    "fill_": "x[...] = value",
    "zero_": "x[...] = 0",
    "clamp_": "x[...] = x.clip(low, high)",
    "normal_": "pellucid.nn.init.normal_(x)",
    "uniform_": "pellucid.nn.init.uniform_(x)",
    "detach_": "x.detach()",
    "sub": "x - y",
    "mul": "x * y",
    "div": "x / y",
    "pow": "x ** y",
    "mm": "x @ y.T",
    "bmm": "x @ y.mT",
    "eq": "x == y",
    "ne": "x != y",
    "lt": "x < y",
    "le": "x <= y",
    "gt": "x > y",
    "ge": "x >= y",
    "t": "x.T",
    "dim": "x.ndim",
    "ndimension": "x.ndim",
    "numel": "x.size",
    "nelement": "x.size",
    "to": "x.astype(dtype)",
    "type": "x.astype(dtype)",
    "type_as": "x.astype(y.dtype)",
    "int": 'x.astype("int32")',
    "bool": 'x.astype("bool")',
    "expand": "x.broadcast_to(shape)",
    "expand_as": "x.broadcast_to(y.shape)",
    "view_as": "x.reshape(y.shape)",
    "reshape_as": "x.reshape(y.shape)",
    "masked_fill": "pellucid.where(mask, value, x)",
    "index_select": "x.take(indices, axis)",
    "select": "x.take(0, axis)",
    "clamp": "x.clip(low, high)",
    "chunk": "x.split(sections, axis)",
    "unbind": "x.unstack()",
    "amax": "x.max(axis)",
    "amin": "x.min(axis)",
    "new_zeros": "pellucid.zeros(shape, dtype=x.dtype)",
    "new_ones": "pellucid.ones(shape, dtype=x.dtype)",
    "new_tensor": "pellucid.Tensor(value, dtype=x.dtype)",
}
"""What to write instead of a method or attribute of PyTorch's Tensor; every line is run by the tests."""

OF_THE_PACKAGE = {
    "cat": "pellucid.concatenate",
    "randn": "pellucid.normal(shape=shape)",
    "rand": "pellucid.uniform(shape=shape)",
    "randint": "pellucid.integers(0, 10, shape)",
    "randperm": "pellucid.permutation(10)",
    "mm": "pellucid.matmul",
    "bmm": "pellucid.matmul",
    "from_numpy": "pellucid.Tensor",
    "as_tensor": "pellucid.asarray",
    "is_tensor": "isinstance(x, pellucid.Tensor)",
    "clamp": "pellucid.clip",
    "chunk": "pellucid.split",
    "index_select": "pellucid.take",
    "masked_fill": "pellucid.where",
    "FloatTensor": "pellucid.Tensor",
    "DoubleTensor": "pellucid.Tensor",
    "LongTensor": "pellucid.Tensor",
    "float": "pellucid.float32",
    "double": "pellucid.float64",
    "int": "pellucid.int32",
    "long": "pellucid.int64",
    "inference_mode": "pellucid.no_grad",
    "set_grad_enabled": "pellucid.no_grad",
    "utils": "pellucid.data",
}
"""What to write instead of a function of the namespace `torch`."""

OF_LAYERS = {"type": "module.to(dtype)", "half": "module.to(dtype)", "bfloat16": "module.to(dtype)"}
"""What to write instead of a method of PyTorch's Module."""

OF_NN = {"utils": "pellucid.optim.clip_grad_norm_", "Buffer": "module.register_buffer(name, tensor)"}
"""What to write instead of a name of `torch.nn`."""

OF_FUNCTIONS = {"upsample": "pellucid.nn.functional.interpolate"}
"""What to write instead of a name of `torch.nn.functional`."""

DEVICES = frozenset({"cpu", "cuda", "mps", "xpu", "device", "is_cuda", "get_device", "pin_memory"})
"""Names that have to do with where PyTorch computes."""


def no_attribute(
    owner: str, name: str, names: Iterable[str], elsewhere: Mapping[str, str] | None = None
) -> AttributeError:
    """The error for a name that is not there: what it is called here, else the nearest of `names`.

    Parameters
        owner : what was asked for the name, such as "Tensor" or "pellucid.nn".
        elsewhere : PyTorch's names for what `owner` calls otherwise.
    """
    if name.startswith("__"):  # Python's own probing, far too often for a message
        return AttributeError(name)
    if name in DEVICES:
        return NoAttributeError("core.device", module=owner, name=name)
    suggestion = (elsewhere or {}).get(name) or closest(name, names)
    return NoAttributeError("core.attribute", module=owner, name=name, suggestion=suggestion)


class Elsewhere:
    """A class attribute that is not there: asked for, it says what it is called here. Unlike a `__getattr__` it leaves
    the reading of all other attributes as fast as it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, cls: type) -> Any:
        raise no_attribute(cls.__name__, self.name, (), OF_TENSORS)


def call_error(
    label: str, function: Callable[..., Any], args: Any, kwargs: Any, method: bool = False
) -> PellucidError | None:
    """The error for arguments that `function` does not take, in words; None if it takes them, so that what went wrong
    lies deeper."""
    signature = inspect.signature(function)
    if method:  # what stands before the point is not counted among the arguments
        first, *others = signature.parameters.values()
        signature = signature.replace(parameters=[first.replace(name="self"), *others])
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return bad_call(label, signature, args, kwargs)
    return None


def explains_calls(function: F, name: str | None = None, method: bool = False) -> F:
    """`function` for users, who call it `name`, as a method or as it is: a call that does not fit its signature is
    refused in words. Functions that see to that themselves are returned as they are."""
    if not inspect.isfunction(function) or hasattr(function, "constraints") or hasattr(function, "composite"):
        return function
    label = name or called(function)

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as problem:
            if isinstance(problem, PellucidError):
                raise
            clear = call_error(label, function, args, kwargs, method)
            if clear is None:
                raise
            raise clear from None

    return call  # type: ignore[return-value]


def offered(module: str, names: dict[str, Any], public: Iterable[str], labels: bool = True) -> dict[str, Any]:
    """The public functions of a module as users call them: see `explains_calls`. What cannot be found by the name that
    it carries carries the one that it is offered under, so that it can be pickled.

    Parameters
        names : the module's own
        labels : whether errors call a function by its public name
    """
    found = {}
    for name in public:
        function = explains_calls(names[name], name if labels else None)
        if inspect.isfunction(function):
            known = getattr(sys.modules.get(function.__module__), function.__qualname__, None)
            if known is not function and (function is not names[name] or known is None):
                function.__module__, function.__qualname__ = module, name
        found[name] = function
    return found
