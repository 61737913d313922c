"""Spectrograms, the mel scale, decibels and cepstra: values by hand, from SciPy, and from what librosa and torchaudio
publish; gradients by differences; what is refused. PyTorch's side is in test_audio_torch.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, DTypeError, PellucidWarning, ShapeError
from pellucid.nn import functional as F

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 300))


def said(error: Any) -> str:
    return str(error.value).rpartition("\n  at:")[0]


# Spectrograms


def test_a_cosine_stands_at_its_frequency() -> None:
    # cos(2π·4n/32) in frames of 32 without a window: half of 32 at frequency 4, 0 elsewhere.
    x = np.cos(2 * np.pi * 4 * np.arange(96) / 32)
    y = F.spectrogram(x, n_fft=32, hop_length=32, window="boxcar", center=False)
    assert y.shape == (17, 3)
    expected = np.zeros((17, 3))
    expected[4] = 16**2
    np.testing.assert_allclose(y.numpy(), expected, atol=1e-20)
    magnitude = F.spectrogram(x, n_fft=32, hop_length=32, window="boxcar", center=False, power=1)
    np.testing.assert_allclose(magnitude.numpy(), np.sqrt(expected), atol=1e-12)


def test_the_definition() -> None:
    n_fft, hop = 12, 5
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = np.stack([X[0, t * hop : t * hop + n_fft] for t in range(1 + (300 - n_fft) // hop)])
    expected = np.abs(np.fft.rfft(frames * window)).T ** 2
    y = F.spectrogram(X[0], n_fft, hop_length=hop, center=False)
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.sklearn  # which brings SciPy
@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "boxcar"])
@pytest.mark.parametrize(("n_fft", "length", "hop"), [(64, 64, 16), (64, 40, 10), (63, 63, 21), (30, 11, 7)])
def test_against_scipy(window: str, n_fft: int, length: int, hop: int) -> None:
    signal = pytest.importorskip("scipy.signal")
    shape = signal.get_window(window, length)
    short = signal.ShortTimeFFT(shape, hop, fs=1.0, mfft=n_fft, fft_mode="onesided", phase_shift=None)
    y = F.spectrogram(X, n_fft, length, hop, window=window, center=False).numpy()
    # SciPy's slice p begins at p·hop less half a window; the window lies in the middle of our frames.
    first = -(-short.m_num_mid // hop)
    x = np.pad(X[:, (n_fft - length) // 2 :], ((0, 0), (first * hop - short.m_num_mid, n_fft)))
    z = short.stft(x, p0=first, p1=first + y.shape[-1])
    np.testing.assert_allclose(y, np.abs(z) ** 2, rtol=1e-10, atol=1e-12)


def test_silence_has_a_gradient_of_zero() -> None:
    for power in (1.0, 0.5, 2.0):
        x = pl.Tensor(np.zeros(64), requires_grad=True)
        F.spectrogram(x, 16, power=power).sum().backward()
        assert not x.grad.numpy().any()


@pytest.mark.parametrize("power", [2.0, 1.0, 0.7])
def test_gradients(power: float) -> None:
    layer = nn.Spectrogram(8, 6, 3, pad=2, power=power, normalized=True)
    pl.check_gradients(layer, X[:, :20])

    def slope(x: Any) -> Any:
        with pl.enable_grad():
            return pl.autograd.grad(layer(x).sum(), x, create_graph=True)

    pl.check_gradients(slope, X[:1, :20])


def test_gradients_of_the_features() -> None:
    options = {"sample_rate": 100, "n_fft": 32, "hop_length": 8, "n_mels": 5}
    pl.check_gradients(nn.LogMelSpectrogram(**options, eps=0.1), X[:, :50])
    pl.check_gradients(nn.MFCC(100, 3, melkwargs={k: v for k, v in options.items() if k != "sample_rate"}), X[:1, :50])


def test_dtypes() -> None:
    layer = nn.LogMelSpectrogram(8000, 256, 200, 80, n_mels=20)
    assert layer(X).dtype == np.float64
    assert layer(X.astype(np.float32)).dtype == np.float32
    assert layer(X.tolist()).dtype == np.float32
    np.testing.assert_allclose(layer(X.astype(np.float32)).numpy(), layer(X).numpy(), rtol=2e-5, atol=2e-5)
    assert layer.state_dict() == {}


def test_one_recording_has_no_say_in_another() -> None:
    layer = nn.MFCC(8000, 13, melkwargs={"n_fft": 128, "n_mels": 20})
    loud, soft = X[:1] * 1e4, X[1:] * 1e-4
    together = layer(np.concatenate([loud, soft])).numpy()
    np.testing.assert_allclose(together[1:], layer(soft).numpy(), rtol=1e-11, atol=1e-11)
    # Axes in front are alike.
    np.testing.assert_allclose(layer(X[:, None]).numpy()[:, 0], layer(X).numpy(), rtol=1e-12)


# The mel scale


def test_mel_frequencies_that_librosa_publishes() -> None:
    # librosa 0.10.2, docstring of `mel_frequencies`: n_mels=40, fmin=0, fmax=11025, Slaney's scale.
    expected = """
        0. 85.317 170.635 255.952 341.269 426.586 511.904 597.221 682.538 767.855 853.173 938.49 1024.856 1119.114
        1222.042 1334.436 1457.167 1591.187 1737.532 1897.337 2071.84 2262.393 2470.47 2697.686 2945.799 3216.731
        3512.582 3835.643 4188.417 4573.636 4994.285 5453.621 5955.205 6502.92 7101.009 7754.107 8467.272 9246.028
        10096.408 11025.
    """
    y = F.mel_frequencies(40, 0, 11025, "slaney")
    np.testing.assert_allclose(y.numpy(), [float(v) for v in expected.split()], rtol=1e-6, atol=6e-4)


def test_mel_frequencies_of_htk() -> None:
    # 1000 Hz are 2595·log10(1 + 10/7) = 999.9856 mel; half way there, 700·(10^(499.9928/2595) - 1) Hz.
    y = F.mel_frequencies(3, 0, 1000)
    assert 2595 * math.log10(1 + 1000 / 700) == pytest.approx(999.9856, abs=1e-4)
    np.testing.assert_allclose(y.numpy(), [0, 700 * (10 ** (499.99277 / 2595) - 1), 1000], rtol=1e-6)


def test_triangles_by_hand() -> None:
    # On Slaney's scale below 1000 Hz steps are even: feet at 0, 200, 400, 600, frequencies every 100 Hz.
    y = F.melscale_fbanks(9, 0, 600, 2, 1600, mel_scale="slaney")
    np.testing.assert_allclose(y.numpy()[:, 0], [0, 0.5, 1, 0.5, 0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(y.numpy()[:, 1], [0, 0, 0, 0.5, 1, 0.5, 0, 0, 0], atol=1e-6)
    areas = F.melscale_fbanks(9, 0, 600, 2, 1600, "slaney", "slaney")
    np.testing.assert_allclose(areas.numpy(), y.numpy() * 2 / 400, atol=1e-9)
    assert float(areas.numpy()[:, 0].sum() * 100) == pytest.approx(1)  # Hz from frequency to frequency


def test_triangles_that_librosa_publishes() -> None:
    # librosa 0.10.2, `filters.mel`: sr=22050, n_fft=2048 begins [0, 0.016, ...]; with fmax=8000 [0, 0.02, ...].
    for f_max, second in ((11025.0, 0.016), (8000.0, 0.02)):
        y = F.melscale_fbanks(1025, 0, f_max, 128, 22050, "slaney", "slaney").numpy()
        assert y[0, 0] == 0
        assert y[1, 0] == pytest.approx(second, abs=5e-4)


def test_layers_of_frames_of_odd_length_know_their_frequencies() -> None:
    # n_fft 9 at 900 Hz: frequencies 0, 100, 200, 300, 400; a tone of 200 Hz is in the band about 200.
    layer = nn.MelSpectrogram(
        900, 9, hop_length=9, n_mels=1, f_max=400, mel_scale="slaney", window="boxcar", center=False
    )
    tone = np.cos(2 * np.pi * 200 * np.arange(9) / 900)
    np.testing.assert_allclose(layer(tone).numpy(), [[4.5**2]], rtol=1e-12)


def test_bands_without_a_frequency_are_said() -> None:
    with pytest.warns(PellucidWarning) as caught:
        nn.MelSpectrogram(n_mels=128)
    message = str(caught[0].message).rpartition("\n  at:")[0]
    fits = int(message.rpartition("n_mels=")[2])
    count = int((F.melscale_fbanks(201, 0, 8000, 128, 16000).numpy().max(0) == 0).sum())
    assert message == (
        "MelSpectrogram: mel bands that lie between two frequencies are 0 whatever sounds\n"
        f"  given:    {count} of n_mels = 128 bands, n_fft = 400\n"
        "  expected: at least one frequency in each band: fewer bands, or a greater n_fft\n"
        f"  fix:      n_mels={fits}"
    )
    nn.MelSpectrogram(n_mels=fits)


# Decibels and cepstra


def test_decibels() -> None:
    assert F.power_to_db(np.array([1.0, 10.0, 0.001, 0.0])).tolist() == [0, 10, -30, -100]
    assert F.power_to_db(np.array([100.0]), ref=10.0).tolist() == [10]
    x = np.array([[[1.0, 1e-9]], [[1e-9, 1e-10]]])
    np.testing.assert_allclose(F.power_to_db(x, top_db=80).numpy(), [[[0, -80]], [[-90, -100]]], atol=1e-12)


@pytest.mark.sklearn
@pytest.mark.parametrize("norm", [None, "ortho"])
def test_the_cosine_transform_is_scipys(norm: str | None) -> None:
    fft = pytest.importorskip("scipy.fft")
    x = RNG.normal(size=(4, 20))
    pl.set_default_dtype(np.float64)
    try:
        matrix = F.create_dct(13, 20, norm)
    finally:
        pl.set_default_dtype(np.float32)
    np.testing.assert_allclose(
        (pl.Tensor(x) @ matrix).numpy(), fft.dct(x, 2, norm=norm or "backward")[:, :13], rtol=1e-10
    )


def test_mfcc_is_its_parts() -> None:
    options = {"n_fft": 64, "hop_length": 16, "n_mels": 10}
    mel = nn.MelSpectrogram(8000, **options)(X).numpy()
    matrix = np.stack(
        [np.sqrt((1 if k == 0 else 2) / 10) * np.cos(np.pi * k * (np.arange(10) + 0.5) / 10) for k in range(4)]
    )
    y = nn.MFCC(8000, 4, log_mels=True, melkwargs=options)(X)
    np.testing.assert_allclose(y.numpy(), matrix @ np.log(mel + 1e-6), rtol=1e-9, atol=1e-9)
    loudness = 10 * np.log10(np.maximum(mel, 1e-10))
    loudness = np.maximum(loudness, loudness.max((1, 2), keepdims=True) - 80)
    y = nn.MFCC(8000, 4, melkwargs=options)(X)
    np.testing.assert_allclose(y.numpy(), matrix @ loudness, rtol=1e-9, atol=1e-9)


# In use


def test_in_a_network_that_is_recorded_compiled_and_saved(tmp_path: Any) -> None:
    pl.manual_seed(0)
    front = nn.LogMelSpectrogram(8000, 64, hop_length=32, n_mels=8)
    net = nn.Sequential(front, nn.Flatten(), nn.Linear(8 * 10, 3))
    x = X.astype(np.float32)
    expected = net(x).numpy()
    for backend in (pl.compile(net), pl.compile(net)):
        np.testing.assert_allclose(backend(x).numpy(), expected, rtol=1e-4, atol=1e-4)
    pl.save(net, tmp_path / "net.safetensors", example=x)
    np.testing.assert_allclose(pl.load(tmp_path / "net.safetensors")(x).numpy(), expected, rtol=1e-5, atol=1e-5)


# Refusals


def test_short_and_foreign_waveforms() -> None:
    layer = nn.Spectrogram(16)
    with pytest.raises(ShapeError) as short:
        layer(np.zeros(8))
    assert said(short) == (
        "the waveform is too short for a frame\n  given:    8 samples\n  expected: at least 9, with n_fft = 16"
    )
    assert layer(np.zeros(9)).shape == (9, 2)
    assert F.spectrogram(np.zeros(1), 16, pad_mode="constant").shape == (9, 1)
    assert F.spectrogram(np.ones(1), 16, pad_mode="replicate").shape == (9, 1)
    with pytest.raises(ShapeError, match="too short"):
        F.spectrogram(np.zeros(15), 16, center=False)
    assert F.spectrogram(np.zeros(16), 16, center=False).shape == (9, 1)
    with pytest.raises(DTypeError) as whole:
        layer(np.zeros(100, np.int16))
    assert said(whole) == (
        "whole numbers of a sound have no known scale\n"
        "  given:    int16\n"
        "  expected: floats; of 16-bit samples, samples / 32768 in float32"
    )
    with pytest.raises(ShapeError, match="at least one axis"):
        layer(pl.Tensor(1.0))
    assert layer(np.zeros((0, 100), np.float32)).shape == (0, 9, 13)


def test_arguments_that_contradict_each_other() -> None:
    with pytest.raises(ArgumentError) as window:
        nn.Spectrogram(16, 17)
    assert said(window) == (
        "Spectrogram: the window is longer than the frame\n"
        "  given:    win_length = 17, n_fft = 16\n"
        "  expected: win_length ≤ n_fft"
    )
    with pytest.raises(ArgumentError) as above:
        nn.LogMelSpectrogram(8000, 256, f_max=5000)
    assert said(above) == (
        "LogMelSpectrogram: f_max is above what the samples can hold\n"
        "  given:    f_max = 5000 Hz, sample_rate = 8000 Hz\n"
        "  expected: at most half the sample rate, 4000 Hz"
    )
    with pytest.raises(ArgumentError, match="f_min must be below f_max"):
        nn.MelSpectrogram(8000, 256, f_min=4000)
    with pytest.raises(ArgumentError, match="f_min must be below f_max"):
        F.mel_frequencies(3, 100, 100)
    with pytest.raises(ArgumentError, match="more cepstral coefficients than mel bands"):
        nn.MFCC(n_mfcc=41)
    with pytest.raises(ArgumentError, match="more cepstral coefficients than mel bands"):
        F.create_dct(5, 4)
    with pytest.raises(ArgumentTypeError, match="MFCC: melkwargs"):
        nn.MFCC(melkwargs=[1])
    with pytest.raises(ArgumentTypeError, match="has no argument"):
        nn.MFCC(melkwargs={"n_mel": 3})
    with pytest.raises(ShapeError, match="top_db needs spectrograms"):
        F.power_to_db(np.ones(3), top_db=80)
    with pytest.raises(DTypeError):
        F.power_to_db(np.ones(3, np.int64))


@pytest.mark.parametrize("layer", [nn.Spectrogram, nn.MelSpectrogram, nn.LogMelSpectrogram, nn.MFCC])
def test_constraints(layer: Any) -> None:
    for name, constraint in layer.__init__.constraints.items():
        for value in constraint.invalid():
            with pytest.raises((ArgumentError, ArgumentTypeError), match=f"{layer.__name__}: {name}"):
                layer(**{name: value})
    for name, value in (("n_fft", 1), ("window", "kaiser"), ("power", 0), ("center", 2), ("pad_mode", "wrap")):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=f"spectrogram: {name}"):
            F.spectrogram(np.zeros(100), **{name: value})
