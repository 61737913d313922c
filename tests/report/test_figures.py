"""The pictures beside the curves: their size and colours where they can be told, and names that try to be something
else."""

import io
import warnings

import numpy as np
import pytest

from pellucid.report import confusion, kernels, mistakes, sheet, worst


def pixels(png: bytes) -> np.ndarray:
    from matplotlib.image import imread

    return imread(io.BytesIO(png), format="png")[..., :3]


@pytest.fixture(autouse=True)
def _no_warnings() -> None:
    warnings.simplefilter("error")


def test_the_diagonal_is_darkest() -> None:
    picture = pixels(confusion(np.array([[30, 1], [0, 30]]), ["cat", "dog"]))
    blue = picture[..., 2] - picture[..., 0] > 0.4
    rows, columns = np.nonzero(blue)
    # The middle of what is dark blue lies on the diagonal: in the upper left and in the lower right.
    upper = rows < (rows.min() + rows.max()) / 2
    assert columns[upper].mean() < columns[~upper].mean()


@pytest.mark.parametrize("names", [["$a$", "$\\frac{"], ["猫", "狗"], ["a" * 60, "b"]])
def test_any_names(names: list[str]) -> None:
    assert pixels(confusion(np.eye(2, dtype=int) * 3, names)).size
    probabilities = np.array([[0.2, 0.8], [0.9, 0.1]])
    found = worst(probabilities, np.array([0, 1]))
    assert [m.row for m in found] == [1, 0]
    assert pixels(mistakes(np.zeros((2, 5, 4)), found, names)).size


@pytest.mark.parametrize("shape", [(5, 4), (1, 5, 4), (3, 5, 4)])
def test_pictures_of_one_channel_and_of_three(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).random(shape)
    assert pixels(sheet([(picture, "x")] * 3, 2)).size
    assert pixels(sheet([(picture[..., :, :] * 0, "x")], 2, cmap="magma")).size


def test_kernels_are_blue_above_and_orange_below_zero() -> None:
    weight = np.zeros((2, 1, 3, 3))
    weight[0], weight[1] = 1.0, -1.0
    picture = pixels(kernels(weight))
    half = picture.shape[1] // 2
    left, right = picture[:, :half].mean(axis=(0, 1)), picture[:, half:].mean(axis=(0, 1))
    assert left[2] > left[0]
    assert right[0] > right[2]
    assert pixels(kernels(np.zeros((2, 3, 3, 3)))).size
