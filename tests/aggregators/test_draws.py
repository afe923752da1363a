"""Random numbers as a function of a counter."""

import torch
from scipy.stats import kstest

from descend.aggregators.draws import hash_word, uniform


def naive_pcg(word: int) -> int:
    """The PCG hash as in the GLSL listing of Jarzynski & Olano (2020), in 32-bit arithmetic."""
    state = (word * 747796405 + 2891336453) % 2**32
    mixed = (((state >> ((state >> 28) + 4)) ^ state) * 277803737) % 2**32
    return (mixed >> 22) ^ mixed


def test_hash_equals_the_published_one_and_keeps_words_apart() -> None:
    words = torch.tensor([0, 1, 2, 12345, 2**31, 2**32 - 1], dtype=torch.int64)
    assert hash_word(words).tolist() == [naive_pcg(word) for word in words.tolist()]
    assert hash_word(torch.arange(200_000, dtype=torch.int64)).unique().numel() == 200_000


def test_uniform_is_uniform_and_never_0_or_1() -> None:
    step = torch.tensor(5, dtype=torch.int64)
    found = uniform(7, step, (100, 100))
    assert found.shape == (100, 100)
    assert 0 < float(found.min()) < 1e-3
    assert 0.999 < float(found.max()) < 1
    assert kstest(found.flatten().numpy(), "uniform").pvalue > 1e-3


def test_seed_and_step_both_matter() -> None:
    first, second = torch.tensor(0, dtype=torch.int64), torch.tensor(1, dtype=torch.int64)
    assert torch.equal(uniform(0, first, (8,)), uniform(0, first, (8,)))
    assert not torch.equal(uniform(0, first, (8,)), uniform(0, second, (8,)))
    assert not torch.equal(uniform(0, first, (8,)), uniform(1, first, (8,)))
