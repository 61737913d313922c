"""safetensors files: ours are read by the library, the library's by us; damage and foreign files are refused."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import safetensors.numpy

from pellucid.errors import FileAccessError, FileFormatError, MissingFileError
from pellucid.train.container import HEADER_LIMIT_BYTES, read, write

ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "flags": np.array([True, False]),
    "scalar": np.array(3, np.int64),
    "empty": np.zeros((0, 4), np.float64),
    "half": np.array([1.5], np.float16),
    "key": np.array([1, 2**64 - 1], np.uint64),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


def same(ours, theirs):
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        assert array.shape == theirs[name].shape
        assert np.array_equal(array, theirs[name])


def test_what_is_written_is_read_here_and_by_the_library(tmp_path):
    path = tmp_path / "数据.safetensors"
    write(path, ARRAYS, "a text")
    arrays, metadata = read(path)
    same(arrays, ARRAYS)
    assert metadata == {"pellucid": "a text"}
    same(safetensors.numpy.load_file(path), ARRAYS)
    assert all(a.flags.writeable for a in arrays.values())


def test_what_the_library_writes_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    rows = {k: np.ascontiguousarray(v).reshape(v.shape) for k, v in ARRAYS.items()}
    safetensors.numpy.save_file(rows, path)
    arrays, metadata = read(path)
    same(arrays, ARRAYS)
    assert metadata == {}


def test_equal_contents_are_equal_bytes(tmp_path):
    write(tmp_path / "a", ARRAYS, "x")
    write(tmp_path / "b", dict(reversed(ARRAYS.items())), "x")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Attacks: each file is wrong in one way


def file_of(header, data=b"", length=None):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(raw) if length is None else length).to_bytes(8, "little") + raw + data


def tensor(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


EIGHT = bytes(8)
ATTACKS = {
    "empty": (b"", "is too short", "0 bytes"),
    "seven bytes": (b"1234567", "is too short", "7 bytes"),
    "no header": (bytes(8), "is too short", "8 bytes"),
    "header of no length": (bytes(16), "is damaged", "byte 8: b'\\x00'"),
    "header longer than the file": (file_of({}, length=1000), "is truncated", "10 bytes"),
    "header longer than memory": (file_of({}, length=2**63), "is damaged", f"header length: {2**63}"),
    "header longer than the limit": (
        file_of({}, length=HEADER_LIMIT_BYTES + 1),
        "is damaged",
        f"header length: {HEADER_LIMIT_BYTES + 1}",
    ),
    "header that is no table": (file_of(b"[1, 2]"), "is damaged", "byte 8: b'['"),
    "header that is no JSON": (file_of(b'{"a": }'), "is damaged", "header: Expecting value"),
    "header that is no UTF-8": (file_of(b'{"\xff": 1}'), "is damaged", "header: 'utf-8' codec"),
    "header with NaN": (file_of(b'{"a": NaN}'), "is damaged", "header: NaN"),
    "header with a number of many digits": (file_of(b'{"a": ' + b"9" * 5000 + b"}"), "is damaged", "header: Exceeds"),
    "header nested deeply": (
        file_of(b'{"a":' * 99999 + b"1" + b"}" * 99999),
        "is damaged",
        "header: maximum recursion",
    ),
    "one name twice": (
        file_of(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}}', EIGHT),
        "is damaged",
        "header: a key stands twice",
    ),
    "metadata that are no table": (file_of({"__metadata__": [1]}), "is damaged", "__metadata__: [1]"),
    "metadata that are no text": (file_of({"__metadata__": {"a": 1}}), "is damaged", "__metadata__: {'a': 1}"),
    "tensor that is no table": (file_of({"a": 1}), "is damaged", "tensor 'a': 1"),
    "tensor without a shape": (file_of({"a": {"dtype": "F32"}}), "is damaged", "tensor 'a': {'dtype'"),
    "tensor with more": (file_of({"a": tensor(code="x")}, EIGHT), "is damaged", "tensor 'a': {'dtype'"),
    "unknown dtype": (file_of({"a": tensor("OBJECT")}, EIGHT), "is damaged", "tensor 'a'.dtype: 'OBJECT'"),
    "dtype that is a list": (file_of({"a": tensor(["F32"])}, EIGHT), "is damaged", "tensor 'a'.dtype: ['F32']"),
    "negative length": (file_of({"a": tensor(shape=(-2,))}, EIGHT), "is damaged", "tensor 'a'.shape: [-2]"),
    "length that is no whole number": (file_of({"a": tensor(shape=(2.0,))}, EIGHT), "is damaged", "tensor 'a'.shape"),
    "length that is true": (file_of({"a": tensor(shape=(True, 2))}, EIGHT), "is damaged", "tensor 'a'.shape"),
    "too many axes": (file_of({"a": tensor(shape=(1,) * 40)}, EIGHT), "is damaged", "tensor 'a'.shape"),
    "shape beyond 64 bits": (
        file_of({"a": tensor(shape=(2**61, 2**61))}, EIGHT),
        "is damaged",
        "data_offsets: 8 bytes",
    ),
    "shape and offsets disagree": (file_of({"a": tensor(shape=(3,))}, EIGHT), "is damaged", "data_offsets: 8 bytes"),
    "offsets backwards": (file_of({"a": tensor(offsets=(8, 0))}, EIGHT), "is damaged", "data_offsets: [8, 0]"),
    "offsets below 0": (file_of({"a": tensor(offsets=(-8, 0))}, EIGHT), "is damaged", "data_offsets: [-8, 0]"),
    "three offsets": (file_of({"a": tensor(offsets=(0, 8, 9))}, EIGHT), "is damaged", "data_offsets: [0, 8, 9]"),
    "offsets beyond the file": (file_of({"a": tensor()}, bytes(7)), "is truncated", "7 bytes of data"),
    "overlap": (file_of({"a": tensor(), "b": tensor(offsets=(4, 12))}, bytes(12)), "is damaged", "begin 4"),
    "the same place twice": (file_of({"a": tensor(), "b": tensor()}, EIGHT), "is damaged", "begin 0"),
    "gap": (file_of({"a": tensor(offsets=(4, 12))}, bytes(12)), "is damaged", "begin 4"),
    "more data than tensors": (file_of({"a": tensor()}, bytes(12)), "is damaged", "data: 12 bytes"),
    "a boolean of 2": (file_of({"a": tensor("BOOL", (2,), (0, 2))}, b"\x01\x02"), "is damaged", "bool > 1"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(name, tmp_path):
    content, what, where = ATTACKS[name]
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read(tmp_path / "x.safetensors")
    assert caught.value.what.startswith(f"x.safetensors {what}")
    assert where in caught.value.given


def zip_of(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return buffer.getvalue()


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


FOREIGN = {
    "a PyTorch file (a zip": zip_of("archive/data.pkl", "archive/data/0"),
    "a Keras file": zip_of("config.json", "metadata.json", "model.weights.h5"),
    "NumPy arrays (.npz)": zip_of("x.npy", "y.npy"),
    "a zip archive": zip_of("readme.txt"),
    "a zip archive ": b"PK\x03\x04 and nothing else",
    "a Python pickle": pickle.dumps({"weight": [1.0] * 100}, protocol=2),
    "a Python pickle,": pickle.dumps({"weight": [1.0] * 100}, protocol=5),
    "an HDF5 file": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "an ONNX model": b"\x08\x08\x12\x07pytorch\x1a\x052.0.0" + bytes(100),
    "a NumPy array (.npy)": npy(),
    "a GGUF model": b"GGUF\x03\x00\x00\x00" + bytes(100),
    "a gzip file": b"\x1f\x8b\x08\x00abcdefgh",
    "a TensorFlow Lite model": b"\x1c\x00\x00\x00TFL3" + bytes(100),
    "JSON text": b'{"weights": [1, 2]}',
    "plain text": b"weights:\n  1.0\t2.0\n",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_named(kind, tmp_path):
    (tmp_path / "model.bin").write_bytes(FOREIGN[kind])
    with pytest.raises(FileFormatError) as caught:
        read(tmp_path / "model.bin")
    assert caught.value.what == "model.bin is not a safetensors file"
    assert caught.value.given.startswith(kind.strip(" ,"))


def test_a_format_of_numbers_that_numpy_has_not(tmp_path):
    (tmp_path / "x").write_bytes(file_of({"w": tensor("BF16", (4,))}, EIGHT))
    with pytest.raises(FileFormatError) as caught:
        read(tmp_path / "x")
    assert str(caught.value).split("\n")[:2] == [
        "x holds numbers in a format that NumPy has not",
        "  given:    tensor w: BF16",
    ]


def test_a_folder_and_a_missing_file(tmp_path):
    with pytest.raises(FileAccessError, match="is a folder, not a file"):
        read(tmp_path)
    with pytest.raises(MissingFileError, match="no such file"):
        read(tmp_path / "nothing")


@pytest.mark.torch
def test_pytorchs_own_files_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    for n, zipped in enumerate((True, False)):
        path = tmp_path / f"{n}.pt"
        torch.save({"weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(FileFormatError, match=r"pickles can run code, so they are never read"):
            read(path)


def test_a_file_is_never_larger_in_memory_than_on_disk(tmp_path):
    import tracemalloc

    path = tmp_path / "x.safetensors"
    path.write_bytes(file_of({"a": tensor(shape=(2**40,), offsets=(0, 2**42))}))
    tracemalloc.start()
    with pytest.raises(FileFormatError):
        read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000
