"""Names come in; arguments, options and commands of the command line leave, with their words in the language in force.
The files that define commands call these.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from pellucid._text import text
from pellucid.cli.help import Command, Option
from pellucid.cli.output import say
from pellucid.cli.settings import Setting

NAME = "pellucid"
CONTEXT = {"help_option_names": ["-h", "--help"]}


def language() -> Option:
    """`--lang`, which every command has."""
    return option("lang", "other", metavar="en|zh", expose_value=False)


def version() -> Option:
    """`--version`."""

    def show(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            say(f"{NAME} {sys.modules['pellucid'].__version__}")
            ctx.exit()

    return option("version", "other", is_flag=True, expose_value=False, is_eager=True, callback=show)


def option(name: str, group: str, *flags: str, shown: str = "", subject: str = "cli", **settings: Any) -> Option:
    """An option, listed in a group; its words are `SUBJECT.opt-NAME`.

    Parameters
        flags : as they are typed; none is --NAME
        shown : its default in words
    """
    # Written out, so that a key that is used can be found.
    keys = {
        "attribution": f"attribution.opt-{name}",
        "audio": f"audio.opt-{name}",
        "cli": f"cli.opt-{name}",
        "cost": f"cost.opt-{name}",
        "explain": f"explain.opt-{name}",
        "health": f"health.opt-{name}",
        "lab": f"lab.opt-{name}",
        "landscape": f"landscape.opt-{name}",
        "picture": f"picture.opt-{name}",
        "text": f"text.opt-{name}",
    }
    words = text(keys[subject])
    return Option(list(flags) or [f"--{name}"], group=group, shown=shown, help=words, **settings)


def setting_option(setting: Setting, subject: str | None = None) -> Option:
    """The flag of a setting. Its text is read by `gather`, so that flags and files are read alike."""
    shown, metavar = setting.kind.show(setting.default), setting.kind.metavar
    subject = subject or setting.subject
    return option(setting.name, setting.group, metavar=metavar, shown=shown, subject=subject, type=click.STRING)


def command(
    name: str,
    callback: Callable[..., int | None],
    params: Sequence[click.Parameter],
    examples: tuple[str, ...],
    key: str | None = None,
) -> Command:
    """A command with its words, `cli.KEY-...`; every one has `--lang`."""
    return Command(
        name,
        key=key or name,
        callback=callback,
        params=[*params, language()],
        examples=examples,
        context_settings=CONTEXT,
    )


def argument(name: str, required: bool = True) -> click.Argument:
    """An argument, shown in capitals."""
    return click.Argument([name], metavar=name.upper(), required=required, type=click.STRING)
