"""NorMuon: Muon whose neurons move alike."""

from dataclasses import dataclass

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled, moving_average
from descend.optimizers.muon import Muon
from descend.optimizers.weight_decay import decayed
from descend.scalars import real
from descend.types import Loss, Params, State

TINY = 1e-10
"""Keeps a row of zeros from being divided by zero; as in the authors' code."""


@dataclass(frozen=True)
class NorMuon(Muon):
    """Muon's O = NS(u), then v ← β₂v + (1−β₂) · mean of O² by row, U = O / √v, x ← (1 − lr · λ)x − lr · s ‖O‖/‖U‖ · U.

    Li et al., "NorMuon: Making Muon more efficient and scalable" (2025), Algorithm 1, with the norm of O kept as in the
    authors' code, zichongli5/NorMuon, from which the defaults are.

    Args:
        lr: learning rate, > 0.
        momentum: μ in [0, 1).
        weight_decay: λ ≥ 0, decoupled.
        nesterov: look ahead along the momentum; otherwise u = m.
        iterations: of Newton-Schulz, ≥ 1.
        match_rms_adamw: take the s whose steps are as long as AdamW's; see Muon.
        eps: the least norm that u is divided by, > 0.
        bfloat16: iterate on float32 in bfloat16; see Muon.
        beta2: β₂ in [0, 1).
    """

    beta2: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "beta2", at_least=0, below=1)

    def init(self, params: Params) -> State:
        return super().init(params) | {"rows": {name: x.new_zeros(len(x), 1) for name, x in params.items()}}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        new, momentum, rows = {}, {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            momentum[name], update = self.update(gradients[name], state["momentum"][name])
            seen = (update * update).mean(1, keepdim=True)
            rows[name] = moving_average(state["rows"][name], seen, self.beta2)
            even = update / (rows[name].sqrt() + TINY)
            kept = torch.linalg.vector_norm(update) / (torch.linalg.vector_norm(even) + TINY)
            new[name] = add_scaled(x, even.view(x.shape), -self.lr * self.factor(update) * real(kept))
        return new, {"momentum": momentum, "rows": rows}
