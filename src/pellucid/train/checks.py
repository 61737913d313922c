"""What is looked at once, before the first step: a network, its data, a loss and an optimizer come in; findings leave,
worst first. `fit` raises or warns of them, the command line prints them, and `examine` gives them to anybody.

All of it takes a few milliseconds: large data are looked at through a sample of rows, the network through one batch of
a few rows, whose gradients are read and thrown away. Weights, running statistics and random state stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.autograd import grad
from pellucid.core.context import enable_grad, quiet
from pellucid.core.rng import default_generator
from pellucid.core.tensor import Tensor, wrap
from pellucid.data import Dataset
from pellucid.errors import DataError, ModelError, PellucidError, PellucidWarning, warn
from pellucid.ops.origin import composite_behind
from pellucid.train.alike import structure
from pellucid.train.choose import make_loss
from pellucid.train.dependence import Dependence, label_dependence
from pellucid.train.ends import all_zero, are_probabilities, last_activation, never_learns
from pellucid.train.evaluate import evaluating, modes_kept, prepared, takes_whole_numbers
from pellucid.train.rows import check_one_axis, output_of
from pellucid.train.together import once

if TYPE_CHECKING:
    from pellucid.nn import Module
    from pellucid.train.run import Run

Severity = Literal["error", "warning", "note"]

_ROWS = 8
_SAMPLE_ROWS = 4096
_SHOWN = 5
_ACTIVATIONS = ("softmax", "sigmoid")
# What to do with one output, by whether the loss is the binary cross-entropy of probabilities.
_ONE_OUTPUT = {True: "train.fix-logits", False: "train.fix-sigmoid"}
# Beyond these, first-layer sums leave the range in which the default initialisation and learning rates work.
_LARGE, _SCALES = 100.0, 100.0


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or probably so.

    Attributes
        severity : "error": it cannot be right; "warning": it is probably a mistake; "note": worth knowing
        key : its entry in the catalogue of messages
        facts : what the message is filled in with
        error : the class that `fit` raises it as; of a finding that came as an error, that error is `cause`
    """

    severity: Severity
    key: str
    facts: dict[str, Any] = field(default_factory=dict)
    error: type[PellucidError] = DataError
    cause: PellucidError | None = None

    def __str__(self) -> str:
        return str(self.cause or PellucidWarning(self.key, **self.facts))

    @property
    def what(self) -> str:
        """The first line: what was found."""
        return self.cause.what if self.cause is not None else text(self.key, "what", **self.facts)

    def report(self) -> None:
        """Raise an error, warn of a warning, pass over a note."""
        if self.severity == "error":
            raise self.cause or self.error(self.key, **self.facts)
        if self.severity == "warning":
            warn(self.key, **self.facts)


def examine(
    model: Module,
    data: Any,
    *,
    loss: Any,
    optimizer: Any = None,
    shuffled: bool = True,
    dependence: bool = True,
    seed: int = 0,
) -> list[Finding]:
    """Everything that looks wrong with a training run before its first step.

    Parameters
        model : the network
        data : Dataset, (x, y) or Loader: the training part
        loss : a loss, or its name
        optimizer : the optimizer, or None
        shuffled : whether the rows will be shuffled
        dependence : whether to test that the targets depend on the inputs
        seed : of that test
    Returns
        list of Finding: errors first, then warnings, then notes; empty where nothing was found
    Examples
        >>> from pellucid import nn
        >>> net = nn.Linear(2, 2)
        >>> [f.key for f in examine(net, ([[0.0, 1.0], [1.0, 0.0]], [0, 5]), loss="cross_entropy")]
        ['losses.label-range']
    """
    dataset = prepared(model, data)
    found = list(_findings(model, dataset, make_loss(loss), optimizer, shuffled))
    if dependence and not any(f.severity == "error" for f in found) and not takes_whole_numbers(model):
        found += once(dataset, ("dependence", seed), lambda: dependence_findings(label_dependence(dataset, seed=seed)))
    return sorted(found, key=lambda f: ("error", "warning", "note").index(f.severity))


def check_training(run: Run, *, dependence: bool, shuffled: bool) -> None:
    """Raise the first error of a run that is about to begin, and warn of its warnings."""
    found = examine(
        run.model,
        run.loader.data,
        loss=run.loss,
        optimizer=run.optimizer,
        shuffled=shuffled or len(run.loader) == 1,
        dependence=dependence,
        seed=run.loader.seed,
    )
    for finding in found:
        finding.report()
    if run.validation is not None:
        _check_validation(run.model, run.validation, run.loss)


def _check_validation(model: Module, data: Dataset, loss: Any) -> None:
    """Raise now what the validation after the first epoch would raise."""
    rows = data.x[:_ROWS]
    try:
        with evaluating(model):
            y_pred = output_of(model(wrap(rows)), len(rows))
            if hasattr(loss, "check_targets"):
                loss.check_targets(data.y, y_pred.shape)
            loss(y_pred, wrap(data.y[:_ROWS]))  # type: ignore[index]
    except PellucidError as problem:
        problem.add_layer(text("train.where-validation"))
        raise


