"""A network goes into one safetensors file and comes out of it as a `LoadedModel`. Users call `save` and `load`, also as `pellucid.save` and
`pellucid.load`; the command line saves what it has trained.

The tensors of the file are the network's state dict under its own names, so that every reader of safetensors finds the weights. Its metadata hold
one JSON document: the graph of the network in eval mode, for batches of any size, in registered operations alone; what is done to the
inputs before it; names of classes and features. Loading imports nothing by name and evaluates nothing.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import shown
from pellucid.core.context import enable_grad
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.data import MinMax, Standardize
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    FileFormatError,
    GraphError,
    ShapeError,
)
from pellucid.graph import Graph, Value, record_batched
from pellucid.graph.encode import from_document, to_document
from pellucid.nn import Module
from pellucid.train.container import as_path, read, write
from pellucid.train.evaluate import model_dtype, takes_whole_numbers
from pellucid.train.loaded import FileInfo, LoadedModel, Part

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


def save(
    model: Module,
    path: Any,
    *,
    example: Any = None,
    preprocessing: Any = None,
    class_names: Any = None,
    feature_names: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write a network to one file: its weights, and the graph of what it computes in eval mode, for batches of any size.

    The file is in place whole, or, if writing is interrupted, not at all; an older one stays. Equal networks give equal bytes.

    Parameters
        model : the network; its mode and its state are as before afterwards.
        path : the file, such as "digits.safetensors".
        example : a batch of one row or more, or a tuple of them for several arguments; None takes the shape from the preprocessing,
            from what the network was last called with, or from its first Linear.
        preprocessing : a fitted `pellucid.data` scaler, which `LoadedModel.predict` applies.
        class_names, feature_names : names of the outputs and of the inputs' columns.
        metadata : anything else to keep that JSON can hold.
    Raises
        ArgumentError: the input's shape is not known, or names do not fit.
        RecordingError: the network looks at values, draws random numbers in eval mode, or does something else for other batch sizes.
        MissingFileError: the folder does not exist.
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Linear(4, 2)
        >>> pl.save(model, "linear.safetensors")
        >>> pl.load("linear.safetensors").predict([[0.0, 0.0, 0.0, 0.0]]).tolist()
        [[0.0, 0.0]]
    """
    file_path = as_path(path)
    if not isinstance(model, Module):
        raise ArgumentTypeError("files.not-a-module", type=type(model).__name__)
    if isinstance(model, LoadedModel):
        graph: Graph = model.graph
        preprocessing = model.preprocessing if preprocessing is None else preprocessing
        class_names = model.class_names if class_names is None else class_names
        feature_names = model.feature_names if feature_names is None else feature_names
        metadata = model.metadata if metadata is None else metadata
    scaler = _scaler(preprocessing)
    if not isinstance(model, LoadedModel):
        graph = _recorded(model, example, scaler)
    arrays, parts, tensors = _contents(model, graph)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "pellucid": sys.modules["pellucid"].__version__,
        "parts": parts,
        "graph": to_document(graph, tensors),
        "preprocessing": _scaler_out(scaler, graph, arrays),
        "class_names": _class_names(class_names, graph),
        "feature_names": _feature_names(feature_names, graph),
        "metadata": _plain(metadata),
    }
    document["digest"] = _digest(document, arrays)
    write(file_path, arrays, _written(document))


def load(path: Any) -> LoadedModel:
    """The network that `save` wrote, without the code that built it.

    Parameters
        path : the file; it may come from anywhere: nothing in it is executed, and every size in it is checked first.
    Returns
        LoadedModel, in eval mode; its parameters are trainable, by their own names
    Raises
        MissingFileError: no such file.
        FileFormatError: a truncated, damaged or foreign file, an unknown version or operation; says what, and where.
    """
    file_path = as_path(path)
    arrays, metadata = read(file_path)
    document = _document(file_path.name, arrays, metadata)
    parts, tensors = _parts_in(file_path.name, document["parts"], arrays)
    scaler = _scaler_in(file_path.name, document["preprocessing"], arrays)
    tensors.update((name, wrap(arrays[name])) for name in arrays if name.startswith(f"{RESERVED}constant."))
    try:
        graph = from_document(document["graph"], tensors)
    except GraphError as error:
        raise FileFormatError(
            "files.graph", path=file_path.name, problem=error.what, given=error.given, expected=error.expected
        ) from error
    known = {*tensors, *(f"{RESERVED}preprocessing.{name}" for name in scaler.state() if name != "kind")} if scaler else tensors
    unknown = sorted(set(arrays) - set(known))
    if unknown:
        raise _wrong(file_path.name, "tensors", unknown[0], "a tensor that the document names")
    return LoadedModel(
        FileInfo(file_path.name, document["pellucid"], document["metadata"]),
        graph,
        parts,
        scaler,
        _names_in(file_path.name, "class_names", document["class_names"]),
        _names_in(file_path.name, "feature_names", document["feature_names"]),
    )


