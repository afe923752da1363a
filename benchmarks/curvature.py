"""Eigenvalues, trace and density of Hessians against PyHessian, curvlinops and hessian-eigenthings.

CPU time on one thread, peer and ours in turn, medians of the rounds. Each peer is given the cheapest of its settings,
by the number of its products, whose largest relative error is at most 1e-3, or else the most accurate. The reference
is scipy's eigsh in float64 over double backward, and for the smallest network the dense matrix too.

Densities are compared twice. With 60 steps and 10 probes on both sides the products are the same in number, and
PyHessian keeps its gradient's graph as we do: wherever the products are the cost, the times cannot differ by much. Then
each side has its cheapest setting that is as accurate as PyHessian's 60 steps and 10 probes; ours finds the spectrum
first and leaves it out of what the probes look for. Errors are Wasserstein's distance to a float64 reference as a share
of the largest eigenvalue, means over seeds.

The peers would have pip replace torch, so they are installed without their dependencies:

    pip install --no-deps pyhessian curvlinops-for-pytorch==3.0.1 hessian-eigenthings==1.0.0a5 backpack-for-pytorch \\
        einops einconv linear_operator opt-einsum jaxtyping wadler_lindig unfoldNd tqdm

    python benchmarks/curvature.py [rounds]
"""

import sys
import warnings
from collections.abc import Callable

import numpy as np
import torch
from curvlinops import HessianLinearOperator
from curvlinops.papyan2020traces.spectrum import fast_lanczos
from hessian_eigenthings import HessianOperator, lanczos
from pyhessian import hessian as PyHessian
from ratios import Ratio, against
from rich.console import Console
from rich.table import Table
from scipy.sparse.linalg import LinearOperator, eigsh
from scipy.stats import wasserstein_distance
from torch import Tensor, nn
from trained_networks import Trained, networks

from descend.derivatives import HessianProduct, density, hessian, moments, spectrum

SEEDS = range(3)
GOAL = 1e-3
TOP = 10


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ours(problem: Trained, tolerance: float, seed: int) -> Tensor:
    product = HessianProduct(problem.loss, problem.params())
    return spectrum(product, generator(seed), top=TOP, tolerance=tolerance).top.values


def by_pyhessian(problem: Trained, tolerance: float, seed: int) -> Tensor:
    torch.manual_seed(seed)
    work = PyHessian(problem.network, nn.CrossEntropyLoss(), data=(problem.inputs, problem.targets), cuda=False)
    values = work.eigenvalues(maxIter=1000, tol=tolerance, top_n=TOP)[0]
    problem.network.zero_grad()
    return torch.tensor(values, dtype=torch.float64)


def curvlinops_operator(problem: Trained) -> HessianLinearOperator:
    data = [(problem.inputs, problem.targets)]
    parameters = list(problem.network.parameters())
    return HessianLinearOperator(problem.network, nn.CrossEntropyLoss(), parameters, data, check_deterministic=False)


def by_curvlinops(problem: Trained, tolerance: float, seed: int) -> Tensor:
    operator = curvlinops_operator(problem).to_scipy()
    start = np.random.default_rng(seed).standard_normal(operator.shape[0]).astype(np.float32)
    values = eigsh(operator, TOP, which="LA", tol=tolerance, v0=start, return_eigenvectors=True)[0]
    return torch.from_numpy(values[::-1].astype(np.float64))


def by_eigenthings(problem: Trained, steps: int, seed: int) -> Tensor:
    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(network(batch[0]), batch[1])

    operator = HessianOperator(problem.network, [(problem.inputs, problem.targets)], loss)
    return lanczos(operator, k=TOP, max_iter=steps, which="LA", seed=seed, reorthogonalize=True).eigenvalues.double()


# Each with its settings, cheapest first.
PEERS = {
    "PyHessian": (by_pyhessian, (1e-2, 1e-3, 1e-4, 1e-5)),
    "curvlinops + eigsh": (by_curvlinops, (1e-1, 1e-2, 1e-3, 1e-4)),
    "hessian-eigenthings": (by_eigenthings, (16, 20, 24, 28, 32, 40, 50, 64)),
}
TARGETS = {"PyHessian": 7, "curvlinops + eigsh": 2.3, "hessian-eigenthings": 1.3}


