"""The layers of a network, found by watching its calls: their inputs, and the gradients in their outputs.

A layer is a weight that is passed to `functional.linear` or `functional.conv2d`, as torch.nn.Linear and Conv2d do. A
torch function mode sees these calls, in modules and in functions of parameters alike.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from descend.derivatives.gradient import graph_roots
from descend.derivatives.vjp import vjp
from descend.types import Params

Biases = Mapping[str, str | None]
"""Layers: the name of each weight with the name of its bias, or None where it has no bias."""


class Layer(NamedTuple):
    """A layer on a batch: a weight [out, in] and a bias [out] turn [in] into [out] at each place of an example.

    The places are where a kernel lies on a picture, or the positions of a sequence; a vector has one place.

    Attributes:
        inputs: [examples, places, in], with a 1 appended where there is a bias. The inputs of a convolution are the
            patches [channels, height, width] under its kernel, flattened.
        gradients: the gradients of a function in the layer's outputs, [examples, places, out].
    """

    inputs: Tensor
    gradients: Tensor


class Call(NamedTuple):
    """A call of a layer: the names of its weight and bias, its inputs as in `Layer`, its outputs in their own shape."""

    weight: str
    bias: str | None
    inputs: Tensor
    outputs: Tensor


class Watching(TorchFunctionMode):
    """Within its `with` block, notes the calls of layers whose weights are among the given parameters."""

    def __init__(self, params: Params) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._params = params
        self._names = {id(x): name for name, x in params.items()}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if func not in ROWS:
            return found
        rows, weight, bias = ROWS[func](*args, **(kwargs or {}))
        name, beside = self._names.get(id(weight)), self._names.get(id(bias))
        if name is None or rows is None:
            return found
        ones = [] if beside is None else [rows.new_ones(*rows.shape[:-1], 1)]
        self.calls.append(Call(name, beside, torch.cat([rows, *ones], dim=-1), found))
        return found.clone()  # an activation may write into its input


Arguments = tuple[Tensor | None, Tensor, Tensor | None]
"""The arguments of a call: inputs [examples, places, in], or None if it is not supported; weight; bias."""


def linear_rows(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Arguments:
    """Return the arguments of `functional.linear`, the inputs as rows; a single vector is not supported."""
    if input.dim() < 2:
        return None, weight, bias
    return input.detach().reshape(len(input), -1, input.shape[-1]), weight, bias


def conv2d_rows(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Arguments:
    """Return the arguments of `functional.conv2d`, the inputs as rows; no padding by name, and no groups."""
    if isinstance(padding, str) or groups != 1 or input.dim() != 4:
        return None, weight, bias
    return functional.unfold(input.detach(), weight.shape[2:], dilation, padding, stride).mT, weight, bias


ROWS: dict[Callable[..., Any], Callable[..., Arguments]] = {
    functional.linear: linear_rows,
    functional.conv2d: conv2d_rows,
}


def layers_of(outputs: Callable[[Params], Tensor], params: Params) -> dict[str, str | None]:
    """Return the layers of a network, params -> outputs, by name."""
    with torch.no_grad(), Watching(params) as watching:
        outputs(params)
    return {call.weight: call.bias for call in watching.calls}


def layer_gradients(
    outputs: Callable[[Params], Tensor], loss: Callable[[Tensor], Tensor], params: Params, layers: Biases
) -> tuple[dict[str, Layer], Params]:
    """Return layers on the batch of loss(outputs(params)), by weight, and the gradient in all other parameters.

    It costs one evaluation and one backward pass. Where a layer is called several times, the places of all its calls
    are joined.

    Args:
        outputs, loss: params -> outputs of any shape, and outputs -> a number [].
        layers: the layers that are wanted, some of those that `layers_of` returns.
    """
    roots = graph_roots(params)
    with torch.enable_grad():
        with Watching(roots) as watching:
            found = outputs(roots)
        value = loss(found)
    calls = [call for call in watching.calls if call.weight in layers]
    rest = [name for name in params if name not in {*layers, *layers.values()}]
    at = [*(call.outputs for call in calls), *(roots[name] for name in rest)]
    gradients = vjp([value], at, [torch.ones_like(value)])
    found_rows: dict[str, list[Layer]] = {name: [] for name in layers}
    for call, gradient in zip(calls, gradients, strict=False):
        like = params[call.weight]
        picture = like.dim() == 4
        rows = gradient.flatten(2).mT if picture else gradient.reshape(len(gradient), -1, gradient.shape[-1])
        found_rows[call.weight].append(Layer(call.inputs.to(like.dtype), rows.to(like.dtype)))
    each = {name: Layer(*(torch.cat(x, dim=1) for x in zip(*own, strict=True))) for name, own in found_rows.items()}
    return each, dict(zip(rest, gradients[len(calls) :], strict=True))
