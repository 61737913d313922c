"""What language models share: token sequences come in and are checked; the loss of the next token leaves."""

from __future__ import annotations

from typing import Any

from pellucid._typing import Array, Shape
from pellucid.core.tensor import Tensor, as_tensor
from pellucid.errors import DTypeError, ShapeError
from pellucid.nn.losses import Loss, cross_entropy
from pellucid.nn.losses._classes import check_labels
from pellucid.ops.shape import reshape


def as_sequences(model: str, tokens: Any) -> Tensor:
    """Token numbers as a Tensor, shape (sequences, places).

    Raises
        ShapeError, DTypeError: they are not that.
    """
    x = as_tensor(tokens)
    if x.ndim != 2 or x.shape[1] == 0:
        raise ShapeError("text.model-tokens", model=model, shape=x.shape, dtype=x.dtype)
    if x.dtype.kind not in "iu":
        raise DTypeError("text.model-tokens", model=model, shape=x.shape, dtype=x.dtype)
    return x


class NextTokenLoss(Loss):
    """Cross-entropy of a language model's scores and the tokens that came next, the mean over all places, in nats.

        y = -mean over sequences n and places t of log softmax(scores[n,t])[target[n,t]]

    The scores have the classes last, as language models give them; `CrossEntropyLoss` has them second.

    Source
        C. E. Shannon, Prediction and entropy of printed English, Bell System Technical Journal 30 (1951).
    Examples
        >>> import numpy as np
        >>> round(NextTokenLoss()(np.zeros((1, 2, 65)), [[3, 64]]).item(), 4)  # log 65
        4.1744
    """

    def __init__(self) -> None:
        super().__init__("mean")

    def forward(self, scores: Any, target: Any) -> Tensor:
        """scores (sequences, places, vocab_size), target (sequences, places) -> a single number."""
        x, t = as_tensor(scores), as_tensor(target)
        if x.ndim != 3 or t.shape != x.shape[:-1]:
            self._check_shape(t.data, x.shape)
        return cross_entropy(reshape(x, (-1, x.shape[-1])), reshape(t, (-1,)), ignore_index=None)

    def _check_shape(self, targets: Array, shape: Shape) -> None:
        if len(shape) != 3:
            raise ShapeError(
                "losses.shapes",
                loss="NextTokenLoss",
                given=f"scores {shape}, target {targets.shape}",
                expected="scores (sequences, places, vocab_size)",
                fix=None,
            )
        check_labels("NextTokenLoss", shape, 2, targets, None)


__all__ = ["NextTokenLoss", "as_sequences"]
