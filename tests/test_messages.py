"""The catalogue of messages: both languages say the same facts, every key used exists, and every entry is used."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pellucid import _text

SOURCE = Path(_text.__file__).parent
SUBJECTS = _text.subjects()
ENTRIES = {f"{subject}.{entry}": parts for subject in SUBJECTS for entry, parts in _text.catalogue(subject).items()}

# Functions whose first argument is a key of the catalogue.
TAKES_KEY = re.compile(r"(Error|Warning|warn|text)$")
ERROR_PARTS = {"what", "given", "expected", "fix"}


def placeholders(template: str) -> set[str]:
    """Names that `str.format` fills in."""
    return {name.partition(".")[0].partition("[")[0] for _, name, _, _ in string.Formatter().parse(template) if name}


def templates(part: Any) -> list[str]:
    return [part] if isinstance(part, str) else list(part.values())


def constants(node: ast.AST) -> Iterator[str]:
    """The string constants that an argument may be: itself, or the branches of a conditional expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from constants(node.body)
        yield from constants(node.orelse)


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path, ast.parse(path.read_text("utf-8"))


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Place, key and call of each literal use of the catalogue in the source."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name = getattr(node.func, "attr", None) or getattr(node.func, "id", "")
                if TAKES_KEY.search(name):
                    for key in constants(node.args[0]):
                        if key.partition(".")[0] in SUBJECTS or re.fullmatch(r"[a-z]+\.[a-z0-9-]+", key):
                            yield f"{path.relative_to(SOURCE)}:{node.lineno}", key, node


@pytest.mark.parametrize("key", ENTRIES)
def test_both_languages_state_the_same_facts(key: str) -> None:
    parts = ENTRIES[key]
    assert parts
    assert set(parts) <= ERROR_PARTS or set(parts) == {"text"}, sorted(parts)
    for name, part in parts.items():
        assert isinstance(part, str) or set(part) == {"en", "zh"}, name
        assert all(template.strip() for template in templates(part)), f"{name} is empty"
        assert len({frozenset(placeholders(t)) for t in templates(part)}) == 1, f"{name}: {templates(part)}"


@pytest.mark.parametrize("key", ENTRIES)
def test_an_error_says_what_was_given_and_what_was_expected(key: str) -> None:
    if "what" in ENTRIES[key]:
        assert {"given", "expected"} <= set(ENTRIES[key])


@pytest.mark.parametrize("key", ENTRIES)
def test_chinese_is_chinese_and_english_is_not(key: str) -> None:
    chinese = re.compile(r"[\u3400-\u9fff]")
    for name, part in ENTRIES[key].items():
        if isinstance(part, str):
            assert not chinese.search(part), f"{name} reads Chinese in both languages"
        else:
            assert not chinese.search(part["en"]), name
            assert part["en"] != part["zh"], f"{name} is written twice; one string is enough"


def test_every_key_used_exists() -> None:
    missing = [f"{place}: {key}" for place, key, _ in calls() if key not in ENTRIES]
    assert missing == []


def test_every_entry_is_used() -> None:
    used: set[str] = set()
    patterns = []
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                pieces = [re.escape(v.value) if isinstance(v, ast.Constant) else "[a-z0-9_-]+" for v in node.values]
                patterns.append("".join(pieces))
    patterns = [p for p in patterns if p.split("\\.")[0] in SUBJECTS]
    unused = [key for key in ENTRIES if key not in used and not any(re.fullmatch(p, key) for p in patterns)]
    assert unused == []


def test_every_call_passes_the_facts_that_its_entry_names() -> None:
    wrong = []
    for place, key, call in calls():
        passed = {keyword.arg for keyword in call.keywords}
        if key not in ENTRIES or None in passed:  # None: `**facts`, which cannot be read from the source
            continue
        name = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
        parts = ENTRIES[key]
        if name == "text":
            part = next(iter(constants(call.args[1])), None) if len(call.args) > 1 else "text"
            parts = {part: parts[part]} if part in parts else {}
        needed = set().union(*(placeholders(t) for p in parts.values() for t in templates(p)))
        if needed - passed:
            wrong.append(f"{place}: {key} needs {sorted(needed - passed)}")
    assert wrong == []


def test_the_language_is_chosen_by_call_then_by_variable_then_by_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_LANG", "zh_CN")
    assert _text.text("core.label-given") == "给出："
    monkeypatch.setenv("PELLUCID_LANG", "en")
    assert _text.text("core.label-given") == "given:    "
    monkeypatch.delenv("PELLUCID_LANG")
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert _text.text("core.label-given") == "给出："
    try:
        _text.set_language("en")
        assert _text.text("core.label-given") == "given:    "
    finally:
        _text.set_language(None)
