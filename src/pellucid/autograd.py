"""Gradients. From a result and its history to the gradients of its leaves: `backward`, `grad`, `vjp`, `hvp`,
`jacobian`, `hessian`, `per_sample_gradients`. `check_gradients` in `gradient_check.py` compares them with differences
in float64.

The rules are the vjps of the operations, written in Tensor operations; with create_graph they leave a history of
their own, so that gradients of gradients need nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from pellucid.core.context import enable_grad, no_grad, quiet, state
from pellucid.core.op import NONE
from pellucid.core.other_names import explains_calls, no_attribute
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.core.written import WRITES, Changes, written_after
from pellucid.errors import ArgumentTypeError, GradientError, ShapeError
from pellucid.ops.elementwise import add, positive
from pellucid.ops.shape import reshape, stack


def __getattr__(name: str) -> Any:
    # check_gradients belongs to this subject and needs this module: it is found when it is first asked for.
    if name in ("check_gradients", "GradientCheck"):
        return getattr(importlib.import_module("pellucid.gradient_check"), name)
    raise no_attribute("pellucid.autograd", name, globals(), {"Variable": "pellucid.Tensor"})


_time_made = attrgetter("_made")


def _history(outputs: Iterable[Tensor]) -> list[Tensor]:
    """Every computed tensor that the outputs came from, latest first."""
    found = list({id(t): t for t in outputs if t._source is not None}.values())
    seen = {id(t) for t in found}
    for tensor in found:  # grows on the way
        for x in tensor._source[1]:  # type: ignore[index]
            if isinstance(x, Tensor) and x._source is not None and id(x) not in seen:
                seen.add(id(x))
                found.append(x)
    # The clock orders computed tensors: a tensor is always later than what it came from.
    found.sort(key=_time_made, reverse=True)
    return found


def _leading_to(history: list[Tensor], inputs: Sequence[Tensor]) -> set[int]:
    """Ids of the tensors through which the inputs are reached."""
    useful = {id(t) for t in inputs}
    for tensor in reversed(history):
        inputs = tensor._source[1]  # type: ignore[index]
        if any(id(x) in useful for x in inputs):
            useful.add(id(tensor))
        elif any(isinstance(x, Tensor) and x._made > tensor._made for x in inputs):
            _check_unchanged(tensor)  # an input that became something later: what it leads to is not known yet
    return useful


def _propagate(
    outputs: Sequence[Tensor], seeds: Sequence[Tensor], inputs: Sequence[Tensor] | None
) -> list[tuple[Tensor, Tensor]]:
    """The gradients that are kept, each with its tensor: of leaves and of tensors that retain theirs; with `inputs` of
    these alone."""
    history = _history(outputs)
    useful = None if inputs is None else _leading_to(history, inputs)
    wanted = () if inputs is None else {id(t) for t in inputs}
    gradients: dict[int, Tensor] = {}
    kept: dict[int, Tensor] = {}
    recorder = state.recorder
    for output, seed in zip(outputs, seeds, strict=True):
        key = id(output)
        gradients[key] = add(gradients[key], seed) if key in gradients else seed
        if key in wanted if useful is not None else output._source is None or output._retains_grad:
            kept[key] = output
    for tensor in history:
        key = id(tensor)
        g = gradients.get(key)
        if g is None:
            continue
        if key not in kept:
            del gradients[key]
        if useful is not None and key not in useful:
            continue
        op, xs, attrs = tensor._source  # type: ignore[misc]
        if tensor._made < Changes.latest:
            _check_unchanged(tensor)
        if recorder is not None:
            recorder.differentiates(tensor)
        for i, x in enumerate(xs):
            if not isinstance(x, Tensor) or not x.requires_grad or (useful is not None and id(x) not in useful):
                continue
            gi = op.vjp(i, g, tensor, xs, attrs)  # type: ignore[operator]
            if gi is None:
                continue
            key = id(x)
            before = gradients.get(key)
            if before is not None:
                gi = add(before, gi)
            elif key in wanted if useful is not None else x._source is None or x._retains_grad:
                kept[key] = x
            gradients[key] = gi
    if recorder is not None:
        recorder.differentiates(None)
    return [(tensor, gradients[key]) for key, tensor in kept.items()]


def _check_unchanged(tensor: Tensor) -> None:
    """Raise if a value that the operation saw or gave is another by now: the rule of one input may need any of them.

    Raises
        GradientError: an input or the result was changed in place.
    """
    op, xs, _ = tensor._source  # type: ignore[misc]
    made = tensor._made
    if tensor._changed > made or (WRITES and written_after(tensor.data, made)):
        raise GradientError("autograd.changed-result", op=op.name, shape=tensor.shape)
    for i, x in enumerate(xs):
        if isinstance(x, Tensor) and (x._changed > made or (WRITES and written_after(x.data, made))):
            raise GradientError("autograd.changed", op=op.name, name=x.name or f"input {i}", shape=x.shape)


def _check_output(output: Tensor, gradient: Any) -> Tensor:
    """The seed for an output: ones for a single number, else what the caller gave.

    Raises
        GradientError: the output has no history, or is not a single number and no gradient was given.
        ShapeError: the given gradient has another shape.
    """
    if not output.requires_grad:
        cut = output._cut
        if cut is not None and isinstance(cut.vjp, NONE):
            raise GradientError("autograd.cut", op=cut.name, why=cut.vjp.why)
        if cut is not None:
            raise GradientError("autograd.cut-dtype", op=cut.name)
        raise GradientError("autograd.no-history", shape=output.shape)
    if gradient is None:
        if output.data.size != 1:
            raise GradientError("autograd.not-scalar", shape=output.shape)
        return wrap(np.array(1, output.data.dtype, ndmin=output.data.ndim))
    seed = as_tensor(gradient, output.dtype)
    if seed.shape != output.shape:
        raise ShapeError("autograd.seed-shape", given=seed.shape, expected=output.shape)
    return seed


@explains_calls
def backward(
    output: Tensor,
    gradient: Any = None,
    *,
    retain_graph: Any = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Fill `.grad` of every leaf that asks for a gradient with the derivative of `output`.

    Calls add up until an optimizer's step uses the gradients; the next call after a step starts afresh.

    Parameters
        gradient : the gradient of `output`, of its shape; None where it is a single number.
        retain_graph : taken for PyTorch's sake; the history always stays as long as its result.
        create_graph : keep the history of the gradients, so that they can be differentiated.
        inputs : fill only these.
    Raises
        GradientError: `output` has no history, is not a single number and no gradient was given, or a tensor was
            changed in place after it was used.
    """
    seed = _check_output(output, gradient)
    chosen = None if inputs is None else _tensors("inputs", inputs)
    before = state.grad
    state.grad = create_graph
    try:
        with quiet():
            given = {id(seed)}
            for tensor, g in _propagate([output], [seed], chosen):
                if tensor.grad is None or tensor.grad is tensor._used_grad:
                    # .grad is nobody else's: no view, not the caller's own seed, nor another tensor's gradient.
                    tensor.grad = g if g.data.base is None and id(g) not in given else positive(g)
                    tensor._used_grad = None
                    given.add(id(g))
                else:
                    tensor.grad = add(tensor.grad, g)
    finally:
        state.grad = before


