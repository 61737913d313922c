"""What a network costs comes in; its table leaves, as headings and rows of text or as Markdown, as people put it into a
paper. Called by the command line and by users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pellucid._text import text
from pellucid.core.check import Integer, check
from pellucid.inspection import CostReport, LayerCost, Work

_PREFIXES = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


@dataclass(frozen=True)
class CostTable:
    """A table: headings, rows, and a last row of totals. The columns in `right` hold numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...]
    right: tuple[int, ...]


@dataclass
class Line:
    """A line of a table or a figure: a layer, or all layers below one name."""

    name: str
    kind: str
    output: str
    parameters: int
    activations: int
    forward: Work
    backward: Work
    update: Work
    stored_bytes: int
    seconds: float | None
    bound: str

    @property
    def work(self) -> Work:
        return self.forward + self.backward + self.update


def cost_lines(report: CostReport, depth: int | None = None) -> list[Line]:
    """The layers as lines; with a depth those whose names have the same first parts are one.

    Parameters
        depth : how many parts of a name tell lines apart, from 1 up; None for all
    """
    check("depth", depth, Integer(1, none=True))
    lines: dict[tuple[str, str], Line] = {}
    for layer in report.layers:
        parts = layer.path.split(".")
        merged = depth is not None and len(parts) > depth
        name = ".".join(parts[:depth]) if merged else layer.path
        new = _line(layer, name, report.modules.get(name, "") if merged else layer.kind)
        key = (layer.role, name)
        lines[key] = _joined(lines[key], new) if key in lines else new
    return list(lines.values())


def _line(layer: LayerCost, name: str, kind: str) -> Line:
    label = {"loss": text("cost.role-loss"), "optimizer": text("cost.role-optimizer")}.get(layer.role, name)
    shape = "" if layer.output is None else f"({', '.join(map(str, layer.output))})"
    return Line(
        name=label or text("cost.role-outside"),
        kind=kind,
        output=shape,
        parameters=layer.parameters,
        activations=layer.activations,
        forward=layer.forward,
        backward=layer.backward,
        update=layer.update,
        stored_bytes=layer.stored_bytes or 0,
        seconds=None if layer.measured is None else layer.measured.timing.p50_s,
        bound="" if layer.measured is None else text(f"cost.bound-{layer.measured.bound}"),
    )


def _joined(a: Line, b: Line) -> Line:
    times = [x.seconds for x in (a, b) if x.seconds is not None]
    return Line(
        a.name,
        a.kind if a.kind == b.kind else "",
        b.output or a.output,
        a.parameters + b.parameters,
        a.activations + b.activations,
        a.forward + b.forward,
        a.backward + b.backward,
        a.update + b.update,
        a.stored_bytes + b.stored_bytes,
        sum(times) if times else None,
        a.bound if a.bound == b.bound else "",
    )


def cost_table(report: CostReport, depth: int | None = None) -> CostTable:
    """The table of a report, its words in the language in force.

    Parameters
        depth : how many parts of a layer's name tell lines apart, from 1 up; None for all
    """
    names = ["layer", "kind", "output", "parameters"]
    names += ["forward-macs", "backward-macs"] if report.training else ["macs"]
    names += ["flops", "activations", "traffic", "intensity"]
    if report.training:
        names.append("stored")
    if report.measured is not None:
        names += ["time", "bound"]
    rows = [_cells(line, names) for line in cost_lines(report, depth)]
    whole = Line(
        name=text("cost.total"),
        kind="",
        output="",
        parameters=report.parameters,
        activations=sum(layer.activations for layer in report.layers),
        forward=report.forward,
        backward=report.backward,
        update=report.update,
        stored_bytes=report.stored_bytes or 0,
        seconds=_seconds(report),
        bound="",
    )
    headings = tuple(text(f"cost.column-{name}") for name in names)
    right = tuple(n for n, name in enumerate(names) if name not in ("layer", "kind", "output", "bound"))
    return CostTable(headings, tuple(rows), _cells(whole, names), right)


def _seconds(report: CostReport) -> float | None:
    times = [layer.measured.timing.p50_s for layer in report.layers if layer.measured is not None]
    return sum(times) if times else None


def _cells(line: Line, names: Sequence[str]) -> tuple[str, ...]:
    work = line.work
    cells = {
        "layer": line.name,
        "kind": line.kind,
        "output": line.output,
        "parameters": f"{line.parameters:,}",
        "macs": f"{work.macs:,}",
        "forward-macs": f"{line.forward.macs:,}",
        "flops": f"{work.flops:,}",
        "activations": f"{line.activations:,}",
        "traffic": quantity(work.traffic_bytes, "B"),
        "intensity": f"{work.intensity:.3g}",
        "backward-macs": f"{line.backward.macs:,}",
        "stored": quantity(line.stored_bytes, "B"),
        "time": "" if line.seconds is None else f"{line.seconds * 1e3:.3g}",
        "bound": line.bound,
    }
    return tuple(cells[name] for name in names)


def quantity(number: float, unit: str) -> str:
    """A number with four figures and a decimal prefix: 1.814 G."""
    for prefix, size in _PREFIXES:
        if abs(number) >= size:
            return f"{number / size:.4g} {prefix}{unit}"
    return f"{number:.4g} {unit}".rstrip()


def cost_markdown(report: CostReport, depth: int | None = None) -> str:
    """The report as Markdown: a table of the layers, and what the whole comes to.

    Parameters
        depth : how many parts of a layer's name tell lines apart, from 1 up; None for all
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Sequential(pl.nn.Linear(3, 2), pl.nn.ReLU())
        >>> print(cost_markdown(pl.cost(model, (1, 3))).splitlines()[2])
        | 0 | Linear | (1, 2) | 8 | 6 | 14 | 2 | 52 B | 0.269 |
    """
    table = cost_table(report, depth)
    rule = ["---:" if n in table.right else ":---" for n in range(len(table.headings))]
    bold = [f"**{cell}**" if cell else "" for cell in table.total]
    lines = [f"| {' | '.join(map(_escaped, cells))} |" for cells in (table.headings, rule, *table.rows, bold)]
    facts = [f"- {' '.join(line.split())}" for line in str(report).splitlines()]
    return "\n".join([*lines, "", *facts])


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")
