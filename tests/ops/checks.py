"""The checks that every operation passes. Enter: an Op (or a composite) and a sample. Leave: nothing, or an
AssertionError. Each check compares with something that the declaration does not share: an oracle, differences, a
counted run, loops over an index formula.
"""

import inspect
import itertools
import math
import re
import string
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pellucid.autograd import grad
from pellucid.core.op import NONE, Composite, Op
from pellucid.core.spec import Spec, spec_of
from pellucid.core.tensor import Tensor, apply, wrap
from pellucid.errors import PellucidError
from tests.ops.counting import Counter, Handler
from tests.ops.samples import FORMULAS, Sample
from tests.ops.samples.windows import WORK as WINDOW_WORK

Runner = Callable[..., Tensor]


def runner(op: Op | Composite, sample: Sample) -> Runner:
    """The operation as a function of tensors and numbers."""
    if sample.call is not None:
        return lambda *inputs: sample.call(*inputs, **sample.attrs)  # type: ignore[misc]
    return lambda *inputs: apply(op, list(inputs), dict(sample.attrs))  # type: ignore[arg-type]


def tensors(sample: Sample, dtype: Any = np.float64, ask: bool = False) -> list[Any]:
    """The inputs as Tensors, floats in a dtype; Python numbers stay."""
    result = []
    for x in sample.inputs:
        if isinstance(x, np.ndarray):
            floats = x.dtype.kind == "f"
            x = wrap(x.astype(dtype) if floats else x)
            if ask and floats:
                x.requires_grad_()
        result.append(x)
    return result


def expected(sample: Sample) -> np.ndarray:
    return np.asarray(sample.oracle(*sample.inputs, **sample.attrs))


def check_value(op: Op | Composite, sample: Sample) -> None:
    """Value and shape against the oracle, in float64 and float32."""
    want = expected(sample)
    for dtype, rtol in ((np.float64, 1e-12), (np.float32, 4e-6)):
        with np.errstate(all="ignore"):
            y = runner(op, sample)(*tensors(sample, dtype)).data
        assert y.shape == want.shape
        if y.dtype.kind == "f":
            rtol = rtol if y.dtype == np.float64 else 4e-6
            scale = np.max(np.abs(want[np.isfinite(want)]), initial=1.0)
            np.testing.assert_allclose(y, want.astype(float), rtol=rtol, atol=rtol * scale)
        elif dtype is np.float64:
            np.testing.assert_array_equal(y, want)


def check_spec(op: Op, sample: Sample) -> None:
    """The shape rule against the shape and dtype that come out."""
    for dtype in (np.float64, np.float32, np.float16):
        inputs = tensors(sample, dtype)
        with np.errstate(all="ignore"):
            y = apply(op, list(inputs), dict(sample.attrs)).data
        assert op.spec(*map(spec_of, inputs), **sample.attrs) == Spec(y.shape, y.dtype)


DTYPES = [np.dtype(n) for n in ("float64", "float32", "float16", "int64", "int8", "uint8", "uint64", "bool")]
NUMBERS: list[Any] = [True, 2, 1.5]


def check_dtypes(op: Op) -> None:
    """The shape rule against the result for all dtypes and Python numbers together, broadcasting, and empty tensors:
    where one refuses, so does the other."""
    arity = len(inspect.signature(op.kernel).parameters) - 1 - len(op.attrs)
    choices: list[Any] = [*(wrap(np.ones((2, 1), d)) for d in DTYPES), *NUMBERS]
    others: list[Any] = [
        *(wrap(np.ones((0,), d)) for d in DTYPES),
        *(wrap(np.ones((1, 3), d)) for d in DTYPES[:4]),
        *NUMBERS,
    ]
    thirds: list[Any] = [wrap(np.ones(3, np.float32)), wrap(np.ones((), np.int8)), 2.5]
    for inputs in itertools.product(*[choices, others, thirds][:arity]):
        kw = dict(op.attrs)
        try:
            spec: Any = op.spec(*map(spec_of, inputs), **kw)
        except PellucidError as refused:
            with pytest.raises(type(refused)):
                apply(op, list(inputs), kw)
            continue
        with np.errstate(all="ignore"):
            y = apply(op, list(inputs), kw).data
        assert spec == Spec(y.shape, y.dtype), [str(spec_of(x)) for x in inputs]


def differentiable(op: Op | Composite, sample: Sample) -> bool:
    known = not isinstance(getattr(op, "vjp", None), NONE)
    floats = any(isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size for x in sample.inputs)
    return known and floats and sample.smooth


