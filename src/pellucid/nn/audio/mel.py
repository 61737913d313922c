"""The mel scale, on which steps are as far apart as they sound; decibels; and the cosine transform that makes cepstra.
Matrices leave as Tensors, made once in float64. Called by the layers of sound and as functions of `nn.functional`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Options, Real, check, checked
from pellucid.core.context import default_dtype
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentError, DTypeError, ShapeError, warn
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import log10, maximum
from pellucid.ops.reduce import max_

SCALES = Options("htk", "slaney")
AREAS = Options(None, "slaney")
_POSITIVE = Real(0, left_open=True)

# Slaney's scale: steps of 200/3 Hz up to 1000 Hz, which is 15 mel, and from there 27 steps for each factor of 6.4.
_LINEAR_HZ, _BREAK_HZ, _BREAK_MEL, _LOG_STEP = 200 / 3, 1000.0, 15.0, np.log(6.4) / 27


def _to_mel(hz: Any, mel_scale: str) -> Any:
    hz = np.asarray(hz, np.float64)
    if mel_scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    return np.where(
        hz < _BREAK_HZ, hz / _LINEAR_HZ, _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    )


def _to_hz(mel: Array, mel_scale: str) -> Array:
    if mel_scale == "htk":
        return np.asarray(700 * (10 ** (mel / 2595) - 1))
    curved = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, _LINEAR_HZ * mel, curved)


def _steps(n_mels: int, f_min: float, f_max: float, mel_scale: str) -> Array:
    return _to_hz(np.linspace(_to_mel(f_min, mel_scale), _to_mel(f_max, mel_scale), n_mels), mel_scale)


@checked(n_mels=Integer(1), f_min=Real(0), f_max=_POSITIVE, mel_scale=SCALES)
def mel_frequencies(n_mels: int = 128, f_min: float = 0.0, f_max: float = 11025.0, mel_scale: str = "htk") -> Tensor:
    """Frequencies that are equally far apart on the mel scale.

        htk: mel = 2595·log10(1 + Hz / 700)
        slaney: mel = Hz / (200/3) below 1000 Hz, 15 + 27·log(Hz / 1000) / log(6.4) above

    Parameters
        n_mels : how many, both ends counted.
        f_min, f_max : the ends, in Hz.
        mel_scale : "htk" or "slaney".
    Returns
        Tensor, shape (n_mels,), in Hz
    Raises
        ArgumentError: f_min is not below f_max.
    Source
        S. Young et al., The HTK book, version 3.4, 2009, section 5.4; M. Slaney, Auditory toolbox, version 2, 1998.
        With "slaney" the values are those of `librosa.mel_frequencies`.
    """
    check_range("mel_frequencies", f_min, f_max)
    return wrap(_steps(n_mels, f_min, f_max, mel_scale).astype(default_dtype()))


def check_range(owner: str, f_min: float, f_max: float, sample_rate: float | None = None) -> None:
    """Raise unless f_min is below f_max, and f_max is a frequency that the samples can hold."""
    if f_min >= f_max:
        raise ArgumentError("audio.mel-range", layer=owner, f_min=f"{f_min:g}", f_max=f"{f_max:g}")
    if sample_rate is not None and f_max > sample_rate / 2:
        raise ArgumentError(
            "audio.nyquist",
            layer=owner,
            f_max=f"{f_max:g}",
            sample_rate=f"{sample_rate:g}",
            half=f"{sample_rate / 2:g}",
        )


@checked(n_freqs=Integer(2), f_min=Real(0), f_max=_POSITIVE, n_mels=Integer(1), sample_rate=Integer(1))
def melscale_fbanks(
    n_freqs: int,
    f_min: float,
    f_max: float,
    n_mels: int,
    sample_rate: int,
    norm: str | None = None,
    mel_scale: str = "htk",
) -> Tensor:
    """The matrix that gathers the frequencies of a spectrogram into triangles on the mel scale.

    Parameters
        n_freqs : frequencies of the spectrogram, from 0 to half the sample rate, evenly.
        f_min, f_max : the foot of the first triangle and of the last one, in Hz.
        n_mels : triangles; each has its top where its neighbours have their feet.
        sample_rate : samples a second.
        norm : None for tops of 1; "slaney" for areas of 1.
        mel_scale : "htk" or "slaney", see `mel_frequencies`.
    Returns
        Tensor, shape (n_freqs, n_mels)
    Raises
        ArgumentError: f_min is not below f_max, or f_max is above half the sample rate.
    Source
        `torchaudio.functional.melscale_fbanks`.
    """
    check("melscale_fbanks: norm", norm, AREAS)
    check("melscale_fbanks: mel_scale", mel_scale, SCALES)
    check_range("melscale_fbanks", f_min, f_max, sample_rate)
    frequencies = np.linspace(0, sample_rate / 2, n_freqs)
    return wrap(triangles(frequencies, n_mels, f_min, f_max, norm, mel_scale).astype(default_dtype()))


def triangles(frequencies: Array, n_mels: int, f_min: float, f_max: float, norm: str | None, mel_scale: str) -> Array:
    """The matrix of the triangles at given frequencies, in float64."""
    steps = _steps(n_mels + 2, f_min, f_max, mel_scale)
    left, top, right = steps[:-2], steps[1:-1], steps[2:]
    column = frequencies[:, None]
    rising, falling = (column - left) / (top - left), (right - column) / (right - top)
    y: Array = np.maximum(0, np.minimum(rising, falling))
    return y * (2 / (right - left)) if norm == "slaney" else y


@lru_cache(maxsize=32)
def filters(
    sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float, norm: str | None, mel_scale: str, dtype: str
) -> Array:
    """The triangles at the frequencies of frames of n_fft samples, (n_fft // 2 + 1, n_mels)."""
    frequencies = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    return triangles(frequencies, n_mels, f_min, f_max, norm, mel_scale).astype(dtype)


def note_empty(
    owner: str, sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float, mel_scale: str
) -> None:
    """Warn of triangles that fall between two frequencies, and so are 0 whatever sounds."""

    frequencies = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)

    def num_empty(n: int) -> int:
        return int((triangles(frequencies, n, f_min, f_max, None, mel_scale).max(axis=0) == 0).sum())

    count = num_empty(n_mels)
    if count:
        fits = next((n for n in range(n_mels - 1, 0, -1) if not num_empty(n)), None)
        warn("audio.empty-mel", layer=owner, count=count, n_mels=n_mels, n_fft=n_fft, fits=fits)


