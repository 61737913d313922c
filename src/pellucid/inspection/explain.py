"""A network and inputs come in, with targets, a loss and an optimizer if training is to be told too; the worked
arithmetic of the pass leaves. Users call `explain`; reports and the command line print what it returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, checked, closest, shown
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, IndexRangeError, MissingKeyError
from pellucid.graph import Value
from pellucid.graph.names import function_name, is_module
from pellucid.inspection.explain_backward import Backward
from pellucid.inspection.explain_errors import Errors
from pellucid.inspection.explain_expressions import leaves_of
from pellucid.inspection.explain_forward import Forward
from pellucid.inspection.explain_names import Call, Names
from pellucid.inspection.explain_records import Explanation, LayerExplanation, Note, Update
from pellucid.inspection.explain_terms import Element, Terms
from pellucid.inspection.explain_trace import Place, Trace
from pellucid.inspection.explain_updates import StepTaken, update_of
from pellucid.inspection.explain_verify import Verifier

_AT = re.compile(r"([^\[\]]*?)(?:\[([-\d,\s]*)\])?")


class _At(NamedTuple):
    """What is asked for: calls of a layer, or a parameter, or neither for the network's output; and a place in it."""

    calls: tuple[Call, ...] = ()
    parameter: Value | None = None
    place: Place | None = None


@checked(terms=Integer(1))
def explain(
    model: Any,
    x: Any,
    y: Any = None,
    loss: Callable[..., Any] | None = None,
    optimizer: Any = None,
    at: Any = None,
    *,
    terms: int = 6,
) -> Explanation:
    """Worked arithmetic of a network: every number with the numbers that it came from.

    The network is recorded as it runs, and its arithmetic is read from the operations: forward for the chosen
    neurons; with a loss the derivative by the chosen weights, as products of named factors, and the errors in them
    back to the loss; with an optimizer also the step of each of these weights. Nothing changes in the network.
    `explanation.verify()` evaluates what is printed and compares it with the network's own values.

    Parameters
        model : a Module, in the mode that it is to be explained in, or a function of Tensors.
        x : the input, one sample or a batch: an array, a Tensor, or numbers in lists; a tuple of arrays, Tensors or
            lists for several inputs.
        y : targets for the loss; None for a loss of the outputs alone.
        loss : called as loss(outputs, y), or as loss(outputs) without targets; gives a single number.
        optimizer : an optimizer of the network's parameters, or its class, such as `pellucid.optim.Adam`.
        at : where to look: the name of a layer or a parameter, with a place or without, such as "fc1", "fc1[0,2]" or
            "fc1.weight[2,1]", or a pair ("fc1", (0, 2)); a place alone is one of the output. None: all neurons and
            weights of a small network; of a larger one, from the largest output back, what contributed most, and of
            each parameter the weight with the largest gradient.
        terms : how many terms of a sum are shown; of a longer one these are the largest, and the others are summed.
    Returns
        Explanation
    Raises
        ArgumentError: targets or an optimizer without a loss; a weight without a loss; a loss that depends on nothing.
        ArgumentTypeError: no network or function.
        MissingKeyError: no layer or parameter of the name `at`.
        IndexRangeError: there is no such place.
        ShapeError: the loss is not a single number.
        and what the network raises for such inputs
    Source
        The chain rule as D. Rumelhart, G. Hinton and R. Williams wrote it for networks, Learning representations by
        back-propagating errors, Nature 323 (1986).
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Sequential(pl.nn.Linear(2, 1), pl.nn.ReLU())
        >>> _ = model.load_state_dict({"0.weight": [[-0.5, 2.0]], "0.bias": [1.0]})
        >>> explanation = pl.explain(model, [10.0, 1.0])
        >>> print(explanation.step("z1[0]").numbers(), "=", explanation.step("z1[0]").value)
        -0.5·10 + 2·1 + 1 = -2.0
        >>> explanation.verify().ok
        True
    """
    if not callable(model):
        raise ArgumentTypeError("explain.model", value=shown(model), type=type(model).__name__)
    if loss is None:
        for name, value in (("y", y), ("optimizer", optimizer)):
            if value is not None:
                raise ArgumentError("explain.needs-loss", name=name)
    elif not callable(loss):
        raise ArgumentTypeError("explain.loss-type", value=shown(loss), type=type(loss).__name__)
    inputs = [_input(model, item) for item in _several(x)]
    targets = [] if y is None else [_target(model, item) for item in _several(y)]
    made = _optimizer(model, optimizer)
    trace = Trace(model, inputs, targets, loss)
    return _Teller(model, trace, terms, made).explanation(at)


