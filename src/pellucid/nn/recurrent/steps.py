"""One step of a recurrent network: what the input adds to the gates and the state before enter, the state after leaves.

The product of the input and its weights comes ready made: a layer computes it for all steps of a sequence at once, a
cell for its one.
"""

from __future__ import annotations

from pellucid.core.op import NONE
from pellucid.core.tensor import Tensor
from pellucid.ops.activation import relu, sigmoid
from pellucid.ops.declare import composite
from pellucid.ops.elementwise import tanh
from pellucid.ops.linalg import affine_map, linear_map

_ONNX = NONE("ONNX has operators for whole sequences; the operations of the step are exported")


@composite(formula="h' = tanh(a + h·weight_hhᵀ), or relu for tanh", onnx=_ONNX)
def rnn_cell(a: Tensor, h: Tensor, weight_hh: Tensor, nonlinearity: str = "tanh") -> Tensor:
    """One step of an Elman network.

    Parameters
        a : x·weight_ihᵀ with both biases, Tensor, shape (N, H).
        h : state before, Tensor, shape (N, H).
        weight_hh : Tensor, shape (H, H).
        nonlinearity : "tanh" or "relu".
    Returns
        Tensor, shape (N, H): the state after, which is the output.
    Source
        Elman, Finding structure in time, Cognitive Science 14 (1990).
    """
    z = a + linear_map(h, weight_hh)
    return tanh(z) if nonlinearity == "tanh" else relu(z)


@composite(
    formula="i, f, g, o = a + h·weight_hhᵀ in four parts; c' = σ(f)·c + σ(i)·tanh(g); h' = (σ(o)·tanh(c'))·weight_hrᵀ",
    onnx=_ONNX,
)
def lstm_cell(
    a: Tensor, h: Tensor, c: Tensor, weight_hh: Tensor, weight_hr: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """One step of a long short-term memory.

    Parameters
        a : x·weight_ihᵀ with both biases, Tensor, shape (N, 4·H): input gate, forget gate, candidate, output gate.
        h : state before, Tensor, shape (N, H), or (N, P) with a projection.
        c : memory before, Tensor, shape (N, H).
        weight_hh : Tensor, shape (4·H, H) or (4·H, P).
        weight_hr : projection of the output, Tensor, shape (P, H); None for none.
    Returns
        State and memory after, of the shapes of h and c.
    Source
        Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9 (1997); the forget gate: Gers,
        Schmidhuber and Cummins, Learning to forget, 2000; the projection: Sak, Senior and Beaufays, Long short-term
        memory based recurrent neural network architectures for large vocabulary speech recognition, arXiv:1402.1128.
    """
    z = a + linear_map(h, weight_hh)
    n = c.shape[1]
    i, f, g, o = z[:, :n], z[:, n : 2 * n], z[:, 2 * n : 3 * n], z[:, 3 * n :]
    after = sigmoid(f) * c + sigmoid(i) * tanh(g)
    y = sigmoid(o) * tanh(after)
    return (y if weight_hr is None else linear_map(y, weight_hr)), after


@composite(
    formula="r, z, n = a and s, u, v = h·weight_hhᵀ + bias_hh in three parts; r' = σ(r + s); z' = σ(z + u); "
    "n' = tanh(n + r'·v); h' = n' + z'·(h - n')",
    onnx=_ONNX,
)
def gru_cell(a: Tensor, h: Tensor, weight_hh: Tensor, bias_hh: Tensor | None = None) -> Tensor:
    """One step of a gated recurrent unit, in PyTorch's form: the reset gate acts after the product with the state.

    Parameters
        a : x·weight_ihᵀ + bias_ih, Tensor, shape (N, 3·H): reset gate, update gate, candidate.
        h : state before, Tensor, shape (N, H).
        weight_hh : Tensor, shape (3·H, H).
        bias_hh : Tensor, shape (3·H,), or None.
    Returns
        Tensor, shape (N, H): the state after, which is the output.
    Source
        Cho et al., Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078, eq. 5 to 8. There the
        reset gate acts on the state before the product; acting after it, as here, all products with the state are one.
    """
    b = linear_map(h, weight_hh) if bias_hh is None else affine_map(h, weight_hh, bias_hh)
    n = h.shape[1]
    gates = sigmoid(a[:, : 2 * n] + b[:, : 2 * n])
    candidate = tanh(a[:, 2 * n :] + gates[:, :n] * b[:, 2 * n :])
    return candidate + gates[:, n:] * (h - candidate)
