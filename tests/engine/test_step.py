"""The pure step against autograd used plainly."""

import operator
from collections.abc import Callable

import pytest
import torch
from torch.utils._pytree import tree_map
from toys import Line, Three

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.sum import Sum
from descend.aggregators.upgrad import UPGrad
from descend.aggregators.weighted import Weighted
from descend.engine.experiment import Experiment
from descend.engine.losses import Evaluation, LossGradients, total
from descend.engine.step import Carry, Origin, advance, evaluate, observe, start
from descend.objectives.objective import Objective
from descend.optimizers.adam import Adam
from descend.optimizers.clipping import ClipNorm
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.sgd import SGD
from descend.schedules.exponential import Exponential
from descend.types import Batch, Loss, Losses, Params

WEIGHTS = torch.tensor([0.3, -1.7, 4.0], dtype=torch.float64)


def uncounted(loss: Loss) -> Loss:
    return loss


def begin(experiment: Experiment) -> tuple[Experiment, Carry]:
    placed, params, _ = experiment.placed(experiment.objective.init(experiment.generator()))
    return placed, start(placed, Origin.of(params))


def plain_gradient(objective: Objective, params: Params, loss: Callable[[dict], torch.Tensor]) -> Params:
    """The textbook way: leaves, backward, grad."""
    with torch.enable_grad():
        leaves = {name: x.clone().requires_grad_() for name, x in params.items()}
        loss(objective.losses(leaves, None)).backward()
    return {name: torch.zeros_like(x) if x.grad is None else x.grad for name, x in leaves.items()}


def assert_equal(a: object, b: object) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0)


@pytest.fixture
def params() -> Params:
    return Three().init(torch.Generator())


def test_gradient_of_weighted_losses_is_that_of_their_weighted_sum(params: Params) -> None:
    found = LossGradients.of(Evaluation(Three()), params)[0].combined(WEIGHTS)
    expected = plain_gradient(
        Three(), params, lambda losses: sum(w * x for w, x in zip(WEIGHTS, losses.values(), strict=True))
    )
    assert list(found) == list(params)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)


def test_jacobian_rows_are_the_gradients_of_the_losses(params: Params) -> None:
    found = LossGradients.of(Evaluation(Three()), params)[0].jacobian()
    rows = [plain_gradient(Three(), params, operator.itemgetter(name)) for name in ("bowl", "wave")]
    expected = torch.stack([torch.cat([g.reshape(-1) for g in row.values()]) for row in rows])
    torch.testing.assert_close(found[:2], expected, rtol=1e-14, atol=1e-14)
    assert_equal(found[2], torch.zeros(6, dtype=torch.float64))  # the loss that no parameter moves


def test_the_way_over_the_jacobian_gives_the_same_gradient(params: Params) -> None:
    over, straight = LossGradients.of(Evaluation(Three()), params)[0], LossGradients.of(Evaluation(Three()), params)[0]
    over.jacobian()
    torch.testing.assert_close(over.combined(WEIGHTS), straight.combined(WEIGHTS), rtol=1e-14, atol=1e-14)


def test_nothing_depends_on_the_parameters(params: Params) -> None:
    class Constant(Three):
        def losses(self, params: Params, batch: Batch) -> Losses:
            return {"constant": torch.full((), 2.0, dtype=torch.float64, device="cpu")}

    found = LossGradients.of(Evaluation(Constant()), params)[0]
    assert_equal(found.jacobian(), torch.zeros(1, 6, dtype=torch.float64))
    ones = torch.ones(1, dtype=torch.float64)
    assert_equal(LossGradients.of(Evaluation(Constant()), params)[0].combined(ones), tree_map(torch.zeros_like, params))


@pytest.mark.parametrize("aggregator", [Sum(), Weighted(factors={"bowl": 2.0, "wave": 0.5}), UPGrad()])
def test_evaluate_weighs_the_losses(params: Params, aggregator: Aggregator) -> None:
    experiment, carry = begin(Experiment(Three(), aggregator=aggregator))
    with torch.no_grad():
        taken, _, _ = evaluate(experiment, carry, None, True)
    assert taken.names == ("bowl", "wave", "constant")
    weights = taken.weights
    expected = plain_gradient(
        Three(), params, lambda losses: sum(w * x for w, x in zip(weights, losses.values(), strict=True))
    )
    torch.testing.assert_close(taken.gradients, expected, rtol=1e-12, atol=1e-12)
    assert not taken.values.requires_grad


