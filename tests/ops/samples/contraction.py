"""Samples of matrix products and index formulas; oracles by loops over every index."""

import itertools
from typing import Any

import numpy as np

from tests.ops.samples.sample import Sample, points


def by_loops(formula: str, a: Any, b: Any) -> np.ndarray:
    """The sum over every index, one product at a time."""
    inputs, _, out = formula.partition("->")
    a_term, _, b_term = inputs.partition(",")
    lengths = dict(zip(a_term + b_term, np.shape(a) + np.shape(b), strict=True))
    y = np.zeros([lengths[i] for i in out])
    for place in itertools.product(*(range(n) for n in lengths.values())):
        at = dict(zip(lengths, place, strict=True))
        y[tuple(at[i] for i in out)] += a[tuple(at[i] for i in a_term)] * b[tuple(at[i] for i in b_term)]
    return y


def product(a: Any, b: Any) -> np.ndarray:
    """NumPy's matmul from its definition: vectors get an axis, axes in front broadcast, then rows times columns."""
    left, right = (a[None, :] if a.ndim == 1 else a), (b[:, None] if b.ndim == 1 else b)
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = np.broadcast_to(left, lead + left.shape[-2:]), np.broadcast_to(right, lead + right.shape[-2:])
    y = np.zeros((*lead, left.shape[-2], right.shape[-1]))
    for place in np.ndindex(*lead):
        for i, j in np.ndindex(*y.shape[-2:]):
            y[(*place, i, j)] = sum(left[(*place, i, k)] * right[(*place, k, j)] for k in range(left.shape[-1]))
    y = y[..., 0] if b.ndim == 1 else y
    return (y[..., 0] if b.ndim == 1 else y[..., 0, :]) if a.ndim == 1 else y


def pair(seed: int, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    return points(seed, a, -2, 2), points(seed + 1, b, -2, 2)


FORMULAS = [
    ("ik,kj->ij", (2, 3), (3, 4)),
    ("ki,kj->ij", (3, 2), (3, 4)),
    ("ik,jk->ij", (2, 3), (4, 3)),
    ("ki,jk->ij", (3, 2), (4, 3)),
    ("ik,kj->ji", (2, 3), (3, 4)),
    ("bik,bkj->bij", (2, 2, 3), (2, 3, 2)),
    ("bik,kj->bij", (2, 2, 3), (3, 2)),
    ("i,j->ij", (2,), (3,)),
    ("i,i->i", (3,), (3,)),
    ("i,i->", (3,), (3,)),
    (",->", (), ()),
    (",i->i", (), (3,)),
    ("ij,k->", (2, 2), (3,)),
    ("ij,jk->k", (2, 3), (3, 2)),
    ("abc,cd->dba", (2, 3, 2), (2, 2)),
    ("ik,kj->ij", (0, 3), (3, 4)),
    ("ik,kj->ij", (2, 0), (0, 4)),
    ("ik,kj->ij", (1, 1), (1, 1)),
]
MATMUL = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 2, 3), (3, 2)),
    ((2, 3), (2, 3, 2)),
    ((2, 2, 3), (2, 3, 2)),
    ((2, 1, 2, 3), (3, 3, 2)),
    ((1, 2, 3), (2, 3, 2)),
    ((3,), (2, 3, 2)),
    ((2, 2, 3), (3,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 2)),
    ((0, 2, 3), (3, 2)),
    ((1, 2, 3), (0, 3, 2)),
    ((1, 1), (1, 1)),
]
LINEAR = [((4, 3), (2, 3)), ((3,), (2, 3)), ((2, 2, 3), (2, 3)), ((0, 3), (2, 3)), ((4, 0), (2, 0)), ((1, 1), (1, 1))]


def rows(x: Any, w: Any, bias: Any = None) -> np.ndarray:
    y = np.zeros((*x.shape[:-1], w.shape[0]))
    for place in np.ndindex(*x.shape[:-1]):
        for o in range(w.shape[0]):
            y[(*place, o)] = sum(x[(*place, k)] * w[o, k] for k in range(w.shape[1])) + (0 if bias is None else bias[o])
    return y


SAMPLES: dict[str, list[Sample]] = {
    "contract": [
        Sample(pair(3 * n, a, b), lambda a, b, formula: by_loops(formula, a, b), {"formula": formula})
        for n, (formula, a, b) in enumerate(FORMULAS)
    ],
    "matmul": [Sample(pair(3 * n, a, b), product) for n, (a, b) in enumerate(MATMUL)]
    + [Sample((np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2)), product, smooth=False)],
    "linear_map": [Sample(pair(3 * n, a, b), rows) for n, (a, b) in enumerate(LINEAR)],
    "affine_map": [Sample((*pair(3 * n, a, b), points(n, b[:1], -1, 1)), rows) for n, (a, b) in enumerate(LINEAR)],
}
