import numpy as np
import pytest

from benchmarks.side import workload


@pytest.mark.onnxruntime
def test_the_file_holds_the_network() -> None:
    from benchmarks.sides.onnxruntime import infer

    work = workload("inference")
    x = work.network.data[0].astype(np.float64)
    for number, (weight, bias) in enumerate(work.network.layers()):
        x = x @ weight.T.astype(np.float64) + bias
        x = x if number == 2 else np.maximum(x, 0)
    assert infer(work, "run", 1).value() == pytest.approx(work.value(x), rel=1e-5)
