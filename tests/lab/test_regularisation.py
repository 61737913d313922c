"""Overfitting and what helps against it: what is counted, and verdicts that follow planted numbers."""

import numpy as np
import pytest

from pellucid.lab import regularisation
from pellucid.lab.regularisation import KINDS, Outcome

pytest.importorskip("matplotlib")


def outcomes(lowest: float, **ends: float) -> dict[str, list[Outcome]]:
    """Five runs of each kind that end near a loss on new rows; the plain ones had a lower one on the way."""
    found = {}
    for kind in KINDS:
        losses = ends[kind.replace("-", "_")] * np.array([0.98, 0.99, 1.0, 1.01, 1.02])
        found[kind] = [
            Outcome(np.array([1, 2]), np.array([0.5, 0.1]), np.array([lowest, loss]), 0.1, float(loss), 0.9)
            for loss in losses
        ]
    return found


@pytest.mark.parametrize(
    ("given", "confirmed", "conclusion"),
    [
        (outcomes(0.3, plain=1.0, weight_decay=0.4, dropout=0.5, early_stopping=0.3), True, "regularisation"),
        (
            outcomes(0.3, plain=1.0, weight_decay=0.4, dropout=1.0, early_stopping=0.3),
            False,
            "regularisation-no-help",
        ),
        (
            outcomes(0.3, plain=0.31, weight_decay=0.1, dropout=0.1, early_stopping=0.1),
            False,
            "regularisation-no-overfitting",
        ),
    ],
)
def test_the_verdict_follows_the_numbers(
    given: dict[str, list[Outcome]], confirmed: bool | None, conclusion: str
) -> None:
    assert regularisation.judged(given)[:2] == (confirmed, conclusion)
    assert regularisation.figure(given).startswith(b"\x89PNG")


def test_draws_that_scatter_decide_nothing() -> None:
    given = outcomes(0.3, plain=1.0, weight_decay=0.4, dropout=0.5, early_stopping=0.3)
    wild = [0.1, 3.0, 0.2, 2.0, 0.5]
    given["dropout"] = [Outcome(o.epochs, o.train_losses, o.new_losses, 0.1, w, 0.9)
                        for o, w in zip(given["dropout"], wild, strict=True)]  # fmt: skip
    assert regularisation.judged(given)[:2] == (None, "regularisation-open")


def test_without_strength_there_is_no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regularisation, "EPOCHS", 20)
    found = regularisation.run(0, strength=0.0, num_draws=3)
    assert found.confirmed is False
    assert (
        found.value("helps-weight-decay") == found.value("helps-dropout") == 1.0
    )  # the same training, to the last bit
    # 2·64 + 64 + 64·64 + 64 + 64·2 + 2
    assert found.value("parameters") == 4482


def test_points_are_drawn_apart() -> None:
    learned, held_out, new = regularisation.points(40, 0)
    assert [len(d) for d in (learned, held_out, new)] == [40, 40, 1000]
    rows = {tuple(row) for d in (learned, held_out, new) for row in d.x.tolist()}
    assert len(rows) == 1080


@pytest.mark.long
def test_regularisation() -> None:
    found = regularisation.run(0)
    assert found.confirmed
    assert found.value("train-loss-plain") < 0.1 * found.value("new-loss-plain")
