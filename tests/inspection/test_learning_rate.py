"""The learning-rate test: where a quadratic falls and leaves is known, and nothing is changed by it."""

import copy
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn

MOONS = pl.data.two_moons(200, seed=0)


def network() -> nn.Sequential:
    pl.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))


class Bowl(nn.Module):
    """½ Σ λ w²."""

    def __init__(self, curvatures: Any) -> None:
        self.curvatures = np.asarray(curvatures, np.float64)
        self.w = nn.Parameter(np.ones(len(self.curvatures)))

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return 0.5 * (self.curvatures * self.w * self.w).sum() + 0 * x.sum()


@pytest.mark.parametrize("largest", [1.0, 100.0])
def test_a_bowl_falls_below_the_edge_and_leaves_above_it(largest: float) -> None:
    model = Bowl([largest, largest / 3, largest / 10])
    found = pl.learning_rate_test(model, np.ones((4, 1)), lambda y: y, pl.optim.SGD, highest=1e3)
    edge = 2 / largest
    assert found.diverged is not None
    assert found.suggested is not None
    assert found.diverged > edge
    assert found.suggested < edge
    # From there gradient descent reaches the bottom soon.
    optimizer = pl.optim.SGD(model.parameters(), lr=found.suggested)
    for _ in range(200):
        model(np.ones((1, 1))).backward()
        optimizer.step()
    assert model(np.ones((1, 1))).item() < 1e-2 * model.curvatures.sum()


def test_the_losses_are_those_of_plain_training() -> None:
    model = Bowl([1.0, 0.2])
    found = pl.learning_rate_test(
        model, np.ones((4, 1)), lambda y: y, pl.optim.SGD, lowest=0.1, highest=1.0, num_steps=10
    )
    np.testing.assert_allclose(found.rates, 0.1 * 10 ** (np.arange(10) / 9))
    w, expected = np.ones(2), []
    for rate in found.rates:
        expected.append(0.5 * (model.curvatures * w * w).sum())
        w = w - rate * model.curvatures * w
    np.testing.assert_allclose(found.losses, expected, rtol=1e-12)
    assert found.diverged is None
    assert "not up to 1" in str(found)


def snapshot(model: nn.Module, optimizer: pl.optim.Optimizer, loader: pl.data.Loader) -> dict[str, Any]:
    return {
        "values": {name: value.data.tobytes() for name, value in [*model.named_parameters(), *model.named_buffers()]},
        "gradients": {n: None if p.grad is None else p.grad.data.tobytes() for n, p in model.named_parameters()},
        "modes": [m.training for m in model.modules()],
        "state": repr(optimizer.state_dict()),
        "loader": loader.state_dict(),
        "draws": pl.core.rng.default_generator.get_state().tobytes(),
    }


def trained(model: nn.Module, optimizer: pl.optim.Optimizer, loader: pl.data.Loader, batches: int) -> list[float]:
    losses = []
    for _, (x, y) in zip(range(batches), loader, strict=False):
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", [pl.optim.Adam, pl.optim.SGD, pl.optim.NAdam])
def test_everything_stays_and_training_goes_on_with_the_same_bits(kind: Any) -> None:
    runs = []
    for tested in (False, True):
        model = network()
        model[4].eval()
        optimizer = kind(model.parameters(), lr=0.01)
        loader = pl.data.Loader(MOONS, 16, shuffle=True, seed=4)
        trained(model, optimizer, loader, 5)
        model[0](MOONS.x[:2]).sum().backward()
        if tested:
            before = snapshot(model, optimizer, loader)
            objects = [id(p.data) for p in model.parameters()], [id(s) for s in optimizer.state.values()]
            found = pl.learning_rate_test(model, loader, nn.CrossEntropyLoss(), optimizer)
            assert len(found.losses) > 50
            assert snapshot(model, optimizer, loader) == before
            assert objects == ([id(p.data) for p in model.parameters()], [id(s) for s in optimizer.state.values()])
        runs.append((trained(model, optimizer, loader, 7), snapshot(model, optimizer, loader)))
    assert runs[0] == runs[1]


