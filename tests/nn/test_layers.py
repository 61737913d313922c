"""Layers with weights and layers that change shapes: values by hand, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, ModelError, ShapeError


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


def test_linear_by_hand() -> None:
    layer = nn.Linear(2, 3).double()
    layer.load_state_dict({"weight": [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], "bias": [0.1, 0.2, 0.3]})
    z = layer([1, 0.5])
    np.testing.assert_allclose(z.numpy(), [0.3, 0.7, 1.1], rtol=1e-15)
    np.testing.assert_allclose(pl.sigmoid(z).numpy(), [0.57444252, 0.66818777, 0.75026011], atol=5e-9)
    z.sum().backward()
    assert layer.weight.grad.tolist() == [[1.0, 0.5]] * 3
    assert layer.bias.grad.tolist() == [1.0] * 3


def test_linear_refuses_other_features_and_says_what_would_fit() -> None:
    layer = nn.Linear(20, 10)
    with pytest.raises(ShapeError) as caught:
        layer(np.ones((32, 16)))
    assert lines(caught.value) == [
        "Linear(20, 10): the input has another number of features",
        "  given:    16 features",
        "  expected: 20 features, the length of the last axis",
        "  fix:      Linear(16, 10): it receives 16 features",
    ]
    assert nn.Linear(16, 10)(np.ones((32, 16))).shape == (32, 10)
    with pytest.raises(ShapeError):
        layer(3.0)


@pytest.mark.parametrize("arguments", [(0, 1), (1, -1), (1.5, 1), (1, 1, "yes")])
def test_linear_refuses_impossible_sizes(arguments: tuple[object, ...]) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match=r"Linear: (in_features|out_features|bias)"):
        nn.Linear(*arguments)  # type: ignore[arg-type]


def test_bilinear_by_hand() -> None:
    layer = nn.Bilinear(2, 3, 1)
    layer.load_state_dict({"weight": [[[1, 2, 3], [4, 5, 6]]], "bias": [0.5]})
    # 1·(1·1 + 2·0 + 3·2) + 2·(4·1 + 5·0 + 6·2) + 0.5
    assert layer([[1, 2]], np.array([[1.0, 0.0, 2.0]])).tolist() == [[39.5]]
    with pytest.raises(ShapeError) as caught:
        layer(np.ones((2, 2)), np.ones((3, 3)))
    assert lines(caught.value) == [
        "Bilinear: the inputs and the weight do not fit each other",
        "  given:    inputs (2, 2) and (3, 3), weight (1, 2, 3)",
        "  expected: (..., in1), (..., in2) with equal axes in front, and (out, in1, in2)",
    ]


# Shapes


def test_unflatten_refuses_lengths_that_do_not_divide() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.Unflatten(1, (2, -1))(np.ones((4, 5)))
    assert lines(caught.value) == [
        "Unflatten: the axis has another length",
        "  given:    shape (4, 5), axis 1 of length 5",
        "  expected: a length that (2, -1) gives",
    ]
    for sizes in ((-1, -1), (), "ab", (2.0,), (-2,)):
        with pytest.raises(ArgumentError, match="Unflatten: these are no lengths"):
            nn.Unflatten(1, sizes)  # type: ignore[arg-type]


# Embedding


def test_embedding_looks_up_rows_and_trains_those_used() -> None:
    layer = nn.Embedding(4, 2, padding_idx=0)
    assert layer.weight.numpy()[0].tolist() == [0.0, 0.0]
    layer.weight.assign(pl.Tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    y = layer([[1, 0], [3, 1]])
    assert y.tolist() == [[[1.0, 2.0], [0.0, 0.0]], [[5.0, 6.0], [1.0, 2.0]]]
    y.sum().backward()
    assert layer.weight.grad.tolist() == [[0.0, 0.0], [2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]


def test_embedding_names_the_first_index_outside_the_table() -> None:
    layer = nn.Embedding(10, 3)
    with pytest.raises(IndexRangeError) as caught:
        layer([[1, 2], [12, -1]])
    assert lines(caught.value) == [
        "Embedding: an index lies outside the table",
        "  given:    index 12 at (1, 0); 2 such",
        "  expected: 0 to 9; the table has 10 rows",
    ]
    with pytest.raises(DTypeError) as caught_dtype:
        layer([0.5])
    assert lines(caught_dtype.value) == [
        "Embedding: indices are whole numbers",
        "  given:    dtype float32",
        "  expected: an integer dtype; cast with astype",
    ]
    with pytest.raises(ArgumentError):
        nn.Embedding(10, 3, padding_idx=10)


def test_embedding_in_front_of_other_layers_keeps_its_indices() -> None:
    net = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    assert net([[0, 4], [1, 2]]).shape == (2, 2)
    assert net(np.array([[0, 4]], np.uint8)).dtype == np.float32


def test_embedding_from_a_table() -> None:
    table = np.array([[1.0, 2.0], [3.0, 4.0]])
    layer = nn.Embedding.from_pretrained(table)
    assert layer([1]).tolist() == [[3.0, 4.0]]
    assert not layer.weight.requires_grad
    table[1] = 0
    assert layer([1]).tolist() == [[3.0, 4.0]]
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    with pytest.raises(ShapeError):
        nn.Embedding.from_pretrained([1.0])


# Normalisation


def test_batch_norm_by_hand() -> None:
    layer = nn.BatchNorm1d(1, eps=0.0, momentum=0.25).double()
    x = np.array([[1.0], [2.0], [6.0]])  # mean 3; variance 14/3, unbiased 7
    y = layer(x)
    np.testing.assert_allclose(y.numpy(), (x - 3) / math.sqrt(14 / 3), rtol=1e-14)
    np.testing.assert_allclose(layer.running_mean.numpy(), [0.75], rtol=1e-14)
    np.testing.assert_allclose(layer.running_var.numpy(), [0.75 + 0.25 * 7], rtol=1e-14)
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    np.testing.assert_allclose(layer([[2.0]]).numpy(), [[(2 - 0.75) / math.sqrt(2.5)]], rtol=1e-14)
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_refuses_what_has_no_variance() -> None:
    layer = nn.BatchNorm1d(4)
    for shape, n in (((1, 4), 1), ((0, 4), 0), ((1, 4, 1), 1)):
        with pytest.raises(ModelError) as caught:
            layer(np.ones(shape))
        assert lines(caught.value) == [
            "BatchNorm: too few values for a mean and a variance",
            f"  given:    shape {shape} in training: {n} for each feature",
            "  expected: at least 2; with 1 the variance is 0 and the output the same for every input",
            "  fix:      leave out the last, incomplete batch, or call eval() for use",
        ]
    assert layer.num_batches_tracked.item() == 0
    assert layer.eval()(np.ones((1, 4))).shape == (1, 4)
    with pytest.raises(ShapeError) as caught_shape:
        layer(np.ones((2, 3)))
    assert lines(caught_shape.value) == [
        "BatchNorm: the input has another number of features",
        "  given:    shape (2, 3): 3 features on axis 1",
        "  expected: 4 features",
    ]
    with pytest.raises(ShapeError) as caught_shape:
        layer(np.ones(4))
    assert lines(caught_shape.value) == [
        "BatchNorm: the input has another number of axes",
        "  given:    shape (4,)",
        "  expected: (N, C) / (N, C, L)",
    ]


def test_batch_norm_gradients_do_not_flow_into_the_running_statistics() -> None:
    layer = nn.BatchNorm1d(2)
    layer(np.arange(6.0).reshape(3, 2)).sum().backward()
    assert not layer.running_mean.requires_grad
    assert layer.running_mean.grad is None


def test_layer_norm_by_hand() -> None:
    y = nn.LayerNorm(2, eps=0.0).double()([[1.0, 3.0], [10.0, 10.5]])
    np.testing.assert_allclose(y.numpy(), [[-1, 1], [-1, 1]], rtol=1e-13)
    y = nn.RMSNorm(2, eps=0.0).double()([[3.0, 4.0]])
    np.testing.assert_allclose(y.numpy(), [[3 / math.sqrt(12.5), 4 / math.sqrt(12.5)]], rtol=1e-14)


def test_layer_norm_refuses_other_shapes() -> None:
    with pytest.raises(ShapeError) as caught:
        nn.LayerNorm((3, 4))(np.ones((2, 4)))
    assert lines(caught.value) == [
        "layer_norm: the input does not end in normalized_shape",
        "  given:    input (2, 4)",
        "  expected: last axes (3, 4)",
    ]
    for shape in ((), "a", 0, (2, -1), 1.5, True):
        with pytest.raises(ArgumentError, match="normalized_shape is not a shape"):
            nn.LayerNorm(shape)


# Dropout


def test_dropout_keeps_the_mean_and_takes_out_the_right_fraction() -> None:
    pl.manual_seed(1)
    layer = nn.Dropout(0.25)
    x = pl.Tensor(np.ones(40_000, np.float32), requires_grad=True)
    y = layer(x)
    values, counts = np.unique(y.numpy(), return_counts=True)
    np.testing.assert_allclose(values, [0, 1 / 0.75], rtol=1e-6)
    assert abs(counts[0] - 10_000) < 4 * math.sqrt(40_000 * 0.25 * 0.75)
    y.sum().backward()
    assert np.array_equal(x.grad.numpy(), y.numpy())  # the same mask
    assert not np.array_equal(layer(x).numpy(), y.numpy())  # a new one each time
    pl.manual_seed(1)
    assert np.array_equal(layer(x).numpy(), y.numpy())
    assert np.array_equal(layer.eval()(x).numpy(), x.numpy())


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    pl.manual_seed(2)
    x = pl.normal(0.0, 1.0, (200_000,), key=5)
    y = nn.AlphaDropout(0.2)(x).numpy()
    assert abs(y.mean()) < 0.01  # 4 standard deviations of the mean
    assert abs(y.var() - 1) < 0.02
    level = -1.7580993408473766
    a = 1 / math.sqrt(0.8 * (1 + 0.2 * level**2))
    dropped = np.isclose(y, a * level - a * 0.2 * level, atol=1e-6)
    assert abs(dropped.mean() - 0.2) < 0.004


@pytest.mark.parametrize("layer", [nn.Dropout, nn.AlphaDropout])
def test_dropout_takes_probabilities_only(layer: type) -> None:
    for p in (-0.1, 1.1, float("nan"), "half"):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=f"{layer.__name__}: p"):
            layer(p)