class _Teller:
    """Puts an explanation together."""

    def __init__(self, model: Any, trace: Trace, most: int, optimizer: Any) -> None:
        self.model, self.trace, self.optimizer = model, trace, optimizer
        self.names = Names(trace)
        self.terms = Terms(trace, self.names, most)
        self.errors = Errors(trace, self.names, self.terms)
        self.forward = Forward(trace, self.names, self.terms, self.errors)
        self.backward = Backward(trace, self.names, self.errors, self.forward.written)

    def explanation(self, at: Any) -> Explanation:
        trace = self.trace
        asked = None if at is None else self._at(at)
        layers = self._layers(asked)
        notes: list[Note] = []
        weights: list[Element] = []
        if trace.loss is not None:
            weights = self._weights(asked, layers, notes)
        gradients = tuple(self.backward.gradient(*w) for w in weights)
        errors, derivatives = self.backward.told(gradients)
        chains = tuple(self.backward.chain(*w) for w in self.backward.strongest(weights))
        updates = self._updates(weights, notes)
        name = type(self.model).__name__ if is_module(self.model) else function_name(self.model)
        return Explanation(
            network=name,
            inputs=tuple((self.names.of(v), v.spec.shape) for v in trace.graph.inputs),
            legend=self._legend(),
            layers=tuple(layers),
            gradients=gradients,
            errors=errors,
            derivatives=derivatives,
            chains=chains,
            updates=updates,
            notes=tuple(notes),
            _verify=Verifier(trace),
        )

    # Forward

    def _layers(self, asked: _At | None) -> list[LayerExplanation]:
        """The layers to tell of, in their order."""
        told: dict[int, LayerExplanation] = {}
        wanted: dict[int, list[Element]] = {}
        calls = [c for c in self.names.calls if c.outputs]
        number_of = {id(c): n for n, c in enumerate(calls)}
        alone: set[int] | None = None
        sample = 0
        if asked is not None and (asked.calls or asked.parameter is not None):
            chosen = asked.calls or tuple(self._users(asked))
            alone = {number_of[id(c)] for c in chosen if id(c) in number_of}
            if asked.calls and asked.place is not None:
                for number in alone:
                    value = self._output(calls[number])
                    wanted[number] = [(value, _checked_place(self.names.of(value), value, asked.place))]
            if asked.parameter is not None:
                for number in alone:
                    wanted[number] = self._where_used(calls[number], asked)
        elif asked is not None and asked.place is not None:
            value = self.trace.outputs[0]
            place = _checked_place(self.names.of(value), value, asked.place)
            sample = place[0] if len(place) > 1 else 0
            made = self.trace.makers.get(value.id)
            if made is not None:
                wanted[number_of[id(self.names.call_of(made))]] = [(value, place)]
        asked_places = {number: list(elements) for number, elements in wanted.items()}
        for number in range(len(calls) - 1, -1, -1):
            call = calls[number]
            is_loss = call.owner.role == "loss"
            if alone is not None and number not in alone and not is_loss:
                continue
            exact = asked_places.get(number, [])
            pinned = exact if alone is None or number in alone else []
            if is_loss:
                elements = [(v, p) for v in call.outputs[-1:] for p in [(0,) * len(v.spec.shape)]]
            else:
                elements = pinned or self.forward.elements(call, wanted.get(number, []), sample)
            if not elements:
                continue
            told[number] = self.forward.layer(call, elements)
            if not is_loss:
                self._want(told[number], wanted, number_of)
        return [told[n] for n in sorted(told) if told[n].steps]

    def _want(self, layer: LayerExplanation, wanted: dict[int, list[Element]], number_of: dict[int, int]) -> None:
        """What contributed most to a layer is told of in the layers before it."""
        for step in layer.steps:
            best: dict[int, tuple[float, Element]] = {}
            shares = {c.name: c.share for c in step.contributions}
            for leaf in leaves_of(step.expression):
                if leaf.element is None or leaf.role != "value":
                    continue
                value = self.trace.values[leaf.element[0]]
                made = self.trace.makers.get(value.id)
                if made is None:
                    continue
                number = number_of.get(id(self.names.call_of(made)))
                share = shares.get(leaf.name, 0.0)
                if number is not None and (number not in best or share > best[number][0]):
                    best[number] = (share, (value, leaf.element[1]))
            for number, (_, element) in best.items():
                known = wanted.setdefault(number, [])
                if not known or known[0][0] is element[0]:
                    known.append(element)

    def _output(self, call: Call) -> Value:
        returned = [v for v in call.outputs if v in self.trace.outputs]
        return (returned or call.outputs[-1:])[0]

    def _users(self, asked: _At) -> list[Call]:
        value = asked.parameter
        numbers = [] if value is None else [n for n, _ in self.trace._uses.get(value.id, [])]
        return list({id(c): c for c in map(self.names.call_of, numbers) if c.owner.role != "loss"}.values())

    def _where_used(self, call: Call, asked: _At) -> list[Element]:
        """The unit of a layer that a weight of its own acts on, where the layer tells."""
        value, place = self._output(call), asked.place
        if asked.parameter is None or place is None:
            return []
        shape = value.spec.shape
        channel = 1 if any(self.trace.graph.instructions[n].op.family == "convolution" for n in call.numbers) else -1
        if not shape or place[0] >= shape[channel if len(shape) > 1 else 0]:
            return []
        at = [0] * len(shape)
        at[channel if len(shape) > 1 else 0] = place[0]
        return [(value, tuple(at))]

    # Backward and update

    def _weights(self, asked: _At | None, layers: Sequence[LayerExplanation], notes: list[Note]) -> list[Element]:
        if asked is not None and asked.parameter is not None:
            value = asked.parameter
            if value.id not in self.trace.errors:
                raise ArgumentError("explain.frozen", name=self.trace.parameters[value.id][0])
            if asked.place is not None:
                return [(value, asked.place)]
            error = np.abs(np.nan_to_num(self.trace.errors[value.id]))
            return [(value, tuple(int(i) for i in np.unravel_index(error.argmax(), error.shape)))]
        if asked is not None:
            found: dict[Element, None] = {}
            for layer in layers:
                if layer.role != "loss":
                    for step in layer.steps:
                        for leaf in leaves_of(step.expression):
                            if (
                                leaf.role == "weight"
                                and leaf.element is not None
                                and leaf.element[0] in self.trace.errors
                            ):
                                found[self.trace.values[leaf.element[0]], leaf.element[1]] = None
            return list(found)[:16]
        weights, left_out = self.backward.weights()
        if left_out:
            notes.append(Note("left-out", {"count": left_out}))
        return weights

    def _updates(self, weights: Sequence[Element], notes: list[Note]) -> tuple[Update, ...]:
        if self.optimizer is None:
            return ()
        gradients: dict[int, Array] = {}
        for key, (_, tensor) in self.trace.parameters.items():
            if key in self.trace.errors:
                gradients[id(tensor)] = self.trace.errors[key]
        name = type(self.optimizer).__name__
        if type(self.optimizer).step is not _base_step():
            notes.append(Note("no-rule", {"optimizer": name}))
            return ()
        step = StepTaken(self.optimizer, gradients)
        found = []
        for value, place in weights:
            if value.id not in self.trace.parameters:
                continue
            tensor = self.trace.parameters[value.id][1]
            if not step.moves(tensor):
                notes.append(Note("not-moved", {"name": self.names.of(value), "optimizer": name}))
                continue
            update = update_of(step, self.names.element(value, place), tensor, place, self.trace.error(value, place))
            if update is None:
                notes.append(Note("no-rule", {"optimizer": name}))
                break
            found.append(update)
        return tuple(found)

    # Words

    def _legend(self) -> dict[str, str]:
        found = {}
        for key, (path, _) in self.trace.parameters.items():
            found[self.names.of(self.trace.values[key])] = path
        for call in self.names.calls:
            if call.owner.role == "layer":
                for value in call.outputs:
                    path, kind = call.owner.path, call.owner.kind
                    found[self.names.of(value)] = f"{path} ({kind})" if kind else path
        return found

    # Where

    def _at(self, at: Any) -> _At:
        name, place = _split(at)
        if not name:
            return _At(place=place)
        for key, (path, _) in self.trace.parameters.items():
            value = self.trace.values[key]
            if name in (path, self.names.of(value)):
                if self.trace.loss is None:
                    raise ArgumentError("explain.weight-without-loss", name=path)
                return _At(parameter=value, place=None if place is None else _checked_place(path, value, place))
        calls = [c for c in self.names.calls if c.outputs]
        found = [c for c in calls if name in (c.owner.path, self.names.of(self._output(c))) and c.owner.role == "layer"]
        if not found:
            names = [c.owner.path for c in calls if c.owner.path] + [p for p, _ in self.trace.parameters.values()]
            raise MissingKeyError(
                "explain.at", name=name, options=", ".join(dict.fromkeys(names)), suggestion=closest(name, names)
            )
        return _At(calls=tuple(found), place=place)


