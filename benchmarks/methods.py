"""The optimizers that people compare: a step against the loop by hand with the class of torch or pytorch_optimizer.

An MLP on MNIST (784-256-256-10, batch 256) and the GPT of the menu (4 layers, width 128, batch 32), float32. Both on
one thread, in CPU time, in turn, from the same start on the same batches; medians of the rounds, ours over theirs,
whole runs without what sets them up. The aim is 1.05 for all, and 0.9 for Muon, SOAP and Shampoo. At the end 64 stacked
runs of Muon on digits against the same one after the other, where the aim is 4 times faster.

    python benchmarks/methods.py [rounds] [method …]

2026-11-29, torch 2.13, pytorch_optimizer 4.1, a processor with bfloat16, other work on the second core, 2 rounds; MLP
and GPT: muon 1.08 and 1.03 (products of matrices that both sides ask for; 0.9 was not reached), normuon 1.07 and 1.07,
shampoo 0.57 and 0.67, schedule_free_sgd 1.07 and 1.01, schedule_free_adamw 0.97 and 1.03, prodigy 1.03 and 1.02,
dadapt_adam 1.06 and 1.03, adopt 1.07 and 1.01, ademamix 0.95 and 1.03, mars 0.97 and 1.02, lamb 1.08 and 1.03, lars
1.00 and 1.02, adafactor 1.03 and 1.02, came 1.00 and 1.00, adabelief 0.98 and 1.02, signum 0.99 and 1.03.
pytorch_optimizer's Kron asks for 161 GB on this MLP, and is left out.

2026-11-30, the same: soap 0.91 and 1.02 (on the GPT sgd takes 0.99 of soap's time: nearly all of it is the network's
passes), adahessian 1.09 and 1.06, 64 runs of Muon 4.1 times (two pairs, 3.8 and 4.4).
"""

import sys
from collections.abc import Callable, Sequence

import pytorch_optimizer as others
import torch
from networks import beginning, cross_entropy, look
from ratios import Ratio, Work, against
from single_run import quiet
from torch import Tensor, nn

import descend
from descend.engine.experiment import Experiment
from descend.menu.build import build
from descend.menu.compose import compose

END = 32
QUIET = [f"objective.most_evaluated={END}", "threads=1", "metrics=none", "derivatives=none"]
OWN_NET = ["objective=module", f"objective.module._target_={__name__}.MLP", "objective.data=mnist"]
PROBLEMS = {
    "MLP": [*OWN_NET, "objective.batch_size=256", "steps=40"],
    "GPT": ["objective=char_gpt", "objective.data.test_fraction=0.001", "objective.batch_size=32", "steps=8"],
}
Twin = Callable[[dict[str, nn.Parameter], dict[str, str]], list[torch.optim.Optimizer]]
"""Makes optimizers of a network's parameters and their kinds."""


