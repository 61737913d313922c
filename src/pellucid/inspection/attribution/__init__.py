"""A network and an input come in; how much each number of the input has to do with one output leaves. One file a
method, each returns an `Attribution`.
"""

from __future__ import annotations

from pellucid.inspection.attribution.attention_rollout import attention_rollout
from pellucid.inspection.attribution.grad_cam import grad_cam
from pellucid.inspection.attribution.gradients import gradient_times_input, saliency
from pellucid.inspection.attribution.integrated_gradients import integrated_gradients
from pellucid.inspection.attribution.occlusion import occlusion
from pellucid.inspection.attribution.records import Attribution
from pellucid.inspection.attribution.relevance import layerwise_relevance
from pellucid.inspection.attribution.shapley import shapley_values
from pellucid.inspection.attribution.smooth_grad import smooth_grad

__all__ = [
    "Attribution",
    "attention_rollout",
    "grad_cam",
    "gradient_times_input",
    "integrated_gradients",
    "layerwise_relevance",
    "occlusion",
    "saliency",
    "shapley_values",
    "smooth_grad",
]
