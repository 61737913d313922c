"""An explanation comes in; its parts in the order in which they are told leave, with their headings in the language in
force: what text, Markdown, LaTeX and HTML are each drawn from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pellucid._text import text
from pellucid.inspection.explain_expressions import Apply, Expression, Number, shown
from pellucid.inspection.explain_records import Chain, Explanation, LayerExplanation, Step, Update


@dataclass(frozen=True)
class Equation:
    """A number, the arithmetic that gave it, and what there is to remark.

    general : the rule in general; "" where the section has it.
    """

    name: str
    expression: Expression
    value: Number
    general: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Equations under a title, with the mathematics in general and remarks on all of them."""

    title: str
    general: str
    equations: tuple[Equation, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A part of an explanation: forward, backward, update."""

    title: str
    sections: tuple[Section, ...]


def heading(explanation: Explanation) -> str:
    """The title of the whole."""
    inputs = ", ".join(f"{name} {shape}" for name, shape in explanation.inputs)
    return text("explain.heading", network=explanation.network, inputs=inputs)


def legend(explanation: Explanation) -> str:
    """What the names of parameters stand for."""
    return ", ".join(f"{name} = {path}" for name, path in explanation.legend.items())


def outline(explanation: Explanation, digits: int = 6) -> list[Part]:
    """All parts that the explanation has."""
    parts = [Part(text("explain.part-forward"), tuple(_layer(layer, digits) for layer in explanation.layers))]
    backward = []
    for key, steps in (
        ("gradients", explanation.gradients),
        ("errors", explanation.errors),
        ("derivatives", explanation.derivatives),
    ):
        if steps:
            backward.append(Section(text(f"explain.section-{key}"), "", tuple(_step(s, digits) for s in steps)))
    told = [c for c in explanation.chains if len(c.factors) > 1]
    if told:
        backward.append(Section(text("explain.section-chains"), "", tuple(_chain(c, digits) for c in told)))
    if backward:
        parts.append(Part(text("explain.part-backward"), tuple(backward)))
    if explanation.updates:
        title = text("explain.part-update", optimizer=explanation.updates[0].optimizer)
        parts.append(Part(title, tuple(_updates(explanation.updates, digits))))
    return parts


def _layer(layer: LayerExplanation, digits: int) -> Section:
    role = "" if layer.role == "layer" else text(f"explain.role-{layer.role}")
    words = " ".join(filter(None, (layer.path, layer.kind, role)))
    title = text("explain.section-layer", layer=words, name=layer.name, shape=layer.shape)
    remarks = tuple(map(str, layer.notes))
    return Section(title, layer.formula, tuple(_step(s, digits) for s in layer.steps), remarks)


def _step(step: Step, digits: int) -> Equation:
    remarks = []
    if step.contributions:
        found = ", ".join(
            text("explain.contribution", name=c.name, amount=shown(c.amount, digits), share=f"{100 * c.share:.3g}")
            for c in step.contributions
        )
        remarks.append(text("explain.contributions", found=found))
    remarks += map(str, step.notes)
    return Equation(step.name, step.expression, step.value, remarks=tuple(remarks))


def _chain(chain: Chain, digits: int) -> Equation:
    product: Expression = chain.factors[0]
    for factor in chain.factors[1:]:
        product = Apply("*", (product, factor))
    key = "chain-only" if chain.only else "chain-one"
    remark = text(f"explain.{key}", gradient=shown(chain.gradient, digits))
    return Equation(chain.name, product, chain.product, remarks=(remark,))


def _updates(updates: Sequence[Update], digits: int) -> Iterator[Section]:
    """One section for each weight that moves; of those that do not, since nothing asks them to, one for all."""
    still = [u for u in updates if u.gradient == 0 and u.new == u.old]
    for update in updates:
        section = _update(update, digits)
        if update not in still:
            yield section
        elif update is still[0]:
            others = ", ".join(u.name for u in still[1:])
            remark = (text("explain.update-others", names=others),) if others else ()
            yield replace(section, remarks=(*section.remarks, *remark))


def _update(update: Update, digits: int) -> Section:
    title = text(
        "explain.section-update", name=update.name, old=shown(update.old, digits), new=shown(update.new, digits)
    )

    def listed(values: dict[str, Number]) -> str:
        return ", ".join(f"{name} = {shown(value, digits)}" for name, value in values.items())

    remarks = [listed({"g": update.gradient, "p": update.old, **update.options})]
    if update.state:
        remarks.append(text("explain.state", state=listed(dict(update.state))))
    equations = tuple(Equation(line.name, line.expression, line.value, line.formula) for line in update.lines)
    return Section(title, "", equations, tuple(remarks))
