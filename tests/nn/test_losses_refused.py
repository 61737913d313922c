"""What the losses refuse: shapes that would broadcast, labels that do not fit, inputs that went through the wrong
activation; and the words in which they do."""

import math
import re
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid import nn
from pellucid.errors import (
    ArgumentTypeError,
    DTypeError,
    LabelError,
    ModelError,
    PellucidError,
    PellucidWarning,
    ShapeError,
)
from pellucid.nn import losses
from pellucid.nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    focal_loss,
    gaussian_nll_loss,
    kl_div,
    mse_loss,
    nll_loss,
)

R = np.random.default_rng(0)
X = R.uniform(0.1, 0.9, (4, 3))
LOG = np.log(X / X.sum(1, keepdims=True))
SIGN = R.choice([-1.0, 1.0], (4, 3))
LABELS = np.array([0, 2, 1, 0])
LISTS = np.array([[0, -1, 2], [2, 1, -1], [-1, 0, 0], [1, 0, 2]])
WEIGHT = np.array([1.0, 2.0, 3.0])

# Each loss with arguments of the right shapes, of which every one must be refused in any other shape.
CALLS: dict[str, dict[str, Any]] = {
    "mse_loss": {"input": X, "target": X},
    "l1_loss": {"input": X, "target": X},
    "huber_loss": {"input": X, "target": X},
    "smooth_l1_loss": {"input": X, "target": X},
    "quantile_loss": {"input": X, "target": X},
    "poisson_nll_loss": {"input": X, "target": X},
    "gaussian_nll_loss": {"input": X, "target": X, "var": X},
    "kl_div": {"input": LOG, "target": X},
    "binary_cross_entropy": {"input": X, "target": X},
    "binary_cross_entropy_with_logits": {"input": X, "target": X},
    "soft_margin_loss": {"input": X, "target": SIGN},
    "multilabel_soft_margin_loss": {"input": X, "target": X},
    "hinge_embedding_loss": {"input": X, "target": SIGN},
    "margin_ranking_loss": {"input1": X, "input2": X, "target": SIGN},
    "cosine_embedding_loss": {"input1": X, "input2": X, "target": SIGN[:, 0]},
    "triplet_margin_loss": {"anchor": X, "positive": X, "negative": X},
    "triplet_margin_with_distance_loss": {"anchor": X, "positive": X, "negative": X},
    "pairwise_distance": {"x1": X, "x2": X},
    "cross_entropy": {"input": X, "target": LABELS},
    "nll_loss": {"input": LOG, "target": LABELS},
    "focal_loss": {"input": X, "target": LABELS},
    "multi_margin_loss": {"input": X, "target": LABELS},
    "multilabel_margin_loss": {"input": X, "target": LISTS},
}
OTHER_FORMS: list[tuple[str, dict[str, Any]]] = [
    ("cross_entropy", {"input": X, "target": X / X.sum(1, keepdims=True)}),
    ("focal_loss", {"input": X, "target": (X > 0.5) * 1.0}),
    ("quantile_loss", {"input": X, "target": X[:, 0], "quantile": (0.1, 0.5, 0.9)}),
    *(
        (name, {k: v[:, 0] if v.ndim == 2 else v[0] for k, v in CALLS[name].items()})
        for name in CALLS
        if "distance" not in name
    ),
]
TABLE = [*CALLS.items(), *OTHER_FORMS]


def reshapings(x: np.ndarray) -> list[np.ndarray]:
    """The same or fewer numbers under every shape that comes from a lost, added or swapped axis."""
    found = {}
    candidates = [
        x[..., None],
        x[None],
        x.T,
        x.reshape(-1),
        np.asarray(x.flat[0]),
        x.reshape(-1)[:1],
        x.reshape(-1)[:1, None],
    ]
    if x.ndim:
        candidates += [x[0], x[:1], x[..., 0], x[..., :1], np.concatenate([x, x]), x[:-1]]
    for candidate in candidates:
        if candidate.shape != x.shape:
            found[candidate.shape] = candidate
    return list(found.values())


