"""What is found before the first step, and that nothing is found where nothing is wrong."""

import itertools
import time
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import pellucid as pl
from pellucid import nn, optim
from pellucid.errors import DataError, LabelError, ModelError, PellucidWarning
from pellucid.train import examine


def network(*sizes: int, last: nn.Module | None = None) -> nn.Sequential:
    pl.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1], *([last] if last is not None else []))


def keys(model: nn.Module, data: Any, loss: Any = "cross_entropy", **options: Any) -> list[str]:
    return [f"{f.severity} {f.key}" for f in examine(model, data, loss=loss, **options)]


def fitted(model: nn.Module, data: Any, loss: Any = "cross_entropy", **options: Any) -> Any:
    options.setdefault("optimizer", optim.SGD(model.parameters(), lr=0.01))
    return pl.fit(model, data, loss=loss, epochs=1, verbose=0, **options)


@pytest.mark.parametrize(
    "data",
    [pl.data.two_moons(100), pl.data.xor(100), pl.data.spirals(90), pl.data.digits()[:300], pl.data.blobs(60)],
    ids=lambda d: d.name,
)
def test_nothing_is_found_where_nothing_is_wrong(data: pl.data.Dataset) -> None:
    model = network(data.x.shape[1], 16, data.num_classes or 2)
    optimizer = optim.Adam(model.parameters())
    assert keys(model, data, optimizer=optimizer) == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(model, data, checks="all")


def test_a_label_out_of_range_is_refused_with_its_row() -> None:
    y = np.zeros(1000, int)
    y[::2] = 2
    y[812] = 7
    x = np.random.default_rng(0).normal(size=(1000, 2))
    with pytest.raises(LabelError, match="812") as caught:
        fitted(network(2, 8, 3), (x, y))
    assert "7" in str(caught.value)


def test_one_logit_under_softmax_is_refused() -> None:
    with pytest.raises(ModelError):
        fitted(network(2, 8, 1), pl.data.two_moons(40))


@pytest.mark.parametrize(
    ("last", "outputs", "loss"),
    [(nn.Softmax(axis=1), 2, "cross_entropy"), (nn.Sigmoid(), 1, "bce_with_logits"), (nn.Softmax(axis=1), 2, "nll")],
    ids=["softmax, cross entropy", "sigmoid, bce with logits", "softmax, nll"],
)
def test_an_activation_that_the_loss_applies_itself_is_refused(last: nn.Module, outputs: int, loss: str) -> None:
    data = pl.data.two_moons(40)
    y = data.y if outputs == 2 else data.y[:, None].astype(np.float32)
    with pytest.raises(ModelError):
        fitted(network(2, 8, outputs, last=last), (data.x, y), loss=loss)


class Ends(nn.Module):
    """A network with a function at its end."""

    def __init__(self, outputs: int, end: Any) -> None:
        super().__init__()
        self.layer, self.end = nn.Linear(2, outputs), end

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.end(self.layer(x))


def in_place(z: pl.Tensor) -> pl.Tensor:
    y = pl.zeros(z.shape)
    y[:] = pl.softmax(z)
    return y


@pytest.mark.parametrize(
    "end",
    [lambda z: pl.softmax(z).reshape(-1, 2), lambda z: pl.softmax(z.T, axis=0).T, in_place],
    ids=["reshape", "transpose", "in place"],
)
def test_softmax_before_cross_entropy_is_found_behind_movements(end: Any) -> None:
    with pytest.raises(ModelError, match="cross_entropy takes logits, but its input is the output of softmax"):
        fitted(Ends(2, end), pl.data.two_moons(40))


def test_softmax_is_found_in_the_graph_of_a_network_from_a_file(tmp_path: Any) -> None:
    data = pl.data.two_moons(40)
    pl.save(network(2, 8, 2, last=nn.Softmax(axis=1)), tmp_path / "net.safetensors", example=data.x[:2])
    loaded = pl.load(tmp_path / "net.safetensors")
    with pytest.raises(ModelError) as caught:
        fitted(loaded, data)
    assert str(caught.value).split("\n")[:2] == [
        "cross_entropy takes logits, but its input is the output of softmax",
        "  given:    softmax output (8, 2)",
    ]


