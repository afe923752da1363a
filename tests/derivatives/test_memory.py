import pytest
import torch

from descend.derivatives.memory import require_memory
from descend.errors import ConfigurationError


def test_what_fits_passes_and_what_does_not_is_refused_with_its_size() -> None:
    cpu = torch.device("cpu")
    require_memory(1000, torch.float64, cpu)
    require_memory(6000, torch.float32, cpu)
    with pytest.raises(ConfigurationError, match=r"1,000,000 parameters has 1,000,000,000,000 entries, 7,450.6 GiB"):
        require_memory(10**6, torch.float64, cpu)
