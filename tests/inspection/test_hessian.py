"""Eigenvalues, traces and densities by products alone, against quadratics, numpy.linalg and Hessians formed whole."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.inspection import hessian_density, hessian_eigenvalues, hessian_trace
from pellucid.inspection.lanczos import lanczos


def symmetric(size: int, seed: int = 0) -> np.ndarray:
    a = np.random.default_rng(seed).normal(size=(size, size))
    return a + a.T


def quadratic(matrix: np.ndarray):
    return lambda w: 0.5 * (w * pl.matmul(pl.Tensor(matrix), w)).sum()


def test_a_diagonal_is_exact() -> None:
    scales = np.array([100.0, 1.0, 0.01])
    found = hessian_eigenvalues(lambda w: 0.5 * (scales * w * w).sum(), np.ones(3), 3, tolerance=1e-12)
    np.testing.assert_allclose(found.largest, scales, rtol=1e-10)
    assert found.smallest == pytest.approx(0.01, rel=1e-9)
    assert found.num_products == 3
    assert found.converged
    assert found.max_stable_rate == pytest.approx(0.02, rel=1e-12)
    np.testing.assert_allclose(np.abs(found.vectors), np.eye(3), atol=1e-9)
    trace = hessian_trace(lambda w: 0.5 * (scales * w * w).sum(), np.ones(3), num_probes=2)
    assert trace.value == pytest.approx(101.01, rel=1e-14)
    assert trace.standard_error < 1e-12


@pytest.mark.parametrize(("rate", "stays"), [(0.0199, True), (0.0201, False)])
def test_gradient_descent_is_stable_below_the_edge_alone(rate: float, stays: bool) -> None:
    scales = np.array([100.0, 1.0, 0.01])
    w = pl.Tensor(np.ones(3), requires_grad=True)
    optimizer = pl.optim.SGD([w], lr=rate)
    for _ in range(1000):
        (0.5 * (scales * w * w).sum()).backward()
        optimizer.step()
    assert bool(abs(w.data[0]) < 1) is stays


def test_a_full_run_gives_the_whole_spectrum() -> None:
    matrix = symmetric(12)
    found = hessian_eigenvalues(quadratic(matrix), np.zeros(12), 12, tolerance=1e-14)
    expected = np.linalg.eigvalsh(matrix)
    np.testing.assert_allclose(found.largest, expected[::-1], rtol=1e-9, atol=1e-9)
    assert found.smallest == pytest.approx(expected[0])
    for value, vector in zip(found.largest, found.vectors, strict=True):
        np.testing.assert_allclose(matrix @ vector, value * vector, atol=1e-8)


def test_the_ends_of_a_large_spectrum_and_their_bounds() -> None:
    matrix = symmetric(200, 1)
    found = hessian_eigenvalues(quadratic(matrix), np.zeros(200), 3, tolerance=1e-3, max_products=150)
    expected = np.linalg.eigvalsh(matrix)
    assert found.converged
    assert found.num_products < 150
    for value, error, true in zip(found.largest, found.largest_errors, expected[::-1], strict=False):
        assert abs(value - true) <= error + 1e-9
    assert abs(found.smallest - expected[0]) <= found.smallest_error + 1e-9
    short = hessian_eigenvalues(quadratic(matrix), np.zeros(200), 3, max_products=5)
    assert (short.num_products, short.converged) == (5, False)


def test_repeated_and_zero_eigenvalues_are_found_by_going_on_outside() -> None:
    values = [3.0, 3.0, 3.0, 0.0, 0.0]
    found = hessian_eigenvalues(quadratic(np.diag(values)), np.ones(5), 5, tolerance=1e-12)
    np.testing.assert_allclose(found.largest, values, atol=1e-12)
    flat = hessian_eigenvalues(lambda w: w.sum(), np.ones(4), 2)
    assert (flat.largest, flat.max_stable_rate) == ((0.0, 0.0), float("inf"))


def test_lanczos_stays_orthogonal() -> None:
    matrix = np.diag(np.concatenate([[1e6], np.linspace(0, 1, 99)]))
    rng = np.random.default_rng(0)
    run = lanczos(lambda v: matrix @ v, rng.normal(size=100), 60, lambda: rng.normal(size=100))
    np.testing.assert_allclose(run.basis @ run.basis.T, np.eye(60), atol=1e-12)
    np.testing.assert_allclose(run.weights.sum(), 1.0)


def test_a_network_against_its_hessian_formed_whole() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    labels = np.arange(20) % 3

    def loss(w: pl.Tensor) -> pl.Tensor:
        hidden = pl.tanh(pl.Tensor(x) @ w[:12].reshape(3, 4))
        return nn.functional.cross_entropy(hidden @ w[12:].reshape(4, 3), labels)

    w = np.random.default_rng(1).normal(size=24)
    whole = pl.autograd.hessian(loss, w).data
    expected = np.linalg.eigvalsh(whole)
    found = hessian_eigenvalues(loss, w, 4, tolerance=1e-10)
    np.testing.assert_allclose(found.largest, expected[::-1][:4], rtol=1e-7)
    assert found.smallest == pytest.approx(expected[0], abs=1e-8)
    trace = hessian_trace(loss, w, num_probes=200)
    assert abs(trace.value - np.trace(whole)) < 4 * trace.standard_error
    # The variance of v·Hv over signs is twice the squares off the diagonal.
    off = whole - np.diag(np.diag(whole))
    assert trace.standard_error == pytest.approx(np.sqrt(2 * (off**2).sum() / 200), rel=0.3)


def test_several_inputs_are_one_point() -> None:
    a, b = np.array([1.0, 2.0]), np.array([[3.0]])

    def function(u: pl.Tensor, v: pl.Tensor) -> pl.Tensor:
        return (u * u).sum() * v.sum()

    whole = np.array([[6.0, 0, 2], [0, 6, 4], [2, 4, 0]])
    found = hessian_eigenvalues(function, [a, b], 3, tolerance=1e-12)
    np.testing.assert_allclose(found.largest, np.linalg.eigvalsh(whole)[::-1], atol=1e-10)


def test_the_density_of_a_spectrum() -> None:
    values = np.concatenate([np.linspace(0.0, 1.0, 180), np.full(20, 5.0)])
    found = hessian_density(quadratic(np.diag(values)), np.zeros(200), num_probes=3, num_products=40, width=0.1)
    area = np.trapezoid(found.density, found.grid)
    assert area == pytest.approx(1.0, abs=1e-3)
    high = found.grid > 3
    assert np.trapezoid(found.density[high], found.grid[high]) == pytest.approx(0.1, abs=1e-3)
    # The first two moments: each probe is exact for polynomials.
    assert found.weights @ found.nodes == pytest.approx(values.mean(), abs=1e-9)
    assert found.negative == 0.0
    saddle = hessian_density(quadratic(np.diag([-1.0, 1.0, 1.0, 1.0])), np.zeros(4), num_products=4)
    assert saddle.negative == pytest.approx(0.25)


def test_the_same_seed_gives_the_same_bits() -> None:
    def numbers(seed: int) -> tuple[float, ...]:
        return hessian_eigenvalues(quadratic(symmetric(30)), np.zeros(30), 2, max_products=8, seed=seed).largest

    assert numbers(3) == numbers(3) != numbers(4)


def test_what_is_refused() -> None:
    with pytest.raises(pl.errors.ArgumentError, match="more eigenvalues are asked for than there can be"):
        hessian_eigenvalues(lambda w: (w * w).sum(), np.ones(2), 3)
    with pytest.raises(pl.errors.GradientError, match="second derivatives of the function are not finite"):
        hessian_eigenvalues(lambda w: (w**1.5).sum(), np.zeros(2))
    with pytest.raises(pl.errors.ArgumentError, match="num_probes is out of range"):
        hessian_trace(lambda w: (w * w).sum(), np.ones(2), num_probes=1)
