"""Figures are drawn in both languages."""

from collections.abc import Iterator

import pytest

import pellucid as pl


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    pl.set_language(request.param)
    yield request.param
    pl.set_language(None)
