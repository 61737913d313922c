"""Writing with a language model: from networks whose next token is known, and drawn tokens against their
probabilities."""

from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, ArgumentTypeError, DataError, DTypeError, NonFiniteError, ShapeError
from pellucid.models import GPT, CharLSTM, generate


class Table(nn.Module):
    """The scores of the next token, from the last one alone."""

    takes_indices = True

    def __init__(self, scores: Any, block_size: int | None = None) -> None:
        self.register_buffer("scores", pl.Tensor(scores, dtype="float64"))
        self.block_size = block_size
        self.lengths: list[int] = []

    def forward(self, tokens: Any) -> pl.Tensor:
        self.lengths.append(tokens.shape[1])
        return pl.take(self.scores, tokens, 0)


# 0 is followed by 1, 1 by 2, 2 by 0.
CYCLE = [[0.0, 9.0, 1.0], [1.0, 0.0, 9.0], [9.0, 0.0, 1.0]]
ALIKE = np.log([[0.5, 0.3, 0.2]] * 3)


def test_temperature_0_takes_the_likeliest() -> None:
    assert generate(Table(CYCLE), [0], 5, temperature=0).tolist() == [0, 1, 2, 0, 1, 2]
    assert generate(Table(CYCLE), [0], 5, top_k=1, seed=4).tolist() == [0, 1, 2, 0, 1, 2]
    # However low: nothing overflows.
    assert generate(Table(CYCLE), [0], 5, temperature=1e-300).tolist() == [0, 1, 2, 0, 1, 2]
    assert generate(Table(CYCLE), [2, 2], 0).tolist() == [2, 2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.5, 0.3, 0.2]),
        ({"temperature": 0.5}, [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38]),  # the squares, brought to a sum of 1
        ({"top_k": 2}, [0.625, 0.375, 0.0]),
        ({"top_k": 7}, [0.5, 0.3, 0.2]),
    ],
)
def test_tokens_come_as_often_as_they_are_likely(options: dict[str, Any], expected: list[float]) -> None:
    drawn = generate(Table(ALIKE), [0], 4000, seed=11, **options)[1:]
    shares = np.bincount(drawn, minlength=3) / len(drawn)
    # Five standard deviations of a share.
    np.testing.assert_allclose(shares, expected, atol=5 * 0.5 / np.sqrt(4000))
    assert shares[np.array(expected) == 0].sum() == 0


def test_of_equally_likely_tokens_top_k_keeps_the_first() -> None:
    drawn = generate(Table(np.zeros((3, 3))), [0], 200, top_k=2)
    assert set(drawn.tolist()) == {0, 1}


def test_the_same_seed_gives_the_same_text() -> None:
    model = Table(ALIKE)
    once = generate(model, [0], 50, seed=1).tolist()
    assert generate(model, [0], 50, seed=1).tolist() == once
    assert generate(model, [0], 50, seed=2).tolist() != once
    assert generate(model, [0], 20, seed=1).tolist() == once[:21]
    pl.manual_seed(5)
    first = pl.uniform(shape=(3,)).tolist()
    pl.manual_seed(5)
    generate(model, [0], 3, seed=1)
    assert pl.uniform(shape=(3,)).tolist() == first  # nobody else's draws are touched


def test_a_model_sees_no_more_than_its_context() -> None:
    model = Table(CYCLE, block_size=3)
    generate(model, [0, 1], 4)
    assert model.lengths == [2, 3, 3, 3]


def test_an_lstm_carries_its_state_on() -> None:
    pl.manual_seed(0)
    model = CharLSTM(vocab_size=7, hidden_size=8, num_layers=2, dropout=0.3, dtype="float64")
    written = generate(model, [3, 1], 12, temperature=0)
    assert model.training
    model.eval()
    for place in range(2, 14):
        assert written[place] == model([written[:place].tolist()]).data[0, -1].argmax()
    y, state = model.go_on(written[None, :5])
    again, _ = model.go_on(written[None, 5:], state)
    whole = model(written[None])
    np.testing.assert_allclose(np.concatenate([y.data, again.data], 1), whole.data, rtol=1e-12, atol=1e-14)


def test_a_gpt_goes_on_past_its_block_size() -> None:
    pl.manual_seed(0)
    model = GPT(vocab_size=7, block_size=4, n_layer=1, n_head=2, n_embd=8, dropout=0.5)
    written = generate(model, pl.tensor([1, 2]), 6, temperature=0)
    assert model.training
    model.eval()
    for place in range(2, 8):
        seen = written[:place][-4:]
        assert written[place] == model(seen[None]).data[0, -1].argmax()


def test_what_cannot_be_is_refused() -> None:
    model = Table(CYCLE)
    with pytest.raises(DataError) as caught:
        generate(model, [], 3)
    assert str(caught.value).startswith(
        "generate: there is nothing to go on from\n  given:    no tokens\n  expected: at least one token"
    )
    with pytest.raises(DTypeError):
        generate(model, [0.5], 3)
    with pytest.raises(ShapeError):
        generate(model, [[0]], 3)
    with pytest.raises(ArgumentTypeError):
        generate(lambda x: x, [0], 3)
    for wrong in ({"temperature": -1.0}, {"top_k": 0}, {"seed": -1}, {"temperature": float("nan")}):
        with pytest.raises(ArgumentError):
            generate(model, [0], 3, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError):
        generate(model, [0], -1)
    with pytest.raises(ShapeError, match=r"scores for the next token\n  given:    \(1, 1, 2, 2\)"):
        generate(Table(np.zeros((3, 2, 2))), [0], 1)
    with pytest.raises(NonFiniteError, match="nan for token 1, after 1 tokens"):
        generate(Table([[0.0, float("nan")]]), [0], 1)
    assert model.training