@explains_calls
def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    retain_graph: Any = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> Any:
    """Gradients of `outputs` with respect to `inputs`, returned and not stored.

    Parameters
        grad_outputs : gradients of the outputs, of their shapes; None where they are single numbers.
        retain_graph : taken for PyTorch's sake; the history always stays as long as its result.
        create_graph : keep the history, so that the gradients can be differentiated.
        allow_unused : give None for an input that the outputs do not depend on, instead of an error.
    Returns
        One Tensor for a single input, else a tuple.
    Raises
        GradientError: an output has no history, or an input was not used.
    """
    out_list, in_list = _tensors("outputs", outputs), _tensors("inputs", inputs)
    if isinstance(outputs, Tensor):
        given = [grad_outputs]
    else:
        given = [None] * len(out_list) if grad_outputs is None else list(grad_outputs)
        if len(given) != len(out_list):
            raise ShapeError("autograd.seed-count", given=len(given), expected=len(out_list))
    seeds = [_check_output(o, g) for o, g in zip(out_list, given, strict=True)]
    before = state.grad
    state.grad = create_graph
    try:
        with quiet():
            gradients = {id(x): g for x, g in _propagate(out_list, seeds, in_list)}
        results: list[Tensor | None] = []
        for n, x in enumerate(in_list):
            g = gradients.get(id(x))
            if g is None and not allow_unused:
                key = "autograd.unused" if x.requires_grad else "autograd.not-tracked"
                raise GradientError(key, name=x.name or f"input {n}", shape=x.shape)
            # Each result is the caller's own, and no other's.
            shared = g is not None and (any(g is other for other in results) or any(g is s for s in seeds))
            results.append(positive(g) if shared else g)
    finally:
        state.grad = before
    return results[0] if isinstance(inputs, Tensor) else tuple(results)


