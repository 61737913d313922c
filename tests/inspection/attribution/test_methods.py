"""What each method promises, against values by hand and plain loops in NumPy."""

import itertools
import math

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn


def network() -> nn.Sequential:
    pl.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def convolutions() -> nn.Sequential:
    pl.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4)
    ).double()


X = np.random.default_rng(0).normal(size=(5, 6))
PICTURES = np.random.default_rng(1).normal(size=(2, 2, 6, 6))


# Integrated gradients


# Where a ReLU opens the gradient jumps, and the error of equal steps would fall as 1/steps only.
@pytest.mark.parametrize(("tolerance", "smooth"), [(0.1, False), (0.01, False), (1e-4, False), (1e-4, True)])
def test_integrated_gradients_add_up(tolerance: float, smooth: bool) -> None:
    model = network()
    if smooth:
        model[1] = nn.Tanh()
    found = pl.integrated_gradients(model, X, 2, tolerance=tolerance)
    change = model(X).numpy()[:, 2] - model(np.zeros((1, 6))).numpy()[0, 2]
    np.testing.assert_allclose(found.completeness_error, found.totals - change, atol=1e-12)
    scale = np.maximum(np.abs(change), 0.01 * np.abs(found.scores).sum(axis=1))
    assert (np.abs(found.totals - change) <= tolerance * scale + 1e-12).all()
    np.testing.assert_allclose(found.baseline_outputs, found.outputs - change, atol=1e-12)


def test_integrated_gradients_by_hand() -> None:
    # y = x1² x2: the path is t x, so the shares are 2/3 and 1/3 of x1² x2.
    found = pl.integrated_gradients(lambda x: x[:, 0] ** 2 * x[:, 1], np.array([[3.0, 2.0]]), tolerance=1e-5)
    np.testing.assert_allclose(found.scores, [[12.0, 6.0]], rtol=1e-5)


def test_integrated_gradients_with_few_steps_say_how_far_they_are_off() -> None:
    # The gradient of x³ at the ends, 0 and 3x²: one step of the trapezoidal rule gives 3/2 x³.
    found = pl.integrated_gradients(lambda x: x[:, 0] ** 3, np.array([[2.0]]), tolerance=1e-6, max_steps=1)
    np.testing.assert_allclose(found.scores, [[12.0]])
    np.testing.assert_allclose(found.completeness_error, [4.0])
    assert found.relative_error == 0.5
    assert found.parts["steps"].tolist() == [1]


def test_each_row_takes_the_steps_that_it_needs() -> None:
    found = pl.integrated_gradients(lambda x: x[:, 0] ** 3, np.array([[0.0], [2.0]]), tolerance=1e-3)
    # The trapezoidal rule is off by 1 / (2 n²) of x³, as much in each interval: 1e-3 is met from 23 on, so by 32.
    assert found.parts["steps"].tolist() == [8, 32]
    np.testing.assert_allclose(found.completeness_error, [0.0, 8 / (2 * 32**2)])


def test_steps_go_where_the_gradient_jumps() -> None:
    # Two slopes that meet at 1/3 of the way: each halving of the interval around it halves the error.
    found = pl.integrated_gradients(lambda x: pl.relu(x[:, 0] - 1.0), np.array([[3.0]]), tolerance=1e-6)
    np.testing.assert_allclose(found.scores, [[2.0]], rtol=1e-6)
    assert found.parts["steps"][0] < 30


# SmoothGrad


def test_smooth_grad_without_noise_is_the_gradient() -> None:
    gradient = pl.saliency(network(), X, 1, absolute=False).scores
    np.testing.assert_array_equal(pl.smooth_grad(network(), X, 1, noise=0.0).scores, gradient)
    distance = [np.abs(pl.smooth_grad(network(), X, 1, noise=n).scores - gradient).max() for n in (0.3, 1e-2, 1e-6)]
    assert distance[0] > distance[1] > distance[2]
    assert distance[2] < 1e-6


def test_smooth_grad_is_the_mean_over_noise_of_the_stated_size() -> None:
    # The gradient of Σ x³ is 3 x², and its mean over normal noise of deviation s 3 (x² + s²).
    x = np.array([[1.0, -2.0, 3.0]])
    found = pl.smooth_grad(lambda x: (x**3).sum(axis=1), x, noise=0.2, num_samples=20_000)
    np.testing.assert_allclose(found.scores, 3 * (x**2 + (0.2 * 5) ** 2), rtol=0.05)


def test_smooth_grad_is_repeated_by_its_seed() -> None:
    first = pl.smooth_grad(network(), X, 1, seed=7).scores
    pl.manual_seed(99)
    np.testing.assert_array_equal(pl.smooth_grad(network(), X, 1, seed=7).scores, first)
    assert np.abs(pl.smooth_grad(network(), X, 1, seed=8).scores - first).max() > 1e-4


# Occlusion


