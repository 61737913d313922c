"""Looks at labels, indices and weights that come from captured tensors are had again by compiled functions, for the
values that there are then."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn, optim
from pellucid.compiler import Compiled
from pellucid.compiler.epochs import Epochs
from tests.compiler.both_ways import assert_same_both_ways, error_of
from tests.compiler.both_ways import tier as tier_is

ROWS = np.arange(12, dtype="f4").reshape(4, 3)
FIRST, SECOND = np.arange(4), np.arange(4, 8)


def scores():
    return pl.Tensor(np.linspace(0.1, 0.9, 12, dtype="f4").reshape(4, 3))


# A loss of the scores, good targets, and targets of which it has to say something.
TARGETS = {
    "cross_entropy": (nn.functional.cross_entropy, [0, 1, 2, 0], [0, 1, 3, 0]),
    "multi_margin": (nn.functional.multi_margin_loss, [0, 1, 2, 0], [0, -1, 2, 0]),
    "focal": (nn.functional.focal_loss, [0, 1, 2, 0], [0, 1, 3, 0]),
    "focal of yes or no": (nn.functional.focal_loss, np.eye(4, 3, dtype="f4"), np.full((4, 3), 2.0, "f4")),
    "multilabel_margin": (
        nn.functional.multilabel_margin_loss,
        np.tile([0, -1, -1], (4, 1)),
        np.tile([5, -1, -1], (4, 1)),
    ),
    "bce": (nn.functional.binary_cross_entropy, np.eye(4, 3, dtype="f4"), np.full((4, 3), -1.0, "f4")),
    "weights of rows": (
        lambda x, w: nn.functional.mse_loss(x, x * 0.5, sample_weight=w),
        np.ones(4, "f4"),
        np.array([1.0, -1.0, 1.0, 1.0], "f4"),
    ),
    "weights of classes": (
        lambda x, w: nn.functional.cross_entropy(x, np.array([0, 1, 2, 0]), weight=w[0]),
        np.ones((4, 3), "f4"),
        np.full((4, 3), -1.0, "f4"),
    ),
    "one_hot": (lambda x, y: x * pl.one_hot(y, 3), [0, 1, 2, 0], [0, 1, 3, 0]),
    "indices": (lambda x, y: x[y], [0, 1, 3, 0], [0, 1, 4, 0]),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_are_picked_from_a_captured_tensor(name, tier):
    loss, good, bad = TARGETS[name]
    targets = pl.Tensor(np.concatenate([good, bad]))

    def both(compile):
        used, x = compile(lambda rows: loss(scores(), targets[rows])), pl.Tensor(FIRST)
        return used(x), error_of(used, pl.Tensor(SECOND)), used(x)

    assert assert_same_both_ways(both, tier)[1] != "nothing"


def test_a_captured_tensor_that_changes(tier):
    def both(compile):
        w = pl.Tensor(np.array([0, 1]))
        used = compile(lambda x: x[w])
        found = [used(pl.Tensor(ROWS))]
        w.data[:] = [0, 9]
        return found, error_of(used, pl.Tensor(ROWS))

    assert assert_same_both_ways(both, tier)[1][0] == "IndexRangeError"


def test_what_depends_on_random_bits_or_on_state_that_moves_on(tier):
    def both(compile):
        pl.manual_seed(0)
        labels, count = pl.Tensor(np.array([0, 1, 2, 7])), nn.Parameter(np.array([0.0], "f4"))

        def mixed(x):
            return nn.functional.cross_entropy(x, labels[pl.permutation(4)[:2]])

        def counted(x):
            picked = x[count.astype("int64")]
            count.assign(count + 1.0)
            return picked

        mixed, counted = compile(mixed), compile(counted)
        x = pl.Tensor(ROWS)
        found = []
        while not found or not isinstance(found[-1], str):  # a draw that failed is eager's alone
            try:
                found.append(mixed(x[:2]))
            except pl.errors.LabelError as error:
                found.append(str(error).partition("\n")[0])
        return found, [counted(x) for _ in range(4)], error_of(counted, x)

    mixed, _, ended = assert_same_both_ways(both, tier)
    assert len(mixed) > 1
    assert ended[0] == "IndexRangeError"


def test_indices_that_lie_on_the_axis_by_themselves_are_not_looked_at_again():
    used = pl.compile(lambda x: x[pl.argmax(x, axis=1, keepdims=True).reshape(-1)] + pl.take_along_axis(
        x, pl.argsort(x, axis=1), 1
    ))  # fmt: skip
    with tier_is("numpy"):
        used(pl.Tensor(ROWS[:3]))
    assert used.graph.expectations == ()


def step_on(labels):
    pl.manual_seed(0)
    model = nn.Linear(3, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, rows):
        loss = nn.functional.cross_entropy(model(x), labels[rows[:, 0]])
        loss.backward()
        optimizer.step()
        return loss

    return step, model


def test_steps_in_a_row_look_at_captured_labels(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    labels = pl.Tensor(np.arange(16) % 3)
    x, rows = np.ones((16, 3), "f4"), np.arange(16)[:, None]
    step, model = step_on(labels)
    epochs = Epochs(Compiled(step), [x, rows], 4)
    epochs.begin(np.arange(16), 4)
    assert epochs.advance(0, 4) == 4
    weights = model.weight.data.copy()
    labels.data[9] = 7
    with pytest.raises(pl.errors.LabelError, match="label 7"):
        epochs.advance(0, 4)
    assert (model.weight.data == weights).all()


def test_steps_in_a_row_look_at_state_that_moves_on_before_each(tier, monkeypatch):
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    count = nn.Parameter(np.array([0.0], "f4"), requires_grad=False)

    def step(x):
        picked = x[count.astype("int64")].sum()
        count.assign(count + 1.0)
        return picked

    data = np.arange(12, dtype="f4").reshape(12, 1)
    epochs = Epochs(Compiled(step), [data], 3)
    epochs.begin(np.arange(12), 4)
    with pytest.raises(pl.errors.IndexRangeError):
        epochs.advance(0, 4)
    assert [count.data.item(), *epochs.outputs[0][:3].tolist()] == [3.0, 0.0, 4.0, 8.0]
