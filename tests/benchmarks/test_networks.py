"""The networks that are raced: what enters and leaves, and that the judge of the weights is right."""

import dataclasses

import numpy as np
import pytest

from benchmarks.__main__ import WORKLOADS
from benchmarks.kinds import Workload
from benchmarks.network import BUFFERS, Network, network
from benchmarks.network_kinds import CompileNetwork, InferNetwork, TrainNetwork
from benchmarks.reference import Reference
from benchmarks.side import workload

NAMES = ["lenet5", "separable", "resnet20", "gpt", "lstm"]
TRAINED = {"lenet5": "conv_lenet5", "separable": "conv_separable", "resnet20": "conv_resnet20"}


def tiny(name: str) -> TrainNetwork:
    """The workload of a network with two steps of an epoch."""
    work = workload(TRAINED.get(name, name))
    assert isinstance(work, TrainNetwork)
    return dataclasses.replace(work, batch=4, rows=8)


def scattered(net: Network) -> dict[str, np.ndarray]:
    """Weights and buffers of which none is 0 or 1, so that none can be left out unnoticed."""
    rng = np.random.default_rng(7)
    return {n: (a + rng.uniform(-0.1, 0.1, a.shape)).astype(a.dtype) for n, a in net.arrays().items()}


@pytest.mark.parametrize(
    ("name", "parameters", "products"),
    [
        # 61,706 of the paper's form with all connections; 784·6·25 + 100·16·150 + 400·120 + 120·84 + 84·10.
        ("lenet5", 61_706, 416_520),
        # He et al., table 6, say 0.27 million; 16·9·1024·(3 + 6·16) + 32·9·256·(16 + 5·32) + 64·9·64·(32 + 5·64) + 640.
        ("resnet20", 269_722, 40_551_040),
        # 4·(512 + 49,536 + 16,512 + 66,048 + 65,664) + 65·128 + 64·128 + 256; 4·64·(12·128² + 2·64·128) + 64·128·65.
        ("gpt", 4 * (512 + 49_536 + 16_512 + 66_048 + 65_664) + 16_768, 55_058_432),
        ("lstm", 512 * (64 + 128 + 2) + 1290, 32 * 512 * (64 + 128) + 1280),
        # 27·32·1024; depthwise 9·(32·1024 + 64·256 + 128·256 + 128·64); 1x1 1024·32·64 + 256·(64·128 + 128·128) +
        # 64·128·256; 2560.
        (
            "separable",
            864 + 64 + 9 * 352 + 704 + 59_392 + 1152 + 2570,
            884_736 + 9 * 90_112 + 2_097_152 + 6_291_456 + 2_097_152 + 2560,
        ),
    ],
)
def test_parameters_and_products_are_those_counted_by_hand(name: str, parameters: int, products: int) -> None:
    net = network(name)
    assert sum(a.size for n, a in net.arrays().items() if not n.endswith(BUFFERS)) == parameters
    assert net.products[0] == products


def test_operations_of_a_step_leave_out_the_first_gradient() -> None:
    # The first convolution of LeNet-5 has 784·6·25 products.
    assert workload("conv_lenet5").flops == 2 * 64 * (3 * 416_520 - 117_600)
    assert workload("inference_lenet5_256").flops == 2 * 256 * 416_520


