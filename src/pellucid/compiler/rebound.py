"""A recording comes in, and another function that does the same with other tensors and another optimizer; the recording
of that function leaves, at the cost of a first step alone, or less where it is known what the function consists of.
Called by `programs`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from pellucid.compiler.before import Before
from pellucid.compiler.guards import Guards, outstanding
from pellucid.compiler.prepared import Prepared
from pellucid.compiler.record import Recorded, listening, twin
from pellucid.core.rng import default_generator
from pellucid.core.setting import Setting, computed
from pellucid.core.tensor import Tensor, wrap
from pellucid.graph.ir import Captured
from pellucid.graph.names import is_module, is_optimizer, named_tensors, reachable
from pellucid.graph.surroundings import Surroundings


@dataclass
class Parts:
    """What a step of training consists of: these networks (a loss is one) and this optimizer, which do nothing but what
    this library's own do.

    Attributes
        networks : looked at before each run, as what a function reaches is
        looks_around : there is nothing besides
    """

    networks: list[Any]
    optimizer: Any
    looks_around = False

    def still_hold(self) -> bool:
        """As what `Surroundings` says, which these take the place of."""
        return True

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Those that the step can reach, named by where they are."""
        for network in self.networks:
            for t in (*network.parameters(), *network.buffers()):
                yield "", t
        for entries in self.optimizer.state.values():
            yield from ((name, t) for name, t in entries.items() if isinstance(t, Tensor))
        yield "random_state", default_generator.state


@dataclass
class Original:
    """A recording that others can be made from, with what its function reached when it was recorded.

    Attributes
        state : by parameter, what an optimizer keeps for it
        prepared : machine code of it and of those that were made from it, by how it is run
    """

    recorded: Recorded
    tensors: list[tuple[str, Tensor]]
    groups: list[Any]
    state: dict[int, list[str]]
    prepared: dict[Hashable, Prepared] = field(default_factory=dict)


def original(found: Recorded, function: Callable[..., Any], parts: Parts | None = None) -> Original | None:
    """What others can be made from; None where Python does something of its own in a step, or gradients come from
    before or stay."""
    if found.before or found.after or found.given or found.gradients:
        return None
    if parts is None:
        return Original(found, _tensors(function), _groups(reachable(function)[1]), {})
    return Original(found, list(parts.tensors()), _groups([parts.optimizer]), _names_of_state(parts.optimizer))


def rebound(
    first: Original, function: Callable[..., Any], arguments: Sequence[Tensor], parts: Parts | None = None
) -> Recorded | None:
    """The recording of a function that differs from the first one in its tensors and its optimizer's numbers; None
    where it turns out to differ in more.

    Parameters
        arguments : of the shapes that the first was recorded with
        parts : what it consists of, where that is known, as it was of the first; the function is then not run
    """
    made = _found_out(function, arguments) if parts is None else _made_ready(first, parts, arguments)
    if made is None:
        return None
    try:
        others = _Others(first, made.tensors, made.optimizers)
        found = first.recorded
        settings = [(_lifted_again(old, setting), setting) for old, setting in others.settings()]
        others.tensors.update((id(old), new) for (old, _), (new, _) in zip(found.settings, settings, strict=True))
        captured = [others.captured(c) for c in found.graph.captured]
        looks = [(others.look(find), result) for find, result in found.guards.looks]
        used = [place if isinstance(place, int) else others.tensors[id(place)] for place in found.used]
    except KeyError:  # a tensor or a group that the first function reached in another way
        return None
    if any(find() != result for find, result in looks):
        return None
    graph = replace(found.graph, captured=tuple(captured))
    places = [*range(len(arguments)), *made.asking]
    gradients = dict.fromkeys(places) if used else {}
    guards = Guards(made.around, made.modules, made.optimizers, graph, looks, gradients)
    return replace(found, graph=graph, settings=settings, guards=guards, used=used, stepped=made.stepped)


@dataclass
class _Ready:
    """A function whose optimizer has the state that a first step makes.

    Attributes
        asking : the tensors that may ask for gradients
        around, modules, optimizers : what the guards look at
        stepped : the optimizers that make a step
    """

    tensors: list[tuple[str, Tensor]]
    asking: list[Tensor]
    around: Any
    modules: list[Any]
    optimizers: list[Any]
    stepped: list[Any]


def _found_out(function: Callable[..., Any], arguments: Sequence[Tensor]) -> _Ready | None:
    """Run the function once and listen; None where a gradient waits for it."""
    before = _FirstStep(*reachable(function))
    if any(outstanding(t) for t in (*arguments, *before.tensors)):
        return None
    with before, listening(before):
        function(*map(twin, arguments))
        stepped = [o for o in before.optimizers if o._step_taken]
    return _Ready(
        _tensors(function),
        before.tensors,
        Surroundings(function, before.called, contents=False),
        [x for x in before.used if is_module(x)],
        [x for x in before.used if is_optimizer(x)],
        stepped,
    )


