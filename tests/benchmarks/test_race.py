"""Sides run in processes of their own, as in a real race, only shorter."""

from pathlib import Path

import pytest

from benchmarks.kinds import Train
from benchmarks.processes import Side, environment
from benchmarks.race import agree, race
from benchmarks.report import section
from benchmarks.side import workload

WORK = workload("eager_step")


def test_a_side_is_timed_once_a_round_and_one_that_fails_is_left_out(tmp_path: Path) -> None:
    ours = Side(WORK, "eager_step", "pellucid", "eager-1t", tmp_path)
    # NumPy has no way to train.
    other = Side(WORK, "eager_step", "numpy", "eager-1t", tmp_path)
    race([ours, other], rounds=2, seconds=0.01)
    assert len(ours.seconds) == 2
    assert ours.value is not None
    assert ours.value < WORK.value([WORK.layers()])
    assert other.failure == "AttributeError: module 'benchmarks.sides.numpy' has no attribute 'train'"
    assert f"- Left out: numpy eager-1t: {other.failure}." in section([ours, other], WORK)


@pytest.mark.torch
def test_the_same_work_is_found_to_be_the_same(tmp_path: Path) -> None:
    two = [Side(WORK, "eager_step", library, "eager-1t", tmp_path) for library in ("pellucid", "torch")]
    race(two, rounds=1, seconds=0.01)
    assert [s.failure for s in two] == ["", ""]
    assert two[0].value == pytest.approx(two[1].value, rel=1e-5)


def sides(*values: float) -> list[Side]:
    return [Side(WORK, "eager_step", "pellucid", f"eager-{n}t", Path(), value=v) for n, v in enumerate(values)]


def test_who_did_something_else_is_left_out() -> None:
    three = sides(1.0, 1.001, 1.1)
    agree(three)
    assert [s.failure for s in three] == ["", "", "not the same work: its loss is 1.1, that of the others 1.001"]


def test_a_loss_that_is_no_number_is_left_out() -> None:
    three = sides(1.0, float("nan"), 1.0)
    agree(three)
    assert [bool(s.failure) for s in three] == [False, True, False]


def test_variables_that_restrict_kernels_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("PELLUCID_COMPILE", "off")
    work = Train(title="", sizes=(1, 1), batch=1, rows=1, environment={"PELLUCID_COMPILE": "numpy"})
    ours = environment(work, "pellucid", "fit-2t", Path("cache"))
    theirs = environment(work, "torch", "eager-1t", Path("cache"))
    assert "OPENBLAS_CORETYPE" not in ours
    assert "PELLUCID_COMPILE" not in theirs
    assert ours["PELLUCID_COMPILE"] == "numpy"
    assert (ours["OPENBLAS_NUM_THREADS"], theirs["OMP_NUM_THREADS"]) == ("2", "1")
