"""Training by the NumPy tier, through `compile` and `fit`: the bits of the same steps run eagerly."""

import subprocess
import sys

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim


@pytest.fixture(autouse=True)
def _numpy_tier(monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", "numpy")


def classes(n=16, features=6, count=4):
    rng = np.random.default_rng(1)
    return rng.standard_normal((n, features)).astype("float32"), rng.integers(0, count, n)


def numbers(n=16, features=6, outputs=2):
    rng = np.random.default_rng(2)
    return tuple(rng.standard_normal((n, k)).astype("float32") for k in (features, outputs))


def bits(n=16, features=6):
    x, y = numbers(n, features, 1)
    return x, (y > 0).astype("float32")


def words(n=16):
    rng = np.random.default_rng(3)
    return rng.integers(0, 9, (n, 5)), rng.integers(0, 4, n)


def mlp(outputs=4, act=nn.ReLU):
    return nn.Sequential(nn.Linear(6, 8), act(), nn.Linear(8, 7), act(), nn.Linear(7, outputs))


CASES = {
    "sgd": (mlp, nn.CrossEntropyLoss, lambda p: optim.SGD(p, lr=0.1), classes),
    "momentum": (
        lambda: mlp(2, nn.Tanh),
        nn.MSELoss,
        lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01),
        numbers,
    ),
    "adam": (lambda: mlp(1, nn.Sigmoid), nn.BCEWithLogitsLoss, lambda p: optim.Adam(p, lr=0.01), bits),
    "adamw": (lambda: mlp(4, nn.GELU), nn.CrossEntropyLoss, lambda p: optim.AdamW(p, lr=0.01), classes),
    "l1": (lambda: mlp(2, nn.SiLU), nn.L1Loss, lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5), numbers),
    "huber": (lambda: mlp(2, nn.ELU), nn.SmoothL1Loss, lambda p: optim.Adagrad(p, lr=0.1), numbers),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.4), nn.Linear(8, 4)),
        nn.CrossEntropyLoss,
        lambda p: optim.NAdam(p, lr=0.01),
        classes,
    ),
    "batch norm": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Linear(8, 4)),
        nn.CrossEntropyLoss,
        lambda p: optim.RAdam(p, lr=0.01),
        classes,
    ),
    "embedding": (
        lambda: nn.Sequential(nn.Embedding(9, 3), nn.Flatten(), nn.LayerNorm(15), nn.Linear(15, 4)),
        nn.CrossEntropyLoss,
        lambda p: optim.Lion(p, lr=0.01),
        words,
    ),
}


def training(case, compiled):
    """What ten steps return, and all state afterwards."""
    build, loss_of, optimizer_of, data = CASES[case]
    pl.manual_seed(0)
    model = build()
    optimizer, criterion = optimizer_of(model.parameters()), loss_of()

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    run = pl.compile(step) if compiled else step
    losses = [run(*map(pl.Tensor, data())).item() for _ in range(10)]
    if compiled:
        assert run.tier == "numpy"
    return losses, {name: t.data for name, t in model.state_dict().items()}


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_have_eager_bits(case):
    losses, state = training(case, compiled=True)
    expected, wanted = training(case, compiled=False)
    assert losses == expected
    assert losses[9] != losses[0]
    for name, array in wanted.items():
        np.testing.assert_array_equal(state[name], array, err_msg=name)


def test_intermediate_results_share_memory():
    model = mlp()
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    @pl.compile
    def step(x, y):
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step(*map(pl.Tensor, classes(64)))
    assert step.memory.peak < 0.6 * step.memory.separate


def test_what_is_written_between_calls_counts():
    layer = nn.Linear(3, 2)
    forward = pl.compile(lambda x: layer(x))
    x = pl.Tensor(np.ones((4, 3), "float32"))
    forward(x)
    layer.weight.assign(pl.ones((2, 3)))
    layer.bias.assign(pl.Tensor(np.array([1.0, -1.0], "float32")))
    assert forward(x).tolist() == [[4.0, 2.0]] * 4
    with pl.no_grad():
        layer.bias *= 2.0
    assert forward(x).tolist() == [[5.0, 1.0]] * 4


def test_labels_are_looked_at_in_every_call():
    model = mlp()
    loss_of = pl.compile(lambda x, y: nn.functional.cross_entropy(model(x), y))
    x, y = classes()
    loss_of(pl.Tensor(x), pl.Tensor(y))
    with pytest.raises(pl.errors.PellucidError):
        loss_of(pl.Tensor(x), pl.Tensor(y + 4))


def test_fit_has_the_bits_of_fit_without_compiling(monkeypatch):
    def trained():
        pl.manual_seed(0)
        model = mlp()
        history = pl.fit(model, classes(70), loss="cross_entropy", optimizer="adam", epochs=2, batch_size=16, verbose=0)
        return model, history

    model, history = trained()
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    other, expected = trained()
    assert history["loss"] == expected["loss"]
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_it_needs_no_llvmlite():
    program = (
        "import sys; sys.modules['llvmlite'] = None\n"
        "import numpy as np, pellucid as pl\n"
        "layer = pl.nn.Linear(3, 2)\n"
        "step = pl.compile(lambda x: layer(x))\n"
        "step(pl.ones((4, 3)))\n"
        "assert step.tier == 'numpy', step.tier\n"
        "assert not [m for m in sys.modules if m.startswith('pellucid.compiler.emit_llvm')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
