"""What a model file says besides its arrays: a JSON document of the network's parts, its graph, its preprocessing and
names. `files.py` builds it from a network when it saves, and has it checked here, part by part, when it loads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import shown
from pellucid.core.tensor import Tensor
from pellucid.data import MinMax, Standardize
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, FileFormatError, ShapeError
from pellucid.graph import Graph, Value
from pellucid.graph.encode import CONSTANT
from pellucid.nn import Module
from pellucid.train.container import digest
from pellucid.train.loaded import Part

FORMAT = "pellucid-model"
VERSION = 1
RESERVED = "pellucid."

_SCALERS: dict[str, Any] = {c.kind: c for c in (Standardize, MinMax)}
_KEYS = (
    "format",
    "version",
    "pellucid",
    "digest",
    "parts",
    "graph",
    "preprocessing",
    "class_names",
    "feature_names",
    "metadata",
)


# Saving


def contents(model: Module, graph: Graph) -> tuple[dict[str, Array], list[dict[str, Any]], list[str]]:
    """The arrays of the file, the parts of the network, and the names of the graph's captured tensors among the
    arrays."""
    owners: dict[str, tuple[Tensor, bool]] = {n: (t, False) for n, t in model.named_buffers(remove_duplicate=False)}
    owners.update((n, (t, True)) for n, t in model.named_parameters(remove_duplicate=False))
    arrays: dict[str, Array] = {}
    parts = []
    names: dict[int, str] = {}
    for name in model.state_dict():
        if name.startswith(RESERVED) or name == "__metadata__":
            raise ArgumentError("files.reserved", name=name, prefix=RESERVED)
        tensor, is_parameter = owners[name]
        arrays[name] = array = tensor.data
        first = names.setdefault(id(tensor), name)
        kind = "buffer" if not is_parameter else "parameter" if tensor.requires_grad else "frozen"
        columns = array.flags.f_contiguous and not array.flags.c_contiguous
        same_as = None if first == name else first
        parts.append({"name": name, "kind": kind, "order": "F" if columns else "C", "same_as": same_as})
    constants: dict[Any, str] = {}
    tensors = []
    for item in graph.captured:
        name = names.get(id(item.tensor), "")
        if not name:
            array = item.tensor.data
            key = (array.dtype.str, array.shape, array.tobytes())
            name = constants.setdefault(key, f"{CONSTANT}{len(constants)}")
            arrays[name] = array
        tensors.append(name)
    return arrays, parts, tensors


def as_scaler(preprocessing: Any) -> Any:
    """A fitted scaler, or None, from whatever `save` was given.

    Raises
        ArgumentTypeError: something else.
    """
    if preprocessing is None or isinstance(preprocessing, Standardize | MinMax):
        return preprocessing
    if isinstance(preprocessing, Mapping) and preprocessing.get("kind") in _SCALERS:
        return _SCALERS[preprocessing["kind"]].from_state(dict(preprocessing))
    raise ArgumentTypeError("files.preprocessing", type=type(preprocessing).__name__)


def scaler_out(scaler: Any, graph: Graph, arrays: dict[str, Array]) -> dict[str, Any] | None:
    """The scaler's entry in the document; its numbers join `arrays`.

    Raises
        ShapeError: it scales rows of another shape than the network takes.
    """
    if scaler is None:
        return None
    state = scaler.state()
    kind = state.pop("kind")
    row = next(iter(state.values())).shape
    expected = graph.inputs[0].spec.shape[1:]
    if row != expected:
        raise ShapeError("files.preprocessing-shape", given=row, expected=expected)
    arrays.update((f"{RESERVED}preprocessing.{name}", array) for name, array in state.items())
    return {"kind": kind, "arrays": list(state)}


def checked_class_names(names: Any, graph: Graph) -> list[str] | None:
    """Names of classes, as many as the network has outputs (two for a single one).

    Raises
        ArgumentTypeError, ArgumentError: no strings, or another number.
    """
    result = _names("class_names", names)
    if result is not None and isinstance(graph.outputs, Value) and len(graph.outputs.spec.shape) == 2:
        outputs = graph.outputs.spec.shape[1]
        if outputs != len(result) and (outputs, len(result)) != (1, 2):
            raise ArgumentError(
                "files.names-count", argument="class_names", given=len(result), expected=f"{graph.outputs.spec}"
            )
    return result


def checked_feature_names(names: Any, graph: Graph) -> list[str] | None:
    """Names of the columns of the input.

    Raises
        ArgumentTypeError, ArgumentError: no strings, or another number.
    """
    result = _names("feature_names", names)
    row = graph.inputs[0].spec.shape[1:] if graph.inputs else ()
    if result is not None and len(row) == 1 and row[0] != len(result):
        raise ArgumentError(
            "files.names-count", argument="feature_names", given=len(result), expected=f"{graph.inputs[0].spec}"
        )
    return result


def _names(argument: str, names: Any) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError("files.names", argument=argument, given=shown(names))
    return [str(name) for name in names]


def plain(metadata: Any) -> dict[str, Any]:
    """The user's metadata in JSON's own types.

    Raises
        ArgumentTypeError: something that JSON cannot hold.
    """
    if metadata is None:
        return {}
    try:
        if not isinstance(metadata, Mapping):
            raise TypeError(type(metadata).__name__)
        copy = json.loads(json.dumps(dict(metadata), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as problem:
        raise ArgumentTypeError("files.metadata", problem=str(problem)) from None
    return dict(copy)


def written(document: dict[str, Any]) -> str:
    """The document as text, the same for equal documents."""
    # ASCII, so that no name can be unfit for the file.
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def seal(document: dict[str, Any], arrays: Mapping[str, Array]) -> str:
    """The checksum that stands in a document under "digest": of everything else in the file."""
    return digest(written({k: v for k, v in document.items() if k != "digest"}), arrays)


# Loading


def wrong(path: str, where: str, given: Any, expected: str) -> FileFormatError:
    """The error for a part of the document that is not as it should be."""
    return FileFormatError("files.document", path=path, where=where, given=shown(given), expected=expected)


def as_document(path: str, arrays: dict[str, Array], metadata: dict[str, str]) -> dict[str, Any]:
    """The document of a file, of a known form and version and undamaged; its parts are still to be checked.

    Raises
        FileFormatError: none of that.
    """
    if "pellucid" not in metadata:
        names = ", ".join(list(arrays)[:3]) or "-"
        raise FileFormatError("files.not-a-model", path=path, count=len(arrays), names=names)
    try:
        document = json.loads(metadata["pellucid"])
    except (ValueError, RecursionError) as problem:
        raise wrong(path, "metadata", str(problem), "JSON") from None
    if type(document) is not dict:
        raise wrong(path, "metadata", document, "{...}")
    form = document.get("format")
    if isinstance(form, str) and form.startswith("pellucid-checkpoint"):
        raise FileFormatError("files.checkpoint", path=path, format=form)
    if form != FORMAT:
        raise wrong(path, "format", form, repr(FORMAT))
    if type(document.get("version")) is not int or document["version"] != VERSION:
        written_by = shown(document.get("pellucid"))
        raise FileFormatError(
            "files.version", path=path, given=shown(document.get("version")), pellucid=written_by, expected=VERSION
        )
    if set(document) != set(_KEYS):
        raise wrong(path, "metadata", sorted(document), "{" + ", ".join(_KEYS) + "}")
    if type(document["pellucid"]) is not str or type(document["metadata"]) is not dict:
        raise wrong(path, "pellucid, metadata", (document["pellucid"], document["metadata"]), "str, {...}")
    try:
        found = seal(document, arrays)
    except (ValueError, RecursionError) as problem:
        raise wrong(path, "metadata", str(problem), "JSON") from None
    if document["digest"] != found:
        raise wrong(path, "digest", document["digest"], repr(found))
    return document


def parts_in(path: str, entries: Any, arrays: dict[str, Array]) -> tuple[list[Part], dict[str, Tensor]]:
    """The network's parts, and their tensors by name."""
    if type(entries) is not list:
        raise wrong(path, "parts", entries, "[...]")
    parts: list[Part] = []
    tensors: dict[str, Tensor] = {}
    for n, entry in enumerate(entries):
        where = f"parts[{n}]"
        if type(entry) is not dict or set(entry) != {"name", "kind", "order", "same_as"}:
            raise wrong(path, where, entry, "{name, kind, order, same_as}")
        name, kind, same_as = entry["name"], entry["kind"], entry["same_as"]
        if type(name) is not str or name not in arrays or name in tensors or name.startswith(RESERVED):
            raise wrong(path, f"{where}.name", name, "a tensor of the file")
        if not all(name.split(".")):
            raise wrong(path, f"{where}.name", name, "a.b.c")
        if kind not in ("parameter", "frozen", "buffer") or entry["order"] not in ("C", "F"):
            raise wrong(path, where, (kind, entry["order"]), "parameter | frozen | buffer, C | F")
        if kind != "buffer" and arrays[name].dtype.kind != "f":
            raise wrong(path, f"{where}.kind", f"{kind}, {arrays[name].dtype.name}", "float32 | float64")
        if same_as is None:
            array = np.asfortranarray(arrays[name]) if entry["order"] == "F" else arrays[name]
            part = Part.of(name, kind, array)
        else:
            one = next((p for p in parts if p.name == same_as), None)
            if one is None or one.kind != kind or not _equal(arrays[name], one.tensor.data):
                raise wrong(path, f"{where}.same_as", same_as, f"an earlier part equal to {name}")
            part = Part(name, kind, one.tensor)
        parts.append(part)
        tensors[name] = part.tensor
    return parts, tensors


def _equal(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def scaler_in(path: str, entry: Any, arrays: dict[str, Array]) -> Any:
    """The scaler of the document, or None."""
    if entry is None:
        return None
    if type(entry) is not dict or set(entry) != {"kind", "arrays"} or entry["kind"] not in list(_SCALERS):
        raise wrong(path, "preprocessing", entry, "{kind, arrays}, kind " + " | ".join(_SCALERS))
    names = entry["arrays"]
    prefix = f"{RESERVED}preprocessing."
    if type(names) is not list or any(type(n) is not str or prefix + n not in arrays for n in names):
        raise wrong(path, "preprocessing.arrays", names, "names of tensors of the file")
    state = {"kind": entry["kind"]} | {n: arrays[prefix + n] for n in names}
    try:
        return _SCALERS[entry["kind"]].from_state(state)
    except (FileFormatError, DTypeError) as error:
        raise wrong(path, "preprocessing", error.given, error.expected) from error


def names_in(path: str, where: str, names: Any) -> tuple[str, ...] | None:
    """Names of classes or features, or None."""
    if names is None:
        return None
    if type(names) is not list or not all(type(n) is str for n in names):
        raise wrong(path, where, names, "[str, ...] | null")
    return tuple(names)
