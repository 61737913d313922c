"""The mean squared error and its gradient: both come from one formula, or training does not minimise what it shows.

Nothing comes in; two ways of averaging are printed, each with its gradient.
Run it with `python examples/squared_error.py`.
"""

import pellucid as pl

y = pl.Tensor([[0.0, 1.0], [1.0, 0.0]])
p = pl.Tensor([[0.1, 0.9], [0.8, 0.2]], requires_grad=True)

# Averaged over all four numbers: the sum of squares is 0.01 + 0.01 + 0.04 + 0.04 = 0.1, over 4.
loss = ((p - y) ** 2).mean()
gradient = pl.autograd.grad(loss, p)
print(
    f"mean over all numbers:           {loss.item():.3f}, gradient",
    [[round(g, 4) for g in r] for r in gradient.tolist()],
)

# Summed in each sample, then averaged over the two samples: 0.1 over 2. Loss and gradient are both twice as large.
loss_rows = ((p - y) ** 2).sum(axis=1).mean()
gradient_rows = pl.autograd.grad(loss_rows, p)
print(
    f"sum in a sample, mean of samples: {loss_rows.item():.3f}, gradient",
    [[round(g, 4) for g in r] for r in gradient_rows.tolist()],
)

# Either is a fine loss. A loss of one kind with the gradient of the other is not: the step would be twice too long.
# Here the gradient is derived from the loss itself, so the two cannot differ.
