"""Explanations verify themselves over every kind of layer, loss and optimizer, agree with a training step of the
network itself, and change nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.inspection.explain_expressions import Apply, Leaf, Rest, Total, leaves_of
from tests.inspection.explained import LAYERS, LOSSES, OPTIMIZERS, made, squares
from tests.inspection.explained_further import FURTHER, FURTHER_LOSSES


def gradients_of(model: nn.Module, x: Any, loss: Any, *targets: Any) -> dict[str, Any]:
    """The gradients of a plain training step."""
    first = next(model.parameters()).dtype
    xs = [pl.Tensor(a if a.dtype.kind == "i" else a.astype(first)) for a in (x if isinstance(x, tuple) else (x,))]
    loss(model(*xs), *targets).backward()
    found = {name: p.grad.numpy().copy() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LAYERS)
def test_every_kind_of_layer(name: str, dtype: str) -> None:
    build, x = LAYERS[name]
    model = made(build, dtype)
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    state = pl.core.rng.default_generator.state.numpy().copy()
    e = pl.explain(model, x, loss=squares, optimizer=optim.SGD(model.parameters(), lr=0.1))
    # What it told changed nothing.
    assert np.array_equal(state, pl.core.rng.default_generator.state.numpy())
    assert all(np.array_equal(v, model.state_dict()[k].numpy()) for k, v in before.items())
    assert all(p.grad is None for p in model.parameters())
    verification = e.verify()
    assert verification.ok, str(verification)
    assert verification.numbers > len(e.steps) / 2
    assert all(layer.steps for layer in e.layers)
    assert {layer.path for layer in e.layers if layer.role == "layer"} >= {
        path for path, m in model.named_modules() if not list(m.children()) and path and "dropout" not in path
    }
    # The gradients are those of the network's own training step.
    own = gradients_of(model, x, squares)
    legend = dict(e.legend)
    for step in e.gradients:
        element, _, place = step.name.removeprefix("∂L/∂").partition("[")
        index = tuple(int(i) for i in place.rstrip("]").split(",") if i)
        assert step.value == own[legend[element]][index]
    for update in e.updates:
        assert update.new == pytest.approx(update.old - 0.1 * update.gradient, rel=1e-6)


def network(dtype: str = "float64") -> nn.Sequential:
    return made(lambda: nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3)), dtype)  # type: ignore[no-any-return]


X = np.random.default_rng(3).normal(size=(4, 2))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss(name: str, dtype: str) -> None:
    loss, y = LOSSES[name]
    model = network(dtype)
    e = pl.explain(model, X, y, loss)
    verification = e.verify()
    assert verification.ok, str(verification)
    assert e.layers[-1].role == "loss"
    targets = pl.Tensor(y if y.dtype.kind == "i" else y.astype(dtype))
    assert e.step("L").value == loss(model(pl.Tensor(X.astype(dtype))), targets).item()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_at_its_first_and_at_a_later_step(name: str, dtype: str) -> None:
    loss, y = LOSSES["MSELoss"]
    model = network(dtype)
    optimizer = getattr(optim, name.partition(",")[0])(model.parameters(), **OPTIMIZERS[name])
    x, targets = pl.Tensor(X.astype(dtype)), pl.Tensor(y.astype(dtype))
    for _ in range(2):
        for _ in range(3):
            e = pl.explain(model, X, y, loss, optimizer, at="2.weight[0,1]")
            verification = e.verify()
            assert verification.ok, str(verification)
            (update,) = e.updates
            loss(model(x), targets).backward()
            optimizer.step()
            assert update.new == model[2].weight.numpy()[0, 1].item()
            assert all(np.isfinite(line.value) for line in update.lines)


def changed(expression: Any, factor: float) -> Any:
    """An expression with its first number changed."""
    if isinstance(expression, Leaf):
        return replace(expression, value=expression.value * factor)
    if isinstance(expression, Apply):
        return replace(expression, arguments=(changed(expression.arguments[0], factor), *expression.arguments[1:]))
    return replace(expression, terms=(changed(expression.terms[0], factor), *expression.terms[1:]))


def test_a_wrong_number_is_found() -> None:
    e = pl.explain(network(), X, LOSSES["MSELoss"][1], nn.MSELoss(), optim.Adam)
    step = e.layers[0].steps[0]
    for wrong in (
        replace(step, expression=changed(step.expression, 1 + 1e-12)),
        replace(step, value=step.value + 1e-12),
    ):
        layer = replace(e.layers[0], steps=(wrong, *e.layers[0].steps[1:]))
        verification = replace(e, layers=(layer, *e.layers[1:])).verify()
        assert not verification.ok
        assert {m.name for m in verification.mismatches} <= {step.name, next(leaves_of(step.expression)).name}
    (first, *others) = e.gradients
    verification = replace(e, gradients=(replace(first, value=first.value * (1 + 1e-12)), *others)).verify()
    assert [m.name for m in verification.mismatches] == [first.name]
    (update, *rest) = e.updates
    verification = replace(e, updates=(replace(update, new=update.new + 1e-12), *rest)).verify()
    assert [m.name for m in verification.mismatches] == [f"{update.name}: p"]
    (chain, *more) = e.chains
    verification = replace(e, chains=(replace(chain, product=chain.product * 2), *more)).verify()
    assert not verification.ok


def test_a_wrong_rest_is_found() -> None:
    build, x = LAYERS["wide"]
    e = pl.explain(made(build, "float64"), x)
    step = e.step("z1[0,0]") if any(s.name == "z1[0,0]" for s in e.steps) else e.layers[0].steps[0]
    total = step.expression.arguments[0]  # type: ignore[union-attr]
    assert isinstance(total, Total)
    assert total.rest is not None
    assert (len(total.terms), total.rest.count) == (6, 34)
    wrong = replace(total, rest=Rest(34, total.rest.value + 1e-9, total.rest.size))
    broken = replace(step, expression=Apply("+", (wrong, step.expression.arguments[1])))  # type: ignore[union-attr]
    layer = replace(e.layers[0], steps=(broken,))
    assert not replace(e, layers=(layer,)).verify().ok


@pytest.mark.parametrize("name", FURTHER)
def test_further_kinds_of_layers(name: str) -> None:
    build, x = FURTHER[name]
    for dtype in ("float64", "float32"):
        model = made(build, dtype)
        e = pl.explain(model, x, loss=squares, optimizer=optim.SGD(model.parameters(), lr=0.1))
        verification = e.verify()
        assert verification.ok, str(verification)
        assert verification.numbers > len(e.steps) / 2
        assert all(layer.steps for layer in e.layers)


@pytest.mark.parametrize("name", FURTHER_LOSSES)
def test_further_losses(name: str) -> None:
    loss, call = FURTHER_LOSSES[name]
    model = network()
    loss.double()
    e = pl.explain(model, X, loss=lambda x: call(loss, x))
    verification = e.verify()
    assert verification.ok, str(verification)
    assert e.step("L").value == call(loss, model(pl.Tensor(X))).item()
    assert verification.numbers > 4


def test_there_is_an_example_of_every_layer_and_loss() -> None:
    known = {type(loss) for loss, _ in (*LOSSES.values(), *FURTHER_LOSSES.values())}
    for build, _ in (*LAYERS.values(), *FURTHER.values()):
        known |= {type(m) for m in build().modules()}
    offered = {getattr(nn, name) for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    layers = {c for c in offered if issubclass(c, nn.Module)} - {nn.Module, nn.Activation, nn.Loss}
    assert sorted(c.__name__ for c in layers - known) == []
