"""A whole batch goes through a layer at once, and one bias serves every row of it.

Nothing comes in; shapes and sums are printed. Run it with `python examples/batch_and_bias.py`.
"""

import pellucid as pl

# Two samples of three features each, and a layer of four neurons.
A = pl.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
pl.manual_seed(0)
W = pl.uniform(0.0, 1.0, (3, 4))
B = pl.uniform(0.0, 1.0, (1, 4))

# (2, 3) · (3, 4) is (2, 4): a row a sample, a column a neuron. The inner lengths, both 3, are summed away.
Z = A @ W + B
print(f"{A.shape} · {W.shape} + {B.shape} -> {Z.shape}")

# B has one row, A·W has two. Broadcasting uses the one row for both, as if it were written twice, without copying it.
products = pl.Tensor([[10, 20, 30, 40], [50, 60, 70, 80]])
bias = pl.Tensor([[0.1, 0.2, 0.3, 0.4]])
total = products + bias
as_if = products + pl.broadcast_to(bias, (2, 4))
print("with one row of biases: ", [[round(v, 4) for v in row] for row in total.tolist()])
print("with the row written out:", [[round(v, 4) for v in row] for row in as_if.tolist()])

# Broadcasting a bias is meant; broadcasting by accident is not. Lengths that are neither equal nor 1 are refused:
try:
    products + pl.Tensor([0.1, 0.2, 0.3])
except pl.errors.ShapeError as problem:
    refusal = problem
    print(refusal)