def reference(problem: Trained) -> Tensor:
    """The largest eigenvalues in float64, by scipy over plain double backward."""
    exact, params = problem.double()
    inputs = {name: value.requires_grad_() for name, value in params.items()}
    leaves = list(inputs.values())
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(exact.loss(inputs), leaves, create_graph=True)])

    def product(vector: np.ndarray) -> np.ndarray:
        weights = torch.from_numpy(vector.ravel().copy())
        pieces = torch.autograd.grad(gradient, leaves, weights, retain_graph=True)
        return torch.cat([piece.flatten() for piece in pieces]).numpy()

    operator = LinearOperator((len(gradient), len(gradient)), product, dtype=np.float64)
    values = eigsh(operator, TOP, which="LA", tol=1e-9, v0=np.ones(len(gradient)))[0]
    true = torch.from_numpy(values[::-1].copy())
    if len(gradient) < 3000:
        dense = torch.linalg.eigvalsh(hessian(exact.loss, exact.double()[1])).flip(0)[:TOP]
        torch.testing.assert_close(true, dense, rtol=1e-7, atol=0)
    return true


def worst_error(route: Callable, problem: Trained, setting: float, true: Tensor) -> float:
    found = [route(problem, setting, seed) for seed in SEEDS]
    return max(float(((values.sort(descending=True).values - true) / true).abs().max()) for values in found)


def fair_setting(route: Callable, settings: tuple, problem: Trained, true: Tensor) -> tuple[float, float]:
    """The cheapest setting that reaches the goal, or else the most accurate, and its error."""
    tried = []
    for setting in settings:
        tried.append((worst_error(route, problem, setting, true), setting))
        if tried[-1][0] <= GOAL:
            return setting, tried[-1][0]
    error, setting = min(tried)
    return setting, error


def timed(route: Callable, *arguments: object) -> Callable[[], Callable[[], object]]:
    return lambda: lambda: route(*arguments)


def cells(ratio: Ratio) -> tuple[str, str]:
    return f"{ratio.median:.1f}", f"{ratio.low:.1f} {ratio.high:.1f}"


def eigenvalues(problems: dict[str, Trained], rounds: int) -> Table:
    table = Table("network", "peer", "setting", "its error", "our error", "times faster", "quartiles", "target")
    table.title = f"Top {TOP} eigenvalues"
    for name, problem in problems.items():
        true = reference(problem)
        error = worst_error(ours, problem, GOAL, true)
        chosen = {peer: fair_setting(route, settings, problem, true) for peer, (route, settings) in PEERS.items()}
        works = {peer: timed(PEERS[peer][0], problem, setting, 0) for peer, (setting, _) in chosen.items()}
        for peer, ratio in against(timed(ours, problem, GOAL, 0), works, rounds).items():
            setting, its_error = chosen[peer]
            row = (f"{setting:g}", f"{its_error:.0e}", f"{error:.0e}", *cells(ratio), f"≥ {TARGETS[peer]}")
            table.add_row(name, peer, *row)
    return table


def our_event(problem: Trained) -> tuple[Tensor, float, float]:
    """What a metric takes at a step: eigenvalues to a percent, and a trace with its standard error."""
    product = HessianProduct(problem.loss, problem.params())
    found = spectrum(product, generator(0), top=5, tolerance=1e-2)
    trace = moments(product, generator(1), probes=4, known=found).trace
    return found.top.values, trace.value, trace.error


def adam_steps(problem: Trained, count: int) -> Callable[[], Callable[[], None]]:
    """`count` steps as one would write them, on a copy of the parameters."""

    def prepare() -> Callable[[], None]:
        params = {name: value.clone().requires_grad_() for name, value in problem.params().items()}
        optimizer = torch.optim.Adam(params.values(), lr=1e-3)

        def steps() -> None:
            for _ in range(count):
                optimizer.zero_grad()
                problem.loss(params).backward()
                optimizer.step()

        return steps

    return prepare


def events(problems: dict[str, Trained], rounds: int) -> Table:
    table = Table("network", "samples", "training steps", "quartiles", "target", "error of the top 5", "of the trace")
    table.title = "Top 5 and trace, in steps of Adam on the whole batch"
    count = 10
    for name, problem in problems.items():
        parts = {"whole batch": (problem, 28), "64": (problem.first(64), 17)}
        works = {samples: timed(our_event, part) for samples, (part, _) in parts.items()}
        for samples, ratio in against(adam_steps(problem, count), works, rounds).items():
            part, target = parts[samples]
            steps = cells(Ratio(*(count * value for value in ratio)))
            values, trace, error = our_event(part)
            true = reference(part)[:5]
            worst = float(((values - true) / true).abs().max())
            table.add_row(name, samples, *steps, f"≤ {target}", f"{worst:.0e}", f"± {error / abs(trace):.1%}")
    return table


# Steps and probes of a density, by the number of products, and those that the targets are about.
LADDER = ((60, 1), (60, 2), (120, 2), (60, 10))
NAMED = (60, 10)
Setting = tuple[int, int]
Measure = tuple[Tensor, Tensor]


def density_by_pyhessian(problem: Trained, setting: Setting, seed: int) -> Measure:
    torch.manual_seed(seed)
    work = PyHessian(problem.network, nn.CrossEntropyLoss(), data=(problem.inputs, problem.targets), cuda=False)
    nodes, weights = work.density(iter=setting[0], n_v=setting[1])
    problem.network.zero_grad()
    return torch.tensor(nodes).flatten(), torch.tensor(weights).flatten()


