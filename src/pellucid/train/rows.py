"""A network and many rows come in; the outputs of all of them leave, some rows at a time: operation by operation, or as
machine code where the rows that are left repay making it. Called by `evaluate`.

What is chosen depends on the network and the number of rows alone, not on a clock, so that it repeats to the bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid._typing import Array
from pellucid.compiler.tiers import native_wanted
from pellucid.core.context import Recorder, state
from pellucid.core.op import Op
from pellucid.core.spec import spec_of
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentTypeError, ShapeError
from pellucid.ops.origin import composite_behind

if TYPE_CHECKING:
    from pellucid.nn import Module

# So many rows are computed at once, or fewer where they have more elements together.
_ROWS, _ELEMENTS = 1024, 1 << 18
# Machine code computes so many rows at once, or fewer where their largest intermediate result has more bytes.
_COMPILED_ROWS = 64
_COMPILED_BYTES = 1 << 26
# What operations take one by one, in seconds: a call, a product, an element of a result. Machine code is made of an
# operation in _COMPILE_S, and is some three times as fast.
_CALL_S, _PRODUCT_S, _ELEMENT_S = 5e-6, 6e-11, 1e-9
_COMPILE_S, _START_S, _GAIN = 6e-3, 0.5, 2 / 3


def outputs(model: Module, x: Array, batch_size: int | None, times: int = 1) -> Tensor:
    """The model's outputs for all rows, which know the function that they come from; in evaluation mode by the caller.

    Parameters
        batch_size : rows at once; None leaves it to us
        times : how often they are going to be asked for, of the same number of rows
    Raises
        ArgumentTypeError, ShapeError: the model gives something else than one row of outputs for each row of inputs.
    """
    check_one_axis(model, x)
    size = batch_size or max(1, min(_ROWS, _ELEMENTS // max(x[:1].size, 1)))
    work = Work()
    followed = len(x) > size and state.recorder is None
    whole = work.follow(lambda: _output(model, x[:size])) if followed else _output(model, x[:size])
    first = whole.data
    done, result = len(first), first
    if len(x) > done:
        result = np.empty((len(x), *first.shape[1:]), first.dtype)
        result[:done] = first
        if followed:
            done = _natively(model, x, result, done, work, batch_size, times)
    for start in range(done, len(x), size):
        part = _output(model, x[start : start + size]).data
        result[start : start + len(part)] = _like(part, first)
    y = wrap(result)
    y._scope = composite_behind(whole)
    return y


def _natively(model: Module, x: Array, result: Array, done: int, work: Work, batch_size: int | None, times: int) -> int:
    """Write the outputs of rows from `done` on as machine code computes them; returns how many rows are done."""
    rows = batch_size or work.rows_that_fit(done)
    if not work.repays(done, (len(x) - done) * times) or rows > len(x) or not native_wanted():
        return done
    if any(module._hooked for module in model.modules()):  # hooks hear of every call
        return done
    forward = _compiled().__get__(model, type(model))
    # A program computes the last rows, then the first, which are known: where Python looked at `x.data`, it has kept
    # what it saw, and the rows that are left are computed operation by operation.
    last = _output(forward, x[-rows:]).data
    begin = _output(forward, x[:rows]).data
    if not _alike(begin[:done], result[:rows][:done]):
        return done
    result[len(x) - rows :] = _like(last, result)
    if rows > done:
        result[done:rows], done = begin[done:], rows
    for start in range(done, len(x) - rows, rows):
        result[start : start + rows] = _like(_output(forward, x[start : start + rows]).data, result)
    return len(x)


def _alike(made: Array, known: Array) -> bool:
    """Whether two ways to the same rows gave the same up to rounding."""
    if made.shape != known.shape or made.dtype != known.dtype:
        return False
    if known.dtype.kind not in "fc":
        return np.array_equal(made, known)
    near = float(np.sqrt(np.finfo(known.dtype).eps))
    scale = float(np.abs(known[np.isfinite(known)]).max(initial=0.0))
    return np.allclose(made, known, rtol=near, atol=near * scale, equal_nan=True)


def _compiled() -> Any:
    """A network's forward pass as a compiled method, which the network keeps."""
    global _forward
    if _forward is None:
        # Only where it pays is the compiler imported.
        from pellucid.compiler import Compiled

        class Unasked(Compiled):
            """Nobody asked for it, so nobody is told why a network runs as it is."""

            def _tell_once(self, reason: tuple[str, ...], key: str, **facts: Any) -> None:
                """Say nothing."""

        def forward(self: Module, x: Tensor) -> Any:
            return self(x)

        _forward = Unasked(forward)
    return _forward


