"""The catalogue of every sentence a user may read, in English and in Chinese.

An entry lives in `messages/<subject>.toml` under the key `<subject>.<entry>`. It has parts (an error has `what`,
`given`, `expected`, `fix`; other texts have `text`); a part is one string where both languages read the same, else a
table with `en` and `zh`. `{name}` is filled in from the facts the caller passes. Errors, progress lines, the command
line and reports call `text`; nothing else in pellucid writes prose for a user.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any, Literal

Language = Literal["en", "zh"]

_chosen: Language | None = None


def set_language(language: Language | None) -> None:
    """Choose the language of every message; None goes back to `PELLUCID_LANG` or the locale."""
    if language not in ("en", "zh", None):
        from pellucid.errors import ArgumentError

        raise ArgumentError("core.option", name="language", value=repr(language), options="'en', 'zh', None")
    global _chosen
    _chosen = language


def language() -> Language:
    """The language in force: set_language, else `PELLUCID_LANG`, else the locale's variables, else English."""
    if _chosen is not None:
        return _chosen
    for variable in ("PELLUCID_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@cache
def catalogue(subject: str) -> dict[str, dict[str, Any]]:
    """The entries of one subject, read once when its first message is needed."""
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("pellucid.messages").joinpath(f"{subject}.toml").read_text("utf-8"))


def subjects() -> list[str]:
    """Names of all the subjects in the catalogue."""
    from importlib.resources import files

    return sorted(f.name[:-5] for f in files("pellucid.messages").iterdir() if f.name.endswith(".toml"))


def text(key: str, part: str = "text", /, **facts: Any) -> str:
    """The sentence of an entry's part in the language in force; "" where the entry has no such part, or where the
    part is a `fix` and one of the facts it needs is None (there is no fix to offer)."""
    subject, _, entry = key.partition(".")
    value = catalogue(subject)[entry].get(part, "")
    template: str = value if isinstance(value, str) else value[language()]
    if part == "fix" and any(fact is None and "{" + name + "}" in template for name, fact in facts.items()):
        return ""
    return template.format(**{k: readable(v) for k, v in facts.items()})


def readable(value: Any) -> Any:
    """Shapes as plain tuples, dtypes by name; never an array dump."""
    if type(value).__module__ == "numpy" and hasattr(value, "name"):
        return value.name
    if isinstance(value, list | tuple) and all(isinstance(v, int) for v in value):
        return str(tuple(int(v) for v in value))
    return value
