"""Augmentation: each transform against a plain loop, chances, and the same bits however the rows are read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.core import rng
from pellucid.data import Dataset, Loader
from pellucid.data.augment import Cutout, RandomCrop, RandomHorizontalFlip, RandomShift, Transform, augmented
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, DTypeError, PellucidError, ShapeError


def pictures(rows: int = 7, channels: int = 2, height: int = 5, width: int = 4, dtype: str = "float32") -> np.ndarray:
    size = rows * channels * height * width
    return np.arange(1, size + 1).reshape(rows, channels, height, width).astype(dtype)


def draws(rows: int, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**32, (rows, count), dtype=np.uint32)


def below(word: np.uint32, limit: int) -> int:
    return int(word) * limit // 2**32


def message(call: Callable[[], object], error: type[PellucidError]) -> list[str]:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value).splitlines()[:3]


def moved(picture: np.ndarray, down: int, right: int, fill: float) -> np.ndarray:
    """One picture (C, H, W), moved place by place."""
    result = np.full_like(picture, fill)
    _, height, width = picture.shape
    for i in range(height):
        for j in range(width):
            if 0 <= i - down < height and 0 <= j - right < width:
                result[:, i, j] = picture[:, i - down, j - right]
    return result


def test_shift_against_a_loop() -> None:
    x, chance = pictures(40), draws(40, 2)
    y = RandomShift((2, 1), fill=-1.0).apply(x, chance)
    shifts = set()
    for n in range(len(x)):
        down, right = 2 - below(chance[n, 0], 5), 1 - below(chance[n, 1], 3)
        shifts.add((down, right))
        assert y[n].tolist() == moved(x[n], down, right, -1.0).tolist()
    assert len(shifts) == 15
    assert RandomShift(0).apply(x, chance).tolist() == x.tolist()


def test_flip_against_a_loop() -> None:
    x, chance = pictures(40), draws(40, 1)
    y = RandomHorizontalFlip(0.3).apply(x, chance)
    for n in range(len(x)):
        expected = [[row[::-1] for row in c] for c in x[n].tolist()] if chance[n, 0] / 2**32 < 0.3 else x[n].tolist()
        assert y[n].tolist() == expected
    assert RandomHorizontalFlip(1.0).apply(x, np.full((40, 1), 2**32 - 1, np.uint32)).tolist() == x[..., ::-1].tolist()
    assert RandomHorizontalFlip(0.0).apply(x, np.zeros((40, 1), np.uint32)).tolist() == x.tolist()


@pytest.mark.parametrize(("size", "padding"), [((3, 4), 0), ((4, 2), 1), (None, 2), (6, 1)])
def test_crop_against_a_loop(size: tuple[int, int] | int | None, padding: int) -> None:
    x, chance = pictures(30), draws(30, 2)
    height, width = (5, 4) if size is None else (size, size) if isinstance(size, int) else size
    y = RandomCrop(size, padding, fill=9.0).apply(x, chance)
    assert y.shape == (30, 2, height, width)
    for n in range(len(x)):
        wide = np.full((2, 5 + 2 * padding, 4 + 2 * padding), 9.0, np.float32)
        wide[:, padding : padding + 5, padding : padding + 4] = x[n]
        top = below(chance[n, 0], wide.shape[1] - height + 1)
        left = below(chance[n, 1], wide.shape[2] - width + 1)
        assert y[n].tolist() == wide[:, top : top + height, left : left + width].tolist()


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_cutout_against_a_loop(size: int) -> None:
    x, chance = pictures(30), draws(30, 2)
    y = Cutout(size, fill=-5.0).apply(x, chance)
    for n in range(len(x)):
        expected = x[n].copy()
        top, left = below(chance[n, 0], 5) - size // 2, below(chance[n, 1], 4) - size // 2
        for i in range(top, top + size):
            for j in range(left, left + size):
                if 0 <= i < 5 and 0 <= j < 4:
                    expected[:, i, j] = -5.0
        assert y[n].tolist() == expected.tolist()


ALL = [RandomShift(1), RandomHorizontalFlip(), RandomCrop(padding=1), Cutout(2)]


def test_a_loader_does_the_transforms_in_turn_on_the_words_of_seed_epoch_and_row() -> None:
    x = pictures(11)
    loader = Loader((x, np.arange(11)), 4, shuffle=True, seed=3, augment=ALL)
    for epoch in (0, 1):
        key = rng.fold(rng.fold(rng.seed(3), 0x6175676D656E74), epoch)
        for images, rows in loader.batches(epoch):
            expected = x[rows]
            for n, transform in enumerate(ALL):
                words = np.random.Philox(key=rng.fold(key, n).numpy(), counter=0).random_raw(11)
                halves = np.stack([words & 0xFFFFFFFF, words >> np.uint64(32)], axis=1).reshape(-1).astype(np.uint32)
                own = halves[: 11 * transform.num_draws].reshape(11, transform.num_draws)
                expected = transform.apply(expected, own[rows])
            assert images.tolist() == expected.tolist()


def by_row(loader: Loader, epoch: int, start: int = 0) -> dict[int, list[float]]:
    return {int(row): x.tolist() for xs, ys in loader.batches(epoch, start) for x, row in zip(xs, ys, strict=True)}


def test_the_same_bits_whatever_the_batches_and_the_order() -> None:
    data = Dataset(pictures(23), np.arange(23))
    expected = by_row(Loader(data, 23, seed=5, augment=ALL), 2)
    assert len(expected) == 23
    for size in (1, 2, 7, 100, None):
        for shuffle in (False, True):
            assert by_row(Loader(data, size, shuffle=shuffle, seed=5, augment=ALL), 2) == expected
    assert by_row(Loader(data, 4, seed=5, augment=ALL), 1) != expected
    assert by_row(Loader(data, 4, seed=6, augment=ALL), 2) != expected
    assert augmented(data.x, ALL, seed=5, epoch=2).tolist() == [expected[n] for n in range(23)]


def test_resume_anywhere() -> None:
    def make() -> Loader:
        return Loader((pictures(10), np.arange(10)), 3, shuffle=True, seed=1, augment=RandomShift(1))

    whole = make()
    expected = [x.tolist() for _ in range(3) for x, _ in whole]
    for stop in range(len(expected)):
        killed, seen = make(), []
        while len(seen) < stop:
            for x, _ in killed:
                seen.append(x.tolist())
                if len(seen) == stop:
                    break
        resumed = make()
        resumed.load_state_dict(killed.state_dict())
        while len(seen) < len(expected):
            seen += [x.tolist() for x, _ in resumed]
        assert seen == expected


def test_the_data_stay_as_they_are_and_copies_are_writable() -> None:
    data = Dataset(pictures(6), np.arange(6))
    before = data.x.copy()
    for shuffle in (False, True):
        for x, _ in Loader(data, 4, shuffle=shuffle, augment=RandomHorizontalFlip(0.0)):
            assert not np.shares_memory(x, data.x)
            x[:] = -1.0
    assert np.array_equal(data.x, before)


def test_all_ways_to_hold_pictures() -> None:
    x = pictures(6, 1)
    expected = augmented(x, ALL)
    assert augmented(x[:, 0], ALL).tolist() == expected[:, 0].tolist()
    flat = Dataset(x.reshape(6, 20), np.arange(6), image_shape=(5, 4))
    ((y, _),) = Loader(flat, None, augment=ALL)
    assert y.tolist() == expected.reshape(6, 20).tolist()
    flat = Dataset(pictures(6).reshape(6, 40), np.arange(6), image_shape=(2, 5, 4))
    ((y, _),) = Loader(flat, None, augment=ALL)
    assert y.tolist() == augmented(pictures(6), ALL).reshape(6, 40).tolist()
    for dtype in ("uint8", "int64", "float64"):
        y = augmented(pictures(2, 1, dtype=dtype), ALL)
        assert y.dtype == dtype
    assert augmented(np.zeros((0, 3, 3), np.float32), ALL).shape == (0, 3, 3)
    assert augmented(pictures(3), RandomCrop((2, 3))).shape == (3, 2, 2, 3)
    assert augmented(pictures(3)[:, :, ::-1], []).tolist() == pictures(3)[:, :, ::-1].tolist()


def test_chances_are_even() -> None:
    # 4,000 pictures of one place in 5x5: after a shift by up to 2 it is anywhere equally often, 160 times, give or
    # take 12.4; five of them are 62.
    x = np.zeros((4000, 5, 5), np.float32)
    x[:, 2, 2] = 1.0
    counts = augmented(x, RandomShift(2)).sum(axis=0)
    assert np.abs(counts - 160).max() < 62
    flips = augmented(np.tile(np.array([[[0.0, 1.0]]], np.float32), (4000, 1, 1)), RandomHorizontalFlip(0.25))
    assert abs(flips[:, 0, 0].sum() - 1000) < 5 * 27.4


def test_a_transform_of_ones_own() -> None:
    class Brighter(Transform):
        def __init__(self, most: float) -> None:
            self.most = most

        def apply(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
            return images + (self.most * draws / 2**32).astype(images.dtype)[:, :, None, None]

    x = np.zeros((5, 2, 2), np.float32)
    y = augmented(x, Brighter(2.0))
    assert 0.0 <= y.min() < y.max() < 2.0
    assert len(np.unique(y)) == 5
    loader = Loader(x, 2, augment=Brighter(2.0))
    assert loader.state_dict()["augment"] == "Brighter(most=2.0)"


def test_a_state_tells_of_the_augmentation() -> None:
    plain, other = Loader(pictures(6), 2), Loader(pictures(6), 2, augment=[RandomShift(1), Cutout(2)])
    assert "augment" not in plain.state_dict()
    assert other.state_dict()["augment"] == "RandomShift(most=(1, 1), fill=0.0), Cutout(size=2, fill=0.0)"
    assert message(lambda: other.load_state_dict(plain.state_dict()), DataError) == [
        "the state comes from another Loader: its batches would differ",
        "  given:    augment = None in the state",
        "  expected: augment = RandomShift(most=(1, 1), fill=0.0), Cutout(size=2, fill=0.0), as in this Loader",
    ]
    with pytest.raises(DataError, match="in the state"):
        plain.load_state_dict(other.state_dict())
    assert "augment=RandomShift" in repr(other)


def test_what_is_refused() -> None:
    x = pictures(3)
    assert message(lambda: Loader(x, augment=np.flip), ArgumentTypeError) == [
        "augment: only transforms can stand here",
        f"  given:    {np.flip!r}",
        "  expected: a Transform of pellucid.data.augment, such as RandomHorizontalFlip(), or a list of them",
    ]
    assert message(lambda: Loader(x.reshape(3, 40), augment=ALL), ShapeError) == [
        "augment: the rows are not pictures",
        "  given:    x (3, 40)",
        "  expected: x (N, C, H, W) or (N, H, W), or a Dataset with an image_shape",
    ]
    assert message(lambda: Loader(x, augment=RandomCrop((7, 4), padding=0)), ShapeError) == [
        "RandomCrop: the part is larger than the picture with its border",
        "  given:    size (7, 4), picture with border (5, 4)",
        "  expected: a size up to (5, 4)",
    ]
    Loader(x, augment=RandomCrop((7, 4), padding=1))  # the fix
    with pytest.raises(ShapeError):  # what the one before leaves is too small
        Loader(x, augment=[RandomCrop(3), RandomCrop(4)])
    for fill in (0.5, 300.0):
        assert message(lambda fill=fill: augmented(x.astype(np.uint8), Cutout(2, fill=fill)), DTypeError) == [
            "Cutout: the pictures cannot hold fill",
            f"  given:    fill={fill}, pictures of dtype uint8",
            "  expected: a value of that dtype, or pictures of floats",
        ]

    class Double(Transform):
        def apply(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
            return images.astype(np.float64)

    assert message(lambda: Loader(x, augment=Double()), ArgumentError) == [
        "augment: Double does not give a batch of pictures",
        "  given:    ndarray(1, 2, 5, 4) float64",
        "  expected: an array (N, C, H, W) of dtype float32",
    ]
    assert message(lambda: Loader(x, augment=Transform()), ArgumentError) == [
        "augment: Transform does not say what it does to a picture",
        "  given:    a Transform without apply",
        "  expected: a method apply(images, draws) that returns the changed pictures",
    ]
    for call in (
        lambda: RandomHorizontalFlip(1.5),
        lambda: RandomCrop(0),
        lambda: RandomCrop(3, padding=-1),
        lambda: RandomShift(-1),
        lambda: RandomShift((1, -1)),
        lambda: Cutout(0),
    ):
        with pytest.raises(ArgumentError):
            call()
    for call in (
        lambda: RandomShift(1.5),
        lambda: RandomShift((1, 2, 3)),
        lambda: RandomCrop("a"),
        lambda: Cutout(2, fill="a"),
    ):
        with pytest.raises(ArgumentTypeError):
            call()


# In fit


def problem() -> tuple[nn.Module, Dataset]:
    pl.manual_seed(0)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 6, 6)).astype(np.float32)
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 3)), Dataset(x, np.arange(50) % 3)


OPTIONS = {"loss": "cross_entropy", "optimizer": "adam", "verbose": 0, "batch_size": 8, "seed": 4}


def weights(model: nn.Module) -> dict[str, list[float]]:
    return {name: value.tolist() for name, value in model.state_dict().items()}


TIERS = pytest.mark.parametrize("tier", ["off", "numpy", "llvm"])


def choose(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if tier == "llvm":
        pytest.importorskip("llvmlite")
    monkeypatch.setenv("PELLUCID_COMPILE", tier)


@TIERS
def test_fit_is_the_loop_over_the_loader(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(tier, monkeypatch)
    model, data = problem()
    history = pl.fit(model, data, epochs=3, augment=ALL, validation=None, metrics=["accuracy"], **OPTIONS)
    other, _ = problem()
    optimizer, loss = pl.optim.Adam(other.parameters()), nn.CrossEntropyLoss()
    losses = []
    for _ in range(3):
        total = 0.0
        for x, y in (loader := Loader(data, 8, shuffle=True, seed=4, augment=ALL)).batches(len(losses)):
            value = loss(other(x), y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            total += value.item() * len(x)
        losses.append(total / len(loader.data))
    np.testing.assert_allclose(history.loss, losses, rtol=1e-5)
    for name, value in other.state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name].numpy(), value.numpy(), rtol=1e-3, atol=1e-5, err_msg=name)


@TIERS
def test_fit_resumes_with_the_same_bits(tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose(tier, monkeypatch)
    whole, data = problem()
    pl.fit(whole, data, epochs=4, augment=ALL, **OPTIONS)
    model, _ = problem()
    pl.fit(model, data, epochs=2, augment=ALL, checkpoint=tmp_path, **OPTIONS)
    resumed, _ = problem()
    pl.fit(resumed, data, epochs=4, augment=ALL, checkpoint=tmp_path, resume=True, **OPTIONS)
    assert weights(resumed) == weights(whole)
    with pytest.raises(PellucidError, match="loader differs"):
        pl.fit(problem()[0], data, epochs=4, augment=ALL[:1], checkpoint=tmp_path, resume=True, **OPTIONS)


def test_only_training_data_are_changed() -> None:
    class Blank(Transform):
        def apply(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
            return np.zeros_like(images)

    model, data = problem()
    before = data.x.copy()
    history = pl.fit(model, data, epochs=1, augment=Blank(), validation=(data.x, data.y), **OPTIONS)
    assert np.array_equal(data.x, before)
    assert history["val_loss"][-1] == pytest.approx(pl.evaluate(model, data, loss="cross_entropy")["loss"], rel=1e-5)


def test_fit_takes_the_augmentation_of_a_loader() -> None:
    a, data = problem()
    pl.fit(a, data, epochs=2, augment=ALL, **OPTIONS)
    b, _ = problem()
    own = {k: v for k, v in OPTIONS.items() if k not in ("batch_size", "seed")}
    pl.fit(b, Loader(data, 8, shuffle=True, seed=4, augment=ALL), epochs=2, **own)
    assert weights(a) == weights(b)
    assert message(lambda: pl.fit(b, Loader(data, 8), epochs=1, augment=ALL, **own), ArgumentError) == [
        "fit: the loader decides on augmentation",
        "  given:    augment beside a Loader",
        "  expected: Loader(..., augment=...)",
    ]
    assert message(lambda: pl.fit(b, data, epochs=1, augment=RandomCrop(4), **OPTIONS), ShapeError) == [
        "fit: augment changes the size of the pictures",
        "  given:    rows (6, 6), augmented (4, 4)",
        "  expected: the same shape, since the network is measured on pictures as they are",
    ]
