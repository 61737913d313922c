"""The words KIND and MODEL come in; a picture in a file leaves. This is what `pellucid picture` does; `picture_kinds`
has a function for each kind.
"""

from __future__ import annotations

from typing import Any

from pellucid._text import text
from pellucid.cli.help import Command
from pellucid.cli.output import say
from pellucid.cli.parameters import argument, command, option
from pellucid.core.check import closest
from pellucid.core.paths import as_path, write_whole
from pellucid.errors import ArgumentError, ArgumentTypeError


def picture() -> Command:
    """The command."""
    options = {
        "data": ("DATA", ""), "out": ("FILE.png", "KIND.png"), "rows": ("N", "256"), "row": ("N", "0"),
        "layer": ("NAME", ""), "style": ("NAME", "auto"), "prompt": ("TEXT", ""), "input": ("N,N,...", ""),
    }  # fmt: skip
    return command(
        "picture",
        _draw,
        [
            argument("kind"),
            argument("model", required=False),
            *(
                option(name, "picture", subject="picture", metavar=metavar, shown=shown)
                for name, (metavar, shown) in options.items()
            ),
        ],
        (
            "pellucid picture network runs/digits",
            "pellucid picture gradient-flow runs/digits --data digits --out flow.png",
            "pellucid picture boundary runs/two-moons",
            "pellucid picture receptive-field resnet20",
            "pellucid picture attention runs/tiny-shakespeare --prompt ROMEO:",
            "pellucid picture activations",
        ),
    )


def _draw(kind: str, model: str | None, **flags: Any) -> int:
    return draw(kind, model, flags)


def draw(kind_word: str, model_word: str | None, flags: dict[str, Any]) -> int:
    """Draw a picture and say where it is; returns the exit code.

    Raises
        ArgumentError: no such kind, another ending than .png, or a model that this kind does not fit.
        ArgumentTypeError: the kind needs a model, and there is none.
        and what loading the model and its data raises
    """
    from pellucid.cli.picture_kinds import KINDS, Wanted

    kind = kind_word.strip().lower().replace("_", "-").replace(" ", "-")
    if kind not in KINDS:
        raise ArgumentError(
            "cli.choice", name="KIND", value=kind_word, options=", ".join(KINDS), suggestion=closest(kind, KINDS)
        )
    if model_word is None and kind != "activations":
        raise ArgumentTypeError("cli.missing-argument", command="pellucid picture", argument="MODEL")
    out = flags.get("out")
    path = as_path("--out", f"{kind}.png" if out is None else out)
    if path.suffix.lower() != ".png":
        raise ArgumentError("picture.out-ending", path=str(path))
    made = KINDS[kind](Wanted(model_word or "", flags))
    if made is None:
        say(text("picture.no-mistakes", model=model_word))
        return 0
    write_whole(path, made)
    say(text("picture.written", path=str(path)))
    return 0
