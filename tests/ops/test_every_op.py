"""Walks the registry: every primitive and every composite of `ops` is checked against oracles that its declaration does
not share, and each check is shown to catch a planted fault.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import pellucid.nn
import pellucid.optim  # noqa: F401
from pellucid.core.op import COMPOSITES, NONE, REGISTRY, Cost, Op
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor, apply
from tests.ops import checks
from tests.ops.samples import COMPOSITES as COMPOSITE_SAMPLES
from tests.ops.samples import SAMPLES, Sample
from tests.ops.samples.composite import FORMULAS as COMPOSITE_FORMULAS

# The tests of nn compare its layers and losses, composites too, with PyTorch.
OWN = {name: c for name, c in COMPOSITES.items() if c.function.__module__.startswith("pellucid.ops")}


def each(family: str | None = None) -> Iterator[Any]:
    for name, op in REGISTRY.items():
        if family is None or op.family == family:
            for n, sample in enumerate(SAMPLES.get(name, ())):
                yield pytest.param(op, sample, id=f"{name}-{n}")


def each_composite() -> Iterator[Any]:
    for name, composite in OWN.items():
        for n, sample in enumerate(COMPOSITE_SAMPLES.get(name, ())):
            yield pytest.param(composite, sample, id=f"{name}-{n}")


@pytest.mark.parametrize("name", REGISTRY)
def test_a_primitive_has_samples(name: str) -> None:
    assert SAMPLES.get(name), f"write samples of {name} in tests/ops/samples"


@pytest.mark.parametrize("name", OWN)
def test_a_composite_has_samples(name: str) -> None:
    assert COMPOSITE_SAMPLES.get(name), f"write samples of {name} in tests/ops/samples/composite.py"


def test_no_sample_is_of_an_operation_that_is_gone() -> None:
    assert set(SAMPLES) == set(REGISTRY)
    assert set(COMPOSITE_SAMPLES) == set(OWN)


@pytest.mark.parametrize("name", REGISTRY)
def test_a_differentiable_primitive_has_a_smooth_sample(name: str) -> None:
    op = REGISTRY[name]
    if not isinstance(op.vjp, NONE) and name != "nextafter":  # whose derivative is that of a step of the last bit
        assert any(checks.differentiable(op, s) for s in SAMPLES[name])


@pytest.mark.parametrize(("op", "sample"), [*each(), *each_composite()])
def test_value(op: Any, sample: Sample) -> None:
    checks.check_value(op, sample)


@pytest.mark.parametrize(("op", "sample"), list(each()))
def test_shape_and_dtype(op: Op, sample: Sample) -> None:
    checks.check_spec(op, sample)


@pytest.mark.parametrize("name", [n for n, op in REGISTRY.items() if op.family == "elementwise"])
def test_dtypes_meet_as_the_shape_rule_says(name: str) -> None:
    checks.check_dtypes(REGISTRY[name])


@pytest.mark.parametrize(("op", "sample"), [*each(), *each_composite()])
def test_gradient(op: Any, sample: Sample) -> None:
    if checks.differentiable(op, sample):
        checks.check_gradient(op, sample)


@pytest.mark.parametrize(("op", "sample"), [*each(), *each_composite()])
def test_second_order_gradient(op: Any, sample: Sample) -> None:
    if checks.differentiable(op, sample):
        checks.check_second(op, sample)


@pytest.mark.parametrize(("op", "sample"), list(each()))
def test_cost(op: Op, sample: Sample) -> None:
    checks.check_cost(op, sample)


@pytest.mark.parametrize(("op", "sample"), list(each()))
def test_formula(op: Op, sample: Sample) -> None:
    checks.check_formula(op, sample)


@pytest.mark.parametrize("name", OWN)
def test_formula_of_a_composite_is_the_one_that_the_oracle_evaluates(name: str) -> None:
    assert OWN[name].formula == COMPOSITE_FORMULAS[name]


@pytest.mark.parametrize(("op", "sample"), [p for p in each("movement") if callable(p.values[0].kernel)])
def test_index_map(op: Op, sample: Sample) -> None:
    checks.check_index(op, sample)


@pytest.mark.parametrize(("op", "sample"), [p for p in each("reduction") if isinstance(p.values[0].kernel, tuple)])
def test_combination(op: Op, sample: Sample) -> None:
    checks.check_combine(op, sample)


@pytest.mark.parametrize("name", REGISTRY)
def test_documentation(name: str) -> None:
    op = REGISTRY[name]
    assert op.doc.splitlines()[0].strip().endswith(".")
    assert op.onnx
    for field in (op.vjp, op.onnx, op.kernel):
        if isinstance(field, NONE):
            assert field.why.strip()


# One fault for each check, which it must catch.


def first(name: str, number: int = 0) -> Sample:
    return SAMPLES[name][number]


def detached(i: int, g: Tensor, y: Tensor, xs: list[Any], attrs: dict[str, Any]) -> Tensor:
    return g * y.detach()


def fault(what: str, check: Any, name: str, **changed: Any) -> Any:
    return pytest.param(check, replace(REGISTRY[name], **changed), first(name), id=what)


def cost(plain: int, special: int = 0) -> Any:
    return lambda specs, out, kw: Cost(0, plain * out.size, special * out.size)


def text(formula: str) -> Any:
    return lambda specs=None, kw=None: formula


def off_in_float32(x: Any) -> Any:
    return np.exp(x) * (1.001 if x.dtype == np.float32 else 1)


FAULTS = [
    fault("a wrong value", checks.check_value, "exp", value=lambda x: np.exp(x) + 1e-9),
    fault("a wrong value in float32", checks.check_value, "exp", value=off_in_float32),
    fault("a wrong shape", checks.check_value, "exp", value=lambda x: np.exp(x)[None]),
    fault("a wrong dtype rule", checks.check_spec, "exp", spec=lambda x: Spec(x.shape, np.dtype("f8"))),
    fault("a wrong shape rule", checks.check_spec, "exp", spec=lambda x: Spec((*x.shape, 1), x.dtype)),
    fault("a wrong gradient", checks.check_gradient, "exp", vjp=lambda i, g, y, xs, kw: g * y * 1.0001),
    fault(
        "a forgotten input",
        checks.check_gradient,
        "multiply",
        vjp=lambda i, g, y, xs, kw: g * xs[1] if i == 0 else None,
    ),
    fault("a gradient without a history", checks.check_second, "exp", vjp=detached),
    fault("a wrong count", checks.check_cost, "sigmoid", cost=cost(5, 1)),
    fault("a special function counted as plain", checks.check_cost, "exp", cost=cost(1)),
    fault("a product counted without its sum", checks.check_cost, "matmul", cost=lambda specs, out, kw: Cost(out.size)),
    fault(
        "a sum of n counted as n steps", checks.check_cost, "sum", cost=lambda specs, out, kw: Cost(0, specs[0].size)
    ),
    fault("a wrong formula", checks.check_formula, "exp", formula=text("y = exp(x) + 1")),
    fault("a wrong index formula", checks.check_formula, "contract", formula=text("y[i,j] = Σ_k a[i,k]·b[j,k]")),
    fault("a formula that nobody evaluates", checks.check_formula, "flip", formula=text("y[i] = x[n - i]")),
    fault("a wrong index map", checks.check_index, "flip", kernel=lambda i, specs, axis: i),
    fault("a wrong combination", checks.check_combine, "sum", kernel=("maximum", 0)),
    fault("a wrong identity", checks.check_combine, "sum", kernel=("add", 1)),
]


@pytest.mark.parametrize(("check", "op", "sample"), FAULTS)
def test_a_planted_fault_is_caught(check: Any, op: Op, sample: Sample) -> None:
    with pytest.raises((AssertionError, IndexError, KeyError, ValueError)):
        check(op, sample)
    check(REGISTRY[op.name], sample)


def test_a_planted_fault_in_a_dtype_rule_is_caught() -> None:
    right = REGISTRY["add"]

    def wrong(*specs: Spec) -> Spec:
        return right.spec(*(Spec(s.shape, s.dtype) for s in specs))  # forgets that Python numbers are weak

    with pytest.raises(AssertionError):
        checks.check_dtypes(replace(right, spec=wrong))


def test_an_operation_with_a_missing_field_is_refused() -> None:
    with pytest.raises(TypeError, match="vjp is missing"):
        replace(REGISTRY["exp"], vjp=None)
    with pytest.raises(TypeError, match="has no doc"):
        replace(REGISTRY["exp"], doc="")
    with pytest.raises(TypeError, match="formula is not callable"):
        replace(REGISTRY["exp"], formula="y = exp(x)")


def test_apply_is_the_door_of_every_operation() -> None:
    assert apply(REGISTRY["add"], [Tensor([1.0]), 2], {}).tolist() == [3.0]
