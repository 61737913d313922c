"""`cost`: counts against numbers by hand, from papers and from torchvision's tables; layers; errors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.nn import functional as F


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 10))


def test_a_digits_network_by_hand() -> None:
    c = pl.cost(mlp(), (1, 784))
    assert [layer.parameters for layer in c.layers] == [784 * 16 + 16, 0, 16 * 16 + 16, 0, 16 * 10 + 10]
    assert (c.parameters, c.trainable, c.size_bytes) == (13_002, 13_002, 52_008)
    assert c.parameter_bytes == {"float32": 52_008}
    assert c.macs == 784 * 16 + 16 * 16 + 16 * 10 == 12_960
    # A bias for each output of a linear layer, a comparison for each ReLU.
    assert (c.work.other_flops, c.work.special, c.work.integer_ops) == (42 + 32, 0, 0)
    assert c.flops == c.ops == 2 * 12_960 + 74
    assert (c.peak_activations, c.peak_activation_bytes, c.peak_layer) == (784 + 16, 3_200, "0")
    assert c.total_activations == 784 + 16 + 16 + 10 == 826
    assert [layer.activations for layer in c.layers] == [16, 0, 16, 0, 10]
    assert c.stored_activations is None
    assert not c.from_values
    # Each linear layer reads its input, weight and bias and writes its output; a ReLU reads and writes 16 numbers.
    assert c.work.read_bytes == 4 * (784 + 12_560 + 16 + 272 + 16 + 170 + 16 + 16)
    assert c.work.written_bytes == 4 * (16 + 16 + 16 + 16 + 10)
    assert c.work.intensity == c.flops / (c.work.read_bytes + c.work.written_bytes)


def test_a_step_of_training_by_hand() -> None:
    c = pl.cost(mlp(), (1, 784), training=True)
    # The gradient of every weight, and of every layer's input but the first's.
    assert (c.forward.macs, c.backward.macs) == (12_960, 12_960 + 16 * 16 + 16 * 10)
    assert c.macs == 26_336
    # Inputs of the linear layers; a ReLU's gradient needs its result alone, which is one of them.
    assert c.stored_activations == 784 + 16 + 16
    assert c.layer("1").stored_bytes == 4 * 16
    assert c.total_activations == 826
    batch = pl.cost(mlp(), (32, 784), training=True)
    assert 2 * batch.macs == 1_685_504


def test_gradients_of_a_grouped_convolution_by_hand() -> None:
    """Each product of the forward pass is met once more for the weights, and once more for an input that is asked for;
    PyTorch 2.13's counter multiplies that of the weights by the groups."""
    first, second = nn.Conv2d(2, 6, 3, padding=1, groups=2), nn.Conv2d(6, 6, 3, groups=3)
    c = pl.cost(nn.Sequential(first, second), (5, 2, 12, 12), training=True)
    one, two = 5 * 6 * 12 * 12 * 1 * 9, 5 * 6 * 10 * 10 * 2 * 9
    assert (c.layer("0").forward.macs, c.layer("0").backward.macs) == (one, one)
    assert (c.layer("1").forward.macs, c.layer("1").backward.macs) == (two, 2 * two)


def test_loss_and_optimizer_have_lines_of_their_own() -> None:
    model = mlp()
    labels = np.zeros(32, int)
    c = pl.cost(model, (32, 784), True, loss=nn.CrossEntropyLoss(), targets=labels, optimizer=pl.optim.SGD)
    loss, sgd = c.layers[-2:]
    assert (loss.role, loss.kind, loss.path) == ("loss", "CrossEntropyLoss", "")
    assert loss.forward.special > 0
    assert (sgd.role, sgd.kind) == ("optimizer", "SGD")
    # p - lr·g for each parameter.
    assert sgd.update.flops == 2 * 13_002
    assert c.update == sgd.update
    assert c.macs == 842_752
    assert [spec.shape for spec in c.inputs] == [(32, 784)]
    assert c.total_activations == 32 * 826
    made = pl.optim.SGD(model.parameters(), lr=0.5)
    assert pl.cost(model, (32, 784), True, loss=nn.CrossEntropyLoss(), targets=labels, optimizer=made).flops == c.flops


