"""AdamW: Adam whose weight decay acts on the parameters alone. The arithmetic is Adam's, in `adam.py`."""

from __future__ import annotations

from typing import Any

from pellucid.core.check import Flag, Real, checked
from pellucid.optim._groups import ParamGroup
from pellucid.optim.adam import Adam
from pellucid.optim.optimizer import BETAS


class AdamW(Adam):
    """Adam with decoupled weight decay: every element shrinks by the same share, whatever its gradients.

        p = p - lr * weight_decay * p
        step = step + 1
        exp_avg = beta1 * exp_avg + (1 - beta1) * g
        exp_avg_sq = beta2 * exp_avg_sq + (1 - beta2) * g²
        p = p - lr * (exp_avg / (1 - beta1 ** step)) / (sqrt(exp_avg_sq / (1 - beta2 ** step)) + eps)

    Parameters
        params : parameters or groups of parameters; see Optimizer
        lr : learning rate, float >= 0, in the parameters' unit: about the length of one step
        betas : two floats in [0, 1): memory of the mean and of the mean square
        eps : float >= 0, in the gradients' unit: added to the root
        weight_decay : float >= 0: a step shrinks the parameters by the share lr * weight_decay
        amsgrad : divide by the largest mean square so far
        maximize : climb instead of descend
    Source
        I. Loshchilov and F. Hutter, Decoupled weight decay regularization, 2019, algorithm 2; as in PyTorch the decay
        is multiplied by the rate, where the paper has a schedule multiplier.
    Examples
        >>> w = pl.Tensor([1.0], requires_grad=True)
        >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.5)
        >>> (w * w / 2).sum().backward()
        >>> optimizer.step()
        >>> print(f"{w.item():.4f}")
        0.8500
    """

    @checked(lr=Real(0), betas=BETAS, eps=Real(0), weight_decay=Real(0), amsgrad=Flag(), maximize=Flag())
    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)

    def _check_group(self, group: ParamGroup) -> None:
        # States saved before the option existed do not have it, or have Adam's.
        group["decoupled_weight_decay"] = True
