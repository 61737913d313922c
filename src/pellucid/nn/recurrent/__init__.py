"""Recurrent layers: sequences enter, and each step's output depends on those before it. `steps.py` has the formulas of
one step, `cells.py` the layers that make one step; `rnn.py`, `lstm.py` and `gru.py` go through whole sequences.
"""

from __future__ import annotations

from pellucid.nn.recurrent.cells import GRUCell, LSTMCell, RNNCell
from pellucid.nn.recurrent.gru import GRU
from pellucid.nn.recurrent.lstm import LSTM
from pellucid.nn.recurrent.rnn import RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