@checked(n_mfcc=Integer(1), n_mels=Integer(1), norm=Options(None, "ortho"))
def create_dct(n_mfcc: int, n_mels: int, norm: str | None = "ortho") -> Tensor:
    """The matrix of the cosine transform (type 2) that makes cepstral coefficients of mel bands.

    Parameters
        n_mfcc : coefficients, at most n_mels.
        n_mels : mel bands.
        norm : "ortho" for orthonormal columns; None for twice the plain sum.
    Returns
        Tensor, shape (n_mels, n_mfcc)
    Raises
        ArgumentError: more coefficients than bands.
    Source
        `torchaudio.functional.create_dct`; N. Ahmed, T. Natarajan, K. R. Rao, Discrete cosine transform, 1974.
    """
    if n_mfcc > n_mels:
        raise ArgumentError("audio.cepstra", n_mfcc=n_mfcc, n_mels=n_mels)
    return wrap(cosine_transform(n_mfcc, n_mels, norm, default_dtype().name))


@lru_cache(maxsize=32)
def cosine_transform(n_mfcc: int, n_mels: int, norm: str | None, dtype: str) -> Array:
    """Its matrix in a dtype."""
    n, k = np.arange(n_mels)[:, None], np.arange(n_mfcc)
    y = 2 * np.cos(np.pi / n_mels * (n + 0.5) * k)
    if norm == "ortho":
        y *= np.where(k == 0, np.sqrt(0.25 / n_mels), np.sqrt(0.5 / n_mels))
    return np.asarray(y, dtype)


@composite(
    formula="y = 10·log10(max(x, amin) / max(ref, amin)), and at least max(y) - top_db",
    onnx=NONE("Max, Log and Sub"),
)
def power_to_db(x: Any, ref: float = 1.0, amin: float = 1e-10, top_db: float | None = None) -> Tensor:
    """A power in decibels.

    Parameters
        x : Tensor, shape (..., frequencies, frames), not negative; with top_db None, any shape.
        ref : the power that is 0 dB.
        amin : powers below it count as it.
        top_db : nothing is further than this below the greatest value of its spectrogram, the last two axes; None is no
            such limit.
    Raises
        DTypeError: whole numbers.
        ShapeError: top_db, and fewer than two axes.
    Source
        `librosa.power_to_db` and torchaudio's `AmplitudeToDB("power")`, which differ in what top_db looks at: the whole
        array, or also the axis before these two. Here one recording has no say in another's values.
    """
    x = as_tensor(x)
    for name, value in (("ref", ref), ("amin", amin)):
        check(f"power_to_db: {name}", value, _POSITIVE)
    check("power_to_db: top_db", top_db, Real(0, none=True))
    if x.dtype.kind != "f":
        raise DTypeError("audio.waveform-dtype", dtype=x.dtype)
    y = 10.0 * log10(maximum(x, amin)) - 10 * float(np.log10(max(ref, amin)))
    if top_db is None:
        return y
    if x.ndim < 2:
        raise ShapeError("audio.top-db", shape=x.shape)
    return maximum(y, max_(y, (-2, -1), keepdims=True) - top_db)
