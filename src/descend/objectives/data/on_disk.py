"""Examples that lie in files of the user's."""

from abc import abstractmethod

import torch.utils.data
from torch import Tensor


class OnDisk(torch.utils.data.Dataset):
    """Inputs that are read one by one, beside their targets, which are held in memory.

    Attributes:
        targets: of all examples, as `Examples` has them.
        parts: likewise.
    """

    targets: Tensor
    parts: tuple[Tensor, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @abstractmethod
    def __getitem__(self, number: int) -> Tensor:
        """Return the input of this number, as `Examples` has it."""
