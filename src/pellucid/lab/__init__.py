"""Common claims about neural networks, each as an experiment that runs in under a minute. A name and a seed come in;
what was measured, a verdict that follows from it and a figure leave. Called by `pellucid lab`.

Each experiment is one file, to be read: the claim, the network, the run, the measurement, the criterion. "Not
confirmed" is an answer like any other.
"""

from __future__ import annotations

from pellucid.core.check import Integer, checked, closest
from pellucid.core.rng import default_generator
from pellucid.errors import ArgumentError
from pellucid.lab import (
    activations,
    approximation,
    batch_size,
    bias,
    collapse,
    flatness,
    gradient_noise,
    inference_cost,
    latency,
    learning_rate,
    regularisation,
    trainer_bugs,
    vanishing,
    variance,
    zero_initialisation,
)
from pellucid.lab.experiment import Experiment, Finding, Measurement

__all__ = ["EXPERIMENTS", "Experiment", "Finding", "Measurement", "find", "run"]

EXPERIMENTS: tuple[Experiment, ...] = (
    Experiment("collapse", collapse.run),
    Experiment("bias", bias.run),
    Experiment("zero-initialisation", zero_initialisation.run),
    Experiment("variance", variance.run),
    Experiment("vanishing", vanishing.run),
    Experiment("learning-rate", learning_rate.run),
    Experiment("batch-size", batch_size.run),
    Experiment("gradient-noise", gradient_noise.run),
    Experiment("flatness", flatness.run),
    Experiment("approximation", approximation.run),
    Experiment("regularisation", regularisation.run),
    Experiment("inference-cost", inference_cost.run),
    Experiment("latency", latency.run),
    Experiment("activations", activations.run),
    Experiment("trainer-bugs", trainer_bugs.run),
)
"""All experiments, in the order of a course."""

SEED_LIMIT = 2**32 - 1
"""The largest seed, as NumPy's older generator takes it."""


def find(name: str) -> Experiment:
    """The experiment of that name; `_` is read as `-`.

    Raises
        ArgumentError: there is none.
    """
    found = {e.name: e for e in EXPERIMENTS}
    plain = str(name).lower().replace("_", "-")
    if plain not in found:
        raise ArgumentError("lab.no-experiment", name=name, options=", ".join(found), suggestion=closest(plain, found))
    return found[plain]


@checked(seed=Integer(0, SEED_LIMIT))
def run(name: str, seed: int = 0) -> Finding:
    """Run an experiment.

    Parameters
        name : of one of `EXPERIMENTS`
        seed : int in [0, 2^32 - 1], fixes all that is drawn: weights, data, the order of the rows
    Returns
        What was measured, whether it confirms the claim, and a figure. Besides times, the numbers depend on the seed
        alone. The default random generator stays where it was.
    Raises
        ArgumentError: no such experiment.
    Examples
        >>> run("bias").confirmed
        True
    """
    item = find(name)
    before = default_generator.get_state()
    try:
        return item.run(seed)
    finally:
        default_generator.set_state(before)
