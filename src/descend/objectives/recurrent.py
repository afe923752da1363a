"""An LSTM, by a kernel where it is large and by single operations where it is small.

oneDNN has one kernel for all steps of a layer. For a run alone it is the fastest way, but it computes one run at a
time, and its gradient cannot be differentiated. Single operations compute all runs of a stack at once. What a run
computes must not depend on the stack that it is in: so the sizes of a layer decide, not the number of runs.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from descend.graph.compat import in_transform, without_dispatch_modes, without_onednn

LEAST = 2048
"""Numbers in the hidden state of a layer (examples · width) from which on the kernel computes it.

Below, a run of a large stack takes less time by single operations (`benchmarks/recurrent.py`).
"""

KIND = 2
"""The number that stands for an LSTM among oneDNN's kinds of recurrent layers."""

OPERATORS = torch.library.Library("descend", "FRAGMENT")


class Recurrent(TorchFunctionMode):
    """Takes the place of `torch.lstm` within its `with` block."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        return (lstm if func is torch.lstm else func)(*args, **(kwargs or {}))


def lstm(inputs: Tensor, state: Any, *more: Any, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return the outputs, the last hidden states and the last cell states; arguments as for `torch.lstm`."""
    if options or isinstance(state, Tensor) or not takes_kernel(inputs, state, more[1]):
        with without_onednn():
            return torch.lstm(inputs, state, *more, **options)
    weights, _, layers, dropout, training, bidirectional, batch_first = more
    x, directions, ends = inputs.transpose(0, 1) if batch_first else inputs, 1 + bidirectional, []
    for layer in range(layers):
        places = range(layer * directions, (layer + 1) * directions)
        found = [LSTMLayer.apply(i > places[0], x, *(s[i] for s in state), *weights[4 * i : 4 * i + 4]) for i in places]
        x = torch.cat([outputs for outputs, _, _ in found], dim=-1)
        x = functional.dropout(x, dropout, training and layer < layers - 1)
        ends += found
    _, hidden, cell = zip(*ends, strict=True)
    return x.transpose(0, 1) if batch_first else x, torch.stack(hidden), torch.stack(cell)


def takes_kernel(inputs: Tensor, state: Sequence[Tensor], biased: bool) -> bool:
    """Tell whether oneDNN has a kernel for these arguments, and whether it pays."""
    hidden, cell = state
    complete = biased and hidden.shape == cell.shape  # they differ where an LSTM projects its hidden state
    here = inputs.device.type == "cpu" and torch.backends.mkldnn.is_available() and not in_transform()
    single = inputs.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return complete and here and single and hidden[0].numel() >= LEAST


class LSTMLayer(Function):
    """One direction of one layer, by the kernel."""

    @staticmethod
    def forward(ctx: Any, reverse: bool, *given: Tensor) -> Any:
        """Return the outputs [steps, n, width], the last hidden and the last cell state, [n, width] each.

        Args:
            reverse: whether it reads the last step first.
            given: the inputs [steps, n, k]; the hidden and the cell state before; weights and biases, as torch orders
                them.
        """
        found = torch.ops.descend.lstm_layer(*given, reverse)
        ctx.reverse, ctx.count = reverse, len(given)
        ctx.save_for_backward(*given, *found)
        return found[:3]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradients: by single operations where they are to be differentiated."""
        given, found = ctx.saved_tensors[: ctx.count], ctx.saved_tensors[ctx.count :]
        if torch.is_grad_enabled():
            return None, *by_operations(given, gradients, ctx.reverse)
        return None, *torch.ops.descend.lstm_layer_backward(*given, *found, *gradients, ctx.reverse)


def kernel(*given: Any) -> tuple[Tensor, ...]:
    """Return what `LSTMLayer` returns, and what the kernel keeps for the way back.

    Args:
        given: as for `LSTMLayer`, seven tensors; then `reverse`.
    """
    x, hidden, cell, *weights = in_rows(given[:7])
    own: tuple[Any, ...] = given[7], [], KIND, hidden.shape[1], 1, True, False, False, True
    with torch.enable_grad():  # otherwise the kernel keeps nothing
        found: tuple[Tensor, ...] = torch.ops.aten.mkldnn_rnn_layer(x, *weights, hidden, cell, *own)
        return found


def kernel_backward(*given: Any) -> tuple[Tensor, ...]:
    """Return the gradients of the tensors that `kernel` was given.

    Args:
        given: those seven; the four that it returned; the gradients of the first three of these; then `reverse`.
    """
    x, hidden, cell, *weights = in_rows(given[:7])
    outputs, kept, gradients = in_rows(given[7:10]), given[10], in_rows(given[11:14])
    own: tuple[Any, ...] = given[14], KIND, hidden.shape[1], 1, True, True, False, [], False, kept
    of_x, *of_weights, of_hidden, of_cell = torch.ops.aten.mkldnn_rnn_layer_backward(
        x, *weights, hidden, cell, *outputs, *gradients, *own
    )
    return of_x, of_hidden, of_cell, *of_weights


def in_rows(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors that lie in memory row by row: the kernel takes all others for such."""
    return [x.contiguous() for x in tensors]


def results_of_sizes(*given: Any) -> tuple[Tensor, ...]:
    """Return tensors of the sizes that `kernel` returns; only oneDNN knows how much it keeps."""
    with without_dispatch_modes():
        real = [torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in given[:7]]
        found = kernel(*real, given[7])
    return tuple(given[0].new_empty(x.shape, dtype=x.dtype) for x in found)


def gradients_of_sizes(*given: Any) -> tuple[Tensor, ...]:
    """Return tensors of the sizes that `kernel_backward` returns."""
    return tuple(torch.empty_like(x) for x in given[:7])


def operator(name: str, tensors: int, results: int, call: Callable[..., Any], of_sizes: Callable[..., Any]) -> None:
    """Make a function of so many tensors and of `reverse` an operator of torch, which can be recorded and compiled."""
    taken = ", ".join(f"Tensor x{i}" for i in range(tensors))
    OPERATORS.define(f"{name}({taken}, bool reverse) -> ({', '.join(['Tensor'] * results)})")
    OPERATORS.impl(name, call, "CPU")
    torch.library.register_fake(f"descend::{name}", of_sizes, lib=OPERATORS)


operator("lstm_layer", 7, 4, kernel, results_of_sizes)
operator("lstm_layer_backward", 14, 7, kernel_backward, gradients_of_sizes)


def by_operations(given: Sequence[Tensor], gradients: Sequence[Tensor], reverse: bool) -> Sequence[Tensor]:
    """Return what `kernel_backward` returns, made of operations that have derivatives."""
    with torch.enable_grad():
        leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in given]
        x, hidden, cell, *weights = leaves
        state = hidden.unsqueeze(0), cell.unsqueeze(0)
        with without_onednn():
            outputs, *ends = torch.lstm(x.flip(0) if reverse else x, state, weights, True, 1, 0.0, True, False, False)
        found = outputs.flip(0) if reverse else outputs, *(end.squeeze(0) for end in ends)
        return torch.autograd.grad(found, leaves, gradients, create_graph=True)
