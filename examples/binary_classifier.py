"""A binary classifier of two inputs, two hidden neurons and one output, and five mistakes that are easily made.

Nothing comes in; the losses along 1,000 steps are printed, then what happens to each of the mistakes. Run it with
`python examples/binary_classifier.py`.
"""

import warnings

import numpy as np

import pellucid as pl

# 1,000 points at random, the first half labelled 1. The order of the draws matters: first the data, then the weights.
random = np.random.RandomState(0)
x = random.randn(1000, 2)
y = np.zeros((1000, 1))
y[:500] = 1.0
W1, W2 = random.randn(2, 2), random.randn(2, 1)

# The second layer gives a logit z, and the loss knows that p = sigmoid(z). A Linear layer keeps one row of weights
# for each neuron, so W1 is turned round on the way in.
model = pl.nn.Sequential(pl.nn.Linear(2, 2, dtype=pl.float64), pl.nn.Sigmoid(), pl.nn.Linear(2, 1, dtype=pl.float64))
hidden, output = model[0], model[2]
hidden.weight.assign(pl.Tensor(W1.T.copy()))
output.weight.assign(pl.Tensor(W2.T.copy()))
hidden.bias.assign(pl.zeros(2, dtype=pl.float64))
output.bias.assign(pl.zeros(1, dtype=pl.float64))

inputs, targets = pl.Tensor(x), pl.Tensor(y)
loss_fn = pl.nn.BCEWithLogitsLoss()
optimizer = pl.optim.SGD(model.parameters(), lr=0.1)

losses, first_gradients = [], {}
for epoch in range(1000):
    loss = loss_fn(model(inputs), targets)
    loss.backward()
    if epoch == 0:
        first_gradients = {name: p.grad.numpy().copy() for name, p in model.named_parameters()}
    losses.append(loss.item())
    optimizer.step()

print(f"loss at the start: {losses[0]:.6f}")
print("gradient of W1:", np.round(first_gradients["0.weight"].T.ravel(), 8))
for epoch in (100, 500, 999):
    print(f"epoch {epoch:3}: {losses[epoch]:.4f}")

# It ends just below log 2 = 0.6931, which is what a coin scores. No wonder: the labels were given without looking at
# the points. The library finds that out before training, by comparing with shuffled labels.
labels = y[:, 0].astype(int)
dependence = pl.train.label_dependence(x, labels)
print(f"do the labels depend on the inputs? {dependence.verdict}")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    pl.fit(model, (x, y), loss=loss_fn, optimizer=optimizer, epochs=1, batch_size="full", checks="all", verbose=0)
finding = str(caught[0].message)
print(finding.splitlines()[0])

# Mistake 1: the way back needs the hidden activations, and the way forward forgot to return them. Here every operation
# remembers its own inputs, so there is nothing to pass on and nothing to forget.
remembered = loss_fn(model(inputs), targets)
remembered.backward()
assert all(p.grad is not None for p in model.parameters())

# Mistake 2: the slope of the sigmoid, p(1 - p), taken once too often. The gradient is derived from the loss; in the
# logit it is (p - y) over the number of rows, and nothing else.
z = model(inputs).detach().requires_grad_()
logit_gradient = pl.autograd.grad(loss_fn(z, targets), z).numpy()
p = 1 / (1 + np.exp(-z.numpy()))
assert np.allclose(logit_gradient, (p - y) / 1000, rtol=0, atol=1e-12)

# Mistake 3: labels of shape (1000,) against outputs of shape (1000, 1). NumPy would make a million differences of them.
try:
    loss_fn(model(inputs), pl.Tensor(y[:, 0]))
except pl.errors.ShapeError as problem:
    shape_refusal = problem
    print(shape_refusal)

# Mistake 4: gradients summed over the rows, while the loss is their mean, so that twice the data mean twice the step.
# Here the data given twice leave the gradients as they are.
doubled = loss_fn(model(pl.concatenate([inputs, inputs])), pl.concatenate([targets, targets]))
twice = pl.autograd.grad(doubled, hidden.weight).numpy()
assert np.allclose(twice, hidden.weight.grad.numpy(), rtol=0, atol=1e-12)

# Mistake 5: one sum over everything, given to both biases. A gradient has the shape of its parameter, or is refused.
assert hidden.bias.grad.shape == hidden.bias.shape
try:
    hidden.bias.assign(hidden.bias.grad.sum())
except pl.errors.ShapeError as problem:
    bias_refusal = problem
    print(bias_refusal)
