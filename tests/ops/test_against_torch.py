"""Values, gradients and gradients of gradients in float64 against PyTorch, over a table of cases with edges: empty and 1-sized axes, negative
axes, ties, zeros in products, broadcasting both ways, all rank rules of matmul, einsum, indexing and assignment."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pellucid as pl
from pellucid.autograd import grad

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.uniform(-2, 2, shape)


class Case(NamedTuple):
    name: str
    inputs: tuple[np.ndarray, ...]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    second: bool = True


def same(name: str, inputs: tuple[Any, ...], function: Callable[..., Any], second: bool = True) -> Case:
    """A case in which one expression serves both libraries; it gets the library as its first argument."""
    return Case(name, inputs, lambda *x: function(pl, *x), lambda *x: function(torch, *x), second)


A, B, C = floats(2, 3), floats(2, 3), floats(3, 4)
TIES = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0], [0.0, -1.0, 0.0]])
ZEROS = np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0], [1.0, 2.0, 3.0]])
INFINITE = np.array([[1.0, np.inf], [-np.inf, 2.0], [-1e300, 1e300]])
CUBE = floats(2, 3, 4)

CASES: list[Case] = []
for f in "exp expm1 exp2 sin cos tan sinh cosh tanh asinh atan erf square sigmoid relu abs sign floor ceil trunc round negative".split():
    for x in (A, floats(), floats(0, 3), floats(1, 1)):
        CASES.append(same(f"{f} {x.shape}", (x,), lambda m, x, f=f: getattr(m, f)(x)))
for f in "log log2 log10 log1p sqrt reciprocal".split():
    CASES.append(same(f, (np.abs(A) + 0.1,), lambda m, x, f=f: getattr(m, f)(x)))
for f in "asin acos atanh".split():
    CASES.append(same(f, (A / 3,), lambda m, x, f=f: getattr(m, f)(x)))
CASES.append(same("acosh", (np.abs(A) + 1.1,), lambda m, x: m.acosh(x)))
for f in "add subtract multiply divide maximum minimum logaddexp atan2 hypot copysign".split():
    for a, b in [(A, B), (A, floats(3)), (floats(2, 1), floats(1, 3)), (floats(), A), (floats(0, 3), floats(3)), (floats(1), floats(2, 1))]:
        CASES.append(same(f"{f} {a.shape} {b.shape}", (a, b), lambda m, a, b, f=f: getattr(m, f)(a, b)))
for f in "maximum minimum".split():
    CASES.append(same(f"{f} ties", (TIES, np.full((3, 3), 2.0)), lambda m, a, b, f=f: getattr(m, f)(a, b)))
CASES += [
    same("x + number", (A,), lambda m, x: 2 + x * 3 - 1.5),
    same("number / x", (A,), lambda m, x: 2 / x - 1 / (x * x)),
    same("remainder", (np.array([7.5, -7.5, 3.2]), np.array([2.0, 2.0, -1.5])), lambda m, a, b: m.remainder(a, b)),
    same("power", (np.abs(A) + 0.1, B), lambda m, a, b: a**b),
    same("power of 0", (np.array([0.0, 0.0, 2.0]),), lambda m, a: a**2 + a**3 + a**1 + a**0),
    same("power with exponent 0", (np.array([0.0, 0.0, 2.0, -2.0]), np.array([2.0, 3.0, 0.0, 2.0])), lambda m, a, b: a**b, second=False),
    same("negative base", (np.array([-2.0, -3.0]),), lambda m, a: a**3 + a**-2),
    same("number to the power", (A,), lambda m, a: 2.0**a),
    same("0 to the power", (np.abs(A),), lambda m, a: 0.0**a, second=False),
    same("sqrt of a power", (np.abs(A) + 0.1,), lambda m, a: a**0.5),
    Case("clip", (A,), lambda x: pl.clip(x, -1, 0.5), lambda x: torch.clamp(x, -1, 0.5)),
    Case("clip at a bound", (np.array([-1.0, 0.0, 0.5, 2.0]),), lambda x: pl.clip(x, -1.0, 0.5), lambda x: torch.clamp(x, -1.0, 0.5)),
    Case("clip one side", (A,), lambda x: pl.clip(x, max=0.1), lambda x: torch.clamp(x, max=0.1)),
    Case("clip by tensors", (A, floats(3) - 2, floats(2, 1) + 2.5), pl.clip, torch.clamp),
    Case("clip by a tensor", (A, B), lambda x, low: pl.clip(x, low), lambda x, low: torch.clamp(x, low)),
    same("where", (A, B), lambda m, a, b: m.where(a > 0, a * 2, b)),
    same("where of a number", (A,), lambda m, a: m.where(a > 0, a * a, 0.0)),
    same("where both ways", (floats(2, 1), floats(3)), lambda m, a, b: m.where(a > b, a, b)),
    same("abs at 0", (np.array([0.0, -0.0, 1.0]),), lambda m, x: m.abs(x)),
    same("relu at 0", (np.array([0.0, -1.0, 1.0]),), lambda m, x: m.relu(x)),
    same("softmax", (A,), lambda m, x: m.softmax(x, -1)),
    same("softmax axis 0", (CUBE * 100,), lambda m, x: m.softmax(x, 0)),
    same("log_softmax", (A,), lambda m, x: m.log_softmax(x, -1)),
    same("log_softmax large", (A * 1e4,), lambda m, x: m.log_softmax(x, 1)),
    same("hypot at 0", (np.array([0.0, 3.0]), np.array([1.0, 4.0])), lambda m, a, b: m.hypot(a, b)),
]  # fmt: skip

AXES: list[tuple[np.ndarray, Any, bool]] = [
    (A, None, False), (A, 0, False), (A, -1, True), (A, (0, 1), True), (CUBE, (0, 2), False), (CUBE, (-1, 1), True),
    (CUBE, 1, False), (floats(), None, False), (floats(1, 3), 0, False), (floats(0, 3), 1, False), (floats(3, 1), (1,), False),
]  # fmt: skip
for x, axis, keep in AXES:
    tag = f"{x.shape} {axis} {keep}"
    every = tuple(range(x.ndim)) if axis is None else axis
    kw = {"axis": axis, "keepdims": keep}
    CASES += [
        Case(f"sum {tag}", (x,), lambda x, kw=kw: pl.sum(x, **kw), lambda x, d=every, k=keep: torch.sum(x, d, k)),
        Case(f"max {tag}", (x,), lambda x, kw=kw: pl.max(x, **kw), lambda x, d=every, k=keep: torch.amax(x, d, k) if d != () else x * 1),
        Case(f"min {tag}", (x,), lambda x, kw=kw: pl.min(x, **kw), lambda x, d=every, k=keep: torch.amin(x, d, k) if d != () else x * 1),
        Case(f"logsumexp {tag}", (x,), lambda x, kw=kw: pl.logsumexp(x, **kw), lambda x, d=every, k=keep: torch.logsumexp(x, d, k)),
        Case(f"norm {tag}", (x,), lambda x, kw=kw: pl.norm(x, **kw), lambda x, d=every, k=keep: torch.linalg.vector_norm(x, 2, d, k)),
        Case(f"norm 1 {tag}", (x,), lambda x, kw=kw: pl.norm(x, 1, **kw), lambda x, d=every, k=keep: torch.linalg.vector_norm(x, 1, d, k)),
        Case(f"norm 3 {tag}", (x,), lambda x, kw=kw: pl.norm(x, 3, **kw), lambda x, d=every, k=keep: torch.linalg.vector_norm(x, 3, d, k)),
    ]
    if x.size > 1:
        CASES += [
            Case(f"mean {tag}", (x,), lambda x, kw=kw: pl.mean(x, **kw), lambda x, d=every, k=keep: torch.mean(x, d, k)),
            Case(f"var {tag}", (x,), lambda x, kw=kw: pl.var(x, **kw), lambda x, d=every, k=keep: torch.var(x, d, correction=0, keepdim=k)),
        ]
for axis in (0, 1, -1):
    CASES += [
        Case(f"prod {axis}", (ZEROS,), lambda x, a=axis: pl.prod(x, a), lambda x, a=axis: torch.prod(x, a)),
        Case(f"max of ties {axis}", (TIES,), lambda x, a=axis: pl.max(x, a), lambda x, a=axis: torch.amax(x, a)),
        Case(f"min of ties {axis}", (TIES,), lambda x, a=axis: pl.min(x, a, keepdims=True), lambda x, a=axis: torch.amin(x, a, True)),
        Case(f"cumsum {axis}", (A,), lambda x, a=axis: pl.cumsum(x, a), lambda x, a=axis: torch.cumsum(x, a)),
        Case(f"cumprod {axis}", (ZEROS,), lambda x, a=axis: pl.cumprod(x, a), lambda x, a=axis: torch.cumprod(x, a)),
        Case(f"diff {axis}", (CUBE,), lambda x, a=axis: pl.diff(x, axis=a, n=2), lambda x, a=axis: torch.diff(x, n=2, dim=a)),
    ]
CASES += [
    Case("std", (CUBE,), lambda x: pl.std(x, 1, correction=1), lambda x: torch.std(x, 1)),
    Case("std of equals", (np.ones((2, 3)),), lambda x: pl.std(x, 1), lambda x: torch.std(x, 1, correction=0), second=False),
    Case("norm at 0", (np.zeros((2, 3)),), lambda x: pl.norm(x, axis=1), lambda x: torch.linalg.vector_norm(x, 2, 1), second=False),
    Case("norm 1 at 0", (np.zeros(3),), lambda x: pl.norm(x, 1), lambda x: torch.linalg.vector_norm(x, 1), second=False),
    Case("norm 3 with a 0", (np.array([0.0, 2.0, -1.0]),), lambda x: pl.norm(x, 3), lambda x: torch.linalg.vector_norm(x, 3)),
    Case("norm inf", (A,), lambda x: pl.norm(x, np.inf, axis=0), lambda x: torch.linalg.vector_norm(x, np.inf, 0)),
    Case("prod of all", (ZEROS,), pl.prod, torch.prod, second=False),
    Case("prod of one 0", (np.array([2.0, 0.0, 3.0]),), pl.prod, torch.prod),
    Case("prod of nothing", (floats(0),), pl.prod, torch.prod, second=False),
    Case("logsumexp of infinities", (INFINITE,), lambda x: pl.logsumexp(x, 1), lambda x: torch.logsumexp(x, 1), second=False),
    Case("max of all ties", (TIES,), pl.max, lambda x: torch.amax(x, (0, 1))),
]  # fmt: skip

MATMUL = [
    ((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((4, 2, 3), (3, 5)), ((2, 3), (4, 3, 5)), ((4, 2, 3), (4, 3, 5)),
    ((4, 1, 2, 3), (5, 3, 2)), ((1, 2, 3), (4, 3, 2)), ((3,), (4, 3, 2)), ((4, 2, 3), (3,)), ((1, 1), (1, 1)), ((0, 3), (3, 2)),
    ((2, 0), (0, 3)), ((0, 2, 3), (3, 4)), ((1, 2, 3), (0, 3, 2)), ((2, 1, 1, 3), (1, 4, 3, 1)),
]  # fmt: skip
CASES += [same(f"matmul {a} {b}", (floats(*a), floats(*b)), lambda m, a, b: m.matmul(a, b)) for a, b in MATMUL]
EINSUM: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ik,kj->ij", ((2, 3), (3, 4))), ("ij->ji", ((2, 3),)), ("ij->", ((2, 3),)), ("ij->j", ((2, 3),)), ("ii->i", ((3, 3),)),
    ("ii->", ((3, 3),)), ("iij->j", ((2, 2, 3),)), ("i,j->ij", ((2,), (3,))), ("i,i->", ((3,), (3,))), ("ij,ij->ij", ((2, 3), (2, 3))),
    ("bij,bjk->bik", ((2, 3, 2), (2, 2, 3))), ("...ij,...jk->...ik", ((2, 1, 3, 2), (4, 2, 3))), ("...,...->...", ((2, 3), (3,))),
    ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))), ("ij,jk,kl,lm->im", ((2, 3), (3, 2), (2, 3), (3, 2))), ("ij,k->", ((2, 3), (4,))),
    ("ij,jk->k", ((2, 3), (3, 4))), ("i,i,i->i", ((3,), (3,), (3,))), ("ij,jk", ((2, 3), (3, 4))), ("ba", ((2, 3),)),
    ("i...->...", ((2, 3, 4),)), ("ij,kj->ik", ((0, 3), (2, 3))), ("ab,b...->a...", ((2, 3), (3, 4, 2))), ("iij,jk->ik", ((2, 2, 3), (3, 2))),
    ("a,b,c->abc", ((2,), (3,), (2,))), ("ij,ji->", ((2, 3), (3, 2))),
]  # fmt: skip
CASES += [
    same(f"einsum {text}", tuple(floats(*s) for s in shapes), lambda m, *x, text=text: m.einsum(text, *x)) for text, shapes in EINSUM
]
CASES += [
    Case("tensordot 1", (A, C), lambda a, b: pl.tensordot(a, b, 1), lambda a, b: torch.tensordot(a, b, 1)),
    Case("tensordot pairs", (CUBE, floats(4, 5, 3)), lambda a, b: pl.tensordot(a, b, ([2, 1], [0, 2])), lambda a, b: torch.tensordot(a, b, ([2, 1], [0, 2]))),
    Case("tensordot 0", (A, floats(2)), lambda a, b: pl.tensordot(a, b, 0), lambda a, b: torch.tensordot(a, b, 0)),
    Case("outer", (A[0], C[0]), pl.outer, torch.outer),
    Case("vecdot", (CUBE, floats(3, 4)), pl.vecdot, torch.linalg.vecdot),
    same("tril", (CUBE,), lambda m, x: m.tril(x, 1)),
    same("triu", (floats(3, 2),), lambda m, x: m.triu(x, -1)),
    same("diagonal", (CUBE,), lambda m, x: m.diagonal(x, 1, 0, 2)),
    same("trace", (floats(3, 3),), lambda m, x: m.trace(x)),
]  # fmt: skip
for text, shape in [
    ("x.reshape(3, 2)", (2, 3)), ("x.reshape(-1)", (2, 3)), ("x.reshape(2, -1, 1)", (2, 3, 4)), ("x.swapaxes(0, 1)", (2, 3, 4)),
    ("x.permute((2, 0, 1))", (2, 3, 4)), ("x.T", (2, 3)), ("x.flatten()", (2, 3)), ("m.stack([x, x * 2], 1)", (2, 3)),
    ("m.concatenate([x, x * x], 0)", (2, 3)), ("m.concatenate([x, x[:, :1]], -1)", (2, 3)), ("m.flip(x, (0,))", (2, 3)),
    ("m.roll(x, 4, 1)", (2, 3)), ("m.roll(x, -2)", (2, 3)), ("m.tile(x, (2, 1, 3))", (2, 3)), ("m.broadcast_to(x, (4, 2, 3))", (2, 3)),
    ("m.broadcast_to(x, (2, 0, 3))", (2, 1, 1)), ("m.squeeze(x, 1)", (2, 1, 3)), ("m.unsqueeze(x, -1)", (2, 3)), ("m.moveaxis(x, 0, -1)", (2, 3, 4)),
    ("m.sort(x, -1)[0] if m is torch else m.sort(x, -1)", (2, 5)), ("m.topk(x, 2, 1)[0]", (2, 5)), ("m.topk(x, 3, 0)[0]", (4, 2)),
]:  # fmt: skip
    CASES.append(same(text, (floats(*shape),), lambda m, x, code=compile(text, text, "eval"): eval(code, {"m": m, "x": x, "torch": torch})))
INDEX = [
    "x[0]", "x[-1, 1:]", "x[:, None, 2]", "x[..., 0]", "x[1:, ..., ::2]", "x[None]", "x[...]", "x[0, 1, 2]", "x[:0]", "x[[1, 0, 1]]",
    "x[:, [2, 0]]", "x[[0, 1], [1, 2]]", "x[[0, 1], :, [3, 3]]", "x[:, [0, 2], [1, 1]]", "x[[[0], [1]], [0, 2]]", 
    "x[m.abs(x) > 1]", "x[:, x[0, :, 0] > 0]", "x[x[:, 0, 0] > -9, 1]", "x[[True, False]]", "x[[]]", "x[1, [0, 0, 0]]", "x[[-1, -2]]",
]  # fmt: skip
for text in INDEX:
    CASES.append(same(text, (floats(2, 3, 4),), lambda m, x, code=compile(text, text, "eval"): eval(code, {"m": m, "x": x})))
ASSIGN = ["[0]", "[:, 1]", "[..., ::2]", "[[1, 0]]", "[[0, 1], [1, 2]]", "[[0, 1], :, [3, 2]]", "[x0 > 0]", "[1, 2, 3]", "[:0]"]
for text in ASSIGN:
    code = compile(f"y{text} = v", text, "exec")

    def assigned(m: Any, x: Any, v: Any, code: Any = code) -> Any:
        y = x * 1.0
        exec(code, {"y": y, "v": v.sum(), "x0": x})
        return y * y

    CASES.append(same(f"y{text} = v", (floats(2, 3, 4), floats(2)), assigned))


def added_in_place(m: Any, x: Any, v: Any) -> Any:
    y = x * 2.0
    y += v
    y *= x
    y -= 1
    y /= 3.0
    y[0] += v[0]
    y[:, 1] *= 2
    return y


def chosen(m: Any, x: Any, index: np.ndarray, axis: int) -> Any:
    indices = torch.tensor(index) if m is torch else index
    return m.gather(x, axis, indices) if m is torch else m.gather(x, indices, axis)


def scattered(m: Any, x: Any, src: Any, index: np.ndarray, axis: int) -> Any:
    return torch.scatter_add(x, axis, torch.tensor(index), src) if m is torch else pl.scatter_add(x, index, src, axis)


CASES += [
    same("in place", (A, B), added_in_place),
    same("gather", (A,), lambda m, x: chosen(m, x, np.array([[2, 0, 2, 1]]), 1)),
    same("gather rows", (A,), lambda m, x: chosen(m, x, np.array([[1, 0], [0, 0], [1, 1]]), 0)),
    same("scatter_add", (A, floats(2, 4)), lambda m, x, s: scattered(m, x, s, np.array([[2, 0, 2, 1], [0, 0, 0, 0]]), 1)),
    Case("take", (CUBE,), lambda x: pl.take(x, [2, 0, 2], 1), lambda x: torch.index_select(x, 1, torch.tensor([2, 0, 2]))),
    Case("take of all", (A,), lambda x: pl.take(x, [[5, -1], [0, 0]]), lambda x: torch.take(x, torch.tensor([[5, -1], [0, 0]]))),
    Case("take_along_axis", (A,), lambda x: pl.take_along_axis(x, [[2, 2], [0, 1]], 1), lambda x: torch.take_along_dim(x, torch.tensor([[2, 2], [0, 1]]), 1)),
    Case("take_along_axis broadcasts", (A,), lambda x: pl.take_along_axis(x, [[2, 1]], 1), lambda x: torch.take_along_dim(x, torch.tensor([[2, 1]]), 1)),
    Case("repeat", (A,), lambda x: pl.repeat(x, 2, 1), lambda x: torch.repeat_interleave(x, 2, 1)),
    Case("repeat each", (A,), lambda x: pl.repeat(x, [1, 0, 3], 1), lambda x: torch.repeat_interleave(x, torch.tensor([1, 0, 3]), 1)),
    Case("pad", (A,), lambda x: pl.pad(x, ((1, 0), (2, 1)), value=3), lambda x: torch.nn.functional.pad(x, (2, 1, 1, 0), value=3)),
    Case("pad reflect", (floats(1, 1, 5),), lambda x: pl.pad(x, ((0, 0), (0, 0), (2, 3)), "reflect"), lambda x: torch.nn.functional.pad(x, (2, 3), "reflect")),
    Case("pad edge", (floats(1, 1, 3),), lambda x: pl.pad(x, ((0, 0), (0, 0), (4, 1)), "edge"), lambda x: torch.nn.functional.pad(x, (4, 1), "replicate")),
    Case("pad wrap", (floats(1, 1, 4),), lambda x: pl.pad(x, ((0, 0), (0, 0), (3, 1)), "wrap"), lambda x: torch.nn.functional.pad(x, (3, 1), "circular")),
    Case("split", (CUBE,), lambda x: pl.split(x, 2, -1)[1], lambda x: torch.split(x, 2, -1)[1]),
    Case("unstack", (CUBE,), lambda x: pl.unstack(x, 1)[2], lambda x: torch.unbind(x, 1)[2]),
    Case("argsort", (A,), lambda x: pl.take_along_axis(x, pl.argsort(x, 0), 0), lambda x: torch.sort(x, 0)[0]),
    Case("sort descending", (TIES,), lambda x: pl.sort(x, 0, descending=True), lambda x: torch.sort(x, dim=0, descending=True, stable=True)[0]),
    Case("diamond", (A,), lambda x: (lambda y: y * y + y.exp() * y.sum())(x * 2), lambda x: (lambda y: y * y + y.exp() * y.sum())(x * 2)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_value_and_gradients(case: Case) -> None:
    ours = [pl.tensor(x, requires_grad=True) for x in case.inputs]
    theirs = [torch.tensor(x, requires_grad=True) for x in case.inputs]
    with np.errstate(all="ignore"):
        y = case.ours(*ours)
        z = case.theirs(*theirs)
        assert y.dtype == np.float64
        assert y.shape == tuple(z.shape)
        np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-12, atol=1e-14)
        v = np.random.default_rng(1).uniform(0.5, 1.5, y.shape)
        found = grad(y, ours, v, create_graph=case.second, allow_unused=True)
        wanted = torch.autograd.grad(z, theirs, torch.tensor(v), create_graph=case.second, allow_unused=True)
        compared(ours, found, wanted)
        if not case.second:
            return
        h = sum(((g * g).sum() for g in found if g is not None), start=pl.zeros((), "float64"))
        k = sum(((g * g).sum() for g in wanted if g is not None), start=torch.zeros(()))
        if not h.requires_grad:
            assert not k.requires_grad or all(not g.any() for g in torch.autograd.grad(k, theirs, allow_unused=True) if g is not None)
            return
        compared(ours, grad(h, ours, allow_unused=True), torch.autograd.grad(k, theirs, allow_unused=True))


def compared(ours: list[Any], found: Any, wanted: Any) -> None:
    for x, g, w in zip(ours, found, wanted, strict=True):
        g = np.zeros(x.shape) if g is None else g.numpy()
        w = np.zeros(x.shape) if w is None else w.detach().numpy(force=True)
        np.testing.assert_allclose(g, w, rtol=1e-10, atol=1e-12)


def test_logsumexp_of_nothing_but_minus_infinity_has_the_gradient_0() -> None:
    x = pl.tensor([[-np.inf, -np.inf]], dtype="float64", requires_grad=True)
    y = pl.logsumexp(x, 1)
    assert y.tolist() == [-np.inf]
    assert grad(y, x).tolist() == [[0.0, 0.0]]  # PyTorch has NaN here


@pytest.mark.parametrize("largest", [True, False])
def test_topk_with_nan_and_ties(largest: bool) -> None:
    x = np.array([[1.0, np.nan, 3.0, 3.0, -np.inf], [2.0, 2.0, 2.0, 2.0, 2.0]])
    values, indices = pl.topk(x, 3, largest=largest)
    np.testing.assert_array_equal(values.numpy(), torch.topk(torch.tensor(x), 3, largest=largest)[0].numpy())
    np.testing.assert_array_equal(np.take_along_axis(x, indices.numpy(), 1), values.numpy())


@pytest.mark.parametrize("descending", [True, False])
def test_argsort_is_stable_and_puts_nan_where_torch_does(descending: bool) -> None:
    x = np.array([3.0, 1.0, np.nan, 3.0, 1.0, np.inf, np.nan])
    wanted = torch.argsort(torch.tensor(x), descending=descending, stable=True)
    assert pl.argsort(x, descending=descending).tolist() == wanted.tolist()
