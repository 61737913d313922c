"""Whole networks, by the names they are known by, and what goes with them."""

from pellucid.models.char_lstm import CharLSTM
from pellucid.models.generation import generate
from pellucid.models.gpt import GPT
from pellucid.models.language import NextTokenLoss
from pellucid.models.spoken_digits import SpokenWordCNN, SpokenWordGRU

__all__ = ["GPT", "CharLSTM", "NextTokenLoss", "SpokenWordCNN", "SpokenWordGRU", "generate"]
