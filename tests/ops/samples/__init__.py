"""Inputs and oracles for every operation, by subject. Leave: `SAMPLES`, a list of samples for the name of each
primitive, and `COMPOSITES` likewise. `test_every_op.py` walks them; an operation without an entry fails there.
"""

from tests.ops.samples import activation, composite, contraction, convolution, elementwise, movement, reduction, windows
from tests.ops.samples.sample import Sample

SAMPLES: dict[str, list[Sample]] = {
    **elementwise.SAMPLES,
    **activation.SAMPLES,
    **contraction.SAMPLES,
    **convolution.SAMPLES,
    **reduction.SAMPLES,
    **movement.SAMPLES,
    **windows.SAMPLES,
}
COMPOSITES = composite.SAMPLES
FORMULAS = {**reduction.FORMULAS, **movement.FORMULAS, **windows.FORMULAS}

__all__ = ["COMPOSITES", "FORMULAS", "SAMPLES", "Sample"]