@pytest.mark.parametrize(
    ("layer", "shape", "macs", "parameters"),
    [
        (lambda: nn.Conv2d(64, 128, 3, padding=1), (1, 64, 56, 56), 231_211_008, 73_856),
        (lambda: nn.Conv2d(64, 128, 3, padding=1, groups=4), (1, 64, 56, 56), 57_802_752, 18_560),
        (lambda: nn.Conv2d(64, 64, 3, padding=1, groups=64), (1, 64, 56, 56), 1_806_336, 640),
        (lambda: nn.Conv2d(64, 128, 1), (1, 64, 56, 56), 25_690_112, 8_320),
        # Four gates, each of the input and of the state, at each of 5 steps of 2 sequences.
        (lambda: nn.LSTM(3, 4, batch_first=True), (2, 5, 3), 2 * 5 * 4 * 4 * (3 + 4), 4 * 4 * (3 + 4) + 2 * 4 * 4),
        # Four projections of 7 places, and scores and their sums for each pair of places.
        (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (1, 7, 8),
         7 * 4 * 8 * 8 + 2 * 7 * 7 * 8 + 2 * 7 * 8 * 16, 4 * 8 * 8 + 4 * 8 + 2 * 8 * 16 + 24 + 32),
    ],
)  # fmt: skip
def test_building_blocks(layer: Callable[[], Any], shape: Any, macs: int, parameters: int) -> None:
    c = pl.cost(layer(), shape)
    assert (c.macs, c.parameters) == (macs, parameters)
    assert c.verify()


def test_attention_as_a_function_is_counted() -> None:
    heads = (1, 12, 64, 64)
    c = pl.cost(F.scaled_dot_product_attention, (heads, heads, heads))
    assert 2 * c.macs == 12_582_912
    assert [layer.role for layer in c.layers] == ["outside"]
    assert c.parameters == 0
    # exp of each score; scale, shift by the largest and its search, sum, division.
    assert c.work.special == 12 * 64 * 64
    assert c.verify()
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    places = pl.cost(lambda x: attention(x, x, x)[0], (1, 5, 8))
    assert places.macs == 5 * 4 * 8 * 8 + 2 * 5 * 5 * 8


class Twice(nn.Module):
    """One layer that is called twice, under two names, and a function between."""

    def __init__(self) -> None:
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.head = nn.Linear(4, 4)
        self.head.weight = self.first.weight

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.head(pl.tanh(self.second(self.first(x))) @ pl.ones((4, 4)))  # type: ignore[no-any-return]


def test_what_is_shared_is_counted_once_and_what_runs_twice_twice() -> None:
    c = pl.cost(Twice(), (2, 4))
    assert c.parameters == 16 + 4 + 4
    first, head = c.layer("first"), c.layer("head")
    assert (first.calls, first.forward.macs, first.parameters) == (2, 2 * 2 * 16, 20)
    assert (head.calls, head.forward.macs, head.parameters) == (1, 2 * 16, 4)
    outside = next(layer for layer in c.layers if layer.role == "outside")
    assert (outside.forward.macs, outside.forward.special, outside.kind) == (2 * 16, 8, "Twice")
    assert c.macs == 4 * 2 * 16


def test_whole_numbers_are_operations_but_no_flops() -> None:
    c = pl.cost(lambda x: (x > 0.5, pl.argmax(x), pl.arange(10) * 2 + 1), (4,))
    # Four comparisons of floats, three to find the largest; two operations on each of ten whole numbers.
    assert (c.flops, c.work.integer_ops, c.ops) == (7, 20, 27)


def test_float64_and_indices() -> None:
    c = pl.cost(mlp().double(), (1, 784))
    assert c.parameter_bytes == {"float64": 104_016}
    assert c.peak_activation_bytes == 6_400
    embedding = pl.cost(nn.Embedding(1000, 8), (2, 3))
    assert embedding.inputs[0].dtype == np.int64
    # Six rows of the table and six token numbers are read.
    assert (embedding.work.read_bytes, embedding.work.written_bytes) == (6 * 8 * 4 + 6 * 8, 6 * 8 * 4)


def alexnet() -> nn.Sequential:
    """A. Krizhevsky et al., 2012, without local response normalisation."""
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Dropout(0.5), nn.Linear(9216, 4096), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000),
    )  # fmt: skip


@pytest.mark.long
def test_alexnet_of_two_groups_by_hand() -> None:
    c = pl.cost(alexnet(), (1, 3, 224, 224))
    assert (c.parameters, c.macs) == (60_965_224, 724_406_816)
    # The picture and the results of the first convolution.
    assert (c.peak_activations, c.peak_layer) == (3 * 224 * 224 + 96 * 55 * 55, "0") == (440_928, "0")
    # The input, each convolution, each pooling, each linear layer; what is done in place and views make nothing.
    by_hand = [150_528, 290_400, 69_984, 186_624, 43_264, 64_896, 64_896, 43_264, 9_216, 4_096, 4_096, 1_000]
    assert c.total_activations == sum(by_hand) == 932_264
    assert [layer.activations for layer in c.layers if layer.activations] == by_hand[1:]


