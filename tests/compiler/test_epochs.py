"""Whole epochs in one call do what the same steps do one by one."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler.epochs import Epochs
from pellucid.errors import LabelError
from tests.compiler.both_ways import same, tier

RNG = np.random.default_rng(1)
X, Y = RNG.standard_normal((50, 5)).astype("f4"), RNG.integers(0, 3, 50)
BATCH = 8
ORDER = np.random.default_rng(2).permutation(50)


@pytest.fixture(params=["numpy", "llvm"])
def how(request):
    if request.param == "llvm":
        pytest.importorskip("llvmlite")
    return request.param


class Training:
    """A step with all that may change from step to step."""

    def __init__(self, scheduled=False, dropout=0.0):
        pl.manual_seed(4)
        self.model = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Dropout(dropout), nn.Linear(7, 3))
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)
        self.schedule = optim.StepLR(self.optimizer, 2, 0.7) if scheduled else None
        self.loss = nn.CrossEntropyLoss()

    def step(self, x, y):
        outputs = self.model(x)
        loss = self.loss(outputs, y)
        loss.backward()
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        return loss, outputs

    def state(self):
        return [t.data.copy() for t in (*self.model.parameters(), *self.model.buffers())]

    def one_by_one(self, count, order=ORDER, after=lambda n: None):
        found = []
        for n in range(count):
            rows = order[n * BATCH : (n + 1) * BATCH]
            found.append([t.data.copy() for t in self.step(pl.Tensor(X[rows]), pl.Tensor(Y[rows]))])
            after(n)
        return found

    def epochs(self):
        return Epochs(pl.compile(self.step), [X, Y], BATCH)


@pytest.mark.parametrize("options", [{}, {"scheduled": True}, {"dropout": 0.3}])
def test_steps_at_once_are_steps_one_by_one(options, how):
    one = Training(**options)
    expected = one.one_by_one(6)
    other = Training(**options)
    with tier(how):
        epochs = other.epochs()
        assert epochs.usable()
        epochs.begin(ORDER, 6)
        for first, last in ((0, 1), (1, 4), (4, 6)):
            epochs.advance(first, last)
    given = [[loss, outputs] for loss, outputs in zip(*epochs.outputs, strict=True)]
    same(expected, [[np.asarray(x) for x in pair] for pair in given], exactly=how == "numpy")
    same(one.state(), other.state(), exactly=how == "numpy")
    if options.get("scheduled"):
        assert other.optimizer.param_groups[0]["lr"] == one.optimizer.param_groups[0]["lr"]
        assert other.schedule.last_epoch == 6


def test_options_may_change_after_each_step(how):
    def change(training, n):
        group = training.optimizer.param_groups[0]
        group["lr"] *= 0.9
        if n == 2:
            group["weight_decay"] = 0.1
        if n == 4:
            group["nesterov"] = True

    one = Training()
    one.one_by_one(6, after=lambda n: change(one, n))
    other, steps = Training(), iter(range(6))
    with tier(how):
        epochs = other.epochs()
        epochs.begin(ORDER, 6)
        epochs.advance(0, 6, lambda: change(other, next(steps)))
    same(one.state(), other.state(), exactly=how == "numpy")


def test_parameters_may_be_written_between_calls(how):
    def write(training):
        training.model[0].weight.data[...] = 0.1
        training.model[4].weight.data = np.full((3, 7), 0.2, "f4")
        training.model[0].bias.assign(pl.ones((7,)))

    one = Training()
    one.one_by_one(2)
    write(one)
    one.one_by_one(3, ORDER[16:])
    other = Training()
    with tier(how):
        epochs = other.epochs()
        epochs.begin(ORDER, 5)
        epochs.advance(0, 2)
        write(other)
        epochs.advance(2, 5)
    same(one.state(), other.state(), exactly=how == "numpy")


def test_a_snapshot_leads_back(how):
    training = Training(dropout=0.3)
    with tier(how):
        epochs = training.epochs()
        epochs.begin(ORDER, 6)
        epochs.advance(0, 3)
        before = epochs.snapshot(epochs.recording())
        epochs.advance(3, 6)
        losses, after = epochs.outputs[0].copy(), training.state()
        for tensor, array in before:
            tensor.data[...] = array
        epochs.advance(3, 6)
    assert losses.tobytes() == epochs.outputs[0].tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(after, training.state(), strict=True))


def test_all_rows_are_looked_at_before_the_first_step(how):
    training, labels = Training(), Y.copy()
    labels[49] = 3
    with tier(how):
        epochs = Epochs(pl.compile(training.step), [X, labels], BATCH)
        epochs.begin(np.arange(50), 6)
        before = training.state()
        with pytest.raises(LabelError):
            epochs.advance(0, 6)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, training.state(), strict=True))


def test_or_each_batch_before_its_own_step(how):
    training, labels = Training(), Y.copy()
    labels[BATCH] = 3
    with tier(how):
        epochs = Epochs(pl.compile(training.step), [X, labels], BATCH, ahead=False)
        epochs.begin(np.arange(50), 6)
        assert epochs.advance(0, 1) == 1
        before = training.state()
        with pytest.raises(LabelError):
            epochs.advance(1, 2)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, training.state(), strict=True))


def test_steps_end_where_they_cannot_be_done_in_a_row_any_more(how):
    """A gradient waits for the next step: that one is for the function itself, and those after it can be done so
    again."""
    training = Training()
    with tier(how):
        epochs = training.epochs()
        epochs.begin(ORDER, 6)
        assert epochs.advance(0, 2) == 2
        training.loss(training.model(pl.Tensor(X)), pl.Tensor(Y)).backward()
        before = training.state()
        assert not epochs.usable()
        assert epochs.snapshot(epochs.recording()) == []
        assert epochs.advance(2, 6) == 2
        assert all(a.tobytes() == b.tobytes() for a, b in zip(before, training.state(), strict=True))
        rows = ORDER[2 * BATCH : 3 * BATCH]
        training.step(pl.Tensor(X[rows]), pl.Tensor(Y[rows]))
        assert epochs.advance(3, 6) == 6


def test_steps_end_where_a_step_begins_to_look_at_values(how):
    steps, looks = iter(range(6)), False

    def doubled(x):
        y = x * 2.0
        return y if looks and y.sum() > 0 else y * 1.0

    def after():
        nonlocal looks
        looks = next(steps) == 3

    with tier(how):
        epochs = Epochs(pl.compile(doubled), [X], BATCH)
        epochs.begin(ORDER, 6)
        with pytest.warns(pl.errors.PellucidWarning, match="looks at a value"):
            assert epochs.advance(0, 6, after) == 4
        assert epochs.advance(4, 6, after) == 4
    same(2 * X[ORDER[: 4 * BATCH]].reshape(4, BATCH, 5), epochs.outputs[0][:4])


def test_steps_end_where_what_they_return_gets_another_type(how):
    factor = pl.Tensor(np.float32(2.0))
    with tier(how):
        epochs = Epochs(pl.compile(lambda x: x * factor), [X], BATCH)
        epochs.begin(ORDER, 6)
        assert epochs.advance(0, 2) == 2
        factor.data = np.array(2.0, "f8")
        assert epochs.advance(2, 6) == 2
        epochs.begin(ORDER, 6)
        assert epochs.advance(0, 6) == 6
    assert epochs.outputs[0].dtype == np.float64


def test_what_cannot_be_recorded_is_not_usable(how):
    with tier(how), pytest.warns(pl.errors.PellucidWarning, match="runs as it is"):
        assert not Epochs(pl.compile(lambda x, y: x * float(x.sum())), [X, Y], BATCH).usable()
