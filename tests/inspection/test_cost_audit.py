"""The audit of counts: it agrees where they are right, over every operation, and finds those that are not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.core.op import REGISTRY, Cost
from pellucid.core.spec import Spec, spec_of
from pellucid.graph.ir import Instruction, Value
from pellucid.inspection.cost_instruments import counted_run
from tests.ops.samples import SAMPLES

NETWORKS: dict[str, tuple[Callable[[], Any], Any]] = {
    "convolutions": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, padding=1, groups=2), nn.BatchNorm2d(4), nn.Hardswish(),
            nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1), nn.AvgPool2d(3, 2, padding=1),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Flatten(), nn.Linear(27, 2),
        ), (2, 2, 9, 9),
    ),
    "attention": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 5, 8)),
    "recurrent": (lambda: nn.GRU(3, 4, batch_first=True), (2, 5, 3)),
    "tokens": (lambda: pl.models.GPT(11, block_size=4, n_layer=1, n_head=2, n_embd=8, dropout=0.1), (2, 4)),
    "activations": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Softplus(), nn.LogSoftmax(axis=1), nn.Mish()), (3, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_counts_are_what_instruments_find(name: str, training: bool) -> None:
    build, shape = NETWORKS[name]
    options = {"optimizer": pl.optim.AdamW} if training else {}
    audit = pl.cost(build(), shape, training, **options).verify()
    assert audit.ok, str(audit)
    assert sum(audit.methods.values()) == audit.num_kinds
    assert audit.num_operations >= audit.num_kinds > 3
    assert bool(audit)


@pytest.mark.parametrize("name", ["affine_map", "relu", "convolution", "sum", "max_pool"])
def test_a_wrong_count_is_found(name: str) -> None:
    """Each family's instrument against a declared cost that is one off."""
    op = REGISTRY[name]
    right = op.cost
    try:
        object.__setattr__(op, "cost", lambda *a: right(*a) + Cost(flops=1))
        model = nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), nn.Flatten(), nn.Linear(8, 3), nn.LayerNorm(3)
        )
        audit = pl.cost(model, (2, 1, 6, 6)).verify()
    finally:
        object.__setattr__(op, "cost", right)
    assert not audit
    assert {d.operation.partition(" = ")[2].partition("(")[0] for d in audit.differences} == {name}
    assert all(d.declared[1] == d.found[1] + 1 for d in audit.differences)
    assert "counts are not right" in str(audit)


def test_what_was_counted_and_did_not_run_is_found() -> None:
    """A function that does something else at each call."""
    calls: list[int] = []

    def forgetful(x: pl.Tensor) -> pl.Tensor:
        calls.append(1)
        return x * 2.0 if len(calls) == 1 else x + 1.0

    audit = pl.cost(forgetful, (3,)).verify()
    assert [(d.declared, d.found) for d in audit.differences] == [((0,), (1,)), ((1,), (0,))]


def test_an_operation_without_an_instrument_is_named() -> None:
    op = replace(REGISTRY["relu"], name="riddle", family="unheard-of")
    value = Value(1, Spec((3,), np.dtype(np.float32)))
    assert counted_run(Instruction(op, (value,), {}, Value(2, value.spec))) is None
    op = replace(REGISTRY["sum"], name="riddle")
    out = Value(2, Spec((), np.dtype(np.float32)))
    found = counted_run(Instruction(op, (value,), {"axis": (0,), "keepdims": False}, out))
    assert found == ("textbook", (0, 2, 0))


def test_a_report_that_was_made_by_hand_has_nothing_to_run() -> None:
    report = replace(pl.cost(nn.ReLU(), (3,)), _audit=None)
    with pytest.raises(pl.errors.ModelError, match="was not made by cost"):
        report.verify()


CASES = [(name, n) for name in REGISTRY for n in range(len(SAMPLES.get(name, ())))]


@pytest.mark.parametrize(("name", "number"), CASES)
def test_there_is_an_instrument_for_every_operation(name: str, number: int) -> None:
    sample, op = SAMPLES[name][number], REGISTRY[name]
    specs = [spec_of(x) for x in sample.inputs]
    inputs = [
        Value(n, s) if isinstance(x, np.ndarray) else x
        for n, (s, x) in enumerate(zip(specs, sample.inputs, strict=True))
    ]
    out = op.spec(*specs, **sample.attrs)
    found = counted_run(Instruction(op, tuple(inputs), sample.attrs, Value(len(inputs), out)))
    assert found is not None
    assert found[1] == tuple(op.cost(specs, out, sample.attrs))