def slope(function: Callable[[], float], array: np.ndarray, step: float) -> np.ndarray:
    """Central differences of a number by every element of an array, which is changed and put back."""
    result = np.zeros(array.shape)
    for place in np.ndindex(*array.shape):
        before = array[place]
        ends = []
        for sign in (1, -1):
            array[place] = before + sign * step
            ends.append(function())
        array[place] = before
        result[place] = (ends[0] - ends[1]) / (2 * step)
    return result


def weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape)


def check_gradient(op: Op | Composite, sample: Sample) -> None:
    """Each input's gradient against central differences in float64."""
    run = runner(op, sample)
    leaves = tensors(sample, ask=True)
    asked = [x for x in leaves if isinstance(x, Tensor) and x.requires_grad]
    y = run(*leaves)
    v = weights(y.shape, 1)
    if not y.requires_grad:
        raise AssertionError("the result does not depend on its inputs differentiably")
    found = grad(y, asked, wrap(v), allow_unused=True)

    def total() -> float:
        return float((run(*leaves).data * v).sum())

    for x, g in zip(asked, found, strict=True):
        want = slope(total, x.data, 1e-6)
        got = np.zeros(x.shape) if g is None else g.data
        assert got.shape == x.shape
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


def check_second(op: Op | Composite, sample: Sample) -> None:
    """The gradient of a weighed sum of the gradients, by inputs and by the incoming gradient, against differences."""
    run = runner(op, sample)
    leaves = tensors(sample, ask=True)
    asked = [x for x in leaves if isinstance(x, Tensor) and x.requires_grad]
    v = wrap(weights(run(*leaves).shape, 1)).requires_grad_()
    factors = [wrap(weights(x.shape, 2 + n)) for n, x in enumerate(asked)]

    def weighed(create_graph: bool) -> Tensor:
        first = grad(run(*leaves), asked, v, create_graph=create_graph, allow_unused=True)
        total = wrap(np.zeros(()))
        for g, factor in zip(first, factors, strict=True):
            if g is not None:
                total = total + (g * factor).sum()
        return total

    h = weighed(True)
    found = grad(h, [*asked, v], allow_unused=True) if h.requires_grad else [None] * (len(asked) + 1)
    for x, g in zip([*asked, v], found, strict=True):
        want = slope(lambda: float(weighed(False).data), x.data, 1e-5)
        np.testing.assert_allclose(np.zeros(x.shape) if g is None else g.data, want, rtol=1e-5, atol=1e-6)


def check_cost(op: Op, sample: Sample) -> None:
    """The declared work against an instrumented run."""
    inputs = tensors(sample)
    specs = [spec_of(x) for x in inputs]
    out = op.spec(*specs, **sample.attrs)
    declared = op.cost(specs, out, sample.attrs)
    assert tuple(declared) == counted(op, sample, out)


def counted(op: Op, sample: Sample, out: Spec) -> tuple[int, int, int]:
    """Multiply-accumulates, plain and special operations of a run on counting numbers."""
    handler = Handler()
    if op.family == "elementwise":
        for _ in range(out.size):
            values = [handler.number() for _ in sample.inputs]
            op.kernel(handler, *values, **sample.attrs)
    elif op.family == "contraction":
        formula = op.kernel(*(np.shape(x) for x in sample.inputs[:2]), **sample.attrs)
        terms, _, _ = formula.partition("->")
        lengths = dict(zip(terms.replace(",", ""), itertools.chain(*map(np.shape, sample.inputs[:2])), strict=True))
        lengths.pop("1", None)
        macs = sum(1 for _ in itertools.product(*map(range, lengths.values())))
        return macs, out.size if len(sample.inputs) == 3 else 0, 0
    elif op.family == "convolution":
        return _places(op.formula([spec_of(x) for x in tensors(sample)], sample.attrs), sample, out), 0, 0
    elif op.name in WINDOW_WORK:
        handler.plain = WINDOW_WORK[op.name](sample)
    elif op.family == "reduction":
        _fold(op, sample, out, handler)
    elif op.name == "argsort":
        _sort(sample, out, handler)
        return 0, _worst_sort(sample, out), 0
    elif op.name in ADDING:
        handler.plain = int(np.size(sample.inputs[ADDING[op.name]]))
    elif op.family == "random":
        return 0, 0, out.size  # one draw for each number is the unit in which random numbers are counted
    return 0, handler.plain, handler.special


ADDING = {"index_add": 0, "place_along": 0, "scatter_add": 2, "overlap_add": 0}
"""Movements that add, and the input whose elements they add."""


