"""Products of matrices and convolutions against PyTorch's own counter, forward and backward."""

from typing import Any

import pytest

import pellucid as pl

torch: Any = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def network(nn: Any) -> Any:
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3, stride=2, bias=False),
        nn.ReLU(), nn.Flatten(), nn.Linear(16, 8), nn.GELU(), nn.Linear(8, 3),
    )  # fmt: skip


def counted(run: Any) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        run()
    return int(counter.get_total_flops())


@pytest.mark.parametrize("training", [False, True])
def test_a_convolutional_network(training: bool) -> None:
    theirs = network(torch.nn)

    def run() -> None:
        y = theirs(torch.zeros(5, 2, 12, 12))
        if training:
            y.sum().backward()

    assert 2 * pl.cost(network(pl.nn), (5, 2, 12, 12), training).macs == counted(run)


def test_a_transformer_layer_in_training() -> None:
    """By way of products of matrices: PyTorch counts its attention for the CPU, one operation, as 0."""
    theirs = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    ours = pl.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)

    def run() -> None:
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            theirs(torch.zeros(3, 5, 8)).sum().backward()

    assert 2 * pl.cost(ours, (3, 5, 8), True).macs == counted(run)
