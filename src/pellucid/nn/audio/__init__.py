"""Features of sound as layers and functions: waveforms come in; spectrograms, mel spectrograms and cepstra leave."""

from __future__ import annotations

from pellucid.nn.audio.layers import MFCC, LogMelSpectrogram, MelSpectrogram, Spectrogram
from pellucid.nn.audio.mel import create_dct, mel_frequencies, melscale_fbanks, power_to_db
from pellucid.nn.audio.spectrum import spectrogram

__all__ = [
    "MFCC",
    "LogMelSpectrogram",
    "MelSpectrogram",
    "Spectrogram",
    "create_dct",
    "mel_frequencies",
    "melscale_fbanks",
    "power_to_db",
    "spectrogram",
]
