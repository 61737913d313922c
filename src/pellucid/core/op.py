"""The record of an operation. Everything that pellucid knows of an operation is read from here: the eager value, the
shape rule, the gradient, the cost, the printed formula, the kernel for the compiler, the ONNX name. The families of
`ops/_families` fill most fields from a short declaration; a field that is missing fails at import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pellucid._typing import Array
from pellucid.core.spec import Spec


@dataclass(frozen=True)
class NONE:
    """ "There is none", with the reason: the only way to leave a field of an Op empty."""

    why: str


class Cost(NamedTuple):
    """Work of one operation, counted from its declaration.

    macs: multiply-accumulates of a contraction (each is two flops).
    flops: other additions, multiplications, divisions, comparisons and selections.
    special: evaluations of exp, log, tanh, sqrt and the like.
    """

    macs: int = 0
    flops: int = 0
    special: int = 0

    def __add__(self, other: Cost) -> Cost:  # type: ignore[override]
        return Cost(self.macs + other.macs, self.flops + other.flops, self.special + other.special)


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """One operation with exactly one output.

    name: the word users call it by.
    family: elementwise, contraction, convolution, reduction, pooling, movement or random.
    value(*arrays, **attrs) -> array: the eager result in NumPy.
    spec(*specs, **attrs) -> Spec: shape and dtype of the result; raises the clear error for inputs that do not fit.
    vjp(i, g, y, xs, attrs) -> Tensor or None: gradient of input i from the gradient g of the output y, in Tensor
        operations.
    cost(specs, out, attrs) -> Cost: counted work.
    formula(specs, attrs) -> str: the mathematics as a line of text, which can be evaluated.
    kernel: what the compiler reads: a scalar body, an index formula, an index map, or a combination with its identity.
    onnx: name of the ONNX operator, or a function that builds it.
    """

    name: str
    family: str
    value: Callable[..., Array]
    spec: Callable[..., Spec]
    vjp: Callable[..., Any] | NONE
    cost: Callable[..., Cost]
    formula: Callable[..., str]
    kernel: Any
    onnx: str | Callable[..., Any] | NONE
    attrs: Mapping[str, Any]
    doc: str

    def __post_init__(self) -> None:
        for field in ("name", "family", "doc"):
            if not getattr(self, field):
                raise TypeError(f"op {self.name!r} has no {field}")
        for field in ("value", "spec", "cost", "formula"):
            if not callable(getattr(self, field)):
                raise TypeError(f"op {self.name!r}: {field} is not callable")
        for field in ("vjp", "kernel", "onnx"):
            if getattr(self, field) is None:
                raise TypeError(f"op {self.name!r}: {field} is missing; where there is none, say NONE('why')")

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Op:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_registered, (self.name,))


def _registered(name: str) -> Op:
    return REGISTRY[name]


class Composite(NamedTuple):
    """A function of other operations that keeps its name as a scope in recorded graphs."""

    name: str
    function: Callable[..., Any]
    formula: str
    onnx: str | Callable[..., Any] | NONE
    doc: str


REGISTRY: dict[str, Op] = {}
"""Every primitive operation by name: the closed set of which graphs and model files are made."""

COMPOSITES: dict[str, Composite] = {}
"""Every composite by name."""


def register(op: Op) -> Op:
    """Enter an op into the registry, once."""
    if op.name in REGISTRY or op.name in COMPOSITES:
        raise TypeError(f"op {op.name!r} is declared twice")
    REGISTRY[op.name] = op
    return op


def register_composite(composite: Composite) -> Composite:
    """Enter a composite into the registry, once."""
    if composite.name in REGISTRY or composite.name in COMPOSITES:
        raise TypeError(f"op {composite.name!r} is declared twice")
    COMPOSITES[composite.name] = composite
    return composite
