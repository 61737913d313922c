"""A network learns to read handwritten digits, and is tested on digits that it has never seen.

Nothing comes in; progress and the test accuracy are printed. Run it with `python examples/digits.py`.
"""

import pellucid as pl


def network(num_inputs: int) -> pl.nn.Sequential:
    """Two hidden layers of 16 neurons, and an output neuron for each of the ten digits."""
    return pl.nn.Sequential(
        pl.nn.Linear(num_inputs, 16),
        pl.nn.ReLU(),
        pl.nn.Linear(16, 16),
        pl.nn.ReLU(),
        pl.nn.Linear(16, 10),
    )


def accuracy(seed: int, epochs: int = 60, verbose: int = 0) -> float:
    """Train on three quarters of the digits; the share of the last quarter that is read rightly."""
    # A network that is judged on what it learnt from is praised for a good memory. So a quarter is put aside first.
    train, test = pl.data.train_test_split(pl.data.digits(), test_size=0.25, seed=seed, stratify=True)
    pl.manual_seed(seed)
    model = network(64)
    pl.fit(
        model,
        train,
        loss="cross_entropy",
        optimizer=pl.optim.Adam(model.parameters(), lr=3e-3),
        schedule="cosine",
        epochs=epochs,
        batch_size=32,
        verbose=verbose,
    )
    return pl.evaluate(model, test, metrics=["accuracy"])["accuracy"]


# The same network for images of 28 × 28 pixels: how many numbers does it learn? Each layer has inputs × neurons
# weights and a bias for each neuron: 784·16 + 16, 16·16 + 16, 16·10 + 10.
large = network(784)
num_parameters = sum(p.size for p in large.parameters())
size_bytes = sum(p.nbytes for p in large.parameters())

if __name__ == "__main__":
    print(f"784-16-16-10 has {num_parameters:,} parameters in {size_bytes:,} bytes")
    print(f"test accuracy {accuracy(seed=0, verbose=1):.3f}")
