"""Four ways to walk downhill: SGD, momentum, RMSprop and Adam on the loss w²/2, whose gradient is w itself.

Nothing comes in; three steps of each optimizer are printed. Run it with `python examples/optimizers.py`.
"""

import pellucid as pl


def three_steps(make_optimizer) -> list[float]:
    """The weight after each of three steps from w = 1."""
    w = pl.Tensor([1.0], dtype=pl.float64, requires_grad=True)
    optimizer = make_optimizer([w])
    path = []
    for _ in range(3):
        loss = (w * w).sum() / 2
        loss.backward()
        optimizer.step()
        path.append(w.item())
    return path


paths = {
    # The plain rule: w ← w - 0.1·w, so every step keeps nine tenths.
    "SGD": three_steps(lambda p: pl.optim.SGD(p, lr=0.1)),
    # Momentum keeps nine tenths of the last step's velocity, and so walks further each time.
    "SGD, momentum 0.9": three_steps(lambda p: pl.optim.SGD(p, lr=0.1, momentum=0.9)),
    # RMSprop divides by the size of recent gradients. Its average starts at 0, so with alpha = 0.99 the first step is
    # 0.1 · 1 / √0.01 = 1 long, and lands almost on the minimum at once.
    "RMSprop, alpha 0.99": three_steps(lambda p: pl.optim.RMSprop(p, lr=0.1, alpha=0.99)),
    # Adam corrects for averages that start at 0, so its first step is as long as the rate, whatever the gradient.
    "Adam": three_steps(lambda p: pl.optim.Adam(p, lr=0.1)),
}
for name, path in paths.items():
    print(f"{name:20}", *(f"{w:.9f}" for w in path))