def test_total_has_the_gradient_that_the_optimizer_is_given(params: Params) -> None:
    leaves = {name: x.clone().requires_grad_() for name, x in params.items()}
    value = total(Evaluation(Three()), WEIGHTS)(leaves)
    gradients = torch.autograd.grad(value, list(leaves.values()), allow_unused=True, materialize_grads=True)
    expected = LossGradients.of(Evaluation(Three()), params)[0].combined(WEIGHTS)
    torch.testing.assert_close(dict(zip(params, gradients, strict=True)), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("optimizer", [Adam(), SGD(momentum=0.9)])
@pytest.mark.parametrize("objective", [Three(), Line()])
def test_a_step_is_pure(objective: Objective, optimizer: Optimizer) -> None:
    experiment, carry = begin(Experiment(objective, optimizer=optimizer, clip=ClipNorm(0.5)))
    batch = next(objective.batches(torch.Generator()))
    with torch.no_grad():
        carry, _ = advance(experiment, carry, batch, uncounted)  # buffers are no zeros any more
        before = tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, carry)
        state = torch.get_rng_state()
        first, second = advance(experiment, carry, batch, uncounted), advance(experiment, carry, batch, uncounted)
    assert_equal(carry, before)
    assert_equal((first[0], first[1][1:]), (second[0], second[1][1:]))
    assert torch.equal(torch.get_rng_state(), state)
    assert first[0].step == carry.step + 1
    assert not any(x.requires_grad for x in first[0].params.values())


def test_a_step_of_gradient_descent_by_hand(params: Params) -> None:
    experiment, carry = begin(Experiment(Three(), optimizer=SGD(lr=0.1), schedule=Exponential(gamma=0.5), steps=9))
    expected = params
    with torch.no_grad():
        for step in range(4):
            carry, taken = advance(experiment, carry, None, uncounted)
            gradient = plain_gradient(Three(), expected, lambda losses: sum(losses.values()))
            torch.testing.assert_close(taken.gradients, gradient, rtol=1e-13, atol=1e-13)
            expected = {name: x - 0.1 * 0.5**step * gradient[name] for name, x in expected.items()}
            torch.testing.assert_close(carry.params, expected, rtol=1e-13, atol=1e-13)


def test_clipping_changes_what_the_optimizer_sees_and_not_what_is_observed(params: Params) -> None:
    experiment, carry = begin(Experiment(Three(), optimizer=SGD(lr=1.0), clip=ClipNorm(0.25)))
    with torch.no_grad():
        after, taken = advance(experiment, carry, None, uncounted)
    gradient = plain_gradient(Three(), params, lambda losses: sum(losses.values()))
    torch.testing.assert_close(taken.gradients, gradient, rtol=1e-13, atol=1e-13)
    moved = torch.cat([(after.params[name] - x).reshape(-1) for name, x in params.items()])
    assert float(moved.norm()) == pytest.approx(0.25, rel=1e-5)


def test_a_schedule_scales_a_copy_of_the_optimizer() -> None:
    experiment = Experiment(Three(), optimizer=SGD(lr=0.5), schedule=Exponential(gamma=0.1))
    assert experiment.optimizer_at(2).lr == pytest.approx(0.005)
    assert experiment.optimizer.lr == 0.5
    assert Experiment(Three(), optimizer=SGD()).optimizer_at(7) is not None


def test_an_observation_tells_what_the_step_saw() -> None:
    experiment, first = begin(Experiment(Line(), optimizer=SGD(lr=0.1)))
    batches = Line().batches(torch.Generator().manual_seed(3))
    batch, following = next(batches), next(batches)
    with torch.no_grad():
        before, earlier = advance(experiment, first, batch, uncounted)
        after, taken = advance(experiment, before, following, uncounted)
        seen = observe(experiment, before, taken, after, following)
        ended = observe(experiment, before, taken, None, following)
    assert (seen.step, seen.lr) == (1, 0.1)
    assert_equal(seen.params, before.params)
    assert_equal(seen.previous, earlier.gradients)
    assert_equal(seen.gradients, taken.gradients)
    assert_equal(seen.update, {name: after.params[name] - x for name, x in before.params.items()})
    assert ended.update is None
    losses = Line().losses(before.params, following)
    torch.testing.assert_close(seen.losses, losses)
    torch.testing.assert_close(seen.loss(before.params), losses["squares"])
    torch.testing.assert_close(seen.jacobian()[0], torch.cat([g.reshape(-1) for g in taken.gradients.values()]))
    assert_equal(seen.evaluate(), Line().evaluate(before.params))
