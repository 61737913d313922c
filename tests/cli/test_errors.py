"""What a user gets wrong is said in four lines, with exit code 2 and nothing left behind."""

from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from tests.cli.shell import call

QUICK = ("--epochs", "2", "--layers", "4")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    np.savez("x-alone.npz", x=x)
    np.savez("floats.npz", x=x, y=x.sum(axis=1))
    np.savez("negative.npz", x=x, y=np.arange(60) % 3 - 1)
    np.savez("one.npz", x=x, y=np.zeros(60, dtype=int))
    np.savez("three.npz", x=x, y=np.arange(60) % 3)
    np.savez("wide-test.npz", x_train=x, y_train=np.arange(60) % 2, x_test=x[:, :2], y_test=np.arange(60) % 2)
    Path("notes.txt").write_text("hello", encoding="utf-8")
    Path("broken.npz").write_bytes(b"PK\x03\x04 nothing")
    Path("ragged.csv").write_text("1,2,0\n1,2\n", encoding="utf-8")
    Path("words.csv").write_text("a,b,c\n1,2,0\n1,two,1\n", encoding="utf-8")
    Path("empty.csv").write_text("\n", encoding="utf-8")
    Path("header.csv").write_text("a,b,c\n", encoding="utf-8")
    Path("no.toml").write_text("epochs = = 3\n", encoding="utf-8")
    Path("typo.toml").write_text("epoch = 3\n", encoding="utf-8")
    Path("nested.toml").write_text("[layers]\na = 3\n", encoding="utf-8")
    Path("range.toml").write_text("dropout = 1.0\n", encoding="utf-8")
    Path("kind.toml").write_text('epochs = "many"\n', encoding="utf-8")


