"""Methods of the Fisher matrix of a network: twins written with torch.func and loops, and what their papers promise."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian, jacrev
from torch.nn import functional

import descend
from descend.derivatives.flat import ravel
from descend.derivatives.layers import layer_gradients, layers_of
from descend.errors import ConfigurationError
from descend.graph.chance import Chance
from descend.objectives import labels
from descend.objectives.module import usual_loss
from descend.optimizers.ekfac import EKFAC
from descend.optimizers.kfac import KFAC
from descend.optimizers.natural_gradient import NaturalGradient
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.sophia_g import SophiaG
from descend.types import Composed, Params

QUIET = ["metrics=none", "derivatives=none"]
METHODS = [NaturalGradient(), SophiaG(), KFAC(), EKFAC()]
DRAWING = METHODS[1:]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Problem:
    """A module on examples: its loss in the form that methods ask for.

    Args:
        noise: for numbers, the labels' distance from the outputs, in deviations; None draws them.
    """

    def __init__(self, module: nn.Module, inputs: Tensor, targets: Tensor, noise: Tensor | None = None) -> None:
        self.module, self.inputs, self.targets, self.noise = module.double(), inputs, targets, noise
        self.params = {name: x.detach() for name, x in module.named_parameters()}

    def outputs(self, params: Params) -> Tensor:
        found: Tensor = functional_call(self.module, params, (self.inputs,))
        return found

    def outer(self, outputs: Tensor) -> Tensor:
        return usual_loss(outputs, self.targets)

    def drawn(self, outputs: Tensor) -> Tensor:
        at = outputs.detach()
        if self.noise is not None:
            y = at + 0.5**0.5 * self.noise
        elif self.targets.is_floating_point():
            y = labels.drawn_numbers(at)
        else:
            y = labels.drawn_classes(at)
        return self.targets.numel() ** 0.5 * usual_loss(outputs, y)

    def __call__(self, params: Params) -> Tensor:
        return self.outer(self.outputs(params))

    def composed(self) -> Composed:
        return Composed(self.outputs, self.outer, self.drawn)

    def gradients(self) -> Params:
        leaves = {name: x.clone().requires_grad_() for name, x in self.params.items()}
        with torch.enable_grad():
            found = torch.autograd.grad(self(leaves), list(leaves.values()))
        return dict(zip(leaves, found, strict=True))

    def curvature(self) -> Tensor:
        """The Gauss-Newton matrix [n, n], by torch.func, in dict order."""
        rows = jacrev(self.outputs)(self.params)
        count = self.outputs(self.params).numel()
        jacobian = torch.cat([rows[name].reshape(count, -1) for name in self.params], dim=1)
        inner = hessian(self.outer)(self.outputs(self.params)).reshape(count, count)
        return jacobian.T @ inner @ jacobian

    def direction(self, optimizer: Optimizer) -> Params:
        """The first step of a method, divided by its rate."""
        return self.step(optimizer)[0]

    def step(self, optimizer: Optimizer) -> tuple[Params, Any]:
        own = optimizer.attached(self.composed(), self.params)
        with torch.no_grad(), Chance(0, 0):
            new, state = own.step(self.params, self.gradients(), own.init(self.params), self)
        return {name: (x - new[name]) / optimizer.lr for name, x in self.params.items()}, state


def classifier(seed: int = 0) -> Problem:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    return Problem(net, draw(7, 4), torch.arange(7) % 3)


def regression(*widths: int, bias: bool = True, examples: int = 12) -> Problem:
    """A deep linear network, its labels around the outputs such that their covariance is the identity on the batch."""
    torch.manual_seed(1)
    net = nn.Sequential(*(nn.Linear(a, b, bias=bias) for a, b in itertools.pairwise(widths)))
    orthogonal = torch.linalg.qr(draw(examples, widths[-1], seed=3)).Q * examples**0.5
    return Problem(net, draw(examples, widths[0]), draw(examples, widths[-1], seed=2), orthogonal)


# Natural gradient


@pytest.mark.parametrize("problem", [classifier(), regression(3, 4, 2)], ids=["softmax", "squared error"])
def test_the_natural_gradient_is_the_dense_solution(problem: Problem) -> None:
    n, damping = sum(x.numel() for x in problem.params.values()), 0.03
    expected = torch.linalg.solve(
        problem.curvature() + damping * torch.eye(n, dtype=torch.float64), ravel(problem.gradients())
    )
    found = problem.direction(NaturalGradient(lr=0.7, damping=damping, iterations=2 * n))
    torch.testing.assert_close(ravel(found), expected, rtol=1e-8, atol=1e-10)


def test_conjugate_gradients_are_those_of_scipy() -> None:
    from scipy.sparse.linalg import cg

    problem = classifier()
    matrix = (problem.curvature() + 0.1 * torch.eye(43, dtype=torch.float64)).numpy()
    for iterations in (1, 3, 8):
        expected, _ = cg(matrix, ravel(problem.gradients()).numpy(), rtol=0, maxiter=iterations)
        found = problem.direction(NaturalGradient(lr=0.7, damping=0.1, iterations=iterations))
        np.testing.assert_allclose(ravel(found).numpy(), expected, rtol=1e-8)


def test_one_step_solves_linear_regression() -> None:
    problem = regression(3, 2)
    found = problem.direction(NaturalGradient(lr=1.0, damping=0.0, iterations=20))
    design = np.hstack([problem.inputs.numpy(), np.ones((12, 1))])
    expected, *_ = np.linalg.lstsq(design, problem.targets.numpy(), rcond=None)
    np.testing.assert_allclose((problem.params["0.weight"] - found["0.weight"]).T, expected[:3], rtol=1e-10)
    np.testing.assert_allclose(problem.params["0.bias"] - found["0.bias"], expected[3], rtol=1e-10)


def test_a_singular_fisher_matrix_without_damping_is_solved_where_it_is_not() -> None:
    problem = classifier()  # 43 numbers, 7 examples of 3 classes
    found = problem.direction(NaturalGradient(lr=1.0, damping=0.0, iterations=60))
    expected = torch.linalg.pinv(problem.curvature(), rtol=1e-10) @ ravel(problem.gradients())
    torch.testing.assert_close(ravel(found), expected, rtol=1e-6, atol=1e-5)


# Labels


def test_the_labels_of_a_softmax_are_distributed_as_it_says() -> None:
    scores = torch.tensor([2.0, 0.0, -1.0, 1.0])
    torch.manual_seed(0)
    shares = torch.bincount(labels.drawn_classes(scores.expand(200_000, 4)), minlength=4) / 200_000
    expected = scores.softmax(0)
    assert ((shares - expected).abs() < 5 * (expected * (1 - expected) / 200_000).sqrt()).all()


def test_the_labels_of_numbers_have_the_variance_of_which_the_squared_error_is_the_density() -> None:
    torch.manual_seed(0)
    found = labels.drawn_numbers(torch.full((200_000,), 3.0, dtype=torch.float64))
    assert abs(found.mean() - 3) < 5 * (0.5 / 200_000) ** 0.5
    assert abs(found.var() - 0.5) < 5 * 0.5 * (2 / 200_000) ** 0.5


def expected_over_labels(problem: Problem, of: Callable[[], Tensor], monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The mean of what depends on drawn labels, over every one of them."""
    outputs = problem.outputs(problem.params)
    if problem.targets.is_floating_point():  # signs have the mean and covariance of normal numbers
        choices = [torch.tensor(x, dtype=torch.float64).view_as(outputs) for x in signs(outputs.numel())]
        return torch.stack([having(problem, noise, of) for noise in choices]).mean(0)
    total, chances = torch.zeros_like(of()), outputs.softmax(-1)
    for y in map(torch.tensor, itertools.product(range(outputs.shape[1]), repeat=len(outputs))):
        monkeypatch.setattr(labels, "drawn_classes", lambda scores, y=y: y)
        total = total + chances.gather(1, y[:, None]).prod() * of()
    return total


