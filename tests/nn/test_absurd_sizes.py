"""Sizes that no memory holds, counts that nobody waits for, and arguments of another kind: refused in words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, OutOfMemoryError

HUGE = 10**12
TOO_LARGE: dict[str, Callable[[], Any]] = {
    "Linear": lambda: nn.Linear(HUGE, HUGE),
    "Bilinear": lambda: nn.Bilinear(HUGE, 2, HUGE),
    "Conv1d": lambda: nn.Conv1d(HUGE, HUGE, 3),
    "Conv2d": lambda: nn.Conv2d(HUGE, HUGE, 3),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(HUGE, HUGE, 3),
    "Embedding": lambda: nn.Embedding(HUGE, HUGE),
    "BatchNorm1d": lambda: nn.BatchNorm1d(10**16),
    "InstanceNorm2d": lambda: nn.InstanceNorm2d(10**16, affine=True),
    "GroupNorm": lambda: nn.GroupNorm(1, 10**16),
    "LayerNorm": lambda: nn.LayerNorm((HUGE, HUGE)),
    "RMSNorm": lambda: nn.RMSNorm((HUGE, HUGE)),
    "PReLU": lambda: nn.PReLU(10**16),
    "RNN": lambda: nn.RNN(HUGE, HUGE),
    "LSTM": lambda: nn.LSTM(HUGE, HUGE),
    "GRUCell": lambda: nn.GRUCell(HUGE, HUGE),
    "MultiheadAttention": lambda: nn.MultiheadAttention(2**40, 4),
}


@pytest.mark.parametrize("layer", TOO_LARGE)
def test_weights_that_no_memory_holds(layer: str) -> None:
    with pytest.raises(OutOfMemoryError) as caught:
        TOO_LARGE[layer]()
    assert isinstance(caught.value, MemoryError)
    assert caught.value.what == f"{layer}: its weights are larger than the memory"


def test_the_shape_is_said() -> None:
    with pytest.raises(OutOfMemoryError) as caught:
        nn.Linear(3 * HUGE, HUGE)
    assert str(caught.value).splitlines()[:3] == [
        "Linear: its weights are larger than the memory",
        f"  given:    a weight of shape ({HUGE}, {3 * HUGE})",
        "  expected: weights that fit into memory",
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.RNN(2, 2, num_layers=10**9),
        lambda: nn.LSTM(2, 2, num_layers=10**9),
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1), 10**9),
        lambda: pl.models.GPT(5, block_size=4, n_layer=10**9, n_head=1, n_embd=4),
    ],
)
def test_layers_that_nobody_waits_for(make: Callable[[], Any]) -> None:
    with pytest.raises(ArgumentError, match=r"n(um)?_layers? is out of range"):
        make()


def test_flags_of_another_kind() -> None:
    for name in ("align_corners", "recompute_scale_factor"):
        with pytest.raises(ArgumentTypeError, match=f"Upsample: {name} has the wrong type"):
            nn.Upsample(scale_factor=2, mode="linear", **{name: "no"})
    with pytest.raises(ArgumentTypeError, match="interpolate: recompute_scale_factor has the wrong type"):
        nn.functional.interpolate(np.ones((1, 1, 4)), scale_factor=2, recompute_scale_factor=1.5)


@pytest.mark.parametrize(
    "make",
    [
        lambda d: nn.Linear(1, 1, dtype=d),
        lambda d: nn.Conv2d(1, 1, 1, dtype=d),
        lambda d: nn.BatchNorm2d(1, dtype=d),
        lambda d: nn.MultiheadAttention(2, 1, dtype=d),
        lambda d: pl.zeros(2, dtype=d),
    ],
)
def test_a_number_is_no_dtype(make: Callable[[Any], Any]) -> None:
    with pytest.raises(DTypeError, match="unknown dtype"):
        make(np.float64(2.0))
    make(np.float64)
    make("float32")


def test_sizes_are_shown_as_plain_numbers() -> None:
    sizes = np.array([4, 4])
    assert repr(nn.Fold((sizes[0], sizes[1]), sizes[0])) == repr(nn.Fold((4, 4), 4))
    assert "int64" not in repr(nn.MaxPool2d(sizes))
