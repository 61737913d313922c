"""Parameters, groups, steps and saved states: what is refused, in which words, and what is kept."""

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import optim
from pellucid.core.check import Constraint
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    PellucidError,
    ShapeError,
)
from tests.optim.problem import CASES, LION_CASES, build, label, loss, parameters, train

NAMES = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Lion", "LBFGS"]
STEPPING = NAMES[:-1]


def leaf(*shape: int) -> pl.Tensor:
    return pl.Tensor(np.ones(shape, np.float32), requires_grad=True)


def words(error: Any) -> str:
    """The message without its last line, the place."""
    return "\n".join(line for line in str(error.value).splitlines() if not line.startswith("  at:"))


# What is given as parameters


class Model:
    def parameters(self) -> Any:
        return iter([leaf(2)])


@pytest.mark.parametrize(
    ("params", "given", "fix"),
    [
        (leaf(2), "Tensor(2,) float32", "  fix:      Adam([tensor])"),
        (Model(), "Model", "  fix:      Adam(model.parameters())"),
        ("weights", "'weights'", None),
        ({"params": []}, "{'params': []}", None),
        (3, "3", None),
        (None, "None", None),
    ],
)
def test_what_are_not_parameters(params: Any, given: str, fix: str | None) -> None:
    with pytest.raises(ArgumentTypeError) as error:
        optim.Adam(params)
    assert words(error) == "\n".join(
        [
            "Adam: these are not parameters",
            f"  given:    {given}",
            '  expected: a list of Tensors, model.parameters(), or a list of dicts with "params"',
            *([fix] if fix else []),
        ]
    )


def test_a_set_has_no_order() -> None:
    with pytest.raises(ArgumentTypeError):
        optim.SGD({leaf(2), leaf(3)})


def test_the_fixes_offered_work() -> None:
    optim.Adam([leaf(2)])
    optim.Adam(Model().parameters())


def test_no_parameters() -> None:
    with pytest.raises(ArgumentError) as error:
        optim.SGD([])
    assert words(error) == (
        "SGD: there is no parameter\n"
        "  given:    [], from which nothing came\n"
        "  expected: at least one parameter; an iterator such as model.parameters() can be read only once"
    )


def test_a_generator_can_be_read_only_once() -> None:
    made = (p for p in [leaf(2)])
    optim.SGD(made)
    with pytest.raises(ArgumentError) as error:
        optim.SGD(made)
    assert words(error).splitlines()[1] == "  given:    generator, from which nothing came"
    with pytest.raises(ArgumentError):
        optim.SGD([{"params": [leaf(2)]}, {"params": made}])
    optim.SGD([{"params": [leaf(2)]}, {"params": []}])  # a list that a filter left empty is no mistake


def test_not_a_tensor() -> None:
    with pytest.raises(ArgumentTypeError) as error:
        optim.SGD([leaf(2), np.ones(3)])
    assert words(error) == (
        "SGD: a parameter is not a Tensor\n"
        "  given:    item 1 = ndarray(3,) float64\n"
        "  expected: Tensors with requires_grad=True"
    )


def test_a_computed_tensor() -> None:
    with pytest.raises(ArgumentError) as error:
        optim.SGD([leaf(2) * 2])
    assert words(error) == (
        "SGD: a parameter was computed from other tensors, which would not follow its updates\n"
        "  given:    parameter 0, shape (2,), the result of multiply\n"
        "  expected: the tensors that were given, not computed"
    )


def test_whole_numbers() -> None:
    with pytest.raises(DTypeError) as error:
        optim.SGD([("count", pl.Tensor([1, 2]))])
    assert words(error) == (
        "SGD: a parameter is not of floats\n  given:    count, int64\n  expected: float32 or float64"
    )


def test_a_parameter_twice() -> None:
    w = leaf(2)
    w.name = "weight"
    expected = (
        "SGD: a parameter is there twice, and would be updated twice\n"
        "  given:    weight, shape (2,)\n"
        "  expected: every parameter once, in one group"
    )
    for params in ([w, w], [{"params": [w]}, {"params": [w]}]):
        with pytest.raises(ArgumentError) as error:
            optim.SGD(params)
        assert words(error) == expected
    optimizer = optim.SGD([w])
    with pytest.raises(ArgumentError):
        optimizer.add_param_group({"params": w})


