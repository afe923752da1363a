"""AdamW: Adam with decoupled weight decay."""

from dataclasses import dataclass
from typing import ClassVar

from descend.optimizers.adam import Adam


@dataclass(frozen=True)
class AdamW(Adam):
    """x ← (1 − lr · λ) x, then Adam's update without the penalty in its gradient.

    Loshchilov & Hutter, "Decoupled Weight Decay Regularization" (ICLR 2019), Algorithm 2.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0.
        amsgrad: put the largest v so far in place of v; see Adam.
    """

    entrywise: ClassVar[bool] = True
    decoupled: ClassVar[bool] = True

    weight_decay: float = 1e-2
