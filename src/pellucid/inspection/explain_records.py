"""What an explanation consists of: records of named arithmetic, which `explain` fills and reports print. The numbers in
them are exactly the network's.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pellucid._text import text
from pellucid._typing import Shape
from pellucid.errors import ModelError
from pellucid.inspection.explain_expressions import Expression, Leaf, Number, written

StepKind = Literal["forward", "error", "derivative", "gradient"]


@dataclass(frozen=True)
class Note:
    """A remark: a key of the catalogue and the facts that it is filled with.

    kind : broadcast, no-gradient, moved, or another.
    """

    kind: str
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return text(f"explain.note-{self.kind}", **self.facts)


@dataclass(frozen=True)
class Contribution:
    """What one term adds to a sum: `amount`, and its share of the sum of all absolute values, in [0, 1]."""

    name: str
    amount: float
    share: float


@dataclass(frozen=True)
class Step:
    """One number of the network and the arithmetic that gave it.

    kind : forward; error, the derivative of the loss by a value inside; derivative, of a single operation; gradient,
        the derivative of the loss by a weight.
    name : such as `z1[0]`, or `∂L/∂z1[0]`.
    layer : name of the layer; "" for what belongs to none.
    formula : the operation's mathematics in general.
    expression : the same with the numbers of this place.
    value : the network's own number.
    eps : relative rounding of one operation of the network.
    """

    kind: StepKind
    name: str
    layer: str
    formula: str
    expression: Expression
    value: Number
    eps: float
    contributions: tuple[Contribution, ...] = ()
    notes: tuple[Note, ...] = ()

    def symbols(self, digits: int = 6) -> str:
        """The arithmetic with names."""
        return written(self.expression, names=True, digits=digits, other=text("explain.other"))

    def numbers(self, digits: int = 6) -> str:
        """The arithmetic with numbers."""
        return written(self.expression, digits=digits, other=text("explain.other"))


@dataclass(frozen=True)
class LayerExplanation:
    """One call of a layer.

    path : its name in the network; "" for operations outside of layers.
    kind : its class.
    role : layer, loss or outside.
    name : of its output, such as z1.
    shape : of its output.
    formula : its mathematics in general.
    steps : the arithmetic of the chosen places of its output, inner steps first.
    """

    path: str
    kind: str
    role: str
    name: str
    shape: Shape
    formula: str
    steps: tuple[Step, ...]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Chain:
    """The chain rule along the strongest path from one weight to the loss.

    factors : one for each operation on the path, from the weight on.
    product : of the factors.
    gradient : the derivative of the loss by the weight: the sum over all paths.
    only : whether there is no other path.
    """

    name: str
    factors: tuple[Leaf, ...]
    product: float
    gradient: float
    only: bool


@dataclass(frozen=True)
class UpdateLine:
    """One line of an update rule: what it sets, the rule, the rule with numbers, the result."""

    name: str
    formula: str
    expression: Expression
    value: Number


@dataclass(frozen=True)
class Update:
    """How an optimizer moves one weight.

    state : what the optimizer knew of the weight before; new_state : afterwards.
    options : those that the rule reads.
    """

    name: str
    optimizer: str
    old: float
    gradient: float
    state: Mapping[str, Number]
    options: Mapping[str, Number]
    lines: tuple[UpdateLine, ...]
    new: float
    new_state: Mapping[str, Number]
    eps: float


@dataclass(frozen=True)
class Mismatch:
    """A number that is not what was printed: where, what was evaluated, what the network has, how far they may be
    apart."""

    name: str
    line: str
    evaluated: float
    network: float
    allowed: float

    def __str__(self) -> str:
        return text("explain.mismatch", **{f: getattr(self, f) for f in self.__dataclass_fields__})


@dataclass(frozen=True)
class Verification:
    """What came of evaluating an explanation.

    lines : how many lines of arithmetic were evaluated.
    numbers : how many numbers in them were compared with the network's.
    mismatches : what did not agree.
    """

    lines: int
    numbers: int
    mismatches: tuple[Mismatch, ...]

    @property
    def ok(self) -> bool:
        return not self.mismatches

    def __str__(self) -> str:
        key = "verified" if self.ok else "not-verified"
        head = text(f"explain.{key}", lines=self.lines, numbers=self.numbers, count=len(self.mismatches))
        return "\n".join([head, *map(str, self.mismatches)])


@dataclass(frozen=True)
class Explanation:
    """Worked arithmetic of one pass, and, with a loss and an optimizer, of one step of training.

    Attributes
        network : name of the model
        inputs : name and shape of each input
        legend : for each name of a value or parameter what it stands for
        layers : the forward pass, the loss last
        gradients : the derivative of the loss by each chosen weight
        errors : the errors that these are made of, from the loss back; `derivatives` : of single operations
        chains : the chain rule along one path for each chosen weight
        updates : how the optimizer moves each chosen weight
        notes : remarks on the whole
    """

    network: str
    inputs: tuple[tuple[str, Shape], ...]
    legend: Mapping[str, str]
    layers: tuple[LayerExplanation, ...]
    gradients: tuple[Step, ...] = ()
    errors: tuple[Step, ...] = ()
    derivatives: tuple[Step, ...] = ()
    chains: tuple[Chain, ...] = ()
    updates: tuple[Update, ...] = ()
    notes: tuple[Note, ...] = ()
    _verify: Callable[[Explanation], Verification] | None = field(default=None, repr=False, compare=False)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in the order in which they are told."""
        forward = tuple(s for layer in self.layers for s in layer.steps)
        return (*forward, *self.gradients, *self.errors, *self.derivatives)

    def step(self, name: str) -> Step:
        """The step of a name, such as `z1[0]`.

        Raises
            MissingKeyError: there is none.
        """
        from pellucid.core.check import closest
        from pellucid.errors import MissingKeyError

        names = [s.name for s in self.steps]
        if name in names:
            return self.steps[names.index(name)]
        raise MissingKeyError("explain.step", name=name, suggestion=closest(name, names))

    def verify(self) -> Verification:
        """Evaluate every printed line and compare it with the network's own values.

        Each number in a line is compared with the network's, to the bit. Each line is printed with all digits, read
        back, evaluated in float64, and compared with the number that the network has there, which may differ by the
        rounding of the network's own dtype and no more.

        Returns
            Verification; `verification.ok` is whether all agree, `verification.mismatches` lists what does not
        """
        if self._verify is None:
            raise ModelError("explain.no-verify", name=self.network)
        return self._verify(self)

    def __str__(self) -> str:
        return str(_rendering("text")(self))

    def _repr_html_(self) -> str:
        return str(_rendering("html")(self))


def _rendering(kind: str) -> Callable[[Explanation], str]:
    # An explanation that is printed, or shown by a notebook, asks for its rendering by name: records import no report.
    function: Callable[[Explanation], str] = getattr(
        importlib.import_module(f"pellucid.report.explanation_{kind}"), f"explanation_{kind}"
    )
    return function
