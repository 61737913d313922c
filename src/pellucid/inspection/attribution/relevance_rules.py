"""An operation's values and the relevance of its result come in; the relevance of each of its inputs leaves. There is a
rule for each family of operations, and none computes an operation anew: what an input contributed to a linear
operation is the input times the operation's own gradient. `relevance.py` calls it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import GradientError
from pellucid.graph import Graph, Instruction, Value
from pellucid.graph.text import scope_text
from pellucid.inspection.attribution.relevance_flow import NORMALISATIONS, Flow

# Each number of the result is a sum of numbers that were read.
_SUMS = frozenset(
    (
        *("add", "subtract", "negative", "positive", "multiply_add", "sum", "sum_to", "cumsum", "index_add"),
        *("scatter_add", "overlap_add", "sum_windows", "spread_windows"),
    )
)
# Which inputs are summands by themselves.
_SUMMANDS = {
    "add": (0, 1),
    "subtract": (0, 1),
    "affine_map": (2,),
    "multiply_add": (2,),
    "index_add": (0,),
    "scatter_add": (0, 2),
}
# Each number of the result is one that was read.
_CHOICES = frozenset(("maximum", "minimum", "where", "max", "min"))
_PRODUCTS = frozenset(("multiply", "divide"))
_OF_CONVOLUTIONS = frozenset((*(f"{name}{n}d" for name in ("conv", "conv_transpose") for n in (1, 2, 3)), "batch_norm"))


class Rules:
    """The rules, for one graph and its values.

    Attributes
        constants : the relevance that added constants, such as biases, took, over all rows
        lost : that which was lost where a division had nothing to divide by, over all rows
    """

    def __init__(
        self, graph: Graph, flow: Flow, values: dict[int, Array], rule: str, convolution_rule: str, epsilon: float
    ) -> None:
        self.graph, self.flow, self.values, self.epsilon = graph, flow, values, epsilon
        self.rule, self.convolution_rule = rule, convolution_rule
        self.constants = 0.0
        self.lost = 0.0

    def shared(self, number: int, relevance: Array) -> list[tuple[int, Array]]:
        """What each input of instruction `number` that relevance flows through gets of its result's relevance.

        Raises
            GradientError: the operation has no rule.
        """
        instruction = self.graph.instructions[number]
        before = self.constants
        shares = list(self._by_family(instruction, self.flow.positions[number], relevance))
        kept = sum(float(share.sum()) for _, share in shares) + self.constants - before
        self.lost += float(relevance.sum()) - kept
        return shares

    def _by_family(
        self, instruction: Instruction, positions: tuple[int, ...], relevance: Array
    ) -> Iterator[tuple[int, Array]]:
        op = instruction.op
        shape = instruction.output.spec.shape
        same_shape = all(instruction.inputs[n].spec.shape == shape for n in positions)
        if op.family in ("contraction", "convolution"):
            yield from self._weighted(instruction, positions, relevance)
        elif op.name in _SUMS:
            yield from self._sum(instruction, positions, relevance)
        elif op.name in _PRODUCTS and not same_shape:
            yield from self._linear(instruction, positions, relevance)
        elif op.name in _PRODUCTS or (op.family == "elementwise" and len(positions) == 1 and same_shape):
            # An activation, or a product with a constant: whatever it does to the number, its relevance stays.
            if op.name in _CHOICES:
                yield from self._routed(instruction, positions, relevance)
            else:
                yield from ((n, relevance / len(positions)) for n in positions)
        elif op.name in _CHOICES or op.family in ("movement", "pooling"):
            yield from self._routed(instruction, positions, relevance)
        else:
            raise GradientError("attribution.no-rule", op=op.name, where=scope_text(instruction.scope) or "-")

    def _arrays(self, instruction: Instruction) -> list[Any]:
        return [self.values[x.id] if isinstance(x, Value) else x for x in instruction.inputs]

    def _gradient(self, instruction: Instruction, position: int, g: Array, arrays: list[Any]) -> Array:
        """The gradient of one input, from that of the result."""
        given = [wrap(x) if isinstance(x, np.ndarray) else x for x in arrays]
        y = wrap(self.values[instruction.output.id])
        found: Tensor | None = instruction.op.vjp(position, wrap(g), y, given, dict(instruction.attrs))  # type: ignore[operator]
        if found is None:
            return np.zeros(arrays[position].shape)
        return found.data

    def _over(self, relevance: Array, z: Array) -> Array:
        """Relevance over what it is shared by, steadied."""
        steady = z + np.where(z >= 0, self.epsilon, -self.epsilon)
        over: Array = np.divide(relevance, steady, out=np.zeros_like(relevance), where=steady != 0)
        return over

    def _routed(
        self, instruction: Instruction, positions: tuple[int, ...], relevance: Array
    ) -> Iterator[tuple[int, Array]]:
        arrays = self._arrays(instruction)
        for n in positions:
            yield n, self._gradient(instruction, n, relevance, arrays)

    def _linear(
        self, instruction: Instruction, positions: tuple[int, ...], relevance: Array
    ) -> Iterator[tuple[int, Array]]:
        """The epsilon rule: each input by what it contributed to the result."""
        arrays = self._arrays(instruction)
        over = self._over(relevance, self.values[instruction.output.id])
        factors = [n for n in positions if not self._is_added(instruction, n)]
        for n in positions:
            # Of a product of two signals each gets a half.
            part = 1.0 if n not in factors else 1.0 / len(factors)
            yield n, part * arrays[n] * self._gradient(instruction, n, over, arrays)
        for n, x in enumerate(arrays):
            if n not in positions and self._is_added(instruction, n):
                constant = np.asarray(x, np.float64)
                sign = -1.0 if instruction.op.name == "subtract" and n == 1 else 1.0
                self.constants += float((sign * constant * over).sum())

    def _is_added(self, instruction: Instruction, position: int) -> bool:
        """Whether an input is a summand of the result by itself."""
        return position in _SUMMANDS.get(instruction.op.name, ())

    def _sum(
        self, instruction: Instruction, positions: tuple[int, ...], relevance: Array
    ) -> Iterator[tuple[int, Array]]:
        op = instruction.op
        scopes = {scope.name for scope in instruction.scope}
        constants = len(positions) < len(instruction.inputs)
        centred = bool(scopes & NORMALISATIONS) and not constants
        # The bias of a convolution and a batch normalisation behind it go with the convolution.
        rule = self.convolution_rule if constants and scopes & _OF_CONVOLUTIONS else self.rule
        if rule != "z+" or centred or op.name in ("multiply_add", "negative", "index_add", "scatter_add"):
            yield from self._linear(instruction, positions, relevance)
            return
        arrays = self._arrays(instruction)
        if op.name not in ("add", "subtract"):
            positive = [np.maximum(arrays[0], 0), *arrays[1:]]
            z = np.asarray(op.value(*positive, **instruction.attrs))
            yield 0, positive[0] * self._gradient(instruction, 0, self._over(relevance, z), arrays)
            return
        signs = {n: -1.0 if op.name == "subtract" and n == 1 else 1.0 for n in positions}
        summands = {n: np.broadcast_to(signs[n] * arrays[n], relevance.shape) for n in positions}
        positive_sum = sum(np.maximum(s, 0) for s in summands.values())
        size = sum(np.abs(s) for s in summands.values())
        for n, s in summands.items():
            weight = np.where(positive_sum > 0, np.maximum(s, 0), np.abs(s))
            total = np.where(positive_sum > 0, positive_sum, size)
            # Two summands that are both 0 share evenly.
            share = np.divide(weight, total, out=np.full(relevance.shape, 1 / len(summands)), where=total > 0)
            yield n, signs[n] * self._gradient(instruction, n, share * relevance, arrays)

    def _weighted(
        self, instruction: Instruction, positions: tuple[int, ...], relevance: Array
    ) -> Iterator[tuple[int, Array]]:
        """A product of matrices or a convolution, with weights or with another signal."""
        rule = self.convolution_rule if instruction.op.family == "convolution" else self.rule
        others = [n for n in range(len(instruction.inputs)) if n not in positions]
        weights = [n for n in others if not self._is_added(instruction, n)]
        if rule != "z+" or len(positions) > 1 or len(weights) != 1:
            yield from self._linear(instruction, positions, relevance)
            return
        place, weight = positions[0], weights[0]
        arrays = self._arrays(instruction)
        plain = [np.zeros_like(a) if n in others and n != weight else a for n, a in enumerate(arrays)]
        parts = [
            (np.maximum(arrays[place], 0), np.maximum(arrays[weight], 0)),
            (np.minimum(arrays[place], 0), np.minimum(arrays[weight], 0)),
        ]
        opposed = [(parts[0][0], parts[1][1]), (parts[1][0], parts[0][1])]
        sign = self.flow.later_sign(instruction.output, self.values)
        flipped = np.zeros(relevance.shape, np.bool_) if sign is None else sign < 0
        share = np.zeros_like(arrays[place])
        for pairs, here in ((parts, ~flipped), (opposed, flipped)):
            if not here.any():
                continue
            given = [_with(plain, place, x, weight, w) for x, w in pairs]
            z = np.asarray(sum(instruction.op.value(*a, **instruction.attrs) for a in given))
            over = np.where(here, self._over(relevance, z), 0.0)
            for (x, _), a in zip(pairs, given, strict=True):
                share = share + x * self._gradient(instruction, place, over, a)
        yield place, share


def _with(arrays: list[Any], place: int, x: Array, weight: int, w: Array) -> list[Any]:
    changed = list(arrays)
    changed[place], changed[weight] = x, w
    return changed
