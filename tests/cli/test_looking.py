"""`pellucid curvature`, `noise`, `rate` and `attribute`, on networks that the training commands left; and `explain`,
`cost` and `doctor` on runs of text and of sounds."""

import re
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid.cli.app import run
from pellucid.cli.trained import network_of, trained
from pellucid.inspection import integrated_gradients
from pellucid.train.files import load
from tests.cli.shell import call
from tests.cli.test_audio import RATE, tone
from tests.cli.test_text import GPT_RUN, WORDS

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on a table, on small pictures, on a text and on sounds."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    lines = ["near,far,noise,takes", *(f"{a:.4f},{b:.4f},{c:.4f},{'yes' if a - 2 * b > 0 else 'no'}" for a, b, c in x)]
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pictures = rng.uniform(size=(120, 1, 8, 8)).astype(np.float32)
    labels = np.arange(120) % 2
    pictures[labels == 1, :, :4] += 1
    np.savez(folder / "pictures.npz", x=pictures, y=labels)
    (folder / "cats.txt").write_text(WORDS, encoding="utf-8")
    for kind in ("down", "up"):
        (folder / "tones" / kind).mkdir(parents=True)
        for n in range(20):
            pl.data.write_wav(folder / "tones" / kind / f"{n:02}.wav", tone(kind, n), RATE)
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["train", "table.csv", "--layers", "6", "--scale", "standardize", "--epochs", "30", "-q"]) == 0
        assert run(["train", "pictures.npz", "--model", "cnn", "--epochs", "2", "-q"]) == 0
        assert run(["train", "text", "cats.txt", *GPT_RUN, "-q"]) == 0
        sounds = ["--bands", "8", "--width", "8", "--epochs", "2", "-q"]
        assert run(["train", "audio", "tones", *sounds]) == 0
    assert Path.cwd() == before
    return folder


@pytest.fixture(autouse=True)
def _there(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("table", "Sequential"), ("pictures", "SmallCNN"), ("cats", "GPT"), ("tones", "SpokenWordCNN")],
)
def test_a_run_gives_its_own_network_back(name: str, kind: str) -> None:
    path = Path("runs", name, "model.safetensors")
    loaded = load(path)
    found = network_of(path, loaded)
    assert type(found).__name__ == kind
    for key, value in loaded.state_dict().items():
        assert np.array_equal(found.state_dict()[key], value), key


def test_a_record_of_another_network_is_not_believed(tmp_path: Path) -> None:
    there = Path("runs/table/model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(there.read_bytes())
    record = Path("runs/table/run.toml").read_text("utf-8")
    (tmp_path / "run.toml").write_text(record.replace('activation = "relu"', 'activation = "tanh"'), encoding="utf-8")
    loaded = load(tmp_path / "model.safetensors")
    assert network_of(tmp_path / "model.safetensors", loaded) is loaded


def test_rows_and_targets_are_those_of_the_training() -> None:
    known = trained("runs/table", "table.csv")
    assert known.loss is not None
    mean = known.given.x.mean(axis=0)
    assert abs(known.rows.x.mean(axis=0)).max() < 0.2 * max(1.0, abs(mean).max())  # scaled
    assert known.features == ("near", "far", "noise")
    text = trained("runs/cats", "cats.txt")
    assert (text.rows.x[:, 1:] == text.rows.y[:, :-1]).all()
    assert text.rows.x.shape[1] == 16


@pytest.mark.parametrize(
    ("name", "data"),
    [("table", "table.csv"), ("pictures", "pictures.npz"), ("cats", "cats.txt"), ("tones", "tones")],
)
def test_every_run_is_explained_counted_and_examined(name: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "explain", f"runs/{name}", data, "--training", "--verify")
    assert (done.code, done.err) == (0, "")
    assert re.search(r"verified: \d+ lines", done.out)
    done = call(capsys, "cost", f"runs/{name}", "--verify")
    assert (done.code, done.err) == (0, "")
    assert "LoadedModel" not in done.out
    done = call(capsys, "doctor", f"runs/{name}", "--no-proof", "--no-training")
    assert done.code in (0, 1)
    assert done.err == ""
    assert done.out.startswith("health of ")


def test_options_of_other_runs_are_refused_by_the_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "doctor", "runs/cats", "--norm", "batch")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("ArgumentTypeError: pellucid doctor has no option --norm\n")