def signs(count: int) -> list[tuple[float, ...]]:
    return list(itertools.product((-1.0, 1.0), repeat=count))


def having(problem: Problem, noise: Tensor, of: Callable[[], Tensor]) -> Tensor:
    problem.noise = noise
    return of()


def small(kind: str) -> Problem:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3 if kind == "softmax" else 2))
    targets = torch.tensor([0, 2, 1]) if kind == "softmax" else draw(3, 2, seed=5)
    return Problem(net, draw(3, 2), targets)


@pytest.mark.parametrize("kind", ["softmax", "squared error"])
def test_sophias_estimate_has_the_diagonal_of_the_gauss_newton_matrix_for_a_mean(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = small(kind)
    method = SophiaG()
    found = expected_over_labels(problem, lambda: ravel(method.estimate(problem, problem.params)), monkeypatch)
    torch.testing.assert_close(found, problem.curvature().diagonal(), rtol=1e-10, atol=1e-14)


# K-FAC and EKFAC


def test_kfac_of_one_linear_layer_is_the_natural_gradient() -> None:
    problem = regression(3, 2)
    expected = torch.linalg.solve(problem.curvature(), ravel(problem.gradients()))
    found = problem.direction(KFAC(lr=1.0, damping=1e-30, kl_clip=1e30))
    torch.testing.assert_close(ravel(found), expected, rtol=1e-10, atol=1e-12)


def blocks(problem: Problem) -> dict[str, Tensor]:
    """The blocks of the dense Gauss-Newton matrix, [out · in, out · in], by weight; without biases."""
    matrix, found, begin = problem.curvature(), {}, 0
    for name, x in problem.params.items():
        found[name] = matrix[begin : begin + x.numel(), begin : begin + x.numel()]
        begin += x.numel()
    return found


def test_kfac_of_a_deep_linear_network_has_the_exact_blocks() -> None:
    """Bernacchia, Lengyel & Hennequin, "Exact natural gradient in deep linear networks" (NeurIPS 2018), section 3."""
    problem = regression(3, 4, 5, 2, bias=False)
    _, state = problem.step(KFAC())
    for name, block in blocks(problem).items():
        a, g = state["layers"][name]["factors"]
        torch.testing.assert_close(torch.kron(g, a), block, rtol=1e-10, atol=1e-12)


def test_the_damping_of_kfac_is_split_between_the_factors() -> None:
    """Martens & Grosse (2015), section 6.3, by inverses."""
    problem, damping = classifier(), 0.07
    found, state = problem.step(KFAC(lr=1.0, damping=damping, kl_clip=1e30))
    gradients = problem.gradients()
    for name in ("0", "2"):
        a, g = state["layers"][f"{name}.weight"]["factors"]
        pi = math.sqrt((a.trace() / len(a)) / (g.trace() / len(g)))
        a, g = (
            a + pi * damping**0.5 * torch.eye(len(a), dtype=torch.float64),
            g + damping**0.5 / pi * torch.eye(len(g), dtype=torch.float64),
        )
        whole = torch.cat([gradients[f"{name}.weight"], gradients[f"{name}.bias"][:, None]], dim=1)
        expected = torch.linalg.inv(g) @ whole @ torch.linalg.inv(a)
        torch.testing.assert_close(found[f"{name}.weight"], expected[:, :-1], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(found[f"{name}.bias"], expected[:, -1], rtol=1e-9, atol=1e-12)


def test_ekfac_of_one_linear_layer_is_the_natural_gradient_of_its_batch() -> None:
    """Its moments are those of the batch alone with decay 0; with one output they are the Fisher matrix's diagonal."""
    problem = regression(3, 1, bias=False)
    problem.noise = torch.ones(12, 1, dtype=torch.float64)  # every label as far as the deviation, so that s is constant
    expected = torch.linalg.solve(
        problem.curvature() + 0.2 * torch.eye(3, dtype=torch.float64), ravel(problem.gradients())
    )
    found = problem.direction(EKFAC(lr=1.0, damping=0.2, decay=0.0, kl_clip=1e30))
    torch.testing.assert_close(ravel(found), expected, rtol=1e-10, atol=1e-12)


class Pictures(nn.Module):
    """A convolution with stride, padding and dilation, an activation in place, one with a name, and a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1))
        self.norm = nn.GroupNorm(1, 3)
        self.each = nn.Linear(3, 4, bias=False)
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        places = functional.relu(self.conv(x), inplace=True)
        places = self.norm(places).flatten(2).mT
        found: Tensor = self.last(torch.tanh(self.each(places)).mean(1))
        return found


def pictures() -> Problem:
    torch.manual_seed(4)
    return Problem(Pictures(), draw(5, 2, 4, 4), torch.arange(5) % 3)


def of_each_example(problem: Problem) -> dict[str, list[Tensor]]:
    """The gradients of √n · loss at the labels drawn, example by example, each layer's as a matrix [out, in]."""
    with torch.no_grad(), Chance(0, 0):
        y = labels.drawn_classes(problem.outputs(problem.params))
    found: dict[str, list[Tensor]] = {name: [] for name in problem.params}
    for i in range(len(y)):
        leaves = {name: x.clone().requires_grad_() for name, x in problem.params.items()}
        out = functional_call(problem.module, leaves, (problem.inputs[i : i + 1],))
        loss = functional.cross_entropy(out, y[i : i + 1]) / len(y) ** 0.5
        for name, g in zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True):
            found[name].append(g.flatten(1) if g.dim() > 1 else g[:, None])
    return found


def test_the_moments_of_ekfac_are_the_diagonal_in_its_basis() -> None:
    problem = pictures()
    _, state = problem.step(EKFAC(decay=0.0))
    rows = of_each_example(problem)
    for name, own in state["layers"].items():
        into, out, *_ = own["eigen"]
        bias = name.replace("weight", "bias")
        each = zip(rows[name], rows[bias], strict=True) if bias in rows else ((g,) for g in rows[name])
        squares = [(out.T @ torch.cat(parts, dim=1) @ into) ** 2 for parts in each]
        torch.testing.assert_close(own["kept"]["moments"], sum(squares), rtol=1e-9, atol=1e-14)
        torch.testing.assert_close(into.T @ into, torch.eye(len(into), dtype=torch.float64))


def test_in_a_new_basis_the_moments_begin_with_those_of_kfac() -> None:
    problem = classifier()
    _, state = problem.step(EKFAC(decay=0.5))
    _, alone = problem.step(EKFAC(decay=0.0))
    for name, own in state["layers"].items():
        *_, into, out = own["eigen"]
        expected = (torch.outer(out, into) + alone["layers"][name]["kept"]["moments"]) / 2
        torch.testing.assert_close(own["kept"]["moments"], expected)


def test_what_is_in_no_layer_has_the_diagonal_of_the_fisher_matrix() -> None:
    problem, damping = pictures(), 0.3
    found, _ = problem.step(KFAC(lr=1.0, damping=damping, kl_clip=1e30))
    rows, gradients = of_each_example(problem), problem.gradients()
    for name in ("norm.weight", "norm.bias"):
        f = torch.stack(rows[name]).sum(0)[:, 0] ** 2
        torch.testing.assert_close(found[name], gradients[name] / (f + damping), rtol=1e-9, atol=1e-12)


def test_the_factors_of_a_convolution_are_those_of_its_patches() -> None:
    """Grosse & Martens (2016), by a loop over examples and places."""
    problem = pictures()
    _, state = problem.step(KFAC())
    with torch.no_grad(), Chance(0, 0):
        y = labels.drawn_classes(problem.outputs(problem.params))
    module, grams, outer = Pictures().double(), [], []
    module.load_state_dict(problem.module.state_dict())
    x = functional.pad(problem.inputs, (1, 1, 2, 2))
    s = module.conv(problem.inputs).detach().requires_grad_()
    places = module.norm(functional.relu(s)).flatten(2).mT
    loss = functional.cross_entropy(module.last(torch.tanh(module.each(places)).mean(1)), y)
    (by_outputs,) = torch.autograd.grad(loss, [s])
    for i, row, column in itertools.product(*map(range, (5, s.shape[2], s.shape[3]))):
        patch = x[i, :, row : row + 5 : 2, 2 * column : 2 * column + 2].flatten()
        a, g = torch.cat([patch, patch.new_ones(1)]), by_outputs[i, :, row, column] * 5**0.5
        grams.append(torch.outer(a, a))
        outer.append(torch.outer(g, g))
    found = state["layers"]["conv.weight"]["factors"]
    torch.testing.assert_close(found[0], sum(grams) / len(grams), rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(found[1], sum(outer), rtol=1e-9, atol=1e-14)


def test_factors_are_averaged_and_renewed_when_due() -> None:
    problem = classifier()
    method = KFAC(every=2, decay=0.6).attached(problem.composed(), problem.params)
    params, state, seen = problem.params, method.init(problem.params), []
    for i in range(7):
        with torch.no_grad(), Chance(0, i):
            problem.params = params
            single = KFAC().attached(problem.composed(), params)
            batch = single.step(params, problem.gradients(), single.init(params), problem)[1]
        with torch.no_grad(), Chance(0, i):
            params, state = method.step(params, problem.gradients(), state, problem)
        seen.append([own["layers"]["0.weight"]["factors"][1] for own in (state, batch)])
    first, second, third, fourth = (seen[i][1] for i in (0, 2, 4, 6))
    for i in (0, 2, 4):
        assert torch.equal(seen[i][0], seen[i + 1][0])
    torch.testing.assert_close(seen[2][0], (first + second) / 2)
    before = 0.6 * (first + second) / 2 + 0.4 * third  # 1 − 1/3 is more than 0.6
    torch.testing.assert_close(seen[4][0], before)
    torch.testing.assert_close(seen[6][0], 0.6 * before + 0.4 * fourth)


def test_the_clip_bounds_a_step_in_the_metric_of_the_model() -> None:
    problem, lr = classifier(), 0.5
    long = problem.direction(KFAC(lr=lr, kl_clip=1e30))
    size = lr**2 * sum((long[name] * g).sum() for name, g in problem.gradients().items())
    short = problem.direction(KFAC(lr=lr, kl_clip=float(size) / 4))
    for name, x in long.items():
        torch.testing.assert_close(short[name], x / 2)


# Layers


def found_in(module: nn.Module, *shape: int) -> dict[str, str | None]:
    x = torch.ones(shape)
    params = {name: p.detach() for name, p in module.named_parameters() if p.requires_grad}
    return layers_of(lambda params: functional_call(module, params, (x,)), params)


def test_layers_are_found_with_their_biases() -> None:
    assert found_in(Pictures(), 1, 2, 4, 4) == {
        "conv.weight": "conv.bias",
        "each.weight": None,
        "last.weight": "last.bias",
    }
    frozen = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    frozen[0].bias.requires_grad_(False)
    frozen[1].weight.requires_grad_(False)
    assert found_in(frozen, 1, 2) == {"0.weight": None}


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(2, 2, 3, padding="same"),
        nn.Conv2d(2, 2, 3, groups=2),
        nn.ConvTranspose2d(2, 2, 3),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 2, 3)),
    ],
    ids=["padding by name", "groups", "transposed", "weight norm"],
)
def test_what_is_no_layer_is_not_found(module: nn.Module) -> None:
    assert found_in(module, 1, 2, 5, 5) == {}


