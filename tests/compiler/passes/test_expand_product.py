"""Contractions of every form become matrix products, or a multiplication and a sum."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph
from pellucid.compiler.elements import has_native_rule
from pellucid.compiler.passes.expand import expand
from pellucid.ops._families.contraction import parse
from tests.compiler.passes.graphs import after, assert_close, ops

RNG = np.random.default_rng(0)
LENGTHS = dict(zip("bcijkl", (2, 3, 4, 5, 6, 7), strict=True))


def expanded(function, *inputs):
    g = graph.record(function, *inputs)
    changed = after(expand, g, rounds=2)
    assert_close(g, changed, *inputs)
    assert [has_native_rule(i) for i in changed.instructions] == [""] * len(changed.instructions)
    return changed


def array(letters, dtype=np.float32):
    return RNG.normal(size=[LENGTHS[c] for c in letters]).astype(dtype)


def is_matrix_product(text):
    """One summed letter at most, in both inputs; a result whose last letter one input has."""
    a, b, out = parse(text)
    inner = [c for c in dict.fromkeys(a + b) if c not in out]
    return len(inner) <= 1 and all(c in a and c in b for c in inner) and (out[-1] in a) != (out[-1] in b)


FORMULAS = {
    "ik,kj->ij": 1,
    "ik,jk->ji": 1,
    "i,j->ij": 1,
    "ij,j->i": 1,
    "bik,kj->bij": 1,
    "bci,bcj->ij": 1,
    "bick,kbj->cij": 1,
    "bik,bkj->bij": 1,
    "bi,bij->jb": 1,
    "ikl,lkj->ij": 1,
    "ik,kl->i": 1,
    "i,i->": 0,
    "ij,ij->": 0,
    "ij,ij->i": 0,
    "ij,ji->ij": 0,
    "bij,bji->bi": 0,
    "i,j->": 0,
}


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formulas(formula, dtype):
    a, b = (array(term, dtype) for term in formula.split("->")[0].split(","))
    changed = expanded(lambda a, b: pl.einsum(formula, a, b), a, b)
    products = [i for i in changed.instructions if i.op.family == "contraction"]
    assert len(products) == FORMULAS[formula]
    assert all(is_matrix_product(i.op.kernel(*(x.spec.shape for x in i.inputs), **i.attrs)) for i in products)
    expected = np.einsum(formula, a.astype(np.float64), b.astype(np.float64))
    np.testing.assert_allclose(graph.run(changed, a, b).outputs, expected, rtol=1e-4, atol=1e-5)


def test_matrix_products_stay():
    for formula in ("ik,kj->ij", "ki,kj->ij", "ik,jk->ij", "bik,bkj->bij"):
        a, b = (array(term) for term in formula.split("->")[0].split(","))
        g = graph.record(lambda a, b, formula=formula: pl.einsum(formula, a, b), a, b)
        assert after(expand, g) is g


def test_a_linear_layer_over_several_axes_is_one_product_of_all_rows_and_so_are_its_gradients():
    def f(x, w, b):
        y = pl.nn.functional.linear(x, w, b)
        return [y, *pl.autograd.grad((y * y).sum(), [x, w, b])]

    changed = expanded(f, *(pl.Tensor(a, requires_grad=True) for a in (array("bcik"), array("jk"), array("j"))))
    products = [i for i in changed.instructions if i.op.family == "contraction"]
    assert [i.op.name for i in products] == ["affine_map", "contract", "contract"]
    assert [i.output.spec.shape for i in products] == [(24, 5), (24, 6), (5, 6)]


def test_matmul_broadcasts():
    for a, b in (("bik", "kj"), ("k", "kj"), ("ik", "k"), ("k", "k"), ("bcik", "ckj")):
        expanded(lambda a, b: a @ b, array(a), array(b))
    expanded(lambda a, b: a @ b, array("bik")[:1], array("bkj"))


def test_floats_of_two_widths_and_whole_numbers():
    expanded(lambda a, b: pl.einsum("ij,ij->i", a, b), array("ij"), array("ij", np.float64))
    g = graph.record(lambda a, b: pl.einsum("ij,ij->i", a, b), np.ones((2, 3), int), np.ones((2, 3), int))
    assert ops(after(expand, g)) == ops(g)
