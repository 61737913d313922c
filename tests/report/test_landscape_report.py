"""Markdown and pictures of the shape of a loss, in both languages."""

import io
from collections.abc import Iterator

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.report import (
    curvature_figure,
    curvature_markdown,
    landscape_figure,
    landscape_markdown,
    learning_rate_figure,
    noise_figure,
    noise_markdown,
)

MOONS = pl.data.two_moons(60, seed=0)


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    pl.set_language(request.param)
    yield request.param
    pl.set_language(None)


def network() -> nn.Sequential:
    pl.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))


def is_png(data: bytes) -> bool:
    from matplotlib import image

    pixels = image.imread(io.BytesIO(data))
    return data.startswith(b"\x89PNG") and min(pixels.shape[:2]) > 300 and float(np.std(pixels)) > 0.01


def test_curvature(language: str) -> None:
    report = pl.curvature(network(), MOONS, nn.CrossEntropyLoss(), num_probes=4, density=True)
    lines = curvature_markdown(report).splitlines()
    assert lines[0].startswith("| layer | parameters | trace |" if language == "en" else "| 层 | 参数 | 迹 |")
    assert [line.split(" | ")[:2] for line in lines[2:4]] == [["| 0", "12"], ["| 2", "10"]]
    first = report.layers[0]
    assert lines[2].split(" | ")[2] == f"{first.trace.value:.4g}"
    assert f"{report.eigenvalues.largest[0]:.4g}" in lines[7]
    assert is_png(curvature_figure(report))
    bare = pl.curvature(nn.Linear(2, 2), MOONS, nn.CrossEntropyLoss(), num_probes=2)
    assert curvature_markdown(bare).splitlines()[2].startswith("| (" if language == "en" else "| （")
    assert is_png(curvature_figure(bare))


def test_noise(language: str) -> None:
    model = network()
    report = pl.gradient_noise(model, MOONS, nn.CrossEntropyLoss())
    lines = noise_markdown(report).splitlines()
    assert len(lines[0].split("|")) == len(lines[2].split("|")) == 9
    assert f"{report.layers[0].noise.variance:.4g}" in lines[2]
    assert is_png(noise_figure(report))
    pl.fit(model, MOONS, loss="cross_entropy", optimizer=pl.optim.Adam(model.parameters(), lr=0.05), epochs=60,
           batch_size=None, verbose=0)  # fmt: skip
    still = pl.gradient_noise(model, MOONS, nn.CrossEntropyLoss())
    assert "∞" in noise_markdown(still)
    assert is_png(noise_figure(still))


@pytest.mark.parametrize("dimensions", [1, 2])
def test_slices(language: str, dimensions: int) -> None:
    report = pl.landscape(network(), MOONS, nn.CrossEntropyLoss(), dimensions=dimensions, num_points=7)
    assert is_png(landscape_figure(report))
    assert f"{report.loss:.6g}" in landscape_markdown(report)
    report.losses.flat[0] = np.inf
    assert is_png(landscape_figure(report))
    report.losses[:] = np.geomspace(1e-4, 1e3, report.losses.size).reshape(report.losses.shape)
    assert is_png(landscape_figure(report))


def test_learning_rate(language: str) -> None:
    report = pl.learning_rate_test(network(), MOONS, nn.CrossEntropyLoss(), pl.optim.SGD, highest=100.0)
    assert report.suggested is not None
    assert f"{report.suggested:.2g}" in landscape_markdown(report)
    assert is_png(learning_rate_figure(report))
