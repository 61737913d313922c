"""What only a compiled function has: how it ran, its graph, its own errors; and that threads may share it."""

import copy
import os
import pickle
import threading
import warnings

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.step import MOST, OFTEN
from pellucid.errors import ArgumentError, ArgumentTypeError, GradientError, PellucidWarning, RecordingError
from tests.compiler.both_ways import X_OTHER, X, Y, cross_entropy, network, step_of

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


def tiers_of(use, *batches):
    """What each of some calls runs as."""
    found = []
    for x in batches:
        use(x)
        found.append(use.tier)
    return found


def test_batches_of_another_size_run_by_numpy_until_there_are_many(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.delenv("PELLUCID_COMPILE", raising=False)
    use = pl.compile(network().eval())
    assert tiers_of(use, *[X] * 40) == ["llvm"] * 40
    assert tiers_of(use, *[X[:3]] * (OFTEN + 1)) == ["numpy"] * (OFTEN - 1) + ["llvm"] * 2


def test_the_size_that_comes_most_often_need_not_come_first(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.delenv("PELLUCID_COMPILE", raising=False)
    use = pl.compile(network().eval())
    assert tiers_of(use, X[:1], X, X, X) == ["llvm", "numpy", "llvm", "llvm"]
    assert tiers_of(use, *[X[:3]] * 4, X[:1]) == ["numpy"] * 3 + ["llvm"] * 2


def test_every_recording_of_the_usual_size_is_machine_code(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.delenv("PELLUCID_COMPILE", raising=False)
    model = network(dropout=0.3)
    use = pl.compile(model)
    assert tiers_of(use, X, X[:3]) == ["llvm", "numpy"]
    model.eval()
    assert tiers_of(use, X, X[:3]) == ["llvm", "numpy"]


def test_machine_code_that_is_asked_for_by_name_serves_every_size(monkeypatch):
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    assert tiers_of(pl.compile(network().eval()), X, X[:3], X[:5]) == ["llvm"] * 3


def test_one_reason_is_given_once_whatever_the_shapes(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)

    def rectified(x):
        return x if x.sum() > 0 else -x

    use, place = pl.compile(rectified), rectified.__code__.co_firstlineno + 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for x in (X, X[:3], X[:, :2], X.astype("f8")):
            assert use(x).tolist() == rectified(pl.Tensor(x)).tolist()
    (warning,) = caught
    assert str(warning.message) == (
        "a compiled function runs as it is, step by step in Python\n"
        "  given:    rectified: the recorded function looks at a value that changes from run to run "
        f"(test_compiled.py:{place})\n"
        "  expected: a function that can be recorded\n"
        f"  at:       test_compiled.py:{place + 6}"
    )


def test_another_reason_is_given_too(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)

    def choosy(x):
        if x.shape[0] > 3:
            return x if x.sum() > 0 else -x
        return x if x.max() > 0 else -x

    use, place = pl.compile(choosy), choosy.__code__.co_firstlineno
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for x in (X, X[:3], X[:4], X[:2]):
            use(x)
    first, second = [str(w.message) for w in caught]
    assert f"(test_compiled.py:{place + 2})" in first
    assert f"(test_compiled.py:{place + 3})" in second


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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert scaled(x, -2.0).tolist() == [-2, -2]
    assert not caught
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


# Methods, copies, processes


class Scaled:
    def __init__(self, by):
        self.by = by

    @pl.compile
    def scaled(self, x):
        return x * self.by

    @classmethod
    @pl.compile
    def of_class(cls, x):
        return x * cls.number

    number = 2.0


class Slotted:
    __slots__ = ("by",)

    @pl.compile
    def scaled(self, x):
        return x * self.by


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = nn.Linear(5, 1)

    @pl.compile
    def predict(self, x):
        return self.part(x) * 2.0


@pl.compile
def doubled(x):
    return x * 2.0


COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),  # noqa: S301 - our own bytes
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_has_compiled_methods_of_its_own(name, tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    first = Scaled(2.0)
    assert first.scaled([1.0]).tolist() == [2.0]
    second = COPIES[name](first)
    second.by = 5.0
    assert [second.scaled([1.0]).tolist(), first.scaled([1.0]).tolist()] == [[5.0], [2.0]]
    network = Network()
    before = network.predict(X).data
    if name != "copy":
        other = COPIES[name](network)
        other.part.weight.data *= 0.0
        assert (other.predict(X).data == 2.0 * other.part.bias.data).all()
    assert (network.predict(X).data == before).all()


@pytest.mark.parametrize("name", COPIES)
def test_a_compiled_function_with_a_name_is_that_one_everywhere(name):
    assert COPIES[name](doubled) is doubled
    assert COPIES[name](Scaled.scaled) is Scaled.scaled


def test_methods_of_classes_and_of_objects_without_a_dict(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    first, second = Slotted(), Slotted()
    first.by, second.by = 2.0, 3.0
    assert [x.scaled([1.0]).tolist() for x in (first, second, first)] == [[2.0], [3.0], [2.0]]
    first.by = 4.0
    assert (first.scaled([1.0]).tolist(), first.scaled.tier) == ([4.0], tier)
    other = type("Other", (Scaled,), {"number": 7.0})
    assert [c.of_class([1.0]).tolist() for c in (Scaled, other, Scaled)] == [[2.0], [7.0], [2.0]]
    monkeypatch.setattr(Scaled, "number", 3.0)
    assert Scaled(1.0).of_class([1.0]).tolist() == [3.0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_a_thread_that_is_not_there(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    function = pl.compile(lambda x: pl.tanh(x) * 2.0)
    expected = function(X).data
    held = [function._one_at_a_time]
    if tier == "llvm":
        held.append(function._latest.plan._bound.native._lock)
    inside, enough = threading.Event(), threading.Event()

    def hold():
        for lock in held:
            lock.acquire()
        inside.set()
        enough.wait(20)
        for lock in held:
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait(20)
    child = os.fork()
    if child == 0:
        import faulthandler

        faulthandler.dump_traceback_later(10, exit=True)
        os._exit(0 if (function(X).data == expected).all() else 1)
    status = os.waitpid(child, 0)[1]
    enough.set()
    thread.join()
    assert status == 0


# What is refused, and what runs by NumPy


def test_half_floats_run_by_numpy(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    double = pl.compile(lambda x: x * 2)
    assert (double(np.ones(2, np.float16)).data.dtype, double.tier) == (np.float16, "numpy")


@pytest.mark.parametrize("size", [2, 600])
def test_a_wrong_number_of_threads_is_refused_whatever_the_size(size, tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    monkeypatch.setenv("PELLUCID_NUM_THREADS", "abc")
    with pytest.raises(ArgumentError, match="PELLUCID_NUM_THREADS is out of range"):
        pl.compile(lambda x: x @ x)(np.ones((size, size), "f4"))
