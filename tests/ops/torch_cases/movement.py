"""Shapes, joining, indexing and assignment."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from tests.ops.torch_cases.case import CUBE, TIES, A, B, Case, floats, same, written

torch = pytest.importorskip("torch")

CASES: list[Case] = []
for text, shape in [
    ("x.reshape(3, 2)", (2, 3)),
    ("x.reshape(-1)", (2, 3)),
    ("x.reshape(2, -1, 1)", (2, 3, 4)),
    ("x.swapaxes(0, 1)", (2, 3, 4)),
    ("x.permute((2, 0, 1))", (2, 3, 4)),
    ("x.T", (2, 3)),
    ("x.flatten()", (2, 3)),
    ("m.stack([x, x * 2], 1)", (2, 3)),
    ("m.concatenate([x, x * x], 0)", (2, 3)),
    ("m.concatenate([x, x[:, :1]], -1)", (2, 3)),
    ("m.flip(x, (0,))", (2, 3)),
    ("m.roll(x, 4, 1)", (2, 3)),
    ("m.roll(x, -2)", (2, 3)),
    ("m.tile(x, (2, 1, 3))", (2, 3)),
    ("m.broadcast_to(x, (4, 2, 3))", (2, 3)),
    ("m.broadcast_to(x, (2, 0, 3))", (2, 1, 1)),
    ("m.squeeze(x, 1)", (2, 1, 3)),
    ("m.unsqueeze(x, -1)", (2, 3)),
    ("m.moveaxis(x, 0, -1)", (2, 3, 4)),
    ("m.sort(x, -1)[0] if m is torch else m.sort(x, -1)", (2, 5)),
    ("m.topk(x, 2, 1)[0]", (2, 5)),
    ("m.topk(x, 3, 0)[0]", (4, 2)),
]:
    CASES.append(same(text, (floats(*shape),), written(text)))
INDEX = [
    "x[0]",
    "x[-1, 1:]",
    "x[:, None, 2]",
    "x[..., 0]",
    "x[1:, ..., ::2]",
    "x[None]",
    "x[...]",
    "x[0, 1, 2]",
    "x[:0]",
    "x[[1, 0, 1]]",
    "x[:, [2, 0]]",
    "x[[0, 1], [1, 2]]",
    "x[[0, 1], :, [3, 3]]",
    "x[:, [0, 2], [1, 1]]",
    "x[[[0], [1]], [0, 2]]",
    "x[m.abs(x) > 1]",
    "x[:, x[0, :, 0] > 0]",
    "x[x[:, 0, 0] > -9, 1]",
    "x[[True, False]]",
    "x[[]]",
    "x[1, [0, 0, 0]]",
    "x[[-1, -2]]",
]
for text in INDEX:
    CASES.append(same(text, (floats(2, 3, 4),), written(text)))
ASSIGN = [
    "[0]",
    "[:, 1]",
    "[..., ::2]",
    "[[1, 0]]",
    "[[0, 1], [1, 2]]",
    "[[0, 1], :, [3, 2]]",
    "[x0 > 0]",
    "[1, 2, 3]",
    "[:0]",
]
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
    same(
        "scatter_add", (A, floats(2, 4)), lambda m, x, s: scattered(m, x, s, np.array([[2, 0, 2, 1], [0, 0, 0, 0]]), 1)
    ),
    Case(
        "take", (CUBE,), lambda x: pl.take(x, [2, 0, 2], 1), lambda x: torch.index_select(x, 1, torch.tensor([2, 0, 2]))
    ),
    Case(
        "take of all",
        (A,),
        lambda x: pl.take(x, [[5, -1], [0, 0]]),
        lambda x: torch.take(x, torch.tensor([[5, -1], [0, 0]])),
    ),
    Case(
        "take_along_axis",
        (A,),
        lambda x: pl.take_along_axis(x, [[2, 2], [0, 1]], 1),
        lambda x: torch.take_along_dim(x, torch.tensor([[2, 2], [0, 1]]), 1),
    ),
    Case(
        "take_along_axis broadcasts",
        (A,),
        lambda x: pl.take_along_axis(x, [[2, 1]], 1),
        lambda x: torch.take_along_dim(x, torch.tensor([[2, 1]]), 1),
    ),
    Case("repeat", (A,), lambda x: pl.repeat(x, 2, 1), lambda x: torch.repeat_interleave(x, 2, 1)),
    Case(
        "repeat each",
        (A,),
        lambda x: pl.repeat(x, [1, 0, 3], 1),
        lambda x: torch.repeat_interleave(x, torch.tensor([1, 0, 3]), 1),
    ),
    Case(
        "pad",
        (A,),
        lambda x: pl.pad(x, ((1, 0), (2, 1)), value=3),
        lambda x: torch.nn.functional.pad(x, (2, 1, 1, 0), value=3),
    ),
    Case(
        "pad reflect",
        (floats(1, 1, 5),),
        lambda x: pl.pad(x, ((0, 0), (0, 0), (2, 3)), "reflect"),
        lambda x: torch.nn.functional.pad(x, (2, 3), "reflect"),
    ),
    Case(
        "pad edge",
        (floats(1, 1, 3),),
        lambda x: pl.pad(x, ((0, 0), (0, 0), (4, 1)), "edge"),
        lambda x: torch.nn.functional.pad(x, (4, 1), "replicate"),
    ),
    Case(
        "pad wrap",
        (floats(1, 1, 4),),
        lambda x: pl.pad(x, ((0, 0), (0, 0), (3, 1)), "wrap"),
        lambda x: torch.nn.functional.pad(x, (3, 1), "circular"),
    ),
    Case("split", (CUBE,), lambda x: pl.split(x, 2, -1)[1], lambda x: torch.split(x, 2, -1)[1]),
    Case("unstack", (CUBE,), lambda x: pl.unstack(x, 1)[2], lambda x: torch.unbind(x, 1)[2]),
    Case("argsort", (A,), lambda x: pl.take_along_axis(x, pl.argsort(x, 0), 0), lambda x: torch.sort(x, 0)[0]),
    Case(
        "sort descending",
        (TIES,),
        lambda x: pl.sort(x, 0, descending=True),
        lambda x: torch.sort(x, dim=0, descending=True, stable=True)[0],
    ),
    Case(
        "diamond",
        (A,),
        lambda x: (lambda y: y * y + y.exp() * y.sum())(x * 2),
        lambda x: (lambda y: y * y + y.exp() * y.sum())(x * 2),
    ),
]
