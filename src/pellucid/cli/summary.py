"""A model's file, or the sizes of a network, come in; a table of its layers leaves: output shapes, parameters, bytes,
and the multiply-accumulates for one row, all read from the recorded graph. This is what `pellucid summary` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pellucid import nn
from pellucid._text import text
from pellucid.cli.network import build
from pellucid.cli.output import say, table
from pellucid.cli.settings import NETWORK
from pellucid.cli.using import model_path
from pellucid.core.op import Cost
from pellucid.core.spec import Spec, spec_of
from pellucid.errors import ArgumentError
from pellucid.graph import Graph, Instruction, Value, bind, record_batched
from pellucid.ops.create import zeros
from pellucid.train.files import load


@dataclass
class Layer:
    """One row of the table."""

    path: str
    operations: list[str] = field(default_factory=list)
    shape: tuple[Any, ...] = ()
    parameters: int = 0
    size_bytes: int = 0
    macs: int = 0


def summarise(model_word: str | None, flags: dict[str, str | None]) -> int:
    """Print the table of a saved model, or of the network that the flags describe; returns the exit code.

    Raises
        ArgumentError: neither, or fewer than two sizes.
    """
    if model_word is not None:
        loaded = load(model_path(model_word))
        model: nn.Module = loaded
        graph = loaded.graph
    else:
        model = _described(flags)
        model.eval()
        width = next(m.in_features for m in model.modules() if isinstance(m, nn.Linear))
        dtype = next(model.parameters()).dtype
        graph = record_batched(model, zeros((1, width), dtype=dtype))
    show(model, graph)
    return 0


def _described(flags: dict[str, str | None]) -> nn.Module:
    values = {s.key: s.default for s in NETWORK}
    for setting in NETWORK:
        given = flags.get(setting.key)
        if given is not None:
            values[setting.key] = setting.kind.read(f"--{setting.name}", given)
    if flags.get("layers") is None:
        raise ArgumentError("cli.model-or-layers")
    first, *rest = values.pop("layers") or [0]
    if not rest:
        raise ArgumentError("cli.summary-sizes", layers=flags["layers"])
    return build((first,), rest[:-1], rest[-1], **values)


def show(model: nn.Module, graph: Graph) -> None:
    """Print the layers and the totals."""
    layers = layers_of(model, graph)
    kinds = {name: type(module).__name__ for name, module in model.named_modules() if type(module) is not nn.Module}
    columns = [text(f"cli.column-{name}") for name in ("layer", "output", "parameters", "bytes", "macs")]
    rows = [
        [
            f"{layer.path}  {kinds.get(layer.path, ', '.join(layer.operations))}".strip(),
            f"({', '.join(map(str, layer.shape))})",
            f"{layer.parameters:,}",
            f"{layer.size_bytes:,}",
            f"{layer.macs:,}",
        ]
        for layer in layers
    ]
    count, size, macs = (sum(getattr(la, name) for la in layers) for name in ("parameters", "size_bytes", "macs"))
    rows.append([text("cli.total"), "", f"{count:,}", f"{size:,}", f"{macs:,}"])
    table(columns, rows, right=(1, 2, 3, 4), footer=True)
    dtype = next((p.dtype.name for p in model.parameters()), "-")
    say(text("cli.total-line", parameters=f"{count:,}", size_bytes=f"{size:,}", dtype=dtype, macs=f"{macs:,}"))


def layers_of(model: nn.Module, graph: Graph) -> list[Layer]:
    """The layers in the order in which they run, each with what its operations cost for one row."""
    layers: dict[str, Layer] = {}
    single = bind(graph, 1)
    for symbolic, instruction in zip(graph.instructions, single.instructions, strict=True):
        path = _path(symbolic, model)
        layer = layers.setdefault(path, Layer(path))
        layer.shape = symbolic.output.spec.shape
        word = (
            symbolic.scope[-1].name if len(symbolic.scope) > 1 and _is_composite(symbolic, path) else symbolic.op.name
        )
        if word not in layer.operations:
            layer.operations.append(word)
        layer.macs += cost(instruction).macs
    for name, parameter in model.named_parameters():
        owner = name.rpartition(".")[0]
        layer = layers.setdefault(owner, Layer(owner))
        layer.parameters += parameter.size
        layer.size_bytes += parameter.nbytes
    return list(layers.values())


def _path(instruction: Instruction, model: nn.Module) -> str:
    """The full name of the innermost module that an operation ran in; the outermost has none."""
    known = {name for name, _ in model.named_modules()} | {
        name.rpartition(".")[0] for name, _ in model.named_parameters()
    }
    names = [scope.name for scope in instruction.scope[1:]]
    for length in range(len(names), 0, -1):
        path = ".".join(names[:length])
        if path in known or length == 1:
            return path
    return ""


def _is_composite(instruction: Instruction, path: str) -> bool:
    return instruction.scope[-1].name != path.rpartition(".")[2]


def cost(instruction: Instruction) -> Cost:
    """The counted work of an operation, from its declaration."""
    specs = list(_specs(instruction))
    return instruction.op.cost(specs, instruction.output.spec, dict(instruction.attrs))


def _specs(instruction: Instruction) -> Iterator[Spec]:
    for given in instruction.inputs:
        yield given.spec if isinstance(given, Value) else spec_of(given)