# Millions of parameters (exact) and multiply-accumulates of convolutions, linear layers and products of matrices, as
# torchvision's table of weights has them ("GFLOPS" there, to two places) and, in full, its formula gives.
TORCHVISION = {
    "resnet18": (11_689_512, 1.814, 1.81),
    "resnet34": (21_797_672, 3.664, 3.66),
    "resnet50": (25_557_032, 4.089, 4.09),
    "squeezenet1_0": (1_248_424, 0.819, 0.82),
    "densenet121": (7_978_856, 2.834, 2.83),
    "mobilenet_v2": (3_504_872, 0.301, 0.30),
    "mobilenet_v3_small": (2_542_856, 0.057, 0.06),
    "efficientnet_b0": (5_288_548, 0.386, 0.39),
}
LARGE = {
    "alexnet": (61_100_840, 0.714, 0.71),
    "vgg11": (132_863_336, 7.609, 7.61),
    "vgg16": (138_357_544, 15.470, 15.47),
    "vit_b_16": (86_567_656, 17.564, 17.56),
}


@pytest.mark.parametrize("name", [*TORCHVISION, *(pytest.param(n, marks=pytest.mark.long) for n in LARGE)])
def test_published_numbers(name: str) -> None:
    build = getattr(pl.models, name, None)
    assert build is not None
    parameters, billions, table = {**TORCHVISION, **LARGE}[name]
    c = pl.cost(build(), (1, 3, 224, 224))
    assert c.parameters == parameters
    assert round(c.macs / 1e9, 3) == billions
    assert round(c.macs / 1e9, 2) == table
    assert not c.from_values


@pytest.mark.long
def test_gpt2_by_its_formula() -> None:
    c = pl.cost(pl.models.GPT(50257, block_size=1024, n_layer=12, n_head=12, n_embd=768), (1, 1024))
    places, width = 1024, 768
    block = 12 * places * width**2 + 2 * places**2 * width
    assert c.parameters == 124_439_808
    assert c.macs == 12 * block + places * width * 50257


def test_a_residual_network_keeps_what_the_shortcut_needs() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = nn.Linear(8, 32), nn.Linear(32, 8)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return x + self.b(pl.relu(self.a(x)))  # type: ignore[no-any-return]

    c = pl.cost(Block(), (1, 8))
    # x is held while b turns 32 numbers into 8.
    assert (c.peak_activations, c.peak_layer) == (8 + 32 + 8, "b")
    # The sum takes the place of b's result.
    assert c.total_activations == 8 + 32 + 8


def test_nothing_changes_and_modes_are_kept() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 2))
    model[1].eval()
    pl.manual_seed(3)
    before, key = model.state_dict(), pl.core.rng.default_generator.state.data.copy()
    optimizer = pl.optim.Adam(model.parameters())
    modes = [m.training for m in model.modules()]
    pl.cost(model, (5, 4))
    pl.cost(model, (5, 4), True, loss=nn.MSELoss(), targets=(5, 2), optimizer=optimizer)
    pl.cost(model, (5, 4), True, optimizer=optimizer).verify()
    after = model.state_dict()
    assert all(np.array_equal(before[n].data, after[n].data) for n in before)
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None for p in model.parameters())
    assert not optimizer.state
    assert np.array_equal(pl.core.rng.default_generator.state.data, key)


def test_counted_by_shapes_is_what_a_run_records() -> None:
    """The graph without data against one of a real run."""
    from pellucid.inspection.cost_recording import recorded, recorded_with_values

    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.LayerNorm(16),
        nn.Dropout(0.5), nn.Linear(16, 3), nn.Softmax(axis=1),
    )  # fmt: skip
    x = pl.ones((2, 2, 4, 4))
    for training in (False, True):
        model.train(training)
        by_shapes, real = recorded(model, [x]), recorded_with_values(model, [x])
        assert (by_shapes.with_values, real.with_values) == (False, True)
        assert str(by_shapes.graph) == str(real.graph) == str(pl.graph.record(model, x))


def test_where_python_looks_at_values_the_network_runs() -> None:
    def doubled_until_large(x: pl.Tensor) -> pl.Tensor:
        while x.sum() < 10.0:
            x = x * 2.0
        return x

    c = pl.cost(doubled_until_large, pl.ones((3,)))
    assert c.from_values
    assert "by a run on values" in str(c)
    # Twice doubled; three sums of two additions and three comparisons.
    assert c.flops == 2 * 3 + 3 * 2 + 3


