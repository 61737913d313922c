"""An explanation comes in; JSON leaves, every number in full."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

from pellucid.inspection.explain_expressions import Apply, Leaf, Total
from pellucid.inspection.explain_records import Explanation, Note, Step


def explanation_json(explanation: Explanation, indent: int | None = None) -> str:
    """The explanation as JSON: each float as the shortest number that reads back to it; infinite ones as text.

    Parameters
        indent : spaces of each level, or None for one line
    """
    return json.dumps(_plain(explanation), ensure_ascii=False, indent=indent, allow_nan=False)


def _plain(item: Any) -> Any:
    if isinstance(item, Leaf):
        return {"name": item.name, "value": _plain(item.value), "role": item.role}
    if isinstance(item, Apply):
        return {"function": item.function, "arguments": _plain(item.arguments)}
    if isinstance(item, Total):
        return {"combine": item.combine, "terms": _plain(item.terms), "rest": _plain(item.rest)}
    if isinstance(item, Note):
        return {"kind": item.kind, "text": str(item)}
    if is_dataclass(item):
        found = {f.name: _plain(getattr(item, f.name)) for f in fields(item) if not f.name.startswith("_")}
        if isinstance(item, Step):
            found["symbols"], found["numbers"] = item.symbols(17), item.numbers(17)
        return found
    if isinstance(item, dict):
        return {str(k): _plain(v) for k, v in item.items()}
    if isinstance(item, tuple | list):
        return [_plain(v) for v in item]
    if isinstance(item, float) and not math.isfinite(item):
        return str(item)
    return item
