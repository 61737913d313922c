"""Attributions as figures, bars and coloured text."""

import io
import re

import numpy as np
import pytest

import pellucid as pl
from pellucid import errors, report
from pellucid.inspection import Attribution

matplotlib = pytest.importorskip("matplotlib")


def attribution(shape: tuple[int, ...]) -> Attribution:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=shape)
    return Attribution(
        "occlusion",
        scores=scores,
        inputs=rng.uniform(size=shape),
        outputs=np.arange(shape[0], dtype=float),
        targets=tuple(str(n) for n in range(shape[0])),
    )


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return imread(io.BytesIO(png))


@pytest.mark.parametrize(
    ("shape", "grid"), [((2, 8, 8), None), ((3, 1, 8, 8), None), ((2, 3, 8, 8), None), ((30, 16), (4, 4))]
)
def test_pictures(shape: tuple[int, ...], grid: tuple[int, int] | None) -> None:
    picture = pixels(report.attribution_figure(attribution(shape), names=["a", "b", "c"], grid=grid))
    assert picture.ndim == 3
    assert picture.shape[0] > 200


def test_blue_is_for_and_orange_against() -> None:
    scores = np.zeros((1, 2, 2))
    scores[0, 0, 0], scores[0, 1, 1] = 1.0, -1.0
    found = Attribution("occlusion", scores=scores, inputs=np.zeros((1, 2, 2)), outputs=np.zeros(1), targets=("0",))
    seen = pixels(report.attribution_figure(found))[..., :3]
    # At 9/10 on a pale ground: blue has more blue than red, orange more red than blue.
    blue = np.argwhere(np.abs(seen - [0.1, 0.505, 0.73]).max(axis=2) < 0.02)
    orange = np.argwhere(np.abs(seen - [0.852, 0.432, 0.1]).max(axis=2) < 0.02)
    assert len(blue) > 100
    assert len(orange) > 100
    assert (blue.mean(axis=0) < orange.mean(axis=0)).all()  # above and left of it


def test_bars() -> None:
    for shape in ((2, 5), (1, 3, 20)):
        assert pixels(report.attribution_bars(attribution(shape))).ndim == 3
    named = report.attribution_bars(attribution((2, 5)), 1, ["a", "b", "$c", "d", "e"], most=3)
    assert pixels(named).ndim == 3


def test_chinese_labels_or_latin_ones_where_there_is_no_font() -> None:
    pl.set_language("zh")
    try:
        assert pixels(report.attribution_figure(attribution((2, 8, 8)))).ndim == 3
        assert pixels(report.attribution_bars(attribution((2, 5)))).ndim == 3
    finally:
        pl.set_language(None)


def test_text_on_the_colour_of_its_score() -> None:
    found = Attribution(
        "occlusion", scores=np.array([[[1.0, 1.0], [-1.0, 0.0], [0.0, 0.0]]]), inputs=np.zeros((1, 3, 2))
    )
    html = report.attribution_text(found, ["<b>", "no", " "], markup="html")
    # 60 % of the way from white to #0072b2, and 30 % to #d55e00.
    assert html == (
        '<span style="background:#66aad1;color:#000" title="2">&lt;b&gt;</span>'
        '<span style="background:#f2cfb2;color:#000" title="-1">no</span>'
        '<span style="background:#ffffff;color:#000" title="0"> </span>'
    )
    ansi = report.attribution_text(found, ["\x1b[2J", "no", "\n"])
    assert re.sub(r"\x1b\[[0-9;]*m", "", ansi) == "·[2Jno\n"
    assert ansi.startswith("\x1b[48;2;102;170;209m\x1b[38;2;0;0;0m")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(errors.ArgumentError) as shape:
        report.attribution_figure(attribution((2, 5)))
    assert shape.value.what == "the scores are neither pictures nor a row of numbers each"
    with pytest.raises(errors.IndexRangeError) as row:
        report.attribution_bars(attribution((2, 5)), 2)
    assert row.value.what == "there is no row 2"
    with pytest.raises(errors.ShapeError) as words:
        report.attribution_text(attribution((2, 5)), ["a"])
    assert words.value.what == "tokens are not one for each position"
