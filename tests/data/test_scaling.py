"""Scalers: values, inverse, constant features, states."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pellucid.data import Dataset, MinMax, Scaler, Standardize
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    FileFormatError,
    PellucidWarning,
    ShapeError,
)

X = np.array([[1.0, 10.0], [3.0, 30.0], [5.0, 80.0]])


def test_standardize_by_hand() -> None:
    # Column 0: mean 3, variance (4 + 0 + 4)/3; column 1: mean 40, variance (900 + 100 + 1600)/3.
    scaler = Standardize().fit(X)
    np.testing.assert_allclose(scaler.mean, [3, 40], rtol=1e-15)
    np.testing.assert_allclose(scaler.std, [np.sqrt(8 / 3), np.sqrt(2600 / 3)], rtol=1e-15)
    np.testing.assert_allclose(scaler.transform([[3.0, 40.0], [5.0, 10.0]])[0], [0, 0], atol=1e-15)
    np.testing.assert_allclose(scaler.transform([[5.0, 10.0]]), [[1.224744871391589, -1.019049330730136]], rtol=1e-14)


def test_minmax_by_hand() -> None:
    scaler = MinMax(-1, 1).fit(X)
    assert scaler.transform(X).tolist() == [[-1, -1], [0, -1 + 2 * 20 / 70], [1, 1]]
    assert MinMax().fit(X).transform([[7.0, 10.0]]).tolist() == [[1.5, 0.0]]


def test_the_measure_is_that_of_the_training_part_alone() -> None:
    scaler = Standardize().fit(Dataset(X, [0, 1, 0]))
    test = Dataset([[100.0, 0.0]], [1], name="test")
    scaled = scaler.transform(test)
    assert isinstance(scaled, Dataset)
    assert scaled.name == "test"
    np.testing.assert_allclose(scaled.x, (test.x - scaler.mean) / scaler.std)
    assert test.x.tolist() == [[100.0, 0.0]]


@pytest.mark.parametrize(
    ("given_dtype", "dtype"), [("f4", "f4"), ("f8", "f8"), ("i4", "f4"), ("u1", "f4"), ("f2", "f2")]
)
def test_dtypes(given_dtype: str, dtype: str) -> None:
    x = X.astype(given_dtype)
    assert Standardize().fit(x).transform(x).dtype == dtype


def test_images_are_scaled_pixel_by_pixel() -> None:
    x = np.arange(24.0).reshape(4, 2, 3)
    scaler = Standardize().fit(x)
    assert scaler.mean.shape == (2, 3)
    np.testing.assert_allclose(scaler.transform(x).mean(axis=0), np.zeros((2, 3)), atol=1e-15)


def test_more_rows_than_one_block() -> None:
    x = np.random.default_rng(0).normal(5, 2, (1100, 1000)).astype(np.float32)
    scaler = Standardize().fit(x)
    np.testing.assert_allclose(scaler.mean, x.astype(np.float64).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(scaler.std, x.astype(np.float64).std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler.transform(x), (x - scaler.mean) / scaler.std, rtol=1e-6, atol=1e-7)


def test_constant_features_are_shifted_and_reported() -> None:
    x = np.full((7, 12), 0.1, dtype=np.float32)
    x[:, 3] = np.arange(7)
    with pytest.warns(PellucidWarning) as caught:
        scaler = Standardize().fit(x)
    assert str(caught[0].message).rpartition("\n  at:")[0] == (
        "Standardize: 11 of 12 features are constant in the training part\n"
        "  given:    columns 0, 1, 2, 4, 5, 6, 7, 8, ... (counted from 0)\n"
        "  expected: features that vary; these are only shifted, not scaled"
    )
    assert caught[0].filename == __file__
    assert scaler.std[0] == 1
    assert (scaler.transform(x)[:, 0] == 0).all()
    with pytest.warns(PellucidWarning, match="MinMax: 11 of 12"):
        minmax = MinMax().fit(x)
    assert (minmax.transform(x)[:, 0] == 0).all()
    assert minmax.inverse_transform(minmax.transform(x)).tolist() == x.tolist()


@pytest.mark.parametrize("unit", [1e-300, 1e-30, 1.0, 1e30, 1e150])
def test_units_of_any_size(unit: float) -> None:
    scaled = Standardize().fit(X * unit).transform(X * unit)
    np.testing.assert_allclose(scaled, Standardize().fit(X).transform(X), rtol=1e-12, atol=1e-15)


@given(
    x=arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=st.floats(-1e6, 1e6)),
    kind=st.sampled_from([Standardize, MinMax]),
)
def test_the_inverse_gives_the_inputs_back(x: np.ndarray, kind: type[Scaler]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PellucidWarning)
        scaler = kind().fit(x)
    back = scaler.inverse_transform(scaler.transform(x))
    assert np.abs(back - x).max() <= 1e-12 * (1 + np.abs(x).max())


@pytest.mark.sklearn
def test_as_scikit_learn() -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = np.random.default_rng(1).normal(3, 7, (200, 5))
    np.testing.assert_allclose(
        Standardize().fit(x).transform(x), preprocessing.StandardScaler().fit_transform(x), atol=1e-13
    )
    np.testing.assert_allclose(MinMax().fit(x).transform(x), preprocessing.MinMaxScaler().fit_transform(x), atol=1e-14)


@pytest.mark.parametrize("scaler", [Standardize(), MinMax(-2, 3)])
def test_a_state_restores_the_same_bits(scaler: Scaler) -> None:
    x = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    state = scaler.fit(x).state()
    assert all(isinstance(v, str) or v.dtype == np.float64 for v in state.values())
    restored = Scaler.from_state(state)
    assert type(restored) is type(scaler)
    assert restored.transform(x).tobytes() == scaler.transform(x).tobytes()
    state[next(iter(state.keys() - {"kind"}))][...] = 9
    assert restored.transform(x).tobytes() == scaler.transform(x).tobytes()


def test_foreign_states_are_refused() -> None:
    good = Standardize().fit(X).state()
    with pytest.raises(FileFormatError) as error:
        Scaler.from_state({"kind": "os.system"})
    assert str(error.value).rpartition("\n  at:")[0] == (
        "the state of a scaler is damaged or foreign\n"
        "  given:    kind 'os.system'\n"
        "  expected: the dict that .state() of Standardize or MinMax returned"
    )
    with pytest.raises(FileFormatError, match="kind 'standardize'"):
        MinMax.from_state(good)
    bad = [
        None,
        {},
        {"kind": "standardize", "mean": good["mean"]},
        good | {"extra": 1},
        good | {"std": np.zeros(2)},
        good | {"std": np.ones(3)},
        good | {"mean": np.array([np.nan, 1])},
        good | {"mean": "abc"},
        {"kind": "minmax", "minimum": np.ones(2), "maximum": np.zeros(2), "range": np.array([0, 1])},
        {"kind": "minmax", "minimum": np.zeros(2), "maximum": np.ones(2), "range": np.array([1, 0])},
        {"kind": "minmax", "minimum": np.zeros(2), "maximum": np.ones(2), "range": np.zeros((2, 1))},
    ]
    for state in bad:
        with pytest.raises(FileFormatError, match="damaged or foreign"):
            Scaler.from_state(state)


def test_refusals() -> None:
    with pytest.raises(DataError) as error:
        Standardize().transform(X)
    assert str(error.value).rpartition("\n  at:")[0] == (
        "Standardize is used before fit\n  given:    Standardize()\n  expected: Standardize().fit(x_train) first"
    )
    with pytest.raises(DataError, match="MinMax is used before fit"):
        MinMax().state()
    with pytest.raises(
        ShapeError, match=r"given:    x \(1, 3\)\n  expected: x \(rows, ...\) with rows of shape \(2,\)"
    ):
        Standardize().fit(X).transform([[1.0, 2.0, 3.0]])
    with pytest.raises(DataError, match="NaN"):
        Standardize().fit([[np.nan]])
    with pytest.raises(DataError, match="x is empty"):
        Standardize().fit(np.empty((0, 2)))
    with pytest.raises(ArgumentTypeError):
        Standardize().fit((X, [0, 1, 0]))
    with pytest.raises(ArgumentError, match="low must be less than high"):
        MinMax(1, 1)


def test_repr() -> None:
    assert repr(Standardize()) == "Standardize(features=None)"
    assert repr(MinMax().fit(X)) == "MinMax(features=(2,))"
