"""Cases of the comparison with PyTorch, by subject."""

from tests.ops.torch_cases import contraction, elementwise, movement, reduction
from tests.ops.torch_cases.case import Case

CASES: list[Case] = [*elementwise.CASES, *reduction.CASES, *contraction.CASES, *movement.CASES]