def _base_step() -> Any:
    from pellucid.optim.optimizer import Optimizer

    return Optimizer.step


def _split(at: Any) -> tuple[str, Place | None]:
    """A name and a place, from text or a pair."""
    if isinstance(at, str):
        match = _AT.fullmatch(at.strip())
        if match is not None:
            inside = match.group(2)
            numbers = None if inside is None else [n for n in inside.split(",") if n.strip()]
            return match.group(1), None if numbers is None else tuple(int(n) for n in numbers)
    elif isinstance(at, int) and not isinstance(at, bool):
        return "", (at,)
    elif isinstance(at, tuple | list):
        if len(at) == 2 and isinstance(at[0], str) and isinstance(at[1], tuple | list | int):
            inner = at[1] if isinstance(at[1], tuple | list) else (at[1],)
            return at[0], tuple(int(i) for i in inner)
        if all(isinstance(i, int) and not isinstance(i, bool) for i in at):
            return "", tuple(at)
    raise ArgumentTypeError("explain.at-form", value=shown(at))


def _checked_place(name: str, value: Value, place: Place) -> Place:
    shape = value.spec.shape
    if len(place) != len(shape) or any(not -n <= i < n for i, n in zip(place, shape, strict=False)):
        raise IndexRangeError("explain.place", name=name, place=str(tuple(place)), shape=shape)
    return tuple(i % n for i, n in zip(place, shape, strict=True))


