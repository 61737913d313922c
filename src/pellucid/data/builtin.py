"""Nothing comes in; the handwritten digits that ship with the package leave. Called by users, examples and the command
line.
"""

from __future__ import annotations

import io

import numpy as np

from pellucid.data.dataset import Dataset

_DIGITS = (
    "1,797 handwritten digits of 13 people, 8x8 pixels: the test part of 'Optical Recognition of Handwritten Digits', "
    "E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998, doi:10.24432/C50P49, CC BY 4.0."
)


def digits() -> Dataset:
    """The 8x8 handwritten digits: 1,797 images of ten classes, in the order of scikit-learn's copy.

    Each pixel counts the ink in a 4x4 block of a 32x32 bitmap, 0 to 16 in the original; here it is divided by 16, so
    that x lies in [0, 1] (every value is exact in float32). The set is not sorted, and its classes are nearly even.

    Returns
        Dataset with x (1797, 64) float32, y (1797,) int64, class names "0" to "9", images (1797, 8, 8)
    Source
        E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
        doi:10.24432/C50P49, licence CC BY 4.0; the test part.
    Examples
        >>> data = digits()
        >>> data.x.shape, data.y[:5].tolist()
        ((1797, 64), [0, 1, 2, 3, 4])
    """
    from importlib.resources import files

    raw = files("pellucid.data").joinpath("files", "digits.npz").read_bytes()
    with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    return Dataset(
        np.divide(images.reshape(len(images), 64), 16, dtype=np.float32),
        labels.astype(np.int64),
        tuple("0123456789"),
        tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
        "digits",
        _DIGITS,
        (8, 8),
    )
