"""`doctor`: silent on runs that are in order, right about planted faults, its proofs replays, and nothing of the user's
changed by it."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import pellucid as pl
from pellucid import nn, optim
from pellucid.core.rng import default_generator
from pellucid.data import Dataset
from pellucid.errors import ArgumentError, ArgumentTypeError, NonFiniteError
from pellucid.inspection import Diagnosis, Effect, HealthMonitor, HealthReport, Remedy
from pellucid.report import health_markdown
from tests.inspection import health_cases as cases
from tests.inspection import health_faults as faults


@pytest.mark.slow
@pytest.mark.parametrize("make", cases.HEALTHY.values(), ids=cases.HEALTHY)
def test_nothing_is_found_where_nothing_is_wrong(make: Any) -> None:
    report = pl.doctor(**make())
    assert report.diagnoses == (), str(report)
    assert report.verdict == "healthy"
    # The runs are in order: they learned something, and were looked at.
    assert report.history is not None
    assert report.history["loss"][-1] < 0.75 * report.history["loss"][0]
    assert report.gradients is not None
    assert report.gradients.passed
    assert report.fitted is not None
    assert report.fitted.end <= report.fitted.wanted


@pytest.mark.slow
def test_nothing_is_found_on_mnist(data_folder: Path) -> None:
    report = pl.doctor(**cases.mnist_part())
    assert report.healthy, str(report)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "name"), faults.FAULTS.values(), ids=faults.FAULTS)
def test_a_planted_fault_is_named_first(make: Any, name: str) -> None:
    report = pl.doctor(**make(), prove=False)
    assert [d.name for d in report.diagnoses][:1] == [name], str(report)
    for language in ("en", "zh"):
        pl.set_language(language)  # type: ignore[arg-type]
        try:
            assert f"[{name}]" in str(report)
            assert f"[{name}]" in health_markdown(report)
        finally:
            pl.set_language(None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (faults.sorted_labels, "shuffle"),
        (faults.large_feature, "scale-inputs"),
        (faults.rare_class, "balance-classes"),
        (faults.zero_weights, "draw-weights"),
        (faults.tiny_weights, "draw-weights"),
        (faults.ten_sigmoids, "relu"),
        (faults.loud_last_layer, "smaller-last-layer"),
        (faults.huge_targets, "scale-targets"),
        (faults.high_rate, "lower-rate"),
        (faults.high_rate_sgd, "lower-rate"),
        (faults.low_rate, "raise-rate"),
        (faults.overfitted, "stop-early"),
    ],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_the_remedy_of_a_fault_is_proved(make: Any, remedy: str) -> None:
    first = pl.doctor(**make()).diagnoses[0]
    assert first.proved, str(first)
    assert first.remedy is not None
    assert first.remedy.name == remedy
    assert first.effect is not None
    assert len(first.effect.changed) == 2


def moons(lr: float = 0.1, **more: Any) -> dict[str, Any]:
    pl.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 2))
    sgd = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    return cases.case(model, pl.data.two_moons(200), "cross_entropy", sgd, **{"epochs": 3, **more})


def test_a_remedy_is_measured_by_replays_of_the_same_run() -> None:
    report = pl.doctor(**moons(1e-8))
    found = report.named("learning-rate-too-low")
    assert found is not None
    effect = found.effect
    assert effect is not None
    # The same, done by hand: the same first weights, the rate times the factor, an order of rows for each seed.
    for seed, value in enumerate(effect.changed):
        made = moons(1e-8 * (effect.remedy.amount or 0))
        pl.manual_seed(seed)
        pl.fit(made["model"], made["data"], loss="cross_entropy", optimizer=made["optimizer"], epochs=3, seed=seed,
               checks=False, verbose=0)  # fmt: skip
        assert pl.evaluate(made["model"], made["data"], loss="cross_entropy")["loss"] == value


def test_nothing_of_the_users_is_changed() -> None:
    made = moons(1e-8)
    model, optimizer = made["model"], made["optimizer"]
    pl.fit(model, made["data"], loss="cross_entropy", optimizer=optimizer, epochs=1, verbose=0)
    model.eval()
    before = {n: (p, p.data, p.data.copy(), p.grad) for n, p in model.named_parameters()}
    state = copy.deepcopy(optimizer.state_dict())
    draws = default_generator.get_state()
    assert not pl.doctor(**made).healthy
    assert_array_equal(default_generator.get_state(), draws)
    for name, p in model.named_parameters():
        same, array, values, gradient = before[name]
        assert p is same
        assert p.data is array
        assert p.grad is gradient
        assert_array_equal(array, values)
    assert not any(m.training for m in model.modules())
    after = optimizer.state_dict()
    assert str(after["param_groups"]) == str(state["param_groups"])
    for number, values in state["state"].items():
        for name, value in values.items():
            assert_array_equal(np.asarray(after["state"][number][name]), np.asarray(value))


def test_a_monitor_changes_no_bit_of_a_run() -> None:
    runs = []
    for hooks in ([], [HealthMonitor()]):
        made = moons()
        history = pl.fit(made["model"], made["data"], loss="cross_entropy", optimizer=made["optimizer"], epochs=9,
                         callbacks=hooks, verbose=0)  # fmt: skip
        runs.append((history["loss"], made["model"].state_dict()))
    assert runs[0][0] == runs[1][0]
    for name, value in runs[0][1].items():
        assert_array_equal(value.data, runs[1][1][name].data)
    assert [look.epoch for look in hooks[0].looks] == [0, 1, 2, 4, 8]
    assert hooks[0].diagnoses == ()


def test_a_monitor_of_a_run_that_blew_up() -> None:
    monitor = HealthMonitor()
    made = faults.high_rate_sgd()
    with pytest.raises(NonFiniteError):
        pl.fit(made["model"], made["data"], loss="mse", optimizer=made["optimizer"], epochs=5, callbacks=[monitor],
               verbose=0)  # fmt: skip
    assert [(d.name, d.because) for d in monitor.diagnoses] == [
        ("learning-rate-too-high", ""),
        ("not-finite", "learning-rate-too-high"),
    ]


def test_a_run_that_is_over_is_read_from_its_history() -> None:
    made = faults.overfitted()
    history = pl.fit(made["model"], made["data"], loss="mse", optimizer=made["optimizer"], epochs=80,
                     validation=made["validation"], verbose=0)  # fmt: skip
    report = pl.doctor(made["model"], made["data"], loss="mse", validation=made["validation"], history=history)
    assert [(d.name, d.phase) for d in report.diagnoses] == [("overfitting", "after")]
    assert report.diagnoses[0].evidence["best"] == min(history["val_loss"])
    assert report.verdict == "diagnosed"


def test_a_value_that_is_not_finite_is_traced_and_can_be_replayed() -> None:
    made = faults.not_finite_later()
    found = pl.doctor(**made, prove=False).diagnoses[0]
    assert isinstance(found.cause, NonFiniteError)
    assert found.cause.facts["op"] == "divide"
    assert "123" in found.cause.facts["rows"]
    assert found.cause.batch is not None
    x, _ = found.cause.batch
    assert np.isnan(made["model"](x).data).any()


class OneNoise(nn.Module):
    """A network that looks at nothing but a feature without meaning."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.layers(x[:, 2:3])


