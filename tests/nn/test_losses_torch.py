"""Every loss, option, reduction and edge size against PyTorch in float64: value, gradient of all float inputs, and the
second order where it is smooth."""

import itertools
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import pellucid as pl
import pellucid.nn.losses as losses
from pellucid.autograd import grad

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
# Threads cost more than they bring here, and far more on a busy machine.
torch.set_num_threads(1)

REDUCTIONS = ("mean", "sum", "none")


class Case(NamedTuple):
    """A loss with its options and inputs: floats that are differentiated, then fixed arrays by name."""

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    options: dict[str, Any]
    inputs: list[np.ndarray]
    fixed: dict[str, np.ndarray]
    smooth: bool


def rng(*key: Any) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(key).encode()))


def options(**choices: Any) -> list[dict[str, Any]]:
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def label(case: Case) -> str:
    shown = {k: v for k, v in case.options.items() if not callable(v)}
    shapes = " ".join(str(x.shape) for x in [*case.inputs, *case.fixed.values()])
    return f"{case.name} {shown} {shapes} {','.join(case.fixed)}"


def skip_mean_of_nothing(option: dict[str, Any], shape: tuple[int, ...]) -> bool:
    """PyTorch's mean of an empty batch is NaN; ours is refused, which test_losses.py holds."""
    return 0 in shape and option["reduction"] in ("mean", "batchmean")


