"""Matrix products, einsum and the like."""

import pytest

import pellucid as pl
from tests.ops.torch_cases.case import CUBE, A, C, Case, floats, same

torch = pytest.importorskip("torch")

CASES: list[Case] = []
MATMUL = [
    ((2, 3), (3, 4)),
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((4, 2, 3), (3, 5)),
    ((2, 3), (4, 3, 5)),
    ((4, 2, 3), (4, 3, 5)),
    ((4, 1, 2, 3), (5, 3, 2)),
    ((1, 2, 3), (4, 3, 2)),
    ((3,), (4, 3, 2)),
    ((4, 2, 3), (3,)),
    ((1, 1), (1, 1)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((0, 2, 3), (3, 4)),
    ((1, 2, 3), (0, 3, 2)),
    ((2, 1, 1, 3), (1, 4, 3, 1)),
]
CASES += [same(f"matmul {a} {b}", (floats(*a), floats(*b)), lambda m, a, b: m.matmul(a, b)) for a, b in MATMUL]
EINSUM: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ik,kj->ij", ((2, 3), (3, 4))),
    ("ij->ji", ((2, 3),)),
    ("ij->", ((2, 3),)),
    ("ij->j", ((2, 3),)),
    ("ii->i", ((3, 3),)),
    ("ii->", ((3, 3),)),
    ("iij->j", ((2, 2, 3),)),
    ("i,j->ij", ((2,), (3,))),
    ("i,i->", ((3,), (3,))),
    ("ij,ij->ij", ((2, 3), (2, 3))),
    ("bij,bjk->bik", ((2, 3, 2), (2, 2, 3))),
    ("...ij,...jk->...ik", ((2, 1, 3, 2), (4, 2, 3))),
    ("...,...->...", ((2, 3), (3,))),
    ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
    ("ij,jk,kl,lm->im", ((2, 3), (3, 2), (2, 3), (3, 2))),
    ("ij,k->", ((2, 3), (4,))),
    ("ij,jk->k", ((2, 3), (3, 4))),
    ("i,i,i->i", ((3,), (3,), (3,))),
    ("ij,jk", ((2, 3), (3, 4))),
    ("ba", ((2, 3),)),
    ("i...->...", ((2, 3, 4),)),
    ("ij,kj->ik", ((0, 3), (2, 3))),
    ("ab,b...->a...", ((2, 3), (3, 4, 2))),
    ("iij,jk->ik", ((2, 2, 3), (3, 2))),
    ("a,b,c->abc", ((2,), (3,), (2,))),
    ("ij,ji->", ((2, 3), (3, 2))),
]
CASES += [
    same(f"einsum {text}", tuple(floats(*s) for s in shapes), lambda m, *x, text=text: m.einsum(text, *x))
    for text, shapes in EINSUM
]
CASES += [
    Case("tensordot 1", (A, C), lambda a, b: pl.tensordot(a, b, 1), lambda a, b: torch.tensordot(a, b, 1)),
    Case(
        "tensordot pairs",
        (CUBE, floats(4, 5, 3)),
        lambda a, b: pl.tensordot(a, b, ([2, 1], [0, 2])),
        lambda a, b: torch.tensordot(a, b, ([2, 1], [0, 2])),
    ),
    Case("tensordot 0", (A, floats(2)), lambda a, b: pl.tensordot(a, b, 0), lambda a, b: torch.tensordot(a, b, 0)),
    Case("outer", (A[0], C[0]), pl.outer, torch.outer),
    Case("vecdot", (CUBE, floats(3, 4)), pl.vecdot, torch.linalg.vecdot),
    same("tril", (CUBE,), lambda m, x: m.tril(x, 1)),
    same("triu", (floats(3, 2),), lambda m, x: m.triu(x, -1)),
    same("diagonal", (CUBE,), lambda m, x: m.diagonal(x, 1, 0, 2)),
    same("trace", (floats(3, 3),), lambda m, x: m.trace(x)),
]