def test_a_saved_network_costs_what_it_did(tmp_path: Any) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)).eval()
    model(np.zeros((1, 6), np.float32))
    pl.save(model, tmp_path / "m.safetensors")
    a, b = pl.cost(model, (3, 6)), pl.cost(pl.load(tmp_path / "m.safetensors"), (3, 6))
    assert (a.parameters, a.work, a.peak_activations) == (b.parameters, b.work, b.peak_activations)
    assert [(la.path, la.forward) for la in a.layers] == [(lb.path, lb.forward) for lb in b.layers]


def test_layers_of_a_saved_list_have_their_full_names(tmp_path: Any) -> None:
    model = pl.models.GPT(7, block_size=4, n_layer=2, n_head=1, n_embd=4).eval()
    tokens = np.zeros((1, 4), np.int64)
    before = {layer.path: layer.parameters for layer in pl.cost(model, tokens).layers}
    pl.save(model, tmp_path / "gpt.safetensors", example=tokens)
    after = {layer.path: layer.parameters for layer in pl.cost(pl.load(tmp_path / "gpt.safetensors"), tokens).layers}
    assert "h.1.mlp.c_fc" in after
    assert {path: n for path, n in after.items() if n} == {path: n for path, n in before.items() if n}


def test_several_inputs_and_real_ones() -> None:
    bilinear = nn.Bilinear(3, 4, 2)
    by_shape, by_array = pl.cost(bilinear, ((5, 3), (5, 4))), pl.cost(bilinear, (np.ones((5, 3)), pl.ones((5, 4))))
    assert by_shape.work == by_array.work
    assert pl.cost(mlp(), np.zeros((2, 784))).work == pl.cost(mlp(), (2, 784)).work


REFUSED: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no model": (lambda: pl.cost(3, (1, 2)), pl.errors.ArgumentTypeError, "there is nothing to count"),
    "no example": (
        lambda: pl.cost(mlp(), "784"), pl.errors.ArgumentTypeError, "example_or_shape is neither an input nor a shape",
    ),
    "a length of 0": (lambda: pl.cost(mlp(), (0, 784)), pl.errors.ArgumentError, "example_or_shape is not a shape"),
    "an empty shape": (lambda: pl.cost(mlp(), ()), pl.errors.ArgumentError, "example_or_shape is not a shape"),
    "another width": (
        lambda: pl.cost(mlp(), (1, 783)), pl.errors.ShapeError,
        "Linear(784, 16): the input has another number of features",
    ),
    "a loss without training": (
        lambda: pl.cost(mlp(), (1, 784), loss=nn.MSELoss()), pl.errors.ArgumentError,
        "loss belongs to a step of training",
    ),
    "targets without a loss": (
        lambda: pl.cost(mlp(), (1, 784), True, targets=(1, 10)), pl.errors.ArgumentError, "targets are for a loss",
    ),
    "an optimizer that is none": (
        lambda: pl.cost(mlp(), (1, 784), True, optimizer="adam"), pl.errors.ArgumentTypeError,
        "optimizer is neither an optimizer nor what makes one",
    ),
    "an optimizer of a function": (
        lambda: pl.cost(pl.relu, (1,), True, optimizer=pl.optim.SGD), pl.errors.ArgumentTypeError,
        "a function has no parameters for an optimizer",
    ),
    "nothing to train": (
        lambda: pl.cost(nn.ReLU(), (1, 4), True), pl.errors.ArgumentError,
        "no result has a gradient, so there is no step of training to count",
    ),
    "no such layer": (
        lambda: pl.cost(mlp(), (1, 784)).layer("00"), pl.errors.MissingKeyError, "Sequential has no layer 00",
    ),
    "training that is no flag": (
        lambda: pl.cost(mlp(), (1, 784), training="yes"), pl.errors.ArgumentTypeError,
        "cost: training has the wrong type",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str) -> None:
    call, kind, what = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.what == what  # type: ignore[attr-defined]


def test_words_in_both_languages() -> None:
    c = pl.cost(mlp(), (1, 784), True)
    english = str(c)
    assert english.splitlines()[0] == "Sequential for float32[1,784]"
    assert "12,560" not in english
    assert "26,336" in english
    pl.set_language("zh")
    try:
        assert "激活峰值" in str(c)
        assert "26,336" in str(c)
    finally:
        pl.set_language(None)
