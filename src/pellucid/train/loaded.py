"""What `load` returns: a network that computes by the graph of its file. Users call it as they would call the network
that was saved, train it further, or hand it raw inputs with `predict`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import DTypeError, FileFormatError, ModelError
from pellucid.graph import Graph, Value, bind, replay
from pellucid.graph.batch import is_symbolic, rows_of
from pellucid.graph.text import scope_text
from pellucid.nn import Module, Parameter
from pellucid.ops.shape import cast
from pellucid.train.evaluate import predict

Kind = Literal["parameter", "frozen", "buffer"]
_BOUND = 8


class Part(NamedTuple):
    """A parameter (frozen: one that is not trained) or buffer, by its name in the network that was saved."""

    name: str
    kind: Kind
    tensor: Tensor

    @classmethod
    def of(cls, name: str, kind: Kind, array: Array) -> Part:
        """A part around an array."""
        return cls(name, kind, wrap(array) if kind == "buffer" else Parameter(array, requires_grad=kind == "parameter"))


class FileInfo(NamedTuple):
    """Where a model came from: the name of its file, the version that wrote it, and what else was kept in it."""

    name: str
    pellucid: str
    metadata: dict[str, Any]


class LoadedModel(Module):
    """A network from a file. It computes what the saved network computed in eval mode, by the graph in the file, with
    gradients; `train()` does not bring back what only training does, such as dropout.

    Its parameters and buffers have the names they had, so that `state_dict` fits the original class.

    Attributes
        graph : the graph, for batches of any size; `print(model.graph)` shows one line an operation
        preprocessing : the scaler that `predict` applies, or None
        class_names, feature_names : tuples of str, or None
        metadata : what else was saved with it
    """

    def __init__(
        self,
        info: FileInfo,
        graph: Graph,
        parts: list[Part],
        preprocessing: Any,
        class_names: tuple[str, ...] | None,
        feature_names: tuple[str, ...] | None,
    ) -> None:
        self._info, self._graph, self._preprocessing = info, graph, preprocessing
        self._class_names, self._feature_names = class_names, feature_names
        self._bound: dict[int, Graph] = {}
        self.takes_indices = any(v.spec.dtype.kind != "f" for v in graph.inputs)
        for part in parts:
            _place(self, part)
        # All that the graph relies on: which module or tensor stands where.
        self._links = list(_links(self, parts))
        self.eval()

    @property
    def graph(self) -> Graph:
        return self._graph

    @property
    def preprocessing(self) -> Any:
        return self._preprocessing

    @property
    def class_names(self) -> tuple[str, ...] | None:
        return self._class_names

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        return self._feature_names

    @property
    def metadata(self) -> dict[str, Any]:
        return self._info.metadata

    def forward(self, *inputs: Any) -> Any:
        """Batches of any number of rows -> what the saved network returned.

        Raises
            ShapeError, DTypeError, GraphError: inputs of another shape, kind or number than the network takes.
            ModelError: a parameter or buffer was replaced by another one, with which the graph does not compute.
        """
        for owner, attribute, content, name in self._links:
            if vars(owner).get(attribute) is not content:
                raise ModelError("files.part-replaced", name=name)
        tensors = [as_tensor(x) for x in inputs]
        for n, (value, tensor) in enumerate(zip(self._graph.inputs, tensors, strict=False)):
            if tensor.dtype != value.spec.dtype:
                if value.spec.dtype.kind != "f" and tensor.dtype.kind not in "iu":
                    raise DTypeError(
                        "graph.input-dtype", value=str(value), given=tensor.dtype, expected=value.spec.dtype
                    )
                tensors[n] = cast(tensor, value.spec.dtype)
        return replay(self._bound_to(tensors), *tensors).outputs

    def predict(self, x: Any, *, batch_size: int | None = None) -> Array:
        """The outputs for rows in their own units: the preprocessing of the file, then the network.

        Parameters
            x : rows of inputs: an array, nested lists, or a Dataset
            batch_size : rows at once; None is what the memory bears, at most 1,024
        Returns
            array (rows, ...)
        """
        if self._preprocessing is not None:
            x = self._preprocessing.transform(x)
        return predict(self, x, batch_size=batch_size)

    def _bound_to(self, tensors: list[Tensor]) -> Graph:
        graph = self._graph
        if len(tensors) != len(graph.inputs) or not is_symbolic(graph):
            return graph
        rows = rows_of(graph, [t.data for t in tensors])
        bound = self._bound.get(rows)
        if bound is None:
            if len(self._bound) >= _BOUND:
                self._bound.clear()
            bound = self._bound[rows] = bind(graph, rows)
        return bound

    def __repr__(self) -> str:
        given = ", ".join(f"{v.name} {v.spec}" for v in self._graph.inputs)
        parameters = f"{self.num_parameters():,} parameters"
        return f"LoadedModel({self._info.name!r}: {given} -> {_outputs(self._graph)}, {parameters})"

    def summary(self) -> str:
        """The model in a few lines: file, inputs, preprocessing, each layer with its operations, outputs, classes."""
        graph, label = self._graph, _labels()
        lines = [text("files.summary-from", path=self._info.name, version=self._info.pellucid)]
        lines += [f"  {label['input']}{v.name} {v.spec}" for v in graph.inputs]
        if self._preprocessing is not None:
            lines.append(f"  {label['preprocessing']}{self._preprocessing!r}")
        layers: dict[str, list[str]] = {}
        for instruction in graph.instructions:
            layers.setdefault(scope_text(instruction.scope), []).append(instruction.op.name)
        width = max(map(len, layers), default=0)
        lines += [f"    {layer:<{width}}  {', '.join(dict.fromkeys(ops))}" for layer, ops in layers.items()]
        lines.append(f"  {label['output']}{_outputs(graph)}")
        if self._class_names is not None:
            lines.append(f"  {label['classes']}{', '.join(self._class_names)}")
        lines.append(f"  {label['parameters']}{self.num_parameters():,}")
        return "\n".join([*lines, f"  {label['operations']}{len(graph.instructions)}"])


def _labels() -> dict[str, str]:
    names = ("input", "output", "preprocessing", "classes", "parameters", "operations")
    words = {name: text(f"files.summary-{name}") for name in names}
    # A Chinese character takes two columns.
    widths = {name: sum(2 if ord(c) > 0x2E80 else 1 for c in word) for name, word in words.items()}
    return {name: word + " " * (max(widths.values()) + 2 - widths[name]) for name, word in words.items()}


def _outputs(graph: Graph) -> str:
    from pellucid.graph.ir import leaves

    return ", ".join(str(leaf.spec) for leaf in leaves(graph.outputs) if isinstance(leaf, Value))


def _links(root: Module, parts: list[Part]) -> Iterator[tuple[Module, str, Any, str]]:
    """Owner, attribute, what stands there, and the full name, of each module and tensor on the way to a part."""
    seen = set()
    for part in parts:
        owner: Any = root
        for attribute in part.name.split("."):
            content = vars(owner)[attribute]
            if (id(owner), attribute) not in seen:
                seen.add((id(owner), attribute))
                yield owner, attribute, content, part.name
            owner = content


def _place(root: Module, part: Part) -> None:
    """Give a part its place in a tree of modules that has the names of the network that was saved."""
    *path, name = part.name.split(".")
    module = root
    for step in path:
        inner = vars(module).get(step)
        if not isinstance(inner, Module):
            inner = Module()
            _claim(module, step, "module", part.name)
            module.add_module(step, inner)
        module = inner
    if isinstance(part.tensor, Parameter):
        _claim(module, name, "parameter", part.name)
        module.register_parameter(name, part.tensor)
    else:
        _claim(module, name, "buffer", part.name)
        module.register_buffer(name, part.tensor)


def _claim(module: Module, name: str, kind: Any, full_name: str) -> None:
    """Let a part have a name that is a method here and was none in the network that was saved.

    Raises
        FileFormatError: something else stands there, as it would in any module.
    """
    if name in vars(module) or hasattr(Module, name):
        raise FileFormatError("files.part-place", name=full_name, taken=name)
    module._kinds[name] = kind
