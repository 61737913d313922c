"""A model's file or the name of a known network comes in; the table of what it costs leaves on the terminal, as
Markdown, or as a picture. This is what `pellucid cost` does.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pellucid.models as models
from pellucid._text import text
from pellucid._typing import Shape
from pellucid.cli.output import say, table
from pellucid.cli.trained import network_of
from pellucid.cli.using import model_path
from pellucid.cli.values import Choice, Sizes, Whole
from pellucid.core.check import Integer, closest
from pellucid.core.context import default_dtype, set_default_dtype
from pellucid.core.paths import write_whole
from pellucid.errors import ArgumentError
from pellucid.graph.ir import Batch
from pellucid.inspection import cost
from pellucid.nn import Module
from pellucid.report.cost_figure import cost_figure
from pellucid.report.cost_table import cost_markdown, cost_table
from pellucid.train.choose import OPTIMIZERS
from pellucid.train.files import load

_INPUTS: dict[str, Shape] = {
    "lenet5": (1, 1, 28, 28),
    "resnet20": (1, 3, 32, 32),
    "autoencoder": (1, 784),
    "convautoencoder": (1, 1, 28, 28),
    "alexnettwogroups": (1, 3, 227, 227),
    "spokenwordcnn": (1, 8000),
    "spokenwordgru": (1, 8000),
    "smallcnn": (1, 1, 28, 28),
}
"""What networks take that are not made for pictures of 224x224; sounds of a second at 8 kHz."""

_PICTURE = 224


def cost_of(word: str, flags: dict[str, Any]) -> int:
    """Print what a model costs; returns the exit code, 1 where an audit found a wrong count.

    Raises
        ArgumentError: no such model, or an input that is not known.
    """
    depth = _read("depth", flags, Whole(Integer(1, none=True)))
    optimizer = _read("optimizer", flags, Choice(tuple(OPTIMIZERS)))
    training = bool(flags["training"]) or optimizer is not None
    before = default_dtype()
    try:
        if flags.get("dtype") is not None:
            set_default_dtype(Choice(("float32", "float64")).read("--dtype", flags["dtype"]))
        model, known = _model(word)
        given = _read("input", flags, Sizes())
        shape = tuple(given) if given else known
        if shape is None:
            raise ArgumentError("cost.input-unknown", model=word)
        made = None if optimizer is None else _class(OPTIMIZERS[optimizer])
        report = cost(model, shape, training, optimizer=made, measure=bool(flags["measure"]))
    finally:
        set_default_dtype(before)
    if flags["markdown"]:
        say(cost_markdown(report, depth))
    else:
        found = cost_table(report, depth)
        table(found.headings, [*found.rows, found.total], right=found.right, footer=True)
        say()
        say(str(report))
    if flags.get("figure"):
        path = Path(flags["figure"]).expanduser()
        write_whole(path, cost_figure(report, depth))
        say(text("cost.figure-written", path=str(path)))
    if not flags["verify"]:
        return 0
    audit = report.verify()
    say(str(audit))
    return 0 if audit.ok else 1


def _read(name: str, flags: dict[str, Any], kind: Any) -> Any:
    value = flags.get(name)
    return None if value is None else kind.read(f"--{name}", value)


def _class(name: str) -> Callable[..., Any]:
    import pellucid.optim as optim

    return getattr(optim, name)  # type: ignore[no-any-return]


def networks() -> dict[str, Callable[[], Module]]:
    """The networks of `pellucid.models` that can be built by their name alone, in small letters without signs."""
    found: dict[str, Callable[[], Module]] = {}
    # Functions come last: `alexnet` stands for the network that the class of that name builds.
    for name in sorted(models.__all__):
        item = getattr(models, name)
        if isinstance(item, type) and not issubclass(item, Module):
            continue
        parameters = inspect.signature(item).parameters.values()
        if all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
            found[_plain(name)] = item
    del found[_plain("NextTokenLoss")]
    return found


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _model(word: str) -> tuple[Module, Shape | None]:
    """The model, and the shape of one input as far as it is known.

    Raises
        ArgumentError: neither a file nor a known network.
    """
    path = model_path(word)
    if path.is_file():
        loaded = load(path)
        shape = loaded.graph.inputs[0].spec.shape
        return network_of(path, loaded), tuple(n.multiplier if isinstance(n, Batch) else n for n in shape)
    known = networks()
    name = _plain(word)
    if name not in known:
        options = sorted(known)
        raise ArgumentError("cost.no-model", word=word, options=", ".join(options), suggestion=closest(name, options))
    model = known[name]()
    if name in _INPUTS:
        return model, _INPUTS[name]
    if hasattr(model, "block_size"):
        return model, (1, model.block_size)
    channels = getattr(model, "in_channels", None)
    return model, None if channels is None else (1, channels, _PICTURE, _PICTURE)
