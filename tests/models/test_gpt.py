"""GPT: its size, its shared weight, what it refuses, and that files and compiled steps leave it what it is."""

from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.errors import ArgumentError, DTypeError, IndexRangeError, PellucidError, ShapeError
from pellucid.models import GPT, CharLSTM, NextTokenLoss

SMALL = {"vocab_size": 11, "block_size": 6, "n_layer": 2, "n_head": 2, "n_embd": 8}
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, 11, (3, 6))


def made(**changes: object) -> GPT:
    pl.manual_seed(0)
    return GPT(**{**SMALL, **changes})  # type: ignore[arg-type]


def test_gpt_2_has_the_parameters_it_is_known_to_have() -> None:
    # OpenAI's checkpoints, as Hugging Face counts them.
    known = {"small": 124_439_808, "medium": 354_823_168, "large": 774_030_080, "xl": 1_557_611_200}
    counted = {
        name: GPT.count_parameters(n_layer=size["n_layer"], n_embd=size["n_embd"]) for name, size in GPT.SIZES.items()
    }
    assert counted == known


@pytest.mark.parametrize("bias", [True, False])
def test_the_count_is_that_of_the_network(bias: bool) -> None:
    sizes = {k: v for k, v in SMALL.items() if k != "n_head"}
    assert made(bias=bias).num_parameters() == GPT.count_parameters(**sizes, bias=bias)


def test_small_takes_gpt_2s_sizes() -> None:
    model = GPT.small(n_layer=1, vocab_size=20, block_size=8)
    assert model.wte.weight.shape == (20, 768)
    assert model.h[0].attn.n_head == 12


def test_names_and_shapes_are_nanogpts() -> None:
    block = {
        "ln_1.weight": (8,),
        "ln_1.bias": (8,),
        "attn.c_attn.weight": (24, 8),
        "attn.c_attn.bias": (24,),
        "attn.c_proj.weight": (8, 8),
        "attn.c_proj.bias": (8,),
        "ln_2.weight": (8,),
        "ln_2.bias": (8,),
        "mlp.c_fc.weight": (32, 8),
        "mlp.c_fc.bias": (32,),
        "mlp.c_proj.weight": (8, 32),
        "mlp.c_proj.bias": (8,),
    }
    expected = {"wte.weight": (11, 8), "wpe.weight": (6, 8)}
    expected |= {f"h.{n}.{name}": shape for n in range(2) for name, shape in block.items()}
    expected |= {"ln_f.weight": (8,), "ln_f.bias": (8,), "lm_head.weight": (11, 8)}
    assert {name: value.shape for name, value in made().state_dict().items()} == expected
    assert not any(name.endswith(".bias") for name in made(bias=False).state_dict())


def test_first_weights() -> None:
    pl.manual_seed(0)
    model = GPT(vocab_size=500, block_size=64, n_layer=8, n_head=4, n_embd=64)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert not parameter.data.any()
        elif "ln_" in name:
            assert (parameter.data == 1).all()
        else:
            # Of n numbers a standard deviation is known to about 1/√(2n).
            std = 0.02 / 4 if name.endswith("c_proj.weight") else 0.02  # √(2·8) = 4
            assert parameter.data.std() == pytest.approx(std, rel=5 / np.sqrt(2 * parameter.size))


def test_a_place_sees_what_came_before_it_alone() -> None:
    model = made().eval()
    before = model(TOKENS).data
    for place in range(1, 6):
        changed = TOKENS.copy()
        changed[:, place:] = (changed[:, place:] + 1) % 11
        after = model(changed).data
        assert np.array_equal(after[:, :place], before[:, :place])
        assert not np.array_equal(after[:, place], before[:, place])
    # A shorter sequence is the beginning of a longer one.
    np.testing.assert_allclose(model(TOKENS[:, :4]).data, before[:, :4], rtol=1e-5, atol=1e-6)


def test_gradients() -> None:
    model = GPT(vocab_size=4, block_size=3, n_layer=1, n_head=2, n_embd=4, dtype="float64")
    loss, tokens, following = NextTokenLoss(), np.array([[1, 3, 1], [0, 2, 2]]), np.array([[3, 1, 0], [2, 2, 1]])
    for parameter in (model.wte.weight, model.h[0].attn.c_attn.weight, model.ln_f.bias):
        assert isinstance(parameter, nn.Parameter)
        value = loss(model(tokens), following)
        (gradient,) = pl.autograd.grad(value, [parameter])
        place = (1, 2) if parameter.ndim == 2 else (1,)
        start, step = parameter.data.copy(), 1e-6
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[place] += sign * step
            parameter.data = moved
            ends.append(loss(model(tokens), following).item())
        parameter.data = start
        assert gradient.data[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-9)


