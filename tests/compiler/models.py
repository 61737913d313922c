"""Small networks with a training step each, for tests of everything that compiles: each activation, layer, loss and
optimizer, and the ways in which a step can be put together. A name and a dtype come in; a Training leaves, the same at
every call.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pellucid as pl
from pellucid import nn, optim
from pellucid.core.context import default_dtype, set_default_dtype
from tests.compiler.models_of_losses import LOSSES
from tests.compiler.models_of_pictures import PICTURE_MODELS
from tests.compiler.trainings import ROWS, WIDTH, Batch, Training, step_of, trained_by_sgd
from tests.optim.problem import CASES, LION_CASES, build, label

# Layers


def activation(make: Callable[[], nn.Module], features: int = WIDTH) -> Training:
    batch = Batch()
    model = nn.Sequential(nn.Linear(WIDTH, features), make(), nn.Linear(WIDTH, 3))
    return trained_by_sgd(model, nn.MSELoss(), batch.numbers(ROWS, WIDTH), batch.numbers(ROWS, 3))


def layer(make: Callable[[], nn.Module]) -> Training:
    """A layer between two others, the first without a bias: a normalization would leave it only rounding to learn."""
    batch = Batch()
    model = nn.Sequential(nn.Linear(WIDTH, 8, bias=False), make(), nn.Tanh(), nn.Linear(8, 3))
    return trained_by_sgd(model, nn.CrossEntropyLoss(), batch.numbers(ROWS, WIDTH), batch.classes(3, ROWS))


def as_pictures(make: Callable[[], nn.Module]) -> nn.Module:
    """A layer that takes two channels of 2x2 places, given rows of 8."""
    return nn.Sequential(nn.Unflatten(1, (2, 2, 2)), make(), nn.Flatten())


def embedding(**options: Any) -> Training:
    batch = Batch()
    model = nn.Sequential(nn.Embedding(7, 4, **options), nn.Flatten(), nn.Linear(12, 3))
    return trained_by_sgd(model, nn.CrossEntropyLoss(), batch.classes(7, ROWS, 3), batch.classes(3, ROWS))


class Pairs(nn.Module):
    """Two halves of the input that meet."""

    def __init__(self) -> None:
        super().__init__()
        self.meet = nn.Bilinear(3, 2, 4)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.out(pl.tanh(self.meet(x[:, :3], x[:, 3:])))


class Residual(nn.Module):
    """Blocks that are added to what they got."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(WIDTH, 8)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 8)) for _ in range(2)
        )
        self.leave = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = self.enter(x)
        for block in self.blocks:
            x = x + block(x)
        return self.leave(x)


