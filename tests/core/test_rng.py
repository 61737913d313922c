"""Random keys: the bits of NumPy's Philox, streams that differ, states that come back, and distributions."""

import numpy as np
import pytest

import pellucid as pl
from pellucid.core.rng import Generator, bits, fold, seed, split
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError


def test_the_bits_are_those_of_numpys_philox() -> None:
    key = np.array([5, 9], np.uint64)
    stream = np.random.Generator(np.random.Philox(counter=0, key=key)).bit_generator.random_raw(4)
    halves = np.array([[w & 0xFFFFFFFF, w >> 32] for w in stream.tolist()], np.uint32).ravel()
    assert bits(key, 7).tolist() == halves[:7].tolist()
    assert bits(key, 0).shape == (0,)


def test_keys_give_independent_streams_that_repeat() -> None:
    a, b = split(seed(1))
    draws = [pl.uniform(shape=(4,), key=k).tolist() for k in (seed(1), a, b, fold(seed(1), 7), seed(2))]
    assert len({tuple(d) for d in draws}) == 5
    assert pl.uniform(shape=(4,), key=a).tolist() == draws[1]


def test_the_default_generator_repeats_after_manual_seed_and_comes_back_to_a_state() -> None:
    pl.manual_seed(3)
    first = [pl.normal(shape=(3,)).tolist() for _ in range(2)]
    pl.manual_seed(3)
    assert pl.normal(shape=(3,)).tolist() == first[0]
    generator = Generator(4)
    generator.next_key()
    state = generator.get_state()
    draw = pl.uniform(shape=(2,), key=generator).tolist()
    generator.set_state(state)
    assert pl.uniform(shape=(2,), key=generator).tolist() == draw


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_keeps_to_its_bounds(dtype: str) -> None:
    u = pl.uniform(1.0, 1.0 + 1e-6, (20_000,), 0, dtype).numpy()
    assert u.dtype == dtype
    assert (u >= np.dtype(dtype).type(1.0)).all()
    assert (u < np.dtype(dtype).type(1.0 + 1e-6)).all()
    assert pl.uniform(2.0, 2.0, (3,), 0).tolist() == [2.0] * 3


def test_moments() -> None:
    n = 40_000
    u, z = pl.uniform(shape=(n,), key=1).numpy(), pl.normal(2.0, 3.0, (n,), key=2).numpy()
    assert abs(u.mean() - 0.5) < 4 * (1 / 12 / n) ** 0.5
    assert abs(u.var() - 1 / 12) < 4 * (1 / 180 / n) ** 0.5
    assert abs(z.mean() - 2) < 4 * 3 / n**0.5
    assert abs(z.std() - 3) < 4 * 3 / (2 * n) ** 0.5
    p = pl.bernoulli(0.3, (n,), key=3).numpy()
    assert p.dtype == bool
    assert abs(p.mean() - 0.3) < 4 * (0.21 / n) ** 0.5
    counts = np.bincount(pl.integers(-2, 3, (n,), key=4).numpy() + 2, minlength=5)
    assert np.abs(counts - n / 5).max() < 5 * (n * 0.16) ** 0.5


def test_permutations() -> None:
    order = pl.permutation(10, key=1)
    assert sorted(order.tolist()) == list(range(10))
    x = np.arange(6).reshape(2, 3)
    shuffled = pl.permutation(x, key=1, axis=1).numpy()
    assert sorted(map(tuple, shuffled.T.tolist())) == [(0, 3), (1, 4), (2, 5)]
    assert pl.permutation(0).shape == (0,)


def test_bernoulli_of_a_tensor_and_its_shape() -> None:
    assert pl.bernoulli([0.0, 1.0], key=1).tolist() == [False, True]
    assert pl.bernoulli([0.0, 1.0], (3, 2), key=1).tolist() == [[False, True]] * 3
    with pytest.raises(ShapeError, match="the probabilities do not fit the shape"):
        pl.bernoulli(np.full((3, 2), 0.5), (2,))
    with pytest.raises(ArgumentError, match="a probability lies outside"):
        pl.bernoulli([0.5, 1.5])


def test_what_is_no_key_or_state_is_refused() -> None:
    for wrong in ("x", 1.5, pl.ones(2), -1):
        with pytest.raises((ArgumentTypeError, ArgumentError)):
            pl.uniform(shape=(2,), key=wrong)
    with pytest.raises(ArgumentTypeError) as problem:
        fold("x", 1)  # type: ignore[arg-type]
    assert str(problem.value).splitlines()[:3] == [
        "this is not a random key",
        "  given:    'x'",
        "  expected: a key of seed, split or fold, a whole number, a Generator, or None",
    ]
    with pytest.raises(ShapeError, match="this is not a state of a generator"):
        Generator().set_state([1, 2, 3])
    with pytest.raises(DTypeError, match="these random numbers are floats"):
        pl.uniform(shape=(2,), dtype="float16")
    with pytest.raises(ArgumentError, match="the range is empty or too long"):
        pl.integers(3, 3)