def test_the_places_of_all_calls_of_a_layer_count() -> None:
    layer, x, y = nn.Linear(3, 3, bias=False).double(), draw(4, 3), draw(4, 5, 3)
    problem = Problem(layer, x, draw(4))

    def outputs(params: Params) -> Tensor:
        w = params["weight"]
        return functional.linear(functional.linear(x, w).tanh(), w).sum(1) + functional.linear(y, w).sum((1, 2))

    found, rest = layer_gradients(outputs, lambda z: z.square().sum(), problem.params, {"weight": None})
    assert rest == {}
    inputs, gradients = found["weight"]
    assert inputs.shape == gradients.shape == (4, 7, 3)
    leaf = problem.params["weight"].clone().requires_grad_()
    (expected,) = torch.autograd.grad(outputs({"weight": leaf}).square().sum(), [leaf])
    torch.testing.assert_close(torch.einsum("npo,npi->oi", gradients, inputs), expected)


# In a run


def test_a_network_without_layers_is_refused() -> None:
    problem = Problem(nn.LayerNorm(3), draw(4, 3), draw(4, 3))
    with pytest.raises(ConfigurationError, match="KFAC was given a network without a linear layer"):
        KFAC().attached(problem.composed(), problem.params)
    with pytest.raises(ConfigurationError, match="at most 4 inputs and outputs"):
        EKFAC(largest=4).attached(classifier().composed(), classifier().params)


