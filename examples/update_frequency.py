"""How often the weights change: after every sample, after a mini-batch, or once an epoch.

Nothing comes in; the number of updates an epoch is printed, and a proof that one full batch is gradient descent itself.
Run it with `python examples/update_frequency.py`.
"""

import pellucid as pl


def updates(rows: int, batch_size: int) -> int:
    """Updates an epoch: one a batch, the last of which may be smaller."""
    return len(pl.data.Loader(pl.zeros((rows, 1)), batch_size=batch_size))


counts = {
    (rows, size): updates(rows, size)
    for rows, size in [(10_000, 100), (1000, 1), (1000, 32), (1000, 100), (1000, 1000)]
}
for (rows, size), count in counts.items():
    print(f"{rows:6} samples in batches of {size:4}: {count:4} updates an epoch")

# With all rows in one batch, mini-batch training is batch gradient descent. Not nearly: bit for bit.
data = pl.data.two_moons(100, seed=0)


def train(batches) -> bytes:
    """The weights after three epochs over the batches that are given."""
    pl.manual_seed(0)
    model = pl.nn.Sequential(pl.nn.Linear(2, 4), pl.nn.Tanh(), pl.nn.Linear(4, 2))
    loss_fn, optimizer = pl.nn.CrossEntropyLoss(), pl.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(3):
        for x, y in batches:
            loss_fn(model(x), y).backward()
            optimizer.step()
    return b"".join(p.numpy().tobytes() for p in model.parameters())


in_one_batch = train(pl.data.Loader(data, batch_size=100, shuffle=True, seed=7))
without_batches = train([(data.x, data.y)])
print("one full batch equals batch gradient descent, bit for bit:", in_one_batch == without_batches)