def allowed(name: str, argument: str, shape: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """The shapes beside the first that the documentation grants: a variance for each row or one for all, and, where the
    target is one label, any number of classes (and to the focal loss one yes-or-no output)."""
    if name in ("cross_entropy", "nll_loss", "focal_loss", "multi_margin_loss") and argument == "input":
        return len(right) == 1 and (len(shape) == 1 or (name == "focal_loss" and not shape))
    return name == "gaussian_nll_loss" and argument == "var" and shape in ((), right[:-1], (*right[:-1], 1))


@pytest.mark.parametrize(("name", "arguments"), TABLE, ids=[f"{i}-{name}" for i, (name, _) in enumerate(TABLE)])
def test_no_loss_ever_broadcasts(name: str, arguments: dict[str, Any]) -> None:
    function = getattr(losses, name)
    function(**arguments)
    tried = 0
    for argument, value in arguments.items():
        if not isinstance(value, np.ndarray):
            continue
        for other in reshapings(value):
            if allowed(name, argument, other.shape, value.shape):
                continue
            try:
                function(**{**arguments, argument: other})
            except PellucidError:
                tried += 1
            else:
                pytest.fail(f"{name}: {argument} {other.shape} instead of {value.shape} is taken")
    assert tried >= 3


@pytest.mark.parametrize(("name", "arguments"), TABLE, ids=[f"{i}-{name}" for i, (name, _) in enumerate(TABLE)])
def test_every_fix_of_a_shape_works(name: str, arguments: dict[str, Any]) -> None:
    function = getattr(losses, name)
    target = arguments.get("target")
    if target is None:
        return
    for other in reshapings(target):
        try:
            function(**{**arguments, "target": other})
        except PellucidError as error:
            if error.fix and not error.fix.startswith("did you mean"):
                fixed = eval(error.fix, {"target": other, "pellucid": pellucid})  # noqa: S307
                function(**{**arguments, "target": fixed})


@pytest.mark.parametrize(
    ("call", "fix"),
    [
        (lambda t: mse_loss(np.zeros((3, 4)), t), (np.array([0, 3, 1]), "pellucid.one_hot(target, 4)")),
        (lambda t: cross_entropy(np.zeros((3, 4)), t), (np.array([1, 4, 2]), "target - 1")),
        (lambda t: cross_entropy(np.zeros((3, 4)), t), (np.array([1.0, 3.0, 2.0]), 'target.astype("int64")')),
        (lambda t: cross_entropy(np.zeros((3, 4)), t), (np.eye(4, dtype=int)[:3], "target.argmax(1)")),
        (lambda t: cross_entropy(np.zeros((3, 4)), t), (np.array([[1], [3], [2]]), "target.reshape(-1)")),
        (lambda t: cross_entropy(np.zeros((3, 4, 2)), t), (np.eye(4, dtype=int)[[[0, 1]] * 3], "target.argmax(-1)")),
        (lambda t: losses.soft_margin_loss(np.zeros(2), t), (np.array([0, 1], np.uint8), "2.0 * target - 1")),
        (lambda t: losses.hinge_embedding_loss(np.zeros(2), t), (np.array([False, True]), "2.0 * target - 1")),
        (lambda t: binary_cross_entropy_with_logits(np.zeros(2), t), (np.array([-1, 1]), "(target + 1) / 2")),
        (lambda t: losses.multilabel_margin_loss(np.zeros(2), t), (np.array([1.0, -1.0]), 'target.astype("int64")')),
    ],
)
def test_every_fix_of_values_works(call: Any, fix: Any) -> None:
    target, expected = fix
    with pytest.raises(PellucidError) as caught:
        call(target)
    assert caught.value.fix == expected
    call(eval(caught.value.fix, {"target": target, "pellucid": pellucid}))  # noqa: S307


@pytest.mark.parametrize("bad", [WEIGHT[:2], WEIGHT[:, None], WEIGHT[None], np.array(1.0), np.ones(4), X])
def test_class_weights_have_one_factor_a_class(bad: np.ndarray) -> None:
    for name in ("cross_entropy", "nll_loss", "multi_margin_loss"):
        with pytest.raises(ShapeError, match="weight does not fit the input"):
            getattr(losses, name)(LOG, LABELS, weight=bad)
    with pytest.raises(ShapeError, match="weight does not fit the input"):
        losses.multilabel_soft_margin_loss(X, X, bad)
    with pytest.raises(ShapeError, match="alpha does not fit the input"):
        focal_loss(X, LABELS, alpha=bad)


def test_weights_of_elements_are_aligned_only_where_it_is_plain() -> None:
    for function in (binary_cross_entropy, binary_cross_entropy_with_logits):
        for good in (np.array(2.0), WEIGHT, np.ones((4, 1)), np.ones((1, 3)), np.ones((4, 3)), np.ones(1)):
            function(X, X, good)
        for bad in (np.ones(4), np.ones((3, 4)), np.ones((4, 3, 1)), np.ones(2), np.ones((4, 1, 1))):
            with pytest.raises(ShapeError, match="weight does not fit the input"):
                function(X, X, bad)
            with pytest.raises(ShapeError, match="pos_weight does not fit the input"):
                binary_cross_entropy_with_logits(X, X, pos_weight=bad)
    with pytest.raises(ShapeError) as caught:
        binary_cross_entropy(X, X, np.ones(4))
    assert caught.value.fix == "sample_weight=weight"
    binary_cross_entropy(X, X, sample_weight=np.ones(4))
    # With as many places as classes a factor for each class must not be taken for one of each place.
    with pytest.raises(ShapeError):
        binary_cross_entropy(np.full((4, 3, 5), 0.5), np.zeros((4, 3, 5)), np.ones(5))


@pytest.mark.parametrize("bad", [np.ones(3), np.ones((4, 1)), np.ones((4, 3)), np.ones(5), np.array(1.0)])
def test_sample_weights_have_one_factor_a_row(bad: np.ndarray) -> None:
    for name in ("mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"):
        with pytest.raises(ShapeError, match="sample_weight does not fit the input"):
            getattr(losses, name)(X, X, sample_weight=bad)
    for name in ("cross_entropy", "nll_loss", "focal_loss"):
        with pytest.raises(ShapeError, match="sample_weight does not fit the input"):
            getattr(losses, name)(LOG, LABELS, sample_weight=bad)


# Targets


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", [n for n, a in CALLS.items() if "target" in a])
def test_a_target_that_is_nan_is_refused(name: str, reduction: str) -> None:
    arguments = dict(CALLS[name])
    target = np.array(arguments["target"], float)
    target.reshape(len(target), -1)[2, 0] = math.nan
    with pytest.raises(LabelError) as caught:
        getattr(losses, name)(**{**arguments, "target": target}, reduction=reduction)
    assert caught.value.what.endswith("a target is NaN")
    assert caught.value.given == "1 NaN, the first at row 2"


def test_a_nan_from_the_network_is_not_blamed_on_the_targets() -> None:
    x = X.copy()
    x[1, 1] = math.nan
    for name in ("mse_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "poisson_nll_loss"):
        assert math.isnan(getattr(losses, name)(x, X).item())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: binary_cross_entropy([0.5, 0.5], [0.0, 2.0]), "target 2.0 at row 1 is outside [0, 1]"),
        (lambda: binary_cross_entropy_with_logits([0.5], [-0.5]), "target -0.5 at row 0 is outside [0, 1]"),
        (lambda: losses.multilabel_soft_margin_loss([[0.5, 1]], [[0, 3]]), "target 3.0 at row 0 is outside [0, 1]"),
        (lambda: losses.soft_margin_loss([0.5, 0.5], [1.0, 0.0]), "target 0.0 at row 1 is neither 1 nor -1"),
        (lambda: losses.margin_ranking_loss([0.5], [0.5], [2.0]), "target 2.0 at row 0 is neither 1 nor -1"),
        (lambda: losses.cosine_embedding_loss([[0.5]], [[0.5]], [0]), "target 0.0 at row 0 is neither 1 nor -1"),
        (lambda: focal_loss([0.5], [0.5]), "target 0.5 at row 0 is neither 0 nor 1"),
        (lambda: losses.poisson_nll_loss([0.5, 1.0], [1.0, -1.0]), "the count at row 1 is negative"),
        (lambda: kl_div([[-1.0, -1.0]], [[-1.0, 1.0]]), "the target probability at row 0 is negative"),
        (lambda: cross_entropy([[0.0, 1.0]], [[-0.5, 1.5]]), "the target probability at row 0 is negative"),
        (lambda: cross_entropy([[0.0, 1.0]], [-1]), "label -1 at row 0; the net has 2 outputs"),
        (lambda: cross_entropy([[0.0, 1.0]], [-100], ignore_index=None), "label -100 at row 0; the net has 2 outputs"),
        (lambda: nll_loss([[0.0, -1.0]], [2]), "label 2 at row 0; the net has 2 outputs"),
        (lambda: focal_loss([[0.0, 1.0]], [-100]), "label -100 at row 0; the net has 2 outputs"),
        (lambda: losses.multi_margin_loss([[0.0, 1.0]], [2]), "label 2 at row 0; the net has 2 outputs"),
        (lambda: losses.multilabel_margin_loss([[0.0, 1.0]], [[-2, 0]]), "label -2 at row 0; the net has 2 outputs"),
    ],
)
def test_targets_outside_their_range_are_refused(call: Any, message: str) -> None:
    with pytest.raises(LabelError, match=re.escape(message)):
        call()


