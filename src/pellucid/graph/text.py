"""A graph comes in; its text leaves, one line an operation: what `print(graph)` shows and what errors call an
instruction."""

from __future__ import annotations

from typing import Any

from pellucid.core.op import COMPOSITES
from pellucid.graph.ir import Graph, Instruction, Scope, Value

_WIDEST = 90


def written(graph: Graph) -> str:
    """The whole graph as text."""
    lines = [f"graph {graph.name}({', '.join(map(str, graph.inputs))})"]
    if graph.inputs:
        lines += ["  inputs", *(f"    {v}: {v.spec}" for v in graph.inputs)]
    if graph.captured:
        lines.append("  captured")
        for item in graph.captured:
            note = f"   # constant{_number(item.tensor)}" if item.constant else ""
            lines.append(f"    {item.value}: {item.value.spec}{note}")
    lines.append("  operations")
    bodies = [f"    {instruction_text(i)}" for i in graph.instructions]
    column = min(max(map(len, bodies), default=0), _WIDEST)
    for body, instruction in zip(bodies, graph.instructions, strict=True):
        where = scope_text(instruction.scope)
        lines.append(f"{body:<{column}}   # {where}" if where else body)
    if graph.updates:
        lines += ["  updates", *(f"    {target} <- {value}" for target, value in graph.updates)]
    if graph.reads:
        lines += ["  reads", *(f"    {r.value} by {r.use} at {r.place}" for r in graph.reads)]
    lines.append(f"  return {_tree(graph.outputs)}")
    return "\n".join(lines)


def instruction_text(instruction: Instruction) -> str:
    """`%7: float32[32,16] = matmul_transposed(%x, %net.0.weight)`."""
    arguments = [_input(x) for x in instruction.inputs]
    arguments += [f"{name}={_attribute(value)}" for name, value in instruction.attrs.items()]
    return f"{instruction.output}: {instruction.output.spec} = {instruction.op.name}({', '.join(arguments)})"


def scope_text(scope: tuple[Scope, ...]) -> str:
    """`net.0 / linear`: modules joined by points, then each composite after a stroke."""
    text = ""
    for name, _ in scope:
        text += (" / " if text and name in COMPOSITES else "." if text else "") + name
    return text


def _input(x: Any) -> str:
    return str(x) if isinstance(x, Value) else repr(x)


def _attribute(value: Any) -> str:
    if isinstance(value, slice):
        parts = ["" if v is None else str(v) for v in (value.start, value.stop, value.step)]
        return ":".join(parts[:2] if value.step is None else parts)
    if isinstance(value, tuple | list):
        inner = ", ".join(_attribute(v) for v in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return "..." if value is Ellipsis else repr(value)


def _number(tensor: Any) -> str:
    return f" {tensor.data.item()!r}" if tensor.data.size == 1 else ""


def _tree(tree: Any) -> str:
    if isinstance(tree, tuple):
        return f"({', '.join(map(_tree, tree))}{',' if len(tree) == 1 else ''})"
    if isinstance(tree, list):
        return f"[{', '.join(map(_tree, tree))}]"
    if isinstance(tree, dict):
        return f"{{{', '.join(f'{k!r}: {_tree(v)}' for k, v in tree.items())}}}"
    return _input(tree)
