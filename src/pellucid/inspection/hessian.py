"""A function of arrays and a point come in; eigenvalues, trace and spectral density of its Hessian there leave, by
Hessian-vector products alone: the Hessian is never formed. `curvature.py` asks the same of a network's loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.autograd import hvp
from pellucid.core.check import Integer, Real, checked
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import ArgumentError, GradientError
from pellucid.inspection.lanczos import Product, Ritz, hutchinson, lanczos, rademacher, smoothed

SEED = Integer(0, 2**64 - 1)
_GRID = 400


@dataclass(frozen=True, eq=False)
class Eigenvalues:
    """Eigenvalues at the ends of a spectrum; see `hessian_eigenvalues`.

    largest : descending.
    largest_errors : of each a bound of its distance to the nearest eigenvalue.
    smallest, smallest_error : the lowest one.
    vectors : those of the largest, a row each, of unit length.
    num_products : Hessian-vector products that were made.
    converged : whether all errors are within the tolerance.
    """

    largest: tuple[float, ...]
    largest_errors: tuple[float, ...]
    smallest: float
    smallest_error: float
    vectors: Array
    num_products: int
    converged: bool

    @property
    def max_stable_rate(self) -> float:
        """2/λ: the rate from which on gradient descent without momentum moves away along the sharpest direction."""
        return 2.0 / self.largest[0] if self.largest[0] > 0 else float("inf")


@dataclass(frozen=True)
class Trace:
    """An estimated trace: the mean over `num_probes` random vectors, and the standard error of that mean."""

    value: float
    standard_error: float
    num_probes: int


@dataclass(frozen=True, eq=False)
class Density:
    """The density of eigenvalues; see `hessian_density`.

    grid, density : its values on a grid, smoothed by a Gaussian of standard deviation `width`; the area is 1.
    nodes, weights : the points that were smoothed, of which the weights add up to 1.
    """

    grid: Array
    density: Array
    nodes: Array
    weights: Array
    width: float
    num_products: int

    @property
    def negative(self) -> float:
        """The share of eigenvalues that are further below 0 than `width`."""
        return float(self.weights[self.nodes < -self.width].sum())


@checked(num=Integer(1), max_products=Integer(1), tolerance=Real(0, left_open=True), seed=SEED)
def hessian_eigenvalues(
    function: Callable[..., Tensor],
    inputs: Any,
    num: int = 1,
    *,
    max_products: int = 100,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> Eigenvalues:
    """The largest eigenvalues of the Hessian of a scalar function, and the smallest, by Lanczos' method.

    With as many products as numbers in the inputs the spectrum is exact to rounding; otherwise repeated eigenvalues are
    found once. One vector of the inputs' size is kept for each product.

    Parameters
        function : of Tensors, to a single number; twice differentiable.
        inputs : the point: an array or Tensor, or a list of them; a list of plain numbers is one vector.
        num : how many of the largest; no more than there are numbers in the inputs.
        max_products : Hessian-vector products at most.
        tolerance : errors in parts of the largest absolute eigenvalue at which it stops.
        seed : of the random start.
    Returns
        Eigenvalues
    Raises
        ArgumentError: `num` exceeds the numbers in the inputs, or `max_products`.
        GradientError: what `hvp` refuses; a Hessian that is not finite.
    Source
        C. Lanczos, 1950; B. N. Parlett, The symmetric eigenvalue problem, 1998, chapter 13.
    Examples
        >>> import numpy as np
        >>> scales = np.array([100.0, 1.0, 0.01])
        >>> found = hessian_eigenvalues(lambda w: 0.5 * (scales * w * w).sum(), np.ones(3), 3)
        >>> [round(value, 6) for value in found.largest], round(found.max_stable_rate, 6)
        ([100.0, 1.0, 0.01], 0.02)
    """
    product, size = _product(function, inputs)
    return eigenvalues(product, size, num, max_products, tolerance, np.random.default_rng(seed))


@checked(num_probes=Integer(2), seed=SEED)
def hessian_trace(function: Callable[..., Tensor], inputs: Any, *, num_probes: int = 30, seed: int = 0) -> Trace:
    """The trace of the Hessian of a scalar function, by Hutchinson's estimator; exact for a diagonal one.

    Parameters
        function, inputs : as of `hessian_eigenvalues`.
        num_probes : random vectors of signs, a Hessian-vector product each.
        seed : of the vectors.
    Returns
        Trace, with its standard error
    Source
        M. F. Hutchinson, A stochastic estimator of the trace of the influence matrix, 1990.
    Examples
        >>> import numpy as np
        >>> hessian_trace(lambda w: (w**3).sum(), np.array([1.0, 2.0]))
        Trace(value=18.0, standard_error=0.0, num_probes=30)
    """
    product, size = _product(function, inputs)
    generator = np.random.default_rng(seed)
    value, error = hutchinson(product, [rademacher(generator, size) for _ in range(num_probes)])
    return Trace(value, error, num_probes)


@checked(
    num_probes=Integer(1),
    num_products=Integer(2),
    width=Real(0, left_open=True, none=True),
    seed=SEED,
)
def hessian_density(
    function: Callable[..., Tensor],
    inputs: Any,
    *,
    num_probes: int = 5,
    num_products: int = 40,
    width: float | None = None,
    seed: int = 0,
) -> Density:
    """How the eigenvalues of the Hessian of a scalar function are distributed, by stochastic Lanczos quadrature.

    Parameters
        function, inputs : as of `hessian_eigenvalues`.
        num_probes : random starts, over which is averaged.
        num_products : products for each.
        width : standard deviation of the Gaussian that smooths; None: a hundredth of the spectrum's length.
        seed : of the starts.
    Returns
        Density
    Source
        B. Ghorbani, S. Krishnan, Y. Xiao, An investigation into neural net optimization via Hessian eigenvalue density,
        arXiv:1901.10159, section 2.
    """
    product, size = _product(function, inputs)
    return density(product, size, num_probes, num_products, width, np.random.default_rng(seed))


def eigenvalues(
    product: Product, size: int, num: int, most: int, tolerance: float, generator: np.random.Generator
) -> Eigenvalues:
    """The ends of the spectrum of any symmetric product."""
    if num > min(size, most):
        raise ArgumentError("landscape.too-many-eigenvalues", num=num, size=size, most=most)

    def enough(values: Array, errors: Array) -> bool:
        if len(values) < num + 1:
            return False
        return bool(max(errors[-num:].max(), errors[0]) <= tolerance * np.abs(values).max())

    def random() -> Array:
        return generator.standard_normal(size)

    found: Ritz = lanczos(product, random(), most, random, enough)
    order = np.arange(len(found.values))[::-1][:num]
    errors = found.errors[order]
    allowed = tolerance * np.abs(found.values).max()
    return Eigenvalues(
        largest=tuple(found.values[order].tolist()),
        largest_errors=tuple(errors.tolist()),
        smallest=float(found.values[0]),
        smallest_error=float(found.errors[0]),
        vectors=np.stack([found.vector(int(n)) for n in order]),
        num_products=found.num_products,
        converged=bool(max(errors.max(), found.errors[0]) <= allowed),
    )


def density(
    product: Product,
    size: int,
    num_probes: int,
    num_products: int,
    width: float | None,
    generator: np.random.Generator,
) -> Density:
    """The density of the spectrum of any symmetric product."""

    def random() -> Array:
        return generator.standard_normal(size)

    runs = [lanczos(product, rademacher(generator, size), num_products, random) for _ in range(num_probes)]
    nodes = np.concatenate([run.values for run in runs])
    weights = np.concatenate([run.weights for run in runs]) / num_probes
    length = float(nodes.max() - nodes.min()) or float(np.abs(nodes).max()) or 1.0
    spread = length / 100 if width is None else float(width)
    grid = np.linspace(nodes.min() - 4 * spread, nodes.max() + 4 * spread, _GRID)
    products = sum(run.num_products for run in runs)
    return Density(grid, smoothed(nodes, weights, spread, grid), nodes, weights, spread, products)


def _product(function: Callable[..., Tensor], inputs: Any) -> tuple[Product, int]:
    """The Hessian times a flat vector, and how long that is."""
    several = isinstance(inputs, list | tuple) and any(isinstance(x, Tensor) or hasattr(x, "shape") for x in inputs)
    tensors = [as_tensor(x) for x in (inputs if several else [inputs])]
    tensors = [x if x.dtype.kind == "f" else x.astype(np.float64) for x in tensors]
    ends = np.cumsum([x.size for x in tensors])[:-1]
    size = sum(x.size for x in tensors)

    def product(v: Array) -> Array:
        pieces = [p.reshape(x.shape).astype(x.dtype) for p, x in zip(np.split(v, ends), tensors, strict=True)]
        _, found = hvp(function, tensors, pieces)
        parts = found if isinstance(found, tuple) else (found,)
        flat: Array = np.concatenate([np.asarray(part.data, np.float64).ravel() for part in parts])
        if not np.isfinite(flat).all():
            raise GradientError("landscape.hessian-not-finite")
        return flat

    return product, size
