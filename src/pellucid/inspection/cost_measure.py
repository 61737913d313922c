"""A counted network comes in; the same report with times leaves: of a call, of each layer, and of the machine that
both are compared with. `cost(..., measure=True)` calls it. What runs is put back as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid._typing import Array, DType
from pellucid.compiler import compile, get_num_threads
from pellucid.core.context import no_grad, quiet
from pellucid.core.rng import default_generator
from pellucid.core.tensor import Tensor, wrap
from pellucid.graph import Value
from pellucid.graph.dtype import float_dtype
from pellucid.graph.names import named_tensors, reachable
from pellucid.graph.run import evaluated
from pellucid.inspection.cost_counting import Owners
from pellucid.inspection.cost_recording import Run
from pellucid.inspection.cost_records import CostReport, LayerTime, Machine, Measured, Timing

WARM_UP_S, RUN_S = 0.2, 1.0
"""How long a call is run before it is timed, and how long it is timed, at least."""

_FEWEST, _MOST = 10, 2000
_MATRIX, _COPY_BYTES, _CALLS = 1024, 1 << 26, 2000


def measured(
    report: CostReport,
    model: Any,
    run: Run,
    function: Callable[..., Any],
    examples: Sequence[Tensor],
    training: bool,
    loss: Any = None,
) -> CostReport:
    """The report with the times of `function` on values of the examples' shapes.

    Parameters
        training : whether `function` is a whole step
    """
    inputs = [_filled(x) for x in examples]
    dtype = next((x.dtype for x in inputs if x.dtype.kind == "f"), np.dtype(np.float32))
    machine = machine_limits(dtype)
    with _put_back(function), quiet():
        if training:
            eager, compiled, tier, planned = _timed_both(function, inputs)
        else:
            with no_grad():
                eager, compiled, tier, planned = _timed_both(function, inputs)
        layers = _layers(report, model, run, inputs, machine, loss)
    found = Measured(
        eager=eager,
        compiled=compiled,
        tier=tier,
        planned_bytes=planned,
        rows=inputs[0].shape[0] if inputs and inputs[0].ndim else 1,
        flops=report.flops,
        num_threads=get_num_threads(),
        machine=machine,
    )
    return replace(report, layers=layers, measured=found)


def machine_limits(dtype: DType) -> Machine:
    """What NumPy reaches here and now, with the threads that its BLAS uses: the best of several tries each."""
    a = np.ones((_MATRIX, _MATRIX), dtype)
    b, c = a.copy(), a.copy()
    product = _best(lambda: np.matmul(a, b, out=c))
    source = np.ones(_COPY_BYTES // 8)
    target = np.empty_like(source)
    copy = _best(lambda: np.copyto(target, source))
    one = np.ones(1, dtype)

    def calls() -> None:
        for _ in range(_CALLS):
            np.add(one, one)

    return Machine(
        peak_flops=2 * _MATRIX**3 / product,
        bandwidth=2 * _COPY_BYTES / copy,
        call_s=_best(calls) / _CALLS,
        matrix_size=_MATRIX,
        copy_bytes=_COPY_BYTES,
        dtype=dtype.name,
    )


def _best(function: Callable[[], Any], tries: int = 7) -> float:
    times = []
    for _ in range(tries):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def _filled(example: Tensor) -> Tensor:
    """Values for an example of which only the shape is known: normal numbers, or zeros where it has whole numbers."""
    array = example.data
    if array.size <= 1 or any(array.strides):
        return wrap(np.ascontiguousarray(array))
    if array.dtype.kind != "f":
        return wrap(np.zeros(array.shape, array.dtype))
    return wrap(np.random.default_rng(0).standard_normal(array.shape).astype(array.dtype))


def _timed_both(
    function: Callable[..., Any], inputs: Sequence[Tensor]
) -> tuple[Timing, Timing | None, str, int | None]:
    eager = timed(lambda: function(*inputs))
    quick = compile(function)
    quick(*inputs)
    if quick.tier == "eager":
        return eager, None, "eager", None
    compiled = timed(lambda: quick(*inputs))
    return eager, compiled, quick.tier, quick.memory.peak


def timed(call: Callable[[], Any], warm_up_s: float = WARM_UP_S, run_s: float = RUN_S) -> Timing:
    """Times of a call, after as many calls as fit into the warm-up."""
    warm = _times(call, warm_up_s, 2)
    times = _times(call, run_s, _FEWEST)
    return _timing(times, len(warm))


def _times(call: Callable[[], Any], seconds: float, fewest: int) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < fewest or (time.perf_counter() < end and len(times) < _MOST):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def _timing(times: Sequence[float], num_warmup: int) -> Timing:
    # "higher" is a time that was seen, not one between two.
    p50, p99 = np.percentile(times, (50, 99), method="higher").tolist()
    return Timing(p50, p99, len(times), num_warmup)


def _layers(
    report: CostReport, model: Any, run: Run, inputs: Sequence[Tensor], machine: Machine, loss: Any
) -> tuple[Any, ...]:
    """The layers with their times: the recorded graph, run operation by operation."""
    owners = Owners(model, run, loss)
    keys = [owners.of(n)[0] for n in range(len(run.graph.instructions))]
    names = [(key.path, key.role) for key in keys]
    passes: list[dict[tuple[str, str], float]] = []
    warm = 1
    end = time.perf_counter() + RUN_S
    while len(passes) < warm + 5 or (time.perf_counter() < end and len(passes) < 200):
        passes.append(_one_pass(run, inputs, names))
    result = []
    for layer in report.layers:
        times = [p[layer.path, layer.role] for p in passes[warm:] if (layer.path, layer.role) in p]
        if not times:
            result.append(layer)
            continue
        work = layer.work
        found = LayerTime(
            _timing(times, warm),
            compute_s=work.flops / machine.peak_flops,
            memory_s=work.traffic_bytes / machine.bandwidth,
            calls_s=work.operations * machine.call_s,
        )
        result.append(replace(layer, measured=found))
    return tuple(result)


def _one_pass(run: Run, inputs: Sequence[Tensor], names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float]:
    graph = run.graph
    arrays: dict[int, Array] = {v.id: x.data for v, x in zip(graph.inputs, inputs, strict=True)}
    arrays.update((c.value.id, c.tensor.data) for c in graph.captured)
    last: dict[int, int] = {}
    for number, i in enumerate(graph.instructions):
        last.update((x.id, number) for x in i.inputs if isinstance(x, Value))
    total: dict[tuple[str, str], float] = {}
    with float_dtype(graph.float_dtype):
        for number, (i, name) in enumerate(zip(graph.instructions, names, strict=True)):
            arguments = [arrays[x.id] if isinstance(x, Value) else x for x in i.inputs]
            start = time.perf_counter()
            value = evaluated(i, arguments)
            total[name] = total.get(name, 0.0) + time.perf_counter() - start
            arrays[i.output.id] = np.asarray(value)
            for x in i.inputs:
                if isinstance(x, Value) and last[x.id] == number:
                    arrays.pop(x.id, None)
    return total


@contextmanager
def _put_back(function: Callable[..., Any]) -> Iterator[None]:
    """Parameters, buffers, gradients, the state of optimizers and of the random generator as they were."""
    tensors = [*(t for _, t, _ in named_tensors(function)), *reachable(function)[0], default_generator.state]
    kept = {id(t): (t, t.data, t.data.copy(), t.grad, t._used_grad) for t in tensors}
    stepping = [o for o in (getattr(function, "optimizer", None), *reachable(function)[1]) if o is not None]
    optimizers = [(o, {k: dict(v) for k, v in o.state.items()}, o._step_taken) for o in stepping]
    try:
        yield
    finally:
        for tensor, array, copy, grad, used in kept.values():
            array[...] = copy
            tensor.__dict__["data"] = array
            tensor.grad, tensor._used_grad = grad, used
        for optimizer, entries, taken in optimizers:
            optimizer.state.clear()
            optimizer.state.update(entries)
            optimizer._step_taken = taken
