"""Random numbers as a pure function of a counter, so that a step that draws can be traced, stacked and taken again."""

import torch
from torch import Tensor

WORD = 0xFFFFFFFF


def hash_word(word: Tensor) -> Tensor:
    """Return 32 well-mixed bits of each 32-bit number, both kept in int64.

    The PCG hash of Jarzynski & Olano, "Hash Functions for GPU Rendering", Journal of Computer Graphics Techniques 9
    (2020), section 4. Its multipliers are below 2³⁰, so that no product leaves int64.
    """
    state = (word * 747796405 + 2891336453) & WORD
    mixed = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) & WORD
    return (mixed >> 22) ^ mixed


def uniform(seed: int, step: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return float32 numbers in (0, 1) that depend on the seed, the step (int64, shape []) and their place alone."""
    places = torch.arange(torch.Size(shape).numel(), dtype=torch.int64, device=step.device)
    words = hash_word(hash_word(hash_word(places) ^ (step & WORD)) ^ (seed & WORD))
    # 23 bits and a half are a float32 exactly, so that neither 0 nor 1 is reached by rounding.
    return ((words >> 9).float() + 0.5).reshape(shape) / (1 << 23)
