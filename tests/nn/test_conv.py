"""Convolution layers: what they refuse, and how their weights start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, PellucidError, ShapeError

X = np.zeros((2, 3, 5, 4))

REFUSED: list[tuple[Any, type[PellucidError], str]] = [
    (
        lambda: nn.Conv2d(3, 4, 3)(np.zeros((2, 4, 5, 5))),
        ShapeError,
        (
            "conv2d: the input has another number of channels than the weight takes\n"
            "  given:    input (2, 4, 5, 5), weight (4, 3, 3, 3), groups 1\n"
            "  expected: 3 channels on axis 1 of the input; here 4"
        ),
    ),
    (
        lambda: nn.Conv2d(3, 4, 6)(X),
        ShapeError,
        (
            "conv2d: the kernel does not fit into the input\n"
            "  given:    input (2, 3, 5, 4), kernel (4, 3, 6, 6), reaching over (6, 6)\n"
            "  expected: a padded input at least as long as the reach, and an output of the length that follows; "
            "here it is (5, 4)"
        ),
    ),
    (
        lambda: nn.Conv2d(3, 4, 3)(np.zeros((3, 5))),
        ShapeError,
        (
            "conv2d: an input has another number of axes than it takes\n"
            "  given:    shapes (3, 5) and (4, 3, 3, 3)\n"
            "  expected: an input (N, C, H, W) or (C, H, W), and a weight with as many spatial axes"
        ),
    ),
    (
        lambda: nn.Conv2d(3, 4, 3, groups=2),
        ShapeError,
        (
            "Conv2d: the channels do not fall into equal groups\n"
            "  given:    3 channels, groups 2\n"
            "  expected: a number of channels that groups divides"
        ),
    ),
    (
        lambda: nn.Conv1d(3, 4, 3, stride=2, padding="same"),
        ShapeError,
        (
            "Conv1d: padding 'same' is only defined for stride 1\n"
            "  given:    stride (2,)\n"
            "  expected: stride 1; or 'same_upper' or 'same_lower', which keep ceil(length / stride)"
        ),
    ),
    (
        lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=2),
        ShapeError,
        (
            "ConvTranspose2d: output_padding is too large\n"
            "  given:    output_padding (2, 2), stride (2, 2), dilation (1, 1)\n"
            "  expected: less than the stride or the dilation on every axis"
        ),
    ),
    (
        lambda: nn.ConvTranspose2d(3, 4, 3, stride=2)(X, output_size=(20, 20)),
        ArgumentError,
        (
            "ConvTranspose2d: no transposed convolution has this output\n"
            "  given:    output_size (20, 20)\n"
            "  expected: between (11, 9) and (12, 10)"
        ),
    ),
    (
        lambda: nn.ConvTranspose1d(3, 4, 1, padding=2)(np.zeros((1, 3, 4))),
        ShapeError,
        (
            "conv_transpose1d: the padding takes away the whole output\n"
            "  given:    input (1, 3, 4), weight (3, 4, 1): an output of (0,)\n"
            "  expected: at least one element on every axis"
        ),
    ),
    (
        lambda: nn.functional.conv2d(X, np.zeros((4, 3, 3, 3)), np.zeros(3)),
        ShapeError,
        (
            "conv2d: the bias does not fit the output channels\n"
            "  given:    bias (3,), 4 output channels\n"
            "  expected: shape (4,)"
        ),
    ),
]


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn.Conv2d(4, 4, 3, stride=2, groups=4)(np.ones((1, 4, 2, 8))),
        lambda: nn.functional.conv1d(np.ones((1, 2, 3)), np.ones((2, 1, 3)), stride=2, dilation=2, groups=2),
        lambda: nn.functional.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 0, 3))),
    ],
)
def test_no_output_without_elements(call: Any) -> None:
    with pytest.raises(ShapeError, match="the kernel does not fit into the input"):
        call()


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refused(number: int) -> None:
    call, kind, message = REFUSED[number]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).split(": ", 1)[-1].startswith(message.split(": ", 1)[-1]), str(caught.value)
    assert message.splitlines()[0] in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 0},
        {"kernel_size": "3"},
        {"kernel_size": (3, 3, 3)},
        {"kernel_size": 3, "stride": 0},
        {"kernel_size": 3, "dilation": -1},
        {"kernel_size": 3, "padding": -1},
        {"kernel_size": 3, "padding": "full"},
        {"kernel_size": 3, "groups": 0},
        {"kernel_size": 3, "padding_mode": "mirror"},
        {"kernel_size": 2.5},
    ],
)
def test_arguments_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError)):
        nn.Conv2d(2, 2, **arguments)


def test_weights_start_by_the_activation_that_follows() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(8, 64, 3), nn.ReLU(), nn.Conv2d(64, 8, 1))
    std = float(model[0].weight.numpy().std())
    assert abs(std - (2 / (8 * 9)) ** 0.5) < 0.01
    assert abs(float(model[2].weight.numpy().std()) - (1 / 64) ** 0.5) < 0.01


def test_a_convolution_by_hand() -> None:
    layer = nn.Conv2d(1, 1, 2)
    layer.load_state_dict({"weight": np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), "bias": np.array([10.0])})
    # 1·1 + 2·2 + 3·4 + 4·5 + 10 and so on: the kernel is not turned round.
    assert layer([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]]).tolist() == [[[[47.0, 57.0]]]]
