"""The command `pellucid`: words typed in a shell come in, an exit code leaves. It parses, calls `train`, `data` and
`report`, and prints.

Exit codes: 0 all went well; 2 what the user gave cannot be used, said in four lines; 130 Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]

NEEDED = ("click", "rich", "jinja2", "matplotlib")


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Parameters
        args : the words after `pellucid`; None takes those of this process
    """
    from importlib.util import find_spec

    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        from pellucid.errors import MissingDependencyError

        error = MissingDependencyError("cli.missing-extra", packages=", ".join(missing))
        error.frame = None
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)
    from pellucid.cli.app import run

    sys.exit(run(list(sys.argv[1:] if args is None else args)))
