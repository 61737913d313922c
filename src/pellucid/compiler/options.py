"""Functions of Settings come in; the optimizers' options that they are computed from leave, with a question that costs
no more than to read these: are they still those of last time? Called by `guards` and `step` before every run, since
options change seldom, and what follows from them need not be computed again until they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import is_
from typing import Any

from pellucid.core.same import is_plain
from pellucid.core.setting import Setting, computed
from pellucid.core.tensor import Tensor


class Options:
    """The options that functions of Settings read, and what they were at one time.

    Parameters
        functions : partials of `computed`, or what reads one option by itself
    """

    def __init__(self, functions: Iterable[Callable[[], Any]]) -> None:
        self._reads = list({key: read for find in functions for key, read in _read_by(find)}.values())
        self._kept: list[Any] | None = None

    def now(self) -> list[Any]:
        """What they are now, for `keep`."""
        return [read() for read in self._reads]

    def as_kept(self, now: list[Any]) -> bool:
        """Whether these are the very values that were kept: what is computed from them is the same too."""
        kept = self._kept
        return kept is not None and all(map(is_, now, kept))

    def keep(self, now: list[Any]) -> None:
        """Keep values, unless one of them is a thing that may change and stay the same thing."""
        self._kept = now if all(map(is_plain, now)) else None


class Lifted:
    """Tensors that hold the values of Settings, which are written there before every run."""

    def __init__(self, settings: Iterable[tuple[Tensor, Setting]]) -> None:
        self._settings = list(settings)
        self._options = Options([setting.read for _, setting in self._settings])
        self._written: list[bytes] = []

    def refresh(self) -> None:
        """Write the values that the settings have now, where they are not there already."""
        now = self._options.now()
        # Others write there too, such as a run of many steps.
        if self._options.as_kept(now) and self._there() == self._written:
            return
        for tensor, setting in self._settings:
            tensor.data[...] = setting.read()
        self._options.keep(now)
        self._written = self._there()

    def _there(self) -> list[bytes]:
        return [tensor.data.tobytes() for tensor, _ in self._settings]


def of_options(find: partial[Any]) -> bool:
    """Whether what a function gives depends on options alone, and not on a Tensor with which one is compared."""
    return find.func is computed and all([isinstance(x, Setting) or is_plain(x) for x in find.args[1:]])


def _read_by(find: Callable[[], Any], key: Any = None) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """The options that a function reads, each with a key of its own, and how to read them."""
    if isinstance(find, partial) and find.func is computed:
        for x in find.args[1:]:
            if isinstance(x, Setting):
                yield from _read_by(x.read, x.key)
    else:
        yield (id(find) if key is None else key), find
