"""How compiled functions run: as machine code, as NumPy calls, or not compiled at all. `PELLUCID_COMPILE` decides, and
what is installed. Read by `step`, `epochs` and `fit`.
"""

from __future__ import annotations

import os

from pellucid.core.check import Options, check


class Unsupported(Exception):
    """There is no machine code for something: no mistake, since NumPy can run it."""


def tier_wanted() -> str:
    """The tier that `PELLUCID_COMPILE` asks for: "off", "numpy" or "llvm"; "llvm" where it asks for none.

    Raises
        ArgumentError: it asks for another.
    """
    wanted = os.environ.get("PELLUCID_COMPILE", "llvm") or "llvm"
    check("PELLUCID_COMPILE", wanted, Options("off", "numpy", "llvm"))
    return wanted


def native_demanded() -> bool:
    """Whether `PELLUCID_COMPILE` asks for machine code by name: then batches of unusual sizes get it too."""
    return os.environ.get("PELLUCID_COMPILE") == "llvm"


def native_wanted() -> bool:
    """Whether machine code is wanted and can be made here."""
    if tier_wanted() != "llvm":
        return False
    from pellucid.compiler.engine import available

    return available()
