"""Draws the pictures of experiments/guide/README.md into its folder."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional

import descend
from descend.derivatives.hessian import hessian
from descend.derivatives.orders import derivative
from descend.ops.guide_relu import GuideReLU
from descend.ops.loop import Loop
from descend.types import Params

HERE = Path(__file__).parent
TRUE, PRINTED = "tab:blue", "crimson"


def grid(low: float, high: float, count: int = 400) -> Tensor:
    return torch.linspace(low, high, count, dtype=torch.float64, device="cpu")


def figure(columns: int) -> tuple[Figure, np.ndarray]:
    made = Figure(figsize=(4.6 * columns, 3.7), dpi=100, layout="constrained")
    FigureCanvasAgg(made)
    return made, made.subplots(1, columns, squeeze=False)[0]


def save(made: Figure, name: str) -> None:
    made.savefig(HERE / f"{name}.png")


def higher_orders() -> None:
    """The cubic with its tangent and its parabola at x = 2, and the guide's numbers for them."""
    made, (left, right) = figure(2)
    x, at = grid(0.5, 3.5), torch.tensor([2.0], dtype=torch.float64, device="cpu")

    def cubic(x: Tensor) -> Tensor:
        return x**3 + 2 * x**2 + 3 * x + 4

    y, slope, curvature = (float(derivative(cubic, order)(at)) for order in (0, 1, 2))
    step = x - 2
    left.plot(x, cubic(x), color="black", label="y = x³ + 2x² + 3x + 4")
    left.plot(x, y + slope * step, color=TRUE, label=f"slope {slope:g}")
    left.plot(x, y + 17 * step, color=PRINTED, linestyle="--", label="slope 17, as printed")
    right.plot(x, cubic(x) - y - slope * step, color="black", label="y less its tangent")
    right.plot(x, curvature / 2 * step**2, color=TRUE, label=f"curvature {curvature:g}")
    right.plot(x, 10 / 2 * step**2, color=PRINTED, linestyle="--", label="curvature 10, as printed")
    for axes in (left, right):
        axes.plot(2, y if axes is left else 0, "o", color="black")
        axes.legend()
        axes.set_xlabel("x")
    save(made, "higher_order")


def descent() -> None:
    """x by steps, for the optimizers of the chapter, and the two minima: the parabola's, and the printed one."""
    made, (axes,) = figure(1)
    for name, optimizer in {"gradient descent": "name=SGD", "Adam": "name=Adam", "RMSprop": "name=RMSprop"}.items():
        result = descend.run(["experiment=guide/optimizers", f"optimizer.{optimizer}"])
        path = result.records.filter(name="parameter/x").sort("step")
        axes.plot(path["step"], path["value"], label=name)
    axes.axhline(-0.75, color="black", linewidth=1, label="the minimum, −3/4")
    axes.axhline(-1.5, color=PRINTED, linewidth=1, linestyle="--", label="−1.5, as printed")
    axes.set(xlabel="step", ylabel="x")
    axes.legend()
    save(made, "optimizers")


def control_flow() -> None:
    """The loop, and the ReLU's two derivatives at 0."""
    made, (left, right) = figure(2)
    x = grid(0.0, 6.0)
    slope = derivative(Loop(), 1)(x)
    left.plot(x, Loop()(x), color="black", label="y = Σ (x − i)² over i < x")
    left.plot(x, slope, color=TRUE, label="y′")
    left.plot(5, 30, "o", color=PRINTED, label="y′(5) = 30")
    left.set_xlabel("x")
    left.legend()
    near = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0], dtype=torch.float64, device="cpu")
    right.plot(near, derivative(GuideReLU(), 1)(near), "o", color=PRINTED, markersize=10, label="the guide's ReLU")
    right.plot(near, derivative(torch.relu, 1)(near), "o", color=TRUE, label="torch.relu")
    right.set(xlabel="x", ylabel="derivative")
    right.legend()
    save(made, "control_flow")


def layer_norm() -> None:
    """The Hessian of a small layer norm, and how far torch.func.hessian is from it."""
    generator = torch.Generator(device="cpu").manual_seed(0)
    data = torch.randn(6, 4, generator=generator, dtype=torch.float64, device="cpu")
    start = 1 + 0.3 * torch.randn(12, generator=generator, dtype=torch.float64, device="cpu")

    def loss(theta: Tensor) -> Tensor:
        scale, weight, bias = theta.split(4)
        return torch.tanh(functional.layer_norm(data * scale, (4,), weight, bias)).square().sum()

    def of_params(params: Params) -> Tensor:
        return loss(params["theta"])

    right, found = hessian(of_params, {"theta": start}), torch.func.hessian(loss)(start)
    made, panels = figure(3)
    off = found - right
    shown = {"the Hessian": right, "torch.func.hessian, less that": off, "its asymmetry": found - found.T}
    for axes, (title, matrix) in zip(panels, shown.items(), strict=True):
        bound = float(matrix.abs().max())
        image = axes.imshow(matrix, cmap="RdBu", vmin=-bound, vmax=bound)
        made.colorbar(image, ax=axes, shrink=0.8)
        axes.set_title(title)
    share = float(off.abs().max() / right.abs().max())
    print(f"layer norm: torch.func.hessian is off by {share:.1%} of the greatest entry")
    save(made, "layer_norm")


if __name__ == "__main__":
    with torch.no_grad():  # what is drawn needs no graph
        higher_orders()
        control_flow()
    descent()
    layer_norm()
