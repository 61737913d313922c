"""What every test shares: English messages, figures without a screen, one hypothesis profile, a folder of public data,
a cache of their own.

`PELLUCID_DATA` names a folder that holds MNIST and other public sets; tests that take the `data_folder` fixture are
skipped, saying so, where it is not set.
"""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ["PELLUCID_LANG"] = "en"
os.environ["MPLBACKEND"] = "Agg"

import pytest
from hypothesis import settings

settings.register_profile("pellucid", max_examples=30, deadline=None, derandomize=True)
settings.load_profile("pellucid")


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Downloads and compiled code are kept in a folder that no user has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def variables_as_before(cache_of_the_tests: None) -> Iterator[None]:
    """A test that left `PELLUCID_COMPILE` behind would make all later ones run another way."""
    before = _variables()
    yield
    assert _variables() == before, "this test changed the environment of those that follow"


def _variables() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k.startswith("PELLUCID_")}


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of public data sets that PELLUCID_DATA names."""
    folder = os.environ.get("PELLUCID_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("PELLUCID_DATA names no folder of public data sets")
    return Path(folder)
