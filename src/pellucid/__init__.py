"""pellucid: a glass-box neural-network library, from one neuron to a Transformer."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as _np

from pellucid import autograd as autograd
from pellucid import errors as errors
from pellucid import ops as ops
from pellucid._text import language, set_language
from pellucid.core.context import (
    default_dtype,
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_default_dtype,
)
from pellucid.core.rng import Generator, fold, manual_seed, seed
from pellucid.core.rng import split as split_key
from pellucid.core.tensor import Tensor
from pellucid.ops import *  # noqa: F403
from pellucid.ops import array_api as _array_api

if TYPE_CHECKING:
    from pellucid import compiler as compiler
    from pellucid import data as data
    from pellucid import graph as graph
    from pellucid import inspection as inspection
    from pellucid import lab as lab
    from pellucid import models as models
    from pellucid import nn as nn
    from pellucid import optim as optim
    from pellucid import train as train
    from pellucid.compiler.step import compile as compile
    from pellucid.compiler.threads import get_num_threads as get_num_threads
    from pellucid.compiler.threads import set_num_threads as set_num_threads
    from pellucid.gradient_check import GradientCheck as GradientCheck
    from pellucid.gradient_check import check_gradients as check_gradients
    from pellucid.inspection.activation_maximization import maximize_activation as maximize_activation
    from pellucid.inspection.attribution import attention_rollout as attention_rollout
    from pellucid.inspection.attribution import grad_cam as grad_cam
    from pellucid.inspection.attribution import gradient_times_input as gradient_times_input
    from pellucid.inspection.attribution import integrated_gradients as integrated_gradients
    from pellucid.inspection.attribution import layerwise_relevance as layerwise_relevance
    from pellucid.inspection.attribution import occlusion as occlusion
    from pellucid.inspection.attribution import saliency as saliency
    from pellucid.inspection.attribution import shapley_values as shapley_values
    from pellucid.inspection.attribution import smooth_grad as smooth_grad
    from pellucid.inspection.cost import cost as cost
    from pellucid.inspection.curvature import curvature as curvature
    from pellucid.inspection.explain import explain as explain
    from pellucid.inspection.features import features as features
    from pellucid.inspection.health import doctor as doctor
    from pellucid.inspection.landscape import landscape as landscape
    from pellucid.inspection.learning_rate import learning_rate_test as learning_rate_test
    from pellucid.inspection.noise import gradient_noise as gradient_noise
    from pellucid.train.evaluate import evaluate as evaluate
    from pellucid.train.evaluate import predict as predict
    from pellucid.train.files import load as load
    from pellucid.train.files import save as save
    from pellucid.train.fit import fit as fit
    from pellucid.train.many import fit_many as fit_many

__version__ = "0.1.0.dev0"
__array_api_version__ = _array_api.VERSION
__array_namespace_info__ = _array_api.namespace_info

float32 = _np.dtype(_np.float32)
float64 = _np.dtype(_np.float64)
int8 = _np.dtype(_np.int8)
int16 = _np.dtype(_np.int16)
int32 = _np.dtype(_np.int32)
int64 = _np.dtype(_np.int64)
uint8 = _np.dtype(_np.uint8)
uint16 = _np.dtype(_np.uint16)
uint32 = _np.dtype(_np.uint32)
uint64 = _np.dtype(_np.uint64)
bool = _np.dtype(_np.bool_)
pi, e, inf, nan, newaxis = _np.pi, _np.e, _np.inf, _np.nan, None

# Rooms and functions that are imported when first used, so that `import pellucid` stays light.
_ROOMS = ("compiler", "data", "graph", "inspection", "lab", "models", "nn", "optim", "train")
_FUNCTIONS = {
    "fit": "train",
    "fit_many": "train",
    "evaluate": "train",
    "predict": "train",
    "save": "train",
    "load": "train",
    "compile": "compiler",
    "set_num_threads": "compiler",
    "get_num_threads": "compiler",
    "check_gradients": "gradient_check",
    "GradientCheck": "gradient_check",
    "cost": "inspection",
    "explain": "inspection",
    "doctor": "inspection",
    "attention_rollout": "inspection",
    "features": "inspection",
    "grad_cam": "inspection",
    "gradient_times_input": "inspection",
    "integrated_gradients": "inspection",
    "layerwise_relevance": "inspection",
    "maximize_activation": "inspection",
    "occlusion": "inspection",
    "saliency": "inspection",
    "shapley_values": "inspection",
    "smooth_grad": "inspection",
    "curvature": "inspection",
    "gradient_noise": "inspection",
    "landscape": "inspection",
    "learning_rate_test": "inspection",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"pellucid.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"pellucid.{_FUNCTIONS[name]}"), name)
    from pellucid.core.other_names import OF_THE_PACKAGE, no_attribute

    raise no_attribute("pellucid", name, __dir__(), OF_THE_PACKAGE)


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS, *_FUNCTIONS} - {"annotations", "importlib", "Any", "TYPE_CHECKING"})
