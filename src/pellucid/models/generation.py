"""A language model and the beginning of a text come in; the text goes on, token by token. Called by users and the
command line.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid._typing import Array
from pellucid.core.check import Integer, Real, checked, shown
from pellucid.core.context import no_grad
from pellucid.core.tensor import Tensor, to_array, wrap
from pellucid.errors import ArgumentTypeError, DataError, DTypeError, NonFiniteError, ShapeError
from pellucid.nn import Module
from pellucid.ops.sampling import uniform


@checked(
    num_tokens=Integer(0),
    temperature=Real(0),
    top_k=Integer(1, none=True),
    seed=Integer(0, 2**64 - 1),
)
def generate(
    model: Any,
    tokens: Any,
    num_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Array:
    """Let a language model write on.

    Each token is drawn with the probabilities softmax(scores / temperature). The draws depend on the seed alone: the
    same seed gives the same text, and a longer text begins with the shorter one.

    Parameters
        model : tokens (1, places) -> scores (1, places, vocab_size), such as GPT or CharLSTM. Of one with a
            `block_size` the last so many tokens are all it sees
        tokens : the beginning, whole numbers, shape (places,), at least one
        num_tokens : how many to add
        temperature : below 1 likelier tokens become likelier still; 0 always takes the likeliest
        top_k : only the so many likeliest tokens are drawn from; None for all
        seed : int in [0, 2^64)
    Returns
        array, shape (places + num_tokens,), int64: the beginning and what was added
    Raises
        DataError: no tokens to begin with.
        ShapeError: the model does not give scores for each token.
        NonFiniteError: a score is NaN or infinite.
    Source
        top_k: A. Fan, M. Lewis, Y. Dauphin, Hierarchical neural story generation, ACL 2018, section 5.
    Examples
        >>> from pellucid.models import GPT
        >>> model = GPT(vocab_size=10, block_size=4, n_layer=1, n_head=1, n_embd=8)
        >>> text = generate(model, [1, 2], 5, seed=3)
        >>> text.shape, text[:2].tolist()
        ((7,), [1, 2])
    """
    if not isinstance(model, Module):
        raise ArgumentTypeError(
            "core.type", name="generate: model", value=shown(model), type=type(model).__name__, expected="Module"
        )
    given = to_array(tokens)
    if given.ndim != 1:
        raise ShapeError("text.token-axes", name="generate: tokens", shape=given.shape)
    if not given.size:
        raise DataError("text.no-prompt")
    if given.dtype.kind not in "iu":
        raise DTypeError("text.token-dtype", name="generate: tokens", dtype=given.dtype)
    written = np.concatenate([given.astype(np.int64), np.zeros(num_tokens, np.int64)])
    draws = uniform(0.0, 1.0, (num_tokens,), int(seed), np.float64).data
    modes = [(module, module.training) for module in model.modules()]
    reader = _Reader(model)
    try:
        model.eval()
        with no_grad():
            for place in range(len(given), len(written)):
                scores = reader.scores(written[:place])
                written[place] = _chosen(scores, float(temperature), top_k, draws[place - len(given)])
    finally:
        for module, training in modes:
            module.training = training
    return written


class _Reader:
    """The scores after the last of the tokens so far: from a state that is carried on where the model has one."""

    def __init__(self, model: Any) -> None:
        self.model, self.read, self.state = model, 0, None
        self.carries = hasattr(type(model), "go_on")
        self.most = getattr(model, "block_size", None)

    def scores(self, tokens: Array) -> Array:
        """Shape (vocab_size,), float64."""
        if self.carries:
            new = tokens[self.read :]
            y, self.state = self.model.go_on(wrap(new[None]), self.state)
            self.read = len(tokens)
        else:
            new = tokens if self.most is None else tokens[-self.most :]
            y = self.model(wrap(new[None]))
        if not isinstance(y, Tensor) or y.ndim != 3 or y.shape[:2] != (1, len(new)):
            given = str(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise ShapeError("text.logits", given=given, length=len(new))
        last: Array = y.data[0, -1].astype(np.float64)
        if not np.isfinite(last).all():
            token = int(np.isfinite(last).argmin())
            raise NonFiniteError("text.scores", value=f"{last[token]:g}", token=token, length=len(tokens))
        return last


def _chosen(scores: Array, temperature: float, top_k: int | None, draw: float) -> int:
    """The token whose stretch of the line from 0 to 1 a uniform number falls into; the likeliest at temperature 0."""
    if temperature == 0.0:
        return int(scores.argmax())
    # From the largest, so that a temperature however low overflows nothing.
    with np.errstate(over="ignore"):
        weights = np.exp((scores - scores.max()) / temperature)
    if top_k is not None and top_k < len(scores):
        # Of equally likely tokens the first are kept, so that there are never more than top_k.
        weights[np.argsort(-scores, kind="stable")[top_k:]] = 0.0
    line = np.cumsum(weights)
    # Rounding may bring the draw up to the end of the line.
    return min(int(np.searchsorted(line, draw * line[-1], side="right")), int(np.flatnonzero(weights)[-1]))


__all__ = ["generate"]
