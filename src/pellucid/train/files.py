"""A network goes into one safetensors file and comes out of it as a `LoadedModel`. Users call `save` and `load`, also
as `pellucid.save` and `pellucid.load`; the command line saves what it has trained.

The tensors of the file are the network's state dict under its own names, so that every reader of safetensors finds the
weights. Its metadata hold one JSON document: the graph of the network in eval mode, for batches of any size, in
registered operations alone; what is done to the inputs before it; names of classes and features. Loading imports
nothing by name and evaluates nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.context import enable_grad
from pellucid.core.paths import as_path
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    FileFormatError,
    GraphError,
    IndexRangeError,
    ShapeError,
)
from pellucid.graph import Graph, record_batched
from pellucid.graph.encode import CONSTANT, from_document, to_document
from pellucid.nn import Module
from pellucid.nn.attention.maps import aside
from pellucid.train.container import read, write
from pellucid.train.document import (
    FORMAT,
    RESERVED,
    VERSION,
    as_document,
    as_scaler,
    checked_class_names,
    checked_feature_names,
    contents,
    names_in,
    parts_in,
    plain,
    scaler_in,
    scaler_out,
    seal,
    written,
    wrong,
)
from pellucid.train.evaluate import model_dtype, modes_kept, takes_whole_numbers
from pellucid.train.loaded import FileInfo, LoadedModel


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
    """Write a network to one file: its weights, and the graph of what it computes in eval mode, for batches of any
    size.

    The file is in place whole, or, if writing is interrupted, not at all; an older one stays. Equal networks give equal
    bytes.

    Parameters
        model : the network; its mode and its state are as before afterwards.
        path : the file, such as "digits.safetensors".
        example : a batch of one row or more, or a tuple of them for several arguments; None takes the shape from
            the preprocessing, from what the network was last called with, or from its first Linear.
        preprocessing : a fitted `pellucid.data` scaler, which `LoadedModel.predict` applies.
        class_names, feature_names : names of the outputs and of the inputs' columns.
        metadata : anything else to keep that JSON can hold.
    Raises
        ArgumentError: the input's shape is not known, or names do not fit.
        RecordingError: the network looks at values, draws random numbers in eval mode, or does something else for
            other batch sizes.
        MissingFileError, FileAccessError: it cannot be written there.
    Examples
        >>> import pellucid as pl
        >>> model = pl.nn.Linear(4, 2)
        >>> pl.save(model, "linear.safetensors")
        >>> pl.load("linear.safetensors").predict([[0.0, 0.0, 0.0, 0.0]]).tolist()
        [[0.0, 0.0]]
    """
    file_path = as_path("path", path)
    if not isinstance(model, Module):
        raise ArgumentTypeError("files.not-a-module", type=type(model).__name__)
    if isinstance(model, LoadedModel):
        graph: Graph = model.graph
        preprocessing = model.preprocessing if preprocessing is None else preprocessing
        class_names = model.class_names if class_names is None else class_names
        feature_names = model.feature_names if feature_names is None else feature_names
        metadata = model.metadata if metadata is None else metadata
    scaler = as_scaler(preprocessing)
    if not isinstance(model, LoadedModel):
        graph = _recorded(model, example, scaler)
    arrays, parts, tensors = contents(model, graph)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "pellucid": sys.modules["pellucid"].__version__,
        "parts": parts,
        "graph": to_document(graph, tensors),
        "preprocessing": scaler_out(scaler, graph, arrays),
        "class_names": checked_class_names(class_names, graph),
        "feature_names": checked_feature_names(feature_names, graph),
        "metadata": plain(metadata),
    }
    document["digest"] = seal(document, arrays)
    write(file_path, arrays, written(document))


def load(path: Any) -> LoadedModel:
    """The network that `save` wrote, without the code that built it.

    Parameters
        path : the file; it may come from anywhere: nothing in it is executed, and every size in it is checked first.
    Returns
        LoadedModel, in eval mode; its parameters are trainable, by their own names
    Raises
        MissingFileError, FileAccessError: no such file, or none that can be read.
        FileFormatError: a truncated, damaged or foreign file, an unknown version or operation; says what, and where.
    """
    file_path = as_path("path", path)
    arrays, metadata = read(file_path)
    document = as_document(file_path.name, arrays, metadata)
    parts, tensors = parts_in(file_path.name, document["parts"], arrays)
    scaler = scaler_in(file_path.name, document["preprocessing"], arrays)
    tensors.update((name, wrap(arrays[name])) for name in arrays if name.startswith(CONSTANT))
    try:
        graph = from_document(document["graph"], tensors)
    except GraphError as error:
        raise FileFormatError(
            "files.graph", path=file_path.name, problem=error.what, given=error.given, expected=error.expected
        ) from error
    known = {*tensors, *(f"{RESERVED}preprocessing.{name}" for name in (scaler.state() if scaler else ()))}
    unknown = sorted(set(arrays) - known)
    if unknown:
        raise wrong(file_path.name, "tensors", unknown[0], "a tensor that the document names")
    return LoadedModel(
        FileInfo(file_path.name, document["pellucid"], document["metadata"]),
        graph,
        parts,
        scaler,
        names_in(file_path.name, "class_names", document["class_names"]),
        names_in(file_path.name, "feature_names", document["feature_names"]),
    )


def load_weights(path: Any) -> dict[str, Array]:
    """The weights in a safetensors file by name, ours or another library's, for `model.load_state_dict`.

    Raises
        MissingFileError, FileFormatError: as `load`.
    """
    arrays, _ = read(path)
    return {name: array for name, array in arrays.items() if not name.startswith(RESERVED)}


# Saving


def _recorded(model: Module, example: Any, scaler: Any) -> Graph:
    with modes_kept(model), aside(), enable_grad():  # the loaded graph shall have gradients too
        model.eval()
        if example is not None:
            return record_batched(model, *_given(model, example))
        for examples in _guesses(model, scaler):
            try:
                return record_batched(model, *examples)
            except (ShapeError, IndexRangeError, DTypeError):  # not what the network takes
                continue
    raise ArgumentError("files.no-example", model=type(model).__name__)


def _given(model: Module, example: Any) -> list[Tensor]:
    """The example's batches, in the dtypes that the network would turn raw data into."""
    dtype, keep = model_dtype(model), takes_whole_numbers(model)
    given = example if isinstance(example, tuple) else (example,)
    arrays = [to_array(x) for x in given]
    for n, (x, array) in enumerate(zip(given, arrays, strict=True)):
        if not isinstance(x, Tensor) and (array.dtype.kind == "f" or (n == 0 and not keep)):
            arrays[n] = array.astype(dtype)
    return [wrap(a) for a in arrays]


def _guesses(model: Module, scaler: Any) -> Iterator[list[Tensor]]:
    """Rows of the shapes that the network may take, the best guess first."""
    dtype = model_dtype(model)
    if model.inputs_seen:
        kinds = [(shape, dtype if kind.kind == "f" else kind) for shape, kind in model.inputs_seen]
        yield [wrap(np.zeros((1, *shape), kind)) for shape, kind in kinds]
    if scaler is not None:
        shape = next(a.shape for name, a in scaler.state().items() if name != "kind")
        yield [wrap(np.zeros((1, *shape), dtype))]
    first = next((m for m in model.modules() if next(iter(m.parameters(recurse=False)), None) is not None), model)
    features = getattr(first, "in_features", None)
    if isinstance(features, int):
        yield [wrap(np.zeros((1, features), dtype))]
