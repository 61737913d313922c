"""Activation functions with their derivatives come in; a picture of them leaves as PNG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.core.check import Integer, check
from pellucid.errors import ArgumentError
from pellucid.inspection import ActivationCurve
from pellucid.report.canvas import canvas, finished, plain, word
from pellucid.report.colours import NEGATIVE, POSITIVE

# From so many points on a step of a twentieth of the height is a jump.
_FINE = 200


def activation_figure(curves: Sequence[ActivationCurve], *, columns: int = 4) -> bytes:
    """Activation functions (blue) with their derivatives (orange, dashed), one beside the other.

    Parameters
        curves : of `inspection.activation_curves`
        columns : functions beside each other
    Returns
        the bytes of a PNG
    Raises
        ArgumentError: there is none.
    """
    check("columns", columns, Integer(1))
    if not curves:
        raise ArgumentError("picture.no-layers", name="curves")
    wide = min(columns, len(curves))
    rows = -(-len(curves) // wide)
    with canvas(max(2.2 * wide, 3.2), 1.9 * rows + 0.45) as (figure, buffer):
        for n, curve in enumerate(curves):
            draw_activation(figure.add_subplot(rows, wide, n + 1), curve)
        lines = figure.axes[0].get_lines()
        labels = [word("value"), word("derivative")]
        figure.legend(lines[:2], labels, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
        return finished(figure, buffer)


def draw_activation(axes: Any, curve: ActivationCurve) -> None:
    """One function on axes; a derivative that jumps is broken there."""
    axes.plot(curve.x, _broken(curve.values), color=POSITIVE, linewidth=1.6)
    axes.plot(curve.x, _broken(curve.derivatives), color=NEGATIVE, linewidth=1.3, linestyle="--")
    plain(axes)
    axes.axhline(0, color="0.6", linewidth=0.7, zorder=1)
    axes.axvline(0, color="0.6", linewidth=0.7, zorder=1)
    axes.tick_params(labelsize=7)
    axes.set_title(curve.name, fontsize=9, parse_math=False)


def _broken(values: Any) -> Any:
    """Values with a gap at each jump, where a line up would be none of the function's."""
    shown = np.asarray(values, np.float64).copy()
    if len(shown) < _FINE or not np.isfinite(shown).all():
        return shown
    steps = np.abs(np.diff(shown))
    jumps = np.flatnonzero(steps > max(0.05 * float(np.ptp(shown)), 20 * float(np.median(steps)), 1e-9))
    shown[jumps] = np.nan
    return shown
