"""A Transformer learns which character comes next, and recites.

Nothing comes in; the losses before and after training, and what the network writes, are printed.
Run it with `python examples/next_character.py`.
"""

import math

import pellucid as pl

VERSE = "round and round the ragged rock the ragged rascal ran. "

text = VERSE * 30
tokenizer = pl.data.CharTokenizer(text)
training, held_out = pl.data.split_tokens(tokenizer.encode(text), validation=0.1)
print(f"{len(text):,} characters, {tokenizer.vocab_size} kinds: {tokenizer.characters!r}")

pl.manual_seed(0)
model = pl.models.GPT(tokenizer.vocab_size, block_size=24, n_layer=1, n_head=2, n_embd=32)
loss = pl.models.NextTokenLoss()

# A network that knows nothing finds all characters equally likely: its loss is the logarithm of their number.
windows = pl.data.text_windows(held_out, block_size=24)
before = pl.evaluate(model, windows, loss=loss)["loss"]
print(f"loss before training {before:.3f}, log {tokenizer.vocab_size} = {math.log(tokenizer.vocab_size):.3f}")

pl.fit(
    model,
    pl.data.TextBlocks(training, block_size=24, batch_size=8, batches=150),
    loss=loss,
    optimizer=pl.optim.AdamW(model.parameters(), lr=1e-2),
    epochs=1,
    clip_norm=1.0,
    verbose=0,
)
after = pl.evaluate(model, windows, loss=loss)["loss"]
print(f"loss after 150 steps  {after:.3f}")

# Temperature 0 takes the likeliest character each time. The network sees the last 24 characters alone.
begun = "round and round the"
written = tokenizer.decode(pl.models.generate(model, tokenizer.encode(begun), len(VERSE) - len(begun), temperature=0))
print(written)
