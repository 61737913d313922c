"""The word SOUNDS of a command line comes in: the spoken digits, or the path of a folder or zip of WAV files, or of one
such file. The recordings, all of one length, leave. Called by `train audio`, and by `evaluate` and `predict` for its
models.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from pellucid.cli.sources import Source
from pellucid.core.check import closest
from pellucid.data import Recordings, read_wav, spoken_digits
from pellucid.data.audio_folder import read_folder, recordings
from pellucid.data.spoken_digits import split_of
from pellucid.errors import DataError, LabelError, MissingFileError

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
    """Samples that all but a hundredth of the recordings do not exceed, rounded up to a tenth of a second, but no more
    than the longest has."""
    tenth = max(1, rate // 10)
    wanted = math.ceil(float(np.quantile(lengths, _UNCUT)) / tenth) * tenth
    return min(wanted, max(lengths))


def sounds_for(word: str, sound: dict[str, Any]) -> Recordings:
    """One WAV file, or those of a folder or zip, as a model takes them; without labels.

    Parameters
        sound : what the model's file says: sample_rate, num_samples
    Raises
        DataError: another sample rate than the model was trained on; nothing is resampled.
    """
    place, num_samples = Path(word).expanduser(), int(sound["num_samples"])
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
    return recordings(waves, names, None, rate, num_samples, place.stem, str(place))


def labelled_sounds(word: str, sound: dict[str, Any], names: list[str]) -> Source:
    """Recordings with their labels as a model numbers them.

    Parameters
        sound : what the model's file says: sample_rate, num_samples, labels
        names : the model's classes
    Raises
        DataError: another sample rate.
        LabelError: a class that the model does not know.
    """
    source = load_sounds(word, str(sound["labels"]), int(sound["num_samples"]) / int(sound["sample_rate"]))
    require_rate(word, _recordings(source.train).sample_rate, sound)
    train, test = (None if part is None else renumbered(part, names) for part in (source.train, source.test))
    return replace(source, train=train, test=test)  # type: ignore[arg-type]


def renumbered(data: Any, names: list[str]) -> Any:
    """The recordings with the numbers that their classes have in another list of names."""
    own = data.class_names or ()
    for number, name in enumerate(own):
        if name not in names and (data.y == number).any():
            row = int((data.y == number).argmax())
            raise LabelError("audio.model-classes", name=name, file=str(data.files[row]), options=", ".join(names))
    numbers = np.array([names.index(name) if name in names else 0 for name in own])
    return replace(data, y=numbers[data.y], class_names=tuple(names))


def require_rate(word: str, rate: int, sound: dict[str, Any]) -> None:
    """Raise unless recordings have the model's sample rate."""
    if rate != int(sound["sample_rate"]):
        raise DataError("audio.model-rate", path=word, given=rate, expected=int(sound["sample_rate"]))


def _recordings(data: Any) -> Recordings:
    found: Recordings = data
    return found