@pytest.mark.parametrize("last", [None, nn.ReLU(), nn.LogSoftmax(axis=1)], ids=["logits", "relu", "log softmax"])
def test_a_layer_that_is_only_called_softmax_is_none(last: nn.Module | None) -> None:
    model = Ends(2, lambda z: z)
    model.softmax = last or nn.Identity()
    model.end = lambda z: model.softmax(z) / 2.0
    assert keys(model, pl.data.two_moons(40)) == []


def by_hand(z: pl.Tensor) -> pl.Tensor:
    e = pl.exp(z)
    return e / e.sum(axis=1, keepdims=True)


def test_softmax_written_by_hand_is_reported() -> None:
    found = examine(Ends(2, by_hand), pl.data.two_moons(40), loss="cross_entropy")
    assert [f.severity for f in found] == ["warning"]
    assert str(found[0]).split("\n")[:3] == [
        "CrossEntropyLoss takes logits, and the outputs are already probabilities",
        "  given:    outputs of shape (8, 2) in [0, 1] that sum to 1 in every row",
        "  expected: what comes before the softmax; the loss applies it itself",
    ]
    pl.set_language("zh")
    try:
        assert found[0].what == "CrossEntropyLoss 需要 logits，而输出已经是概率"
    finally:
        pl.set_language(None)


def test_ordinary_networks_are_left_alone() -> None:
    data = pl.data.two_moons(40)
    for seed in range(20):
        pl.manual_seed(seed)
        last = (nn.Identity(), nn.ReLU(), nn.Tanh(), nn.BatchNorm1d(3))[seed % 4]
        model = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 3), last)
        assert keys(model, data) == []


def test_softmax_over_one_output_cannot_learn_and_the_fixes_can() -> None:
    x = pl.data.two_moons(60).x
    y = pl.data.two_moons(60).y[:, None].astype(np.float32)
    for loss, fix, last in (
        ("bce", "leave out Softmax at the end of the network, and use BCEWithLogitsLoss", None),
        ("mse", "Sigmoid instead of Softmax at the end of the network", nn.Sigmoid()),
    ):
        with pytest.raises(ModelError) as caught:
            fitted(network(2, 8, 1, last=nn.Softmax(axis=1)), (x, y), loss=loss)
        name = {"bce": "BCELoss", "mse": "MSELoss"}[loss]
        assert str(caught.value).split("\n")[:4] == [
            "softmax over one output is always 1: the network cannot learn",
            f"  given:    outputs of shape (8, 1), all of them 1; every gradient of {name} is exactly 0",
            "  expected: sigmoid for one output; softmax for one output a class",
            f"  fix:      {fix}",
        ]
        model = network(2, 8, 1, last=last)
        instead = {"bce": "bce_with_logits", "mse": "mse"}[loss]
        history = pl.fit(model, (x, y), loss=instead, optimizer=optim.Adam(model.parameters()), epochs=20, verbose=0)
        assert history.loss[-1] < 0.95 * history.loss[0]


def test_a_network_that_gets_no_gradient_is_refused() -> None:
    model = network(2, 8, 1, last=nn.ReLU())
    model[2].bias.assign(pl.tensor([-50.0]))
    x = np.random.default_rng(0).normal(size=(100, 2))
    y = np.ones((100, 1), np.float32) + x[:, :1]
    with pytest.raises(ModelError, match="every gradient is exactly 0: the network cannot learn") as caught:
        fitted(model, (x, y), loss="mse")
    assert "4 parameters, outputs of shape (8, 1), MSELoss not 0" in str(caught.value)
    pl.set_language("zh")
    try:
        assert caught.value.what == "梯度全部恰好为 0：网络无法学习"
    finally:
        pl.set_language(None)


