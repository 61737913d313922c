"""`explain`: worked examples by hand, what is told of, where it looks, its errors."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.errors import ArgumentError, ArgumentTypeError, IndexRangeError, MissingKeyError, ShapeError
from pellucid.inspection.explain_expressions import (
    Apply,
    Leaf,
    Rest,
    Total,
    bound,
    evaluate,
    is_exact,
    parsed,
    shown,
    written,
)


def linear(weight: Any, bias: Any) -> nn.Linear:
    """A linear layer in float64 with the weight (out, in) and bias given."""
    weight, bias = np.array(weight, float), np.array(bias, float)
    layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


def coat() -> nn.Sequential:
    """Whether to take a coat: temperature, rain, wind."""
    first = linear([[-0.5, 1, 0.5], [-1, 0.5, 0.5]], [0, 1])
    return nn.Sequential(first, nn.ReLU(), linear([[0.8, -0.5]], [0.2]), nn.Sigmoid())


def umbrella() -> nn.Sequential:
    return nn.Sequential(linear([[-0.5, 2]], [1]), nn.ReLU())


def test_one_neuron() -> None:
    e = pl.explain(umbrella(), (10, 1))
    z = e.step("z1[0]")
    assert z.symbols() == "W1[0,0]·x[0] + W1[0,1]·x[1] + b1[0]"
    assert z.numbers() == "-0.5·10 + 2·1 + 1"
    assert z.value == -2
    assert [(c.name, c.amount, round(c.share, 3)) for c in z.contributions] == [("x[0]", -5, 0.714), ("x[1]", 2, 0.286)]
    a = e.step("a1[0]")
    assert (a.numbers(), a.value) == ("maximum(-2, 0)", 0)
    assert [str(n) for n in a.notes] == [
        "relu is flat at z1[0] = -2: its gradient is 0, so nothing in front of it can learn from this example"
    ]
    assert e.verify().ok
    sigmoid = pl.explain(nn.Sequential(umbrella()[0], nn.Sigmoid()), [10, 1])
    assert sigmoid.step("a1[0]").value == pytest.approx(0.1192029220, abs=1e-10)
    assert not any(n.kind == "no-gradient" for n in sigmoid.step("a1[0]").notes)
    remark = str(sigmoid.step("a1[0]").notes[-1])
    assert remark == "that is 1 / (1 + exp(-z1[0])), in a form that cannot overflow"


def test_the_coat_network() -> None:
    model = coat()
    e = pl.explain(model, [10, 1, 1], [1.0], nn.BCELoss(), optim.SGD(model.parameters(), lr=0.5))
    assert e.step("z1[0]").numbers() == "-0.5·10 + 1·1 + 0.5·1 + 0"
    assert e.step("z1[1]").numbers() == "-1·10 + 0.5·1 + 0.5·1 + 1"
    assert [e.step(f"z1[{i}]").value for i in (0, 1)] == [-3.5, -8]
    assert e.step("z2[0]").numbers() == "0.8·0 + (-0.5)·0 + 0.2"
    assert e.step("a2[0]").value == pytest.approx(0.549833997312478, abs=1e-15)
    assert e.step("L").value == pytest.approx(0.5981388693815918, abs=1e-15)
    gradients = {s.name: s.value for s in e.gradients}
    assert len(gradients) == 11
    assert {n for n, g in gradients.items() if g} == {"∂L/∂b2[0]"}
    assert gradients["∂L/∂b2[0]"] == pytest.approx(-0.450166002687522, abs=1e-15)
    first = e.step("∂L/∂W1[0,0]")
    assert first.symbols() == "x[0]·relu'(z1[0])·∂L/∂a1[0]"
    assert first.numbers() == "10·0·(-0.360133)"
    assert [str(n) for n in first.notes] == ["relu'(z1[0]) = 0, so no error passes here"]
    assert e.step("∂L/∂a1[1]").symbols() == "W2[0,1]·∂L/∂z2[0]"
    # p - y, from the loss's own rule.
    assert e.step("∂L/∂z2[0]").value == pytest.approx(0.549833997312478 - 1, abs=1e-15)
    moved = {u.name: u.new for u in e.updates}
    assert moved["b2[0]"] == pytest.approx(0.2 + 0.5 * 0.450166002687522, abs=1e-15)
    assert moved["W1[0,0]"] == -0.5
    assert e.legend["W2"] == "2.weight"
    assert e.legend["a2"] == "3 (Sigmoid)"
    verification = e.verify()
    assert verification.ok
    assert str(verification).startswith("verified: ")


@pytest.mark.parametrize(
    ("x", "p"),
    [((-10, 0, 0), 0.2141650170), ((0, 1, 1), 0.5986876601), ((2, 1, 1), 0.6456563062), ((25, 0, 0), 0.5498339973)],
)
def test_the_coat_network_on_other_days(x: Any, p: float) -> None:
    e = pl.explain(coat(), list(x))
    assert e.step("a2[0]").value == pytest.approx(p, abs=1e-10)
    assert e.verify().ok


def test_a_batch_and_its_broadcast_bias() -> None:
    product, bias = [[10.0, 20, 30, 40], [50, 60, 70, 80]], [[0.1, 0.2, 0.3, 0.4]]
    e = pl.explain(lambda a, b: a + b, (np.array(product), np.array(bias)))
    (layer,) = e.layers
    assert [str(n) for n in layer.notes] == [
        "b of shape (1, 4) is broadcast to (2, 4): it is repeated, and its gradient is summed over the repetitions"
    ]
    assert [(s.symbols(), s.value) for s in layer.steps][:2] == [("a[0,0] + b[0,0]", 10.1), ("a[0,1] + b[0,1]", 20.2)]
    batch = pl.explain(linear(np.ones((4, 3)), np.zeros(4)), np.ones((2, 3)))
    assert "b1 of shape (4,) is broadcast to (2, 4)" in str(batch.layers[0].notes[0])
    assert not pl.explain(linear(np.ones((4, 3)), np.zeros(4)), np.ones(3)).layers[0].notes


@pytest.mark.parametrize(
    ("loss", "value", "gradient"),
    [
        (nn.MSELoss(), 0.025, [[0.05, -0.05], [-0.1, 0.1]]),
        (lambda p, y: ((p - y) ** 2).sum(1).mean(), 0.05, [[0.1, -0.1], [-0.2, 0.2]]),
    ],
)
def test_mean_squares_and_their_gradient(loss: Any, value: float, gradient: Any) -> None:
    p, y = np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([[0.0, 1], [1, 0]])
    e = pl.explain(nn.Identity(), pl.Tensor(p), pl.Tensor(y), loss)
    assert e.step("L").value == pytest.approx(value, abs=1e-15)
    for place in np.ndindex(2, 2):
        name = f"∂L/∂x[{place[0]},{place[1]}]"
        assert e.step(name).value == pytest.approx(gradient[place[0]][place[1]], abs=1e-15)
    assert e.verify().ok


def test_a_cross_entropy_is_told_by_its_probabilities() -> None:
    logits = np.array([[1.0, 2.0, 0.5]])
    share = np.exp(logits[0]) / np.exp(logits[0]).sum()
    e = pl.explain(nn.Identity(), logits, y=np.array([1]), loss=nn.CrossEntropyLoss())
    assert [s.name for s in e.layers[-1].steps] == ["log_softmax1[0,1]", "L"]
    assert e.step("L").symbols() == "-log_softmax1[0,1] / 1"
    assert e.step("L").value == pytest.approx(-math.log(share[1]))
    (remark,) = e.step("log_softmax1[0,1]").notes
    assert str(remark) == f"exp(log_softmax1[0,1]) = {share[1]:.6g} is the probability that softmax gives to the target"
    # The gradient is the probabilities less one at the target.
    assert e.step("∂L/∂x[0,1]").symbols() == "(1 - exp(log_softmax1[0,1]))·∂L/∂log_softmax1[0,1]"
    assert e.step("∂L/∂x[0,0]").symbols() == "-exp(log_softmax1[0,0])·∂L/∂log_softmax1[0,1]"
    for column, wanted in enumerate(share - [0, 1, 0]):
        assert e.step(f"∂L/∂x[0,{column}]").value == pytest.approx(wanted)
    assert [s.symbols() for s in e.errors] == ["-1"]
    assert e.verify().ok
    # Which rows count is told where not all do.
    ignored = pl.explain(nn.Identity(), np.repeat(logits, 2, 0), y=np.array([1, -100]), loss=nn.CrossEntropyLoss())
    assert ignored.step("L").symbols() == "-sum2 / sum1"
    assert ignored.step("sum1").numbers() == "1 + 0"
    assert ignored.verify().ok


def test_a_logistic_loss_is_told_in_the_words_of_a_textbook() -> None:
    e = pl.explain(coat(), (10, 1, 1), y=[1.0], loss=nn.BCELoss())
    p = 1 / (1 + math.exp(-0.2))
    (remark,) = e.step("logistic_loss1[0]").notes
    assert str(remark) == (
        f"that is -(1·log({p:.6g}) + 0·log({1 - p:.6g})) with p = sigmoid(z2[0]) = {p:.6g}, "
        "in a form that cannot overflow"
    )
    assert e.step("L").symbols() == "logistic_loss1[0] / 1"
    derivative = e.step("∂logistic_loss1[0]/∂z2[0]")
    assert str(derivative.notes[-1]) == f"that is p - y = {p:.6g} - 1, with p = sigmoid(z2[0])"
    assert e.verify().ok


def test_long_sums_add_up() -> None:
    rng = np.random.default_rng(0)
    model = linear(rng.normal(size=(2, 784)), rng.normal(size=2))
    x = rng.normal(size=(1, 784))
    e = pl.explain(model, x, terms=5)
    step = e.step("z1[0,0]")
    total, bias = step.expression.arguments  # type: ignore[union-attr]
    products = model.weight.numpy()[0] * x[0]
    assert total.rest.count == 779
    biggest = sorted(np.argsort(-np.abs(products))[:5])
    assert [t.arguments[1].name for t in total.terms] == [f"x[0,{i}]" for i in biggest]
    # The shown terms, the others and the bias are the whole sum.
    exact = sum((Fraction(a) * Fraction(b) for a, b in zip(model.weight.numpy()[0], x[0], strict=True)), Fraction(0))
    told = sum((Fraction(t.arguments[0].value) * Fraction(t.arguments[1].value) for t in total.terms), Fraction(0))
    assert float(told + Fraction(total.rest.value) - exact) == pytest.approx(0, abs=1e-13)
    assert float(told + Fraction(total.rest.value) + Fraction(bias.value)) == pytest.approx(step.value, abs=1e-12)
    assert f"[other 779: {shown(total.rest.value)}]" in step.numbers()
    assert "[other 779]" in step.symbols()


def deep() -> nn.Sequential:
    pl.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 6)).double()


X = np.random.default_rng(1).normal(size=(3, 8))
Y = np.array([1, 5, 2])


def test_where_to_look() -> None:
    model = deep()
    answer = pl.explain(model, X, Y, nn.CrossEntropyLoss())
    largest = int(model(pl.Tensor(X)).numpy()[0].argmax())
    assert [s.name for s in answer.layers[4].steps] == [f"z3[0,{largest}]"]
    assert len(answer.gradients) == 6
    for step in answer.gradients:  # of each parameter the largest
        element, _, place = step.name.removeprefix("∂L/∂").partition("[")
        assert element in answer.legend
        assert place
    # What contributed most to the answer is told of in the layers before.
    (strongest, *_) = answer.layers[4].steps[0].contributions
    assert strongest.name in [s.name for s in answer.layers[3].steps]

    unit = pl.explain(model, X, Y, nn.CrossEntropyLoss(), at="2[1,3]")
    assert [layer.path for layer in unit.layers] == ["2", ""]
    assert [s.name for s in unit.layers[0].steps] == ["z2[1,3]"]
    assert {s.name.split("[")[0] for s in unit.gradients} == {"∂L/∂W2", "∂L/∂b2"}
    assert all("[3" in s.name for s in unit.gradients)

    by_name = pl.explain(model, X, at=("z2", (1, 3)))
    assert [s.name for s in by_name.steps] == ["z2[1,3]"]
    assert pl.explain(model, X, at="2").layers[0].path == "2"

    output = pl.explain(model, X, at=(2, -1))
    assert output.layers[-1].steps[0].name == "z3[2,5]"
    assert all("[2," in s.name for layer in output.layers for s in layer.steps)

    weight = pl.explain(model, X, Y, nn.CrossEntropyLoss(), optim.Adam, at="2.weight[3,1]")
    assert [s.name for s in weight.gradients] == ["∂L/∂W2[3,1]"]
    assert [u.name for u in weight.updates] == ["W2[3,1]"]
    assert [s.name for s in weight.layers[0].steps] == ["z2[0,3]"]
    assert pl.explain(model, X, Y, nn.CrossEntropyLoss(), at="b3").gradients[0].name.startswith("∂L/∂b3[")
    for e in (answer, unit, by_name, output, weight):
        assert e.verify().ok


def test_the_chain_of_one_path_is_the_gradient() -> None:
    model = nn.Sequential(linear([[2.0]], [0.5]), nn.Tanh(), linear([[3.0]], [0.0]))
    e = pl.explain(model, [0.25], [1.0], nn.MSELoss(), at="0.weight[0,0]")
    (chain,) = e.chains
    # z = 1, a = tanh 1; dL/dw = x · (1 - a²) · 3 · 2 (3a - 1)
    a = math.tanh(1.0)
    assert [f.name for f in chain.factors] == ["x[0]", "tanh'(z1[0])", "W2[0,0]", "square'(subtract1[0])"]
    assert [f.value for f in chain.factors] == pytest.approx([0.25, 1 - a * a, 3, 2 * (3 * a - 1)])
    assert chain.only
    assert chain.gradient == pytest.approx(chain.product, rel=1e-15)
    assert chain.product == pytest.approx(0.25 * (1 - a * a) * 3 * 2 * (3 * a - 1))
    assert e.step("tanh'(z1[0])").value == pytest.approx(1 - a * a)


def test_a_step_that_cannot_be_told_weight_by_weight() -> None:
    model = coat()
    e = pl.explain(model, [10, 1, 1], [1.0], nn.BCELoss(), optim.LBFGS(model.parameters()))
    assert e.updates == ()
    assert [str(n) for n in e.notes] == ["LBFGS moves all weights together, so there is no rule for a single one"]
    some = pl.explain(model, [10, 1, 1], [1.0], nn.BCELoss(), optim.SGD([model[0].weight], lr=0.1))
    assert len(some.updates) == 6
    assert {str(n) for n in some.notes} == {f"{n} is not one of the parameters of SGD" for n in ("b1", "W2", "b2")}


@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        ({"model": 3}, ArgumentTypeError, "there is nothing to explain"),
        ({"y": [1.0]}, ArgumentError, "y is for a loss"),
        ({"optimizer": optim.SGD}, ArgumentError, "optimizer is for a loss"),
        ({"loss": 3}, ArgumentTypeError, "loss is not a function"),
        ({"loss": lambda p: pl.ones((2,)) * p}, ShapeError, "the loss is not a single number"),
        ({"loss": lambda p: pl.Tensor(1.0)}, ArgumentError, "the loss depends on no number that has a gradient"),
        ({"loss": lambda p: p.sum(), "optimizer": 3}, ArgumentTypeError, "optimizer is neither an optimizer nor what"),
        ({"at": "4"}, MissingKeyError, "the network has no layer or parameter 4"),
        ({"at": "0.weight"}, ArgumentError, "a weight is explained by its gradient, and that needs a loss"),
        ({"at": "0[7]"}, IndexRangeError, "z1 has no place (7,)"),
        ({"at": (0, 0)}, IndexRangeError, "a2 has no place (0, 0)"),
        ({"at": 1.5}, ArgumentTypeError, "at names no place"),
        ({"terms": 0}, ArgumentError, "explain: terms is out of range"),
    ],
)
def test_what_cannot_be_explained(arguments: dict[str, Any], error: type[Exception], what: str) -> None:
    with pytest.raises(error) as problem:
        pl.explain(**({"model": coat(), "x": [10, 1, 1]} | arguments))
    assert problem.value.what.startswith(what)  # type: ignore[attr-defined]
    with pytest.raises(MissingKeyError):
        pl.explain(coat(), [10, 1, 1]).step("z9[0]")


def test_arithmetic_is_written_so_that_it_reads_back() -> None:
    def leaf(value: float) -> Leaf:
        return Leaf("n", value)

    minus, half, three = leaf(-2.0), leaf(0.5), leaf(3.0)
    cases = {
        "-2·0.5 + 3": Apply("+", (Apply("*", (minus, half)), three)),
        "0.5 - (-2 - 3)": Apply("-", (half, Apply("-", (minus, three)))),
        "3 / (-2·0.5)": Apply("/", (three, Apply("*", (minus, half)))),
        "(-2) ** 3": Apply("**", (minus, three)),
        "-(-2 + 3)": Apply("neg", (Total("sum", (minus, three)),)),
        "(-2 + 3 + [other 4: 0.25])·0.5": Apply("*", (Total("sum", (minus, three), Rest(4, 0.25, 1.0)), half)),
        "max(-2, 3, [other 2: 1])": Total("max", (minus, three), Rest(2, 1.0, 2.0)),
        "exp(-abs(-2))": Apply("exp", (Apply("neg", (Apply("abs", (minus,)),)),)),
    }
    for line, expression in cases.items():
        assert written(expression) == line
        assert evaluate(parsed(line)) == evaluate(expression)
    assert (shown(1 / 3), shown(1 / 3, 2), shown(-0.0), shown(1e-12), shown(True)) == (
        "0.333333",
        "0.3333",
        "0",
        "1e-12",
        "1",
    )
    assert (is_exact(0.1), is_exact(float(np.float32(0.1))), is_exact(1 / 3)) == (True, True, False)


def test_the_allowed_rounding_is_that_of_the_network() -> None:
    eps = float(np.finfo(np.float32).eps)
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b = rng.normal(size=(2, 30)).astype(np.float32)
        terms = tuple(Apply("*", (Leaf("", float(x)), Leaf("", float(y)))) for x, y in zip(a, b, strict=True))
        value, error = bound(Total("sum", terms), eps)
        assert abs(float(a.dot(b)) - value) <= error
        assert error < 100 * eps * np.abs(a.astype(float) * b).sum()
    value, error = bound(Apply("exp", (Apply("*", (Leaf("", 30.0), Leaf("", 1.0))),)), eps)
    assert eps * value < error < 100 * eps * value
