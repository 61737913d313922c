"""A program of loop nests comes in, Python text leaves that NumPy runs: each kernel as a function, then the loop over
steps. People read it as `step.source`; the tests run it as a second opinion on the machine code. Called by `native_plan`.

A vector loop becomes operations on whole arrays, its counter an `arange`; a product keeps its loops over rows and over
what is summed, with a row of results as an array. Sums may therefore be rounded in another order than in machine code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from pellucid._typing import Array
from pellucid.compiler.nest import (
    Buffer,
    Call,
    Kernel,
    Program,
    Statement,
    expressions,
    inside,
)
from pellucid.compiler.python_expressions import Names, buffers_of
from pellucid.compiler.python_names import NAMESPACE
from pellucid.compiler.python_statements import Printer
