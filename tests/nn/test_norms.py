"""The normalisations of channels: values worked out by hand, running statistics, and what is refused."""

import numpy as np
import pytest

import pellucid as pl
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.errors import ArgumentError, ModelError, PellucidError, ShapeError


def lines(call: object, error: type[PellucidError]) -> list[str]:
    with pytest.raises(error) as caught:
        call()  # type: ignore[operator]
    return str(caught.value).splitlines()[:4]


def test_batch_norm_2d_by_hand() -> None:
    layer = nn.BatchNorm2d(2, eps=0.0, momentum=0.5).double()
    # Channel 0 is 0, 2, 4, 6: mean 3, variance 5, and 20/3 divided by n - 1; channel 1 is the same moved by 10.
    x = np.array([[[[0.0, 2.0]], [[10.0, 12.0]]], [[[4.0, 6.0]], [[14.0, 16.0]]]])
    expected = np.array([[-3.0, -1.0], [1.0, 3.0]]) / np.sqrt(5.0)
    y = layer(x).numpy()
    np.testing.assert_allclose(y[:, 0, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(y[:, 1, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(layer.running_mean.numpy(), [1.5, 6.5], rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), [0.5 + 10 / 3] * 2, rtol=1e-12)
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    np.testing.assert_allclose(layer(np.full((1, 2, 1, 1), 1.5)).numpy()[0, 0], 0.0, atol=1e-12)


def test_group_norm_by_hand_and_at_its_ends() -> None:
    x = np.array([[1.0, 3.0, 10.0, 30.0]])
    np.testing.assert_allclose(nn.GroupNorm(2, 4, eps=0.0).double()(x).numpy(), [[-1.0, 1.0, -1.0, 1.0]], rtol=1e-12)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 3, 3))
    one = nn.LayerNorm((4, 3, 3), elementwise_affine=False)(x).numpy()
    np.testing.assert_allclose(F.group_norm(x, 1).numpy(), one, rtol=1e-10)
    np.testing.assert_allclose(F.group_norm(x, 4).numpy(), F.instance_norm(x).numpy(), rtol=1e-10)


def test_local_response_norm_by_hand_and_without_cancellation() -> None:
    x = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1)
    y = nn.LocalResponseNorm(2, alpha=2.0, beta=1.0, k=1.0).double()(x).numpy()
    # size 2 looks back by one: 1/(1 + 1), 2/(1 + 1 + 4), 3/(1 + 4 + 9)
    np.testing.assert_allclose(y[0, :, 0], [1 / 2, 2 / 6, 3 / 14], rtol=1e-12)
    x = np.array([1e12, 1.0, 1.0, 1.0, np.inf, 1.0, 1.0]).reshape(1, 7, 1)
    y = nn.LocalResponseNorm(2, alpha=2.0, beta=1.0, k=0.0)(x).numpy()[0, :, 0]
    assert y[2] == y[3] == y[6] == 0.5  # neither the large nor the infinite neighbour of a neighbour is seen


def test_running_statistics_of_an_empty_batch_of_instances_stay() -> None:
    layer = nn.InstanceNorm1d(2, track_running_stats=True)
    assert layer(np.zeros((0, 2, 3))).shape == (0, 2, 3)
    assert layer.running_mean.tolist() == [0.0, 0.0]
    assert layer.running_var.tolist() == [1.0, 1.0]


