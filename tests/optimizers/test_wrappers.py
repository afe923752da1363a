"""What is laid around an optimizer, held against torch, pytorch_optimizer and the papers' formulas."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_optimizer
import torch
from conftest import Command
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import swa_utils

import descend as package
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.menu import FOLDER, choices
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.data.digits import Digits
from descend.objectives.module import Module
from descend.optimizers.adam import Adam
from descend.optimizers.adamw import AdamW
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.sgd import SGD
from descend.optimizers.wrappers.cautious import Cautious
from descend.optimizers.wrappers.centralized import Centralized
from descend.optimizers.wrappers.decay import Decay
from descend.optimizers.wrappers.ema import EMA
from descend.optimizers.wrappers.lookahead import Lookahead
from descend.optimizers.wrappers.sam import SAM
from descend.optimizers.wrappers.swa import SWA

STEPS = 12
NETWORK = ["objective=digits_mlp_small", "derivatives=none", "threads=1"]
ALL = sorted(set(choices(FOLDER / "wrap")) - {"none"})


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10)).double()


def made(optimizer: Optimizer, steps: int = STEPS) -> Run:
    run = Run(Experiment(Module(network(), Digits(), batch_size=32), optimizer, steps=steps, dtype="float64"))
    [*_] = run
    return run


def loop(
    make: Callable[[nn.Module], Any], after: Callable[[nn.Module, int], None] = lambda net, step: None
) -> nn.Module:
    """Train on the same batches as one writes it in PyTorch."""
    net = network()
    experiment = Experiment(Module(net, Digits(), batch_size=32), steps=STEPS, dtype="float64")
    objective: Any = experiment.objective
    generator = experiment.generator()
    objective.start_and_state(generator)
    batches, optimizer = objective.batches(generator), make(net)
    for step in range(1, STEPS + 1):
        batch = next(batches)

        def closure(batch: Tensor = batch) -> Tensor:
            optimizer.zero_grad()
            loss = functional.cross_entropy(net(objective.train_inputs[batch]), objective.train_targets[batch])
            loss.backward()
            return loss

        closure()
        optimizer.step(closure)
        after(net, step)
    return net


def assert_equal(found: dict[str, Tensor], net: nn.Module) -> None:
    for name, x in net.state_dict().items():
        torch.testing.assert_close(found[name], x, rtol=1e-10, atol=1e-12)


def test_ema_is_that_of_torch() -> None:
    averages: list[Any] = []

    def after(net: nn.Module, step: int) -> None:
        if not averages:
            averages.append(swa_utils.AveragedModel(net, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9)))
        averages[0].update_parameters(net)

    net = loop(lambda net: torch.optim.Adam(net.parameters(), lr=0.01), after)
    run = made(EMA(decay=0.9, inner=Adam(lr=0.01)))
    assert_equal(run.params, net)
    assert_equal({name: x[0] for name, x in run.final.standing.also_tested["ema"].items()}, averages[0].module)


def test_swa_is_that_of_torch() -> None:
    averages: list[Any] = []

    def after(net: nn.Module, step: int) -> None:
        if not averages:
            averages.append(swa_utils.AveragedModel(net))
        if step >= 4 and (step - 4) % 3 == 0:
            averages[0].update_parameters(net)

    loop(lambda net: torch.optim.SGD(net.parameters(), lr=0.1), after)
    run = made(SWA(start=4, every=3, inner=SGD(lr=0.1)))
    assert_equal({name: x[0] for name, x in run.final.standing.also_tested["swa"].items()}, averages[0].module)


@pytest.mark.parametrize("alpha", [0.5, 0.8])
def test_lookahead_is_that_of_pytorch_optimizer(alpha: float) -> None:
    def make(net: nn.Module) -> Any:
        return pytorch_optimizer.Lookahead(torch.optim.Adam(net.parameters(), lr=0.01), k=5, alpha=alpha)

    assert_equal(made(Lookahead(steps=5, alpha=alpha, inner=Adam(lr=0.01))).params, loop(make))


@pytest.mark.parametrize(("rho", "adaptive"), [(0.05, False), (0.5, True)])
def test_sam_is_that_of_pytorch_optimizer(rho: float, adaptive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def squared(groups: Any, device: Any = None, weight_adaptive: bool = False) -> Tensor:
        """Keep the precision of the norm, which the library rounds to float32."""
        grads = [x.grad * x.abs() if groups[0]["adaptive"] else x.grad for x in groups[0]["params"]]
        return torch.stack([g.square().sum() for g in grads]).sum().reshape(1)

    monkeypatch.setattr("pytorch_optimizer.optimizer.sam.get_global_gradient_norm", squared)

    def make(net: nn.Module) -> Any:
        return pytorch_optimizer.SAM(net.parameters(), torch.optim.SGD, rho=rho, adaptive=adaptive, lr=0.1)

    run = made(SAM(rho=rho, adaptive=adaptive, inner=SGD(lr=0.1)))
    assert_equal(run.params, loop(make))
    assert run.result().evaluations["gradient"] == 2 * STEPS + 1


def test_sam_with_a_radius_of_zero_is_the_optimizer_inside() -> None:
    plain = made(Adam(lr=0.01)).params
    assert all(
        torch.allclose(x, plain[name], rtol=1e-12) for name, x in made(SAM(rho=0.0, inner=Adam(lr=0.01))).params.items()
    )


def test_centralized_gradients_are_those_of_pytorch_optimizer() -> None:
    class Centred(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]  # it never looks at a closure
            for x in self.param_groups[0]["params"]:
                pytorch_optimizer.optimizer.gradient_centralization.centralize_gradient(x.grad, gc_conv_only=False)
            super().step()

    assert_equal(made(Centralized(inner=SGD(lr=0.1))).params, loop(lambda net: Centred(net.parameters(), lr=0.1)))


def test_decay_around_adam_is_adamw() -> None:
    net = loop(lambda net: torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.1))
    assert_equal(made(Decay(weight_decay=0.1, inner=Adam(lr=0.01))).params, net)


def test_cautious_is_the_papers_algorithm() -> None:
    """Liang et al. 2024, algorithm 1, written as it stands there, around the update of torch's Adam."""

    class CautiousAdam(torch.optim.Adam):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]  # likewise
            points = self.param_groups[0]["params"]
            before = [x.detach().clone() for x in points]
            super().step()
            for x, old in zip(points, before, strict=True):
                u = -(x.detach() - old)
                phi = (u * x.grad > 0).double()
                x.data = old - u * phi * x.numel() / (phi.sum() + 1)

    net = loop(lambda net: CautiousAdam(net.parameters(), lr=0.01))
    assert_equal(made(Cautious(inner=Adam(lr=0.01))).params, net)


