"""A GPT in nanoGPT's form: 4 blocks of 4 heads, 128 features, 65 tokens, sequences of 64. The last layer has the
weight of the first."""

from __future__ import annotations

from typing import Any

from benchmarks.network import Network, Operations

TOKENS, PLACES, BLOCKS, HEADS, FEATURES = 65, 64, 4, 4, 128


def forward(m: Operations, x: Any) -> Any:
    x = m.tokens("wte", "wpe", x)
    for n in range(BLOCKS):
        h = f"h.{n}"
        y = m.causal_attention(m.linear(f"{h}.attn.c_attn", m.layer_norm(f"{h}.ln_1", x)), HEADS)
        x = m.add(x, m.linear(f"{h}.attn.c_proj", y))
        y = m.gelu_tanh(m.linear(f"{h}.mlp.c_fc", m.layer_norm(f"{h}.ln_2", x)))
        x = m.add(x, m.linear(f"{h}.mlp.c_proj", y))
    return m.linear("wte", m.layer_norm("ln_f", x))


def shapes() -> dict[str, tuple[int, ...]]:
    def affine(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}

    f = FEATURES
    result: dict[str, tuple[int, ...]] = {"wte.weight": (TOKENS, f), "wpe.weight": (PLACES, f)}
    for h in (f"h.{n}" for n in range(BLOCKS)):
        result |= affine(f"{h}.ln_1", f) | affine(f"{h}.attn.c_attn", 3 * f, f) | affine(f"{h}.attn.c_proj", f, f)
        result |= affine(f"{h}.ln_2", f) | affine(f"{h}.mlp.c_fc", 4 * f, f) | affine(f"{h}.mlp.c_proj", f, 4 * f)
    return result | affine("ln_f", f)


NETWORK = Network((PLACES,), TOKENS, shapes(), forward, vocabulary=TOKENS, deviation=0.02)
