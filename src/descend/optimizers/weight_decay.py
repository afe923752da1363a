"""The two meanings of weight decay λ.

Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (ICLR 2019), section 2: they agree for plain gradient
descent and differ as soon as the gradient is averaged or rescaled.
"""

from descend.optimizers.arithmetic import add_scaled, scaled
from descend.scalars import Scalar, is_zero
from descend.types import Params


def penalised(gradients: Params, params: Params, weight_decay: Scalar) -> Params:
    """g + λx, the gradient of f(x) + λ/2 ‖x‖²."""
    if is_zero(weight_decay):
        return gradients
    return {name: add_scaled(gradients[name], x, weight_decay) for name, x in params.items()}


def decayed(params: Params, weight_decay: Scalar, lr: Scalar) -> Params:
    """(1 − lr · λ) x, the decoupled decay."""
    if is_zero(weight_decay):
        return params
    return {name: scaled(x, 1 - lr * weight_decay) for name, x in params.items()}
