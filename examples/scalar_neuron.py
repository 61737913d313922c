"""A neuron without any library: a sum of products and a threshold, then the same with Tensors.

Nothing comes in; both results are printed. Run it with `python examples/scalar_neuron.py`.
"""

import pellucid as pl

inputs = [1.0, 2.0, 3.0]
weights = [0.2, 0.8, -0.5]
bias = 2.0

# Written out, a neuron is only this: 1·0.2 + 2·0.8 + 3·(-0.5) + 2.
z = inputs[0] * weights[0] + inputs[1] * weights[1] + inputs[2] * weights[2] + bias
print(f"z = {z:.1f}")

# With Tensors it is one line, however many inputs there are.
z_tensor = pl.vecdot(pl.Tensor(inputs), pl.Tensor(weights)) + bias
print(f"z = {z_tensor.item():.1f}")

# ReLU: a positive sum goes through unchanged, anything else becomes 0.
activation = pl.relu(z_tensor)
silent = pl.relu(pl.Tensor(-1.2))
print(f"relu(2.3) = {activation.item():.1f}, relu(-1.2) = {silent.item():.1f}")
