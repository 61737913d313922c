"""`pellucid train text` and `pellucid generate`: what they print and leave, and what they refuse."""

import json
import math
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.cli.text_settings import gather_text, nearest_divisor
from pellucid.cli.text_training import decayed, rate_of
from pellucid.models import GPT, CharLSTM, NextTokenLoss
from tests.cli.shell import call, environment
from tests.cli.test_processes import wait_for

WORDS = "the cat sat on the mat; the dog sat on the log.\n" * 40
GPT_RUN = ("--layers", "1", "--heads", "2", "--width", "16", "--block", "16", "--batch", "4", "--steps", "30")
LSTM_RUN = ("--model", "char-lstm", "--width", "16", "--block", "16", "--batch", "4", "--steps", "30")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cats.txt").write_text(WORDS, encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "described"),
    [
        (GPT_RUN, "GPT, 1 layer(s), width 16, blocks of 16: "),
        (LSTM_RUN, "CharLSTM, 1 layer(s), width 16, blocks of 16: "),
    ],
)
def test_a_run_leaves_its_folder(words: tuple[str, ...], described: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "text", "cats.txt", *words, "--eval-every", "10", "--seed", "3")
    assert (done.code, done.err) == (0, "")
    characters = "".join(sorted(set(WORDS)))
    model = GPT(len(characters), 16, 1, 2, 16, bias=False) if words is GPT_RUN else CharLSTM(len(characters), 16)
    count = model.num_parameters()
    assert f"{described}{count:,} parameters, {4 * count:,} bytes" in done.out
    # 49 characters a line, 40 lines; the last tenth is held out.
    assert f"cats: 1,920 characters; 1,728 training, 192 validation tokens of {len(characters)} kinds" in done.out
    run = Path("runs/cats")
    assert sorted(p.name for p in run.iterdir()) == [
        "curves.png",
        "metrics.jsonl",
        "model.safetensors",
        "report.html",
        "run.toml",
        "sample.txt",
    ]
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    tables = tomllib.loads((run / "run.toml").read_text("utf-8"))
    results = tables["results"]
    assert (results["steps"], results["evaluations"], results["stopped_by"]) == (30, 3, "epochs")
    assert results["val_loss"] == min(line["val_loss"] for line in lines) < math.log(len(characters))
    assert tables["settings"]["steps"] == 30
    assert tables["data"]["vocab_size"] == len(characters)
    shown = re.search(r"^validation loss (\S+) ", done.out, re.M)
    assert shown is not None
    assert float(shown[1]) == pytest.approx(results["val_loss"], abs=1e-4)
    sample = (run / "sample.txt").read_text("utf-8")
    assert len(sample) == 500
    assert set(sample) <= set(WORDS)

    # The file holds the model that was measured, under its own names.
    model.load_state_dict(pl.train.load_weights(run / "model.safetensors"))
    tokens = pl.data.CharTokenizer(WORDS).encode(WORDS)
    held_out = pl.data.text_windows(pl.data.split_tokens(tokens, 0.1)[1], 16)
    measured = pl.evaluate(model, held_out, loss=NextTokenLoss())
    assert measured["loss"] == pytest.approx(results["val_loss"], rel=1e-5)

    # And it writes: the prompt first, the same for the same seed.
    once = call(capsys, "generate", "runs/cats", "--prompt", "the cat", "--length", "20")
    assert (once.code, once.err) == (0, "")
    assert once.out.startswith("the cat")
    assert len(once.out) == len("the cat") + 20 + 1
    again = call(capsys, "generate", "runs/cats/model.safetensors", "--prompt", "the cat", "--length", "20")
    other = call(capsys, "generate", "runs/cats", "--prompt", "the cat", "--length", "20", "--seed", "1")
    assert (again.out, other.out == once.out) == (once.out, False)
    assert call(capsys, "generate", "runs/cats", "--length", "5", "--temperature", "0", "--top-k", "2").code == 0


