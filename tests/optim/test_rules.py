"""The update rules: worked examples, first steps by hand, Lion and its paper, and every printed formula evaluated."""

import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from tests.optim.problem import CASES, LION_CASES, A, B, build, label, loss, parameters, train


def three_steps(name: str, **options: Any) -> list[float]:
    """w after each of three steps on w²/2 from w = 1."""
    w = pl.Tensor(1.0, dtype=pl.float64, requires_grad=True)
    optimizer = build(name, [w], **options)
    values = []
    for _ in range(3):
        (w * w / 2).backward()
        optimizer.step()
        values.append(w.item())
    return values


@pytest.mark.parametrize(
    ("name", "options", "expected", "digits"),
    [
        ("SGD", {"lr": 0.1}, [0.9, 0.81, 0.729], 12),
        ("SGD", {"lr": 0.1, "momentum": 0.9}, [0.9, 0.72, 0.486], 12),
        ("RMSprop", {"lr": 0.1, "alpha": 0.99}, [1e-7, -1e-9, 0.0], 9),
        ("Adam", {"lr": 0.1}, [0.900000001, 0.80041223, 0.701586275], 8),
    ],
)
def test_the_worked_examples(name: str, options: dict[str, Any], expected: list[float], digits: int) -> None:
    assert three_steps(name, **options) == pytest.approx(expected, abs=0.6 * 10**-digits, rel=0)


def after_one_step(name: str, p: float, g: float, **options: Any) -> float:
    w = pl.Tensor(p, dtype=pl.float64, requires_grad=True)
    w.grad = pl.Tensor(g, dtype=pl.float64)
    build(name, [w], **options).step()
    return float(w.item())


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        # p = 2, g = 0.5, lr = 0.1 in all of them.
        ("SGD", {}, 2 - 0.05),
        ("SGD", {"weight_decay": 0.5}, 2 - 0.15),
        ("SGD", {"maximize": True}, 2 + 0.05),
        ("SGD", {"momentum": 0.9, "dampening": 0.5}, 2 - 0.05),
        ("SGD", {"momentum": 0.9, "nesterov": True}, 2 - 0.1 * (0.5 + 0.45)),
        # The corrected moments are g and g²: the step is lr * g / (|g| + eps).
        ("Adam", {"eps": 0.5}, 2 - 0.05),
        ("AdamW", {"eps": 0.5, "weight_decay": 0.25}, 2 * 0.975 - 0.05),
        # mu = 0.9 (1 - 0.96^0 / 2) = 0.45 = mu_next; m = 0.45 * 0.05 / (1 - 0.45²) + 0.5.
        ("NAdam", {"eps": 0.5, "momentum_decay": 0.0}, 2 - 0.1 * (0.45 * 0.05 / 0.7975 + 0.5)),
        # rho = 1 at the first step: the mean alone.
        ("RAdam", {}, 2 - 0.05),
        ("Adamax", {"eps": 0.5}, 2 - 0.1 * 0.5 / 1.0),
        ("Adagrad", {"eps": 0.5}, 2 - 0.1 * 0.5 / 1.0),
        ("Adagrad", {"eps": 0.0, "initial_accumulator_value": 0.75}, 2 - 0.1 * 0.5),
        ("Adadelta", {"rho": 0.75, "eps": 0.1875}, 2 - 0.1 * math.sqrt(0.1875 / 0.25) * 0.5),
        ("RMSprop", {"alpha": 0.75, "eps": 0.25}, 2 - 0.1 * 0.5 / 0.5),
        # The variance of one value: 0.0625 - 0.125².
        ("RMSprop", {"alpha": 0.75, "eps": 0.25, "centered": True}, 2 - 0.05 / (math.sqrt(0.046875) + 0.25)),
        ("Lion", {"weight_decay": 0.5}, 2 * 0.95 - 0.1),
    ],
    ids=str,
)
def test_first_steps_by_hand(name: str, options: dict[str, Any], expected: float) -> None:
    assert after_one_step(name, 2.0, 0.5, lr=0.1, **options) == pytest.approx(expected, abs=1e-9, rel=0)


def test_nothing_moves_without_a_gradient_or_a_rate() -> None:
    for name in ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Lion"):
        decay = {"weight_decay": 0.0} if name == "AdamW" else {}
        assert after_one_step(name, 2.0, 0.0, lr=0.1, **decay) == 2.0, name
        assert after_one_step(name, 2.0, 0.5, lr=0.0) == 2.0, name


def test_a_variance_that_rounding_makes_negative_counts_as_zero() -> None:
    w = pl.Tensor([1.0] * 64, requires_grad=True)
    optimizer = optim.RMSprop([w], lr=1e-4, alpha=0.9, centered=True)
    gradients = np.linspace(0.1, 3, 64, dtype=np.float32)
    for _ in range(300):  # the same gradient every time: its variance is 0 but for rounding
        w.grad = pl.Tensor(gradients)
        optimizer.step()
    mean = optimizer.state[w]["grad_avg"].numpy()
    assert (optimizer.state[w]["square_avg"].numpy() - mean * mean).min() < 0
    assert np.isfinite(w.numpy()).all()