def cases() -> list[Case]:
    found: list[Case] = []

    def add(name: str, option: dict[str, Any], inputs: list[Any], smooth: bool = True, **fixed: Any) -> None:
        if skip_mean_of_nothing(option, np.shape(inputs[0])):
            return
        theirs = getattr(torch.nn.functional, name)
        arrays = [np.array(x, np.float64, order="C") for x in inputs]
        found.append(Case(name, getattr(losses, name), theirs, option, arrays, fixed, smooth))

    for shape in [(4, 3), (1, 3), (0, 3), (5,), ()]:
        r = rng("numbers", shape)
        x, t = r.normal(size=shape) * 2, r.normal(size=shape) * 2
        for reduction in REDUCTIONS:
            add("mse_loss", {"reduction": reduction}, [x, t])
            add("l1_loss", {"reduction": reduction}, [x, t], smooth=False)
            for delta in (0.5, 1.0, 3.0):
                add("huber_loss", {"reduction": reduction, "delta": delta}, [x, t], smooth=False)
            for beta in (0.0, 0.5, 1.0, 3.0):
                add("smooth_l1_loss", {"reduction": reduction, "beta": beta}, [x, t], smooth=False)
            count = r.integers(0, 5, shape).astype(float)
            for log_input, full, eps in itertools.product((True, False), (True, False), (1e-8, 1e-2)):
                option = {"reduction": reduction, "log_input": log_input, "full": full, "eps": eps}
                add("poisson_nll_loss", option, [x if log_input else np.abs(x) + 0.1], target=count)
            var = r.uniform(0.1, 2.0, shape)
            for full, eps in itertools.product((True, False), (1e-6, 0.5)):
                option = {"reduction": reduction, "full": full, "eps": eps}
                add("gaussian_nll_loss", option, [x, t, var], smooth=eps < 0.1)
                if shape:
                    add("gaussian_nll_loss", option, [x, t, var[..., :1]], smooth=eps < 0.1)
                    add("gaussian_nll_loss", option, [x, t, var[..., 0]], smooth=eps < 0.1)
            sign = r.choice([-1.0, 1.0], shape)
            add("soft_margin_loss", {"reduction": reduction}, [x], target=sign)
            for margin in (0.0, 0.7):
                add(
                    "margin_ranking_loss", {"reduction": reduction, "margin": margin}, [x, t], smooth=False, target=sign
                )
                add("hinge_embedding_loss", {"reduction": reduction, "margin": margin}, [x], smooth=False, target=sign)
            unit = r.uniform(0.05, 0.95, shape)
            hard = r.integers(0, 2, shape).astype(float)
            weights: list[Any] = [None, r.uniform(0.5, 2.0, shape)]
            if len(shape) == 2:
                weights += [r.uniform(0.5, 2.0, shape[1:]), r.uniform(0.5, 2.0, (shape[0], 1))]
            for weight in weights:
                w = {} if weight is None else {"weight": weight}
                add("binary_cross_entropy", {"reduction": reduction}, [r.uniform(0.05, 0.95, shape), unit], **w)
                add("binary_cross_entropy", {"reduction": reduction}, [unit], target=hard, **w)
                add("binary_cross_entropy_with_logits", {"reduction": reduction}, [x, unit], **w)
                add("binary_cross_entropy_with_logits", {"reduction": reduction}, [x], target=hard, **w)
                for pos_weight in weights[1:]:
                    pw = {"pos_weight": pos_weight, **w}
                    add("binary_cross_entropy_with_logits", {"reduction": reduction}, [x, unit], **pw)

    for shape in [(4, 3), (1, 3), (0, 3), (5,), (2, 3, 4)]:
        r = rng("distributions", shape)
        x = r.normal(size=shape)
        t = r.dirichlet(np.ones(shape[-1]), shape[:-1])
        for reduction in (*REDUCTIONS, "batchmean"):
            if reduction == "batchmean" and 0 in shape:
                continue
            add("kl_div", {"reduction": reduction, "log_target": False}, [np.log(t[::-1]), t])
            add("kl_div", {"reduction": reduction, "log_target": True}, [x, np.log(t)])

    for shape in [(4, 3), (1, 3), (0, 3), (3,), (2, 3, 4), (2, 3, 2, 2), (5, 2)]:
        r = rng("classes", shape)
        axis = 1 if len(shape) > 1 else 0
        classes = shape[axis]
        labels_shape = shape[:axis] + shape[axis + 1 :]
        x = r.normal(size=shape) * 3
        target = r.integers(0, classes, labels_shape)
        soft = np.moveaxis(r.dirichlet(np.ones(classes), labels_shape), -1, axis)
        log_p = np.log(np.moveaxis(r.dirichlet(np.ones(classes), labels_shape), -1, axis))
        ignored = np.asarray(target).copy()
        if ignored.ndim and ignored.shape[0] > 1:
            ignored[0] = -100
        weight = r.uniform(0.5, 2.0, classes)
        for reduction, w in itertools.product(REDUCTIONS, (None, weight)):
            fixed = {} if w is None else {"weight": w}
            for smoothing in (0.0, 0.1, 1.0):
                option = {"reduction": reduction, "label_smoothing": smoothing}
                add("cross_entropy", option, [x], target=target, **fixed)
                add("cross_entropy", option, [x], target=ignored, **fixed)
                add("cross_entropy", option, [x, soft], **fixed)
                if ignored.ndim and 0 < (target == 1).sum() < target.size:
                    add("cross_entropy", {**option, "ignore_index": 1}, [x], target=target, **fixed)
            add("nll_loss", {"reduction": reduction}, [log_p], target=target, **fixed)
            add("nll_loss", {"reduction": reduction}, [log_p], target=ignored, **fixed)
            if ignored.ndim and 0 < (target == 1).sum() < target.size:
                add("nll_loss", {"reduction": reduction, "ignore_index": 1}, [log_p], target=target, **fixed)
            if len(shape) < 3:
                for p, margin in itertools.product((1, 2), (1.0, 0.4)):
                    option = {"reduction": reduction, "p": p, "margin": margin}
                    if 0 not in shape:
                        add("multi_margin_loss", option, [x], smooth=False, target=target, **fixed)
                unit = r.uniform(0.0, 1.0, shape)
                add("multilabel_soft_margin_loss", {"reduction": reduction}, [x, unit], **fixed)
        if len(shape) < 3 and 0 not in shape:
            lists = np.full(shape, -1)
            for row in lists.reshape(-1, classes):
                count = r.integers(0, classes + 1)
                row[:count] = r.permutation(classes)[:count]
                if count < classes - 1:
                    row[count + 1 :] = r.integers(0, classes, classes - count - 1)
            for reduction in REDUCTIONS:
                add("multilabel_margin_loss", {"reduction": reduction}, [x], smooth=False, target=lists)

    for shape in [(4, 3), (1, 3), (0, 3), (3,)]:
        r = rng("embeddings", shape)
        a, b, c = r.normal(size=(3, *shape))
        sign = r.choice([-1, 1], shape[:-1])
        for reduction in REDUCTIONS:
            for margin in (0.0, 0.3, -0.5):
                option = {"reduction": reduction, "margin": margin}
                add("cosine_embedding_loss", option, [a, b], smooth=False, target=np.asarray(sign))
            for margin, p, swap in itertools.product((1.0, 0.2), (2.0, 1.0, 3.0), (False, True)):
                option = {"reduction": reduction, "margin": margin, "p": p, "swap": swap}
                add("triplet_margin_loss", option, [a, b, c], smooth=False)
            for margin, swap in itertools.product((1.0, 0.2), (False, True)):
                option = {"reduction": reduction, "margin": margin, "swap": swap}
                add("triplet_margin_with_distance_loss", option, [a, b, c], smooth=False)
    return found