def test_gradients_of_zero_that_mean_nothing() -> None:
    x = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    # The first rows alone are dead.
    x[:8] = -5.0
    model = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    model.load_state_dict({"0.weight": [[1.0, 1.0]], "0.bias": [0.0]})
    assert keys(model, (x, x[:, :1] + 1.0), "mse", dependence=False) == []

    # A loss that takes no single row is not asked further.
    def pairs(y_pred: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
        if len(y) < 2:
            raise ValueError("pairs of rows")
        return (y_pred[1:] - y_pred[:-1] - y[1:] + y[:-1]).abs().mean()

    dead = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    dead.load_state_dict({"0.weight": [[1.0, 1.0]], "0.bias": [-99.0]})
    assert keys(dead, (x, x[:, :1] + 1.0), pairs, dependence=False) == []
    # A perfect fit, and a hinge loss that all rows satisfy.
    line = nn.Linear(2, 1)
    line.load_state_dict({"weight": [[1.0, 0.0]], "bias": [0.0]})
    assert keys(line, (x, x[:, :1]), "mse", dependence=False) == []
    signs = np.where(x[:, :1] > 0, 1, -1).astype(np.float32)
    far = signs * 5.0

    def hinge(y_pred: pl.Tensor, y: pl.Tensor) -> pl.Tensor:
        return pl.maximum(1.0 - y_pred * y, 0.0).mean()

    assert keys(line, (np.concatenate([far, far], 1), signs), hinge, dependence=False) == []
    # Weights of zero under labels in balance: the gradients of the rows cancel, but each row has one.
    zero = nn.Linear(2, 1)
    zero.load_state_dict({"weight": [[0.0, 0.0]], "bias": [0.0]})
    corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    xor = np.array([[0], [1], [1], [0]], np.float32)
    assert "error train.no-gradient" not in keys(zero, (corners, xor), "bce_with_logits", dependence=False)


def test_logits_under_nll_are_refused() -> None:
    data = pl.data.two_moons(40)
    with pytest.raises(ModelError, match="log-probabilities"):
        fitted(network(2, 8, 2), data, loss="nll")
    assert keys(network(2, 8, 2, last=nn.LogSoftmax(axis=1)), data, loss="nll") == []


def test_a_loss_that_would_broadcast_is_refused() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    with pytest.raises(ValueError, match=r"40"):
        fitted(network(2, 8, 1), (x, x[:, 0]), loss="mse")


def test_all_zero_weights_are_refused() -> None:
    model = network(2, 8, 2)
    model.load_state_dict({name: np.zeros(p.shape) for name, p in model.named_parameters()})
    with pytest.raises(ModelError):
        fitted(model, pl.data.two_moons(40))


class TwoHeads(nn.Module):
    """Has a head that forward does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.forgotten = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.used(x)


def test_parameters_that_the_loss_does_not_reach_are_named() -> None:
    with pytest.warns(PellucidWarning) as caught:
        fitted(TwoHeads(), pl.data.two_moons(40))
    assert str(caught[0].message).split("\n")[:2] == [
        "the loss does not reach 2 of 4 parameters: they will never change",
        "  given:    forgotten.weight, forgotten.bias",
    ]
    model = TwoHeads()
    for p in model.forgotten.parameters():
        p.requires_grad_(False)
    assert keys(model, pl.data.two_moons(40)) == []


def test_a_loss_without_history_is_refused() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.layer(x).detach()

    with pytest.raises(ModelError, match="does not depend on Detached"):
        fitted(Detached(), pl.data.two_moons(40))


def test_an_optimizer_of_other_parameters_is_refused() -> None:
    model, other = network(2, 8, 2), network(2, 8, 2)
    with pytest.raises(ModelError) as caught:
        fitted(model, pl.data.two_moons(40), optimizer=optim.SGD(other.parameters(), lr=0.1))
    assert str(caught.value).split("\n")[:3] == [
        "the optimizer has no parameter of the network",
        "  given:    SGD of 4 parameters, none of them of this Sequential",
        "  expected: an optimizer made from model.parameters() of this very model",
    ]


def test_parameters_that_optimizer_and_network_do_not_share_are_named() -> None:
    model, other = network(2, 8, 2), network(2, 8, 2)
    optimizer = optim.SGD([*model[0].parameters(), *other[2].parameters()], lr=0.1)
    found = keys(model, pl.data.two_moons(40), optimizer=optimizer)
    assert found == ["warning train.foreign-parameters", "warning train.not-optimized"]


def test_the_checks_leave_everything_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    model[2].eval()
    state = pl.core.rng.default_generator.get_state()
    examine(model, pl.data.two_moons(100), loss="cross_entropy", optimizer=optim.SGD(model.parameters()))
    for name, value in model.state_dict().items():
        assert_array_equal(value.numpy(), before[name])
    assert_array_equal(pl.core.rng.default_generator.get_state(), state)
    assert [m.training for m in model] == [True, True, False, True]
    assert all(p.grad is None for p in model.parameters())


def sorted_set() -> tuple[np.ndarray, np.ndarray]:
    """1,000 normal points, of which the first 500 have label 1."""
    return np.random.RandomState(0).randn(1000, 2), np.repeat([1, 0], 500)


def test_labels_that_are_sorted_and_independent_of_the_inputs_are_reported() -> None:
    model = network(2, 2, 2)
    found = {f.key: f for f in examine(model, sorted_set(), loss="cross_entropy", shuffled=False)}
    assert list(found) == ["train.sorted-labels", "train.independent-labels"]
    assert {f.severity for f in found.values()} == {"warning"}
    assert str(found["train.sorted-labels"]).split("\n")[:2] == [
        "the rows are sorted by their label",
        "  given:    the first 500 rows have label 1, then comes label 0: 2 blocks",
    ]
    assert found["train.independent-labels"].what == "the targets do not depend on the inputs, as far as 1000 rows tell"
    # Where the rows are shuffled anyway, the order is only worth a note.
    shuffled = [f.severity for f in examine(model, sorted_set(), loss="cross_entropy", dependence=False)]
    assert shuffled == ["note"]
    with pytest.warns(PellucidWarning) as caught:
        fitted(network(2, 2, 2), sorted_set(), checks="all", shuffle=False)
    assert [w.message.key for w in caught] == ["train.sorted-labels", "train.independent-labels"]  # type: ignore[union-attr]


def test_findings_are_said_in_chinese_too() -> None:
    pl.set_language("zh")
    try:
        found = examine(network(2, 2, 2), sorted_set(), loss="cross_entropy", shuffled=False)
        assert [f.what for f in found] == ["各行按标签排序", "就 1000 行数据来看，目标与输入无关"]
    finally:
        pl.set_language(None)


def test_targets_that_are_sorted_or_all_the_same() -> None:
    x = np.random.default_rng(0).normal(size=(50, 2))
    model = network(2, 4, 1)
    y = np.linspace(0, 1, 50)[:, None]
    assert keys(model, (x, y), "mse", shuffled=False, dependence=False) == ["warning train.sorted-targets"]
    assert keys(model, (x, y), "mse", dependence=False) == []
    assert keys(model, (x, y * 0 + 3), "mse", dependence=False) == ["warning train.one-target"]


def test_inputs_on_a_wrong_scale() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(200, 3))
    y = (x[:, 0] > 0).astype(int)
    model = network(3, 8, 2)
    assert keys(model, (x, y)) == []
    assert keys(model, (x * [1, 1, 255], y)) == ["warning train.large-inputs"]
    assert keys(model, (x * [1, 1, 1e-3], y)) == ["warning train.unequal-scales"]
    assert keys(model, (x * [1, 1, 0], y)) == []
    assert keys(model, (x * 0, y), dependence=False) == ["error train.constant-inputs"]
    data = pl.data.Dataset(x * [20, 1, 0.001], y, feature_names=("age", "dose", "rate"))
    found = examine(model, data, loss="cross_entropy")
    assert str(found[0]).split("\n")[1].startswith("  given:    column 0 (age) has a standard deviation of ")


def test_class_labels_under_a_regression_loss() -> None:
    data = pl.data.blobs(60, 4)
    found = keys(network(2, 4, 1), (data.x, data.y[:, None]), "mse", dependence=False)
    assert found == ["warning train.labels-as-numbers"]


def test_data_without_targets() -> None:
    with pytest.raises(DataError, match="no targets"):
        fitted(network(2, 4, 2), np.zeros((4, 2)))


def test_checks_can_be_left_out() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(network(2, 2, 2), sorted_set(), shuffle=False, checks=False)


def test_the_checks_are_quick() -> None:
    random = np.random.default_rng(0)
    data = pl.data.Dataset(random.normal(size=(10_000, 64)).astype(np.float32), random.integers(0, 10, 10_000))
    model = network(64, 16, 10)
    start = time.process_time()
    examine(model, data, loss="cross_entropy", optimizer=optim.Adam(model.parameters()))
    # Processor time of all threads together; a third of it would do.
    assert time.process_time() - start < 3.0
