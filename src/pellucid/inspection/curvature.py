"""A network, rows and a loss come in; how the loss curves at the weights leaves: eigenvalues, trace and density of its
Hessian, how far it rises nearby, and measures of both that do not change when a ReLU network is written with other
weights. Users call `curvature`; `report` draws what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, Real, checked
from pellucid.inspection.hessian import SEED, Density, Eigenvalues, Trace, density, eigenvalues
from pellucid.inspection.lanczos import rademacher
from pellucid.inspection.objective import Objective, named, rows_for
from pellucid.inspection.sharpness import Sharpness, search
from pellucid.inspection.unchanged import unchanged


@dataclass(frozen=True)
class LayerCurvature:
    """The part of a layer: the trace of its block of the Hessian, with the standard error of the estimate.

    path : the layer's full name; "" for the network's own parameters.
    relative_trace : the same where each weight is measured in units of itself.
    """

    path: str
    parameters: int
    trace: Trace
    relative_trace: Trace


@dataclass(frozen=True, eq=False)
class Curvature:
    """How a loss curves at the weights of a network; see `curvature`.

    model, loss_name : what was looked at.
    rows, parameters : rows of data; numbers that are trained.
    loss, gradient_norm : there.
    eigenvalues : of the Hessian H.
    trace : of the Hessian.
    relative_eigenvalues, relative_trace : of |w| H |w|, in which each weight is measured in units of itself.
    sharpness, relative_sharpness : how far the loss rises in a ball, and in one measured in units of each weight.
    layers : what each layer has of the traces.
    density : of the eigenvalues of H; None where it was not asked for.

    All that is called relative is the same for ReLU networks that compute the same function with layers multiplied by
    a > 0 and divided by it; eigenvalues, trace and sharpness are not.
    """

    model: str
    loss_name: str
    rows: int
    parameters: int
    loss: float
    gradient_norm: float
    eigenvalues: Eigenvalues
    trace: Trace
    relative_eigenvalues: Eigenvalues
    relative_trace: Trace
    sharpness: Sharpness
    relative_sharpness: Sharpness
    layers: tuple[LayerCurvature, ...]
    density: Density | None
    seed: int

    @property
    def max_stable_rate(self) -> float:
        """2/λ of the largest eigenvalue: gradient descent with a higher rate leaves this place."""
        return self.eigenvalues.max_stable_rate

    def __str__(self) -> str:
        found = self.eigenvalues
        facts = {
            "model": self.model,
            "loss_name": self.loss_name,
            "rows": f"{self.rows:,}",
            "parameters": f"{self.parameters:,}",
            "loss": f"{self.loss:.6g}",
            "gradient": f"{self.gradient_norm:.4g}",
        }
        facts["values"] = ", ".join(f"{value:.4g}" for value in found.largest)
        facts |= {"error": f"{max(found.largest_errors):.1g}", "products": str(found.num_products)}
        facts |= {"smallest": f"{found.smallest:.4g}", "smallest_error": f"{found.smallest_error:.1g}"}
        facts |= {"trace": f"{self.trace.value:.4g}", "trace_error": f"{self.trace.standard_error:.2g}"}
        facts |= {"rate": f"{self.max_stable_rate:.4g}", "probes": str(self.trace.num_probes)}
        facts["relative"] = f"{self.relative_eigenvalues.largest[0]:.4g}"
        facts["relative_trace"] = f"{self.relative_trace.value:.4g}"
        facts["relative_trace_error"] = f"{self.relative_trace.standard_error:.2g}"
        lines = ["head", "line-loss", "line-eigenvalues", "line-smallest", "line-trace"]
        if np.isfinite(self.max_stable_rate):
            lines.append("line-rate")
        if not (found.converged and self.relative_eigenvalues.converged):
            lines.append("line-not-converged")
        words = [text(f"landscape.{line}", **facts) for line in lines]
        words += [str(self.sharpness), text("landscape.line-relative", **facts), str(self.relative_sharpness)]
        return "\n".join([*words, text("landscape.line-invariant")])


@checked(num_eigenvalues=Integer(1), num_probes=Integer(2), max_products=Integer(2),
         tolerance=Real(0, left_open=True), rho=Real(0, left_open=True), relative_rho=Real(0, left_open=True),
         density=Flag(), batch_size=Integer(1, none=True), seed=SEED)  # fmt: skip
def curvature(
    model: Any,
    data: Any,
    loss: Callable[..., Any],
    *,
    num_eigenvalues: int = 3,
    num_probes: int = 30,
    max_products: int = 60,
    tolerance: float = 1e-3,
    rho: float = 0.05,
    relative_rho: float = 0.5,
    density: bool = False,
    batch_size: int | None = None,
    seed: int = 0,
) -> Curvature:
    """How the loss curves at the weights of a network: sharp or flat, and in how many directions.

    Everything is computed by Hessian-vector products, of which each costs about two backward passes over the rows:
    some hundreds in all. The network is looked at in evaluation mode, and left as it is.

    Parameters
        model : the network.
        data : Dataset, (x, y), x, or the Dataset of a Loader; a thousand rows often suffice.
        loss : called as loss(outputs, y), or as loss(outputs) where the data have no targets.
        num_eigenvalues : how many of the largest.
        num_probes : random vectors for the traces.
        max_products : Hessian-vector products for the eigenvalues, at most, twice; as many vectors of the size of all
            parameters, in float64, are kept.
        tolerance : errors of eigenvalues, in parts of the largest, at which the search stops.
        rho, relative_rho : radii of the balls in which the sharpness is looked for.
        density : also how the eigenvalues are distributed: 200 further products.
        batch_size : rows at once; None is all of them, which keeps the first backward pass and is twice as fast.
        seed : of all random vectors.
    Returns
        Curvature
    Raises
        ArgumentError: more eigenvalues than parameters; several batches, and a loss that does not add up over them.
        ModelError: nothing is trained, or the loss, its gradient or its Hessian is not finite.
    Source
        Z. Yao et al., PyHessian, arXiv:1912.07145, for the methods. L. Dinh et al., Sharp minima can generalize for
        deep nets, arXiv:1703.04933, for why a measure has to be invariant; Y. Tsuzuku et al., Normalized flat minima,
        arXiv:1901.04653, and J. Kwon et al., ASAM, arXiv:2102.11600, for measures that are.
    Examples
        >>> import pellucid as pl
        >>> _ = pl.manual_seed(0)
        >>> model = pl.nn.Sequential(pl.nn.Linear(2, 8), pl.nn.ReLU(), pl.nn.Linear(8, 2))
        >>> report = pl.curvature(model, pl.data.two_moons(64, seed=0), pl.nn.CrossEntropyLoss())
        >>> report.eigenvalues.largest[0] > report.eigenvalues.largest[1] > 0
        True
    """
    rows = rows_for(model, data)
    # Each measure draws from a stream of its own, so that what one does cannot change another.
    streams = [np.random.default_rng([seed, n]) for n in range(6)]
    with unchanged(model, seed=seed, training=False):
        objective = Objective(model, rows, loss, batch_size)
        value, gradient = objective.gradient()
        size, weight = objective.size, np.abs(objective.point())

        def relative(v: Array) -> Array:
            return weight * objective.product(weight * v)

        plain = eigenvalues(objective.product, size, num_eigenvalues, max_products, tolerance, streams[0])
        scaled = eigenvalues(relative, size, 1, max_products, tolerance, streams[1])
        layers, traces = _traces(objective, weight, num_probes, streams[2])
        distribution = _density(objective, streams[3]) if density else None
        v, u = plain.vectors[0], scaled.vectors[0]
        ball = search(objective, value, gradient, rho, False, 10, streams[4], [v, -v])
        relative_ball = search(objective, value, gradient, relative_rho, True, 10, streams[5], [u, -u])
    return Curvature(
        model=named(model),
        loss_name=named(loss),
        rows=len(rows),
        parameters=size,
        loss=value,
        gradient_norm=float(np.linalg.norm(gradient)),
        eigenvalues=plain,
        trace=traces[0],
        relative_eigenvalues=scaled,
        relative_trace=traces[1],
        sharpness=ball,
        relative_sharpness=relative_ball,
        layers=layers,
        density=distribution,
        seed=seed,
    )


def _density(objective: Objective, generator: np.random.Generator) -> Density:
    return density(objective.product, objective.size, 5, 40, None, generator)


def layer_slices(objective: Objective) -> dict[str, list[slice]]:
    """Where the parameters of each layer lie in the flat vector."""
    found: dict[str, list[slice]] = {}
    start = 0
    for name, p in objective.named:
        found.setdefault(name.rpartition(".")[0], []).append(slice(start, start + p.size))
        start += p.size
    return found


def _traces(
    objective: Objective, weight: Array, num_probes: int, generator: np.random.Generator
) -> tuple[tuple[LayerCurvature, ...], tuple[Trace, Trace]]:
    """Hutchinson's estimates: a vector of signs gives a sample of the trace of each block as well as of the whole."""
    places = layer_slices(objective)
    samples: dict[str, list[tuple[float, float]]] = {path: [] for path in places}
    totals: list[tuple[float, float]] = []
    for _ in range(num_probes):
        v = rademacher(generator, objective.size)
        # v·Hv and v·|w|H|w|v, number by number.
        pair = np.stack([v * objective.product(v), v * weight * objective.product(weight * v)])
        totals.append(tuple(pair.sum(axis=1).tolist()))
        for path, slices in places.items():
            samples[path].append(tuple(sum(pair[:, s].sum(axis=1) for s in slices).tolist()))
    layers = tuple(
        LayerCurvature(path, sum(s.stop - s.start for s in slices), *_estimates(samples[path]))
        for path, slices in places.items()
    )
    return layers, _estimates(totals)


def _estimates(samples: list[tuple[float, float]]) -> tuple[Trace, Trace]:
    array = np.array(samples)
    means, errors = array.mean(axis=0), array.std(axis=0, ddof=1) / np.sqrt(len(array))
    return (
        Trace(float(means[0]), float(errors[0]), len(array)),
        Trace(float(means[1]), float(errors[1]), len(array)),
    )
