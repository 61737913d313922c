"""The picture of the curves: what it draws, and in which words."""

import io

import numpy as np
import pytest

import pellucid as pl
from pellucid.report import curves
from pellucid.report import curves as draw
from pellucid.train import History

matplotlib = pytest.importorskip("matplotlib")


def history(**columns: list[float]) -> History:
    made = History()
    for i in range(len(columns["loss"])):
        made.append({name: values[i] for name, values in columns.items()})
    return made


def pixels(png: bytes) -> np.ndarray:
    return matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3]


def amount(png: bytes, colour: str) -> int:
    """Pixels close to a colour."""
    wanted = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return int((np.abs(pixels(png) - wanted).max(axis=-1) < 0.06).sum())


def test_loss_and_metric_stand_side_by_side() -> None:
    run = history(loss=[1.0, 0.5], val_loss=[1.1, 0.7], accuracy=[0.5, 0.9], val_accuracy=[0.5, 0.8])
    both, alone = pixels(curves(run, "accuracy")), pixels(curves(run))
    assert both.shape[0] == alone.shape[0]
    assert both.shape[1] == 2 * alone.shape[1]


def test_training_is_blue_and_validation_vermilion() -> None:
    blue, vermilion = "#0072B2", "#D55E00"
    without = curves(history(loss=[1.0, 0.5, 0.3]))
    assert amount(without, blue) > 200
    assert amount(without, vermilion) == 0
    assert amount(curves(history(loss=[1.0, 0.5, 0.3], val_loss=[1.0, 0.8, 0.9])), vermilion) > 200


def test_one_epoch_is_visible() -> None:
    assert amount(curves(history(loss=[0.5])), "#0072B2") > 20


def test_gaps_and_infinities_are_drawn_around() -> None:
    run = history(loss=[1.0, float("nan"), 0.5, 0.25])
    assert amount(curves(run, "accuracy"), "#0072B2") > 100


@pytest.mark.parametrize("installed", [False, True])
def test_chinese_labels_need_achinese_font(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.report.curves import _word, chinese_font

    assert chinese_font() is None or isinstance(chinese_font(), str)
    try:
        pl.set_language("zh")
        assert _word("loss", chinese=installed) == ("损失" if installed else "loss")
        # Without the font no box is drawn: a missing glyph would be a warning, and warnings are errors here.
        curves(history(loss=[1.0, 0.5], accuracy=[0.5, 0.6]), "accuracy")
    finally:
        pl.set_language(None)


def test_nothing_global_is_changed() -> None:
    before = matplotlib.rcParams["font.sans-serif"]
    draw(history(loss=[1.0, 0.5]))
    assert matplotlib.rcParams["font.sans-serif"] == before