@pytest.mark.torch
@pytest.mark.parametrize("name", NAMES)
def test_the_reference_is_the_network_of_pytorch(name: str) -> None:
    import torch

    from benchmarks.network_sides.torch import made

    net = network(name)
    arrays, (x, _) = scattered(net), net.data(3)
    model = made(name, arrays, last=False).double().eval()
    with torch.no_grad():
        expected = model(torch.tensor(x) if net.vocabulary else torch.tensor(x).double()).numpy()
    np.testing.assert_allclose(net.forward(Reference(arrays), x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_pellucid_has_the_same_network(name: str) -> None:
    import pellucid as pl
    from benchmarks.network_sides.pellucid import made, weights

    net = network(name)
    arrays, (x, _) = scattered(net), net.data(2)
    model = made(name, arrays).eval()
    with pl.no_grad():  # type: ignore[attr-defined]
        scores = model(x).numpy()
    expected = net.forward(Reference(arrays), x)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    held = weights(model)
    assert all(np.array_equal(held[n], a) for n, a in arrays.items())


@pytest.mark.parametrize("name", ["lenet5", "lstm"])
def test_a_loop_and_fit_arrive_at_the_same_weights(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.network_sides.pellucid import train_network

    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    work = tiny(name)
    first = work.value(work.net.arrays())
    runners = [train_network(work, method, 1) for method in ("fit", "step", "eager")]
    assert [runner.round(0, 1)[1] for runner in runners] == [2, 2, 2]
    values = [runner.value() for runner in runners]
    assert values[0] != pytest.approx(first, rel=1e-4)
    assert values == pytest.approx([values[0]] * 3, rel=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("method", ["eager", "eager_last"])
@pytest.mark.parametrize("name", NAMES)
def test_pytorch_does_the_same_work(name: str, method: str) -> None:
    from benchmarks.network_sides import pellucid, torch

    if method == "eager_last" and name in ("gpt", "lstm"):
        pytest.skip("there are no channels")
    work = tiny(name)
    values = []
    for runner in (torch.train_network(work, method, 1), pellucid.train_network(work, "eager", 1)):
        assert runner.round(0, 1)[1] == 2
        values.append(runner.value())
    assert values[0] == pytest.approx(values[1], rel=work.tolerance / 4)


@pytest.mark.slow
@pytest.mark.jax
@pytest.mark.parametrize(
    ("name", "method"),
    [("lenet5", "jit"), ("lenet5", "scan_last"), ("lstm", "scan"), ("gpt", "jit"), ("separable", "jit_last")],
)
def test_jax_does_the_same_work(name: str, method: str) -> None:
    from benchmarks.network_sides import jax, pellucid

    work = tiny(name)
    theirs, ours = jax.train_network(work, method, 1), pellucid.train_network(work, "eager", 1)
    for runner in (theirs, ours):
        runner.round(0, 1)
    assert theirs.value() == pytest.approx(ours.value(), rel=work.tolerance / 4)


@pytest.mark.slow
@pytest.mark.jax
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("name", ["lenet5", "separable", "resnet20"])
def test_jax_has_the_same_pictures_wherever_the_channels_lie(name: str, last: bool) -> None:
    from benchmarks.network_sides.jax import LAST, Operations, into

    net = network(name)
    arrays, (x, _) = scattered(net), net.data(2)
    scores = net.forward(Operations(into(arrays, last), False, last), x.transpose(LAST) if last else x)
    expected = net.forward(Reference(arrays), x)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.onnxruntime
@pytest.mark.parametrize("name", ["lenet5", "separable", "resnet20", "gpt"])
def test_the_file_holds_the_network(name: str) -> None:
    import onnxruntime

    from benchmarks.onnx_graph import model

    net = network(name)
    arrays, (x, _) = scattered(net), net.data(2)
    session = onnxruntime.InferenceSession(model(net, arrays, 2), providers=["CPUExecutionProvider"])
    expected = net.forward(Reference(arrays), x)
    (scores,) = session.run(None, {"x": x})
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("method", ["compiled", "eager"])
def test_a_compiled_network_gives_what_the_network_gives(method: str) -> None:
    from benchmarks.network_sides.pellucid import infer_network

    work = workload("inference_lenet5_1")
    assert isinstance(work, InferNetwork)
    runner = infer_network(work, method, 1)
    assert runner.round(0, 2)[1] == 2 * work.calls
    expected = work.value(work.net.forward(Reference(work.net.arrays()), work.data))
    assert runner.value() == pytest.approx(expected, rel=1e-4)


def test_compiling_is_timed_in_fresh_processes() -> None:
    for name in ("compile_time_resnet20", "compile_time_gpt"):
        work = workload(name)
        assert isinstance(work, CompileNetwork)
        assert work.fresh
        assert work.steps == 1
        assert [limit.factor for limit in work.limits] == [2.0]


@pytest.mark.parametrize("name", WORKLOADS)
def test_who_takes_part_has_a_file(name: str) -> None:
    from importlib.util import find_spec

    work: Workload = workload(name)
    assert all(find_spec(f"benchmarks.{work.room}.{library}") for library in work.sides)