def test_probabilities_that_do_not_sum_to_one_are_reported() -> None:
    with pytest.warns(PellucidWarning) as caught:
        cross_entropy([[0.0, 1.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.25]])
    message = caught[0].message
    assert isinstance(message, PellucidWarning)
    assert message.what == "cross_entropy: target probabilities do not sum to 1"
    assert message.given == "row 1 sums to 0.75"


# What the network gives out


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_one_logit_under_softmax_is_refused(dtype: Any) -> None:
    for name in ("cross_entropy", "nll_loss", "multi_margin_loss"):
        with pytest.raises(ModelError, match="did you mean BCEWithLogitsLoss"):
            getattr(losses, name)(np.zeros((4, 1)), np.zeros(4, dtype))
    # The fix works: one output under BCEWithLogitsLoss, float targets of its shape.
    assert nn.BCEWithLogitsLoss()(np.zeros((4, 1)), np.zeros((4, 1))).item() == pytest.approx(math.log(2))


def test_activations_that_the_loss_applies_itself_are_refused() -> None:
    z = pellucid.Tensor(X, requires_grad=True)
    for call in (
        lambda: cross_entropy(pellucid.softmax(z), LABELS),
        lambda: cross_entropy(nn.Sequential(nn.Linear(3, 3, dtype="float64"), nn.Softmax(1))(z), LABELS),
        lambda: focal_loss(pellucid.softmax(z, 1), LABELS),
        lambda: binary_cross_entropy_with_logits(pellucid.sigmoid(z), X),
        lambda: binary_cross_entropy_with_logits(nn.Sigmoid()(z), X),
        lambda: losses.multilabel_soft_margin_loss(pellucid.sigmoid(z), X),
    ):
        with pytest.raises(ModelError, match="takes logits, but its input is the output of"):
            call()
    for call in (lambda: nll_loss(pellucid.softmax(z), LABELS), lambda: kl_div(pellucid.softmax(z), X)):
        with pytest.raises(ModelError, match="takes log-probabilities, but its input is the output of softmax"):
            call()
    # The logarithm of softmax is a logit like any other: taking it twice changes nothing.
    once, twice = cross_entropy(z, LABELS), cross_entropy(pellucid.log_softmax(z), LABELS)
    assert once.item() == pytest.approx(twice.item(), rel=1e-14)


