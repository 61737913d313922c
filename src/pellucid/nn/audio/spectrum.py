"""A waveform comes in; the power of its frequencies over time leaves. Called by the layers of sound and as
`nn.functional.spectrogram`.

The discrete Fourier transform is written as a product with cosines and sines, which hold the window too:
for the few hundred samples of a frame these are as quick as a fast transform, their gradients are products again, and
whatever compiles products compiles them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Constraint, Flag, Integer, Options, Real, check
from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor, as_tensor, wrap
from pellucid.errors import ArgumentError, DTypeError, ShapeError
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import greater, power, sqrt, square, where
from pellucid.ops.linalg import tensordot
from pellucid.ops.reduce import sum_
from pellucid.ops.shape import pad as pad_
from pellucid.ops.shape import swapaxes
from pellucid.ops.windows import windows

# Windows are sums of cosines: the weights of 1, cos(2πn/N), cos(4πn/N).
WINDOWS = {"hann": (0.5, -0.5), "hamming": (0.54, -0.46), "blackman": (0.42, -0.5, 0.08), "boxcar": (1.0,)}

CONSTRAINTS: dict[str, Constraint] = {
    "n_fft": Integer(2),
    "win_length": Integer(1, none=True),
    "hop_length": Integer(1, none=True),
    "pad": Integer(0),
    "window": Options(*WINDOWS),
    "power": Real(0, left_open=True),
    "normalized": Flag(),
    "center": Flag(),
    "pad_mode": Options("reflect", "replicate", "constant"),
}
"""What the arguments of a spectrogram may be."""


@composite(
    formula="y[...,k,t] = |Σ_n window[n]·x[...,t·hop_length + n]·exp(-2πi·k·n/n_fft)|^power",
    onnx=NONE("Gather, MatMul and a sum of squares"),
)
def spectrogram(
    waveform: Any,
    n_fft: int = 400,
    win_length: int | None = None,
    hop_length: int | None = None,
    pad: int = 0,
    window: str = "hann",
    power: float = 2.0,
    normalized: bool = False,
    center: bool = True,
    pad_mode: str = "reflect",
) -> Tensor:
    """The power of each frequency in short, overlapping frames of a waveform.

    Frequency k is k·sample_rate / n_fft Hz, from 0 to half the sample rate; frame t is about the sample t·hop_length.

    Parameters
        waveform : Tensor, shape (..., samples), float.
        n_fft : samples of a frame.
        win_length : samples of the window, in the middle of the frame; None is n_fft.
        hop_length : samples from frame to frame; None is win_length // 2.
        pad : zeros at both ends.
        window : "hann", "hamming", "blackman" or "boxcar", SciPy's names; periodic.
        power : exponent of the magnitude: 1 the magnitude, 2 the power.
        normalized : whether the magnitude is divided by the root of the window's sum of squares.
        center : whether frames have their middle at t·hop_length, for which n_fft // 2 samples are added at both ends;
            else they begin there.
        pad_mode : how: "reflect" (mirrored without the edge), "replicate" (the edge repeated) or "constant" (zeros).
    Returns
        Tensor, shape (..., n_fft // 2 + 1, frames)
    Raises
        DTypeError: whole numbers, whose scale nobody knows.
        ShapeError: fewer samples than one frame takes, or than "reflect" needs.
        ArgumentError: win_length is greater than n_fft.
    Source
        `torchaudio.functional.spectrogram`, whose values and names these are; windows by name, and no complex results.
    """
    options = {
        "n_fft": n_fft,
        "win_length": win_length,
        "hop_length": hop_length,
        "pad": pad,
        "window": window,
        "power": power,
        "normalized": normalized,
        "center": center,
        "pad_mode": pad_mode,
    }
    for name, value in options.items():
        check(f"spectrogram: {name}", value, CONSTRAINTS[name])
    length, hop = lengths("spectrogram", n_fft, win_length, hop_length)
    return swapaxes(bins(waveform, n_fft, length, hop, pad, window, power, normalized, center, pad_mode), -1, -2)


def lengths(owner: str, n_fft: int, win_length: int | None, hop_length: int | None) -> tuple[int, int]:
    """win_length and hop_length with their defaults filled in.

    Raises
        ArgumentError: win_length is greater than n_fft.
    """
    length = n_fft if win_length is None else win_length
    if length > n_fft:
        raise ArgumentError("audio.win-length", layer=owner, win_length=length, n_fft=n_fft)
    return length, max(length // 2, 1) if hop_length is None else hop_length


def bins(
    waveform: Any,
    n_fft: int,
    win_length: int,
    hop_length: int,
    pad: int,
    window: str,
    power_: float,
    normalized: bool,
    center: bool,
    pad_mode: str,
) -> Tensor:
    """The spectrogram with time in front of frequency, (..., frames, n_fft // 2 + 1), as products make it."""
    x = as_tensor(waveform)
    if x.dtype.kind != "f":
        raise DTypeError("audio.waveform-dtype", dtype=x.dtype)
    if x.ndim == 0:
        raise ShapeError("audio.waveform-shape", shape=x.shape)
    border = n_fft // 2 if center else 0
    samples = x.shape[-1] + 2 * pad
    least = max(1 if center else n_fft, border + 1 if center and pad_mode == "reflect" else 1)
    if samples < least:
        raise ShapeError("audio.too-short", samples=samples, least=least, n_fft=n_fft)
    if pad:
        x = _widened(x, pad, "constant")
    if border:
        x = _widened(x, border, "edge" if pad_mode == "replicate" else pad_mode)
    count = 1 + (samples + 2 * border - n_fft) // hop_length
    start = (n_fft - win_length) // 2
    x = x[..., start : start + (count - 1) * hop_length + win_length]
    frames = windows(x, (win_length,), (hop_length,))
    # One product for both parts: the frames, which overlap in memory, are laid out for it but once.
    both = tensordot(frames, wrap(_waves(n_fft, win_length, window, normalized, x.dtype.name)), 1)
    y = sum_(square(both), -2)
    if power_ == 2:
        return y
    # The root of 0 has an infinite slope, which silence would turn into NaN in the gradient: there it is 0.
    sounds = greater(y, 0)
    safe = where(sounds, y, 1.0)
    return where(sounds, sqrt(safe) if power_ == 1 else power(safe, power_ / 2), 0.0)


def _widened(x: Tensor, width: int, mode: str) -> Tensor:
    return pad_(x, [(0, 0)] * (x.ndim - 1) + [(width, width)], mode)


@lru_cache(maxsize=32)
def _waves(n_fft: int, length: int, window: str, normalized: bool, dtype: str) -> Array:
    """Cosines and sines of each frequency, times the window, (win_length, 2, n_fft // 2 + 1); computed in float64, the
    angles reduced exactly."""
    n = np.arange(length)
    shape = np.zeros(length)
    for k, weight in enumerate(WINDOWS[window] if length > 1 else (1.0,)):
        shape += weight * np.cos(2 * np.pi * k * n / length)
    if normalized:
        shape /= np.sqrt(np.sum(shape**2))
    turns = np.outer(n + (n_fft - length) // 2, np.arange(n_fft // 2 + 1)) % n_fft
    angles = 2 * np.pi * turns / n_fft
    return np.asarray(np.stack([np.cos(angles), -np.sin(angles)], 1) * shape[:, None, None], dtype)