def load_weights(path: Any) -> dict[str, Array]:
    """The weights in a safetensors file by name, ours or another library's, for `model.load_state_dict`.

    Raises
        MissingFileError, FileFormatError: as `load`.
    """
    arrays, _ = read(as_path(path))
    return {name: array for name, array in arrays.items() if not name.startswith(RESERVED)}


# Saving


def _recorded(model: Module, example: Any, scaler: Any) -> Graph:
    examples, guessed = _examples(model, example, scaler)
    try:
        with _evaluating(model):
            return record_batched(model, *examples)
    except ShapeError:
        if guessed:
            raise ArgumentError("files.no-example", model=type(model).__name__) from None
        raise


@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    """Eval mode with gradients, which the loaded graph shall have too."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _examples(model: Module, example: Any, scaler: Any) -> tuple[list[Tensor], bool]:
    """A batch for each argument, and whether its shape is a guess."""
    dtype, keep = model_dtype(model), takes_whole_numbers(model)
    if example is not None:
        given = example if isinstance(example, tuple) else (example,)
        arrays = [to_array(x) for x in given]
        for n, (x, array) in enumerate(zip(given, arrays, strict=True)):
            if not isinstance(x, Tensor) and (array.dtype.kind == "f" or (n == 0 and not keep)):
                arrays[n] = array.astype(dtype)
        return [wrap(a) for a in arrays], False
    seen = vars(model).get("_input_seen")
    if scaler is not None:
        shape: Any = next(a.shape for name, a in scaler.state().items() if name != "kind")
    elif seen is not None:
        shape, dtype = seen
    else:
        first = next((m for m in model.modules() if next(iter(m.parameters(recurse=False)), None) is not None), model)
        features = getattr(first, "in_features", None) or getattr(first, "num_features", None)
        if not isinstance(features, int):
            raise ArgumentError("files.no-example", model=type(model).__name__)
        shape = (features,)
    return [wrap(np.zeros((1, *shape), dtype))], True


def _contents(model: Module, graph: Graph) -> tuple[dict[str, Array], list[dict[str, Any]], list[str]]:
    """The arrays of the file, the parts of the network, and the names of the graph's captured tensors among the arrays."""
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
            name = constants.setdefault(key, f"{RESERVED}constant.{len(constants)}")
            arrays[name] = array
        tensors.append(name)
    return arrays, parts, tensors


def _scaler(preprocessing: Any) -> Any:
    if preprocessing is None or isinstance(preprocessing, Standardize | MinMax):
        return preprocessing
    if isinstance(preprocessing, Mapping) and preprocessing.get("kind") in _SCALERS:
        return _SCALERS[preprocessing["kind"]].from_state(dict(preprocessing))
    raise ArgumentTypeError("files.preprocessing", type=type(preprocessing).__name__)


def _scaler_out(scaler: Any, graph: Graph, arrays: dict[str, Array]) -> dict[str, Any] | None:
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


def _class_names(names: Any, graph: Graph) -> list[str] | None:
    result = _names("class_names", names)
    if result is not None and isinstance(graph.outputs, Value) and len(graph.outputs.spec.shape) == 2:
        outputs = graph.outputs.spec.shape[1]
        if outputs != len(result) and (outputs, len(result)) != (1, 2):
            raise ArgumentError(
                "files.names-count", argument="class_names", given=len(result), expected=f"{graph.outputs.spec}"
            )
    return result


def _feature_names(names: Any, graph: Graph) -> list[str] | None:
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
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError("files.names", argument=argument, given=shown(names))
    return [str(name) for name in names]


