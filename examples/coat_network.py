"""A network of three inputs, two hidden neurons and one output decides about a coat: forward, loss and backward.

Nothing comes in; every intermediate number is printed. Run it with `python examples/coat_network.py`.
"""

import pellucid as pl


def parameter(values: list) -> pl.Tensor:
    return pl.Tensor(values, dtype=pl.float64, requires_grad=True)


# Row j of a weight matrix belongs to neuron j. The inputs are the temperature, rain (0 or 1) and wind (0 or 1).
W1, b1 = parameter([[-0.5, 1.0, 0.5], [-1.0, 0.5, 0.5]]), parameter([0.0, 1.0])
W2, b2 = parameter([[0.8, -0.5]]), parameter([0.2])
parameters = {"W1": W1, "b1": b1, "W2": W2, "b2": b2}


def forward(weather: list[float]) -> tuple[pl.Tensor, ...]:
    """All that the network computes on the way from the weather to a probability."""
    x = pl.Tensor(weather, dtype=pl.float64)
    z1 = W1 @ x + b1
    a1 = pl.relu(z1)
    z2 = W2 @ a1 + b2
    return z1, a1, z2, pl.sigmoid(z2)


z1, a1, z2, p = forward([10, 1, 1])
print("z1 =", z1.tolist())  # second neuron: -1·10 + 0.5·1 + 0.5·1 + 1 = -8
print("a1 =", a1.tolist())
print("z2 =", z2.tolist())
print(f"p  = {p.item():.15f}")

# Six weights and two biases in the hidden layer, two weights and one bias at the output. A multiply-accumulate (MAC)
# is one weight used once, so there are as many of them as weights.
num_parameters = sum(t.size for t in parameters.values())
num_macs = W1.size + W2.size
print(f"{num_parameters} parameters, {num_macs} multiply-accumulates")

# Say that a coat was right: y = 1. The binary cross-entropy is then -log p, and it is small when p is near 1.
loss = -pl.log(p).sum()
loss.backward()
print(f"loss = {loss.item():.10f}")
for name, tensor in parameters.items():
    print(f"gradient of {name} = {[round(float(g), 10) + 0.0 for g in tensor.grad.numpy().ravel()]}")
# Both hidden neurons are off at this input, so the error stops there: only b2 can learn.

answers = {weather: forward(list(weather))[-1].item() for weather in [(-10, 0, 0), (0, 1, 1), (2, 1, 1), (25, 0, 0)]}
for weather, answer in answers.items():
    print(f"p{weather} = {answer:.10f}")
