"""The optimizer that all others are made from. Parameters with fresh gradients come in at `step`, new values leave by
`assign`; here are the parameter groups, the counting of steps, `zero_grad` and `state_dict`. The update rules stand in
the files beside this one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from pellucid._typing import DType, Shape
from pellucid.core.check import Constraint, Pair, Real, shown
from pellucid.core.context import enable_grad, quiet, scope, state
from pellucid.core.op import REGISTRY
from pellucid.core.tensor import Tensor, apply, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, GradientError, ModelError, ShapeError
from pellucid.ops.elementwise import multiply_add
from pellucid.optim import _state
from pellucid.optim._groups import ParamGroup, added_group, check_options, check_parameters, given_groups

UNIT = Real(0, 1, right_open=True)
BETAS = Pair(UNIT)


class Optimizer:
    """Base of the optimizers: parameters in groups, one state for each parameter, one update rule.

    After `step` the gradients it used are marked as used: they stay readable, the next backward starts afresh, and a
    second step without a new backward is an error.

    A new optimizer is a class with `options` and `_update`; see `lion.py` for the shortest.

    Parameters
        params : iterable of Tensors (`model.parameters()`), of (name, Tensor) pairs, or of dicts: {"params": [...],
            "lr": 0.01} is a group with a rate of its own.
        defaults : options of the groups that do not set them, by name; a constructor passes its `locals()`, of which
            the options are taken.
    Raises
        ArgumentTypeError: `params` holds something that is not a Tensor; an unknown option.
        ArgumentError: there is no parameter, one is there twice, or one was computed from others.
        DTypeError: a parameter is not of floats.
    """

    options: ClassVar[Mapping[str, Constraint]] = {}
    """Constraints of the options, for the constructor and for every group."""

    state_names: ClassVar[tuple[str, ...]] = ()
    """What the rule keeps for a parameter, under PyTorch's names."""

    def __init__(self, params: Any, defaults: Mapping[str, Any]) -> None:
        given = {name: defaults[name] for name in self.options or defaults if name in defaults}
        self.defaults: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[ParamGroup] = []
        self._step_taken = False
        for group in given_groups(self._name, params):
            self._add(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.options:
            raise ArgumentError("optim.set-option", optimizer=self._name, name=name, value=shown(value))
        object.__setattr__(self, name, value)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Optimize further parameters: a dict with "params" and any options that differ from the defaults.

        Raises
            ArgumentTypeError: not a dict, or an unknown option.
            ArgumentError: no "params", or a parameter that the optimizer already has.
        """
        self._add(added_group(self._name, len(self.param_groups), param_group))

    def _add(self, group: dict[str, Any]) -> None:
        check_options(self._name, group, self.options)
        taken = {id(p) for g in self.param_groups for p in g["params"]}
        tensors, names = check_parameters(self._name, group["params"], taken)
        if names is not None:
            group["param_names"] = names
        if self.param_groups and ("param_names" in group) != ("param_names" in self.param_groups[0]):
            count = len(tensors)
            raise ArgumentError(
                "optim.some-names", optimizer=self._name, named=count if names is not None else 0, count=count
            )
        checked = ParamGroup(self._name, self.options, {**self.defaults, **group, "params": tensors})
        self._check_group(checked)
        self.param_groups.append(checked)

    def _check_group(self, group: ParamGroup) -> None:
        """Refuse options that do not go together."""

    def _update(self, group: ParamGroup, params: list[Tensor]) -> None:
        """Give new values to `params`, parameters of `group` with fresh gradients, and to their state."""
        raise ModelError("optim.no-rule", name=type(self).__name__, method="_update")

    @property
    def formula(self) -> tuple[str, ...]:
        """The update as the first group's options make it, one line a state: Python over g (gradient), p (parameter),
        the options by name (`betas` as beta1, beta2) and the state's names, from the old values to the new ones."""
        return self._formula(self.param_groups[0])

    def _formula(self, group: Mapping[str, Any]) -> tuple[str, ...]:
        raise ModelError("optim.no-rule", name=type(self).__name__, method="_formula")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; the others stay as they are.

        Parameters
            closure : computes the loss, calls backward and returns the loss; None if backward was called before.
        Returns
            What the closure returned, or None.
        Raises
            GradientError: no parameter has a gradient, or all were used by an earlier step.
            ShapeError: a gradient that was set by hand has another shape than its parameter.
        """
        loss = None
        if closure is not None:
            loss = self._evaluate(closure)
        before, state.grad = state.grad, False
        try:
            with quiet():
                if state.recorder is None:
                    self._step_groups()
                else:
                    state.recorder.uses(self)
                    with scope(self._name):
                        self._step_groups()
        finally:
            state.grad = before
        self._step_taken = True
        return loss

    def _step_groups(self) -> None:
        work = []
        for group in self.param_groups:
            fresh = []
            for p in group["params"]:
                g = p.grad
                if g is None or g is p._used_grad:
                    continue
                if g.data.shape != p.data.shape:
                    raise ShapeError(
                        "optim.gradient-shape", name=p.name or "parameter", given=g.shape, expected=p.shape
                    )
                fresh.append(p)
            if fresh:
                work.append((group, fresh))
        if not work:
            raise self._no_gradient()
        for group, fresh in work:
            self._update(group, fresh)
            for p in fresh:
                p._used_grad = p.grad

    def _no_gradient(self) -> GradientError:
        params = [p for group in self.param_groups for p in group["params"]]
        if any(p.grad is not None for p in params):
            return GradientError("optim.gradients-used", optimizer=self._name, count=len(params))
        if not any(p.requires_grad for p in params):
            return GradientError("optim.frozen", optimizer=self._name, count=len(params))
        return GradientError("optim.no-gradient", optimizer=self._name, count=len(params))

    def _evaluate(self, closure: Callable[[], Any]) -> Any:
        if not callable(closure):
            raise ArgumentTypeError("optim.closure", optimizer=self._name, given=type(closure).__name__)
        with enable_grad():
            return closure()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients. Not needed: after a step the next backward starts afresh by itself.

        Parameters
            set_to_none : True: `.grad` becomes None, and a parameter that the next backward does not reach is left
                alone by the next step. False: it becomes zeros, and such a parameter is still moved by momentum and
                weight decay.
        """
        if state.recorder is not None and not set_to_none:
            state.recorder.beside("zero_grad(set_to_none=False)")
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad = None if set_to_none else wrap(np.zeros_like(p.data))
                    p._used_grad = None

    def _counted(self, group: ParamGroup, params: list[Tensor]) -> Iterator[tuple[Tensor, DType, list[Tensor]]]:
        """Add one to the parameters' step counts; yields the new count, the dtype and the parameters of each count and
        dtype.

        Parameters that always step together share one count, so that what depends on it alone is computed once.
        """
        states = self.state
        if len(params) < len(group["params"]):
            self._part_counts(group, params)
        first: dict[str, Tensor] | None = None
        cohorts: dict[tuple[int, DType], list[Tensor]] = {}
        for p in params:
            s = states[p]
            if "step" not in s:
                if first is None:
                    first = self._first_counts()
                s.update(first)
            cohorts.setdefault((id(s["step"]), p.data.dtype), []).append(p)
        counts: dict[int, Tensor] = {}
        for (key, dtype), members in cohorts.items():
            t = counts.get(key)
            if t is None:
                step = states[members[0]]["step"]
                new = step + 1.0
                step.assign(new)
                # PyTorch's layout has the count as float32, at which powers of beta would lose half of their digits.
                t = counts[key] = in_dtype(new, FLOAT64)
            yield t, dtype, members

    def _first_counts(self) -> dict[str, Tensor]:
        """The counts of parameters that take their first step now."""
        return {"step": wrap(np.zeros((), np.float32))}

    def _part_counts(self, group: ParamGroup, params: list[Tensor]) -> None:
        """Give parameters that miss this step counts of their own."""
        stepping = {id(p) for p in params}
        apart: dict[tuple[int, ...], dict[str, Tensor]] = {}
        names = tuple(self._first_counts())
        for p in group["params"]:
            s = self.state.get(p)
            if id(p) in stepping or not s or "step" not in s:
                continue
            key = tuple(id(s[name]) for name in names)
            if key not in apart:
                apart[key] = {name: wrap(s[name].data.copy()) for name in names}
            s.update(apart[key])

    def _state_shape(self, p: Tensor) -> Shape:
        """The shape that the arrays in the state of `p` have."""
        return p.shape

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that `load_state_dict` needs, in PyTorch's layout.

        Returns
            {"state": {number of the parameter: {name: Tensor or number}},
             "param_groups": [{"lr": 0.1, ..., "params": [numbers]}]}
        """
        return _state.saved(self)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state saved by `state_dict`, or by the same optimizer of PyTorch.

        Raises
            ArgumentError: the groups or their sizes differ, or it is another optimizer's state.
            ShapeError: a state has another shape than its parameter.
        """
        _state.load(self, state_dict)

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key not in ("params", "param_names")]
        return "\n".join([*lines, ")"])


