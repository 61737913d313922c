"""Functions that users call are found again by their name: processes can be handed them."""

import inspect
import pickle
from typing import Any

import pytest

import pellucid as pl
import pellucid.nn.functional as F


@pytest.mark.parametrize("module", [pl.ops, F, pl.autograd, pl.nn.init], ids=lambda m: m.__name__)
def test_public_functions_are_pickled_by_name(module: Any) -> None:
    names = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
    functions = {name: getattr(module, name) for name in names if inspect.isfunction(getattr(module, name))}
    assert functions
    for name, function in functions.items():
        assert pickle.loads(pickle.dumps(function)) is function, name  # noqa: S301


def test_a_function_of_the_package_is_the_one_of_its_operations() -> None:
    assert pickle.loads(pickle.dumps(pl.tanh)) is pl.tanh  # noqa: S301
    assert pl.tanh(0.0).item() == 0.0