def test_a_cause_that_no_rule_knows_is_unknown() -> None:
    random = np.random.default_rng(3)
    x = random.normal(size=(400, 3)).astype(np.float32)
    pl.manual_seed(0)
    model = OneNoise()
    sgd = optim.SGD(model.parameters(), lr=0.01)
    made = cases.case(model, (x, (x[:, 0] > 0).astype(int)), "cross_entropy", sgd, epochs=4)
    report = pl.doctor(**made)
    assert [d.name for d in report.diagnoses] == ["cause-unknown"], str(report)
    assert report.verdict == "cause unknown"
    assert not any(e.helped for e in report.diagnoses[0].effects)
    assert len(report.diagnoses[0].effects) == len(report.diagnoses[0].remedies)
    assert pl.doctor(**made, prove=False).diagnoses[0].name == "plateau"


def test_the_loss_before_the_first_step_and_those_it_is_compared_with() -> None:
    report = pl.doctor(nn.Linear(64, 10), pl.data.digits(), loss="cross_entropy")
    shares = np.bincount(pl.data.digits().y) / 1797
    assert_allclose(report.expected_loss, math.log(10), rtol=1e-6)
    assert_allclose(report.constant_loss, -(shares * np.log(shares)).sum(), rtol=1e-9)
    assert report.history is None


