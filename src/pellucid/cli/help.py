"""A command comes in; its help page leaves, in the language in force. Options stand in groups, with their defaults,
and examples at the end. click calls it for `--help`.
"""

from __future__ import annotations

import shutil
from typing import Any

import click

from pellucid._text import text
from pellucid.train.progress import width

_WIDEST = 100
_INDENT = 2


class _Helped(click.Command):
    """A command whose `--help` is in the words of the catalogue."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`--help`, translated."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = text("cli.opt-help")
        return option


class Command(_Helped):
    """A command whose words come from the catalogue under `cli.<key>-...`.

    Parameters
        key : the part of the catalogue's keys that names it
        examples : command lines that are shown as they are
    """

    def __init__(self, *args: Any, key: str, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key = key
        self.examples = examples

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The words as parameters; a complaint about them says which command it is about."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as problem:
            problem.ctx = problem.ctx or ctx
            raise

    def get_help(self, ctx: click.Context) -> str:
        """The help page."""
        arguments = [p for p in self.params if isinstance(p, click.Argument)]
        names = " ".join(p.metavar or str(p.name).upper() for p in arguments)
        lines = [text("cli.usage-line", usage=f"{ctx.command_path} {names} [{text('cli.options')}]"), ""]
        lines += paragraphs(text(f"cli.{self.key}-help")) + [""]
        for argument in arguments:
            lines += entries([(argument.metavar or "", text(f"cli.{self.key}-{argument.name}"))])
        lines += [""]
        lines += option_groups([p for p in self.get_params(ctx) if isinstance(p, click.Option)])
        return "\n".join(lines + shown_examples(self.examples))


class Group(_Helped, click.Group):
    """The command that holds the others."""

    examples: tuple[str, ...] = ()

    def get_help(self, ctx: click.Context) -> str:
        """The help page: what there is, and how to begin."""
        lines = [text("cli.usage-line", usage=f"{ctx.command_path} {text('cli.command')} [{text('cli.options')}]"), ""]
        lines += paragraphs(text("cli.group-help")) + ["", text("cli.commands")]
        lines += entries([(name, text(f"cli.{name}-short")) for name in self.commands]) + [""]
        lines += option_groups([p for p in self.get_params(ctx) if isinstance(p, click.Option)])
        lines += shown_examples(self.examples)
        lines += ["", *paragraphs(text("cli.group-more", command=ctx.command_path))]
        return "\n".join(lines)


class Option(click.Option):
    """An option with the group it is listed in and its default in words."""

    def __init__(self, *args: Any, group: str = "other", shown: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        self.shown = shown


def option_groups(options: list[click.Option]) -> list[str]:
    """Options under the headings of their groups."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for option in options:
        group = getattr(option, "group", "other")
        flags = ", ".join(option.opts + option.secondary_opts)
        names = f"{flags} {option.metavar}" if option.metavar else flags
        words = option.help or ""
        shown = getattr(option, "shown", "")
        if shown:
            words += " " + text("cli.default", value=shown)
        groups.setdefault(group, []).append((names, words))
    lines: list[str] = []
    for group, rows in groups.items():
        lines += [text(f"cli.group-{group}"), *entries(rows), ""]
    return lines


def shown_examples(examples: tuple[str, ...]) -> list[str]:
    """Command lines under their heading."""
    return [text("cli.examples"), *(f"{' ' * _INDENT}{line}" for line in examples)] if examples else []


def entries(rows: list[tuple[str, str]]) -> list[str]:
    """Names in one column and what they mean in the next, wrapped there; a long name has a line of its own."""
    column = min(max((width(name) for name, _ in rows), default=0), 28)
    lines = []
    for name, words in rows:
        wrapped = wrap(words, columns() - column - 2 * _INDENT)
        if width(name) > column:
            lines.append(" " * _INDENT + name)
        else:
            first = wrapped.pop(0) if wrapped else ""
            lines.append((" " * _INDENT + name + " " * (column - width(name) + _INDENT) + first).rstrip())
        lines += [" " * (column + 2 * _INDENT) + line for line in wrapped]
    return lines


def paragraphs(words: str) -> list[str]:
    """Text wrapped to the terminal; an empty line stays one."""
    lines: list[str] = []
    for paragraph in words.split("\n\n"):
        lines += ([""] if lines else []) + wrap(paragraph.replace("\n", " "), columns())
    return lines


def columns() -> int:
    """The width to wrap to."""
    return min(shutil.get_terminal_size().columns, _WIDEST)


def wrap(words: str, limit: int) -> list[str]:
    """Lines of at most `limit` columns, broken at spaces, and between Chinese characters, which have none."""
    limit = max(limit, 20)
    lines, line = [], ""
    for piece in _pieces(words):
        if width(line + piece.rstrip()) <= limit:
            line += piece
            continue
        lines.append(line.rstrip())
        line = piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() else lines


def _pieces(words: str) -> list[str]:
    """What must stay together: a word and the space after it, or a Chinese character and the punctuation after it."""
    pieces: list[str] = []
    for c in words:
        closing = c in "，。、；：！？）」』”’)"
        joins = pieces and (
            closing or (width(c) == 1 and not pieces[-1].endswith(" ") and width(pieces[-1][-1]) == 1) or c == " "
        )
        if joins:
            pieces[-1] += c
        else:
            pieces.append(c)
    return pieces
