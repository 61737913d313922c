"""Parameters, groups and their options: what is refused, in which words, and what is kept."""

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
    ModelError,
)
from tests.optim.problem import leaf, words

NAMES = ["SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Lion", "LBFGS"]


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
        ({"params": []}, "dict('params')", None),
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


def test_an_optimizer_without_a_rule_says_so() -> None:
    class Ruleless(optim.Optimizer):
        pass

    p = pl.Tensor([1.0], requires_grad=True)
    optimizer = Ruleless([p], {"lr": 0.1})
    (p * p).sum().backward()
    with pytest.raises(ModelError) as caught:
        optimizer.step()
    assert str(caught.value).startswith(
        "Ruleless does not say what it does\n"
        "  given:    a class without the method _update\n"
        "  expected: a subclass that writes _update"
    )
    with pytest.raises(ModelError, match="_formula"):
        _ = optimizer.formula
