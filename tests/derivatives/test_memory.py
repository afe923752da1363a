import os

import pytest
import torch

from descend.derivatives.memory import free_bytes, require_memory
from descend.errors import ConfigurationError


def test_free_memory_is_some_and_no_more_than_the_machine_has():
    assert 2**20 < free_bytes(torch.device("cpu")) <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_what_fits_passes_and_what_does_not_is_refused_with_its_size():
    cpu = torch.device("cpu")
    require_memory(1000, torch.float64, cpu)
    require_memory(6000, torch.float32, cpu)
    with pytest.raises(ConfigurationError, match=r"1,000,000 parameters has 1,000,000,000,000 entries, 7,450.6 GiB"):
        require_memory(10**6, torch.float64, cpu)