def test_one_value_a_channel_is_refused_and_leaves_the_statistics() -> None:
    for layer, x in ((nn.BatchNorm2d(4), np.ones((1, 4, 1, 1))), (nn.BatchNorm3d(4), np.ones((0, 4, 1, 1, 1)))):
        assert lines(lambda layer=layer, x=x: layer(x), ModelError) == [
            "BatchNorm: too few values for a mean and a variance",
            f"  given:    shape {x.shape} in training: {len(x)} for each feature",
            "  expected: at least 2; with 1 the variance is 0 and the output the same for every input",
            "  fix:      leave out the last, incomplete batch, or call eval() for use",
        ]
        assert layer.num_batches_tracked.item() == 0
        assert layer.eval()(x).shape == x.shape  # the fix
    assert lines(lambda: nn.GroupNorm(4, 4)(np.ones((3, 4))), ModelError) == [
        "GroupNorm: too few values for a mean and a variance",
        "  given:    shape (3, 4), 4 groups: 1 in each group of a sample",
        "  expected: at least 2; with 1 the variance is 0 and the output the same for every input",
        "  fix:      fewer groups",
    ]
    nn.GroupNorm(2, 4)(np.ones((3, 4)))  # the fix
    tracked = nn.InstanceNorm2d(4, track_running_stats=True)
    assert lines(lambda: tracked(np.ones((3, 4, 1, 1))), ModelError)[:3] == [
        "InstanceNorm: too few places for a mean and a variance",
        "  given:    shape (3, 4, 1, 1): 1 for each channel of a sample",
        "  expected: at least 2; with 1 the variance is 0 and the output the same for every input",
    ]
    assert tracked.eval()(np.ones((3, 4, 1, 1))).shape == (3, 4, 1, 1)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.BatchNorm2d(4), (2, 4), ("BatchNorm", "(N, C, H, W)")),
        (nn.BatchNorm3d(4), (2, 4, 3, 3), ("BatchNorm", "(N, C, D, H, W)")),
        (nn.GroupNorm(2, 4), (4,), ("GroupNorm", "(N, C) / (N, C, ...)")),
        (nn.InstanceNorm1d(4), (4,), ("InstanceNorm", "(C, L) / (N, C, L)")),
        (nn.InstanceNorm2d(4), (2, 4), ("InstanceNorm", "(C, H, W) / (N, C, H, W)")),
        (nn.InstanceNorm3d(4), (2, 4, 3), ("InstanceNorm", "(C, D, H, W) / (N, C, D, H, W)")),
        (nn.LocalResponseNorm(2), (2, 4), ("LocalResponseNorm", "(N, C, ...)")),
    ],
    ids=repr,
)
def test_another_number_of_axes(layer: nn.Module, shape: tuple[int, ...], expected: tuple[str, str]) -> None:
    assert lines(lambda: layer(np.ones(shape)), ShapeError)[:3] == [
        f"{expected[0]}: the input has another number of axes",
        f"  given:    shape {shape}",
        f"  expected: {expected[1]}",
    ]


@pytest.mark.parametrize(
    ("layer", "shape", "axis"),
    [
        (nn.BatchNorm2d(4), (2, 3, 2, 2), 1),
        (nn.GroupNorm(2, 4), (2, 3, 2, 2), 1),
        (nn.InstanceNorm2d(4), (2, 3, 2, 2), 1),
        (nn.InstanceNorm2d(4), (3, 2, 2), 0),
    ],
    ids=repr,
)
def test_another_number_of_channels(layer: nn.Module, shape: tuple[int, ...], axis: int) -> None:
    assert lines(lambda: layer(np.ones(shape)), ShapeError)[:3] == [
        f"{type(layer).__name__.rstrip('123d')}: the input has another number of features",
        f"  given:    shape {shape}: 3 features on axis {axis}",
        "  expected: 4 features",
    ]


def test_arguments_that_cannot_be() -> None:
    for error, call in (
        (ArgumentError, lambda: nn.GroupNorm(3, 4)),
        (ShapeError, lambda: F.group_norm(np.ones((2, 4)), 3)),
    ):
        assert lines(call, error)[:3] == [
            "GroupNorm: the channels do not come out even",
            "  given:    4 channels in 3 groups",
            "  expected: a number of channels that is a multiple of num_groups",
        ]
    assert lines(lambda: F.group_norm(np.ones((2, 4)), 2, np.ones(3)), ShapeError)[0] == (
        "GroupNorm: the input has another number of features"
    )
    assert lines(lambda: F.instance_norm(np.ones((2, 4, 3)), use_input_stats=False), ModelError)[:3] == [
        "instance_norm: there are no running statistics to use",
        "  given:    use_input_stats=False, running_mean=None",
        "  expected: running_mean and running_var, or use_input_stats=True",
    ]
    for call in (
        lambda: F.instance_norm(np.ones((2, 4, 3)), momentum=1.5),
        lambda: F.instance_norm(np.ones((2, 4, 3)), eps=-1.0),
        lambda: F.group_norm(np.ones((2, 4)), 2, eps=-1.0),
        lambda: F.group_norm(np.ones((2, 4)), 0),
        lambda: F.local_response_norm(np.ones((2, 4, 3)), 0),
        lambda: nn.LocalResponseNorm(0),
        lambda: nn.GroupNorm(0, 4),
        lambda: nn.BatchNorm2d(0),
        lambda: nn.InstanceNorm3d(4, momentum=-0.1),
    ):
        with pytest.raises(ArgumentError):
            call()
    with pytest.raises(pl.errors.ArgumentTypeError):
        nn.InstanceNorm2d(4, momentum=None)


def test_running_statistics_that_nobody_could_see_change_are_refused() -> None:
    with pytest.raises(pl.errors.ArgumentTypeError, match="have to be Tensors"):
        nn.functional.batch_norm(np.ones((2, 4, 3)), np.zeros(4), np.ones(4), training=True)