def _tensors(name: str, given: Any) -> list[Tensor]:
    """One Tensor or a sequence of them as a list.

    Raises
        ArgumentTypeError: it is something else.
    """
    if isinstance(given, Tensor):
        return [given]
    items = list(given) if isinstance(given, Iterable) else [given]
    for item in items:
        if not isinstance(item, Tensor):
            raise ArgumentTypeError("autograd.tensors", name=name, type=type(item).__name__)
    return items


def _as_inputs(inputs: Any, create_graph: bool = False) -> tuple[list[Tensor], bool]:
    """The inputs as tensors that ask for a gradient, and whether there is only one. With create_graph those that have
    a history, or ask already, are taken as they are, so that the result can be differentiated by them."""
    single = not isinstance(inputs, list | tuple) or not any(
        isinstance(x, Tensor) or hasattr(x, "shape") for x in inputs
    )
    tensors = [as_tensor(x) for x in ([inputs] if single else inputs)]
    return [x if create_graph and x.requires_grad else wrap(x.data).requires_grad_() for x in tensors], single


def _call(function: Callable[..., Any], tensors: Sequence[Tensor]) -> Tensor:
    result = function(*tensors)
    if not isinstance(result, Tensor):
        raise ArgumentTypeError("autograd.not-tensor", type=type(result).__name__)
    return result


@explains_calls
def vjp(
    function: Callable[..., Tensor], inputs: Any, v: Any = None, *, create_graph: bool = False
) -> tuple[Tensor, Any]:
    """Value of `function(*inputs)`, and the product of `v` with its Jacobian: one reverse pass.

    Parameters
        inputs : one array or Tensor, or a list of them; a list of plain numbers is one vector.
        v : of the value's shape; None where the value is a single number.
        create_graph : keep the history, so that the results can be differentiated by Tensors that ask for it.
    Returns
        The value, and one Tensor for a single input, else a tuple.
    """
    tensors, single = _as_inputs(inputs, create_graph)
    with enable_grad():
        y = _call(function, tensors)
    g = grad(y, tensors, v, create_graph=create_graph, allow_unused=True)
    filled = tuple(wrap(np.zeros_like(x.data)) if gi is None else gi for x, gi in zip(tensors, g, strict=True))
    return y.detach() if not create_graph else y, filled[0] if single else filled


@explains_calls
def hvp(function: Callable[..., Tensor], inputs: Any, v: Any) -> tuple[Tensor, Any]:
    """Value of a scalar function, and the product of its Hessian with `v` (of the inputs' shapes), by two reverse
    passes."""
    tensors, single = _as_inputs(inputs)
    given = [v] if single else list(v) if isinstance(v, list | tuple) else [v]
    if len(given) != len(tensors):
        raise ShapeError("autograd.seed-count", given=len(given), expected=len(tensors))
    directions = [as_tensor(d, t.dtype) for d, t in zip(given, tensors, strict=True)]
    for d, t in zip(directions, tensors, strict=True):
        if d.shape != t.shape:
            raise ShapeError("autograd.seed-shape", given=d.shape, expected=t.shape)
    with enable_grad():
        y = _call(function, tensors)
        if not y.requires_grad:
            _check_output(y, None)
        first = grad(y, tensors, create_graph=True, allow_unused=True)
        dot = None
        for g, d in zip(first, directions, strict=True):
            if g is not None and g.requires_grad:
                term = (g * d).sum()
                dot = term if dot is None else dot + term
    second = grad(dot, tensors, allow_unused=True) if dot is not None else [None] * len(tensors)
    filled = tuple(wrap(np.zeros_like(x.data)) if g is None else g for x, g in zip(tensors, second, strict=True))
    return y.detach(), filled[0] if single else filled


