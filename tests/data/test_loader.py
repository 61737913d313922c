"""The loader: how many batches, which rows, in what order, and exact resume."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import Dataset, Loader
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError


def numbered(rows: int, columns: int = 2) -> Dataset:
    return Dataset(np.arange(rows * columns, dtype=np.float32).reshape(rows, columns), np.arange(rows))


def epoch(loader: Loader) -> list[list[int]]:
    return [y.tolist() for _, y in loader if y is not None]


@pytest.mark.parametrize(
    ("rows", "batch_size", "drop_last", "iterations"),
    [
        (10_000, 100, False, 100),
        (1000, 1, False, 1000),
        (1000, 32, False, 32),
        (1000, 32, True, 31),
        (1000, 100, False, 10),
        (1000, 1000, False, 1),
        (1000, None, False, 1),
        (1000, "full", True, 1),
        (1000, 5000, False, 1),
    ],
)
def test_iterations_an_epoch(rows: int, batch_size: int, drop_last: bool, iterations: int) -> None:
    loader = Loader(numbered(rows), batch_size, shuffle=True, drop_last=drop_last)
    assert len(loader) == iterations
    assert len(list(loader)) == iterations


def test_without_shuffling_batches_are_views_in_order() -> None:
    data = numbered(10)
    batches = list(Loader(data, 4))
    assert [y.tolist() for _, y in batches if y is not None] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(np.shares_memory(x, data.x) for x, _ in batches)


@pytest.mark.parametrize("batch_size", [10, 11, None, "full"])
def test_a_full_batch_is_the_data_set_itself(batch_size: int) -> None:
    data = numbered(10)
    for _ in range(2):
        ((x, y),) = Loader(data, batch_size, shuffle=True, seed=3)
        assert np.shares_memory(x, data.x)
        assert x.tolist() == data.x.tolist()
        assert y is not None
        assert y.tolist() == list(range(10))


def test_x_and_y_stay_together_and_shuffled_batches_are_copies() -> None:
    data = numbered(50, 3)
    for x, y in Loader(data, 7, shuffle=True):
        assert y is not None
        assert x.tolist() == data.x[y].tolist()
        assert not np.shares_memory(x, data.x)
        x[:] = -1
    assert data.x[0, 1] == 1


def test_the_order_is_philox_under_seed_and_epoch() -> None:
    # The definition, in NumPy's own words: rows sorted by one raw word each under the key (seed, epoch).
    loader = Loader(numbered(100), 10, shuffle=True, seed=5)
    for number in range(3):
        words = np.random.Philox(key=np.array([5, number], dtype=np.uint64)).random_raw(100)
        expected = sorted(range(100), key=lambda row: words[row])
        assert [row for batch in epoch(loader) for row in batch] == expected
        assert loader.order(number).tolist() == expected


def test_epochs_and_seeds_differ_and_repeat() -> None:
    first, again = Loader(numbered(64), 8, shuffle=True, seed=1), Loader(numbered(64), 8, shuffle=True, seed=1)
    epochs = [epoch(first) for _ in range(3)]
    assert epochs == [epoch(again) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert epoch(Loader(numbered(64), 8, shuffle=True, seed=2)) != epochs[0]


def test_every_row_comes_first_equally_often() -> None:
    # 2,000 shuffles of 4 rows: each row is first 500 times, with a standard deviation of 19.4; five of them are 97.
    loader = Loader(numbered(4), 1, shuffle=True, seed=0)
    first = np.bincount([loader.order(e)[0] for e in range(2000)], minlength=4)
    assert np.abs(first - 500).max() < 97


def test_no_targets() -> None:
    ((x, y),) = Loader(np.ones((3, 2)))
    assert x.shape == (3, 2)
    assert y is None


def test_layouts_that_are_not_contiguous() -> None:
    base = np.arange(60, dtype=np.float64).reshape(10, 6)
    for x in (np.asfortranarray(base), base[::-1], base[:, ::2]):
        data = Dataset(x, np.arange(10))
        for rows, y in Loader(data, 3, shuffle=True):
            assert y is not None
            assert rows.tolist() == x[y].tolist()


def test_a_pass_left_early_is_an_epoch() -> None:
    loader = Loader(numbered(20), 4, shuffle=True)
    for _ in loader:
        break
    assert loader.state_dict()["epoch"] == 0
    assert loader.state_dict()["position"] == 1
    _, y = next(iter(loader))
    assert y is not None
    assert y.tolist() == loader.order(1)[:4].tolist()


def test_two_passes_at_once_are_two_epochs() -> None:
    loader = Loader(numbered(20), 4, shuffle=True)
    pairs = list(zip(loader, loader, strict=True))
    assert [row for (_, y), _ in pairs for row in np.asarray(y)] == loader.order(0).tolist()
    assert [row for _, (_, y) in pairs for row in np.asarray(y)] == loader.order(1).tolist()


def test_batches_of_an_epoch_without_a_trace() -> None:
    loader = Loader(numbered(20), 4, shuffle=True)
    assert [np.asarray(y).tolist() for _, y in loader.batches(7, start=3)] == [
        loader.order(7)[12:16].tolist(),
        loader.order(7)[16:].tolist(),
    ]
    assert loader.state_dict()["epoch"] == 0


@given(
    rows=st.integers(1, 60),
    batch_size=st.one_of(st.none(), st.integers(1, 70)),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    epochs=st.integers(1, 3),
)
def test_every_row_exactly_once_an_epoch(
    rows: int, batch_size: int | None, shuffle: bool, seed: int, epochs: int
) -> None:
    loader = Loader(numbered(rows), batch_size, shuffle=shuffle, seed=seed)
    for _ in range(epochs):
        batches = epoch(loader)
        assert len(batches) == len(loader)
        assert sorted(row for batch in batches for row in batch) == list(range(rows))


@given(data=st.data())
def test_resume_anywhere_equals_the_uninterrupted_run(data: st.DataObject) -> None:
    rows, batch_size = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 45))
    shuffle, drop_last = data.draw(st.booleans()), data.draw(st.booleans()) and batch_size <= rows
    seed = data.draw(st.integers(0, 99))

    def make() -> Loader:
        return Loader(numbered(rows), batch_size, shuffle=shuffle, seed=seed, drop_last=drop_last)

    whole = make()
    expected = [batch for _ in range(3) for batch in epoch(whole)]
    stop = data.draw(st.integers(0, len(expected)))
    killed, seen = make(), []
    while len(seen) < stop:
        for _, y in killed:
            seen.append(np.asarray(y).tolist())
            if len(seen) == stop:
                break
    state = killed.state_dict()
    resumed = make()
    resumed.load_state_dict(state)
    while len(seen) < len(expected):
        seen += epoch(resumed)
    assert seen == expected


def test_a_state_is_plain_numbers_and_is_checked() -> None:
    loader = Loader(numbered(10), 3, shuffle=True, seed=4)
    next(iter(loader))
    state = loader.state_dict()
    assert state == {
        "epoch": 0,
        "position": 1,
        "rows": 10,
        "batch_size": 3,
        "shuffle": True,
        "seed": 4,
        "drop_last": False,
    }
    with pytest.raises(DataError) as error:
        Loader(numbered(10), 4, shuffle=True, seed=4).load_state_dict(state)
    assert str(error.value).rpartition("\n  at:")[0] == (
        "the state comes from another Loader: its batches would differ\n"
        "  given:    batch_size = 3 in the state\n"
        "  expected: batch_size = 4, as in this Loader"
    )
    for wrong in (None, {}, {"epoch": 0}):
        with pytest.raises(DataError, match="the state does not come from a Loader"):
            loader.load_state_dict(wrong)
    with pytest.raises(ArgumentError):
        loader.load_state_dict(state | {"position": 5})
    with pytest.raises(ArgumentTypeError):
        loader.load_state_dict(state | {"epoch": 0.5})


def test_arguments() -> None:
    with pytest.raises(ArgumentError) as error:
        Loader(numbered(10), 11, drop_last=True)
    assert str(error.value).rpartition("\n  at:")[0] == (
        "drop_last leaves no batch\n"
        "  given:    batch_size 11, 10 rows\n"
        "  expected: batch_size up to 10, or drop_last=False"
    )
    for wrong in (0, -1):
        with pytest.raises(ArgumentError):
            Loader(numbered(10), wrong)
    for wrong in (2.5, "ful", True, [3]):
        with pytest.raises(ArgumentTypeError):
            Loader(numbered(10), wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError):
        Loader(numbered(10), seed=-1)
    with pytest.raises(ArgumentTypeError):
        Loader(numbered(10), shuffle=1)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        Loader(Dataset(np.empty((0, 2))))


def test_repr() -> None:
    assert repr(Loader(numbered(10), 3)) == (
        "Loader(Dataset(x=float32(10, 2), y=int64(10,), num_classes=10), "
        "batch_size=3, shuffle=False, seed=0, drop_last=False; 4 batches)"
    )


def test_epochs_and_batches_count_from_0() -> None:
    loader = Loader(np.zeros((10, 2)), 3, shuffle=True)
    for call in (lambda: loader.order(-1), lambda: list(loader.batches(-1)), lambda: list(loader.batches(0, -1))):
        with pytest.raises(ArgumentError, match="is out of range"):
            call()
