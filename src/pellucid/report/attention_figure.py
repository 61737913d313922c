"""What looked where comes in; a picture leaves as PNG: a map for each layer and head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, check
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError, IndexRangeError, ShapeError
from pellucid.report.canvas import canvas, finished, shortened, word
from pellucid.report.colours import POSITIVE

MOST_LAYERS, MOST_HEADS = 12, 16
_NAMED = 32


def attention_figure(
    maps: Mapping[str, Any], row: int = 0, *, tokens: Sequence[str] | None = None, keys: Sequence[str] | None = None
) -> bytes:
    """The attention of a row: layers from top to bottom, heads from left to right, queries down, keys across; white is
    none, dark blue is all of it.

    Parameters
        maps : of `nn.attention_maps`: arrays or Tensors (N, heads, L, S), or (heads, L, S), by the layers' names; the
            first 12 layers and 16 heads are drawn
        row : which of the batch
        tokens : a word or character for each query; and for each key, unless `keys` says otherwise. Written where there
            are at most 32
    Returns
        the bytes of a PNG
    Raises
        ArgumentError: there is no map.
        ShapeError: maps of another shape, or another number of tokens.
        IndexRangeError: the batch has no such row.
    """
    check("row", row, Integer(0))
    if not maps:
        raise ArgumentError("picture.no-layers", name="maps")
    found = {name: _of_row(name, given, row) for name, given in list(maps.items())[:MOST_LAYERS]}
    heads = min(MOST_HEADS, max(len(m) for m in found.values()))
    queries, seen = next(iter(found.values())).shape[1:]
    across = keys if keys is not None else tokens if queries == seen else None
    for given, count in ((tokens, queries), (across, seen)):
        if given is not None and len(given) != count:
            raise ShapeError("picture.tokens", given=len(given), count=count)
    named = tokens is not None and max(queries, seen) <= _NAMED
    side = max(1.15, 0.1 * max(queries, seen)) if named else 1.15 if heads > 4 or len(found) > 4 else 1.7
    width, height = side + (0.25 if named else 0.0), side + (0.25 if named else 0.03)
    with canvas(max(3.6, 0.9 + width * heads), 0.75 + height * len(found)) as (figure, buffer):
        grid = figure.subplots(len(found), heads, squeeze=False)
        drawn = None
        for across_heads, (name, weights) in zip(grid, found.items(), strict=True):
            # Layers may look from and at other places, as those of a decoder do.
            down = tokens if named and tokens is not None and len(tokens) == weights.shape[1] else None
            over = across if named and across is not None and len(across) == weights.shape[2] else None
            for head, axes in enumerate(across_heads):
                if head >= len(weights):
                    axes.set_axis_off()
                    continue
                drawn = draw_attention(axes, weights[head], down, over)
                if axes is grid[0][head]:
                    axes.set_title(word("head", number=head), fontsize=8)
            across_heads[0].set_ylabel(shortened(name, 18), fontsize=8, parse_math=False)
        bar = figure.colorbar(
            drawn, ax=grid.ravel().tolist(), shrink=min(1.0, 1.6 / len(found)), fraction=0.03, pad=0.02
        )
        bar.ax.tick_params(labelsize=6)
        figure.suptitle(word("attention", row=row), fontsize=9)
        return finished(figure, buffer)


def draw_attention(axes: Any, weights: Array, down: Sequence[str] | None, across: Sequence[str] | None) -> Any:
    """One map on axes; the picture with its colours is returned."""
    from matplotlib.colors import LinearSegmentedColormap, PowerNorm

    blues = LinearSegmentedColormap.from_list("attention", ["#FFFFFF", POSITIVE, "#00263B"])
    # By its root: in a long sequence each key has little, and still more or less than others.
    drawn = axes.imshow(weights, cmap=blues, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    size = float(np.clip(260 / max(weights.shape), 4.5, 7))
    axes.set_xticks([] if across is None else range(weights.shape[1]))
    axes.set_yticks([] if down is None else range(weights.shape[0]))
    if across is not None:
        axes.set_xticklabels(map(_shown, across), fontsize=size, rotation=90, parse_math=False)
    if down is not None:
        axes.set_yticklabels(map(_shown, down), fontsize=size, parse_math=False)
    axes.tick_params(length=0, pad=1)
    axes.spines[:].set_color("0.7")
    return drawn


def _of_row(name: str, given: Any, row: int) -> Array:
    array = given.data if isinstance(given, Tensor) else np.asarray(given)
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or not array.size:
        raise ShapeError("picture.maps-shape", layer=name, shape=array.shape)
    if row >= len(array):
        raise IndexRangeError("picture.maps-row", row=row, rows=len(array), last=len(array) - 1)
    found: Array = array[row].astype(np.float64)
    return found


def _shown(token: str) -> str:
    """A token as it can be seen: white space by signs, a long one by its beginning."""
    seen = token.replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣")
    return seen if len(seen) <= 10 else seen[:9] + "…"
