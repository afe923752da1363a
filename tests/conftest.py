"""Settings shared by every test."""

import torch
from hypothesis import settings

# A deadline in milliseconds measures how busy the machine is, not the code.
settings.register_profile("descend", deadline=None)
settings.load_profile("descend")

# Threads that wait for each other on a busy machine make a small Hessian a thousand times slower than one thread does.
torch.set_num_threads(1)