CASES = {
    "no such command": (
        ["trian"],
        """ArgumentError: there is no command trian
  given:    pellucid trian
  expected: one of train, evaluate, predict, generate, summary, cost, explain, doctor, \
curvature, noise, rate, attribute, picture, lab, data
  fix:      did you mean train?
""",
    ),
    "no such option": (
        ["train", "digits", "--epoch", "3"],
        """ArgumentTypeError: pellucid train has no option --epoch
  given:    --epoch
  expected: an option that pellucid train --help lists
  fix:      did you mean --epochs?
""",
    ),
    "missing argument": (
        ["train"],
        """ArgumentTypeError: DATA is missing
  given:    pellucid train
  expected: pellucid train DATA
""",
    ),
    "missing value": (
        ["train", "digits", "--lr"],
        """ArgumentTypeError: --lr needs a value
  given:    pellucid train --lr
  expected: a value after --lr; pellucid train --help lists what it may be
""",
    ),
    "one argument too many": (
        ["train", "digits", "iris"],
        """ArgumentTypeError: the command line cannot be understood
  given:    Got unexpected extra argument (iris)
  expected: a call as in pellucid train --help
""",
    ),
    "no such data": (
        ["train", "digts"],
        """MissingFileError: there is no data set digts
  given:    digts
  expected: a built-in set (digits, two-moons, circles, spirals, xor, blobs, mnist, fashion-mnist), \
a folder of IDX files, or a .npz or .csv file
  fix:      did you mean digits?
""",
    ),
    "a file of another kind": (
        ["train", "notes.txt"],
        """FileFormatError: notes.txt is of a kind that is not read
  given:    a file named .txt
  expected: a folder of IDX files, or a .npz, .npy, .csv or IDX file
""",
    ),
    "a number out of range": (
        ["train", "digits", "--lr", "-3"],
        """ArgumentError: --lr is out of range
  given:    --lr = -3.0
  expected: a number in (0, ∞)
""",
    ),
    "no number": (
        ["train", "digits", "--lr", "fast"],
        """ArgumentTypeError: --lr cannot be read
  given:    --lr = 'fast'
  expected: a number in (0, ∞), or auto
""",
    ),
    "no whole number": (
        ["train", "digits", "--patience", "1.5"],
        """ArgumentTypeError: --patience cannot be read
  given:    --patience = '1.5'
  expected: a whole number in [1, ∞), or none
""",
    ),
    "a wrong batch size": (
        ["train", "digits", "--batch-size", "half"],
        """ArgumentTypeError: --batch-size cannot be read
  given:    --batch-size = 'half'
  expected: a whole number from 1 up, full, or auto
""",
    ),
    "wrong layers": (
        ["train", "digits", "--layers", "64x32"],
        """ArgumentTypeError: --layers cannot be read
  given:    --layers = '64x32'
  expected: whole numbers from 1 up with commas between them, such as 64,32; or none
""",
    ),
    "no such optimizer": (
        ["train", "digits", "--optimizer", "adamm"],
        """ArgumentError: --optimizer does not know adamm
  given:    --optimizer = adamm
  expected: one of sgd, adam, adamw, nadam, radam, adamax, adagrad, adadelta, rmsprop, lion, lbfgs
  fix:      did you mean adam?
""",
    ),
    "no such metric": (
        ["train", "digits", "--metrics", "acuracy"],
        """ArgumentError: --metrics does not know acuracy
  given:    --metrics = acuracy
  expected: one of accuracy, top_k_accuracy, precision, recall, f1, auc, r2, mae, mse, rmse
  fix:      did you mean accuracy?
""",
    ),
    "no such language": (
        ["train", "digits", "--lang", "fr"],
        """ArgumentError: --lang does not know fr
  given:    --lang = fr
  expected: one of en, zh
""",
    ),
    "momentum where there is none": (
        ["train", "digits", "--momentum", "0.9"],
        """ArgumentError: the optimizer adam has no momentum
  given:    --optimizer adam --momentum 0.9
  expected: momentum with one of sgd, rmsprop
""",
    ),
    "weight decay where there is none": (
        ["train", "digits", "--optimizer", "lbfgs", "--weight-decay", "0.1"],
        """ArgumentError: the optimizer lbfgs has no weight decay
  given:    --optimizer lbfgs --weight-decay 0.1
  expected: --weight-decay 0, or another optimizer
""",
    ),
    "patience for nothing": (
        ["train", "digits", "--patience", "3", "--validation", "0"],
        """ArgumentError: early stopping needs validation rows to go by
  given:    --patience 3 --validation 0
  expected: --validation above 0, such as 0.1
""",
    ),
    "no configuration file": (
        ["train", "digits", "--config", "net.toml"],
        """MissingFileError: the configuration file cannot be read
  given:    net.toml: No such file or directory
  expected: a TOML file
""",
    ),
    "a key that is no setting": (
        ["train", "digits", "--config", "typo.toml"],
        """ArgumentError: typo.toml has a key that is no setting: epoch
  given:    epoch
  expected: keys among model, layers, activation, norm, dropout, init, dtype, loss, optimizer, lr, momentum, \
weight-decay, schedule, epochs, batch-size, clip-norm, patience, validation, test-size, scale, augment, metrics, seed
  fix:      did you mean epochs?
""",
    ),
    "a table for a value": (
        ["train", "digits", "--config", "nested.toml"],
        """ArgumentTypeError: nested.toml: layers has a value of the wrong kind
  given:    layers = {'a': 3}
  expected: a number, a text or an array
""",
    ),
    "a value out of range in a file": (
        ["train", "digits", "--config", "range.toml"],
        """ArgumentError: range.toml: dropout is out of range
  given:    range.toml: dropout = 1.0
  expected: a number in [0, 1)
""",
    ),
    "a word for a number in a file": (
        ["train", "digits", "--config", "kind.toml"],
        """ArgumentTypeError: kind.toml: epochs cannot be read
  given:    kind.toml: epochs = 'many'
  expected: a whole number in [1, ∞), or auto
""",
    ),
    "data without targets": (
        ["train", "x-alone.npz"],
        """DataError: the data have no targets
  given:    x-alone: x (60, 3)
  expected: targets, such as an array y beside x
""",
    ),
    "negative labels": (
        ["train", "negative.npz"],
        """LabelError: label -1 at row 0 is negative
  given:    whole-number targets, which are read as classes
  expected: classes 0, 1, 2, ...; or floats, to learn the numbers themselves
""",
    ),
    "one class": (
        ["train", "one.npz"],
        """DataError: all targets are of one class, so there is nothing to tell apart
  given:    60 rows of class 0
  expected: at least two classes
""",
    ),
    "classes are asked for, numbers given": (
        ["train", "floats.npz", "--loss", "cross_entropy"],
        """ArgumentError: the loss cross_entropy takes class labels
  given:    targets (60,) of float32
  expected: one whole number a row; or a loss for numbers, such as mse
""",
    ),
    "three classes for a loss of two": (
        ["train", "three.npz", "--loss", "bce"],
        """ArgumentError: the loss bce tells two classes apart
  given:    3 classes
  expected: two classes; for more, cross_entropy
""",
    ),
    "a test part of another shape": (
        ["train", "wide-test.npz"],
        """DataError: the test part has rows of another shape than the training part
  given:    training (60, 3), test (60, 2)
  expected: the same shape after the first axis
""",
    ),
    "a table with a short line": (
        ["train", "ragged.csv"],
        """FileFormatError: ragged.csv cannot be read as a table
  given:    line 2 has 2 entries, the first line 3
  expected: numbers with commas between them, the same count on every line; the last column is the target
""",
    ),
    "a table with a word": (
        ["train", "words.csv"],
        """FileFormatError: words.csv cannot be read as a table
  given:    line 3, column 2 holds 'two'
  expected: numbers with commas between them, the same count on every line; the last column is the target
""",
    ),
    "an empty table": (
        ["train", "empty.csv"],
        """DataError: empty.csv has no rows
  given:    empty.csv
  expected: at least one row of numbers
""",
    ),
    "a header alone": (
        ["train", "header.csv"],
        """DataError: header.csv has no rows
  given:    header.csv
  expected: at least one row of numbers
""",
    ),
    "a summary of nothing": (
        ["summary"],
        """ArgumentError: summary needs a model or sizes
  given:    pellucid summary
  expected: a model file, or --layers with the inputs first, such as --layers 784,16,16,10
""",
    ),
    "a summary of one size": (
        ["summary", "--layers", "784"],
        """ArgumentError: --layers of a summary has two sizes at least
  given:    --layers 784
  expected: the inputs first and the outputs last, such as 784,16,16,10
""",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_message_is_whole(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = CASES[case]
    done = call(capsys, *words)
    assert done.err == message
    assert done.code == 2
    assert not Path("runs").exists()


def test_toml_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "digits", "--config", "no.toml")
    assert done.code == 2
    assert done.err.startswith(
        "FileFormatError: the configuration file is not TOML\n  given:    no.toml: Invalid value"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["train", "broken.npz"],
        ["evaluate", "nothing.safetensors", "digits"],
        ["evaluate", "notes.txt", "digits"],
        ["predict", "broken.npz", "digits"],
        ["summary", "notes.txt"],
    ],
    ids=" ".join,
)
def test_files_that_are_none_are_refused_without_a_traceback(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, *words)
    assert done.code == 2
    assert "Error: " in done.err
    assert "Traceback" not in done.err


def test_all_zero_weights_are_refused_before_a_folder_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "digits", "--init", "zeros", *QUICK)
    assert done.code == 2
    assert done.err.startswith("ModelError: ")
    assert not Path("runs").exists()


