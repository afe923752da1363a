"""The k-th derivative at 1,000 points, k = 1 … 8, against nested torch.autograd.grad, with errors at k = 8.

In float64, on a scalar function and on a tanh MLP of four layers of 64. CPU time on one thread, peer and ours in turn,
medians of the rounds. The peer builds no graph in its last pass, and ours runs without grad mode: the values alone.
The reference for the errors is mpmath's difference quotient at 60 digits. jet-for-pytorch needs Python 3.12, and is
left out below.

    python benchmarks/orders.py [rounds]
"""

import sys
from collections.abc import Callable

import mpmath
import torch
from ratios import Ratio, against
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from descend.derivatives import derivative

ORDERS = range(1, 9)
CHECKED = 12
Function = Callable[[Tensor], Tensor]


def scalar(x: Tensor) -> Tensor:
    return torch.sin(3 * x) * torch.exp(-x * x / 2) / (1 + x * x)


def scalar_exactly(x: mpmath.mpf) -> mpmath.mpf:
    return mpmath.sin(3 * x) * mpmath.exp(-x * x / 2) / (1 + x * x)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(1, 64), nn.Tanh(), *(each for _ in range(3) for each in (nn.Linear(64, 64), nn.Tanh()))]
    return nn.Sequential(*layers, nn.Linear(64, 1)).double().requires_grad_(False)


def network_exactly(layers: nn.Sequential) -> Callable[[mpmath.mpf], mpmath.mpf]:
    linear = [
        (mpmath.matrix(each.weight.tolist()), mpmath.matrix(each.bias.tolist()))
        for each in layers
        if isinstance(each, nn.Linear)
    ]

    def value(x: mpmath.mpf) -> mpmath.mpf:
        h = mpmath.matrix([x])
        for weight, bias in linear[:-1]:
            h = (weight * h + bias).apply(mpmath.tanh)
        return (linear[-1][0] * h + linear[-1][1])[0]

    return value


def nested(f: Function, order: int) -> Function:
    """What people write."""

    def differentiated(points: Tensor) -> Tensor:
        x = points.detach().requires_grad_()
        y = f(x)
        for k in range(1, order + 1):
            (y,) = torch.autograd.grad(y.sum(), x, create_graph=k < order)
        return y

    return differentiated


def ours(f: Function, order: int) -> Function:
    return torch.no_grad()(derivative(f, order))


def measured(f: Function, points: Tensor, order: int, rounds: int) -> Ratio:
    """Time of nested grad over ours."""
    repeats = max(1, 1000 // 3**order)

    def work(route: Callable[[Function, int], Function]) -> Callable[[], Callable[[], object]]:
        differentiated = route(f, order)
        return lambda: lambda: [differentiated(points) for _ in range(repeats)]

    return against(work(ours), {"nested": work(nested)}, rounds)["nested"]


def error(value: Tensor, exactly: Callable[[mpmath.mpf], mpmath.mpf], points: Tensor, order: int) -> float:
    """The largest error over the largest value, at some of the points."""
    chosen = torch.linspace(0, len(points) - 1, CHECKED).long()
    with mpmath.workdps(60):
        exact = [float(mpmath.diff(exactly, mpmath.mpf(x), order)) for x in points[chosen].flatten().tolist()]
    true = torch.tensor(exact, dtype=torch.float64)
    return float((value[chosen].flatten() - true).abs().max() / true.abs().max())


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    points = torch.linspace(-1, 1, 1000, dtype=torch.float64)
    layers = network()
    problems: dict[str, tuple[Function, Callable[[mpmath.mpf], mpmath.mpf], Tensor]] = {
        "scalar": (scalar, scalar_exactly, points),
        "MLP 4 x 64": (layers, network_exactly(layers), points[:, None]),
    }
    table = Table("k", "times faster", "quartiles", "target", "error", "of nested", "target")
    for name, (f, exactly, x) in problems.items():
        table.add_section()
        table.add_row(name)
        for order in ORDERS:
            # The short ones more often: there is a tenth to be told apart.
            ratio = measured(f, x, order, rounds if order > 4 else 5 * rounds)
            goal = 25.0 if order == 8 else 1 / 1.1
            found = [error(route(f, order)(x), exactly, x, order) for route in (ours, nested)]
            quartiles = f"{ratio.low:.2f} {ratio.high:.2f}"
            errors = (f"{found[0]:.0e}", f"{found[1]:.0e}", "≤ 1e-13" if order == 8 else "")
            table.add_row(str(order), f"{ratio.median:.2f}", quartiles, f"≥ {goal:.2f}", *errors)
    Console().print(table)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
