"""The commands leave from here, each with its arguments, options and examples in the language in force, and a callback
that imports what it needs when it is called. `app` puts them together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from pellucid._text import text
from pellucid.cli import look, picture
from pellucid.cli.help import Command, Option
from pellucid.cli.output import say
from pellucid.cli.settings import NETWORK, SETTINGS, Setting, chosen, gather

NAME = "pellucid"
CONTEXT = {"help_option_names": ["-h", "--help"]}


def commands() -> tuple[Command, ...]:
    """All commands of one word, as the list of commands names them."""
    return (
        _train(),
        _evaluate(),
        _predict(),
        _generate(),
        _summary(),
        _cost(),
        _explain(),
        _doctor(),
        *_looking(),
        _command(**picture.command(_argument("kind"), _argument("model", required=False))),
        _lab(),
        _data(),
    )


def further_commands() -> dict[str, Command]:
    """Those of two words."""
    return {"train text": _train_text(), "train audio": _train_audio()}


def language() -> Option:
    """`--lang`, which every command has."""
    return _option("lang", "other", metavar="en|zh", expose_value=False)


def version() -> Option:
    """`--version`."""

    def show(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            say(f"{NAME} {sys.modules['pellucid'].__version__}")
            ctx.exit()

    return _option("version", "other", is_flag=True, expose_value=False, is_eager=True, callback=show)


def _option(name: str, group: str, *flags: str, shown: str = "", subject: str = "cli", **settings: Any) -> Option:
    # Written out, so that a key that is used can be found.
    keys = {"cli": f"cli.opt-{name}", "text": f"text.opt-{name}", "audio": f"audio.opt-{name}"}
    words = text(keys[subject])
    return Option(list(flags) or [f"--{name}"], group=group, shown=shown, help=words, **settings)


def _setting(setting: Setting, subject: str | None = None) -> Option:
    """The flag of a setting. Its text is read by `gather`, so that flags and files are read alike."""
    shown, metavar = setting.kind.show(setting.default), setting.kind.metavar
    subject = subject or setting.subject
    return _option(setting.name, setting.group, metavar=metavar, shown=shown, subject=subject, type=click.STRING)


def _command(
    name: str,
    callback: Callable[..., int | None],
    params: list[click.Parameter],
    examples: tuple[str, ...],
    key: str | None = None,
) -> Command:
    return Command(
        name,
        key=key or name,
        callback=callback,
        params=[*params, language()],
        examples=examples,
        context_settings=CONTEXT,
    )


def _argument(name: str, required: bool = True) -> click.Argument:
    return click.Argument([name], metavar=name.upper(), required=required, type=click.STRING)


def _train() -> Command:
    def callback(data: str, config: str | None, out: str | None, checks: bool, quiet: bool, **flags: Any) -> int:
        from pellucid.cli.training import train

        settings = gather(flags, config)
        return train(data, settings, out=out, checks=checks, quiet=quiet, command=typed())

    return _command(
        "train",
        callback,
        [
            _argument("data"),
            *map(_setting, SETTINGS),
            _option("config", "run", metavar="FILE"),
            _option("out", "run", metavar="FOLDER", shown="runs/DATA"),
            _option("checks", "run", "--checks/--no-checks", default=True, shown="--checks"),
            _option("quiet", "run", "-q", "--quiet", is_flag=True),
        ],
        (
            "pellucid train digits --layers 16,16",
            "pellucid train two-moons --layers 8 --activation tanh --optimizer sgd --momentum 0.9",
            "pellucid train mnist --model lenet5",
            "pellucid train fashion-mnist --model cnn --augment shift,flip --out runs/fashion",
            "pellucid train table.npz --scale standardize --patience 10",
            "pellucid train digits --config runs/digits/run.toml --seed 1",
            "pellucid train text tiny-shakespeare --model gpt",
            "pellucid train audio spoken-digits --model cnn",
        ),
    )


def _train_audio() -> Command:
    from pellucid.cli.audio_settings import AUDIO_SETTINGS, gather_audio

    def callback(sounds: str, config: str | None, out: str | None, checks: bool, quiet: bool, **flags: Any) -> int:
        from pellucid.cli.audio_planning import plan_sounds
        from pellucid.cli.training import train

        settings = gather_audio(flags, config)
        return train(sounds, settings, planned=plan_sounds, out=out, checks=checks, quiet=quiet, command=typed())

    return _command(
        "train audio",
        callback,
        [
            _argument("sounds"),
            *map(_setting, AUDIO_SETTINGS),
            _option("config", "run", metavar="FILE"),
            _option("out", "run", metavar="FOLDER", shown="runs/SOUNDS"),
            _option("checks", "run", "--checks/--no-checks", default=True, shown="--checks"),
            _option("quiet", "run", "-q", "--quiet", is_flag=True),
        ],
        (
            "pellucid train audio spoken-digits --model cnn",
            "pellucid train audio recordings.zip --model gru --seconds 1.5",
            "pellucid predict runs/spoken-digits seven.wav",
        ),
        key="train-audio",
    )


def _train_text() -> Command:
    from pellucid.cli.text_settings import TEXT_SETTINGS, gather_text

    def callback(file: str, config: str | None, out: str | None, checks: bool, quiet: bool, **flags: Any) -> int:
        from pellucid.cli.text_training import train_text

        settings = gather_text(flags, config)
        return train_text(file, settings, out=out, checks=checks, quiet=quiet, command=typed())

    return _command(
        "train text",
        callback,
        [
            _argument("file"),
            *(_setting(s, "text") for s in TEXT_SETTINGS),
            _option("config", "run", metavar="FILE"),
            _option("out", "run", metavar="FOLDER", shown="runs/FILE"),
            _option("checks", "run", "--checks/--no-checks", default=True, shown="--checks"),
            _option("quiet", "run", "-q", "--quiet", is_flag=True),
        ],
        (
            "pellucid train text tiny-shakespeare --layers 4 --heads 4 --width 128 --block 64 --batch 12 --steps 2000",
            "pellucid train text tiny-shakespeare --model char-lstm",
            "pellucid generate runs/tiny-shakespeare --prompt ROMEO:",
        ),
        key="train-text",
    )


def typed() -> list[str]:
    """The words of this command line, for the record."""
    ctx = click.get_current_context()
    words: list[str] = []
    for parameter in ctx.command.params:
        name = str(parameter.name)
        value = ctx.params.get(name)
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.COMMANDLINE:
            continue
        if isinstance(parameter, click.Argument):
            words.append(str(value))
        elif isinstance(value, bool):
            words.append(parameter.opts[-1] if value else parameter.secondary_opts[0])
        else:
            words += [parameter.opts[-1], str(value)]
    return [*(ctx.command.name or "").split(), *words]


def _evaluate() -> Command:
    setting = next(s for s in SETTINGS if s.name == "metrics")

    def callback(model: str, data: str, metrics: str | None) -> int:
        from pellucid.cli.using import evaluate_model

        chosen = setting.kind.read("--metrics", metrics)
        return evaluate_model(model, data, chosen if isinstance(chosen, list) else None)  # type: ignore[arg-type]

    return _command(
        "evaluate",
        callback,
        [_argument("model"), _argument("data"), _setting(setting)],
        ("pellucid evaluate runs/digits/model.safetensors digits",),
    )


def _predict() -> Command:
    def callback(model: str, input: str, out: str | None) -> int:
        from pellucid.cli.using import predict_rows

        return predict_rows(model, input, out)

    return _command(
        "predict",
        callback,
        [_argument("model"), _argument("input"), _option("predictions", "other", "--out", metavar="FILE")],
        (
            "pellucid predict runs/digits/model.safetensors digits",
            "pellucid predict runs/table/model.safetensors new.csv --out answers.csv",
            "pellucid predict runs/spoken-digits seven.wav",
        ),
    )


def _generate() -> Command:
    from pellucid.cli.text_settings import WRITING

    def callback(run: str, prompt: str | None, **flags: Any) -> int:
        from pellucid.cli.language import write_text

        return write_text(run, prompt=prompt, **chosen(WRITING, flags, None))

    return _command(
        "generate",
        callback,
        [
            _argument("run"),
            _option("prompt", "writing", metavar="TEXT", subject="text"),
            *(_setting(s, "text") for s in WRITING),
        ],
        (
            "pellucid generate runs/tiny-shakespeare --prompt ROMEO: --length 300",
            "pellucid generate runs/tiny-shakespeare --temperature 0.5 --top-k 10 --seed 1",
        ),
    )


def _summary() -> Command:
    def callback(model: str | None, **flags: Any) -> int:
        from pellucid.cli.summary import summarise

        return summarise(model, flags)

    return _command(
        "summary",
        callback,
        [_argument("model", required=False), *map(_setting, NETWORK)],
        ("pellucid summary runs/digits/model.safetensors", "pellucid summary --layers 784,16,16,10"),
    )


def _cost() -> Command:
    def callback(model: str, **flags: Any) -> int:
        from pellucid.cli.cost import cost_of

        return cost_of(model, flags)

    def option(name: str, metavar: str | None = None, shown: str = "", is_flag: bool = False) -> Option:
        words = text(f"cost.opt-{name}")
        return Option([f"--{name}"], group="cost", shown=shown, metavar=metavar, help=words, is_flag=is_flag)

    return _command(
        "cost",
        callback,
        [
            _argument("model"),
            option("input", "N,N,..."),
            option("training", is_flag=True),
            option("optimizer", "NAME"),
            option("measure", is_flag=True),
            option("verify", is_flag=True),
            option("depth", "N"),
            option("markdown", is_flag=True),
            option("figure", "FILE"),
            option("dtype", "NAME", "float32"),
        ],
        (
            "pellucid cost resnet18 --depth 1",
            "pellucid cost lenet5 --training --optimizer adam --markdown",
            "pellucid cost runs/digits --measure --figure cost.png",
        ),
    )


def _doctor() -> Command:
    def callback(
        data: str, config: str | None, training: bool, proof: bool, seeds: str | None, markdown: bool, **flags: Any
    ) -> int:
        from pellucid.cli.doctor import diagnose

        options = {"config": config, "training": training, "proof": proof, "seeds": seeds, "markdown": markdown}
        return diagnose(data, flags, options)

    def option(name: str, *flags: str, **more: Any) -> Option:
        return Option(list(flags) or [f"--{name}"], group="doctor", help=text(f"health.opt-{name}"), **more)

    return _command(
        "doctor",
        callback,
        [
            _argument("data"),
            *map(_setting, SETTINGS),
            _option("config", "run", metavar="FILE"),
            option("training", "--training/--no-training", default=True, shown="--training"),
            option("proof", "--proof/--no-proof", default=True, shown="--proof"),
            option("seeds", metavar="N", shown="3"),
            option("markdown", is_flag=True),
        ],
        (
            "pellucid doctor digits --layers 16,16",
            "pellucid doctor table.csv --scale standardize --markdown",
            "pellucid doctor runs/digits --seeds 5",
        ),
    )


def _explain() -> Command:
    def callback(model: str, data: str, **flags: Any) -> int:
        from pellucid.cli.explaining import explain_row

        return explain_row(model, data, flags)

    def option(name: str, metavar: str | None = None, shown: str = "", is_flag: bool = False) -> Option:
        words = text(f"explain.opt-{name}")
        return Option([f"--{name}"], group="explain", shown=shown, metavar=metavar, help=words, is_flag=is_flag)

    return _command(
        "explain",
        callback,
        [
            _argument("model"),
            _argument("data"),
            option("row", "N", "0"),
            option("at", "NAME[PLACE]"),
            option("training", is_flag=True),
            option("optimizer", "NAME"),
            option("terms", "N", "6"),
            option("digits", "N", "6"),
            option("format", "NAME", "text"),
            option("out", "FILE"),
            option("verify", is_flag=True),
        ],
        (
            "pellucid explain runs/digits digits --row 3",
            "pellucid explain runs/digits digits --at 0.weight[2,5] --optimizer adam --verify",
            "pellucid explain runs/digits digits --training --out explanation.html",
        ),
    )


def _lab() -> Command:
    def callback(name: str | None, seed: str | None, out: str | None) -> int:
        from pellucid.cli.lab import try_claims

        return try_claims(name, seed, out)

    def option(name: str, metavar: str, shown: str) -> Option:
        return Option([f"--{name}"], group="lab", metavar=metavar, shown=shown, help=text(f"lab.opt-{name}"))

    return _command(
        "lab",
        callback,
        [_argument("name", required=False), option("seed", "N", "0"), option("out", "FOLDER", "runs/lab")],
        ("pellucid lab", "pellucid lab collapse", "pellucid lab vanishing --seed 3 --out figures", "pellucid lab all"),
    )


def _looking() -> list[Command]:
    """The commands that look into a network: curvature, noise, rate, attribute."""
    settings = [*map(_setting, SETTINGS), _option("config", "run", metavar="FILE")]
    return [_command(**parts) for parts in look.commands(settings, _argument("data"), _argument("model"))]


def _data() -> Command:
    def callback() -> int:
        from pellucid.cli.using import list_data

        return list_data()

    return _command("data", callback, [], ("pellucid data",))
