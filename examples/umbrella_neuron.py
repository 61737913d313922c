"""One neuron decides about an umbrella, and shows why a silent ReLU cannot learn.

Nothing comes in; the neuron's arithmetic and its gradients are printed.
Run it with `python examples/umbrella_neuron.py`.
"""

import pellucid as pl

# Ten degrees outside, and it rains. Warmth speaks against an umbrella (-0.5 a degree), rain for it (+2).
x = pl.Tensor([10.0, 1.0], dtype=pl.float64)
w = pl.Tensor([-0.5, 2.0], dtype=pl.float64, requires_grad=True)
b = pl.Tensor(1.0, dtype=pl.float64, requires_grad=True)

z = (w * x).sum() + b
products = " + ".join(f"({weight:g} × {value:g})" for weight, value in zip(w.tolist(), x.tolist(), strict=True))
print(f"z = {products} + {b.item():g} = {z.item():g}")

# ReLU lets positive numbers through and makes the rest 0. Here the answer is 0: no umbrella.
on = pl.relu(z)
print(f"ReLU({z.item():g}) = {on.item():g}")

# The sigmoid gives a probability instead of a hard no.
p = pl.sigmoid(z)
print(f"sigmoid({z.item():g}) = {p.item():.10f}")

# Training moves each weight along its gradient. Where ReLU is flat, the gradient is exactly 0,
# so no step of any size changes this neuron: it cannot learn from this example.
relu_gradient, bias_gradient = pl.autograd.grad(on, [w, b])
print("gradient through ReLU:   ", relu_gradient.tolist(), bias_gradient.item())
if not relu_gradient.numpy().any():
    print("with ReLU the gradient is 0: this unit cannot learn from this example")

# The sigmoid is never flat, so every weight still hears of its part in the error: p·(1 - p)·x.
z = (w * x).sum() + b
sigmoid_gradient = pl.autograd.grad(pl.sigmoid(z), w)
print("gradient through sigmoid:", [round(g, 8) for g in sigmoid_gradient.tolist()])