@explains_calls
def jacobian(function: Callable[..., Tensor], inputs: Any, *, create_graph: bool = False) -> Any:
    """All derivatives of a function's outputs: for each input a Tensor of shape (*output.shape, *input.shape)."""
    tensors, single = _as_inputs(inputs, create_graph)
    with enable_grad():
        y = _call(function, tensors)
    rows: list[list[Tensor]] = [[] for _ in tensors]
    for number in range(y.size):
        seed = np.zeros(y.size, y.dtype)
        seed[number] = 1
        g = (
            grad(y, tensors, wrap(seed.reshape(y.shape)), create_graph=create_graph, allow_unused=True)
            if y.requires_grad
            else None
        )
        for n, x in enumerate(tensors):
            gi = None if g is None else g[n]
            rows[n].append(wrap(np.zeros_like(x.data)) if gi is None else gi)
    results = []
    for row, x in zip(rows, tensors, strict=True):
        if create_graph:
            with enable_grad():
                results.append(_stacked(row, x).reshape((*y.shape, *x.shape)))
        else:
            results.append(_stacked(row, x).reshape((*y.shape, *x.shape)))
    return results[0] if single else tuple(results)


@explains_calls
def hessian(function: Callable[..., Tensor], x: Any) -> Tensor:
    """All second derivatives of a scalar function of one tensor, shape (*x.shape, *x.shape)."""
    leaf = wrap(as_tensor(x).data).requires_grad_()
    with enable_grad():
        y = _call(function, [leaf])
        if y.size != 1:
            raise GradientError("autograd.not-scalar", shape=y.shape)
        g = grad(y, leaf, create_graph=True, allow_unused=True)
    if g is None or not g.requires_grad:
        return wrap(np.zeros(leaf.shape * 2, leaf.dtype))
    rows = []
    flat = g.reshape(-1)
    for number in range(g.size):
        with enable_grad():
            element = flat[number]
        row = grad(element, leaf, allow_unused=True) if element.requires_grad else None
        rows.append(wrap(np.zeros_like(leaf.data)) if row is None else row)
    return reshape(_stacked(rows, leaf), leaf.shape * 2)


def _stacked(rows: Sequence[Tensor], x: Tensor) -> Tensor:
    """Gradients of one tensor on top of each other, also where there is none."""
    return stack(rows) if rows else wrap(np.zeros((0, *x.shape), x.dtype))


@explains_calls
def per_sample_gradients(loss: Callable[..., Tensor], parameters: Sequence[Tensor], *batch: Any) -> list[Tensor]:
    """The gradient of the loss of each sample alone: for each parameter a Tensor of shape (samples, *parameter.shape).

    Parameters
        loss : called with the slices of length 1 of every array in `batch`; returns a single number.
        parameters : leaves that the loss depends on.
    Raises
        ShapeError: the arrays of the batch differ in length, or have no axes.
    """
    tensors = [as_tensor(b) for b in batch]
    lengths = {t.shape[0] if t.ndim else -1 for t in tensors}
    parameters = _tensors("parameters", parameters)
    if len(lengths) != 1 or -1 in lengths:
        raise ShapeError("autograd.batch-lengths", shapes=", ".join(str(t.shape) for t in tensors) or "()")
    rows: list[list[Tensor]] = [[] for _ in parameters]
    for n in range(tensors[0].shape[0]):
        with enable_grad():
            value = _call(loss, [t[n : n + 1] for t in tensors])
        for row, p, g in zip(rows, parameters, grad(value, list(parameters), allow_unused=True), strict=True):
            row.append(wrap(np.zeros_like(p.data)) if g is None else g)
    with no_grad():
        return [_stacked(row, p) for row, p in zip(rows, parameters, strict=True)]


def _backward_method(
    self: Any, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False, inputs: Any = None
) -> None:
    backward(self, gradient, create_graph=create_graph, inputs=inputs)


_backward_method.__doc__ = backward.__doc__
Tensor.backward = explains_calls(_backward_method, "backward")  # type: ignore[method-assign]
