"""Checks of autograd's graph that explain why a function cannot be differentiated, before or when it fails."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.autograd.graph import Node

from descend.errors import ConfigurationError
from descend.graph.compat import function_of

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

    Autograd itself raises nothing when asked for the gradient at given inputs: it treats the first derivative as a
    constant, and the second comes out as zero.
    """
    for node in nodes(output):
        function = function_of(node)
        if function is not None and getattr(function.backward, "__code__", None) is _ONCE:
            raise ConfigurationError(
                f"The function is not twice differentiable: it goes through {function.__name__} (grad_fn "
                f"{node.name()}), whose backward is marked once_differentiable. Write that backward in "
                "differentiable torch operations and remove the mark, or ask for first derivatives only."
            )


@contextmanager
def require_complete_gradients(outputs: Iterable[Tensor]) -> Iterator[None]:
    """Raise ConfigurationError if a custom backward in this context returns None for an input that needs a gradient.

    Autograd itself treats None as a gradient of zero.
    """
    lost: list[str] = []

    def watching(node: Node, function: type) -> Callable[..., None]:
        def look(inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor | None, ...]) -> None:
            places = zip(node.next_functions, inputs, strict=False)
            missing = [i for i, ((parent, _), gradient) in enumerate(places) if parent is not None and gradient is None]
            if missing and any(gradient is not None for gradient in outputs):
                lost.append(f"{function.__name__}, for its input {missing[0]}")

        return look

    every = (node for output in outputs for node in nodes(output))
    custom = {node: function for node in every if (function := function_of(node)) is not None}
    handles = [node.register_hook(watching(node, function)) for node, function in custom.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    if lost:
        raise ConfigurationError(
            f"A custom backward returned None in place of a gradient: that of {lost[0]}. Return a gradient of that "
            "input's shape, zeros if that is meant, or detach the input before it."
        )


@contextmanager
def autograd_errors_explained() -> Iterator[None]:
    """Turn autograd's refusals into ConfigurationError with the operation's name; let every other error pass."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[0].rstrip(".")
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
