"""The word DATA and the settings of a run come in, or the folder of a run that is over; the learning rate that a short
test suggests leaves. This is what `pellucid rate` does.
"""

from __future__ import annotations

from typing import Any

from pellucid.cli.doctor import patient_of
from pellucid.cli.landscape import write_figure
from pellucid.cli.output import say
from pellucid.cli.values import whole
from pellucid.core.check import Integer
from pellucid.data import Loader
from pellucid.inspection import learning_rate_test
from pellucid.report import landscape_markdown, learning_rate_figure
from pellucid.train.choose import make_loss

_STEPS = 100


def show_rate(word: str, flags: dict[str, Any], options: dict[str, Any]) -> int:
    """Print how the loss goes while the learning rate grows, and the rate to begin with; returns the exit code, 1 where
    no rate lowers the loss.

    Parameters
        word : DATA as for train, or a run folder, whose settings and data are taken
        flags : the settings that were typed
        options : config, steps, figure, markdown
    Raises
        PellucidError: what train refuses of data and settings; an optimizer that takes no rate.
    """
    steps = whole("steps", options, Integer(10, 100_000), _STEPS)
    patient = patient_of(word, flags, options["config"])
    given = patient.options
    rows = len(patient.train)
    # The batches that training would see: without a last one that is too small, and with pictures changed alike.
    batches = Loader(
        patient.train,
        min(given["batch_size"] or rows, rows),
        shuffle=True,
        seed=given["seed"],
        drop_last=given.get("drop_last", False),
        augment=given.get("augment"),
    )
    found = learning_rate_test(
        patient.model,
        batches,
        make_loss(given["loss"]),
        given["optimizer"],
        num_steps=steps,
        seed=given["seed"],
    )
    say(landscape_markdown(found) if options["markdown"] else str(found))
    if options.get("figure") is not None:
        write_figure(options["figure"], learning_rate_figure(found))
    return 1 if found.suggested is None else 0
