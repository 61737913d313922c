"""Saved states: a run that goes on from one ends with the same bits, and what does not fit is refused."""

import copy
import pickle
from typing import Any

import pytest

import pellucid as pl
from pellucid import optim
from pellucid.errors import (
    ArgumentError,
    PellucidError,
)
from tests.optim.problem import CASES, LION_CASES, build, label, leaf, loss, parameters, train, words


@pytest.mark.parametrize("case", CASES + LION_CASES, ids=label)
def test_a_resumed_run_ends_with_the_same_bits(case: Any) -> None:
    x, a, b = parameters()
    whole = build(case[0], [a, b], **case[1])
    train(whole, x, a, b, 7)
    saved = whole.state_dict()
    c, d = (pl.Tensor(p.numpy().copy(), requires_grad=True) for p in (a, b))
    train(whole, x, a, b, 7)  # what was saved is a copy, and does not follow
    resumed = build(case[0], [c, d])
    resumed.load_state_dict(saved)
    train(resumed, x, c, d, 7)
    assert a.tolist() == c.tolist()
    assert b.tolist() == d.tolist()


def test_a_resumed_lbfgs_ends_with_the_same_bits() -> None:
    def advance(optimizer: optim.Optimizer, x: Any, a: Any, b: Any) -> None:
        def closure() -> pl.Tensor:
            value: pl.Tensor = loss(x, a, b)
            value.backward()
            return value

        optimizer.step(closure)

    x, a, b = parameters()
    whole = optim.LBFGS([a, b], max_iter=3, line_search_fn="strong_wolfe")
    advance(whole, x, a, b)
    saved = whole.state_dict()
    c, d = (pl.Tensor(p.numpy().copy(), requires_grad=True) for p in (a, b))
    advance(whole, x, a, b)
    resumed = optim.LBFGS([c, d])
    resumed.load_state_dict(saved)
    advance(resumed, x, c, d)
    assert a.tolist() == c.tolist()
    assert b.tolist() == d.tolist()


def test_the_layout_of_a_state() -> None:
    w = leaf(2)
    optimizer = optim.Adam([{"params": [leaf(3)]}, {"params": [w], "lr": 0.5}])
    (w * w).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert [(g["lr"], g["params"]) for g in saved["param_groups"]] == [(1e-3, [0]), (0.5, [1])]
    assert list(saved["state"]) == [1]
    state = saved["state"][1]
    assert (state["step"].item(), state["step"].dtype) == (1.0, pl.float32)
    assert state["exp_avg"].tolist() == pytest.approx([0.2, 0.2])
    assert state["exp_avg_sq"].tolist() == pytest.approx([0.004, 0.004])


def refused(optimizer: optim.Optimizer, state: Any) -> str:
    before = repr(optimizer), {k: repr(v) for k, v in optimizer.state_dict()["state"].items()}
    with pytest.raises(PellucidError) as error:
        optimizer.load_state_dict(state)
    # A state that is refused changes nothing.
    assert before == (repr(optimizer), {k: repr(v) for k, v in optimizer.state_dict()["state"].items()})
    return words(error)


def test_states_that_do_not_fit() -> None:
    x, a, b = parameters()
    adam, sgd = optim.Adam([a, b], lr=0.3), optim.SGD([a, b])
    train(adam, x, a, b, 2)
    saved = adam.state_dict()
    fresh = optim.Adam([a, b])
    train(fresh, x, a, b, 1)
    assert refused(fresh, {"model": 1}) == (
        "Adam: this is not the state of an optimizer\n"
        "  given:    model\n"
        '  expected: a dict with "state" and "param_groups"'
    )
    assert refused(fresh, [1]).splitlines()[1] == "  given:    list"
    assert refused(optim.Adam([a]), saved) == (
        "Adam: the state is of other parameter groups\n  given:    groups of (2,) parameters\n  expected: (1,)"
    )
    assert refused(sgd, saved) == (
        "SGD: this is the state of another optimizer\n"
        "  given:    amsgrad, betas, decoupled_weight_decay, eps\n"
        "  expected: lr, momentum, dampening, weight_decay, nesterov, maximize"
    )
    assert refused(sgd, {**saved, "param_groups": sgd.state_dict()["param_groups"]}) == (
        "SGD: this is the state of another optimizer\n"
        "  given:    exp_avg, exp_avg_sq, step\n"
        "  expected: momentum_buffer"
    )
    wrong_shape = copy.deepcopy(saved)
    wrong_shape["state"][1]["exp_avg"] = pl.zeros((5,))
    assert refused(fresh, wrong_shape) == (
        "a state has another shape than its parameter\n  given:    exp_avg 1: (5,)\n  expected: (2,)"
    )
    stranger = copy.deepcopy(saved)
    stranger["state"][7] = stranger["state"].pop(1)
    assert refused(fresh, stranger) == (
        "Adam: a state belongs to no parameter\n"
        "  given:    the state of parameter 7\n"
        "  expected: numbers of the 2 parameters in the groups"
    )
    negative = copy.deepcopy(saved)
    negative["param_groups"][0]["lr"] = -1.0
    assert refused(fresh, negative).startswith("Adam: lr is out of range")


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])  # noqa: S301
def test_an_optimizer_can_be_copied(copied: Any) -> None:
    x, a, b = parameters()
    optimizer = optim.Adam([a, b], lr=0.1)
    train(optimizer, x, a, b, 3)
    twin = copied(optimizer)
    c, d = twin.param_groups[0]["params"]
    train(optimizer, x, a, b, 3)
    train(twin, x, c, d, 3)
    assert (a.tolist(), b.tolist()) == (c.tolist(), d.tolist())
    with pytest.raises(ArgumentError):
        twin.param_groups[0]["lr"] = -1.0
