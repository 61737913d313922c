"""Every layer against PyTorch's, in float64, over edge sizes and every option."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from tests.nn.layer_checks import Case, run_layer_test

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

WIDE = ((5, 4), (1, 4), (0, 4), (2, 3, 4))

ELEMENTWISE = [
    ("Sigmoid", ()),
    ("Tanh", ()),
    ("ReLU", ()),
    ("ReLU", (True,)),
    ("ReLU6", ()),
    ("LeakyReLU", ()),
    ("LeakyReLU", (0.3,)),
    ("PReLU", ()),
    ("PReLU", (1, 0.1)),
    ("ELU", ()),
    ("ELU", (0.7,)),
    ("SELU", ()),
    ("CELU", ()),
    ("CELU", (0.5,)),  # PyTorch takes 1 / alpha in float32; that of 0.5 is exact
    ("GELU", ()),
    ("GELU", ("tanh",)),
    ("SiLU", ()),
    ("Mish", ()),
    ("Softplus", ()),
    ("Softplus", (2.0, 1.5)),
    ("Softsign", ()),
    ("Hardtanh", ()),
    ("Hardtanh", (-2.0, 0.5)),
    ("Hardsigmoid", ()),
    ("Hardswish", ()),
    ("Hardshrink", ()),
    ("Hardshrink", (1.2,)),
    ("Softshrink", ()),
    ("Softshrink", (0.0,)),
    ("Softshrink", (1.2,)),
    ("Tanhshrink", ()),
    ("LogSigmoid", ()),
    ("Threshold", (0.1, 20.0)),
]
# PyTorch has no second derivative of these.
NO_SECOND = {"Hardsigmoid"}
# PyTorch multiplies by 1/6 in float32 there; test_activation.py has the exact value.
COARSE = {"Hardsigmoid": 1e-7}

ACTIVATIONS = [
    Case(
        f"{name}{args}",
        lambda name=name, args=args: getattr(nn, name)(*args),
        # In place on a leaf that asks for a gradient is refused by PyTorch; the result is the same.
        lambda m, name=name, args=args: getattr(m, name)(*(() if args == (True,) else args)),
        second_order=name not in NO_SECOND,
        gradient_tolerance=COARSE.get(name, 1e-9),
    )
    for name, args in ELEMENTWISE
]

ALONG_AXIS = [
    Case(
        f"{name}(axis={axis})",
        lambda name=name, axis=axis: getattr(nn, name)(axis=axis),
        lambda m, name=name, axis=axis: getattr(m, name)(dim=axis),
        shapes=shapes,
    )
    for name in ("Softmax", "LogSoftmax", "Softmin", "GLU")
    for axis, shapes in ((-1, ((5, 4), (1, 4), (0, 4), (2, 3, 4), (4,))), (1, ((5, 4), (0, 2, 3), (3, 4, 5))))
]

LAYERS = [
    Case("Linear", lambda: nn.Linear(4, 3), lambda m: m.Linear(4, 3)),
    Case("Linear without bias", lambda: nn.Linear(4, 3, bias=False), lambda m: m.Linear(4, 3, bias=False)),
    Case("Linear 1-1", lambda: nn.Linear(1, 1), lambda m: m.Linear(1, 1), shapes=((5, 1), (1, 1), (0, 1), (1,))),
    Case("Bilinear", lambda: nn.Bilinear(4, 4, 3), lambda m: m.Bilinear(4, 4, 3), shapes=(*WIDE, (4,)), num_inputs=2),
    Case(
        "Bilinear without bias",
        lambda: nn.Bilinear(4, 4, 1, bias=False),
        lambda m: m.Bilinear(4, 4, 1, bias=False),
        shapes=WIDE,
        num_inputs=2,
    ),
    Case("Identity", nn.Identity, lambda m: m.Identity(), second_order=False),
    Case("Flatten", nn.Flatten, lambda m: m.Flatten(), shapes=((5, 4), (2, 3, 4), (1, 2, 3, 4), (0, 3, 4), (4, 2, 1))),
    Case("Flatten(0, 1)", lambda: nn.Flatten(0, 1), lambda m: m.Flatten(0, 1), shapes=((5, 4), (2, 3, 4), (0, 3, 4))),
    Case("Unflatten", lambda: nn.Unflatten(1, (2, -1)), lambda m: m.Unflatten(1, (2, -1)), shapes=((5, 4), (1, 6, 3))),
    Case("Unflatten(-1)", lambda: nn.Unflatten(-1, [2, 2]), lambda m: m.Unflatten(-1, (2, 2)), shapes=WIDE),
    Case("Dropout(0)", lambda: nn.Dropout(0.0), lambda m: m.Dropout(0.0), second_order=False),
    Case("Dropout(1)", lambda: nn.Dropout(1.0), lambda m: m.Dropout(1.0), second_order=False),
    Case("Dropout in use", nn.Dropout, lambda m: m.Dropout(), modes=(False,), second_order=False),
    Case("AlphaDropout(1)", lambda: nn.AlphaDropout(1.0), lambda m: m.AlphaDropout(1.0), second_order=False),
    Case("AlphaDropout in use", nn.AlphaDropout, lambda m: m.AlphaDropout(), modes=(False,), second_order=False),
    Case("RReLU in use", nn.RReLU, lambda m: m.RReLU(), modes=(False,)),
    Case("RReLU of one slope", lambda: nn.RReLU(0.2, 0.2), lambda m: m.RReLU(0.2, 0.2), shapes=((5, 4), (3,))),
    Case(
        "PReLU of channels", lambda: nn.PReLU(4), lambda m: m.PReLU(4), shapes=((5, 4), (0, 4), (1, 4, 3), (2, 4, 3, 2))
    ),
    Case(
        "BatchNorm1d",
        lambda: nn.BatchNorm1d(4),
        lambda m: m.BatchNorm1d(4),
        shapes=((5, 4), (2, 4), (1, 4), (2, 4, 3), (1, 4, 3)),
    ),
    Case(
        "BatchNorm1d eps",
        lambda: nn.BatchNorm1d(4, 0.1, 0.3),
        lambda m: m.BatchNorm1d(4, 0.1, 0.3),
        shapes=((5, 4), (2, 4, 3)),
    ),
    Case(
        "BatchNorm1d cumulative",
        lambda: nn.BatchNorm1d(4, momentum=None),
        lambda m: m.BatchNorm1d(4, momentum=None),
        shapes=((5, 4), (3, 4), (2, 4, 3)),
    ),
    Case(
        "BatchNorm1d plain",
        lambda: nn.BatchNorm1d(4, affine=False),
        lambda m: m.BatchNorm1d(4, affine=False),
        shapes=((5, 4), (2, 4, 3)),
    ),
    Case(
        "BatchNorm1d without bias",
        lambda: nn.BatchNorm1d(4, bias=False),
        lambda m: m.BatchNorm1d(4, bias=False),
        shapes=((5, 4), (2, 4, 3)),
    ),
    Case(
        "BatchNorm1d of the batch alone",
        lambda: nn.BatchNorm1d(4, track_running_stats=False),
        lambda m: m.BatchNorm1d(4, track_running_stats=False),
        shapes=((5, 4), (2, 4, 3)),
    ),
    Case(
        "BatchNorm1d in use, empty",
        lambda: nn.BatchNorm1d(4),
        lambda m: m.BatchNorm1d(4),
        shapes=((2, 4), (0, 4)),
        modes=(False,),
    ),
    Case("LayerNorm", lambda: nn.LayerNorm(4), lambda m: m.LayerNorm(4)),
    Case(
        "LayerNorm (3, 4)",
        lambda: nn.LayerNorm((3, 4)),
        lambda m: m.LayerNorm((3, 4)),
        shapes=((2, 3, 4), (3, 4), (0, 3, 4)),
    ),
    Case("LayerNorm plain", lambda: nn.LayerNorm(4, 0.1, False), lambda m: m.LayerNorm(4, 0.1, False), shapes=WIDE),
    Case(
        "LayerNorm without bias",
        lambda: nn.LayerNorm([4], bias=False),
        lambda m: m.LayerNorm([4], bias=False),
        shapes=WIDE,
    ),
    Case("RMSNorm", lambda: nn.RMSNorm(4), lambda m: m.RMSNorm(4)),
    Case(
        "RMSNorm (3, 4)",
        lambda: nn.RMSNorm((3, 4), 0.1),
        lambda m: m.RMSNorm((3, 4), 0.1),
        shapes=((2, 3, 4), (0, 3, 4)),
    ),
    Case(
        "RMSNorm plain",
        lambda: nn.RMSNorm(4, elementwise_affine=False),
        lambda m: m.RMSNorm(4, elementwise_affine=False),
        shapes=WIDE,
    ),
    Case(
        "Embedding",
        lambda: nn.Embedding(6, 3),
        lambda m: m.Embedding(6, 3),
        shapes=((5,), (2, 3), (0,), (1, 1), ()),
        integers=6,
    ),
    Case(
        "Embedding with padding",
        lambda: nn.Embedding(6, 3, padding_idx=-2),
        lambda m: m.Embedding(6, 3, padding_idx=-2),
        shapes=((9,), (4, 5), (0, 2)),
        integers=6,
    ),
    Case(
        "Embedding by frequency",
        lambda: nn.Embedding(6, 3, padding_idx=1, scale_grad_by_freq=True),
        lambda m: m.Embedding(6, 3, padding_idx=1, scale_grad_by_freq=True),
        shapes=((9,), (4, 5)),
        integers=6,
    ),
    Case(
        "Sequential",
        lambda: nn.Sequential(
            nn.Linear(4, 5), nn.Tanh(), nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 2)), nn.Identity()
        ),
        lambda m: m.Sequential(m.Linear(4, 5), m.Tanh(), m.Sequential(m.LayerNorm(5), m.Linear(5, 2)), m.Identity()),
        shapes=WIDE,
    ),
    Case(
        "Sequential with names",
        lambda: nn.Sequential(
            {"first": nn.Linear(4, 5), "norm": nn.BatchNorm1d(5), "last": nn.Linear(5, 2, bias=False)}
        ),
        lambda m: m.Sequential(
            OrderedDict(first=m.Linear(4, 5), norm=m.BatchNorm1d(5), last=m.Linear(5, 2, bias=False))
        ),
        shapes=((5, 4), (2, 4)),
    ),
]


@pytest.mark.parametrize("case", [*ACTIVATIONS, *ALONG_AXIS, *LAYERS], ids=lambda case: case.name)
def test_layer(case: Case) -> None:
    run_layer_test(case, torch)


class _WrongValue(nn.Linear):
    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return super().forward(x) * (1.0 + 1e-8)


class _WrongGradient(nn.Linear):
    def forward(self, x: pl.Tensor) -> pl.Tensor:
        y = super().forward(x)
        return y + 1e-8 * (y - y.detach())


class _WrongCurvature(nn.Tanh):
    def forward(self, x: pl.Tensor) -> pl.Tensor:
        y = super().forward(x)
        return y + (x - x.detach()) ** 2


class _WrongDtype(nn.Linear):
    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return super().forward(x).astype(np.float64)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (Case("value", lambda: _WrongValue(4, 3), lambda m: m.Linear(4, 3)), "forward"),
        (Case("gradient", lambda: _WrongGradient(4, 3), lambda m: m.Linear(4, 3)), "gradient 0"),
        (Case("curvature", _WrongCurvature, lambda m: m.Tanh()), "second-order"),
        (Case("names", nn.PReLU, lambda m: m.Linear(1, 1)), ""),
        (Case("shapes", lambda: nn.Linear(4, 3), lambda m: m.Linear(3, 4)), ""),
        (Case("dtype", lambda: _WrongDtype(4, 3), lambda m: m.Linear(4, 3)), ""),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_a_planted_fault_is_found(fault: Case, found: str) -> None:
    with pytest.raises(AssertionError, match=found or None):
        run_layer_test(fault, torch)


POINTS = [-1e4, -21.0, -6.0, -3.0, -1.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 1.0, 3.0, 6.0, 19.9, 20.1, 1e4]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "args"), ELEMENTWISE, ids=str)
def test_activations_at_their_kinks_and_far_out(name: str, args: tuple[float, ...], dtype: str) -> None:
    x = pl.Tensor(POINTS, dtype=dtype, requires_grad=True)
    t = torch.tensor(POINTS, dtype=getattr(torch, dtype), requires_grad=True)
    y = getattr(nn, name)(*args).to(dtype)(x)
    expected = getattr(torch.nn, name)(*(() if args == (True,) else args)).to(t.dtype)(t)
    y.sum().backward()
    expected.sum().backward()
    tolerance = 1e-6 if dtype == "float32" else COARSE.get(name, 1e-12)
    np.testing.assert_allclose(y.numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=tolerance, atol=tolerance)
    again = pl.Tensor(POINTS, dtype=dtype, requires_grad=True)
    first = pl.autograd.grad(getattr(nn, name)(*args).to(dtype)(again).sum(), again, create_graph=True)
    if first.requires_grad:
        second = pl.autograd.grad(first.sum(), again, allow_unused=True)
        assert second is None or np.isfinite(second.numpy()).all()


@pytest.mark.parametrize("seed", range(3))
def test_embedding_shortens_rows_in_the_table_as_pytorch(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for norm_type in (2.0, 1.0, 3.0):
        ours = nn.Embedding(7, 3, max_norm=1.0, norm_type=norm_type).double()
        ours.weight.assign(pl.Tensor(rng.normal(size=(7, 3))))
        theirs = torch.nn.Embedding(7, 3, max_norm=1.0, norm_type=norm_type).double()
        theirs.load_state_dict({"weight": torch.from_numpy(ours.weight.numpy().copy())})
        indices = rng.integers(0, 5, (4, 2))  # rows 5 and 6 stay as they are
        y, t = ours(indices), theirs(torch.from_numpy(indices))
        np.testing.assert_allclose(y.numpy(), t.detach().numpy(), rtol=1e-12)
        np.testing.assert_allclose(ours.weight.numpy(), theirs.weight.detach().numpy(), rtol=1e-12)
        (y * y).sum().backward()
        (t * t).sum().backward()
        np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_reprs_are_pytorchs_but_for_axis_and_init() -> None:
    for name, args in ELEMENTWISE:
        ours, theirs = getattr(nn, name)(*args), getattr(torch.nn, name)(*(() if args == (True,) else args))
        words = repr(ours).replace("lambd=", "")
        assert words == repr(theirs), name
    for ours, theirs in [
        (nn.Softmax(1), torch.nn.Softmax(1)),
        (nn.LogSoftmax(-1), torch.nn.LogSoftmax(-1)),
        (nn.GLU(), torch.nn.GLU()),
        (nn.Unflatten(1, (2, 3)), torch.nn.Unflatten(1, (2, 3))),
        (nn.Flatten(), torch.nn.Flatten()),
        (nn.BatchNorm1d(4, momentum=None), torch.nn.BatchNorm1d(4, momentum=None)),
        (nn.LayerNorm((2, 3)), torch.nn.LayerNorm((2, 3))),
        (nn.LayerNorm(2, elementwise_affine=False), torch.nn.LayerNorm(2, elementwise_affine=False)),
        (nn.BatchNorm1d(2, affine=False), torch.nn.BatchNorm1d(2, affine=False)),
        (nn.RMSNorm(3), torch.nn.RMSNorm(3)),
        (nn.Embedding(3, 2, padding_idx=1, max_norm=2.0, scale_grad_by_freq=True),
         torch.nn.Embedding(3, 2, padding_idx=1, max_norm=2.0, scale_grad_by_freq=True)),
        (nn.Dropout(0.3), torch.nn.Dropout(0.3)),
    ]:  # fmt: skip
        assert repr(ours) == repr(theirs).replace("dim", "axis").replace(", inplace=False", "").replace(
            "elementwise_axis", "elementwise_dim"
        )
