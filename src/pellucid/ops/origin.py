"""A Tensor comes in; what computed its values leaves, looked for through reshapes, transposes, indices and other
movements. Losses and training ask it which activation a network ends with.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.op import Op
from pellucid.core.tensor import Tensor

Step = tuple[Op, list[Any], dict[str, Any]]


def composite_behind(x: Tensor) -> str | None:
    """The composite, else the operation, that computed a Tensor's values; movements are looked through.

    Without a history (in `no_grad()`) only the direct result of a composite or of sigmoid is known. None where nothing
    tells, where the values were changed in place since, or where parts of them come from different functions.
    """
    y, _ = origin(x)
    source = y._source
    if y._changed > y._made:
        return None
    if source is None:
        return "sigmoid" if y._logits is not None else y._scope
    op, inputs, _ = source
    if op.family == "movement":
        names = {composite_behind(part) for part in _floats(inputs)}
        return names.pop() if len(names) == 1 else None
    return "sigmoid" if op.name == "sigmoid" else y._scope or op.name


def origin(x: Tensor) -> tuple[Tensor, list[Step]]:
    """The Tensor that a chain of movements began with, and the movements, last first."""
    steps: list[Step] = []
    while (source := x._source) is not None and source[0].family == "movement":
        floats = _floats(source[1])
        if len(floats) != 1 or x._changed > x._made or floats[0]._changed > x._made:
            break
        steps.append(source)
        x = floats[0]
    return x, steps


def _floats(inputs: list[Any]) -> list[Tensor]:
    """The inputs whose values move; whole numbers are places."""
    return [x for x in inputs if isinstance(x, Tensor) and x.data.dtype.kind == "f"]
