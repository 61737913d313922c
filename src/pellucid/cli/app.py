"""The words of a command line come in; an exit code leaves. Here the language is chosen, the command found, and what
goes wrong turned into lines and a code. `pellucid.cli.main` calls `run`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import click

from pellucid._text import set_language, text
from pellucid.cli.commands import commands, further_commands
from pellucid.cli.help import Command, Group
from pellucid.cli.output import refuse, say
from pellucid.cli.parameters import CONTEXT, NAME, language, version
from pellucid.core.check import closest
from pellucid.errors import ArgumentError, ArgumentTypeError, PellucidError


def run(words: list[str]) -> int:
    """Run a command line.

    Returns
        0 all went well, 2 what was given cannot be used, 130 Ctrl-C
    """
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character shall show a question mark, not an exception.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        choose_language(words)
        code = application().main(words, prog_name=NAME, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except PellucidError as error:
        refuse(error)
        return 2
    except click.UsageError as problem:
        refuse(usage_error(problem))
        return 2
    except (KeyboardInterrupt, click.Abort):
        print(text("cli.stopped"), file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of a pipe has gone; nothing more can be said there, not even by Python as it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        set_language(None)


def choose_language(words: list[str]) -> None:
    """Follow `--lang` before anything is said, wherever it stands.

    Raises
        ArgumentError: a language that there is not.
    """
    given = None
    for i, word in enumerate(words):
        if word == "--lang" and i + 1 < len(words):
            given = words[i + 1]
        elif word.startswith("--lang="):
            given = word.removeprefix("--lang=")
    if given is None:
        return
    if given not in ("en", "zh"):
        raise ArgumentError(
            "cli.choice", name="--lang", value=given, options="en, zh", suggestion=closest(given, ["en", "zh"])
        )
    set_language(given)  # type: ignore[arg-type]


def usage_error(problem: click.UsageError) -> PellucidError:
    """click's complaint in our own words."""
    command = problem.ctx.command_path if problem.ctx is not None else NAME
    if isinstance(problem, click.NoSuchOption):
        names = [o for p in problem.ctx.command.params for o in p.opts] if problem.ctx is not None else []
        near = closest(problem.option_name, names)
        return ArgumentTypeError("cli.no-option", command=command, option=problem.option_name, suggestion=near)
    if isinstance(problem, click.MissingParameter) and problem.param is not None:
        name = getattr(problem.param, "metavar", None) or str(problem.param.name).upper()
        return ArgumentTypeError("cli.missing-argument", command=command, argument=name)
    if isinstance(problem, click.BadOptionUsage):
        return ArgumentTypeError("cli.option-value", command=command, option=problem.option_name)
    return ArgumentTypeError("cli.usage", command=command, problem=problem.format_message())


class _Application(Group):
    """The group, which knows what to suggest for a command that is not there.

    Attributes
        further : commands of two words, which the list of commands names by their first
    """

    further: Mapping[str, Command] = MappingProxyType({})

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        both = " ".join(args[:2])
        if both in self.further:
            return both, self.further[both], args[2:]
        if not name.startswith("-") and name not in self.commands:
            raise ArgumentError(
                "cli.no-command", name=name, options=", ".join(self.commands), suggestion=closest(name, self.commands)
            )
        return super().resolve_command(ctx, args)


def application() -> _Application:
    """The group with all its commands; built anew for each run, since its words depend on the language."""
    group = _Application(
        NAME,
        invoke_without_command=True,
        no_args_is_help=False,
        callback=_bare,
        params=[language(), version()],
        context_settings=CONTEXT,
        add_help_option=True,
    )
    group.examples = (
        "pellucid train digits --layers 16,16",
        "pellucid evaluate runs/digits/model.safetensors digits",
        "pellucid summary --layers 784,16,16,10",
        "pellucid train mnist --model lenet5",
        "pellucid train audio spoken-digits --model cnn",
        "pellucid train text tiny-shakespeare --model gpt",
    )
    for command in commands():
        group.add_command(command)
    group.further = further_commands()
    return group


def _bare(**_: Any) -> None:
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is None:
        say(ctx.get_help())
