"""A network and an input come in; one output, handed back operation by operation to what it was made of, leaves: its
layer-wise relevance. Users call `layerwise_relevance`; the rules of the operations are in `relevance_rules.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Options, Real, checked
from pellucid.core.context import no_grad, quiet
from pellucid.core.tensor import wrap
from pellucid.errors import GradientError
from pellucid.graph import Graph, Value, record
from pellucid.graph.dtype import float_dtype
from pellucid.graph.run import evaluated
from pellucid.inspection.attribution.gradients import row_sums
from pellucid.inspection.attribution.question import Question
from pellucid.inspection.attribution.records import Attribution
from pellucid.inspection.attribution.relevance_flow import Flow
from pellucid.inspection.attribution.relevance_rules import Rules
from pellucid.inspection.layers import as_in_use
from pellucid.nn.attention.maps import aside

_RULES = Options("epsilon", "z+")


@checked(
    rule=_RULES,
    convolution_rule=Options("epsilon", "z+", None),
    epsilon=Real(0),
)
def layerwise_relevance(
    model: Any,
    x: Any,
    target: Any = None,
    *,
    rule: str = "epsilon",
    convolution_rule: str | None = None,
    epsilon: float = 1e-6,
    layer: Any = None,
) -> Attribution:
    """One output, handed back through the network: each operation shares its relevance among what it read.

        epsilon:  R_i = Σ_j x_i w_ij / (z_j + ε sign z_j) · R_j,  z_j = Σ_i x_i w_ij + b_j
        z+:       R_i = Σ_j (x_i w_ij)^+ / Σ_k (x_k w_kj)^+ · R_j

    The recorded graph is read backwards. Products of matrices and convolutions with weights follow the rule, sums the
    same rule; activations pass relevance on as it is; maxima, gathering and reshaping to where the number came from.
    A product of two signals gives each a half, but a sigmoid gate nothing; attention weights and the scales of
    normalisations are taken as constants. Everything is done in float64.

    Parameters
        model, x, target, layer : as for `saliency`; explain the scores before a softmax.
        rule : of products of matrices and sums.
        convolution_rule : of convolutions; None: the same.
        epsilon : what steadies a division; it costs relevance.
    Returns
        Attribution; `completeness_error` is the sum of the scores less the output. By the epsilon rule it is what
        biases took, their sum over all rows being `parts["constants"]`, and `parts["lost"]`, which divisions by nearly
        nothing took: the scores, the constants and the lost add up to the outputs. By z+ biases take nothing.
    Raises
        as `saliency`; GradientError for an operation that has no rule, or an output that is reached through a softmax
        alone
    Source
        S. Bach et al., On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
        propagation, 2015, equations 58 and 60. G. Montavon et al., Layer-wise relevance propagation: an overview, 2019,
        section 10.2. Gates: L. Arras et al., 2017. Attention and normalisation: A. Ali et al., XAI for transformers,
        2022, section 4.
    Examples
        >>> import pellucid as pl
        >>> w = pl.tensor([[2.0], [-3.0]])
        >>> pl.layerwise_relevance(lambda x: x @ w, [[1.0, 4.0]], epsilon=0.0).scores.tolist()
        [[2.0, -12.0]]
    """
    question = Question(model, x, target, layer)
    question.check_differentiable()
    rows = np.arange(question.rows)
    with as_in_use(model), no_grad(), aside():
        graph = record(lambda z: question.value(z, rows), wrap(question.point), strict=False)
    values = _all_values(graph, question.point)
    output = graph.outputs
    flow = Flow(graph)
    if output.id not in flow.carrying:
        raise GradientError("attribution.only-softmax" if flow.blocked else "attribution.no-gradient")
    rules = Rules(graph, flow, values, rule, convolution_rule or rule, float(epsilon))
    explained = values[output.id]
    relevance: dict[int, Array] = {output.id: explained.copy()}
    with no_grad(), quiet():
        for number in range(len(graph.instructions) - 1, -1, -1):
            instruction = graph.instructions[number]
            arrived = relevance.pop(instruction.output.id, None)
            if arrived is None or not flow.positions[number]:
                continue
            for position, share in rules.shared(number, arrived):
                key = instruction.inputs[position].id
                relevance[key] = relevance[key] + share if key in relevance else share
    scores = relevance.get(graph.inputs[0].id, np.zeros(question.point.shape))
    return Attribution(
        method="layerwise-relevance",
        scores=scores.astype(question.point.dtype),
        inputs=question.point,
        outputs=explained.copy(),
        targets=question.choice.words,
        layer=question.layer,
        completeness_error=row_sums(scores) - explained,
        settings={"rule": rule, "convolution_rule": convolution_rule or rule, "epsilon": float(epsilon)},
        parts={"constants": np.array(rules.constants), "lost": np.array(rules.lost)},
    )


def _all_values(graph: Graph, point: Array) -> dict[int, Array]:
    """Every value of a graph, worked out in float64."""
    values = {graph.inputs[0].id: _wide(point)}
    for captured in graph.captured:
        values[captured.value.id] = _wide(captured.tensor.data)
    with quiet(), float_dtype("float64"):
        for instruction in graph.instructions:
            given = [values[x.id] if isinstance(x, Value) else x for x in instruction.inputs]
            values[instruction.output.id] = _wide(np.asarray(evaluated(instruction, given)))
    return values


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array
