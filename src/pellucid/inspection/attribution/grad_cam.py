"""A network of convolutions and pictures come in; where one of its layers saw what speaks for an output leaves. Users
call `grad_cam`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.core.check import checked, shown
from pellucid.core.context import no_grad
from pellucid.core.tensor import wrap
from pellucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from pellucid.inspection.attribution.gradients import gradient_at_point
from pellucid.inspection.attribution.question import Question
from pellucid.inspection.attribution.records import Attribution
from pellucid.inspection.layers import last_layer
from pellucid.nn import Conv1d, Conv2d, Conv3d, Module
from pellucid.nn.functional import interpolate

_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


@checked()
def grad_cam(model: Any, x: Any, target: Any = None, *, layer: Any = None) -> Attribution:
    """Where a layer's channels that speak for an output are active.

        map = ReLU(Σ_k α_k A_k),  α_k the mean of ∂y/∂A_k over the places

    Parameters
        model : a network with convolutions, asked in eval mode
        x : pictures, shape (N, C, H, W), or sequences (N, C, L) or volumes (N, C, D, H, W)
        target : as for `saliency`.
        layer : name of the layer whose channels A are weighed, which gives as many axes as x has; None: the last
            convolution.
    Returns
        Attribution; `parts["map"]` is the map of the layer's own size, shape (N, H', W'), `parts["weights"]` the α,
        shape (N, channels); the scores are the map drawn out to x's size, the same in all of its channels.
    Raises
        as `saliency`, ArgumentError for a network without convolutions, and ShapeError for a layer without places
    Source
        R. Selvaraju et al., Grad-CAM: visual explanations from deep networks via gradient-based localization, 2017,
        equations 1 and 2.
    """
    if not isinstance(model, Module):
        raise ArgumentTypeError("attribution.layer-of-function", layer=shown(layer), value=shown(model))
    chosen = last_layer(model, lambda m: isinstance(m, Conv1d | Conv2d | Conv3d)) if layer is None else layer
    if chosen is None:
        raise ArgumentError("attribution.no-convolution", network=type(model).__name__)
    question = Question(model, x, target, chosen)
    activations, picture = question.point, question.x.data
    num_axes = activations.ndim - 2
    if num_axes not in _MODES or activations.ndim != picture.ndim:
        raise ShapeError("attribution.no-places", name=question.layer, shape=activations.shape, picture=picture.shape)
    places = tuple(range(2, activations.ndim))
    weights = gradient_at_point(question).mean(axis=places)
    seen = np.maximum((weights.reshape(*weights.shape, *(1,) * num_axes) * activations).sum(axis=1), 0)
    with no_grad():
        drawn = interpolate(wrap(seen[:, None]), size=picture.shape[2:], mode=_MODES[num_axes], align_corners=False)
    return Attribution(
        method="grad-cam",
        scores=np.broadcast_to(drawn.data, picture.shape).copy(),
        inputs=picture,
        outputs=question.outputs,
        targets=question.choice.words,
        layer=question.layer,
        parts={"map": seen, "weights": weights},
    )
