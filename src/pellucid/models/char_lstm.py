"""CharLSTM: token numbers enter, scores for what comes next after each of them leave; what came before is kept in the
state of an LSTM. Users and the command line train it and `generate` with it.
"""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Integer, Real, checked
from pellucid.core.tensor import Tensor
from pellucid.models.language import as_sequences
from pellucid.nn import Dropout, Embedding, Linear, Module
from pellucid.nn.recurrent import LSTM


class CharLSTM(Module):
    """A language model: an embedding, an LSTM that reads it place by place, and scores for the next token.

        scores[t] = head(lstm(embedding[tokens])[t])

    Parameters
        vocab_size : tokens that there are.
        hidden_size : features of the LSTM's state.
        num_layers : LSTMs, one on top of the other.
        embedding_dim : features of a token; None is hidden_size.
        dropout : probability, between the LSTMs and before the last layer, in [0, 1).
        dtype : of the parameters; None is the default dtype.
    Raises
        ShapeError, DTypeError, IndexRangeError: when called with other than token numbers of shape (sequences, places).
    Source
        Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9 (1997); as a language model of
        characters: A. Graves, Generating sequences with recurrent neural networks, arXiv:1308.0850.
    Examples
        >>> model = CharLSTM(vocab_size=65, hidden_size=16)
        >>> model([[1, 2, 3]]).shape
        (1, 3, 65)
    """

    takes_indices = True

    @checked(
        vocab_size=Integer(2),
        hidden_size=Integer(1),
        num_layers=Integer(1, 10_000),
        embedding_dim=Integer(1, none=True),
        dropout=Real(0, 1, right_open=True),
    )
    def __init__(
        self,
        vocab_size: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        embedding_dim: int | None = None,
        dropout: float = 0.0,
        *,
        dtype: Any = None,
    ) -> None:
        self.vocab_size = int(vocab_size)
        width = hidden_size if embedding_dim is None else embedding_dim
        self.embedding = Embedding(vocab_size, width, dtype=dtype)
        between = dropout if num_layers > 1 else 0.0
        self.lstm = LSTM(width, hidden_size, num_layers, batch_first=True, dropout=between, dtype=dtype)
        self.drop = Dropout(dropout)
        self.head = Linear(hidden_size, vocab_size, dtype=dtype)

    def forward(self, tokens: Any) -> Tensor:
        """tokens (sequences, places), whole numbers -> scores (sequences, places, vocab_size)."""
        return self.go_on(tokens, None)[0]

    def go_on(self, tokens: Any, state: Any = None) -> tuple[Tensor, Any]:
        """As `forward`, from where an earlier call left off: scores, and the state to go on from.

        Parameters
            state : what an earlier call gave beside the scores; None at the beginning of a text
        """
        y, state = self.lstm(self.embedding(as_sequences("CharLSTM", tokens)), state)
        return self.head(self.drop(y)), state


__all__ = ["CharLSTM"]