def test_a_loader_gives_the_batches_that_come_next() -> None:
    loader = pl.data.Loader(MOONS, 64, shuffle=True, seed=1)
    trained(model := network(), pl.optim.SGD(model.parameters()), loader, 2)
    seen = []

    def loss(outputs: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
        seen.append(y.data.copy())
        return nn.functional.cross_entropy(outputs, y)

    pl.learning_rate_test(model, loader, loss, pl.optim.SGD, num_steps=10, highest=0.01)
    following = [y for _, y in [*loader.batches(0, loader.state_dict()["position"]), *loader.batches(1)]]
    assert len(following) > 3
    for ours, theirs in zip(seen, following, strict=False):
        np.testing.assert_array_equal(ours, theirs)


def test_an_error_inside_puts_everything_back() -> None:
    model = network()
    optimizer = pl.optim.Adam(model.parameters(), lr=0.01)
    loader = pl.data.Loader(MOONS, 16)
    before = snapshot(model, optimizer, loader)
    calls = []

    def loss(outputs: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return nn.functional.cross_entropy(outputs, y)

    with pytest.raises(KeyboardInterrupt):
        pl.learning_rate_test(model, loader, loss, optimizer)
    assert snapshot(model, optimizer, loader) == before
    assert not optimizer.state


def test_groups_keep_their_ratio() -> None:
    model = network()
    groups = [{"params": [model[0].weight], "lr": 0.1}, {"params": [model[4].weight], "lr": 0.05}]
    optimizer = pl.optim.SGD(groups, lr=0.1)
    rates = []

    def loss(outputs: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
        rates.append([group["lr"] for group in optimizer.param_groups])
        return nn.functional.cross_entropy(outputs, y)

    pl.learning_rate_test(model, MOONS, loss, optimizer, num_steps=10, lowest=1e-3, highest=1e-2)
    assert [first / second for first, second in rates] == pytest.approx([2.0] * 10)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.05]


def test_a_loss_that_no_rate_lowers() -> None:
    class Noise(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(np.array([0.0]))

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return (x - self.w) ** 2

    x = np.random.default_rng(0).normal(size=(500, 1))
    model = Noise()
    model.w.data[0] = x.mean()
    found = pl.learning_rate_test(model, x, lambda y: y.mean(), pl.optim.SGD, batch_size=8)
    assert (found.suggested, found.reason) == (None, "no-fall")
    assert "none: no rate lowered the loss" in str(found)


def test_a_suggested_rate_trains_a_network() -> None:
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
    for kind in (pl.optim.SGD, pl.optim.Adam):
        fresh = copy.deepcopy(model)
        found = pl.learning_rate_test(fresh, MOONS, nn.CrossEntropyLoss(), kind)
        history = pl.fit(
            fresh, MOONS, loss=nn.CrossEntropyLoss(), optimizer=kind(fresh.parameters(), lr=found.suggested),
            epochs=40, metrics=["accuracy"], verbose=0,
        )  # fmt: skip
        assert history.accuracy[-1] > 0.83
        assert history.loss[-1] < 0.6 * history.loss[0]


def test_what_is_refused() -> None:
    model, ce = network(), nn.CrossEntropyLoss()
    with pytest.raises(pl.errors.ArgumentError, match="the rates do not grow"):
        pl.learning_rate_test(model, MOONS, ce, pl.optim.SGD, lowest=1.0, highest=0.5)
    with pytest.raises(pl.errors.ArgumentError, match="parameters that are not the network's"):
        pl.learning_rate_test(model, MOONS, ce, pl.optim.SGD(network().parameters()))
    with pytest.raises(pl.errors.ArgumentError, match="LBFGS has no learning rate that could grow"):
        pl.learning_rate_test(model, MOONS, ce, pl.optim.LBFGS)
    with pytest.raises(pl.errors.ArgumentTypeError, match="neither an optimizer nor what makes one"):
        pl.learning_rate_test(model, MOONS, ce, "sgd")
    with pytest.raises(pl.errors.ModelError, match="the loss is not finite"):
        pl.learning_rate_test(model, MOONS, lambda z, y: z.sum() * np.inf, pl.optim.SGD)
