"""One layer: numbers go in, each is weighed, a bias is added, and an activation shapes the result.

Nothing comes in; the three steps of y = sigmoid(x·W + b) are printed. Run it with `python examples/one_layer.py`.
"""

import pellucid as pl

# An array holds many numbers at once, and one operation works on all of them: 10 is added to each entry.
table = pl.Tensor([[1, 2, 3], [4, 5, 6]])
plus_ten = table + 10
print("table + 10 =", plus_ten.tolist())
print("mean       =", table.mean().item())

# Two inputs feed three neurons. Column j of W holds the weights of neuron j, so W has 2 rows and 3 columns.
x = pl.Tensor([1.0, 0.5])
W = pl.Tensor([[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]])
b = pl.Tensor([0.1, 0.2, 0.3])

# First the weighted sums: for the first neuron 1·0.1 + 0.5·0.2 = 0.2.
weighted = x @ W
print("x·W        =", [round(v, 6) for v in weighted.tolist()])

# The bias is what a neuron says when every input is 0.
z = weighted + b
print("x·W + b    =", [round(v, 6) for v in z.tolist()])

# The sigmoid squeezes any number into (0, 1): sigmoid(z) = 1 / (1 + e^-z).
y = pl.sigmoid(z)
print("sigmoid    =", [round(v, 6) for v in y.tolist()])
