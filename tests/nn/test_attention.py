"""Attention: values by hand and by float64 differences, queries without a key, masks, dropout, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, PellucidError, ShapeError
from pellucid.nn import functional as F

attend = F.scaled_dot_product_attention


def lines(error: Exception) -> list[str]:
    return [line for line in str(error).split("\n") if not line.startswith("  at: ")]


def drawn(seed: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


def test_by_hand() -> None:
    # exp(0) : exp(ln 3) = 1 : 3, so the weights are 1/4 and 3/4.
    q, k, v = pl.Tensor([[1.0]]), pl.Tensor([[0.0], [math.log(3.0)]]), pl.Tensor([[0.0, 8.0], [4.0, 0.0]])
    np.testing.assert_allclose(attend(q, k, v).numpy(), [[3.0, 2.0]], rtol=1e-6)
    # With 4 features the products are halved: exp(ln 3 / 2) = √3.
    wide = [np.concatenate([x, np.zeros((len(x), 3))], 1) for x in ([[1.0]], [[0.0], [math.log(3.0)]])]
    share = math.sqrt(3) / (1 + math.sqrt(3))
    np.testing.assert_allclose(attend(*wide, np.array([[0.0], [4.0]])).numpy(), [[4 * share]], rtol=1e-14)
    np.testing.assert_allclose(attend(*wide, np.array([[0.0], [4.0]]), scale=1.0).numpy(), [[3.0]], rtol=1e-14)


def test_masks_by_hand() -> None:
    q, v = np.zeros((2, 1)), np.array([[1.0], [2.0], [6.0]])
    k = np.zeros((3, 1))
    assert attend(q, k, v).tolist() == [[3.0], [3.0]]
    assert attend(q, k, v, attn_mask=[[True, True, False], [False, False, True]]).tolist() == [[1.5], [6.0]]
    assert attend(q, k, v, is_causal=True).tolist() == [[1.0], [1.5]]
    # An element that adds ln 2 counts twice: (1 + 2 + 2·6) / 4.
    added = np.array([[0.0, 0.0, math.log(2.0)]])
    np.testing.assert_allclose(attend(q, k, v, attn_mask=added).numpy(), [[3.75], [3.75]], rtol=1e-15)
    assert attend(q, k, v, attn_mask=[[0.0, -math.inf, -math.inf]]).tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_query_without_a_key_gets_zeros_and_passes_no_gradient(kind: str) -> None:
    q, k, v = (pl.Tensor(x, requires_grad=True) for x in drawn(0, (2, 3), (4, 3), (4, 2)))
    allowed = np.array([[False] * 4, [True, False, True, True]])
    mask: Any = allowed if kind == "bool" else np.where(allowed, 0.0, -np.inf)
    y = attend(q, k, v, attn_mask=mask)
    assert y[0].tolist() == [0.0, 0.0]
    expected = attend(q.detach()[1:], k.detach(), v.detach(), attn_mask=mask[1:])
    np.testing.assert_array_equal(y[1:].numpy(), expected.numpy())
    gradients = pl.autograd.grad((y * y).sum(), [q, k, v], create_graph=True)
    assert gradients[0][0].tolist() == [0.0] * 3
    second = pl.autograd.grad(sum((g * g).sum() for g in gradients), [q, k, v])
    assert all(np.isfinite(g.numpy()).all() for g in (*gradients, *second))


def test_large_products_do_not_overflow() -> None:
    q, k, v = np.full((1, 4), 1e3), np.array([[1e3] * 4, [-1e3] * 4]), np.array([[1.0], [2.0]])
    assert attend(q, k, v).tolist() == [[1.0]]
    assert attend(q, k, v, attn_mask=[[False, True]]).tolist() == [[2.0]]
    assert attend(-q, k, v, attn_mask=[[True, False]]).tolist() == [[1.0]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": np.array([[True, False, True], [False, True, True]])},
        {"attn_mask": np.array([[0.5, -np.inf, 0.1], [-0.2, 0.0, 1.0]])},
    ],
    ids=str,
)
def test_gradients_by_differences(options: dict[str, Any]) -> None:
    inputs = drawn(1, (2, 2, 3), (2, 3, 3), (2, 3, 2))
    pl.check_gradients(lambda q, k, v: attend(q, k, v, **options), inputs)

    def slopes(q: pl.Tensor, k: pl.Tensor, v: pl.Tensor) -> pl.Tensor:
        with pl.enable_grad():
            y = attend(q, k, v, **options)
            return pl.concatenate([g.flatten() for g in pl.autograd.grad((y * y).sum(), [q, k, v], create_graph=True)])

    pl.check_gradients(slopes, [x[:1] for x in inputs])


def test_a_mask_of_floats_is_trained() -> None:
    q, k, v = drawn(2, (2, 3), (4, 3), (4, 2))
    pl.check_gradients(lambda mask: attend(q, k, v, attn_mask=mask), drawn(3, (2, 4))[0])


def test_causal_results_do_not_depend_on_what_comes_later() -> None:
    q, k, v = drawn(4, (5, 3), (5, 3), (5, 2))
    before = attend(q, k, v, is_causal=True).numpy()
    k[3:], v[3:] = 7.0, -7.0
    after = attend(q, k, v, is_causal=True).numpy()
    np.testing.assert_array_equal(before[:3], after[:3])
    assert (before[3:] != after[3:]).all()


def test_groups_of_heads() -> None:
    q, k, v = drawn(5, (2, 6, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3))
    grouped = attend(q, k, v, enable_gqa=True).numpy()
    np.testing.assert_allclose(grouped, attend(q, k.repeat(3, 1), v.repeat(3, 1)).numpy(), rtol=1e-14)
    # One head for all: the keys of axis -3 are the same for each.
    one = attend(q, k[:, :1], v[:, :1], enable_gqa=True).numpy()
    np.testing.assert_allclose(one, attend(q, k[:, :1], v[:, :1]).numpy(), rtol=1e-14)


def test_axes_in_front_broadcast() -> None:
    q, k, v = drawn(6, (4, 1, 3, 2), (2, 5, 2), (2, 5, 3))
    y = attend(q, k, v).numpy()
    assert y.shape == (4, 2, 3, 3)
    for i in range(4):
        for j in range(2):
            np.testing.assert_allclose(y[i, j], attend(q[i, 0], k[j], v[j]).numpy(), rtol=1e-14)
    assert attend(np.zeros((0, 3, 2)), np.zeros((0, 5, 2)), np.zeros((0, 5, 4))).shape == (0, 3, 4)


def test_dropout_takes_out_its_share_and_keeps_the_mean() -> None:
    pl.manual_seed(0)
    count, p = 40_000, 0.3
    # Every query has one key, whose weight is 1: what leaves is 0 or 1 / (1 - p).
    y = attend(np.zeros((count, 1, 1)), np.zeros((count, 1, 1)), np.ones((count, 1, 1)), dropout_p=p).numpy()
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - p), rtol=1e-6)
    spread = math.sqrt(p * (1 - p) / count)
    assert abs(kept.mean() - (1 - p)) < 5 * spread
    assert (attend(*drawn(0, (2, 3), (2, 3), (2, 3)), dropout_p=1.0).numpy() == 0).all()


Q, K, V = np.zeros((2, 4, 5, 3)), np.zeros((2, 4, 6, 3)), np.zeros((2, 4, 6, 7))
NAME = "scaled_dot_product_attention"
REFUSED: list[tuple[tuple[Any, ...], dict[str, Any], type[Exception], list[str]]] = [
    (
        (Q, K[..., :2], V),
        {},
        ShapeError,
        [
            f"{NAME}: query and key do not have the same features",
            "  given:    query (2, 4, 5, 3), key (2, 4, 6, 2)",
            "  expected: a last axis of one length, at least 1; here 3 and 2",
        ],
    ),
    (
        (Q, K[:, :, :5], V),
        {},
        ShapeError,
        [
            f"{NAME}: keys and values differ in number",
            "  given:    key (2, 4, 5, 3), value (2, 4, 6, 7)",
            "  expected: one value for each key; axis -2 has 5 and 6",
        ],
    ),
    (
        (Q, K[:, :3], V),
        {},
        ShapeError,
        [
            f"{NAME}: batches or heads do not fit",
            "  given:    query (2, 4, 5, 3), key (2, 3, 6, 3), value (2, 4, 6, 7)",
            "  expected: axes in front of the last two that are equal, 1 or missing",
        ],
    ),
    (
        (Q, K[:, :2], V[:, :2]),
        {},
        ShapeError,
        [
            f"{NAME}: batches or heads do not fit",
            "  given:    query (2, 4, 5, 3), key (2, 2, 6, 3), value (2, 2, 6, 7)",
            "  expected: axes in front of the last two that are equal, 1 or missing",
            "  fix:      enable_gqa=True",
        ],
    ),
    (
        (Q, K[:, :3], V[:, :3]),
        {"enable_gqa": True},
        ShapeError,
        [
            f"{NAME}: the heads do not form groups",
            "  given:    query (2, 4, 5, 3), key or value (2, 3, 6, 3)",
            "  expected: heads on axis -3, of the query a multiple of those of key and value",
        ],
    ),
    (
        (Q, K[:, :, :0], V[:, :, :0]),
        {},
        ShapeError,
        [
            f"{NAME}: a sequence has no elements",
            "  given:    key (2, 4, 0, 3)",
            "  expected: a length of at least 1",
        ],
    ),
    (
        (Q[0, 0, 0], K, V),
        {},
        ShapeError,
        [
            f"{NAME}: query has too few axes",
            "  given:    query (3,)",
            "  expected: (..., length, features)",
        ],
    ),
    (
        (Q, K, V),
        {"attn_mask": np.ones((5, 6), bool), "is_causal": True},
        ArgumentError,
        [
            f"{NAME}: takes attn_mask or is_causal, not both",
            "  given:    attn_mask, is_causal=True",
            "  expected: one of them; a bool mask holds both as mask & pellucid.ones((L, S), dtype=bool).tril()",
        ],
    ),
    (
        (Q, K, V),
        {"attn_mask": np.ones((5, 6), int)},
        DTypeError,
        [
            f"{NAME}: attn_mask holds whole numbers",
            "  given:    attn_mask of int64",
            "  expected: bool, or floats that are added",
            "  fix:      attn_mask.astype(bool), if 1 stands for True",
        ],
    ),
    (
        (Q, K, V),
        {"attn_mask": np.ones((3, 2, 1, 5, 6), bool)},
        ShapeError,
        [
            f"{NAME}: attn_mask does not fit",
            "  given:    attn_mask (3, 2, 1, 5, 6)",
            "  expected: (2, 4, 5, 6), or a shape that broadcasts to it",
        ],
    ),
]


@pytest.mark.parametrize(("inputs", "options", "kind", "message"), REFUSED, ids=lambda value: None)
def test_the_function_refuses(
    inputs: tuple[Any, ...], options: dict[str, Any], kind: type[Exception], message: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        attend(*inputs, **options)
    assert lines(caught.value) == message


def test_what_the_messages_suggest_is_accepted() -> None:
    assert attend(Q, K[:, :2], V[:, :2], enable_gqa=True).shape == (2, 4, 5, 7)
    mask = pl.ones((5, 6), dtype=bool)
    assert attend(Q, K, V, attn_mask=mask & pl.ones((5, 6), dtype=bool).tril()).shape == (2, 4, 5, 7)
    assert attend(Q, K, V, attn_mask=np.ones((5, 6), int).astype(bool)).shape == (2, 4, 5, 7)


@pytest.mark.parametrize(
    "bad",
    [{"dropout_p": 1.5}, {"dropout_p": "x"}, {"is_causal": 1}, {"scale": math.nan}, {"enable_gqa": "yes"}],
    ids=str,
)
def test_the_function_refuses_arguments_out_of_range(bad: dict[str, Any]) -> None:
    with pytest.raises(PellucidError, match=f"{NAME}: {next(iter(bad))}"):
        attend(Q, K, V, **bad)


def test_dtypes() -> None:
    for dtype in (np.float32, np.float64):
        q, k, v = (x.astype(dtype) for x in (Q, K, V))
        for mask in (None, np.zeros((5, 6)), np.zeros((5, 6), np.float32), np.ones((5, 6), bool)):
            assert attend(q, k, v, attn_mask=mask).dtype == dtype
    assert attend([[1, 2]], [[1, 2]], [[3, 4]]).tolist() == [[3.0, 4.0]]


# The layer


def test_the_layer_by_hand() -> None:
    layer = nn.MultiheadAttention(2, 2, batch_first=True, dtype=pl.float64)
    eye = np.eye(2)
    layer.load_state_dict(
        {
            "in_proj_weight": np.concatenate([eye, eye, eye]),
            "in_proj_bias": np.zeros(6),
            "out_proj.weight": 2 * eye,
            "out_proj.bias": [0.5, 0.0],
        }
    )
    x = np.array([[[0.0, 0.0], [math.log(3.0), 0.0]]])
    y, weights = layer(x, x, x)
    # The first head's second query has the products 0 and (ln 3)²; all others of 0 share evenly.
    share = 1 / (1 + math.exp(math.log(3.0) ** 2))
    heads = [[[0.5, 0.5], [share, 1 - share]], [[0.5, 0.5], [0.5, 0.5]]]
    np.testing.assert_allclose(layer.attention_weights.numpy(), [heads], rtol=1e-14)
    np.testing.assert_allclose(weights.numpy(), [np.mean(heads, 0)], rtol=1e-14)
    expected = [[math.log(3.0) + 0.5, 0.0], [2 * (1 - share) * math.log(3.0) + 0.5, 0.0]]
    np.testing.assert_allclose(y.numpy(), [expected], rtol=1e-14)


def test_true_in_the_layers_masks_is_what_nobody_may_look_at() -> None:
    pl.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = drawn(0, (3, 5, 4))[0]
    padding = np.arange(5) >= np.array([[5], [2], [0]])
    y, weights = layer(x, x, x, key_padding_mask=padding)
    assert (weights.numpy()[1, :, 2:] == 0).all()
    np.testing.assert_allclose(weights.numpy()[:2].sum(-1), 1, rtol=1e-6)
    # The last sample has no key at all: what leaves is the bias of the last layer.
    assert (weights.numpy()[2] == 0).all()
    np.testing.assert_array_equal(y.numpy()[2], np.broadcast_to(layer.out_proj.bias.numpy(), (5, 4)))
    # What is padded has no say: other numbers there change nothing.
    other = x.copy()
    other[1, 2:] = 9.0
    np.testing.assert_array_equal(layer(x, other, other, key_padding_mask=padding)[0].numpy()[1], y.numpy()[1])


def test_is_causal_comes_in_addition_to_the_masks() -> None:
    pl.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, batch_first=True)
    x = drawn(1, (2, 3, 4))[0]
    padding = np.array([[False, True, False], [False, False, False]])
    _, weights = layer(x, x, x, key_padding_mask=padding, is_causal=True)
    assert (weights.numpy() > 0).tolist() == [
        [[True, False, False], [True, False, False], [True, False, True]],
        [[True, False, False], [True, True, False], [True, True, True]],
    ]


def test_the_weights_that_are_returned_are_those_before_dropout() -> None:
    pl.manual_seed(0)
    layer = nn.MultiheadAttention(4, 2, dropout=0.5, batch_first=True)
    x = drawn(2, (2, 3, 4))[0]
    first, second = (layer(x, x, x) for _ in range(2))
    assert (first[0].numpy() != second[0].numpy()).any()
    np.testing.assert_array_equal(first[1].numpy(), second[1].numpy())
    np.testing.assert_allclose(first[1].numpy().sum(-1), 1, rtol=1e-6)
    layer.eval()
    np.testing.assert_array_equal(layer(x, x, x)[0].numpy(), layer(x, x, x)[0].numpy())


def test_how_the_weights_start() -> None:
    pl.manual_seed(0)
    layer = nn.MultiheadAttention(64, 4, add_bias_kv=True)
    bound = math.sqrt(6 / (64 + 3 * 64))  # Glorot and Bengio's, of the weight as one matrix
    w = layer.in_proj_weight.numpy()
    assert 0.99 * bound < np.abs(w).max() <= bound
    assert abs(w.std() - bound / math.sqrt(3)) < 0.01 * bound
    assert np.abs(layer.out_proj.weight.numpy()).max() <= 1 / 8
    assert (layer.in_proj_bias.numpy() == 0).all()
    assert (layer.out_proj.bias.numpy() == 0).all()
    assert layer.bias_k.numpy().std() > 0
    own = nn.MultiheadAttention(64, 4, kdim=16)
    for weight, fans in ((own.q_proj_weight, 128), (own.k_proj_weight, 80), (own.v_proj_weight, 128)):
        assert 0.98 * math.sqrt(6 / fans) < np.abs(weight.numpy()).max() <= math.sqrt(6 / fans)


def test_sizes_at_the_edge() -> None:
    layer = nn.MultiheadAttention(4, 2)
    for shape in ((1, 1, 4), (3, 1, 4), (1, 3, 4), (3, 0, 4), (1, 4), (3, 4)):
        x = np.ones(shape, np.float32)
        y, weights = layer(x, x, x)
        length, batch = shape[0], shape[1:-1]
        assert y.shape == shape
        assert weights.shape == (*batch, length, length)
        assert layer.attention_weights.shape == (*batch, 2, length, length)


X = np.zeros((2, 3, 4), np.float32)
LAYER_REFUSED: list[tuple[Any, list[str]]] = [
    (
        lambda layer: layer(X, X[0], X[0]),
        [
            "MultiheadAttention: the sequences have other axes",
            "  given:    query (2, 3, 4), key (3, 4), value (3, 4)",
            "  expected: two axes each for single sequences, three for batches; query (N, L, 4)",
        ],
    ),
    (
        lambda layer: layer(X, X[..., :3], X),
        [
            "MultiheadAttention: key has another number of features",
            "  given:    key (2, 3, 3): 3 features",
            "  expected: 4 features, the length of the last axis",
        ],
    ),
    (
        lambda layer: layer(X, X[:, :2], X),
        [
            "MultiheadAttention: the sequences do not fit each other",
            "  given:    query (2, 3, 4), key (2, 2, 4), value (2, 3, 4)",
            "  expected: key and value (N, S, 4) of one length, all of one batch",
        ],
    ),
    (
        lambda layer: layer(X, X[:1], X[:1]),
        [
            "MultiheadAttention: the sequences do not fit each other",
            "  given:    query (2, 3, 4), key (1, 3, 4), value (1, 3, 4)",
            "  expected: key and value (N, S, 4) of one length, all of one batch",
        ],
    ),
    (
        lambda layer: layer(X, X[:, :0], X[:, :0]),
        [
            "MultiheadAttention: a sequence has no elements",
            "  given:    key (2, 0, 4)",
            "  expected: a length of at least 1",
        ],
    ),
    (
        lambda layer: layer(X, X, X, attn_mask=np.ones((2, 3, 3), bool)),
        [
            "MultiheadAttention: attn_mask has another shape",
            "  given:    attn_mask (2, 3, 3)",
            "  expected: (3, 3) / (4, 3, 3)",
        ],
    ),
    (
        lambda layer: layer(X, X, X, key_padding_mask=np.ones((3, 2), bool)),
        [
            "MultiheadAttention: key_padding_mask has another shape",
            "  given:    key_padding_mask (3, 2)",
            "  expected: (2, 3)",
        ],
    ),
    (
        lambda layer: layer(X, X, X, key_padding_mask=np.ones((2, 3), int)),
        [
            "MultiheadAttention: key_padding_mask holds whole numbers",
            "  given:    key_padding_mask of int64",
            "  expected: bool, or floats that are added",
            "  fix:      key_padding_mask.astype(bool), if 1 stands for True",
        ],
    ),
    (
        lambda layer: nn.MultiheadAttention(10, 4),
        [
            "MultiheadAttention: the features cannot be shared among the heads",
            "  given:    10 features, 4 heads",
            "  expected: features that are a multiple of the heads",
        ],
    ),
]


@pytest.mark.parametrize(("call", "message"), LAYER_REFUSED, ids=lambda value: None)
def test_the_layer_refuses(call: Any, message: list[str]) -> None:
    with pytest.raises(PellucidError) as caught:
        call(nn.MultiheadAttention(4, 2, batch_first=True))
    assert lines(caught.value) == message


@pytest.mark.parametrize("name", nn.MultiheadAttention.__init__.constraints)
def test_the_layer_refuses_arguments_out_of_range(name: str) -> None:
    for bad in nn.MultiheadAttention.__init__.constraints[name].invalid():
        with pytest.raises((ArgumentError, ArgumentTypeError), match=f"MultiheadAttention: {name}"):
            nn.MultiheadAttention(**{"embed_dim": 4, "num_heads": 2, name: bad})
