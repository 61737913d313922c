"""What a user may get wrong ends in our own errors: every public function is called with rubbish in every place."""

import warnings
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import ops
from pellucid.errors import PellucidError

X = np.arange(6.0, dtype=np.float32).reshape(2, 3) + 1
I = np.array([[0, 1, 1], [1, 0, 1]])

# A call that works, as the arguments of each function; rubbish then takes the place of each argument in turn.
SHAPED: dict[str, tuple[Any, ...]] = {
    "arange": (3,),
    "asarray": ([1.0],),
    "astype": (X, "float64"),
    "bernoulli": (0.5, (2,)),
    "broadcast_shapes": ((2, 3), (3,)),
    "broadcast_to": (X, (4, 2, 3)),
    "can_cast": ("int8", "int16"),
    "cast": (X, "float64"),
    "clip": (X, 1.0, 2.0),
    "concat": ([X, X],),
    "concatenate": ([X, X], 0),
    "contract": (X, X, "ij,kj->ik"),
    "diagonal": (X, 0),
    "dot": (X, X.T),
    "einsum": ("ij,kj->ik", X, X),
    "empty": ((2,),),
    "expand_dims": (X, 0),
    "eye": (2, 3),
    "finfo": ("float32",),
    "full": ((2,), 1.0),
    "full_like": (X, 1.0),
    "gather": (X, I, 0),
    "glu": (np.ones((2, 4), np.float32),),
    "iinfo": ("int8",),
    "integers": (0, 5, (2,)),
    "isdtype": ("int8", "integral"),
    "linspace": (0.0, 1.0, 3),
    "matmul": (X, X.T),
    "meshgrid": ([1.0, 2.0], [3.0]),
    "moveaxis": (X, 0, 1),
    "multiply_add": (X, X, X),
    "normal": (0.0, 1.0, (2,)),
    "one_hot": (I, 3),
    "ones": ((2,),),
    "outer": ([1.0, 2.0], [3.0]),
    "pad": (X, 1),
    "permutation": (4,),
    "permute": (X, (1, 0)),
    "permute_dims": (X, (1, 0)),
    "prelu": (X, np.ones(1, np.float32)),
    "repeat": (X, 2, 0),
    "reshape": (X, (3, 2)),
    "roll": (X, 1, 0),
    "scatter_add": (X, I, X, 0),
    "searchsorted": ([1.0, 2.0], X),
    "split": (X, 3, 1),
    "stack": ([X, X], 0),
    "swapaxes": (X, 0, 1),
    "take": (X, I, 0),
    "take_along_axis": (X, I, 0),
    "tensor": ([1.0],),
    "tensordot": (X, X, 2),
    "tile": (X, (2, 1)),
    "topk": (X, 1),
    "transpose": (X, (1, 0)),
    "uniform": (0.0, 1.0, (2,)),
    "unsqueeze": (X, 0),
    "vecdot": (X, X),
    "where": (X > 1, X, 0.0),
    "zeros": ((2,),),
}
BINARY = set(
    "add subtract multiply divide floor_divide remainder power pow logaddexp atan2 maximum minimum equal not_equal "
    "less less_equal greater greater_equal logical_and logical_or logical_xor hypot copysign nextafter isclose "
    "allclose".split()
)
WHOLE = {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift"}

RUBBISH: list[Any] = [
    None, "x", b"x", 1.5, -1, 7, 10**30, 10**400, float("nan"), float("inf"), 1j, True, object(), [], (), [[1], [1, 2]],
    ["a"], [None], {}, {1}, (-1,), (10**15, 10**15), (1.5,), (0, 0), (5, 5), np.zeros(0), np.zeros((2, 0, 3)),
    np.zeros((7, 5)), np.ones(3, complex), np.array(["a"]), np.array([None]), np.array(1.0), np.array([1, 9]),
    np.array([-9]), np.array([True, False]), slice(None), ..., int, "ij", "ii,->", lambda: 0,
]  # fmt: skip


def usual(name: str) -> tuple[Any, ...]:
    if name in SHAPED:
        return SHAPED[name]
    return (I, I) if name in WHOLE else (I,) if name == "bitwise_invert" else (X, X) if name in BINARY else (X,)


FUNCTIONS = sorted(n for n in ops.__all__ if callable(getattr(ops, n)) and not n.startswith("Unique"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_usual_call_works(name: str) -> None:
    with np.errstate(all="ignore"):
        getattr(pl, name)(*usual(name))


def own_error(problem: BaseException) -> bool:
    """Ours, or Python's own complaint about the number or the names of arguments."""
    return isinstance(problem, PellucidError) or (isinstance(problem, TypeError) and "argument" in str(problem))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_rubbish_ends_in_our_own_error(name: str) -> None:
    function, arguments = getattr(pl, name), usual(name)
    calls = [(arguments[:n] + (bad,) + arguments[n + 1 :], {}) for n in range(len(arguments)) for bad in RUBBISH]
    calls += [(arguments, {key: bad}) for key in ("axis", "keepdims", "dtype", "correction", "key") for bad in RUBBISH]
    calls += [(arguments[:n], {}) for n in range(len(arguments))] + [((*arguments, 0, 0, 0, 0, 0, 0), {})]
    wrong = []
    for args, options in calls:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function(*args, **options)
            except Exception as problem:
                if not own_error(problem):
                    wrong.append(f"{name}({args!r:.90}, {options!r:.60}): {type(problem).__name__}: {problem!s:.120}")
                else:
                    assert str(problem).strip()
    assert wrong == []


@pytest.mark.parametrize(
    "name", ["__getitem__", "__setitem__", "assign", "reshape", "transpose", "view", "__iadd__", "__ipow__"]
)
def test_rubbish_in_methods_ends_in_our_own_error(name: str) -> None:
    wrong = []
    for bad in [
        *RUBBISH,
        (0, 1, 2),
        (..., ...),
        (None, 9),
        ([0, 1], [0, 1, 2]),
        np.array([0.5]),
        pl.tensor([1.5]),
        slice(0, 1, 0),
    ]:
        for tensor in (pl.tensor(X), pl.tensor(1.0), pl.tensor(I), pl.zeros((0, 2))):
            args = (bad, 1.0) if name == "__setitem__" else (bad,)
            with np.errstate(all="ignore"):
                try:
                    getattr(tensor, name)(*args)
                except Exception as problem:
                    if not own_error(problem):
                        wrong.append(f"{name}{args!r:.90}: {type(problem).__name__}: {problem!s:.120}")
    assert wrong == []
