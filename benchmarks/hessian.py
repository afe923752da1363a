"""The full Hessian against PyTorch's own: time, peak memory, and error to a float64 reference.

Times are CPU time on one thread, peer and ours in turn, medians of the rounds, each problem in a process of its own.
Memory is how far the resident size of such a process peaks above what it was. The reference is the Hessian by hand
(Rosenbrock), or `torch.func.hessian` of the same network with its normalisation written out in elementary operations,
where it is right.

    python benchmarks/hessian.py [rounds]
"""

import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from ratios import Ratio, against
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from torch import Tensor

from descend.derivatives import hessian, ravel, unravel
from descend.types import Loss, Params

Route = Callable[[Loss, Params], Tensor]


def rosenbrock(params: Params) -> Tensor:
    x = params["x"]
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def rosenbrock_hessian(x: Tensor) -> Tensor:
    main = torch.zeros_like(x)
    main[:-1] += 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    main[1:] += 200
    off = -400 * x[:-1]
    return main.diag() + off.diag(1) + off.diag(-1)


def layer_norm_by_hand(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def batch_norm_by_hand(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return layer_norm_by_hand(x.T, weight[:, None], bias[:, None]).T


NORMALISATIONS = {
    "no normalisation": (None, None),
    "layer norm": (lambda x, w, b: F.layer_norm(x, x.shape[-1:], w, b), layer_norm_by_hand),
    "batch norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), batch_norm_by_hand),
}


@dataclass(frozen=True)
class Digits:
    """Cross-entropy of an MLP 64-hidden-10 on the first samples of scikit-learn's digits."""

    samples: int
    hidden: int = 32
    dtype: torch.dtype = torch.float32
    normalisation: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None

    def init(self) -> Params:
        generator = torch.Generator().manual_seed(0)
        shapes = {"w1": (self.hidden, 64), "b1": (self.hidden,), "w2": (10, self.hidden), "b2": (10,)}
        if self.normalisation is not None:
            shapes |= {"scale": (self.hidden,), "shift": (self.hidden,)}
        return {name: torch.randn(shape, generator=generator).to(self.dtype) / 8 for name, shape in shapes.items()}

    def loss(self) -> Loss:
        digits = load_digits()
        inputs = torch.tensor(digits.data[: self.samples] / 16, dtype=self.dtype)
        targets = torch.tensor(digits.target[: self.samples])

        def loss(params: Params) -> Tensor:
            hidden = F.linear(inputs, params["w1"], params["b1"])
            if self.normalisation is not None:
                hidden = self.normalisation(hidden, params["scale"], params["shift"])
            return F.cross_entropy(F.linear(hidden.tanh(), params["w2"], params["b2"]), targets)

        return loss


def functorch(f: Loss, params: Params) -> Tensor:
    """One matrix: over the single tensor there is, or else over the parameters end to end."""
    if len(params) == 1:
        ((name, value),) = params.items()
        return torch.func.hessian(lambda x: f({name: x}))(value)
    return torch.func.hessian(lambda flat: f(unravel(flat, params)))(ravel(params))


def functorch_by_blocks(f: Loss, params: Params) -> dict[str, dict[str, Tensor]]:
    return torch.func.hessian(f)(params)


def functional(f: Loss, params: Params) -> Tensor:
    return torch.autograd.functional.hessian(lambda x: f(unravel(x, params)), ravel(params), vectorize=True)


PEERS = {
    "torch.func.hessian": functorch,
    "torch.func.hessian, left in blocks": functorch_by_blocks,
    "autograd.functional.hessian, vectorised": functional,
}

ROUTES = {**PEERS, "ours": hessian}


def error(found: Tensor, true: Tensor) -> float:
    """Largest error relative to the largest entry."""
    return float((found.double() - true).abs().max() / true.abs().max())


def case(name: str) -> tuple[Loss, Params]:
    if name == "digits MLP":
        digits = Digits(samples=128)
        return digits.loss(), digits.init()
    size = int(name.removeprefix("Rosenbrock "))
    return rosenbrock, {"x": torch.randn(size, generator=torch.Generator().manual_seed(0))}


def times_faster(name: str, rounds: int) -> dict[str, Ratio]:
    """Time of each peer over ours."""
    torch.set_num_threads(1)
    f, params = case(name)
    repeats = max(1, 200 // ravel(params).numel())

    def work(route: Callable[[Loss, Params], object]) -> Callable[[], Callable[[], object]]:
        return lambda: lambda: [route(f, params) for _ in range(repeats)]

    return against(work(hessian), {peer: work(route) for peer, route in PEERS.items()}, rounds)


def speed(rounds: int) -> Table:
    table = Table(title="Time of the full Hessian")
    for column in ("problem", "peer", "times faster", "quartiles", "target"):
        table.add_column(column)
    targets = {f"Rosenbrock {size}": 4 for size in (2, 10, 100, 1000)} | {"digits MLP": 2}
    for name, target in targets.items():
        for peer, ratio in apart(times_faster, name, rounds).items():
            goal = f"≥ {target}" if peer == "torch.func.hessian" else ""
            table.add_row(name, peer, f"{ratio.median:.2f}", f"{ratio.low:.2f} {ratio.high:.2f}", goal)
    return table


def apart(function: Callable, *arguments: object) -> Any:
    """What `function` returns in a process of its own, where no earlier work has shaped the heap."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def peak_growth(name: str) -> float:
    """By how many MiB the resident size of this process peaks above what it was before the call (Linux)."""
    torch.set_num_threads(1)
    route = ROUTES[name]
    small, digits = Digits(samples=8, hidden=1), Digits(samples=1024)
    route(small.loss(), small.init())
    f, params = digits.loss(), digits.init()
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from the present size
    before = resident("VmRSS")
    route(f, params)
    return (resident("VmHWM") - before) / 1024


def resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def memory() -> Table:
    table = Table("route", "MiB", "of torch.func.hessian's", "target", title="Peak memory, digits MLP, batch 1024")
    peaks = {name: apart(peak_growth, name) for name in ROUTES}
    for name, peak in peaks.items():
        share, goal = peak / peaks["torch.func.hessian"], "≤ 0.20" if name == "ours" else ""
        table.add_row(name, f"{peak:.0f}", f"{share:.2f}", goal)
    return table


def errors() -> Table:
    table = Table("problem, float64", "ours", "torch.func.hessian", "target of ours", title="Largest relative error")
    for n in (2, 10, 100, 1000):
        params = {"x": torch.randn(n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)}
        true = rosenbrock_hessian(params["x"])
        found = [error(route(rosenbrock, params), true) for route in (hessian, functorch)]
        table.add_row(f"Rosenbrock {n}", *(f"{value:.0e}" for value in found), "≤ 1e-12")
    for name, (fused, by_hand) in NORMALISATIONS.items():
        written_out, network = (Digits(128, 16, torch.float64, way) for way in (by_hand, fused))
        true = functorch(written_out.loss(), written_out.init())
        found = [error(route(network.loss(), network.init()), true) for route in (hessian, functorch)]
        table.add_row(f"digits MLP, {name}", *(f"{value:.0e}" for value in found), "≤ 1e-12")
    return table


if __name__ == "__main__":
    torch.set_num_threads(1)
    console = Console()
    console.print(errors())
    console.print(memory())
    console.print(speed(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