@pytest.mark.parametrize(("window", "stride"), [((2, 2), None), ((3, 2), (2, 1)), ((4, 4), 3), (3, 2)])
def test_occlusion_against_a_loop(window: int | tuple[int, int], stride: int | tuple[int, int] | None) -> None:
    model, fill = convolutions(), 0.3
    found = pl.occlusion(model, PICTURES, 1, window=window, stride=stride, baseline=fill)
    wide = isinstance(window, tuple)
    sizes = window if wide else (window,)
    steps = sizes if stride is None else stride if isinstance(stride, tuple) else (stride,) * len(sizes)
    starts = []
    for size, step in zip(sizes, steps, strict=True):
        places = [s for s in range(0, 6, step) if s + size <= 6]
        if places[-1] + size < 6:
            places.append(6 - size)
        starts.append(places)
    for row in range(2):
        picture = PICTURES[row : row + 1]
        before = model(picture).numpy()[0, 1]
        total, times = np.zeros((2, 6, 6)), np.zeros((2, 6, 6))
        for place in itertools.product(*starts):
            covered = picture.copy()
            if wide:
                (i, j), (height, width) = place, sizes
                where = (slice(None), slice(i, i + height), slice(j, j + width))
            else:
                where = (slice(None), slice(None), slice(place[0], place[0] + sizes[0]))
            covered[0][where] = fill
            total[where] += before - model(covered).numpy()[0, 1]
            times[where] += 1
        np.testing.assert_allclose(found.scores[row], total / times, rtol=1e-9, atol=1e-12)


# Shapley values


@pytest.mark.parametrize(
    ("game", "x", "expected"),
    [
        (lambda x: x[:, 0] * x[:, 1], [2.0, 3.0], [3.0, 3.0]),
        (lambda x: x.max(axis=1), [1.0, 3.0], [0.5, 2.5]),
        # The airport game: each runway part is paid for by those who need it.
        (lambda x: x.max(axis=1), [1.0, 3.0, 6.0], [1 / 3, 1 / 3 + 1, 1 / 3 + 1 + 3]),
        # The glove game, one left glove (the first) and two right: 2/3, 1/6, 1/6.
        (lambda x: pl.minimum(x[:, 0], pl.maximum(x[:, 1], x[:, 2])), [1.0, 1.0, 1.0], [2 / 3, 1 / 6, 1 / 6]),
        # A feature that adds nothing gets nothing; equal ones get the same.
        (lambda x: pl.tanh(x[:, 0] + x[:, 1]) + 0.0 * x[:, 2], [1.0, 1.0, 5.0], [math.tanh(2) / 2] * 2 + [0.0]),
    ],
)
def test_shapley_values_of_games_by_hand(game: object, x: list[float], expected: list[float]) -> None:
    found = pl.shapley_values(game, np.array([x]))
    np.testing.assert_allclose(found.scores, [expected], rtol=1e-12)
    np.testing.assert_allclose(found.completeness_error, 0, atol=1e-12)


def test_shapley_values_are_the_mean_over_all_orders() -> None:
    model, base = network(), np.random.default_rng(2).normal(size=6)
    found = pl.shapley_values(model, X[:2], 2, baseline=base)
    for row in range(2):
        total = np.zeros(6)
        for order in itertools.permutations(range(6)):
            points = [base.copy()]
            for n in order:
                points.append(points[-1].copy())
                points[-1][n] = X[row, n]
            values = model(np.array(points)).numpy()[:, 2]
            total[list(order)] += np.diff(values)
        np.testing.assert_allclose(found.scores[row], total / math.factorial(6), rtol=1e-9)
    np.testing.assert_allclose(found.completeness_error, 0, atol=1e-12)


def test_shapley_values_of_groups() -> None:
    found = pl.shapley_values(lambda x: x[:, :2].sum(axis=1) * x[:, 2], np.array([[1.0, 2.0, 5.0]]), groups=[0, 0, 1])
    np.testing.assert_allclose(found.parts["features"], [[7.5, 7.5]])
    np.testing.assert_allclose(found.scores, [[3.75, 3.75, 7.5]])
    squares = np.kron([[0, 1], [2, 3]], np.ones((3, 3), int))
    pictures = pl.shapley_values(convolutions(), PICTURES, 0, groups=np.stack([squares] * 2))
    assert pictures.parts["features"].shape == (2, 4)
    np.testing.assert_allclose(pictures.completeness_error, 0, atol=1e-12)
    np.testing.assert_allclose(pictures.totals, pictures.parts["features"].sum(axis=1))


# Grad-CAM


