"""The networks for pictures: published counts of parameters, torchvision's names and shapes, how weights start, what is
refused, and that they are trained, compiled and saved like any other."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import models, nn
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError

# Counts from torchvision's tables ("num_params"); those of the two that it has not, from Keras' MobileNet (trainable)
# and Caffe's AlexNet, layer by layer in `test_counts_by_hand`.
COUNTS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "alexnet": (models.alexnet, 61_100_840),
    "vgg11": (models.vgg11, 132_863_336),
    "vgg11_bn": (lambda: models.vgg11(batch_norm=True), 132_868_840),
    "vgg16": (models.vgg16, 138_357_544),
    "vgg16_bn": (lambda: models.vgg16(batch_norm=True), 138_365_992),
    "resnet18": (models.resnet18, 11_689_512),
    "resnet34": (models.resnet34, 21_797_672),
    "resnet50": (models.resnet50, 25_557_032),
    "squeezenet1_0": (models.squeezenet1_0, 1_248_424),
    "densenet121": (models.densenet121, 7_978_856),
    "mobilenet_v2": (models.mobilenet_v2, 3_504_872),
    "mobilenet_v3_small": (models.mobilenet_v3_small, 2_542_856),
    "efficientnet_b0": (models.efficientnet_b0, 5_288_548),
    "vit_b_16": (models.vit_b_16, 86_567_656),
    "mobilenet_v1": (models.mobilenet_v1, 4_231_976),
    "AlexNetTwoGroups": (models.AlexNetTwoGroups, 60_965_224),
    "LeNet5": (models.LeNet5, 61_706),
}

# The first 16 digits of the SHA-256 of the lines "name (shape)\n" of the state dicts of torchvision 0.28.0, in order:
# "".join(f"{name} {tuple(value.shape)}\n" for name, value in model.state_dict().items()).
STATES = {
    "alexnet": "214045a0c08ffc98",
    "vgg11": "a4a2a4a84e73de05",
    "vgg11_bn": "6aaf84aad4159200",
    "vgg16": "6f36a6fd49b61819",
    "vgg16_bn": "5f99e428d932f79e",
    "resnet18": "761022b221a39ceb",
    "resnet34": "1a060acae7a42530",
    "resnet50": "3fa57287149b51c4",
    "squeezenet1_0": "dc8fa2e3e593554c",
    "densenet121": "d52aa585c6714985",
    "mobilenet_v2": "5c45000c8dea04db",
    "mobilenet_v3_small": "a29acf552527e7ab",
    "efficientnet_b0": "cb7cfd236a199858",
    "vit_b_16": "71b16a3b8dc241da",
}


def count(model: nn.Module) -> int:
    return sum(p.size for p in model.parameters())


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", COUNTS)
def test_published_counts_and_torchvisions_names(name: str) -> None:
    make, expected = COUNTS[name]
    model = make()
    assert count(model) == expected
    if name in STATES:
        lines = "".join(f"{key} {value.shape}\n" for key, value in model._state())
        assert hashlib.sha256(lines.encode()).hexdigest()[:16] == STATES[name]


@pytest.mark.usefixtures("undrawn")
def test_counts_by_hand() -> None:
    # He et al., section 4.2: 0.27 million. 3x3 convolutions, and two numbers for each normalised channel.
    first = 3 * 16 * 9 + 2 * 16
    stages = [6 * (16 * 16 * 9 + 2 * 16)]
    stages += [c // 2 * c * 9 + 2 * c + 5 * (c * c * 9 + 2 * c) for c in (32, 64)]
    assert count(models.resnet20()) == first + sum(stages) + 65 * 10 == 269_722
    assert count(models.resnet20(shortcut="B")) == 269_722 + (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64) == 272_474
    # Krizhevsky et al., section 3.5 and figure 2.
    convolutions = (96 * 363 + 96) + (256 * 1200 + 256) + (384 * 2304 + 384) + (384 * 1728 + 384) + (256 * 1728 + 256)
    assert count(models.AlexNetTwoGroups()) == convolutions + 4096 * 9217 + 4096 * 4097 + 1000 * 4097
    # Hinton and Salakhutdinov, 784-1000-500-250-30 and back.
    encoder, decoder = 785 * 1000 + 1001 * 500 + 501 * 250 + 251 * 30, 31 * 250 + 251 * 500 + 501 * 1000 + 1001 * 784
    assert count(models.Autoencoder()) == encoder + decoder == 2_837_314
    # Two convolutions, 32 pictures of 7x7 to 30 numbers and back, two transposed convolutions.
    convolutions = (9 * 16 + 16) + (16 * 9 * 32 + 32) + (32 * 9 * 16 + 16) + (16 * 9 + 1)
    assert count(models.ConvAutoencoder()) == convolutions + (1568 * 30 + 30) + (30 * 1568 + 1568) == 105_247


SMALL: dict[str, tuple[Callable[..., Any], int]] = {
    "LeNet5": (lambda **k: models.LeNet5(5, **k), 28),
    "CifarResNet": (lambda **k: models.CifarResNet(1, 5, **k), 16),
    "ResNet": (lambda **k: models.ResNet(models.BasicBlock, [1, 1, 1, 1], 5, **k), 32),
    "SqueezeNet": (lambda **k: models.squeezenet1_0(5, 0.0, **k), 33),
    "DenseNet": (lambda **k: models.DenseNet(4, (1, 1, 1, 1), 8, num_classes=5, **k), 32),
    "MobileNetV1": (lambda **k: models.mobilenet_v1(5, 0.25, **k), 32),
    "MobileNetV2": (lambda **k: models.mobilenet_v2(5, 0.25, **k), 32),
    "MobileNetV3": (lambda **k: models.mobilenet_v3_small(5, 0.25, **k), 32),
    "EfficientNet": (lambda **k: models.EfficientNet(0.25, 0.5, 5, **k), 32),
    "VisionTransformer": (lambda **k: models.VisionTransformer(8, 4, 1, 2, 8, 16, num_classes=5, **k), 8),
}


@pytest.mark.parametrize("name", SMALL)
def test_channels_and_what_is_refused(name: str) -> None:
    make, size = SMALL[name]
    pl.manual_seed(0)
    model = make(in_channels=2).eval()
    assert model(np.zeros((3, 2, size, size), np.float32)).shape == (3, 5)
    for shape, fix in [
        ((3, 3, size, size), None),
        ((2, size, size), "x[None]"),
        ((3, size, size, 2), "x.permute((0, 3, 1, 2))"),
        ((size, size), None),
    ]:
        with pytest.raises(ShapeError) as caught:
            model(np.zeros(shape, np.float32))
        lines = [line for line in str(caught.value).splitlines() if not line.startswith(("  at:", "  in:"))]
        assert lines[0] == f"{name} takes pictures"
        assert lines[1] == f"  given:    shape {shape}"
        assert lines[2] == "  expected: (N, 2, H, W): pictures, channels, rows, columns"
        assert (caught.value.fix or None) == fix
    # The fixes do what they say.
    assert model(pl.zeros((2, size, size))[None]).shape == (1, 5)
    assert model(pl.zeros((3, size, size, 2)).permute((0, 3, 1, 2))).shape == (3, 5)
    for option, constraint in make_constraints(model).items():
        for value in constraint.invalid():
            with pytest.raises((ArgumentError, ArgumentTypeError), match=f"{name}: {option}"):
                type(model)(**{**REQUIRED.get(name, {}), option: value})


REQUIRED: dict[str, dict[str, Any]] = {
    "CifarResNet": {"num_blocks": 1},
    "ResNet": {"block": models.BasicBlock, "layers": (1, 1, 1, 1)},
    "VisionTransformer": {
        "image_size": 8, "patch_size": 4, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 16,
    },
}  # fmt: skip


def make_constraints(model: nn.Module) -> dict[str, Any]:
    return type(model).__init__.constraints  # type: ignore[attr-defined, no-any-return]


def test_other_arguments_are_refused() -> None:
    for layers in ((1, 1, 1), (1, 1, 1, 0), 2, "1111", (1, 1, 1, 1.5)):
        with pytest.raises((ArgumentError, ArgumentTypeError), match="ResNet: layers"):
            models.ResNet(models.BasicBlock, layers)
        with pytest.raises((ArgumentError, ArgumentTypeError), match="DenseNet: block_config"):
            models.DenseNet(block_config=layers)
    with pytest.raises(ArgumentError, match="VGG: configuration"):
        models.VGG("C")
    with pytest.raises(ArgumentError) as caught:
        models.VisionTransformer(30, 4, 1, 2, 8, 16)
    assert caught.value.given == "image_size=30, patch_size=4"
    with pytest.raises(ArgumentError, match="heads"):
        models.VisionTransformer(8, 4, 1, 3, 8, 16)
    for hidden in ((3, 0), 5, (2.5,), "ab", (True,)):
        with pytest.raises(ArgumentError, match="Autoencoder: hidden"):
            models.Autoencoder(4, hidden)
    with pytest.raises(ArgumentError, match="cannot be halved twice"):
        models.ConvAutoencoder(30)


def test_pictures_of_another_size() -> None:
    vit = models.VisionTransformer(8, 4, 1, 2, 8, 16)
    coder = models.ConvAutoencoder(8, channels=2)
    for model, name, channels, whole in ((vit, "VisionTransformer", 3, 12), (coder, "ConvAutoencoder", 1, 12)):
        for height, width, fix in (
            (whole, whole, f"image_size={whole} when it is made"),
            (8, 12, ""),
            (10, 10, ""),
            (0, 0, ""),
        ):
            with pytest.raises(ShapeError) as caught:
                model(np.zeros((1, channels, height, width), np.float32))
            error = caught.value
            assert error.what == f"{name}: the pictures are of another size"
            assert (error.given, error.fix or "") == (f"{height} x {width}", fix)
            assert error.expected == "8 x 8, as it was made for"
    for make, least in ((lambda: models.squeezenet1_0(2), 21), (lambda: models.DenseNet(2, (1,) * 4, 4), 29)):
        model = make().eval()
        assert model(np.zeros((1, 3, least, least), np.float32)).ndim == 2
        with pytest.raises(ShapeError):
            model(np.zeros((1, 3, least - 1, least - 1), np.float32))
    with pytest.raises(ShapeError):
        models.LeNet5()(np.zeros((1, 1, 32, 32), np.float32))


def spread(tensor: Any) -> float:
    return float(tensor.numpy().std())


def test_weights_start_as_in_torchvision() -> None:
    pl.manual_seed(0)
    net = models.ResNet(models.Bottleneck, (1, 1, 1, 1), 7, zero_init_residual=True)
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.weight.size > 3000:
            fan_out = module.out_channels * math.prod(module.kernel_size)
            assert spread(module.weight) == pytest.approx(math.sqrt(2 / fan_out), rel=0.08)
        if isinstance(module, models.Bottleneck):
            assert not module.bn3.weight.numpy().any()
            assert (module.bn2.weight.numpy() == 1).all()
    bound = 1 / math.sqrt(2048)
    assert bound * 0.98 < np.abs(net.fc.weight.numpy()).max() <= bound
    assert np.abs(net.fc.bias.numpy()).max() <= bound

    # What follows a layer in its Sequential, ReLU here, does not draw it anew.
    squeeze = models.squeezenet1_0(10)
    assert spread(squeeze.classifier[1].weight) == pytest.approx(0.01, rel=0.05)
    fire = squeeze.features[3]
    assert np.abs(fire.expand3x3.weight.numpy()).max() == pytest.approx(math.sqrt(6 / (16 * 9)), rel=0.01)
    mobile = models.mobilenet_v3_small(10)
    assert spread(mobile.classifier[0].weight) == pytest.approx(0.01, rel=0.02)
    assert spread(mobile.features[4].block[1][0].weight) == pytest.approx(math.sqrt(2 / (96 * 25)), rel=0.1)
    dense = models.DenseNet(num_classes=10, block_config=(1, 1, 1, 1))
    assert spread(dense.features[0].weight) == pytest.approx(math.sqrt(2 / 147), rel=0.05)
    assert not dense.classifier.bias.numpy().any()
    efficient = models.EfficientNet(0.5, 0.5, 16)
    assert 0.24 < np.abs(efficient.classifier[1].weight.numpy()).max() <= 0.25
    vit = models.VisionTransformer(32, 16, 1, 2, 64, 128)
    assert spread(vit.conv_proj.weight) == pytest.approx(math.sqrt(1 / 768), rel=0.02)
    assert spread(vit.encoder.pos_embedding) == pytest.approx(0.02, rel=0.15)  # of 320 numbers
    assert not vit.heads.head.weight.numpy().any()
    assert spread(vit.encoder.layers[0].mlp[0].weight) == pytest.approx(math.sqrt(2 / (64 + 128)), rel=0.05)
    assert 0 < np.abs(vit.encoder.layers[0].mlp[0].bias.numpy()).max() < 1e-5
    for model in (net, squeeze, mobile, dense, efficient, vit):
        assert nn.check_initialization(model) == []


@pytest.mark.long
def test_weights_of_the_original_alexnet() -> None:
    pl.manual_seed(0)
    net = models.AlexNetTwoGroups(10)
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [float(m.bias.numpy().mean()) for m in layers] == [0, 1, 0, 1, 1, 1, 1, 0]
    assert [spread(m.weight) for m in layers] == pytest.approx([0.01] * 8, rel=0.05)


def test_shortcut_of_option_a_by_hand() -> None:
    x = np.arange(2 * 3 * 3, dtype=np.float64).reshape(1, 2, 3, 3)
    y = models.PaddedShortcut(3, 2)(x).numpy()
    assert y[0, :2].tolist() == [[[0, 2], [6, 8]], [[9, 11], [15, 17]]]
    assert y.shape == (1, 5, 2, 2)
    assert not y[0, 2:].any()


def test_channels_are_rounded_as_in_tensorflow() -> None:
    # slim/nets/mobilenet/mobilenet.py, make_divisible: nearest multiple of 8, at least 8, never below nine tenths.
    from pellucid.models._picture_parts import divisible

    widths = {1: 8, 8: 8, 11: 16, 11.2: 16, 12: 16, 18: 24, 30: 32, 16 * 0.35: 8, 32 * 0.75: 24}
    assert {width: divisible(width) for width in widths} == widths


def test_stochastic_depth_grows_from_block_to_block() -> None:
    net = models.EfficientNet(0.25, 1.0, 5, stochastic_depth_prob=0.32)
    probabilities = [m.p for m in net.modules() if isinstance(m, nn.StochasticDepth)]
    assert probabilities == pytest.approx([0.02 * n for n in range(16)])


def test_autoencoders_give_the_shape_back_and_are_trained() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(32, 1, 8, 8)).astype(np.float32) * (np.arange(32) % 2)[:, None, None, None]
    for make in (lambda: models.Autoencoder(64, [16], 3), lambda: models.ConvAutoencoder(8, code=3, channels=4)):
        pl.manual_seed(0)
        model = make()
        assert model.encode(x).shape == (32, 3)
        y = model(x)
        assert y.shape == x.shape
        np.testing.assert_array_equal(model.decode(model.encode(x)).numpy().reshape(x.shape), y.numpy())
        assert 0 <= y.numpy().min() <= y.numpy().max() <= 1
        optimizer = pl.optim.Adam(model.parameters(), 0.01)
        history = pl.fit(model, (x, x), loss="mse", optimizer=optimizer, epochs=30, batch_size=8, verbose=0)
        assert history.loss[-1] < 0.5 * history.loss[0]
    with pytest.raises(ShapeError):
        models.Autoencoder(64)(np.zeros((2, 8, 9), np.float32))


def test_autoencoder_by_hand() -> None:
    model = models.Autoencoder(2, (), 1).double()
    model.load_state_dict({
        "encoder.1.weight": np.array([[1.0, -2.0]]), "encoder.1.bias": np.array([0.5]),
        "decoder.0.weight": np.array([[2.0], [-1.0]]), "decoder.0.bias": np.array([0.0, 1.0]),
    })  # fmt: skip
    assert model.encode([[3.0, 1.0]]).tolist() == [[1.5]]
    expected = [1 / (1 + math.exp(-3.0)), 1 / (1 + math.exp(0.5))]
    assert model([[3.0, 1.0]]).tolist()[0] == pytest.approx(expected, rel=1e-15)


def losses(make: Callable[[], Any], size: int, compiled: bool) -> list[float]:
    pl.manual_seed(1)
    rng = np.random.default_rng(0)
    x, labels = rng.uniform(size=(8, 3, size, size)), rng.integers(0, 5, 8)
    model, cross_entropy = make().double(), nn.CrossEntropyLoss()
    optimizer = pl.optim.SGD(model.parameters(), 0.01)

    def step(a: Any, b: Any) -> Any:
        loss = cross_entropy(model(a), b)
        loss.backward()
        optimizer.step()
        return loss

    run = pl.compile(step) if compiled else step
    return [run(x, labels).item() for _ in range(3)]


@pytest.mark.parametrize("name", ["CifarResNet", "DenseNet", "VisionTransformer"])
def test_compiled_training_is_the_same(name: str) -> None:
    make, size = SMALL[name]
    np.testing.assert_allclose(losses(make, size, True), losses(make, size, False), rtol=1e-8)


@pytest.mark.long
@pytest.mark.parametrize("name", ["SqueezeNet", "MobileNetV1", "MobileNetV2", "MobileNetV3", "EfficientNet"])
def test_compiled_training_of_the_others(name: str) -> None:
    make, size = SMALL[name]
    np.testing.assert_allclose(losses(make, size, True), losses(make, size, False), rtol=1e-8)


@pytest.mark.parametrize("name", ["LeNet5", "CifarResNet", "VisionTransformer"])
def test_a_network_is_fitted_and_saved(name: str, tmp_path: Path) -> None:
    make, size = SMALL[name]
    channels = 1 if name == "LeNet5" else 3
    rng = np.random.default_rng(0)
    y = np.arange(40) % 5
    prototypes = rng.normal(size=(5, channels, size, size))
    x = (prototypes[y] + 0.1 * rng.normal(size=(40, channels, size, size))).astype(np.float32)
    pl.manual_seed(0)
    model = make()
    optimizer = pl.optim.Adam(model.parameters(), 0.01)
    history = pl.fit(model, (x, y), loss="cross_entropy", optimizer=optimizer, epochs=15, batch_size=20, verbose=0)
    assert history.loss[-1] < 0.5 * history.loss[0]
    pl.save(model, tmp_path / "net.safetensors", example=x)
    expected = pl.predict(model, x)
    np.testing.assert_allclose(pl.predict(pl.load(tmp_path / "net.safetensors"), x), expected, rtol=1e-4, atol=1e-5)
    other = make()
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.eval()(x).numpy(), model.eval()(x).numpy())