@pytest.mark.parametrize("method", ["natural_gradient", "sophia_g", "kfac", "ekfac"])
def test_what_has_no_network_or_more_than_one_sum_is_refused(method: str) -> None:
    with pytest.raises(ConfigurationError, match="from a network's outputs, but Rosenbrock has none"):
        descend.run(["objective=rosenbrock", f"optimizer={method}", *QUIET])
    with pytest.raises(ConfigurationError, match="but UPGrad weighs them anew: set aggregator=sum"):
        descend.run(["objective=digits_two_tasks", "aggregator=upgrad", f"optimizer={method}", *QUIET])
    with pytest.raises(ConfigurationError, match="cannot be the method of a group"):
        descend.run(["objective=digits_mlp", "optimizer=groups", f"optimizer@optimizer.groups.rest.optimizer={method}"])


@pytest.mark.parametrize("objective", ["digits_two_tasks", "deep_quadratic"])
def test_a_loss_that_is_no_density_known_is_left_to_the_natural_gradient(objective: str) -> None:
    for method in ("sophia_g", "kfac", "ekfac"):
        with pytest.raises(ConfigurationError, match="draws labels from the model's own distribution"):
            descend.run([f"objective={objective}", f"optimizer={method}", *QUIET])
    found = descend.run([f"objective={objective}", "optimizer=natural_gradient", "steps=3", *QUIET])
    assert found.status == "finished"