def test_both_points_are_tested_and_left(descend: Command) -> None:
    folder = descend(
        *NETWORK, "wrap=[ema,swa]", "wrap.ema.decay=0.9", "wrap.swa.start=3", "wrap.swa.every=1", "steps=20"
    ).folder
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    assert {"accuracy", "ema_accuracy", "swa_accuracy", "test_ema_cross_entropy"} <= set(metrics)
    for name in ("ema", "swa"):
        trained = package.load(folder, name)
        found = trained.objective.evaluate(dict(trained))
        assert float(found["accuracy"]) == metrics[f"{name}_accuracy"]
        assert float(found["test_cross_entropy"]) == pytest.approx(metrics[f"test_{name}_cross_entropy"], rel=1e-6)
    assert float(package.load(folder).objective.evaluate(dict(package.load(folder)))["accuracy"]) == metrics["accuracy"]


def test_an_average_may_decide(descend: Command) -> None:
    own = ["wrap=ema", "wrap.ema.decay=0.8", "stop.metric=test/ema_accuracy", "evaluate.every=5", "steps=30"]
    folder = descend(*NETWORK, *own).folder
    values = json.loads((folder / "result.json").read_text())["values"]
    assert "best/test/ema_accuracy" in values
    assert package.load(folder, "best").keys() == package.load(folder, "ema").keys()


SWEPT = {
    "ema": "wrap.ema.decay=0.5,0.9",
    "lookahead": "wrap.lookahead.alpha=0.5,0.7",
    "sam": "wrap.sam.rho=0.05,0.1",
    "asam": "wrap.asam.rho=0.5,1.0",
    "decay": "wrap.decay.weight_decay=0.1,0.2",
    "swa": "wrap.swa.start=3,8",
}
"""A field of each wrapper that has one."""


@pytest.mark.parametrize("choice", ALL)
def test_a_stack_gives_what_each_run_gives_alone(choice: str) -> None:
    own = [*NETWORK, "metrics=none", f"wrap={choice}", "optimizer=adam", "steps=12"]
    swept = ["seed=0,1", "optimizer.lr=0.001,0.01", *([SWEPT[choice]] if choice in SWEPT else [])]
    table = package.sweep([*own, *swept])
    assert len(table) == 2 ** len(swept)
    keys = [text.partition("=")[0] for text in swept]
    for row in table.iter_rows(named=True):
        alone = package.run([*own, *(f"{key}={row[key]}" for key in keys)])
        assert (row["value"], row["best_value"]) == (alone.value, alone.best_value)


@pytest.mark.parametrize("objective", ["rosenbrock", "digits_mlp_small"])
@pytest.mark.parametrize("choice", ["[ema,sam]", "[lookahead,decay,cautious]", "[centralized,swa]"])
def test_wrapped_runs_go_on(descend: Command, objective: str, choice: str) -> None:
    own = [f"objective={objective}", "derivatives=none", f"wrap={choice}", "checkpoint.every=5"]
    descend(*own, "steps=20", "hydra.run.dir=through")
    descend(*own, "steps=10", "hydra.run.dir=broken")
    assert descend("resume=broken", "steps=20").code == 0
    left = [torch.load(Path(name) / "checkpoint.pt", weights_only=True)["trained"] for name in ("through", "broken")]
    assert left[0].keys() == left[1].keys()
    for name, params in left[0].items():
        assert all(x.equal(left[1][name][key]) for key, x in params.items())


def test_the_last_named_is_outermost() -> None:
    overrides = ["objective=rosenbrock", "wrap=[ema,sam]"]
    found = build(compose(overrides), overrides).optimizer
    assert isinstance(found, SAM)
    assert isinstance(found.inner, EMA)
    assert isinstance(found.inner.inner, Adam)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["wrap=emma"], "emma"),
        (["wrap=[ema,emma]"], "emma"),
        (["wrap=ema", "wrap.ema.decay=1.0"], "decay is 1.0, but it must be at least 0 and below 1"),
        (["wrap=ema", "wrap.ema.deca=0.9"], "deca"),
        (["wrap=decay", "optimizer=groups"], "Decay needs one learning rate"),
        (["optimizer=[adam,sgd]"], "gives the group optimizer a list"),
        (["+wrap.mine._target_=descend.optimizers.adam.Adam"], "only a subclass of"),
    ],
)
def test_what_cannot_be_laid_around_is_refused(descend: Command, overrides: list[str], sentence: str) -> None:
    done = descend("objective=rosenbrock", "steps=3", *overrides)
    assert done.code == 2
    assert sentence in " ".join(done.err.split())
    assert not done.folders


def test_decay_of_groups_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs one learning rate"):
        Decay(inner=package.optimizers.groups.Groups())
    assert Decay(inner=AdamW()).inner.lr == 1e-3
