"""The text of an op of one's own, x³, whose backward is still to be written."""

SOURCE = """
from dataclasses import dataclass
import torch
from torch.autograd.function import once_differentiable
from descend.ops.op import Op

class Cube(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x**3

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    DECORATOR
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return BACKWARD

@dataclass(frozen=True)
class Own(Op):
    def __call__(self, x):
        return Cube.apply(x)
"""


def own_op(backward: str, decorator: str = "") -> str:
    """Return a module with the op `Own`, its backward the expression given."""
    return SOURCE.replace("DECORATOR", decorator).replace("BACKWARD", backward)
