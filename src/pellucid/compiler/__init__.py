"""The compiler: a training step or a function of Tensors as machine code, or as a plan of NumPy calls."""

from __future__ import annotations

from pellucid.compiler.cache import clear_cache
from pellucid.compiler.step import Compiled, compile
from pellucid.compiler.threads import get_num_threads, set_num_threads

__all__ = ["Compiled", "clear_cache", "compile", "get_num_threads", "set_num_threads"]