def lion(p: Any, gradients: list[Any], lr: float, beta1: float, beta2: float, decay: float) -> Any:
    """Algorithm 2 of the paper, line by line."""
    m = np.zeros_like(p)
    for g in gradients:
        c = beta1 * m + (1 - beta1) * g
        p = p - lr * (np.sign(c) + decay * p)
        m = beta2 * m + (1 - beta2) * g
    return p


@pytest.mark.parametrize("maximize", [False, True])
def test_lion_is_its_papers(maximize: bool) -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3))
    gradients = [rng.normal(size=(4, 3)) for _ in range(20)]
    w = pl.Tensor(start.copy(), requires_grad=True)
    optimizer = optim.Lion([w], lr=0.03, betas=(0.8, 0.95), weight_decay=0.1, maximize=maximize)
    for g in gradients:
        w.grad = pl.Tensor(g)
        optimizer.step()
    signed = [-g for g in gradients] if maximize else gradients
    assert w.numpy() == pytest.approx(lion(start, signed, 0.03, 0.8, 0.95, 0.1), abs=1e-12)


# What a printed formula may use; the options and states come from the optimizer.
MATHS = {"sqrt": np.sqrt, "maximum": np.maximum, "abs": np.abs, "sign": np.sign}


def gradients_of(a: Any, b: Any) -> list[Any]:
    x, _, _ = parameters()
    ta, tb = (pl.Tensor(v.copy(), requires_grad=True) for v in (a, b))
    loss(x, ta, tb).backward()
    return [ta.grad.numpy(), tb.grad.numpy()]


def evaluated(optimizer: optim.Optimizer, lines: tuple[str, ...], steps: int) -> list[Any]:
    """Both parameters after some steps of the printed formula alone."""
    options = {k: v for k, v in optimizer.param_groups[0].items() if k != "params"}
    if "betas" in options:
        options["beta1"], options["beta2"] = options["betas"]
    first = None if options.get("dampening") else 0.0
    start = {
        name: options.get("initial_accumulator_value", 0.0) if name == "sum" else 0.0
        for name in type(optimizer).state_names
    }
    start |= {"mu_product": 1.0, "momentum_buffer": first if type(optimizer) is optim.SGD else 0.0}
    values = [A, B]
    states: list[dict[str, Any]] = [dict(start), dict(start)]
    for _ in range(steps):
        for i, g in enumerate(gradients_of(*values)):
            names = {**MATHS, **options, **states[i], "g": g, "p": values[i]}
            for line in lines:
                exec(line, names)
            states[i] = {k: names[k] for k in states[i]}
            states[i]["next"] = names["p"]
        values = [s.pop("next") for s in states]
    return values


@pytest.mark.parametrize("case", CASES + LION_CASES, ids=label)
def test_the_printed_formula_is_what_happens(case: Any) -> None:
    x, a, b = parameters()
    optimizer = build(case[0], [a, b], **case[1])
    lines = optimizer.formula
    train(optimizer, x, a, b, 8)
    for p, expected in zip((a, b), evaluated(optimizer, lines, 8), strict=True):
        assert p.numpy() == pytest.approx(expected, abs=1e-11)


def test_the_evaluation_finds_a_wrong_formula() -> None:
    x, a, b = parameters()
    optimizer = build("Adam", [a, b], lr=0.1)
    wrong = tuple(line.replace("beta2 ** step", "beta2 ** (step + 1)") for line in optimizer.formula)
    train(optimizer, x, a, b, 8)
    assert np.abs(a.numpy() - evaluated(optimizer, wrong, 8)[0]).max() > 1e-3


def test_the_formula_follows_the_options() -> None:
    w = pl.Tensor([1.0], requires_grad=True)
    assert optim.SGD([w]).formula == ("p = p - lr * g",)
    assert optim.SGD([w], momentum=0.9, weight_decay=0.1, nesterov=True, maximize=True).formula == (
        "g = -g",
        "g = g + weight_decay * p",
        "momentum_buffer = momentum * momentum_buffer + g",
        "p = p - lr * (g + momentum * momentum_buffer)",
    )
    assert optim.LBFGS([w]).formula == ("d = -H @ g", "p = p + t * d")


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_lbfgs_solves_a_quadratic_problem(search: str | None) -> None:
    # Σ k·(w_k - k)² has its minimum at w_k = k.
    k = pl.Tensor(np.arange(1.0, 6.0))
    w = pl.Tensor(np.zeros(5), requires_grad=True)
    optimizer = optim.LBFGS([w], max_iter=60, tolerance_change=0.0, line_search_fn=search)

    def closure() -> pl.Tensor:
        value = (k * (w - k) ** 2).sum()
        value.backward()
        return value

    assert optimizer.step(closure).item() == 225.0
    assert w.numpy() == pytest.approx([1, 2, 3, 4, 5], abs=1e-7)


def test_lbfgs_stops_at_its_number_of_evaluations() -> None:
    calls = []
    w = pl.Tensor(np.array([-1.2, 1.0]), requires_grad=True)
    optimizer = optim.LBFGS([w], max_iter=50, max_eval=7, line_search_fn="strong_wolfe")

    def closure() -> pl.Tensor:
        calls.append(1)
        value = (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
        value.backward()
        return value

    optimizer.step(closure)
    assert len(calls) == 7
    assert optimizer.state_dict()["state"][0]["func_evals"] == 7