CASES = cases()


def arguments(case: Case, tensors: list[Any], wrap: Callable[[Any], Any]) -> tuple[list[Any], dict[str, Any]]:
    """Positional and keyword arguments: a fixed target stands after the differentiated inputs."""
    fixed = {k: wrap(v) for k, v in case.fixed.items()}
    return [*tensors, *([fixed.pop("target")] if "target" in fixed else [])], {**fixed, **case.options}


def run(case: Case, tensors: list[Any]) -> Any:
    positional, keywords = arguments(case, tensors, pl.Tensor)
    return case.ours(*positional, **keywords)


def run_torch(case: Case, tensors: list[Any]) -> Any:
    positional, keywords = arguments(case, tensors, torch.tensor)
    return case.theirs(*positional, **keywords)


def close(ours: Any, theirs: Any, tolerance: float) -> None:
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def compare(case: Case) -> None:
    """Raise AssertionError unless value, gradient and second order agree."""
    xs = [pl.Tensor(x, requires_grad=True) for x in case.inputs]
    ts = [torch.tensor(x, requires_grad=True) for x in case.inputs]
    y, u = run(case, xs), run_torch(case, ts)
    close(y, u, 1e-10)
    seed = rng(label(case)).normal(size=y.shape)
    ours = grad(y, xs, pl.Tensor(seed), create_graph=case.smooth, allow_unused=True)
    theirs = torch.autograd.grad(u, ts, torch.tensor(seed), create_graph=case.smooth, allow_unused=True)
    for x, g, h in zip(xs, ours, theirs, strict=True):
        close(*or_zero(g, h, x), 1e-9)
    if not case.smooth or not y.size:
        return
    v = [rng(label(case), i).normal(size=x.shape) for i, x in enumerate(xs)]
    dot = sum((g * pl.Tensor(d)).sum() for g, d in zip(ours, v, strict=True) if g is not None)
    tdot = sum((h * torch.tensor(d)).sum() for h, d in zip(theirs, v, strict=True) if h is not None)
    if not tdot.requires_grad:
        return
    second = grad(dot, xs, allow_unused=True) if dot.requires_grad else [None] * len(xs)
    tsecond = torch.autograd.grad(tdot, ts, allow_unused=True)
    for x, g, h in zip(xs, second, tsecond, strict=True):
        close(*or_zero(g, h, x), 1e-9)


def or_zero(g: Any, h: Any, x: pl.Tensor) -> tuple[Any, Any]:
    """A gradient that is None is 0."""
    return pl.Tensor(np.zeros(x.shape)) if g is None else g, torch.zeros(x.shape) if h is None else h


# PyTorch warns of its own default.
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", sorted({case.name for case in CASES}))
def test_losses_equal_pytorch(name: str) -> None:
    for case in (c for c in CASES if c.name == name):
        try:
            compare(case)
        except AssertionError as problem:
            raise AssertionError(label(case)) from problem


@pytest.mark.parametrize(
    "fault",
    [
        lambda x, t, **kw: losses.mse_loss(x, t, **kw) + 1e-8,
        lambda x, t, **kw: losses.mse_loss(x, t.detach(), **kw),
        lambda x, t, **kw: losses.mse_loss(x, t, **kw) + 1e-6 * (x - x.detach()).sum(),
        lambda x, t, **kw: losses.mse_loss(x, t, **kw) + 1e-6 * ((x - x.detach()) ** 2).sum(),
    ],
    ids=["value", "gradient of the target", "gradient", "second order"],
)
def test_the_comparison_finds_a_fault(fault: Callable[..., Any]) -> None:
    case = next(c for c in CASES if c.name == "mse_loss" and c.inputs[0].shape == (4, 3))
    compare(case)
    with pytest.raises(AssertionError):
        compare(case._replace(ours=fault))


