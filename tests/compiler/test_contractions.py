"""Contractions as matrix products: which axis is a row, which a column, and that the numbers are NumPy's."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.compiler.contractions import contraction_of
from pellucid.compiler.groups import Groups
from pellucid.compiler.layout import orders
from pellucid.compiler.tiers import Unsupported
from tests.compiler.both_ways import tier

RNG = np.random.default_rng(4)


def array(*shape):
    return RNG.standard_normal(shape).astype("f4")


def contraction(function, *examples):
    graph = pl.graph.record(function, *examples)
    groups = Groups(graph, orders(graph))
    return contraction_of(next(g for g in groups.groups if g.kind == "product"))


def test_rows_and_columns_of_a_matrix_product():
    found = contraction(lambda a, b: a @ b, array(7, 5), array(5, 3))
    assert (found.row, found.column, found.around, found.depth, found.bias) == (0, 1, (), 5, None)


def test_matrices_side_by_side_are_a_loop_around():
    found = contraction(lambda a, b: a @ b, array(4, 7, 5), array(4, 5, 3))
    assert (found.row, found.column, found.around, found.depth) == (1, 2, (0,), 5)


def test_a_vector_has_no_rows():
    found = contraction(lambda a, b: a @ b, array(5), array(5, 3))
    assert (found.row, found.column, found.around, found.depth) == (None, 0, (), 5)


def test_an_outer_product_sums_nothing():
    found = contraction(lambda a, b: pl.einsum("i,j->ij", a, b), array(4), array(6))
    assert (found.row, found.column, found.depth) == (0, 1, 1)


def test_a_linear_layer_adds_its_bias():
    layer = pl.nn.Linear(5, 3)
    found = contraction(layer, array(7, 5))
    assert (found.row, found.column, found.depth) == (0, 1, 5)
    assert found.bias is not None
    assert found.bias.spec.shape == (3,)


def test_what_is_no_matrix_product_is_refused():
    with pytest.raises(Unsupported):
        contraction(lambda a, b: pl.einsum("ij,ij->i", a, b), array(4, 6), array(4, 6))


CASES = {
    "ij,jk->ik": ((7, 5), (5, 3)), "ij,kj->ik": ((7, 5), (3, 5)), "ji,jk->ik": ((5, 7), (5, 3)),
    "ji,kj->ki": ((5, 7), (3, 5)), "bij,bjk->bik": ((4, 7, 5), (4, 5, 3)), "bij,jk->bik": ((4, 7, 5), (5, 3)),
    "bij,bkj->bki": ((2, 9, 5), (2, 3, 5)), "i,ij->j": ((5,), (5, 40)), "ij,j->i": ((40, 5), (5,)),
    "i,i->": ((40,), (40,)), "i,j->ij": ((4,), (6,)), "i,j->ji": ((4,), (6,)), "ij,ij->i": ((4, 6), (4, 6)),
    "ijk,jk->i": ((3, 4, 5), (4, 5)),
    "ij,ij->ij": ((4, 6), (4, 6)), "bhqd,bhkd->bhqk": ((2, 3, 6, 4), (2, 3, 5, 4)), "abc,cd->dab": ((2, 3, 4), (4, 5)),
}  # fmt: skip


@pytest.mark.parametrize("formula", CASES)
def test_a_formula_gives_what_numpy_gives(formula):
    pytest.importorskip("llvmlite")
    a, b = (array(*shape) for shape in CASES[formula])
    with tier("llvm"):
        given = pl.compile(lambda a, b: pl.einsum(formula, a, b) * 2.0)(pl.Tensor(a), pl.Tensor(b))
    expected = np.einsum(formula, a.astype("f8"), b.astype("f8")) * 2.0
    np.testing.assert_allclose(given.data, expected, rtol=1e-5, atol=1e-5)
