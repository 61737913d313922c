"""Pictures of what goes on in a network: activations, signals, receptive fields, boundaries, attention."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import errors, nn
from pellucid.inspection import activation_curves, decision_surface, receptive_field, signals, wiring
from pellucid.report import (
    activation_figure,
    attention_figure,
    boundary_figure,
    canvas,
    gradient_flow_figure,
    histogram_figure,
    kernels,
    network_figure,
    receptive_field_figure,
)
from pellucid.report.activation_figure import draw_activation
from pellucid.report.attention_figure import draw_attention
from pellucid.report.boundary_figure import draw_regions, draw_surface
from pellucid.report.receptive_field_figure import draw_field
from pellucid.report.signal_figures import MOST_LAYERS, _chosen, draw_gradient_flow, draw_histogram
from tests.report.drawn import axes, pixels

MOONS = pl.data.two_moons(60, seed=0)


def network() -> nn.Sequential:
    pl.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 2))


def test_an_activation_and_its_derivative(language: str) -> None:
    (curve,) = activation_curves(["sigmoid"])
    drawn = axes()
    draw_activation(drawn, curve)
    value, derivative = drawn.lines[:2]
    np.testing.assert_allclose(value.get_ydata(), 1 / (1 + np.exp(-curve.x)), atol=1e-12)
    np.testing.assert_allclose(derivative.get_ydata().max(), 0.25)
    assert pixels(activation_figure(activation_curves(["relu", "gelu"]), columns=1)).size


def test_a_derivative_is_broken_where_it_jumps() -> None:
    (relu,) = activation_curves(["relu"])
    drawn = axes()
    draw_activation(drawn, relu)
    shown = drawn.lines[1].get_ydata()
    assert np.isnan(shown).sum() == 1
    assert np.isfinite(drawn.lines[0].get_ydata()).all()


def test_histograms(language: str) -> None:
    found = signals(network(), MOONS.x, MOONS.y, nn.CrossEntropyLoss(), bins=12)
    relu = found.layers[1].results
    drawn = axes()
    draw_histogram(drawn, relu, "#0072B2")
    heights = [bar.get_height() for bar in drawn.patches]
    np.testing.assert_allclose(heights, relu.counts / relu.counts.sum())
    assert f"{100 * relu.zeros / relu.size:.3g} %" in drawn.texts[0].get_text()
    if language == "en":
        both, one = pixels(histogram_figure(found)), pixels(histogram_figure(signals(network(), MOONS.x)))
        assert both.shape[1] > 1.4 * one.shape[1]


def test_histograms_of_nothing_but_zeros_and_of_infinities() -> None:
    found = signals(lambda x: pl.log(x), np.array([[0.0, 1.0]]))
    drawn = axes()
    draw_histogram(drawn, found.layers[0].results, "#0072B2")
    assert "all are 0" in drawn.texts[0].get_text()
    assert "1 not finite" in drawn.texts[0].get_text()
    assert not drawn.patches
    assert pixels(histogram_figure(found)).size


def test_of_many_layers_the_first_and_the_last_are_kept() -> None:
    deep = nn.Sequential(*(m for _ in range(20) for m in (nn.Linear(2, 2), nn.Tanh())))
    found = signals(deep, MOONS.x, MOONS.y, nn.CrossEntropyLoss())
    chosen = [layer.path for layer in _chosen(found.layers)]
    assert len(chosen) == MOST_LAYERS
    assert (chosen[0], chosen[-1]) == ("0", "39")
    assert pixels(gradient_flow_figure(found)).size


def test_gradient_flow_has_the_lengths_of_the_gradients(language: str) -> None:
    found = signals(network(), MOONS.x, MOONS.y, nn.CrossEntropyLoss())
    drawn = axes()
    draw_gradient_flow(drawn, found, found.layers)
    results, _, weights, _ = drawn.lines
    np.testing.assert_allclose(results.get_ydata(), [layer.gradient_norm for layer in found.layers])
    assert list(weights.get_xdata()) == [0, 2]
    assert weights.get_ydata()[1] == found.layers[2].weight_gradient_norm
    labels = [t.get_text() for t in drawn.get_xticklabels()]
    assert labels == ["0 Linear", "1 ReLU", "2 Linear"]
    assert pixels(gradient_flow_figure(found)).size


def test_a_gradient_that_is_gone_is_a_cross() -> None:
    model = network()
    model[0].load_state_dict({"weight": np.zeros((8, 2)), "bias": -np.ones(8)})
    found = signals(model, MOONS.x, MOONS.y, nn.CrossEntropyLoss())
    drawn = axes()
    draw_gradient_flow(drawn, found, found.layers)
    assert found.layers[0].gradient_norm == 0
    assert list(drawn.lines[1].get_xdata()) == [0]
    assert drawn.lines[1].get_marker() == "x"


def test_numbers_that_are_not_finite_are_shown_or_refused() -> None:
    model = network()
    model[0].weight.data[0, 0] = np.nan
    found = signals(model, MOONS.x, MOONS.y, nn.CrossEntropyLoss())
    drawn = axes()
    draw_gradient_flow(drawn, found, found.layers)
    assert [list(line.get_xdata()) for line in drawn.lines if line.get_marker() == "^"] == [[0, 1, 2], [0, 2]]
    with pytest.raises(errors.ModelError, match="not finite"):
        boundary_figure(decision_surface(model, MOONS.x, resolution=3), num_classes=2)
    with pytest.raises(errors.ModelError, match="0 has numbers that are not finite"):
        network_figure(wiring(model, (1, 2)))


def test_a_receptive_field_has_a_border(language: str) -> None:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    x = np.random.default_rng(0).normal(size=(2, 1, 9, 9))
    found = receptive_field(model, x, "2")
    drawn = axes()
    picture = draw_field(drawn, found)
    np.testing.assert_allclose(picture.get_array(), found.effective / found.effective.max())
    assert len(drawn.collections[0].get_segments()) == 4 * 5  # around 5x5
    assert "5×5" in drawn.get_title()
    assert pixels(receptive_field_figure([found, receptive_field(model, x)])).size


def line() -> nn.Linear:
    """Class 1 where x0 > x1."""
    model = nn.Linear(2, 2)
    model.load_state_dict({"weight": np.array([[0.0, 3.0], [3.0, 0.0]]), "bias": np.zeros(2)})
    return model


def test_regions_of_classes(language: str) -> None:
    x = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    surface = decision_surface(line(), x, resolution=41)
    drawn = axes()
    draw_regions(drawn, surface, x, np.array([0, 1, 1]), ["zero", "$one"], False)
    colours = drawn.images[0].get_array()
    assert colours[-1, 0, 0] > colours[-1, 0, 2]  # above the diagonal orange, class 0
    assert colours[0, -1, 0] < colours[0, -1, 2]  # below it blue, class 1
    border = np.concatenate([p.vertices for c in drawn.collections for p in c.get_paths() if len(p.vertices)])
    np.testing.assert_allclose(border[:, 0], border[:, 1], atol=1e-6)
    assert [len(points.get_xdata()) for points in drawn.lines] == [1, 2]
    assert pixels(boundary_figure(surface, x, np.array([0, 1, 1]), num_classes=2, feature_names=["a", "$b"])).size
    single = decision_surface(nn.Linear(2, 1), x, resolution=9)
    assert pixels(boundary_figure(single, x, num_classes=2)).size


def test_the_surface_of_a_regression() -> None:
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": np.array([[1.0, 10.0]]), "bias": np.zeros(1)})
    x = np.array([[0.0, 0.0], [1.0, 1.0]])
    surface = decision_surface(model, x, resolution=5, margin=0.0)
    drawn = axes()
    draw_surface(drawn, surface, x, np.array([0.0, 22.0]))
    np.testing.assert_allclose(drawn.images[0].get_array(), surface.outputs[..., 0])
    assert drawn.images[0].get_clim() == (0.0, 22.0)  # as far as the rows go
    assert pixels(boundary_figure(surface, x, np.array([0.0, 22.0]))).size
    with pytest.raises(errors.ArgumentError, match="cannot be drawn as one surface"):
        boundary_figure(decision_surface(nn.Linear(2, 3), x, resolution=3))
    with pytest.raises(errors.ArgumentError, match="another number of outputs"):
        boundary_figure(decision_surface(nn.Linear(2, 3), x, resolution=3), num_classes=2)
    with pytest.raises(errors.ArgumentError, match="feature_names"):
        boundary_figure(surface, x, feature_names=["a"])
    with pytest.raises(errors.ShapeError, match="not one for each row"):
        boundary_figure(surface, x, np.zeros(3))


def test_attention_of_layers_and_heads(language: str) -> None:
    pl.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, nhead=2, batch_first=True), num_layers=3).eval()
    model(np.random.default_rng(0).normal(size=(2, 5, 8)))
    maps = nn.attention_maps(model)
    drawn = axes()
    weights = next(iter(maps.values())).numpy()[1, 0]
    picture = draw_attention(drawn, weights, list("ab\n d"), None)
    np.testing.assert_allclose(picture.get_array(), weights)
    assert [t.get_text() for t in drawn.get_yticklabels()] == ["a", "b", "↵", "␣", "d"]
    wide, tall = pixels(attention_figure(maps, 1, tokens=list("abcde"))).shape[1::-1]
    assert tall > wide  # three layers of two heads


def test_what_cannot_be_drawn_is_refused() -> None:
    maps = {"attn": np.full((2, 1, 3, 3), 1 / 3)}
    with pytest.raises(errors.IndexRangeError, match="no row 2"):
        attention_figure(maps, 2)
    with pytest.raises(errors.ShapeError, match="tokens"):
        attention_figure(maps, tokens=["a"])
    with pytest.raises(errors.ShapeError, match="no map"):
        attention_figure({"x": np.zeros((2, 2))})
    for draw in (lambda: attention_figure({}), lambda: activation_figure([]), lambda: receptive_field_figure([])):
        with pytest.raises(errors.ArgumentError, match="nothing to draw"):
            draw()
    with pytest.raises(errors.ArgumentError, match="no gradient to draw"):
        gradient_flow_figure(signals(network(), MOONS.x))


@pytest.mark.parametrize(("font", "words"), [("Noto Sans CJK SC", "决策边界"), (None, "decision boundary")])
def test_labels_are_chinese_where_a_font_is(font: str | None, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canvas, "chinese_font", lambda: font)
    pl.set_language("zh")
    try:
        assert canvas.word("boundary") == words
        assert canvas.word("some-of", shown=1, count=2) == "1/2"
    finally:
        pl.set_language(None)


def test_a_character_that_the_first_font_lacks_is_taken_from_the_chinese_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import font_manager

    monkeypatch.setattr(canvas, "chinese_font", lambda: "DejaVu Serif")
    with canvas.canvas(1, 1):
        found = font_manager.fontManager._find_fonts_by_props(font_manager.FontProperties())
    assert ["DejaVuSans" in str(found[0]), "DejaVuSerif" in str(found[1])] == [True, True]


def test_weights_of_a_dense_layer_as_pictures() -> None:
    weight = np.zeros((2, 4))
    weight[0, 0], weight[1, 3] = 1.0, -1.0
    seen = pixels(kernels(weight))[..., :3]
    blue = np.argwhere(np.abs(seen - [0, 0x72 / 255, 0xB2 / 255]).max(axis=2) < 0.01)
    orange = np.argwhere(np.abs(seen - [0xD5 / 255, 0x5E / 255, 0]).max(axis=2) < 0.01)
    assert len(blue) > 50
    assert len(orange) > 50
    assert (blue.mean(axis=0) < orange.mean(axis=0)).all()
    assert pixels(kernels(np.eye(6)[:2], grid=(2, 3))).size
    with pytest.raises(errors.ShapeError, match="no pictures"):
        kernels(np.eye(6))
