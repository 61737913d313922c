"""The public function of an operation, made from its declaration: positional tensors, keyword attributes with their
defaults, and a docstring that starts with the declared one and the formula printed from the op.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from pellucid.core.check import bad_call
from pellucid.core.op import Op
from pellucid.core.tensor import Tensor, apply


def public(op: Op, declared: Callable[..., Any], names: list[str], attrs: dict[str, Any]) -> Callable[..., Tensor]:
    """A function that applies `op` to the inputs `names` and the attributes `attrs` (name -> default)."""
    function: Any
    if not attrs and len(names) == 1:

        def unary(x: Any, /) -> Tensor:
            return apply(op, [x], {})

        function = unary
    elif not attrs and len(names) == 2:

        def binary(x1: Any, x2: Any, /) -> Tensor:
            return apply(op, [x1, x2], {})

        function = binary
    elif not attrs and len(names) == 3:

        def ternary(x1: Any, x2: Any, x3: Any, /) -> Tensor:
            return apply(op, [x1, x2, x3], {})

        function = ternary
    else:
        required = inspect.Parameter.empty
        defaults = {k: v for k, v in attrs.items() if v is not required}

        def general(*inputs: Any, **given: Any) -> Tensor:
            if len(inputs) != len(names) or not given.keys() <= attrs.keys():
                raise bad_call(op.name, function.__signature__, inputs, given)
            return apply(op, list(inputs), {**defaults, **given})

        function = general
    function.__name__ = function.__qualname__ = op.name
    function.__module__ = declared.__module__
    function.__doc__ = documented(op.doc, op.formula())
    parameters = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names]
    parameters += [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=v) for k, v in attrs.items()]
    function.__signature__ = inspect.Signature(parameters)
    function.op = op
    result: Callable[..., Tensor] = function
    return result


def documented(doc: str, formula: str) -> str:
    """The declared docstring with the formula after its first line."""
    first, _, rest = doc.partition("\n")
    return f"{first}\n\n    {formula}\n{rest}"
