"""The commands that look into a trained network come from here, with their options in the language in force: how its
loss curves, how noisy its gradient is, which learning rate suits it, what speaks for its answers. `commands` adds
them to the others.
"""

from __future__ import annotations

from typing import Any

from pellucid.cli.help import Command, Option
from pellucid.cli.parameters import argument, command, option, setting_option
from pellucid.cli.settings import SETTINGS


def commands() -> list[Command]:
    """curvature, noise, rate and attribute."""
    settings = [*map(setting_option, SETTINGS), option("config", "run", metavar="FILE")]
    looked = [argument("model"), argument("data")]
    return [
        command(
            "curvature",
            _curvature,
            [
                *looked,
                *_options("landscape", rows=("N", "256"), seed=("N", "0")),
                *_options("landscape", figure=("FILE", ""), landscape=("FILE", ""), markdown=None),
            ],
            (
                "pellucid curvature runs/digits digits",
                "pellucid curvature runs/mnist mnist --rows 512 --figure curvature.png --landscape landscape.png",
            ),
        ),
        command(
            "noise",
            _noise,
            [
                *looked,
                *_options("landscape", rows=("N", "2048"), seed=("N", "0"), figure=("FILE", ""), markdown=None),
            ],
            (
                "pellucid noise runs/digits digits",
                "pellucid noise runs/tiny-shakespeare tiny-shakespeare --figure noise.png",
            ),
        ),
        command(
            "rate",
            _rate,
            [
                argument("data"),
                *settings,
                *_options("landscape", steps=("N", "100"), figure=("FILE", ""), markdown=None),
            ],
            (
                "pellucid rate digits --layers 16,16 --optimizer sgd",
                "pellucid rate runs/digits --figure rate.png",
            ),
        ),
        command(
            "attribute",
            _attribute,
            [
                *looked,
                *_options("attribution", method=("NAME", "integrated_gradients"), row=("N", "0")),
                *_options("attribution", target=("N", ""), layer=("NAME", ""), rows=("N", "6"), figure=("FILE", "")),
            ],
            (
                "pellucid attribute runs/table table.csv --row 3",
                "pellucid attribute runs/mnist mnist --method grad_cam --figure why.png",
                "pellucid attribute runs/tiny-shakespeare tiny-shakespeare --figure why.html",
            ),
        ),
    ]


def _options(subject: str, **wanted: tuple[str, str] | None) -> list[Option]:
    """Options by name: what stands for their value and their default; None for a switch."""
    return [
        option(name, subject, subject=subject, is_flag=True)
        if words is None
        else option(name, subject, subject=subject, metavar=words[0], shown=words[1])
        for name, words in wanted.items()
    ]


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
