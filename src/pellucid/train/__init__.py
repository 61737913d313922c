"""Training: `fit`, `evaluate`, `predict`, metrics, callbacks, checks before the first step, and checkpoints."""

from pellucid.train.callbacks import Callback, EarlyStopping, JSONLogger, LambdaCallback, ModelCheckpoint
from pellucid.train.checks import Finding, examine
from pellucid.train.choose import LOSSES, OPTIMIZERS, SCHEDULES, make_loss, make_optimizer, make_schedule
from pellucid.train.classification import (
    accuracy,
    auc,
    confusion_matrix,
    f1,
    precision,
    predicted_labels,
    recall,
    top_k_accuracy,
)
from pellucid.train.dependence import Dependence, label_dependence
from pellucid.train.evaluate import evaluate, predict
from pellucid.train.files import load, load_weights, save
from pellucid.train.fit import fit
from pellucid.train.history import History
from pellucid.train.many import fit_many
from pellucid.train.metrics import METRICS, Metric
from pellucid.train.regression import mae, mse, r2, rmse
from pellucid.train.run import Run

__all__ = [
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "SCHEDULES",
    "Callback",
    "Dependence",
    "EarlyStopping",
    "Finding",
    "History",
    "JSONLogger",
    "LambdaCallback",
    "Metric",
    "ModelCheckpoint",
    "Run",
    "accuracy",
    "auc",
    "confusion_matrix",
    "evaluate",
    "examine",
    "f1",
    "fit",
    "fit_many",
    "label_dependence",
    "load",
    "load_weights",
    "mae",
    "make_loss",
    "make_optimizer",
    "make_schedule",
    "mse",
    "precision",
    "predict",
    "predicted_labels",
    "r2",
    "recall",
    "rmse",
    "save",
    "top_k_accuracy",
]
