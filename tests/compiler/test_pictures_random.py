"""Random networks of convolutions, pooling, normalization, attention and recurrence, inferred and trained by turns on
batches of changing sizes while Python writes to their weights: compiled, they do what they do as they are."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import native_plan, schedule
from pellucid.errors import PellucidError

pytest.importorskip("llvmlite")

F = nn.functional
Results = list[tuple[str, np.ndarray]]
Compile = Callable[[Any], Any]


class Beside(nn.Module):
    """What two layers say, channels side by side."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        return pl.concatenate([layer(x) for layer in self.layers], axis=1)


class Twice(nn.Module):
    """One layer used in two places."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(pl.tanh(self.layer(x)))


class Attending(nn.Module):
    """Every place asks every other one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, 1, batch_first=True)

    def forward(self, x: Any) -> Any:
        y = x.reshape((*x.shape[:2], -1)).swapaxes(1, 2)
        return self.attention(y, y, y)[0].swapaxes(1, 2).reshape(x.shape)


class Reading(nn.Module):
    """A recurrent layer reads the rows' means, and adds what it says to each row."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return x + self.layer(x.mean(3).swapaxes(1, 2))[0].swapaxes(1, 2)[..., None]


class Means(nn.Module):
    def forward(self, x: Any) -> Any:
        return x.mean((2, 3))


def chosen(rng: np.random.Generator, *values: Any) -> Any:
    return values[rng.integers(len(values))]


def layer_for(rng: np.random.Generator, channels: int) -> nn.Module:
    """A layer that takes a picture of so many channels, if the picture is large enough."""

    def size(low: int, high: int) -> Any:
        first, second = (int(n) for n in rng.integers(low, high, 2))
        return chosen(rng, first, (first, second))

    groups = chosen(rng, 1, 1, *(n for n in range(1, channels + 1) if channels % n == 0))
    out = groups * int(chosen(rng, 1, 2, 3, 8, 9))
    mode = chosen(rng, "zeros", "zeros", "reflect", "replicate", "circular")
    makers: list[Callable[[], nn.Module]] = [
        *3 * [lambda: nn.Conv2d(channels, out, size(1, 4), size(1, 3), size(0, 3), groups=groups, padding_mode=mode)],
        lambda: nn.Conv2d(channels, out, size(1, 3), dilation=size(1, 3), groups=groups, bias=False),
        lambda: nn.ConvTranspose2d(channels, out, size(1, 4), size(1, 3), size(0, 2), groups=groups),
        lambda: nn.MaxPool2d(size(1, 4), size(1, 3), ceil_mode=chosen(rng, False, True)),
        lambda: nn.MaxPool2d(3, 2, 1),
        lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=chosen(rng, False, True)),
        lambda: nn.AdaptiveAvgPool2d(size(1, 4)),
        lambda: chosen(rng, nn.ReLU, nn.ReLU6, nn.Tanh, nn.GELU, nn.Hardswish)(),
        lambda: nn.BatchNorm2d(channels),
        lambda: nn.GroupNorm(groups, channels),
        lambda: nn.InstanceNorm2d(channels, affine=True),
        lambda: nn.LocalResponseNorm(3),
        lambda: nn.Dropout(0.3),
        lambda: nn.Residual(nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU()),
        lambda: Beside(nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh()),
        lambda: Twice(nn.Conv2d(channels, channels, 3, padding=1)),
        lambda: Attending(channels),
        lambda: Reading(chosen(rng, nn.RNN, nn.LSTM, nn.GRU)(channels, channels, batch_first=True)),
        lambda: nn.Upsample(scale_factor=chosen(rng, 2, 1.5), mode=chosen(rng, "nearest", "bilinear")),
        lambda: chosen(rng, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d)(1),
        lambda: nn.PixelUnshuffle(2),
    ]
    layer: nn.Module = chosen(rng, *makers)()
    return layer


def network(seed: int, dtype: str) -> tuple[nn.Module, tuple[int, ...]]:
    """Layers that fit behind each other, and the shape of a picture for them."""
    rng = np.random.default_rng(seed)
    pl.manual_seed(seed)
    shape = (int(rng.integers(1, 5)), *(int(n) for n in rng.integers(7, 10, 2)))
    layers: list[nn.Module] = []
    x = pl.zeros((3, *shape))
    while len(layers) < 4:
        try:
            layer = layer_for(rng, x.shape[1])
            with pl.no_grad():
                y = layer(x)
        except PellucidError:  # the picture has become too small for it
            continue
        if 60 < y.size < 3000:
            layers.append(layer)
            x = y
    head = chosen(rng, [], [Means()], [nn.Flatten(), nn.Linear(x.size // 3, 3)])
    model = nn.Sequential(*layers, *head)
    return (model.double() if dtype == "float64" else model), shape


def lived(seed: int, dtype: str, compiled: Compile, sizes: tuple[int, ...], penalty: bool = False) -> Results:
    """What a network computes and becomes: by turns it infers and trains, and is written to from Python."""
    model, shape = network(seed, dtype)
    rng = np.random.default_rng(seed + 1)
    pl.manual_seed(seed)
    parameters = list(model.parameters()) or [nn.Parameter(np.zeros(1, dtype))]
    if rng.random() < 0.3:
        parameters[0].requires_grad = len(parameters) == 1
    free = [p for p in parameters if p.requires_grad]
    optimizer = optim.SGD(free, lr=0.02, momentum=0.9) if rng.random() < 0.5 else optim.Adam(free, lr=0.01)

    def infer(x: Any) -> Any:
        with pl.no_grad():
            return model(x)

    def train(x: Any, t: Any) -> Any:
        y = model(x)
        loss = ((y - t) ** 2).mean()
        if penalty:
            slope = pl.autograd.grad(loss, x, create_graph=True)
            loss = loss + (slope * slope).sum()
        loss.backward()
        optimizer.step()
        return y, loss

    inferred, trained = compiled(infer), compiled(train)
    results: Results = []
    for samples in sizes:
        x = rng.normal(size=(samples, *shape)).astype(dtype)
        x = chosen(rng, x, np.asfortranarray(x), x.repeat(2, axis=3)[..., ::2])
        x.flags.writeable = False
        model.eval()
        y = inferred(x).data.copy()
        results.append(("eval", y))
        model.train()
        t = rng.normal(size=y.shape).astype(dtype)
        y, loss = trained(pl.Tensor(x, requires_grad=penalty), t)
        optimizer.zero_grad()
        results += [("train", y.data.copy()), ("loss", loss.data.copy())]
        with pl.no_grad():
            parameters[-1].data[...] *= 0.9
        results += [(key, value.data.copy()) for key, value in model.state_dict().items()]
    return results


def assert_close(got: Results, expected: Results, tolerance: float) -> None:
    for (key, a), (_, b) in zip(got, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), key
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale, err_msg=key)


@pytest.fixture(autouse=True)
def machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")


@pytest.mark.parametrize("seed", range(7))
def test_random_networks(seed: int) -> None:
    sizes = ((3, 8, 3), (1, 8, 1), (9, 2, 9))[seed % 3]
    assert_close(
        lived(seed, "float64", pl.compile, sizes), lived(seed, "float64", lambda function: function, sizes), 1e-9
    )


@pytest.mark.parametrize("seed", range(100, 102))
def test_random_networks_with_a_penalty_on_the_gradient(seed: int) -> None:
    expected = lived(seed, "float64", lambda function: function, (8,), penalty=True)
    assert_close(lived(seed, "float64", pl.compile, (8,), penalty=True), expected, 1e-8)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    """Threads share all work, however small."""
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    monkeypatch.setattr(native_plan, "WORTH_THREADS", 0)
    monkeypatch.setattr(native_plan, "WORTH_CALLING_THREADS", 0)
    monkeypatch.setattr(schedule, "_WORTH_SHARING", 0)
    yield
    pl.set_num_threads(None)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("seed", range(200, 203))
def test_threads_change_no_bit(seed: int) -> None:
    found = []
    for threads in (1, 3):
        pl.set_num_threads(threads)
        found.append([a.tobytes() for _, a in lived(seed, "float32", pl.compile, (9, 2))])
    assert found[0] == found[1]


KERNEL = np.random.default_rng(5).normal(size=(4, 2, 3, 3))


@pytest.mark.parametrize("captured", [False, True])
def test_kernels_that_are_inputs_and_kernels_that_are_arrays(captured: bool) -> None:
    def both(x: Any, kernel: Any) -> Any:
        y = F.conv2d(x, KERNEL if captured else kernel, padding=1, groups=2)
        loss = (y * y).sum()
        return y, pl.autograd.grad(loss, [x] if captured else [x, kernel])

    rng = np.random.default_rng(0)
    compiled = pl.compile(both)
    for samples in (8, 1, 8):
        x = pl.Tensor(rng.normal(size=(samples, 4, 6, 5)), requires_grad=True)
        kernel = pl.Tensor(rng.normal(size=KERNEL.shape), requires_grad=True)
        (y, gradients), (expected, wanted) = compiled(x, kernel), both(x, kernel)
        for a, b in zip([y, *gradients], [expected, *wanted], strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-11, atol=1e-11)
    assert compiled.tier == "llvm"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "options",
    [{"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}, {"kernel_size": 3, "stride": 2, "padding": 1}],
)
def test_largest_numbers_among_equal_ones_infinities_and_nan(options: dict[str, Any], dtype: str) -> None:
    nan, inf = np.nan, np.inf

    def pooled(x: Any) -> Any:
        y = F.max_pool2d(x, **options)
        return y, pl.autograd.grad(y.sum(), x)

    for row in ([1, nan, 3, 2, inf, -inf, nan, 0], [-inf] * 8, [0.0, -0.0] * 4, [7.0] * 8):
        x = np.array(row * 72, dtype).reshape(18, 2, 4, 4)
        y, slope = pl.compile(pooled)(pl.Tensor(x, requires_grad=True))
        expected, wanted = pooled(pl.Tensor(x, requires_grad=True))
        np.testing.assert_array_equal(y.numpy(), expected.numpy())
        np.testing.assert_array_equal(slope.numpy(), wanted.numpy())