def test_curvature(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    figure, slices = tmp_path / "c.png", tmp_path / "l.png"
    words = ["curvature", "runs/table", "table.csv", "--rows", "200", "--seed", "3"]
    done = call(capsys, *words, "--figure", str(figure), "--landscape", str(slices))
    assert (done.code, done.err) == (0, "")
    known = trained("runs/table", "table.csv", "train")
    found = pl.curvature(known.model, known.sample(200, 3), pl.nn.CrossEntropyLoss(), density=True, seed=3)
    assert str(found) in done.out
    assert f"figure: {figure}\nfigure: {slices}\n" in done.out
    assert figure.read_bytes()[:4] == slices.read_bytes()[:4] == PNG
    # 3·6 + 6 and 6·2 + 2 parameters
    assert re.search(r"^0 +24 ", done.out, re.M)
    assert re.search(r"^2 +14 ", done.out, re.M)
    markdown = call(capsys, *words, "--markdown", "--lang", "zh")
    assert markdown.out.startswith("| 层 | 参数 | 迹 | ± | 相对迹 | ± |\n")


def test_noise(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    done = call(capsys, "noise", "runs/table", "table.csv", "--figure", str(tmp_path / "n.png"))
    assert (done.code, done.err) == (0, "")
    known = trained("runs/table", "table.csv", "train")
    assert str(pl.gradient_noise(known.model, known.rows, pl.nn.CrossEntropyLoss())) in done.out
    assert (tmp_path / "n.png").read_bytes()[:4] == PNG
    done = call(capsys, "noise", "runs/cats", "cats.txt", "--rows", "40")
    assert (done.code, done.err) == (0, "")
    assert "h.0.attn.c_attn" in done.out


def test_rate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    done = call(capsys, "rate", "table.csv", "--layers", "6", "--optimizer", "sgd", "--figure", str(tmp_path / "r.png"))
    assert (done.code, done.err) == (0, "")
    assert "Sequential, CrossEntropyLoss, SGD: " in done.out
    suggested = re.search(r"suggested +([\d.]+):", done.out)
    assert suggested is not None
    assert 1e-3 < float(suggested[1]) < 10
    assert (tmp_path / "r.png").read_bytes()[:4] == PNG
    assert call(capsys, "rate", "runs/cats", "--steps", "30").out.startswith("GPT, NextTokenLoss, AdamW: ")


def test_attribution_of_a_row_of_a_table(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    figure = tmp_path / "a.png"
    done = call(capsys, "attribute", "runs/table", "table.csv", "--row", "2", "--figure", str(figure), "--rows", "1")
    assert (done.code, done.err) == (0, "")
    known = trained("runs/table", "table.csv")
    scores = integrated_gradients(known.model, known.rows.x[2:3]).scores[0]
    for name, score in zip(("near", "far", "noise"), scores.tolist(), strict=True):
        assert re.search(rf"^{name} .*{re.escape(f'{score:+.4g}')}", done.out, re.M), name
    assert figure.read_bytes()[:4] == PNG
    exact = call(capsys, "attribute", "runs/table", "table.csv", "--method", "shapley_values", "--target", "0")
    assert "explained   0 (" in exact.out


def test_attribution_of_pictures_and_sounds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for method in ("grad_cam", "occlusion", "layerwise_relevance"):
        words = ["attribute", "runs/pictures", "pictures.npz", "--method", method]
        done = call(capsys, *words, "--figure", str(tmp_path / f"{method}.png"))
        assert (done.code, done.err) == (0, ""), method
        assert (tmp_path / f"{method}.png").read_bytes()[:4] == PNG
    done = call(capsys, "attribute", "runs/tones", "tones", "--figure", str(tmp_path / "s.png"))
    assert (done.code, done.err) == (0, "")
    assert "(features)" in done.out


def test_attribution_of_a_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    done = call(capsys, "attribute", "runs/cats", "cats.txt", "--figure", str(page))
    assert (done.code, done.err) == (0, "")
    assert ", after the last place, 15" in done.out
    assert len(re.findall(r"^ +'.+' [+-]", done.out, re.M)) == 16
    assert page.read_text("utf-8").count("<span") == 16
    rolled = call(capsys, "attribute", "runs/cats", "cats.txt", "--method", "attention_rollout")
    shares = [float(s) for s in re.findall(r"^ +'.+' ([+-][\d.e-]+)$", rolled.out, re.M)]
    assert sum(shares) == pytest.approx(1, abs=1e-3)
    covered = call(capsys, "attribute", "runs/cats", "cats.txt", "--method", "occlusion")
    assert "window=(1, 16)" in covered.out


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["curvature", "runs/table", "pictures.npz"], "these rows do not fit the model"),
        (["curvature", "runs/table", "table.csv", "--rows", "0"], "--rows is out of range"),
        (["noise", "runs/table", "table.csv", "--rows", "3"], "gradient_noise needs more rows"),
        (["noise", "runs/none", "table.csv"], "no such file"),
        (["rate", "table.csv", "--optimizer", "lbfgs"], "LBFGS has no learning rate that could grow step by step"),
        (["rate", "table.csv", "--steps", "9"], "--steps is out of range"),
        (["attribute", "runs/table", "table.csv", "--method", "grad_can"], "--method does not know grad_can"),
        (["attribute", "runs/table", "table.csv", "--method", "grad_cam"], "the network has no convolution"),
        (["attribute", "runs/table", "table.csv", "--target", "2"], "target 2 is out of range"),
        (["attribute", "runs/table", "table.csv", "--row", "300"], "table has no row 300"),
        (["attribute", "runs/cats", "cats.txt", "--target", "999"], "the model has no token 999"),
        (
            ["attribute", "runs/cats", "cats.txt", "--method", "attention_rollout", "--target", "1"],
            "attention rollout takes no --target",
        ),
    ],
)
def test_what_is_refused(words: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, *words)
    assert (done.code, done.out) == (2, "")
    assert what in done.err.splitlines()[0]


def test_rows_without_targets_have_no_loss(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((4, 3), np.float32))
    for command in (["curvature"], ["noise"], ["explain", "--training"]):
        done = call(capsys, command[0], "runs/table", str(tmp_path / "rows.npy"), *command[1:])
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("DataError: the data have no targets\n")
