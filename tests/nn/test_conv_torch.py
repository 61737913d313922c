"""Convolution layers against PyTorch's, in float64: values, gradients, second-order gradients, state, over edges."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from tests.nn.layer_checks import Case, run_layer_test

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

# Layer, arguments, shapes of the input.
TABLE: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[tuple[int, ...], ...]]] = [
    ("Conv1d", (3, 4, 3), {}, ((2, 3, 7), (1, 3, 3), (3, 7))),
    ("Conv1d", (4, 4, 2), {"stride": 3, "groups": 4, "bias": False}, ((2, 4, 8), (1, 4, 2))),
    ("Conv1d", (2, 2, 3), {"padding": 5, "dilation": 2}, ((2, 2, 4), (1, 2, 1))),
    ("Conv1d", (2, 3, 4), {"padding": "same"}, ((2, 2, 6), (1, 2, 1), (2, 5))),
    ("Conv1d", (2, 3, 3), {"padding": 2, "padding_mode": "circular"}, ((2, 2, 6), (2, 5))),
    ("Conv2d", (3, 4, 3), {}, ((2, 3, 5, 4), (1, 3, 3, 3), (0, 3, 5, 4), (3, 4, 5))),
    ("Conv2d", (3, 4, (3, 2)), {"stride": (2, 3), "padding": (1, 0)}, ((2, 3, 5, 4), (1, 3, 1, 2))),
    ("Conv2d", (2, 3, 2), {"stride": 4}, ((2, 2, 7, 6),)),
    ("Conv2d", (2, 3, 3), {"padding": 3, "dilation": (2, 1)}, ((2, 2, 3, 3), (1, 2, 1, 1))),
    ("Conv2d", (4, 6, 2), {"groups": 2, "bias": False}, ((2, 4, 3, 4),)),
    ("Conv2d", (4, 8, 3), {"groups": 4, "padding": 1, "stride": 2}, ((2, 4, 4, 5), (0, 4, 3, 3))),
    ("Conv2d", (4, 4, 3), {"groups": 4, "padding": "same"}, ((2, 4, 3, 3), (4, 3, 3))),
    ("Conv2d", (3, 5, 1), {}, ((2, 3, 2, 3), (0, 3, 2, 2), (3, 2, 2))),
    ("Conv2d", (3, 6, 1), {"groups": 3, "stride": 2}, ((2, 3, 3, 3),)),
    ("Conv2d", (2, 3, 2), {"padding": "same", "dilation": 3}, ((2, 2, 4, 5),)),
    ("Conv2d", (2, 3, 3), {"padding": (2, 1), "padding_mode": "reflect"}, ((2, 2, 4, 3), (2, 4, 4))),
    ("Conv2d", (2, 3, 3), {"padding": 1, "padding_mode": "replicate"}, ((2, 2, 3, 3),)),
    ("Conv2d", (2, 3, 3), {"padding": "same", "padding_mode": "circular"}, ((2, 2, 3, 4),)),
    ("Conv3d", (2, 3, 2), {}, ((2, 2, 3, 2, 4), (1, 2, 2, 2, 2), (2, 3, 3, 3))),
    ("Conv3d", (2, 4, (1, 2, 3)), {"stride": (2, 1, 1), "padding": (0, 1, 1), "groups": 2}, ((1, 2, 3, 2, 3),)),
    ("ConvTranspose1d", (3, 4, 3), {}, ((2, 3, 5), (1, 3, 1), (3, 4))),
    ("ConvTranspose1d", (4, 4, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}, ((2, 4, 3),)),
    ("ConvTranspose1d", (2, 2, 3), {"dilation": 3, "output_padding": 2}, ((2, 2, 3),)),
    ("ConvTranspose1d", (2, 2, 3), {"dilation": 3, "output_padding": 2, "padding": 1}, ((2, 2, 3),)),
    ("ConvTranspose2d", (3, 4, 2), {}, ((2, 3, 3, 2), (0, 3, 3, 2), (3, 2, 2))),
    ("ConvTranspose2d", (4, 4, 3), {"stride": 3, "groups": 4, "bias": False}, ((2, 4, 2, 3),)),
    (
        "ConvTranspose2d",
        (2, 3, (2, 3)),
        {"stride": (1, 2), "padding": (1, 1), "output_padding": (0, 1)},
        ((2, 2, 3, 3),),
    ),
    ("ConvTranspose2d", (3, 5, 1), {}, ((2, 3, 2, 3),)),
    ("ConvTranspose3d", (2, 4, 2), {"stride": 2, "groups": 2}, ((1, 2, 2, 1, 2), (2, 2, 2, 2))),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("number", range(len(TABLE)))
def test_layer(number: int) -> None:
    name, args, options, shapes = TABLE[number]
    run_layer_test(
        Case(
            f"{name}{args} {options}",
            lambda: getattr(nn, name)(*args, **options),
            lambda m: getattr(m, name)(*args, **options),
            shapes=shapes,
        ),
        torch,
    )


def test_a_wanted_output_size() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    ours, theirs = (
        nn.ConvTranspose2d(3, 2, 3, stride=3, padding=1),
        torch.nn.ConvTranspose2d(3, 2, 3, stride=3, padding=1),
    )
    ours.double().load_state_dict(theirs.double().state_dict())
    for size in ((10, 13), (12, 15), (11, 14)):
        expected = theirs(torch.from_numpy(x), output_size=size).detach().numpy()
        np.testing.assert_allclose(ours(x, output_size=size).numpy(), expected, rtol=1e-12)


def test_depthwise_separable_is_depthwise_then_pointwise() -> None:
    pl.manual_seed(0)
    ours = nn.DepthwiseSeparableConv2d(4, 6, 3, stride=2, padding=1).double()
    theirs = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, 2, 1, groups=4), torch.nn.Conv2d(4, 6, 1)).double()
    theirs.load_state_dict(
        {
            f"{i}.{n}": torch.from_numpy(getattr(p, n).numpy().copy())
            for i, p in enumerate(ours.children())
            for n in ("weight", "bias")
        }
    )
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 7))
    np.testing.assert_allclose(ours(x).numpy(), theirs(torch.from_numpy(x)).detach().numpy(), rtol=1e-12)
    assert sum(p.size for p in ours.parameters()) == 3 * 3 * 4 + 4 + 4 * 6 + 6


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "dilation"), list(itertools.product((1, 5, 6), (2, 3, 4), (1, 2, 3), (1, 2)))
)
def test_same_upper_and_lower_put_the_odd_zero_behind_and_in_front(
    length: int, kernel: int, stride: int, dilation: int
) -> None:
    rng = np.random.default_rng(0)
    x, k = rng.normal(size=(1, 1, length)), rng.normal(size=(1, 1, kernel))
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + dilation * (kernel - 1) + 1 - length, 0)
    for name, before in (("same_upper", total // 2), ("same_lower", total - total // 2)):
        padded = np.pad(x, ((0, 0), (0, 0), (before, total - before)))
        expected = torch.nn.functional.conv1d(
            torch.from_numpy(padded), torch.from_numpy(k), stride=stride, dilation=dilation
        )
        y = nn.functional.conv1d(x, k, stride=stride, padding=name, dilation=dilation)
        assert y.shape == (1, 1, outputs)
        np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-12)
