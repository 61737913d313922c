"""Every conclusion that an experiment can come to is a sentence in both languages, with numbers that it measures."""

from collections.abc import Callable
from dataclasses import replace

import pytest

import pellucid as pl
from pellucid import _text, lab
from pellucid.lab import activations, batch_size, flatness, gradient_noise, inference_cost, latency, regularisation
from pellucid.lab.experiment import Finding

pytest.importorskip("matplotlib")

SHORT: dict[str, Callable[[], Finding]] = {
    "batch-size": lambda: batch_size.run(0, epochs=1),
    "gradient-noise": lambda: gradient_noise.run(0),
    "flatness": lambda: flatness.run(0, num_trials=3),
    "regularisation": lambda: regularisation.run(0, num_draws=3),
    "inference-cost": lambda: inference_cost.run(0, rounds=2),
    "latency": lambda: latency.run(0, rounds=2),
    "activations": lambda: activations.run(0, depths=(1, 2)),
}


@pytest.mark.parametrize("name", SHORT)
def test_conclusions(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradient_noise, "BATCHES", 3)
    monkeypatch.setattr(flatness, "TARGET", 1.5)
    monkeypatch.setattr(flatness, "ROWS", 80)
    monkeypatch.setattr(regularisation, "EPOCHS", 3)
    # The counts of a call need no long training.
    monkeypatch.setattr(inference_cost, "ROWS", 50)
    spoken = []
    found = SHORT[name]()
    assert found.figure.startswith(b"\x89PNG")
    keys = [key for key in _text.catalogue("lab") if key == f"seen-{name}" or key.startswith(f"seen-{name}-")]
    assert f"seen-{found.conclusion}" in keys
    for language in ("en", "zh"):
        pl.set_language(language)
        try:
            said = [replace(found, conclusion=key.removeprefix("seen-")).words for key in keys]
            labels = [m.label for m in found.measurements]
        finally:
            pl.set_language(None)
        assert len(set(said)) == len(keys) > 1
        assert len(set(labels)) == len(labels)
        spoken.append(said)
    assert all(english != chinese for english, chinese in zip(*spoken, strict=True))
    assert lab.find(name).name == name
