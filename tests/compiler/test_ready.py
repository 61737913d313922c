"""The short way through a compiled network gives what the general one does, and is left where anything is otherwise."""

import threading

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import GradientError, PellucidError
from tests.compiler.both_ways import X_OTHER, X, Y, cross_entropy, network
from tests.compiler.both_ways import tier as tier_is

FACTOR = 2.0


@pytest.fixture(autouse=True)
def machine_code(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")


@pytest.fixture
def model():
    return network(dropout=0.5).eval()


def ready(function, x=X):
    """A compiled function that takes the short way for arguments like one."""
    use = pl.compile(function)
    use(x)
    assert use._ready is not None
    return use


def assert_as_it_is(use, function, *args, **kwargs):
    """Twice, since the first call may have to record."""
    for _ in range(2):
        expected = function(*args, **kwargs)
        np.testing.assert_allclose(use(*args, **kwargs).data, expected.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("x", [X, pl.Tensor(X)])
@pytest.mark.parametrize("grad", [True, False])
def test_results_are_those_of_the_network(model, x, grad):
    with pl.enable_grad() if grad else pl.no_grad():
        use = ready(model, x)
        short = use._ready
        other = type(x)(X_OTHER) if isinstance(x, pl.Tensor) else X_OTHER
        for given in (x, other, x):
            assert_as_it_is(use, model, given)
        assert use._ready is short
        assert use(x).requires_grad is grad


def test_every_result_is_an_array_of_its_own(model):
    use = ready(model)
    first = use(X)
    before = first.data.copy()
    second = use(X_OTHER)
    assert not np.shares_memory(first.data, second.data)
    assert first.data.tobytes() == before.tobytes()
    first.data[...] = 0.0
    assert use(X).data.tobytes() == before.tobytes()


def test_a_result_has_no_history(model):
    use = ready(model)
    with pytest.raises(GradientError, match="compiled"):
        use(X).sum().backward()


WIDE = np.zeros((8, 10), "f4")
WIDE[:, ::2] = X

ARGUMENTS = {
    "another shape": X[:3],
    "float64": X.astype("f8"),
    "whole numbers": (X * 3.0).astype("i8"),
    "columns": np.asfortranarray(X),
    "with gaps": WIDE[:, ::2],
    "backwards": X[::-1],
    "read-only": np.broadcast_to(X[0], X.shape),
    "the other order of bytes": X.astype(X.dtype.newbyteorder()),
    "a list": X.tolist(),
    "a Tensor": pl.Tensor(X),
    "a Tensor that asks for a gradient": pl.Tensor(X, requires_grad=True),
    "a parameter": nn.Parameter(X),
    "a kind of array of the user's own": X.view(type("Mine", (np.ndarray,), {})),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_other_arguments_go_the_general_way(model, name):
    use = ready(model)
    assert_as_it_is(use, model, ARGUMENTS[name])
    assert_as_it_is(use, model, X_OTHER)


def test_keywords_and_more_arguments_go_the_general_way():
    def scaled(x, by=1.0):
        return x * by

    use = ready(scaled)
    assert_as_it_is(use, scaled, pl.Tensor(X), by=3.0)
    assert_as_it_is(use, scaled, pl.Tensor(X), 4.0)
    assert_as_it_is(use, scaled, x=pl.Tensor(X))
    assert_as_it_is(use, scaled, pl.Tensor(X))


def test_a_wrong_argument_is_refused_as_by_the_network(model):
    use = ready(model)
    for wrong in (X[:, :3], np.zeros(4, "f4"), "words"):
        with pytest.raises(PellucidError) as expected:
            model(wrong)
        with pytest.raises(type(expected.value)):
            use(wrong)
    assert_as_it_is(use, model, X)


CHANGES = {
    "values": lambda m: m[0].weight.data.__setitem__(..., 3.0),
    "another array": lambda m: setattr(m[0].weight, "data", np.ones((6, 5), "f4")),
    "columns": lambda m: setattr(m[0].weight, "data", np.asfortranarray(np.ones((6, 5), "f4"))),
    "an assignment": lambda m: m[0].bias.assign(pl.ones((6,))),
    "another parameter": lambda m: setattr(m[0], "weight", nn.Parameter(np.ones((6, 5), "f4"))),
    "a part": lambda m: setattr(m, "1", nn.Tanh()),
    "another part": lambda m: m.append(nn.Tanh()),
    "an attribute that is written past the module": lambda m: (vars(m[2]).update(p=0.0), m.train()),
    "a hook": lambda m: m[0].register_forward_hook(lambda module, args, output: output * 2.0),
    "a dtype": lambda m: m.double(),
    "frozen parameters": lambda m: m.requires_grad_(False),
    "a name": lambda m: globals().update(FACTOR=5.0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_changed_is_seen(model, name, monkeypatch):
    monkeypatch.setitem(globals(), "FACTOR", 2.0)

    def scaled(x):
        return model(x) * FACTOR

    use = ready(scaled)
    CHANGES[name](model)
    assert_as_it_is(use, scaled, X)
    assert use(X).requires_grad is scaled(X).requires_grad


def test_a_mode_is_seen(model):
    use = ready(model)
    evaluated = use(X).data.copy()
    model.train()
    assert not np.allclose(use(X).data, evaluated)
    model.eval()
    assert use(X).data.tobytes() == evaluated.tobytes()


def test_gradients_may_be_switched_on_and_off(model):
    use = ready(model)
    with pl.no_grad():
        assert not use(X).requires_grad
        assert not use(X).requires_grad
    assert use(X).requires_grad


def test_the_default_dtype_is_seen():
    def with_a_number(x):
        return x + pl.Tensor(0.1)

    x = np.arange(3)
    use = ready(with_a_number, x)
    pl.set_default_dtype("float64")
    try:
        assert use(x).dtype == "float64"
    finally:
        pl.set_default_dtype("float32")
    assert use(x).dtype == "float32"


def test_the_latest_call_is_told_of(model):
    use = ready(model)
    use(X[:3])
    use(X[:3])
    assert use.graph.inputs[0].spec.shape == (3, 5)
    use(X)
    assert use.graph.inputs[0].spec.shape == X.shape
    assert use.tier == "llvm"


def test_inside_a_recording_the_function_itself_is_called(model):
    use = ready(model)
    twice = pl.compile(lambda x: use(x) * 2.0)
    np.testing.assert_allclose(twice(pl.Tensor(X)).data, model(X).data * 2.0, rtol=1e-5)


def test_what_has_more_to_do_goes_the_general_way(model):
    def loss_of(x):
        return cross_entropy(model(x), Y)  # looks at labels

    def gradient_of(x):
        cross_entropy(model(x), Y).backward()
        return model[0].weight.grad

    use = pl.compile(loss_of), pl.compile(gradient_of), pl.compile(lambda x: (model(x), model(x)))
    for _ in range(2):
        use[2](X)
    assert use[2]._ready is None
    for _ in range(2):
        model.zero_grad()
        use[1](X)
    assert use[1]._ready is None


def test_other_tiers_go_the_general_way(model):
    with tier_is("numpy"):
        use = pl.compile(model)
        for _ in range(3):
            use(X)
    assert use._ready is None


def test_threads_share_the_short_way(model):
    use, wrong = ready(model), []

    def work(x, expected):
        for _ in range(300):
            if not np.allclose(use(x).data, expected, rtol=1e-4, atol=1e-5):
                wrong.append(1)

    threads = [threading.Thread(target=work, args=(x, model(x).data)) for x in (X, X_OTHER, X)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
