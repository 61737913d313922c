"""The word SOUNDS of a command line comes in: the spoken digits, or the path of a folder or zip of WAV files, or of one
such file. The recordings, all of one length, leave. Called by `train audio`, and by `evaluate` and `predict` for its
models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pellucid.cli.sources import Source
from pellucid.core.check import closest
from pellucid.data import Recordings, read_wav, spoken_digits
from pellucid.data.free_spoken_digits import split_of
from pellucid.data.recordings import read_folder, recordings
from pellucid.errors import DataError, LabelError, MissingFileError
from pellucid.train.loaded import LoadedModel

SPOKEN_DIGITS = "spoken-digits"

# So many of the recordings are not cut; rounded up to a tenth of a second.
_UNCUT = 0.99


def load_sounds(word: str, labels: str = "auto", seconds: float | None = None) -> Source:
    """The recordings that SOUNDS names.

    Where all files are named as those of the spoken digits are, the split is the published one.

    Parameters
        labels : "folder", "name", or "auto": by folder where there are several, else by what stands before the first
            "_" of a file's name
        seconds : length of each row; None is the length that 99 of 100 recordings do not exceed
    Raises
        MissingFileError: neither the spoken digits nor a path that is there, or no WAV file in it.
        FileFormatError, DataError: files that cannot be read as recordings of one kind.
    """
    if word.lower().replace("_", "-") == SPOKEN_DIGITS and not Path(word).exists():
        num_samples = 8000 if seconds is None else max(1, round(seconds * 8000))
        train, test = (spoken_digits(split, num_samples=num_samples) for split in ("train", "test"))
        return Source(SPOKEN_DIGITS, train, test)
    place = Path(word).expanduser()
    if not place.exists():
        near = closest(word.lower(), [SPOKEN_DIGITS])
        raise MissingFileError("audio.no-sounds", word=word, names=SPOKEN_DIGITS, suggestion=near)
    waves, names, rate = read_folder(place)
    if not names:
        raise MissingFileError("audio.no-wav", path=word)
    longest = usual_length([len(wave) for wave in waves], rate)
    num_samples = longest if seconds is None else max(1, round(seconds * rate))
    name = place.resolve().stem
    whole = recordings(waves, names, classes_of(names, labels, word), rate, num_samples, name, str(place))
    splits = np.array([split_of(file) or "" for file in names])
    if not (splits == "").any() and (splits == "test").any() and (splits == "train").any():
        return Source(name, whole[splits == "train"], whole[splits == "test"])
    return Source(name, whole)


def classes_of(names: list[str], labels: str, word: str) -> list[str]:
    """The class of each file, by its folder or its name.

    Raises
        DataError: by folder, and all files lie in one.
    """
    folders = [PurePosixPath(name).parent.name for name in names]
    several = len(set(folders)) > 1
    if labels == "name" or (labels == "auto" and not several):
        return [PurePosixPath(name).stem.partition("_")[0] for name in names]
    if not several:
        raise DataError("audio.one-folder", path=word, folder=folders[0] or ".", file=names[0])
    return folders


def usual_length(lengths: list[int], rate: int) -> int:
    """Samples that all but a hundredth of the recordings do not exceed, rounded up to a tenth of a second."""
    tenth = max(1, rate // 10)
    return math.ceil(float(np.quantile(lengths, _UNCUT)) / tenth) * tenth


@dataclass(frozen=True)
class Sound:
    """What a model for recordings takes: samples a second, samples of each row, where labels are read."""

    sample_rate: int
    num_samples: int
    labels: str = "auto"

    @classmethod
    def of(cls, model: LoadedModel) -> Sound | None:
        """As the model's file says; None for a model of other things, and where it is not what the network takes."""
        kept = model.metadata.get("sound")
        if not isinstance(kept, dict) or set(kept) != {"sample_rate", "num_samples", "labels"}:
            return None
        rate, num_samples, labels = kept["sample_rate"], kept["num_samples"], kept["labels"]
        fits = type(rate) is int and rate > 0 and model.graph.inputs[0].spec.shape[1:] == (num_samples,)
        return cls(rate, num_samples, labels) if fits and labels in ("auto", "folder", "name") else None


def sounds_for(word: str, sound: Sound) -> Recordings:
    """One WAV file, or those of a folder or zip, as a model takes them; without labels.

    Raises
        MissingFileError: nothing there, or no WAV file in it.
        DataError: another sample rate than the model was trained on; nothing is resampled.
    """
    place = Path(word).expanduser()
    if not place.exists():
        raise MissingFileError("audio.no-input", word=word)
    if place.is_file() and place.suffix.lower() == ".wav":
        wave, rate = read_wav(place)
        names, waves = [place.name], [wave[0] if len(wave) == 1 else wave.mean(axis=0)]
        if not wave.shape[1]:
            raise DataError("audio.no-samples", path=word)
    else:
        waves, names, rate = read_folder(place)
        if not names:
            raise MissingFileError("audio.no-wav", path=word)
    require_rate(word, rate, sound)
    return recordings(waves, names, None, rate, sound.num_samples, place.stem, str(place))


def labelled_sounds(word: str, sound: Sound, names: list[str]) -> Source:
    """Recordings with their labels as a model numbers them.

    Parameters
        names : the model's classes
    Raises
        DataError: another sample rate.
        LabelError: a class that the model does not know.
    """
    source = load_sounds(word, sound.labels, sound.num_samples / sound.sample_rate)
    first: Any = source.train
    require_rate(word, first.sample_rate, sound)
    test = None if source.test is None else renumbered(source.test, names)
    return replace(source, train=renumbered(source.train, names), test=test)


def renumbered(data: Any, names: list[str]) -> Any:
    """The recordings with the numbers that their classes have in another list of names."""
    own = data.class_names or ()
    for number, name in enumerate(own):
        if name not in names and (data.y == number).any():
            row = int((data.y == number).argmax())
            raise LabelError("audio.model-classes", name=name, file=str(data.files[row]), options=", ".join(names))
    numbers = np.array([names.index(name) if name in names else 0 for name in own])
    return replace(data, y=numbers[data.y], class_names=tuple(names))


def require_rate(word: str, rate: int, sound: Sound) -> None:
    """Raise unless recordings have the model's sample rate."""
    if rate != sound.sample_rate:
        raise DataError("audio.model-rate", path=word, given=rate, expected=sound.sample_rate)
