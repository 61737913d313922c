"""How pictures lie in memory is the compiler's business: for any number of samples, the results are eager's and lie as
NumPy has them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    pl.manual_seed(0)


def lenet() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 20), nn.ReLU(), nn.Linear(20, 10)),
    )


def mixture() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.Conv2d(8, 8, 3, groups=8, padding=1), nn.Conv2d(8, 12, 1), nn.ReLU6()),
        *(nn.Conv2d(12, 12, (3, 2), groups=3, dilation=(1, 2), padding=2), nn.AvgPool2d(2)),
    )


def to_one_place() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 1, 3, padding=1), nn.Conv2d(1, 3, 3, padding=2), nn.Conv2d(3, 4, (13, 11)))


def line() -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 5, 3, padding=1), nn.ReLU(), nn.Conv1d(5, 3, 3, stride=2, padding=2))


class Joined(nn.Module):
    """Channels side by side, as in a dense block, and places averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)
        self.c = nn.Conv2d(12, 5, 3, padding=1)

    def forward(self, x: Any) -> Any:
        y = pl.relu(self.a(x))
        return self.c(pl.concatenate([y, pl.relu(self.b(y))], axis=1)).mean((2, 3))


class Patches(nn.Module):
    """Pieces of a picture as a sequence: what attention computes has as many axes as a picture, and is none."""

    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(3, 8, 2, stride=2)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

    def forward(self, x: Any) -> Any:
        y = self.cut(x)
        return self.encoder(y.reshape((y.shape[0], 8, 16)).swapaxes(1, 2))


NETWORKS: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (lenet, (1, 28, 28)),
    (mixture, (3, 11, 9)),
    (to_one_place, (2, 11, 9)),
    (line, (2, 19)),
    (Joined, (3, 5, 6)),
    (Patches, (3, 8, 8)),
]


@pytest.mark.parametrize("samples", [1, 2, 3, 9, 16])
@pytest.mark.parametrize(("make", "shape"), NETWORKS)
def test_any_number_of_samples(make: Callable[[], nn.Module], shape: tuple[int, ...], samples: int) -> None:
    model = make().eval()
    x = np.random.default_rng(0).normal(size=(samples, *shape)).astype(np.float32)
    with pl.no_grad():
        compiled = pl.compile(model)
        y, expected = compiled(x), model(x)
    assert compiled.tier == "llvm"
    assert y.data.flags.c_contiguous
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 8])
def test_dropout_in_front_of_a_convolution_draws_eagers_numbers(samples: int) -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(4, 5, 1), nn.Dropout(0.3), nn.Conv2d(5, 3, 2)).double()
    x = np.random.default_rng(0).normal(size=(samples, 4, 5, 4))
    pl.manual_seed(3)
    with pl.no_grad():
        expected = model(x).numpy()
    pl.manual_seed(3)
    compiled = pl.compile(model)
    with pl.no_grad():
        np.testing.assert_allclose(compiled(x).numpy(), expected, rtol=1e-12, atol=1e-13)
    assert compiled.tier == "llvm"


def test_pictures_and_their_gradients_are_returned_as_numpy_has_them() -> None:
    layer = nn.Conv2d(3, 4, 3, padding=1).double()

    def step(x: Any) -> Any:
        y = layer(x)
        return y, pl.autograd.grad((y * y).sum(), [x, layer.weight])

    x = pl.Tensor(np.random.default_rng(0).normal(size=(6, 3, 5, 5)), requires_grad=True)
    y, (gx, gw) = pl.compile(step)(x)
    expected, (ex, ew) = step(x)
    for got, wanted in ((y, expected), (gx, ex), (gw, ew)):
        assert got.data.flags.c_contiguous
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-12, atol=1e-12)


def test_equal_layers_share_their_functions() -> None:
    from pellucid.compiler.emit_llvm import emit
    from pellucid.compiler.prepared import lowered_with_table
    from pellucid.compiler.target import NAMED

    def functions(blocks: int) -> int:
        layers: list[nn.Module] = []
        for _ in range(blocks):
            layers += [nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
        compiled = pl.compile(nn.Sequential(*layers))
        with pl.no_grad():
            compiled(np.zeros((8, 4, 6, 6), np.float32))
        text = emit(lowered_with_table(compiled.graph)[0].program, NAMED["haswell-linux"])
        return text.count("define internal void @convolution")

    # The last one's results go to an output, and the others' to memory in between.
    assert functions(3) == functions(6) <= 3


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.MaxPool2d(2), (1, 1, 8, 8)),
        (lambda: nn.AvgPool1d(2), (2, 2, 6)),
        (lambda: nn.Conv2d(1, 2, 3), (1, 1, 5, 5)),
        (lambda: nn.Conv1d(2, 2, 3, padding=1), (3, 2, 5)),
        (lambda: nn.Upsample(scale_factor=2), (2, 1, 2, 2)),
    ],
)
def test_a_few_numbers_are_no_special_case(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    layer = make()
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    with pl.no_grad():
        np.testing.assert_allclose(pl.compile(layer)(x).numpy(), layer(x).numpy(), rtol=1e-6, atol=1e-6)
