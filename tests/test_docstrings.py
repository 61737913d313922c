"""Every example in a docstring is executed."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import pellucid

MODULES = ["pellucid", *(m.name for m in pkgutil.walk_packages(pellucid.__path__, "pellucid."))]
WITH_EXAMPLES = [
    name
    for name in MODULES
    if any(
        ">>> " in path.read_text("utf-8")
        for stem in [Path(pellucid.__path__[0]).joinpath(*name.split(".")[1:])]
        for path in (stem.with_suffix(".py"), stem / "__init__.py")
        if path.exists()
    )
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(module, optionflags=options, extraglobs={"pl": pellucid})
    assert result.failed == 0
