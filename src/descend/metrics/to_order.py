"""What metrics of derivatives up to a chosen order share."""

from dataclasses import dataclass

from descend.checks import check_number
from descend.metrics.metric import Metric


@dataclass(frozen=True)
class ToOrder(Metric):
    """A metric of derivatives of the orders 1 … `order`.

    Args:
        order: the highest order, ≥ 1.
    """

    order: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "order", at_least=1)

    @property
    def differentiates(self) -> int:
        return self.order