def _findings(model: Module, data: Dataset, loss: Any, optimizer: Any, shuffled: bool) -> Iterator[Finding]:
    if data.y is None:
        yield Finding("error", "train.no-targets", {"rows": len(data)}, DataError)
        return
    yield from initialisation_findings(model)
    if optimizer is not None:
        yield from optimizer_findings(model, loss, optimizer)
    yield from _one_batch(model, data, loss)
    yield from once(data, ("findings", shuffled), lambda: _data_findings(data, shuffled))


def _data_findings(data: Dataset, shuffled: bool) -> list[Finding]:
    """What the data alone say, whatever the network."""
    found = list(target_findings(data.y, shuffled))  # type: ignore[arg-type]
    if data.x.dtype.kind == "f":
        found += input_findings(data.x, data.feature_names)
    return found


def _one_batch(model: Module, data: Dataset, loss: Any) -> Iterator[Finding]:
    """Outputs, loss and gradients of the first rows: what fits together does so here, and what the loss reaches has a
    gradient."""
    key = default_generator.get_state()
    try:
        with modes_kept(model), enable_grad(), quiet():
            model.eval()
            check_one_axis(model, data.x)
            rows = data.x[:_ROWS]
            y_pred = output_of(model(wrap(rows)), len(rows))
            if hasattr(loss, "check_targets"):
                loss.check_targets(data.y, y_pred.shape)
            value = loss(y_pred, wrap(data.y[:_ROWS]))  # type: ignore[index]
            _ask_again(model, data, loss, y_pred)
            yield from _reached(model, data, loss, y_pred, value)
    except PellucidError as problem:
        yield Finding("error", problem.key, problem.facts, type(problem), problem)
        return
    finally:
        default_generator.set_state(key)
    yield from _outputs(y_pred, data.y, loss)


def _ask_again(model: Module, data: Dataset, loss: Any, y_pred: Tensor) -> None:
    """Give the loss the outputs once more, if the recorded network says more than their history about the activation
    that they come from; the loss itself then refuses it, or does not."""
    if composite_behind(y_pred) in _ACTIVATIONS:
        return
    name = once(data, ("activation", structure(model)), lambda: last_activation(model, data.x[:_ROWS]))
    if name is not None:
        known = wrap(y_pred.data)
        known._scope = name
        loss(known, wrap(data.y[:_ROWS]))  # type: ignore[index]


def _outputs(y_pred: Tensor, y: Array | None, loss: Any) -> Iterator[Finding]:
    """Outputs that the loss computes with, but not as they are meant."""
    kind = type(loss).__name__
    if kind == "CrossEntropyLoss" and are_probabilities(y_pred.data):
        yield Finding("warning", "train.probabilities", {"shape": y_pred.shape})
    if kind == "NLLLoss" and y_pred.size and float(y_pred.data.max()) > 1e-3:
        yield Finding("error", "train.not-log-probabilities", {"highest": f"{y_pred.data.max():.4g}"}, ModelError)
    if kind in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss") and y is not None and y.dtype.kind == "i":
        classes = _distinct(y[:_SAMPLE_ROWS])
        if y_pred.size == len(y_pred.data) and 2 < classes <= 20:
            yield Finding("warning", "train.labels-as-numbers", {"loss": kind, "classes": classes})


def _distinct(values: Array) -> int:
    """How many different values there are; to tell, `np.unique` would import `numpy.ma`, which takes long."""
    ordered = np.sort(values, axis=None)
    return int(ordered.size > 0) + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def _reached(model: Module, data: Dataset, loss: Any, y_pred: Tensor, value: Any) -> Iterator[Finding]:
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    if not named:
        yield Finding("error", "train.nothing-to-train", {"model": type(model).__name__}, ModelError)
        return
    if not isinstance(value, Tensor) or not value.requires_grad:
        yield Finding("error", "train.loss-detached", {"model": type(model).__name__}, ModelError)
        return
    ones = wrap(np.ones(value.shape, value.data.dtype))
    gradients = grad(value, [p for _, p in named], ones, allow_unused=True)
    names = [name for (name, _), g in zip(named, gradients, strict=True) if g is None]
    if names:
        key = "train.unreached-all" if len(names) == len(named) else "train.unreached"
        severity: Severity = "error" if len(names) == len(named) else "warning"
        yield Finding(severity, key, {"names": _listed(names), "count": len(names), "total": len(named)}, ModelError)
    if len(names) < len(named) and all_zero(gradients) and never_learns(model, data, loss, [p for _, p in named]):
        facts = {"shape": y_pred.shape, "loss": type(loss).__name__}
        if composite_behind(y_pred) == "softmax" and bool((y_pred.data == 1).all()):
            binary = type(loss).__name__ == "BCELoss"
            yield Finding("error", "train.softmax-of-one", {**facts, "fix": text(_ONE_OUTPUT[binary])}, ModelError)
        else:
            yield Finding("error", "train.no-gradient", {**facts, "count": len(named) - len(names)}, ModelError)


