"""What every experiment promises: words in both languages, numbers that a seed fixes, a picture, and no trace."""

import numpy as np
import pytest

import pellucid as pl
from pellucid import _text, errors, lab
from pellucid.core.rng import default_generator
from pellucid.lab import drawing
from pellucid.lab.experiment import Experiment, Finding, Measurement, shown

matplotlib = pytest.importorskip("matplotlib")


def test_numbers_as_they_are_read() -> None:
    assert [shown(v) for v in (0, 13002.0, -2, 0.72588612, 1.5e-7)] == ["0", "13,002", "-2", "0.7259", "1.5e-07"]
    assert Measurement("x", 98.75, "%").number == "98.8%"
    assert Measurement("x", 50, "%").number == "50%"
    assert Measurement("x", 0.25, "s").number == "0.25 s"


@pytest.mark.parametrize(("confirmed", "verdict"), [(True, "confirmed"), (False, "not-confirmed"), (None, "undecided")])
def test_a_verdict_has_a_word(confirmed: bool | None, verdict: str) -> None:
    assert Finding((), confirmed, "", b"").verdict == verdict
    assert f"verdict-{verdict}" in _text.catalogue("lab")


def test_a_conclusion_is_filled_with_what_was_measured() -> None:
    found = Finding(
        (
            Measurement("origin-distance-without", 0.0),
            Measurement("origin-distance-with", 4.2),
            Measurement("accuracy-without-bias", 50.0, "%"),
            Measurement("accuracy-with-bias", 97.5, "%"),
        ),
        True,
        "bias",
        b"",
    )
    assert found.words == (
        "Without a bias the boundary passes through the origin, whatever the data, and 50% of the points are right; "
        "with one it lies 4.2 away from it, and 97.5% are right."
    )
    assert found.value("origin-distance-with") == 4.2


@pytest.mark.parametrize("experiment", lab.EXPERIMENTS, ids=lambda e: e.name)
def test_every_claim_is_said_in_both_languages(experiment: Experiment) -> None:
    said = {}
    for language in ("en", "zh"):
        pl.set_language(language)
        try:
            said[language] = (experiment.title, experiment.claim, experiment.how)
        finally:
            pl.set_language(None)
    assert all(said["en"])
    assert all(a != b for a, b in zip(said["en"], said["zh"], strict=True))


def test_names_are_found_and_near_ones_offered() -> None:
    assert lab.find("Zero_Initialisation").name == "zero-initialisation"
    with pytest.raises(errors.ArgumentError) as caught:
        lab.run("colapse")
    assert caught.value.what == "there is no experiment colapse"
    assert caught.value.fix == "did you mean collapse?"
    with pytest.raises(errors.ArgumentError, match="out of range"):
        lab.run("bias", -1)


def test_a_seed_fixes_every_number_and_the_generator_stays() -> None:
    pl.manual_seed(7)
    before = default_generator.get_state()
    first, second, other = lab.run("bias", 3), lab.run("bias", 3), lab.run("bias", 4)
    assert np.array_equal(np.asarray(before), np.asarray(default_generator.get_state()))
    assert first == second  # the bytes of the figure too
    assert first.measurements != other.measurements
    assert first.figure.startswith(b"\x89PNG")


def test_labels_fall_back_to_english_without_a_chinese_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "chinese_font", lambda: None)
    pl.set_language("zh")
    try:
        with drawing.drawing(2, 2) as (_, word, buffer):
            assert (word("loss"), word("rule-xavier-tanh")) == ("loss", "Xavier, tanh")
    finally:
        pl.set_language(None)
    assert buffer.getvalue().startswith(b"\x89PNG")
