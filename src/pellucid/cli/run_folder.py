"""The name of a run comes in; a new folder leaves, and the files in it: `run.toml` at the start and, complete, at the
end. A folder that is there is never written into.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from pellucid.errors import MissingFileError


def new_folder(wanted: str) -> Path:
    """A folder of this name, or of this name and the first free number from 2. Two runs at once get two folders.

    Raises
        MissingFileError: it cannot be made there.
    """
    base = Path(wanted).expanduser()
    number = 1
    while True:
        place = base if number == 1 else base.with_name(f"{base.name}-{number}")
        try:
            place.mkdir(parents=True, exist_ok=False)
            return place
        except FileExistsError:
            number += 1
        except OSError as problem:
            raise MissingFileError(
                "cli.run-folder", path=str(place), problem=problem.strerror or str(problem)
            ) from None


def write_text(path: Path, words: str) -> None:
    """Write a file that is there whole or not at all."""
    handle, temporary = tempfile.mkstemp(prefix=path.name + ".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(words)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def toml(tables: dict[str, dict[str, Any]]) -> str:
    """Tables of plain values as TOML; None is left out, since TOML has no word for it."""
    blocks = []
    for title, table in tables.items():
        lines = [f"{key} = {_value(value)}" for key, value in table.items() if value is not None]
        blocks.append("\n".join([f"[{title}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return "nan" if value != value else ("inf" if value > 0 else "-inf")
        words = repr(value)
        return words if any(c in words for c in ".en") else words + ".0"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    # A JSON string is a TOML basic string, save for the one character DEL.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