_forward: Any = None


class Work(Recorder):
    """What a run of a network takes, counted from the declarations of its operations.

    Attributes
        operations : how many there were
        seconds : about so long they take one by one
        largest : bytes of the largest result
    """

    def __init__(self) -> None:
        self.operations, self.seconds, self.largest = 0, 0.0, 0

    def follow(self, run: Callable[[], Tensor]) -> Tensor:
        """Count while something runs; returns what it gives."""
        state.recorder = self
        try:
            return run()
        finally:
            state.recorder = None

    def operation(self, op: Op, inputs: list[Any], attrs: dict[str, Any], output: Tensor) -> None:
        made = spec_of(output.data)
        specs = [spec_of(x.data if isinstance(x, Tensor) else x) for x in inputs]
        self.operations += 1
        self.largest = max(self.largest, made.nbytes)
        self.seconds += _CALL_S + _PRODUCT_S * op.cost(specs, made, attrs).macs + _ELEMENT_S * output.data.size

    def repays(self, rows: int, left: int) -> bool:
        """Whether so many rows as are left, by what `rows` took, are worth making machine code."""
        return _GAIN * self.seconds / rows * left > _START_S + _COMPILE_S * self.operations

    def rows_that_fit(self, rows: int) -> int:
        """How many rows machine code shall take at once."""
        most = _COMPILED_BYTES * rows // max(self.largest, 1)
        return max(1, min(_COMPILED_ROWS, 1 << max(most.bit_length() - 1, 0)))


def _output(model: Callable[[Tensor], Any], x: Array) -> Tensor:
    return output_of(model(wrap(x)), len(x))


def output_of(y_pred: Any, rows: int) -> Tensor:
    """What a model returned, if it is one Tensor with a row for each row of its input.

    Raises
        ArgumentTypeError: it is something else, such as a tuple of several outputs.
        ShapeError: it has another number of rows.
    """
    if not isinstance(y_pred, Tensor):
        raise ArgumentTypeError("train.one-output", type=type(y_pred).__name__)
    shape = y_pred.data.shape
    if not shape or shape[0] != rows:
        raise ShapeError("train.output-rows", shape=shape, rows=rows)
    return y_pred


def check_one_axis(model: Module, x: Array) -> None:
    """Refuse numbers without a second axis that the network takes for the features of a single row, or cannot take.

    Raises
        ShapeError: with the axis to add, where adding it was found to work.
    """
    if x.ndim != 1:
        return
    try:
        for rows in (1, 2):
            _output(model, x[:rows])
    except ShapeError:
        tried = {"x[None]": x[None], "x[:, None]": x[:1, None]}
        fixes = [words for words, array in tried.items() if _takes(model, array)]
        raise ShapeError("train.one-axis", shape=x.shape, suggestion=fixes[0] if fixes else None) from None


def _takes(model: Module, x: Array) -> bool:
    try:
        _output(model, x)
    except ShapeError:
        return False
    return True


def _like(part: Array, first: Array) -> Array:
    if part.shape[1:] != first.shape[1:]:
        raise ShapeError("train.output-varies", first=first.shape, other=part.shape)
    return part
