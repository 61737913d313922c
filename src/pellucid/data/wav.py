"""WAV files come in; samples as floats leave, and the other way round. Called by users, folders of recordings and the
spoken digits.

The format (Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0", 1991; Microsoft,
WAVE_FORMAT_EXTENSIBLE, 2001): "RIFF", a little-endian 32-bit length, "WAVE"; then chunks of a name, a length and as
many bytes, padded to an even number. "fmt " says how a sample is written, "data" holds the samples, channel by channel
within each moment. Every length is checked against the bytes that there are before anything is read by it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid._text import text
from pellucid._typing import Array
from pellucid.core.check import Integer, checked
from pellucid.core.paths import accessing, as_path, existing_file, write_whole
from pellucid.data._arrays import numbers, require_finite
from pellucid.errors import ArgumentError, DTypeError, FileFormatError, ShapeError

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_KNOWN = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64)}
# How a sub-format of WAVE_FORMAT_EXTENSIBLE goes on after its first two bytes, if it is one of the registered ones.
_REGISTERED = bytes.fromhex("000000001000800000aa00389b71")
_OTHER_NAMES = {
    0x0002: "ADPCM",
    0x0006: "A-law",
    0x0007: "µ-law",
    0x0011: "IMA ADPCM",
    0x0050: "MPEG",
    0x0055: "MP3",
}
_MOST = 2**32 - 1


@dataclass(frozen=True)
class _Format:
    kind: int
    channels: int
    sample_rate: int
    bits: int


def read_wav(path: Any) -> tuple[Array, int]:
    """The samples of a WAV file, and how many of them a second has.

    Read are PCM of 8, 16, 24 and 32 bits and floats of 32 and 64, plain or in WAVE_FORMAT_EXTENSIBLE. PCM is divided by
    the largest magnitude of its width (128, 32768, 2²³, 2³¹), so that it lies in [-1, 1); floats pass as they are.

    Parameters
        path : the file
    Returns
        (waveform, sample_rate): float32, shape (channels, frames); samples a second, in Hz
    Raises
        MissingFileError: no such file.
        FileFormatError: not a WAV file, truncated, contradictory in itself, or compressed.
    Source
        The value and its shape are those of `torchaudio.load`.
    Examples
        >>> write_wav("tone.wav", [[0.0, 0.5, -0.5, -1.0]], 8000)
        >>> waveform, sample_rate = read_wav("tone.wav")
        >>> waveform.tolist(), sample_rate
        ([[0.0, 0.5, -0.5, -1.0]], 8000)
    """
    file_path = existing_file("path", path)
    with accessing(file_path):
        content = file_path.read_bytes()
    return decode_wav(content, str(file_path))


def decode_wav(content: bytes, name: str) -> tuple[Array, int]:
    """The samples in the bytes of a WAV file; `name` stands for it in messages."""
    form, start, size = _chunks(content, name)
    width = form.bits // 8
    raw = np.frombuffer(content, np.uint8, size, start)
    if form.kind == _FLOAT:
        with np.errstate(over="ignore"):  # beyond float32 is infinity, which data sets refuse
            samples = raw.view(f"<f{width}").astype(np.float32)
    elif width == 1:
        samples = (raw.astype(np.float32) - 128) / np.float32(128)
    elif width == 3:
        # As the high bytes of 32-bit numbers, whose scale is then the same.
        whole = np.zeros((size // 3, 4), np.uint8)
        whole[:, 1:] = raw.reshape(-1, 3)
        samples = whole.view("<i4")[:, 0].astype(np.float32) * np.float32(2.0**-31)
    else:
        samples = raw.view(f"<i{width}").astype(np.float32) * np.float32(2.0 ** (1 - form.bits))
    return np.ascontiguousarray(samples.reshape(-1, form.channels).T), form.sample_rate


def _chunks(content: bytes, name: str) -> tuple[_Format, int, int]:
    """The format, and where the samples start and how many bytes they take."""
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise FileFormatError("audio.wav-magic", path=name, start=content[:12].hex(" ") or text("audio.nothing"))
    end = 8 + int(struct.unpack_from("<I", content, 4)[0])
    if end > len(content):
        raise FileFormatError("audio.wav-truncated", path=name, given_bytes=len(content), expected_bytes=end)
    form, place = None, 12
    while place + 8 <= end:
        kind, size = struct.unpack_from("<4sI", content, place)
        place += 8
        if place + size > end:
            # Said of the file as a whole, as for every other truncation.
            raise FileFormatError("audio.wav-truncated", path=name, given_bytes=end, expected_bytes=place + size)
        if kind == b"fmt ":
            form = _format(content[place : place + size], name)
        elif kind == b"data":
            if form is None:
                raise FileFormatError("audio.wav-chunk", path=name, chunk="fmt ")
            frame_bytes = form.channels * form.bits // 8
            if size % frame_bytes:
                raise FileFormatError("audio.wav-frames", path=name, size_bytes=size, frame_bytes=frame_bytes)
            return form, place, size
        place += size + size % 2
    raise FileFormatError("audio.wav-chunk", path=name, chunk="fmt " if form is None else "data")


def _format(chunk: bytes, name: str) -> _Format:
    if len(chunk) < 16:
        raise FileFormatError("audio.wav-fmt", path=name, problem=text("audio.wav-fmt-short", size_bytes=len(chunk)))
    kind, channels, sample_rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if kind == _EXTENSIBLE:
        if len(chunk) < 40:
            problem = text("audio.wav-fmt-short", size_bytes=len(chunk))
            raise FileFormatError("audio.wav-fmt", path=name, problem=problem)
        # Fewer valid bits than the container has stand at its high end, so that the scale is the container's.
        if chunk[26:40] == _REGISTERED:
            kind = int(struct.unpack_from("<H", chunk, 24)[0])
    if kind not in _KNOWN:
        words = _OTHER_NAMES.get(kind, text("audio.wav-code", code=f"0x{kind:04x}"))
        raise FileFormatError("audio.wav-encoding", path=name, encoding=words)
    if bits not in _KNOWN[kind]:
        words = f"{bits}-bit {'PCM' if kind == _PCM else 'float'}"
        raise FileFormatError("audio.wav-encoding", path=name, encoding=words)
    if not channels or not sample_rate or frame_bytes != channels * bits // 8:
        facts = {"channels": channels, "sample_rate": sample_rate, "bits": bits, "frame_bytes": frame_bytes}
        raise FileFormatError("audio.wav-fmt", path=name, problem=text("audio.wav-fmt-facts", **facts))
    return _Format(kind, channels, sample_rate, bits)


@checked(sample_rate=Integer(1, _MOST))
def write_wav(path: Any, waveform: Any, sample_rate: int) -> None:
    """Write samples as a WAV file of 16-bit PCM; the file appears whole or not at all.

    Parameters
        path : the file
        waveform : real numbers in [-1, 1], shape (channels, frames) or (frames,), rounded to multiples of 1/32768;
            1 itself becomes 32767/32768
        sample_rate : samples a second, in Hz
    Raises
        ShapeError: neither (channels, frames) nor (frames,), no channel or more than 32,767, or more than 4 GiB.
        DTypeError: whole numbers, whose scale nobody knows.
        ArgumentError: samples beyond [-1, 1], which would be cut off.
        DataError: NaN or infinity.
        MissingFileError, FileAccessError: it cannot be written there.
    """
    samples = numbers("waveform", waveform)
    if samples.dtype.kind != "f":
        raise DTypeError("audio.wav-integers", dtype=samples.dtype)
    rows = samples[None] if samples.ndim == 1 else samples
    if rows.ndim != 2 or not 1 <= len(rows) <= 0x7FFF or rows.size * 2 > _MOST - 36:
        raise ShapeError("audio.wav-shape", shape=samples.shape)
    require_finite("waveform", samples)
    if rows.size and (largest := float(np.abs(rows).max())) > 1:
        raise ArgumentError("audio.wav-range", largest=f"{largest:g}")
    channels, data = len(rows), np.minimum(np.rint(rows.T.astype(np.float64) * 32768), 32767).astype("<i2").tobytes()
    bytes_a_second = sample_rate * channels * 2
    if bytes_a_second > _MOST:
        raise ShapeError("audio.wav-shape", shape=samples.shape)
    header = struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
    header += struct.pack("<4sIHHIIHH", b"fmt ", 16, _PCM, channels, sample_rate, bytes_a_second, channels * 2, 16)
    write_whole(as_path("path", path), header + struct.pack("<4sI", b"data", len(data)) + data)
