import numpy as np
import pytest

from benchmarks.__main__ import WORKLOADS
from benchmarks.kinds import Train
from benchmarks.side import workload
from pellucid.data import Loader


def small(**changes: object) -> Train:
    return Train(**{"title": "", "sizes": (3, 4, 2), "batch": 2, "rows": 6} | changes)


def test_operations_are_counted_as_by_hand() -> None:
    # Forward and weight gradients 32·(784·16 + 16·16 + 16·10) multiply-adds each, input gradients 32·(16·16 + 16·10).
    assert workload("mlp_tiny").flops == 2 * (2 * 414_720 + 13_312)


def test_rows_come_in_the_order_of_the_loader() -> None:
    work = small()
    x = np.arange(6, dtype=np.float32)[:, None]
    seen = np.concatenate([batch for batch, _ in Loader((x, x), 2, shuffle=True, seed=5).batches(3)])
    assert work.order(5, 3).tolist() == seen[:, 0].tolist()
    assert small(batch=6).order(5, 3).tolist() == [0, 1, 2, 3, 4, 5]


def test_rows_that_are_no_whole_number_of_batches_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^7 rows are no whole number of batches of 2$"):
        small(rows=7).steps  # noqa: B018


def test_losses_are_those_of_the_definitions() -> None:
    work = small(rows=2, loss="cross_entropy")
    x, y = work.data
    zero = [(np.zeros((4, 3)), np.zeros(4)), (np.zeros((2, 4)), np.array([np.log(3.0), 0.0]))]
    expected = np.mean([-np.log(0.75) if label == 0 else -np.log(0.25) for label in y])
    assert work.value([zero]) == pytest.approx(expected)
    binary = small(sizes=(3, 1), loss="bce", rows=2)
    sure = [(np.array([[2.0, 0.0, 0.0]]), np.zeros(1))]
    x, y = binary.data
    p = 1 / (1 + np.exp(-2.0 * x[:, :1].astype(float)))
    assert binary.value([sure]) == pytest.approx(np.mean(-np.log(np.where(y == 1, p, 1 - p))))


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_configuration_has_a_method_and_threads(name: str) -> None:
    for configurations in workload(name).sides.values():
        for configuration in configurations:
            method, threads, *rest = configuration.split("-")
            assert method
            assert threads in ("1t", "2t")
            assert rest in ([], ["busy"], ["cold"], ["cached"])
