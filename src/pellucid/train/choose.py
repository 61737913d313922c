"""Names come in, as a command line or a configuration holds them; losses, optimizers and schedules leave. Called by
`fit`, `evaluate` and the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pellucid._text import text
from pellucid.core.check import closest, shown
from pellucid.errors import ArgumentError, ArgumentTypeError

LOSSES = {
    "cross_entropy": "CrossEntropyLoss",
    "nll": "NLLLoss",
    "bce": "BCELoss",
    "bce_with_logits": "BCEWithLogitsLoss",
    "mse": "MSELoss",
    "mae": "L1Loss",
    "l1": "L1Loss",
    "smooth_l1": "SmoothL1Loss",
    "huber": "HuberLoss",
    "kl_div": "KLDivLoss",
    "poisson_nll": "PoissonNLLLoss",
    "hinge_embedding": "HingeEmbeddingLoss",
    "soft_margin": "SoftMarginLoss",
    "multi_margin": "MultiMarginLoss",
    "multilabel_soft_margin": "MultiLabelSoftMarginLoss",
}
"""The loss class that a name stands for."""

OPTIMIZERS = {
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "radam": "RAdam",
    "adamax": "Adamax",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "rmsprop": "RMSprop",
    "lion": "Lion",
    "lbfgs": "LBFGS",
}
"""The optimizer class that a name stands for."""

SCHEDULES = ("constant", "cosine", "one_cycle", "linear", "exponential", "step")
"""The schedules that a name stands for, each laid out over the whole run."""


def known_name(kind: str, name: str, table: Iterable[str]) -> str:
    """The name as the table spells it: case, spaces and hyphens do not matter.

    Raises
        ArgumentError: none of the table.
    """
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    names = list(table)
    if plain not in names:
        begins = [n for n in names if plain and n.startswith(plain)]
        raise ArgumentError(
            "train.unknown-name",
            kind=text(f"train.kind-{kind}"),
            name=repr(name),
            names=", ".join(names),
            suggestion=begins[0] if begins else closest(plain, names),
        )
    return plain


def make_loss(loss: Any, **options: Any) -> Any:
    """A loss from a name in `LOSSES`, or its class's own, and the options of that class; a module or a function passes
    as it is.

    Raises
        ArgumentError: no loss has the name.
        ArgumentTypeError: neither a name nor callable.
    """
    if isinstance(loss, str):
        from pellucid import nn

        if loss in LOSSES.values():
            return getattr(nn, loss)(**options)
        return getattr(nn, LOSSES[known_name("loss", loss, LOSSES)])(**options)
    if isinstance(loss, type):
        return loss(**options)
    if not callable(loss):
        raise ArgumentTypeError("train.loss-type", value=shown(loss), type=type(loss).__name__)
    return loss


def make_optimizer(optimizer: Any, parameters: Any, **options: Any) -> Any:
    """An optimizer of `parameters` from a name in `OPTIMIZERS` and the options of its class (lr, momentum, ...).

    An optimizer passes as it is; a class or a function is called with the parameters and the options.

    Raises
        ArgumentError: no optimizer has the name.
        ArgumentTypeError: none of the three, or a function that makes something else.
    """
    from pellucid import optim

    if isinstance(optimizer, str):
        return getattr(optim, OPTIMIZERS[known_name("optimizer", optimizer, OPTIMIZERS)])(parameters, **options)
    made = optimizer
    if callable(optimizer) and not isinstance(optimizer, optim.Optimizer):
        made = optimizer(parameters, **options)
    if not isinstance(made, optim.Optimizer):
        raise ArgumentTypeError("train.optimizer-type", value=shown(made), type=type(made).__name__)
    return made


def make_schedule(schedule: Any, optimizer: Any, *, steps: int, epochs: int) -> tuple[Any, str]:
    """A schedule of the learning rate, and whether it moves on every "step" or every "epoch".

    Parameters
        schedule : None; a schedule of `pellucid.optim`, which passes as it is; a function of the optimizer that makes
            one; or a name: "constant"; "cosine", from lr to 0; "one_cycle", up to lr and down; "linear", from lr to 0:
            these move every step. "exponential", to lr/100 over the run; "step", to lr/10 after each third of the
            epochs
        optimizer : the optimizer whose rate it sets
        steps : updates in the whole run
        epochs : epochs in the whole run
    Raises
        ArgumentError: no schedule has the name, or it is one of another optimizer.
        ArgumentTypeError: none of the four.
    """
    if schedule is None:
        return None, "epoch"
    if isinstance(schedule, str):
        from pellucid import optim

        name = known_name("schedule", schedule, SCHEDULES)
        if name == "constant":
            return None, "epoch"
        lr = float(optimizer.param_groups[0]["lr"])
        if name == "cosine":
            return optim.CosineAnnealingLR(optimizer, T_max=max(1, steps)), "step"
        if name == "one_cycle":
            return optim.OneCycleLR(optimizer, max_lr=lr, total_steps=max(1, steps)), "step"
        if name == "linear":
            return optim.LinearLR(optimizer, start_factor=1.0, end_factor=0.0, total_iters=max(1, steps)), "step"
        if name == "exponential":
            return optim.ExponentialLR(optimizer, gamma=0.01 ** (1 / max(1, epochs))), "epoch"
        return optim.StepLR(optimizer, step_size=max(1, -(-epochs // 3)), gamma=0.1), "epoch"
    if callable(schedule) and not hasattr(schedule, "step"):
        schedule = schedule(optimizer)
    if not callable(getattr(schedule, "step", None)):
        raise ArgumentTypeError("train.schedule-type", value=shown(schedule), type=type(schedule).__name__)
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        kinds = {"schedule": type(schedule).__name__, "optimizer": type(optimizer).__name__}
        raise ArgumentError("train.schedule-other", **kinds)
    return schedule, "step" if type(schedule).__name__ in ("OneCycleLR", "CyclicLR") else "epoch"


@contextmanager
def rates_kept(optimizer: Any, schedule: Any) -> Iterator[None]:
    """After the block the optimizer has the options it had before, where the schedule was made for this run alone.

    A second run with the same optimizer would otherwise start from the rate, often 0, that the first one ended with.
    """
    if hasattr(schedule, "step"):
        yield
        return
    options = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    try:
        yield
    finally:
        for group, before in zip(optimizer.param_groups, options, strict=False):
            for name in [n for n in group if n not in before and n != "params"]:
                del group[name]
            group.update(before)
