"""A graph as a JSON document, and back: what a model file holds. Only registered operations, numbers, strings, tuples,
slices and lengths can be said; nothing is imported or evaluated. What comes in may have been written by anybody: every
part is checked, and the memory that one row would take is bounded, before `verify` looks at the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid._typing import DType
from pellucid.core.check import closest, shown
from pellucid.core.op import REGISTRY
from pellucid.core.spec import Spec
from pellucid.core.tensor import Tensor
from pellucid.errors import GraphError
from pellucid.graph.batch import bind
from pellucid.graph.ir import Batch, Captured, Graph, Instruction, Scope, Value
from pellucid.graph.verify import verify

ROW_LIMIT_BYTES = 2**33
"""The most that all results for a single row may take together."""

CONSTANT = "pellucid.constant."
"""How the names of constants begin, which have none of their own: `to_document` is given them so."""

_LONGEST = 2**48
_DEEPEST = 16
_DTYPES = {
    np.dtype(t).name: np.dtype(t) for t in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
}


def to_document(graph: Graph, tensors: list[str]) -> dict[str, Any]:
    """The graph in JSON's types; `tensors` names each captured tensor, which the file keeps elsewhere.

    Raises
        GraphError: an attribute that JSON cannot hold, or updates, which a document has no words for.
    """
    if graph.updates:
        raise GraphError("graph.document-updates", names=", ".join(str(target) for target, _ in graph.updates))
    return {
        "name": graph.name,
        "float_dtype": graph.float_dtype,
        "inputs": [_value_out(v) for v in graph.inputs],
        "captured": [{"id": c.value.id, "tensor": name} for c, name in zip(graph.captured, tensors, strict=True)],
        "instructions": [_instruction_out(i) for i in graph.instructions],
        "outputs": _tree_out(graph.outputs),
    }


def _value_out(value: Value) -> dict[str, Any]:
    return {
        "id": value.id,
        "name": value.name,
        "dtype": value.spec.dtype.name,
        "shape": _out(value.spec.shape, "shape"),
    }


def _instruction_out(instruction: Instruction) -> dict[str, Any]:
    op = instruction.op.name
    return {
        "op": op,
        "inputs": [f"%{x.id}" if isinstance(x, Value) else _out(x, op) for x in instruction.inputs],
        "attrs": {name: _out(a, f"{op} {name}") for name, a in instruction.attrs.items()},
        "output": _value_out(instruction.output),
        "scope": [[s.name, s.call] for s in instruction.scope],
        "stopped": list(instruction.stopped),
    }


def _out(x: Any, where: str) -> Any:
    if x is None or type(x) in (bool, int, str):
        return x
    if type(x) is float:
        return x if math.isfinite(x) else {"float": str(x)}
    if isinstance(x, Batch):
        return {"batch": x.multiplier}
    if isinstance(x, tuple | list):
        return [_out(item, where) for item in x]
    if isinstance(x, slice):
        return {"slice": [_out(part, where) for part in (x.start, x.stop, x.step)]}
    if x is Ellipsis:
        return {"ellipsis": True}
    raise GraphError("graph.document-value", where=where, type=type(x).__name__)


def _tree_out(tree: Any) -> Any:
    if isinstance(tree, Value):
        return f"%{tree.id}"
    if isinstance(tree, tuple):
        return {"tuple": [_tree_out(item) for item in tree]}
    if isinstance(tree, list):
        return {"list": [_tree_out(item) for item in tree]}
    if isinstance(tree, dict):
        if not all(isinstance(key, str) for key in tree):
            raise GraphError("graph.document-value", where="return", type="dict")
        return {"dict": [[key, _tree_out(item)] for key, item in tree.items()]}
    return {"plain": _out(tree, "return")}


# Reading


def from_document(document: Any, tensors: Mapping[str, Tensor]) -> Graph:
    """The graph of a document, verified, with its captured tensors taken from `tensors` by name.

    Raises
        GraphError: a part of the wrong form, an unknown operation, a broken rule, or results too large for any memory.
    """
    top = _table(document, "graph", "name", "float_dtype", "inputs", "captured", "instructions", "outputs")
    float_dtype = _text(top["float_dtype"], "float_dtype")
    if float_dtype not in ("float32", "float64"):
        raise _wrong("float_dtype", float_dtype, "float32 | float64")
    values: dict[int, Value] = {}
    inputs = [_value_in(v, f"inputs[{n}]", values) for n, v in enumerate(_list(top["inputs"], "inputs"))]
    captured = [
        _captured_in(c, f"captured[{n}]", values, tensors) for n, c in enumerate(_list(top["captured"], "captured"))
    ]
    instructions = [
        _instruction_in(i, f"instructions[{n}]", values)
        for n, i in enumerate(_list(top["instructions"], "instructions"))
    ]
    graph = Graph(
        name=_text(top["name"], "name"),
        inputs=tuple(inputs),
        captured=tuple(captured),
        instructions=tuple(instructions),
        outputs=_tree_in(top["outputs"], "outputs", values),
        float_dtype=float_dtype,
    )
    _check_memory(graph)
    verify(graph)
    return graph


def _check_memory(graph: Graph) -> None:
    total = 0
    row = bind(graph, 1)
    for value in (*row.inputs, *(i.output for i in row.instructions)):
        total += value.spec.nbytes
        if total > ROW_LIMIT_BYTES:
            raise GraphError("graph.document-memory", value=str(value), spec=value.spec, limit_bytes=ROW_LIMIT_BYTES)


def _wrong(where: str, given: Any, expected: str) -> GraphError:
    return GraphError("graph.document", where=where, given=shown(given), expected=expected)


def _table(x: Any, where: str, *keys: str) -> dict[str, Any]:
    if type(x) is not dict or set(x) != set(keys):
        raise _wrong(where, sorted(x) if type(x) is dict else x, "{" + ", ".join(keys) + "}")
    return x


def _list(x: Any, where: str) -> list[Any]:
    if type(x) is not list:
        raise _wrong(where, x, "[...]")
    return x


def _text(x: Any, where: str) -> str:
    if type(x) is not str:
        raise _wrong(where, x, "str")
    return x


def _whole(x: Any, where: str, low: int = 0, high: int = _LONGEST) -> int:
    if type(x) is not int or not low <= x <= high:
        raise _wrong(where, x, f"int, {low} .. {high}")
    return x


def _dtype(x: Any, where: str) -> DType:
    if type(x) is not str or x not in _DTYPES:
        raise _wrong(where, x, " | ".join(_DTYPES))
    return _DTYPES[x]


def _shape(x: Any, where: str) -> tuple[Any, ...]:
    lengths = _list(x, where)
    if len(lengths) > 32:
        raise _wrong(where, f"{len(lengths)} axes", "0 .. 32")
    return tuple(_batch(n, where) if type(n) is dict else _whole(n, where) for n in lengths)


def _batch(x: Any, where: str) -> Batch:
    return Batch(_whole(_table(x, where, "batch")["batch"], where, 1))


def _value_in(x: Any, where: str, values: dict[int, Value]) -> Value:
    entry = _table(x, where, "id", "name", "dtype", "shape")
    spec = Spec(_shape(entry["shape"], f"{where}.shape"), _dtype(entry["dtype"], f"{where}.dtype"))
    return _defined(Value(_whole(entry["id"], f"{where}.id"), spec, _text(entry["name"], f"{where}.name")), values)


def _defined(value: Value, values: dict[int, Value]) -> Value:
    if value.id in values:
        raise GraphError("graph.defined-twice", id=value.id, line=f"{value}: {value.spec}")
    values[value.id] = value
    return value


def _captured_in(x: Any, where: str, values: dict[int, Value], tensors: Mapping[str, Tensor]) -> Captured:
    entry = _table(x, where, "id", "tensor")
    name = _text(entry["tensor"], f"{where}.tensor")
    if name not in tensors:
        raise GraphError("graph.document-tensor", where=where, name=name)
    tensor = tensors[name]
    # Equal constants are one tensor of the file, which gives its name to the first of them alone.
    again = name.startswith(CONSTANT) and any(v.name == name for v in values.values())
    value = Value(_whole(entry["id"], f"{where}.id"), Spec(tensor.shape, tensor.dtype), "" if again else name)
    return Captured(_defined(value, values), tensor)


def _instruction_in(x: Any, where: str, values: dict[int, Value]) -> Instruction:
    entry = _table(x, where, "op", "inputs", "attrs", "output", "scope", "stopped")
    name = _text(entry["op"], f"{where}.op")
    if name not in REGISTRY:
        raise GraphError("graph.document-op", where=where, op=name, suggestion=closest(name, REGISTRY))
    inputs = [_input_in(i, f"{where}.inputs[{n}]", values) for n, i in enumerate(_list(entry["inputs"], where))]
    if type(entry["attrs"]) is not dict:
        raise _wrong(f"{where}.attrs", entry["attrs"], "{...}")
    attrs = {key: _in(value, f"{where}.attrs.{key}") for key, value in entry["attrs"].items()}
    scope = []
    for pair in _list(entry["scope"], f"{where}.scope"):
        if type(pair) is not list or len(pair) != 2:
            raise _wrong(f"{where}.scope", pair, "[str, int]")
        scope.append(Scope(_text(pair[0], f"{where}.scope"), _whole(pair[1], f"{where}.scope")))
    stopped = tuple(_whole(p, f"{where}.stopped") for p in _list(entry["stopped"], f"{where}.stopped"))
    output = _value_in(entry["output"], f"{where}.output", values)
    return Instruction(REGISTRY[name], tuple(inputs), attrs, output, tuple(scope), stopped)


def _input_in(x: Any, where: str, values: dict[int, Value]) -> Any:
    if type(x) is str:
        return _reference(x, where, values)
    number = _in(x, where)
    if type(number) not in (bool, int, float, Batch):
        raise _wrong(where, x, "%id | number")
    return number


def _reference(x: str, where: str, values: dict[int, Value]) -> Value:
    digits = x[1:]
    if not x.startswith("%") or not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise _wrong(where, x, "%id")
    if int(digits) not in values:
        raise GraphError("graph.undefined", value=x, line=where)
    return values[int(digits)]


def _in(x: Any, where: str, depth: int = 0) -> Any:
    if x is None or type(x) in (bool, float, str):
        return x
    if type(x) is int:
        return _whole(x, where, -_LONGEST, _LONGEST)
    if depth > _DEEPEST:
        raise _wrong(where, "[[[...]]]", f"depth <= {_DEEPEST}")
    if type(x) is list:
        return tuple(_in(item, where, depth + 1) for item in x)
    if type(x) is dict and len(x) == 1:
        ((key, inner),) = x.items()
        if key == "float" and inner in ("inf", "-inf", "nan"):
            return float(inner)
        if key == "batch":
            return _batch(x, where)
        if key == "slice" and type(inner) is list and len(inner) == 3:
            parts = [_in(part, where, depth + 1) for part in inner]
            if all(part is None or type(part) in (int, Batch) for part in parts) and parts[2] != 0:
                return slice(*parts)
        if key == "ellipsis" and inner is True:
            return Ellipsis
    raise _wrong(where, x, "null | bool | int | float | str | [...] | {float} | {batch} | {slice} | {ellipsis}")


def _tree_in(x: Any, where: str, values: dict[int, Value], depth: int = 0) -> Any:
    if type(x) is str:
        return _reference(x, where, values)
    if type(x) is dict and len(x) == 1 and depth <= _DEEPEST:
        ((key, inner),) = x.items()
        if key == "plain":
            return _in(inner, where)
        if key in ("tuple", "list") and type(inner) is list:
            items = [_tree_in(item, where, values, depth + 1) for item in inner]
            return tuple(items) if key == "tuple" else items
        if key == "dict" and type(inner) is list and all(type(p) is list and len(p) == 2 for p in inner):
            return {_text(name, where): _tree_in(item, where, values, depth + 1) for name, item in inner}
    raise _wrong(where, x, "%id | {tuple} | {list} | {dict} | {plain}")
