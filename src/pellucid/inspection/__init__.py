"""A look into networks: what they cost, and how every number comes about. Every function returns records; `report` and
the command line print them."""

from __future__ import annotations

from pellucid.inspection.activation_curves import ActivationCurve, activation_curves, used_activations
from pellucid.inspection.activation_maximization import MaximalInput, maximize_activation
from pellucid.inspection.attribution import (
    Attribution,
    attention_rollout,
    grad_cam,
    gradient_times_input,
    integrated_gradients,
    layerwise_relevance,
    occlusion,
    saliency,
    shapley_values,
    smooth_grad,
)
from pellucid.inspection.cost import cost
from pellucid.inspection.cost_audit import Audit, Difference
from pellucid.inspection.cost_records import CostReport, LayerCost, LayerTime, Machine, Measured, Timing, Work
from pellucid.inspection.curvature import Curvature, LayerCurvature, curvature
from pellucid.inspection.decision_surface import DecisionSurface, decision_surface
from pellucid.inspection.explain import explain
from pellucid.inspection.explain_records import (
    Chain,
    Contribution,
    Explanation,
    LayerExplanation,
    Mismatch,
    Note,
    Step,
    Update,
    UpdateLine,
    Verification,
)
from pellucid.inspection.features import features
from pellucid.inspection.health import doctor
from pellucid.inspection.health_records import (
    Diagnosis,
    Effect,
    EpochHealth,
    GradientsCompared,
    HealthReport,
    LayerHealth,
    Remedy,
    RowsFitted,
)
from pellucid.inspection.health_training import HealthMonitor
from pellucid.inspection.hessian import (
    Density,
    Eigenvalues,
    Trace,
    hessian_density,
    hessian_eigenvalues,
    hessian_trace,
)
from pellucid.inspection.landscape import Landscape, landscape
from pellucid.inspection.learning_rate import LearningRateTest, learning_rate_test
from pellucid.inspection.noise import GradientNoise, LayerNoise, NoiseScale, gradient_noise
from pellucid.inspection.receptive_field import ReceptiveField, receptive_field
from pellucid.inspection.sharpness import Sharpness, sharpness
from pellucid.inspection.signals import Histogram, LayerSignals, Signals, signals
from pellucid.inspection.wiring import DenseLayer, Wiring, wiring

__all__ = [
    "ActivationCurve",
    "Attribution",
    "Audit",
    "Chain",
    "Contribution",
    "CostReport",
    "Curvature",
    "DecisionSurface",
    "DenseLayer",
    "Density",
    "Diagnosis",
    "Difference",
    "Effect",
    "Eigenvalues",
    "EpochHealth",
    "Explanation",
    "GradientNoise",
    "GradientsCompared",
    "HealthMonitor",
    "HealthReport",
    "Histogram",
    "Landscape",
    "LayerCost",
    "LayerCurvature",
    "LayerExplanation",
    "LayerHealth",
    "LayerNoise",
    "LayerSignals",
    "LayerTime",
    "LearningRateTest",
    "Machine",
    "MaximalInput",
    "Measured",
    "Mismatch",
    "NoiseScale",
    "Note",
    "ReceptiveField",
    "Remedy",
    "RowsFitted",
    "Sharpness",
    "Signals",
    "Step",
    "Timing",
    "Trace",
    "Update",
    "UpdateLine",
    "Verification",
    "Wiring",
    "Work",
    "activation_curves",
    "attention_rollout",
    "cost",
    "curvature",
    "decision_surface",
    "doctor",
    "explain",
    "features",
    "grad_cam",
    "gradient_noise",
    "gradient_times_input",
    "hessian_density",
    "hessian_eigenvalues",
    "hessian_trace",
    "integrated_gradients",
    "landscape",
    "layerwise_relevance",
    "learning_rate_test",
    "maximize_activation",
    "occlusion",
    "receptive_field",
    "saliency",
    "shapley_values",
    "sharpness",
    "signals",
    "smooth_grad",
    "used_activations",
    "wiring",
]
