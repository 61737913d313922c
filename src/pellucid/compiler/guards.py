"""What a recording took for granted comes in; whether it still is so leaves. Called by `step` and `epochs` before every
run: a function that Python would run in another way is recorded anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor
from pellucid.graph.ir import Graph
from pellucid.graph.surroundings import Surroundings

Place = Tensor | int
"""A tensor from outside, or the number of an argument."""


def outstanding(tensor: Tensor) -> bool:
    """Whether it has a gradient that no step has used."""
    return tensor.grad is not None and tensor.grad is not tensor._used_grad


class Guards:
    """The conditions of a recording.

    Parameters
        around : what names stood for
        modules : those that were called; those that can be reached are held besides
        optimizers : those that made a step
        captured : a graph whose captured tensors keep shape, dtype and whether they ask for a gradient
        looks : what Python found when it looked at a Setting or at a constant
        gradients : for the tensors whose gradients have a say, the Spec of one from before; None where there was none
    """

    def __init__(
        self,
        around: Surroundings,
        modules: Sequence[Any],
        optimizers: Sequence[Any],
        graph: Graph,
        looks: Sequence[tuple[partial[Any], Any]],
        gradients: Mapping[Place, Spec | None],
    ) -> None:
        self.looks = list(looks)
        held = list({id(m): m for m in (*modules, *around.networks)}.values())
        inside = {id(part) for m in held for part in m.modules() if part is not m}
        self._modules = [(m, m.behaviour()) for m in held if id(m) not in inside]
        self._groups = [(o.param_groups, _members(o)) for o in optimizers]
        self._states = [(o.state, p, s) for o in optimizers for p, s in o.state.items()]
        self._states += [(s, name, x) for o in optimizers for s in o.state.values() for name, x in s.items()]
        self._counts = [(o.state, len(o.state)) for o in optimizers]
        self._captured: list[list[Any]] = [
            [c.tensor, c.tensor.data, c.tensor.requires_grad] for c in graph.captured if not c.constant
        ]
        self._gradients = list(gradients.items())
        # Asked before every call: only what there is something to ask of.
        self._checks = [
            check
            for check, asks in (
                (self._tensors_hold, self._captured),
                (self._looks_hold, self.looks),
                (self._modules_hold, self._modules),
                (around.still_hold, around.looks_around),
                (self._optimizers_hold, optimizers),
            )
            if asks
        ]

    def hold(self, arguments: Sequence[Tensor]) -> bool:
        """Whether Python would find the same again, and so do the same."""
        for check in self._checks:
            if not check():
                return False
        return not self._gradients or all([self._gradient_holds(*item, arguments) for item in self._gradients])

    def _looks_hold(self) -> bool:
        return all([find() == found for find, found in self.looks])

    def _modules_hold(self) -> bool:
        return all([module.behaviour() == found for module, found in self._modules])

    def _tensors_hold(self) -> bool:
        for known in self._captured:
            tensor, array, asks = known
            data = tensor.data
            if data is not array:
                if data.shape != array.shape or data.dtype != array.dtype:
                    return False
                known[1] = data
            if tensor.requires_grad is not asks:
                return False
        return True

    def _optimizers_hold(self) -> bool:
        return (
            all([known.get(key) is x for known, key, x in self._states])
            and all([len(s) == n for s, n in self._counts])
            and all([[len(g["params"]) for g in groups] == sizes for groups, sizes in self._groups])
        )

    @staticmethod
    def _gradient_holds(place: Place, spec: Spec | None, arguments: Sequence[Tensor]) -> bool:
        tensor = arguments[place] if isinstance(place, int) else place
        g = tensor.grad
        if g is None or g is tensor._used_grad:
            return spec is None
        return spec is not None and g.data.shape == spec.shape and g.data.dtype == spec.dtype


def _members(optimizer: Any) -> list[int]:
    return [len(group["params"]) for group in optimizer.param_groups]
