"""What a compiled function may be given, and that it comes out as it would from the function itself."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.arguments import Arguments, with_tensors
from pellucid.errors import PellucidWarning
from tests.compiler.both_ways import X_OTHER, X, Y, assert_same_both_ways, cross_entropy, network, state_of, step_of
from tests.compiler.both_ways import tier as tier_is

PROGRAMS = {}
Pair = namedtuple("Pair", "first second")


def program(function):
    PROGRAMS[function.__name__] = function
    return function


@program
def arrays_and_lists(compile):
    both = compile(lambda x, y: pl.Tensor(x) * 2.0 + pl.Tensor(y))
    return both([1.0, 2.0], [3.0, 4.0]), both([1.0, 5.0], [3.0, 4.0]), both([1, 2], [3.0, 4.0]), both(X, X_OTHER)


@program
def arrays_of_other_dtypes_and_orders(compile):
    use = compile(network())
    wide = np.zeros((8, 10), "f4")
    wide[:, ::2] = X
    return [use(x) for x in (X, X.astype("f8"), X > 0, wide[:, ::2], np.asfortranarray(X), X[::-1], X[:0], X)]


@program
def a_step_with_arrays_of_float64(compile):
    model = network()
    step = compile(step_of(model, optim.SGD(model.parameters(), lr=0.1)))
    return [step(X.astype("f8"), Y.astype("i4")) for _ in range(2)], state_of(model)


@program
def keywords_and_plain_values(compile):
    def scaled(x, *, scale=1.0, name="a", flag=None):
        return x * scale + (1.0 if name == "b" else 0.0) + (3.0 if flag else 0.0)

    scaled, x = compile(scaled), pl.Tensor(X)
    return [
        scaled(x), scaled(x, scale=2.0), scaled(x, scale=2), scaled(x, scale=3.0, name="b"),
        scaled(x, name="b", scale=3.0), scaled(x, flag=True), scaled(x, flag=1), scaled(x, scale=pl.Tensor([2.0])),
        scaled(x=x, scale=5.0), scaled(scale=5.0, x=x),
    ]  # fmt: skip


@program
def structures(compile):
    def summed(pair, named):
        return {"s": pair[0] + pair[1] * named["k"], "l": [pair[0], 2, "z"], "t": (pair[1],), "n": None}

    summed, a, b = compile(summed), pl.Tensor(X), pl.Tensor(X_OTHER)
    return [
        summed((a, b), {"k": a}), summed((b, a), {"k": a}), summed([b, a], {"k": a}), summed((a, b), {"k": 2.0}),
        summed((a, b), {"k": 2}), summed(Pair(a, b), {"k": b}), summed((a, a), {"k": a}),
    ]  # fmt: skip


@program
def lists_of_words(compile):
    named = compile(lambda x, names: x * (2.0 if "a" in names else 1.0))
    x = pl.Tensor(X)
    return [named(x, names) for names in (["a"], ["b"], ["a", "c"], [], ("a",))]


@program
def any_number_of_tensors(compile):
    total = compile(lambda *xs: sum(xs, 0.0))
    a = pl.Tensor(X)
    return total(a), total(a, a), total(a, pl.Tensor(X_OTHER)), total(a, a, pl.Tensor(X_OTHER))


@program
def networks_and_optimizers_as_arguments(compile):
    def step(model, optimizer, x, y):
        loss = cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    step, model, other = compile(step), network(dropout=0.4), network()
    optimizers = optim.SGD(model.parameters(), lr=0.1), optim.SGD(other.parameters(), lr=0.2)
    found = [step(model, optimizers[0], X, Y) for _ in range(2)]
    model.eval()
    found.append(step(model, optimizers[0], X, Y))
    optimizers[0].param_groups[0]["lr"] = 0.5
    found += [step(model, optimizers[0], X, Y), step(other, optimizers[1], X, Y)]
    return found, state_of(model), state_of(other)


@program
def a_parameter_as_argument(compile):
    model = network()
    norm = compile(lambda w: (w * w).sum() + model[0].weight.sum())
    return norm(model[0].weight), norm(pl.ones((6, 5)))


@program
def an_argument_that_asks_for_a_gradient(compile):
    model = network()

    def gradient_of(x, y):
        loss = cross_entropy(model(x), y)
        loss.backward()
        return x.grad * 2.0

    gradient_of = compile(gradient_of)
    x, other = pl.Tensor(X, requires_grad=True), pl.Tensor(X_OTHER, requires_grad=True)
    found = [gradient_of(x, Y), x.grad.data.copy(), gradient_of(other, Y), other.grad.data.copy()]
    found += [gradient_of(x, Y), x.grad.data.copy()]
    return found, [p.grad for p in model.parameters()]


@program
def the_same_tensor_twice(compile):
    def product(x, y):
        (x * y).sum().backward()
        return x.grad

    product, x, y = compile(product), pl.Tensor(X, requires_grad=True), pl.Tensor(X_OTHER, requires_grad=True)
    return product(x, y), y.grad.data.copy(), product(x, x), x.grad.data.copy()


@program
def numbers_of_steps(compile):
    def folded(x, count):
        return x if count == 0 else folded_again(x * 2.0, count - 1)

    folded_again = compile(folded)
    x = pl.Tensor(X)
    return [folded_again(x, n) for n in (3, 2, 0)]


@pytest.mark.parametrize("name", PROGRAMS)
def test_arguments_are_taken_as_by_the_function(name, tier):
    assert_same_both_ways(PROGRAMS[name], tier)


def test_an_argument_with_a_history_is_differentiated_through(tier):
    encoder, head = network(), nn.Linear(3, 2)
    labels = Y % 2

    def step(features, y):
        loss = cross_entropy(head(features), y)
        loss.backward()
        return loss

    step(encoder(X), labels)
    expected = [p.grad.data.copy() for p in (*encoder.parameters(), *head.parameters())]
    encoder.zero_grad()
    head.zero_grad()
    with tier_is(tier), pytest.warns(PellucidWarning, match="computed from tensors that ask for gradients"):
        pl.compile(step)(encoder(X), labels)
    for p, g in zip((*encoder.parameters(), *head.parameters()), expected, strict=True):
        assert p.grad.data.tobytes() == g.tobytes()


def test_what_only_an_array_can_do_runs_as_it_is(tier):
    flat = pl.compile(lambda x: pl.Tensor(x.astype("f4").ravel("F")))
    with tier_is(tier), pytest.warns(PellucidWarning, match="runs as it is"):
        result = flat(X)
    assert result.tolist() == X.ravel("F").tolist()
    assert flat.tier == "eager"


# Keys


def test_a_key_tells_apart_what_is_recorded_apart():
    def key(*args, **kwargs):
        return Arguments(args, kwargs).key

    @dataclass
    class Options:
        scale: float

    x, options = pl.ones((2, 3)), Options(1.0)
    assert key(x) == key(pl.zeros((2, 3)))
    assert key(x, 1) == key(x, 1)
    assert key(x, a=1, b=2) == key(x, b=2, a=1)
    assert key(options) == key(options)
    assert hash(key(x, [1, "a"], {"k": options}, {1})) is not None
    different = [
        key(x), key(x.data), key(pl.ones((3, 2))), key(pl.ones((2, 3), dtype="float64")), key(x, x),
        key(x, pl.ones((2, 3))), key(x, 1), key(x, 1.0), key(x, True), key(x, "1"), key([x]), key((x,)), key(a=x),
        key(b=x),
        key(options), key(Options(1.0)), key(pl.Tensor(x.data, requires_grad=True)), key({"a": x}), key({"b": x}),
    ]  # fmt: skip
    assert len(set(different)) == len(different)


def test_tensors_go_back_to_their_places():
    x, y = pl.ones((1,)), pl.zeros((1,))
    args, kwargs = (x, [y, 3], x), {"k": {"z": X}}
    given = Arguments(args, kwargs)
    new = [pl.Tensor([float(n)]) for n in range(len(given.tensors))]
    back = with_tensors(lambda *args, **kwargs: (args, kwargs), args, kwargs)(*new)
    assert len(new) == 3
    assert back == ((new[0], [new[1], 3], new[0]), {"k": {"z": new[2]}})
