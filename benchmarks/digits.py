"""The file of digits that every side of the workload `digits` reads, so that nobody's own loader is timed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.kinds import Layers, Reach

FOLDER = "BENCHMARKS_FOLDER"
"""Variable with the folder in which the file of the digits lies."""

TRAINING_ROWS = 1437


@dataclass(frozen=True)
class Digits:
    """What all sides are given: rows, initial weights, and the order of the rows in each epoch."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    orders: np.ndarray
    layers: Layers


def digits() -> Digits:
    """Read the file that `write` wrote."""
    with np.load(Path(os.environ[FOLDER]) / "digits.npz") as file:
        layers = [(file["w0"], file["b0"]), (file["w1"], file["b1"])]
        return Digits(file["x"], file["y"], file["x_test"], file["y_test"], file["orders"], layers)


def write(folder: Path, work: Reach) -> None:
    """Put the digits, mixed once, into the file."""
    from pellucid.data import Loader
    from pellucid.data import digits as load

    data = load()
    rng = np.random.default_rng(0)
    mixed = rng.permutation(len(data))
    x, y = np.asarray(data.x, np.float32)[mixed], np.asarray(data.y)[mixed]
    first, rest = slice(TRAINING_ROWS), slice(TRAINING_ROWS, None)
    loader = Loader((x[first], y[first]), work.batch, shuffle=True)
    arrays: dict[str, np.ndarray] = {}
    for n, (i, o) in enumerate(zip(work.sizes[:-1], work.sizes[1:], strict=True)):
        arrays[f"w{n}"] = rng.standard_normal((o, i), dtype=np.float32) * np.float32(np.sqrt(2 / i))
        arrays[f"b{n}"] = np.zeros(o, np.float32)
    orders = np.stack([loader.order(epoch) for epoch in range(work.most_epochs)])
    arrays |= {"x": x[first], "y": y[first], "x_test": x[rest], "y_test": y[rest], "orders": orders}
    np.savez(folder / "digits.npz", allow_pickle=False, **arrays)
