"""The table of what a network costs, as text, Markdown and a picture, in both languages."""

import io

import pytest

import pellucid as pl
from pellucid import nn
from pellucid.report import cost_figure, cost_markdown, cost_table
from pellucid.report.cost_table import cost_lines, quantity


def network() -> nn.Module:
    return nn.Sequential(nn.Sequential(nn.Linear(784, 16), nn.ReLU()), nn.Sequential(nn.Linear(16, 10), nn.Softmax(1)))


def test_a_table_of_layers() -> None:
    table = cost_table(pl.cost(network(), (1, 784)))
    assert table.headings == (
        "layer", "kind", "output", "parameters", "MACs", "FLOPs", "activations", "moved", "FLOP/B",
    )  # fmt: skip
    # 2·12,544 and 16 biases; read: 784 inputs, 12,544 weights, 16 biases; written: 16 numbers.
    assert table.rows[0] == (
        "0.0", "Linear", "(1, 16)", "12,560", "12,544", "25,104", "16", "53.44 kB", f"{25_104 / 53_440:.3g}",
    )  # fmt: skip
    assert table.total[:5] == ("total", "", "", "12,730", "12,704")
    assert table.right == (3, 4, 5, 6, 7, 8)


def test_layers_below_one_name_are_merged() -> None:
    report = pl.cost(network(), (1, 784))
    first, second = cost_lines(report, 1)
    assert (first.name, first.kind, first.parameters, first.work.macs) == ("0", "Sequential", 12_560, 12_544)
    assert (second.name, second.parameters, second.work.macs, second.output) == ("1", 170, 160, "(1, 10)")
    assert sum(line.work.flops for line in cost_lines(report)) == first.work.flops + second.work.flops == report.flops
    with pytest.raises(pl.errors.ArgumentError, match="depth is out of range"):
        cost_table(report, 0)


def test_a_step_of_training_and_other_lines() -> None:
    report = pl.cost(network(), (1, 784), True, loss=lambda y: y.sum(), optimizer=pl.optim.SGD)
    table = cost_table(report)
    assert table.headings[4:6] == ("forward MACs", "backward MACs")
    assert table.headings[-1] == "stored"
    assert [row[0] for row in table.rows[-2:]] == ["loss", "optimizer"]
    assert table.total[4:6] == ("12,704", f"{12_704 + 160:,}")


def test_markdown_is_a_table_that_can_be_pasted() -> None:
    lines = cost_markdown(pl.cost(network(), (1, 784))).splitlines()
    assert lines[1] == "| :--- | :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: |"
    assert {line.count("|") for line in lines[:7]} == {10}
    assert lines[6].startswith("| **total** |  |  | **12,730** | **12,704** |")
    assert "- parameters 12,730 (50,920 bytes)" in lines


def test_in_chinese() -> None:
    pl.set_language("zh")
    try:
        text = cost_markdown(pl.cost(network(), (1, 784)))
    finally:
        pl.set_language(None)
    assert text.startswith("| 层 | 类型 | 输出 | 参数 | MAC 数 |")
    assert "**合计**" in text


@pytest.mark.parametrize("measure", [False, True])
def test_a_figure(measure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.image import imread

    from pellucid.inspection import cost_measure

    monkeypatch.setattr(cost_measure, "RUN_S", 0.01)
    monkeypatch.setattr(cost_measure, "WARM_UP_S", 0.01)
    report = pl.cost(network(), (1, 784), measure=measure)
    picture = imread(io.BytesIO(cost_figure(report)))
    # Ten inches at 120 dots; the roofline is another 4.2 high.
    assert picture.shape[1] == 1200
    assert (picture.shape[0] > 500) is measure
    # A bar in blue, of Okabe and Ito's palette.
    assert ((picture[..., :3] * 255).round() == (0, 114, 178)).all(-1).any()


def test_quantities() -> None:
    assert [quantity(n, "B") for n in (0, 999, 1_000, 1_814_073_344)] == ["0 B", "999 B", "1 kB", "1.814 GB"]
    assert quantity(2_500_000, "") == "2.5 M"


def test_what_lines_stand_for_has_its_own_class() -> None:
    report = pl.cost(pl.models.mobilenet_v2(), (1, 3, 32, 32))
    kinds = {line.name: line.kind for line in cost_lines(report, 2)}
    assert kinds["features.1"] == "InvertedResidual"
    assert kinds["classifier.1"] == "Linear"