def test_what_helps_and_what_does_not() -> None:
    def helped(without: tuple[float, ...], changed: tuple[float, ...]) -> bool:
        return Effect(Remedy("shuffle"), "loss", without, changed, 1).helped

    assert helped((1.0, 1.1, 0.9), (0.5, 0.6, 0.4))
    assert not helped((1.0, 1.1, 0.9), (0.5, 0.6, 0.95))  # one replay got worse
    assert not helped((1.0, 1.0), (0.97, 0.96))  # better by less than 5 %
    assert not helped((1.0, 1.0), (0.9, 0.1))  # seeds differ by 0.57, the mean gain is 0.5
    assert helped((math.inf, math.inf), (2.0, 3.0))
    assert not helped((math.inf, math.inf), (2.0, math.inf))


def test_verdicts() -> None:
    def verdict(*effects: Effect, name: str = "start-loss") -> str:
        facts = {"start": "9", "expected": "2", "layer": "0", "spread": "1"}
        found = Diagnosis(name, "warning", "before", "health.start-loss", facts, effects=effects)
        return HealthReport("Net", 3, (found,)).verdict

    bad, good = (Effect(Remedy("lower-rate", 0.1), "loss", (1.0,), (v,), 1) for v in (2.0, 0.5))
    assert verdict() == "diagnosed"
    assert verdict(bad) == "no remedy helped"
    assert verdict(bad, good) == "proved"
    assert verdict(bad, name="cause-unknown") == "cause unknown"
    assert HealthReport("Net", 3, ()).verdict == "healthy"


def test_a_diagnosis_in_words() -> None:
    report = pl.doctor(**{**faults.loud_last_layer(), "epochs": 0, "prove": False})
    lines = str(report).splitlines()
    assert lines[:3] == [
        "health of Sequential on 750 rows",
        "diagnoses: 1",
        "warning: the loss starts far above that of a network that knows nothing [start-loss]",
    ]
    assert lines[4] == "  expected: about 2.303: smaller weights in the last layer"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"epochs": -1}, ArgumentError),
        ({"seeds": 0}, ArgumentError),
        ({"prove": "yes"}, ArgumentTypeError),
        ({"loss": 3}, ArgumentTypeError),
        ({"optimizer": 3}, ArgumentTypeError),
        ({"model": 3}, ArgumentTypeError),
        ({"optimizer": None}, ArgumentError),
        ({"history": pl.train.History()}, ArgumentError),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        pl.doctor(**{**moons(), **options})


def test_rows_that_are_no_data_are_a_diagnosis() -> None:
    x = np.zeros((4, 2))
    x[1, 0] = np.inf
    report = pl.doctor(nn.Linear(2, 2), (x, [0, 1, 0, 1]), loss="cross_entropy")
    assert [d.name for d in report.diagnoses] == ["non-finite-data"]
    missing = pl.doctor(nn.Linear(2, 2), Dataset(np.ones((4, 2))), loss="cross_entropy")
    assert [d.name for d in missing.diagnoses] == ["no-targets"]
