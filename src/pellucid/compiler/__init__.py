"""The compiler: a training step or a function of Tensors as machine code, or as a plan of NumPy calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.compiler.cache import clear_cache
from pellucid.compiler.threads import get_num_threads, set_num_threads

if TYPE_CHECKING:
    from pellucid.compiler.step import Compiled as Compiled
    from pellucid.compiler.step import compile as compile

__all__ = ["Compiled", "clear_cache", "compile", "get_num_threads", "set_num_threads"]


def __getattr__(name: str) -> Any:
    # Training asks for tiers and threads; a short run never compiles.
    if name not in ("Compiled", "compile"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pellucid.compiler import step

    return getattr(step, name)
