"""Data sets: what is read, what is refused and in which words, indexing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid.data as pd
from pellucid._text import set_language
from pellucid.core.tensor import Tensor
from pellucid.errors import (
    ArgumentTypeError,
    DataError,
    DTypeError,
    IndexRangeError,
    LabelError,
    PellucidError,
    ShapeError,
)

X = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


def message(error: pytest.ExceptionInfo[PellucidError]) -> str:
    """The whole message but its last line, which names this file."""
    text, _, at = str(error.value).rpartition("\n  at:       ")
    assert at.startswith("test_dataset.py:")
    return text


@pytest.mark.parametrize(
    "x",
    [
        X,
        tuple(map(tuple, X)),
        np.array(X),
        np.array(X, dtype=np.float16),
        np.array(X, dtype=np.int8),
        np.array(X, dtype=np.uint64),
        np.array(X, dtype=">f8"),
        np.asfortranarray(X),
        np.array(X)[::-1][::-1],
        np.array(X).repeat(2, axis=0)[::2],
        np.array(X, dtype=object),
        np.ma.masked_array(X, mask=False),
        Tensor(X),
        [np.array(row) for row in X],
    ],
)
def test_arrays_of_every_layout_are_read(x: object) -> None:
    data = pd.as_dataset((x, [0, 1, 1]))
    assert data.x.dtype == np.float32
    assert type(data.x) is np.ndarray
    assert data.x.tolist() == X
    assert data.y is not None
    assert data.y.dtype == np.int64
    assert data.y.tolist() == [0, 1, 1]


def test_a_read_only_array_and_booleans() -> None:
    x = np.array([[True, False], [False, True]])
    x.flags.writeable = False
    data = pd.as_dataset(x, [True, False])
    assert data.x.tolist() == [[1, 0], [0, 1]]
    assert data.y is not None
    assert data.y.tolist() == [1, 0]
    assert data.y.dtype == np.int64


def test_float32_is_not_copied() -> None:
    x = np.ones((3, 2), dtype=np.float32)
    assert np.shares_memory(pd.as_dataset(x).x, x)


def test_dtype_none_keeps_tokens_and_float64() -> None:
    assert pd.as_dataset(([[1, 2]], [0.5]), dtype=None).x.dtype == np.int64
    data = pd.as_dataset((np.ones((1, 2)), np.ones(1)), dtype=None)
    assert data.y is not None
    assert (data.x.dtype, data.y.dtype) == (np.float64, np.float64)
    data = pd.as_dataset((np.ones((1, 2)), np.ones(1)))
    assert data.y is not None
    assert (data.x.dtype, data.y.dtype) == (np.float32, np.float32)


def test_a_dataset_passes_as_it_is_and_takes_targets() -> None:
    data = pd.Dataset(np.ones((2, 3)))
    assert pd.as_dataset(data) is data
    assert pd.as_dataset(data, [0, 1]).y is not None
    with pytest.raises(ArgumentTypeError):
        pd.as_dataset(pd.Dataset(X, [0, 1, 2]), [0, 1, 2])
    with pytest.raises(ArgumentTypeError):
        pd.as_dataset((X, [0, 1, 2]), [0, 1, 2])
    with pytest.raises(ArgumentTypeError):
        pd.as_dataset((X, X, X))
    assert pd.as_dataset((X,)).y is None
    assert pd.as_dataset((X, None)).y is None


def test_ragged_lists() -> None:
    with pytest.raises(ShapeError) as error:
        pd.as_dataset([[1, 2], [3, 4], [5]])
    assert message(error) == (
        "x: the rows differ in length, so they form no array\n"
        "  given:    x[0] has 2 entries, x[2] has 1\n"
        "  expected: the same number of entries in every row"
    )
    with pytest.raises(ShapeError, match=r"x\[0\]\[0\] has 1 entries, x\[1\]\[1\] has 2"):
        pd.as_dataset([[[1], [2]], [[3], [4, 5]]])
    with pytest.raises(ShapeError, match="y: the rows differ"):
        pd.as_dataset(X, [[1], [2, 3], [4]])


def test_lengths_that_differ() -> None:
    with pytest.raises(ShapeError) as error:
        pd.as_dataset((X, [0, 1]))
    assert message(error) == (
        "x and y differ in their number of rows\n"
        "  given:    x (3, 2), y (2,)\n"
        "  expected: one target for each row; here 3 ≠ 2"
    )


@pytest.mark.parametrize("x", [[], np.empty((0, 3)), np.empty((3, 0))])
def test_empty(x: object) -> None:
    with pytest.raises(DataError) as error:
        pd.as_dataset(x)
    assert message(error) == (
        f"x is empty\n  given:    x {np.shape(x)}\n  expected: at least one row, and at least one feature a row"
    )


def test_a_number_is_no_data_set() -> None:
    with pytest.raises(ShapeError, match="x is a single number; a data set has rows"):
        pd.as_dataset(3.0)


def test_nan_and_infinity_are_counted_and_placed() -> None:
    x = np.ones((1000, 20))
    x[812, 7] = np.nan
    x[900, 0] = np.inf
    with pytest.raises(DataError) as error:
        pd.as_dataset(x)
    assert message(error) == (
        "x holds NaN or infinity\n"
        "  given:    2 of 20000 entries; the first is nan at row 812, column 7 (rows and columns counted from 0)\n"
        "  expected: finite numbers: drop these rows, or fill the gaps first"
    )
    set_language("zh")
    try:
        assert str(error.value).startswith(
            "x 里有 NaN 或无穷大\n  给出：20000 项中有 2 项；第一处是第 812 行第 7 列的 nan（行、列从 0 数起）"
        )
    finally:
        set_language(None)
    with pytest.raises(DataError, match=r"y holds NaN or infinity\n.*-inf at row 1 "):
        pd.as_dataset(X, [0.0, -np.inf, 1.0])
    with pytest.raises(DataError, match=r"row 1, index \(0, 2\) in the row"):
        pd.as_dataset(np.where(np.arange(12).reshape(2, 2, 3) == 8, np.nan, 0.0))
    with pytest.raises(DataError, match="x holds NaN or infinity"):
        pd.Dataset([[np.nan]])


def test_a_sum_that_overflows_is_no_infinity() -> None:
    x = np.full((4, 1), 3e38, dtype=np.float32)
    assert pd.as_dataset(x).x is not None


def test_numbers_too_large_for_float32() -> None:
    with pytest.raises(DataError) as error:
        pd.as_dataset([[1.0], [1e39]])
    assert message(error) == (
        "x holds numbers too large for float32\n"
        "  given:    1 of 2 entries; the first is 1e+39 at row 1, column 0 (rows and columns counted from 0)\n"
        "  expected: magnitudes up to 3.4e+38"
    )


def test_text_says_where_and_for_labels_how() -> None:
    with pytest.raises(DTypeError) as error:
        pd.as_dataset([["1", "2"], ["3", "four"]])
    assert message(error) == (
        "x holds text, not numbers\n"
        "  given:    'four' at row 1, column 1 (rows and columns counted from 0)\n"
        "  expected: numbers"
    )
    with pytest.raises(DTypeError) as error:
        pd.as_dataset(X, ["cat", "dog", "cat"])
    assert message(error) == (
        "y holds text, not numbers\n"
        "  given:    'cat' at row 0 (rows and columns counted from 0)\n"
        "  expected: numbers\n"
        "  fix:      y, class_names = pellucid.data.encode_labels(y)"
    )
    assert pd.as_dataset(X, pd.encode_labels(["cat", "dog", "cat"])[0]).num_classes == 2
    with pytest.raises(DTypeError) as error:
        pd.as_dataset(X, ["cat", 3, 4])
    assert error.value.fix == ""


def test_objects() -> None:
    with pytest.raises(DTypeError) as error:
        pd.as_dataset([[1, 2], [None, 3]])
    assert message(error) == (
        "x holds something that is not a number\n"
        "  given:    None (NoneType) at row 1, column 0 (rows and columns counted from 0)\n"
        "  expected: numbers"
    )
    with pytest.raises(DTypeError, match="x is complex"):
        pd.as_dataset([[1 + 2j]])
    with pytest.raises(DTypeError, match="x has a dtype that no network can take"):
        pd.as_dataset(np.array(["2020-01-01"], dtype="M8[D]"))
    with pytest.raises(DTypeError, match="y has a dtype that no network can take"):
        pd.as_dataset([[1]], np.array([2**64 - 1], dtype=np.uint64))
    with pytest.raises(DTypeError, match="cannot be read as an array of numbers"):
        pd.as_dataset([[10**400]])
    with pytest.raises(DTypeError):
        pd.as_dataset(np.zeros(2, dtype=[("a", "f4")]))


def test_masked_entries_are_not_dropped_silently() -> None:
    with pytest.raises(DataError) as error:
        pd.as_dataset(np.ma.masked_array(X, mask=[[0, 0], [0, 1], [1, 0]]))
    assert message(error) == (
        "x is a masked array with masked entries\n"
        "  given:    2 of 6 entries masked, the first at row 1, column 1 (counted from 0)\n"
        "  expected: a value in every place"
    )


def test_names_are_checked() -> None:
    with pytest.raises(LabelError) as error:
        pd.Dataset(X, [0, 1, 7], class_names=("a", "b", "c"))
    assert message(error) == (
        "label 7 at row 2; there are 3 class names\n"
        "  given:    labels 0 to 7, class names ['a', 'b', 'c']\n"
        "  expected: labels 0 to 2"
    )
    with pytest.raises(LabelError, match="label -1 at row 0"):
        pd.Dataset(X, [-1, 1, 0], class_names=("a", "b"))
    with pytest.raises(ShapeError, match=r"1 names, x \(3, 2\)"):
        pd.Dataset(X, feature_names=("a",))
    with pytest.raises(ShapeError, match="image_shape does not fit"):
        pd.Dataset(X, image_shape=(3, 1))
    with pytest.raises(DataError, match="these rows are not images"):
        _ = pd.Dataset(X).images
    assert pd.Dataset(X, image_shape=(2, 1)).images.shape == (3, 2, 1)


def test_number_of_classes() -> None:
    assert pd.Dataset(X, [0, 2, 1]).num_classes == 3
    assert pd.Dataset(X, [0, 0, 1], class_names=("a", "b", "c", "d")).num_classes == 4
    assert pd.Dataset(X, [0.0, 2.0, 1.0]).num_classes is None
    assert pd.Dataset(X, [[0, 1], [1, 1], [1, 0]]).num_classes is None
    assert pd.Dataset(X, [-1, 1, 1]).num_classes is None
    assert pd.Dataset(X).num_classes is None


def test_indexing() -> None:
    data = pd.Dataset(X, [5, 6, 7], feature_names=("a", "b"), name="three")
    assert len(data) == 3
    x, y = data[-1]
    assert (x.tolist(), y) == ([4.0, 5.0], 7)
    part = data[1:]
    assert (part.y.tolist(), part.name, part.feature_names) == ([6, 7], "three", ("a", "b"))
    assert np.shares_memory(part.x, data.x)
    assert data[[2, 0, -3]].y.tolist() == [7, 5, 5]
    assert data[np.array([True, False, True])].x.tolist() == [X[0], X[2]]
    assert data[[]].x.shape == (0, 2)
    assert [y for _, y in data] == [5, 6, 7]
    assert pd.Dataset(X)[1][1] is None
    with pytest.raises(IndexRangeError, match=r"row 3 does not exist\n.*\n  expected: -3 to 2"):
        _ = data[3]
    with pytest.raises(IndexRangeError, match="row -4 does not exist"):
        _ = data[[0, -4]]
    for wrong in ([0.5], [[0]], [True, False], "a", None, [[0], [1, 2]]):
        with pytest.raises(ArgumentTypeError, match="these rows cannot be selected"):
            _ = data[wrong]


def test_repr() -> None:
    assert repr(pd.Dataset(X, [0, 1, 0], name="three")) == (
        "Dataset('three', x=float64(3, 2), y=int64(3,), num_classes=2)"
    )
    assert repr(pd.Dataset(X, image_shape=(1, 2))) == "Dataset(x=float64(3, 2), y=None, image_shape=(1, 2))"


def test_it_is_frozen() -> None:
    with pytest.raises(AttributeError):
        pd.Dataset(X).x = np.zeros(1)  # type: ignore[misc]


@given(
    rows=st.integers(1, 12),
    columns=st.integers(1, 4),
    dtype=st.sampled_from(["f2", "f4", "f8", ">f4", "i1", "u2", "i8", "?"]),
    step=st.sampled_from([1, -1, 2]),
    order=st.sampled_from("CF"),
)
def test_any_numeric_array_gives_its_own_values(rows: int, columns: int, dtype: str, step: int, order: str) -> None:
    base = np.arange(rows * 2 * columns).reshape(rows * 2, columns) % 2
    x = np.array(base, dtype=dtype, order=order)[::step]  # type: ignore[call-overload]
    data = pd.as_dataset(x)
    assert data.x.dtype == np.float32
    assert data.x.tolist() == base[::step].astype(float).tolist()


def test_a_tensor_of_the_library_is_read() -> None:
    core = pytest.importorskip("pellucid.core.tensor")
    tensor = core.Tensor(np.array(X, dtype=np.float32))
    assert pd.as_dataset((tensor, [0, 1, 2])).x.tolist() == X


class Sparse:
    """What a sparse matrix shows: `.data` holds the entries that are not zero, and nothing else."""

    data = np.array([1.0, 2.0])
    shape = (2, 2)
    dtype = np.dtype(np.float64)

    def toarray(self) -> np.ndarray:
        return np.diag(self.data)


def test_a_sparse_matrix_is_not_read_as_its_entries() -> None:
    with pytest.raises(DTypeError) as error:
        pd.as_dataset(Sparse())
    assert message(error) == (
        "x cannot be read as an array of numbers\n"
        "  given:    Sparse(2, 2) float64 (Sparse)\n"
        "  expected: a NumPy array, a Tensor, or nested lists of numbers\n"
        "  fix:      x.toarray()"
    )
    assert pd.as_dataset(Sparse().toarray()).x.tolist() == [[1.0, 0.0], [0.0, 2.0]]


@pytest.mark.parametrize("x", [None, "data.csv", {"x": [1.0]}, {1.0, 2.0}, (i for i in range(3)), object()])
def test_what_is_no_array_is_not_called_a_single_number(x: object) -> None:
    with pytest.raises(DTypeError, match="x cannot be read as an array of numbers"):
        pd.as_dataset(x)


def test_a_list_of_two_arrays_is_no_pair() -> None:
    with pytest.raises(ArgumentTypeError) as error:
        pd.as_dataset([np.zeros((5, 2)), np.arange(5)])
    assert message(error) == (
        "a data set is a pair (x, y), and this is a list\n"
        "  given:    [x, y]\n"
        "  expected: a tuple; a list is read as the rows of x\n"
        "  fix:      (x, y)"
    )
    assert pd.as_dataset([np.zeros((2, 3)), np.ones((2, 3))]).x.shape == (2, 2, 3)


def test_whole_numbers_in_an_array_of_objects_are_labels() -> None:
    data = pd.as_dataset((X, np.array([0, np.int8(1), True], dtype=object)))
    assert data.y is not None
    assert (data.y.dtype, data.y.tolist()) == (np.dtype(np.int64), [0, 1, 1])
    assert pd.as_dataset((X, np.array([0, 1, 0.5], dtype=object)), dtype=None).y.dtype == np.float64  # type: ignore[union-attr]
    assert pd.as_dataset(np.array([[10**20, 1]], dtype=object), dtype=None).x.dtype == np.float64


def test_names_and_shapes_that_are_none() -> None:
    for names in ("ab", 3):
        with pytest.raises(ArgumentTypeError, match="class_names is no list of names"):
            pd.Dataset(X, [0, 1, 1], class_names=names)  # type: ignore[arg-type]
    for shape in (4, (-1, -2), (1.0, 2.0), "ab"):
        with pytest.raises(ArgumentTypeError, match="image_shape is not a shape"):
            pd.Dataset(X, image_shape=shape)  # type: ignore[arg-type]


def test_floats_in_another_dtype() -> None:
    data = pd.Dataset(np.array([[1, 2]]), np.array([0.5]), feature_names=("a", "b"), name="n")
    assert data.as_floats(np.float64, keep_integers=True) is data
    other = data.as_floats(np.float32)
    assert other.y is not None
    assert (other.x.dtype, other.y.dtype, other.feature_names, other.name) == (np.float32, np.float32, ("a", "b"), "n")
    with pytest.raises(DataError, match="x holds numbers too large for float32"):
        pd.Dataset([[1e300]]).as_floats(np.float32)


def test_targets_that_are_added_later_leave_the_rest() -> None:
    data = pd.Dataset(X, class_names=("a", "b"), feature_names=("p", "q"), image_shape=(1, 2))
    added = pd.as_dataset(data, [0, 1, 1])
    assert (added.class_names, added.feature_names, added.image_shape) == (("a", "b"), ("p", "q"), (1, 2))