def test_activations_are_found_through_movements_and_without_a_history() -> None:
    z = pellucid.Tensor(X, requires_grad=True)
    p = pellucid.softmax(z)
    for moved in (p.reshape(X.shape), p.T.T, p[:], p[:, None].squeeze(1)):
        with pytest.raises(ModelError, match="cross_entropy takes logits, but its input is the output of softmax"):
            cross_entropy(moved, LABELS)
        with pytest.raises(ModelError, match="nll_loss takes log-probabilities, but its input is the output of softm"):
            nll_loss(moved, LABELS)
    with pellucid.no_grad():
        with pytest.raises(ModelError, match="cross_entropy takes logits, but its input is the output of softmax"):
            cross_entropy(pellucid.softmax(z), LABELS)
        with pytest.raises(ModelError, match="takes logits, but its input is the output of sigmoid"):
            binary_cross_entropy_with_logits(pellucid.sigmoid(z), X)


def test_sigmoid_before_cross_entropy_is_reported() -> None:
    with pytest.warns(PellucidWarning, match="takes logits, but its input is the output of sigmoid"):
        cross_entropy(pellucid.sigmoid(pellucid.Tensor(X, requires_grad=True)), LABELS)


@pytest.mark.parametrize("bad", [1.5, -0.1])
def test_outputs_that_are_no_probabilities_are_refused(bad: float) -> None:
    with pytest.raises(ModelError, match=f"{bad} at row 1"):
        binary_cross_entropy([0.5, bad], [1.0, 0.0])