def density_by_curvlinops(problem: Trained, setting: Setting, seed: int) -> Measure:
    """The rules within `lanczos_approximate_spectrum`, before it smooths them and without its search for the edges."""
    torch.manual_seed(seed)
    operator = curvlinops_operator(problem)
    rules = [fast_lanczos(operator, setting[0]) for _ in range(setting[1])]
    return torch.cat([values for values, _ in rules]), torch.cat([vectors[0].square() for _, vectors in rules])


def our_plain_density(problem: Trained, setting: Setting, seed: int) -> Measure:
    found = density(HessianProduct(problem.loss, problem.params()), generator(seed), *setting)
    return found.nodes, found.weights


def our_density(problem: Trained, setting: Setting, seed: int) -> Measure:
    """With the spectrum that a user who looks at densities looks at anyway; its time counts here."""
    product = HessianProduct(problem.loss, problem.params())
    known = spectrum(product, generator(seed), top=TOP, tolerance=1e-2)
    found = density(product, generator(seed + 1), *setting, known)
    return found.nodes, found.weights


DENSITIES = {"PyHessian": (density_by_pyhessian, 4), "curvlinops": (density_by_curvlinops, 8)}


def reference_density(problem: Trained) -> Measure:
    """In float64: all eigenvalues of the smallest network's; elsewhere by many starts beside a large known basis."""
    exact, params = problem.double()
    if sum(value.numel() for value in params.values()) < 3000:
        values = torch.linalg.eigvalsh(hessian(exact.loss, params))
        return values, torch.ones_like(values)
    product = HessianProduct(exact.loss, params)
    known = spectrum(product, generator(10), top=40, tolerance=1e-3)
    found = density(product, generator(11), steps=150, probes=12, known=known)
    return found.nodes, found.weights


def distance(found: Measure, true: Measure) -> float:
    """Wasserstein's, as a share of the largest eigenvalue."""
    (nodes, weights), (values, masses) = found, true
    return wasserstein_distance(nodes, values, weights, masses) / float(values.abs().max())


def density_error(route: Callable, problem: Trained, setting: Setting, true: Measure) -> float:
    return sum(distance(route(problem, setting, seed), true) for seed in SEEDS[:2]) / 2


def as_accurate(route: Callable, problem: Trained, goal: float, true: Measure) -> tuple[Setting, float]:
    """The first of the ladder that reaches the goal, or else the last, and its error."""
    for setting in LADDER:
        error = density_error(route, problem, setting, true)
        if error <= goal:
            break
    return setting, error


def densities(problems: dict[str, Trained], rounds: int) -> Table:
    table = Table("network", "peer", "its setting", "ours", "its error", "our error", "times faster", "quartiles")
    table.add_column("target")
    table.title = "Density: first the same steps and probes on both sides, then each side's cheapest as accurate"
    for name, problem in problems.items():
        true = reference_density(problem)
        named = {peer: (NAMED, density_error(route, problem, NAMED, true)) for peer, (route, _) in DENSITIES.items()}
        goal = named["PyHessian"][1]
        cheapest = {peer: as_accurate(route, problem, goal, true) for peer, (route, _) in DENSITIES.items()}
        plain = NAMED, density_error(our_plain_density, problem, NAMED, true)
        best = as_accurate(our_density, problem, goal, true)
        sides = ((our_plain_density, plain, named), (our_density, best, cheapest))
        for ours, (setting, error), theirs in sides:
            works = {peer: timed(DENSITIES[peer][0], problem, its, 0) for peer, (its, _) in theirs.items()}
            for peer, ratio in against(timed(ours, problem, setting, 0), works, rounds).items():
                its, its_error = theirs[peer]
                row = (f"{its[0]} x {its[1]}", f"{setting[0]} x {setting[1]}", f"{its_error:.1e}", f"{error:.1e}")
                table.add_row(name, peer, *row, *cells(ratio), f"≥ {DENSITIES[peer][1]}")
    return table


def removed_eig(matrix: Tensor, eigenvectors: bool) -> tuple[Tensor, Tensor]:
    """What PyHessian calls as torch.eig, which torch has removed: real parts in the first column."""
    values, vectors = torch.linalg.eig(matrix)
    return torch.view_as_real(values), vectors.real


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "Using backward\\(\\) with create_graph=True")
    torch.set_num_threads(1)
    torch.eig = removed_eig  # type: ignore[assignment]  # PyHessian asks for no more than this
    rounds, console, problems = int(sys.argv[1]) if len(sys.argv) > 1 else 7, Console(), networks()
    for part in (eigenvalues, events, densities):
        console.print(part(problems, rounds))
