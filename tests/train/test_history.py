"""The history of a run: curves by name, and its plain form."""

import json

import pytest

from pellucid.errors import FileFormatError, MissingKeyError, NoAttributeError
from pellucid.train import History


def two_epochs() -> History:
    history = History()
    history.append({"loss": 0.5, "lr": 0.1})
    history.append({"loss": 0.25, "val_loss": 0.4, "lr": 0.1})
    return history


def test_curves_by_attribute_and_by_key() -> None:
    history = two_epochs()
    assert history.loss == history["loss"] == [0.5, 0.25]
    assert history["val_loss"] == [None, 0.4]
    assert history.names == ["loss", "val_loss", "lr"]
    assert len(history) == 2
    assert "val_loss" in history
    assert list(history) == [{"loss": 0.5, "lr": 0.1}, {"loss": 0.25, "val_loss": 0.4, "lr": 0.1}]


def test_a_missing_curve_names_those_there_are() -> None:
    with pytest.raises(MissingKeyError) as caught:
        two_epochs()["val_los"]
    assert str(caught.value).split("\n")[:4] == [
        "the history has no val_los",
        "  given:    val_los",
        "  expected: one of loss, val_loss, lr",
        "  fix:      did you mean val_loss?",
    ]
    with pytest.raises(NoAttributeError):
        two_epochs().val_los  # noqa: B018


def test_the_plain_form_goes_through_json_and_back() -> None:
    history = two_epochs()
    history.best_epoch, history.monitor, history.stopped_by, history.steps = 1, "val_loss", "early_stopping", 64
    back = History.from_dict(json.loads(json.dumps(history.to_dict())))
    assert back.to_dict() == history.to_dict()
    assert back.to_dict() == {
        "curves": {"loss": [0.5, 0.25], "val_loss": [None, 0.4], "lr": [0.1, 0.1]},
        "epochs": 2,
        "best_epoch": 1,
        "monitor": "val_loss",
        "stopped_by": "early_stopping",
        "restored_epoch": None,
        "steps": 64,
    }


@pytest.mark.parametrize("value", [None, {}, {"curves": {"loss": [1]}, "epochs": 2}, {**History().to_dict(), "x": 1}])
def test_other_forms_are_refused(value: object) -> None:
    with pytest.raises(FileFormatError):
        History.from_dict(value)
