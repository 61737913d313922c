"""Metrics against values counted by hand, and against scikit-learn."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pellucid import train as M
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, LabelError, ShapeError
from pellucid.train.metrics import as_metric, as_metrics

SCORES = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.5, 0.1, 0.2], [0.0, 1.0, 2.0], [1.0, 0.0, 0.5]])
LABELS = np.array([0, 1, 2, 2, 1])
# Predicted 0 1 0 2 0: right in rows 0, 1, 3.


def test_multi_class_values_counted_by_hand() -> None:
    assert M.accuracy(SCORES, LABELS) == 3 / 5
    assert_array_equal(M.confusion_matrix(SCORES, LABELS), [[1, 0, 0], [1, 1, 0], [1, 0, 1]])
    # Class 0: 1 of 3 predicted, 1 of 1 true; class 1: 1/1 and 1/2; class 2: 1/1 and 1/2.
    assert_allclose(M.precision(SCORES, LABELS), (1 / 3 + 1 + 1) / 3)
    assert_allclose(M.recall(SCORES, LABELS), (1 + 1 / 2 + 1 / 2) / 3)
    assert_allclose(M.f1(SCORES, LABELS), (2 / 4 + 2 / 3 + 2 / 3) / 3)
    assert M.top_k_accuracy(SCORES, LABELS, k=2) == 4 / 5
    assert M.top_k_accuracy(SCORES, LABELS, k=3) == 1.0


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_single_scores_are_logits_unless_told_otherwise(shape: tuple[int, ...]) -> None:
    logits = np.array([-0.2, 0.3, 2.0, -1.0]).reshape(shape)
    assert_array_equal(M.predicted_labels(logits), [0, 1, 1, 0])
    assert M.accuracy(logits, [0, 1, 0, 0]) == 3 / 4
    probabilities = 1 / (1 + np.exp(-logits))
    assert M.accuracy(probabilities, [0, 1, 0, 0], threshold=0.5) == 3 / 4
    # A column of targets is the same as a row of them, also where they are floats.
    assert M.accuracy(logits, np.array([[0.0], [1.0], [0.0], [0.0]])) == 3 / 4


def test_class_probabilities_as_targets_count_as_their_largest() -> None:
    assert M.accuracy(SCORES[:2], [[0.9, 0.1, 0.0], [0.2, 0.3, 0.5]]) == 1 / 2


def test_binary_averages() -> None:
    predicted, true = [1, 1, 1, 0, 0], [1, 0, 1, 1, 0]
    assert M.precision(predicted, true, average="binary") == 2 / 3
    assert M.recall(predicted, true, average="binary") == 2 / 3
    assert M.precision(predicted, true, average="micro") == 3 / 5
    with pytest.raises(ArgumentError, match="binary"):
        M.f1(SCORES, LABELS, average="binary")


def test_a_class_never_predicted_has_precision_0() -> None:
    assert M.precision([0, 0], [0, 1]) == (1 / 2 + 0) / 2


def test_auc_by_counting_pairs() -> None:
    # Pairs (positive, negative): .9>.8, .9>.1, .4<.8, .4>.1, and a tie of .5 with .5 would count a half.
    assert M.auc([0.9, 0.8, 0.4, 0.1], [1, 0, 1, 0]) == 3 / 4
    assert M.auc([0.5, 0.5], [1, 0]) == 1 / 2
    assert M.auc([[0.0, 0.9], [0.0, 0.8], [0.0, 0.4], [0.0, 0.1]], [1, 0, 1, 0]) == 3 / 4
    with pytest.raises(DataError, match="class 1 with class 0"):
        M.auc([0.1, 0.2], [1, 1])


def test_regression_values_by_hand() -> None:
    p, t = [[1.0], [2.0], [4.0]], [1.0, 3.0, 2.0]
    assert M.mae(p, t) == 1.0
    assert_allclose(M.mse(p, t), 5 / 3)
    assert_allclose(M.rmse(p, t), math.sqrt(5 / 3))
    assert_allclose(M.r2(p, t), 1 - 5 / 2)
    assert_allclose(M.r2([[1.0, 0.0], [2.0, 1.0]], [[1.0, 0.0], [2.0, 3.0]]), (1 + (1 - 4 / 4.5)) / 2)


def test_regression_metrics_never_broadcast() -> None:
    with pytest.raises(ShapeError) as caught:
        M.mse(np.zeros((5, 2)), np.zeros(5))
    assert str(caught.value).split("\n")[:3] == [
        "outputs and targets differ in shape",
        "  given:    y_pred (5, 2), y_true (5,)",
        "  expected: the same shape; metrics never broadcast",
    ]
    with pytest.raises(ShapeError):
        M.mse(np.zeros((1, 5)), np.zeros(5))


@pytest.mark.parametrize("measure", [M.accuracy, M.f1, M.precision, M.recall, M.confusion_matrix])
@pytest.mark.parametrize(
    ("y_pred", "y_true", "error", "what"),
    [
        (SCORES[:2], [[1, 1, 0], [0, 0, 1]], LabelError, "neither one-hot nor class probabilities"),
        (SCORES[:2], [[1, 0, 0], [0, 0, 0]], LabelError, "neither one-hot nor class probabilities"),
        (SCORES[:2], [[2.0, -1.0, 0.0], [0.0, 0.0, 1.0]], LabelError, "neither one-hot nor class probabilities"),
        (SCORES[:2], [3, 2], LabelError, "label 3 at row 0 is none that the outputs can name"),
        (SCORES[:2], [0, -1], LabelError, "label -1 at row 1 is none that the outputs can name"),
        ([0.9, -0.8], [1, 2], LabelError, "label 2 at row 1 is none that the outputs can name"),
        ([[0.9], [-0.8]], [-1, 1], LabelError, "label -1 at row 0 is none that the outputs can name"),
        ([1.0, 0.0, 2.0], [1, 0, 2], LabelError, "label 2 at row 2 is none that the outputs can name"),
        ([0.5, 0.5], [math.inf, 1.0], LabelError, "a class label is not a whole number"),
        ([[math.nan, 0.1], [0.2, 0.3]], [0, 1], DataError, "an output is NaN"),
        ([math.nan, 0.1], [0, 1], DataError, "an output is NaN"),
    ],
)
def test_no_share_is_counted_of_what_cannot_be_right(
    measure: Any, y_pred: Any, y_true: Any, error: type[Exception], what: str
) -> None:
    with pytest.raises(error, match=what):
        measure(y_pred, y_true)


def test_the_same_holds_for_ranks() -> None:
    with pytest.raises(DataError, match="an output is NaN"):
        M.auc([math.nan, 0.1, 0.2], [0, 1, 0])
    with pytest.raises(LabelError, match="label 3 at row 4"):
        M.top_k_accuracy(SCORES, [0, 1, 2, 0, 3], k=2)
    with pytest.raises(DataError, match="a metric of no rows"):
        M.top_k_accuracy(np.zeros((0, 3)), [], k=2)


def test_class_labels_as_outputs_may_be_any_whole_numbers() -> None:
    assert M.accuracy([-1, 1, 1], [-1, 1, -1]) == 2 / 3


def test_in_a_run_a_metric_of_nan_is_nan() -> None:
    assert math.isnan(as_metric("accuracy")([[math.nan, 0.1]], [0]))
    assert math.isnan(as_metric("auc")([math.nan, 0.1], [0, 1]))


def test_a_direction_is_max_or_min() -> None:
    with pytest.raises(ArgumentError, match="Metric: direction"):
        M.Metric("quality", M.accuracy, "up")  # type: ignore[arg-type]


def test_wrong_labels_are_named() -> None:
    with pytest.raises(LabelError, match=r"label 0\.5 at row 1"):
        M.accuracy([0, 1], [1.0, 0.5])
    with pytest.raises(LabelError, match="label -1 at row 1"):
        M.confusion_matrix([0, 1], [1, -1])
    with pytest.raises(ShapeError, match="not one label for each row"):
        M.accuracy([0, 1], [1, 0, 1])
    with pytest.raises(DataError):
        M.accuracy(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(DataError, match="does not vary"):
        M.r2([1.0, 2.0], [3.0, 3.0])


def test_names_functions_and_metrics_become_metrics() -> None:
    assert as_metric("accuracy").direction == "max"
    assert as_metric(M.rmse).direction == "min"

    def bias(y_pred: np.ndarray, y_true: np.ndarray) -> np.ndarray:
        return (y_pred - y_true).mean()

    metric = as_metric(bias)
    assert (metric.name, metric.direction) == ("bias", None)
    assert metric([1.0, 2.0], [0.0, 0.0]) == 1.5
    assert [m.name for m in as_metrics("accuracy")] == ["accuracy"]
    with pytest.raises(ArgumentError) as caught:
        as_metric("acuracy")
    assert caught.value.fix == "did you mean accuracy?"
    with pytest.raises(ArgumentTypeError):
        as_metric(3)
    with pytest.raises(ArgumentError, match="two columns"):
        as_metrics(["mse", M.mse])
    with pytest.raises(ArgumentTypeError, match="did not return a number"):
        as_metric(lambda p, t: p)([1.0, 2.0], [1.0, 2.0])


def test_every_named_metric_has_a_direction_and_is_exported() -> None:
    for name, metric in M.METRICS.items():
        assert metric.direction in ("max", "min")
        assert getattr(M, name) is metric.function


@pytest.mark.sklearn
@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn(seed: int) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(seed)
    rows, classes = 137, int(random.integers(2, 7))
    scores = random.normal(size=(rows, classes)).astype(np.float32)
    labels = random.integers(0, classes, rows)
    predicted = scores.argmax(1)
    assert_allclose(M.accuracy(scores, labels), sk.accuracy_score(labels, predicted))
    assert_array_equal(
        M.confusion_matrix(scores, labels), sk.confusion_matrix(labels, predicted, labels=range(classes))
    )
    for average in ("macro", "micro"):
        p, r, f, _ = sk.precision_recall_fscore_support(labels, predicted, average=average, zero_division=0)
        ours = [m(scores, labels, average=average) for m in (M.precision, M.recall, M.f1)]
        assert_allclose(ours, [p, r, f])
    if classes > 2:
        k = classes - 1
        assert_allclose(
            M.top_k_accuracy(scores, labels, k=k), sk.top_k_accuracy_score(labels, scores, k=k, labels=range(classes))
        )
    binary, single = random.integers(0, 2, rows), np.round(random.normal(size=rows), 1)
    assert_allclose(M.auc(single, binary), sk.roc_auc_score(binary, single))
    y, p = random.normal(size=(rows, 2)), random.normal(size=(rows, 2))
    assert_allclose(M.mae(p, y), sk.mean_absolute_error(y, p))
    assert_allclose(M.mse(p, y), sk.mean_squared_error(y, p))
    assert_allclose(M.r2(p, y), sk.r2_score(y, p))