class MLP(nn.Sequential):
    """784-256-256-10 over the pixels of a picture."""

    def __init__(self) -> None:
        layers = [nn.Flatten(), nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
        super().__init__(*layers)


def of(method: Callable[..., torch.optim.Optimizer], **options: object) -> Twin:
    return lambda params, kinds: [method(list(params.values()), **options)]


def muon(method: Callable[..., torch.optim.Optimizer]) -> Twin:
    """Muon on what the menu's preset gives it, AdamW on the rest."""

    def twin(params: dict[str, nn.Parameter], kinds: dict[str, str]) -> list[torch.optim.Optimizer]:
        matrices = [x for name, x in params.items() if kinds[name] in ("matrix", "convolution")]
        rest = [x for name, x in params.items() if kinds[name] not in ("matrix", "convolution")]
        return [method(matrices), torch.optim.AdamW(rest, lr=3e-4, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)]

    return twin


TWINS: dict[str, Twin] = {
    "muon": muon(lambda params: torch.optim.Muon(params, lr=0.02, weight_decay=0.0)),
    "normuon": muon(lambda params: others.NorMuon([{"params": params, "use_muon": True}], lr=0.02, weight_decay=0.0)),
    "soap": of(others.SOAP, lr=3e-3, precondition_frequency=10),
    "shampoo": of(others.Shampoo, lr=1e-3, preconditioning_compute_steps=1),
    "schedule_free_sgd": of(others.ScheduleFreeSGD, lr=1.0),
    "schedule_free_adamw": of(others.ScheduleFreeAdamW, lr=2.5e-3),
    "prodigy": of(others.Prodigy),
    "dadapt_adam": of(others.DAdaptAdam),
    "adopt": of(others.ADOPT),
    "ademamix": of(others.AdEMAMix),
    "mars": of(others.MARS),
    "lamb": of(others.Lamb),
    "lars": of(others.LARS),
    "adafactor": of(torch.optim.Adafactor),
    "came": of(others.CAME),
    "adabelief": of(others.AdaBelief),
    "signum": of(others.SignSGD),
    "adahessian": of(others.AdaHessian),
    "sophia_h": of(others.SophiaH),
}
BFLOAT16 = ["optimizer.groups.matrices.optimizer.bfloat16=true"]
OWN = {"shampoo": ["optimizer.every=1"], "muon": BFLOAT16, "normuon": BFLOAT16}
"""What the twins do by default: an inverse root at every step, and an iteration in bfloat16."""
WITH_GRAPH = ("adahessian", "sophia_h")
AIMS = dict.fromkeys(TWINS, 1.05) | dict.fromkeys(("muon", "soap", "shampoo"), 0.9)


def by_hand(experiment: Experiment, twin: Twin, graph: bool) -> Work:
    def work() -> Callable[[], object]:
        objective, network, generator = beginning(experiment)
        batches = objective.batches(generator)
        named = dict(network.named_parameters())
        params = list(named.values())

        def train() -> None:
            optimizers = twin(named, objective.kinds(dict(named)))
            for _ in range(experiment.steps):
                batch = next(batches)
                loss = cross_entropy(network(objective.train_inputs[batch]), objective.train_targets[batch])
                found: Sequence[Tensor] = torch.autograd.grad(loss, params, create_graph=graph)
                for x, gradient in zip(params, found, strict=True):
                    x.grad = gradient
                for optimizer in optimizers:
                    optimizer.step()
            look(network, objective.test_inputs, objective.test_targets)  # as a run does at its end
            few = objective.train_inputs[:END], objective.train_targets[:END]
            network.zero_grad()
            cross_entropy(network(few[0]), few[1]).backward()

        return train

    return work


def compared(problem: str, method: str, rounds: int) -> Ratio:
    overrides = [*PROBLEMS[problem], *QUIET, f"optimizer={method}", *OWN.get(method, [])]
    experiment = build(compose(overrides), overrides)
    peer = by_hand(experiment, TWINS[method], method in WITH_GRAPH)
    return against(peer, {method: quiet(experiment)}, rounds)[method]


def stacked(rounds: int) -> Ratio:
    """Compare 64 stacked runs of Muon with the same one after the other."""
    base = ["objective=digits_mlp", "optimizer=muon", "steps=100", "metrics=none", "derivatives=none", "threads=1"]

    def one_by_one() -> None:
        for seed in range(64):
            descend.run([*base, f"seed={seed}"])

    sweep: dict[str, Work] = {"sweep": lambda: lambda: descend.sweep([*base, "seed=range(0,64)"])}
    return against(lambda: one_by_one, sweep, rounds)["sweep"]


def main() -> None:
    rounds = max(2, int(sys.argv[1])) if len(sys.argv) > 1 else 5
    torch.set_num_threads(1)
    print(f"{'':20}" + "".join(f"{name:>8}" for name in PROBLEMS) + "     aim  reached", flush=True)
    for method in sys.argv[2:] or TWINS:
        ratios = [compared(problem, method, rounds).median for problem in PROBLEMS]
        told = "".join(f"{ratio:8.2f}" for ratio in ratios)
        print(f"{method:20}{told}{AIMS[method]:8.2f}  {'yes' if max(ratios) <= AIMS[method] else 'no'}", flush=True)
    if not sys.argv[2:]:
        print(f"64 runs of Muon on digits_mlp, one by one over stacked: {1 / stacked(max(2, rounds // 2)).median:.1f}")


if __name__ == "__main__":
    main()
