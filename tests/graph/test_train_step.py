"""A whole training step, forward, loss, backward and update, recorded once and replayed: eager's bits, every step."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import graph, nn, optim

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 5)).astype(np.float32)
Y = RNG.integers(0, 3, size=8)

OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "lion": lambda p: optim.Lion(p, lr=0.01),
}


def make(optimizer):
    pl.manual_seed(5)
    model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU(), nn.Dropout(0.3), nn.Linear(7, 3))
    optimizer = OPTIMIZERS[optimizer](list(model.parameters()))
    criterion = nn.CrossEntropyLoss()

    def step(x, y):
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


def batches():
    order = np.random.default_rng(7)
    for _ in range(4):
        rows = order.permutation(8)
        yield X[rows], Y[rows]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_recorded_step_trains_as_an_eager_one(optimizer):
    model, step = make(optimizer)
    losses = [step(pl.Tensor(x), pl.Tensor(y)).item() for x, y in batches()]
    expected = {name: t.data.tobytes() for name, t in model.state_dict().items()}

    other, step = make(optimizer)
    recorded = None
    again = []
    for x, y in batches():
        if recorded is None:
            recorded = graph.record(step, x, y)
            again.append(losses[0])
        else:
            again.append(graph.run(recorded, x, y, commit=True).outputs.item())
    assert again == losses
    assert {name: t.data.tobytes() for name, t in other.state_dict().items()} == expected


def test_layers_and_parameters_have_their_names():
    _, step = make("sgd")
    text = str(graph.record(step, X, Y))
    assert "%model.0.weight: float32[7,5]" in text
    assert "    %random_state <- %" in text
    assert "# Sequential.0" in text
    assert {line.split()[0] for line in text.split("  updates\n")[1].splitlines()[:-1]} == {
        "%random_state",
        "%model.0.weight",
        "%model.0.bias",
        "%model.1.weight",
        "%model.1.bias",
        "%model.1.running_mean",
        "%model.1.running_var",
        "%model.1.num_batches_tracked",
        "%model.4.weight",
        "%model.4.bias",
    }
