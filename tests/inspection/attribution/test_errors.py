"""What attribution refuses, and what it says then."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import errors, nn

X = np.ones((2, 4), np.float32)


class Shared(nn.Module):
    def __init__(self) -> None:
        self.inner = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)
        self.cell = nn.LSTM(4, 4, batch_first=True)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.inner(self.inner(x)) + self.cell(x[:, None])[0][:, 0]


def dense() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def tokens() -> nn.Sequential:
    return nn.Sequential(nn.Embedding(5, 2), nn.Flatten(), nn.Linear(8, 3))


T = np.ones((2, 4), np.int64)

CASES: list[tuple[Callable[[], Any], type[Exception], str, str]] = [
    (lambda: pl.saliency(3, X), errors.ArgumentTypeError, "there is nothing to explain", ""),
    (lambda: pl.saliency(dense(), "x"), errors.ArgumentTypeError, "x is no input", ""),
    (lambda: pl.saliency(dense(), X[:0]), errors.ShapeError, "the input has no rows", ""),
    (lambda: pl.saliency(dense(), X, 3), errors.ArgumentError, "target 3 is out of range", ""),
    (lambda: pl.saliency(dense(), X, -1), errors.ArgumentError, "target -1 is out of range", ""),
    (lambda: pl.saliency(dense(), X, [0, 7]), errors.ArgumentError, "target 7 is out of range", ""),
    (lambda: pl.saliency(dense(), X, [0]), errors.ShapeError, "there is not one target for each row", ""),
    (lambda: pl.saliency(dense(), X, "cat"), errors.ArgumentTypeError, "target names no output", ""),
    (lambda: pl.saliency(dense(), X, 1.0), errors.ArgumentTypeError, "target names no output", ""),
    (lambda: pl.saliency(dense(), X, True), errors.ArgumentTypeError, "target names no output", ""),
    (lambda: pl.saliency(dense(), X, (0, 1)), errors.ArgumentError, "target is no place in the output of a row", ""),
    (
        lambda: pl.saliency(lambda x: x.reshape((2, 2, 2)), X),
        errors.ArgumentError,
        "the output of a row is not one axis of numbers, so target has to name a place",
        "",
    ),
    (
        lambda: pl.saliency(dense(), X, lambda y: y),
        errors.ShapeError,
        "the function given as target does not give one number for each row",
        "",
    ),
    (
        lambda: pl.saliency(dense(), X, lambda y: 1.0),
        errors.ArgumentTypeError,
        "the function given as target gives no Tensor",
        "",
    ),
    (
        lambda: pl.saliency(lambda x: x.sum(), X),
        errors.ShapeError,
        "the output has not a row for each row of the input",
        "",
    ),
    (
        lambda: pl.saliency(lambda x: (x, x), X),
        errors.ArgumentTypeError,
        "the network gives no single Tensor, so what is to be explained is not clear",
        "",
    ),
    (
        lambda: pl.saliency(lambda x: pl.argmax(x, axis=1), X),
        errors.ArgumentTypeError,
        "the network gives no floats, so there is nothing to explain by degrees",
        "",
    ),
    (
        lambda: pl.saliency(lambda x: pl.ones((2,)), X),
        errors.GradientError,
        "the explained output does not depend on the input by any operation that has a gradient",
        "",
    ),
    (
        lambda: pl.layerwise_relevance(lambda x: pl.ones((2,)), X),
        errors.GradientError,
        "the explained output does not depend on the input by any operation that has a gradient",
        "",
    ),
    (
        lambda: pl.saliency(lambda x: pl.log(x - 1.0).sum(axis=1), X),
        errors.ArgumentError,
        "the explained output is not finite, so there is nothing to share out",
        "",
    ),
    (lambda: pl.saliency(tokens(), T), errors.ArgumentTypeError, "whole numbers have no gradient", "layer='0'"),
    (lambda: pl.integrated_gradients(tokens(), T), errors.ArgumentTypeError, "whole numbers have no gradient", ""),
    (lambda: pl.occlusion(tokens(), T), errors.ArgumentError, "which whole number stands for nothing is not known", ""),
    (
        lambda: pl.occlusion(tokens(), T, baseline=0.5),
        errors.ArgumentTypeError,
        "baseline is no array of numbers that fits x",
        "",
    ),
    (
        lambda: pl.occlusion(dense(), X, baseline="black"),
        errors.ArgumentTypeError,
        "baseline is no array of numbers that fits x",
        "",
    ),
    (
        lambda: pl.integrated_gradients(dense(), X, baseline=np.zeros(3)),
        errors.ShapeError,
        "baseline has another shape than x",
        "",
    ),
    (
        lambda: pl.integrated_gradients(dense(), X, baseline=np.inf),
        errors.ArgumentError,
        "baseline holds numbers that are not finite",
        "",
    ),
    (
        lambda: pl.saliency(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), X, layer="2"),
        errors.MissingKeyError,
        "Sequential has no layer '2'",
        "",
    ),
    (
        lambda: pl.features(Shared(), X, "iner"),
        errors.MissingKeyError,
        "Shared has no layer 'iner'",
        "did you mean 'inner'?",
    ),
    (
        lambda: pl.saliency(lambda x: x, X, layer="0"),
        errors.ArgumentTypeError,
        "a function has no layers that could be named",
        "",
    ),
    (
        lambda: pl.saliency(dense(), X, layer=0),
        errors.ArgumentTypeError,
        "layer is neither a name nor a layer",
        "",
    ),
    (
        lambda: pl.saliency(Shared(), X, 0, layer="inner"),
        errors.ModelError,
        "which call of layer inner is meant is not clear",
        "",
    ),
    (
        lambda: pl.saliency(Shared(), X, 0, layer="cell"),
        errors.ModelError,
        "layer cell gives no single Tensor",
        "",
    ),
    (lambda: pl.features(Shared(), X, "inner"), errors.ArgumentError, "layer inner is called several times", ""),
    (lambda: pl.features(Shared(), X, "inner", call=2), errors.ArgumentError, "layer inner has no call 2", ""),
    (lambda: pl.features(Shared(), X, "unused"), errors.ModelError, "the network does not call layer unused", ""),
    (lambda: pl.occlusion(dense(), X, window=5), errors.ArgumentError, "window does not fit into a row", ""),
    (lambda: pl.occlusion(dense(), X, window=0), errors.ArgumentError, "window does not fit into a row", ""),
    (lambda: pl.occlusion(dense(), X, window=(1, 1)), errors.ArgumentError, "window does not fit into a row", ""),
    (
        lambda: pl.occlusion(dense(), X, window=1.5),
        errors.ArgumentTypeError,
        "window is neither a whole number nor a tuple of them",
        "",
    ),
    (
        lambda: pl.occlusion(dense(), X, window=2, stride=3),
        errors.ArgumentError,
        "windows would leave numbers uncovered",
        "",
    ),
    (
        lambda: pl.shapley_values(nn.Linear(17, 1), np.ones((1, 17))),
        errors.ArgumentError,
        "too many features for exact Shapley values",
        "",
    ),
    (
        lambda: pl.shapley_values(dense(), X, groups=[0, 1, 3, 3]),
        errors.ArgumentError,
        "groups are not numbered from 0 up without a gap",
        "",
    ),
    (
        lambda: pl.shapley_values(dense(), X, groups=[0, 1]),
        errors.ShapeError,
        "groups have another shape than a row",
        "",
    ),
    (
        lambda: pl.shapley_values(dense(), X, groups=[0.0, 1.0, 2.0, 3.0]),
        errors.ArgumentTypeError,
        "groups are not whole numbers",
        "",
    ),
    (
        lambda: pl.grad_cam(dense(), X),
        errors.ArgumentError,
        "the network has no convolution whose map could be drawn",
        "",
    ),
    (
        lambda: pl.grad_cam(dense(), X, layer="0"),
        errors.ShapeError,
        "the output of layer 0 is no map of the input",
        "",
    ),
    (lambda: pl.attention_rollout(lambda x: x, X), errors.ArgumentTypeError, "the layers of a network are needed", ""),
    (
        lambda: pl.attention_rollout(
            nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 4, batch_first=True), 1), X[:, None], position=1
        ),
        errors.ArgumentError,
        "there is no position 1",
        "",
    ),
    (
        lambda: pl.maximize_activation(dense(), 3, (4,)),
        errors.ArgumentError,
        "Sequential has no neuron 3",
        "",
    ),
    (
        lambda: pl.maximize_activation(dense(), 0, (4, 0)),
        errors.ArgumentError,
        "shape is not that of a row",
        "",
    ),
    (
        lambda: pl.maximize_activation(dense(), "a", (4,)),
        errors.ArgumentTypeError,
        "neuron is neither a whole number nor a tuple of them",
        "",
    ),
    (
        lambda: pl.maximize_activation(dense(), 0, (4,), bounds=(1.0, 0.0)),
        errors.ArgumentError,
        "bounds are empty",
        "",
    ),
    (
        lambda: pl.maximize_activation(dense(), 0, (4,), start=np.zeros(3)),
        errors.ShapeError,
        "start has another shape than a row",
        "",
    ),
    (
        lambda: pl.maximize_activation(lambda x: pl.ones((1, 2)), 0, (4,)),
        errors.GradientError,
        "the explained output does not depend on the input by any operation that has a gradient",
        "",
    ),
]


@pytest.mark.parametrize(("call", "kind", "what", "fix"), CASES)
def test_what_is_refused(call: Callable[[], Any], kind: type[Exception], what: str, fix: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.what == what
    if fix:
        assert caught.value.fix == fix
    assert caught.value.given
    assert caught.value.expected


def test_the_suggested_layer_works() -> None:
    with pytest.raises(errors.ArgumentTypeError) as caught:
        pl.saliency(tokens(), T, 0)
    assert str(caught.value).splitlines()[:4] == [
        "whole numbers have no gradient",
        "  given:    x of int64",
        "  expected: floats, or layer= with what makes floats of them; occlusion and shapley_values take whole numbers",
        "  fix:      layer='0'",
    ]
    assert pl.saliency(tokens(), T, 0, layer="0").scores.shape == (2, 4, 2)


def test_a_refused_call_leaves_the_network_as_it_was() -> None:
    model = dense()
    with pytest.raises(errors.ArgumentError):
        pl.saliency(model, X, 9, layer="1")
    assert all(m.training and not m._hooks for m in model.modules())


@pytest.mark.parametrize("function", [pl.integrated_gradients, pl.smooth_grad, pl.layerwise_relevance, pl.saliency])
def test_arguments_out_of_range(function: Callable[..., Any]) -> None:
    for name, constraint in function.constraints.items():
        for bad in constraint.invalid():
            with pytest.raises((errors.ArgumentError, errors.ArgumentTypeError)):
                function(dense(), X, 0, **{name: bad})
