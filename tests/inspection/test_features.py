"""`features` against the layers called by hand."""

import numpy as np

import pellucid as pl
from pellucid import nn

X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def test_the_output_of_a_layer_by_name_and_by_itself() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.9), nn.Sequential(nn.ReLU(), nn.Linear(8, 2)))
    hidden = model[0](X).numpy()
    np.testing.assert_array_equal(pl.features(model, X, "1").numpy(), hidden)  # no dropout: eval mode
    np.testing.assert_array_equal(pl.features(model, X, "2.0").numpy(), np.maximum(hidden, 0))
    found = pl.features(model, X, model[2])
    np.testing.assert_allclose(found.numpy(), model[2](pl.tensor(hidden)).numpy(), rtol=1e-6)
    assert not found.requires_grad
    assert all(m.training for m in model.modules())
    assert not model[2]._hooks


def test_a_layer_that_is_called_again_and_one_that_gives_several() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(4, 4)
            self.memory = nn.LSTM(4, 2, batch_first=True)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            return self.memory(self.layer(self.layer(x))[:, None])[0]

    model = Twice()
    once = model.layer(X)
    np.testing.assert_allclose(pl.features(model, X, "layer", call=0).numpy(), once.numpy(), rtol=1e-6)
    np.testing.assert_allclose(pl.features(model, X, "layer", call=1).numpy(), model.layer(once).numpy(), rtol=1e-6)
    output, (hidden, cell) = pl.features(model, X, "memory")
    assert (output.shape, hidden.shape, cell.shape) == ((3, 1, 2), (1, 3, 2), (1, 3, 2))


def test_token_numbers_stay_whole() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
    found = pl.features(model, [[1, 4], [0, 2]], "0")
    np.testing.assert_array_equal(found.numpy(), model[0].weight.numpy()[[[1, 4], [0, 2]]])