def _plain(metadata: Any) -> dict[str, Any]:
    if metadata is None:
        return {}
    try:
        if not isinstance(metadata, Mapping):
            raise TypeError(type(metadata).__name__)
        copy = json.loads(json.dumps(dict(metadata), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as problem:
        raise ArgumentTypeError("files.metadata", problem=str(problem)) from None
    return dict(copy)


def _written(document: dict[str, Any]) -> str:
    # ASCII, so that no name can be unfit for the file.
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(document: dict[str, Any], arrays: Mapping[str, Array]) -> str:
    """A checksum of everything in the file. It finds damage; it is no proof of where a file comes from."""
    digest = hashlib.blake2b(_written({k: v for k, v in document.items() if k != "digest"}).encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.array(arrays[name], order="C", copy=None)
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


# Loading


def _wrong(path: str, where: str, given: Any, expected: str) -> FileFormatError:
    return FileFormatError("files.document", path=path, where=where, given=shown(given), expected=expected)


def _document(path: str, arrays: dict[str, Array], metadata: dict[str, str]) -> dict[str, Any]:
    if "pellucid" not in metadata:
        names = ", ".join(list(arrays)[:3]) or "-"
        raise FileFormatError("files.not-a-model", path=path, count=len(arrays), names=names)
    try:
        document = json.loads(metadata["pellucid"])
    except (ValueError, RecursionError) as problem:
        raise _wrong(path, "metadata", str(problem), "JSON") from None
    if type(document) is not dict:
        raise _wrong(path, "metadata", document, "{...}")
    form = document.get("format")
    if isinstance(form, str) and form.startswith("pellucid-checkpoint"):
        raise FileFormatError("files.checkpoint", path=path, format=form)
    if form != FORMAT:
        raise _wrong(path, "format", form, repr(FORMAT))
    if type(document.get("version")) is not int or document["version"] != VERSION:
        written_by = shown(document.get("pellucid"))
        raise FileFormatError(
            "files.version", path=path, given=shown(document.get("version")), pellucid=written_by, expected=VERSION
        )
    if set(document) != set(_KEYS):
        raise _wrong(path, "metadata", sorted(document), "{" + ", ".join(_KEYS) + "}")
    if type(document["pellucid"]) is not str or type(document["metadata"]) is not dict:
        raise _wrong(path, "pellucid, metadata", (document["pellucid"], document["metadata"]), "str, {...}")
    try:
        digest = _digest(document, arrays)
    except (ValueError, RecursionError) as problem:
        raise _wrong(path, "metadata", str(problem), "JSON") from None
    if document["digest"] != digest:
        raise _wrong(path, "digest", document["digest"], repr(digest))
    return document


def _parts_in(path: str, entries: Any, arrays: dict[str, Array]) -> tuple[list[Part], dict[str, Tensor]]:
    if type(entries) is not list:
        raise _wrong(path, "parts", entries, "[...]")
    parts: list[Part] = []
    tensors: dict[str, Tensor] = {}
    for n, entry in enumerate(entries):
        where = f"parts[{n}]"
        if type(entry) is not dict or set(entry) != {"name", "kind", "order", "same_as"}:
            raise _wrong(path, where, entry, "{name, kind, order, same_as}")
        name, kind, same_as = entry["name"], entry["kind"], entry["same_as"]
        if type(name) is not str or name not in arrays or name in tensors or name.startswith(RESERVED):
            raise _wrong(path, f"{where}.name", name, "a tensor of the file")
        if not all(name.split(".")):
            raise _wrong(path, f"{where}.name", name, "a.b.c")
        if kind not in ("parameter", "frozen", "buffer") or entry["order"] not in ("C", "F"):
            raise _wrong(path, where, (kind, entry["order"]), "parameter | frozen | buffer, C | F")
        if kind != "buffer" and arrays[name].dtype.kind != "f":
            raise _wrong(path, f"{where}.kind", f"{kind}, {arrays[name].dtype.name}", "float32 | float64")
        if same_as is None:
            array = np.asfortranarray(arrays[name]) if entry["order"] == "F" else arrays[name]
            part = Part.of(name, kind, array)
        else:
            one = next((p for p in parts if p.name == same_as), None)
            if one is None or one.kind != kind or not _equal(arrays[name], one.tensor.data):
                raise _wrong(path, f"{where}.same_as", same_as, f"an earlier part equal to {name}")
            part = Part(name, kind, one.tensor)
        parts.append(part)
        tensors[name] = part.tensor
    return parts, tensors


def _equal(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _scaler_in(path: str, entry: Any, arrays: dict[str, Array]) -> Any:
    if entry is None:
        return None
    if type(entry) is not dict or set(entry) != {"kind", "arrays"} or entry["kind"] not in list(_SCALERS):
        raise _wrong(path, "preprocessing", entry, "{kind, arrays}, kind " + " | ".join(_SCALERS))
    names = entry["arrays"]
    prefix = f"{RESERVED}preprocessing."
    if type(names) is not list or any(type(n) is not str or prefix + n not in arrays for n in names):
        raise _wrong(path, "preprocessing.arrays", names, "names of tensors of the file")
    state = {"kind": entry["kind"]} | {n: arrays[prefix + n] for n in names}
    try:
        return _SCALERS[entry["kind"]].from_state(state)
    except (FileFormatError, DTypeError) as error:
        raise _wrong(path, "preprocessing", error.given, error.expected) from error


def _names_in(path: str, where: str, names: Any) -> tuple[str, ...] | None:
    if names is None:
        return None
    if type(names) is not list or not all(type(n) is str for n in names):
        raise _wrong(path, where, names, "[str, ...] | null")
    return tuple(names)


