"""What a recording took for granted comes in; whether it still is so leaves. Called by `step` and `epochs` before every
run: a function that Python would run in another way is recorded anew. Each condition is asked in the cheapest way
first, by identity or by a count of changes; what has moved since it last held is looked at in full.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pellucid.compiler.options import Options, of_options
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
        self._of_options = [look for look in self.looks if of_options(look[0])]
        self._others = [look for look in self.looks if not of_options(look[0])]
        self._options = Options([find for find, _ in self._of_options])
        held = list({id(m): m for m in (*modules, *around.networks)}.values())
        inside = {id(part) for m in held for part in m.modules() if part is not m}
        self._modules = [(m, m.behaviour()[0]) for m in held if id(m) not in inside]
        self._behaviour_at: Any = None
        self._sizes = [(o.param_groups, _members(o)) for o in optimizers]
        self._states = [(o.state, p, s) for o in optimizers for p, s in o.state.items()]
        self._states += [(s, name, x) for o in optimizers for s in o.state.values() for name, x in s.items()]
        self._counts = [(o.state, len(o.state)) for o in optimizers]
        # Tensors by their attributes: a Parameter's own are looked for in its class first, which takes twice as long.
        captured = [c.tensor for c in graph.captured if not c.constant]
        self._captured: list[list[Any]] = [[vars(t), t.data, t.requires_grad] for t in captured]
        others = {id(t): t for m, _ in self._modules for t in m.parameters()}
        for t in captured:
            others.pop(id(t), None)
        self._asking = [(vars(t), t.requires_grad) for t in others.values()]
        self._without = [t for t, spec in gradients.items() if spec is None and not isinstance(t, int)]
        self._gradients = [item for item in gradients.items() if item[1] is not None or isinstance(item[0], int)]
        # Asked before every call: only what there is something to ask of.
        self._checks = [
            check
            for check, asks in (
                (self._modules_hold, self._modules),
                (self._tensors_hold, self._captured or self._asking),
                (self._options_hold, self._of_options),
                (self._looks_hold, self._others),
                (around.still_hold, around.looks_around),
                (self._optimizers_hold, optimizers),
                (self._none_outstanding, self._without),
            )
            if asks
        ]

    def hold(self, arguments: Sequence[Tensor]) -> bool:
        """Whether Python would find the same again, and so do the same."""
        for check in self._checks:
            if not check():
                return False
        return not self._gradients or all([self._gradient_holds(*item, arguments) for item in self._gradients])

    def _options_hold(self) -> bool:
        now = self._options.now()
        if not self._options.as_kept(now):
            if not all([find() == found for find, found in self._of_options]):
                return False
            self._options.keep(now)
        return True

    def _looks_hold(self) -> bool:
        return all([find() == found for find, found in self._others])

    def _modules_hold(self) -> bool:
        """All but which parameters ask for a gradient, which is asked of the tensors."""
        now = self._modules[0][0]._behaviour_changes()
        if now != self._behaviour_at:
            if not all([module.behaviour()[0] == found for module, found in self._modules]):
                return False
            self._behaviour_at = now
        return True

    def _tensors_hold(self) -> bool:
        for known in self._captured:
            attributes, array, asks = known
            data = attributes["data"]
            if data is not array:
                if data.shape != array.shape or data.dtype != array.dtype:
                    return False
                known[1] = data
            if attributes.get("requires_grad", False) is not asks:
                return False
        return not self._asking or all([known.get("requires_grad", False) is asks for known, asks in self._asking])

    def _optimizers_hold(self) -> bool:
        for known, count in self._counts:
            if len(known) != count:
                return False
        for groups, sizes in self._sizes:
            if [len(g["params"]) for g in groups] != sizes:
                return False
        return not self._states or all([known.get(key) is x for known, key, x in self._states])

    def _none_outstanding(self) -> bool:
        for tensor in self._without:
            g = tensor.grad
            if g is not None and g is not tensor._used_grad:
                return False
        return True

    @staticmethod
    def _gradient_holds(place: Place, spec: Spec | None, arguments: Sequence[Tensor]) -> bool:
        tensor = arguments[place] if isinstance(place, int) else place
        g = tensor.grad
        if g is None or g is tensor._used_grad:
            return spec is None
        return spec is not None and g.data.shape == spec.shape and g.data.dtype == spec.dtype


def _members(optimizer: Any) -> list[int]:
    return [len(group["params"]) for group in optimizer.param_groups]
