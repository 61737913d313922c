"""Saved and loaded networks compute the same bits; a file that is not what `save` wrote is refused, and says where."""

import contextlib
import copy
import json
import os
import random

import numpy as np
import pytest
import safetensors.numpy

import pellucid as pl
from pellucid import nn
from pellucid.data import MinMax, Standardize
from pellucid.errors import (
    ArgumentError,
    ArgumentTypeError,
    FileAccessError,
    FileFormatError,
    MissingFileError,
    ModelError,
    PellucidError,
    RecordingError,
    ShapeError,
)
from pellucid.train.document import seal as checksum
from pellucid.train.document import written
from pellucid.train.files import LoadedModel, load, load_weights, save

RNG = np.random.default_rng(0)


class Tied(nn.Module):
    """An embedding whose table is also the output layer, with a constant and a temporary buffer."""

    def __init__(self):
        self.tokens = nn.Embedding(11, 6)
        self.norm = nn.LayerNorm(6)
        self.head = nn.Linear(6, 11, bias=False)
        self.head.weight = self.tokens.weight
        self.register_buffer("scale", pl.Tensor([2.0]), persistent=False)
        self.register_buffer("bias", pl.Tensor(RNG.normal(size=11).astype(np.float32)))

    def forward(self, x):
        mask = pl.tril(pl.ones((x.shape[1], x.shape[1])))
        h = self.norm(self.tokens(x)) * self.scale
        return self.head(mask @ h) + self.bias


def dense(dtype=None):
    return nn.Sequential(
        nn.Linear(5, 8, dtype=dtype), nn.BatchNorm1d(8, dtype=dtype) if dtype else nn.BatchNorm1d(8), nn.GELU(),
        nn.Dropout(0.5), nn.Linear(8, 3, dtype=dtype), nn.Softmax(axis=-1),
    )  # fmt: skip


def floats(rows, *shape, dtype=np.float32):
    return RNG.normal(size=(rows, *shape)).astype(dtype)


MODELS = {
    "dense": (dense, lambda n: floats(n, 5)),
    "activations": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.ELU(), nn.PReLU(), nn.Mish(), nn.Hardswish(), nn.LogSoftmax(axis=-1)),
        lambda n: floats(n, 4),
    ),
    "images": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Tanh()), lambda n: floats(n, 3, 4)),
    "embedding": (Tied, lambda n: RNG.integers(0, 11, size=(n, 7))),
    "norms": (
        lambda: nn.Sequential(nn.RMSNorm(6), nn.Linear(6, 6), nn.LayerNorm(6), nn.SiLU(), nn.Unflatten(1, (2, 3))),
        lambda n: floats(n, 6),
    ),
    "bilinear": (lambda: nn.Sequential(nn.Linear(5, 4), nn.GLU(), nn.Sigmoid()), lambda n: floats(n, 5)),
}


