"""Pictures of networks: neurons and their weights, layers and their costs."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

import pellucid as pl
from pellucid import errors, nn
from pellucid.inspection import wiring
from pellucid.report import layers_figure, network_figure
from pellucid.report.colours import NEGATIVE, POSITIVE, signed_map
from pellucid.report.layers_figure import boxes, draw_boxes
from pellucid.report.network_figure import MOST_NEURONS, draw_neurons
from tests.report.drawn import axes, pixels


def small() -> nn.Sequential:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    weights = {"0.weight": [[1.0, -2.0, 0.0], [0.5, 0.25, -0.5]], "0.bias": [1.0, -4.0], "2.weight": [[-4.0, 3.0]]}
    model.load_state_dict({k: np.array(v) for k, v in weights.items()} | {"2.bias": np.zeros(1)})
    return model


def test_every_weight_is_a_line_with_its_sign_and_size(language: str) -> None:
    from matplotlib.collections import LineCollection

    drawn = axes()
    draw_neurons(drawn, wiring(small(), (1, 3)), ["a", "b", "$c"], ["y"])
    lines = [c for c in drawn.collections if isinstance(c, LineCollection)]
    assert [len(c.get_segments()) for c in lines] == [6, 2]
    widths = {}
    for segment, colour, width in zip(
        lines[1].get_segments(), lines[1].get_colors(), lines[1].get_linewidths(), strict=True
    ):
        widths[to_hex(colour, keep_alpha=False).upper()] = width
        assert segment[0, 0] == 1
        assert segment[1, 0] == 2
    assert set(widths) == {NEGATIVE, POSITIVE}
    assert widths[NEGATIVE] > widths[POSITIVE]  # |-4| > |3|
    signs = [to_hex(c, keep_alpha=False).upper() for c in lines[0].get_colors()]
    assert sorted(signs) == sorted([POSITIVE, NEGATIVE, POSITIVE, POSITIVE, POSITIVE, NEGATIVE])
    dots = [c for c in drawn.collections if not isinstance(c, LineCollection)]
    assert [len(c.get_offsets()) for c in dots] == [3, 2, 1]
    # Biases 1 and -4 of at most 4: a quarter of the way to blue, all of the way to orange.
    np.testing.assert_allclose(dots[1].get_facecolors(), [signed_map()(0.625), to_rgba(NEGATIVE)], atol=1e-9)
    words = [t.get_text() for t in drawn.texts]
    assert {"a", "b", "$c", "y"} <= set(words)
    assert ("3 inputs" if language == "en" else "3 个输入") in words or language == "zh"
    assert ("0\ntanh\n2 neurons" in words) == (language == "en")
    assert pixels(network_figure(wiring(small(), (1, 3)))).shape[1] > 500


def test_large_layers_leave_out_the_middle_and_say_so() -> None:
    from matplotlib.collections import LineCollection

    found = wiring(nn.Sequential(nn.Linear(100, 4)), (1, 100))
    drawn = axes()
    draw_neurons(drawn, found)
    (lines,) = [c for c in drawn.collections if isinstance(c, LineCollection)]
    assert len(lines.get_segments()) == MOST_NEURONS * 4
    words = [t.get_text() for t in drawn.texts]
    assert "⋮" in words
    assert f"{MOST_NEURONS}/100 inputs" in words
    assert {"0", "24", "72", "99"} <= set(words)
    assert "48" not in words


def test_boxes_have_the_numbers_of_the_cost_report(language: str) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    report = wiring(pl.models.LeNet5(10), (1, 1, 28, 28)).cost
    found = boxes(report)
    assert sum(box.parameters * box.times for box in found) == report.parameters == 61_706
    assert sum(box.macs * box.times for box in found) == report.macs == 416_520
    assert [box.name for box in found][:3] == ["features.0", "features.1", "features.2"]
    drawn = axes()
    draw_boxes(drawn, report, found, 12)
    assert sum(isinstance(p, FancyBboxPatch) for p in drawn.patches) == len(found) + 1
    bars = [p.get_width() for p in drawn.patches if isinstance(p, Rectangle)]
    assert sum(bars[::2]) == pytest.approx(3.06)  # the shares of the parameters are the whole
    words = [t.get_text() for t in drawn.texts]
    assert "(1, 6, 28, 28)" in words
    assert any("48.12 k" in word and "48 k" in word for word in words)
    assert pixels(layers_figure(report)).size


def test_equal_layers_are_one_box() -> None:
    names = {box.name: box.times for box in boxes(wiring(pl.models.resnet20(), (1, 3, 32, 32)).cost)}
    assert names["layer1.0 … 2"] == 3
    assert names["layer2.1 … 2"] == 2
    deep = nn.Sequential(*(nn.Linear(4, 4) for _ in range(12)))
    (box,) = boxes(pl.cost(deep, (1, 4)))
    assert (box.name, box.times, box.parameters) == ("0 … 11", 12, 20)


def test_the_style_follows_the_size() -> None:
    mlp, picture = wiring(small(), (1, 3)), wiring(pl.models.LeNet5(10), (1, 1, 28, 28))
    assert network_figure(mlp) == network_figure(mlp, style="neurons")
    assert network_figure(picture) == layers_figure(picture.cost)
    wide = wiring(nn.Linear(784, 4), (1, 784))
    assert network_figure(wide) == layers_figure(wide.cost)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(errors.ArgumentError, match="no chain of dense layers"):
        network_figure(wiring(pl.models.LeNet5(10), (1, 1, 28, 28)), style="neurons")
    with pytest.raises(errors.ShapeError, match="output_names are not one for each"):
        network_figure(wiring(small(), (1, 3)), output_names=["a", "b"])
    with pytest.raises(errors.ArgumentError):
        network_figure(wiring(small(), (1, 3)), style="tree")  # type: ignore[arg-type]


def test_signed_values_are_orange_below_and_blue_above() -> None:
    colours = signed_map()
    assert np.allclose(colours(0.0)[:3], to_rgba(NEGATIVE)[:3])
    assert np.allclose(colours(1.0)[:3], to_rgba(POSITIVE)[:3])
    assert np.allclose(colours(0.5)[:3], 1, atol=0.01)
