"""Layers that turn waveforms into features: Spectrogram, MelSpectrogram, LogMelSpectrogram, MFCC. They learn nothing
and hold nothing: their matrices follow from their arguments, in the dtype of what enters. Networks have them in front.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Constraint, Integer, Options, Real, checked
from pellucid.core.tensor import Tensor, wrap
from pellucid.errors import ArgumentError, ArgumentTypeError
from pellucid.nn.audio.mel import (
    AREAS,
    SCALES,
    check_range,
    cosine_transform,
    filters,
    note_empty,
    power_to_db,
)
from pellucid.nn.audio.spectrum import CONSTRAINTS, bins, lengths
from pellucid.nn.module import Module
from pellucid.ops.elementwise import log
from pellucid.ops.linalg import matmul
from pellucid.ops.shape import swapaxes

_MEL: dict[str, Constraint] = {
    "sample_rate": Integer(1),
    "f_min": Real(0),
    "f_max": Real(0, left_open=True, none=True),
    "n_mels": Integer(1),
    "norm": AREAS,
    "mel_scale": SCALES,
}


class Spectrogram(Module):
    """The power of each frequency in short, overlapping frames of a waveform.

        y[...,k,t] = |Σ_n window[n]·x[...,t·hop_length + n]·exp(-2πi·k·n/n_fft)|^power

    Parameters
        n_fft : samples of a frame; frequency k is k·sample_rate / n_fft Hz.
        win_length : samples of the window, in the middle of the frame; None is n_fft.
        hop_length : samples from frame to frame; None is win_length // 2.
        pad : zeros at both ends.
        window : "hann", "hamming", "blackman" or "boxcar"; periodic.
        power : exponent of the magnitude: 1 the magnitude, 2 the power.
        normalized : whether the magnitude is divided by the root of the window's sum of squares.
        center : whether frame t has its middle at t·hop_length; else it begins there.
        pad_mode : what stands beyond the ends then: "reflect", "replicate" or "constant" (zeros).
    Raises
        ArgumentError: win_length is greater than n_fft.
        DTypeError: when called with whole numbers, whose scale nobody knows.
        ShapeError: when called with fewer samples than a frame takes.
    Source
        `torchaudio.transforms.Spectrogram`; the window is named, and results are never complex.
    Examples
        >>> from pellucid import nn
        >>> nn.Spectrogram(n_fft=256, hop_length=80)(pl.zeros((2, 8000))).shape
        (2, 129, 101)
    """

    @checked(**CONSTRAINTS)
    def __init__(
        self,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        pad: int = 0,
        window: str = "hann",
        power: float = 2.0,
        normalized: bool = False,
        center: bool = True,
        pad_mode: str = "reflect",
    ) -> None:
        self.n_fft, self.pad, self.window = int(n_fft), int(pad), window
        self.win_length, self.hop_length = lengths(type(self).__name__, n_fft, win_length, hop_length)
        self.power, self.normalized, self.center = float(power), bool(normalized), bool(center)
        self.pad_mode = pad_mode

    def forward(self, x: Any) -> Tensor:
        """x (..., samples) -> (..., n_fft // 2 + 1, frames)."""
        return swapaxes(self._bins(x), -1, -2)

    def _bins(self, x: Any) -> Tensor:
        return bins(
            x,
            self.n_fft,
            self.win_length,
            self.hop_length,
            self.pad,
            self.window,
            self.power,
            self.normalized,
            self.center,
            self.pad_mode,
        )

    def extra_repr(self) -> str:
        return f"n_fft={self.n_fft}, win_length={self.win_length}, hop_length={self.hop_length}"


class MelSpectrogram(Spectrogram):
    """A spectrogram whose frequencies are gathered into bands that are equally far apart for the ear.

        y[...,m,t] = Σ_k triangle[k,m]·spectrogram[...,k,t]

    Parameters
        sample_rate : samples a second.
        n_fft, win_length, hop_length, pad, window, power, normalized, center, pad_mode : those of `Spectrogram`.
        f_min, f_max : the lowest and the highest frequency, in Hz; None is half the sample rate.
        n_mels : bands. torchaudio's 128 leaves some of them without any frequency at its own n_fft of 400.
        norm : None for triangles with tops of 1; "slaney" for areas of 1.
        mel_scale : "htk" or "slaney", see `functional.mel_frequencies`.
    Raises
        ArgumentError: f_min is not below f_max, or f_max is above half the sample rate; those of `Spectrogram`.
    Warns
        Bands that lie between two frequencies are 0 whatever sounds.
    Source
        `torchaudio.transforms.MelSpectrogram`; S. Davis, P. Mermelstein, Comparison of parametric representations for
        monosyllabic word recognition, 1980.
    """

    @checked(**CONSTRAINTS, **_MEL)
    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        pad: int = 0,
        n_mels: int = 40,
        window: str = "hann",
        power: float = 2.0,
        normalized: bool = False,
        center: bool = True,
        pad_mode: str = "reflect",
        norm: str | None = None,
        mel_scale: str = "htk",
    ) -> None:
        super().__init__(n_fft, win_length, hop_length, pad, window, power, normalized, center, pad_mode)
        self.sample_rate, self.n_mels = int(sample_rate), int(n_mels)
        self.f_min, self.f_max = float(f_min), sample_rate / 2 if f_max is None else float(f_max)
        self.norm, self.mel_scale = norm, mel_scale
        check_range(type(self).__name__, self.f_min, self.f_max, sample_rate)
        note_empty(type(self).__name__, self.sample_rate, self.n_fft, n_mels, self.f_min, self.f_max, mel_scale)

    def forward(self, x: Any) -> Tensor:
        """x (..., samples) -> (..., n_mels, frames)."""
        return swapaxes(self._bands(x), -1, -2)

    def _bands(self, x: Any) -> Tensor:
        y = self._bins(x)
        matrix = filters(
            self.sample_rate,
            self.n_fft,
            self.n_mels,
            self.f_min,
            self.f_max,
            self.norm,
            self.mel_scale,
            y.dtype.name,
        )
        return matmul(y, wrap(matrix))

    def extra_repr(self) -> str:
        ends = f"f_min={self.f_min:g}, f_max={self.f_max:g}"
        return f"sample_rate={self.sample_rate}, {super().extra_repr()}, n_mels={self.n_mels}, {ends}"