def _several(given: Any) -> list[Any]:
    """Several inputs in a tuple; a tuple of plain numbers is one."""
    if isinstance(given, tuple) and not all(isinstance(n, int | float) for n in given):
        return list(given)
    return [list(given) if isinstance(given, tuple) else given]


def _takes(model: Any) -> tuple[Any, bool]:
    if not is_module(model):
        return default_dtype(), False
    first = next((p.dtype for p in model.parameters() if p.dtype.kind == "f"), default_dtype())
    return first, any(m.takes_indices for m in model.modules())


def _input(model: Any, given: Any) -> Tensor:
    """An input as the network takes it: floats in its own dtype, whole numbers too unless they are indices."""
    dtype, indices = _takes(model)
    if isinstance(given, Tensor):
        return given.detach()
    array = to_array(given)
    if not is_module(model) or array.dtype == dtype or (indices and array.dtype.kind in "iu"):
        return wrap(array)
    return wrap(to_array(given, dtype))


def _target(model: Any, given: Any) -> Tensor:
    """A target: floats in the network's dtype, labels as they are."""
    if isinstance(given, Tensor):
        return given.detach()
    array = to_array(given)
    return wrap(to_array(given, _takes(model)[0]) if array.dtype.kind == "f" else array)


def _optimizer(model: Any, given: Any) -> Any:
    if given is None or hasattr(given, "param_groups"):
        return given
    if not callable(given):
        raise ArgumentTypeError("explain.optimizer", value=shown(given), type=type(given).__name__)
    if not is_module(model):
        raise ArgumentTypeError("explain.optimizer-of-function", value=shown(given))
    return given(model.parameters())
