"""GPT and CharLSTM against the same networks in PyTorch, in float64: scores, loss and every gradient."""

import math

import numpy as np
import pytest

import pellucid as pl
from pellucid.models import GPT, CharLSTM, NextTokenLoss

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

F = torch.nn.functional
RNG = np.random.default_rng(0)


def nanogpt(state: dict, tokens: "torch.Tensor", n_layer: int, n_head: int) -> "torch.Tensor":
    """nanoGPT's forward pass with the attention written out, from a state dict of its names."""

    def layer_norm(x: "torch.Tensor", name: str) -> "torch.Tensor":
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state.get(f"{name}.bias"), 1e-5)

    def linear(x: "torch.Tensor", name: str) -> "torch.Tensor":
        return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    length = tokens.shape[1]
    x = state["wte.weight"][tokens] + state["wpe.weight"][:length]
    for n in range(n_layer):
        q, k, v = linear(layer_norm(x, f"h.{n}.ln_1"), f"h.{n}.attn.c_attn").chunk(3, -1)
        q, k, v = (z.reshape(*z.shape[:2], n_head, -1).transpose(1, 2) for z in (q, k, v))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        y = scores.masked_fill(later, -math.inf).softmax(-1) @ v
        x = x + linear(y.transpose(1, 2).reshape(x.shape), f"h.{n}.attn.c_proj")
        h = F.gelu(linear(layer_norm(x, f"h.{n}.ln_2"), f"h.{n}.mlp.c_fc"), approximate="tanh")
        x = x + linear(h, f"h.{n}.mlp.c_proj")
    return layer_norm(x, "ln_f") @ state["wte.weight"].T


@pytest.mark.parametrize(("bias", "length"), [(True, 7), (False, 3), (True, 1)])
def test_gpt(bias: bool, length: int) -> None:
    pl.manual_seed(1)
    model = GPT(vocab_size=13, block_size=7, n_layer=2, n_head=3, n_embd=12, bias=bias, dtype="float64")
    # Weights far from where they start, so that nothing is nearly linear.
    for parameter in model.parameters():
        parameter.data = RNG.normal(size=parameter.shape) * 0.5
    tokens, following = RNG.integers(0, 13, (2, length)), RNG.integers(0, 13, (2, length))
    theirs = {name: torch.tensor(parameter.data, requires_grad=True) for name, parameter in model.named_parameters()}
    expected = nanogpt(theirs, torch.tensor(tokens), 2, 3)
    scores = model(tokens)
    np.testing.assert_allclose(scores.data, expected.detach().numpy(), rtol=1e-10, atol=1e-11)
    loss, their_loss = (
        NextTokenLoss()(scores, following),
        F.cross_entropy(expected.reshape(-1, 13), torch.tensor(following).reshape(-1)),
    )
    assert loss.item() == pytest.approx(their_loss.item(), rel=1e-12)
    loss.backward()
    their_loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.data, theirs[name].grad.numpy(), rtol=1e-8, atol=1e-11, err_msg=name)


def test_char_lstm() -> None:
    pl.manual_seed(1)
    model = CharLSTM(vocab_size=9, hidden_size=6, num_layers=2, embedding_dim=4, dtype="float64")
    lstm = torch.nn.LSTM(4, 6, 2, batch_first=True, dtype=torch.float64)
    state = {name: torch.tensor(value.data) for name, value in model.state_dict().items()}
    lstm.load_state_dict({name.removeprefix("lstm."): v for name, v in state.items() if name.startswith("lstm.")})
    tokens = RNG.integers(0, 9, (3, 5))
    y, _ = lstm(state["embedding.weight"][torch.tensor(tokens)])
    expected = F.linear(y, state["head.weight"], state["head.bias"])
    np.testing.assert_allclose(model(tokens).data, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
