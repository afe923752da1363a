"""K-FAC and EKFAC: twins written with loops and inverses, and the cases in which their papers say they are exact."""

import itertools
import math

import torch
from network_problems import Pictures, Problem, classifier, pictures, regression
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from descend.derivatives.flat import ravel
from descend.graph.chance import Chance
from descend.objectives import labels
from descend.optimizers.ekfac import EKFAC
from descend.optimizers.kfac import KFAC


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
