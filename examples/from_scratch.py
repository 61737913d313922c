"""A neuron, a layer of neurons and a network of layers, with backpropagation written out by hand.

Nothing comes in; the network learns XOR and the line y = x, and its gradients are compared with the library's. Only
NumPy computes here; pellucid appears once, as the judge. Run it with `python examples/from_scratch.py`.
"""

from itertools import pairwise

import numpy as np

import pellucid as pl


class Neuron:
    """A weighted sum, a bias and an activation; it remembers what it saw, because the way back needs it."""

    def __init__(self, num_inputs: int, rng: np.random.Generator, linear: bool = False) -> None:
        # Random weights, or all neurons of a layer would compute the same for ever. Their variance is 1/inputs, so that
        # the sum is about as large as each input: much smaller ones would fade from layer to layer.
        self.weights = rng.normal(0.0, 1.0 / np.sqrt(num_inputs), num_inputs)
        self.bias = 0.0
        self.linear = linear

    def forward(self, x: np.ndarray) -> np.ndarray:
        """One answer for each row of x."""
        self.x = x
        z = x @ self.weights + self.bias
        self.a = z if self.linear else np.tanh(z)
        return self.a

    def backward(self, da: np.ndarray) -> np.ndarray:
        """From the loss's gradient in the answers to its gradient in the inputs, by the chain rule."""
        dz = da if self.linear else da * (1.0 - self.a**2)  # tanh' = 1 - tanh²
        self.weights_gradient = self.x.T @ dz
        self.bias_gradient = dz.sum()
        return np.outer(dz, self.weights)

    def step(self, lr: float) -> None:
        """One step downhill."""
        self.weights -= lr * self.weights_gradient
        self.bias -= lr * self.bias_gradient


class Layer:
    """Neurons side by side: all see the same inputs, and each gives one column of the output."""

    def __init__(self, num_inputs: int, num_neurons: int, rng: np.random.Generator, linear: bool = False) -> None:
        self.neurons = [Neuron(num_inputs, rng, linear) for _ in range(num_neurons)]

    def forward(self, x: np.ndarray) -> np.ndarray:
        return np.stack([neuron.forward(x) for neuron in self.neurons], axis=1)

    def backward(self, da: np.ndarray) -> np.ndarray:
        # Every neuron used the inputs, so their shares of the blame add up.
        return sum(neuron.backward(da[:, i]) for i, neuron in enumerate(self.neurons))


class Network:
    """Layers one after another. Hidden neurons use tanh; those of the last layer are linear, so any number may come."""

    def __init__(self, sizes: list[int], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        last = len(sizes) - 2
        self.layers = [Layer(m, n, self.rng, linear=i == last) for i, (m, n) in enumerate(pairwise(sizes))]

    def forward(self, x: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, x: np.ndarray, y: np.ndarray) -> float:
        """The mean squared error of a batch; afterwards every neuron holds its gradients."""
        error = self.forward(x) - y
        # The loss is the mean over all numbers, so the gradient is divided by that same count.
        gradient = 2.0 * error / error.size
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        return float((error**2).mean())

    def train(self, x: np.ndarray, y: np.ndarray, epochs: int = 500, lr: float = 0.2, batch_size: int = 32) -> float:
        """Mini-batch gradient descent, in a new order every epoch; returns the last epoch's loss."""
        for _ in range(epochs):
            order = self.rng.permutation(len(x))
            total = 0.0
            for start in range(0, len(x), batch_size):
                rows = order[start : start + batch_size]
                total += self.backward(x[rows], y[rows]) * len(rows)
                for layer in self.layers:
                    for neuron in layer.neurons:
                        neuron.step(lr)
        return total / len(x)


def largest_gradient_error(num_outputs: int, seed: int = 0) -> float:
    """How far the gradients by hand are from those that the library derives from the loss."""
    rng = np.random.default_rng(seed)
    network = Network([3, 4, num_outputs], seed)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, num_outputs))
    network.backward(x, y)

    value, derived = pl.Tensor(x), []
    for layer in network.layers:
        W = pl.Tensor(np.stack([n.weights for n in layer.neurons], axis=1), requires_grad=True)
        b = pl.Tensor(np.array([n.bias for n in layer.neurons]), requires_grad=True)
        z = value @ W + b
        value = z if layer.neurons[0].linear else pl.tanh(z)
        derived.append((W, b))
    ((value - y) ** 2).mean().backward()

    worst = 0.0
    for layer, (W, b) in zip(network.layers, derived, strict=True):
        for i, neuron in enumerate(layer.neurons):
            worst = max(worst, float(abs(neuron.weights_gradient - W.grad.numpy()[:, i]).max()))
            worst = max(worst, abs(neuron.bias_gradient - b.grad.numpy()[i]))
    return worst


if __name__ == "__main__":
    for num_outputs in (1, 2, 10):
        error = largest_gradient_error(num_outputs)
        print(f"{num_outputs:2} outputs: gradients by hand and by the library differ by {error:.0e}")

    # XOR: 1 where exactly one input is 1. No single neuron can do it; two layers can.
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    xor = np.array([[0.0], [1.0], [1.0], [0.0]])
    network = Network([2, 8, 1])
    network.train(corners, xor)
    print("XOR:", np.round(network.forward(corners)[:, 0], 3).tolist())

    # The line y = x, learnt from 200 points: a network is a function, and training bends it.
    x = np.linspace(-1.0, 1.0, 200)[:, None]
    line = Network([1, 8, 1])
    print(f"y = x: mean squared error {line.train(x, x, epochs=300):.1e}")
