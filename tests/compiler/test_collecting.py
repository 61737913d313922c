"""Cycles are looked for before and after, not inside; what the user has chosen stays."""

import gc

import pytest

from pellucid.compiler.collecting import uncollected


@uncollected()
def failing() -> None:
    assert not gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
    assert not gc.isenabled()
    raise ValueError("inside")


def test_the_collector_rests_inside_and_goes_on_after_an_error() -> None:
    assert gc.isenabled()
    with pytest.raises(ValueError, match="inside"):
        failing()
    assert gc.isenabled()


def test_who_has_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
