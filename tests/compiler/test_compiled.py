"""What only a compiled function has: how it ran, its graph, its own errors; and that threads may share it."""

import threading

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from pellucid.compiler.step import MOST, OFTEN
from pellucid.errors import ArgumentError, ArgumentTypeError, GradientError, PellucidWarning, RecordingError
from tests.compiler.both_ways import X_OTHER, X, Y, cross_entropy, network, step_of


@pytest.fixture(params=["numpy", "llvm"])
def tier(request):
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    return request.param


# Threads


def test_threads_share_a_compiled_network(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    model = network().eval()
    use, wrong = pl.compile(model), []

    def work(x):
        expected = model(x).data
        for _ in range(200):
            if not np.allclose(use(x).data, expected, rtol=1e-4, atol=1e-5):
                wrong.append(1)

    threads = [threading.Thread(target=work, args=(x,)) for x in (X, X_OTHER, X)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_compile_each_its_own(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    found = {}

    def work(n):
        matrix = np.full((5, 5), n, "f4")
        double = pl.compile(lambda x: x @ pl.Tensor(matrix) * 2.0)
        found[n] = [double(pl.Tensor(X)).data for _ in range(3)]

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n, results in found.items():
        for result in results:
            np.testing.assert_allclose(result, X @ np.full((5, 5), 2 * n, "f4"), rtol=1e-5, atol=1e-5)


# What only a compiled function has


def test_it_says_how_it_ran(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    model = network()
    step = pl.compile(step_of(model, optim.SGD(model.parameters(), lr=0.1)))
    assert (step.tier, step.__name__) == ("none", "step")
    with pytest.raises(RecordingError, match="there is no compiled form"):
        _ = step.graph
    step(X, Y)
    assert step.tier == tier
    assert step.graph.name == "step"
    assert [value.name for value in step.graph.inputs] == ["x", "y"]
    assert "def " in step.source
    assert step.memory.peak > 0


def test_without_compiling_it_is_the_function(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    double = pl.compile(lambda x: x * 2.0)
    assert double(X).tolist() == (X * 2.0).tolist()
    assert double.tier == "eager"


def test_only_functions_are_compiled():
    with pytest.raises(ArgumentTypeError) as caught:
        pl.compile(3)
    assert "only a function or a network can be compiled" in str(caught.value)


def test_an_unknown_tier_is_refused(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "fast")
    with pytest.raises(ArgumentError, match="PELLUCID_COMPILE"):
        pl.compile(lambda x: x * 2.0)(pl.ones((3,)))


def test_batches_of_another_size_run_by_numpy_until_there_are_many(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    use = pl.compile(network().eval())
    use(X)
    tiers = []
    for _ in range(OFTEN + 1):
        use(X[:3])
        tiers.append(use.tier)
    assert tiers == ["numpy"] * (OFTEN - 1) + ["llvm"] * 2


def test_what_is_recorded_at_every_call_runs_as_it_is(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")
    scaled = pl.compile(lambda x, factor: x * factor)
    x = pl.ones((2,))
    for n in range(MOST):
        assert scaled(x, float(n)).tolist() == [n, n]
    assert scaled.tier == "numpy"
    with pytest.warns(PellucidWarning, match=f"after {MOST} recordings"):
        assert scaled(x, -1.0).tolist() == [-1, -1]
    assert scaled.tier == "eager"
    assert scaled(x, 1.0).tolist() == [1, 1]
    assert scaled.tier == "numpy"


@pytest.mark.parametrize("outside", ["loss", "network"])
def test_a_result_cannot_be_differentiated_and_says_so(outside, tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    model = network()
    if outside == "loss":
        loss = pl.compile(lambda x, y: cross_entropy(model(x), y))(X, Y)
    else:
        loss = cross_entropy(pl.compile(model)(X), Y)
    assert loss.requires_grad
    with pytest.raises(GradientError, match="the result of a compiled function cannot be differentiated"):
        loss.backward()
    with pl.no_grad():
        assert not pl.compile(model)(X).requires_grad


@pytest.mark.torch
def test_a_compiled_step_is_that_of_pytorch(tier, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    ours = network()
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.Sigmoid(), torch.nn.Identity(), torch.nn.Linear(6, 3))
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        q.data = torch.tensor(p.data)
    optimizer = optim.AdamW(ours.parameters(), lr=0.02, weight_decay=0.1)
    other = torch.optim.AdamW(theirs.parameters(), lr=0.02, weight_decay=0.1)
    step = pl.compile(step_of(ours, optimizer, lambda: optim.clip_grad_norm_(ours.parameters(), 0.5)))
    for _ in range(10):
        other.zero_grad()
        loss = torch.nn.functional.cross_entropy(theirs(torch.tensor(X)), torch.tensor(Y))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        other.step()
        assert step(X, Y).item() == pytest.approx(loss.item(), rel=1e-5)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-4, atol=1e-6)
