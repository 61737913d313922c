"""WAV files: values as SciPy reads them and as they were written by hand; whatever is wrong with a file is said."""

import io
import struct
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.data import read_wav, write_wav
from pellucid.data.wav import decode_wav
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    DTypeError,
    FileFormatError,
    MissingFileError,
    ShapeError,
)

GUID = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def fmt(kind: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, frame_bytes: int | None = None) -> bytes:
    size = channels * bits // 8 if frame_bytes is None else frame_bytes
    return chunk(b"fmt ", struct.pack("<HHIIHH", kind, channels, rate, rate * size, size, bits))


def extensible(kind: int, channels: int, bits: int, valid: int, tail: bytes = GUID) -> bytes:
    size = channels * bits // 8
    head = struct.pack("<HHIIHHHHI", 0xFFFE, channels, 8000, 8000 * size, size, bits, 22, valid, 0)
    return chunk(b"fmt ", head + struct.pack("<H", kind) + tail)


def said(error: Any) -> str:
    return str(error.value).rpartition("\n  at:")[0]


# Values


def test_each_width_by_hand() -> None:
    cases = [
        (8, bytes([0, 64, 128, 255]), [-1, -0.5, 0, 127 / 128]),
        (16, struct.pack("<4h", -32768, -16384, 0, 32767), [-1, -0.5, 0, 32767 / 32768]),
        (24, bytes.fromhex("000080 0000c0 000000 ffff7f"), [-1, -0.5, 0, (2**23 - 1) / 2**23]),
        (32, struct.pack("<4i", -(2**31), -(2**30), 0, 2**30), [-1, -0.5, 0, 0.5]),
    ]
    for bits, data, expected in cases:
        samples, rate = decode_wav(riff(fmt(bits=bits), chunk(b"data", data)), "x")
        assert samples.dtype == np.float32
        assert samples.tolist() == [expected], bits
        assert rate == 8000
    for bits in (32, 64):
        data = np.array([-1.5, 0.25, 0, 2], f"<f{bits // 8}").tobytes()
        assert decode_wav(riff(fmt(3, bits=bits), chunk(b"data", data)), "x")[0].tolist() == [[-1.5, 0.25, 0, 2]]


def test_channels_and_chunks_in_between() -> None:
    data = struct.pack("<6h", 1, -2, 3, -4, 5, -6)
    content = riff(
        chunk(b"LIST", b"odd"), fmt(channels=2), chunk(b"fact", b"1234"), chunk(b"data", data), chunk(b"id3 ", b"x")
    )
    samples, _ = decode_wav(content + b"after the end", "x")
    assert (samples * 32768).tolist() == [[1, 3, 5], [-2, -4, -6]]


def test_extensible() -> None:
    data = bytes.fromhex("000080 0000c0 000000 ffff7f")
    samples, _ = decode_wav(riff(extensible(1, 2, 24, 20), chunk(b"data", data)), "x")
    assert samples.tolist() == [[-1, 0], [-0.5, (2**23 - 1) / 2**23]]
    floats = np.array([0.5, -2], "<f4").tobytes()
    assert decode_wav(riff(extensible(3, 1, 32, 32), chunk(b"data", floats)), "x")[0].tolist() == [[0.5, -2]]


@pytest.mark.sklearn  # which brings SciPy
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["u1", "<i2", "<i4", "<f4", "<f8"])
def test_against_scipy(tmp_path: Path, dtype: str, channels: int) -> None:
    wavfile = pytest.importorskip("scipy.io.wavfile")
    rng = np.random.default_rng(1)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        values = rng.normal(size=(101, channels)).astype(kind)
    else:
        values = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, (101, channels), kind, endpoint=True)
    path = tmp_path / "x.wav"
    wavfile.write(path, 11025, values)
    samples, rate = read_wav(path)
    assert rate == wavfile.read(path)[0] == 11025
    scale, zero = {"u1": (128, 128), "<i2": (2**15, 0), "<i4": (2**31, 0)}.get(dtype, (1, 0))
    expected = ((values.astype(np.float64) - zero) / scale).T
    np.testing.assert_array_equal(samples, expected.astype(np.float32))


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_what_the_standard_library_writes(width: int) -> None:
    rng = np.random.default_rng(2)
    raw = rng.integers(0, 256, 2 * width * 50, np.uint8).tobytes()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(width)
        file.setframerate(44100)
        file.writeframes(raw)
    samples, rate = decode_wav(buffer.getvalue(), "x")
    values = [int.from_bytes(raw[i : i + width], "little", signed=width > 1) for i in range(0, len(raw), width)]
    expected = np.array([(v - 128) / 128 if width == 1 else v / 2 ** (8 * width - 1) for v in values])
    assert (samples.shape, rate) == ((2, 50), 44100)
    np.testing.assert_array_equal(samples, expected.reshape(50, 2).T.astype(np.float32))


# Writing