class Branches(nn.Module):
    """Two ways side by side, joined; one weight used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)
        self.leave = nn.Linear(2 * WIDTH + 2, 3)

    def forward(self, x: Any) -> Any:
        once = pl.tanh(self.left(x))
        return self.leave(pl.concatenate([once, pl.sigmoid(self.left(once)), self.right(x)], axis=1))


def wiring(make: Callable[[], nn.Module]) -> Training:
    batch = Batch()
    return trained_by_sgd(make(), nn.CrossEntropyLoss(), batch.numbers(ROWS, WIDTH), batch.classes(3, ROWS))


def sequences() -> Training:
    """Linear layers over the last of three axes, and labels for each place."""
    batch = Batch()
    model = nn.Sequential(nn.Linear(WIDTH, 8), nn.RMSNorm(8), nn.SiLU(), nn.Linear(8, 3))

    def loss(y: Any, target: Any) -> Any:
        return nn.losses.cross_entropy(pl.permute(y, (0, 2, 1)), target)

    return trained_by_sgd(model, loss, batch.numbers(4, 6, WIDTH), batch.classes(3, 4, 6))


def wide(make: Callable[[], nn.Module], outputs: int) -> Training:
    """Layers that threads are worth, and a mean over more numbers than one of them adds up."""
    batch = Batch()
    model = nn.Sequential(nn.Linear(100, 64), make(), nn.Linear(64, outputs))
    if outputs == 10:
        return trained_by_sgd(model, nn.CrossEntropyLoss(), batch.numbers(64, 100), batch.classes(10, 64))
    return trained_by_sgd(model, nn.MSELoss(), batch.numbers(64, 100), batch.numbers(64, outputs))


def tall(make: Callable[[], nn.Module], features: int = 2) -> Training:
    """Many rows of few columns."""
    batch = Batch()
    model = nn.Sequential(nn.Linear(features, 3), make(), nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    return trained_by_sgd(model, nn.CrossEntropyLoss(), batch.numbers(41, features), batch.classes(2, 41))


ACTIVATIONS: dict[str, Callable[[], Training]] = {
    name: partial(activation, getattr(nn, name))
    for name in (
        *("CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid"),
        *("LogSoftmax", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softmax", "Softmin"),
        *("Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink"),
    )
} | {
    "CELU(0.5)": partial(activation, partial(nn.CELU, 0.5)),
    "GELU(tanh)": partial(activation, partial(nn.GELU, "tanh")),
    "GLU": partial(activation, nn.GLU, 2 * WIDTH),
    "PReLU(each)": partial(activation, partial(nn.PReLU, WIDTH)),
    "Softmax(rows)": partial(activation, partial(nn.Softmax, 0)),
    "Threshold": partial(activation, partial(nn.Threshold, 0.1, -0.5)),
}

LAYERS: dict[str, Callable[[], Training]] = {
    "Dropout": partial(layer, partial(nn.Dropout, 0.3)),
    "AlphaDropout": partial(layer, partial(nn.AlphaDropout, 0.3)),
    "BatchNorm1d": partial(layer, partial(nn.BatchNorm1d, 8)),
    "BatchNorm1d(mean of all)": partial(layer, partial(nn.BatchNorm1d, 8, momentum=None)),
    "BatchNorm1d(bare)": partial(layer, partial(nn.BatchNorm1d, 8, affine=False, track_running_stats=False)),
    "BatchNorm2d": partial(layer, partial(as_pictures, partial(nn.BatchNorm2d, 2))),
    "GroupNorm": partial(layer, partial(as_pictures, partial(nn.GroupNorm, 1, 2))),
    "InstanceNorm2d": partial(layer, partial(as_pictures, partial(nn.InstanceNorm2d, 2, 1e-5, 0.1, True, True))),
    "LocalResponseNorm": partial(layer, partial(as_pictures, partial(nn.LocalResponseNorm, 2, 0.5))),
    "weight norm": partial(layer, lambda: nn.parametrizations.weight_norm(nn.Linear(8, 8))),
    "spectral norm": partial(layer, lambda: nn.parametrizations.spectral_norm(nn.Linear(8, 8))),
    "Residual and Parallel": partial(
        layer, lambda: nn.Residual(nn.Parallel(nn.Linear(8, 5), nn.Linear(8, 3)), nn.Tanh(), shortcut=nn.Linear(8, 8))
    ),
    "LayerNorm": partial(layer, partial(nn.LayerNorm, 8)),
    "LayerNorm(bare)": partial(layer, partial(nn.LayerNorm, 8, elementwise_affine=False)),
    "RMSNorm": partial(layer, partial(nn.RMSNorm, 8)),
    "Unflatten": partial(layer, lambda: nn.Sequential(nn.Unflatten(1, (2, 4)), nn.Linear(4, 4), nn.Flatten())),
    "Embedding": embedding,
    "Embedding(padding)": partial(embedding, padding_idx=0),
    "Embedding(frequency)": partial(embedding, scale_grad_by_freq=True),
    "Bilinear": partial(wiring, Pairs),
    "residual": partial(wiring, Residual),
    "branches": partial(wiring, Branches),
    "sequences": sequences,
    "wide classifier": partial(wide, nn.ReLU, 10),
    "wide regression": partial(wide, nn.Tanh, 100),
    "tall": partial(tall, nn.Sigmoid),
    "tall Softmax": partial(tall, partial(nn.Softmax, 1), 40),
    "tall Dropout": partial(tall, partial(nn.Dropout, 0.3)),
}

# Optimizers and steps


def _classifier() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, 6), nn.Tanh(), nn.Linear(6, 3))


def optimizer(name: str, options: dict[str, Any]) -> Training:
    batch = Batch()
    model = _classifier()
    made = build(name, model.parameters(), **options)
    inputs = [batch.numbers(ROWS, WIDTH), batch.numbers(ROWS, 3)]
    error = nn.MSELoss()
    loss = (lambda y, t: -error(y, t)) if options.get("maximize") else error
    return Training(step_of(model, loss, made), inputs, model, made, ordinary="dampening" in options)


def groups() -> Training:
    """Groups of parameters with rates of their own, one of them frozen in part."""
    batch = Batch()
    model = _classifier()
    model[0].bias.requires_grad = False
    made = optim.AdamW([{"params": model[0].parameters(), "lr": 0.02}, {"params": model[2].parameters()}], lr=0.01)
    inputs = [batch.numbers(ROWS, WIDTH), batch.classes(3, ROWS)]
    return Training(step_of(model, nn.CrossEntropyLoss(), made), inputs, model, made)


def clipped(clip: Callable[..., Any], limit: float) -> Training:
    batch = Batch()
    model, loss = _classifier(), nn.MSELoss()
    made = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(x: Any, t: Any) -> Any:
        value = loss(model(x), t)
        value.backward()
        clip(model.parameters(), limit)
        made.step()
        return value

    return Training(step, [batch.numbers(ROWS, WIDTH), 3 * batch.numbers(ROWS, 3)], model, made)


def scheduled() -> Training:
    batch = Batch()
    model, loss = _classifier(), nn.MSELoss()
    made = optim.Adam(model.parameters(), lr=0.02)
    schedule = optim.CosineAnnealingLR(made, 40)

    def step(x: Any, t: Any) -> Any:
        value = loss(model(x), t)
        value.backward()
        made.step()
        schedule.step()
        return value

    return Training(step, [batch.numbers(ROWS, WIDTH), batch.numbers(ROWS, 3)], model, made)


def penalized() -> Training:
    """A gradient of a gradient, and a penalty on the weights."""
    batch = Batch()
    model, loss = _classifier(), nn.MSELoss()
    made = optim.SGD(model.parameters(), lr=0.05)

    def step(x: Any, t: Any) -> Any:
        value = loss(model(x), t)
        slopes = pl.autograd.grad(value, list(model.parameters()), create_graph=True)
        total = value + 0.1 * sum((g * g).sum() for g in slopes) + 0.01 * pl.abs(model[0].weight).sum()
        total.backward()
        made.step()
        return {"loss": value, "total": total}

    return Training(step, [batch.numbers(ROWS, WIDTH), batch.numbers(ROWS, 3)], model, made)


# A change of every weight by its last bit grows within 50 steps of these to more than 1e-6 of the largest weight, in
# eager mode as well: they divide by what passes close to 0. A tenth of the rate leaves it at rounding.
_AMPLIFYING = {
    "Adam-lr=0.1,betas=(0.8, 0.9),eps=0.001",
    "Adam-lr=0.1,betas=(0.0, 0.0)",
    "NAdam-lr=0.1",
    "NAdam-lr=0.1,weight_decay=0.2,decoupled_weight_decay=True,maximize=True",
    "Adamax-lr=0.1,betas=(0.8, 0.9),eps=0.0001,weight_decay=0.2",
    "Adadelta-lr=1.5,rho=0.5,eps=0.0001,weight_decay=0.2",
    "Adadelta-lr=2.0,maximize=True",
    "RMSprop-lr=0.02,alpha=0.9,eps=0.0001,weight_decay=0.2",
    "RMSprop-lr=0.02,momentum=0.9",
    "RMSprop-lr=0.02,alpha=0.9,centered=True,momentum=0.5,weight_decay=0.1,maximize=True",
}


def _calmed(case: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    name, options = case
    return (name, options | {"lr": options["lr"] / 10}) if label(case) in _AMPLIFYING else case


OPTIMIZERS: dict[str, Callable[[], Training]] = {
    label(case): partial(optimizer, *case) for case in map(_calmed, (*CASES, *LION_CASES)) if case[1]
}

STEPS: dict[str, Callable[[], Training]] = {
    "groups": groups,
    "clip_grad_norm_": partial(clipped, optim.clip_grad_norm_, 0.5),
    "clip_grad_value_": partial(clipped, optim.clip_grad_value_, 0.05),
    "schedule": scheduled,
    "penalty": penalized,
}

MODELS: dict[str, Callable[[], Training]] = {
    **ACTIVATIONS,
    **LAYERS,
    **PICTURE_MODELS,
    **LOSSES,
    **OPTIMIZERS,
    **STEPS,
}


@contextmanager
def training(name: str, dtype: str) -> Iterator[Training]:
    """A model of the table; inside, its dtype is the default one."""
    before = default_dtype().name
    set_default_dtype(dtype)
    try:
        pl.manual_seed(0)
        yield MODELS[name]()
    finally:
        set_default_dtype(before)
