"""Two parametrizations of weights. A layer enters; it leaves with a weight whose rows have a length of their own
(`weight_norm`), or whose largest singular value is 1 (`spectral_norm`).
"""

from __future__ import annotations

from pellucid.core.check import Integer, Real, checked
from pellucid.core.context import no_grad
from pellucid.core.tensor import Tensor
from pellucid.errors import ModelError
from pellucid.nn._calls import calls
from pellucid.nn.module import Module
from pellucid.nn.parametrize import Parametrized, check_module, register_parametrization
from pellucid.ops._families.reduction import one_axis
from pellucid.ops.elementwise import maximum, sqrt, square
from pellucid.ops.linalg import matmul
from pellucid.ops.reduce import sum_
from pellucid.ops.sampling import normal
from pellucid.ops.shape import moveaxis, reshape

# Iterations before the first use, as PyTorch does.
_AT_START = 15


class _WeightNorm(Module):
    """Length g and direction v of the parts of a weight along an axis; with None of the weight as a whole."""

    def __init__(self, axis: int | None) -> None:
        self.axis = axis

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        """g·v / |v|."""
        return v * (g / self._length(v))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The lengths, and the weight itself as direction.

        Raises
            ModelError: a part of length 0 has no direction.
        """
        length = self._length(weight)
        if not length.data.all():
            raise ModelError("nn.weight-norm-zero", shape=weight.shape, count=int((length.data == 0).sum()))
        return length, weight

    def _length(self, v: Tensor) -> Tensor:
        axes = None if self.axis is None else tuple(n for n in range(v.ndim) if n != self.axis)
        return sqrt(sum_(square(v), axes, keepdims=self.axis is not None))

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


@checked(axis=Integer(none=True))
def weight_norm(module: Module, name: str = "weight", axis: int | None = 0) -> Module:
    """Let length and direction of a weight be trained apart.

        w = g·v / |v|, for each index of `axis`

    Parameters
        module : the layer; changed, and returned.
        name : the name of the weight.
        axis : the axis of the outputs, each of which has a length of its own; None gives the weight one length as a
            whole. -1 is the last axis, whereas PyTorch takes it for None.
    Attributes
        parametrizations.weight.original0 : g, with 1 in the place of all axes but `axis`.
        parametrizations.weight.original1 : v, of the weight's shape.
    Raises
        ModelError: a part of the weight is 0 and has no direction.
        NoAttributeError: the layer has no parameter of that name.
    Source
        Salimans and Kingma, Weight normalization, NeurIPS 2016, eq. 2.
    Examples
        >>> from pellucid import nn
        >>> layer = nn.parametrizations.weight_norm(nn.Linear(20, 40))
        >>> {name: p.shape for name, p in layer.named_parameters()}
        {'bias': (40,), 'parametrizations.weight.original0': (40, 1), 'parametrizations.weight.original1': (40, 20)}
    """
    weight = _weight("weight_norm", module, name)
    if axis is not None:
        axis = one_axis("weight_norm", axis, weight.ndim)
    return register_parametrization(module, name, _WeightNorm(axis))


class _SpectralNorm(Module):
    """A weight divided by its largest singular value, which power iterations follow while it is trained."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Tensor, n_power_iterations: int, axis: int, eps: float) -> None:
        self.n_power_iterations, self.axis, self.eps = n_power_iterations, axis, eps
        if weight.ndim > 1:
            for name, size in zip(("_u", "_v"), self._matrix(weight).shape, strict=True):
                self.register_buffer(name, self._unit(normal(shape=(size,), dtype=weight.dtype)))

    def forward(self, weight: Tensor) -> Tensor:
        """W / σ(W)."""
        if weight.ndim == 1:
            return self._unit(weight)
        matrix = self._matrix(weight)
        # A network that runs has the iterations made; to look at the weight from outside, which makes the Parametrized
        # itself the outermost module, changes nothing.
        if self.training and not isinstance(calls.root, Parametrized):
            self._iterate(matrix, self.n_power_iterations)
        # Detached, they stay what they are here when the next call moves the buffers on.
        u, v = self._u.detach(), self._v.detach()
        return weight / sum_(u * matmul(matrix, v))

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The weight as it is: only its direction matters.

        Raises
            ModelError: it is 0.
        """
        if not weight.data.any():
            raise ModelError("nn.spectral-norm-zero", shape=weight.shape)
        if weight.ndim > 1:
            self._iterate(self._matrix(weight), _AT_START)
        return weight

    def _matrix(self, weight: Tensor) -> Tensor:
        rows = weight.shape[self.axis]
        return reshape(moveaxis(weight, self.axis, 0), (rows, weight.size // rows))

    def _iterate(self, matrix: Tensor, times: int) -> None:
        with no_grad():
            u, v = self._u, self._v
            for _ in range(times):
                u = self._unit(matmul(matrix, v))
                v = self._unit(matmul(u, matrix))
            self._u.assign(u)
            self._v.assign(v)

    def _unit(self, x: Tensor) -> Tensor:
        return x / maximum(sqrt(sum_(square(x))), self.eps)

    def extra_repr(self) -> str:
        return f"n_power_iterations={self.n_power_iterations}, axis={self.axis}, eps={self.eps}"


@checked(n_power_iterations=Integer(1), eps=Real(0, left_open=True), axis=Integer(none=True))
def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, axis: int | None = None
) -> Module:
    """Let a layer use its weight divided by its largest singular value, so that it stretches nothing.

        w = W / (uᵀ·W·v), u and v the singular vectors of W as power iterations find them

    Each call in training makes some iterations; calls in use, and reading `module.weight`, make none.

    Parameters
        module : the layer; changed, and returned.
        name : the name of the weight. One of several axes is taken for a matrix: `axis` against all others.
        n_power_iterations : iterations a call in training, from 1 on.
        eps : lengths below it are taken for it, unitless.
        axis : the axis of the outputs; None is 1 for transposed convolutions and 0 for all others.
    Attributes
        parametrizations.weight.original : W.
        parametrizations.weight.0._u, _v : buffers, the vectors; a weight of one axis has none.
    Raises
        ModelError: the weight is 0.
        NoAttributeError: the layer has no parameter of that name.
    Source
        Miyato et al., Spectral normalization for generative adversarial networks, ICLR 2018, algorithm 1.
    Examples
        >>> import numpy as np
        >>> from pellucid import nn
        >>> layer = nn.parametrizations.spectral_norm(nn.Linear(20, 40))
        >>> for _ in range(100):
        ...     _ = layer(np.ones((1, 20)))
        >>> bool(abs(np.linalg.norm(layer.weight.numpy(), 2) - 1.0) < 0.01)
        True
    """
    weight = _weight("spectral_norm", module, name)
    if axis is None:
        axis = 1 if getattr(module, "transposed", False) else 0
    axis = one_axis("spectral_norm", axis, weight.ndim)
    return register_parametrization(module, name, _SpectralNorm(weight, int(n_power_iterations), axis, float(eps)))


def _weight(function: str, module: Module, name: str) -> Tensor:
    """The weight that is to be parametrized."""
    check_module(f"{function}: module", module)
    weight: Tensor = getattr(module, name) if name in module._parametrized else module._part(name, "parameter")
    return weight


__all__ = ["spectral_norm", "weight_norm"]