FLOAT64 = np.dtype(np.float64)
_CAST = REGISTRY["cast"]
_DTYPE_NAMES: dict[DType, str] = {}


def in_dtype(x: Tensor, dtype: DType) -> Tensor:
    """`x` in another dtype: what `cast` does, without its checks, which cost more than an update of a bias."""
    if x.data.dtype == dtype:
        return x
    name = _DTYPE_NAMES.get(dtype)
    if name is None:
        name = _DTYPE_NAMES[dtype] = dtype.name
    return apply(_CAST, [x], {"dtype": name})


def gradient(p: Tensor, maximize: bool, weight_decay: float) -> Tensor:
    """The gradient that a rule starts from: its sign turned to climb, the pull of an L2 penalty added."""
    g: Any = p.grad
    if maximize:
        g = -g
    if weight_decay:
        g = multiply_add(p, weight_decay, g)
    return g  # type: ignore[no-any-return]


def gradient_formula(group: Mapping[str, Any], weight_decay: bool = True) -> tuple[str, ...]:
    """The lines of `gradient`, those that are in force."""
    lines = ["g = -g"] if group["maximize"] else []
    if weight_decay and group["weight_decay"]:
        lines.append("g = g + weight_decay * p")
    return tuple(lines)


def slot(states: dict[str, Any], name: str, p: Tensor) -> Tensor:
    """A parameter's state of its own shape; zeros at first."""
    kept: Tensor | None = states.get(name)
    if kept is None:
        kept = states[name] = wrap(np.zeros_like(p.data))
    return kept