def test_a_loss_that_explodes_leaves_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "floats.npz", *QUICK, "--optimizer", "sgd", "--lr", "1e20", "--schedule", "constant")
    assert done.code == 2
    assert done.err.startswith("NonFiniteError: ")
    assert 'stopped_by = "non_finite"' in Path("runs/floats/run.toml").read_text("utf-8")


def test_models_and_rows_that_do_not_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "train", "three.npz", *QUICK, "--no-checks").code == 0
    assert call(capsys, "evaluate", "runs/three", "two-moons").err == (
        "ShapeError: these rows do not fit the model\n"
        "  given:    rows of (2,) numbers, from two_moons\n"
        "  expected: rows of (3,) numbers\n"
    )
    np.savez("five.npz", x=np.zeros((5, 3)), y=np.arange(5))
    assert call(capsys, "evaluate", "runs/three", "five.npz").err == (
        "LabelError: the data have a class that the model does not know\n"
        "  given:    label 3 at row 3\n"
        "  expected: classes 0 to 2\n"
    )
    assert call(capsys, "predict", "runs/three", "three.npz", "--out", "answers.txt").err == (
        "ArgumentError: predictions are written to .csv or .npz files\n"
        "  given:    --out answers.txt\n"
        "  expected: a name that ends in .csv or .npz\n"
    )
    assert call(capsys, "predict", "runs/three", "three.npz", "--out", "no/where.csv").err == (
        "MissingFileError: the folder to write to does not exist\n"
        f"  given:    {Path('no').resolve()}\n"
        "  expected: an existing folder\n"
    )


def test_errors_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "train", "digts", "--lang", "zh")
    assert done.code == 2
    assert done.err.splitlines()[0] == "MissingFileError: 没有数据集 digts"
    assert done.err.splitlines()[-1] == "  改法：是否想写 digits？"
    assert pl.language() == "en"
