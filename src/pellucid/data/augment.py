"""Augmentation: pictures enter as a batch, changed copies leave, another change for each picture and each epoch. A
`Loader` (or `fit`) that is given transforms calls them on every batch of training data; data to measure on stay as
they are.

What happens to a row depends on the seed, the epoch and the number of the row alone: not on batch size, order, or where
a run was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pellucid._typing import Array, Shape
from pellucid.core import rng
from pellucid.core.check import Integer, Real, checked, shown
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError

# Told apart from all else that is drawn from the seed of a loader.
_STREAM = 0x6175676D656E74


class Transform:
    """A change of pictures by chance; a class of one's own has `num_draws` and writes `apply`.

    Its repr, made of its attributes, tells a loader's state apart from that of another augmentation.
    """

    # Random numbers that each picture needs, uint32.
    num_draws = 1

    def apply(self, images: Array, draws: Array) -> Array:
        """A changed copy of a batch of pictures.

        Parameters
            images : array, shape (N, C, H, W); not to be written
            draws : uint32, shape (N, num_draws): uniform over all values, for each picture its own
        Returns
            array, shape (N, C, ..., ...) of the same dtype
        """
        raise ArgumentError("data.augment-no-apply", name=type(self).__name__)

    def check(self, height: int, width: int) -> None:
        """Raise if pictures of that size cannot be changed so."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class RandomHorizontalFlip(Transform):
    """Left and right of a picture change sides.

    Parameters
        p : how probable that is, in [0, 1]
    Examples
        >>> always = RandomHorizontalFlip(1.0)
        >>> augmented(np.array([[[1, 2, 3]]]), always, seed=0, epoch=0).tolist()
        [[[3, 2, 1]]]
    """

    @checked(p=Real(0, 1))
    def __init__(self, p: float = 0.5) -> None:
        self.p = float(p)

    def apply(self, images: Array, draws: Array) -> Array:
        """(N, C, H, W) -> the same shape."""
        flipped = draws[:, 0] < self.p * 2.0**32
        return np.where(flipped[:, None, None, None], images[..., ::-1], images)


class RandomCrop(Transform):
    """A border around a picture, of which a part of a given size is cut out.

    Parameters
        size : height and width of the part, or one number for both; None is the size of the picture
        padding : how wide the border is, on all sides
        fill : what the border holds
    Raises
        ShapeError: the part is larger than the picture with its border.
    """

    num_draws = 2

    @checked(padding=Integer(0), fill=Real())
    def __init__(self, size: Any = None, padding: int = 0, fill: float = 0.0) -> None:
        self.size = None if size is None else _height_and_width("RandomCrop: size", size)
        self.padding, self.fill = int(padding), fill

    def apply(self, images: Array, draws: Array) -> Array:
        """(N, C, H, W) -> (N, C, size[0], size[1])."""
        height, width = self.size or images.shape[2:]
        wide = _bordered(images, (self.padding, self.padding), self.fill)
        top = _below(draws[:, 0], wide.shape[2] - height + 1)
        left = _below(draws[:, 1], wide.shape[3] - width + 1)
        return _parts(wide, top, left, (height, width))

    def check(self, height: int, width: int) -> None:
        if self.size is not None:
            room = (height + 2 * self.padding, width + 2 * self.padding)
            if self.size[0] > room[0] or self.size[1] > room[1]:
                raise ShapeError("data.augment-crop", size=self.size, room=room)


class RandomShift(Transform):
    """A picture moved up or down and left or right by whole places; what comes in from outside is `fill`.

    Parameters
        most : the largest shift, in places: (up and down, left and right), or one number for both
        fill : what comes in
    """

    num_draws = 2

    @checked(fill=Real())
    def __init__(self, most: Any, fill: float = 0.0) -> None:
        self.most, self.fill = _height_and_width("RandomShift: most", most, 0), fill

    def apply(self, images: Array, draws: Array) -> Array:
        """(N, C, H, W) -> the same shape."""
        wide = _bordered(images, self.most, self.fill)
        top, left = (_below(draws[:, n], 2 * most + 1) for n, most in enumerate(self.most))
        return _parts(wide, top, left, images.shape[2:])


class Cutout(Transform):
    """A square hole in a picture. Its middle is any place, so that it may reach over the edge.

    Parameters
        size : the side of the square, in places
        fill : what the hole holds
    Source
        DeVries and Taylor, Improved regularization of convolutional neural networks with cutout, arXiv:1708.04552,
        section 3.
    """

    num_draws = 2

    @checked(size=Integer(1), fill=Real())
    def __init__(self, size: int, fill: float = 0.0) -> None:
        self.size, self.fill = int(size), fill

    def apply(self, images: Array, draws: Array) -> Array:
        """(N, C, H, W) -> the same shape."""
        inside = []
        for n, length in enumerate(images.shape[2:]):
            first = _below(draws[:, n], length)[:, None] - self.size // 2
            place = np.arange(length)
            inside.append((place >= first) & (place < first + self.size))
        hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return np.where(hole, images.dtype.type(self.fill), images)


