"""The commands that look into a trained network come from here, with their options in the language in force: how its
loss curves, how noisy its gradient is, which learning rate suits it, what speaks for its answers. `app` adds them to
the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from pellucid._text import text
from pellucid.cli.help import Option


def commands(settings: Sequence[click.Parameter], data: click.Argument, model: click.Argument) -> list[dict[str, Any]]:
    """Name, callback, parameters and examples of each command.

    Parameters
        settings : the options of a training run, and --config
        data, model : the arguments DATA and MODEL
    """
    looked = [model, data]
    return [
        {
            "name": "curvature",
            "callback": _curvature,
            "params": [
                *looked,
                *_options("landscape", rows=("N", "256"), seed=("N", "0")),
                *_options("landscape", figure=("FILE", ""), landscape=("FILE", ""), markdown=None),
            ],
            "examples": (
                "pellucid curvature runs/digits digits",
                "pellucid curvature runs/mnist mnist --rows 512 --figure curvature.png --landscape landscape.png",
            ),
        },
        {
            "name": "noise",
            "callback": _noise,
            "params": [
                *looked,
                *_options("landscape", rows=("N", "2048"), seed=("N", "0"), figure=("FILE", ""), markdown=None),
            ],
            "examples": (
                "pellucid noise runs/digits digits",
                "pellucid noise runs/tiny-shakespeare tiny-shakespeare --figure noise.png",
            ),
        },
        {
            "name": "rate",
            "callback": _rate,
            "params": [data, *settings, *_options("landscape", steps=("N", "100"), figure=("FILE", ""), markdown=None)],
            "examples": (
                "pellucid rate digits --layers 16,16 --optimizer sgd",
                "pellucid rate runs/digits --figure rate.png",
            ),
        },
        {
            "name": "attribute",
            "callback": _attribute,
            "params": [
                *looked,
                *_options("attribution", method=("NAME", "integrated_gradients"), row=("N", "0")),
                *_options("attribution", target=("N", ""), layer=("NAME", ""), rows=("N", "6"), figure=("FILE", "")),
            ],
            "examples": (
                "pellucid attribute runs/table table.csv --row 3",
                "pellucid attribute runs/mnist mnist --method grad_cam --figure why.png",
                "pellucid attribute runs/tiny-shakespeare tiny-shakespeare --figure why.html",
            ),
        },
    ]


def _options(subject: str, **wanted: tuple[str, str] | None) -> list[Option]:
    """Options by name: what stands for their value and their default; None for a switch."""
    found = []
    for name, words in wanted.items():
        # Written out, so that a key that is used can be found.
        keys = {"landscape": f"landscape.opt-{name}", "attribution": f"attribution.opt-{name}"}
        more: dict[str, Any] = {"is_flag": True} if words is None else {"metavar": words[0], "shown": words[1]}
        found.append(Option([f"--{name}"], group=subject, help=text(keys[subject]), **more))
    return found


def _curvature(model: str, data: str, **flags: Any) -> int:
    from pellucid.cli.landscape import show_curvature

    return show_curvature(model, data, flags)


def _noise(model: str, data: str, **flags: Any) -> int:
    from pellucid.cli.landscape import show_noise

    return show_noise(model, data, flags)


def _rate(data: str, config: str | None, steps: str, figure: str | None, markdown: bool, **flags: Any) -> int:
    from pellucid.cli.rate import show_rate

    return show_rate(data, flags, {"config": config, "steps": steps, "figure": figure, "markdown": markdown})


def _attribute(model: str, data: str, **flags: Any) -> int:
    from pellucid.cli.attribute import show_attribution

    return show_attribution(model, data, flags)
