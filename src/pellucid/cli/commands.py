"""The commands leave from here, each with its arguments, options and examples in the language in force, and a callback
that imports what it needs when it is called. `app` puts them together.
"""

from __future__ import annotations

from typing import Any

import click

from pellucid.cli import look, picture
from pellucid.cli.help import Command, Option
from pellucid.cli.parameters import argument, command, option, setting_option
from pellucid.cli.settings import NETWORK, SETTINGS, chosen, gather


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
        *look.commands(),
        picture.picture(),
        _lab(),
        _data(),
    )


def further_commands() -> dict[str, Command]:
    """Those of two words."""
    return {"train text": _train_text(), "train audio": _train_audio()}


def _run_options(folder: str) -> list[Option]:
    """What every training command has: where settings come from, where the run goes, and what is said."""
    return [
        option("config", "run", metavar="FILE"),
        option("out", "run", metavar="FOLDER", shown=folder),
        option("checks", "run", "--checks/--no-checks", default=True, shown="--checks"),
        option("quiet", "run", "-q", "--quiet", is_flag=True),
    ]


def _train() -> Command:
    def callback(data: str, config: str | None, out: str | None, checks: bool, quiet: bool, **flags: Any) -> int:
        from pellucid.cli.training import train

        settings = gather(flags, config)
        return train(data, settings, out=out, checks=checks, quiet=quiet, command=typed())

    return command(
        "train",
        callback,
        [
            argument("data"),
            *map(setting_option, SETTINGS),
            *_run_options("runs/DATA"),
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

    return command(
        "train audio",
        callback,
        [
            argument("sounds"),
            *map(setting_option, AUDIO_SETTINGS),
            *_run_options("runs/SOUNDS"),
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

    return command(
        "train text",
        callback,
        [
            argument("file"),
            *(setting_option(s, "text") for s in TEXT_SETTINGS),
            *_run_options("runs/FILE"),
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

    return command(
        "evaluate",
        callback,
        [argument("model"), argument("data"), setting_option(setting)],
        ("pellucid evaluate runs/digits/model.safetensors digits",),
    )


def _predict() -> Command:
    def callback(model: str, input: str, out: str | None) -> int:
        from pellucid.cli.using import predict_rows

        return predict_rows(model, input, out)

    return command(
        "predict",
        callback,
        [argument("model"), argument("input"), option("predictions", "other", "--out", metavar="FILE")],
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

    return command(
        "generate",
        callback,
        [
            argument("run"),
            option("prompt", "writing", metavar="TEXT", subject="text"),
            *(setting_option(s, "text") for s in WRITING),
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

    return command(
        "summary",
        callback,
        [argument("model", required=False), *map(setting_option, NETWORK)],
        ("pellucid summary runs/digits/model.safetensors", "pellucid summary --layers 784,16,16,10"),
    )


def _cost() -> Command:
    def callback(model: str, **flags: Any) -> int:
        from pellucid.cli.cost import cost_of

        return cost_of(model, flags)

    def own(name: str, metavar: str | None = None, shown: str = "", **more: Any) -> Option:
        return option(name, "cost", shown=shown, subject="cost", metavar=metavar, **more)

    return command(
        "cost",
        callback,
        [
            argument("model"),
            own("input", "N,N,..."),
            own("training", is_flag=True),
            own("optimizer", "NAME"),
            own("measure", is_flag=True),
            own("verify", is_flag=True),
            own("depth", "N"),
            own("markdown", is_flag=True),
            own("figure", "FILE"),
            own("dtype", "NAME", "float32"),
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

    def own(name: str, *flags: str, **more: Any) -> Option:
        return option(name, "doctor", *flags, subject="health", **more)

    return command(
        "doctor",
        callback,
        [
            argument("data"),
            *map(setting_option, SETTINGS),
            option("config", "run", metavar="FILE"),
            own("training", "--training/--no-training", default=True, shown="--training"),
            own("proof", "--proof/--no-proof", default=True, shown="--proof"),
            own("seeds", metavar="N", shown="3"),
            own("markdown", is_flag=True),
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

    def own(name: str, metavar: str | None = None, shown: str = "", **more: Any) -> Option:
        return option(name, "explain", shown=shown, subject="explain", metavar=metavar, **more)

    return command(
        "explain",
        callback,
        [
            argument("model"),
            argument("data"),
            own("row", "N", "0"),
            own("at", "NAME[PLACE]"),
            own("training", is_flag=True),
            own("optimizer", "NAME"),
            own("terms", "N", "6"),
            own("digits", "N", "6"),
            own("format", "NAME", "text"),
            own("out", "FILE"),
            own("verify", is_flag=True),
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

    return command(
        "lab",
        callback,
        [
            argument("name", required=False),
            option("seed", "lab", subject="lab", metavar="N", shown="0"),
            option("out", "lab", subject="lab", metavar="FOLDER", shown="runs/lab"),
        ],
        ("pellucid lab", "pellucid lab collapse", "pellucid lab vanishing --seed 3 --out figures", "pellucid lab all"),
    )


def _data() -> Command:
    def callback() -> int:
        from pellucid.cli.using import list_data

        return list_data()

    return command("data", callback, [], ("pellucid data",))