def test_writing_is_read_by_the_standard_library_and_by_us(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write_wav(path, np.array([[0, 0.5, -1, 1], [1e-5, 2 / 32768, -0.5, 0]]), 16000)
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (2, 2, 16000, 4)
        frames = struct.unpack("<8h", file.readframes(4))
    assert frames == (0, 0, 16384, 2, -32768, -16384, 32767, 0)
    samples, rate = read_wav(str(path))
    assert rate == 16000
    write_wav(path, samples, rate)
    assert np.array_equal(read_wav(path)[0], samples)
    write_wav(path, [0.25], 1)
    assert read_wav(path)[0].tolist() == [[0.25]]
    write_wav(path, np.zeros((1, 0)), 1)
    assert read_wav(path)[0].shape == (1, 0)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    with pytest.raises(ArgumentError) as beyond:
        write_wav(path, [[0.5, -1.25]], 8000)
    assert said(beyond) == (
        "write_wav: samples beyond [-1, 1] would be cut off\n"
        "  given:    a magnitude of 1.25\n"
        "  expected: magnitudes up to 1, for instance waveform / 1.25"
    )
    with pytest.raises(DTypeError, match="whole numbers have no known scale"):
        write_wav(path, [[1, 2]], 8000)
    with pytest.raises(ShapeError, match="no waveform that a WAV file can hold"):
        write_wav(path, np.zeros((1, 2, 3)), 8000)
    with pytest.raises(ShapeError):
        write_wav(path, np.zeros((0, 3)), 8000)
    with pytest.raises(DataError, match="NaN or infinity"):
        write_wav(path, [[np.nan]], 8000)
    for rate in (0, 2**32):
        with pytest.raises(ArgumentError, match="write_wav: sample_rate"):
            write_wav(path, [0.0], rate)
    with pytest.raises(ArgumentTypeError):
        write_wav(path, [0.0], 8000.5)  # type: ignore[arg-type]
    with pytest.raises(MissingFileError):
        write_wav(tmp_path / "none" / "x.wav", [0.0], 8000)
    assert list(tmp_path.iterdir()) == []


# Refusals

DATA = chunk(b"data", b"\1\0\2\0")
BAD = {
    "empty": (b"", "is not a WAV file"),
    "another format": (b"OggS" + bytes(40), "is not a WAV file"),
    "another RIFF": (riff(fmt(), DATA).replace(b"WAVE", b"AVI "), "is not a WAV file"),
    "big-endian": (riff(fmt(), DATA).replace(b"RIFF", b"RIFX"), "is not a WAV file"),
    "cut in the samples": (riff(fmt(), DATA)[:-1], "is truncated"),
    "cut in the header": (riff(fmt(), DATA)[:20], "is truncated"),
    "samples longer than the file": (
        riff(fmt(), b"data" + struct.pack("<I", 2**32 - 1) + b"\1\0"),
        "is truncated",
    ),
    "a chunk longer than the file": (riff(b"LIST" + struct.pack("<I", 1000) + bytes(20)), "is truncated"),
    "no samples": (riff(fmt()), "lacks a part"),
    "no format": (riff(DATA), "lacks a part"),
    "samples before the format": (riff(DATA, fmt()), "lacks a part"),
    "short format": (riff(chunk(b"fmt ", bytes(14)), DATA), "contradicts itself"),
    "no channels": (riff(fmt(channels=0), DATA), "contradicts itself"),
    "no time": (riff(fmt(rate=0), DATA), "contradicts itself"),
    "wrong bytes a frame": (riff(fmt(frame_bytes=3), DATA), "contradicts itself"),
    "half a frame": (riff(fmt(), chunk(b"data", b"\1\0\2")), "end within a frame"),
    "12 bits": (riff(fmt(bits=12), DATA), "cannot be read"),
    "µ-law": (riff(fmt(7, bits=8), DATA), "cannot be read"),
    "unknown code": (riff(fmt(0x1234), DATA), "cannot be read"),
    "half floats": (riff(fmt(3, bits=16), DATA), "cannot be read"),
    "extensible, cut": (riff(chunk(b"fmt ", struct.pack("<HHIIHH", 0xFFFE, 1, 8, 16, 2, 16)), DATA), "contradicts"),
    "extensible, foreign": (riff(extensible(1, 1, 16, 16, bytes(14)), DATA), "cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused(name: str, tmp_path: Path) -> None:
    content, words = BAD[name]
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=words) as error:
        read_wav(path)
    assert error.value.what.startswith(str(path))


def test_whole_messages() -> None:
    def message(content: bytes) -> str:
        with pytest.raises(FileFormatError) as error:
            decode_wav(content, "a.wav")
        return said(error)

    assert message(b"") == (
        "a.wav is not a WAV file\n"
        "  given:    first bytes nothing\n"
        "  expected: RIFF, a length, WAVE: 52 49 46 46 .. .. .. .. 57 41 56 45"
    )
    assert message(riff(fmt(), DATA)[:-1]) == (
        "a.wav is truncated\n  given:    47 bytes\n  expected: 48 bytes, as the lengths in it say"
    )
    assert message(riff(fmt(7, bits=8), DATA)) == (
        "a.wav: samples written in this way cannot be read\n"
        "  given:    µ-law\n"
        "  expected: PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64"
    )
    assert message(riff(fmt(channels=2, frame_bytes=2), DATA)) == (
        "a.wav: its format contradicts itself\n"
        "  given:    2 channels of 16 bits, 8000 samples a second, 2 bytes a frame\n"
        "  expected: at least one channel and one sample a second, and bytes a frame = channels · bits / 8"
    )


@given(st.binary(max_size=200), st.integers(0, 47), st.integers(0, 255))
def test_any_bytes_are_read_or_refused(content: bytes, place: int, byte: int) -> None:
    whole = bytearray(riff(fmt(), DATA))
    whole[place] = byte
    for given_bytes in (content, b"RIFF" + content, riff(content), bytes(whole), riff(fmt(), chunk(b"data", content))):
        try:
            samples, rate = decode_wav(given_bytes, "x")
        except FileFormatError:
            continue
        assert samples.ndim == 2
        assert samples.nbytes <= 4 * len(given_bytes)
        assert rate > 0


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_wav(tmp_path / "none.wav")
