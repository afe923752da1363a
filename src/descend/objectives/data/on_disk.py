"""Examples stored in the user's files."""

from abc import abstractmethod

import torch.utils.data
from torch import Tensor


class OnDisk(torch.utils.data.Dataset):
    """Inputs that are read one by one, and their targets, which are held in memory.

    Attributes:
        targets: all targets, with the types of `Split`.
        parts: see `Examples`.
    """

    targets: Tensor
    parts: tuple[Tensor, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @abstractmethod
    def __getitem__(self, number: int) -> Tensor:
        """Return the input with this number, with the types of `Split`."""