def test_negative_variances_and_rates_are_refused() -> None:
    with pytest.raises(ModelError, match=r"a variance is negative\n  given:    -1.0 at row 1"):
        gaussian_nll_loss([1.0, 1.0], [1.0, 1.0], [1.0, -1.0])
    with pytest.raises(ModelError, match=r"an expected count is negative\n  given:    -0.5 at row 0"):
        losses.poisson_nll_loss([-0.5], [1.0], log_input=False)


def test_a_distance_that_is_no_function_is_refused() -> None:
    for distance in (3, lambda a, b: 1.0):
        with pytest.raises(ArgumentTypeError, match="the distance is no function to a Tensor"):
            losses.triplet_margin_with_distance_loss(X, X, X, distance_function=distance)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
def test_rows_of_scores_are_asked_for(shape: tuple[int, ...]) -> None:
    for name in ("multi_margin_loss", "multilabel_margin_loss"):
        with pytest.raises(ShapeError, match="takes rows of scores"):
            getattr(losses, name)(np.zeros(shape), np.zeros(shape, int))
    if not shape:
        for call in (lambda: cross_entropy(1.0, 0), lambda: losses.multilabel_soft_margin_loss(1.0, 1.0)):
            with pytest.raises(ShapeError, match="no axis of classes"):
                call()
        for call in (lambda: losses.cosine_embedding_loss(1.0, 1.0, 1.0), lambda: losses.pairwise_distance(1.0, 1.0)):
            with pytest.raises(ShapeError, match="no axis of features"):
                call()


# A whole data set


def test_check_targets_names_the_row_of_the_data_set() -> None:
    labels = np.zeros(1000, int)
    labels[812] = 7
    with pytest.raises(LabelError) as caught:
        nn.CrossEntropyLoss().check_targets(labels, (32, 3))
    assert caught.value.what == "CrossEntropyLoss: label 7 at row 812; the net has 3 outputs"
    nn.CrossEntropyLoss(ignore_index=7).check_targets(labels, 3)
    nn.CrossEntropyLoss().check_targets(np.eye(3)[labels % 3], 3)


@pytest.mark.parametrize(
    ("loss", "good", "bad", "outputs"),
    [
        (nn.MSELoss(), np.zeros((5, 1)), np.zeros(5), (32, 1)),
        (nn.MSELoss(), np.zeros((5, 1)), np.full((5, 1), math.nan), 1),
        (nn.QuantileLoss((0.1, 0.9)), np.zeros(5), np.zeros((5, 1)), 2),
        (nn.CrossEntropyLoss(), LABELS, LABELS[:, None], 3),
        (nn.CrossEntropyLoss(), LABELS, LABELS * 1.0, 3),
        (nn.NLLLoss(), LABELS, LABELS + 1, (1, 3)),
        (nn.MultiMarginLoss(), LABELS, LABELS - 1, 3),
        (nn.MultiLabelMarginLoss(), LISTS, LISTS - 1, 3),
        (nn.BCELoss(), np.zeros((5, 1)), np.full((5, 1), 2), 1),
        (nn.BCEWithLogitsLoss(), np.zeros((5, 1), bool), np.full((5, 1), -1), 1),
        (nn.MultiLabelSoftMarginLoss(), np.zeros((5, 2)), np.full((5, 2), -1), 2),
        (nn.FocalLoss(), np.zeros((5, 2)), np.full((5, 2), 0.5), 2),
        (nn.FocalLoss(), LABELS, LABELS + 1, 3),
        (nn.SoftMarginLoss(), np.ones((5, 1)), np.zeros((5, 1)), 1),
        (nn.HingeEmbeddingLoss(), np.ones((5, 1)), np.zeros((5, 1)), 1),
        (nn.MarginRankingLoss(), np.ones((5, 1)), np.zeros((5, 1)), 1),
        (nn.CosineEmbeddingLoss(), np.ones(5), np.zeros(5), (32, 8)),
        (nn.PoissonNLLLoss(), np.ones((5, 1)), -np.ones((5, 1)), 1),
        (nn.GaussianNLLLoss(), np.ones((5, 1)), np.ones(5), 1),
        (nn.KLDivLoss(), np.full((5, 2), 0.5), -np.ones((5, 2)), 2),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, nn.Module) else "",
)
def test_check_targets_takes_what_the_loss_takes(loss: losses.Loss, good: Any, bad: Any, outputs: Any) -> None:
    loss.check_targets(good, outputs)
    with pytest.raises((ShapeError, LabelError, DTypeError)):
        loss.check_targets(bad, outputs)