def initialisation_findings(model: Module) -> Iterator[Finding]:
    """Weights from which a network cannot learn, such as zeros: no gradient passes, or hidden units never differ."""
    from pellucid.nn import check_initialization

    for found in check_initialization(model):
        problem = found.error()
        yield Finding("error", problem.key, problem.facts, type(problem), problem)


def optimizer_findings(model: Module, loss: Any, optimizer: Any) -> Iterator[Finding]:
    """Parameters that the optimizer and the network do not have in common."""
    held = [p for group in optimizer.param_groups for p in group["params"]]
    held_ids = {id(p) for p in held}
    own = {id(p) for p in model.parameters()}
    own |= {id(p) for p in loss.parameters()} if hasattr(loss, "parameters") else set()
    foreign = [p for p in held if id(p) not in own]
    missing = [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in held_ids]
    facts = {"optimizer": type(optimizer).__name__, "model": type(model).__name__}
    if len(foreign) == len(held):
        yield Finding("error", "train.other-parameters", {**facts, "count": len(held)}, ModelError)
        return
    if foreign:
        shapes = _listed([p.name or str(p.shape) for p in foreign])
        yield Finding("warning", "train.foreign-parameters", {**facts, "names": shapes, "count": len(foreign)})
    if missing:
        yield Finding("warning", "train.not-optimized", {**facts, "names": _listed(missing), "count": len(missing)})


def target_findings(y: Array, shuffled: bool) -> Iterator[Finding]:
    """Targets that are all the same, or sorted."""
    flat = y.reshape(len(y), -1)
    if len(flat) > 1 and bool((flat == flat[0]).all()):
        yield Finding("warning", "train.one-target", {"value": f"{flat[0, 0]:g}", "rows": len(y)})
        return
    if flat.shape[1] != 1 or len(flat) < 4:
        return
    values = flat[:, 0]
    if y.dtype.kind in "iub":
        changes = int((values[1:] != values[:-1]).sum())
        classes = _distinct(values)
        if changes != classes - 1 or len(values) < 3 * classes:
            return
        end = int(np.argmax(values != values[0]))
        facts = {"first": f"{values[0]:g}", "rows": end, "second": f"{values[end]:g}", "classes": classes}
        yield Finding("note" if shuffled else "warning", "train.sorted-labels", facts)
    elif not shuffled and len(values) >= 10:
        steps = np.diff(values)
        if bool((steps >= 0).all() or (steps <= 0).all()):
            facts = {"first": f"{values[0]:.4g}", "last": f"{values[-1]:.4g}", "rows": len(values)}
            yield Finding("warning", "train.sorted-targets", facts)


def input_findings(x: Array, names: tuple[str, ...] | None = None) -> Iterator[Finding]:
    """Inputs that are constant, or on scales that training is not made for."""
    step = max(1, len(x) // _SAMPLE_ROWS)
    sample = x[::step].reshape(len(x[::step]), -1)
    if len(sample) < 2 or not sample.size:
        return
    low, high = sample.min(axis=0), sample.max(axis=0)
    constant = low == high
    if constant.all():
        yield Finding("error", "train.constant-inputs", {"columns": sample.shape[1]}, DataError)
        return
    largest = np.maximum(np.abs(low), np.abs(high))
    if float(largest.max()) > _LARGE:
        column = int(largest.argmax())
        facts = {"column": _column(column, names), "low": f"{low[column]:.4g}", "high": f"{high[column]:.4g}"}
        yield Finding("warning", "train.large-inputs", facts)
        return
    spread = sample.std(axis=0, dtype=np.float64)
    columns = np.flatnonzero(~constant & (spread > 0))
    if len(columns) < 2:
        return
    # Against the lower quarter, since single pixels that hardly ever vary are usual and harmless.
    usual = float(np.quantile(spread[columns], 0.25, method="lower"))
    widest = int(columns[spread[columns].argmax()])
    if float(spread[widest]) > _SCALES * usual:
        narrow = int(columns[np.abs(spread[columns] - usual).argmin()])
        facts = {
            "wide": _column(widest, names),
            "wide_spread": f"{spread[widest]:.3g}",
            "narrow": _column(narrow, names),
            "narrow_spread": f"{usual:.3g}",
            "ratio": f"{spread[widest] / usual:.3g}",
        }
        yield Finding("warning", "train.unequal-scales", facts)


def dependence_findings(measured: Dependence) -> list[Finding]:
    """What a permutation test says that a person should know before training."""
    if measured.verdict not in ("independent", "unclear"):
        return []
    permuted = np.array(measured.permuted)
    facts = {
        "score": f"{100 * measured.score:.1f}",
        "mean": f"{100 * permuted.mean():.1f}",
        "std": f"{100 * permuted.std(ddof=1):.1f}",
        "rows": measured.rows,
        "count": len(permuted),
    }
    if measured.verdict == "unclear":
        return [Finding("note", "train.faint-dependence", facts)]
    return [Finding("warning", "train.independent-labels", facts)]


def _column(column: int, names: tuple[str, ...] | None) -> str:
    return f"{column} ({names[column]})" if names is not None and column < len(names) else str(column)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
