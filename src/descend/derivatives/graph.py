"""What autograd's graph can tell about a function before, and when, it fails to be differentiated again."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.autograd.graph import Node

from descend.errors import ConfigurationError

# Every backward wrapped by `once_differentiable` runs the same code object; no flag on the Function says so.
_ONCE = once_differentiable(lambda ctx: None).__code__


def nodes(output: Tensor) -> Iterator[Node]:
    """Every node of the graph that computed `output`, each once."""
    stack, seen = [output.grad_fn], set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        stack.extend(parent for parent, _ in node.next_functions)
        yield node


def require_twice_differentiable(output: Tensor) -> None:
    """Raise ConfigurationError if `output` went through a Function whose backward is `once_differentiable`.

    Autograd itself is silent when asked for the gradient at given inputs: it takes the first derivative for a
    constant, and the second comes out as zero.
    """
    for node in nodes(output):
        function = getattr(type(node), "_forward_cls", None)
        if function is not None and getattr(function.backward, "__code__", None) is _ONCE:
            raise ConfigurationError(
                f"The function is not twice differentiable: it goes through {function.__name__} (grad_fn "
                f"{node.name()}), whose backward is marked once_differentiable. Write that backward in "
                "differentiable torch operations and take the mark away, or ask for first derivatives only."
            )


@contextmanager
def explained() -> Iterator[None]:
    """Turn autograd's refusals into ConfigurationError with the operation's name; let every other error pass."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        if "invalid gradient" in reason:
            raise ConfigurationError(
                f"A custom backward returned a gradient of the wrong shape: {reason}. Each gradient must have the "
                "shape of the input it belongs to."
            ) from error
        if "not implemented" in reason:
            raise ConfigurationError(
                f"The function is not differentiable often enough: {reason}. Replace that operation by one with a "
                "second derivative (for attention, the MATH kernel of scaled_dot_product_attention), or ask for a "
                "lower order."
            ) from error
        raise