def test_a_run_is_repeated_from_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "train", "text", "cats.txt", *GPT_RUN, "--out", "one", "--quiet")
    done = call(capsys, "train", "text", "cats.txt", "--config", "one/run.toml", "--out", "two", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert Path("one/model.safetensors").read_bytes() == Path("two/model.safetensors").read_bytes()
    command = tomllib.loads(Path("one/run.toml").read_text("utf-8"))["run"]["command"]
    assert command.startswith("pellucid train text cats.txt --layers 1 --heads 2 ")


def test_byte_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers")
    words = (*GPT_RUN, "--tokenizer", "byte-pairs", "--vocab-size", "270", "--block", "8", "--quiet")
    assert call(capsys, "train", "text", "cats.txt", *words).code == 0
    # Any text will do as a prompt, whatever it was trained on.
    done = call(capsys, "generate", "runs/cats", "--prompt", "Über", "--length", "4", "--temperature", "0")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Über")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--heads", "2", "--model", "char-lstm"), "ArgumentError: an LSTM has no heads\n"),
        (("--vocab-size", "300"), "ArgumentError: characters are counted, not chosen\n"),
        (("--width", "30"), "ArgumentError: GPT: n_embd cannot be shared out evenly among the heads\n"),
        (("--block", "5000"), "DataError: TextBlocks: the text is too short for one block\n"),
        (("--block", "500"), "DataError: text_windows: the text is too short for one block\n"),
        (("--lr", "0"), "ArgumentError: --lr is out of range\n"),
        (
            ("--steps", "100", "--eval-every", "30"),
            (
                "ArgumentError: the steps are no multiple of those between evaluations\n"
                "  given:    --steps 100 --eval-every 30\n"
                "  expected: a number that divides 100\n"
                "  fix:      --eval-every 25\n"
            ),
        ),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "text", "cats.txt", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(message)
    assert not Path("runs").exists()


def test_files_that_are_no_text_or_no_language_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "train", "text", "none.txt").err.startswith("MissingFileError: no such file\n")
    Path("bytes.txt").write_bytes(b"\xff\xfe")
    assert call(capsys, "train", "text", "bytes.txt").err.startswith(
        "FileFormatError: bytes.txt is not text in UTF-8\n"
    )
    pl.save(pl.nn.Linear(2, 2), "linear.safetensors")
    done = call(capsys, "generate", "linear.safetensors")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("FileFormatError: linear.safetensors is no language model\n")
    model = GPT(5, 4, 1, 1, 8)
    metadata = {
        "language_model": {"name": "gpt", "options": {"vocab_size": 5, "block_size": 4, "layers": 1}},
        "tokenizer": pl.data.CharTokenizer("abcde").state(),
    }
    pl.save(model, "odd.safetensors", example=np.zeros((1, 4), np.int64), metadata=metadata)
    assert "the model cannot be made from what the file says of it" in call(capsys, "generate", "odd.safetensors").err
    metadata["language_model"]["options"] = {"vocab_size": 5, "block_size": 4, "n_layer": 2, "n_head": 1, "n_embd": 8}
    pl.save(model, "odd.safetensors", example=np.zeros((1, 4), np.int64), metadata=metadata)
    assert "the model cannot be made from what the file says of it" in call(capsys, "generate", "odd.safetensors").err


def test_prompts_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, "train", "text", "cats.txt", *GPT_RUN, "--quiet")
    done = call(capsys, "generate", "runs/cats", "--prompt", "the\ncät")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        "DataError: the tokenizer does not know the character 'ä'\n"
        "  given:    'ä' (U+00E4) at line 2, column 2: character 5 of the text, counted from 0\n"
    )
    assert call(capsys, "generate", "runs/cats", "--prompt", "").err.startswith("ArgumentError: the prompt is empty\n")


def test_ctrl_c_keeps_the_run() -> None:
    words = [*GPT_RUN[:-1], "1000000", "--eval-every", "10"]
    started = subprocess.Popen(
        [sys.executable, "-m", "pellucid", "train", "text", "cats.txt", *words],
        env=environment(PELLUCID_COMPILE="numpy"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run = Path("runs/cats").absolute()
    wait_for(run / "metrics.jsonl", 3)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=60)
    assert (started.returncode, err) == (130, "")
    assert "stopped by Ctrl-C after" in out
    results = tomllib.loads((run / "run.toml").read_text("utf-8"))["results"]
    assert results["stopped_by"] == "interrupt"
    assert {"model.safetensors", "report.html", "sample.txt"} <= {p.name for p in run.iterdir()}


def test_the_rate_rises_and_falls() -> None:
    rate = rate_of(1100, 100)
    assert [rate(0), rate(99)] == pytest.approx([1 / 101, 100 / 101])
    # At half a cosine's beginning, middle and end; the lowest is a tenth.
    assert [rate(100), rate(600), rate(1100)] == pytest.approx([1.0, 0.55, 0.1])
    assert rate_of(10, 0)(0) == 1.0
    assert rate_of(5, 10)(4) == pytest.approx(5 / 11)


def test_matrices_decay_and_vectors_do_not() -> None:
    model = GPT(5, 4, 1, 1, 8)
    first, second = decayed(model, 0.1)
    assert {p.ndim for p in first["params"]} == {2}
    assert {p.ndim for p in second["params"]} == {1}
    assert len(first["params"]) + len(second["params"]) == len(list(model.parameters()))
    assert (first["weight_decay"], second["weight_decay"]) == (0.1, 0.0)


def test_evaluations_are_laid_out_evenly() -> None:
    assert [nearest_divisor(n, 250) for n in (2000, 30, 1, 2003, 1100)] == [250, 30, 1, 2003, 275]
    assert gather_text({"steps": "600"}, None)["eval_every"] == 300
