"""The contract of an experiment: a seed comes in, a finding leaves, with the numbers that were measured, a verdict
that follows from them, and a figure. The words stand in the catalogue under `lab.`; each file beside this one holds
one experiment, and the command line prints them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pellucid._text import text

Verdict = Literal["confirmed", "not-confirmed", "undecided"]


@dataclass(frozen=True)
class Measurement:
    """A number that was measured.

    name : its words are `lab.measure-NAME`.
    value : the number.
    unit : such as "s" or "%"; "" for a pure number.
    """

    name: str
    value: float
    unit: str = ""

    def __post_init__(self) -> None:
        # What NumPy counted is read as a plain number.
        object.__setattr__(self, "value", float(self.value))

    @property
    def label(self) -> str:
        """What was measured, in words."""
        return text(f"lab.measure-{self.name}")

    @property
    def number(self) -> str:
        """The value with its unit: whole numbers in full, others with four figures, percents with one decimal."""
        figures = f"{self.value:.1f}".removesuffix(".0") if self.unit == "%" else shown(self.value)
        if not self.unit:
            return figures
        return f"{figures}{self.unit}" if self.unit in ("%", "×") else f"{figures} {self.unit}"


@dataclass(frozen=True)
class Finding:
    """What an experiment saw.

    measurements : in the order in which they are printed.
    confirmed : whether the claim held; None where the numbers do not decide it.
    conclusion : what was seen: the words `lab.seen-CONCLUSION`, in which `{some_name}` is the measurement some-name.
    figure : a PNG.
    """

    measurements: tuple[Measurement, ...]
    confirmed: bool | None
    conclusion: str
    figure: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "confirmed", None if self.confirmed is None else bool(self.confirmed))

    @property
    def verdict(self) -> Verdict:
        """`confirmed` as a word."""
        if self.confirmed is None:
            return "undecided"
        return "confirmed" if self.confirmed else "not-confirmed"

    @property
    def words(self) -> str:
        """The conclusion as a sentence or two with the measured numbers, in the language in force."""
        facts = {m.name.replace("-", "_"): m.number for m in self.measurements}
        return text(f"lab.seen-{self.conclusion}", **facts)

    def value(self, name: str) -> float:
        """A measured number by its name.

        Raises
            KeyError: nothing of that name was measured.
        """
        return {m.name: m.value for m in self.measurements}[name]


@dataclass(frozen=True)
class Experiment:
    """A common claim, and the program that puts it to the test.

    name : as the command line takes it, such as "zero-initialisation"; its words are `lab.NAME-title`, `lab.NAME-claim`
        and `lab.NAME-how`.
    run : the seed comes in, the finding leaves.
    """

    name: str
    run: Callable[[int], Finding]

    @property
    def title(self) -> str:
        """A few words."""
        return text(f"lab.{self.name}-title")

    @property
    def claim(self) -> str:
        """The claim, as it is usually made."""
        return text(f"lab.{self.name}-claim")

    @property
    def how(self) -> str:
        """What is done, what confirms the claim, and what would refute it."""
        return text(f"lab.{self.name}-how")


def shown(value: float) -> str:
    """A number to be read: whole ones in full, others with four figures."""
    value = float(value)
    if value.is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"
