"""A loss of the k-th derivative of a 3 x 128 tanh MLP, with its backward, against nested torch.autograd.grad.

What a physics-informed network pays for its residual. 1,024 points, CPU time on one thread, peer and ours in turn,
medians of the rounds; then the sets of partial derivatives of well-known equations, nested_partials and
taylor_partials against the automatic choice. Agreement is that of value and gradient with the peer's, in float64.
jet-for-pytorch needs Python 3.12, and is left out below.

    python benchmarks/high_orders.py [rounds]
"""

import sys
from collections.abc import Callable

import torch
from ratios import Work, against
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from descend.derivatives import auto_partials, derivative, nested_partials, taylor_partials

POINTS = 1024
TARGETS = {2: 1 / 1.05, 3: None, 4: 2.0, 5: None, 6: 8.0}
EQUATIONS = {
    "heat": [(2, 0), (0, 1)],
    "Burgers": [(0, 0), (1, 0), (2, 0), (0, 1)],
    "Helmholtz": [(0, 0), (2, 0), (0, 2)],
    "KdV": [(0, 0), (1, 0), (3, 0), (0, 1)],
    "beam": [(4, 0)],
    "u_xxt": [(2, 1)],
    "biharmonic": [(4, 0), (2, 2), (0, 4)],
}
Step = Callable[[], tuple[Tensor, ...]]


def network(inputs: int, width: int, dtype: torch.dtype) -> nn.Sequential:
    torch.manual_seed(0)
    middle = [each for _ in range(2) for each in (nn.Linear(width, width), nn.Tanh())]
    return nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), *middle, nn.Linear(width, 1)).to(dtype)


def nested(u: nn.Module, order: int) -> Callable[[Tensor], Tensor]:
    """What people write."""

    def differentiated(points: Tensor) -> Tensor:
        x = points.detach().requires_grad_()
        y = u(x)
        for _ in range(order):
            (y,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return y

    return differentiated


def pointwise(route: Callable, order: int, dtype: torch.dtype) -> Step:
    """Mean square of the derivative, and its gradient."""
    u = network(1, 128, dtype)
    points = torch.linspace(-1, 1, POINTS, dtype=dtype)[:, None]
    differentiated = route(u, order)

    def step() -> tuple[Tensor, ...]:
        loss = (differentiated(points) ** 2).mean()
        gradients = torch.autograd.grad(loss, list(u.parameters()), allow_unused=True, materialize_grads=True)
        return loss.detach(), *gradients

    return step


def partials(route: Callable, name: str, width: int) -> Step:
    """Mean square of each derivative of an equation, summed, and its gradient."""
    u = network(2, width, torch.float64)
    points = torch.rand(POINTS, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def step() -> tuple[Tensor, ...]:
        loss = sum((value**2).mean() for value in route(u, points, EQUATIONS[name]).values())
        gradients = torch.autograd.grad(loss, list(u.parameters()), allow_unused=True, materialize_grads=True)
        return loss.detach(), *gradients

    return step


def repeated(step: Step, times: int = 1) -> Work:
    return lambda: lambda: [step() for _ in range(times)]


def disagreement(ours: Step, peer: Step) -> float:
    """The largest difference in value or gradient over the largest entry of that tensor."""
    pairs = zip(ours(), peer(), strict=True)
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-300)) for a, b in pairs)


def orders(rounds: int) -> Table:
    table = Table("dtype", "k", "times faster", "quartiles", "target", "disagreement", "target")
    for dtype in (torch.float32, torch.float64):
        table.add_section()
        for order, target in TARGETS.items():
            ours, peer = (pointwise(route, order, dtype) for route in (derivative, nested))
            times = max(1, 24 // 3 ** (order - 1))  # short steps more often, for the same certainty
            ratio = against(repeated(ours, times), {"nested": repeated(peer, times)}, rounds)["nested"]
            goal = f"≥ {target:.2f}" if target else ""
            bound = "≤ 1e-10" if dtype == torch.float64 else ""
            quartiles = f"{ratio.low:.2f} {ratio.high:.2f}"
            cells = (f"{ratio.median:.2f}", quartiles, goal, f"{disagreement(ours, peer):.0e}", bound)
            table.add_row(str(dtype).removeprefix("torch."), str(order), *cells)
    return table


def equations(rounds: int) -> Table:
    table = Table("partial derivatives of", "width", "nested / auto", "taylor / auto", "disagreement")
    for width in (32, 128):
        table.add_section()
        for name in EQUATIONS:
            auto, reverse, series = (
                partials(route, name, width) for route in (auto_partials, nested_partials, taylor_partials)
            )
            ratios = against(repeated(auto), {"nested": repeated(reverse), "taylor": repeated(series)}, rounds)
            cells = (f"{ratios[route].median:.2f}" for route in ("nested", "taylor"))
            table.add_row(name, str(width), *cells, f"{disagreement(series, reverse):.0e}")
    return table


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    console = Console()
    console.print(orders(rounds))
    console.print(equations(rounds))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
