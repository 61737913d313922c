"""Class labels of any kind become int64 from 0 up."""

import numpy as np
import pytest

from pellucid.data import encode_labels
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, LabelError, ShapeError


@pytest.mark.parametrize(
    ("y", "labels", "names"),
    [
        (["dog", "cat", "dog"], [1, 0, 1], ("cat", "dog")),
        (np.array(["b", "a"]), [1, 0], ("a", "b")),
        (np.array(["b", "a"], dtype=object), [1, 0], ("a", "b")),
        (np.array([b"b", b"a"]), [1, 0], ("a", "b")),
        (np.array(["b", "a"], dtype=np.dtypes.StringDType()), [1, 0], ("a", "b")),
        ([10, 9, 10], [1, 0, 1], ("9", "10")),
        ([1.0, 2.0], [0, 1], ("1", "2")),
        ([True, False], [1, 0], ("False", "True")),
        (["苹果", "梨"], [1, 0], ("梨", "苹果")),
    ],
)
def test_labels_are_numbered_in_sorted_order(y: object, labels: list[int], names: tuple[str, ...]) -> None:
    encoded, class_names = encode_labels(y)
    assert encoded.dtype == np.int64
    assert encoded.tolist() == labels
    assert class_names == names


def test_the_test_part_takes_the_names_of_the_training_part() -> None:
    assert encode_labels(["c", "a"], ("a", "b", "c"))[0].tolist() == [2, 0]
    with pytest.raises(LabelError) as error:
        encode_labels(["cat", "dgo"], ("cat", "dog"))
    assert str(error.value).rpartition("\n  at:")[0] == (
        "label 'dgo' at row 1 is not one of the class names\n"
        "  given:    'dgo'\n"
        "  expected: one of ['cat', 'dog']\n"
        "  fix:      did you mean dog?"
    )
    with pytest.raises(ArgumentError, match="twice"):
        encode_labels(["a"], ("a", "a"))


def test_refusals() -> None:
    with pytest.raises(DataError, match="None at row 1 is not a class label"):
        encode_labels(["a", None])
    with pytest.raises(DataError, match="nan at row 0 is not a class label"):
        encode_labels([np.nan, 1.0])
    with pytest.raises(DataError, match=r"0\.5 at row 1"):
        encode_labels([1.0, 0.5])
    with pytest.raises(DataError, match="3 at row 1 is not a class label"):
        encode_labels(["a", 3])
    with pytest.raises(DataError, match="y is empty"):
        encode_labels([])
    with pytest.raises(ShapeError):
        encode_labels([["a"], ["b"]])
    with pytest.raises(ShapeError):
        encode_labels([[1], [2, 3]])
    with pytest.raises(DataError, match="1j"):
        encode_labels([1j])
    with pytest.raises(DataError, match=r"b'.xff' at row 1"):
        encode_labels(np.array([b"a", b"\xff"]))


def test_a_mask_is_not_lost() -> None:
    with pytest.raises(DataError, match="y is a masked array with masked entries"):
        encode_labels(np.ma.masked_equal([0, 1, 2], 1))


def test_class_names_are_a_list() -> None:
    for names in ("ab", 3):
        with pytest.raises(ArgumentTypeError, match="class_names is no list of names"):
            encode_labels(["a", "b"], class_names=names)  # type: ignore[arg-type]