def made(name):
    """A network that has been trained for two batches, in training mode, and its inputs."""
    make, inputs = MODELS[name]
    pl.manual_seed(1)
    model = make()
    for _ in range(2):
        x = inputs(6)
        model(pl.Tensor(x))
    return model, inputs


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 7, 0])
def test_a_loaded_network_computes_the_same_bits(name, rows, tmp_path):
    model, inputs = made(name)
    path = tmp_path / f"模型 {name}.safetensors"
    before = {k: v.data.tobytes() for k, v in model.state_dict().items()}
    save(model, path)
    assert all(m.training for m in model.modules())
    assert {k: v.data.tobytes() for k, v in model.state_dict().items()} == before
    loaded = load(path)
    x = inputs(rows)
    model.eval()
    expected = model(pl.Tensor(x))
    for result in (loaded(pl.Tensor(x)), loaded(x)):
        assert result.shape == expected.shape
        assert result.data.tobytes() == expected.data.tobytes()
    assert {k: v.data.tobytes() for k, v in loaded.state_dict().items()} == before
    assert list(loaded.state_dict()) == list(model.state_dict())
    assert [n for n, _ in loaded.named_parameters()] == [n for n, _ in model.named_parameters()]
    assert not loaded.training


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_network_has_the_same_gradients_and_can_be_saved_again(name, tmp_path):
    model, inputs = made(name)
    model.eval()
    save(model, tmp_path / "a", class_names=None)
    loaded = load(tmp_path / "a")
    x = inputs(5)
    for m in (model, loaded):
        (m(pl.Tensor(x)) ** 2).sum().backward()
    for (key, p), (_, q) in zip(model.named_parameters(), loaded.named_parameters(), strict=True):
        assert np.array_equal(p.grad.data, q.grad.data), key
    save(loaded, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_saving_twice_gives_equal_bytes_and_needs_no_second_module(tmp_path):
    model, _ = made("embedding")
    save(model, tmp_path / "a")
    save(copy.deepcopy(model), tmp_path / "b", example=np.zeros((1, 7), np.int64))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_shared_weights_stay_shared_and_frozen_ones_frozen(tmp_path):
    model, _ = made("embedding")
    model.norm.weight.requires_grad_(False)
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.head.weight is loaded.tokens.weight
    assert not loaded.norm.weight.requires_grad
    assert loaded.norm.bias.requires_grad
    assert [n for n, _ in loaded.named_buffers()] == ["bias"]


def test_weights_in_columns_stay_in_columns(tmp_path):
    model = nn.Linear(50, 40)
    model.weight.assign(pl.Tensor(np.asfortranarray(model.weight.data)))
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.weight.data.flags.f_contiguous
    x = floats(9, 50)
    assert loaded(x).data.tobytes() == model(x).data.tobytes()


def test_other_readers_of_safetensors_find_the_weights(tmp_path):
    model, _ = made("dense")
    save(model, tmp_path / "m", preprocessing=Standardize().fit(floats(20, 5)))
    theirs = safetensors.numpy.load_file(tmp_path / "m")
    assert [k for k in theirs if k.startswith("pellucid.")] == [
        "pellucid.preprocessing.mean",
        "pellucid.preprocessing.std",
    ]
    weights = load_weights(tmp_path / "m")
    assert set(weights) == set(model.state_dict()) == {k for k in theirs if not k.startswith("pellucid.")}
    other = dense()
    other.load_state_dict(weights)
    x = floats(3, 5)
    assert other.eval()(x).data.tobytes() == model.eval()(x).data.tobytes()


@pytest.mark.torch
def test_weights_go_to_pytorch_and_come_from_it(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file, save_file

    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    save(model, tmp_path / "ours")
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    theirs.load_state_dict(load_file(tmp_path / "ours"))
    x = floats(3, 5, dtype=np.float64)
    assert np.allclose(load(tmp_path / "ours")(x).data, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-12)

    torch.nn.init.normal_(theirs[0].weight)
    save_file(theirs.state_dict(), tmp_path / "theirs")
    model.load_state_dict(load_weights(tmp_path / "theirs"))
    assert np.allclose(model(x).data, theirs(torch.tensor(x)).detach().numpy(), rtol=1e-12)
    with pytest.raises(FileFormatError) as caught:
        load(tmp_path / "theirs")
    assert caught.value.what == "theirs holds tensors, but no pellucid model"


# What goes with the network


@pytest.mark.parametrize("kind", [Standardize, MinMax])
def test_predict_applies_the_preprocessing(kind, tmp_path):
    raw = floats(30, 5) * 10 + 3
    scaler = kind().fit(raw)
    model, _ = made("dense")
    save(model, tmp_path / "m", preprocessing=scaler, class_names=["猫", "狗", "b"], feature_names=list("abcde"))
    loaded = load(tmp_path / "m")
    expected = model.eval()(scaler.transform(raw)).data
    assert np.array_equal(loaded.predict(raw), expected)
    assert np.array_equal(loaded.predict(raw.tolist()[:2]), model(scaler.transform(raw[:2])).data)
    assert loaded.class_names == ("猫", "狗", "b")
    assert loaded.feature_names == tuple("abcde")
    assert type(loaded.preprocessing) is kind
    save(loaded, tmp_path / "n")
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()
    save(
        model, tmp_path / "s", preprocessing=scaler.state(), class_names=("猫", "狗", "b"), feature_names=tuple("abcde")
    )
    assert (tmp_path / "s").read_bytes() == (tmp_path / "m").read_bytes()


def test_metadata_come_back(tmp_path):
    notes = {"epochs": 3, "data": {"name": "数字", "rows": [1, 2.5, None, True]}}
    save(nn.Linear(3, 2), tmp_path / "m", metadata=notes)
    assert load(tmp_path / "m").metadata == notes


def test_a_loaded_model_in_words(tmp_path):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    save(model, tmp_path / "iris.safetensors", class_names=["no", "yes"])
    loaded = load(tmp_path / "iris.safetensors")
    assert repr(loaded) == "LoadedModel('iris.safetensors': x float32[N,4] -> float32[N,2], 58 parameters)"
    lines = loaded.summary().splitlines()
    assert lines[0] == f"iris.safetensors, written by pellucid {pl.__version__}"
    assert lines[1].split() == ["input", "x", "float32[N,4]"]
    assert lines[-4].split() == ["output", "float32[N,2]"]
    assert lines[-3].split() == ["classes", "no,", "yes"]
    assert lines[-2].split() == ["parameters", "58"]
    assert any(line.startswith("    Sequential.0 ") for line in lines)


def test_names_that_are_methods_of_a_loaded_model(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            self.graph = nn.Linear(3, 2)
            self.predict = nn.Linear(2, 2)

        def forward(self, x):
            return self.predict(self.graph(x))

    model = Net()
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    x = floats(4, 3)
    assert loaded(x).data.tobytes() == model(x).data.tobytes()
    assert list(loaded.state_dict()) == ["graph.weight", "graph.bias", "predict.weight", "predict.bias"]


def test_several_inputs_and_outputs(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(3, 2), nn.Linear(4, 2)

        def forward(self, x, y):
            h = self.a(x) + self.b(y)
            return {"sum": h, "pair": (h * 2.0, pl.relu(h))}

    model = Two()
    save(model, tmp_path / "m", example=(floats(1, 3), floats(1, 4)))
    loaded = load(tmp_path / "m")
    x, y = floats(5, 3), floats(5, 4)
    ours, theirs = loaded(x, y), model(x, y)
    assert list(ours) == ["sum", "pair"]
    assert ours["pair"][1].data.tobytes() == theirs["pair"][1].data.tobytes()
    model(x, y)
    save(model, tmp_path / "n")  # the shapes of the last call
    assert (tmp_path / "n").read_bytes() == (tmp_path / "m").read_bytes()


def test_float64_networks_and_whole_numbers(tmp_path):
    model = nn.Linear(3, 2).double()
    save(model, tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded([[1, 2, 3]]).dtype == np.float64
    assert loaded(np.array([[1, 2, 3]])).data.tobytes() == model(np.array([[1.0, 2.0, 3.0]])).data.tobytes()


# Where the input's shape comes from


def test_the_shape_of_the_input_is_found_or_asked_for(tmp_path):
    save(nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), tmp_path / "a")
    assert load(tmp_path / "a").graph.inputs[0].spec.shape[1:] == (6,)
    save(nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), tmp_path / "b", preprocessing=MinMax().fit(floats(9, 2, 3)))
    assert load(tmp_path / "b").graph.inputs[0].spec.shape[1:] == (2, 3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    model(floats(1, 3, 2))
    save(model, tmp_path / "c")
    assert load(tmp_path / "c").graph.inputs[0].spec.shape[1:] == (3, 2)
    model = nn.Linear(6, 2)
    model(floats(6))  # one row without a batch tells nothing
    save(model, tmp_path / "d")
    assert load(tmp_path / "d").graph.inputs[0].spec.shape[1:] == (6,)
    with pytest.raises(ArgumentError) as caught:
        save(nn.Sequential(nn.ReLU()), tmp_path / "e")
    assert str(caught.value).split("\n  at:")[0].splitlines() == [
        "the shape of the network's input is not known",
        "  given:    Sequential, which was not called yet and whose first layer does not tell",
        "  expected: save(model, path, example=x), with x a batch of one row or more",
    ]
    with pytest.raises(ShapeError):
        save(nn.Linear(3, 2), tmp_path / "f", example=floats(1, 4))
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "c", "d"]


# What cannot be saved


def test_networks_that_cannot_be_saved(tmp_path):
    class Branch(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            y = self.layer(x)
            return y if y.sum() > 0 else -y

    class Noise(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return self.layer(x + pl.normal(shape=x.shape))

    class Reserved(nn.Module):
        def __init__(self):
            self.pellucid = nn.Linear(3, 2)

        def forward(self, x):
            return self.pellucid(x)

    path = tmp_path / "m"
    with pytest.raises(RecordingError, match="looks at a value that changes"):
        save(Branch(), path)
    with pytest.raises(RecordingError, match="must not change state"):
        save(Noise(), path)
    with pytest.raises(ArgumentError, match="a name of the network is reserved"):
        save(Reserved(), path)
    model = nn.Linear(3, 2)
    for problem, arguments in [
        ("only a network can be saved", {"model": {"weight": 1}}),
        ("this preprocessing cannot be kept", {"preprocessing": lambda x: x}),
        ("this preprocessing cannot be kept", {"preprocessing": {"kind": "os.system"}}),
        ("the preprocessing does not fit", {"example": floats(1, 3), "preprocessing": MinMax().fit(floats(5, 4))}),
        ("class_names and the network disagree", {"class_names": ["a", "b", "c"]}),
        ("feature_names and the network disagree", {"feature_names": ["a"]}),
        ("class_names is no list of names", {"class_names": "ab"}),
        ("class_names is no list of names", {"class_names": [1, 2]}),
        ("metadata cannot be kept", {"metadata": {"a": {1, 2}}}),
        ("metadata cannot be kept", {"metadata": {"a": float("nan")}}),
        ("metadata cannot be kept", {"metadata": [1]}),
        ("the folder to write to does not exist", {"path": tmp_path / "no" / "m"}),
        ("path has the wrong type", {"path": 3}),
    ]:
        with pytest.raises(PellucidError, match=problem):
            save(**({"model": model, "path": path} | arguments))
    assert os.listdir(tmp_path) == []
    assert issubclass(ArgumentTypeError, TypeError)


def test_an_interrupted_save_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "m"
    save(nn.Linear(3, 2), path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        save(nn.Linear(4, 2), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m"]


# Files that are not what save wrote


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(MissingFileError):
        load(tmp_path / "nothing")
    safetensors.numpy.save_file({"w": np.zeros(3)}, tmp_path / "w")
    call = "model.load_state_dict(pellucid.train.load_weights(path))"
    with pytest.raises(FileFormatError) as caught:
        load(tmp_path / "w")
    assert str(caught.value).split("\n  at:")[0].splitlines() == [
        "w holds tensors, but no pellucid model",
        "  given:    1 tensors, such as w",
        f"  expected: a file that pellucid.save wrote; weights alone go into a network of yours by {call}",
    ]
    assert load_weights(tmp_path / "w")["w"].tolist() == [0, 0, 0]


def parts_of(path):
    with open(path, "rb") as file:
        raw = file.read()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    return json.loads(header["__metadata__"]["pellucid"]), safetensors.numpy.load_file(path)


def forged(path, document, arrays, seal=True):
    """A file with this content and, if `seal`, a digest that fits it."""
    if seal and isinstance(document, dict):
        document = document | {"digest": checksum(document, arrays)}
    safetensors.numpy.save_file(arrays, path, metadata={"pellucid": json.dumps(document)})
    return path


@pytest.fixture
def whole(tmp_path):
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    save(model, tmp_path / "m", preprocessing=MinMax().fit(floats(9, 4)), class_names=["a", "b"])
    return tmp_path / "m"


def change(*path, to):
    def edit(document, arrays):
        here = document
        for step in path[:-1]:
            here = here[step]
        here[path[-1]] = to

    return edit


def drop(name):
    return lambda document, arrays: arrays.pop(name)


def put(name, array):
    return lambda document, arrays: arrays.update({name: array})


ATTACKS = [
    (change("format", to="another"), "format: 'another'"),
    (change("format", to="pellucid-checkpoint-1"), "pellucid-checkpoint-1"),
    (change("version", to=2), "version 2, by pellucid"),
    (change("version", to="1"), "version '1', by pellucid"),
    (change("version", to=True), "version True, by pellucid"),
    (change("more", to=1), "metadata: ['class_names',"),
    (change("pellucid", to=3), "pellucid, metadata: (3, {})"),
    (change("metadata", to=[1]), "pellucid, metadata:"),
    (change("parts", to={}), "parts: {}"),
    (change("parts", 0, to="0.weight"), "parts[0]: '0.weight'"),
    (change("parts", 0, "name", to="nothing"), "parts[0].name: 'nothing'"),
    (change("parts", 0, "name", to=["0.weight"]), "parts[0].name: ['0.weight']"),
    (change("parts", 1, "name", to="0.weight"), "parts[1].name: '0.weight'"),
    (change("parts", 0, "kind", to="module"), "parts[0]: ('module', 'C')"),
    (change("parts", 0, "kind", to=["parameter"]), "parts[0]: (['parameter'], 'C')"),
    (change("parts", 0, "order", to="K"), "parts[0]: ('parameter', 'K')"),
    (change("parts", 1, "same_as", to="0.weight"), "parts[1].same_as: '0.weight'"),
    (change("parts", 0, "same_as", to="0.weight"), "parts[0].same_as: '0.weight'"),
    (change("preprocessing", "kind", to="exec"), "preprocessing: {'arrays'"),
    (change("preprocessing", "kind", to=["minmax"]), "preprocessing: {'arrays'"),
    (change("preprocessing", "arrays", to=["minimum"]), "preprocessing: "),
    (change("preprocessing", "arrays", to=["../m"]), "preprocessing.arrays: ['../m']"),
    (change("class_names", to="ab"), "class_names: 'ab'"),
    (change("class_names", to=[1, 2]), "class_names: [1, 2]"),
    (change("graph", to=None), "graph: None"),
    (change("graph", "instructions", 0, "op", to="system"), "instructions[0]: system"),
    (change("graph", "instructions", 1, "output", "shape", to=[2**40]), "%4: float32[1099511627776]"),
    (
        change("graph", "captured", 0, "tensor", to="pellucid.preprocessing.range"),
        "captured[0]: pellucid.preprocessing",
    ),
    (drop("0.weight"), "parts[0].name: '0.weight'"),
    (put("0.weight", np.zeros((3, 5), np.float32)), "%"),
    (put("0.weight", np.zeros((3, 4), np.int64)), "parts[0].kind: 'parameter, int64'"),
    (put("extra", np.zeros(3)), "tensors: 'extra'"),
    (put("pellucid.preprocessing.minimum", np.full(4, np.nan)), "preprocessing: "),
]


@pytest.mark.parametrize(("edit", "where"), ATTACKS)
def test_attacks(edit, where, whole):
    document, arrays = parts_of(whole)
    edit(document, arrays)
    with pytest.raises(FileFormatError) as caught:
        load(forged(whole, document, arrays))
    assert where in caught.value.given


@pytest.mark.parametrize("name", ["training", "_kinds", "_hooks", "_graph", "__class__", "forward", "a", "a.b.c"])
def test_parts_that_ask_for_a_place_that_is_taken(name, tmp_path):
    class Net(nn.Module):
        def __init__(self):
            self.a = nn.Module()
            self.a.b = nn.Parameter(np.ones(3, np.float32))
            self.z = nn.Parameter(np.ones(3, np.float32))

        def forward(self, x):
            return x * self.a.b * self.z

    save(Net(), tmp_path / "m", example=floats(1, 3))
    document, arrays = parts_of(tmp_path / "m")
    arrays[name] = arrays.pop("z")
    next(p for p in document["parts"] if p["name"] == "z")["name"] = name
    next(c for c in document["graph"]["captured"] if c["tensor"] == "z")["tensor"] = name
    forged(tmp_path / "m", document, arrays)
    with pytest.raises(FileFormatError) as caught:
        load(tmp_path / "m")
    assert caught.value.what == "two parts of the file ask for one place in the network"


def test_a_document_that_is_no_json_or_not_sealed(whole):
    document, arrays = parts_of(whole)
    for text in ("{", "[" * 100_000, "3", '{"format": 1}'):
        safetensors.numpy.save_file(arrays, whole, metadata={"pellucid": text})
        with pytest.raises(FileFormatError):
            load(whole)
    arrays["0.bias"] = arrays["0.bias"] + 1
    forged(whole, document, arrays, seal=False)
    with pytest.raises(FileFormatError) as caught:
        load(whole)
    assert caught.value.given.startswith("digest: ")
    assert written(document) == written(json.loads(written(document)))


def test_damage_is_found_or_does_no_harm(whole):
    """Bytes flipped and files cut, at random but the same each time."""
    raw = whole.read_bytes()
    x = floats(3, 4)
    expected = load(whole)(x).data.tobytes()
    generator = random.Random(0)
    refused = 0
    for n in range(300):
        damaged = bytearray(raw)
        if n % 3 == 0:
            del damaged[generator.randrange(len(raw)) :]
        else:
            for _ in range(generator.choice([1, 1, 2, 8])):
                position = generator.randrange(len(raw) if n % 3 == 1 else 16)
                damaged[position] ^= 1 << generator.randrange(8)
        whole.write_bytes(bytes(damaged))
        try:
            loaded = load(whole)
        except PellucidError:
            refused += 1
            continue
        assert loaded(x).data.tobytes() == expected
        assert isinstance(loaded, LoadedModel)
    assert refused > 290


def test_a_sealed_document_with_parts_changed_at_random_is_refused_or_runs(whole):
    """What a forger could write: any one value of the document replaced, the digest right."""
    document, arrays = parts_of(whole)

    def places(node, path=()):
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, inner in items:
            yield (*path, key)
            yield from places(inner, (*path, key))

    everywhere = [p for p in places(document) if p[0] != "digest"]
    values = [None, True, -1, 0, 2**31, 1.5, "", "%0", "x", [], {}, [[]], {"batch": 3}, {"slice": [0, 1, 1]}]
    generator = random.Random(1)
    for path in generator.sample(everywhere, min(150, len(everywhere))):
        changed = copy.deepcopy(document)
        change(*path, to=generator.choice(values))(changed, arrays)
        with contextlib.suppress(PellucidError):
            load(forged(whole, changed, arrays))(floats(3, 4))


def test_a_loaded_network_refuses_parts_that_its_graph_does_not_know(tmp_path):
    """The graph would go on computing with the old ones."""
    save(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), tmp_path / "m")
    x = floats(2, 4)
    for replace in (
        lambda m: m.add_module("2", nn.Linear(3, 5)),
        lambda m: setattr(m.get_submodule("0"), "weight", nn.Parameter(np.zeros((3, 4), np.float32))),
    ):
        model = load(tmp_path / "m")
        replace(model)
        with pytest.raises(ModelError, match="a part of the loaded network was replaced"):
            model(x)
    model = load(tmp_path / "m")
    model.load_state_dict({name: np.zeros(t.shape) for name, t in model.state_dict().items()})
    model.add_module("more", nn.Linear(2, 2))  # beside the graph's own
    assert model(x).tolist() == [[0.0, 0.0], [0.0, 0.0]]


class Untold(nn.Module):
    """Computes with values or lengths in a way that no recorder hears of."""

    def __init__(self, function):
        self.linear, self.function = nn.Linear(3, 2), function

    def forward(self, x):
        return self.linear(self.function(x))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * (1.0 if len(x) < 10 else 2.0),
        lambda x: x if x.shape[0] <= 3 else -x,
        lambda x: x[: len(x) // 2],
        lambda x: pl.Tensor(np.sin(x.data)),
        lambda x: x + float(np.asarray(x.data).max()),
    ],
    ids=["a factor by length", "a branch by length", "half of the rows", "NumPy", "a number"],
)
def test_what_a_graph_cannot_say_is_refused_and_not_saved(function, tmp_path):
    model = Untold(function)
    model(np.zeros((4, 3)))  # the shape is known, and zeros hide what NumPy did with them
    with pytest.raises(RecordingError):
        save(model, tmp_path / "m")
    with pytest.raises(RecordingError):
        save(model, tmp_path / "m", example=np.zeros((4, 3)))
    assert not (tmp_path / "m").exists()


def test_names_that_are_no_list(tmp_path):
    with pytest.raises(ArgumentTypeError, match="class_names is no list of names"):
        save(nn.Linear(4, 3), tmp_path / "m", class_names=3)


def test_paths_that_cannot_be_written(tmp_path):
    with pytest.raises(FileAccessError):
        save(nn.Linear(4, 3), tmp_path)
    with pytest.raises(ArgumentError, match="path is no name that a file can have"):
        save(nn.Linear(4, 3), "")