def test_the_table_covers_every_loss_of_pytorch() -> None:
    # CTC is apart; the two others are layers, with weights of their own, that end in a loss.
    other = {"CTCLoss", "NLLLoss2d", "AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss"}
    theirs = {n for n in vars(torch.nn) if n.endswith("Loss")} - other
    ours = {n for n in losses.__all__ if n.endswith("Loss")}
    assert theirs <= ours
    assert {c.name for c in CASES} >= {n for n in losses.__all__ if n.endswith("_loss")} - {
        "focal_loss",
        "quantile_loss",
    }


def built(cls: Any, wrap: Callable[[Any], Any], **kwargs: Any) -> Any:
    return cls(**{k: wrap(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()})


MODULES: list[tuple[str, dict[str, Any], str]] = [
    ("L1Loss", {}, "xt"),
    ("MSELoss", {"reduction": "sum"}, "xt"),
    ("HuberLoss", {"delta": 0.5}, "xt"),
    ("SmoothL1Loss", {"beta": 0.5}, "xt"),
    ("CrossEntropyLoss", {}, "xc"),
    (
        "CrossEntropyLoss",
        {"weight": np.array([0.5, 1.0, 2.0]), "ignore_index": 1, "reduction": "none", "label_smoothing": 0.2},
        "xc",
    ),
    ("NLLLoss", {"weight": np.array([0.5, 1.0, 2.0]), "ignore_index": 2}, "nc"),
    ("PoissonNLLLoss", {"full": True}, "xu"),
    ("PoissonNLLLoss", {"log_input": False, "eps": 1e-3, "reduction": "sum"}, "pu"),
    ("GaussianNLLLoss", {"full": True, "eps": 1e-3}, "xtp"),
    ("KLDivLoss", {"reduction": "batchmean"}, "xu"),
    ("KLDivLoss", {"reduction": "sum", "log_target": True}, "xt"),
    ("BCELoss", {"weight": np.array([0.5, 1.0, 2.0])}, "pu"),
    ("BCEWithLogitsLoss", {"weight": np.array([0.5, 1.0, 2.0]), "pos_weight": np.array([3.0, 1.0, 0.5])}, "xu"),
    ("MarginRankingLoss", {"margin": 0.3}, "xts"),
    ("HingeEmbeddingLoss", {"margin": 0.3}, "xs"),
    ("MultiLabelMarginLoss", {}, "xl"),
    ("SoftMarginLoss", {}, "xs"),
    ("MultiLabelSoftMarginLoss", {"weight": np.array([0.5, 1.0, 2.0])}, "xu"),
    ("CosineEmbeddingLoss", {"margin": 0.3}, "xtr"),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": np.array([0.5, 1.0, 2.0])}, "xc"),
    ("TripletMarginLoss", {"margin": 0.4, "p": 3.0, "eps": 1e-3, "swap": True}, "xtp"),
    ("TripletMarginWithDistanceLoss", {"margin": 0.4, "swap": True}, "xtp"),
]


@pytest.mark.parametrize(("name", "kwargs", "roles"), MODULES, ids=[f"{m[0]}-{i}" for i, m in enumerate(MODULES)])
def test_modules_take_pytorchs_arguments(name: str, kwargs: dict[str, Any], roles: str) -> None:
    r = rng(name)
    arrays = {
        "x": r.normal(size=(4, 3)),
        "t": r.normal(size=(4, 3)),
        "u": r.uniform(0.1, 0.9, (4, 3)),
        "p": r.uniform(0.1, 0.9, (4, 3)),
        "n": np.log(r.uniform(0.1, 0.9, (4, 3))),
        "c": np.array([0, 2, 1, 0]),
        "s": r.choice([-1.0, 1.0], (4, 3)),
        "r": r.choice([-1.0, 1.0], 4),
        "l": np.array([[0, -1, 2], [2, 1, -1], [-1, 0, 0], [1, 0, 2]]),
    }
    ours = built(getattr(losses, name), pl.Tensor, **kwargs)
    theirs = built(getattr(torch.nn, name), torch.tensor, **kwargs)
    close(ours(*(arrays[c] for c in roles)), theirs(*(torch.tensor(arrays[c]) for c in roles)), 1e-10)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }


