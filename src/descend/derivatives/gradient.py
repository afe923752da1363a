"""First derivatives: gradients of scalar functions, Jacobians of vector functions.

Reverse mode by `torch.autograd.grad` on detached copies of the parameters: it is right for custom Functions of every
style, costs half of `torch.func.grad`, can be traced by make_fx, and touches no `.grad`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from descend.derivatives.graph import require_twice_differentiable
from descend.derivatives.series import twice_differentiable
from descend.derivatives.vjp import batched_vjp, vjp
from descend.errors import ConfigurationError
from descend.graph.compat import in_transform
from descend.graph.recorder import is_recorded
from descend.types import Loss, Params


def graph_roots(params: Params) -> Params:
    """Detached copies (same storage) that require a gradient: the roots of a new graph.

    Raises ConfigurationError if the parameters hold no numbers, or one is not of a real floating-point dtype.
    """
    require_numbers(params)
    for name, value in params.items():
        if not value.is_floating_point():
            raise ConfigurationError(
                f"Parameter '{name}' has dtype {value.dtype}, and only real floating-point parameters can be "
                "differentiated. Convert it, or pass it as data."
            )
    return {name: value.detach().requires_grad_() for name, value in params.items()}


def require_numbers(params: Params) -> None:
    """Raise ConfigurationError where the parameters hold no numbers at all."""
    if not any(value.numel() for value in params.values()):
        shapes = ", ".join(f"'{name}' {list(value.shape)}" for name, value in params.items())
        found = f"hold no numbers: {shapes}" if params else "are an empty dict"
        raise ConfigurationError(
            f"The parameters {found}. A derivative needs at least one number to differentiate in: give some."
        )


def scalar(f: Loss, params: Params) -> Tensor:
    """f(params) [], with its graph. Raises ConfigurationError if the value is not of shape []."""
    with torch.enable_grad():
        value = f(params)
    if value.shape != ():
        raise ConfigurationError(
            f"The function returned a tensor of shape {list(value.shape)}, and its gradient needs a scalar of shape "
            "[]. Sum or average it, or ask for its jacobian."
        )
    return value


def connected(f: Loss, roots: Params) -> Tensor:
    """f(roots) [], with its graph.

    Raises ConfigurationError if it depends on the parameters only through operations that autograd does not follow (a
    number read from a tensor, a torch function without a derivative): its derivative would come out as zero.
    """
    value = scalar(f, roots)
    if not value.requires_grad and _depends(f, roots, value):
        raise ConfigurationError(
            "The function's value changes with its parameters, but only through operations that torch does not "
            "differentiate, so that its gradient would be zero. It goes through detach, no_grad, .item() or float(), "
            "or through a torch function without a derivative (bessel_j0, say): write it in operations that have one."
        )
    return value


def _depends(f: Loss, params: Params, value: Tensor) -> bool:
    """Whether the value of f changes when all parameters move by about a hundredth."""
    if is_recorded() or in_transform():
        return False  # the values are not known yet
    moved = {name: x.detach() + 0.01 * (1 + x.detach().abs()) for name, x in params.items()}
    return not torch.equal(scalar(f, graph_roots(moved)), value)


def value_and_gradient(f: Loss, params: Params) -> tuple[Tensor, Params]:
    """Value [] and gradient of `f`, both detached. The gradient has the names, shapes, dtype and device of `params`.

    A parameter that `f` does not depend on has gradient zero. Raises ConfigurationError where `f` depends on the
    parameters only through operations that torch does not differentiate.
    """
    roots = graph_roots(params)
    value = connected(f, roots)
    gradients = vjp([value], list(roots.values()), [torch.ones_like(value)])
    return value.detach(), dict(zip(params, gradients, strict=True))


def gradient(f: Loss, params: Params) -> Params:
    """Gradient of `f`, detached, with the names, shapes, dtype and device of `params`."""
    return value_and_gradient(f, params)[1]


def jacobian(f: Callable[[Params], Tensor], params: Params, chunk: int = 128) -> Tensor:
    """Jacobian [m, n] of `f`: params -> [m], detached: row i is the gradient of output i, columns in dict order.

    Reverse mode, `chunk` rows to one batched backward, which bounds the memory.
    """
    roots = graph_roots(params)
    with torch.enable_grad():
        outputs = f(roots)
    if outputs.dim() != 1:
        raise ConfigurationError(
            f"The function returned a tensor of shape {list(outputs.shape)}, and a Jacobian needs a vector of shape "
            "[m]. Reshape it, or ask for the gradient of a scalar."
        )
    rows = torch.eye(len(outputs), dtype=outputs.dtype, device=outputs.device).split(chunk)
    blocks = [batched_vjp([outputs], list(roots.values()), [block]) for block in rows]
    return torch.cat([torch.cat([piece.reshape(len(piece), -1) for piece in block], dim=1) for block in blocks])


def gradient_graph(f: Loss, params: Params) -> tuple[list[Tensor], list[Tensor]]:
    """Detached copies of the parameters, and the gradient at them with its graph, to be differentiated again.

    Weight normalisation is computed from elementary operations, because torch's second derivative of it is wrong.

    Raises ConfigurationError if `f` is known not to be twice differentiable.
    """
    roots = graph_roots(params)
    with twice_differentiable():
        value = connected(f, roots)
    require_twice_differentiable(value)
    inputs = list(roots.values())
    return inputs, vjp([value], inputs, [torch.ones_like(value)], create_graph=True)