def _made_ready(first: Original, parts: Parts, arguments: Sequence[Tensor]) -> _Ready | None:
    """Make the optimizer's state as a first step does; None where a gradient waits for the step."""
    optimizer = parts.optimizer
    asking = [p for network in parts.networks for p in network.parameters() if p.requires_grad]
    if any(outstanding(t) for t in (*arguments, *asking)):
        return None
    if _names_of_state(optimizer) != first.state:
        before = Before([t for _, t in parts.tensors()], [optimizer])
        with before, listening(before):
            for n, p in enumerate(_trained(optimizer)):
                if n in first.state:
                    p.grad = wrap(np.zeros_like(p.data))
            optimizer.step()
    return _Ready(list(parts.tensors()), asking, parts, [], [optimizer], [optimizer])


def _trained(optimizer: Any) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


def _names_of_state(optimizer: Any) -> dict[int, list[str]]:
    return {n: list(optimizer.state[p]) for n, p in enumerate(_trained(optimizer)) if p in optimizer.state}


class _FirstStep(Before):
    """Listens while the state is made that a first step makes.

    Attributes
        used : the modules that were called and the optimizers that made a step
    """

    def __init__(self, tensors: Sequence[Tensor], optimizers: Sequence[Any]) -> None:
        super().__init__(tensors, optimizers)
        self._used: dict[int, Any] = {}

    @property
    def used(self) -> list[Any]:
        return list(self._used.values())

    def uses(self, part: Any) -> None:
        self._used[id(part)] = part
        super().uses(part)

    def keep_attributes(self, part: Any) -> None:
        """Nothing to remember: that the function does no more than operations is known of the first one."""
        if is_module(part):
            self.called.append(part)


class _Others:
    """What stands in a function where another one has something.

    Raises, in what it is asked for
        KeyError: nothing does.
    """

    def __init__(self, first: Original, tensors: Sequence[tuple[str, Tensor]], optimizers: Sequence[Any]) -> None:
        groups = _groups(optimizers)
        if [name for name, _ in tensors] != [name for name, _ in first.tensors] or len(groups) != len(first.groups):
            raise KeyError
        self._first = first
        self.tensors = {id(old): new for (_, old), (_, new) in zip(first.tensors, tensors, strict=True)}
        self._groups = {id(old): new for old, new in zip(first.groups, groups, strict=True)}

    def settings(self) -> list[tuple[Tensor, Setting]]:
        """The numbers that are read anew, each with the tensor that it was lifted to in the first function."""
        return [(tensor, self._from_key(setting.key)) for tensor, setting in self._first.recorded.settings]

    def look(self, find: partial[Any]) -> partial[Any]:
        """The same look at what stands here."""
        return partial(find.func, *map(self._operand, find.args))

    def captured(self, captured: Captured) -> Captured:
        """What the graph captures here: another's state, or the same constant."""
        if captured.constant:
            return captured
        tensor, spec = self.tensors[id(captured.tensor)], captured.value.spec
        if tensor.data.shape != spec.shape or tensor.data.dtype != spec.dtype:
            raise KeyError
        return replace(captured, tensor=tensor)

    def _operand(self, x: Any) -> Any:
        if isinstance(x, Setting):
            return self._from_key(x.key)
        return self.tensors[id(x)] if isinstance(x, Tensor) else x

    def _from_key(self, key: Any) -> Any:
        """A Setting as its key says that it comes to be: by a function of others, or as a group's option."""
        if not isinstance(key, tuple):
            return key
        head, *rest = key
        if callable(head):
            operands = [self._from_key(k) for k in rest]
            keys = [x.key if isinstance(x, Setting) else x for x in operands]
            return Setting((head, *keys), partial(computed, head, *operands), _unheard)
        identity, name = head
        group = self._groups[identity]
        read = partial(dict.__getitem__, group, name)
        return Setting(((id(group), name), *rest), (lambda: read()[rest[0]]) if rest else read, _unheard)


def _tensors(function: Callable[..., Any]) -> list[tuple[str, Tensor]]:
    named = [(name, tensor) for name, tensor, _ in named_tensors(function)]
    return [*named, ("random_state", default_generator.state)]


def _groups(optimizers: Sequence[Any]) -> list[Any]:
    return [group for optimizer in optimizers for group in optimizer.param_groups]


def _unheard(find: Any) -> None:
    """Nobody looks at a Setting once its step is recorded."""


def _lifted_again(old: Tensor, setting: Setting) -> Tensor:
    new = Tensor.__new__(Tensor)
    new.data = np.array(setting.read(), old.data.dtype)
    new.name = old.name
    return new
