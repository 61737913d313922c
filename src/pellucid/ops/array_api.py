"""What the array-API standard asks of a namespace and of its arrays beside the functions: the version followed, what
can be expected of it, and where arrays live. `pellucid` and Tensor have it from here, for code written for any library.

Source
    Consortium for Python Data API Standards, Python array API standard, 2024.12, "Inspection" and "Array object".
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from pellucid._typing import DType
from pellucid.core.check import shown
from pellucid.core.context import default_dtype
from pellucid.core.tensor import Tensor
from pellucid.errors import ArgumentError
from pellucid.ops.dtypes import isdtype

VERSION = "2024.12"

_VERSIONS = ("2021.12", "2022.12", "2023.12", VERSION)
_DEVICE = "cpu"
_DTYPES = {
    name: np.dtype(name) for name in "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()
}


class NamespaceInfo:
    """What can be expected of the namespace: its abilities, devices and dtypes. There are no complex numbers."""

    def capabilities(self) -> dict[str, bool | int]:
        """Whether boolean masks index and shapes may depend on values, and how many axes a tensor can have."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": _MOST_AXES}

    def default_device(self) -> str:
        return _DEVICE

    def devices(self) -> list[str]:
        return [_DEVICE]

    def default_dtypes(self, *, device: str | None = None) -> dict[str, DType]:
        """The dtypes of new floats (`set_default_dtype`), whole numbers and positions."""
        _check_device("default_dtypes", device)
        return {"real floating": default_dtype(), "integral": np.dtype(np.int64), "indexing": np.dtype(np.int64)}

    def dtypes(self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None) -> dict[str, DType]:
        """The dtypes by name; of one or several kinds, as for `isdtype`.

        Raises
            ArgumentError: there is no such kind, or no such device.
        """
        _check_device("dtypes", device)
        return {name: dtype for name, dtype in _DTYPES.items() if kind is None or isdtype(dtype, kind)}


_MOST_AXES = 64 if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else 32


def namespace_info() -> NamespaceInfo:
    """What can be expected of the namespace: capabilities, devices and dtypes.

    Examples
        >>> import pellucid as pl
        >>> pl.__array_namespace_info__().devices()
        ['cpu']
    """
    return NamespaceInfo()


def namespace(self: Tensor, /, *, api_version: str | None = None) -> Any:
    """The namespace of the array-API standard: pellucid itself.

    Raises
        ArgumentError: it follows another version than `api_version`.
    """
    if api_version is not None and api_version not in _VERSIONS:
        raise ArgumentError("core.standard-version", given=shown(api_version), expected=", ".join(_VERSIONS))
    return importlib.import_module("pellucid")


def device(self: Tensor) -> str:
    """Where the tensor is: "cpu", the memory that NumPy shares."""
    return _DEVICE


def to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """The tensor itself: it is on the only device.

    Raises
        ArgumentError: the device is not "cpu", or a stream is given.
    """
    _check_device("to_device", device)
    if stream is not None:
        raise ArgumentError("core.option", name="to_device: stream", value=shown(stream), options="None")
    return self


def _check_device(function: str, device: Any) -> None:
    if device is not None and device != _DEVICE:
        raise ArgumentError("core.option", name=f"{function}: device", value=shown(device), options=repr(_DEVICE))
