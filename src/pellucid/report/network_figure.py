"""How a network is put together comes in; a picture of it leaves as PNG: a small one neuron by neuron, every weight a
line with its sign and size, a large one as a row of layers with their shapes and costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Options, check
from pellucid.errors import ArgumentError, ModelError, ShapeError
from pellucid.inspection import DenseLayer, Wiring
from pellucid.report.canvas import canvas, finished, shortened, word
from pellucid.report.colours import NEGATIVE, POSITIVE, signed_map
from pellucid.report.layers_figure import layers_figure

MOST_NEURONS = 64
"""Neurons of a layer beyond which those in the middle are left out."""
MOST_CONNECTIONS = 5000
"""Weights beyond which a network is drawn as layers."""

_LEAST_WIDTH, _MOST_WIDTH = 0.15, 2.6
_NAMED = 32
_HEADING = 0.62


def network_figure(
    wiring: Wiring,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    style: Literal["auto", "neurons", "layers"] = "auto",
    title: str | None = None,
) -> bytes:
    """The network: neurons and their weights, or layers and their costs.

    Neuron by neuron a line is a weight, blue above zero and orange below, the wider the larger; a neuron has the colour
    of its bias. As layers each box has its output's shape, its parameters and multiply-accumulates, with bars for their
    shares of the whole.

    Parameters
        wiring : of `inspection.wiring`
        input_names, output_names : a name for each input and each output, such as the features and the classes
        style : "neurons" or "layers"; "auto" takes neurons where all of them and all weights can be seen. With
            "neurons" a layer of more than 64 leaves out those in the middle, and says so.
        title : what the network is called; None takes the name of its class
    Returns
        the bytes of a PNG
    Raises
        ArgumentError: "neurons" of a network that is no chain of dense layers.
        ShapeError: there is not one name for each input or output.
        ModelError: weights to be drawn are not finite.
    """
    check("style", style, Options("auto", "neurons", "layers"))
    small = bool(wiring.dense) and max(wiring.widths) <= MOST_NEURONS and wiring.num_connections <= MOST_CONNECTIONS
    if style == "neurons" and not wiring.dense:
        raise ArgumentError("picture.no-neurons", name=wiring.cost.name)
    if style == "layers" or (style == "auto" and not small):
        return layers_figure(wiring.cost, title)
    for layer in wiring.dense:
        if not all(np.isfinite(a).all() for a in (layer.weight, layer.bias) if a is not None):
            raise ModelError("picture.not-finite", what=layer.name)
    widths = wiring.widths
    for names, which, count in ((input_names, "input_names", widths[0]), (output_names, "output_names", widths[-1])):
        if names is not None and len(names) != count:
            raise ShapeError("picture.names", name=which, given=len(names), count=count)
    tallest = min(max(widths), MOST_NEURONS)
    height = min(11.0, max(2.6, 0.9 + (0.42 if tallest <= 12 else 0.24 if tallest <= 32 else 0.155) * tallest))
    with canvas(2.0 + 2.1 * len(wiring.dense), height + 0.75) as (figure, buffer):
        axes = figure.add_subplot()
        draw_neurons(axes, wiring, input_names, output_names, title)
        return finished(figure, buffer)


def draw_neurons(
    axes: Any,
    wiring: Wiring,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    title: str | None = None,
) -> None:
    """Neurons and weights on axes: one collection of lines and one of dots for each layer."""
    from matplotlib.collections import LineCollection

    widths = wiring.widths
    shown = [_shown(width) for width in widths]
    slots = max(map(_slots, widths))
    places = [_heights(width, slots) for width in widths]
    inches = axes.figure.get_size_inches()[1] * 0.85
    largest = max(float(np.abs(layer.weight).max(initial=0.0)) for layer in wiring.dense) or 1.0
    biases = [np.zeros(0) if layer.bias is None else layer.bias for layer in wiring.dense]
    largest_bias = max(float(np.abs(bias).max(initial=0.0)) for bias in biases)
    for n, layer in enumerate(wiring.dense):
        weights = layer.weight[np.ix_(shown[n + 1], shown[n])].astype(np.float64)
        share = np.abs(weights).ravel() / largest
        order = np.argsort(share, kind="stable")
        ends = [
            ((n, places[n][j]), (n + 1, places[n + 1][i])) for i in range(len(weights)) for j in range(weights.shape[1])
        ]
        colours = np.where(weights.ravel() >= 0, POSITIVE, NEGATIVE)
        lines = LineCollection(
            [ends[k] for k in order],
            colors=colours[order].tolist(),
            linewidths=(_LEAST_WIDTH + (_MOST_WIDTH - _LEAST_WIDTH) * share[order]).tolist(),
            alpha=(0.08 + 0.82 * share[order]).tolist(),
            zorder=1,
        )
        axes.add_collection(lines)
    colours_of = signed_map()
    for n, width in enumerate(widths):
        fill: Any = "white"
        if n and wiring.dense[n - 1].bias is not None and largest_bias > 0:
            fill = colours_of(0.5 + 0.5 * biases[n - 1][shown[n]] / largest_bias)
        step = float(np.diff(places[n]).min()) if len(places[n]) > 1 else slots
        size = float(np.clip((0.42 * 72 * inches * step / slots) ** 2, 6, 260))
        axes.scatter(
            [n] * len(shown[n]), places[n], s=size, c=fill, edgecolors="0.25", linewidths=0.8, zorder=3, clip_on=False
        )
        if len(shown[n]) < width:
            axes.text(n, slots / 2 - 0.5, "⋮", ha="center", va="center", fontsize=14, zorder=4)
    _named(axes, 0, input_names, shown[0], places[0], widths[0], "right")
    _named(axes, len(widths) - 1, output_names, shown[-1], places[-1], widths[-1], "left")
    _headed(axes, wiring, shown, slots)
    _legend(axes, largest, largest_bias)
    axes.set_xlim(-0.12, len(widths) - 0.88)
    # Above the neurons there is room for the lines that name their layer, whose height is in inches.
    axes.set_ylim(slots - 0.2, -0.5 - _HEADING * slots / max(inches - 0.3 - _HEADING, 1.0))
    axes.set_axis_off()
    axes.set_title(f"{title or wiring.cost.name}  ({'-'.join(map(str, widths))})", fontsize=10, parse_math=False)


def _slots(width: int) -> int:
    return min(width, MOST_NEURONS + 1)


def _shown(width: int) -> Array:
    """The neurons that are drawn: all, or the first and the last."""
    if width <= MOST_NEURONS:
        return np.arange(width)
    half = MOST_NEURONS // 2
    return np.concatenate([np.arange(half), np.arange(width - half, width)])


def _heights(width: int, slots: int) -> Array:
    """Where they stand: in the middle of the height, farther apart in layers of few."""
    count = _slots(width)
    # Up to four times as far apart as in the largest layer, so that 10 beside 64 neither huddle nor stretch.
    step = min(0.9 * slots / count if count < slots else 1.0, 4.0, 1 + 0.35 * np.sqrt(slots))
    all_of_them: Array = (slots - 1) / 2 + step * (np.arange(count) - (count - 1) / 2)
    if width <= MOST_NEURONS:
        return all_of_them
    return np.delete(all_of_them, MOST_NEURONS // 2)


def _named(
    axes: Any,
    x: int,
    names: Sequence[str] | None,
    shown: Array,
    places: Array,
    width: int,
    side: Literal["left", "right"],
) -> None:
    """Names beside the first or the last neurons; where there are many of them and no names, every eighth number."""
    if names is None and width > _NAMED:
        labels = [(y, str(n)) for y, n in zip(places, shown, strict=True) if n % 8 == 0 or n == width - 1]
    else:
        labels = [(y, str(n) if names is None else names[n]) for y, n in zip(places, shown, strict=True)]
    step = float(np.diff(places).min()) if len(places) > 1 else 1.0
    fontsize = 8.5 if step * 30 >= len(places) else 6
    for y, label in labels:
        axes.annotate(
            label if len(label) <= 18 else label[:17] + "…",
            (x, y),
            xytext=(-11 if side == "right" else 11, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=fontsize,
            parse_math=False,
        )


def _headed(axes: Any, wiring: Wiring, shown: Sequence[Array], slots: int) -> None:
    """Above each layer its name, what it does to its sums, and how many neurons it has."""
    for n, width in enumerate(wiring.widths):
        if n == 0:
            lines = []
        else:
            layer: DenseLayer = wiring.dense[n - 1]
            lines = [
                *([shortened(layer.name, 18)] if layer.name else []),
                *([", ".join(layer.functions)] if layer.functions else []),
            ]
        some = len(shown[n]) < width
        counted = word("some-of", shown=len(shown[n]), count=width) if some else str(width)
        unit = "neuron" if n else "input"
        lines.append(word(f"one-{unit}") if width == 1 else word(f"{unit}s", count=counted))
        axes.annotate(
            "\n".join(lines), (n, -0.5), xytext=(0, 10), textcoords="offset points", ha="center", va="bottom",
            fontsize=7.5, parse_math=False, annotation_clip=False,
        )  # fmt: skip


def _legend(axes: Any, largest: float, largest_bias: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=NEGATIVE, linewidth=_MOST_WIDTH, label=word("weight", value=f"−{largest:.3g}")),
        Line2D([], [], color=POSITIVE, linewidth=_MOST_WIDTH, label=word("weight", value=f"+{largest:.3g}")),
    ]
    if largest_bias > 0:
        dot: dict[str, Any] = {"marker": "o", "linestyle": "", "markeredgecolor": "0.25", "markersize": 6}
        handles += [
            Line2D([], [], markerfacecolor=NEGATIVE, label=word("bias", value=f"−{largest_bias:.3g}"), **dot),
            Line2D([], [], markerfacecolor=POSITIVE, label=word("bias", value=f"+{largest_bias:.3g}"), **dot),
        ]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7, frameon=False)