@pytest.mark.parametrize("method", ["natural_gradient", "sophia_g", "kfac", "ekfac"])
@pytest.mark.parametrize("other", ["wrap=lookahead", "wrap=sam", "accumulate=4", "clip=norm", "precision=bf16"])
def test_beside_other_parts(method: str, other: str) -> None:
    rate = "optimizer.lr=0.01" if method == "sophia_g" else "seed=0"
    own = ["objective=digits_mlp_small", "objective.batch_size=32", f"optimizer={method}", rate, other]
    found = descend.run([*own, "steps=20", *QUIET])
    assert found.status == "finished"
    assert found.value < 2.0
    assert found.provenance["backend"] == "graph"


@pytest.mark.parametrize("method", ["natural_gradient", "kfac"])
def test_a_step_sees_the_dropout_and_the_batch_norm_of_its_loss(method: str) -> None:
    """The curvature is that of the function whose gradient is given: its value there is the same to the bit."""
    seen = []

    class Looking(NaturalGradient if method == "natural_gradient" else KFAC):  # type: ignore[misc]
        def step(self, params: Params, gradients: Params, state: Any, loss: Any) -> tuple[Params, Any]:
            network = loss.composed()
            seen.append((loss(params), network.outer(network.outputs(params))))
            return super().step(params, gradients, state, loss)

    from descend.engine.experiment import Experiment
    from descend.engine.run import Run, drive
    from descend.menu.build import build
    from descend.menu.compose import compose

    overrides = ["objective=module", "objective.module.dropout=0.5", *QUIET]
    experiment = Experiment(build(compose(overrides), overrides).objective, Looking(), steps=2, compile=False)
    drive(Run(experiment), [])
    for value, again in seen:
        assert torch.equal(value, again)