class Augmentation:
    """Transforms in turn, for the rows of one data set, as a loader uses them.

    Parameters
        transforms : a Transform, or several
        x : the data set's x, whose rows are pictures (C, H, W) or (H, W), or flat
        image_shape : the shape of a flat row as a picture, or None
        seed : of the loader
    Raises
        ArgumentTypeError: something is not a Transform.
        ShapeError: the rows are no pictures, or too small.
        DTypeError: a fill is no whole number and the pictures are whole numbers.
    """

    def __init__(self, transforms: Any, x: Array, image_shape: Shape | None, seed: int) -> None:
        given = transforms if isinstance(transforms, list | tuple) else [transforms]
        for transform in given:
            if not isinstance(transform, Transform):
                raise ArgumentTypeError("data.augment-type", given=shown(transform))
        self.transforms: list[Transform] = list(given)
        shape = image_shape if x.ndim == 2 and image_shape is not None else x.shape[1:]
        if len(shape) not in (2, 3):
            raise ShapeError("data.augment-images", shape=x.shape)
        self._shape = shape
        self._num_rows, self._flat = len(x), x.ndim == 2
        self._key = rng.fold(rng.seed(seed), _STREAM)
        self._drawn: tuple[int, list[Array]] = (-1, [])
        self._check(x.dtype)

    def _check(self, dtype: Any) -> None:
        """Raise unless every transform can be done on what those before it give."""
        pictures = np.zeros((1, *(1,) * (3 - len(self._shape)), *self._shape), dtype)
        for transform in self.transforms:
            fill = getattr(transform, "fill", 0)
            if dtype.kind != "f" and (fill != int(fill) or not _holds(dtype, fill)):
                raise DTypeError("data.augment-fill", name=type(transform).__name__, fill=fill, dtype=dtype)
            transform.check(*pictures.shape[2:])
            pictures = transform.apply(pictures, np.zeros((1, transform.num_draws), np.uint32))
            if pictures.dtype != dtype or pictures.ndim != 4 or len(pictures) != 1:
                name = type(transform).__name__
                raise ArgumentError("data.augment-result", name=name, given=shown(pictures), dtype=dtype)
        # Height and width after all of them.
        self.shape = (*self._shape[:-2], *pictures.shape[2:])

    @property
    def row_shape(self) -> Shape:
        """The shape of a row afterwards."""
        return (math.prod(self.shape),) if self._flat else self.shape

    def __call__(self, x: Array, rows: Array, epoch: int) -> Array:
        """Rows of the data set, changed as is their lot in an epoch.

        Parameters
            x : the rows
            rows : their numbers
        """
        if self._drawn[0] != epoch:
            self._drawn = (epoch, self._draws(epoch))
        lead = (len(x), *(1,) * (3 - len(self._shape)))
        pictures = x.reshape((*lead, *self._shape))
        for transform, draws in zip(self.transforms, self._drawn[1], strict=True):
            pictures = transform.apply(pictures, draws[rows])
        return np.ascontiguousarray(pictures).reshape((len(x), *self.row_shape))

    def _draws(self, epoch: int) -> list[Array]:
        """The random numbers of all rows in an epoch, for each transform."""
        key = rng.fold(self._key, epoch)
        return [
            rng.bits(rng.fold(key, n).data, self._num_rows * t.num_draws).reshape(self._num_rows, t.num_draws)
            for n, t in enumerate(self.transforms)
        ]

    def __repr__(self) -> str:
        return ", ".join(map(repr, self.transforms))


def augmented(images: Any, transforms: Transform | Sequence[Transform], *, seed: int = 0, epoch: int = 0) -> Array:
    """Pictures as a Loader of that seed, whose rows they are, gives them in an epoch: to look at.

    Parameters
        images : array, shape (N, C, H, W) or (N, H, W)
        transforms : a Transform, or several, done in turn
        seed : of the loader
        epoch : from 0 on
    Returns
        array of the same dtype; a copy
    Raises
        ArgumentTypeError, ShapeError, DTypeError: as `Loader`.
    """
    x = np.asarray(images)
    return Augmentation(transforms, x, None, seed)(x, np.arange(len(x)), epoch)


def _below(draws: Array, limit: int) -> Array:
    """Whole numbers from 0 up to, not including, a limit, from draws that are uniform over all of uint32, int64."""
    scaled: Array = (draws.astype(np.uint64) * np.uint64(limit)) >> np.uint64(32)
    return scaled.astype(np.int64)


def _bordered(images: Array, widths: tuple[int, int], fill: float) -> Array:
    """The pictures with a border, of a width above and below, and one left and right."""
    (above, beside), (n, c, h, w) = widths, images.shape
    wide = np.full((n, c, h + 2 * above, w + 2 * beside), fill, images.dtype)
    wide[:, :, above : above + h, beside : beside + w] = images
    return wide


def _parts(images: Array, top: Array, left: Array, size: tuple[int, ...]) -> Array:
    """A part of each picture, of one size, from a place of its own on."""
    # Every part is a view; those that are wanted are copied row by row of the picture.
    windows = sliding_window_view(images, size, axis=(2, 3))
    found: Array = windows[np.arange(len(images)), :, top, left]
    return found


def _holds(dtype: Any, value: float) -> bool:
    """Whether a dtype of whole numbers can hold a value."""
    return dtype.kind == "b" or np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _height_and_width(name: str, value: Any, low: int = 1) -> tuple[int, int]:
    """A number for both, or a pair."""
    pair = tuple(value) if isinstance(value, list | tuple) else (value, value)
    each = Integer(low)
    if len(pair) != 2 or not all(map(each.type_ok, pair)):
        raise ArgumentTypeError(
            "core.type", name=name, value=shown(value), type=type(value).__name__, expected=str(each)
        )
    if not all(map(each.value_ok, pair)):
        raise ArgumentError("core.range", name=name, value=shown(value), range=str(each))
    return int(pair[0]), int(pair[1])


__all__ = ["Cutout", "RandomCrop", "RandomHorizontalFlip", "RandomShift", "Transform", "augmented"]