def test_grad_cam_against_a_loop() -> None:
    model = convolutions()
    found = pl.grad_cam(model, PICTURES, 2)
    assert found.layer == "0"
    maps = model[0](PICTURES).numpy()
    weight = model[4].weight.numpy()[2].reshape(3, 3, 3)
    for row in range(2):
        alpha = np.zeros(3)
        for k in range(3):
            for i, j in itertools.product(range(3), range(3)):
                block = maps[row, k, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
                if block.max() > 0:  # the gradient goes to the largest of a window, through a ReLU that is open
                    alpha[k] += weight[k, i, j] / 36
        expected = np.maximum(sum(alpha[k] * maps[row, k] for k in range(3)), 0)
        np.testing.assert_allclose(found.parts["weights"][row], alpha, rtol=1e-9)
        np.testing.assert_allclose(found.parts["map"][row], expected, rtol=1e-9, atol=1e-12)
        # The layer's map has the picture's size, so nothing is drawn out.
        np.testing.assert_allclose(found.scores[row], np.stack([expected] * 2), rtol=1e-9, atol=1e-12)


def test_grad_cam_is_drawn_out_to_the_picture() -> None:
    found = pl.grad_cam(convolutions(), PICTURES, 2, layer="2")
    assert found.parts["map"].shape == (2, 3, 3)
    assert found.scores.shape == PICTURES.shape
    # Bilinear, half-pixel centres: a place of a picture twice as large lies at (i + 0.5) / 2 - 0.5 of the map.
    at = np.clip((np.arange(6) + 0.5) / 2 - 0.5, 0, 2)
    for row, (i, j) in itertools.product(range(2), itertools.product(range(6), range(6))):
        a, b = int(at[i]), int(at[j])
        u, v = at[i] - a, at[j] - b
        m = np.pad(found.parts["map"][row], ((0, 1), (0, 1)), mode="edge")
        value = (1 - u) * ((1 - v) * m[a, b] + v * m[a, b + 1]) + u * ((1 - v) * m[a + 1, b] + v * m[a + 1, b + 1])
        np.testing.assert_allclose(found.scores[row, :, i, j], value, rtol=1e-9, atol=1e-12)


def test_grad_cam_along_one_axis() -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(2, 2)).double()
    x = np.random.default_rng(0).normal(size=(1, 1, 9))
    found = pl.grad_cam(model, x, 1)
    maps = model[0](x).numpy()[0]
    # The mean over 7 places: the gradient is w / 7 everywhere.
    np.testing.assert_allclose(
        found.parts["map"][0], np.maximum(model[3].weight.numpy()[1] @ maps / 7, 0), rtol=1e-9, atol=1e-12
    )


# Attention rollout


def encoder() -> nn.TransformerEncoder:
    pl.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    return nn.TransformerEncoder(layer, num_layers=3)


def test_attention_rollout_is_the_product_of_the_layers() -> None:
    model, x = encoder(), np.random.default_rng(0).normal(size=(2, 5, 8))
    found = pl.attention_rollout(model, x)
    model.eval()(x)
    maps = [m.numpy().astype(float) for m in nn.attention_maps(model).values()]
    assert len(maps) == 3
    for row in range(2):
        rolled = np.eye(5)
        for m in maps:
            mean = (m[row, 0] + m[row, 1]) / 2
            rolled = (0.5 * mean + 0.5 * np.eye(5)) @ rolled
        np.testing.assert_allclose(found.parts["rollout"][row], rolled, rtol=1e-5)
        np.testing.assert_allclose(found.scores[row], rolled.mean(axis=0), rtol=1e-5)
        last = pl.attention_rollout(model, x, position=-1)
        np.testing.assert_allclose(last.scores[row], rolled[-1], rtol=1e-5)
    np.testing.assert_allclose(found.totals, 1, rtol=1e-6)
    assert found.outputs is None
    assert found.completeness_error is None


def test_attention_rollout_of_a_language_model() -> None:
    model = pl.models.GPT(7, block_size=6, n_layer=2, n_head=2, n_embd=8).eval()
    tokens = np.array([[1, 2, 3, 0, 6]])
    found = pl.attention_rollout(model, tokens, position=-1)
    model(tokens)
    rolled = np.eye(5)
    for block in model.h:
        mixed = block.attn.attention_weights.numpy()[0].mean(axis=0) + np.eye(5)
        rolled = mixed / mixed.sum(axis=1, keepdims=True) @ rolled
    np.testing.assert_allclose(found.scores[0], rolled[-1], rtol=1e-5)
    # No position sees a later one.
    assert not np.triu(found.parts["rollout"][0], 1).any()


def test_attention_rollout_of_equal_attention() -> None:
    # Without queries every key counts the same, so each layer keeps a half and spreads the other.
    model = encoder()
    for layer in model.layers:
        layer.self_attn.in_proj_weight.assign(pl.zeros((24, 8)))
        layer.self_attn.in_proj_bias.assign(pl.zeros((24,)))
    found = pl.attention_rollout(model, np.ones((1, 4, 8)), position=0)
    np.testing.assert_allclose(found.scores, [[1 / 8 + 7 / 32, 7 / 32, 7 / 32, 7 / 32]], rtol=1e-6)


# Explaining leaves the maps of the user's own forward alone.


def test_attention_maps_stay_those_of_the_last_forward() -> None:
    model, rng = encoder().eval(), np.random.default_rng(0)
    model(rng.normal(size=(2, 5, 8)))
    before = {name: m.numpy() for name, m in nn.attention_maps(model).items()}
    pl.saliency(model, rng.normal(size=(2, 3, 8)), (0, 1))
    for name, m in nn.attention_maps(model).items():
        np.testing.assert_array_equal(m.numpy(), before[name])