def test_the_shared_weight_stays_one() -> None:
    model = made()
    assert model.lm_head.weight is model.wte.weight
    names = [name for name, _ in model.named_parameters()]
    assert "wte.weight" in names
    assert "lm_head.weight" not in names
    other = made()
    other.load_state_dict({name: value.data + 1 for name, value in model.state_dict().items()})
    assert other.lm_head.weight is other.wte.weight
    np.testing.assert_array_equal(other.wte.weight.data, model.wte.weight.data + 1)


@pytest.mark.parametrize("tier", ["off", "numpy", "llvm"])
def test_a_shared_table_learns_from_both_of_its_uses(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    table, layer = nn.Embedding(11, 8, dtype="float64"), nn.Linear(8, 11, bias=False, dtype="float64")
    layer.weight = table.weight
    optimizer = pl.optim.SGD(table.parameters(), lr=0.5)

    @pl.compile
    def step(tokens: pl.Tensor, g: pl.Tensor) -> pl.Tensor:
        value = (layer(table(tokens)) * g).sum()
        value.backward()
        optimizer.step()
        return value

    tokens, g, w = np.array([0, 4, 9, 4]), RNG.normal(size=(4, 11)), table.weight.data.copy()
    for _ in range(2):
        step(pl.tensor(tokens), pl.tensor(g))
        # Σ g·(w[tokens]·wᵀ): of the layer's use gᵀ·w[tokens], of the table's g·w, added up where a token comes twice.
        gradient = g.T @ w[tokens]
        np.add.at(gradient, tokens, g @ w)
        w -= 0.5 * gradient
        np.testing.assert_allclose(table.weight.data, w, rtol=1e-12, atol=1e-13)


def test_a_file_keeps_it(tmp_path: Path) -> None:
    model = made(n_layer=3)
    pl.save(model, tmp_path / "gpt.safetensors", example=TOKENS[:1])
    loaded = pl.load(tmp_path / "gpt.safetensors")
    np.testing.assert_array_equal(loaded(TOKENS).data, model.eval()(TOKENS).data)
    other = GPT(**{**SMALL, "n_layer": 3})
    other.load_state_dict(pl.train.load_weights(tmp_path / "gpt.safetensors"))
    np.testing.assert_array_equal(other.eval()(TOKENS).data, model(TOKENS).data)
    assert other.lm_head.weight is other.wte.weight
    # And a model that was loaded can be saved.
    pl.save(loaded, tmp_path / "again.safetensors")
    np.testing.assert_array_equal(pl.load(tmp_path / "again.safetensors")(TOKENS).data, model(TOKENS).data)


@pytest.mark.parametrize("make", [made, lambda: CharLSTM(11, 6, dropout=0.0)])
@pytest.mark.parametrize("tier", ["numpy", pytest.param("llvm", marks=pytest.mark.slow)])
def test_compiled_steps_are_the_same_steps(make: object, tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    before = pl.default_dtype()
    pl.set_default_dtype("float64")
    try:
        weights = []
        for compiled in (False, True):
            pl.manual_seed(0)
            model = make()  # type: ignore[operator]
            loss, optimizer = NextTokenLoss(), pl.optim.AdamW(model.parameters(), lr=0.01)

            def step(x, y, model=model, loss=loss, optimizer=optimizer):  # type: ignore[no-untyped-def]
                value = loss(model(x), y)
                value.backward()
                optimizer.step()
                return value

            run = pl.compile(step) if compiled else step
            rng = np.random.default_rng(1)
            for _ in range(4):
                run(pl.tensor(rng.integers(0, 11, (3, 5))), pl.tensor(rng.integers(0, 11, (3, 5))))
            weights.append({name: value.data for name, value in model.state_dict().items()})
        for name, value in weights[0].items():
            np.testing.assert_allclose(weights[1][name], value, rtol=1e-9, atol=1e-11)
    finally:
        pl.set_default_dtype(before)


def test_fit_learns_what_comes_next() -> None:
    tokens = np.tile([0, 1, 2, 3, 4], 80)
    pl.manual_seed(0)
    model = GPT(vocab_size=5, block_size=8, n_layer=1, n_head=2, n_embd=16)
    history = pl.fit(
        model,
        pl.data.TextBlocks(tokens, 8, 4, batches=50),
        loss=NextTokenLoss(),
        optimizer=pl.optim.AdamW(model.parameters(), lr=1e-2),
        epochs=2,
        validation=pl.data.text_windows(tokens, 8),
        verbose=0,
    )
    assert history.loss[0] < 1.7
    assert history["val_loss"][-1] < 0.05  # every token says which one comes next


@pytest.mark.parametrize("tier", ["off", "numpy", pytest.param("llvm", marks=pytest.mark.slow)])
def test_blocks_are_new_in_every_epoch_however_steps_run(tier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", tier)
    tokens = np.random.default_rng(0).integers(0, 5, 200)
    losses = []
    for way in ("by hand", "fit"):
        pl.manual_seed(0)
        model = GPT(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=8, dtype="float64")
        loss, optimizer = NextTokenLoss(), pl.optim.SGD(model.parameters(), lr=0.5)
        blocks = pl.data.TextBlocks(tokens, 4, 2, batches=3, seed=1)
        if way == "fit":
            pl.fit(model, blocks, loss=loss, optimizer=optimizer, epochs=4, verbose=0)
        else:
            for _ in range(4):
                for x, y in blocks:
                    loss(model(x), y).backward()
                    optimizer.step()
        losses.append({name: value.data for name, value in model.state_dict().items()})
    for name, value in losses[0].items():
        np.testing.assert_allclose(losses[1][name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_a_token_that_the_model_lacks_is_refused_when_its_turn_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_COMPILE", "llvm")
    tokens = np.zeros(4000, np.int64)
    tokens[3990:] = 7
    blocks = pl.data.TextBlocks(tokens, 4, 2, batches=2, seed=0)
    assert not any((blocks.starts(epoch) + 4 >= 3990).any() for epoch in range(3))
    model = GPT(vocab_size=5, block_size=4, n_layer=1, n_head=1, n_embd=8)
    with pytest.raises(PellucidError):
        pl.fit(model, blocks, loss=NextTokenLoss(), optimizer="adam", epochs=2000, verbose=0, checks=False)


def test_the_next_tokens_loss_is_the_mean_of_the_logarithms() -> None:
    scores = RNG.normal(size=(2, 3, 4))
    target = RNG.integers(0, 4, (2, 3))
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = -np.mean([np.log(p[n, t, target[n, t]]) for n in range(2) for t in range(3)])
    assert NextTokenLoss()(scores, target).item() == pytest.approx(expected, rel=1e-12)
    for wrong in (target[:, :2], scores):
        with pytest.raises(PellucidError):
            NextTokenLoss()(scores, wrong)
    with pytest.raises(ShapeError):
        NextTokenLoss()(scores[0], target[0])
    with pytest.raises(PellucidError):
        NextTokenLoss()(scores, target + 4)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ArgumentError) as caught:
        made(n_head=3)
    assert str(caught.value).startswith(
        "GPT: n_embd cannot be shared out evenly among the heads\n"
        "  given:    n_embd = 8, n_head = 3\n"
        "  expected: n_embd a multiple of n_head"
    )
    model = made()
    with pytest.raises(ShapeError, match="7 tokens\n  expected: at most block_size = 6"):
        model(np.zeros((1, 7), np.int64))
    for wrong in (np.zeros(3, np.int64), np.zeros((1, 0), np.int64)):
        with pytest.raises(ShapeError):
            model(wrong)
    with pytest.raises(DTypeError):
        model(pl.tensor(np.zeros((1, 3))))
    with pytest.raises(IndexRangeError):
        model([[11]])


def test_dropout_is_at_work_in_training_alone() -> None:
    model = made(dropout=0.5)
    assert not np.array_equal(model(TOKENS).data, model(TOKENS).data)
    model.eval()
    np.testing.assert_array_equal(model(TOKENS).data, model(TOKENS).data)


def test_who_looked_where_can_be_read_after_a_forward() -> None:
    model = pl.models.GPT(vocab_size=11, block_size=8, n_layer=2, n_head=2, n_embd=8).eval()
    model(np.random.default_rng(0).integers(0, 11, (3, 6)))
    maps = pl.nn.attention_maps(model)
    assert [m.shape for m in maps.values()] == [(3, 2, 6, 6)] * 2
    for m in maps.values():
        np.testing.assert_allclose(m.numpy().sum(-1), 1.0, rtol=1e-6)
        assert not np.triu(m.numpy(), 1).any()  # no place looks ahead
    layer = model.h[0].attn
    with pl.no_grad():
        assert np.array_equal(layer.attention_weights.numpy(), next(iter(maps.values())).numpy())
