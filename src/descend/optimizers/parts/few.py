"""For how many parameters a method keeps a matrix."""

from descend.errors import ConfigurationError
from descend.optimizers.optimizer import Optimizer
from descend.types import Params
from descend.vectors import numel

LARGEST = 4096
"""Parameters: beyond, the eigenvalue problem of a single step takes minutes."""

EIGENVALUES = "solves an eigenvalue problem of that size at every step"


def require_few(optimizer: Optimizer, params: Params, does: str, instead: str) -> None:
    """Require parameters few enough for a matrix.

    Raises:
        ConfigurationError: they are too many; says what the method does with them, and which one to use instead.
    """
    size = numel(params)
    if size > LARGEST:
        raise ConfigurationError(
            f"{type(optimizer).__name__} was given {size:,} parameters, but it {does} and takes at most {LARGEST:,}; "
            f"use optimizer={instead}."
        )