def test_names_are_kept_for_all_or_none() -> None:
    a, b, c = leaf(2), leaf(3), leaf(4)
    optimizer = optim.SGD([("a", a), ("b", b)])
    assert optimizer.param_groups[0]["params"] == [a, b]
    assert optimizer.param_groups[0]["param_names"] == ["a", "b"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["a", "b"]
    with pytest.raises(ArgumentError) as error:
        optim.SGD([("a", a), b])
    assert words(error) == (
        "SGD: only some parameters have names\n"
        "  given:    1 of 2 parameters as (name, Tensor)\n"
        "  expected: all of them, in every group, or none"
    )
    with pytest.raises(ArgumentError):
        optimizer.add_param_group({"params": [c]})


# Groups and options


def test_groups() -> None:
    a, b, c = leaf(2), leaf(3), leaf(4)
    optimizer = optim.SGD([{"params": [a], "name": "body"}, {"params": b, "lr": 0.5}], lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": [c], "momentum": 0.0})
    kept = [(g["lr"], g["momentum"], g.get("name")) for g in optimizer.param_groups]
    assert kept == [(0.1, 0.9, "body"), (0.5, 0.9, None), (0.1, 0.0, None)]
    assert repr(optim.Lion([leaf(1)])) == (
        "Lion (\nParameter Group 0\n"
        "    betas: (0.9, 0.99)\n    lr: 0.0001\n    maximize: False\n    weight_decay: 0.0\n)"
    )


def test_a_group_is_a_dict_with_parameters() -> None:
    with pytest.raises(ArgumentTypeError) as error:
        optim.SGD([{"params": [leaf(2)]}, leaf(3)])
    assert words(error) == (
        "SGD: a parameter group is a dict\n"
        "  given:    group 1 = Tensor(3,) float32\n"
        '  expected: {"params": [...], "lr": 0.01}'
    )
    with pytest.raises(ArgumentError) as missing:
        optim.SGD([{"lr": 0.1}])
    assert words(missing) == (
        'SGD: a parameter group has no parameters\n  given:    group 0 with the keys lr\n  expected: a key "params"'
    )


def test_an_unknown_option_of_a_group() -> None:
    with pytest.raises(ArgumentTypeError) as error:
        optim.SGD([{"params": [leaf(2)], "weight_decy": 0.1}])
    assert words(error) == (
        "SGD has no argument weight_decy\n"
        "  given:    weight_decy\n"
        "  expected: one of lr, momentum, dampening, weight_decay, nesterov, maximize, params, name\n"
        "  fix:      did you mean weight_decay?"
    )


def test_a_wrong_rate_is_refused_wherever_it_is_written() -> None:
    expected = "SGD: lr is out of range\n  given:    SGD: lr = -0.1\n  expected: a number in [0, ∞)"
    w = leaf(2)
    optimizer = optim.SGD([w])

    def write() -> None:
        optimizer.param_groups[0]["lr"] = -0.1

    for act in (
        lambda: optim.SGD([w], lr=-0.1),
        lambda: optim.SGD([{"params": [w], "lr": -0.1}]),
        lambda: optimizer.add_param_group({"params": [leaf(1)], "lr": -0.1}),
        lambda: optimizer.param_groups[0].update(lr=-0.1),
        write,
    ):
        with pytest.raises(ArgumentError) as error:
            act()
        assert words(error) == expected
    assert optimizer.param_groups[0]["lr"] == 1e-3
    with pytest.raises(ArgumentTypeError):
        optimizer.param_groups[0]["lr"] = "fast"


def test_a_rate_of_numpy_becomes_a_number() -> None:
    optimizer = optim.SGD([leaf(2)], lr=np.float32(0.5))
    assert type(optimizer.param_groups[0]["lr"]) is float


def invalid_options() -> list[Any]:
    cases = []
    for name in NAMES:
        options: dict[str, Constraint] = dict(getattr(optim, name).options)
        if name == "AdamW":
            del options["decoupled_weight_decay"]
        for option, constraint in options.items():
            cases += [pytest.param(name, option, bad, id=f"{name}-{option}={bad}") for bad in constraint.invalid()]
    return cases


@pytest.mark.parametrize(("name", "option", "bad"), invalid_options())
def test_every_option_has_its_range(name: str, option: str, bad: Any) -> None:
    with pytest.raises((ArgumentError, ArgumentTypeError), match=option):
        getattr(optim, name)([leaf(2)], **{option: bad})
    with pytest.raises((ArgumentError, ArgumentTypeError), match=option):
        getattr(optim, name)([{"params": [leaf(2)], option: bad}])


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ArgumentError) as error:
        optim.SGD([leaf(2)], nesterov=True)
    assert words(error) == (
        "SGD: nesterov needs momentum, and no dampening\n"
        "  given:    momentum = 0.0, dampening = 0.0\n"
        "  expected: momentum > 0, dampening = 0"
    )


def test_lbfgs_has_one_group() -> None:
    with pytest.raises(ArgumentError) as error:
        optim.LBFGS([{"params": [leaf(2)]}, {"params": [leaf(3)]}])
    assert words(error) == (
        "LBFGS: it takes one group of parameters only\n"
        "  given:    a second group\n"
        "  expected: all parameters in one list: the curvature is that of all of them together"
    )


# Steps and gradients


def test_a_step_before_backward() -> None:
    with pytest.raises(GradientError) as error:
        optim.SGD([leaf(2), leaf(3)]).step()
    assert words(error) == (
        "SGD: no parameter has a gradient\n"
        "  given:    2 parameters, none of them with .grad\n"
        "  expected: loss.backward() before, for a loss that depends on these parameters"
    )


def test_parameters_that_ask_for_no_gradient() -> None:
    with pytest.raises(GradientError) as error:
        optim.SGD([pl.ones((2,))]).step()
    assert words(error) == (
        "SGD: no parameter asks for a gradient\n"
        "  given:    1 parameters, all of them with requires_grad=False\n"
        "  expected: at least one parameter to train\n"
        "  fix:      parameter.requires_grad_()"
    )


def test_two_steps_on_the_same_gradients() -> None:
    w = leaf(2)
    optimizer = optim.SGD([w], lr=0.5)
    (w * w / 2).sum().backward()
    optimizer.step()
    with pytest.raises(GradientError) as error:
        optimizer.step()
    assert words(error) == (
        "SGD: the gradients were already used by a step\n"
        "  given:    1 parameters, and no backward() that reached them since\n"
        "  expected: one loss.backward() before every step()"
    )
    assert w.tolist() == [0.5, 0.5]
    assert w.grad is not None
    assert w.grad.tolist() == [1.0, 1.0]  # still readable


def test_forgetting_zero_grad_does_no_harm() -> None:
    results = []
    for forget in (False, True):
        x, a, b = parameters()
        optimizer = optim.SGD([a, b], lr=0.1)
        for _ in range(4):
            if not forget:
                optimizer.zero_grad()
            loss(x, a, b).backward()
            optimizer.step()
        results.append((a.tolist(), b.tolist()))
    assert results[0] == results[1]


def test_backward_calls_before_a_step_add_up() -> None:
    w = leaf(1)
    optimizer = optim.SGD([w], lr=0.1)
    for _ in range(3):
        (w * 2.0).sum().backward()
    optimizer.step()
    assert w.item() == pytest.approx(1 - 0.6)


def test_a_parameter_that_was_not_reached_stays() -> None:
    a, b = leaf(2), leaf(2)
    optimizer = optim.SGD([a, b], lr=0.1, momentum=0.9, weight_decay=0.5)
    (a.sum() + b.sum()).backward()
    optimizer.step()
    before = b.tolist()
    a.sum().backward()
    optimizer.step()
    assert b.tolist() == before
    assert b.grad is not None


def test_zero_grad_to_zeros_is_a_gradient_of_zero() -> None:
    w = leaf(1)
    optimizer = optim.SGD([w], lr=0.5, weight_decay=0.5)
    w.sum().backward()
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is not None
    assert w.grad.tolist() == [0.0]
    optimizer.step()
    assert w.tolist() == [0.75]
    optimizer.zero_grad()
    assert w.grad is None


def test_a_gradient_of_another_shape() -> None:
    w = leaf(3)
    w.name = "head.bias"
    w.grad = pl.ones((1,))
    with pytest.raises(ShapeError) as error:
        optim.SGD([w]).step()
    assert words(error) == (
        "a gradient has another shape than its parameter\n  given:    the gradient of head.bias: (1,)\n  expected: (3,)"
    )


def test_a_closure() -> None:
    w = leaf(1)
    optimizer = optim.SGD([w], lr=0.1)

    def closure() -> pl.Tensor:
        value = (w * w).sum()
        value.backward()
        return value

    with pl.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert w.item() == pytest.approx(0.8)


@pytest.mark.parametrize("name", ["Adam", "LBFGS"])
def test_the_loss_in_the_place_of_a_closure(name: str) -> None:
    w = leaf(1)
    with pytest.raises(ArgumentTypeError) as error:
        build(name, [w]).step((w * w).sum())  # type: ignore[arg-type]
    assert words(error) == (
        f"{name}: step() takes a function\n"
        "  given:    Tensor\n"
        "  expected: a function that computes the loss, calls backward and returns the loss"
    )


def test_lbfgs_needs_a_closure_that_returns_the_loss() -> None:
    w = leaf(2)
    with pytest.raises(ArgumentTypeError) as missing:
        optim.LBFGS([w]).step()
    assert words(missing).splitlines()[1] == "  given:    None"

    def silent() -> None:
        w.sum().backward()

    with pytest.raises(ArgumentTypeError) as error:
        optim.LBFGS([w]).step(silent)
    assert words(error) == (
        "LBFGS: the closure does not return the loss\n  given:    NoneType\n  expected: a single number"
    )
    with pytest.raises(ArgumentTypeError) as many:
        optim.LBFGS([w]).step(lambda: w * 2)
    assert words(many).splitlines()[1] == "  given:    Tensor(2,)"
    with pytest.raises(GradientError):
        optim.LBFGS([w, leaf(3)]).step(lambda: pl.Tensor(1.0))


@pytest.mark.parametrize("name", STEPPING)
def test_a_step_leaves_no_history_and_no_warning(name: str) -> None:
    w = pl.Tensor([1.0, np.inf, np.nan, 0.0], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        w.grad = pl.Tensor([1.0, np.nan, np.inf, 0.0])
        build(name, [w], lr=0.1).step()
    assert w.is_leaf
    assert w.requires_grad
    assert np.isfinite(w.numpy()[[0, 3]]).all()
    assert not np.isfinite(w.numpy()[[1, 2]]).any()


@pytest.mark.parametrize("name", STEPPING)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (1, 1)])
def test_shapes_at_the_edge(name: str, shape: tuple[int, ...]) -> None:
    w = pl.Tensor(np.ones(shape), requires_grad=True)
    optimizer = build(name, [w], lr=0.1)
    for _ in range(2):
        (w * 3.0).sum().backward()
        optimizer.step()
    assert w.shape == shape
    assert (w.numpy() < 1).all()


@pytest.mark.parametrize("name", STEPPING)
def test_parameters_of_two_dtypes(name: str) -> None:
    single, double = leaf(2), pl.Tensor(np.ones(2), requires_grad=True)
    optimizer = build(name, [single, double], lr=0.1)
    for _ in range(3):
        ((single * single).sum() + (double * double).sum()).backward()
        optimizer.step()
    assert (single.dtype, double.dtype) == (pl.float32, pl.float64)
    assert single.numpy() == pytest.approx(double.numpy(), abs=1e-5)


# Saved states


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


def test_messages_in_chinese() -> None:
    try:
        pl.set_language("zh")
        with pytest.raises(GradientError) as error:
            optim.SGD([leaf(2)]).step()
        assert str(error.value).startswith(
            "SGD：没有任何参数有梯度\n"
            "  给出：1 个参数，.grad 都为空\n"
            "  应为：先对依赖这些参数的损失调用 loss.backward()"
        )
    finally:
        pl.set_language(None)