def test_gradients_at_kinks_are_pytorchs() -> None:
    zeros = np.zeros(2)
    pairs: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("l1_loss", [zeros, zeros], {}),
        ("smooth_l1_loss", [np.array([1.0, -1.0]), zeros], {}),
        ("huber_loss", [np.array([1.0, -1.0]), zeros], {}),
        ("margin_ranking_loss", [zeros, zeros, np.array([1.0, -1.0])], {}),
        ("hinge_embedding_loss", [np.array([1.0, 1.0]), np.array([-1.0, 1.0])], {}),
        ("multi_margin_loss", [np.array([[1.0, 0.0]]), np.array([0])], {}),
        ("multilabel_margin_loss", [np.array([[1.0, 0.0]]), np.array([[0, -1]])], {}),
    ]
    for name, arrays, option in pairs:
        x = pl.Tensor(arrays[0], requires_grad=True)
        getattr(losses, name)(x, *map(pl.Tensor, arrays[1:]), **option).backward()
        t = torch.tensor(arrays[0], requires_grad=True)
        getattr(torch.nn.functional, name)(t, *map(torch.tensor, arrays[1:]), **option).backward()
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), t.grad.numpy(), name)


def test_probabilities_are_bounded_like_pytorchs() -> None:
    p = np.array([0.0, 1.0, 1e-60, 0.0, 1.0])
    t = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    for dtype in (np.float32, np.float64):
        ours = losses.binary_cross_entropy(pl.Tensor(p.astype(dtype)), pl.Tensor(t.astype(dtype)), reduction="none")
        theirs = torch.nn.functional.binary_cross_entropy(
            torch.tensor(p.astype(dtype)), torch.tensor(t.astype(dtype)), reduction="none"
        )
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_focal_loss_equals_its_formula_in_pytorch() -> None:
    # torchvision.ops.sigmoid_focal_loss, written out.
    r = rng("focal")
    x, t = r.normal(size=(6, 3)) * 2, r.integers(0, 2, (6, 3)).astype(float)
    for gamma, alpha in itertools.product((0.0, 1.5, 2.0), (None, 0.25)):
        z = torch.tensor(x, requires_grad=True)
        p, u = torch.sigmoid(z), torch.tensor(t)
        theirs = torch.nn.functional.binary_cross_entropy_with_logits(z, u, reduction="none")
        theirs = theirs * (1 - (p * u + (1 - p) * (1 - u))) ** gamma
        if alpha is not None:
            theirs = theirs * (alpha * u + (1 - alpha) * (1 - u))
        ours = pl.Tensor(x, requires_grad=True)
        y = losses.focal_loss(ours, t, gamma, alpha)
        y.backward()
        theirs.mean().backward()
        close(y, theirs.mean(), 1e-10)
        close(ours.grad, z.grad, 1e-9)


@pytest.mark.parametrize("shape", [(6, 4), (1, 4), (4,), (2, 4, 3)])
def test_focal_loss_of_classes_equals_its_formula_in_pytorch(shape: tuple[int, ...]) -> None:
    r = rng("focal", shape)
    axis = 1 if len(shape) > 1 else 0
    x, t = r.normal(size=shape) * 2, np.asarray(r.integers(0, 4, shape[:axis] + shape[axis + 1 :]))
    weight = r.uniform(0.5, 2.0, 4)
    for gamma, alpha in itertools.product((0.0, 1.5, 2.0), (None, weight)):
        z, u = torch.tensor(x, requires_grad=True), torch.tensor(t)
        log_p = torch.log_softmax(z, axis).gather(axis, u.unsqueeze(axis)).squeeze(axis)
        theirs = -((1 - log_p.exp()) ** gamma) * log_p
        if alpha is not None:
            theirs = theirs * torch.tensor(alpha)[u]
        for reduction in REDUCTIONS:
            ours = pl.Tensor(x, requires_grad=True)
            y = losses.focal_loss(ours, t, gamma, alpha, reduction=reduction)
            u_loss = {"mean": theirs.mean(), "sum": theirs.sum(), "none": theirs}[reduction]
            close(y, u_loss, 1e-10)
            y.sum().backward()
            (g,) = torch.autograd.grad(u_loss.sum(), z, retain_graph=True)
            close(ours.grad, g, 1e-9)