class LogMelSpectrogram(MelSpectrogram):
    """The logarithm of a mel spectrogram: what most networks for sound take.

        y[...,m,t] = log(Σ_k triangle[k,m]·spectrogram[...,k,t] + eps)

    Parameters
        sample_rate, n_fft, win_length, hop_length, f_min, f_max, pad, n_mels, window, power, normalized, center,
            pad_mode, norm, mel_scale : those of `MelSpectrogram`.
        eps : added under the logarithm, so that silence is log(eps).
    Raises
        ArgumentError: those of `MelSpectrogram`.
    Source
        The natural logarithm and the eps of `torchaudio.transforms.MFCC` with `log_mels=True`.
    Examples
        >>> from pellucid import nn
        >>> features = nn.LogMelSpectrogram(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=32)
        >>> features(pl.zeros((2, 8000))).shape
        (2, 32, 101)
    """

    @checked(**CONSTRAINTS, **_MEL, eps=Real(0, left_open=True))
    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 400,
        win_length: int | None = None,
        hop_length: int | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        pad: int = 0,
        n_mels: int = 40,
        window: str = "hann",
        power: float = 2.0,
        normalized: bool = False,
        center: bool = True,
        pad_mode: str = "reflect",
        norm: str | None = None,
        mel_scale: str = "htk",
        eps: float = 1e-6,
    ) -> None:
        super().__init__(
            sample_rate, n_fft, win_length, hop_length, f_min, f_max, pad, n_mels, window, power, normalized, center,
            pad_mode, norm, mel_scale,
        )  # fmt: skip
        self.eps = float(eps)

    def _bands(self, x: Any) -> Tensor:
        return log(super()._bands(x) + self.eps)


class MFCC(Module):
    """Mel-frequency cepstral coefficients: the cosine transform of a mel spectrogram in decibels or logarithms.

        y[...,c,t] = Σ_m dct[m,c]·dB(mel[...,m,t])

    Parameters
        sample_rate : samples a second.
        n_mfcc : coefficients, at most the number of mel bands.
        norm : "ortho" for an orthonormal transform; None for twice the plain sum.
        log_mels : whether log(mel + 1e-6) is taken for decibels, which are limited to 80 below their greatest.
        melkwargs : further arguments of `MelSpectrogram`, as a dict.
    Raises
        ArgumentError: more coefficients than bands; those of `MelSpectrogram`.
        ArgumentTypeError: melkwargs is no dict of its arguments.
    Source
        `torchaudio.transforms.MFCC`, but for the limit of 80 dB, which here each recording has by itself, and for 40
        bands, see `MelSpectrogram`.
    """

    @checked(sample_rate=Integer(1), n_mfcc=Integer(1), norm=Options(None, "ortho"))
    def __init__(
        self,
        sample_rate: int = 16000,
        n_mfcc: int = 40,
        norm: str | None = "ortho",
        log_mels: bool = False,
        melkwargs: Any = None,
    ) -> None:
        if melkwargs is not None and not isinstance(melkwargs, dict):
            raise ArgumentTypeError(
                "core.type",
                name="MFCC: melkwargs",
                value=repr(melkwargs),
                type=type(melkwargs).__name__,
                expected="dict",
            )
        self.n_mfcc, self.norm, self.log_mels = int(n_mfcc), norm, bool(log_mels)
        self.mel_spectrogram = MelSpectrogram(**{"sample_rate": sample_rate, **(melkwargs or {})})
        if n_mfcc > self.mel_spectrogram.n_mels:
            raise ArgumentError("audio.cepstra", n_mfcc=n_mfcc, n_mels=self.mel_spectrogram.n_mels)

    def forward(self, x: Any) -> Tensor:
        """x (..., samples) -> (..., n_mfcc, frames)."""
        y = self.mel_spectrogram._bands(x)
        y = log(y + 1e-6) if self.log_mels else power_to_db(y, top_db=80.0)
        matrix = cosine_transform(self.n_mfcc, self.mel_spectrogram.n_mels, self.norm, y.dtype.name)
        return swapaxes(matmul(y, wrap(matrix)), -1, -2)

    def extra_repr(self) -> str:
        return f"n_mfcc={self.n_mfcc}, norm={self.norm!r}, log_mels={self.log_mels}"
