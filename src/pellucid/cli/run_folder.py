"""The name of a run comes in; a new folder leaves: one that is there is never written into. And the tables of a run as
TOML, for the `run.toml` in it; and what it says of the data, read again. Called by the commands that train and look.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from pellucid.errors import FileFormatError, MissingFileError

RECORD = "run.toml"
"""The file that says of a run what it was made of."""


def data_of(record: Path) -> tuple[str, dict[str, Any]]:
    """The word by which a run was given its data, and all that its record says of them.

    Raises
        FileFormatError: the record does not say.
    """
    try:
        kept = tomllib.loads(record.read_text("utf-8"))["data"]
        given = kept["given_as"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError):
        given, kept = None, {}
    if not isinstance(given, str):
        raise FileFormatError("health.no-record", path=str(record))
    return given, kept


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
