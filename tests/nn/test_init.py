"""Initialisation: the spread that the formulas state, exact fills, repeatability, quantiles, and layers' defaults."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, PellucidError, ShapeError
from pellucid.nn import init
from pellucid.nn._normal_quantile import normal_cdf, normal_quantile


def empty(*shape: int, dtype: str = "float64") -> pl.Tensor:
    return pl.Tensor(np.full(shape, np.nan), dtype=dtype)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    pl.manual_seed(3)


# (function, standard deviation stated by the source, bound or None) for a weight of shape (300, 200).
SPREAD = [
    (lambda t: init.uniform_(t, -2.0, 4.0), math.sqrt(3.0), None),
    (lambda t: init.normal_(t, 0.0, 0.3), 0.3, None),
    (init.xavier_uniform_, math.sqrt(2 / 500), math.sqrt(6 / 500)),
    (lambda t: init.xavier_uniform_(t, 2.0), 2 * math.sqrt(2 / 500), 2 * math.sqrt(6 / 500)),
    (init.xavier_normal_, math.sqrt(2 / 500), None),
    (init.kaiming_uniform_, math.sqrt(2 / 200), math.sqrt(6 / 200)),
    (lambda t: init.kaiming_uniform_(t, math.sqrt(5.0)), 1 / math.sqrt(600), 1 / math.sqrt(200)),
    (lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="tanh"), 5 / 3 / math.sqrt(300), None),
    (lambda t: init.kaiming_normal_(t, nonlinearity="relu"), math.sqrt(2 / 200), None),
    (lambda t: init.trunc_normal_(t, 0.0, 1.0, -100.0, 100.0), 1.0, None),
]


@pytest.mark.parametrize(("fill", "std", "bound"), SPREAD)
def test_spread(fill: object, std: float, bound: float | None) -> None:
    t = empty(300, 200)
    assert fill(t) is t  # type: ignore[operator]
    values = t.numpy()
    assert values.std() == pytest.approx(std, rel=0.02)  # 60,000 draws: 0.3 % is one standard deviation
    assert abs(values.mean() - (1.0 if std == math.sqrt(3.0) else 0.0)) < 0.02 * std
    if bound is not None:
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.99 * bound


def test_fan_of_a_convolution() -> None:
    assert init.calculate_fan_in_and_fan_out(empty(8, 3, 5, 5)) == (75, 200)
    t = init.kaiming_normal_(empty(80, 30, 5, 5))
    assert t.numpy().std() == pytest.approx(math.sqrt(2 / 750), rel=0.02)
    with pytest.raises(ShapeError) as caught:
        init.xavier_normal_(empty(3))
    assert str(caught.value).split("\n")[:3] == [
        "a weight needs two axes to have inputs and outputs",
        "  given:    shape (3,)",
        "  expected: (out, in) or (out, in, *kernel)",
    ]


def test_gains() -> None:
    assert init.calculate_gain("linear") == init.calculate_gain("sigmoid") == init.calculate_gain("conv2d") == 1
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.0001))
    assert init.calculate_gain("leaky_relu", 0.5) == math.sqrt(2 / 1.25)
    assert init.calculate_gain("selu") == 0.75
    with pytest.raises(ArgumentError, match="calculate_gain: nonlinearity is not one of its options"):
        init.calculate_gain("rleu")


def test_exact_fills() -> None:
    assert init.constant_(empty(2, 2), 3.5).tolist() == [[3.5, 3.5]] * 2
    assert init.ones_(empty(2)).tolist() == [1, 1]
    assert init.zeros_(empty(2)).tolist() == [0, 0]
    assert init.eye_(empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]
    with pytest.raises(ShapeError, match="eye_: takes a matrix"):
        init.eye_(empty(2))


def test_dirac_passes_the_channels_through() -> None:
    kernel = init.dirac_(empty(4, 2, 3, 5), groups=2).numpy()
    expected = np.zeros((4, 2, 3, 5))
    for out, channel in ((0, 0), (1, 1), (2, 0), (3, 1)):
        expected[out, channel, 1, 2] = 1
    assert np.array_equal(kernel, expected)
    with pytest.raises(ShapeError, match="dirac_: takes the weight of a convolution"):
        init.dirac_(empty(4, 2))
    with pytest.raises(ShapeError):
        init.dirac_(empty(5, 2, 3), groups=2)


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (4, 2, 3), (0, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    t = init.orthogonal_(empty(*shape), gain=2.0)
    matrix = t.numpy().reshape(shape[0], -1) if t.size else np.zeros((0, 0))
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign() -> None:
    corners = [init.orthogonal_(empty(2, 2)).numpy()[0, 0] for _ in range(200)]
    assert 70 < sum(c > 0 for c in corners) < 130


def test_sparse_columns_have_their_fraction_of_zeros() -> None:
    values = init.sparse_(empty(50, 40), 0.11, std=2.0).numpy()
    assert ((values == 0).sum(0) == 6).all()  # 5.5, rounded up
    assert values[values != 0].std() == pytest.approx(2.0, rel=0.1)
    assert not (values == 0).all(1).any()
    assert init.sparse_(empty(3, 2), 1.0).tolist() == [[0, 0]] * 3
    assert init.sparse_(empty(3, 2), 0.0).numpy().all()
    seeded = init.sparse_(empty(50, 40), 0.5, generator=9)
    assert np.array_equal(seeded.numpy(), init.sparse_(empty(50, 40), 0.5, generator=9).numpy())


@pytest.mark.parametrize(("a", "b"), [(-2.0, 2.0), (0.5, 0.6), (6.0, 7.0), (-9.0, -8.0), (-1.0, 30.0)])
def test_truncated_normal_stays_between_its_bounds_with_the_right_mean(a: float, b: float) -> None:
    values = init.trunc_normal_(empty(20_000), 0.0, 1.0, a, b).numpy()
    assert a <= values.min()
    assert values.max() <= b
    # Mean of a truncated normal: (φ(a) - φ(b)) / (Φ(b) - Φ(a)), in the tail that can be computed.
    low, high = (a, b) if a <= 0 else (-b, -a)
    peak = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in (low, high)]
    mean = (peak[0] - peak[1]) / (normal_cdf(high) - normal_cdf(low)) * (1 if a <= 0 else -1)
    assert values.mean() == pytest.approx(mean, abs=5 * values.std() / math.sqrt(20_000))
    scaled = init.trunc_normal_(empty(1000), 3.0, 0.1, 2.9, 3.0).numpy()
    assert 2.9 <= scaled.min() < scaled.max() <= 3.0


def test_truncated_normal_needs_room() -> None:
    with pytest.raises(ArgumentError) as caught:
        init.trunc_normal_(empty(2), a=1.0, b=1.0)
    assert str(caught.value).split("\n")[:3] == [
        "trunc_normal_: the bounds leave nothing",
        "  given:    a 1.0, b 1.0, std 1.0",
        "  expected: a < b and std > 0",
    ]


def test_quantiles_are_those_of_pythons_statistics() -> None:
    p = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 1001), 10.0 ** -np.arange(2, 300, 7)])
    exact = [statistics.NormalDist().inv_cdf(v) for v in p]
    np.testing.assert_allclose(normal_quantile(p), exact, rtol=1e-14, atol=1e-15)
    assert normal_quantile(np.array([0.0, 0.5, 1.0])).tolist() == [-math.inf, 0.0, math.inf]
    assert normal_cdf(-10) == pytest.approx(7.61985302416e-24, rel=1e-10)


FUNCTIONS = [
    getattr(init, name) for name in init.__all__ if name.endswith("_") and name not in ("ones_", "zeros_", "eye_")
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_arguments_out_of_range_are_refused(function: object) -> None:
    needed = {"val": 1.0} if function is init.constant_ else {"sparsity": 0.5} if function is init.sparse_ else {}
    for name, constraint in function.constraints.items():  # type: ignore[attr-defined]
        for bad in constraint.invalid():
            with pytest.raises(PellucidError, match=f"{function.__name__}: {name}"):  # type: ignore[attr-defined]
                function(empty(3, 3), **{**needed, name: bad})  # type: ignore[operator]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_draws_repeat_and_keep_the_dtype(dtype: str) -> None:
    for fill in (init.uniform_, init.normal_, init.xavier_normal_, init.orthogonal_, init.trunc_normal_):
        pl.manual_seed(5)
        first, second = fill(empty(4, 3, dtype=dtype)), fill(empty(4, 3, dtype=dtype))
        assert first.dtype == dtype
        assert not np.array_equal(first.numpy(), second.numpy())
        pl.manual_seed(5)
        assert np.array_equal(fill(empty(4, 3, dtype=dtype)).numpy(), first.numpy())
        keyed = fill(empty(4, 3, dtype=dtype), generator=pl.seed(8))
        assert np.array_equal(keyed.numpy(), fill(empty(4, 3, dtype=dtype), generator=8).numpy())
        fill(empty(4, 3, dtype=dtype), generator=pl.Generator(1))


# What layers start from


def test_a_linear_alone_starts_by_lecuns_rule() -> None:
    layer = nn.Linear(400, 300)
    assert layer.init == "lecun uniform, std 0.05"
    assert layer.weight.numpy().std() == pytest.approx(0.05, rel=0.01)
    assert np.abs(layer.weight.numpy()).max() <= math.sqrt(3) * 0.05
    assert not layer.bias.numpy().any()


@pytest.mark.parametrize(
    ("activation", "words", "std"),
    [
        (nn.ReLU(), "he normal (ReLU), std 0.0707, bias 0.01", math.sqrt(2 / 400)),
        (nn.LeakyReLU(0.5), "he normal (LeakyReLU), std 0.0632", math.sqrt(2 / 1.25 / 400)),
        (nn.PReLU(), "he normal (PReLU), std 0.0686", math.sqrt(2 / 1.0625 / 400)),
        (nn.GELU(), "he normal (GELU), std 0.0707", math.sqrt(2 / 400)),
        (nn.Tanh(), "xavier uniform (Tanh), std 0.0535", math.sqrt(2 / 700)),
        (nn.Sigmoid(), "xavier uniform (Sigmoid), std 0.0535", math.sqrt(2 / 700)),
        (nn.Softmax(), "xavier uniform (Softmax), std 0.0535", math.sqrt(2 / 700)),
        (nn.SELU(), "lecun normal (SELU), std 0.05", 0.05),
    ],
)
@pytest.mark.parametrize("between", [(), (nn.BatchNorm1d(300), nn.Dropout())])
def test_in_a_sequential_the_activation_after_it_chooses(
    activation: nn.Module, words: str, std: float, between: tuple[nn.Module, ...]
) -> None:
    net = nn.Sequential(nn.Linear(400, 300), *between, activation, nn.Linear(300, 1))
    assert net[0].init == words
    assert f'init="{words}"' in repr(net)
    assert net[0].weight.numpy().std() == pytest.approx(std, rel=0.01)
    assert (net[0].bias.numpy() == np.float32(0.01 if isinstance(activation, nn.ReLU) else 0)).all()
    assert net[-1].init == "lecun uniform, std 0.0577"


def test_what_the_user_chose_or_changed_stays() -> None:
    for name in ("he", "he uniform", "xavier", "xavier normal", "lecun", "lecun normal", "orthogonal", "torch"):
        layer = nn.Linear(4, 3, init=name)
        before = layer.weight.numpy().copy()
        nn.Sequential(layer, nn.ReLU())
        assert np.array_equal(layer.weight.numpy(), before)
    assert nn.Linear(4, 3, init="he").init == "he normal, std 0.707"
    assert nn.Linear(4, 3, init=init.ones_).init == "ones_"
    loaded = nn.Linear(4, 3)
    loaded.load_state_dict(nn.Linear(4, 3).state_dict())
    assert "init" not in repr(loaded)
    in_place, assigned, replaced, only_bias = (nn.Linear(4, 3) for _ in range(4))
    in_place.weight.data[0, 0] = 5
    assigned.weight.assign(pl.Tensor(np.ones((3, 4))))
    replaced.weight = nn.Parameter(np.ones((3, 4)), dtype="float32")
    only_bias.bias.data[:] = 1
    for layer in (loaded, in_place, assigned, replaced, only_bias):
        weight, bias = layer.weight.numpy().copy(), layer.bias.numpy().copy()
        nn.Sequential(layer, nn.ReLU())
        assert np.array_equal(layer.weight.numpy(), weight)
        assert np.array_equal(layer.bias.numpy(), bias)
    with pytest.raises(ArgumentError, match="Linear: init is not one of its options"):
        nn.Linear(4, 3, init="hee")


def test_slices_and_reuse_draw_nothing_anew() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    before = [p.numpy().copy() for p in net.parameters()]
    net[:2]
    nn.Sequential(net[0], nn.ReLU())
    assert all(np.array_equal(p.numpy(), b) for p, b in zip(net.parameters(), before, strict=True))


def test_appended_and_nested_layers_count_too() -> None:
    net = nn.Sequential(nn.Linear(4, 3)).append(nn.ReLU())
    assert net[0].init.startswith("he normal (ReLU)")
    outer = nn.Sequential(nn.Sequential(nn.Linear(4, 3)), nn.Sequential(nn.Tanh()))
    assert outer[0][0].init.startswith("xavier uniform (Tanh)")


def test_the_torch_rule_is_pytorchs_default() -> None:
    layer = nn.Linear(400, 300, init="torch")
    assert layer.weight.numpy().std() == pytest.approx(1 / math.sqrt(1200), rel=0.01)
    assert np.abs(layer.bias.numpy()).max() <= 0.05
    assert layer.bias.numpy().std() == pytest.approx(0.05 / math.sqrt(3), rel=0.1)


def test_the_same_seed_builds_the_same_network() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))

    pl.manual_seed(0)
    first = build()
    pl.manual_seed(0)
    second = build()
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())
    assert not np.array_equal(build()[0].weight.numpy(), second[0].weight.numpy())


# tanh itself shrinks: from q = E tanh²(z) = 0.394, 1/q grows by about 2 a layer, hence sqrt(0.049 / 0.394) = 0.35.
@pytest.mark.parametrize(("activation", "low", "high"), [(nn.Tanh, 0.3, 1.1), (nn.ReLU, 0.5, 2.0), (nn.SELU, 0.7, 1.4)])
def test_ten_layers_keep_the_size_of_what_passes_through(activation: type, low: float, high: float) -> None:
    layers = [m for _ in range(10) for m in (nn.Linear(256, 256), activation())]
    net = nn.Sequential(*layers)
    x = pl.normal(0.0, 1.0, (200, 256), key=1)
    first = net[:2](x).numpy()
    last = net(x).numpy()
    ratio = float((last**2).mean() / (first**2).mean()) ** 0.5
    assert low < ratio < high


def test_bilinear_keeps_the_variance() -> None:
    layer = nn.Bilinear(40, 30, 50)
    a, b = pl.normal(shape=(500, 40), key=1), pl.normal(shape=(500, 30), key=2)
    assert layer(a, b).numpy().std() == pytest.approx(1.0, rel=0.1)
