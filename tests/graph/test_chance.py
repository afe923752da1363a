"""What a run draws depends on its seed, its step and which draw it is; on nothing else."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import descend
from descend.engine.experiment import Experiment
from descend.engine.run import Run, run
from descend.graph.chance import Chance, Draw, draws, mixed
from descend.graph.recorder import record
from descend.graph.trace import trace
from descend.menu.build import build
from descend.menu.compose import compose
from descend.metrics.gradient_norm import GradientNorm
from descend.objectives.objective import Objective
from descend.optimizers.sgd import SGD
from descend.types import Batch, Losses, Params


@dataclass(frozen=True)
class Noisy(Objective):
    """A user's own losses, which draw in four ways from torch's global generator."""

    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.ones(50, dtype=torch.float64), "y": torch.ones(40, dtype=torch.float64)}

    def losses(self, params: Params, batch: Batch) -> Losses:
        dropped = functional.dropout(params["x"], 0.5)
        noise = torch.rand(40, dtype=torch.float64) + torch.randn_like(params["y"]).abs()
        sign = torch.empty(40, dtype=torch.float64).bernoulli_(0.25)
        return {"noisy": (dropped * dropped).sum() + ((noise + sign) * params["y"] ** 2).sum()}


class Called(Noisy):
    batchable: ClassVar[bool] = False


EXPERIMENT = Experiment(Noisy(), SGD(lr=0.01), steps=20, seed=1)


def test_draws_depend_on_seed_step_and_number_alone() -> None:
    def drawn(seed: int, step: int) -> list[Tensor]:
        torch.rand(3)
        with Chance(seed, step):
            return [torch.rand(4), torch.rand(4), functional.dropout(torch.ones(4)), torch.randperm(9)]

    first = drawn(1, 5)
    assert all(x.equal(y) for x, y in zip(first, drawn(1, 5), strict=True))
    assert not first[0].equal(first[1])
    assert not first[0].equal(drawn(2, 5)[0])
    assert not first[0].equal(drawn(1, 6)[0])


def test_the_process_draws_on_as_if_nothing_had_been_drawn() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with Chance(1, 1):
        torch.rand(100)
    assert torch.rand(3).equal(expected)


def test_a_generator_of_ones_own_is_left_alone() -> None:
    generator = torch.Generator().manual_seed(7)
    with Chance(1, 1):
        found = torch.rand(3, generator=generator)
    assert found.equal(torch.rand(3, generator=torch.Generator().manual_seed(7)))


@pytest.mark.parametrize(("chance", "drawn"), [(0.0, False), (0.5, True)])
def test_attention_draws_only_where_it_drops_entries(chance: float, drawn: bool) -> None:
    """Dispatch leaves out arguments that are at their defaults, as the chance of 0 is."""

    def attended(x: Tensor) -> list[Tensor]:
        with Chance(1, 1):
            return [functional.scaled_dot_product_attention(x, x, x, dropout_p=chance)]

    graph = record(attended, [torch.rand(1, 1, 3, 2)])
    assert any(isinstance(node.target, Draw) for node in graph.graph.nodes) == drawn
    assert not any(draws(node.target, node.args, node.kwargs) for node in graph.graph.nodes)


def test_mixing_is_that_of_splitmix64() -> None:
    # The first output of SplitMix64 from the state 0 (Vigna's splitmix64.c), without its lowest bit.
    assert mixed(0) == 0xE220A8397B1DCDAF >> 1


@pytest.mark.parametrize("objective", [Noisy(), Called()], ids=["graph", "python"])
def test_a_run_is_the_same_every_time(objective: Objective) -> None:
    experiment = replace(EXPERIMENT, objective=objective)
    first = run(experiment)
    torch.rand(11)
    again = run(replace(experiment, metrics={"norm": GradientNorm()}))
    assert first.provenance["backend"] == ("python" if isinstance(objective, Called) else "graph")
    assert first.value == again.value
    assert run(replace(experiment, seed=2)).value != first.value


def test_a_recorded_run_draws_what_a_called_one_draws() -> None:
    recorded, called = run(EXPERIMENT), run(replace(EXPERIMENT, objective=Called()))
    assert recorded.value == pytest.approx(called.value, rel=1e-12)


@pytest.mark.parametrize("objective", [Noisy(), Called()], ids=["graph", "python"])
def test_a_run_that_goes_on_draws_on(objective: Objective) -> None:
    experiment = replace(EXPERIMENT, objective=objective)
    whole = run(experiment)
    begun = Run(replace(experiment, steps=7))
    for _ in begun:
        pass
    rest = Run(experiment)
    rest.restore({"state": begun.loop.resumable()})
    for _ in rest:
        pass
    assert rest.result().value == whole.value


@pytest.mark.parametrize("wrap", ["wrap=[]", "wrap=[ema]"])
def test_what_an_optimizer_draws_is_the_runs_own(wrap: str) -> None:
    """After other draws, beside another run in a stack, after an interruption, and called in place of recorded."""
    own = ["objective=sphere", "objective.dim=70", "optimizer=sgd", "optimizer._target_=langevin.Langevin", wrap]
    own += ["metrics=none", "derivatives=none", "steps=20", "optimizer.lr=0.01"]
    whole = descend.run([*own, "seed=1"])
    torch.rand(11)
    assert descend.run([*own, "seed=1"]).value == whole.value
    table = descend.sweep([*own, "seed=2,1"])
    assert table["value"][1] == whole.value != table["value"][0]

    experiment = build(compose([*own, "seed=1"]), own)
    begun, rest = Run(replace(experiment, steps=7)), Run(experiment)
    [*_] = begun
    rest.restore({"state": begun.loop.resumable()})
    [*_] = rest
    assert rest.result().value == whole.value
    called = descend.run([*own, "seed=1", "optimizer._target_=langevin.Called"])
    assert called.provenance["backend"] == "python"
    assert called.value == pytest.approx(whole.value, rel=1e-12)


DRAWN_INTO = {
    "leaky": lambda x: functional.rrelu(x, training=True),
    "leaky, in place": lambda x: functional.rrelu(x.clone(), training=True, inplace=True),
    "out": lambda x: x * torch.bernoulli(torch.full_like(x.detach(), 0.5), out=torch.empty_like(x)),
    "a view": lambda x: x * drawn_into_a_view(x),
}


def drawn_into_a_view(x: Tensor) -> Tensor:
    whole = torch.zeros(2 * len(x), dtype=x.dtype, device=x.device)
    whole[::2].normal_()
    return whole[: len(x)]


@pytest.mark.parametrize("name", DRAWN_INTO)
def test_draws_into_any_argument_are_recorded_and_their_derivative_is_right(name: str) -> None:
    """In each, an entry of the result is a drawn multiple of the parameter, or the parameter itself."""

    def both(seed: Tensor, step: Tensor, x: Tensor) -> list[Tensor]:
        with Chance(seed, step), torch.enable_grad():
            x = x.detach().requires_grad_()
            y = DRAWN_INTO[name](x)
            return [y.detach(), torch.autograd.grad(y.sum(), x)[0]]

    given = torch.tensor(3), torch.tensor(7), torch.linspace(-2, 2, 64, dtype=torch.float64)
    expected = both(*given)
    assert torch.allclose(expected[0], expected[1] * given[2], rtol=1e-14)
    graph, _ = trace(both, torch.tensor(0), torch.tensor(0), torch.ones(64, dtype=torch.float64))
    assert all(x.equal(y) for x, y in zip(graph(*given), expected, strict=True))
    if name.startswith("leaky"):
        slopes = expected[1][given[2] < 0]
        assert slopes.unique().numel() == 32
        assert slopes.min() >= 1 / 8
        assert slopes.max() <= 1 / 3
