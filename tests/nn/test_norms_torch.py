"""The normalisations of channels against PyTorch's, in float64, over edge sizes and every option."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
import pellucid.nn.functional as F
from pellucid import nn
from tests.nn.layer_checks import Case, run_layer_test

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

PLACES = {1: (5,), 2: (3, 2), 3: (2, 1, 3)}


def shapes(dims: int, *batches: int) -> tuple[tuple[int, ...], ...]:
    return tuple((n, 4, *PLACES[dims]) for n in batches)


def case(name: str, shapes: tuple[tuple[int, ...], ...], *args: object, **options: object) -> Case:
    own = {k: v for k, v in options.items() if k != "modes"}
    return Case(
        f"{name}{args}{own or ''} {len(shapes[0])} axes",
        lambda: getattr(nn, name)(*args, **own),
        lambda m: getattr(m, name)(*args, **own),
        shapes=shapes,
        modes=options.get("modes", (True, False)),  # type: ignore[arg-type]
    )


CASES = [
    *[case(f"BatchNorm{d}d", shapes(d, 3, 1), 4) for d in (2, 3)],
    case("BatchNorm2d", ((2, 4, 1, 1),), 4, 0.1, 0.3),
    case("BatchNorm2d", shapes(2, 2), 4, momentum=None),
    case("BatchNorm2d", shapes(2, 2), 4, affine=False),
    case("BatchNorm2d", shapes(2, 2), 4, bias=False),
    case("BatchNorm3d", shapes(3, 2), 4, track_running_stats=False),
    case("BatchNorm2d", shapes(2, 2, 0), 4, modes=(False,)),
    *[case("GroupNorm", shapes(d, 3, 1, 0), groups, 4) for d in (1, 2, 3) for groups in (1, 2, 4)],
    case("GroupNorm", ((3, 4), (2, 4)), 2, 4),
    case("GroupNorm", shapes(2, 2), 2, 4, 0.1, False),
    case("GroupNorm", shapes(2, 2), 2, 4, bias=False),
    *[case(f"InstanceNorm{d}d", (*shapes(d, 3, 1), (4, *PLACES[d])), 4) for d in (1, 2, 3)],
    *[case(f"InstanceNorm{d}d", (*shapes(d, 3, 1), (4, *PLACES[d])), 4, 0.1, 0.3, True, True) for d in (1, 2, 3)],
    case("InstanceNorm2d", shapes(2, 2), 4, affine=True, bias=False),
    case("InstanceNorm1d", shapes(1, 2), 4, track_running_stats=True),
    *[case("LocalResponseNorm", shapes(d, 3, 1, 0), size, 0.3, 0.6, 1.5) for d in (1, 2, 3) for size in (1, 2, 3, 5)],
    case("LocalResponseNorm", shapes(2, 2), 40, 3.0),
    case("LocalResponseNorm", ((2, 1, 3, 3),), 4),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_layer(case: Case) -> None:
    run_layer_test(case, torch)


def test_functions() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 2, 3))
    weight, bias, average = rng.normal(size=(3, 4))
    variance = np.abs(rng.normal(size=4)) + 0.5
    for own in (True, False):
        ours = [pl.Tensor(average.copy()), pl.Tensor(variance.copy())]
        theirs = [torch.tensor(average), torch.tensor(variance)]
        y = F.instance_norm(x, *ours, weight, bias, own, 0.4, 0.1)
        t = torch.nn.functional.instance_norm(
            torch.tensor(x), *theirs, torch.tensor(weight), torch.tensor(bias), own, 0.4, 0.1
        )
        np.testing.assert_allclose(y.numpy(), t.numpy(), rtol=1e-12, atol=1e-12)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-12)
    t = torch.nn.functional.group_norm(torch.tensor(x), 2, torch.tensor(weight), torch.tensor(bias), 0.1)
    np.testing.assert_allclose(F.group_norm(x, 2, weight, bias, 0.1).numpy(), t.numpy(), rtol=1e-12, atol=1e-12)
    t = torch.nn.functional.local_response_norm(torch.tensor(x), 3, 0.5, 0.6, 1.5)
    np.testing.assert_allclose(F.local_response_norm(x, 3, 0.5, 0.6, 1.5).numpy(), t.numpy(), rtol=1e-12, atol=1e-12)


def test_reprs_are_pytorchs() -> None:
    for name, args in (
        ("BatchNorm2d", (4, 0.1, None)),
        ("BatchNorm3d", (4,)),
        ("GroupNorm", (2, 4)),
        ("InstanceNorm1d", (4,)),
        ("InstanceNorm2d", (4, 0.1, 0.3, True, True)),
        ("InstanceNorm3d", (4,)),
        ("LocalResponseNorm", (3,)),
    ):
        assert repr(getattr(nn, name)(*args)) == repr(getattr(torch.nn, name)(*args))
