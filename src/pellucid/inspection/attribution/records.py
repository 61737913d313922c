"""What every method of attribution returns: a score for each number of the input, with what the scores mean and how far
they add up to what they should. `report` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array


@dataclass(frozen=True, eq=False, repr=False)
class Attribution:
    """How much each number of an input has to do with one output of a network.

    method : "saliency", "gradient-times-input", "integrated-gradients", "smooth-grad", "occlusion", "grad-cam",
        "attention-rollout", "layerwise-relevance" or "shapley-values".
    scores : of the shape of `inputs`; of attention rollout (rows, positions).
    inputs : what the scores are for: the network's input, or, with `layer`, what that layer gave for it.
    outputs : the explained output for each row, shape (rows,); None where nothing is explained in particular.
    targets : which output that is, one for each row, in words such as "3".
    layer : the layer whose output was explained in place of the input, or whose map was drawn.
    baseline : the input without what counts, of the shape of `inputs`; None where the method has none.
    baseline_outputs : the explained output for the baseline, shape (rows,).
    completeness_error : for each row, the sum of the scores less what they should add up to: the output, or its
        difference from the baseline's; None where the method promises no sum.
    settings : the numbers that the method worked with.
    parts : further arrays of a method, by name.
    """

    method: str
    scores: Array
    inputs: Array
    outputs: Array | None = None
    targets: tuple[str, ...] = ()
    layer: str | None = None
    baseline: Array | None = None
    baseline_outputs: Array | None = None
    completeness_error: Array | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Array] = field(default_factory=dict)

    @property
    def totals(self) -> Array:
        """The sum of each row's scores."""
        totals: Array = self.scores.reshape(len(self.scores), -1).sum(axis=1, dtype=np.float64)
        return totals

    @property
    def relative_error(self) -> float | None:
        """The largest completeness error of any row, over what that row's scores should add up to, or over one percent
        of the sizes of its scores where that is more; None without one."""
        if self.completeness_error is None:
            return None
        sizes = np.abs(self.scores.reshape(len(self.scores), -1)).sum(axis=1, dtype=np.float64)
        scale = np.maximum(np.abs(self.totals - self.completeness_error), 0.01 * sizes)
        errors = np.abs(self.completeness_error)
        return float(np.max(np.divide(errors, scale, out=errors.copy(), where=scale > 0), initial=0.0))

    @property
    def meaning(self) -> str:
        """What a score says, in the language in force."""
        return text(f"attribution.meaning-{self.method}")

    @property
    def caveat(self) -> str:
        """What a score does not say, in the language in force."""
        return text(f"attribution.caveat-{self.method}")

    @property
    def title(self) -> str:
        """The method's name, in the language in force."""
        return text(f"attribution.title-{self.method}")

    def __repr__(self) -> str:
        return f"<attribution {self.method}: scores {self.scores.shape}>"

    def __str__(self) -> str:
        rows = len(self.scores)
        head = text("attribution.head", title=self.title, shape=str(self.scores.shape))
        lines = [head if self.layer is None else f"{head} ({self.layer})"]
        if self.outputs is not None:
            shown = [f"{t} ({y:.4g})" for t, y in zip(self.targets, self.outputs.tolist(), strict=True)][:5]
            lines.append(text("attribution.line-target", targets=", ".join(shown) + (" ..." if rows > 5 else "")))
        if self.relative_error is not None and self.completeness_error is not None:
            largest = float(np.abs(self.completeness_error).max(initial=0.0))
            share = f"{self.relative_error:.2g}"
            lines.append(text("attribution.line-error", error=f"{largest:.2g}", share=share))
        if self.settings:
            lines.append(
                text("attribution.line-settings", settings=", ".join(f"{k}={v}" for k, v in self.settings.items()))
            )
        lines.append(text("attribution.line-meaning", meaning=self.meaning))
        lines.append(text("attribution.line-caveat", caveat=self.caveat))
        return "\n".join(lines)
