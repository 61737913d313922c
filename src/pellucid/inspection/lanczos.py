"""A symmetric matrix, known only by its product with a vector, comes in; the eigenvalues at both ends of its spectrum,
with bounds of their errors, or its density of eigenvalues, leave. It knows nothing of networks; `hessian.py` and
`curvature.py` call it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid._typing import Array

Product = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Ritz:
    """What Lanczos' method found.

    values : the eigenvalues of the projection, ascending; those at the ends come first to those of the matrix.
    errors : for each a bound of its distance to the nearest eigenvalue of the matrix.
    weights : for each the squared first component of its vector: what it counts in the density of the first vector.
    basis : (products, n) orthonormal rows.
    rotation : (products, products): column j holds the j-th vector in the basis.
    """

    values: Array
    errors: Array
    weights: Array
    basis: Array
    rotation: Array

    @property
    def num_products(self) -> int:
        """How many products were made."""
        return len(self.values)

    def vector(self, number: int) -> Array:
        """The eigenvector that belongs to a value."""
        found: Array = self.rotation[:, number] @ self.basis
        return found


def lanczos(
    product: Product,
    start: Array,
    most: int,
    random: Callable[[], Array],
    done: Callable[[Array, Array], bool] = lambda values, errors: False,
) -> Ritz:
    """Lanczos' method with full reorthogonalisation.

    Where the space that the start leads to is exhausted it goes on with a random vector outside of it, so that with as
    many products as rows all eigenvalues are found, repeated ones too.

    Parameters
        product : the matrix times a vector
        start : the first vector, shape (n,)
        most : products at most; at most n are made
        random : a new random vector of shape (n,)
        done : looks at values and errors after each product and says whether they suffice
    Source
        B. N. Parlett, The symmetric eigenvalue problem, 1998, chapter 13; C. C. Paige's error bound |β_m s_m|.
    """
    n = len(start)
    most = min(most, n)
    basis = np.empty((most, n))
    alpha, beta = np.zeros(most), np.zeros(most)
    v = start / np.linalg.norm(start)
    scale = 0.0
    for m in range(most):
        basis[m] = v
        w = product(v)
        alpha[m] = v @ w
        size = np.linalg.norm(w)
        scale = max(scale, float(size))
        # Twice is enough (W. Kahan): the second pass takes away what rounding left in the first.
        for _ in range(2):
            w = w - basis[: m + 1].T @ (basis[: m + 1] @ w)
        beta[m] = np.linalg.norm(w)
        # Less than what rounding leaves of a product is nothing: the space is closed.
        closed = beta[m] <= 1e-12 * scale
        if closed:
            beta[m] = 0.0
        values, rotation = np.linalg.eigh(np.diag(alpha[: m + 1]) + _beside(beta[:m]))
        errors = np.abs(beta[m] * rotation[m])
        if m + 1 == most or (not closed and done(values, errors)):
            break
        v = _outside(basis[: m + 1], random) if closed else w / beta[m]
    return Ritz(values, errors, rotation[0] ** 2, basis[: m + 1], rotation)


def _beside(beta: Array) -> Array:
    """The entries beside the diagonal."""
    return np.diag(beta, 1) + np.diag(beta, -1) if len(beta) else np.zeros((1, 1))


def _outside(basis: Array, random: Callable[[], Array]) -> Array:
    """A unit vector orthogonal to all rows, of which there are fewer than columns."""
    while True:
        v = random()
        v = v / np.linalg.norm(v)
        for _ in range(2):
            v = v - basis.T @ (basis @ v)
        size = float(np.linalg.norm(v))
        if size > 1e-8:
            found: Array = v / size
            return found


def rademacher(generator: np.random.Generator, size: int) -> Array:
    """A vector of signs: of all vectors with independent entries the one whose trace estimate varies least."""
    return np.where(generator.integers(0, 2, size) > 0, 1.0, -1.0)


def hutchinson(product: Product, probes: list[Array]) -> tuple[float, float]:
    """The trace, and the standard error of that estimate: the mean of v·Av over vectors of signs v.

    Source
        M. F. Hutchinson, A stochastic estimator of the trace of the influence matrix, 1990.
    """
    samples = np.array([v @ product(v) for v in probes])
    return float(samples.mean()), float(samples.std(ddof=1) / np.sqrt(len(samples)))


def smoothed(nodes: Array, weights: Array, width: float, grid: Array) -> Array:
    """Weighted points as a density on a grid: each a Gaussian of a standard deviation."""
    distances = (grid[:, None] - nodes[None]) / width
    density: Array = np.exp(-0.5 * distances**2) @ weights / (width * np.sqrt(2 * np.pi))
    return density
