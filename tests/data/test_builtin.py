"""The digits that ship with the package."""

import numpy as np
import pytest

from pellucid.data import digits


def test_shapes_names_and_source() -> None:
    data = digits()
    assert (data.x.shape, data.x.dtype) == ((1797, 64), np.float32)
    assert data.y is not None
    assert (data.y.shape, data.y.dtype) == ((1797,), np.int64)
    assert (data.x.min(), data.x.max()) == (0, 1)
    assert data.images.shape == (1797, 8, 8)
    assert data.class_names == tuple("0123456789")
    assert data.feature_names is not None
    assert data.feature_names[:2] + data.feature_names[-1:] == ("pixel_0_0", "pixel_0_1", "pixel_7_7")
    assert "CC BY 4.0" in data.description
    assert repr(data) == (
        "Dataset('digits', x=float32(1797, 64), y=int64(1797,), num_classes=10, "
        "class_names=['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'], image_shape=(8, 8))"
    )


def test_class_counts_are_those_that_the_source_states() -> None:
    assert np.bincount(np.asarray(digits().y)).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_every_call_gives_arrays_of_its_own() -> None:
    digits().x[:] = 0
    assert digits().x.max() == 1


@pytest.mark.sklearn
def test_as_scikit_learn_to_the_last_bit() -> None:
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    data = digits()
    assert (data.x.astype(np.float64) * 16).tobytes() == theirs.data.tobytes()
    assert np.array_equal(data.y, theirs.target)
    assert np.array_equal(data.images * 16, theirs.images)
    assert list(data.feature_names or ()) == theirs.feature_names
