"""A data set comes in; mini-batches leave, epoch after epoch, in an order that a seed fixes. Called by training loops
and `fit`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Flag, Integer, check, checked
from pellucid.data._order import SEED_LIMIT, permutation
from pellucid.data.augment import Augmentation
from pellucid.data.dataset import as_dataset
from pellucid.errors import ArgumentError, DataError

# The greater half of the keys belongs to splits and synthetic sets.
_EPOCH = Integer(0, 2**63 - 1)

Batch = tuple[Array, Array | None]


class Loader:
    """Batches (x, y) of a data set; y is None where the data set has no targets.

    Each pass over the loader is one epoch: a first `for` loop is epoch 0, the next epoch 1. A pass left early with
    `break` counts as an epoch, and the next one starts with a new shuffle. The order of epoch e depends on (seed, e)
    alone: rows are sorted by the raw 64-bit words of NumPy's Philox generator under the key (seed, e).

    Without shuffling, and when one batch holds all rows, the rows come in their original order and as views of the data
    set: one full batch is full-batch gradient descent, to the last bit. Shuffled batches are copies, taken by one
    gather an array.

    Parameters
        data : Dataset, kept as it is; (x, y) or x, read by `as_dataset` as float32
        batch_size : rows a batch; 1 is online training; None or "full" is all rows. The last batch may be smaller
        shuffle : a new order every epoch, if not all rows are in one batch
        seed : int in [0, 2^64)
        drop_last : leave out a last batch that is smaller
        augment : a Transform of `data.augment`, or several done in turn: every batch is a changed copy, for each row
            and each epoch another change, which depends on (seed, epoch, row) alone. The rows are pictures (C, H, W) or
            (H, W), or flat ones of a data set with an `image_shape`
    Raises
        ArgumentError: `drop_last` leaves no batch.
        ShapeError: `augment`, and the rows are no pictures.
    Examples
        >>> loader = Loader((np.zeros((1000, 2)), np.zeros(1000)), batch_size=32, shuffle=True)
        >>> len(loader)
        32
        >>> x, y = next(iter(loader))
        >>> x.shape, y.shape
        ((32, 2), (32,))
    """

    # Whether an epoch's rows are written over by the next one's, so that epochs cannot be put side by side.
    changes = False

    @checked(shuffle=Flag(), seed=Integer(0, SEED_LIMIT), drop_last=Flag())
    def __init__(
        self,
        data: Any,
        batch_size: int | Literal["full"] | None = 32,
        *,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        augment: Any = None,
    ) -> None:
        self.data = as_dataset(data)
        rows = len(self.data)
        if batch_size is None or (isinstance(batch_size, str) and batch_size == "full"):
            batch_size = rows
        check("Loader: batch_size", batch_size, Integer(1))
        if drop_last and batch_size > rows:
            raise ArgumentError("data.no-batch", batch_size=batch_size, rows=rows)
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        self.seed = int(seed)
        self.drop_last = bool(drop_last)
        self._gathers = self.shuffle and self.batch_size < rows
        self._x, self._y = self.data.x, self.data.y
        if self._gathers:
            # `take` copies a whole array that is not contiguous, at every batch.
            self._x = np.ascontiguousarray(self._x)
            self._y = None if self._y is None else np.ascontiguousarray(self._y)
        # Kept as it was given: another loader of the same rows is made from it.
        self.augment = augment
        self.augmentation: Augmentation | None = None
        if augment is not None and not (isinstance(augment, list | tuple) and not augment):
            self.augmentation = Augmentation(augment, self.data.x, self.data.image_shape, self.seed)
            self.changes = True
        self._epoch = 0
        self._position = 0
        self._begun = False
        self._pass = 0

    def __len__(self) -> int:
        """The number of batches an epoch: the iterations of one pass."""
        whole, rest = divmod(len(self.data), self.batch_size)
        return whole if self.drop_last or rest == 0 else whole + 1

    def order(self, epoch: int) -> Array:
        """The rows of an epoch in the order in which they are seen, shape (rows,), int64."""
        check("Loader: epoch", epoch, _EPOCH)
        if self._gathers:
            return permutation(len(self.data), self.seed, epoch)
        return np.arange(len(self.data), dtype=np.int64)

    def orders(self, epoch: int, count: int) -> Array:
        """The orders of so many epochs from one on, shape (count, rows), int64; not to be written."""
        if self._gathers:
            return np.stack([self.order(epoch + n) for n in range(count)])
        return np.broadcast_to(self.order(epoch), (count, len(self.data)))

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from number `start` on; changes nothing in the loader."""
        check("Loader: start", start, Integer(0))
        x, y, size = self._x, self._y, self.batch_size
        if not self._gathers:
            for first in range(start * size, len(self) * size, size):
                rows = slice(first, first + size)
                yield self._changed(x[rows], np.arange(len(x))[rows], epoch), None if y is None else y[rows]
            return
        order = self.order(epoch)
        for first in range(start * size, len(self) * size, size):
            chosen = order[first : first + size]
            yield self._changed(x.take(chosen, axis=0), chosen, epoch), None if y is None else y.take(chosen, axis=0)

    def _changed(self, x: Array, rows: Array, epoch: int) -> Array:
        """Rows of x as they are in an epoch."""
        return x if self.augmentation is None else self.augmentation(x, rows, epoch)

    def __iter__(self) -> Iterator[Batch]:
        if self._begun:
            self._epoch, self._position = self._epoch + 1, 0
        self._begun = True
        self._pass += 1
        return self._run(self._pass, self._epoch, self._position)

    def _run(self, this_pass: int, epoch: int, start: int) -> Iterator[Batch]:
        for batch in self.batches(epoch, start):
            # Of two passes at the same time, the later one is what the state tells of.
            if this_pass == self._pass:
                self._position += 1
            yield batch
        if this_pass == self._pass:
            self._epoch, self._position, self._begun = epoch + 1, 0, False

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands: the epoch, the batches already given in it, and what fixes their order."""
        return {"epoch": self._epoch, "position": self._position, **self._identity()}

    def load_state_dict(self, state: Any) -> None:
        """Go on where `state_dict` was taken: the next pass gives the batches that were still to come.

        Raises
            DataError: the state is not one, or comes from a loader with other rows, batch size, seed or shuffling.
        """
        own = {"augment": "", **self._identity()}
        expected = ["epoch", "position", *self._identity()]
        if not isinstance(state, dict) or {*state, "augment"} != {*expected, "augment"}:
            keys = sorted(map(str, state)) if isinstance(state, dict) else []
            raise DataError("data.loader-keys", keys=", ".join(keys), expected_keys=", ".join(expected))
        for name, here in own.items():
            saved = state.get(name, "")
            if saved != here:
                words = {"saved": "None" if saved == "" else saved, "here": "None" if here == "" else here}
                raise DataError("data.loader-state", name=name, **words)
        check("load_state_dict: epoch", state["epoch"], _EPOCH)
        check("load_state_dict: position", state["position"], Integer(0, len(self)))
        self._epoch, self._position, self._begun = int(state["epoch"]), int(state["position"]), False
        self._pass += 1

    def _identity(self) -> dict[str, Any]:
        facts = {
            "rows": len(self.data),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "drop_last": self.drop_last,
        }
        return facts if self.augmentation is None else {**facts, "augment": repr(self.augmentation)}

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}={value}" for name, value in self._identity().items() if name != "rows")
        return f"Loader({self.data!r}, {facts}; {len(self)} batches)"