def _fold(op: Op, sample: Sample, out: Spec, handler: Handler) -> None:
    """The textbook run of a reduction on counting numbers."""
    x = sample.inputs[0]
    if op.name == "cumsum":
        for _ in range(x.size // max(x.shape[sample.attrs["axis"]], 1)):
            line = handler.line(x.shape[sample.attrs["axis"]])
            for a, b in itertools.pairwise(line):
                _ = a + b
        return
    lines = x.size // max(x.shape[sample.attrs["axis"]], 1) if op.name == "log_softmax" else out.size
    length = x.size // lines if lines else 0
    for _ in range(lines if length else 0):
        line = handler.line(length)
        if op.name in ("logsumexp", "log_softmax"):
            top = _combined(line, lambda a, b: handler.maximum(a, b))
            shifted = [a - top for a in line]
            total = _combined([handler.exp(a) for a in shifted], lambda a, b: a + b)
            rest = handler.log(total)
            _ = [a - rest for a in shifted] if op.name == "log_softmax" else rest + top
        else:
            _combined(line, lambda a, b: handler.maximum(a, b))
    if op.name == "logsumexp" and not length:
        handler.special += out.size  # the log of each empty sum


def _combined(line: list[Counter], combine: Any) -> Counter:
    result = line[0]
    for a in line[1:]:
        result = combine(result, a)
    return result


def _worst_sort(sample: Sample, out: Spec) -> int:
    """Comparisons of sorting by binary insertion at worst, rounded up to a power of two for every element."""
    length = out.shape[sample.attrs["axis"]]
    return out.size * math.ceil(math.log2(length)) if length > 1 else 0


def _sort(sample: Sample, out: Spec, handler: Handler) -> None:
    """No line takes more comparisons than are declared for it."""
    length = out.shape[sample.attrs["axis"]]
    for line in np.moveaxis(sample.inputs[0], sample.attrs["axis"], -1).reshape(-1, length) if out.size else ():
        before = handler.plain
        sorted(handler.ordered(line.tolist()))
        assert handler.plain - before <= _worst_sort(sample, out) // (out.size // length)


NAMES: dict[str, Any] = {
    "erf": np.vectorize(math.erf, otypes=[float]),
    "abs": np.abs,
    "round": np.round,
}


class _Functions(dict):  # type: ignore[type-arg]
    def __missing__(self, name: str) -> Any:
        return NAMES.get(name) or getattr(np, name)


def check_formula(op: Op, sample: Sample) -> None:
    """The printed formula, evaluated, against the value."""
    inputs = tensors(sample)
    specs = [spec_of(x) for x in inputs]
    with np.errstate(all="ignore"):
        y = apply(op, list(inputs), dict(sample.attrs)).data
        want = evaluated(op, sample, op.formula(specs, sample.attrs), y.shape)
    accuracy = 1e-12 if y.dtype != np.float32 else 1e-6
    np.testing.assert_allclose(y.astype(float), np.asarray(want, float), rtol=accuracy, atol=accuracy)


def evaluated(op: Op, sample: Sample, formula: str, shape: tuple[int, ...]) -> np.ndarray:
    arrays = [np.asarray(x) for x in sample.inputs]
    if op.family == "elementwise":
        names = list(inspect.signature(op.kernel).parameters)[1:]
        _, _, right = formula.partition(" = ")
        if np.asarray(sample.inputs[0]).dtype.kind in "iub":  # bits and whole numbers keep their dtype
            values: list[Any] = list(sample.inputs)
        else:
            values = [a.astype(float) if a.dtype.kind == "f" else a for a in arrays]
        return eval(right, {"__builtins__": {}}, _Functions(zip(names, values, strict=False)))  # type: ignore[no-any-return]  # noqa: S307
    if op.family == "contraction":
        return interpreted(formula, list(inspect.signature(op.value).parameters), arrays)
    if op.family == "convolution":
        return _related(formula, arrays, np.zeros(shape))
    texts = FORMULAS[op.name]
    axes = sample.attrs.get("axis")
    for text, evaluate in texts.items():
        filled = (
            text if "{" not in text else text.format(axes=",".join(map(str, axes)) if isinstance(axes, tuple) else axes)
        )
        if filled == formula:
            return evaluate(*sample.inputs, **sample.attrs)  # type: ignore[no-any-return]
    raise AssertionError(f"no evaluation is written for the formula {formula!r}")


def interpreted(formula: str, names: list[str], arrays: list[np.ndarray]) -> np.ndarray:
    """`y[i,j] = Σ_k a[i,k]·b[k,j] + bias[j]` run by loops over every index, with nothing known but the text."""
    left, _, right = formula.partition(" = ")
    right = re.sub(r"^Σ_\w+ ", "", right)
    product, _, rest = right.partition(" + ")
    terms = [_term(t) for t in (*product.split("·"), *([rest] if rest else []))]
    out = _term(left)
    lengths: dict[str, int] = {}
    for term, array in zip(terms, arrays, strict=True):
        for letter, length in zip(term, array.shape, strict=True):
            if letter != "0":
                lengths[letter] = length
    y = np.zeros([1 if letter == "0" else lengths[letter] for letter in out])
    for place in itertools.product(*map(range, lengths.values())):
        at = dict(zip(lengths, place, strict=True)) | {"0": 0}
        a, b = (array[tuple(at[i] for i in term)] for term, array in zip(terms[:2], arrays[:2], strict=True))
        y[tuple(at[i] for i in out)] += a * b
    return y if len(arrays) == 2 else y + arrays[2]


def _related(formula: str, arrays: list[np.ndarray], y: np.ndarray) -> np.ndarray:
    """`y[n,o,h] += x[n,c,h*2+i-1]·k[o,c,i]` run by loops over every letter, with nothing known but the text: a product
    counts where all of its indices lie inside."""
    for at, terms in _products(formula, arrays, y):
        places = [tuple(eval(i, {"__builtins__": {}}, at) for i in term) for term in terms]  # noqa: S307
        shapes = [y.shape, *(a.shape for a in arrays)]
        if all(0 <= i < n for p, s in zip(places, shapes, strict=True) for i, n in zip(p, s, strict=True)):
            y[places[0]] += arrays[0][places[1]] * arrays[1][places[2]]
    return y


def _places(formula: str, sample: Sample, out: Spec) -> int:
    return sum(1 for _ in _products(formula, [np.asarray(x) for x in sample.inputs], np.zeros(out.shape)))


def _products(
    formula: str, arrays: list[np.ndarray], y: np.ndarray
) -> Iterator[tuple[dict[str, int], list[list[str]]]]:
    left, _, right = formula.partition(" += ")
    terms = [t.partition("[")[2].rstrip("]").split(",") for t in (left, *right.split("·"))]
    lengths: dict[str, int] = {}
    for term, array in zip(terms, (y, *arrays), strict=True):
        lengths |= {i: n for i, n in zip(term, array.shape, strict=True) if i in string.ascii_letters}
    for place in itertools.product(*map(range, lengths.values())):
        yield dict(zip(lengths, place, strict=True)), terms


def _term(text: str) -> list[str]:
    inside = text.partition("[")[2].rstrip("]")
    letters = inside.split(",") if inside else []
    assert all(i in string.ascii_letters or i == "0" for i in letters), text
    return letters


def check_index(op: Op, sample: Sample) -> None:
    """The index map of a movement, applied to the places of the result, against the value."""
    inputs = tensors(sample)
    specs = [spec_of(x) for x in inputs]
    y = apply(op, list(inputs), dict(sample.attrs)).data
    places = tuple(np.indices(y.shape)) if y.ndim else ()
    index = op.kernel(places, specs, **sample.attrs)
    np.testing.assert_array_equal(
        y, sample.inputs[0][tuple(np.broadcast_to(i, y.shape) for i in index)].astype(y.dtype)
    )


COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "maximum": max,
    "minimum": min,
    "logaddexp": lambda a, b: float(np.logaddexp(a, b)),
    "logical_or": lambda a, b: bool(a) or bool(b),
    "logical_and": lambda a, b: bool(a) and bool(b),
}


def check_combine(op: Op, sample: Sample) -> None:
    """A reduction's combination, folded from its identity over each line, against the value."""
    name, identity = op.kernel
    if name not in COMBINE or "keepdims" not in sample.attrs:
        return  # a position has no combination of two numbers; running sums and sum_to fold with "add" as sum does
    from tests.ops.samples.reduction import fold

    def folded(line: list[Any]) -> Any:
        result = identity
        for a in line:
            result = COMBINE[name](result, a)
        return result

    with np.errstate(all="ignore"):
        y = apply(op, tensors(sample), dict(sample.attrs)).data
        want = fold(folded, np.asarray(sample.inputs[0]), sample.attrs["axis"], sample.attrs["keepdims"])
    np.testing.assert_allclose(y.astype(float), want.astype(float), rtol=1e-6 if y.dtype == np.float32 else 1e-12)
