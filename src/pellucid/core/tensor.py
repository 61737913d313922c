"""The Tensor: an array and how it came to be. It holds no mathematics: its operators and methods are the functions of
`ops`, attached by `ops/_methods.py`. `apply` is the one door through which every operation runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pellucid._typing import Array, DType, Shape
from pellucid.core.context import default_dtype, state
from pellucid.core.convert import array_of, as_dtype
from pellucid.core.failure import FAILURES, explained
from pellucid.core.op import NONE, REGISTRY, Op
from pellucid.core.operators import Operators
from pellucid.core.other_names import explains_calls
from pellucid.core.setting import Setting
from pellucid.core.written import changed_now, clock, is_lent, note_write
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    PellucidError,
    ShapeError,
)


class Tensor(Operators):
    """An n-dimensional array that remembers how it was computed.

    Parameters
        data : Tensor, array or nested lists of numbers. Python floats become float32 (`set_default_dtype`), whole
            numbers int64; a NumPy array keeps its dtype. Arrays are shared, not copied.
        dtype : dtype of the result, or None to follow the rule above.
        requires_grad : whether `backward` shall fill `.grad`; floats only.
    Raises
        DTypeError: the data are not numbers, or requires_grad with a dtype that has no gradient.
        ShapeError: nested lists of unequal lengths.
    Examples
        >>> import pellucid as pl
        >>> x = pl.Tensor([[1, 2, 3], [4, 5, 6]])
        >>> (x + 10).tolist()
        [[11, 12, 13], [14, 15, 16]]
    """

    data: Array
    grad: Tensor | None = None
    requires_grad: bool = False
    name: str | None = None
    # (op, inputs, attrs) of the operation that made it; None for a leaf.
    _source: tuple[Op, list[Any], dict[str, Any]] | None = None
    # When it was made and when it was last changed in place, on one clock: backward refuses what changed after a use.
    _made: int = 0
    _changed: int = 0
    # The op without a gradient at which a differentiable history ended.
    _cut: Op | None = None
    _retains_grad: bool = False
    # The composite operation whose result it is: how softmax before a cross-entropy is found.
    _scope: str | None = None
    # What it is the sigmoid of, where no history says so: a loss of probabilities is exact only from their logits.
    _logits: Tensor | None = None
    # Whether it stands for an array or a list that was given as such: a network casts these to its own dtype.
    _is_raw: bool = False
    # The gradient that an optimizer's step has used, if it is still `.grad`: the next backward starts afresh.
    _used_grad: Tensor | None = None

    # NumPy leaves operators between an array and a Tensor to the Tensor.
    __array_priority__ = 1000

    @explains_calls
    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        self.data = to_array(data, dtype)
        if requires_grad:
            self.requires_grad_()
        if state.recorder is not None:
            state.recorder.created(self)

    @property
    def shape(self) -> Shape:
        return self.data.shape

    @property
    def dtype(self) -> DType:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def nbytes(self) -> int:
        return self.data.nbytes

    @property
    def is_leaf(self) -> bool:
        """Whether it was given rather than computed: only leaves receive `.grad` without being asked."""
        return self._source is None

    @explains_calls
    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Ask for (or no longer ask for) a gradient in `.grad`; returns self.

        Raises
            DTypeError: the dtype is not a float.
            GradientError: the tensor was computed from others, which ask for gradients.
        """
        if requires_grad and self.data.dtype.kind != "f":
            raise DTypeError("core.grad-dtype", dtype=self.data.dtype)
        if not requires_grad and self._source is not None:
            raise GradientError("core.not-a-leaf", op=self._source[0].name)
        self.requires_grad = requires_grad
        return self

    @explains_calls
    def retain_grad(self) -> Tensor:
        """Ask `backward` to fill `.grad` of this computed tensor too; returns self."""
        self._retains_grad = True
        return self

    @explains_calls
    def detach(self) -> Tensor:
        """The same data without history: no gradient flows through the result."""
        new = wrap(self.data)
        if state.recorder is not None:
            state.recorder.alias(new, self, detached=True)
        return new

    @explains_calls
    def numpy(self) -> Array:
        """The values as a read-only NumPy view: no copy; copy it to write. History is left behind."""
        self._read()
        view = self.data.view()
        view.setflags(write=False)
        return view

    @explains_calls
    def item(self) -> Any:
        """The only element as a Python number.

        Raises
            ShapeError: there are more elements than one, or none.
        """
        self._read()
        if self.data.size != 1:
            raise ShapeError("core.one-element", shape=self.shape)
        return self.data.item()

    @explains_calls
    def tolist(self) -> Any:
        """The values as nested Python lists."""
        self._read()
        return self.data.tolist()

    def assign(self, value: Tensor) -> Tensor:
        """Replace the values by those of `value`, of the same shape, outside of any gradient: how parameters, running
        statistics and random keys change. Takes over the array. A recorded graph notes it as an update. Returns self.

        Raises
            ShapeError: the shapes differ.
        """
        if not isinstance(value, Tensor):
            value = as_tensor(value)
        array, before = value.data, self.data
        if array.shape != before.shape:
            raise ShapeError("core.assign", given=value.shape, expected=self.shape)
        recorder = state.recorder
        if recorder is not None:
            if array.dtype != before.dtype:
                value = apply(REGISTRY["cast"], [value], {"dtype": before.dtype.name})
                array = value.data
            recorder.assignment(self, value)
        elif is_lent(array) and array is not before:
            array = array.copy()
        self.__dict__["data"] = array if array.dtype is before.dtype else array.astype(before.dtype, copy=False)
        self._changed = changed_now()
        return self

    def _note_write(self) -> None:
        """The array itself was written to: whatever looks at the same memory has changed too."""
        self._changed = changed_now()
        note_write(self.data, self._changed)

    def _read(self) -> None:
        """Python is about to see the values: a recorder must know, since the graph cannot follow."""
        if state.recorder is not None:
            state.recorder.value_read(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        self._read()
        if copy:
            return np.array(self.data, dtype=dtype)
        if dtype is None or np.dtype(dtype) == self.data.dtype:
            view = self.data.view()
            view.flags.writeable = False
            return view
        if copy is False:
            raise ArgumentError("core.copy-needed", given=self.dtype, expected=np.dtype(dtype))
        return self.data.astype(dtype)

    def __len__(self) -> int:
        if self.data.ndim == 0:
            raise ArgumentTypeError("core.zero-d", use="len()")
        return int(self.data.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if self.data.ndim == 0:
            raise ArgumentTypeError("core.zero-d", use="iteration")
        for i in range(self.data.shape[0]):
            yield self[i]

    def __bool__(self) -> bool:
        self._read()
        if self.data.size != 1:
            raise ArgumentError("core.truth", shape=self.shape)
        return bool(self.data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.data.dtype.kind not in "iu" or self.data.size != 1:
            raise ArgumentTypeError("core.index", shape=self.shape, dtype=self.dtype)
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        body = np.array2string(self.data, separator=", ", prefix=f"{type(self).__name__}(")
        notes = [] if self.data.dtype in (np.int64, np.bool_) else [f"dtype={self.data.dtype.name}"]
        if self.requires_grad:
            notes.append(f"op={self._source[0].name}" if self._source else "requires_grad=True")
        return f"{type(self).__name__}({', '.join([body, *notes])})"

    def __reduce__(self) -> tuple[Any, ...]:
        self._read()
        # Only a leaf can ask for a gradient where there is no history.
        return (_restore, (type(self), self.data, self.requires_grad and self._source is None, self.name))

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._source is not None:
            raise GradientError("core.copy-history", op=self._source[0].name)
        self._read()
        copy = _restore(type(self), self.data.copy(), self.requires_grad, self.name)
        if self.grad is not None:
            copy.grad = wrap(self.grad.data.copy())
            copy._used_grad = copy.grad if self._used_grad is self.grad else None
        memo[id(self)] = copy
        return copy


def _restore(cls: type[Tensor], data: Array, requires_grad: bool, name: str | None) -> Tensor:
    tensor = cls.__new__(cls)
    tensor.data = data
    if requires_grad:
        tensor.requires_grad = True
    if name is not None:
        tensor.name = name
    return tensor


_new = object.__new__


def wrap(array: Array) -> Tensor:
    """A Tensor around an array as it is: no copy, no check, no history."""
    tensor = _new(Tensor)
    tensor.data = array
    if state.recorder is not None:
        state.recorder.created(tensor)
    return tensor


def to_array(data: Any, dtype: Any = None) -> Array:
    """Anything numeric as an array: Tensors and arrays keep their dtype and are shared, Python floats take the
    default dtype.

    Raises
        ShapeError: nested lists of unequal lengths.
        DTypeError: not numbers (strings, objects, complex numbers), or an unknown dtype.
        GradientError: a list holds a tensor whose history would be lost.
    """
    if isinstance(data, Tensor):
        if dtype is None:
            return data.data
        dtype = as_dtype(dtype)
        if data.data.dtype == dtype:
            return data.data
        data._read()
        return data.data.astype(dtype)
    if isinstance(data, list | tuple) and any(isinstance(d, Tensor | list | tuple) for d in data):
        data = _plain(data)
    return array_of(data, dtype)


def _plain(data: Any) -> Any:
    if isinstance(data, Tensor):
        if data.requires_grad and state.grad:
            raise GradientError("core.list-history", shape=data.shape)
        data._read()
        return data.data
    return [_plain(d) for d in data] if isinstance(data, list | tuple) else data


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """`data` as a Tensor: itself if it is one (and has the dtype), else a new one around `to_array(data, dtype)`."""
    if isinstance(data, Tensor):
        if dtype is None or data.data.dtype == (dtype := as_dtype(dtype)):
            return data
        return apply(REGISTRY["cast"], [data], {"dtype": dtype.name})
    if isinstance(data, Setting) and state.recorder is not None:
        return state.recorder.lifted(data, default_dtype() if dtype is None else as_dtype(dtype))
    return wrap(to_array(data, dtype))


_NUMBERS = (float, int, bool)


def _operand(x: Any, inputs: list[Any]) -> Any:
    """What an operation takes: a Tensor or a Python number."""
    if isinstance(x, Tensor) or type(x) in _NUMBERS:
        return x
    if isinstance(x, Setting):
        floats = [t.data.dtype for t in inputs if isinstance(t, Tensor) and t.data.dtype.kind == "f"]
        dtype = np.result_type(*floats) if floats else default_dtype()
        return float(x) if state.recorder is None else state.recorder.lifted(x, dtype)
    if isinstance(x, np.generic) and type(number := x.item()) in _NUMBERS:
        return number
    return wrap(to_array(x))


def apply(op: Op, inputs: list[Any], attrs: dict[str, Any]) -> Tensor:
    """Run one operation: its value by NumPy, and, where a gradient is asked for, the memory of how it came to be.

    `inputs` holds Tensors and Python numbers; anything else is turned into a Tensor in place. It becomes the result's
    history, so the caller gives it away.
    """
    arrays = []
    track = False
    for x in inputs:
        if isinstance(x, Tensor):
            arrays.append(x.data)
            if x.requires_grad:
                track = True
        elif type(x) in _NUMBERS:
            arrays.append(x)
        else:
            inputs[:] = [_operand(x, inputs) for x in inputs]
            return apply(op, inputs, attrs)
    recorder = state.recorder
    try:
        if recorder is not None:
            value = recorder.computed(op, inputs, arrays, attrs)
        else:
            value = op.value(*arrays, **attrs) if attrs else op.value(*arrays)
    except PellucidError:
        raise
    except FAILURES as problem:
        raise explained(op, inputs, attrs, problem) from problem
    tensor = _new(Tensor)
    tensor.data = value if type(value) is np.ndarray else np.asarray(value)
    if track and state.grad:
        if tensor.data.dtype.kind != "f" or type(op.vjp) is NONE:
            tensor._cut = op
        else:
            tensor.requires_grad = True
            tensor._source = (op, inputs, attrs)
            tensor._made = clock()
    elif state.grad:
        for x in inputs:
            if isinstance(x, Tensor) and x._cut is not None:
                tensor._cut = x._cut
    if recorder is not None:
        recorder.operation(op, inputs, attrs, tensor)
    return tensor
